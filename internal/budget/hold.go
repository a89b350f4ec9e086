package budget

import (
	"context"
	"math"
	"time"

	"halley/internal/fault"
	"halley/internal/money"
)

// Payers are who pays for a request: the key, the key that issued it (0 for
// none), and the account that both belong to.
type Payers struct {
	Key, Parent, User int64
}

// maxPayers is how many subjects one request can be charged to.
const maxPayers = 3

// Hold is money reserved on a request's payers. The zero value holds nothing. A
// Hold belongs to one request and is not for concurrent use.
type Hold struct {
	ledger *Ledger
	parts  [maxPayers]part // in the order of locking: account, parent, key
	n      int
	amount money.Nano
	at     int64 // Unix milliseconds
	term   int64 // of the node's leases, 0 where nobody shares the store
	open   bool
}

// part is the hold on one of the pockets.
type part struct {
	pocket     *pocket
	lifted     bool  // the subject was unlimited: its grant rose with the hold
	prev, next *Hold // among the pocket's holds
}

// of is the hold's part on that pocket.
func (h *Hold) of(p *pocket) *part {
	for i := range h.n {
		if h.parts[i].pocket == p {
			return &h.parts[i]
		}
	}
	return nil
}

func (h *Hold) lock() {
	for i := range h.n {
		h.parts[i].pocket.mu.Lock()
	}
}

func (h *Hold) unlock() {
	for i := range h.n {
		h.parts[i].pocket.mu.Unlock()
	}
}

// Fit decides, when the full amount is not there, how much to hold instead of
// it given what all gates can spare; ok false means the request cannot go
// through on that. It runs under the ledger's locks: no I/O.
type Fit func(spendable money.Nano) (amount money.Nano, ok bool)

// Hold reserves want, or what fit makes of the remainder, on all payers
// together. Too little is a fault with kind PaymentRequired and the code
// key_quota_exhausted or insufficient_balance.
func (l *Ledger) Hold(ctx context.Context, h *Hold, who Payers, want money.Nano, fit Fit) error {
	return l.HoldSlice(ctx, h, who, want, want, fit)
}

// HoldSlice is Hold for a request that may never use all it could: want must be
// there, but only first is taken, and Extend takes more while the request runs.
func (l *Ledger) HoldSlice(ctx context.Context, h *Hold, who Payers, want, first money.Nano, fit Fit) error {
	*h = Hold{ledger: l}
	if l.leases != nil {
		return l.holdLeased(ctx, h, who, want, first, fit)
	}
	return l.tryHold(ctx, h, who, want, first, fit)
}

// tryHold reserves from what is here.
func (l *Ledger) tryHold(ctx context.Context, h *Hold, who Payers, want, first money.Nano, fit Fit) error {
	for {
		if err := l.find(ctx, h, who); err != nil {
			return err
		}
		h.lock()
		if h.evicted() {
			h.unlock()
			continue
		}
		err := l.reserve(h, want, min(first, want), fit)
		h.unlock()
		return err
	}
}

// find loads the payers' pockets; nothing is locked meanwhile.
func (l *Ledger) find(ctx context.Context, h *Hold, who Payers) error {
	h.n = 0
	add := func(s Subject) error {
		p, err := l.pocket(ctx, s)
		if err == nil {
			h.parts[h.n] = part{pocket: p}
			h.n++
		}
		return err
	}
	if err := add(Subject{User, who.User}); err != nil {
		return err
	}
	if who.Parent != 0 {
		if err := add(Subject{Key, who.Parent}); err != nil {
			return err
		}
	}
	return add(Subject{Key, who.Key})
}

func (h *Hold) evicted() bool {
	for i := range h.n {
		// Of two terms of a node, one is over.
		if p := h.parts[i].pocket; p.evicted || p.lease.term != h.parts[0].pocket.lease.term {
			return true
		}
	}
	return false
}

// tightest is the pocket with the least left of its quota, the key before its
// parent and the account.
func (h *Hold) tightest() *pocket {
	least := h.parts[h.n-1].pocket
	for i := h.n - 2; i >= 0; i-- {
		if p := h.parts[i].pocket; p.spendable() < least.spendable() {
			least = p
		}
	}
	return least
}

func (l *Ledger) reserve(h *Hold, want, first money.Nano, fit Fit) error {
	if l.leases != nil && l.overdue() && h.needsLease() {
		return errOverdue()
	}
	now := l.now()
	at := now.UnixMilli()
	for i := range h.n {
		at = h.parts[i].pocket.latest(at)
	}
	renewing := money.Nano(math.MaxInt64)
	for i := range h.n {
		p := h.parts[i].pocket
		p.roll(at)
		renewing = min(renewing, p.tightest())
	}
	least := h.tightest()
	spendable := least.spendable()
	amount, ok := affordable(min(spendable, renewing), want, fit)
	switch {
	case ok && amount == want:
		amount = first
	case ok:
	case renewing < spendable:
		return Exhausted(h.renewal(want, fit), now)
	default:
		return h.tooLittle(least)
	}
	h.amount, h.at, h.open, h.term = amount, at, true, least.lease.term
	for i := range h.n {
		p := h.parts[i].pocket
		h.parts[i].lifted = p.lifted
		p.reserve(h, now)
		l.note(p)
	}
	l.inFlight.Add(1)
	l.heldNano.Add(int64(amount))
	return nil
}

// tooLittle is the refusal of a request that the pocket's quota does not cover.
func (h *Hold) tooLittle(p *pocket) error {
	switch {
	case p.subject.Kind == User:
		return fault.New(fault.PaymentRequired, "insufficient_balance", "The account's balance does not cover the request.")
	case p != h.parts[h.n-1].pocket:
		return fault.New(fault.PaymentRequired, "key_quota_exhausted", "The quota of this API key's parent does not cover the request.")
	}
	return fault.New(fault.PaymentRequired, "key_quota_exhausted", "This API key's quota does not cover the request.")
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

// Extend takes more for an open hold, from all payers together or from none;
// false says that it is not there.
func (h *Hold) Extend(more money.Nano) bool {
	if !h.open || more <= 0 {
		return h.open
	}
	if h.ledger.leases != nil {
		h.reach(more)
	}
	h.lock()
	defer h.unlock()
	h.lift()
	if more > h.left() {
		return false
	}
	h.amount += more
	for i := range h.n {
		h.parts[i].pocket.extend(h, more)
		h.ledger.note(h.parts[i].pocket)
	}
	h.ledger.heldNano.Add(int64(more))
	return true
}

// Scarce is the code of the refusal that a hold gets which cannot take more.
func (h *Hold) Scarce() string {
	h.lock()
	defer h.unlock()
	least := h.tightest()
	if h.left() < least.spendable() {
		return "budget_exhausted"
	}
	return fault.Code(h.tooLittle(least))
}

// lift lets the grants of payers that have become unlimited rise with the hold.
func (h *Hold) lift() {
	for i := range h.n {
		if s := &h.parts[i]; s.pocket.lifted && !s.lifted {
			s.lifted = true
			s.pocket.granted += h.amount
		}
	}
}

// left is what the hold could take beyond what it has.
func (h *Hold) left() money.Nano {
	left := money.Nano(math.MaxInt64)
	for i := range h.n {
		left = min(left, h.parts[i].pocket.leftAt(h.at))
	}
	return left
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

// Term is the term of the node's leases in which the hold was taken, 0 where
// nobody shares the store. Its request's record must carry it.
func (h *Hold) Term() int64 { return h.term }

// Lifts reports whether the hold raised the subject's grant, which was unlimited.
func (h *Hold) Lifts(s Subject) bool {
	for i := range h.n {
		if h.parts[i].pocket.subject == s {
			return h.parts[i].lifted
		}
	}
	return false
}

// Open reports whether the hold is taken and not yet settled.
func (h *Hold) Open() bool { return h.open }

// Charge is what a settlement did.
type Charge struct {
	Charged  money.Nano
	Absorbed money.Nano // cost the grants could not bear
	// KeyGrant, ParentGrant and UserGrant are what the grant of an unlimited
	// payer rose by.
	KeyGrant    money.Nano
	ParentGrant money.Nano
	UserGrant   money.Nano
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
	now := h.ledger.now()
	if h.ledger.leases != nil && cost > h.amount {
		h.reach(cost - h.amount)
	}
	h.lock()
	charged := cost
	if over := cost - h.amount; over > 0 {
		h.lift()
		charged = h.amount + max(0, min(over, h.left()))
	}
	for i := range h.n {
		h.parts[i].pocket.settle(h, charged, now)
		h.ledger.note(h.parts[i].pocket)
	}
	h.unlock()
	h.ledger.inFlight.Add(-1)
	h.ledger.heldNano.Add(-int64(h.amount))
	c := Charge{Charged: charged, Absorbed: cost - charged}
	for i := range h.n {
		if !h.parts[i].lifted {
			continue
		}
		switch i {
		case 0:
			c.UserGrant = charged
		case h.n - 1:
			c.KeyGrant = charged
		default:
			c.ParentGrant = charged
		}
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
