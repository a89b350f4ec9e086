// Package jsonx is the one place that knows which JSON library Halley uses: a
// strict reader that says which member is at fault, a writer, and optional
// members that tell absent from null. It knows no record.
package jsonx

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/fault"
)

// Value is raw JSON text.
type Value = jsontext.Value

// Marshal writes v; nil slices and maps become [] and {}.
func Marshal(v any) ([]byte, error) { return json.Marshal(v, json.Deterministic(true)) }

// Unmarshal reads JSON that Halley itself wrote.
func Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// MarshalWrite writes v to w.
func MarshalWrite(w io.Writer, v any) error { return json.MarshalWrite(w, v) }

// Opt is an object member that may be absent or null.
type Opt[T any] struct {
	Set   bool // the member is there
	Null  bool // and is null
	Value T
}

// Some is a member that is there.
func Some[T any](v T) Opt[T] { return Opt[T]{Set: true, Value: v} }

// Ptr is the value, or nil when the member is absent or null.
func (o Opt[T]) Ptr() *T {
	if !o.Set || o.Null {
		return nil
	}
	return &o.Value
}

// NotNull refuses a member that is there but null; field is its path.
func (o Opt[T]) NotNull(field string) error {
	if o.Set && o.Null {
		return fault.New(fault.Malformed, "invalid_type", "%s must not be null.", field).Field(field)
	}
	return nil
}

// Merge changes a member as a patch says: one that is absent stays, null takes
// it away, anything else is parsed and replaces it as a whole.
func Merge[From, To any](to *To, from Opt[From], parse func(From) (To, error)) error {
	if !from.Set {
		return nil
	}
	var unset To
	if from.Null {
		*to = unset
		return nil
	}
	parsed, err := parse(from.Value)
	if err == nil {
		*to = parsed
	}
	return err
}

// UnmarshalJSONFrom reads the member.
func (o *Opt[T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	o.Set = true
	if dec.PeekKind() == 'n' {
		o.Null = true
		return dec.SkipValue()
	}
	o.Null = false
	return json.UnmarshalDecode(dec, &o.Value)
}

// MarshalJSONTo writes the value; absent and null are null.
func (o Opt[T]) MarshalJSONTo(enc *jsontext.Encoder) error {
	if !o.Set || o.Null {
		return enc.WriteToken(jsontext.Null)
	}
	return json.MarshalEncode(enc, o.Value)
}

// Inner is the type of the value, for schema generation.
func (o Opt[T]) Inner() reflect.Type { return reflect.TypeFor[T]() }

// DecodeError says what is wrong with a body.
type DecodeError struct {
	Field  string // dotted path of the member, "" for the body as a whole
	Reason string // plain language
	// NotWhole says that it is a number, but not a whole one within 64 bits.
	NotWhole bool
	cause    error
}

// Error gives the field and the reason.
func (e *DecodeError) Error() string {
	if e.Field == "" {
		return e.Reason
	}
	return fmt.Sprintf("field %q: %s", e.Field, e.Reason)
}

// Unwrap gives the library's error.
func (e *DecodeError) Unwrap() error { return e.cause }

// Decode reads an outsider's JSON into v: an unknown member is ignored; a wrong
// type, an integer with a fraction or beyond 64 bits, a member given twice,
// text that is not UTF-8, nesting beyond 10,000 levels and anything after the
// value are *DecodeErrors.
func Decode(data []byte, v any) error { return decode(data, v) }

func decode(data []byte, v any, with ...json.Options) error {
	err := json.Unmarshal(data, v, with...)
	if err == nil {
		return nil
	}
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		return &DecodeError{Field: dotted(semantic.JSONPointer), Reason: reason(semantic), NotWhole: notWhole(semantic), cause: err}
	}
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return &DecodeError{Field: dotted(syntactic.JSONPointer), Reason: "is given twice", cause: err}
		}
		return &DecodeError{Reason: "the body is not valid JSON (at byte " + fmt.Sprint(syntactic.ByteOffset) + ")", cause: err}
	}
	return &DecodeError{Reason: "the body is not valid JSON", cause: err}
}

// DecodeOwn is Decode for what is ours to define: null is a *DecodeError, too,
// where a text, a number or a flag is wanted and no Opt is there to take it, as in
// lists and maps. Decode reads it as the zero value there.
func DecodeOwn(data []byte, v any) error {
	return decode(data, v, refusingNull)
}

// refusingNull is made once: it remembers which types it has to do with.
//
//nolint:gochecknoglobals // an option that never changes
var refusingNull = json.WithUnmarshalers(json.JoinUnmarshalers(
	json.UnmarshalFromFunc(refuseNull[string]), json.UnmarshalFromFunc(refuseNull[int64]), json.UnmarshalFromFunc(refuseNull[bool]),
))

// refuseNull leaves everything but null to the library.
func refuseNull[T any](dec *jsontext.Decoder, _ *T) error {
	if dec.PeekKind() != 'n' {
		return errors.ErrUnsupported
	}
	if err := dec.SkipValue(); err != nil { // so that the decoder stands at the null
		return err
	}
	return &json.SemanticError{JSONPointer: dec.StackPointer(), JSONKind: 'n', GoType: reflect.TypeFor[T]()}
}

func dotted(p jsontext.Pointer) string {
	var parts []string
	for token := range p.Tokens() {
		parts = append(parts, token)
	}
	return strings.Join(parts, ".")
}

func reason(e *json.SemanticError) string {
	want := "has the wrong type"
	if e.GoType != nil {
		want = "must be " + article(e.GoType)
	}
	switch {
	case e.JSONKind == 'n':
		return want + ", not null"
	case notWhole(e):
		return "must be a whole number within 64 bits"
	}
	return want
}

func notWhole(e *json.SemanticError) bool {
	return e.JSONKind == '0' && e.GoType != nil && isInteger(e.GoType)
}

func isInteger(t reflect.Type) bool {
	return t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64
}

func article(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case isInteger(t):
		return "a whole number"
	case t.Kind() == reflect.String:
		return "a string"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Float64:
		return "a number"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() == reflect.Struct, t.Kind() == reflect.Map:
		return "an object"
	}
	return "of another type"
}
