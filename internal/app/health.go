package app

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"halley/internal/telemetry"
)

// health answers /healthz (the process lives), /readyz (send it requests) and
// /metrics.
func (a *App) health() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	mux.HandleFunc("/readyz", a.ready)
	mux.Handle("/metrics", a.guardedMetrics())
	return mux
}

// ready is false while draining and before the database has ever answered. A
// database that blinks does not pull the node out: known keys go on being
// served, and the answer says so.
func (a *App) ready(w http.ResponseWriter, r *http.Request) {
	if a.services.gateway.Draining() {
		plain(w, http.StatusServiceUnavailable, "draining")
		return
	}
	if a.services.recorder.Full() {
		plain(w, http.StatusServiceUnavailable, "no charged request is taken on: the disk of the usage journal is full, or too many usage records wait for the database")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := a.services.db.Ping(ctx); err != nil {
		plain(w, http.StatusOK, "ok, but the database does not answer: known keys are served, usage waits in the journal")
		return
	}
	if !a.services.changes.heard() {
		plain(w, http.StatusOK, "ok, but notices from other servers do not arrive: their changes are looked for twice a second")
		return
	}
	plain(w, http.StatusOK, "ok")
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text) // the prober may be gone
}

// guardedMetrics asks for the bearer token when one is configured.
func (a *App) guardedMetrics() http.Handler {
	metrics := telemetry.Handler(a.services.metrics)
	token := a.cfg.Metrics.Token.Reveal()
	if token == "" {
		return metrics
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+token)) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			plain(w, http.StatusUnauthorized, "the metrics token is missing or wrong")
			return
		}
		metrics.ServeHTTP(w, r)
	})
}

// metricsServer serves /metrics on an address of its own.
type metricsServer struct{ server *http.Server }

func (a *App) openMetrics(ctx context.Context) (*metricsServer, error) {
	if a.cfg.Metrics.Listen == "" {
		return nil, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.cfg.Metrics.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics on %s: %w", a.cfg.Metrics.Listen, err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", a.guardedMetrics())
	m := &metricsServer{server: newServer(a.door.requests, a.cfg, a.log, mux)}
	a.serve("the metrics", m.server, listener)
	return m, nil
}

func (m *metricsServer) close() error {
	if m == nil {
		return nil
	}
	if err := m.server.Close(); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("close the metrics server: %w", err)
	}
	return nil
}
