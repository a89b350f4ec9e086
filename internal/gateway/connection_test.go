package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"halley/internal/clientip"
	"halley/internal/gateway"
	"halley/internal/modelapi"
	"halley/internal/usage"
)

// door serves the house's model API on a real connection. stop ends the
// requests under way as a server does whose drain time is over.
func (h *house) door(t *testing.T) (address string, stop func()) {
	t.Helper()
	requests, end := context.WithCancelCause(context.Background())
	server := httptest.NewUnstartedServer(modelapi.New(modelapi.Config{Gateway: h.Gateway, ClientIP: clientip.New(nil), Log: h.Log, MaxBody: 1 << 20}))
	server.Config.BaseContext = func(net.Listener) context.Context { return requests }
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), func() { end(gateway.ErrShutdown); h.End() }
}

// dial opens a connection and sends a request with the given length, of which
// body is the beginning.
func dial(t *testing.T, address string, length int, body string) *net.TCPConn {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", keyValue, length, body); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn) //nolint:forcetypeassert // dialled as tcp
}

// ended waits for the request's record.
func (h *house) ended(t *testing.T) usage.Record {
	t.Helper()
	select {
	case <-h.recorded:
	case <-time.After(10 * time.Second):
		t.Fatal("the request leaves no record")
	}
	return h.settled()
}

// Half of all clients that hang up, at least, free the upstream within the
// 100 ms that are promised; a machine that is busy may delay some.
func TestAClientThatLeavesFreesTheUpstreamAtOnce(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		ask   string
		begin func(w http.ResponseWriter)
	}{
		"while a plain answer is waited for": {plainAsk, nil},
		"before a stream's first event":      {streamAsk, nil},
		"in mid-stream":                      {streamAsk, func(w http.ResponseWriter) { streams(w, chunk(words)) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			took := make([]time.Duration, 5)
			for i := range took {
				begun, freed := make(chan struct{}), make(chan time.Time, 1)
				h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.ReadAll(r.Body)
					if row.begin != nil {
						row.begin(w)
					} else {
						close(begun)
					}
					<-r.Context().Done()
					freed <- time.Now()
				})
				address, _ := h.door(t)
				conn := dial(t, address, len(row.ask), row.ask)
				if row.begin != nil {
					if _, err := bufio.NewReader(conn).ReadString(':'); err != nil {
						t.Fatal(err)
					}
				} else {
					<-begun
				}
				left := time.Now()
				_ = conn.Close() // as far as it comes, it is the client's leaving
				took[i] = (<-freed).Sub(left)
				if r := h.ended(t); r.Status != 499 || r.ErrorCode != "client_closed_request" {
					t.Errorf("record %+v", r)
				}
			}
			slices.Sort(took)
			if took[len(took)/2] > 100*time.Millisecond {
				t.Errorf("the upstream was freed after %v", took)
			}
		})
	}
}

func TestAClientThatHangsUpInItsBodyLeavesARecord(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(http.ResponseWriter, *http.Request) { t.Error("the upstream was called") })
	address, _ := h.door(t)
	if err := dial(t, address, 1000, plainAsk).Close(); err != nil {
		t.Fatal(err)
	}
	if r := h.ended(t); r.Status != 499 || r.ErrorCode != "client_closed_request" || r.Cost != 0 {
		t.Errorf("record %+v", r)
	}
}

// One that only stops sending looks the same as one that is gone, but may read
// on: it must not take silence for an answer.
func TestAClientThatClosesItsSideIsToldThatItGotNothing(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		ask    string
		begin  string
		status int
	}{
		"plain":  {plainAsk, "", 499},
		"stream": {streamAsk, chunk(words), 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arrived := make(chan struct{})
			h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.ReadAll(r.Body)
				if row.begin != "" {
					streams(w, row.begin)
				}
				close(arrived)
				<-r.Context().Done()
			})
			address, _ := h.door(t)
			conn := dial(t, address, len(row.ask), row.ask)
			<-arrived
			body := bufio.NewReader(conn)
			if row.begin != "" {
				if _, err := body.Peek(1); err != nil { // the answer has begun
					t.Fatal(err)
				}
			}
			if err := conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if status, text := answer(t, conn, body); status != row.status || (row.begin != "" && !strings.Contains(text, ourError)) {
				t.Errorf("the client got %d %s", status, text)
			}
		})
	}
}

func TestAShutdownEndsARequestWhoseBodyDoesNotCome(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(http.ResponseWriter, *http.Request) { t.Error("the upstream was called") })
	authenticated := make(chan struct{})
	h.authenticated = func() { close(authenticated) }
	address, stop := h.door(t)
	conn := dial(t, address, 1000, plainAsk)
	<-authenticated
	stop()
	if status, body := answer(t, conn, bufio.NewReader(conn)); status != 503 || !strings.Contains(body, "shutting_down") {
		t.Errorf("the client got %d %s", status, body)
	}
	if r := h.ended(t); r.Status != 503 || r.ErrorCode != "shutting_down" || r.Cost != 0 {
		t.Errorf("record %+v", r)
	}
}

func answer(t *testing.T, conn net.Conn, from *bufio.Reader) (status int, body string) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(from, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestAskingForNothingLeavesNoRecord(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(http.ResponseWriter, *http.Request) { t.Error("the upstream was called") })
	address, _ := h.door(t)
	for method, want := range map[string]int{http.MethodHead: 405, http.MethodGet: 405, http.MethodOptions: 204} {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+"/v1/chat/completions", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+keyValue)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: status %d, want %d", method, resp.StatusCode, want)
		}
	}
	if len(h.records) != 0 {
		t.Errorf("%d records", len(h.records))
	}
}
