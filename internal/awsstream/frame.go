// Package awsstream reads the framing of Amazon's event streams,
// application/vnd.amazon.eventstream, and gives what is in it as server-sent
// events, so that whoever relays streams meets one framing only. The format is
// that of Amazon's "Event stream encoding": a prelude with two lengths, headers, a
// payload, and CRC-32 sums of the prelude and of the whole. It does no I/O of its
// own and knows no dialect.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
// https://smithy.io/2.0/aws/amazon-eventstream.html
package awsstream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// MediaType is that of a stream in this framing.
const MediaType = "application/vnd.amazon.eventstream"

const (
	preludeSize = 12 // two lengths and their sum
	sumSize     = 4
	maxHeaders  = 128 << 10 // as Amazon's SDKs bound them
)

// The ways a stream is broken.
var (
	ErrTooLong = errors.New("awsstream: a message is larger than the limit")
	ErrSum     = errors.New("awsstream: a checksum does not match")
	ErrFormat  = errors.New("awsstream: not an event stream")
)

// Message is one message of a stream.
type Message struct {
	// Type is ":message-type": "event", "exception" or "error".
	Type string
	// Name is ":event-type", ":exception-type" or ":error-code".
	Name string
	// Text is ":error-message".
	Text    string
	Payload []byte // valid until the next call of Next
}

// Reader cuts a stream into messages. Its memory is that of the largest message.
type Reader struct {
	src   io.Reader
	buf   []byte
	limit int
}

// NewReader reads from src; messages over limit bytes fail with ErrTooLong.
func NewReader(src io.Reader, limit int) *Reader {
	return &Reader{src: src, buf: make([]byte, 0, 4<<10), limit: limit}
}

// Next gives the next message; io.EOF is the stream's end, and
// io.ErrUnexpectedEOF one in the middle of a message.
func (r *Reader) Next() (m Message, err error) {
	r.buf = r.buf[:0]
	if err := r.read(preludeSize); err != nil {
		return m, err
	}
	if crc32.ChecksumIEEE(r.buf[:8]) != binary.BigEndian.Uint32(r.buf[8:]) {
		return m, ErrSum
	}
	total, headers := int64(binary.BigEndian.Uint32(r.buf)), int64(binary.BigEndian.Uint32(r.buf[4:]))
	switch {
	case total > int64(r.limit), headers > maxHeaders:
		return m, ErrTooLong
	case total < preludeSize+headers+sumSize:
		return m, fmt.Errorf("%w: the lengths do not fit", ErrFormat)
	}
	if err := r.read(int(total) - preludeSize); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return m, err
	}
	end := int(total) - sumSize
	if crc32.ChecksumIEEE(r.buf[:end]) != binary.BigEndian.Uint32(r.buf[end:]) {
		return m, ErrSum
	}
	at := preludeSize + int(headers)
	if err := m.readHeaders(r.buf[preludeSize:at]); err != nil {
		return m, err
	}
	m.Payload = r.buf[at:end]
	return m, nil
}

// read adds n bytes to the buffer. It grows as they come, so that a length alone
// takes no memory.
func (r *Reader) read(n int) error {
	const step = 64 << 10
	for n > 0 {
		from := len(r.buf)
		some := min(n, step)
		if cap(r.buf)-from < some {
			r.buf = append(r.buf, make([]byte, some)...)
		} else {
			r.buf = r.buf[:from+some]
		}
		got, err := io.ReadFull(r.src, r.buf[from:])
		if err != nil {
			if from+got > 0 && errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		n -= some
	}
	return nil
}

// valueSizes are the lengths of header values by type; -1 stands for those that
// have a length of two bytes before them.
var valueSizes = [...]int{0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 6: -1, 7: -1, 8: 8, 9: 16}

const stringValue = 7

func (m *Message) readHeaders(b []byte) error {
	for len(b) > 0 {
		n := int(b[0])
		if n == 0 || len(b) < 1+n+1 {
			return fmt.Errorf("%w: a header is cut off", ErrFormat)
		}
		name, kind := b[1:1+n], int(b[1+n])
		b = b[2+n:]
		if kind >= len(valueSizes) {
			return fmt.Errorf("%w: a header of an unknown type", ErrFormat)
		}
		size := valueSizes[kind]
		if size < 0 {
			if len(b) < 2 {
				return fmt.Errorf("%w: a header is cut off", ErrFormat)
			}
			size, b = int(binary.BigEndian.Uint16(b)), b[2:]
		}
		if len(b) < size {
			return fmt.Errorf("%w: a header is cut off", ErrFormat)
		}
		if kind == stringValue {
			m.header(name, b[:size])
		}
		b = b[size:]
	}
	return nil
}

func (m *Message) header(name, value []byte) {
	switch string(name) {
	case ":message-type":
		m.Type = known(value)
	case ":event-type", ":exception-type", ":error-code":
		m.Name = known(value)
	case ":error-message":
		m.Text = string(value)
	}
}

// known is the value as a string, without an allocation for those that make up
// nearly all of a stream.
func known(value []byte) string {
	switch string(value) {
	case "event":
		return "event"
	case "contentBlockDelta":
		return "contentBlockDelta"
	case "chunk":
		return "chunk"
	}
	return string(value)
}
