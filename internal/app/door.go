package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"halley/internal/adminapi"
	"halley/internal/config"
	"halley/internal/fault"
	"halley/internal/modelapi"
	"halley/internal/store"
)

// Door is the main listener. It is open before the database is: until the
// server is built, requests are told to come back, and /readyz says what is
// being waited for.
type Door struct {
	log      *slog.Logger
	listener net.Listener
	server   *http.Server
	handler  atomic.Pointer[http.Handler]
	failed   chan error
	served   chan struct{}

	// requests is the context of every request; ended with gateway.ErrShutdown
	// when the drain time is over.
	requests    context.Context
	endRequests context.CancelCauseFunc
}

// OpenDoor listens on the configured address.
func OpenDoor(ctx context.Context, cfg *config.Config, log *slog.Logger) (*Door, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", cfg.Listen, err)
	}
	d := &Door{log: log, listener: listener, failed: make(chan error, 4), served: make(chan struct{})}
	d.requests, d.endRequests = context.WithCancelCause(context.Background())
	d.show(withRequestID(http.HandlerFunc(notYet)))
	d.server = newServer(d.requests, cfg, log, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*d.handler.Load()).ServeHTTP(w, r)
	}))
	go func() { // ends with the listener; Close waits
		defer close(d.served)
		if err := d.server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			d.failed <- fmt.Errorf("serve the API: %w", err)
		}
	}()
	return d, nil
}

// URL is the door's address for a browser on this machine.
func (d *Door) URL() string { return "http://" + d.listener.Addr().String() }

func (d *Door) show(h http.Handler) { d.handler.Store(&h) }

// Close ends what is still under way and waits for the listener.
func (d *Door) Close(ctx context.Context) error {
	stop, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var err error
	if d.server.Shutdown(stop) != nil {
		err = d.server.Close()
	}
	<-d.served
	return err
}

// notYet answers while the database has not been reached.
func notYet(w http.ResponseWriter, r *http.Request) {
	f := fault.New(fault.Unavailable, "store_unavailable", "The server is waiting for its database; try again shortly.").Retry(2 * time.Second)
	switch path := r.URL.Path; {
	case path == "/healthz":
		plain(w, http.StatusOK, "ok")
	case strings.HasPrefix(path, "/v1"):
		modelapi.Refuse(w, r, f)
	case strings.HasPrefix(path, "/api"):
		adminapi.Refuse(w, f)
	default:
		plain(w, http.StatusServiceUnavailable, "waiting for the database")
	}
}

// BuildWaiting is Build for a server whose database may be away. It sees to it
// that a root account exists, too; password is the one that was generated for it
// just now, else "". The server serves at the door, and closes it in the end.
func BuildWaiting(ctx context.Context, cfg *config.Config, o Options, door *Door) (a *App, password string, err error) {
	o.patience = serverPatience
	err = waiting(ctx, o.Log, func() error {
		a, err = build(ctx, cfg, o)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	a.door = door
	err = waiting(ctx, o.Log, func() error {
		password, _, err = a.Root(ctx)
		return err
	})
	return a, password, err
}

// waiting does what needs the database again and again until the database is
// there, or ctx ends. Anything else that is wrong is told at once.
func waiting(ctx context.Context, log *slog.Logger, do func() error) error {
	const longest = 5 * time.Second
	ended := false
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, longest) {
		err := do()
		switch {
		case err == nil:
			return nil
		case store.Away(err):
			ended = false
		case !ended && errors.Is(err, io.ErrUnexpectedEOF):
			ended = true // a connection, or something that the next look finds again
		default:
			return err
		}
		log.Warn("waiting for the database", "error", err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("stopped while waiting for the database: %w", err)
		case <-time.After(wait):
		}
	}
}
