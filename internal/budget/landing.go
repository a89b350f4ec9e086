package budget

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"halley/internal/money"
)

// Land runs apply, which writes settled charges to the store and, when that
// succeeded, calls Landed for each of them. It is how the ledger knows at any
// time which of its charges the store has.
func (l *Ledger) Land(ctx context.Context, apply func() error) error {
	if err := l.landing.take(ctx); err != nil {
		return err
	}
	defer l.landing.resume()
	l.landing.count.Add(1)
	defer l.landing.count.Add(1)
	err := apply()
	l.landing.doubtful = err != nil
	return err
}

// Landing is a settlement that has reached the store.
type Landing struct {
	Payers Payers
	At     time.Time // the hold's
	Term   int64     // the hold's
	Charge Charge
}

// Landed tells the ledger that a settlement has reached the store.
func (l *Ledger) Landed(n Landing) {
	c := charge{n.At.UnixMilli(), n.Charge.Charged}
	l.landed(Subject{Key, n.Payers.Key}, n.Term, c, n.Charge.KeyGrant)
	l.landed(Subject{User, n.Payers.User}, n.Term, c, n.Charge.UserGrant)
	if n.Payers.Parent != 0 {
		l.landed(Subject{Key, n.Payers.Parent}, n.Term, c, n.Charge.ParentGrant)
	}
}

func (l *Ledger) landed(s Subject, term int64, c charge, grant money.Nano) {
	sh := l.shard(s)
	sh.mu.Lock()
	p := sh.pockets[s]
	sh.mu.Unlock()
	if p == nil || p.lease.term != term {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.leases != nil {
		p.landLeased(c, grant)
	}
	if p.unlanded > 0 {
		p.unlanded--
	}
	if c.amount > 0 {
		p.land(c)
	}
}

// land forgets a pending charge. They land nearly in their order, so that the
// first is nearly always the one.
func (p *pocket) land(c charge) {
	i := slices.Index(p.pending[p.first:], c)
	if i < 0 {
		return
	}
	p.pending[p.first+i] = p.pending[p.first]
	p.first++
	if 2*p.first >= len(p.pending) {
		n := copy(p.pending, p.pending[p.first:])
		p.pending, p.first = p.pending[:n], 0
	}
}

// landing is held by whoever writes to the store or must know that nobody does.
type landing struct {
	held     chan struct{}
	doubtful bool          // the last write failed, but may have been done
	count    atomic.Uint64 // odd while the store is written to
}

func newLanding() landing { return landing{held: make(chan struct{}, 1)} }

func (l *landing) take(ctx context.Context) error {
	select {
	case l.held <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pause waits for the write under way and keeps others from beginning.
func (l *landing) pause(ctx context.Context) error {
	if err := l.take(ctx); err != nil {
		return err
	}
	if l.doubtful {
		l.resume()
		return storeAway(errors.New("it is not known what the last write of usage did"))
	}
	return nil
}

func (l *landing) resume() { <-l.held }
