package cli

import (
	"errors"
	"fmt"
	"log/slog"

	"halley/internal/app"
)

// auditCommands are about the audit trail.
type auditCommands struct {
	Verify auditVerifyCommand `cmd:"" help:"Check that no record of the audit trail was changed or taken out."`
}

type auditVerifyCommand struct {
	Noted string `help:"The head that an earlier check printed: it must still be in the trail. What was cut off at the end shows only so." placeholder:"ID:HASH"`
}

// Run checks the chain; it only reads, so servers may be at work.
func (c auditVerifyCommand) Run(r *run) error {
	cfg, err := r.config()
	if err != nil {
		return err
	}
	report, err := app.CheckAudit(r.ctx, cfg, app.Options{Version: r.process.Version, Log: slog.New(slog.DiscardHandler)}, c.Noted)
	if err != nil {
		return err
	}
	if report.Broken != nil {
		r.print("FAIL  audit trail: %s", *report.Broken)
		r.print("      mend: docs/operations/identity.md, \"The audit trail\"")
		return errors.New("the audit trail does not hold")
	}
	from := "from its beginning"
	if report.Anchor.ID > 0 {
		from = fmt.Sprintf("after record %d", report.Anchor.ID)
	}
	r.print("ok    audit trail: %d records %s follow each other", report.Records, from)
	r.print("      head %s", report.HeadText())
	return nil
}
