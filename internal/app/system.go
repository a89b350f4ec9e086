package app

import (
	"context"
	"math"
	"runtime"
	"sync"
	"time"

	"halley/internal/adminapi"
	"halley/internal/channel"
	"halley/internal/speech"
	"halley/internal/store"
)

// management is what the management API speaks for.
func (a *App) management() adminapi.Services {
	s := a.services.management()
	s.System = system{a}
	return s
}

// system tells administrators how this server is doing.
type system struct{ app *App }

var _ adminapi.System = system{}

// Look implements adminapi.System.
func (y system) Look(ctx context.Context) (adminapi.SystemState, error) {
	s, now := y.app.services, time.Now()
	state := adminapi.SystemState{
		Version: y.app.version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Started: s.started.Unix(), Now: now.Unix(),
	}
	about, err := s.db.About(ctx)
	if err != nil {
		return state, err
	}
	state.Database = adminapi.SystemDatabase{Engine: string(about.Engine), Version: about.Version, Bytes: about.Bytes, Schema: about.Schema}
	nodes, err := s.db.LiveNodes(ctx, now.Add(-store.ForgetNodes))
	if err != nil {
		return state, err
	}
	for _, n := range nodes {
		state.Nodes = append(state.Nodes, adminapi.SystemNode{
			Hostname: n.Hostname, Listen: n.Listen, Version: n.Version, Started: n.Started.Unix(), Seen: n.Seen.Unix(),
			Live: n.Seen.After(now.Add(-3 * beat)), This: n.ID == y.app.node.line.ID,
		})
	}
	if s.sharing != nil {
		f := s.sharing.figures()
		state.Leases = &adminapi.SystemLeases{
			Servers: int64(f.Servers), TermSeconds: int64(s.sharing.length / time.Second), Taken: signed(f.Taken), Recalls: signed(f.Recalls), Lapsed: signed(f.Lapsed),
		}
	}
	if s.journal != nil {
		f := s.journalFigures()
		state.Journal = adminapi.SystemJournal{
			Records: f.Records, Bytes: f.Bytes, Failures: signed(f.Failures), Torn: f.Torn, Damaged: f.Damaged, Full: f.Full,
		}
	}
	q := s.recorder.Stats()
	state.Queue = adminapi.SystemQueue{
		Records: q.Depth, OldestMS: q.Oldest.Milliseconds(), FlushErrors: signed(q.FlushErrors), SetAside: signed(q.SetAside), Dropped: signed(q.Dropped),
	}
	return state, nil
}

// signed is a counter as the API has it; none gets beyond 64 bits with a sign.
func signed(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

// Examine implements adminapi.System with what the doctor looks at that a running
// server can see of itself.
func (y system) Examine(ctx context.Context) []Finding {
	a := y.app
	findings := []Finding{proxies(a.cfg), a.database(ctx), journalFinding(a.cfg), a.clock(ctx), a.trail(ctx)}
	return append(findings, a.channelFindings(ctx)...)
}

// database asks it for a sign of life.
func (a *App) database(ctx context.Context) Finding {
	if err := a.services.db.Ping(ctx); err != nil {
		a.log.Warn("the database does not answer", "error", err)
		return Finding{What: speech.Say("database"), Text: speech.Say("does not answer"), Mend: speech.Say("see the server's log, and that the database runs and accepts the account")}
	}
	return Finding{What: speech.Say("database"), OK: true, Text: speech.Say("%s answers, the schema is up to date", a.services.db.Engine())}
}

// askAtOnce is how many upstreams are asked at the same time.
const askAtOnce = 8

// askChannels asks every enabled channel for its model list; the errors are in
// the order of the channels.
func (a *App) askChannels(ctx context.Context, channels []*channel.Channel) []error {
	errs := make([]error, len(channels))
	seats := make(chan struct{}, askAtOnce)
	var asked sync.WaitGroup
	for i, ch := range channels {
		if ch.Status != channel.Enabled {
			continue
		}
		seats <- struct{}{}
		asked.Go(func() {
			defer func() { <-seats }()
			errs[i] = a.services.gateway.Probe(ctx, ch)
		})
	}
	asked.Wait()
	return errs
}
