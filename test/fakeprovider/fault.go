package fakeprovider

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Kind is a way for an upstream to fail. Refused connections are RefusedURL.
type Kind string

// The kinds of fault.
const (
	ResetBeforeHeaders Kind = "reset-before-headers" // the connection is reset, nothing was sent
	ResetMidBody       Kind = "reset-mid-body"       // reset after After events (half of a plain body)
	BlackHole          Kind = "black-hole"           // the request is read and never answered
	SlowHeaders        Kind = "slow-headers"         // answers well, once released
	StallBeforeToken   Kind = "stall-before-token"   // headers at once, the body once released
	StallMidStream     Kind = "stall-mid-stream"     // After events (half of a plain body), the rest once released
	Status             Kind = "status"               // an error answer with the status Code
	ErrorIn200         Kind = "error-in-200"         // 200 with an error body
	Empty200           Kind = "empty-200"            // 200 without a body
	HTML200            Kind = "html-200"             // 200 with a web page
	Truncated          Kind = "truncated"            // After events, then the body ends as if complete: no [DONE]
	InvalidChunk       Kind = "invalid-chunk"        // After events, one whose data is not JSON, then the rest
)

// Fault is a failure to serve a recording with.
type Fault struct {
	Kind Kind
	// After is how many events of a stream pass first; 0 means 1, and never
	// all of them.
	After int
	// Code is the status of kind Status: 401, 402, 429, 500, 503, 529…
	Code int
	// RetryAfter is that header's value for kind Status, "" for none.
	RetryAfter string
	// Release ends a stall when it is closed; nil never does.
	Release <-chan struct{}
	// Max bounds a stall that is not released, after which the connection is
	// cut; 0 is 30 s. The request's context ends it sooner.
	Max time.Duration
}

// Failing serves a recording with a fault.
func Failing(f Fault) Option {
	return func(s *serving) { s.fault = &f }
}

// Statuses are the upstream errors that gateways meet, for tests that go
// through each: with and without Retry-After where that means something.
func Statuses() []Fault {
	return []Fault{
		{Kind: Status, Code: 401},
		{Kind: Status, Code: 402},
		{Kind: Status, Code: 429},
		{Kind: Status, Code: 429, RetryAfter: "7"},
		{Kind: Status, Code: 500},
		{Kind: Status, Code: 503},
		{Kind: Status, Code: 503, RetryAfter: "7"},
		{Kind: Status, Code: 529},
	}
}

// answer is the failing answer; whole is the recording's own.
func (f Fault) answer(in Interaction, whole Answer) Answer {
	sse := in.Response.IsSSE()
	events := ByEvent.Cut(in.Response.Body, sse)
	if !sse {
		half := len(in.Response.Body) / 2
		events = [][]byte{in.Response.Body[:half], in.Response.Body[half:]}
	}
	after := min(max(f.After, 1), max(len(events)-1, 1))
	first, rest := events[:min(after, len(events))], events[min(after, len(events)):]

	switch f.Kind {
	case ResetBeforeHeaders:
		return func(w http.ResponseWriter, _ *http.Request, _ *Received) { reset(w) }
	case ResetMidBody:
		return func(w http.ResponseWriter, _ *http.Request, _ *Received) {
			replayHead(w, in)
			send(w, first)
			reset(w)
		}
	case BlackHole:
		return func(_ http.ResponseWriter, r *http.Request, _ *Received) {
			f.stall(r, false)
			panic(http.ErrAbortHandler)
		}
	case SlowHeaders:
		return func(w http.ResponseWriter, r *http.Request, got *Received) {
			f.stall(r, true)
			whole(w, r, got)
		}
	case StallBeforeToken:
		return func(w http.ResponseWriter, r *http.Request, _ *Received) {
			replayHead(w, in)
			flush(w)
			f.stall(r, true)
			send(w, events)
		}
	case StallMidStream:
		return func(w http.ResponseWriter, r *http.Request, _ *Received) {
			replayHead(w, in)
			send(w, first)
			f.stall(r, true)
			send(w, rest)
		}
	case Status:
		return func(w http.ResponseWriter, _ *http.Request, _ *Received) {
			if f.RetryAfter != "" {
				w.Header().Set("Retry-After", f.RetryAfter)
			}
			writeError(w, f.Code, statusCode(f.Code), fmt.Sprintf("The upstream answers %d because the test asked for it.", f.Code))
		}
	case ErrorIn200:
		return func(w http.ResponseWriter, _ *http.Request, _ *Received) {
			writeError(w, http.StatusOK, "server_error", "An error in the dress of a success.")
		}
	case Empty200:
		return func(w http.ResponseWriter, _ *http.Request, _ *Received) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusOK)
		}
	case HTML200:
		return func(w http.ResponseWriter, _ *http.Request, _ *Received) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write([]byte("<!doctype html><title>Sign in</title><p>Please sign in to continue.\n"))
		}
	case Truncated:
		return func(w http.ResponseWriter, _ *http.Request, _ *Received) {
			replayHead(w, in)
			send(w, first)
		}
	case InvalidChunk:
		return func(w http.ResponseWriter, _ *http.Request, _ *Received) {
			replayHead(w, in)
			send(w, first)
			send(w, [][]byte{[]byte("data: {\"choices\":[{\"delta\":{\"content\":\"cut in the midd\n\n")})
			send(w, rest)
		}
	}
	panic("fakeprovider: unknown fault " + strconv.Quote(string(f.Kind)))
}

// stall waits to be released; a client that leaves and a Max that passes abort
// the answer instead.
func (f Fault) stall(r *http.Request, releasable bool) {
	most := f.Max
	if most == 0 {
		most = 30 * time.Second
	}
	limit := time.NewTimer(most)
	defer limit.Stop()
	release := f.Release
	if !releasable {
		release = nil
	}
	select {
	case <-release:
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	case <-limit.C:
		panic(http.ErrAbortHandler)
	}
}

// send writes pieces with a flush each.
func send(w http.ResponseWriter, pieces [][]byte) {
	for _, piece := range pieces {
		if _, err := w.Write(piece); err != nil {
			return
		}
		flush(w)
	}
}

// reset cuts the connection so that the peer sees a reset, not an end.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2 or a recorder: the nearest there is
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it Close would end the connection politely
	}
	_ = conn.Close()
}

// statusCode is the error code an OpenAI-compatible provider puts beside a status.
func statusCode(status int) string {
	switch status {
	case 401:
		return "invalid_api_key"
	case 402:
		return "insufficient_balance"
	case 429:
		return "rate_limit_exceeded"
	case 529:
		return "overloaded"
	}
	return "server_error"
}
