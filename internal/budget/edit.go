package budget

import (
	"context"
	"math"

	"halley/internal/fault"
	"halley/internal/money"
)

// Change is an edit of a balance.
type Change struct {
	Delta     money.Nano // added to the grant
	Unlimited *bool      // nil leaves it
	// Allowances replace the renewing budgets; nil leaves them.
	Allowances *[]Allowance
}

// Edit changes a balance together with whatever commit writes to the store in
// the same transaction (granted += Delta among it). decide sees the live
// balance. Edits of one subject follow one another; holds and settlements go on
// meanwhile. What the edit takes away is unspendable from the moment decide
// returns, what it adds is spendable once commit has succeeded; when commit
// fails nothing has changed. The same goes for renewing budgets: while commit
// runs, those before and those after it bind. A budget that stays keeps what was
// spent of it, and a new one begins with what its window has seen already.
func (l *Ledger) Edit(ctx context.Context, s Subject, decide func(Balance) (Change, error), commit func(context.Context, Change) error) (Balance, error) {
	if l.leases != nil {
		return l.editShared(ctx, s, decide, commit)
	}
	p, err := l.lockEdit(ctx, s)
	if err != nil {
		return Balance{}, err
	}
	defer p.edit.Unlock()

	p.mu.Lock()
	change, err := decide(p.balance(l.now()))
	if err == nil && change.Delta > 0 && p.granted > math.MaxInt64-change.Delta {
		err = fault.New(fault.Invalid, "quota_too_high", "The total granted would be more than can be counted.")
	}
	if err != nil {
		p.mu.Unlock()
		return Balance{}, err
	}
	taken := min(change.Delta, 0)
	p.granted += taken
	before := p.allowances()
	p.mu.Unlock()

	if change.Allowances != nil {
		if err = l.openWindows(ctx, s, p, *change.Allowances); err == nil {
			p.mu.Lock()
			p.bind(stricter(before, *change.Allowances))
			p.mu.Unlock()
		}
	}
	if err == nil {
		err = commit(ctx, change)
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.granted -= taken
		if change.Allowances != nil {
			p.bind(before)
		}
		return Balance{}, err
	}
	if change.Allowances != nil {
		p.bind(*change.Allowances)
	}
	p.granted += change.Delta - taken
	if change.Unlimited != nil {
		p.lifted = *change.Unlimited
	}
	p.touched = l.now()
	return p.balance(l.now()), nil
}

// lockEdit is the subject's live pocket with its edit lock held, which keeps it
// from being swept.
func (l *Ledger) lockEdit(ctx context.Context, s Subject) (*pocket, error) {
	for {
		p, err := l.pocket(ctx, s)
		if err != nil {
			return nil, err
		}
		p.edit.Lock()
		p.mu.Lock()
		evicted := p.evicted
		p.mu.Unlock()
		if !evicted {
			return p, nil
		}
		p.edit.Unlock()
	}
}

// SetRemaining makes the unheld remainder the given units, from this moment on.
func SetRemaining(units int64) func(Balance) (Change, error) {
	return func(b Balance) (Change, error) {
		if units < 0 {
			return Change{}, fault.New(fault.Invalid, "quota_too_low", "The remaining quota must be 0 or more.")
		}
		if units > money.MaxUnits {
			return Change{}, tooHigh()
		}
		return Change{Delta: money.FromUnits(units) - b.Remaining()}, nil
	}
}

// AddRemaining adds units to the unheld remainder; negative ones take away.
func AddRemaining(units int64) func(Balance) (Change, error) {
	return func(b Balance) (Change, error) {
		if units > money.MaxUnits || units < -money.MaxUnits {
			return Change{}, tooHigh()
		}
		left := b.Remaining() + money.FromUnits(units)
		if left < 0 {
			return Change{}, fault.New(fault.Invalid, "quota_too_low", "The quota cannot fall below 0: %d units are left that are not held by requests in flight.", b.Remaining().FloorUnits())
		}
		if left > money.Max {
			return Change{}, tooHigh()
		}
		return Change{Delta: money.FromUnits(units)}, nil
	}
}

func tooHigh() error {
	return fault.New(fault.Invalid, "quota_too_high", "The quota can be at most %d units.", money.MaxUnits)
}
