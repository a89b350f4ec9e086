package app

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"halley/internal/adminapi"
	"halley/internal/audit"
	"halley/internal/channel"
	"halley/internal/config"
	"halley/internal/reconcile"
	"halley/internal/seal"
	"halley/internal/speech"
	"halley/internal/store"
	"halley/internal/usage/journal"
)

// Finding is one thing that the doctor looked at.
type Finding = adminapi.Finding

// Examine checks everything a server needs, as far as it gets, and changes
// nothing but a schema that is out of date.
func Examine(ctx context.Context, cfg *config.Config, o Options) []Finding {
	findings := []Finding{{What: speech.Say("configuration"), OK: true, Text: speech.Say("read and valid")}, proxies(cfg)}
	master, err := masterKey(cfg)
	if err != nil {
		findings = append(findings, Finding{What: speech.Say("master key"), Text: speech.Phrase(err.Error()), Mend: speech.Say("restore the master.key file that the database was first started with, or set HALLEY_MASTER_KEY to it")})
	}
	db, err := store.Open(ctx, cfg.Database.URL.Reveal(), o.Log)
	if err != nil {
		return append(findings, Finding{What: speech.Say("database"), Text: speech.Phrase(err.Error()), Mend: speech.Say("check database.url (HALLEY_DATABASE_URL), that the server runs and accepts the account, and that the disk is not full")})
	}
	if err := db.Close(); err != nil {
		findings = append(findings, Finding{What: speech.Say("database"), Text: speech.Phrase(err.Error()), Mend: speech.Say("check the disk")})
	}
	findings = append(findings, Finding{What: speech.Say("database"), OK: true, Text: speech.Say("%s answers, the schema is up to date", db.Engine())})
	if master == nil {
		return findings
	}
	findings = append(findings, journalFinding(cfg))
	o.lookOnly = true
	a, err := Build(ctx, cfg, o)
	if err != nil {
		return append(findings, Finding{What: speech.Say("master key"), Text: speech.Phrase(err.Error()), Mend: speech.Say("restore the master.key file that the database was first started with, or set HALLEY_MASTER_KEY to it")})
	}
	defer func() { _ = a.Close(context.WithoutCancel(ctx)) }() // nothing was written
	findings = append(findings, Finding{What: speech.Say("master key"), OK: true, Text: speech.Say("opens what the database holds (%s)", masterKeyPlace(cfg))}, a.clock(ctx), a.trail(ctx))
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
		return Finding{What: speech.Say("audit trail"), Text: speech.Phrase(err.Error()), Mend: speech.Say("check the database")}
	case report.Broken != nil:
		return Finding{What: speech.Say("audit trail"), Text: speech.Phrase(report.Broken.String()), Mend: speech.Say("find out who can write to the database; docs/operations/identity.md, \"The audit trail\"")}
	}
	return Finding{What: speech.Say("audit trail"), OK: true, Text: speech.Say("%d records follow each other, to %s", report.Records, report.HeadText())}
}

func masterKeyPlace(cfg *config.Config) speech.Text {
	if cfg.MasterKey.Reveal() != "" {
		return speech.Say("from the configuration")
	}
	return speech.Phrase(filepath.Join(cfg.DataDir, "master.key"))
}

// proxies judges whose word about client addresses is taken.
func proxies(cfg *config.Config) Finding {
	f := Finding{What: speech.Say("trusted proxies"), OK: true, Text: speech.Say("none: X-Forwarded-For is ignored and a client's address is that of its connection")}
	for _, p := range cfg.TrustedProxies {
		if p.Bits() == 0 {
			return Finding{What: speech.Say("trusted proxies"), Text: speech.Say("%s trusts the whole internet: anybody can claim any address and pass a key's IP list", p.String()), Mend: speech.Say("list only the addresses of your own proxies in trusted_proxies (HALLEY_TRUSTED_PROXIES)")}
		}
		f.Text = speech.Say("%d networks may say who the client is", len(cfg.TrustedProxies))
	}
	host, _, err := net.SplitHostPort(cfg.Listen)
	if addr, bad := netip.ParseAddr(host); err == nil && (bad != nil || !addr.IsLoopback()) && len(cfg.TrustedProxies) == 0 {
		f.Text = speech.Say("%s; with a proxy in front, list it, or every client has the proxy's address", f.Text)
	}
	return f
}

// journalFinding tells what the usage journal holds.
func journalFinding(cfg *config.Config) Finding {
	f := Finding{What: speech.Say("usage journal")}
	found, aside, err := journal.Look(journalDir(cfg))
	switch {
	case err != nil:
		f.Text = speech.Phrase(err.Error())
		f.Mend = speech.Say("make %s readable and writable for Halley, on a local disk with free space", journalDir(cfg))
	case found.Damaged > 0:
		f.Text = speech.Say("%d stretches cannot be read", found.Damaged)
		f.Mend = speech.Say("check the disk; the next start skips them, keeps the files in %s and applies the rest", filepath.Join(journalDir(cfg), "damaged"))
	case len(aside) > 0:
		f.Text = speech.Say("%d damaged files were kept: %s", len(aside), aside[0])
		f.Mend = speech.Say("check the disk, see the log of that start for the records that are missing, then move the files away (docs/operations/reliability.md)")
	default:
		f.OK, f.Text = true, speech.Say("%d records wait for the database, in %d files of %d bytes", found.Records, found.Segments, found.Bytes)
	}
	return f
}

// clock compares this machine's clock with the database's.
func (a *App) clock(ctx context.Context) Finding {
	const most = 5 * time.Second
	theirs, err := a.services.db.Clock(ctx)
	if err != nil {
		return Finding{What: speech.Say("clock"), Text: speech.Phrase(err.Error()), Mend: speech.Say("check the database")}
	}
	off := time.Since(theirs).Abs()
	if off > most {
		return Finding{What: speech.Say("clock"), Text: speech.Say("this machine and the database are %s apart (or a record is from the future)", off.Round(time.Second)), Mend: speech.Say("run a time service (chrony, systemd-timesyncd) on both: expiry and renewing budgets go by the clock")}
	}
	return Finding{What: speech.Say("clock"), OK: true, Text: speech.Say("within %s of the database's", most)}
}

// channelFindings asks every enabled channel for its model list.
func (a *App) channelFindings(ctx context.Context) []Finding {
	channels := a.services.channels.All()
	if len(channels) == 0 {
		return []Finding{{What: speech.Say("channels"), Text: speech.Say("there is none, so no model can be served"), Mend: speech.Say("add one: halley channel add --help")}}
	}
	var findings []Finding
	errs := a.askChannels(ctx, channels)
	for i, ch := range channels {
		f := Finding{What: speech.Say("channel %d (%s)", ch.ID, ch.Name), OK: true, Text: speech.Say("answers")}
		if ch.Status != channel.Enabled {
			f.Text = speech.Say("disabled, not asked")
		} else if err := errs[i]; err != nil {
			f.OK, f.Text = false, speech.Phrase(err.Error())
			f.Mend = speech.Say("check the channel's base_url and key: halley channel test %d", ch.ID)
		}
		findings = append(findings, f)
	}
	return findings
}
