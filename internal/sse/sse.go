// Package sse frames server-sent events: it cuts a byte stream into whole
// events without copying or interpreting more than the line ends, and finds an
// event's data. The format is the WHATWG HTML standard's, section 9.2. It knows
// no dialect.
package sse

import (
	"bytes"
	"errors"
	"io"
)

// ErrTooLong is an event larger than the reader's limit.
var ErrTooLong = errors.New("sse: an event is larger than the limit")

// Reader cuts a stream into events. An event ends with an empty line; lines end
// with LF, CR LF or CR.
type Reader struct {
	src        io.Reader
	buf        []byte
	start, end int // unread bytes
	scanned    int // bytes after start known to hold no event end
	limit      int
	err        error
}

// NewReader reads from src; events over limit bytes fail with ErrTooLong. buf
// is the first buffer and may come from a pool; it grows with the largest event.
func NewReader(src io.Reader, buf []byte, limit int) *Reader {
	return &Reader{src: src, buf: buf[:cap(buf)], limit: limit}
}

// Buffered gives the next whole event if it is already here, with its line
// ends; nil when more must be read first. The bytes are valid until the next
// call of Fill.
func (r *Reader) Buffered() []byte {
	n := eventEnd(r.buf[r.start:r.end], r.scanned, r.err != nil)
	if n < 0 {
		r.scanned = max(0, r.end-r.start-3)
		return nil
	}
	event := r.buf[r.start : r.start+n]
	r.start += n
	r.scanned = 0
	return event
}

// Fill reads once from the source. The first error, io.EOF among them, is kept;
// call Buffered until nil and then Rest before giving up.
func (r *Reader) Fill() error {
	if r.err != nil {
		return r.err
	}
	if r.start > 0 {
		copy(r.buf, r.buf[r.start:r.end])
		r.end -= r.start
		r.start = 0
	}
	if r.end == len(r.buf) {
		if len(r.buf) >= r.limit {
			r.err = ErrTooLong
			return r.err
		}
		r.buf = append(r.buf, make([]byte, max(4096, min(len(r.buf), r.limit-len(r.buf))))...)
	}
	n, err := r.src.Read(r.buf[r.end:])
	r.end += n
	r.err = err
	if n > 0 {
		return nil
	}
	return err
}

// Rest is what is left after the last whole event.
func (r *Reader) Rest() []byte { return r.buf[r.start:r.end] }

// eventEnd is the length of the first event in b, with the empty line that ends
// it; -1 when it is not whole. A CR at the very end may be half of a CR LF:
// only at the stream's end is it a line end of its own.
func eventEnd(b []byte, from int, atEOF bool) int {
	for i := from; i < len(b); {
		k := lineLen(b[i:])
		if k < 0 {
			return -1
		}
		next, whole := lineEnd(b, i+k, atEOF)
		if !whole {
			return -1
		}
		if end, done := emptyLine(b, next, atEOF); done {
			return end
		}
		i = next
	}
	return -1
}

// lineLen is how far the first line end in b is; -1 when there is none.
func lineLen(b []byte) int {
	lf := bytes.IndexByte(b, '\n')
	if lf >= 0 {
		b = b[:lf]
	}
	if cr := bytes.IndexByte(b, '\r'); cr >= 0 {
		return cr
	}
	return lf
}

// lineEnd is the offset after the line end at b[i], which is CR or LF.
func lineEnd(b []byte, i int, atEOF bool) (next int, whole bool) {
	if b[i] == '\n' {
		return i + 1, true
	}
	if i+1 < len(b) {
		if b[i+1] == '\n' {
			return i + 2, true
		}
		return i + 1, true
	}
	return i + 1, atEOF
}

// emptyLine reports whether an empty line starts at i, and where it ends.
func emptyLine(b []byte, i int, atEOF bool) (end int, done bool) {
	if i >= len(b) || (b[i] != '\n' && b[i] != '\r') {
		return 0, false
	}
	return lineEnd(b, i, atEOF)
}

// DataSpan says where the data of an event with a single data line stands. ok
// is false when the event has no data line or several.
func DataSpan(event []byte) (from, to int, ok bool) {
	for at := 0; at < len(event); {
		line := event[at:]
		n := lineLen(line)
		if n >= 0 {
			line = line[:n]
		} else {
			n = len(line)
		}
		if value, found := bytes.CutPrefix(line, []byte("data:")); found {
			if ok {
				return 0, 0, false
			}
			from, to, ok = at+len("data:"), at+n, true
			if len(value) > 0 && value[0] == ' ' {
				from++
			}
		}
		at += n + 1
	}
	return from, to, ok
}

// Data is the event's data: the value of its one data line, without a copy, or
// of several joined by LF. ok is false when the event has none.
func Data(event []byte) (data []byte, ok bool) {
	lines := 0
	for len(event) > 0 {
		line := event
		if i := lineLen(event); i >= 0 {
			line, event = event[:i], event[i+1:]
		} else {
			event = nil
		}
		value, found := bytes.CutPrefix(line, []byte("data:"))
		if !found {
			continue
		}
		if len(value) > 0 && value[0] == ' ' {
			value = value[1:]
		}
		lines++
		switch lines {
		case 1:
			data = value
		case 2:
			data = append(append(append(make([]byte, 0, len(data)+len(value)+1), data...), '\n'), value...)
		default:
			data = append(append(data, '\n'), value...)
		}
	}
	return data, lines > 0
}

// Name is the event's name, the value of its last event line; nil when it has
// none.
func Name(event []byte) (name []byte) {
	for len(event) > 0 {
		line := event
		if i := lineLen(event); i >= 0 {
			line, event = event[:i], event[i+1:]
		} else {
			event = nil
		}
		if value, found := bytes.CutPrefix(line, []byte("event:")); found {
			name = bytes.TrimPrefix(value, []byte(" "))
		}
	}
	return name
}

// Begins reports whether text begins like an event stream: with a comment or a
// field.
func Begins(text []byte) bool {
	text = bytes.TrimLeft(text, "\ufeff\r\n")
	for _, field := range [...]string{":", "data:", "event:", "id:", "retry:"} {
		if bytes.HasPrefix(text, []byte(field)) {
			return true
		}
	}
	return false
}

// Bare is an object that stands in the place of an event without a field's name:
// Google's APIs tell of an error in the middle of a stream so. ok is false when
// it is anything else, or not whole.
func Bare(event []byte) (object []byte, ok bool) {
	object = bytes.TrimSpace(event)
	return object, len(object) > 1 && object[0] == '{' && object[len(object)-1] == '}'
}
