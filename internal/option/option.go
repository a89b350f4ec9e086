// Package option owns what operators change while Halley runs: a typed set of
// values, each with a default, a rule and an explanation. What is needed before
// the database is open belongs to config instead. It must not know HTTP, SQL or
// who reads the values.
package option

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"halley/internal/fault"
	"halley/internal/group"
	"halley/internal/jsonx"
	"halley/internal/money"
	"halley/internal/speech"
)

// Values are all options at one moment, never changed once handed out. One
// field is one option: its JSON name is the option's name, its help what the
// management API and the reference page say about it, its value in Defaults the
// default, and its rule is in check.
type Values struct {
	// AutoGroups is the order in which keys of the group "auto" try groups.
	AutoGroups []string `json:"auto_groups" help:"The groups that keys with the group \"auto\" try, in this order; those that the key's owner may not use are passed over."`
	// NewUserQuota is in quota units.
	NewUserQuota int64 `json:"new_user_quota" help:"The balance of a new user when none is given, in quota units (500,000 are 1 USD)."`
	// RegisterEnabled lets people make their own accounts.
	RegisterEnabled bool `json:"register_enabled" help:"Whether people may make an account for themselves; otherwise administrators make them."`
	// MaxKeysPerUser counts the keys that are not deleted.
	MaxKeysPerUser int64 `json:"max_keys_per_user" help:"How many API keys one user may have."`
	// MaxAttempts counts upstream calls.
	MaxAttempts int64 `json:"max_attempts" help:"How many upstream calls a model request may take before its client gets the error."`
	// Affinity is Off or On.
	Affinity string `json:"affinity" help:"\"on\" has the requests of a conversation go to the channel that served it last, while that is well, so that its prompt is found in the provider's cache; else \"off\". A conversation is what the client names one: with the header affinity_header, with prompt_cache_key, metadata.user_id or user, the first that is there."`
	// AffinityHeader is the name of a header, "" for none.
	AffinityHeader string `json:"affinity_header" help:"The header with which clients name a conversation, such as X-Session-Id; empty for none. Only with affinity."`
	// HedgeEmbeddings has slow ones asked for twice.
	HedgeEmbeddings bool `json:"hedge_embeddings" help:"Whether a request for embeddings that takes longer than 95 % of its channel's is sent to a second channel, too, and the first answer taken; one in ten at the most. The client pays for one."`
	// ExactTokenCounts has no estimates given.
	ExactTokenCounts bool `json:"exact_token_counts" help:"Whether the count of a prompt's tokens is refused (404) where no upstream of the model counts them, instead of being estimated and marked with x-halley-estimated."`
	// AuditDays is 0 for ever.
	AuditDays int64 `json:"audit_days" help:"How many days the records of the audit trail are kept; 0 is for ever. What is deleted is the oldest, and the rest can be checked as before."`
	// ResponseRetentionDays is 0 for none.
	ResponseRetentionDays int64 `json:"response_retention_days" help:"How many days the responses of /v1/responses are kept, so that their clients can read them again and go on from them with previous_response_id. A request with \"store\": false is not kept. They are stored encrypted. 0 keeps none, and previous_response_id works only at upstreams that keep responses themselves."`
	// ResponseBytesPerKey counts them as stored, compressed and sealed.
	ResponseBytesPerKey int64 `json:"response_bytes_per_key" help:"How many bytes of kept responses one API key may have, as stored; when there are more, its oldest go."`
}

// The values of Affinity.
const (
	Off = "off"
	On  = "on"
)

// Defaults are the values before anybody changed any.
func Defaults() Values {
	return Values{
		AutoGroups:     []string{group.Default},
		NewUserQuota:   0,
		MaxKeysPerUser: 1000,
		MaxAttempts:    4,
		Affinity:       Off,

		ResponseRetentionDays: 30,
		ResponseBytesPerKey:   64 << 20,
	}
}

// Option is one option as it is shown.
type Option struct {
	Name    string
	Value   any
	Default any
	Type    string // list, integer, boolean or string
	Help    string
}

const (
	maxAutoGroups     = 100
	maxMaxKeysPerUser = 1_000_000
	maxMaxAttempts    = 20
	maxHeaderName     = 100
	maxAuditDays      = 36_500
	maxResponseDays   = 3650
	maxResponseBytes  = 1 << 40
)

// check holds the rule of every option and tidies the value.
func (v *Values) check(name string, groupExists func(string) bool) error {
	switch name {
	case "auto_groups":
		return v.checkAutoGroups(groupExists)
	case "new_user_quota":
		if v.NewUserQuota < 0 || v.NewUserQuota > money.MaxUnits {
			return invalid(name, "must be 0 to %d quota units", money.MaxUnits)
		}
	case "max_keys_per_user":
		if v.MaxKeysPerUser < 0 || v.MaxKeysPerUser > maxMaxKeysPerUser {
			return invalid(name, "must be 0 to %d", maxMaxKeysPerUser)
		}
	case "max_attempts":
		if v.MaxAttempts < 1 || v.MaxAttempts > maxMaxAttempts {
			return invalid(name, "must be 1 to %d", maxMaxAttempts)
		}
	case "audit_days":
		if v.AuditDays < 0 || v.AuditDays > maxAuditDays {
			return invalid(name, "must be 0 (for ever) to %d days", maxAuditDays)
		}
	case "response_retention_days":
		if v.ResponseRetentionDays < 0 || v.ResponseRetentionDays > maxResponseDays {
			return invalid(name, "must be 0 to %d", maxResponseDays)
		}
	case "response_bytes_per_key":
		if v.ResponseBytesPerKey < 0 || v.ResponseBytesPerKey > maxResponseBytes {
			return invalid(name, "must be 0 to %d", int64(maxResponseBytes))
		}
	case "affinity":
		if v.Affinity != Off && v.Affinity != On {
			return invalid(name, "must be %q or %q", Off, On)
		}
	case "affinity_header":
		if !headerName(v.AffinityHeader) {
			return invalid(name, "must be the name of a header, at most %d letters, digits, hyphens and underscores, or empty", maxHeaderName)
		}
	}
	return nil
}

func headerName(s string) bool {
	strange := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
	}
	return len(s) <= maxHeaderName && !strings.ContainsFunc(s, strange)
}

func (v *Values) checkAutoGroups(exists func(string) bool) error {
	if len(v.AutoGroups) == 0 || len(v.AutoGroups) > maxAutoGroups {
		return invalid("auto_groups", "must list 1 to %d groups", maxAutoGroups)
	}
	var order []string
	for _, name := range v.AutoGroups {
		name = strings.TrimSpace(name)
		if !exists(name) {
			return fault.New(fault.Invalid, "invalid_group", "auto_groups: there is no group %q.", name).Field("value")
		}
		if !slices.Contains(order, name) {
			order = append(order, name)
		}
	}
	v.AutoGroups = order
	return nil
}

func invalid(name, rule string, args ...any) error {
	return fault.New(fault.Invalid, "invalid_value", "%s %s.", name, speech.Say(rule, args...)).Field("value")
}

// with is a copy of v with one option read from JSON. A value of the wrong type
// is a Malformed fault, one that breaks the rule an Invalid one.
func (v *Values) with(name string, text []byte, groupExists func(string) bool) (*Values, error) {
	i := fieldOf(name)
	if i < 0 {
		return nil, notFound(name)
	}
	next := *v
	field := reflect.ValueOf(&next).Elem().Field(i)
	value := reflect.New(field.Type()) // not the old value's memory, which is shared
	if err := jsonx.DecodeOwn(text, value.Interface()); err != nil {
		reason := "cannot be read"
		if bad, ok := errors.AsType[*jsonx.DecodeError](err); ok {
			reason = bad.Reason
		}
		return nil, fault.Wrap(err, fault.Malformed, "invalid_type", "%s %s.", name, reason).Field("value")
	}
	field.Set(value.Elem())
	if err := next.check(name, groupExists); err != nil {
		return nil, err
	}
	return &next, nil
}

// text is one option as JSON.
func (v *Values) text(name string) (string, error) {
	b, err := jsonx.Marshal(reflect.ValueOf(v).Elem().Field(fieldOf(name)).Interface())
	return string(b), err
}

// option is one option for showing; name must exist.
func (v *Values) option(name string) Option {
	i, defaults := fieldOf(name), Defaults()
	field := reflect.TypeFor[Values]().Field(i)
	return Option{
		Name:    name,
		Value:   reflect.ValueOf(v).Elem().Field(i).Interface(),
		Default: reflect.ValueOf(&defaults).Elem().Field(i).Interface(),
		Type:    typeName(field.Type),
		Help:    field.Tag.Get("help"),
	}
}

// Names are the options there are, in the order of Values.
func Names() []string {
	var names []string
	for field := range reflect.TypeFor[Values]().Fields() {
		names = append(names, field.Tag.Get("json"))
	}
	return names
}

// fieldOf is the index of an option's field, -1 when there is no such option.
func fieldOf(name string) int { return slices.Index(Names(), name) }

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "list"
	case reflect.Int64:
		return "integer"
	case reflect.Bool:
		return "boolean"
	}
	return "string"
}

func notFound(name string) error {
	return fault.New(fault.NotFound, "option_not_found", "There is no option %q.", name)
}
