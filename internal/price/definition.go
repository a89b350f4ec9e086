package price

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/money"
	"halley/internal/speech"
)

// Bounds of a definition.
const (
	maxModelRunes    = 200
	maxPerRequest    = 1_000_000 * money.USD
	maxTokenCount    = 1_000_000_000_000
	maxTiers         = 16
	maxFeatures      = 64
	maxWord          = 50
	ratePlaces       = 6 // of USD per 1M tokens
	perRequestPlaces = 9 // of USD
)

// Definition is a price as it is written down: only what was said, without
// what follows from it.
type Definition struct {
	Mode            string // "" when not said
	Vendor          string // "" when not said
	Features        []string
	Created         int64 // of the model, Unix seconds; 0 when not said
	MaxInputTokens  int64 // 0 when not said
	MaxOutputTokens int64 // 0 when not said
	Rates           Rates
	PerRequest      *money.Nano // a fee per request besides the tokens
	PerSearch       *money.Nano // for each search of the web that the provider runs
	// LongPrompts replace prices when the whole prompt is longer than Over;
	// what one does not price costs as without it. In ascending order.
	LongPrompts []LongPrompt
	// ServiceTiers replace prices for requests served at a tier; what one
	// does not price costs as without it. On a long prompt the dearer of the
	// tier's and the long-prompt price counts, kind by kind. Sorted by name.
	ServiceTiers []ServiceTier
}

// LongPrompt is a set of prices for prompts of more than Over tokens.
type LongPrompt struct {
	Over  int64
	Rates Rates
}

// ServiceTier is a set of prices for one service tier.
type ServiceTier struct {
	Name  string // "flex", "priority", "batch", …
	Rates Rates
}

// CheckModel refuses what cannot be a model's name: it has 1 to 200 characters,
// none of them a control character, and no space at either end.
func CheckModel(model string) error {
	refuse := func(rule string) error {
		return fault.New(fault.Invalid, "invalid_model", "The model name %s.", speech.Phrase(rule)).Field("model")
	}
	switch {
	case !utf8.ValidString(model):
		return refuse("must be UTF-8")
	case strings.TrimSpace(model) == "":
		return refuse("must not be empty")
	case model != strings.TrimSpace(model):
		return refuse("must not start or end with a space")
	case utf8.RuneCountInString(model) > maxModelRunes:
		return refuse("must have at most 200 characters")
	case strings.ContainsFunc(model, unicode.IsControl):
		return refuse("must not have control characters")
	}
	return nil
}

// ParseDefinition reads the JSON object of a price: USD per 1M tokens by kind
// (input, output, cache_read, …), per_request and per_search in USD, max_output_tokens,
// above_prompt_tokens [{over, input, …}], service_tiers {name: {input, …}}, and
// mode, vendor, features, created and max_input_tokens, which describe the
// model. Numbers are read from their digits, as numbers or as strings; unknown
// members are ignored. A wrong type or null is fault.Malformed, a broken rule
// fault.Invalid; both name the member. Whether enough is priced depends on the
// mode and is Complete's to say.
func ParseDefinition(body []byte) (Definition, error) {
	var d Definition
	o, err := parseObject(body, "")
	if err != nil {
		return d, err
	}
	r := reader{object: o}
	d.Rates = r.rates()
	if v, ok := r.decimal("per_request", perRequestPlaces, int64(maxPerRequest)); ok {
		d.PerRequest = new(money.Nano(v))
	}
	if v, ok := r.decimal("per_search", perRequestPlaces, int64(maxPerRequest)); ok {
		d.PerSearch = new(money.Nano(v))
	}
	d.MaxInputTokens = r.count("max_input_tokens", 1)
	d.MaxOutputTokens = r.count("max_output_tokens", 1)
	d.Created = r.count("created", 0)
	d.Mode = r.word("mode")
	d.Vendor = r.word("vendor")
	d.Features = r.words("features")
	d.LongPrompts = r.longPrompts("above_prompt_tokens")
	d.ServiceTiers = r.serviceTiers("service_tiers")
	return d, r.err
}

// Complete refuses a definition that leaves open what a model of the mode
// costs: it prices input, and output too unless it is an embedding, or it has
// a fee per request, beside which unpriced tokens cost nothing.
func (d Definition) Complete(mode string) error {
	if d.PerRequest != nil {
		return nil
	}
	if _, ok := d.Rates.Get(Input); !ok {
		return fault.New(fault.Invalid, "price_required", "input is required (USD per 1M tokens; 0 is free).").Field("input")
	}
	if _, ok := d.Rates.Get(Output); !ok && mode != ModeEmbedding {
		return fault.New(fault.Invalid, "price_required", "output is required (USD per 1M tokens; 0 is free), unless mode is %q.", ModeEmbedding).Field("output")
	}
	return nil
}

// parseObject reads a JSON object's members.
func parseObject(value []byte, name string) (map[string]jsonx.Value, error) {
	var members map[string]jsonx.Value
	if name != "" && jsonx.Value(value).Kind() != '{' {
		return nil, wrongType(name, "an object")
	}
	if err := jsonx.Decode(value, &members); err != nil {
		if bad, ok := errors.AsType[*jsonx.DecodeError](err); ok && bad.Field != "" {
			return nil, fault.Wrap(err, fault.Malformed, "invalid_type", "%s %s.", bad.Field, bad.Reason).Field(bad.Field)
		}
		return nil, fault.Wrap(err, fault.Malformed, "invalid_body", "The body must be a JSON object.")
	}
	if members == nil { // null
		return nil, fault.New(fault.Malformed, "invalid_body", "The body must be a JSON object.")
	}
	return members, nil
}

func wrongType(name, want string) *fault.Error {
	return fault.New(fault.Malformed, "invalid_type", "%s must be %s.", name, speech.Phrase(want)).Field(name)
}

func invalid(name, format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, "invalid_price", "%s %s.", name, speech.Say(format, args...)).Field(name)
}

// reader reads members of one object and keeps the first error.
type reader struct {
	object map[string]jsonx.Value
	prefix string // of names in errors
	err    error
}

// fail keeps err, unless it is nil or there was one before.
func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) rates() Rates {
	var rates Rates
	for k := range kinds {
		if v, ok := r.decimal(k.String(), ratePlaces, int64(money.MaxPico)); ok {
			rates = rates.With(k, money.Pico(v))
		}
	}
	return rates
}

// decimal reads a number of at most so many places, from 0 to limit.
func (r *reader) decimal(member string, places int, limit int64) (int64, bool) {
	value, ok := r.object[member]
	if !ok {
		return 0, false
	}
	name := r.prefix + member
	literal := string(value)
	switch value.Kind() {
	case '0':
	case '"':
		if err := jsonx.Decode(value, &literal); err != nil {
			r.fail(wrongType(name, "a decimal number"))
			return 0, false
		}
		if strings.TrimSpace(literal) == "" {
			r.fail(invalid(name, "must not be empty"))
			return 0, false
		}
	default:
		r.fail(wrongType(name, "a decimal number"))
		return 0, false
	}
	v, err := exactly(literal, places)
	switch {
	case errors.Is(err, errTooPrecise):
		r.fail(invalid(name, "must have at most %d decimal places", places))
	case strings.HasPrefix(literal, "-") && (v < 0 || errors.Is(err, errTooLarge)):
		r.fail(invalid(name, "must not be negative"))
	case errors.Is(err, errTooLarge) || v > limit:
		r.fail(invalid(name, "must be at most 1000000 USD"))
	case err != nil:
		r.fail(wrongType(name, "a decimal number"))
	default:
		return v, true
	}
	return 0, false
}

// count reads a whole number from least to 10^12; 0 when it is not there.
func (r *reader) count(member string, least int64) int64 {
	value, ok := r.object[member]
	if !ok {
		return 0
	}
	var v int64
	if err := jsonx.Decode(value, &v); err != nil || value.Kind() != '0' {
		r.fail(wrongType(r.prefix+member, "a whole number within 64 bits"))
		return 0
	}
	if v < least || v > maxTokenCount {
		r.fail(invalid(r.prefix+member, "must be from %d to %d", least, int64(maxTokenCount)))
		return 0
	}
	return v
}

// word reads a short name such as "chat" or "openai".
func (r *reader) word(member string) string {
	value, ok := r.object[member]
	if !ok {
		return ""
	}
	var s string
	if err := jsonx.Decode(value, &s); err != nil || value.Kind() != '"' {
		r.fail(wrongType(r.prefix+member, "a string"))
		return ""
	}
	if !isWord(s) {
		r.fail(invalid(r.prefix+member, "must be 1 to %d small letters, digits, '_', '-' or '.'", maxWord))
		return ""
	}
	return s
}

func isWord(s string) bool {
	return len(s) >= 1 && len(s) <= maxWord && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_-.") == ""
}

// list reads a list's elements.
func (r *reader) list(member string, most int) []jsonx.Value {
	value, ok := r.object[member]
	if !ok {
		return nil
	}
	var elements []jsonx.Value
	if err := jsonx.Decode(value, &elements); err != nil || value.Kind() != '[' {
		r.fail(wrongType(r.prefix+member, "a list"))
		return nil
	}
	if len(elements) > most {
		r.fail(invalid(r.prefix+member, "must have at most %d entries", most))
		return nil
	}
	return elements
}

func (r *reader) words(member string) []string {
	var words []string
	for i, value := range r.list(member, maxFeatures) {
		name := fmt.Sprintf("%s[%d]", member, i)
		at := reader{object: map[string]jsonx.Value{name: value}}
		words = append(words, at.word(name))
		r.fail(at.err)
	}
	return words
}

func (r *reader) longPrompts(member string) []LongPrompt {
	var all []LongPrompt
	for i, value := range r.list(member, maxTiers) {
		name := member + "[" + strconv.Itoa(i) + "]"
		at, err := r.nested(value, name)
		if err != nil {
			r.fail(err)
			return nil
		}
		if _, ok := at.object["over"]; !ok {
			at.fail(fault.New(fault.Invalid, "price_required", "%s.over is required (a number of prompt tokens).", name).Field(name + ".over"))
		}
		l := LongPrompt{Over: at.count("over", 1), Rates: at.rates()}
		at.priced(name, l.Rates)
		if slices.ContainsFunc(all, func(other LongPrompt) bool { return other.Over == l.Over }) {
			at.fail(invalid(name+".over", "is given twice"))
		}
		r.fail(at.err)
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b LongPrompt) int { return cmp.Compare(a.Over, b.Over) })
	return all
}

func (r *reader) serviceTiers(member string) []ServiceTier {
	value, ok := r.object[member]
	if !ok {
		return nil
	}
	members, err := parseObject(value, member)
	if err != nil {
		r.fail(err)
		return nil
	}
	if len(members) > maxTiers {
		r.fail(invalid(member, "must have at most %d entries", maxTiers))
		return nil
	}
	var all []ServiceTier
	for _, tier := range slices.Sorted(maps.Keys(members)) {
		name := member + "." + tier
		if !isWord(tier) {
			r.fail(invalid(member, "must have names of 1 to %d small letters, digits, '_', '-' or '.'", maxWord))
			return nil
		}
		if slices.Contains([]string{"auto", "default", "standard"}, tier) {
			r.fail(invalid(name, "is the price without a tier; set it at the top"))
			return nil
		}
		at, err := r.nested(members[tier], name)
		if err != nil {
			r.fail(err)
			return nil
		}
		t := ServiceTier{Name: tier, Rates: at.rates()}
		at.priced(name, t.Rates)
		r.fail(at.err)
		all = append(all, t)
	}
	return all
}

// nested reads an object inside this one.
func (r *reader) nested(value jsonx.Value, name string) (*reader, error) {
	members, err := parseObject(value, name)
	if err != nil {
		return nil, err
	}
	return &reader{object: members, prefix: name + "."}, nil
}

// priced refuses a tier that changes no price.
func (r *reader) priced(name string, rates Rates) {
	if rates.Empty() {
		r.fail(fault.New(fault.Invalid, "price_required", "%s must have a price, such as input.", name).Field(name))
	}
}
