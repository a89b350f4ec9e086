package channel

import (
	"bytes"
	"fmt"
	"maps"
	"net/textproto"
	"slices"
	"strings"

	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/wire"
)

// The bounds of a channel's overrides.
const (
	MaxOverrides      = 100      // entries of one list
	MaxOverrideBytes  = 64 << 10 // of all of them, as JSON
	MaxOverrideHeader = 4096     // bytes of a header's value
)

// OverrideSpec is what an operator has a channel change in the requests that it
// is sent, after everything else: of each list first what is removed, then what
// is put in where it is missing, then what is set. Body paths are as wire.Path
// has them.
type OverrideSpec struct {
	Headers HeaderOverrides `json:"headers"`
	Body    BodyOverrides   `json:"body"`
}

// HeaderOverrides are by header name.
type HeaderOverrides struct {
	Set     map[string]string `json:"set"`
	Default map[string]string `json:"default"`
	Remove  []string          `json:"remove"`
}

// BodyOverrides are by path; a value is any JSON.
type BodyOverrides struct {
	Set     map[string]jsonx.Value `json:"set"`
	Default map[string]jsonx.Value `json:"default"`
	Remove  []string               `json:"remove"`
}

// OverridesPatch is overrides as a caller sends them: a list that is left out
// stays, one that is null is emptied, another is replaced.
type OverridesPatch struct {
	Headers jsonx.Opt[HeaderOverridesPatch] `json:"headers"`
	Body    jsonx.Opt[BodyOverridesPatch]   `json:"body"`
}

// HeaderOverridesPatch is the part for headers.
type HeaderOverridesPatch struct {
	Set     jsonx.Opt[map[string]string] `json:"set"`
	Default jsonx.Opt[map[string]string] `json:"default" doc:"For requests without the header."`
	Remove  jsonx.Opt[[]string]          `json:"remove"`
}

// BodyOverridesPatch is the part for bodies.
type BodyOverridesPatch struct {
	Set     jsonx.Opt[map[string]jsonx.Value] `json:"set" doc:"Any JSON by path: names with dots between them, elements of lists as [0]; in a name . [ ] and \\ have a \\ before them."`
	Default jsonx.Opt[map[string]jsonx.Value] `json:"default" doc:"For requests in which there is nothing at the path."`
	Remove  jsonx.Opt[[]string]               `json:"remove" doc:"Paths."`
}

// apply gives the spec changed; nothing is checked yet.
func (p OverridesPatch) apply(to OverrideSpec) OverrideSpec {
	h, b := p.Headers, p.Body
	if h.Null {
		to.Headers = HeaderOverrides{}
	}
	if b.Null {
		to.Body = BodyOverrides{}
	}
	replace(&to.Headers.Set, h.Value.Set)
	replace(&to.Headers.Default, h.Value.Default)
	replace(&to.Headers.Remove, h.Value.Remove)
	replace(&to.Body.Set, b.Value.Set)
	replace(&to.Body.Default, b.Value.Default)
	replace(&to.Body.Remove, b.Value.Remove)
	return to
}

func replace[T any](to *T, from jsonx.Opt[T]) {
	if from.Set {
		*to = from.Value // the zero value when it is null
	}
}

// Overrides are compiled once, by NewOverrides, and do not change; nil are none.
type Overrides struct {
	spec OverrideSpec
	// RemoveHeaders, DefaultHeaders and SetHeaders are what is done to the header,
	// in that order, with canonical names.
	RemoveHeaders  []string
	DefaultHeaders []Header
	SetHeaders     []Header
	body           *wire.Patch
	added          int
	media          int
}

// Header is one header and its value.
type Header struct{ Name, Value string }

// NewOverrides checks and compiles. What breaks a rule is a fault that names the
// list and the entry.
func NewOverrides(spec OverrideSpec) (*Overrides, error) {
	if spec.empty() {
		return nil, nil
	}
	text, err := jsonx.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("write the overrides: %w", err)
	}
	if len(text) > MaxOverrideBytes {
		return nil, badOverride("overrides", "must be at most %d bytes as JSON, they are %d.", MaxOverrideBytes, len(text))
	}
	o := &Overrides{}
	if err := o.compileHeaders(spec.Headers); err != nil {
		return nil, err
	}
	if err := o.compileBody(spec.Body); err != nil {
		return nil, err
	}
	return o, nil
}

func (s *OverrideSpec) empty() bool {
	return len(s.Headers.Set)+len(s.Headers.Default)+len(s.Headers.Remove)+len(s.Body.Set)+len(s.Body.Default)+len(s.Body.Remove) == 0
}

// Spec is what the overrides were made of, header names in canonical form. It
// must not be changed.
func (o *Overrides) Spec() OverrideSpec {
	if o == nil {
		return OverrideSpec{}
	}
	return o.spec
}

// Equal reports whether the two do the same.
func (o *Overrides) Equal(p *Overrides) bool {
	a, b := o.Spec(), p.Spec()
	same := func(v, w jsonx.Value) bool { return bytes.Equal(v, w) }
	return maps.Equal(a.Headers.Set, b.Headers.Set) && maps.Equal(a.Headers.Default, b.Headers.Default) && slices.Equal(a.Headers.Remove, b.Headers.Remove) &&
		maps.EqualFunc(a.Body.Set, b.Body.Set, same) && maps.EqualFunc(a.Body.Default, b.Body.Default, same) && slices.Equal(a.Body.Remove, b.Body.Remove)
}

// Added bounds what the overrides may add to a prompt: bytes of text, and parts
// that are not text. Whoever holds money for a request holds it for them, too.
func (o *Overrides) Added() (text, media int) {
	if o == nil {
		return 0, 0
	}
	return o.added, o.media
}

// EditBody gives a body as it is sent, in new memory if it differs.
func (o *Overrides) EditBody(body []byte) []byte {
	if o == nil {
		return body
	}
	return o.body.Apply(body)
}

func (o *Overrides) compileHeaders(h HeaderOverrides) error {
	for _, list := range []struct {
		field string
		from  map[string]string
		to    *[]Header
		spec  *map[string]string
	}{{"set", h.Set, &o.SetHeaders, &o.spec.Headers.Set}, {"default", h.Default, &o.DefaultHeaders, &o.spec.Headers.Default}} {
		field := "overrides.headers." + list.field
		if err := checkEntries(field, len(list.from)); err != nil {
			return err
		}
		kept := map[string]string{}
		for _, name := range slices.Sorted(maps.Keys(list.from)) {
			value := strings.TrimSpace(list.from[name])
			known, err := checkHeaderName(field, name)
			if err != nil {
				return err
			}
			if _, twice := kept[known]; twice {
				return badOverride(field, "has the header %s twice.", fault.Quote(known))
			}
			if err := checkHeaderValue(field, known, value); err != nil {
				return err
			}
			kept[known] = value
			*list.to = append(*list.to, Header{known, value})
		}
		*list.spec = kept
	}
	const field = "overrides.headers.remove"
	if err := checkEntries(field, len(h.Remove)); err != nil {
		return err
	}
	for _, name := range h.Remove {
		known, err := checkHeaderName(field, name)
		if err != nil {
			return err
		}
		if !slices.Contains(o.RemoveHeaders, known) {
			o.RemoveHeaders = append(o.RemoveHeaders, known)
		}
	}
	o.spec.Headers.Remove = o.RemoveHeaders
	return nil
}

func (o *Overrides) compileBody(b BodyOverrides) error {
	var spec wire.PatchSpec
	for _, list := range []struct {
		field string
		from  map[string]jsonx.Value
		to    *[]wire.Assignment
		spec  *map[string]jsonx.Value
	}{{"set", b.Set, &spec.Set, &o.spec.Body.Set}, {"default", b.Default, &spec.Default, &o.spec.Body.Default}} {
		field := "overrides.body." + list.field
		if err := checkEntries(field, len(list.from)); err != nil {
			return err
		}
		kept := map[string]jsonx.Value{}
		for _, text := range slices.Sorted(maps.Keys(list.from)) {
			path, err := checkPath(field, text)
			if err != nil {
				return err
			}
			value := list.from[text].Clone()
			if err := value.Compact(); err != nil {
				return badOverride(field, "has at %s what is no JSON.", fault.Quote(text))
			}
			*list.to = append(*list.to, wire.Assignment{At: path, Value: value})
			kept[text] = value
			o.added += len(value) + written(path)
			o.media += media(value)
		}
		*list.spec = kept
	}
	const field = "overrides.body.remove"
	if err := checkEntries(field, len(b.Remove)); err != nil {
		return err
	}
	for _, text := range b.Remove {
		path, err := checkPath(field, text)
		if err != nil {
			return err
		}
		spec.Remove = append(spec.Remove, path)
	}
	o.spec.Body.Remove = slices.Clone(b.Remove)
	var err error
	if o.body, err = wire.NewPatch(spec); err != nil {
		return badOverride("overrides.body", "must be clear about what comes first: %s.", err)
	}
	return nil
}

func checkEntries(field string, n int) error {
	if n > MaxOverrides {
		return badOverride(field, "must have at most %d entries, it has %d.", MaxOverrides, n)
	}
	return nil
}

// checkHeaderName gives the name in canonical form.
func checkHeaderName(field, name string) (string, error) {
	if name = strings.TrimSpace(name); name == "" {
		return "", badOverride(field, "must not have an empty header name.")
	}
	if len(name) > MaxName || strings.ContainsFunc(name, notInHeaderName) {
		return "", badOverride(field, "has %s, which is no header name.", fault.Quote(clip(name)))
	}
	known := textproto.CanonicalMIMEHeaderKey(name)
	if why := ownHeader(known); why != "" {
		return "", badOverride(field, "must not have the header %s: %s.", fault.Quote(known), why)
	}
	return known, nil
}

// notInHeaderName is what RFC 9110 does not allow in a token.
func notInHeaderName(r rune) bool {
	return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

func checkHeaderValue(field, name, value string) error {
	if len(value) > MaxOverrideHeader {
		return badOverride(field, "has a value for %s that is longer than %d bytes.", fault.Quote(name), MaxOverrideHeader)
	}
	for _, c := range []byte(value) {
		if c < 0x20 || c > 0x7e {
			return badOverride(field, "has a value for %s with characters that cannot stand in a header; it is plain ASCII.", fault.Quote(name))
		}
	}
	return nil
}

// ownHeader says why a header is none that a channel may override, "" when it
// may.
func ownHeader(name string) string {
	switch name {
	case "Host", "Content-Length", "Content-Encoding", "Transfer-Encoding", "Accept-Encoding", "Connection", "Keep-Alive", "Proxy-Connection",
		"Proxy-Authenticate", "Te", "Trailer", "Upgrade", "Expect":
		return "it belongs to the connection"
	}
	lower := strings.ToLower(name)
	for _, word := range []string{"authorization", "cookie", "api-key", "apikey", "-key", "token", "secret", "password", "credential", "signature"} {
		if strings.Contains(lower, word) {
			return "it is, or looks like, one that carries a credential; upstream keys belong into keys"
		}
	}
	return ""
}

func checkPath(field, text string) (wire.Path, error) {
	path, err := wire.ParsePath(text)
	if err != nil {
		return nil, badOverride(field, "has the path %s, which %s.", fault.Quote(clip(text)), err)
	}
	for _, g := range guarded {
		if g.touches(path) {
			return nil, badOverride(field, "must not have the path %s: %s %s.", fault.Quote(clip(text)), strings.Join(g.names, "."), g.why)
		}
	}
	return path, nil
}

// guard is a member that is none of a channel's to override.
type guard struct {
	names []string
	why   string
}

const (
	isRouting = "decides how the request is routed and answered"
	isMoney   = "decides how much money is held for the request"
)

// guarded are those members of all dialects. Never written to.
var guarded = [...]guard{
	{[]string{"model"}, isRouting},
	{[]string{"stream"}, isRouting},
	{[]string{"stream_options"}, isMoney}, // without usage figures nothing is charged exactly
	{[]string{"max_tokens"}, isMoney},
	{[]string{"max_completion_tokens"}, isMoney},
	{[]string{"max_output_tokens"}, isMoney},
	{[]string{"n"}, isMoney},
	{[]string{"best_of"}, isMoney},
	{[]string{"service_tier"}, isMoney},
	{[]string{"generationConfig", "maxOutputTokens"}, isMoney},
	{[]string{"generationConfig", "candidateCount"}, isMoney},
	{[]string{"generation_config", "max_output_tokens"}, isMoney},
	{[]string{"generation_config", "candidate_count"}, isMoney},
}

// written bounds the bytes of JSON in which a path's value stands.
func written(path wire.Path) int {
	n := 0
	for _, place := range path {
		n += len(wire.Quote(place.Name)) + len(`{:,}`)
	}
	return n
}

// touches reports whether the path leads to the member, into it or to what it is
// part of. Letter case does not count, because it does not at some upstreams.
func (g *guard) touches(path wire.Path) bool {
	for i, name := range g.names {
		if i == len(path) {
			return true
		}
		if path[i].Element || !strings.EqualFold(path[i].Name, name) {
			return false
		}
	}
	return true
}

// media is how many parts that are not text a value may bring, at most: the
// members that carry them, in any dialect.
func media(value []byte) int {
	n := 0
	for _, name := range [...]string{`"image_url"`, `"input_audio"`, `"file"`, `"input_image"`, `"input_file"`, `"source"`, `"inlineData"`, `"inline_data"`, `"fileData"`, `"file_data"`} {
		n += bytes.Count(value, []byte(name))
	}
	return n
}

func badOverride(field, format string, args ...any) error {
	return invalid(field, "invalid_overrides", field+" "+format, args...)
}
