package budget

import (
	"context"
	"math"
	"slices"
	"time"

	"halley/internal/fault"
	"halley/internal/money"
)

// This file is what reading and editing mean where several nodes share the
// store: there, each pocket is only this node's part.

// steady runs read, which reads from the store and from the pockets, so that no settlement counts twice or not at all because it reached the store
// in between.
func (l *Ledger) steady(ctx context.Context, read func() error) error {
	if l.leases == nil {
		return read()
	}
	for range 3 {
		before := l.landing.count.Load()
		if before%2 == 0 {
			if err := read(); err != nil || l.landing.count.Load() == before {
				return err
			}
			continue
		}
		if err := l.landing.take(ctx); err != nil { // wait for the write under way
			return err
		}
		l.landing.resume()
	}
	if err := l.landing.take(ctx); err != nil {
		return err
	}
	defer l.landing.resume()
	return read()
}

// Stored is a subject's balance as the store has it.
type Stored struct {
	ID int64
	Balance
}

// Live makes the balances of keys or accounts that read gives live ones. read
// may be called again, when something has reached the store meanwhile.
func (l *Ledger) Live(ctx context.Context, kind Kind, read func() ([]Stored, error)) ([]Balance, error) {
	var balances []Balance
	err := l.steady(ctx, func() error {
		stored, err := read()
		if err != nil {
			return err
		}
		elsewhere := map[int64]money.Nano{}
		if l.leases != nil && len(stored) > 0 {
			ids := make([]int64, len(stored))
			for i := range stored {
				ids[i] = stored[i].ID
			}
			if elsewhere, err = l.leases.HeldElsewhere(ctx, kind, ids); err != nil {
				return storeAway(err)
			}
		}
		balances = make([]Balance, len(stored))
		for i, s := range stored {
			s.Balance.Held = elsewhere[s.ID]
			balances[i] = l.live(Subject{kind, s.ID}, s.Balance)
		}
		return nil
	})
	return balances, err
}

// live is the balance with what this node knows better than the store, which
// says what other nodes hold.
func (l *Ledger) live(s Subject, stored Balance) Balance {
	p := l.loadedPocket(s)
	if p == nil {
		return stored
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.evicted:
		return stored
	case l.leases != nil:
		return p.shared(stored)
	}
	return p.balance(l.now())
}

func (l *Ledger) sharedBalance(ctx context.Context, s Subject) (Balance, error) {
	balances, err := l.Live(ctx, s.Kind, func() ([]Stored, error) {
		b, err := l.store.LoadBalance(ctx, s)
		return []Stored{{s.ID, b}}, err
	})
	switch {
	case fault.Is(err, fault.NotFound):
		return Balance{}, err
	case err != nil:
		return Balance{}, storeAway(err)
	}
	return balances[0], nil
}

// shared adds this node's part to what the store says.
func (p *pocket) shared(stored Balance) Balance {
	raised := p.granted - (p.lease.taken - p.lease.landed) // by holds on an unlimited subject
	stored.Granted += raised
	stored.Used += p.used
	stored.Held += p.held
	stored.LastUsed = p.lastUsed
	return stored
}

func (l *Ledger) sharedAllowances(ctx context.Context, s Subject) ([]AllowanceState, error) {
	var states []AllowanceState
	if p := l.loadedPocket(s); p != nil { // of a budget that is new here
		if err := l.fresh(ctx, p); err != nil {
			return nil, err
		}
	}
	err := l.steady(ctx, func() error {
		allowances, err := l.store.LoadAllowances(ctx, s)
		if err != nil {
			return err
		}
		now := l.now().UnixMilli()
		p := l.loadedPocket(s)
		if p != nil {
			p.mu.Lock()
			now = p.latest(now)
			p.roll(now)
			p.mu.Unlock()
		}
		asked := make([]Lease, len(allowances))
		for i, a := range allowances {
			w := newWindow(a, now, true)
			asked[i] = w.lease()
		}
		at, err := l.leases.Position(ctx, s, asked)
		if err != nil {
			return err
		}
		states = states[:0]
		for i, a := range allowances {
			state := AllowanceState{Allowance: a, Used: at.Spent[i], Start: time.UnixMilli(asked[i].Start), Renews: time.UnixMilli(asked[i].End)}
			for _, o := range at.Others {
				if o.same(asked[i]) {
					state.Held += o.Held
				}
			}
			if p != nil {
				p.mu.Lock()
				if w := p.window(a.Schedule); w != nil && w.start == asked[i].Start {
					state.Used += w.used
					state.Held += w.held
				}
				p.mu.Unlock()
			}
			states = append(states, state)
		}
		return nil
	})
	if err != nil && !fault.Is(err, fault.NotFound) {
		err = storeAway(err)
	}
	return states, err
}

// Standing is the subject's balance as far as admission needs it: whether there
// is anything left at all, and until when a renewing budget is spent. Where
// several nodes share the store, the figures of a balance that has something
// left are only this node's.
func (l *Ledger) Standing(ctx context.Context, s Subject) (Balance, error) {
	if l.leases == nil {
		return l.Balance(ctx, s)
	}
	p, err := l.pocket(ctx, s)
	if err != nil {
		return Balance{}, err
	}
	p.mu.Lock()
	needed := p.needsLease()
	p.roll(p.latest(l.now().UnixMilli()))
	p.mu.Unlock()
	if !needed {
		return Balance{Unlimited: true}, nil
	}
	if l.overdue() {
		return Balance{}, errOverdue()
	}
	full, err := l.extend(ctx, p, money.Unit)
	if err == nil && !full {
		b, err := l.sharedBalance(ctx, s)
		p.mu.Lock()
		defer p.mu.Unlock()
		b.SpentUntil = p.spentUntil()
		return b, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	// The store may be away: the hold decides with what is here.
	return Balance{Granted: max(p.granted, p.used+p.held+money.Unit), Used: p.used, Held: p.held, Unlimited: p.lifted}, nil
}

// editShared keeps all nodes from leasing, has them give back what they do not
// use, and lets decide see what is left then.
func (l *Ledger) editShared(ctx context.Context, s Subject, decide func(Balance) (Change, error), commit func(context.Context, Change) error) (Balance, error) {
	p, err := l.pocket(ctx, s)
	if err != nil {
		return Balance{}, err
	}
	if err := enter(ctx, l.edits); err != nil {
		return Balance{}, err
	}
	defer func() { <-l.edits }()
	unlock, err := l.leases.LockLeases(ctx, s)
	if err != nil {
		return Balance{}, storeAway(err)
	}
	err = l.editLocked(ctx, p, decide, commit)
	unlock()
	l.Changed(s) // also when it failed: it may have been done
	if err != nil {
		return Balance{}, err
	}
	return l.sharedBalance(ctx, s)
}

func (l *Ledger) editLocked(ctx context.Context, p *pocket, decide func(Balance) (Change, error), commit func(context.Context, Change) error) error {
	if _, err := l.recall(ctx, p.subject); err != nil {
		return err
	}
	if err := l.giveBack(ctx, p); err != nil {
		return storeAway(err)
	}
	at, err := l.leases.Position(ctx, p.subject, nil)
	if fault.Is(err, fault.NotFound) {
		return err
	}
	if err != nil {
		return storeAway(err)
	}
	change, err := decide(at.balance())
	if err != nil {
		return err
	}
	if change.Delta > 0 && at.Granted > math.MaxInt64-change.Delta {
		return fault.New(fault.Invalid, "quota_too_high", "The total granted would be more than can be counted.")
	}
	return commit(ctx, change)
}

// balance is the position's, with everything that is leased taken as held.
func (p *Position) balance() Balance {
	b := Balance{Granted: p.Granted, Used: p.Used, Unlimited: p.Unlimited}
	for _, leases := range [][]Lease{p.Own, p.Others} {
		for _, o := range leases {
			if o.Purse == "" {
				b.Held += o.Outstanding()
			}
		}
	}
	return b
}

// fresh looks again when somebody else has changed the subject.
func (l *Ledger) fresh(ctx context.Context, p *pocket) error {
	p.mu.Lock()
	stale := p.lease.stale
	p.mu.Unlock()
	if !stale {
		return nil
	}
	return l.refresh(ctx, p)
}

// giveBackIdle returns what nobody has asked for since then.
func (l *Ledger) giveBackIdle(ctx context.Context, since time.Time) error {
	var idle []*pocket
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		for _, p := range sh.pockets {
			p.mu.Lock()
			if p.loaded.Load() && p.unused(since) && p.leasing() {
				idle = append(idle, p)
			}
			p.mu.Unlock()
		}
		sh.mu.Unlock()
	}
	for _, p := range idle {
		if err := l.giveBack(ctx, p); err != nil {
			return storeAway(err)
		}
	}
	return nil
}

// leasing reports whether the store may have something leased to the pocket, or
// believe that something is held of it; the pocket
// is locked.
func (p *pocket) leasing() bool {
	return p.lease.doubtful || p.lease.reported != p.held || p.lease.taken > p.lease.landed ||
		slices.ContainsFunc(p.windows, func(w window) bool { return w.taken > w.landed })
}

// note remembers that what is held of the pocket, which is locked, has changed.
func (l *Ledger) note(p *pocket) {
	if l.leases != nil && !p.lease.listed {
		p.lease.listed = true
		l.enlist(p)
	}
}

// landLeased is a charge that has reached the store, which has counted it on the
// leases; grant is what it raised the grant by there.
func (p *pocket) landLeased(c charge, grant money.Nano) {
	p.used -= c.amount
	p.granted -= c.amount
	if grant == 0 {
		p.lease.landed += c.amount
	}
	for i := range p.windows {
		p.windows[i].land(c)
	}
}

func (h *Hold) needsLease() bool {
	for i := range h.n {
		if h.parts[i].pocket.needsLease() {
			return true
		}
	}
	return false
}

// reach leases so much more for a hold in flight, where it is there to be had.
func (h *Hold) reach(more money.Nano) {
	h.lock()
	here := h.left() >= more
	h.unlock()
	if here {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaseWait)
	defer cancel()
	for i := range h.n {
		if full, err := h.ledger.extend(ctx, h.parts[i].pocket, more); err != nil || !full {
			return // what is here decides
		}
	}
}
