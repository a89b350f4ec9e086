package load

import (
	"bufio"
	"errors"
	"strings"
	"testing"
)

const (
	event  = "data: {\"choices\":[]}\n\n"
	done   = "data: [DONE]\n\n"
	head   = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
	object = `{"choices":[],"usage":{}}`
)

func TestReadAnswerKnowsEveryFraming(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, wire, body string
		status           int
		closes           bool
	}{
		{"content length", head + "Content-Length: 5\r\n\r\nhello", "hello", 200, false},
		{"empty body", "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n", "", 401, false},
		{"chunks", head + "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", "hello", 200, false},
		{"chunks with a trailer", head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n", "hello", 200, false},
		{"until close", head + "\r\nhello", "hello", 200, true},
		{"close announced", head + "Connection: close\r\nContent-Length: 5\r\n\r\nhello", "hello", 200, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a, err := readAnswer(bufio.NewReader(strings.NewReader(tc.wire)), nil)
			if err != nil {
				t.Fatal(err)
			}
			if string(a.body) != tc.body || a.status != tc.status || a.closes != tc.closes {
				t.Errorf("got %d %q, closes %v", a.status, a.body, a.closes)
			}
		})
	}
}

func TestReadAnswerNamesWhatIsBroken(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, wire, reason string }{
		{"nothing", "", "cut short"},
		{"not HTTP", "SSH-2.0-x\r\n\r\n", "malformed answer"},
		{"body too short", head + "Content-Length: 9\r\n\r\nhello", "cut short"},
		{"no last chunk", head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "cut short"},
		{"chunk longer than said", head + "Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n", "malformed answer"},
		{"chunk size not hexadecimal", head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "malformed answer"},
		{"huge chunk", head + "Transfer-Encoding: chunked\r\n\r\n7fffffff\r\n", "malformed answer"},
		{"negative length", head + "Content-Length: -1\r\n\r\n", "malformed answer"},
		{"endless header", head + "X: " + strings.Repeat("x", 10_000), "malformed answer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := readAnswer(bufio.NewReader(strings.NewReader(tc.wire)), nil)
			wantReason(t, err, tc.reason)
		})
	}
}

func TestOnlyAWholeAnswerIsGood(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		status int
		chunks int
		body   string
		reason string // "" when good
	}{
		{"completion", 200, 0, object, ""},
		{"completion and a newline", 200, 0, object + "\n", ""},
		{"completion cut", 200, 0, object[:len(object)-2], "not a completion"},
		{"completion without usage", 200, 0, `{"choices":[]}`, "not a completion"},
		{"another object", 200, 0, `{"error":{"message":"no"}}`, "not a completion"},
		{"refused", 402, 0, object, "status 402"},
		{"stream", 200, 2, event + event + done, ""},
		{"stream with comments and carriage returns", 200, 1, ": hi\r\n\r\nevent: x\r\ndata:{\"a\":1}\r\n\r\ndata:[DONE]\r\n\r\n", ""},
		{"stream refused", 429, 2, event + event + done, "status 429"},
		{"no DONE", 200, 2, event + event, "no [DONE]"},
		{"empty stream", 200, 2, "", "no [DONE]"},
		{"one chunk lost", 200, 2, event + done, "wrong number of chunks"},
		{"usage chunk not taken out", 200, 2, event + event + event + done, "wrong number of chunks"},
		{"chunk cut", 200, 2, event + "data: {\"choices\n\n" + done, "malformed event"},
		{"end of the last event lost", 200, 1, event + "data: [DONE]\n", "malformed event"},
		{"error in the stream", 200, 2, event + "data: {\"error\":{}}\n\n" + done, "error event"},
		{"DONE twice", 200, 1, event + done + done, "data after [DONE]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := answer{status: tc.status, body: []byte(tc.body)}
			err := a.check(&Workload{Chunks: tc.chunks})
			if tc.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantReason(t, err, tc.reason)
		})
	}
}

func FuzzReadAnswer(f *testing.F) {
	f.Add(head + "Content-Length: 5\r\n\r\nhello")
	f.Add(head + "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n0\r\n\r\n")
	f.Add(head + "\r\n" + event + done)
	f.Fuzz(func(t *testing.T, wire string) {
		a, err := readAnswer(bufio.NewReader(strings.NewReader(wire)), nil)
		if len(a.body) > len(wire) {
			t.Errorf("a body of %d bytes out of %d", len(a.body), len(wire))
		}
		if _, ok := errors.AsType[*flaw](err); err != nil && !ok {
			t.Errorf("an error without a reason: %v", err)
		}
		_ = checkStream(a.body, 1)
	})
}

func wantReason(t *testing.T, err error, reason string) {
	t.Helper()
	f, ok := errors.AsType[*flaw](err)
	if !ok || f.reason != reason {
		t.Errorf("got %v, want the reason %q", err, reason)
	}
}
