package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// maxAnswer bounds a body, so that a target gone wild cannot fill the memory.
const maxAnswer = 16 << 20

// flaw is what is wrong with an answer: the reason is one of a few words that
// errors are counted under, the detail is for the reader of the first one.
type flaw struct {
	reason string
	detail string
}

func (f *flaw) Error() string { return f.reason + ": " + f.detail }

// answer is one HTTP/1.1 response, read to its end.
type answer struct {
	status    int
	body      []byte
	firstByte time.Time // when the body began to arrive
	lastByte  time.Time
	closes    bool // the connection cannot be used again
}

// readAnswer reads one response; its body is appended to buf[:0].
func readAnswer(r *bufio.Reader, buf []byte) (answer, error) {
	a := answer{body: buf[:0]}
	line, err := readLine(r)
	if err != nil {
		return a, err
	}
	version, rest, _ := bytes.Cut(line, []byte(" "))
	code, _, _ := bytes.Cut(rest, []byte(" "))
	if a.status, err = strconv.Atoi(string(code)); err != nil || !bytes.HasPrefix(version, []byte("HTTP/1.")) {
		return a, &flaw{"malformed answer", fmt.Sprintf("status line %q", line)}
	}
	length, chunked, err := a.readHeader(r)
	if err != nil {
		return a, err
	}
	if chunked || length != 0 {
		_, _ = r.Peek(1) // wait; what it says of a broken connection the next read says again
	}
	a.firstByte = time.Now()
	switch {
	case chunked:
		err = a.readChunks(r)
	case length >= 0:
		err = a.readBytes(r, length)
	default:
		a.closes = true
		err = a.readRest(r)
	}
	a.lastByte = time.Now()
	return a, err
}

// readHeader reads up to the empty line and reports how the body is framed;
// length is -1 when no Content-Length says it.
func (a *answer) readHeader(r *bufio.Reader) (length int, chunked bool, err error) {
	length = -1
	for {
		line, err := readLine(r)
		if err != nil || len(line) == 0 {
			return length, chunked, err
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 {
				return 0, false, &flaw{"malformed answer", fmt.Sprintf("Content-Length %q", value)}
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("connection")):
			a.closes = bytes.EqualFold(value, []byte("close"))
		}
	}
}

func (a *answer) readChunks(r *bufio.Reader) error {
	for {
		line, err := readLine(r)
		if err != nil {
			return err
		}
		digits, _, _ := bytes.Cut(line, []byte(";"))
		size, err := strconv.ParseUint(string(bytes.TrimSpace(digits)), 16, 31)
		if err != nil {
			return &flaw{"malformed answer", fmt.Sprintf("chunk size %q", line)}
		}
		if size == 0 {
			return skipTrailer(r)
		}
		if err := a.readBytes(r, int(size)); err != nil {
			return err
		}
		if line, err = readLine(r); err != nil {
			return err
		}
		if len(line) != 0 {
			return &flaw{"malformed answer", "a chunk is longer than it says"}
		}
	}
}

func (a *answer) readBytes(r *bufio.Reader, n int) error {
	start := len(a.body)
	if start+n > maxAnswer {
		return &flaw{"malformed answer", "the body is too large"}
	}
	a.body = append(a.body, make([]byte, n)...)
	read, err := io.ReadFull(r, a.body[start:])
	a.body = a.body[:start+read]
	return broken(err)
}

func (a *answer) readRest(r *bufio.Reader) error {
	body, err := io.ReadAll(io.LimitReader(r, maxAnswer))
	a.body = append(a.body, body...)
	return broken(err)
}

func skipTrailer(r *bufio.Reader) error {
	for {
		if line, err := readLine(r); err != nil || len(line) == 0 {
			return err
		}
	}
}

// readLine yields a line without its end, valid until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return nil, broken(err)
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

// broken names what ended a read.
func broken(err error) error {
	switch timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); {
	case err == nil:
		return nil
	case ok && timeout.Timeout():
		return &flaw{"timeout", err.Error()}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &flaw{"cut short", err.Error()}
	case errors.Is(err, bufio.ErrBufferFull):
		return &flaw{"malformed answer", "a header line is too long"}
	default:
		return &flaw{"connection broken", err.Error()}
	}
}

// check says what is wrong with a whole answer to w, or nil.
func (a *answer) check(w *Workload) error {
	switch {
	case a.status != 200:
		return &flaw{"status " + strconv.Itoa(a.status), excerpt(a.body)}
	case w.Chunks > 0:
		return checkStream(a.body, w.Chunks)
	default:
		return checkPlain(a.body)
	}
}

// checkPlain wants one JSON object with an answer and its usage. It does not
// parse: the reader has seen the body to its end already.
func checkPlain(body []byte) error {
	body = bytes.TrimSpace(body)
	whole := bytes.HasPrefix(body, []byte("{")) && bytes.HasSuffix(body, []byte("}"))
	if !whole || !bytes.Contains(body, []byte(`"choices"`)) || !bytes.Contains(body, []byte(`"usage"`)) {
		return &flaw{"not a completion", excerpt(body)}
	}
	return nil
}

// checkStream wants exactly n events that carry an object, then [DONE], then
// nothing. Comments and foreign fields may stand anywhere.
func checkStream(body []byte, n int) error {
	chunks, done := 0, false
	for line := range bytes.Lines(body) {
		data, ok := bytes.CutPrefix(line, []byte("data:"))
		if !ok {
			continue
		}
		data = bytes.TrimSpace(data)
		switch {
		case done:
			return &flaw{"data after [DONE]", excerpt(data)}
		case string(data) == "[DONE]":
			done = true
		case bytes.HasPrefix(data, []byte(`{"error"`)):
			return &flaw{"error event", excerpt(data)}
		case bytes.HasPrefix(data, []byte("{")) && bytes.HasSuffix(data, []byte("}")):
			chunks++
		default:
			return &flaw{"malformed event", excerpt(data)}
		}
	}
	switch {
	case !done:
		return &flaw{"no [DONE]", fmt.Sprintf("the stream ends after %d chunks", chunks)}
	case !bytes.HasSuffix(body, []byte("\n\n")) && !bytes.HasSuffix(body, []byte("\r\n\r\n")):
		return &flaw{"malformed event", "the last event does not end with an empty line"}
	case chunks != n:
		return &flaw{"wrong number of chunks", fmt.Sprintf("%d instead of %d", chunks, n)}
	}
	return nil
}

func excerpt(body []byte) string {
	return string(body[:min(len(body), 300)])
}
