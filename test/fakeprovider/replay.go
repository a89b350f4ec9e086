package fakeprovider

import (
	"net/http"
	"strings"
)

// Option changes how a recording is served.
type Option func(*serving)

// InChunks sets how the body is cut; ByEvent unless said.
func InChunks(c Chunking) Option {
	return func(s *serving) { s.chunking = c }
}

// Replay answers with a recording: its status, its headers and its body's
// exact bytes.
func Replay(in Interaction, options ...Option) Answer {
	s := serving{chunking: ByEvent}
	for _, option := range options {
		option(&s)
	}
	sse := in.Response.IsSSE()
	pieces := s.chunking.Cut(in.Response.Body, sse)
	answer := func(w http.ResponseWriter, r *http.Request, _ *Received) {
		replayHead(w, in)
		for _, piece := range pieces {
			if r.Context().Err() != nil {
				return
			}
			if _, err := w.Write(piece); err != nil {
				return
			}
			flush(w)
		}
	}
	if s.fault != nil {
		return s.fault.answer(in, answer)
	}
	return answer
}

// serving is what the options set.
type serving struct {
	chunking Chunking
	fault    *Fault
}

// replayHead writes status and headers. Headers that describe the recorded
// connection rather than the answer are left to net/http; a content type that
// was not recorded is what the body is.
func replayHead(w http.ResponseWriter, in Interaction) {
	for name, value := range in.Response.Headers {
		switch strings.ToLower(name) {
		case "content-length", "transfer-encoding", "connection", "content-encoding", "date":
		default:
			w.Header().Set(name, value)
		}
	}
	if w.Header().Get("Content-Type") == "" {
		kind := "application/json"
		if in.Response.IsSSE() {
			kind = "text/event-stream"
		}
		w.Header().Set("Content-Type", kind)
	}
	w.WriteHeader(in.Response.Status)
}

// flush pushes out what has been written.
func flush(w http.ResponseWriter) {
	// It fails only when the connection is gone, which the next write says.
	_ = http.NewResponseController(w).Flush()
}
