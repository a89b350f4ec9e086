// Package wire holds what the model dialects look like on the wire, one
// package per dialect below it. Bodies are scanned for what routing and
// metering need and otherwise left as they are, so unknown members survive. It
// does no I/O.
package wire

import "bytes"

// Dialect names a family of request and answer shapes.
type Dialect string

// The dialects.
const (
	OpenAI    Dialect = "openai"
	Anthropic Dialect = "anthropic"
	Gemini    Dialect = "gemini"
)

// Span is a range of bytes in a body; the zero Span is absent.
type Span struct{ From, To int }

// Present reports whether the member was there.
func (s Span) Present() bool { return s.To > s.From }

// Of is the bytes of the span.
func (s Span) Of(body []byte) []byte { return body[s.From:s.To] }

// Edit replaces a span of a body; a span of no length inserts.
type Edit struct {
	At   Span
	With []byte
}

// Apply writes body with the edits, which must be in order and apart, to dst.
func Apply(dst, body []byte, edits []Edit) []byte {
	at := 0
	for _, e := range edits {
		dst = append(dst, body[at:e.At.From]...)
		dst = append(dst, e.With...)
		at = e.At.To
	}
	return append(dst, body[at:]...)
}

// TextSize counts the bytes of a request that can become prompt tokens: all of
// it, but for inline media, whose base64 text is left out.
func TextSize(body []byte) (ascii, other int) {
	marker := []byte(";base64,")
	for len(body) > 0 {
		end := bytes.Index(body, marker)
		part := body
		if end >= 0 {
			part = body[:end]
		}
		for _, c := range part {
			if c < 0x80 {
				ascii++
			} else {
				other++
			}
		}
		if end < 0 {
			return ascii, other
		}
		body = body[end+len(marker):]
		quote := bytes.IndexByte(body, '"')
		if quote < 0 {
			return ascii, other
		}
		body = body[quote:]
	}
	return ascii, other
}
