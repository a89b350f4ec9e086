// Package budget owns the question "who may still spend how much": the ledger
// of every key and account in use, the holds that reserve money while a request
// runs, and settlement, which turns a hold into a charge exactly once. For
// every subject, always: granted = remaining + used + held. It must not know
// HTTP, SQL or prices.
package budget

import (
	"time"

	"halley/internal/money"
)

// Kind tells keys and accounts apart.
type Kind uint8

// The kinds of subject.
const (
	Key Kind = iota + 1
	User
)

// Subject is somebody who can spend.
type Subject struct {
	Kind Kind
	ID   int64
}

// Balance is a subject's money at one moment.
type Balance struct {
	Granted   money.Nano
	Used      money.Nano
	Held      money.Nano
	Unlimited bool
	LastUsed  time.Time // zero when not used since it was loaded
	// SpentUntil is when the last of the renewing budgets renews that are
	// spent to less than a quota unit; zero when none is.
	SpentUntil time.Time
}

// Remaining is what can be spent now. It is never negative.
func (b Balance) Remaining() money.Nano { return b.Granted - b.Used - b.Held }

// Units splits the balance into whole quota units: remaining rounded down, and
// used and held so that the three add up to what was granted, rounded up.
// Nothing held reads 0, and so does nothing used.
func (b Balance) Units() (remaining, used, held int64) {
	remaining = b.Remaining().FloorUnits()
	rest := b.Granted.CeilUnits() - remaining
	switch {
	case b.Held == 0:
		return remaining, rest, 0
	case b.Used == 0:
		return remaining, 0, rest
	}
	used = min(b.Used.CeilUnits(), rest)
	return remaining, used, rest - used
}
