package app

import (
	"context"
	"time"
)

// chore is something that is done now and then as long as the server runs.
// Several servers may do it at once.
type chore struct {
	every, within time.Duration
	do            func(context.Context) error
	failed        string // what the log says of an error that the last time had not
}

// tidyUp begins what keeps memory and database tidy.
func (a *App) tidyUp() {
	s := a.services
	for _, c := range []chore{
		// Balances that nobody uses any more.
		{time.Minute, 30 * time.Second, func(ctx context.Context) error { return s.ledger.Sweep(ctx, 15*time.Minute) }, "leases that nobody uses cannot be given back; trying again"},
		// Responses whose time is over.
		{10 * time.Minute, time.Minute, s.kept.Sweep, "kept responses whose time is over cannot be dropped; trying again"},
		// When keys' values were last used, and those that have ended.
		{5 * time.Second, 5 * time.Second, s.keys.Tidy, "the values of keys cannot be tidied up; trying again"},
		// What counts for rate limits, for a process that is killed.
		{30 * time.Second, time.Minute, func(context.Context) error { return s.limits.save() }, restartAnew},
		{time.Hour, time.Minute, a.pruneAudit, "the audit trail cannot be pruned; trying again in an hour"},
	} {
		a.workers.Go(func() { a.repeat(c) })
	}
}

// repeat does the chore, until the server stops.
func (a *App) repeat(c chore) {
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-a.sweep:
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), c.within)
		err := c.do(ctx)
		cancel()
		if err != nil && !failing {
			a.log.Warn(c.failed, "error", err)
		}
		failing = err != nil
	}
}

// pruneAudit deletes what the option audit_days no longer keeps of the audit
// trail. Of several servers who comes second finds nothing.
func (a *App) pruneAudit(ctx context.Context) error {
	days := a.services.options.Current().AuditDays
	if days == 0 {
		return nil
	}
	n, err := a.services.audit.Prune(ctx, clock()().AddDate(0, 0, -int(days)))
	if n > 0 {
		a.log.Info("old records of the audit trail were deleted", "records", n, "days_kept", days)
	}
	return err
}
