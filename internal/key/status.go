package key

import (
	"time"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/speech"
)

// Effective is what is true now, whatever is stored: disabled before expired
// before exhausted. A limited key is exhausted when less than one unit is left
// and nothing is held. A status that somebody set stays until 1 is set. It is the
// key's own: a child reads the stricter of its and its parent's.
func (k *Key) Effective(b budget.Balance, now time.Time) Status {
	return effective(k.Status, k.ExpiresAt, b, now)
}

// effective is the parent's own status.
func (p *Parent) effective(b budget.Balance, now time.Time) Status {
	return effective(p.Status, p.ExpiresAt, b, now)
}

func effective(stored Status, expiresAt int64, b budget.Balance, now time.Time) Status {
	switch {
	case stored == Disabled:
		return Disabled
	case stored == Expired || (expiresAt != Never && now.Unix() >= expiresAt):
		return Expired
	case stored == Exhausted || (!b.Unlimited && b.Held == 0 && b.Remaining().FloorUnits() <= 0):
		return Exhausted
	}
	return Enabled
}

// state is the status without a look at the quota.
func (k *Key) state(now time.Time) Status { return k.Effective(budget.Balance{Unlimited: true}, now) }

// stricter is the one of two statuses that stops more: disabled before expired
// before exhausted before enabled.
func stricter(a, b Status) Status {
	if a == Enabled || (b != Enabled && b < a) {
		return b
	}
	return a
}

// Admissible reports why a key may not make model requests as far as its record
// and its parent's (nil without one) tell; whether the quotas cover a request is
// the ledger's question.
func Admissible(k, parent *Key, now time.Time) error {
	state, whose := k.state(now), speech.Phrase("This API key")
	if parent != nil {
		if s := stricter(state, parent.state(now)); s != state {
			state, whose = s, speech.Phrase("The parent of this API key")
		}
	}
	switch state {
	case Disabled:
		return fault.New(fault.Unauthenticated, "key_disabled", "%s is disabled.", whose)
	case Expired:
		return fault.New(fault.Unauthenticated, "key_expired", "%s has expired.", whose)
	case Exhausted:
		return fault.New(fault.PaymentRequired, "key_quota_exhausted", "%s is marked as exhausted.", whose)
	case Enabled:
	}
	return nil
}
