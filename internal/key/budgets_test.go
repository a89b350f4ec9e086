package key_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/budget"
	"halley/internal/jsonx"
	"halley/internal/key"
	"halley/internal/money"
	"halley/internal/usage"
)

// limits is a patch of the limits object alone.
func limits(t testing.TB, text string) key.Patch {
	t.Helper()
	var p key.LimitsPatch
	if err := jsonx.Decode([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	return key.Patch{Limits: &p}
}

// charge holds, settles and stores so many units on one of ada's keys.
func (b *bench) charge(t testing.TB, id, units int64) error {
	t.Helper()
	var h budget.Hold
	cost := money.FromUnits(units)
	if err := b.ledger.Hold(t.Context(), &h, budget.Payers{Key: id, User: b.ada}, cost, nil); err != nil {
		return err
	}
	c := h.Settle(cost)
	return b.ledger.Land(t.Context(), func() error {
		err := b.store.ApplyUsage(t.Context(), []usage.Record{{
			EventID: key.NewValue()[:20], Time: h.At(), KeyID: id, UserID: b.ada, Model: "m", Cost: c.Charged, KeyGrantDelta: c.KeyGrant, UserGrantDelta: c.UserGrant, Settled: true,
		}})
		b.ledger.Landed(budget.Landing{Payers: budget.Payers{Key: id, User: b.ada}, At: h.At(), Charge: c})
		return err
	})
}

// spentOf is what is spent of each budget, in units.
func spentOf(v key.View) (list []int64) {
	for _, a := range v.Budgets {
		list = append(list, a.Used.CeilUnits())
	}
	return list
}

func TestBudgetsAreEditedWithTheKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := limits(t, `{"budgets":[{"amount":100,"period":"day"}]}`)
	p.Unlimited = new(true)
	v, _ := b.create(t, p)
	id := v.Key.ID
	if err := b.charge(t, id, 60); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "more than the day has left", b.charge(t, id, 41), "budget_exhausted")

	v, err := b.Update(t.Context(), b.ada, id, limits(t, `{"budgets":[{"amount":70,"period":"day"},{"amount":200,"period":"month"}]}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{60, 60}, spentOf(v)); diff != "" {
		t.Error(diff)
	}
	wantCode(t, "more than the lower amount has left", b.charge(t, id, 11), "budget_exhausted")
	if err := b.charge(t, id, 10); err != nil {
		t.Fatal(err)
	}
	b.clock.pass(24 * time.Hour)
	if err := b.charge(t, id, 70); err != nil {
		t.Errorf("the next day: %v", err)
	}
	if v, err = b.Update(t.Context(), b.ada, id, limits(t, `{"budgets":[{"amount":1000,"period":"week"}]}`), nil); err != nil {
		t.Fatal(err)
	}
	b.ledger = budget.NewLedger(b.store.DB, b.clock.now) // a restart
	views, _, err := b.List(t.Context(), key.Query{UserID: b.ada, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]int64{{140}, {140}}, [][]int64{spentOf(v), spentOf(views[0])}); diff != "" {
		t.Error(diff)
	}
	again, err := b.ledger.Allowances(context.Background(), budget.Subject{Kind: budget.Key, ID: id})
	if err != nil || len(again) != 1 || again[0].Used != 140*money.Unit {
		t.Errorf("after a restart: %+v, %v", again, err)
	}
}

func TestABudgetsZoneIsItsOwnersUnlessItSaysAnother(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.OwnerZone = func(context.Context, int64) (string, error) { return "Asia/Tokyo", nil }
	v, _ := b.create(t, limits(t, `{"budgets":[{"amount":1,"period":"day"},{"amount":1,"period":"day","time_zone":"UTC"}]}`))
	if diff := cmp.Diff([]budget.Renewing{{Amount: 1, Period: "day", TimeZone: "Asia/Tokyo"}, {Amount: 1, Period: "day", TimeZone: "UTC"}}, v.Key.Limits.Budgets); diff != "" {
		t.Error(diff)
	}
}

func TestAnAnchorMayHavePassedOnceItStands(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const text = `{"budgets":[{"amount":1,"period":"month","anchor":1700000600}]}`
	v, _ := b.create(t, limits(t, text))
	b.clock.pass(time.Hour)
	if _, err := b.Update(t.Context(), b.ada, v.Key.ID, limits(t, text), nil); err != nil {
		t.Errorf("sent back as it was: %v", err)
	}
	_, err := b.Update(t.Context(), b.ada, v.Key.ID, limits(t, `{"budgets":[{"amount":1,"period":"month","anchor":1700000700}]}`), nil)
	wantCode(t, "another one, passed", err, "invalid_limits")
}
