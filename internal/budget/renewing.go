package budget

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"time"

	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/money"
	"halley/internal/speech"
)

// maxRenewing is how many renewing budgets a key or an account may have.
const maxRenewing = 16

// maxAnchor is the last second of the year 9999.
const maxAnchor int64 = 253402300799

// Renewing is a budget as the limits object of a key or an account has it: an
// amount that comes back at each period's boundary. The JSON is how stores keep
// it.
type Renewing struct {
	Amount   int64  `json:"amount"`          // quota units
	Period   string `json:"period"`          // day, week, month or hours:N
	TimeZone string `json:"time_zone"`       // IANA name
	Anchor   int64  `json:"anchor,omitzero"` // Unix seconds of one of its boundaries, 0 for none
}

// RenewingPatch is one of them as a caller sends it. The anchor may be null.
type RenewingPatch struct {
	Amount   jsonx.Opt[int64]  `json:"amount"`
	Period   jsonx.Opt[string] `json:"period"`
	TimeZone jsonx.Opt[string] `json:"time_zone"`
	Anchor   jsonx.Opt[int64]  `json:"anchor"`
}

// RenewingRules is what a list of budgets is judged by.
type RenewingRules struct {
	Now    time.Time
	Zone   string     // of those that name none; "" is UTC
	Before []Renewing // that stood already: their anchors may have passed since
}

// ParseRenewing reads the member limits.budgets. What breaks a rule is a fault
// that names the member.
func ParseRenewing(from []jsonx.Opt[RenewingPatch], r RenewingRules) ([]Renewing, error) {
	if len(from) > maxRenewing {
		return nil, invalidRenewing("limits.budgets", "must have at most %d entries, it has %d.", maxRenewing, len(from))
	}
	budgets := make([]Renewing, 0, len(from))
	for i, entry := range from {
		field := "limits.budgets." + strconv.Itoa(i)
		if err := entry.NotNull(field); err != nil {
			return nil, err
		}
		b, err := entry.Value.parse(field, r)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(budgets, func(o Renewing) bool { return o.schedule().same(b.schedule()) }) {
			return nil, invalidRenewing(field, "renews together with an entry before it; the smaller amount alone would do.")
		}
		budgets = append(budgets, b)
	}
	return budgets, nil
}

func invalidRenewing(field, format string, args ...any) error {
	return fault.New(fault.Invalid, "invalid_limits", "%s %s", field, speech.Say(format, args...)).Field(field)
}

func (p RenewingPatch) parse(field string, r RenewingRules) (Renewing, error) {
	for _, err := range []error{p.Amount.NotNull(field + ".amount"), p.Period.NotNull(field + ".period"), p.TimeZone.NotNull(field + ".time_zone")} {
		if err != nil {
			return Renewing{}, err
		}
	}
	b := Renewing{Amount: p.Amount.Value, Period: p.Period.Value, TimeZone: p.TimeZone.Value, Anchor: p.Anchor.Value}
	if !p.Amount.Set || b.Amount < 0 || b.Amount > money.MaxUnits {
		return b, invalidRenewing(field+".amount", "must be from 0 to %d quota units.", money.MaxUnits)
	}
	if !p.TimeZone.Set {
		b.TimeZone = cmp.Or(r.Zone, "UTC")
	}
	switch _, err := NewSchedule(b.Period, b.TimeZone, b.Anchor); {
	case errors.Is(err, ErrPeriod):
		return b, invalidRenewing(field+".period", "must be day, week, month or hours:N with N from 1 to %d.", MaxPeriodHours)
	case err != nil:
		return b, invalidRenewing(field+".time_zone", "must be the name of a time zone such as Europe/Berlin, which %s is not.", fault.Quote(b.TimeZone))
	}
	return b, checkAnchor(field+".anchor", b, p.Anchor, r)
}

// checkAnchor judges the anchor of b. One that stood already may have passed
// since.
func checkAnchor(field string, b Renewing, anchor jsonx.Opt[int64], r RenewingRules) error {
	if !anchor.Set || anchor.Null || slices.ContainsFunc(r.Before, func(o Renewing) bool { return o.Anchor == b.Anchor }) {
		return nil
	}
	if b.Anchor <= r.Now.Unix() || b.Anchor > maxAnchor {
		return invalidRenewing(field, "must be in the future, in Unix seconds, or null for none.")
	}
	return nil
}

// schedule is when the budget comes back. Stored budgets were judged when they
// were made; one whose time zone this machine does not know counts in UTC.
func (b Renewing) schedule() Schedule {
	s, err := NewSchedule(b.Period, b.TimeZone, b.Anchor)
	if errors.Is(err, ErrTimeZone) {
		s, err = NewSchedule(b.Period, "UTC", b.Anchor)
	}
	if err != nil {
		s, _ = NewSchedule("day", "UTC", 0) // cannot fail
	}
	return s
}

// RenewsAt is the end of the window that now lies in.
func (b Renewing) RenewsAt(now time.Time) time.Time {
	_, end := b.schedule().Window(now)
	return end
}

// Allowances are the budgets in the ledger's terms, in their order.
func Allowances(budgets []Renewing) []Allowance {
	list := make([]Allowance, 0, len(budgets))
	for _, b := range budgets {
		list = append(list, Allowance{Amount: money.FromUnits(b.Amount), Schedule: b.schedule()})
	}
	return list
}
