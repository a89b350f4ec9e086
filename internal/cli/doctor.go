package cli

import (
	"errors"
	"log/slog"

	"halley/internal/app"
)

type doctorCommand struct{}

// Run prints what was found; the exit code says whether something is wrong.
func (doctorCommand) Run(r *run) error {
	cfg, err := r.config()
	if err != nil {
		r.print("FAIL  configuration: %s", err)
		r.print("      mend: correct the lines named above; docs/configuration.md explains every option")
		return errors.New("the configuration is not right")
	}
	ill := 0
	for _, f := range app.Examine(r.ctx, cfg, app.Options{Version: r.process.Version, Log: slog.New(slog.DiscardHandler)}) {
		if f.OK {
			r.print("ok    %s: %s", f.What, f.Text)
			continue
		}
		ill++
		r.print("FAIL  %s: %s", f.What, f.Text)
		r.print("      mend: %s", f.Mend)
	}
	switch ill {
	case 0:
		return nil
	case 1:
		return errors.New("one thing needs mending")
	}
	return errors.New("several things need mending")
}
