package jsonx

import (
	"bytes"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Writer appends JSON text to a slice, member by member, for shapes whose
// members depend on what there is to say. It puts the commas; that every object
// and list is closed and that raw values are valid JSON is the caller's business.
type Writer struct{ Out []byte }

// separate puts the comma before a member or element that is not the first.
func (w *Writer) separate() {
	if n := len(w.Out); n > 0 && w.Out[n-1] != '{' && w.Out[n-1] != '[' && w.Out[n-1] != ':' && w.Out[n-1] != ' ' {
		w.Out = append(w.Out, ',')
	}
}

// Name begins a member, whose value must follow.
func (w *Writer) Name(name string) {
	w.separate()
	w.quote(name)
	w.Out = append(w.Out, ':')
}

// Open begins an object or a list, as an element or behind a Name.
func (w *Writer) Open(bracket byte) {
	w.separate()
	w.Out = append(w.Out, bracket)
}

// Close ends it.
func (w *Writer) Close(bracket byte) { w.Out = append(w.Out, bracket) }

// String is an element, or the value behind a Name.
func (w *Writer) String(s string) {
	w.separate()
	w.quote(s)
}

// Value is an element, or the value behind a Name, that is JSON already.
func (w *Writer) Value(v Value) {
	w.separate()
	w.Out = append(w.Out, v...)
}

// Text is a member that is a string.
func (w *Writer) Text(name, value string) {
	w.Name(name)
	w.quote(value)
}

// TextIf is Text for what is not empty.
func (w *Writer) TextIf(name, value string) {
	if value != "" {
		w.Text(name, value)
	}
}

// Raw is a member that is JSON already; an empty value is left out.
func (w *Writer) Raw(name string, value Value) {
	if len(value) > 0 {
		w.Name(name)
		w.Out = append(w.Out, value...)
	}
}

// Members are the members of an object that is JSON already; an empty value has
// none.
func (w *Writer) Members(object Value) {
	from := bytes.IndexByte(object, '{') + 1
	to := bytes.LastIndexByte(object, '}')
	if members := bytes.TrimSpace(object[from:max(from, to)]); len(members) > 0 {
		w.separate()
		w.Out = append(w.Out, members...)
	}
}

// Int is a member that is a whole number.
func (w *Writer) Int(name string, value int64) {
	w.Name(name)
	w.Out = strconv.AppendInt(w.Out, value, 10)
}

// Number is a member that is a number; nil is left out.
func (w *Writer) Number(name string, value *float64) {
	if value != nil {
		w.Name(name)
		w.Out = strconv.AppendFloat(w.Out, *value, 'g', -1, 64)
	}
}

// Flag is a member that is true or false.
func (w *Writer) Flag(name string, value bool) {
	w.Name(name)
	w.Out = strconv.AppendBool(w.Out, value)
}

// Null is a member that is null.
func (w *Writer) Null(name string) {
	w.Name(name)
	w.Out = append(w.Out, "null"...)
}

// quote appends s as a JSON string; what is not UTF-8 in it becomes U+FFFD.
func (w *Writer) quote(s string) {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	out := append(w.Out, '"')
	for {
		n := plainPrefix(s)
		out = append(out, s[:n]...)
		if n == len(s) {
			break
		}
		out = appendEscape(out, s[n])
		s = s[n+1:]
	}
	w.Out = append(out, '"')
}

// plainPrefix is how much of s stands in a JSON string as it is: up to a control
// character, a quote or a backslash. It looks at eight bytes at a time, because
// long texts are what bodies are made of.
func plainPrefix(s string) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		x := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		quote, slash := x^ones*'"', x^ones*'\\'
		found := ((x-ones*0x20)&^x | (quote-ones)&^quote | (slash-ones)&^slash) & highs
		if found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

func appendEscape(out []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(out, '\\', c)
	case '\n':
		return append(out, `\n`...)
	case '\r':
		return append(out, `\r`...)
	case '\t':
		return append(out, `\t`...)
	}
	return append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
