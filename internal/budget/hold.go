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
	at     int64 // Unix milliseconds
	open   bool
}

// part is the hold on one of the two pockets.
type part struct {
	pocket     *pocket
	lifted     bool  // the subject was unlimited: its grant rose with the hold
	prev, next *Hold // among the pocket's holds
}

// of is the hold's part on that pocket.
func (h *Hold) of(p *pocket) *part {
	if h.key.pocket == p {
		return &h.key
	}
	return &h.user
}

// Fit decides, when the full amount is not there, how much to hold instead of
// it given what both gates can spare; ok false means the request cannot go
// through on that. It runs under the ledger's locks: no I/O.
type Fit func(spendable money.Nano) (amount money.Nano, ok bool)

// Hold reserves want, or what fit makes of the remainder, on key and user
// together. Too little is a fault with kind PaymentRequired and the code
// key_quota_exhausted or insufficient_balance.
func (l *Ledger) Hold(ctx context.Context, h *Hold, keyID, userID int64, want money.Nano, fit Fit) error {
	return l.HoldSlice(ctx, h, keyID, userID, want, want, fit)
}

// HoldSlice is Hold for a request that may never use all it could: want must be
// there, but only first is taken, and Extend takes more while the request runs.
func (l *Ledger) HoldSlice(ctx context.Context, h *Hold, keyID, userID int64, want, first money.Nano, fit Fit) error {
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
		err = l.reserve(h, key, user, want, min(first, want), fit)
		key.mu.Unlock()
		user.mu.Unlock()
		return err
	}
}

func (l *Ledger) reserve(h *Hold, key, user *pocket, want, first money.Nano, fit Fit) error {
	now := l.now()
	at := key.latest(user.latest(now.UnixMilli()))
	key.roll(at)
	user.roll(at)
	spendable, renewing := min(key.spendable(), user.spendable()), min(key.tightest(), user.tightest())
	amount, ok := affordable(min(spendable, renewing), want, fit)
	switch {
	case ok && amount == want:
		amount = first
	case ok:
	case renewing < spendable:
		return Exhausted(renewal(key, user, want, fit), now)
	case key.spendable() <= user.spendable():
		return fault.New(fault.PaymentRequired, "key_quota_exhausted", "This API key's quota does not cover the request.")
	default:
		return fault.New(fault.PaymentRequired, "insufficient_balance", "The account's balance does not cover the request.")
	}
	*h = Hold{ledger: l, amount: amount, at: at, open: true, key: part{pocket: key, lifted: key.lifted}, user: part{pocket: user, lifted: user.lifted}}
	key.reserve(h, now)
	user.reserve(h, now)
	l.inFlight.Add(1)
	l.heldNano.Add(int64(amount))
	return nil
}

// affordable is how much of what is left to hold for a request that wants so
// much.
func affordable(left, want money.Nano, fit Fit) (money.Nano, bool) {
	if want <= left {
		return want, true
	}
	if fit == nil || left < 0 {
		return 0, false
	}
	amount, ok := fit(left)
	return amount, ok && amount <= left
}

func (p *pocket) reserve(h *Hold, now time.Time) {
	s := h.of(p)
	p.held += h.amount
	p.touched = now
	if s.lifted {
		p.granted += h.amount
	}
	for i := range p.windows {
		p.windows[i].reserve(h.amount)
	}
	if s.next = p.open; s.next != nil {
		s.next.of(p).prev = h
	}
	p.open = h
}

// Extend takes more for an open hold, from key and user together or from
// neither; false says that it is not there.
func (h *Hold) Extend(more money.Nano) bool {
	if !h.open || more <= 0 {
		return h.open
	}
	key, user := h.key.pocket, h.user.pocket
	user.mu.Lock()
	defer user.mu.Unlock()
	key.mu.Lock()
	defer key.mu.Unlock()
	if more > min(key.leftAt(h.at), user.leftAt(h.at)) {
		return false
	}
	h.amount += more
	key.extend(h, more)
	user.extend(h, more)
	h.ledger.heldNano.Add(int64(more))
	return true
}

func (p *pocket) extend(h *Hold, more money.Nano) {
	p.held += more
	if h.of(p).lifted {
		p.granted += more
	}
	for i := range p.windows {
		p.windows[i].extend(h.at, more)
	}
}

// Amount is what is held.
func (h *Hold) Amount() money.Nano { return h.amount }

// At is the instant that the hold is dated, in whole milliseconds. Its request's
// record must carry it: what the request is charged counts for renewing budgets
// in the window of that instant.
func (h *Hold) At() time.Time { return time.UnixMilli(h.at) }

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
		charged = h.amount + max(0, min(over, key.leftAt(h.at), user.leftAt(h.at)))
	}
	now := h.ledger.now()
	key.settle(h, charged, now)
	user.settle(h, charged, now)
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

func (p *pocket) settle(h *Hold, charged money.Nano, now time.Time) {
	s := h.of(p)
	p.held -= h.amount
	p.used += charged
	p.unlanded++
	p.touched, p.lastUsed = now, now
	if s.lifted {
		p.granted += charged - h.amount
	}
	for i := range p.windows {
		p.windows[i].settle(h.at, h.amount, charged)
	}
	if charged > 0 {
		p.pending = append(p.pending, charge{h.at, charged})
	}
	if s.next != nil {
		s.next.of(p).prev = s.prev
	}
	if s.prev != nil {
		s.prev.of(p).next = s.next
	} else {
		p.open = s.next
	}
	s.prev, s.next = nil, nil
}
