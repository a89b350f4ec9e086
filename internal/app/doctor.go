package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"halley/internal/audit"
	"halley/internal/channel"
	"halley/internal/config"
	"halley/internal/reconcile"
	"halley/internal/seal"
	"halley/internal/store"
	"halley/internal/usage/journal"
)

// Finding is one thing that the doctor looked at.
type Finding struct {
	What string // "database"
	OK   bool
	Text string // what was seen
	Mend string // what to do about it, when it is not OK
}

// Examine checks everything a server needs, as far as it gets, and changes
// nothing but a schema that is out of date.
func Examine(ctx context.Context, cfg *config.Config, o Options) []Finding {
	findings := []Finding{{What: "configuration", OK: true, Text: "read and valid"}, proxies(cfg)}
	master, err := masterKey(cfg)
	if err != nil {
		findings = append(findings, Finding{What: "master key", Text: err.Error(), Mend: "restore the master.key file that the database was first started with, or set HALLEY_MASTER_KEY to it"})
	}
	db, err := store.Open(ctx, cfg.Database.URL.Reveal(), o.Log)
	if err != nil {
		return append(findings, Finding{What: "database", Text: err.Error(), Mend: "check database.url (HALLEY_DATABASE_URL), that the server runs and accepts the account, and that the disk is not full"})
	}
	if err := db.Close(); err != nil {
		findings = append(findings, Finding{What: "database", Text: err.Error(), Mend: "check the disk"})
	}
	findings = append(findings, Finding{What: "database", OK: true, Text: fmt.Sprintf("%s answers, the schema is up to date", db.Engine())})
	if master == nil {
		return findings
	}
	findings = append(findings, journalFinding(cfg))
	o.lookOnly = true
	a, err := Build(ctx, cfg, o)
	if err != nil {
		return append(findings, Finding{What: "master key", Text: err.Error(), Mend: "restore the master.key file that the database was first started with, or set HALLEY_MASTER_KEY to it"})
	}
	defer func() { _ = a.Close(context.WithoutCancel(ctx)) }() // nothing was written
	findings = append(findings, Finding{What: "master key", OK: true, Text: "opens what the database holds (" + masterKeyPlace(cfg) + ")"}, a.clock(ctx), a.trail(ctx))
	return append(findings, a.channelFindings(ctx)...)
}

// CheckBooks works every balance out again from its rows. It only reads, and in
// one snapshot, so that servers may be at work on the database.
func CheckBooks(ctx context.Context, cfg *config.Config, o Options) (reconcile.Report, error) {
	db, err := store.Open(ctx, cfg.Database.URL.Reveal(), o.Log)
	if err != nil {
		return reconcile.Report{}, err
	}
	report, err := db.Reconcile(ctx, reconcile.Most)
	return report, errors.Join(err, db.Close())
}

// CheckAudit checks the chain of the audit trail. It only reads, and servers may
// be at work on the database. noted is an earlier head, "" for none.
func CheckAudit(ctx context.Context, cfg *config.Config, o Options, noted string) (audit.Report, error) {
	master, err := masterKey(cfg)
	if err != nil {
		return audit.Report{}, err
	}
	db, err := store.Open(ctx, cfg.Database.URL.Reveal(), o.Log)
	if err != nil {
		return audit.Report{}, err
	}
	var report audit.Report
	if err = seal.Check(ctx, master, db); err == nil {
		report, err = audit.NewService(db, master, time.Now).Verify(ctx, noted)
	}
	return report, errors.Join(err, db.Close())
}

// trail checks the audit trail.
func (a *App) trail(ctx context.Context) Finding {
	report, err := a.services.audit.Verify(ctx, "")
	switch {
	case err != nil:
		return Finding{What: "audit trail", Text: err.Error(), Mend: "check the database"}
	case report.Broken != nil:
		return Finding{What: "audit trail", Text: report.Broken.String(), Mend: "find out who can write to the database; docs/operations/identity.md, \"The audit trail\""}
	}
	return Finding{What: "audit trail", OK: true, Text: fmt.Sprintf("%d records follow each other, to %s", report.Records, report.HeadText())}
}

func masterKeyPlace(cfg *config.Config) string {
	if cfg.MasterKey.Reveal() != "" {
		return "from the configuration"
	}
	return filepath.Join(cfg.DataDir, "master.key")
}

// proxies judges whose word about client addresses is taken.
func proxies(cfg *config.Config) Finding {
	f := Finding{What: "trusted proxies", OK: true, Text: "none: X-Forwarded-For is ignored and a client's address is that of its connection"}
	for _, p := range cfg.TrustedProxies {
		if p.Bits() == 0 {
			return Finding{What: "trusted proxies", Text: p.String() + " trusts the whole internet: anybody can claim any address and pass a key's IP list", Mend: "list only the addresses of your own proxies in trusted_proxies (HALLEY_TRUSTED_PROXIES)"}
		}
		f.Text = fmt.Sprintf("%d networks may say who the client is", len(cfg.TrustedProxies))
	}
	host, _, err := net.SplitHostPort(cfg.Listen)
	if addr, bad := netip.ParseAddr(host); err == nil && (bad != nil || !addr.IsLoopback()) && len(cfg.TrustedProxies) == 0 {
		f.Text += "; with a proxy in front, list it, or every client has the proxy's address"
	}
	return f
}

// journalFinding tells what the usage journal holds.
func journalFinding(cfg *config.Config) Finding {
	f := Finding{What: "usage journal"}
	found, aside, err := journal.Look(journalDir(cfg))
	switch {
	case err != nil:
		f.Text, f.Mend = err.Error(), "make "+journalDir(cfg)+" readable and writable for Halley, on a local disk with free space"
	case found.Damaged > 0:
		f.Text = fmt.Sprintf("%d stretches cannot be read", found.Damaged)
		f.Mend = "check the disk; the next start skips them, keeps the files in " + filepath.Join(journalDir(cfg), "damaged") + " and applies the rest"
	case len(aside) > 0:
		f.Text = fmt.Sprintf("%d damaged files were kept: %s", len(aside), aside[0])
		f.Mend = "check the disk, see the log of that start for the records that are missing, then move the files away (docs/operations/reliability.md)"
	default:
		f.OK, f.Text = true, fmt.Sprintf("%d records wait for the database, in %d files of %d bytes", found.Records, found.Segments, found.Bytes)
	}
	return f
}

// clock compares this machine's clock with the database's.
func (a *App) clock(ctx context.Context) Finding {
	const most = 5 * time.Second
	theirs, err := a.services.db.Clock(ctx)
	if err != nil {
		return Finding{What: "clock", Text: err.Error(), Mend: "check the database"}
	}
	off := time.Since(theirs).Abs()
	if off > most {
		return Finding{What: "clock", Text: fmt.Sprintf("this machine and the database are %s apart (or a record is from the future)", off.Round(time.Second)), Mend: "run a time service (chrony, systemd-timesyncd) on both: expiry and renewing budgets go by the clock"}
	}
	return Finding{What: "clock", OK: true, Text: fmt.Sprintf("within %s of the database's", most)}
}

// channelFindings asks every enabled channel for its model list.
func (a *App) channelFindings(ctx context.Context) []Finding {
	channels := a.services.channels.All()
	if len(channels) == 0 {
		return []Finding{{What: "channels", Text: "there is none, so no model can be served", Mend: "add one: halley channel add --help"}}
	}
	var findings []Finding
	errs := a.askChannels(ctx, channels)
	for i, ch := range channels {
		f := Finding{What: fmt.Sprintf("channel %d (%s)", ch.ID, ch.Name), OK: true, Text: "answers"}
		if ch.Status != channel.Enabled {
			f.Text = "disabled, not asked"
		} else if err := errs[i]; err != nil {
			f.OK, f.Text, f.Mend = false, err.Error(), "check the channel's base_url and key: halley channel test "+fmt.Sprint(ch.ID)
		}
		findings = append(findings, f)
	}
	return findings
}
