package cli

import (
	"errors"
	"fmt"
	"log/slog"

	"halley/internal/app"
	"halley/internal/config"
)

type doctorCommand struct {
	Ledger bool `help:"Check the books instead: work every balance out again from its rows, and name each difference."`
}

// Run prints what was found; the exit code says whether something is wrong.
func (c doctorCommand) Run(r *run) error {
	cfg, err := r.config()
	if err != nil {
		r.print("FAIL  configuration: %s", err)
		r.print("      mend: correct the lines named above; docs/configuration.md explains every option")
		return errors.New("the configuration is not right")
	}
	options := app.Options{Version: r.process.Version, Log: slog.New(slog.DiscardHandler)}
	if c.Ledger {
		return r.checkBooks(cfg, options)
	}
	ill := 0
	for _, f := range app.Examine(r.ctx, cfg, options) {
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

// checkBooks prints every difference in the books.
func (r *run) checkBooks(cfg *config.Config, options app.Options) error {
	report, err := app.CheckBooks(r.ctx, cfg, options)
	if err != nil {
		return err
	}
	if report.Users == 0 { // a timer that checks the wrong one would never tell
		return errors.New("the database is empty: is it the one that halley serve uses?")
	}
	checked := fmt.Sprintf("%d keys, %d accounts and %d hours of usage", report.Keys, report.Users, report.Hours)
	if report.Total == 0 {
		r.print("ok    ledger: no differences in %s", checked)
		return nil
	}
	for _, d := range report.Differences {
		r.print("FAIL  %s", d)
	}
	if more := report.Total - int64(len(report.Differences)); more > 0 {
		r.print("      and %d more", more)
	}
	r.print("      money is in nano-USD; mend: docs/operations/reliability.md, \"Checking the books\"")
	return fmt.Errorf("the books differ from their rows in %d places, among %s", report.Total, checked)
}
