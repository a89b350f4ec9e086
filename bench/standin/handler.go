package main

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// bytesPerToken turns a request's size into an honest-looking prompt count.
const bytesPerToken = 4

const maxBody = 16 << 20

// handler answers the endpoints; the pool spares it a buffer per request.
type handler struct {
	answers *answers
	buffers sync.Pool // of *bytes.Buffer: the request's body, then the answer
}

// newHandler serves streams of the given number of chunks.
func newHandler(chunks int) http.Handler {
	h := &handler{
		answers: render(chunks),
		buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", h.chat)
	mux.HandleFunc("POST /v1/embeddings", h.embed)
	mux.HandleFunc("GET /v1/models", h.models)
	return mux
}

func (h *handler) chat(w http.ResponseWriter, r *http.Request) {
	h.withBody(w, r, func(buf *bytes.Buffer) {
		body := buf.Bytes()
		promptTokens := len(body) / bytesPerToken
		if isTrue(body, "stream") {
			h.stream(w, buf, promptTokens, isTrue(body, "include_usage"))
			return
		}
		h.json(w, buf, h.answers.plain, promptTokens)
	})
}

func (h *handler) embed(w http.ResponseWriter, r *http.Request) {
	h.withBody(w, r, func(buf *bytes.Buffer) {
		h.json(w, buf, h.answers.embedding, buf.Len()/bytesPerToken)
	})
}

func (h *handler) models(w http.ResponseWriter, _ *http.Request) {
	send(w, h.answers.models)
}

// stream sends each chunk on its own, as a provider does.
func (h *handler) stream(w http.ResponseWriter, buf *bytes.Buffer, promptTokens int, withUsage bool) {
	w.Header().Set("Content-Type", "text/event-stream")
	flusher := http.NewResponseController(w)
	put := func(p []byte) bool {
		if _, err := w.Write(p); err != nil {
			return false
		}
		return flusher.Flush() == nil
	}
	chunks := h.answers.chunks
	if withUsage {
		chunks = h.answers.asked
	}
	for _, chunk := range chunks {
		if !put(chunk) {
			return // the client is gone
		}
	}
	if withUsage && !put(h.answers.usage.fill(buf.AvailableBuffer(), promptTokens)) {
		return
	}
	put(h.answers.done)
}

func (h *handler) json(w http.ResponseWriter, buf *bytes.Buffer, t template, promptTokens int) {
	buf.Reset()
	send(w, t.fill(buf.AvailableBuffer(), promptTokens))
}

func send(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // a client that is gone needs no answer
}

// withBody reads the whole request into a pooled buffer and lends it to answer.
func (h *handler) withBody(w http.ResponseWriter, r *http.Request, answer func(*bytes.Buffer)) {
	buf := h.buffers.Get().(*bytes.Buffer)
	buf.Reset()
	defer h.buffers.Put(buf)
	if _, err := io.Copy(buf, http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		http.Error(w, `{"error":{"message":"the body cannot be read","type":"invalid_request_error"}}`, http.StatusBadRequest)
		return
	}
	answer(buf)
}
