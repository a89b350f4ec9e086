package channel

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"halley/internal/fault"
)

// The bounds of a channel's fields.
const (
	MaxName        = 100  // characters
	MaxTag         = 64   // characters
	MaxBaseURL     = 2048 // bytes
	MaxCredentials = 1000
	MaxCredential  = 8192 // bytes of one upstream key
	MaxModels      = 5000 // patterns, and entries of the mapping
	MaxModel       = 200  // characters of one model name or pattern
	MaxGroups      = 1000
	MaxPriority    = 1_000_000_000 // and its negative
	MaxWeight      = 1_000_000
	MaxTimeout     = 24 * time.Hour
)

// NotFound is the fault of a channel that does not exist.
func NotFound(id int64) *fault.Error {
	return fault.New(fault.NotFound, "channel_not_found", "There is no channel with the id %d.", id)
}

func invalid(field, code, format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, code, format, args...).Field(field)
}

func checkName(name string) error {
	n := utf8.RuneCountInString(name)
	switch {
	case n == 0:
		return invalid("name", "name_required", "name must not be empty or blank.")
	case n > MaxName:
		return invalid("name", "name_too_long", "name must be at most %d characters, it has %d.", MaxName, n)
	case hasControl(name):
		return invalid("name", "invalid_name", "name must not contain control characters.")
	}
	return nil
}

// Kinds are the kinds there are.
func Kinds() []Kind {
	return []Kind{OpenAI, Azure, Anthropic, Gemini, Vertex, Cohere, Bedrock, Demo}
}

func checkKind(kind Kind) error {
	if slices.Contains(Kinds(), kind) {
		return nil
	}
	names := make([]string, 0, len(Kinds()))
	for _, k := range Kinds() {
		names = append(names, strconv.Quote(string(k)))
	}
	if kind == "" {
		return invalid("kind", "kind_required", "kind must be one of %s.", strings.Join(names, ", "))
	}
	return invalid("kind", "invalid_kind", "kind must be one of %s, not %q.", strings.Join(names, ", "), clip(string(kind)))
}

// checkBaseURL gives the base URL as it is kept: without trailing slashes. Only
// addresses and localhost written out are judged here; what a name resolves to
// is judged when it is dialed. The demo provider is in-process and needs none.
func checkBaseURL(kind Kind, text string, policy AddressPolicy) (string, error) {
	if text == "" && kind == Demo {
		return "", nil
	}
	if text == "" {
		example := "https://api.openai.com/v1"
		switch kind {
		case Azure:
			example = "https://NAME.openai.azure.com or https://NAME.openai.azure.com/openai/v1"
		case Anthropic:
			example = "https://api.anthropic.com"
		case Gemini:
			example = "https://generativelanguage.googleapis.com"
		case Vertex:
			example = "https://us-central1-aiplatform.googleapis.com or https://aiplatform.googleapis.com"
		case Cohere:
			example = "https://api.cohere.com"
		case Bedrock:
			example = "https://bedrock-runtime.us-east-1.amazonaws.com"
		case OpenAI, Demo:
		}
		return "", invalid("base_url", "base_url_required", "base_url must not be empty: it is what an SDK would be given, such as %s.", example)
	}
	u, err := checkURL(urlField{name: "base_url", code: "invalid_base_url", private: "private_base_url"}, text, policy)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}

// urlField is what may stand in a field that is a URL.
type urlField struct {
	name, code  string
	private     string   // the code of an address that is not allowed
	schemes     []string // none: http and https
	credentials bool     // user and password are allowed
}

// checkURL gives the URL without trailing slashes.
func checkURL(f urlField, text string, policy AddressPolicy) (*url.URL, error) {
	bad := func(format string, args ...any) (*url.URL, error) {
		return nil, invalid(f.name, f.code, f.name+format, args...)
	}
	switch {
	case len(text) > MaxBaseURL:
		return bad(" must be at most %d bytes.", MaxBaseURL)
	case strings.ContainsAny(text, " \t\r\n\\"):
		return bad(" must not contain blanks or backslashes.")
	case strings.Contains(text, "#"):
		return bad(" must not have a fragment (#…).")
	case strings.Contains(text, "?"):
		return bad(" must not have a query (?…).")
	}
	// What url.Parse says of a bad URL may quote credentials, so it is not shown.
	u, err := url.Parse(text)
	if err != nil {
		return bad(" is not a URL.")
	}
	schemes := f.schemes
	if len(schemes) == 0 {
		schemes = []string{"http", "https"}
	}
	switch {
	case !slices.Contains(schemes, u.Scheme) || u.Opaque != "" || u.Host == "" || u.Hostname() == "":
		return bad(" must be absolute and begin with %s:// and a host.", strings.Join(schemes, ":// or "))
	case u.User != nil && !f.credentials:
		return bad(" must not carry credentials; they belong into keys.")
	case !validPort(u):
		return bad(" has a port that does not exist.")
	}
	if _, _, err := literalAddr(u.Hostname()); err != nil {
		return bad(": %s.", err)
	}
	if !policy.AllowedHost(u.Hostname()) {
		return nil, invalid(f.name, f.private, "%s is at a private, loopback or link-local address. If that is meant, start Halley with HALLEY_ALLOW_PRIVATE_UPSTREAMS=true or with the CIDRs to allow.", f.name)
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	return u, nil
}

func validPort(u *url.URL) bool {
	port := u.Port()
	if port == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.Atoi(port)
	return err == nil && n >= 1 && n <= 65535
}

func checkCredential(i int, value string) error {
	field := "keys"
	switch {
	case value == "":
		return invalid(field, "invalid_keys", "keys: entry %d is empty.", i+1)
	case len(value) > MaxCredential:
		return invalid(field, "invalid_keys", "keys: entry %d is longer than %d bytes.", i+1, MaxCredential)
	}
	for _, c := range []byte(value) {
		// It will stand in a header.
		if c < 0x20 || c > 0x7e {
			return invalid(field, "invalid_keys", "keys: entry %d has characters that cannot stand in a header; an upstream key is plain ASCII.", i+1)
		}
	}
	return nil
}

// checkModels gives the patterns trimmed and without doubles.
func checkModels(list []string) ([]string, error) {
	const field, code = "models", "invalid_models"
	if len(list) > MaxModels {
		return nil, invalid(field, code, "models must be at most %d, there are %d.", MaxModels, len(list))
	}
	kept, err := distinct(list, func(model string) error { return checkModel(field, code, model) })
	if err != nil {
		return nil, err
	}
	if len(kept) == 0 {
		return nil, invalid(field, "models_required", "models must name at least one model, such as \"gpt-4o\" or \"gpt-5*\".")
	}
	return kept, nil
}

func checkModel(field, code, model string) error {
	switch {
	case model == "":
		return invalid(field, code, "%s must not contain an empty name.", field)
	case utf8.RuneCountInString(model) > MaxModel:
		return invalid(field, code, "%s: a name must be at most %d characters.", field, MaxModel)
	case hasControl(model) || strings.Contains(model, ","):
		return invalid(field, code, "%s: %q must not contain commas or control characters.", field, clip(model))
	}
	return nil
}

// checkGroups gives the names trimmed and without doubles; each must exist.
func checkGroups(list []string, exists func(name string) bool) ([]string, error) {
	const field, code = "groups", "invalid_group"
	if len(list) > MaxGroups {
		return nil, invalid(field, code, "groups must be at most %d, there are %d.", MaxGroups, len(list))
	}
	kept, err := distinct(list, func(name string) error {
		if !exists(name) {
			return invalid(field, code, "groups: there is no group %q.", clip(name))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(kept) == 0 {
		return nil, invalid(field, "groups_required", "groups must name at least one group.")
	}
	return kept, nil
}

// distinct trims the entries, checks them and drops doubles.
func distinct(list []string, check func(string) error) ([]string, error) {
	seen := make(map[string]bool, len(list))
	kept := make([]string, 0, len(list))
	for _, entry := range list {
		entry = strings.TrimSpace(entry)
		if err := check(entry); err != nil {
			return nil, err
		}
		if !seen[entry] {
			seen[entry] = true
			kept = append(kept, entry)
		}
	}
	return slices.Clip(kept), nil
}

func checkRange(field string, v, lowest, highest int64) error {
	if v < lowest || v > highest {
		return invalid(field, "invalid_"+field, "%s must be from %d to %d.", field, lowest, highest)
	}
	return nil
}

func checkStatus(status Status) error {
	if status != Enabled && status != Disabled {
		return invalid("status", "invalid_status", "status must be %d (enabled) or %d (disabled).", Enabled, Disabled)
	}
	return nil
}

func checkTag(tag string) error {
	switch n := utf8.RuneCountInString(tag); {
	case n > MaxTag:
		return invalid("tag", "tag_too_long", "tag must be at most %d characters, it has %d.", MaxTag, n)
	case hasControl(tag):
		return invalid("tag", "invalid_tag", "tag must not contain control characters.")
	}
	return nil
}

func checkTimeout(name string, ms int64) (time.Duration, error) {
	if ms < 0 || ms > MaxTimeout.Milliseconds() {
		return 0, invalid("timeouts."+name, "invalid_timeouts", "timeouts.%s must be from 0 (the default) to %d milliseconds.", name, MaxTimeout.Milliseconds())
	}
	return time.Duration(ms) * time.Millisecond, nil
}

func checkOnDisconnect(choice OnDisconnect) error {
	if choice != Cancel && choice != Drain {
		return invalid("on_disconnect", "invalid_on_disconnect", "on_disconnect must be %q or %q.", Cancel, Drain)
	}
	return nil
}

func hasControl(s string) bool {
	for _, r := range s {
		if r < 0x20 || (0x7f <= r && r < 0xa0) || r == 0x2028 || r == 0x2029 {
			return true
		}
	}
	return false
}

// clip shortens what is quoted back to the caller.
func clip(s string) string {
	if runes := []rune(s); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return s
}
