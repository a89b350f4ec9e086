package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/money"
	"halley/internal/store"
	"halley/internal/usage"
)

// RunLeases checks that nodes that share a PostgreSQL at url never overspend.
func RunLeases(t *testing.T, url func(t *testing.T) string) {
	for name, check := range map[string]func(*testing.T, string){
		"three nodes spend a key to its end and not beyond":           leaseToTheEnd,
		"three nodes spend each window of a budget to its end":        leaseWindows,
		"what a dead node leased returns, what it spent still counts": leaseLapse,
		"what a dead node leased of a budget returns, and no more":    leaseLapseBudget,
		"what is told of an old term changes nothing":                 leaseOfOldTerm,
		"a node that comes back in its term loses nothing":            leaseRestart,
		"an edit sees what is not in use anywhere":                    leaseEdit,
		"what others hold is seen everywhere":                         leaseHeld,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, url(t))
		})
	}
}

// member is one node of several on a database.
type member struct {
	db     *store.DB
	leases *store.Leases
	ledger *budget.Ledger
	id     int64
	term   int64
	serial atomic.Int64
}

func newMember(t *testing.T, url string, id int64) *member {
	t.Helper()
	m := &member{db: Open(t, url), id: id}
	t.Cleanup(func() { balanced(t, m.db) })
	leases, term, err := m.db.Join(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	leases.SetNodes(3)
	m.term = term
	m.leases, m.ledger = leases, budget.NewSharedLedger(m.db, leases, time.Now)
	m.ledger.Lapsed(term)
	m.ledger.Renewed(time.Now().Add(time.Hour))
	return m
}

// tended has the members look after their leases, and show that they live,
// until the test ends.
func tended(t *testing.T, members ...*member) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var all sync.WaitGroup
	for _, m := range members {
		all.Go(func() {
			for ctx.Err() == nil {
				if err := m.ledger.Tend(ctx); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				if _, err := m.leases.Beat(ctx); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				select {
				case <-ctx.Done():
				case <-time.After(20 * time.Millisecond): // a poll, as the server's
				}
			}
		})
	}
	t.Cleanup(func() { stop(); all.Wait() })
}

// record is the record of a settled hold.
func (m *member) record(h *budget.Hold, who budget.Payers, cost money.Nano) usage.Record {
	c := h.Settle(cost)
	r := someRecord(1, who.User, who.Key)
	r.EventID, r.Time, r.Term, r.Settled = fmt.Sprintf("%d-%d", m.id, m.serial.Add(1)), h.At(), h.Term(), true
	r.Cost, r.Absorbed, r.KeyGrantDelta, r.UserGrantDelta = c.Charged, c.Absorbed, c.KeyGrant, c.UserGrant
	return r
}

// land applies records, as the server's recorder does.
func (m *member) land(ctx context.Context, batch []usage.Record) error {
	return m.ledger.Land(ctx, func() error {
		if err := m.db.ApplyUsage(ctx, batch); err != nil {
			return err
		}
		for _, r := range batch {
			m.ledger.Landed(budget.Landing{
				Payers: budget.Payers{Key: r.KeyID, User: r.UserID}, At: r.Time, Term: r.Term,
				Charge: budget.Charge{Charged: r.Cost, KeyGrant: r.KeyGrantDelta, UserGrant: r.UserGrantDelta},
			})
		}
		return nil
	})
}

// request is one request from hold to landing; its error is the refusal.
func (m *member) request(ctx context.Context, who budget.Payers, bound, cost money.Nano) (money.Nano, error) {
	var h budget.Hold
	if err := m.ledger.Hold(ctx, &h, who, bound, nil); err != nil {
		return 0, err
	}
	r := m.record(&h, who, cost)
	return r.Cost, m.land(ctx, []usage.Record{r})
}

// soon waits for what other nodes hear of in a moment.
func soon(t *testing.T, check func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		if err = check(); err == nil {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Error(err)
}

func richOwner(t *testing.T, db *store.DB) int64 {
	t.Helper()
	ada := &account.User{Username: "ada", Role: account.RoleUser, Status: account.Enabled, Group: "default", Granted: money.FromUnits(1_000_000)}
	if err := db.InsertUser(t.Context(), ada, budget.Cause{}); err != nil {
		t.Fatal(err)
	}
	return ada.ID
}

func leaseToTheEnd(t *testing.T, url string) {
	members := []*member{newMember(t, url, 1), newMember(t, url, 2), newMember(t, url, 3)}
	tended(t, members...)
	owner := richOwner(t, members[0].db)
	k := aKey(owner, "shared")
	k.Granted = money.FromUnits(2000)
	insertKey(t, members[0].db, k)
	who := budget.Payers{Key: k.ID, User: owner}
	bound, cost := money.FromUnits(40), money.FromUnits(7)
	var spent atomic.Int64
	var all sync.WaitGroup
	for _, m := range members {
		for range 8 {
			all.Go(func() {
				for {
					charged, err := m.request(t.Context(), who, bound, cost)
					if fault.Code(err) == "key_quota_exhausted" {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					spent.Add(int64(charged))
				}
			})
		}
	}
	all.Wait()
	for _, m := range members { // nothing is in flight now
		for refused := time.Now(); time.Since(refused) < 200*time.Millisecond; {
			if charged, err := m.request(t.Context(), who, bound, cost); err == nil {
				spent.Add(int64(charged))
				refused = time.Now()
			}
		}
	}
	got := money.Nano(spent.Load())
	if got > k.Granted || got < k.Granted-bound {
		t.Errorf("%d of %d were charged; what a request holds is %d", got, k.Granted, bound)
	}
	for _, m := range members {
		for _, s := range []budget.Subject{{Kind: budget.Key, ID: k.ID}, {Kind: budget.User, ID: owner}} {
			soon(t, func() error {
				if b, err := m.ledger.Balance(t.Context(), s); err != nil || b.Used != got || b.Held != 0 {
					return fmt.Errorf("%v reads %+v, %w on node %d, want %d used", s, b, err, m.id, got)
				}
				return nil
			})
		}
	}
}

func leaseWindows(t *testing.T, url string) {
	members := []*member{newMember(t, url, 1), newMember(t, url, 2), newMember(t, url, 3)}
	tended(t, members...)
	owner := richOwner(t, members[0].db)
	k := aKey(owner, "budgeted")
	k.Unlimited = true
	k.Limits.Budgets = []budget.Renewing{{Amount: 500, Period: "hours:8784", TimeZone: "UTC"}, {Amount: 400, Period: "month", TimeZone: "Asia/Kathmandu"}}
	insertKey(t, members[0].db, k)
	who := budget.Payers{Key: k.ID, User: owner}
	bound, cost := money.FromUnits(20), money.FromUnits(7)
	var spent atomic.Int64
	var all sync.WaitGroup
	for _, m := range members {
		for range 4 {
			all.Go(func() {
				for {
					charged, err := m.request(t.Context(), who, bound, cost)
					if err != nil {
						if fault.Code(err) != "budget_exhausted" {
							t.Error(err)
						}
						return
					}
					spent.Add(int64(charged))
				}
			})
		}
	}
	all.Wait()
	got, most := money.Nano(spent.Load()), money.FromUnits(400)
	if got > most || got < most-12*bound {
		t.Errorf("%d of %d were charged", got, most)
	}
	states, err := members[1].ledger.Allowances(t.Context(), budget.Subject{Kind: budget.Key, ID: k.ID})
	if err != nil || len(states) != 2 || states[0].Used != got || states[1].Used != got || states[0].Held+states[1].Held != 0 {
		t.Errorf("the budgets read %+v, %v, want %d used", states, err, got)
	}
}

func leaseLapse(t *testing.T, url string) {
	alive, dead := newMember(t, url, 1), newMember(t, url, 2)
	owner := richOwner(t, alive.db)
	k := aKey(owner, "shared")
	k.Granted = money.FromUnits(100)
	insertKey(t, alive.db, k)
	who := budget.Payers{Key: k.ID, User: owner}
	var h budget.Hold
	if err := dead.ledger.Hold(t.Context(), &h, who, money.FromUnits(90), nil); err != nil {
		t.Fatal(err)
	}
	late := dead.record(&h, who, money.FromUnits(30)) // in its journal when it dies
	if _, err := alive.request(t.Context(), who, money.FromUnits(20), money.FromUnits(1)); fault.Code(err) != "key_quota_exhausted" {
		t.Fatalf("leased by the other: %v", err)
	}
	beats, err := alive.leases.Beats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if lapsed, err := alive.leases.Lapse(t.Context(), 2, beats[2]-1); err != nil || lapsed {
		t.Fatalf("a node that showed a sign of life lapsed: %v, %v", lapsed, err)
	}
	alive.lapse(t, dead)
	alive.ledger.ChangedAll() // looks at once
	if charged, err := alive.request(t.Context(), who, money.FromUnits(80), money.FromUnits(80)); err != nil || charged != money.FromUnits(80) {
		t.Fatalf("%d charged, %v", charged, err)
	}
	// It comes back: of its 30 units 20 are left to be charged.
	dead.ledger.Renewed(time.Now())
	if _, err := dead.request(t.Context(), who, money.FromUnits(5), 0); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a node that lapsed spends on: %v", err)
	}
	if err := alive.ledger.Recalled(t.Context(), budget.Subject{Kind: budget.Key, ID: k.ID}); err != nil {
		t.Fatal(err)
	}
	if err := dead.land(t.Context(), []usage.Record{late}); err != nil {
		t.Fatal(err)
	}
	b, err := alive.ledger.Balance(t.Context(), budget.Subject{Kind: budget.Key, ID: k.ID})
	if err != nil || b.Used != money.FromUnits(100) || b.Granted != money.FromUnits(100) {
		t.Errorf("%+v, %v", b, err)
	}
	alive.charged(t, late, 2, money.FromUnits(20), money.FromUnits(10))
}

// lapse takes what the dead member leased.
func (m *member) lapse(t *testing.T, dead *member) {
	t.Helper()
	beats, err := m.leases.Beats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if lapsed, err := m.leases.Lapse(t.Context(), dead.id, beats[dead.id]); err != nil || !lapsed {
		t.Fatalf("lapsed: %v, %v", lapsed, err)
	}
}

// charged checks what became of a record, which is one of so many of its key.
func (m *member) charged(t *testing.T, r usage.Record, of int, cost, absorbed money.Nano) {
	t.Helper()
	entries, err := m.db.UsageEntries(t.Context(), usage.Filter{KeyID: r.KeyID}, 10, 0)
	if err != nil || len(entries) != of {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	for _, e := range entries {
		if e.EventID == r.EventID && (e.Cost != cost || e.Absorbed != absorbed) {
			t.Errorf("%d charged and %d absorbed", e.Cost, e.Absorbed)
		}
	}
}

// leaseOfOldTerm: what a node writes down late, of a term that is over, does not
// touch what it has leased since.
func leaseOfOldTerm(t *testing.T, url string) {
	alive, late := newMember(t, url, 1), newMember(t, url, 2)
	k := aKey(richOwner(t, alive.db), "twice leased")
	k.Granted = money.FromUnits(100)
	insertKey(t, alive.db, k)
	subject := budget.Subject{Kind: budget.Key, ID: k.ID}
	lease := func(term int64, amount int64) {
		t.Helper()
		err := late.leases.TakeLease(t.Context(), subject, term, []budget.Lease{{End: math.MaxInt64}}, func(budget.Position) []budget.Lease {
			return []budget.Lease{{Taken: money.FromUnits(amount), End: math.MaxInt64}}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	lease(late.term, 40)
	alive.lapse(t, late)
	_, term, err := late.db.Join(t.Context(), late.id)
	if err != nil || term == late.term {
		t.Fatalf("term %d after %d, %v", term, late.term, err)
	}
	lease(term, 60)
	if err := late.leases.KeepLeases(t.Context(), subject, late.term, []budget.Lease{{End: math.MaxInt64}}); !errors.Is(err, budget.ErrLapsed) {
		t.Errorf("written down in another term: %v", err)
	}
	err = alive.leases.TakeLease(t.Context(), subject, alive.term, []budget.Lease{{End: math.MaxInt64}}, func(at budget.Position) []budget.Lease {
		if len(at.Others) != 1 || at.Others[0].Taken != money.FromUnits(60) {
			t.Errorf("%+v", at)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// leaseLapseBudget is leaseLapse for a key without a limit but for its budget's.
func leaseLapseBudget(t *testing.T, url string) {
	alive, dead := newMember(t, url, 1), newMember(t, url, 2)
	owner := richOwner(t, alive.db)
	k := aKey(owner, "budgeted")
	k.Unlimited = true
	k.Limits.Budgets = []budget.Renewing{{Amount: 500, Period: "month", TimeZone: "UTC"}, {Amount: 100, Period: "hours:8784", TimeZone: "UTC"}}
	insertKey(t, alive.db, k)
	who := budget.Payers{Key: k.ID, User: owner}
	var h budget.Hold
	if err := dead.ledger.Hold(t.Context(), &h, who, money.FromUnits(90), nil); err != nil {
		t.Fatal(err)
	}
	late := dead.record(&h, who, money.FromUnits(30))
	alive.lapse(t, dead)
	if charged, err := alive.request(t.Context(), who, money.FromUnits(75), money.FromUnits(75)); err != nil || charged != money.FromUnits(75) {
		t.Fatalf("%d charged, %v", charged, err)
	}
	// Of the 25 units that are left, 5 are held by a request in flight.
	var open budget.Hold
	if err := alive.ledger.Hold(t.Context(), &open, who, money.FromUnits(5), nil); err != nil {
		t.Fatal(err)
	}
	if err := alive.ledger.Recalled(t.Context(), budget.Subject{Kind: budget.Key, ID: k.ID}); err != nil {
		t.Fatal(err)
	}
	if err := dead.land(t.Context(), []usage.Record{late}); err != nil {
		t.Fatal(err)
	}
	if err := alive.land(t.Context(), []usage.Record{alive.record(&open, who, money.FromUnits(5))}); err != nil {
		t.Fatal(err)
	}
	states, err := alive.ledger.Allowances(t.Context(), budget.Subject{Kind: budget.Key, ID: k.ID})
	if err != nil || len(states) != 2 || states[0].Used != money.FromUnits(100) || states[1].Used != money.FromUnits(100) {
		t.Errorf("%+v, %v", states, err)
	}
	alive.charged(t, late, 3, money.FromUnits(20), money.FromUnits(10))
}

func leaseRestart(t *testing.T, url string) {
	first, other := newMember(t, url, 1), newMember(t, url, 2)
	owner := richOwner(t, first.db)
	k := aKey(owner, "shared")
	k.Granted = money.FromUnits(100)
	insertKey(t, first.db, k)
	who := budget.Payers{Key: k.ID, User: owner}
	var h budget.Hold
	if err := first.ledger.Hold(t.Context(), &h, who, money.FromUnits(60), nil); err != nil {
		t.Fatal(err)
	}
	journal := []usage.Record{first.record(&h, who, money.FromUnits(50))}
	// It dies here; another takes what it can, and it starts again.
	for range 3 {
		if _, err := other.request(t.Context(), who, money.FromUnits(40), money.FromUnits(40)); err != nil && fault.Code(err) != "key_quota_exhausted" {
			t.Fatal(err)
		}
	}
	again := newMember(t, url, 1)
	if err := again.db.ApplyUsage(t.Context(), journal); err != nil {
		t.Fatal(err)
	}
	if err := again.leases.Empty(t.Context()); err != nil {
		t.Fatal(err)
	}
	var spent money.Nano
	for {
		charged, err := again.request(t.Context(), who, money.FromUnits(1), money.FromUnits(1))
		if err != nil {
			break
		}
		spent += charged
	}
	entries, err := again.db.UsageEntries(t.Context(), usage.Filter{KeyID: k.ID}, 1000, 0)
	if err != nil {
		t.Fatal(err)
	}
	var charged, absorbed money.Nano
	for _, e := range entries {
		charged, absorbed = charged+e.Cost, absorbed+e.Absorbed
	}
	if charged > k.Granted || absorbed != 0 || charged < k.Granted-money.FromUnits(40) {
		t.Errorf("%d charged of %d, %d absorbed", charged, k.Granted, absorbed)
	}
}

func leaseEdit(t *testing.T, url string) {
	a, b := newMember(t, url, 1), newMember(t, url, 2)
	tended(t, a, b)
	owner := richOwner(t, a.db)
	k := aKey(owner, "shared")
	k.Granted = money.FromUnits(100)
	insertKey(t, a.db, k)
	subject, who := budget.Subject{Kind: budget.Key, ID: k.ID}, budget.Payers{Key: k.ID, User: owner}
	var held budget.Hold
	if err := b.ledger.Hold(t.Context(), &held, who, money.FromUnits(10), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := b.request(t.Context(), who, money.FromUnits(20), money.FromUnits(5)); err != nil {
		t.Fatal(err)
	}
	grant := func(ctx context.Context, c budget.Change) error {
		granted, err := a.db.GrantKey(ctx, k.ID, c.Delta, budget.Cause{})
		if !granted {
			t.Error("not granted")
		}
		return err
	}
	balance, err := a.ledger.Edit(t.Context(), subject, func(seen budget.Balance) (budget.Change, error) {
		if seen.Remaining() != money.FromUnits(85) {
			t.Errorf("%d are left while 10 units are held and 5 used", seen.Remaining())
		}
		return budget.SetRemaining(0)(seen)
	}, grant)
	if err != nil || balance.Remaining() != 0 {
		t.Fatalf("%+v, %v", balance, err)
	}
	for _, m := range []*member{a, b} {
		m.ledger.Changed(subject)
		if _, err := m.request(t.Context(), who, money.FromUnits(1), 0); fault.Code(err) != "key_quota_exhausted" {
			t.Errorf("node %d spends on: %v", m.id, err)
		}
	}
	if err := b.land(t.Context(), []usage.Record{b.record(&held, who, money.FromUnits(4))}); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*member{a, b} {
		soon(t, func() error {
			if got, err := m.ledger.Balance(t.Context(), subject); err != nil || got.Remaining() != money.FromUnits(6) || got.Used != money.FromUnits(9) {
				return fmt.Errorf("node %d: %+v, %w: what the hold did not need is left", m.id, got, err)
			}
			return nil
		})
	}
	soon(t, func() error {
		_, err := a.request(t.Context(), who, money.FromUnits(6), money.FromUnits(6))
		return err
	})
}

func leaseHeld(t *testing.T, url string) {
	a, b := newMember(t, url, 1), newMember(t, url, 2)
	owner := richOwner(t, a.db)
	k := insertKey(t, a.db, aKey(owner, "shared"))
	subject, who := budget.Subject{Kind: budget.Key, ID: k.ID}, budget.Payers{Key: k.ID, User: owner}
	var h budget.Hold
	if err := a.ledger.Hold(t.Context(), &h, who, money.FromUnits(30), nil); err != nil {
		t.Fatal(err)
	}
	seen := func() budget.Balance {
		t.Helper()
		balances, err := b.ledger.Live(t.Context(), budget.Key, func() ([]budget.Stored, error) {
			return []budget.Stored{{ID: k.ID, Balance: budget.Balance{Granted: k.Granted}}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		single, err := b.ledger.Balance(t.Context(), subject)
		if err != nil || single != balances[0] {
			t.Errorf("alone %+v, %v, in a list %+v", single, err, balances[0])
		}
		return single
	}
	for _, step := range []struct {
		what string
		do   func()
		held money.Nano
	}{
		{"held", func() {}, money.FromUnits(30)},
		{"extended", func() { h.Extend(money.FromUnits(5)) }, money.FromUnits(35)},
		{"settled", func() { h.Settle(0) }, 0},
	} {
		step.do()
		if err := a.ledger.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := seen(); got.Held != step.held {
			t.Errorf("%s: another node sees %+v, want %d held", step.what, got, step.held)
		}
	}
}
