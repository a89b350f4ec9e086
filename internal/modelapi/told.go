package modelapi

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// told writes the one line of a request that leaves no usage record: a list, or
// a path or method that is refused.
func (s *Server) told(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		status := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next(status, r)
		s.Log.LogAttrs(context.Background(), slog.LevelInfo, "request",
			slog.String("request_id", requestID(r)), slog.String("method", r.Method), slog.String("path", r.URL.Path),
			slog.Int("status", status.status), slog.Int64("latency_ms", time.Since(start).Milliseconds()))
	}
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
