package wire

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/fault"
	"halley/internal/jsonx"
)

// Members ranges over the names, as written, and values of a JSON object; over
// nothing for any other value.
func Members(value []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, v []byte) bool) {
		w, ok := jsonx.Walk(value)
		if !ok {
			return
		}
		for {
			name, at, more := w.Next()
			if !more || !yield(value[name.From:name.To], value[at.From:at.To]) {
				return
			}
		}
	}
}

// Find is where the value of a member of the JSON object body stands: absent
// when there is none.
func Find(body []byte, name string) Span {
	w, ok := jsonx.Walk(body)
	if !ok {
		return Span{}
	}
	for {
		n, at, more := w.Next()
		if !more {
			return Span{}
		}
		if Text(body[n.From:n.To]) == name {
			return Span(at)
		}
	}
}

// Get is the value of a member of the JSON object body; nil when there is none.
func Get(body []byte, name string) []byte {
	if at := Find(body, name); at.Present() {
		return at.Of(body)
	}
	return nil
}

// Text is the string in a JSON value; "" when it is not a string.
func Text(value []byte) string {
	if len(value) < 2 || value[0] != '"' {
		return ""
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1])
	}
	out, _ := jsontext.AppendUnquote(nil, value) // a lone surrogate becomes U+FFFD
	return string(out)
}

// Quote is s as a JSON string.
func Quote(s string) []byte {
	out, err := jsontext.AppendQuote(nil, s)
	if err != nil { // not UTF-8; the scan refuses that
		return []byte(fmt.Sprintf("%q", s))
	}
	return out
}

// Limit reads a whole number of a request. What is below 1 counts as not given,
// because it is the upstream that says what it thinks of it; what is huge is cut
// to more than any model has.
func Limit(name string, value []byte) (int64, error) {
	if value[0] == '"' || value[0] == '{' || value[0] == '[' || value[0] == 't' || value[0] == 'f' {
		return 0, Invalid(name, "%s must be a whole number.", name)
	}
	v, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(string(value), 64)
		if ferr != nil || f != math.Trunc(f) {
			return 0, Invalid(name, "%s must be a whole number.", name)
		}
		v = int64(max(-1, min(f, MaxTokens)))
	}
	return max(0, min(v, MaxTokens)), nil
}

// Invalid is the fault of a request body that its dialect does not allow.
func Invalid(param, format string, args ...any) error {
	return fault.New(fault.Malformed, "invalid_request", format, args...).Field(param)
}

// NotJSON is the fault of a body that cannot be read.
func NotJSON() error { return Invalid("", "The body is not valid JSON in UTF-8.") }

// Count is a number of tokens that may be absent.
type Count struct {
	Tokens int64
	Given  bool
}

// Read takes a JSON number, or null for nothing; a negative or absurd number is
// nothing. false means that the value is neither.
func (c *Count) Read(value []byte) bool {
	if len(value) == 0 || value[0] == 'n' {
		return true
	}
	if value[0] != '-' && (value[0] < '0' || value[0] > '9') {
		return false
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(string(value), 64)
		if ferr != nil || f > 1<<50 {
			return true
		}
		n = int64(f)
	}
	if n >= 0 && n <= 1<<50 {
		*c = Count{Tokens: n, Given: true}
	}
	return true
}

// Elements ranges over the values of a JSON array; over nothing for any other
// value. The text must be valid JSON.
func Elements(value []byte) iter.Seq[[]byte] {
	return func(yield func(v []byte) bool) {
		dec := jsontext.NewDecoder(bytes.NewBuffer(value))
		if t, err := dec.ReadToken(); err != nil || t.Kind() != '[' {
			return
		}
		for dec.PeekKind() != ']' {
			v, err := dec.ReadValue()
			if err != nil || !yield(v) {
				return
			}
		}
	}
}

// CountStrings counts the text of the strings in a JSON value that are, at any
// depth, members with one of the names or stand below such a member.
func CountStrings(value []byte, to *TextBytes, names ...string) {
	if len(value) == 0 {
		return
	}
	switch value[0] {
	case '[':
		for v := range Elements(value) {
			CountStrings(v, to, names...)
		}
	case '{':
		for name, v := range Members(value) {
			switch {
			case v[0] == '[' || v[0] == '{':
				if slices.Contains(names, Text(name)) {
					to.Count(v)
				} else {
					CountStrings(v, to, names...)
				}
			case v[0] == '"' && slices.Contains(names, Text(name)):
				to.Count(v[1 : len(v)-1])
			}
		}
	}
}

// ModelName reads the name of a model in a request.
func ModelName(value []byte) (string, error) {
	if value[0] != '"' {
		return "", Invalid("model", "model must be a string.")
	}
	name := Text(value)
	if name == "" {
		return "", Invalid("model", "model must not be empty.")
	}
	return name, nil
}

// Flag reads a boolean of a request; null is false.
func Flag(name string, value []byte) (bool, error) {
	switch value[0] {
	case 't', 'f', 'n':
		return value[0] == 't', nil
	}
	return false, Invalid(name, "%s must be true or false.", name)
}

// Names are the members that decide what a request may do and costs. A body in
// which one of them stands twice or in other letter case is refused: some
// upstreams match names without regard to case and would take the other one.
type Names []string

// Take gives the member that name, as written, is; "" when it is none of these.
// A name that was taken is not taken again: the entry is marked.
func (n Names) Take(name []byte) (string, error) {
	plain := name[1 : len(name)-1]
	if bytes.IndexByte(plain, '\\') >= 0 {
		plain = []byte(Text(name))
	}
	for i, known := range n {
		taken := known[0] == '!'
		if taken {
			known = known[1:]
		}
		switch {
		case string(plain) == known && taken:
			return "", Invalid(known, "%s is given twice.", known)
		case string(plain) == known:
			n[i] = "!" + known
			return known, nil
		case len(plain) == len(known) && bytes.EqualFold(plain, []byte(known)):
			return "", Invalid(known, "%s must be written in lower case, not %q.", known, plain)
		}
	}
	return "", nil
}

// Scan walks a request body of a dialect whose members stand at its top: take is
// told of each that is one of the names, with its value and where that stands. It
// gives the offset of the closing brace, and how many members of the media's names
// there are below the top.
func Scan(body []byte, names Names, media []string, take func(name string, value []byte, at Span) error) (closing, seen int, err error) {
	members, ok := jsonx.Walk(body)
	if !ok {
		return 0, 0, Invalid("", "The body must be a JSON object in UTF-8.")
	}
	members.Watch(media)
	for {
		nameAt, at, more := members.Next()
		if !more {
			break
		}
		name, err := names.Take(body[nameAt.From:nameAt.To])
		if err == nil && name != "" {
			err = take(name, body[at.From:at.To], Span(at))
		}
		if err != nil {
			return 0, 0, err
		}
	}
	if closing, ok = members.Close(); !ok {
		return 0, 0, NotJSON()
	}
	return closing, members.Seen(), nil
}

// Edits are gathered in any order.
type Edits []Edit

// Replace puts something in the place of a span.
func (e *Edits) Replace(at Span, with []byte) { *e = append(*e, Edit{At: at, With: with}) }

// Set gives a member of an object a value: in its place when it is there, else
// before the object's closing brace, where another member must stand before it.
func (e *Edits) Set(at Span, closing int, name string, value []byte) {
	if at.Present() {
		e.Replace(at, value)
		return
	}
	added := append(append(append([]byte(`,"`), name...), `":`...), value...)
	e.Replace(Span{From: closing, To: closing}, added)
}

// InOrder is what Apply takes.
func (e Edits) InOrder() []Edit {
	slices.SortStableFunc(e, func(a, b Edit) int { return cmp.Compare(a.At.From, b.At.From) })
	return e
}
