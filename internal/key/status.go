package key

import (
	"time"

	"halley/internal/budget"
	"halley/internal/fault"
)

// Effective is what is true now, whatever is stored: disabled before expired
// before exhausted. A limited key is exhausted when less than one unit is left
// and nothing is held. A status that somebody set stays until 1 is set.
func (k *Key) Effective(b budget.Balance, now time.Time) Status {
	switch {
	case k.Status == Disabled:
		return Disabled
	case k.Status == Expired || k.expired(now):
		return Expired
	case k.Status == Exhausted || (!b.Unlimited && b.Held == 0 && b.Remaining().FloorUnits() <= 0):
		return Exhausted
	}
	return Enabled
}

func (k *Key) expired(now time.Time) bool {
	return k.ExpiresAt != Never && now.Unix() >= k.ExpiresAt
}

// Admissible reports why a key may not make model requests as far as its record
// alone tells; whether its quota covers a request is the ledger's question.
func Admissible(k *Key, now time.Time) error {
	switch {
	case k.Status == Disabled:
		return fault.New(fault.Unauthenticated, "key_disabled", "This API key is disabled.")
	case k.Status == Expired || k.expired(now):
		return fault.New(fault.Unauthenticated, "key_expired", "This API key has expired.")
	case k.Status == Exhausted:
		return fault.New(fault.PaymentRequired, "key_quota_exhausted", "This API key is marked as exhausted.")
	}
	return nil
}
