package awsstream

import (
	"bytes"
	"io"
)

// Convert appends what a message means to dst as server-sent events; often that
// is one, and it may be none.
type Convert func(dst []byte, m Message) ([]byte, error)

// Events is a stream's messages as server-sent events.
type Events struct {
	messages *Reader
	convert  Convert
	out      []byte // converted and not yet read
	at       int
	err      error
}

// NewEvents reads messages from src, of at most limit bytes each.
func NewEvents(src io.Reader, limit int, convert Convert) *Events {
	return &Events{messages: NewReader(src, limit), convert: convert}
}

// Read gives the bytes of events. It waits for one message at the most.
func (e *Events) Read(p []byte) (int, error) {
	for e.at == len(e.out) && e.err == nil {
		e.out, e.at = e.out[:0], 0
		var m Message
		if m, e.err = e.messages.Next(); e.err == nil {
			e.out, e.err = e.convert(e.out, m)
		}
	}
	if e.at == len(e.out) && e.err != nil {
		return 0, e.err
	}
	n := copy(p, e.out[e.at:])
	e.at += n
	return n, nil
}

// Append appends one event. Its data is JSON, in which line ends stand between
// values only, so they may become blanks.
func Append(dst []byte, name string, data []byte) []byte {
	if name != "" {
		dst = append(append(append(dst, "event: "...), oneLine([]byte(name))...), '\n')
	}
	return append(append(append(dst, "data: "...), oneLine(data)...), "\n\n"...)
}

func oneLine(text []byte) []byte {
	if !bytes.ContainsAny(text, "\r\n") {
		return text
	}
	return bytes.Map(func(r rune) rune {
		if r == '\r' || r == '\n' {
			return ' '
		}
		return r
	}, text)
}
