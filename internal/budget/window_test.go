package budget_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/money"
)

// calendar is a ledger with a clock that the test moves.
type calendar struct {
	*budget.Ledger
	books *books
	at    atomic.Int64 // Unix milliseconds
}

func newCalendar(t testing.TB, start string, allowances map[budget.Subject][]budget.Allowance) *calendar {
	t.Helper()
	at, err := time.Parse(time.RFC3339, start)
	if err != nil {
		t.Fatal(err)
	}
	c := &calendar{books: newBooks(money.Max, money.Max)}
	maps.Copy(c.books.allowances, allowances)
	c.at.Store(at.UnixMilli())
	c.restart()
	return c
}

func (c *calendar) now() time.Time         { return time.UnixMilli(c.at.Load()) }
func (c *calendar) pass(d time.Duration)   { c.at.Add(d.Milliseconds()) }
func (c *calendar) restart()               { c.Ledger = budget.NewLedger(c.books, c.now) }
func (c *calendar) set(at time.Time)       { c.at.Store(at.UnixMilli()) }
func nano(units int64) money.Nano          { return money.FromUnits(units) }
func (c *calendar) spend(units int64) bool { return c.spent(units) == nil }

// spent holds, settles and lands so many units.
func (c *calendar) spent(units int64) error {
	h, err := take(c.Ledger, nano(units), nil)
	if err != nil {
		return err
	}
	return c.books.apply(c.Ledger, h.At(), h.Settle(nano(units)))
}

func (c *calendar) states(t testing.TB, s budget.Subject) []budget.AllowanceState {
	t.Helper()
	states, err := c.Allowances(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return states
}

func (c *calendar) edit(allowances ...budget.Allowance) error {
	_, err := c.Edit(context.Background(), key, func(budget.Balance) (budget.Change, error) {
		return budget.Change{Allowances: &allowances}, nil
	}, func(context.Context, budget.Change) error {
		c.books.mu.Lock()
		defer c.books.mu.Unlock()
		c.books.allowances[key] = allowances
		return nil
	})
	return err
}

func daily(t testing.TB, units int64) budget.Allowance {
	return budget.Allowance{Amount: nano(units), Schedule: schedule(t, "day", "UTC", 0)}
}

func monthly(t testing.TB, units int64) budget.Allowance {
	return budget.Allowance{Amount: nano(units), Schedule: schedule(t, "month", "UTC", 0)}
}

func TestABudgetRenewsExactlyAtItsBoundary(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]budget.Subject{"of the key": key, "of the account": user} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCalendar(t, "2026-02-28T23:00:00Z", map[budget.Subject][]budget.Allowance{s: {daily(t, 100)}})
			if !c.spend(60) || !c.spend(40) {
				t.Fatal("the budget does not bear what it is worth")
			}
			c.pass(time.Hour - time.Millisecond)
			err := c.spent(1)
			if fault.Code(err) != "budget_exhausted" || !fault.Is(err, fault.PaymentRequired) {
				t.Fatalf("a millisecond before midnight: %v", err)
			}
			if after := fault.From(err).RetryAfter; after <= 0 || after > time.Second {
				t.Errorf("retry after %v", after)
			}
			if until := balance(t, c.Ledger, s).SpentUntil; !until.Equal(c.now().Add(time.Millisecond)) {
				t.Errorf("spent until %v", until)
			}
			c.pass(time.Millisecond)
			if until := balance(t, c.Ledger, s).SpentUntil; !until.IsZero() {
				t.Errorf("after midnight spent until %v", until)
			}
			if !c.spend(100) || c.spend(1) {
				t.Error("the new day is not worth exactly the budget")
			}
		})
	}
}

func TestTheTightestBudgetWinsAndRetryAfterIsWhenTheRequestFits(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		key, user []budget.Allowance
		spent     int64
		want      int64
		fit       budget.Fit
		after     time.Duration // 0: it fits
	}{
		"both fit":                          {[]budget.Allowance{daily(t, 100)}, []budget.Allowance{monthly(t, 100)}, 40, 60, nil, 0},
		"the day is in the way":             {[]budget.Allowance{daily(t, 100), monthly(t, 1000)}, nil, 50, 60, nil, 12 * time.Hour},
		"the month is in the way":           {[]budget.Allowance{daily(t, 100), monthly(t, 100)}, nil, 50, 60, nil, 15*24*time.Hour + 12*time.Hour},
		"the account's month is":            {[]budget.Allowance{daily(t, 100)}, []budget.Allowance{monthly(t, 90)}, 50, 60, nil, 15*24*time.Hour + 12*time.Hour},
		"both are, the day is tighter":      {[]budget.Allowance{daily(t, 100), monthly(t, 105)}, nil, 60, 50, nil, 15*24*time.Hour + 12*time.Hour},
		"more than the day is ever worth":   {[]budget.Allowance{daily(t, 100), monthly(t, 1000)}, nil, 60, 101, nil, 12 * time.Hour},
		"a request that fits itself in":     {[]budget.Allowance{daily(t, 100)}, nil, 90, 50, func(left money.Nano) (money.Nano, bool) { return left, left >= nano(10) }, 0},
		"one that cannot, but will by noon": {[]budget.Allowance{daily(t, 100)}, nil, 91, 500, func(left money.Nano) (money.Nano, bool) { return left, left >= nano(10) }, 12 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCalendar(t, "2026-03-16T12:00:00Z", map[budget.Subject][]budget.Allowance{key: row.key, user: row.user})
			if err := c.spent(row.spent); err != nil {
				t.Fatal(err)
			}
			h, err := take(c.Ledger, nano(row.want), row.fit)
			if row.after == 0 {
				if err != nil || h.Amount() != min(nano(row.want), nano(100-row.spent)) {
					t.Errorf("%v, holds %d", err, h.Amount())
				}
				return
			}
			if fault.Code(err) != "budget_exhausted" || fault.From(err).RetryAfter != row.after {
				t.Errorf("%v, retry after %v, want %v", err, fault.From(err).RetryAfter, row.after)
			}
			for _, s := range []budget.Subject{key, user} {
				for _, a := range c.states(t, s) {
					if a.Held != 0 {
						t.Errorf("the refusal left %d held", a.Held)
					}
				}
			}
		})
	}
}

func TestALackThatNoRenewalCuresIsCalledByItsName(t *testing.T) {
	t.Parallel()
	c := newCalendar(t, "2026-03-16T12:00:00Z", map[budget.Subject][]budget.Allowance{key: {daily(t, 100)}})
	c.books.balances[key] = budget.Balance{Granted: nano(50)}
	if err := c.spent(60); fault.Code(err) != "key_quota_exhausted" {
		t.Errorf("err = %v", err)
	}
}

func TestAnUnlimitedKeyIsBoundByItsBudgets(t *testing.T) {
	t.Parallel()
	c := newCalendar(t, "2026-03-16T12:00:00Z", map[budget.Subject][]budget.Allowance{key: {daily(t, 100)}})
	c.books.balances[key], c.books.balances[user] = budget.Balance{Unlimited: true}, budget.Balance{Unlimited: true}
	if !c.spend(100) {
		t.Fatal("refused")
	}
	if err := c.spent(1); fault.Code(err) != "budget_exhausted" {
		t.Errorf("err = %v", err)
	}
	h, err := take(c.Ledger, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := h.Settle(nano(1)); got.Charged != 0 || got.Absorbed != nano(1) {
		t.Errorf("a lying upstream got %+v", got)
	}
}

func TestWhatWasHeldBeforeTheBoundaryCountsThere(t *testing.T) {
	t.Parallel()
	c := newCalendar(t, "2026-03-31T23:59:00Z", map[budget.Subject][]budget.Allowance{key: {daily(t, 100), monthly(t, 150)}})
	h, err := take(c.Ledger, nano(60), nil)
	if err != nil {
		t.Fatal(err)
	}
	c.pass(2 * time.Minute)
	other, err := take(c.Ledger, nano(100), nil)
	if err != nil {
		t.Fatalf("the new day is not worth its amount while the old one's request runs: %v", err)
	}
	// What it costs beyond its hold is taken from its own day, which has 40 left.
	if got := h.Settle(nano(500)); got.Charged != nano(100) || got.Absorbed != nano(400) {
		t.Errorf("charge = %+v", got)
	}
	if got := other.Settle(nano(30)); got.Charged != nano(30) {
		t.Errorf("charge = %+v", got)
	}
	for i, a := range c.states(t, key) {
		if a.Used != nano(30) || a.Held != 0 {
			t.Errorf("allowance %d: used %d, held %d; want the new window's 30 alone", i, a.Used.FloorUnits(), a.Held)
		}
	}
	if err := errors.Join(c.books.apply(c.Ledger, h.At(), budget.Charge{Charged: nano(100)}), c.books.apply(c.Ledger, other.At(), budget.Charge{Charged: nano(30)})); err != nil {
		t.Fatal(err)
	}
	c.restart()
	for i, a := range c.states(t, key) {
		if a.Used != nano(30) {
			t.Errorf("allowance %d after a restart: used %d, want 30", i, a.Used.FloorUnits())
		}
	}
}

func TestAClockSetBackRenewsNothingAgain(t *testing.T) {
	t.Parallel()
	c := newCalendar(t, "2026-03-31T23:55:00Z", map[budget.Subject][]budget.Allowance{key: {daily(t, 100)}})
	if !c.spend(100) {
		t.Fatal("refused")
	}
	c.pass(6 * time.Minute)
	if !c.spend(70) {
		t.Fatal("not renewed")
	}
	c.pass(-5 * time.Minute) // 23:56 again
	if c.spend(31) || !c.spend(10) {
		t.Error("the day that had begun is not the one that is spent")
	}
	c.restart()
	if c.spend(21) || !c.spend(20) || c.spend(1) {
		t.Error("after a restart the day that had begun is not the one that is spent")
	}
	c.pass(5 * time.Minute) // 00:01 again
	if c.spend(1) {
		t.Error("the boundary was crossed twice")
	}
	c.pass(24 * time.Hour)
	if !c.spend(100) {
		t.Error("the next day does not renew")
	}
}

func TestAnEditOfBudgetsTakesEffectAtOnce(t *testing.T) {
	t.Parallel()
	c := newCalendar(t, "2026-03-16T12:00:00Z", map[budget.Subject][]budget.Allowance{key: {daily(t, 100)}})
	if !c.spend(60) {
		t.Fatal("refused")
	}
	held, err := take(c.Ledger, nano(10), nil)
	if err != nil {
		t.Fatal(err)
	}
	// Settled, but not in the store: it must count all the same.
	settled, err := take(c.Ledger, nano(20), nil)
	if err != nil {
		t.Fatal(err)
	}
	charge := settled.Settle(nano(5))
	if err := c.edit(daily(t, 50), monthly(t, 80)); err != nil {
		t.Fatal(err)
	}
	for i, a := range c.states(t, key) {
		if a.Used != nano(65) || a.Held != nano(10) {
			t.Errorf("allowance %d: used %d, held %d, want 65 and 10", i, a.Used.FloorUnits(), a.Held.FloorUnits())
		}
	}
	if c.spend(1) {
		t.Error("the lower amount does not bind")
	}
	if _, err := take(c.Ledger, 0, nil); fault.Code(err) != "budget_exhausted" {
		t.Errorf("a free request above the amount: %v", err)
	}
	if err := c.edit(monthly(t, 80)); err != nil {
		t.Fatal(err)
	}
	if c.spend(6) || !c.spend(5) {
		t.Error("not exactly 80 − 65 − 10 are left of the month")
	}
	held.Settle(nano(10))
	if err := c.books.apply(c.Ledger, settled.At(), charge); err != nil {
		t.Fatal(err)
	}
	if err := c.edit(); err != nil {
		t.Fatal(err)
	}
	if !c.spend(1000) {
		t.Error("a key without budgets is bound by one")
	}
}

func TestAnEditThatFailsChangesNoBudget(t *testing.T) {
	t.Parallel()
	c := newCalendar(t, "2026-03-16T12:00:00Z", map[budget.Subject][]budget.Allowance{key: {daily(t, 100)}})
	if !c.spend(60) {
		t.Fatal("refused")
	}
	broken := errors.New("disk full")
	next := []budget.Allowance{daily(t, 1000), monthly(t, 70)}
	_, err := c.Edit(t.Context(), key, func(budget.Balance) (budget.Change, error) {
		return budget.Change{Allowances: &next}, nil
	}, func(context.Context, budget.Change) error {
		if c.spend(11) {
			t.Error("the month does not bind while the edit is written")
		}
		if !c.spend(10) {
			t.Error("what both allow is refused while the edit is written")
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if got := c.states(t, key); len(got) != 1 || got[0].Amount != nano(100) || got[0].Used != nano(70) {
		t.Errorf("budgets = %+v", got)
	}
	c.books.err = broken
	if err := c.edit(monthly(t, 1)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a sum that cannot be read: %v", err)
	}
	c.books.err = nil
	if !c.spend(30) || c.spend(1) {
		t.Error("the budget is not what it was")
	}
}

func TestSumsWaitForAWriteInDoubt(t *testing.T) {
	t.Parallel()
	c := newCalendar(t, "2026-03-16T12:00:00Z", nil)
	if !c.spend(60) {
		t.Fatal("refused")
	}
	h, err := take(c.Ledger, nano(10), nil)
	if err != nil {
		t.Fatal(err)
	}
	charge := h.Settle(nano(10))
	lost := errors.New("connection reset")
	if err := c.Land(t.Context(), func() error { return lost }); !errors.Is(err, lost) {
		t.Fatal(err)
	}
	if err := c.edit(daily(t, 100)); fault.Code(err) != "store_unavailable" {
		t.Errorf("err = %v", err)
	}
	if err := c.books.apply(c.Ledger, h.At(), charge); err != nil {
		t.Fatal(err)
	}
	if err := c.edit(daily(t, 100)); err != nil {
		t.Fatal(err)
	}
	if got := c.states(t, key); got[0].Used != nano(70) {
		t.Errorf("used %d, want 70", got[0].Used.FloorUnits())
	}
}

// The ledger against a list of everything that ever happened, whatever the
// order of holds, settlements, landings, edits, restarts and turns of the clock.
func TestBudgetsAgreeWithTheRecordsWhateverTheOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		c := newCalendar(t, "2026-03-28T20:00:00Z", nil)
		schedules := []budget.Schedule{
			schedule(t, "day", "Europe/Berlin", 0), schedule(t, "day", "America/Havana", 0), schedule(t, "week", "UTC", 0), schedule(t, "month", "Asia/Tokyo", 0),
			schedule(t, "hours:1", "UTC", 0), schedule(t, "hours:5", "UTC", c.now().Unix()+1234), schedule(t, "month", "UTC", c.now().Unix()+3*86_400),
		}
		some := func(label string) []budget.Allowance {
			var list []budget.Allowance
			for range rapid.IntRange(0, 4).Draw(r, label) {
				list = append(list, budget.Allowance{Amount: nano(rapid.Int64Range(0, 300).Draw(r, "amount")), Schedule: rapid.SampledFrom(schedules).Draw(r, "schedule")})
			}
			return list
		}
		c.books.allowances[user] = some("budgets of the account")
		type settled struct {
			at time.Time
			budget.Charge
		}
		var open []*budget.Hold
		var waiting []settled
		all := map[budget.Subject][]settled{}
		pick := func(n int) int { return rapid.IntRange(0, n-1).Draw(r, "which") }
		check := func(*rapid.T) {
			for _, s := range []budget.Subject{key, user} {
				states, err := c.Allowances(t.Context(), s)
				if err != nil {
					r.Fatal(err)
				}
				if len(states) != len(c.books.allowances[s]) {
					r.Fatalf("%d budgets, want %d", len(states), len(c.books.allowances[s]))
				}
				for i, a := range states {
					if a.Amount != c.books.allowances[s][i].Amount {
						r.Fatalf("budget %d is worth %d, want %d", i, a.Amount, c.books.allowances[s][i].Amount)
					}
					if b, e := a.Schedule.Window(a.Start); !b.Equal(a.Start) || !e.Equal(a.Renews) || !c.now().Before(a.Renews) {
						r.Fatalf("the window %v – %v at %v is none of the schedule's", a.Start, a.Renews, c.now())
					}
					var used, held money.Nano
					for _, d := range all[s] {
						if !d.at.Before(a.Start) {
							used += d.Charged
						}
					}
					for _, h := range open {
						if !h.At().Before(a.Start) {
							held += h.Amount()
						}
					}
					if a.Used != used || a.Held != held {
						r.Fatalf("%v budget %d since %v: used %d, held %d; want %d, %d", s, i, a.Start, a.Used, a.Held, used, held)
					}
				}
			}
		}
		r.Repeat(map[string]func(*rapid.T){
			"": check,
			"hold": func(r *rapid.T) {
				want := nano(rapid.Int64Range(0, 200).Draw(r, "want"))
				left := money.Max
				for _, s := range []budget.Subject{key, user} {
					for _, a := range c.states(t, s) {
						left = min(left, a.Left())
					}
				}
				h, err := take(c.Ledger, want, nil)
				switch {
				case err == nil && want > left:
					r.Fatalf("held %d of %d", want, left)
				case err != nil && (want <= left || fault.Code(err) != "budget_exhausted" || fault.From(err).RetryAfter <= 0):
					r.Fatalf("%d of %d: %v", want, left, err)
				case err == nil:
					open = append(open, h)
				}
			},
			"extend": func(r *rapid.T) {
				if len(open) == 0 {
					r.Skip()
				}
				h := open[pick(len(open))]
				more := nano(rapid.Int64Range(0, 50).Draw(r, "more"))
				left := money.Max
				for _, s := range []budget.Subject{key, user} {
					for _, a := range c.states(t, s) {
						if !h.At().Before(a.Start) {
							left = min(left, a.Left())
						}
					}
				}
				if before := h.Amount(); h.Extend(more) && (more > max(left, 0) || h.Amount() != before+more) {
					r.Fatalf("extended by %d of %d to %d", more, left, h.Amount())
				}
			},
			"settle": func(r *rapid.T) {
				if len(open) == 0 {
					r.Skip()
				}
				i := pick(len(open))
				h := open[i]
				open = slices.Delete(open, i, i+1)
				s := settled{h.At(), h.Settle(nano(rapid.Int64Range(0, 250).Draw(r, "cost")))}
				waiting = append(waiting, s)
				all[key], all[user] = append(all[key], s), append(all[user], s)
			},
			"land": func(r *rapid.T) {
				if len(waiting) == 0 {
					r.Skip()
				}
				i := pick(min(3, len(waiting)))
				s := waiting[i]
				waiting = slices.Delete(waiting, i, i+1)
				if err := c.books.apply(c.Ledger, s.at, s.Charge); err != nil {
					r.Fatal(err)
				}
			},
			"edit": func(r *rapid.T) {
				if err := c.edit(some("budgets")...); err != nil {
					r.Fatal(err)
				}
			},
			"pass": func(r *rapid.T) {
				c.pass(time.Duration(rapid.SampledFrom([]int64{1, 1000, 60_000, 3_600_000, 40 * 3_600_000}).Draw(r, "ms")) * time.Millisecond)
			},
			"boundary": func(r *rapid.T) {
				_, end := rapid.SampledFrom(schedules).Draw(r, "of").Window(c.now())
				c.set(end.Add(-time.Duration(rapid.IntRange(0, 1).Draw(r, "before")) * time.Millisecond))
			},
			"clock set back": func(r *rapid.T) {
				c.pass(-time.Duration(rapid.IntRange(1, 600).Draw(r, "seconds")) * time.Second)
			},
			"sweep": func(r *rapid.T) {
				if err := c.Sweep(context.Background(), -time.Hour); err != nil {
					r.Fatal(err)
				}
			},
			"restart": func(r *rapid.T) {
				if len(open) > 0 || len(waiting) > 0 {
					r.Skip()
				}
				c.restart()
			},
		})
	})
}

// Many at once over a boundary that keeps coming, with edits between: no window
// is ever charged more than the highest amount it had.
func TestConcurrentSpendingNeverExceedsABudget(t *testing.T) {
	t.Parallel()
	c := newCalendar(t, "2026-03-16T12:00:00Z", map[budget.Subject][]budget.Allowance{key: {{Amount: nano(100), Schedule: schedule(t, "hours:1", "UTC", 0)}}, user: {daily(t, 700)}})
	var mu sync.Mutex
	charged := map[string]money.Nano{}
	var wg sync.WaitGroup
	for i := range 2000 {
		wg.Go(func() {
			switch i % 50 {
			case 17:
				c.pass(20 * time.Minute)
			case 31:
				if err := c.edit(budget.Allowance{Amount: nano(80 + rand.Int64N(21)), Schedule: schedule(t, "hours:1", "UTC", 0)}, monthly(t, 1500)); err != nil {
					t.Error(err)
				}
			}
			h, err := take(c.Ledger, nano(rand.Int64N(40)+1), nil)
			if err != nil {
				if fault.Code(err) != "budget_exhausted" {
					t.Error(err)
				}
				return
			}
			got := h.Settle(nano(rand.Int64N(60)))
			mu.Lock()
			for _, period := range []string{"2006-01-02 15", "2006-01-02", "2006-01"} {
				charged[h.At().UTC().Format(period)] += got.Charged
			}
			mu.Unlock()
			if err := c.books.apply(c.Ledger, h.At(), got); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	most := map[int]int64{len("2006-01-02 15"): 100, len("2006-01-02"): 700}
	for period, sum := range charged {
		if limit := most[len(period)]; limit > 0 && sum > nano(limit) {
			t.Errorf("%s was charged %d units of %d", period, sum.CeilUnits(), limit)
		}
	}
	for _, s := range []budget.Subject{key, user} {
		live := c.states(t, s)
		for _, a := range live {
			if a.Held != 0 {
				t.Errorf("%v: %d are still held", s, a.Held)
			}
		}
		again := budget.NewLedger(c.books, c.now)
		stored, err := again.Allowances(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(used(live)) != fmt.Sprint(used(stored)) {
			t.Errorf("%v: used %v, after a restart %v", s, used(live), used(stored))
		}
	}
}

func used(states []budget.AllowanceState) (list []money.Nano) {
	for _, a := range states {
		list = append(list, a.Used)
	}
	return list
}

func TestBudgetsAllocateNothingPerRequest(t *testing.T) {
	c := newCalendar(t, "2026-03-16T12:00:00Z", map[budget.Subject][]budget.Allowance{key: {daily(t, 1<<40), monthly(t, 1<<40)}, user: {monthly(t, 1<<40)}})
	var h budget.Hold
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() {
		if err := c.Hold(ctx, &h, budget.Payers{Key: key.ID, User: user.ID}, 100, nil); err != nil {
			t.Fatal(err)
		}
		c.Landed(budget.Landing{Payers: budget.Payers{Key: key.ID, User: user.ID}, At: h.At(), Charge: h.Settle(50)})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkHoldAndSettleWithBudgets(b *testing.B) {
	c := newCalendar(b, "2026-03-16T12:00:00Z", map[budget.Subject][]budget.Allowance{key: {daily(b, 1<<40), monthly(b, 1<<40)}, user: {monthly(b, 1<<40)}})
	ctx := b.Context()
	var h budget.Hold
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Hold(ctx, &h, budget.Payers{Key: key.ID, User: user.ID}, 100, nil); err != nil {
			b.Fatal(err)
		}
		c.Landed(budget.Landing{Payers: budget.Payers{Key: key.ID, User: user.ID}, At: h.At(), Charge: h.Settle(50)})
	}
}
