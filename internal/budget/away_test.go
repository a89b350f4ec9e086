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

// failing is a node whose store fails when it is written to.
type failing struct {
	node
	now *bool
}

func (f failing) TakeLease(ctx context.Context, s budget.Subject, term int64, asked []budget.Lease, decide func(budget.Position) []budget.Lease) error {
	if *f.now {
		return errCut
	}
	return f.node.TakeLease(ctx, s, term, asked, decide)
}

func (f failing) KeepLeases(ctx context.Context, s budget.Subject, term int64, leases []budget.Lease) error {
	if *f.now {
		return errCut
	}
	return f.node.KeepLeases(ctx, s, term, leases)
}

func TestWhatIsHeldIsToldAgainAfterTheStoreFailed(t *testing.T) {
	t.Parallel()
	f := newFleet(1)
	var ids []int64
	for id := int64(1); id <= 20; id++ {
		f.subjects[budget.Subject{Kind: budget.Key, ID: id}] = &account{granted: 1000}
		ids = append(ids, id)
	}
	f.subjects[user] = &account{granted: 1_000_000}
	broken := false
	store := failing{node{f.pool, 0}, &broken}
	l := budget.NewSharedLedger(store, store, f.clock)
	l.Lapsed(f.join(0))
	l.Renewed(time.Now().Add(time.Hour))
	holds := make([]budget.Hold, len(ids))
	for i, id := range ids {
		if err := l.Hold(t.Context(), &holds[i], budget.Payers{Key: id, User: user.ID}, 100, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	broken = true
	for i, id := range ids { // what the store did is not known
		var more budget.Hold
		if err := l.Hold(t.Context(), &more, budget.Payers{Key: id, User: user.ID}, 950, nil); !fault.Is(err, fault.Unavailable) {
			t.Fatal(err)
		}
		holds[i].Settle(0)
	}
	if err := l.Tend(t.Context()); err == nil {
		t.Fatal("nothing was to be written")
	}
	broken = false
	if err := l.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	// As the other nodes see it.
	held, err := node{f.pool, 1}.HeldElsewhere(t.Context(), budget.Key, ids)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if held[id] != 0 {
			t.Errorf("%d are held of key %d, and nothing is in flight", held[id], id)
		}
	}
}
