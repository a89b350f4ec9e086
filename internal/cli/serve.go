package cli

import (
	"context"
	"errors"
	standardlog "log"
	"runtime/debug"
	"time"

	"github.com/alecthomas/kong"

	"halley/internal/app"
	"halley/internal/config"
	"halley/internal/telemetry"
)

// serveCommand is the production server.
type serveCommand struct{ kong.Plugins }

// Run serves until the process is told to stop.
func (c serveCommand) Run(r *run) error {
	cfg, err := r.config(overrides(c.Plugins)...)
	if err != nil {
		return err
	}
	return r.serve(cfg, 0, func(a *app.App) error {
		r.print("Halley is ready at %s", a.URL())
		return nil
	})
}

// tuneCollector keeps the heap small: it is mostly bodies in flight, collecting
// twice as often costs about one per cent of CPU, and a third of the memory is
// saved. An operator's own GOGC stands.
func (r *run) tuneCollector() {
	if _, set := r.process.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(50)
	}
}

// serve builds, starts, runs and stops a server, and prints the root password
// if one was made. ready is called once requests are served.
func (r *run) serve(cfg *config.Config, demoPace time.Duration, ready func(a *app.App) error) (err error) {
	r.tuneCollector()
	log := telemetry.NewLogger(r.process.Stderr, cfg.Log.Format, cfg.Log.Level)
	standardlog.SetOutput(telemetry.Standard(log)) //nolint:forbidigo // it is set up, not written to
	ending := context.WithoutCancel(r.ctx)
	door, err := app.OpenDoor(r.ctx, cfg, log)
	if err != nil {
		return err
	}
	a, password, err := app.BuildWaiting(r.ctx, cfg, app.Options{Version: r.process.Version, Log: log, DemoPace: demoPace}, door)
	if a == nil {
		return errors.Join(err, door.Close(ending))
	}
	defer func() {
		stop, cancel := context.WithTimeout(ending, 30*time.Second)
		defer cancel()
		err = errors.Join(err, a.Close(stop))
	}()
	if err != nil {
		return err
	}
	if password != "" { // before anything can fail: it is not known anywhere else
		r.print("A root account was made. Its one-time password, shown only now:\n\n    user      root\n    password  %s\n\nSign in with it and change it.", password)
	}
	if err := a.Start(r.ctx); err != nil {
		return err
	}
	if err := ready(a); err != nil {
		return err
	}
	select {
	case <-r.ctx.Done():
		a.Drain(ending)
		return nil
	case err := <-a.Failed():
		return err
	}
}
