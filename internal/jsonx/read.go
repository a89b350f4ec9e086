package jsonx

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Reader reads JSON text once, from front to back, and says which member is at
// fault as Decode does, at a third of its cost: for bodies of which every part is
// looked at. The text is checked against RFC 8259 on the way, but for two things
// that cannot change its structure: names given twice, and escapes of lone
// surrogates.
//
//	for r.Object(); r.Next('}'); {
//		switch r.Name() {
//		case "model":
//			model = r.String()
//		default:
//			rest = append(rest, r.Value())
//		}
//	}
//
// After the first fault it reads nothing more: Next is false, and all values are
// zero. Every value must be taken, if only with Skip.
type Reader struct {
	text  []byte
	at    int
	depth int
	name  Range
	fault int // where what is at fault stands; -1: nothing is
	why   string
	broke bool // it is no JSON
	whole bool // why is about a whole number
}

// Read begins with a text.
func Read(text []byte) *Reader {
	r := &Reader{text: text, fault: -1}
	if !utf8.Valid(text) {
		r.breakAt(0)
	}
	r.at = skipSpace(text, 0)
	return r
}

// At is where the next value begins, for Since.
func (r *Reader) At() int { return r.at }

// Since is the text from there to the end of the last value, without a copy; nil
// after a fault.
func (r *Reader) Since(at int) Value {
	if r.fault >= 0 {
		return nil
	}
	return Value(r.text[at:r.at])
}

// Kind is what the next value is: '{', '[', '"', 't', 'f', 'n', or '0' for a
// number; 0 when there is none.
func (r *Reader) Kind() byte {
	if r.fault >= 0 || r.at >= len(r.text) {
		return 0
	}
	switch c := r.text[r.at]; {
	case c == '-' || c >= '0' && c <= '9':
		return '0'
	case c == '{' || c == '[' || c == '"' || c == 't' || c == 'f' || c == 'n':
		return c
	}
	return 0
}

// Object begins an object, which Next goes through.
func (r *Reader) Object() { r.open('{', "must be an object") }

// Array begins a list, which Next goes through.
func (r *Reader) Array() { r.open('[', "must be a list") }

func (r *Reader) open(bracket byte, want string) {
	switch {
	case r.Kind() != bracket:
		r.mismatch(want)
	case r.depth >= maxDepth:
		r.breakAt(r.at)
	default:
		r.depth++
		r.at++
	}
}

// Next goes on to the next member or element of what ends with the bracket, and
// is false at its end.
func (r *Reader) Next(bracket byte) bool {
	if r.fault >= 0 {
		return false
	}
	first := r.text[r.at-1] == bracket-2 // {} and [] lie two apart, and no value ends with the opening one
	i := skipSpace(r.text, r.at)
	switch {
	case i >= len(r.text):
		r.breakAt(i)
		return false
	case r.text[i] == bracket:
		r.depth--
		r.at = i + 1
		return false
	case first:
	case r.text[i] != ',':
		r.breakAt(i)
		return false
	default:
		i = skipSpace(r.text, i+1)
	}
	if bracket == '}' {
		if i = r.readName(i); i < 0 {
			return false
		}
	}
	r.at = i
	if i >= len(r.text) {
		r.breakAt(i)
		return false
	}
	return true
}

func (r *Reader) readName(i int) int {
	if i >= len(r.text) || r.text[i] != '"' {
		r.breakAt(i)
		return -1
	}
	end := skipString(r.text, i)
	if end < 0 {
		r.breakAt(i)
		return -1
	}
	r.name = Range{i, end}
	i = skipSpace(r.text, end)
	if i >= len(r.text) || r.text[i] != ':' {
		r.breakAt(i)
		return -1
	}
	return skipSpace(r.text, i+1)
}

// Name is the member's name. It is valid until the text changes.
func (r *Reader) Name() string { return unquoted(r.text[r.name.From:r.name.To]) }

// Is compares the member's name, without making a string of it.
func (r *Reader) Is(name string) bool {
	quoted := r.text[r.name.From:r.name.To]
	return len(quoted) == len(name)+2 && string(quoted[1:len(quoted)-1]) == name
}

// Null takes a null, if that is what comes.
func (r *Reader) Null() bool {
	if r.Kind() != 'n' {
		return false
	}
	r.Skip()
	return true
}

// String is a string; null is "".
func (r *Reader) String() string {
	if r.Kind() == '"' {
		from := r.at
		r.at = skipString(r.text, from)
		if r.at < 0 {
			r.breakAt(from)
			return ""
		}
		return unquoted(r.text[from:r.at])
	}
	if !r.Null() {
		r.mismatch("must be a string")
	}
	return ""
}

// unquoted is the text of a string.
func unquoted(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	out, _ := jsontext.AppendUnquote(make([]byte, 0, len(quoted)), quoted) // a lone surrogate becomes U+FFFD
	return string(out)
}

// Bool is true or false; null is false.
func (r *Reader) Bool() bool {
	switch r.Kind() {
	case 't', 'f', 'n':
		is := r.text[r.at] == 't'
		r.Skip()
		return is
	}
	r.mismatch("must be true or false")
	return false
}

// BoolOpt is a Bool that may be null, which is nil.
func (r *Reader) BoolOpt() *bool {
	if r.Null() {
		return nil
	}
	is := r.Bool()
	if r.fault >= 0 {
		return nil
	}
	return &is
}

// Int is a whole number within 64 bits; null is 0.
func (r *Reader) Int() int64 {
	n := r.IntOpt()
	if n == nil {
		return 0
	}
	return *n
}

// IntOpt is an Int that may be null, which is nil.
func (r *Reader) IntOpt() *int64 {
	from := r.at
	number := r.number("must be a whole number")
	if number == nil {
		return nil
	}
	n, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(string(number), 64)
		if ferr != nil || f != math.Trunc(f) || f >= 1<<63 || f < -1<<63 {
			r.at = from
			r.mismatch("must be a whole number within 64 bits")
			r.whole = true
			return nil
		}
		n = int64(f) // 1e3 and 5.0
	}
	return &n
}

// FloatOpt is a number; null is nil.
func (r *Reader) FloatOpt() *float64 {
	from := r.at
	number := r.number("must be a number")
	if number == nil {
		return nil
	}
	f, err := strconv.ParseFloat(string(number), 64)
	if err != nil {
		r.at = from
		r.mismatch("must be a number")
		return nil
	}
	return &f
}

// number takes a number; null is nil.
func (r *Reader) number(want string) []byte {
	if r.Kind() != '0' {
		if !r.Null() {
			r.mismatch(want)
		}
		return nil
	}
	from := r.at
	if r.at = skipNumber(r.text, from); r.at < 0 {
		r.breakAt(from)
		return nil
	}
	return r.text[from:r.at]
}

// Skip passes a value.
func (r *Reader) Skip() {
	if r.fault >= 0 {
		return
	}
	from := r.at
	var w Walker
	w.text = r.text
	if r.at = w.skipValue(from, r.depth+1); r.at < 0 {
		r.breakAt(from)
	}
}

// Value is a copy of a value of any kind.
func (r *Reader) Value() Value {
	from := r.at
	r.Skip()
	return bytes.Clone(r.Since(from))
}

// Raw is Value, but null is nil.
func (r *Reader) Raw() Value {
	if r.Null() {
		return nil
	}
	return r.Value()
}

// Peek is the string that is a member of the object that comes, as written and
// without its quotes; nil when there is none. Nothing is taken.
func (r *Reader) Peek(member string) []byte {
	if r.Kind() != '{' {
		return nil
	}
	ahead := *r
	for ahead.Object(); ahead.Next('}'); {
		from := ahead.at
		if !ahead.Is(member) {
			ahead.Skip()
			continue
		}
		if ahead.Kind() != '"' {
			return nil
		}
		if ahead.Skip(); ahead.fault >= 0 {
			return nil
		}
		return ahead.text[from+1 : ahead.at-1]
	}
	return nil
}

// Fault says that the value that begins there is wrong, in words such as "must be
// red or blue".
func (r *Reader) Fault(at int, why string) {
	if r.fault < 0 {
		r.fault, r.why = at, why
	}
}

func (r *Reader) mismatch(want string) {
	if r.fault >= 0 {
		return
	}
	if r.Kind() == 0 {
		r.breakAt(r.at)
		return
	}
	if r.Kind() == 'n' {
		want += ", not null"
	}
	r.Fault(r.at, want)
}

func (r *Reader) breakAt(at int) {
	if r.fault < 0 {
		r.fault, r.broke = max(at, 0), true
	}
}

// End is the fault, a *DecodeError, or what stands behind the value.
func (r *Reader) End() error {
	if r.fault < 0 {
		if i := skipSpace(r.text, r.at); i < len(r.text) {
			r.breakAt(i)
		}
	}
	switch {
	case r.fault < 0:
		return nil
	case r.broke:
		return &DecodeError{Reason: "the body is not valid JSON (at byte " + fmt.Sprint(r.fault) + ")"}
	}
	return &DecodeError{Field: pathTo(r.text, r.fault), Reason: r.why, NotWhole: r.whole}
}

// pathTo is the dotted path of the value that begins at an offset. All before it
// is valid.
func pathTo(text []byte, offset int) string {
	var path []string
	r := Reader{text: text, fault: -1}
	r.at = skipSpace(text, 0)
	for r.fault < 0 && r.at < offset {
		kind := r.Kind()
		if kind != '{' && kind != '[' {
			break
		}
		bracket := kind + 2
		r.open(kind, "")
		for i := 0; r.Next(bracket); i++ {
			from := r.at
			if from < offset {
				var w Walker
				w.text = text
				end := w.skipValue(from, r.depth+1)
				if end >= 0 && end <= offset {
					r.at = end
					continue
				}
			}
			if kind == '{' {
				path = append(path, r.Name())
			} else {
				path = append(path, strconv.Itoa(i))
			}
			break
		}
	}
	return strings.Join(path, ".")
}
