package jsonx

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// Walker walks the members of a JSON object, or the elements of a list, without
// decoding or copying: names and values are ranges of the text. The text is checked against RFC 8259 on
// the way, but for two things that cannot change its structure: names given
// twice, and escapes of lone surrogates.
type Walker struct {
	text  []byte
	at    int
	state walkState
	close byte // what ends the object or list
	watch []string
	seen  int
}

type walkState uint8

const (
	walkFirst walkState = iota // before the first member
	walkNext
	walkDone
	walkBroken
)

// maxDepth bounds nesting.
const maxDepth = 10_000

// Range is a part of the text, [From, To).
type Range struct{ From, To int }

// Walk starts at the object in text; ok is false when text is not UTF-8 or does
// not begin with an object.
func Walk(text []byte) (w Walker, ok bool) { return walk(text, '{', '}') }

// WalkList starts at the list in text, whose elements have no names; ok is false
// when text is not UTF-8 or does not begin with a list.
func WalkList(text []byte) (w Walker, ok bool) { return walk(text, '[', ']') }

func walk(text []byte, open, closing byte) (w Walker, ok bool) {
	at := skipSpace(text, 0)
	if at >= len(text) || text[at] != open || !utf8.Valid(text) {
		return Walker{state: walkBroken}, false
	}
	return Walker{text: text, at: at + 1, close: closing}, true
}

// Watch counts the members with one of the names, as written, in the objects
// below the top.
func (w *Walker) Watch(names []string) { w.watch = names }

// Seen is how many watched members have been passed.
func (w *Walker) Seen() int { return w.seen }

func (w *Walker) note(name []byte) {
	for _, watched := range w.watch {
		if string(name) == watched {
			w.seen++
		}
	}
}

// Next is the next member: its name with the quotes, as written, and its value.
// An element has no name. ok is false at the end and when the text is broken.
func (w *Walker) Next() (name, value Range, ok bool) {
	if w.state > walkNext {
		return name, value, false
	}
	b := w.text
	i := skipSpace(b, w.at)
	if i < len(b) && b[i] == w.close && w.state == walkFirst {
		return w.end(i)
	}
	if w.state == walkNext {
		switch {
		case i < len(b) && b[i] == w.close:
			return w.end(i)
		case i >= len(b) || b[i] != ',':
			return w.broken()
		}
		i = skipSpace(b, i+1)
	}
	w.state = walkNext
	if w.close == '}' {
		if i >= len(b) || b[i] != '"' {
			return w.broken()
		}
		name.From = i
		if i = skipString(b, i); i < 0 {
			return w.broken()
		}
		name.To = i
		if i = skipSpace(b, i); i >= len(b) || b[i] != ':' {
			return w.broken()
		}
		i = skipSpace(b, i+1)
	}
	value.From = i
	if i = w.skipValue(i, 1); i < 0 {
		return w.broken()
	}
	value.To = i
	w.at = i
	return name, value, true
}

func (w *Walker) end(at int) (name, value Range, ok bool) {
	w.at, w.state = at, walkDone
	if skipSpace(w.text, at+1) != len(w.text) {
		w.state = walkBroken
	}
	return name, value, false
}

func (w *Walker) broken() (name, value Range, ok bool) {
	w.state = walkBroken
	return name, value, false
}

// Close is the offset of the closing brace or bracket once Next has said that there is
// nothing more; ok is false when the text is broken or goes on after it.
func (w *Walker) Close() (at int, ok bool) { return w.at, w.state == walkDone }

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipValue gives the offset after the value at i, or -1.
func (w *Walker) skipValue(i, depth int) int {
	b := w.text
	if i >= len(b) || depth > maxDepth {
		return -1
	}
	switch c := b[i]; c {
	case '"':
		return skipString(b, i)
	case '{':
		return w.skipObject(i, depth)
	case '[':
		return w.skipArray(i, depth)
	case 't':
		return skipWord(b, i, "true")
	case 'f':
		return skipWord(b, i, "false")
	case 'n':
		return skipWord(b, i, "null")
	}
	return skipNumber(b, i)
}

func (w *Walker) skipObject(i, depth int) int {
	b := w.text
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return -1
		}
		from := i
		if i = skipString(b, i); i < 0 {
			return -1
		}
		if len(w.watch) > 0 {
			w.note(b[from:i])
		}
		if i = skipSpace(b, i); i >= len(b) || b[i] != ':' {
			return -1
		}
		if i = w.skipValue(skipSpace(b, i+1), depth+1); i < 0 {
			return -1
		}
		if i = skipSpace(b, i); i >= len(b) {
			return -1
		}
		switch b[i] {
		case '}':
			return i + 1
		case ',':
			i = skipSpace(b, i+1)
		default:
			return -1
		}
	}
}

func (w *Walker) skipArray(i, depth int) int {
	b := w.text
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1
	}
	for {
		if i = w.skipValue(i, depth+1); i < 0 {
			return -1
		}
		if i = skipSpace(b, i); i >= len(b) {
			return -1
		}
		switch b[i] {
		case ']':
			return i + 1
		case ',':
			i = skipSpace(b, i+1)
		default:
			return -1
		}
	}
}

// skipString gives where the string at i ends, behind its quote.
func skipString(b []byte, i int) int {
	for i = skipPlain(b, i+1); i < len(b); i = skipPlain(b, i) {
		switch {
		case b[i] == '"':
			return i + 1
		case b[i] != '\\' || i+1 == len(b): // a control character, or an escape that is cut off
			return -1
		}
		i++
		switch b[i] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			i++
		case 'u':
			if i+5 > len(b) || !isHex(b[i+1]) || !isHex(b[i+2]) || !isHex(b[i+3]) || !isHex(b[i+4]) {
				return -1
			}
			i += 5
		default:
			return -1
		}
	}
	return -1
}

// skipPlain gives the first of a quote, a backslash and a control character from i
// on, or the end.
func skipPlain(b []byte, i int) int {
	for len(b)-i >= 16 {
		two := b[i : i+16 : i+16]
		first, second := special(binary.LittleEndian.Uint64(two)), special(binary.LittleEndian.Uint64(two[8:]))
		if first|second == 0 {
			i += 16
			continue
		}
		if first != 0 {
			return i + bits.TrailingZeros64(first)/8
		}
		return i + 8 + bits.TrailingZeros64(second)/8
	}
	for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= 0x20 {
		i++
	}
	return i
}

// special has the high bit of the first of eight bytes set that is a quote, a
// backslash or a control character, and nothing set below it: a byte that is less
// than n has it in (x - n) &^ x, as perhaps one above such a byte has, too.
func special(x uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote, slash := x^ones*'"', x^ones*'\\'
	return ((x-ones*0x20)&^x | (quote-ones)&^quote | (slash-ones)&^slash) & highs
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func skipWord(b []byte, i int, word string) int {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

func skipNumber(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	switch {
	case i < len(b) && b[i] == '0':
		i++
	case i < len(b) && b[i] >= '1' && b[i] <= '9':
		i = skipDigits(b, i)
	default:
		return -1
	}
	if i < len(b) && b[i] == '.' {
		from := i + 1
		if i = skipDigits(b, from); i == from {
			return -1
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		from := i
		if i = skipDigits(b, from); i == from {
			return -1
		}
	}
	return i
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	return i
}
