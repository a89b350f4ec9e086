package app

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"halley/internal/adminapi"
	"halley/internal/clientip"
	"halley/internal/console"
	"halley/internal/modelapi"
	"halley/internal/telemetry"
)

// writeTimeout is how long one write waits for a reader that takes nothing.
const writeTimeout = time.Minute

// handlers builds the public handler and the one of the local socket.
func (a *App) handlers() (public, local http.Handler, err error) {
	s, cfg := a.services, a.cfg
	resolver := clientip.New(cfg.TrustedProxies)
	management, err := adminapi.New(adminapi.Base{
		Log: a.log, Auth: s.accounts, LocalIdentity: s.accounts.Operator, ClientIP: resolver,
		AllowedOrigins: cfg.CORS.AllowedOrigins, PublicURL: cfg.PublicURL, Version: a.version,
	}, a.management())
	if err != nil {
		return nil, nil, err
	}
	models := modelapi.New(modelapi.Config{
		Gateway: s.gateway, ClientIP: resolver, Log: a.log, MaxBody: int64(cfg.MaxBodyBytes),
		WriteTimeout: writeTimeout, AllowedOrigins: cfg.CORS.AllowedOrigins,
	})
	pages, err := console.New(a.version)
	if err != nil {
		return nil, nil, err
	}
	health := a.health()
	dispatch := func(management http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// What joins a base and a path with a slash too many still belongs to
			// an API, which says in its own shape that there is no such path.
			path := "/" + strings.TrimLeft(r.URL.Path, "/")
			switch {
			case path == "/v1" || strings.HasPrefix(path, "/v1/") || path == "/v1beta" || strings.HasPrefix(path, "/v1beta/"):
				models.ServeHTTP(w, r) // logs its own line, with the request's facts
			case path == "/api" || strings.HasPrefix(path, "/api/") || path == "/user/quota" || path == "/user/quota/":
				a.logged(management, w, r)
			case r.URL.Path == "/healthz" || r.URL.Path == "/readyz" || (r.URL.Path == "/metrics" && cfg.Metrics.Listen == ""):
				health.ServeHTTP(w, r)
			default:
				a.logged(pages, w, r)
			}
		})
	}
	return withRequestID(dispatch(management)), withRequestID(dispatch(management.Local())), nil
}

// withRequestID gives every request an id, its caller's own when that is
// acceptable, and puts it on the answer.
func withRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := telemetry.RequestID(r.Header.Get("X-Request-Id"))
		r.Header["X-Request-Id"] = []string{id}
		w.Header()["X-Request-Id"] = []string{id}
		next.ServeHTTP(w, r)
	})
}

// bounded gives a client so long to send its body. The server's own ReadTimeout
// would go on counting during the answer and cut streams; whoever reads a body
// to its end lifts this one. It stays for a body that nobody reads, because
// net/http reads the rest of it before it lets the answer out.
func bounded(limit time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit)) // a connection has one
		}
		next.ServeHTTP(w, r)
	})
}

// logged writes the one line of a request that is not a model request. The
// query is left out: it may carry a key.
func (a *App) logged(next http.Handler, w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	status := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	next.ServeHTTP(status, r)
	a.log.LogAttrs(r.Context(), slog.LevelInfo, "request",
		slog.String("request_id", r.Header.Get("X-Request-Id")), slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.Int("status", status.status), slog.Int64("latency_ms", time.Since(start).Milliseconds()))
}

// statusWriter remembers the status for the log.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
