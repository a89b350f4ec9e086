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
}

const shardCount = 64

type shard struct {
	mu      sync.Mutex
	pockets map[Subject]*pocket
}

// pocket is one subject's live balance.
type pocket struct {
	load   sync.Mutex // serialises loading
	edit   sync.Mutex // serialises edits
	loaded atomic.Bool

	mu       sync.Mutex // guards what follows
	granted  money.Nano
	used     money.Nano
	held     money.Nano
	lifted   bool // unlimited
	unlanded int  // settled, but not yet in the store
	touched  time.Time
	lastUsed time.Time
	evicted  bool
}

// NewLedger makes an empty ledger; balances are loaded when first asked for.
func NewLedger(store Store, now func() time.Time) *Ledger {
	l := &Ledger{store: store, now: now}
	for i := range l.shards {
		l.shards[i].pockets = map[Subject]*pocket{}
	}
	return l
}

// Balance is the subject's live balance.
func (l *Ledger) Balance(ctx context.Context, s Subject) (Balance, error) {
	p, err := l.acquire(ctx, s)
	if err != nil {
		return Balance{}, err
	}
	defer p.mu.Unlock()
	return p.balance(), nil
}

// Peek is the live balance if it is in memory.
func (l *Ledger) Peek(s Subject) (Balance, bool) {
	sh := l.shard(s)
	sh.mu.Lock()
	p := sh.pockets[s]
	sh.mu.Unlock()
	if p == nil || !p.loaded.Load() {
		return Balance{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.evicted {
		return Balance{}, false
	}
	return p.balance(), true
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

// Sweep drops balances that nobody has touched for idle and that the store
// knows as well as we do.
func (l *Ledger) Sweep(idle time.Duration) {
	limit := l.now().Add(-idle)
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		for s, p := range sh.pockets {
			if !p.loaded.Load() || !p.edit.TryLock() {
				continue
			}
			p.mu.Lock()
			if p.held == 0 && p.unlanded == 0 && p.touched.Before(limit) {
				p.evicted = true
				delete(sh.pockets, s)
			}
			p.mu.Unlock()
			p.edit.Unlock()
		}
		sh.mu.Unlock()
	}
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
		p = &pocket{touched: l.now()}
		sh.pockets[s] = p
	}
	sh.mu.Unlock()
	if p.loaded.Load() {
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
		return nil, fault.Wrap(err, fault.Unavailable, "store_unavailable", "The balance cannot be read right now; try again shortly.").Retry(2 * time.Second)
	}
	p.mu.Lock()
	p.granted, p.used, p.lifted = b.Granted, b.Used, b.Unlimited
	p.mu.Unlock()
	p.loaded.Store(true)
	return p, nil
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

func (p *pocket) balance() Balance {
	return Balance{Granted: p.granted, Used: p.used, Held: p.held, Unlimited: p.lifted, LastUsed: p.lastUsed}
}

// spendable is what a hold may take.
func (p *pocket) spendable() money.Nano {
	if p.lifted {
		return math.MaxInt64
	}
	return p.granted - p.used - p.held
}
