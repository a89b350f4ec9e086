// Package modelapi is the model endpoints' door: it picks up credential,
// address and body, hands the request to the gateway, and speaks the caller's
// dialect. This file is the route table. It must not know SQL, prices or how a
// channel is chosen.
package modelapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"halley/internal/clientip"
	"halley/internal/fault"
	"halley/internal/gateway"
	"halley/internal/provider"
	"halley/internal/wire/anthropic"
	"halley/internal/wire/cohere"
	"halley/internal/wire/openai"
)

// Config is what a Server is built from.
type Config struct {
	Gateway  *gateway.Gateway
	ClientIP *clientip.Resolver
	Log      *slog.Logger
	// MaxBody caps a request's body, in bytes.
	MaxBody int64
	// WriteTimeout bounds how long one write may wait for a slow reader. How
	// long a client may take to send its body is the server's to bound: it sets
	// a read deadline, which is lifted here once the body has come.
	WriteTimeout time.Duration
	// AllowedOrigins may call from a browser; none by default.
	AllowedOrigins []string
}

// Server serves /v1 and /v1beta.
type Server struct {
	Config
	mux *http.ServeMux
}

// New builds the server.
func New(c Config) *Server {
	s := &Server{Config: c, mux: http.NewServeMux()}

	s.route("/v1/chat/completions", http.MethodPost, s.generate(provider.Chat, openai.Format{}))
	s.route("/v1/completions", http.MethodPost, s.generate(provider.Completions, openai.Format{}))
	s.route("/v1/embeddings", http.MethodPost, s.generate(provider.Embeddings, openai.Format{}))
	s.route("/v1/rerank", http.MethodPost, s.generate(provider.Rerank, cohere.Rerank{}))
	s.route("/v2/rerank", http.MethodPost, s.generate(provider.Rerank, cohere.Rerank{}))
	s.route("/v1/responses", http.MethodPost, s.generate(provider.Responses, openai.Responses{}))
	s.mux.HandleFunc("/v1/responses/{id}", s.told(s.keptResponse))
	s.route("/v1/responses/{id}/input_items", http.MethodGet, s.told(s.inputItems))
	s.route("/v1/messages", http.MethodPost, s.generate(provider.Messages, anthropic.Messages{}))
	s.route("/v1/messages/count_tokens", http.MethodPost, s.generate(provider.CountMessages, anthropic.Messages{}))
	s.mux.HandleFunc("/v1beta/models", s.told(s.listGeminiModels))
	s.mux.HandleFunc("/v1beta/models/{call...}", s.geminiModel)
	s.route("/v1/models", http.MethodGet, s.told(s.listModels))
	s.route("/v1/models/{id...}", http.MethodGet, s.told(s.getModel))
	s.mux.HandleFunc("/", s.told(notFound))
	return s
}

// route serves one path: HEAD follows GET, another method is told which is
// right.
func (s *Server) route(path, method string, h http.HandlerFunc) {
	s.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == method || (method == http.MethodGet && r.Method == http.MethodHead) {
			h(w, r)
			return
		}
		s.told(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", method)
			fail(w, r, methodNotAllowed(r, method))
		})(w, r)
	})
}

// ServeHTTP serves a model request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer s.recovered(w, r)
	s.cors(w, r)
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if unclean(r.URL.Path) { // ServeMux would redirect, which drops bodies
		s.told(notFound)(w, r)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// recovered is deferred: it turns a panic outside of the gateway, which answers
// its own, into an answer.
func (s *Server) recovered(w http.ResponseWriter, r *http.Request) {
	if reason := recover(); reason != nil {
		s.Log.LogAttrs(context.Background(), slog.LevelError, "panic while serving a request",
			slog.String("request_id", requestID(r)), slog.String("panic", fmt.Sprint(reason)), slog.String("stack", string(debug.Stack())))
		fail(w, r, fault.New(fault.Internal, "internal_error", "Something went wrong on our side."))
	}
}

func (s *Server) cors(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return
	}
	for _, allowed := range s.AllowedOrigins {
		if origin == allowed || allowed == "*" {
			h := w.Header()
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Api-Key, X-Goog-Api-Key, Api-Key")
			h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
			h.Set("Access-Control-Expose-Headers", "X-Request-Id, X-Halley-Output-Cap, Retry-After")
			h.Add("Vary", "Origin")
		}
	}
}
