package app

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"halley/internal/budget"
	"halley/internal/config"
	"halley/internal/store"
	"halley/internal/telemetry"
)

// sharing is this server's part among those that share a PostgreSQL: it shows
// signs of life, without which its leases lapse; watches the others' and takes
// the leases of those that show none; and looks after its own leases. A nil
// sharing is that of a server whose database nobody shares.
type sharing struct {
	leases *store.Leases
	ledger *budget.Ledger
	log    *slog.Logger
	length time.Duration // of a term without a sign of life
	term   int64
	joined time.Time
	peers  peers
	seat   atomic.Pointer[seat]
	lapses atomic.Uint64
	nudge  chan struct{} // there may be a recall
	quit   chan struct{}
	done   sync.WaitGroup
}

const (
	// pulse is how often a node shows that it lives, and silence how long it may
	// fail to and still count as one at work.
	pulse   = 2 * time.Second
	silence = 5 * pulse
	// tend is how often a node looks after its leases. Other nodes' recalls come
	// with a notice, which may get lost.
	tend = 250 * time.Millisecond
	// overTime is how long leases of windows are kept after the window's end.
	overTime = 10 * time.Minute
)

// join makes this process a node: the one that the data folder belongs to, as
// the usage journal in it is about that node's leases.
func join(ctx context.Context, db *store.DB, cfg *config.Config, log *slog.Logger) (*sharing, error) {
	id, err := nodeID(filepath.Join(cfg.DataDir, "node.id"))
	if err != nil {
		return nil, err
	}
	s := &sharing{
		log: log, length: cfg.Cluster.LeaseTerm, joined: time.Now(), peers: newPeers(id, cfg.Cluster.LeaseTerm),
		nudge: make(chan struct{}, 1), quit: make(chan struct{}),
	}
	if s.leases, s.term, err = db.Join(ctx, id); err != nil {
		return nil, err
	}
	return s, nil
}

// nodeID reads the node's id, a positive number, or makes it.
func nodeID(path string) (int64, error) {
	text, err := os.ReadFile(path) //nolint:gosec // in the configured data folder
	if errors.Is(err, fs.ErrNotExist) {
		var random [8]byte
		_, _ = rand.Read(random[:]) // never fails
		id := int64(binary.LittleEndian.Uint64(random[:])>>1) | 1
		if err := os.WriteFile(path, []byte(strconv.FormatInt(id, 10)+"\n"), 0o600); err != nil {
			return 0, fmt.Errorf("write the node's id: %w", err)
		}
		return id, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the node's id: %w", err)
	}
	id, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || id <= 0 {
		return 0, fmt.Errorf("%s does not hold a node's id; when no usage journal waits in that folder it can be deleted, and a new one is made", path)
	}
	return id, nil
}

// keep makes the ledger the one whose leases these are.
func (s *sharing) keep(ledger *budget.Ledger) {
	s.ledger = ledger
	ledger.Lapsed(s.term)
	ledger.Renewed(s.joined.Add(s.length))
}

// begin gives up what an earlier run had leased, all of whose charges are in the
// store by now.
func (s *sharing) begin(ctx context.Context) error {
	if s == nil {
		return nil
	}
	return s.leases.Empty(ctx)
}

func (s *sharing) start() {
	if s == nil {
		return
	}
	s.done.Go(func() { s.every(pulse, nil, "this server cannot show the others that it lives", s.beat) })
	s.done.Go(func() { s.every(tend, s.nudge, "leases cannot be looked after", s.ledger.Tend) })
	s.done.Go(func() {
		s.every(time.Minute, nil, "old leases cannot be deleted", func(ctx context.Context) error {
			return s.leases.Tidy(ctx, time.Now().Add(-overTime))
		})
	})
}

// every runs do at intervals and whenever it is nudged, and logs when it begins
// to fail and when it works again.
func (s *sharing) every(interval time.Duration, nudge <-chan struct{}, trouble string, do func(context.Context) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	failing := false
	for {
		ctx, cancel := context.WithTimeout(context.Background(), max(interval, time.Second))
		err := do(ctx)
		cancel()
		switch {
		case err != nil && !failing:
			s.log.Warn(trouble+"; trying again", "error", err)
		case err == nil && failing:
			s.log.Info("works again: " + trouble)
		}
		failing = err != nil
		select {
		case <-s.quit:
			return
		case <-tick.C:
		case <-nudge:
		}
	}
}

// Recalled hears that other nodes want what this one does not use.
func (s *sharing) recalled() {
	select {
	case s.nudge <- struct{}{}:
	default:
	}
}

// beat shows that this node lives and sees whether the others do.
func (s *sharing) beat(ctx context.Context) error {
	begun := time.Now()
	term, err := s.leases.Beat(ctx)
	if err != nil {
		return err
	}
	if term != s.term {
		s.log.Error("the other servers took this one for dead, as it had shown no sign of life for too long; it begins anew", "for", s.length)
		s.term = term
		s.lapses.Add(1)
		s.ledger.Lapsed(term)
	}
	s.ledger.Renewed(begun.Add(s.length))
	beats, err := s.leases.Beats(ctx)
	if err != nil {
		return err
	}
	alive, dead := s.peers.see(time.Now(), beats)
	s.leases.SetNodes(alive)
	s.seat.Store(&seat{s.peers.before(time.Now()), alive})
	for _, node := range dead {
		lapsed, err := s.leases.Lapse(ctx, node, beats[node])
		if err != nil {
			return err
		}
		if lapsed {
			s.log.Warn("a server has shown no sign of life for its whole term; what it had leased and not charged is free again", "node", node, "term", s.length)
		}
	}
	return nil
}

// seat is a node's place among those at work.
type seat struct{ index, nodes int }

// share is which of how many nodes at work this one is, as last seen.
func (s *sharing) share() (index, nodes int) {
	if s == nil {
		return 0, 1
	}
	if at := s.seat.Load(); at != nil {
		return at.index, at.nodes
	}
	return 0, 1
}

// figures are the metrics'.
func (s *sharing) figures() telemetry.Leases {
	taken, recalls := s.ledger.LeaseCounts()
	return telemetry.Leases{Servers: s.leases.Nodes(), Taken: taken, Recalls: recalls, Lapsed: s.lapses.Load()}
}

// end stops looking after the leases and, when all usage is in the store, gives
// them up.
func (s *sharing) end(ctx context.Context, settled bool) error {
	if s == nil {
		return nil
	}
	close(s.quit)
	s.done.Wait()
	if !settled {
		return nil // the journal needs them at the next start
	}
	return s.leases.Leave(ctx)
}

// peers is what this node has seen of the others' signs of life. Only its own
// clock counts: how the clocks of the others go does not matter.
type peers struct {
	own   int64
	term  time.Duration
	known map[int64]peer
	last  time.Time
}

type peer struct {
	beats int64
	since time.Time // when the count was first seen
}

func newPeers(own int64, term time.Duration) peers {
	return peers{own: own, term: term, known: map[int64]peer{}}
}

// see takes the counts of this moment and gives how many nodes are at work, this
// one included, and those whose count has been watched to stand still for so
// long that they know themselves that their term is over.
func (p *peers) see(now time.Time, beats map[int64]int64) (alive int, dead []int64) {
	if now.Sub(p.last) > silence {
		clear(p.known) // nobody was watched: the database may have been away for all
	}
	p.last = now
	for id := range p.known {
		if _, there := beats[id]; !there {
			delete(p.known, id)
		}
	}
	alive = 1
	for id, count := range beats {
		if id == p.own {
			continue
		}
		seen, there := p.known[id]
		if !there || seen.beats != count {
			seen = peer{count, now}
			p.known[id] = seen
		}
		switch quiet := now.Sub(seen.since); {
		case quiet < silence:
			alive++
		case quiet > p.term+p.term/10+pulse:
			dead = append(dead, id)
		}
	}
	return alive, dead
}

// before is how many of the nodes at work come before this one, by their ids.
func (p *peers) before(now time.Time) (n int) {
	for id, seen := range p.known {
		if id < p.own && now.Sub(seen.since) < silence {
			n++
		}
	}
	return n
}
