// Package app is the composition root: it builds every part from the
// configuration, starts them in order and stops them in the opposite one. It is
// the only package that imports all others; nobody imports it but the
// command line.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"halley/internal/config"
	"halley/internal/gateway"
	"halley/internal/store"
)

// App is a built server.
type App struct {
	cfg      *config.Config
	log      *slog.Logger
	version  string
	services *services
	node     *node

	door    *Door // nil when nobody is served
	socket  *localSocket
	metrics *metricsServer

	sweep   chan struct{}
	workers sync.WaitGroup
}

// Options are what the command line adds to the configuration.
type Options struct {
	Version string
	Log     *slog.Logger
	// DemoPace slows the built-in provider to a human pace; 0 in tests.
	DemoPace time.Duration

	// lookOnly leaves the usage journal to the server that may be running.
	lookOnly bool
	// patience is how long the data folder may be another process's.
	patience time.Duration
}

// Commands may run at once and wait for each other. A server waits for a
// command, but not for another server.
const (
	commandPatience = 10 * time.Second
	serverPatience  = 2 * time.Second
)

// Build opens the database, brings it up to date and wires everything, for a
// command. Nothing is served.
func Build(ctx context.Context, cfg *config.Config, o Options) (*App, error) {
	o.patience = commandPatience
	return build(ctx, cfg, o)
}

func build(ctx context.Context, cfg *config.Config, o Options) (*App, error) {
	s, err := newServices(ctx, cfg, o)
	if err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, log: o.Log, version: o.Version, services: s, sweep: make(chan struct{})}
	a.node = newNode(s.db, cfg, o.Version, o.Log)
	return a, nil
}

// Root makes sure that a root account exists. The password is only given when
// it was generated just now.
func (a *App) Root(ctx context.Context) (generated string, created bool, err error) {
	return a.services.accounts.EnsureRoot(ctx, a.cfg.RootPassword.Reveal())
}

// Start serves at the door, and opens the other listeners.
func (a *App) Start(ctx context.Context) error {
	handler, local, err := a.handlers()
	if err != nil {
		return err
	}
	a.services.recorder.Start()
	a.services.changes.start()
	a.services.limits.start()
	a.services.hints.start()
	a.services.checks.start()
	a.door.show(handler)
	if a.socket, err = openSocket(a.cfg.DataDir, newServer(a.door.requests, a.cfg, a.log, local)); err != nil {
		// Only commands on this machine miss it.
		a.log.Warn("commands cannot reach this server: the local socket could not be opened", "error", err)
	} else {
		a.serve("the local socket", a.socket.server, a.socket.listener)
	}
	if a.metrics, err = a.openMetrics(ctx); err != nil {
		return err
	}
	a.node.start(a.Addr(), a.socket.path())
	a.services.sharing.start()
	a.tidyUp()
	a.log.Info("ready", "address", a.URL(), "version", a.version, "database", a.services.db.Engine())
	return nil
}

// Addr is where the server listens, host:port.
func (a *App) Addr() string { return a.door.listener.Addr().String() }

// URL is the server's address for a browser on this machine.
func (a *App) URL() string { return a.door.URL() }

// Failed gives the error of a listener that ended by itself.
func (a *App) Failed() <-chan error { return a.door.failed }

func (a *App) serve(what string, server *http.Server, listener net.Listener) {
	a.workers.Go(func() {
		if err := server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			a.door.failed <- fmt.Errorf("serve %s: %w", what, err)
		}
	})
}

func newServer(requests context.Context, cfg *config.Config, log *slog.Logger, handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           bounded(cfg.Server.ReadTimeout, handler),
		ReadHeaderTimeout: cfg.Server.HeaderTimeout,
		IdleTimeout:       cfg.Server.IdleTimeout,
		// For clients that do not read. It counts from the headers on, so it has
		// room for the body and the slowest management call; the model API sets
		// a time of its own before each write.
		WriteTimeout:   cfg.Server.ReadTimeout + 2*writeTimeout,
		MaxHeaderBytes: 64 << 10,
		BaseContext:    func(net.Listener) context.Context { return requests },
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Drain refuses new requests and lets those under way finish, at most for the
// configured drain time; what is left then is ended with an honest error.
func (a *App) Drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.DrainTimeout)
	defer cancel()
	a.log.Info("draining", "limit", a.cfg.DrainTimeout)
	if err := a.services.gateway.Drain(ctx); err != nil {
		a.log.Warn("the drain time is over; ending the requests that are left")
		a.endRequests()
		last, stop := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer stop()
		_ = a.services.gateway.Drain(last) // what still hangs dies with its connection
	}
}

// endRequests ends the requests under way, those whose client has gone included.
func (a *App) endRequests() {
	a.door.endRequests(gateway.ErrShutdown)
	a.services.gateway.End()
}

// Close stops everything and writes what is still to be written.
func (a *App) Close(ctx context.Context) error {
	var errs []error
	a.node.stop(ctx)
	if a.door != nil {
		errs = append(errs, a.door.Close(ctx), a.socket.close(), a.metrics.close())
		a.endRequests()
		// One that was writing to a client that does not read has only now lost
		// its connection, and has its usage still to record.
		last, stop := context.WithTimeout(ctx, 5*time.Second)
		defer stop()
		if err := a.services.gateway.Drain(last); err != nil {
			a.log.Error("requests hang; their usage is not recorded")
		}
	}
	a.services.changes.stop()
	a.services.checks.stop()
	a.services.hints.stop()
	close(a.sweep)
	a.workers.Wait()
	errs = append(errs, a.services.close(ctx))
	return errors.Join(errs...)
}

// Local is the handler of the local socket, for commands in this process.
func (a *App) Local() (http.Handler, error) {
	_, local, err := a.handlers()
	return local, err
}

// LiveNodes are the servers that run on this database.
func (a *App) LiveNodes(ctx context.Context) ([]store.Node, error) {
	return a.services.db.LiveNodes(ctx, time.Now().Add(-3*beat))
}

// SameHost reports whether the node is on this machine.
func (a *App) SameHost(n store.Node) bool { return n.Hostname == a.node.line.Hostname }
