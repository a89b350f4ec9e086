package hardening_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// line is a connection on which a test writes its own bytes.
type line struct {
	conn *net.TCPConn
	r    *bufio.Reader
}

// dial opens a connection on which everything must happen within patience.
func (w *world) dial(t testing.TB) *line {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.server.BaseURL, "http://"))
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(patience))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &line{conn.(*net.TCPConn), bufio.NewReader(conn)}
}

// send writes text, its lines' ends made those of HTTP.
func (l *line) send(t testing.TB, text string) {
	t.Helper()
	if _, err := l.conn.Write([]byte(strings.ReplaceAll(text, "\n", "\r\n"))); err != nil {
		t.Fatal(err)
	}
}

// answer reads the next answer. One that does not come is a failure of the
// test, and has the status 0.
func (l *line) answer(t testing.TB, what, method string) answer {
	t.Helper()
	resp, err := http.ReadResponse(l.r, &http.Request{Method: method})
	if err != nil {
		t.Errorf("%s: no answer: %v", what, err)
		return answer{header: http.Header{}}
	}
	got, err := readAnswer(resp)
	if err != nil {
		t.Errorf("%s: an answer that is cut: %v", what, err)
	}
	return got
}

// mustClose waits until the server has ended the connection.
func (l *line) mustClose(t testing.TB, what string) {
	t.Helper()
	if rest, err := io.ReadAll(l.r); isTimeout(err) {
		t.Errorf("%s: the server keeps the connection open; it said %q", what, rest)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
