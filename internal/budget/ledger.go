package budget

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"halley/internal/fault"
	"halley/internal/money"
)

// Store gives what has been granted and used, settled requests included that
// have reached it. A subject that does not exist is a fault.NotFound.
type Store interface {
	LoadBalance(ctx context.Context, s Subject) (Balance, error)
	// LoadAllowances gives the subject's renewing budgets.
	LoadAllowances(ctx context.Context, s Subject) ([]Allowance, error)
	// SpentSince gives, for each instant, what the subject's records from then
	// on were charged.
	SpentSince(ctx context.Context, s Subject, since []time.Time) ([]money.Nano, error)
	// LastSpending is the instant of the subject's latest record, zero without.
	LastSpending(ctx context.Context, s Subject) (time.Time, error)
}

// Ledger holds the live balances of every subject in use on this node. It is
// exact under any concurrency: a hold is taken from key and account together or
// not at all.
type Ledger struct {
	store  Store
	now    func() time.Time
	shards [shardCount]shard
	// inFlight and heldNano are what is held on all keys together.
	inFlight atomic.Int64
	heldNano atomic.Int64
	landing  landing

	// leases is nil where nobody shares the store.
	leases    Leases
	born      time.Time
	term      atomic.Int64  // of this node
	until     atomic.Int64  // when the term ends, by clock
	taken     atomic.Uint64 // leases, ever
	recalls   atomic.Uint64 // ever
	edits     chan struct{}
	changedMu sync.Mutex
	changed   []*pocket // what is held of them has changed
}

const shardCount = 64

type shard struct {
	mu      sync.Mutex
	pockets map[Subject]*pocket
}

// pocket is one subject's live balance; where several nodes share the store,
// this node's part of it.
type pocket struct {
	subject Subject
	lease   leaseState

	load   sync.Mutex // serialises loading
	edit   sync.Mutex // serialises edits
	loaded atomic.Bool

	mu       sync.Mutex // guards what follows
	granted  money.Nano // shared: leased, less what has landed
	used     money.Nano // shared: what has not landed
	held     money.Nano
	lifted   bool     // unlimited
	windows  []window // of the renewing budgets
	open     *Hold    // the holds there are, linked through Hold.of
	unlanded int      // settled, but not yet in the store
	pending  []charge // of those, what was charged anything, from first on
	first    int
	touched  time.Time
	lastUsed time.Time
	evicted  bool
}

// NewLedger makes an empty ledger; balances are loaded when first asked for.
func NewLedger(store Store, now func() time.Time) *Ledger {
	l := &Ledger{store: store, now: now, landing: newLanding(), born: time.Now()}
	for i := range l.shards {
		l.shards[i].pockets = map[Subject]*pocket{}
	}
	return l
}

// NewSharedLedger makes the ledger of one of several nodes that share a store.
// Lapsed gives it its term, and Renewed the time.
func NewSharedLedger(store Store, leases Leases, now func() time.Time) *Ledger {
	l := NewLedger(store, now)
	l.leases, l.edits = leases, make(chan struct{}, mostEdits)
	return l
}

// mostEdits bounds the edits of balances under way at a time, as each of them
// keeps a connection to the store for itself.
const mostEdits = 4

// Balance is the subject's live balance.
func (l *Ledger) Balance(ctx context.Context, s Subject) (Balance, error) {
	if l.leases != nil {
		return l.sharedBalance(ctx, s)
	}
	p, err := l.acquire(ctx, s)
	if err != nil {
		return Balance{}, err
	}
	defer p.mu.Unlock()
	return p.balance(l.now()), nil
}

// Forget drops a deleted subject, so that its next use asks the store. Holds
// under way still settle.
func (l *Ledger) Forget(s Subject) {
	sh := l.shard(s)
	sh.mu.Lock()
	p := sh.pockets[s]
	delete(sh.pockets, s)
	sh.mu.Unlock()
	if p != nil {
		p.mu.Lock()
		p.evicted = true
		p.mu.Unlock()
	}
}

// InFlight is how many holds there are and their sum.
func (l *Ledger) InFlight() (holds int64, held money.Nano) {
	return l.inFlight.Load(), money.Nano(l.heldNano.Load())
}

// LeaseCounts are how often leases were taken, and recalled from other nodes.
func (l *Ledger) LeaseCounts() (taken, recalls uint64) { return l.taken.Load(), l.recalls.Load() }

// Sweep drops balances that nobody has touched for idle and that the store
// knows as well as we do.
func (l *Ledger) Sweep(ctx context.Context, idle time.Duration) error {
	limit := l.now().Add(-idle)
	if l.leases != nil {
		if err := l.giveBackIdle(ctx, limit); err != nil {
			return err
		}
	}
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		for s, p := range sh.pockets {
			if !p.loaded.Load() || !p.edit.TryLock() {
				continue
			}
			p.mu.Lock()
			if p.unused(limit) && !p.leasing() {
				p.evicted = true
				delete(sh.pockets, s)
			}
			p.mu.Unlock()
			p.edit.Unlock()
		}
		sh.mu.Unlock()
	}
	return nil
}

// unused reports that nothing has happened since then and that the store knows
// all there is.
func (p *pocket) unused(since time.Time) bool {
	return p.open == nil && p.unlanded == 0 && p.touched.Before(since)
}

func (l *Ledger) shard(s Subject) *shard {
	return &l.shards[(uint64(s.ID)*2+uint64(s.Kind))%shardCount]
}

// pocket is the subject's loaded pocket.
func (l *Ledger) pocket(ctx context.Context, s Subject) (*pocket, error) {
	sh := l.shard(s)
	sh.mu.Lock()
	p := sh.pockets[s]
	if p == nil {
		p = &pocket{subject: s, lease: newLeaseState(l.term.Load()), touched: l.now()}
		sh.pockets[s] = p
	}
	sh.mu.Unlock()
	if p.loaded.Load() {
		if l.leases != nil {
			return p, l.fresh(ctx, p)
		}
		return p, nil
	}
	p.load.Lock()
	defer p.load.Unlock()
	if p.loaded.Load() {
		return p, nil
	}
	b, err := l.store.LoadBalance(ctx, s)
	if err != nil {
		if fault.Is(err, fault.NotFound) {
			l.Forget(s)
			return nil, err
		}
		return nil, storeAway(err)
	}
	allowances, err := l.store.LoadAllowances(ctx, s)
	if err != nil {
		return nil, storeAway(err)
	}
	p.mu.Lock()
	p.granted, p.used, p.lifted, p.windows = b.Granted, b.Used, b.Unlimited, nil
	if l.leases != nil {
		p.granted, p.used = 0, 0
	}
	p.mu.Unlock()
	if err := l.openWindows(ctx, s, p, allowances); err != nil {
		return nil, err
	}
	if l.leases != nil {
		if err := l.reclaim(ctx, p); err != nil {
			return nil, err
		}
	}
	p.loaded.Store(true)
	return p, nil
}

func storeAway(err error) error {
	return fault.Wrap(err, fault.Unavailable, "store_unavailable", "The balance cannot be read right now; try again shortly.").Retry(2 * time.Second)
}

// acquire is the subject's pocket, locked.
func (l *Ledger) acquire(ctx context.Context, s Subject) (*pocket, error) {
	for {
		p, err := l.pocket(ctx, s)
		if err != nil {
			return nil, err
		}
		p.mu.Lock()
		if !p.evicted {
			return p, nil
		}
		p.mu.Unlock() // swept between look-up and lock: look again
	}
}

func (p *pocket) balance(now time.Time) Balance {
	b := Balance{Granted: p.granted, Used: p.used, Held: p.held, Unlimited: p.lifted, LastUsed: p.lastUsed}
	if len(p.windows) > 0 {
		p.roll(p.latest(now.UnixMilli()))
		b.SpentUntil = p.spentUntil()
	}
	return b
}

// spendable is what a hold may take.
func (p *pocket) spendable() money.Nano {
	if p.lifted {
		return math.MaxInt64
	}
	return p.granted - p.used - p.held
}
