package budget_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"halley/internal/budget"
	"halley/internal/fault"
)

// deaf is a node whose store takes its calls and does not answer.
type deaf struct{ node }

func (d deaf) TakeLease(ctx context.Context, _ budget.Subject, _ int64, _ []budget.Lease, _ func(budget.Position) []budget.Lease) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestRequestsThatWaitForTheStoreInVainAreToldThatItIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(1)
		f.subjects[key] = &account{granted: 1000}
		f.subjects[user] = &account{granted: 1000}
		l := budget.NewSharedLedger(node{f.pool, 0}, deaf{node{f.pool, 0}}, f.clock)
		l.Lapsed(f.join(0))
		l.Renewed(time.Now().Add(time.Hour))
		var all sync.WaitGroup
		for range 3 { // one asks, the others wait for their turn
			all.Go(func() {
				var h budget.Hold
				if err := l.Hold(t.Context(), &h, budget.Payers{Key: key.ID, User: user.ID}, 100, nil); !fault.Is(err, fault.Unavailable) {
					t.Errorf("a hold got %v", err)
				}
			})
		}
		all.Wait()
	})
}
