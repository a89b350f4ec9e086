package telemetry

import (
	"bytes"
	"io"
	"strings"
)

// Redacted masks what looks like a credential in everything written through it:
// API keys (sk-…), access tokens (hpat_…), Bearer credentials, Google keys
// (AIza…) and the key parameter of a URL. It is the second line of defence; the
// first is that nobody logs one. Each Write must hold whole lines, as slog's do.
func Redacted(w io.Writer) io.Writer { return &redactor{w} }

type redactor struct{ w io.Writer }

// Write passes p on, masked. It copies only when there is something to mask.
func (r *redactor) Write(p []byte) (int, error) {
	at, end := nextSecret(p, 0)
	if at < 0 {
		return r.w.Write(p)
	}
	out, from := make([]byte, 0, len(p)), 0
	for at >= 0 {
		out = append(append(out, p[from:at]...), "***"...)
		from = end
		at, end = nextSecret(p, from)
	}
	if _, err := r.w.Write(append(out, p[from:]...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// marks begin a credential: the text before which and in which bytes may stand.
// The mark itself stays readable.
func marks() [5]mark {
	return [...]mark{
		{text: []byte("sk-"), after: notAWord, of: isWord, least: 8, wordy: true},
		{text: []byte("hpat_"), after: notAWord, of: isWord, least: 6},
		{text: []byte("earer "), after: isB, of: isToken, least: 8, wordy: true},
		{text: []byte("AIza"), after: notAWord, of: isWord, least: 20},
		{text: []byte("key="), after: isSeparator, of: isQueryValue, least: 1},
	}
}

type mark struct {
	text  []byte
	after func(byte) bool // what may stand in front of it; 0 is the beginning
	of    func(byte) bool // what the credential is made of
	least int             // shorter is none
	wordy bool            // plain words may follow it
}

// nextSecret finds the first credential from there on: its bytes behind the
// mark. -1 when there is none.
func nextSecret(p []byte, from int) (at, end int) {
	at = -1
	for _, m := range marks() {
		for start := from; ; {
			i := bytes.Index(p[start:], m.text)
			if i < 0 {
				break
			}
			i += start
			begin := i + len(m.text)
			if at >= 0 && begin >= at {
				break // another one comes first
			}
			stop := begin
			for stop < len(p) && m.of(p[stop]) {
				stop++
			}
			before := byte(0)
			if i > 0 {
				before = p[i-1]
			}
			if stop-begin >= m.least && m.after(before) && !(m.wordy && plainWord(p[begin:stop])) {
				at, end = begin, stop
				break
			}
			start = begin
		}
	}
	return at, end
}

// plainWord tells "Bearer credentials" from a credential: no digit, not long.
func plainWord(p []byte) bool {
	return len(p) < 16 && bytes.IndexFunc(p, func(r rune) bool { return r >= '0' && r <= '9' }) < 0
}

// holdsSecret reports whether the text holds what Redacted would mask.
func holdsSecret(s string) bool {
	at, _ := nextSecret([]byte(s), 0)
	return at >= 0
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

func notAWord(c byte) bool { return c == '-' || !isWord(c) }

func isToken(c byte) bool { return isWord(c) || strings.IndexByte("._~+/=", c) >= 0 }

func isB(c byte) bool { return c == 'B' || c == 'b' }

// isSeparator takes '6' too: JSON may write & as \u0026.
func isSeparator(c byte) bool { return c == '?' || c == '&' || c == ';' || c == '6' }

func isQueryValue(c byte) bool { return isToken(c) || c == '%' }
