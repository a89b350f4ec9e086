package translate

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// freeTextInput is the one argument of a function that stands for a tool of free
// text.
const freeTextInput = "input"

// freeText takes the text out of the arguments of such a function, piece by
// piece as they come. A model may write something else than it was told to: what
// is no object, or has no input, is given as it is.
type freeText struct {
	state freeTextState
	seen  []byte // what may still have to be given as it is
	key   []byte
	found bool // the input has begun
	// Within an escape: its digits so far, and the first half of a pair.
	digits int
	code   rune
	half   rune
	// Within another value.
	depth         int
	quoted, after bool // in a string; behind a backslash in it
}

type freeTextState uint8

const (
	beforeObject freeTextState = iota
	beforeKey
	inKey
	behindKey
	beforeValue
	inText
	inEscape
	inCode
	inOther
	inBare
	behindText
)

// feed takes a piece of the arguments and gives what of the text it brings.
func (f *freeText) feed(piece string) string {
	if f.state == behindText && f.found {
		return ""
	}
	if f.state == inBare {
		return piece
	}
	var out []byte
	for i := 0; i < len(piece); i++ {
		c := piece[i]
		if !f.found {
			f.seen = append(f.seen, c)
		}
		switch f.state {
		case inText:
			out = f.inText(out, c)
		case inEscape:
			out = f.inEscape(out, c)
		case inCode:
			out = f.inCode(out, c)
		case behindText:
			if f.found {
				return string(out)
			}
		default:
			f.between(c)
			if f.state == inBare {
				out = append(f.seen, piece[i+1:]...)
				f.seen, f.found = nil, true
				return string(out)
			}
		}
	}
	return string(out)
}

// between takes a byte of what is not the text.
func (f *freeText) between(c byte) {
	space := c == ' ' || c == '\n' || c == '\r' || c == '\t'
	switch f.state {
	case beforeObject:
		switch {
		case c == '{':
			f.state = beforeKey
		case !space:
			f.state = inBare
		}
	case beforeKey:
		switch {
		case c == '"':
			f.state, f.key, f.after = inKey, f.key[:0], false
		case c == '}':
			f.state = behindText
		}
	case inKey:
		switch {
		case f.after || c != '"' && c != '\\':
			f.key, f.after = append(f.key, c), false
		case c == '\\':
			f.after = true
		default:
			f.state = behindKey
		}
	case behindKey:
		if c == ':' {
			f.state = beforeValue
		}
	case beforeValue:
		switch {
		case space:
		case c == '"' && string(f.key) == freeTextInput:
			f.state, f.found, f.seen = inText, true, nil
		default:
			f.state, f.depth, f.quoted, f.after = inOther, 0, false, false
			f.other(c)
		}
	case inOther:
		f.other(c)
	}
}

// other takes a byte of a value that is not the text.
func (f *freeText) other(c byte) {
	switch {
	case f.after:
		f.after = false
	case f.quoted:
		f.after, f.quoted = c == '\\', c != '"'
	case c == '"':
		f.quoted = true
	case c == '{', c == '[':
		f.depth++
	case f.depth == 0 && c == ',':
		f.state = beforeKey
	case f.depth == 0 && c == '}':
		f.state = behindText
	case c == '}', c == ']':
		f.depth--
	}
}

func (f *freeText) inText(out []byte, c byte) []byte {
	if f.half != 0 && c != '\\' {
		out = f.flushHalf(out)
	}
	switch c {
	case '"':
		f.state = behindText
	case '\\':
		f.state = inEscape
	default:
		out = append(out, c)
	}
	return out
}

func (f *freeText) inEscape(out []byte, c byte) []byte {
	if c == 'u' {
		f.state, f.digits, f.code = inCode, 0, 0
		return out
	}
	out = f.flushHalf(out)
	f.state = inText
	switch c {
	case 'n':
		c = '\n'
	case 't':
		c = '\t'
	case 'r':
		c = '\r'
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	}
	return append(out, c)
}

func (f *freeText) inCode(out []byte, c byte) []byte {
	f.code = f.code<<4 | hexDigit(c)
	if f.digits++; f.digits < 4 {
		return out
	}
	f.state = inText
	switch {
	case f.half != 0 && f.code >= 0xDC00 && f.code < 0xE000:
		out = utf8.AppendRune(out, utf16.DecodeRune(f.half, f.code))
		f.half = 0
	case f.code >= 0xD800 && f.code < 0xDC00:
		out = f.flushHalf(out)
		f.half = f.code
	default:
		out = utf8.AppendRune(f.flushHalf(out), f.code)
	}
	return out
}

// flushHalf gives what stands for the half of a pair whose other never came.
func (f *freeText) flushHalf(out []byte) []byte {
	if f.half == 0 {
		return out
	}
	f.half = 0
	return utf8.AppendRune(out, utf8.RuneError)
}

func hexDigit(c byte) rune {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0')
	case c >= 'a' && c <= 'f':
		return rune(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return rune(c-'A') + 10
	}
	return 0
}

// end gives what is left when no more pieces come.
func (f *freeText) end() string {
	if f.half != 0 {
		return string(f.flushHalf(nil))
	}
	rest := strings.TrimSpace(string(f.seen))
	f.seen = nil
	if f.found || strings.Join(strings.Fields(rest), "") == "{}" {
		return ""
	}
	return rest
}

// freeTextOf is the text of whole arguments.
func freeTextOf(args string) string {
	var f freeText
	return f.feed(args) + f.end()
}
