package chaos_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// manner is how the upstream treats a request.
type manner string

const (
	honest      manner = "honest"
	omits       manner = "omits usage"
	overstates  manner = "overstates usage" // reports more than it was allowed to say
	understates manner = "understates usage"
	stalls      manner = "stalls"       // in the middle of its answer, for good
	silent      manner = "never begins" // reads the request and says nothing
	resets      manner = "breaks off"   // in the middle of its answer
	refuses     manner = "answers 500"
)

// lies reports that what it says about usage is not what it served.
func (m manner) lies() bool { return m == overstates || m == understates }

// script tells the upstream what to do. It comes with the request, in a header
// that Halley passes on.
type script struct {
	ID     string        `json:"id"`
	Manner manner        `json:"manner"`
	Prompt int64         `json:"prompt"` // tokens it finds in the request
	Tokens int64         `json:"tokens"` // that it would say, were it allowed to
	Chunk  int64         `json:"chunk"`  // tokens in each event of a stream
	Pace   time.Duration `json:"pace"`   // before each event, or once for so many tokens
}

const scriptHeader = "X-Chaos"

// word is one output token: of four bytes, as by Halley's rule of thumb.
const word = "blah"

// upstream is an OpenAI-compatible provider that keeps its own account of what
// it served.
type upstream struct {
	url    string
	mu     sync.Mutex
	served map[string][]*serving
	active atomic.Int64
}

// serving is one request as the upstream saw it. It is read when nothing is
// served any more.
type serving struct {
	script
	Stream bool
	// Written is how many output tokens it sent, at the most: the gateway may
	// not have read the last of them.
	Written int64
	// Reported says that the usage was sent, or may have been; Prompt and
	// Completion are what it said.
	Reported   bool
	Completion int64
	Whole      bool // the answer was sent to its end
	Gone       bool // the gateway had left before
}

func startUpstream(t testing.TB) *upstream {
	u := &upstream{served: map[string][]*serving{}}
	server := httptest.NewServer(u)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	u.url = server.URL + "/v1"
	return u
}

// ServeHTTP answers as the request's script says.
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.active.Add(1)
	defer u.active.Add(-1)
	s := &serving{}
	var body struct {
		Model         string
		Stream        bool
		MaxTokens     int64 `json:"max_tokens"`
		StreamOptions struct {
			IncludeUsage bool `json:"include_usage"`
		} `json:"stream_options"`
	}
	if err := json.Unmarshal([]byte(r.Header.Get(scriptHeader)), &s.script); err != nil {
		http.Error(w, "chaos: no script: "+err.Error(), http.StatusTeapot)
		return
	}
	// Only a body that was read to its end lets the server see a peer leave.
	text, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(text, &body) != nil {
		panic(http.ErrAbortHandler) // the gateway was killed while it was sending
	}
	s.Stream = body.Stream
	u.mu.Lock()
	u.served[s.ID] = append(u.served[s.ID], s)
	u.mu.Unlock()
	defer func() { s.Gone = r.Context().Err() != nil }()

	tokens, finish := s.Tokens, "stop"
	if body.MaxTokens < tokens {
		tokens, finish = body.MaxTokens, "length"
	}
	s.Completion = tokens
	switch s.Manner {
	case overstates:
		s.Completion = 3*body.MaxTokens + 50
	case understates:
		s.Completion = (tokens + 3) / 4
	case silent:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case refuses:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `{"error":{"message":"out of order","type":"server_error","param":null,"code":"server_error"}}`)
		return
	}
	if body.Stream {
		s.stream(w, r, body.Model, tokens, finish, body.StreamOptions.IncludeUsage)
	} else {
		s.plain(w, r, body.Model, tokens, finish)
	}
}

func (s *serving) plain(w http.ResponseWriter, r *http.Request, model string, tokens int64, finish string) {
	s.pause(r, time.Duration(tokens/s.Chunk)*s.Pace)
	usage := ""
	if s.Manner != omits {
		usage = `,"usage":` + s.usage()
		s.Reported = s.Manner != resets && s.Manner != stalls // those are cut before
	}
	answer := fmt.Sprintf(`{"id":"c","object":"chat.completion","created":1766188800,"model":%q,"choices":[{"index":0,"message":{"role":"assistant","content":%q},"finish_reason":%q}]%s}`,
		model, strings.Repeat(word, int(tokens)), finish, usage)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", fmt.Sprint(len(answer)))
	s.Written = tokens
	switch s.Manner {
	case resets, stalls:
		s.send(w, answer[:len(answer)/2])
		s.breakOff(w, r)
	}
	s.send(w, answer)
	s.Whole = true
}

func (s *serving) stream(w http.ResponseWriter, r *http.Request, model string, tokens int64, finish string, reports bool) {
	event := func(choices, more string) {
		s.send(w, fmt.Sprintf("data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1766188800,\"model\":%q,\"choices\":[%s]%s}\n\n", model, choices, more))
	}
	w.Header().Set("Content-Type", "text/event-stream")
	half := tokens / 2
	for s.Written < tokens {
		s.pause(r, s.Pace)
		if (s.Manner == resets || s.Manner == stalls) && s.Written >= half {
			s.breakOff(w, r)
		}
		n := min(s.Chunk, tokens-s.Written)
		s.Written += n
		event(fmt.Sprintf(`{"index":0,"delta":{"content":%q},"finish_reason":null}`, strings.Repeat(word, int(n))), "")
	}
	event(fmt.Sprintf(`{"index":0,"delta":{},"finish_reason":%q}`, finish), "")
	if reports && s.Manner != omits {
		s.Reported = true
		event("", `,"usage":`+s.usage())
	}
	s.send(w, "data: [DONE]\n\n")
	s.Whole = true
}

func (s *serving) usage() string {
	return fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}`, s.Prompt, s.Completion, s.Prompt+s.Completion)
}

// send writes and flushes; a gateway that has gone ends the answer.
func (s *serving) send(w http.ResponseWriter, text string) {
	if _, err := w.Write([]byte(text)); err != nil {
		panic(http.ErrAbortHandler)
	}
	if http.NewResponseController(w).Flush() != nil {
		panic(http.ErrAbortHandler)
	}
}

// pause waits, unless the gateway goes.
func (s *serving) pause(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	}
}

// breakOff ends an answer in its middle: with a reset, or by waiting until the
// gateway gives up.
func (s *serving) breakOff(w http.ResponseWriter, r *http.Request) {
	if s.Manner == stalls {
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // or it would end politely
		}
		conn.Close()
	}
	panic(http.ErrAbortHandler)
}
