package failover_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"halley/test/fakeprovider"
)

// upstream is a provider at an address of its own that can be broken and healed.
type upstream struct {
	t       *testing.T
	address string
	server  *http.Server
	fault   atomic.Pointer[fault] // nil: it answers well
	asked   atomic.Int64          // requests that came while it was broken
	crowd   crowd
	back    crowd // of those that came after it was healed

	mu     sync.Mutex
	ending context.Context // ends what hangs in the present fault
	end    context.CancelFunc
}

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{t: t, end: func() {}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u.address = l.Addr().String()
	u.serve(l)
	t.Cleanup(func() {
		u.release()
		u.close()
	})
	return u
}

func (u *upstream) url() string { return "http://" + u.address + "/v1" }

func (u *upstream) serve(l net.Listener) {
	u.server = &http.Server{Handler: u, ReadHeaderTimeout: time.Minute}
	served := u.server
	go func() { _ = served.Serve(door{l, u}) }() // until it is closed
}

// door hands connections to the server, but for those that a deaf upstream
// keeps and never reads from.
type door struct {
	net.Listener
	upstream *upstream
}

func (d door) Accept() (net.Conn, error) {
	for {
		conn, err := d.Listener.Accept()
		f := d.upstream.fault.Load()
		if err != nil || f == nil || !f.deaf {
			return conn, err
		}
		d.upstream.asked.Add(1)
		context.AfterFunc(d.upstream.over(), func() { _ = conn.Close() })
	}
}

func (u *upstream) close() { _ = u.server.Close() }

// breaks begins the fault.
func (u *upstream) breaks(f *fault) {
	u.mu.Lock()
	u.ending, u.end = context.WithCancel(context.Background())
	u.mu.Unlock()
	u.fault.Store(f)
	if f.refuses {
		closing := u.server
		go func() { _ = closing.Shutdown(context.Background()) }() // what is under way comes to its end
	}
}

// heals ends it.
func (u *upstream) heals() error {
	f := u.fault.Swap(nil)
	u.release() // what hangs is let go
	if !f.refuses {
		return nil
	}
	l, err := net.Listen("tcp", u.address)
	if err != nil {
		return err
	}
	u.serve(l)
	return nil
}

func (u *upstream) release() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.end()
}

// over ends with the present fault.
func (u *upstream) over() context.Context {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.ending
}

// ServeHTTP answers as the fault says.
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f := u.fault.Load()
	if f == nil {
		u.crowd.enter()
		defer u.crowd.now.Add(-1)
		if u.asked.Load() > 0 {
			u.back.enter()
			defer u.back.now.Add(-1)
		}
		fakeprovider.Script()(w, r, &fakeprovider.Received{Method: r.Method, Path: r.URL.Path, Header: r.Header, Body: body})
		return
	}
	u.asked.Add(1)
	f.serve(&exchange{upstream: u, w: w, r: r, body: body, stream: bytes.Contains(body, []byte(`"stream":true`))})
}

// exchange is one request that is answered badly.
type exchange struct {
	*upstream
	w      http.ResponseWriter
	r      *http.Request
	body   []byte
	stream bool
}

// hang waits until the fault ends or the caller has left.
func (x *exchange) hang() {
	select {
	case <-x.over().Done():
	case <-x.r.Context().Done():
	}
	panic(http.ErrAbortHandler)
}

// reset ends the connection at once.
func (x *exchange) reset() {
	conn, _, err := x.w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// raw writes pieces to the connection, as far apart as it says, and closes it.
func (x *exchange) raw(apart time.Duration, pieces ...string) {
	conn, _, err := x.w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	for i, piece := range pieces {
		if i > 0 && !pause(x.over(), apart) {
			return
		}
		if _, err := io.WriteString(conn, piece); err != nil {
			return
		}
	}
}

// mostTaken is what the gateway may take of an endless body: the 256 MiB that it
// holds of a plain answer at the most, and what is on its way meanwhile.
const mostTaken = 256<<20 + 32<<20

// pour writes an answer of the kind that was asked for as fast as it is read; it
// has no end, and as a stream it is one event.
func (x *exchange) pour() {
	x.head()
	begin := `{"choices":[`
	if x.stream {
		begin = "data: " + begin
	}
	x.write(begin)
	spaces := bytes.Repeat([]byte(" "), 64<<10)
	taken := 0
	for x.over().Err() == nil {
		n, err := x.w.Write(spaces)
		if taken += n; taken > mostTaken {
			x.t.Errorf("the gateway takes more than %d bytes of an endless body", mostTaken)
			return
		}
		if err != nil {
			return
		}
	}
}

// trickle writes on and on what says nothing, often enough not to be idle: spaces
// in a plain answer, comments in a stream.
func (x *exchange) trickle() {
	x.head()
	nothing := " "
	if x.stream {
		nothing = ": still working\n\n"
	}
	for pause(x.over(), patience/8) && x.r.Context().Err() == nil {
		x.write(nothing)
	}
}

// head begins an answer of the kind that was asked for.
func (x *exchange) head() {
	kind := "application/json"
	if x.stream {
		kind = "text/event-stream"
	}
	x.w.Header().Set("Content-Type", kind)
	x.w.WriteHeader(http.StatusOK)
	x.flush()
}

func (x *exchange) flush() { _ = http.NewResponseController(x.w).Flush() }

func (x *exchange) write(text string) {
	_, _ = io.WriteString(x.w, text)
	x.flush()
}

// half writes the first of an answer.
func (x *exchange) half() {
	x.head()
	if x.stream {
		x.write(`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Half of a"},"finish_reason":null}]}` + "\n\n")
	} else {
		x.write(`{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"mess`)
	}
}

// says answers with a status and a body.
func (x *exchange) says(status int, kind, body string) {
	x.w.Header().Set("Content-Type", kind)
	x.w.WriteHeader(status)
	_, _ = io.WriteString(x.w, body)
}

// fault is a way to fail.
type fault struct {
	name  string
	serve func(x *exchange)
	// refuses says that nobody listens meanwhile, deaf that nobody reads.
	refuses, deaf bool
	// base is the channel's address when it is another than the upstream's; such a
	// fault does not end.
	base func(u *upstream) string
	// midStream says that a stream has begun when it strikes: nothing is tried
	// again then, and the client is told.
	midStream bool
	// waits says that a time limit ends it: the channels have short ones. All others
	// have long ones, so that a slow machine is not taken for another fault.
	waits bool
	// total is the channels' total_ms where no other limit ends it. It is the
	// request's time as well: when it is used up nothing is tried again.
	total time.Duration
	// huge says that an attempt takes much memory, so that there is one at a time.
	huge bool
	// status and code are what a client is told that has no other channel; body is
	// part of what the upstream said, where that comes back.
	status int
	code   string
	body   string
}

// The bodies are as providers send them. Those that recordedBodies names are
// recorded traffic, but for the spaces; for the others there is no recording.
const (
	openAIKey   = `{"error":{"message":"Incorrect API key provided: sk-REDACTED. You can find your API key at https://platform.openai.com/account/api-keys.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`
	openAIQuota = `{"error":{"message":"You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`
	rateLimit   = `{"error":{"code":429,"message":"Provider returned error","metadata":{"provider_name":"Google","raw":"google/gemini-2.0-flash-exp:free is temporarily rate-limited upstream. Please retry shortly, or add your own key to accumulate your rate limits: https://openrouter.ai/settings/integrations"}},"user_id":"user_REDACTED"}`
	// Anthropic's for a 400, as users report it; its documentation has the shape.
	lowCredit = `{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."}}`
	// DeepSeek's documentation has the status 402 and the message; the rest is as
	// users report it.
	deepSeek402 = `{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}`
	// xAI's, as users report it.
	xAICredits = `{"code":"permission-denied","error":"Your team has either used all available credits or reached its monthly spending limit. To continue making API requests, please purchase more credits or raise your spending limit."}`
	// One API's, the gateway that many resellers run, from its source and its users.
	oneAPIQuota = `{"error":{"message":"user quota is not enough","type":"one_api_error","param":"","code":"insufficient_user_quota"}}`
	// Anthropic's documentation.
	overload = `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`
	// OpenAI's documentation has the message, its users the rest.
	serverError = `{"error":{"message":"The server had an error while processing your request. Sorry about that!","type":"server_error","param":null,"code":null}}`
	// Of no provider: what a proxy in between may say.
	page = "<!doctype html><title>Sign in</title><p>Please sign in to continue.\n"
)

// recordedBodies says where in the recorded traffic a body is.
func recordedBodies() map[string]string {
	return map[string]string{
		openAIKey:   "openai/openai.chat/error_401/testlm-test-exception-event-recorded-on-lm-error--0.json",
		openAIQuota: "openai/openai.responses/error_400/openai-error-1--0.json", // the 429 that it comes with, too, is in OpenAI's documentation
		rateLimit:   "openrouter/openai.chat/error_429/openrouter-errors-raised--0.json",
	}
}

func status(code int, body string) func(x *exchange) {
	return func(x *exchange) { x.says(code, "application/json", body) }
}

// faults are all there are; each serves plain requests and streams.
func faults() []*fault {
	own := func(f *fault) *fault { // the upstream said nothing for a client
		if f.status == 0 {
			f.status = 502
		}
		f.code = "upstream_error"
		return f
	}
	return []*fault{
		own(&fault{name: "connection refused", serve: (*exchange).reset, refuses: true}),
		own(&fault{name: "reset before headers", serve: (*exchange).reset}),
		own(&fault{name: "reset after headers", serve: func(x *exchange) { x.head(); x.reset() }}),
		own(&fault{name: "black hole", serve: (*exchange).hang, waits: true, status: 504}),
		own(&fault{name: "a socket that nobody reads", serve: (*exchange).hang, deaf: true, waits: true, status: 504}),
		own(&fault{name: "slow headers", serve: func(x *exchange) {
			x.raw(patience/8, strings.Split("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", "")...)
		}, waits: true, status: 504}),
		own(&fault{name: "stall before the first token", serve: func(x *exchange) { x.head(); x.hang() }, waits: true, status: 504}),
		own(&fault{name: "stall in mid-stream", serve: func(x *exchange) { x.half(); x.hang() }, midStream: true, waits: true, status: 504}),
		{name: "429 with Retry-After", serve: func(x *exchange) { x.w.Header().Set("Retry-After", "1"); x.says(429, "application/json", rateLimit) }, status: 429, body: "temporarily rate-limited"},
		{name: "429 without Retry-After", serve: status(429, rateLimit), status: 429, body: "temporarily rate-limited"},
		{name: "500", serve: status(500, serverError), status: 500, body: "Sorry about that"},
		{name: "503", serve: status(503, serverError), status: 503, body: "Sorry about that"},
		{name: "529", serve: status(529, overload), status: 529, body: "Overloaded"},
		own(&fault{name: "401", serve: status(401, openAIKey)}),
		own(&fault{name: "402", serve: status(402, deepSeek402)}),
		own(&fault{name: "insufficient quota in a 400", serve: status(400, openAIQuota)}),
		own(&fault{name: "too low a credit in a 400", serve: status(400, lowCredit)}),
		own(&fault{name: "insufficient quota in a 403", serve: status(403, oneAPIQuota)}),
		own(&fault{name: "no credits left in a 403", serve: status(403, xAICredits)}),
		own(&fault{name: "insufficient quota in a 429", serve: status(429, openAIQuota)}),
		own(&fault{name: "200 with an error body", serve: status(200, serverError)}),
		own(&fault{name: "200 empty", serve: status(200, "")}),
		own(&fault{name: "200 with a web page", serve: func(x *exchange) { x.says(200, "text/html", page) }}),
		own(&fault{name: "truncated answer", serve: func(x *exchange) { x.half() }, midStream: true}),
		own(&fault{name: "reset in mid-stream", serve: func(x *exchange) { x.half(); x.reset() }, midStream: true}),
		own(&fault{name: "invalid JSON chunk", serve: func(x *exchange) { x.half(); x.write("data: {\"choices\":[{\"delta\":{\"content\":\"cut\n\n") }, midStream: true}),
		own(&fault{name: "a length that is not kept", serve: func(x *exchange) {
			x.raw(0, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n{\"choices\":[")
		}}),
		own(&fault{name: "endless body", serve: (*exchange).pour, huge: true}),
		own(&fault{name: "endless trickle", serve: (*exchange).trickle, total: time.Second, waits: true, status: 504}),
		own(&fault{name: "not HTTP", serve: func(x *exchange) { x.raw(0, "220 mail.example ESMTP\r\n") }}),
		own(&fault{name: "redirect", serve: func(x *exchange) {
			x.w.Header().Set("Location", "https://example.com/")
			x.says(302, "text/html", page)
		}}),
		{name: "404 with a web page", serve: func(x *exchange) { x.says(404, "text/html", page) }, status: 404, body: "Sign in"},
		own(&fault{name: "TLS that fails", serve: status(200, ""), base: func(u *upstream) string { return "https://" + u.address + "/v1" }}),
		own(&fault{name: "a name that does not resolve", serve: status(200, ""), base: func(*upstream) string { return "http://no-such-host.invalid/v1" }}),
	}
}

// TestRecordedBodiesAreAsRecorded holds the bodies against the recordings that
// they are said to be from.
func TestRecordedBodiesAreAsRecorded(t *testing.T) {
	t.Parallel()
	lib := fakeprovider.Fixtures(t)
	for body, file := range recordedBodies() {
		found, err := lib.Load(func(m fakeprovider.Meta) bool { return m.File == file })
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %d recordings, %v", file, len(found), err)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, found[0].Response.Body); err != nil || compact.String() != body || found[0].Authenticity != "recorded" {
			t.Errorf("%s: %s (%s, %v), want %s", file, compact.Bytes(), found[0].Authenticity, err, body)
		}
	}
}
