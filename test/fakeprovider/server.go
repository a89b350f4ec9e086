package fakeprovider

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// SelectHeader picks the endpoint of a request that arrives under
// Server.ByHeader: its value is Endpoint.ID.
const SelectHeader = "X-Fake-Interaction"

// Server is an upstream with any number of endpoints, each under its own base
// URL, so that many tests and requests can use it at once.
type Server struct {
	// URL is where it listens, "http://127.0.0.1:PORT".
	URL string

	mu        sync.Mutex
	endpoints map[string]*Endpoint
}

// Start starts a server on loopback; it ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	s := New()
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		// Streams that stall on purpose would hold Close up.
		h.CloseClientConnections()
		h.Close()
	})
	s.URL = h.URL
	return s
}

// New is a server that a test puts behind a listener of its own.
func New() *Server {
	return &Server{endpoints: make(map[string]*Endpoint)}
}

// Answer writes one response. The server has read the request's body, which is
// in got. An answer that waits must end with the request's context.
type Answer func(w http.ResponseWriter, r *http.Request, got *Received)

// Endpoint is one base URL and what arrived at it.
type Endpoint struct {
	// ID is the endpoint's name in its URL and in SelectHeader.
	ID string
	// BaseURL is what a channel of kind openai is given, version included.
	BaseURL string

	mu       sync.Mutex
	queue    []Answer
	received []*Received
	arrived  chan struct{} // closed and replaced at each arrival
}

// Received is a request as it arrived.
type Received struct {
	Method string
	// Path is what follows the base URL, such as "/chat/completions".
	Path   string
	Query  string
	Header http.Header
	Body   []byte
	At     time.Time
	// Done is closed when the answer has ended; Gone tells, after that,
	// whether the client had left before.
	Done chan struct{}
	gone bool
	left time.Time
}

// Gone reports whether the client left before the answer was complete, and
// when the upstream learned of it. It waits for the answer to end.
func (r *Received) Gone() (time.Time, bool) {
	<-r.Done
	return r.left, r.gone
}

// Serve makes an endpoint that answers every request with the recording.
func (s *Server) Serve(in Interaction, options ...Option) *Endpoint {
	return s.Queue(Replay(in, options...))
}

// Queue makes an endpoint that gives the answers in their order, one a request,
// and the last one for ever.
func (s *Server) Queue(answers ...Answer) *Endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := &Endpoint{ID: "e" + strconv.Itoa(len(s.endpoints)+1), queue: answers, arrived: make(chan struct{})}
	e.BaseURL = s.URL + "/i/" + e.ID + "/v1"
	s.endpoints[e.ID] = e
	return e
}

// ByHeader is a base URL under which every request names its endpoint in
// SelectHeader: one channel then reaches them all.
func (s *Server) ByHeader() string { return s.URL + "/h/v1" }

// Forget drops an endpoint and what it received.
func (s *Server) Forget(e *Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endpoints[e.ID] = nil // kept as a key, so that IDs stay unique
}

// ServeHTTP finds the endpoint and lets it answer.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, path, ok := "", "", false
	switch {
	case strings.HasPrefix(r.URL.Path, "/i/"):
		id, path, ok = strings.Cut(strings.TrimPrefix(r.URL.Path, "/i/"), "/v1")
	case strings.HasPrefix(r.URL.Path, "/h/v1"):
		id, path, ok = r.Header.Get(SelectHeader), strings.TrimPrefix(r.URL.Path, "/h/v1"), true
	}
	s.mu.Lock()
	e := s.endpoints[id]
	s.mu.Unlock()
	if !ok || e == nil {
		http.Error(w, fmt.Sprintf("fakeprovider: no endpoint %q for %s", id, r.URL.Path), http.StatusTeapot)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client left while it was sending
	}
	got := &Received{
		Method: r.Method, Path: path, Query: r.URL.RawQuery, Header: r.Header.Clone(), Body: body,
		At: time.Now(), Done: make(chan struct{}),
	}
	answer := e.take(got)
	defer func() {
		if r.Context().Err() != nil {
			got.gone, got.left = true, time.Now()
		}
		close(got.Done)
	}()
	answer(w, r, got)
}

// Received are the requests so far, in the order of their arrival.
func (e *Endpoint) Received() []*Received {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]*Received(nil), e.received...)
}

// Await waits until n requests have arrived and gives them; less than n within
// 10 s ends the test.
func (e *Endpoint) Await(t testing.TB, n int) []*Received {
	t.Helper()
	late := time.NewTimer(10 * time.Second)
	defer late.Stop()
	for {
		e.mu.Lock()
		got, arrived := len(e.received), e.arrived
		e.mu.Unlock()
		if got >= n {
			return e.Received()
		}
		select {
		case <-arrived:
		case <-late.C:
			t.Fatalf("endpoint %s received %d requests, want %d", e.ID, got, n)
		}
	}
}

// take notes an arrival and gives the answer that is due.
func (e *Endpoint) take(got *Received) Answer {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.received = append(e.received, got)
	close(e.arrived)
	e.arrived = make(chan struct{})
	answer := e.queue[0]
	if len(e.queue) > 1 {
		e.queue = e.queue[1:]
	}
	return answer
}

// RefusedURL is a base URL at which nobody listens: connections are refused.
func RefusedURL(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String() + "/v1"
}
