package budget_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"halley/internal/budget"
	"halley/internal/money"
)

// plenty is a store in which everybody has a lot.
type plenty struct {
	budget.Store
	budget.Leases
}

func (plenty) LoadBalance(context.Context, budget.Subject) (budget.Balance, error) {
	return budget.Balance{Granted: money.Max / 2}, nil
}

func (plenty) LoadAllowances(context.Context, budget.Subject) ([]budget.Allowance, error) {
	return nil, nil
}

func (plenty) SpentSince(context.Context, budget.Subject, []time.Time) ([]money.Nano, error) {
	return nil, nil
}

func (plenty) OwnLeases(context.Context, budget.Subject) ([]budget.Lease, error) { return nil, nil }

func (plenty) TakeLease(_ context.Context, _ budget.Subject, _ int64, asked []budget.Lease, decide func(budget.Position) []budget.Lease) error {
	decide(budget.Position{Granted: money.Max / 2, Spent: make([]money.Nano, len(asked))})
	return nil
}

func (plenty) Nodes() int { return 3 }

// warm is a ledger with so many keys in memory, of some accounts, that are used
// in no order.
type warm struct {
	*budget.Ledger
	payers []budget.Payers
	next   int
	hold   budget.Hold
}

const keysOfAnAccount = 10

func newWarm(tb testing.TB, keys int, shared bool) *warm {
	tb.Helper()
	w := &warm{Ledger: budget.NewLedger(plenty{}, time.Now)}
	if shared {
		w.Ledger = budget.NewSharedLedger(plenty{}, plenty{}, time.Now)
		w.Lapsed(1)
		w.Renewed(time.Now().Add(time.Hour))
	}
	for _, i := range rand.Perm(keys) {
		w.payers = append(w.payers, budget.Payers{Key: int64(i + 1), User: int64(i/keysOfAnAccount + 1)})
	}
	for range keys {
		w.request(tb)
	}
	return w
}

// request holds, settles and tells that the charge has reached the store, which
// in a server happens behind the request.
func (w *warm) request(tb testing.TB) {
	who := w.payers[w.next]
	if w.next++; w.next == len(w.payers) {
		w.next = 0
	}
	if err := w.Hold(context.Background(), &w.hold, who, 100, nil); err != nil {
		tb.Fatal(err)
	}
	w.Landed(budget.Landing{Payers: who, At: w.hold.At(), Term: w.hold.Term(), Charge: w.hold.Settle(50)})
}

func TestHoldAndSettleAllocateNothingHoweverManyKeysThereAre(t *testing.T) {
	for _, keys := range []int{1, 1000, 100_000} {
		for name, shared := range map[string]bool{"alone": false, "shared": true} {
			w := newWarm(t, keys, shared)
			if n := testing.AllocsPerRun(1000, func() { w.request(t) }); n != 0 {
				t.Errorf("%s, %d keys: %v allocations", name, keys, n)
			}
		}
	}
}
