package budget

import (
	"context"
	"time"

	"halley/internal/fault"
	"halley/internal/money"
)

// Hold is money reserved on a key and its account for one request. The zero
// value holds nothing. A Hold belongs to one request and is not for concurrent
// use.
type Hold struct {
	ledger *Ledger
	key    part
	user   part
	amount money.Nano
	open   bool
}

// part is the hold on one of the two pockets.
type part struct {
	pocket *pocket
	lifted bool // the subject was unlimited: its grant rose with the hold
}

// Fit decides, when the full amount is not there, how much to hold instead of
// it given what both gates can spare; ok false means the request cannot go
// through on that. It runs under the ledger's locks: no I/O.
type Fit func(spendable money.Nano) (amount money.Nano, ok bool)

// Hold reserves want, or what fit makes of the remainder, on key and user
// together. Too little is a fault with kind PaymentRequired and the code
// key_quota_exhausted or insufficient_balance.
func (l *Ledger) Hold(ctx context.Context, h *Hold, keyID, userID int64, want money.Nano, fit Fit) error {
	for {
		// Nothing is locked while the balances are loaded.
		user, err := l.pocket(ctx, Subject{User, userID})
		if err != nil {
			return err
		}
		key, err := l.pocket(ctx, Subject{Key, keyID})
		if err != nil {
			return err
		}
		user.mu.Lock()
		key.mu.Lock()
		if user.evicted || key.evicted {
			key.mu.Unlock()
			user.mu.Unlock()
			continue
		}
		err = l.reserve(h, key, user, want, fit)
		key.mu.Unlock()
		user.mu.Unlock()
		return err
	}
}

func (l *Ledger) reserve(h *Hold, key, user *pocket, want money.Nano, fit Fit) error {
	spendable := min(key.spendable(), user.spendable())
	if want > spendable {
		amount, ok := money.Nano(0), false
		if fit != nil && spendable >= 0 {
			amount, ok = fit(spendable)
		}
		if !ok || amount > spendable {
			if key.spendable() <= user.spendable() {
				return fault.New(fault.PaymentRequired, "key_quota_exhausted", "This API key's quota does not cover the request.")
			}
			return fault.New(fault.PaymentRequired, "insufficient_balance", "The account's balance does not cover the request.")
		}
		want = amount
	}
	now := l.now()
	*h = Hold{ledger: l, amount: want, open: true, key: part{key, key.lifted}, user: part{user, user.lifted}}
	for _, s := range [...]part{h.key, h.user} {
		s.pocket.held += want
		s.pocket.touched = now
		if s.lifted {
			s.pocket.granted += want
		}
	}
	l.inFlight.Add(1)
	l.heldNano.Add(int64(want))
	return nil
}

// Amount is what is held.
func (h *Hold) Amount() money.Nano { return h.amount }

// Open reports whether the hold is taken and not yet settled.
func (h *Hold) Open() bool { return h.open }

// Charge is what a settlement did.
type Charge struct {
	Charged  money.Nano
	Absorbed money.Nano // cost the grants could not bear
	// KeyGrant and UserGrant are what the grant of an unlimited key or account
	// rose by.
	KeyGrant  money.Nano
	UserGrant money.Nano
}

// Settle replaces the hold by the real cost and gives the rest back. A cost
// above the hold takes the difference from what is spendable; what is not there
// is absorbed. Settling again, or a hold that was never taken, does nothing.
// The caller must hand the charge to the store and then call Landed.
func (h *Hold) Settle(cost money.Nano) Charge {
	if !h.open {
		return Charge{}
	}
	h.open = false
	cost = max(cost, 0)
	key, user := h.key.pocket, h.user.pocket
	user.mu.Lock()
	key.mu.Lock()
	charged := cost
	if over := cost - h.amount; over > 0 {
		charged = h.amount + max(0, min(over, key.spendable(), user.spendable()))
	}
	now := h.ledger.now()
	h.key.settle(h.amount, charged, now)
	h.user.settle(h.amount, charged, now)
	key.mu.Unlock()
	user.mu.Unlock()
	h.ledger.inFlight.Add(-1)
	h.ledger.heldNano.Add(-int64(h.amount))
	c := Charge{Charged: charged, Absorbed: cost - charged}
	if h.key.lifted {
		c.KeyGrant = charged
	}
	if h.user.lifted {
		c.UserGrant = charged
	}
	return c
}

func (s part) settle(held, charged money.Nano, now time.Time) {
	p := s.pocket
	p.held -= held
	p.used += charged
	p.unlanded++
	p.touched, p.lastUsed = now, now
	if s.lifted {
		p.granted += charged - held
	}
}

// Landed tells the ledger that a settlement has reached the store.
func (l *Ledger) Landed(keyID, userID int64) {
	l.landed(Subject{Key, keyID})
	l.landed(Subject{User, userID})
}

func (l *Ledger) landed(s Subject) {
	sh := l.shard(s)
	sh.mu.Lock()
	p := sh.pockets[s]
	sh.mu.Unlock()
	if p == nil {
		return
	}
	p.mu.Lock()
	if p.unlanded > 0 {
		p.unlanded--
	}
	p.mu.Unlock()
}
