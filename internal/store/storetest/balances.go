package storetest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/money"
	"halley/internal/store"
	"halley/internal/usage"
)

// RunBalances checks that a database answers as budget.Store promises.
func RunBalances(t *testing.T, open func(t *testing.T) *store.DB) {
	for name, check := range map[string]func(*testing.T, *store.DB){
		"budgets are read as they were stored":              balanceAllowances,
		"what was spent since agrees with a plain count":    balanceSpent,
		"a ledger finds its budgets as they were after all": balanceRestart,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, open(t))
		})
	}
}

func balanceAllowances(t *testing.T, db *store.DB) {
	budgets := []budget.Renewing{{Amount: 5, Period: "hours:5", TimeZone: "UTC", Anchor: 1_800_000_000}, {Amount: 7, Period: "month", TimeZone: "Europe/Berlin"}}
	owner := &account.User{Username: "ada", Role: account.RoleUser, Status: account.Enabled, Group: "default", Limits: account.Limits{Budgets: budgets}}
	if err := db.InsertUser(t.Context(), owner, budget.Cause{}); err != nil {
		t.Fatal(err)
	}
	k, plain := aKey(owner.ID, "budgeted"), aKey(owner.ID, "plain")
	k.Limits.Budgets = budgets
	insertKey(t, db, k)
	insertKey(t, db, plain)
	for _, s := range []budget.Subject{{Kind: budget.Key, ID: k.ID}, {Kind: budget.User, ID: owner.ID}} {
		got, err := db.LoadAllowances(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if want := budget.Allowances(budgets); len(got) != 2 || got[0].Amount != want[0].Amount || got[1].Amount != want[1].Amount || !sameWindows(got[0], want[0]) || !sameWindows(got[1], want[1]) {
			t.Errorf("%+v: read %+v, stored %+v", s, got, want)
		}
	}
	if got, err := db.LoadAllowances(t.Context(), budget.Subject{Kind: budget.Key, ID: plain.ID}); err != nil || len(got) != 0 {
		t.Errorf("of a key without any: %+v, %v", got, err)
	}
	for _, kind := range []budget.Kind{budget.Key, budget.User} {
		if _, err := db.LoadAllowances(t.Context(), budget.Subject{Kind: kind, ID: 99}); !fault.Is(err, fault.NotFound) {
			t.Errorf("of nobody: %v", err)
		}
	}
}

func sameWindows(a, b budget.Allowance) bool {
	a1, a2 := a.Schedule.Window(usageStart)
	b1, b2 := b.Schedule.Window(usageStart)
	return a1.Equal(b1) && a2.Equal(b2)
}

func balanceSpent(t *testing.T, db *store.DB) {
	users, keys := spenders(t, db)
	var batch []usage.Record
	for i := range 200 {
		k := rand.IntN(len(keys))
		r := someRecord(i, users[k/2], keys[k])
		r.Time, r.Cost = usageStart.Add(time.Duration(rand.Int64N(int64(5*time.Hour)))).Truncate(time.Millisecond), money.Nano(rand.Int64N(1000))
		batch = append(batch, r)
	}
	apply(t, db, batch...)
	hour := usageStart.Truncate(time.Hour)
	since := []time.Time{usageStart, hour, hour.Add(time.Hour), hour.Add(90*time.Minute + time.Millisecond), batch[0].Time, batch[0].Time.Add(time.Millisecond), hour.Add(10 * time.Hour)}
	for i, id := range append(users, keys...) {
		s := budget.Subject{Kind: budget.User, ID: id}
		if i >= len(users) {
			s.Kind = budget.Key
		}
		want, last := make([]money.Nano, len(since)), time.Time{}
		for _, r := range batch {
			if (s.Kind == budget.User && r.UserID != id) || (s.Kind == budget.Key && r.KeyID != id) {
				continue
			}
			for j, from := range since {
				if !r.Time.Before(from) {
					want[j] += r.Cost
				}
			}
			if r.Time.After(last) {
				last = r.Time
			}
		}
		got, err := db.SpentSince(t.Context(), s, since)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v (-counted +store):\n%s", s, diff)
		}
		if at, err := db.LastSpending(t.Context(), s); err != nil || !at.Equal(last) {
			t.Errorf("%v was last charged at %v, %v, want %v", s, at, err, last)
		}
	}
	if at, err := db.LastSpending(t.Context(), budget.Subject{Kind: budget.Key, ID: 999}); err != nil || !at.IsZero() {
		t.Errorf("a key that was never used was at %v, %v", at, err)
	}
}

func balanceRestart(t *testing.T, db *store.DB) {
	ada := &account.User{Username: "ada", Role: account.RoleUser, Status: account.Enabled, Group: "default", Unlimited: true}
	ada.Limits.Budgets = []budget.Renewing{{Amount: 90, Period: "hours:3", TimeZone: "Europe/Berlin"}}
	if err := db.InsertUser(t.Context(), ada, budget.Cause{}); err != nil {
		t.Fatal(err)
	}
	owner := ada.ID
	k := aKey(owner, "budgeted")
	k.Unlimited = true
	k.Limits.Budgets = []budget.Renewing{{Amount: 50, Period: "hours:1", TimeZone: "UTC", Anchor: usageStart.Unix() + 1234}, {Amount: 400, Period: "day", TimeZone: "Asia/Kathmandu"}}
	insertKey(t, db, k)
	now := usageStart
	ledger := budget.NewLedger(db, func() time.Time { return now })
	bound := budget.Allowances(append(k.Limits.Budgets, ada.Limits.Budgets...))
	charged := []map[int64]money.Nano{{}, {}, {}} // by the start of the window
	for i := range 150 {
		now = now.Add(time.Duration(rand.Int64N(int64(20 * time.Minute))))
		if rand.IntN(5) == 0 {
			ledger = budget.NewLedger(db, func() time.Time { return now })
		}
		var h budget.Hold
		want := money.FromUnits(rand.Int64N(30) + 1)
		if err := ledger.Hold(t.Context(), &h, budget.Payers{Key: k.ID, User: owner}, want, nil); err != nil {
			if fault.Code(err) != "budget_exhausted" {
				t.Fatal(err)
			}
			continue
		}
		c := h.Settle(want)
		r := someRecord(i, owner, k.ID)
		r.EventID, r.Time, r.Cost, r.KeyGrantDelta, r.UserGrantDelta = fmt.Sprint("e", i), h.At(), c.Charged, c.KeyGrant, c.UserGrant
		if err := ledger.Land(t.Context(), func() error {
			apply(t, db, r)
			ledger.Landed(budget.Landing{Payers: budget.Payers{Key: k.ID, User: owner}, At: r.Time, Charge: budget.Charge{Charged: r.Cost}})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for i, a := range bound {
			start, _ := a.Schedule.Window(r.Time)
			at := start.Unix()
			if charged[i][at] += r.Cost; charged[i][at] > a.Amount {
				t.Fatalf("the window of %v was charged %d of %d", start, charged[i][at], a.Amount)
			}
		}
	}
	live, errKey := ledger.Allowances(t.Context(), budget.Subject{Kind: budget.Key, ID: k.ID})
	ofOwner, errUser := ledger.Allowances(t.Context(), budget.Subject{Kind: budget.User, ID: owner})
	if errKey != nil || errUser != nil || len(live) != 2 || len(ofOwner) != 1 {
		t.Fatal(live, errKey, ofOwner, errUser)
	}
	for i, a := range append(live, ofOwner...) {
		if want := charged[i][a.Start.Unix()]; a.Used != want || a.Held != 0 {
			t.Errorf("used %d, held %d since %v, want %d", a.Used, a.Held, a.Start, want)
		}
	}
}
