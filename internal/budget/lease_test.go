package budget_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/money"
)

var (
	child  = budget.Subject{Kind: budget.Key, ID: 8}
	shared = []budget.Subject{key, child, user}
)

// fleet is some nodes on one pool, and what their journals have.
type fleet struct {
	*pool
	now     time.Time
	holds   map[int][]*open
	journal map[int][]*entry // what is not in the pool
	done    []*entry
	lapsed  bool // some charges were no longer covered by a lease
	lowered bool // a grant or a budget was made smaller than what was charged
}

type open struct {
	budget.Hold
	payers budget.Payers
}

func newFleet(nodes int) *fleet {
	f := &fleet{pool: newPool(), now: time.Unix(1_800_000_000, 0), holds: map[int][]*open{}, journal: map[int][]*entry{}}
	for id := range nodes {
		f.start(id)
	}
	return f
}

func (f *fleet) clock() time.Time { return f.now }

// start runs a node: what its journal has is applied first.
func (f *fleet) start(id int) {
	term := f.join(id)
	for _, e := range f.journal[id] {
		if err := (node{f.pool, id}).land(e); err != nil {
			panic(err)
		}
	}
	f.journal[id] = nil
	f.mu.Lock()
	f.dropAll(id)
	f.mu.Unlock()
	l := budget.NewSharedLedger(node{f.pool, id}, node{f.pool, id}, f.clock)
	l.Lapsed(term)
	l.Renewed(time.Now().Add(time.Hour))
	f.mu.Lock()
	f.ledgers[id] = l
	f.mu.Unlock()
}

func (f *fleet) kill(id int) {
	f.mu.Lock()
	delete(f.ledgers, id)
	f.mu.Unlock()
	f.holds[id] = nil
}

func (f *fleet) settle(id, i int, cost money.Nano) *entry {
	h := f.holds[id][i]
	f.holds[id] = append(f.holds[id][:i:i], f.holds[id][i+1:]...)
	e := &entry{node: id, term: h.Term(), payers: h.payers, at: h.At(), charge: h.Settle(cost)}
	f.journal[id] = append(f.journal[id], e)
	f.done = append(f.done, e)
	return e
}

// landAll brings a node's journal to the pool.
func (f *fleet) landAll(id int) error {
	l := f.ledgers[id]
	return l.Land(context.Background(), func() error {
		for len(f.journal[id]) > 0 {
			e := f.journal[id][0]
			if err := (node{f.pool, id}).land(e); err != nil {
				return err
			}
			f.mu.Lock()
			f.records = append(f.records, *e)
			f.mu.Unlock()
			f.journal[id] = f.journal[id][1:]
			l.Landed(budget.Landing{Payers: e.payers, At: e.at, Term: e.term, Charge: e.charge})
		}
		return nil
	})
}

// TestManyNodesNeverOverspend drives some nodes on one store through any order of
// holds, extensions, settlements, landings, edits, crashes, cuts and lapses, and
// looks at every balance after each of them.
func TestManyNodesNeverOverspend(t *testing.T) {
	t.Parallel()
	for range 20 { // some faults take more than the usual hundred tries
		rapid.Check(t, manyNodes)
	}
}

func manyNodes(r *rapid.T) {
	ctx := context.Background()
	f := newFleet(rapid.IntRange(1, 3).Draw(r, "nodes"))
	nodes := len(f.ledgers)
	schedule, err := budget.NewSchedule("hours:1", "UTC", 0)
	if err != nil {
		r.Fatal(err)
	}
	for _, s := range shared {
		f.subjects[s] = &account{granted: money.Nano(rapid.IntRange(0, 3000).Draw(r, "grant"))}
		if rapid.IntRange(0, 2).Draw(r, "budget") == 0 {
			f.subjects[s].allowances = []budget.Allowance{{Amount: money.Nano(rapid.IntRange(0, 2000).Draw(r, "amount")), Schedule: schedule}}
		}
		f.subjects[s].unlimited = rapid.IntRange(0, 4).Draw(r, "unlimited") == 0
	}
	running := func(r *rapid.T) int {
		id := rapid.IntRange(0, nodes-1).Draw(r, "node")
		if f.ledgers[id] == nil {
			r.Skip("the node does not run")
		}
		return id
	}
	hold := func(r *rapid.T) (int, int) {
		id := running(r)
		if len(f.holds[id]) == 0 {
			r.Skip("nothing is held")
		}
		return id, rapid.IntRange(0, len(f.holds[id])-1).Draw(r, "hold")
	}
	r.Repeat(map[string]func(*rapid.T){
		"hold": func(r *rapid.T) {
			id := running(r)
			h := &open{payers: budget.Payers{Key: key.ID, User: user.ID}}
			if rapid.Bool().Draw(r, "by the child") {
				h.payers = budget.Payers{Key: child.ID, Parent: key.ID, User: user.ID}
			}
			want := money.Nano(rapid.IntRange(0, 400).Draw(r, "want"))
			first := min(want, money.Nano(rapid.IntRange(0, 400).Draw(r, "first")))
			var fit budget.Fit
			if rapid.Bool().Draw(r, "fits") {
				fit = func(left money.Nano) (money.Nano, bool) { return left / 2, left > 10 }
			}
			if err := f.ledgers[id].HoldSlice(ctx, &h.Hold, h.payers, want, first, fit); err == nil {
				f.holds[id] = append(f.holds[id], h)
			} else if !fault.Is(err, fault.PaymentRequired) && !fault.Is(err, fault.Unavailable) {
				r.Fatal(err)
			}
		},
		"extend": func(r *rapid.T) {
			id, i := hold(r)
			f.holds[id][i].Extend(money.Nano(rapid.IntRange(0, 300).Draw(r, "more")))
		},
		"settle": func(r *rapid.T) {
			id, i := hold(r)
			held := f.holds[id][i].Amount()
			f.settle(id, i, money.Nano(rapid.IntRange(0, int(held)+50).Draw(r, "cost")))
		},
		"land": func(r *rapid.T) {
			id := running(r)
			if err := f.landAll(id); err != nil && !errors.Is(err, errCut) {
				r.Fatal(err)
			}
		},
		"tend": func(r *rapid.T) {
			if err := f.ledgers[running(r)].Tend(ctx); err != nil && !errors.Is(err, errCut) {
				r.Fatal(err)
			}
		},
		"sweep": func(r *rapid.T) {
			if err := f.ledgers[running(r)].Sweep(ctx, -time.Hour); err != nil && !fault.Is(err, fault.Unavailable) {
				r.Fatal(err)
			}
		},
		"pass time": func(r *rapid.T) {
			f.now = f.now.Add(time.Duration(rapid.IntRange(1, 40).Draw(r, "minutes")) * time.Minute)
		},
		"cut off":   func(r *rapid.T) { f.cut[running(r)] = true },
		"reconnect": func(r *rapid.T) { f.cut[running(r)] = false },
		"crash": func(r *rapid.T) {
			id := running(r)
			f.kill(id)
			f.cut[id] = false
		},
		"restart": func(r *rapid.T) {
			id := rapid.IntRange(0, nodes-1).Draw(r, "node")
			if f.ledgers[id] != nil {
				r.Skip("the node runs")
			}
			before := len(f.journal[id])
			journal := f.journal[id]
			f.start(id)
			for _, e := range journal[:before] {
				f.records = append(f.records, *e)
			}
		},
		"lapse": func(r *rapid.T) {
			id := rapid.IntRange(0, nodes-1).Draw(r, "node")
			f.lapse(id)
			f.lapsed = true
			if l := f.ledgers[id]; l != nil {
				l.Lapsed(f.join(id)) // as its next sign of life tells it
			}
		},
		"grant": func(r *rapid.T) {
			f.edit(r, running(r), rapid.SampledFrom(shared).Draw(r, "whom"), func(b budget.Balance) (budget.Change, error) {
				delta := money.Nano(rapid.IntRange(-300, 300).Draw(r, "delta"))
				return budget.Change{Delta: max(delta, -b.Remaining())}, nil
			})
		},
		"set": func(r *rapid.T) {
			f.edit(r, running(r), rapid.SampledFrom(shared).Draw(r, "whom"), func(b budget.Balance) (budget.Change, error) {
				return budget.Change{Delta: money.Nano(rapid.IntRange(0, 1000).Draw(r, "remaining")) - b.Remaining()}, nil
			})
		},
		"lift": func(r *rapid.T) {
			f.edit(r, running(r), rapid.SampledFrom(shared).Draw(r, "whom"), func(budget.Balance) (budget.Change, error) {
				return budget.Change{Unlimited: new(rapid.Bool().Draw(r, "unlimited"))}, nil
			})
		},
		"rebudget": func(r *rapid.T) {
			f.lowered = true
			f.edit(r, running(r), rapid.SampledFrom(shared).Draw(r, "whom"), func(budget.Balance) (budget.Change, error) {
				return budget.Change{Allowances: &[]budget.Allowance{{Amount: money.Nano(rapid.IntRange(0, 2000).Draw(r, "amount")), Schedule: schedule}}}, nil
			})
		},
		"": func(r *rapid.T) { f.check(r) },
	})
	for id := range nodes {
		f.cut[id] = false
		if f.ledgers[id] == nil {
			journal := f.journal[id]
			f.start(id)
			for _, e := range journal {
				f.records = append(f.records, *e)
			}
		}
		for len(f.holds[id]) > 0 {
			f.settle(id, 0, f.holds[id][0].Amount()/2)
		}
		if err := f.landAll(id); err != nil {
			r.Fatal(err)
		}
		if err := errors.Join(f.ledgers[id].Tend(ctx), f.ledgers[id].Sweep(ctx, -1000*time.Hour)); err != nil {
			r.Fatal(err)
		}
	}
	f.check(r)
	f.reconcile(ctx, r)
}

// edit changes a subject through a node; the others hear of it at once.
func (f *fleet) edit(r *rapid.T, id int, s budget.Subject, decide func(budget.Balance) (budget.Change, error)) {
	_, err := f.ledgers[id].Edit(context.Background(), s, decide, func(_ context.Context, c budget.Change) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.cut[id] {
			return errCut
		}
		a := f.subjects[s]
		a.granted += c.Delta
		if c.Unlimited != nil {
			a.unlimited = *c.Unlimited
		}
		if c.Allowances != nil {
			a.allowances = *c.Allowances
		}
		return nil
	})
	if err != nil && !fault.Is(err, fault.Unavailable) && !errors.Is(err, errCut) {
		r.Fatal(err)
	}
	for _, l := range f.ledgers {
		l.Changed(s)
	}
}

// check looks at every balance: what was granted covers what is charged, wherever
// the charge is, and what is held.
func (f *fleet) check(r *rapid.T) {
	for _, s := range shared {
		a := f.subjects[s]
		if a.used > a.granted {
			r.Fatalf("%v: %d used of %d granted", s, a.used, a.granted)
		}
		if f.lapsed {
			continue // what lapsed is charged as far as there is money
		}
		out := a.used
		for id, journal := range f.journal {
			for _, e := range journal {
				if e.pays(s) && e.grantOf(s) == 0 {
					out += e.charge.Charged
				}
			}
			for _, h := range f.holds[id] {
				if (&entry{payers: h.payers}).pays(s) && !h.Lifts(s) {
					out += h.Amount()
				}
			}
		}
		if out > a.granted {
			r.Fatalf("%v: %d used, on the way and held of %d granted", s, out, a.granted)
		}
		if f.lowered {
			continue
		}
		for _, b := range a.allowances {
			windows := map[int64]money.Nano{}
			for _, e := range f.done {
				if e.pays(s) {
					start, _ := b.Schedule.Window(e.at)
					windows[start.Unix()] += e.charge.Charged
				}
			}
			for start, sum := range windows {
				if sum > b.Amount {
					r.Fatalf("%v: %d charged in the window from %d of a budget of %d", s, sum, start, b.Amount)
				}
			}
		}
	}
}

func (e *entry) grantOf(s budget.Subject) money.Nano {
	switch {
	case s.Kind == budget.User:
		return e.charge.UserGrant
	case e.payers.Key == s.ID:
		return e.charge.KeyGrant
	}
	return e.charge.ParentGrant
}

// reconcile finds the same figures everywhere when all is quiet.
func (f *fleet) reconcile(ctx context.Context, r *rapid.T) {
	for _, s := range shared {
		var charged money.Nano
		for _, e := range f.done {
			if e.pays(s) {
				charged += e.charge.Charged
			}
		}
		a := f.subjects[s]
		if a.used != charged {
			r.Fatalf("%v: %d used, %d charged", s, a.used, charged)
		}
		for id, l := range f.ledgers {
			b, err := l.Balance(ctx, s)
			if err != nil || b.Granted != a.granted || b.Used != a.used || b.Held != 0 {
				r.Fatalf("%v on node %d: %+v, %v; in the store %+v", s, id, b, err, a)
			}
		}
		for id, l := range f.leases {
			if id.Subject == s && id.purse == "" && l.Outstanding() > 0 {
				r.Fatalf("%v: node %d still has %d", s, id.node, l.Outstanding())
			}
		}
	}
}

func TestAKeyIsSpentToItsEndByManyNodes(t *testing.T) {
	t.Parallel()
	const nodes, worth, cost, bound = 3, 500_000, 70, 900
	f := newFleet(nodes)
	f.subjects[key] = &account{granted: worth}
	f.subjects[user] = &account{granted: 10 * worth}
	var charged atomic.Int64
	var wg sync.WaitGroup
	for id := range nodes {
		for range 20 {
			wg.Go(func() {
				n := node{f.pool, id}
				for {
					var h budget.Hold
					err := f.ledgers[id].Hold(t.Context(), &h, budget.Payers{Key: key.ID, User: user.ID}, bound, nil)
					if err != nil {
						if fault.Code(err) != "key_quota_exhausted" {
							t.Error(err)
						}
						return
					}
					e := &entry{node: id, term: h.Term(), payers: budget.Payers{Key: key.ID, User: user.ID}, at: h.At(), charge: h.Settle(cost)}
					err = f.ledgers[id].Land(t.Context(), func() error {
						if err := n.land(e); err != nil {
							return err
						}
						f.ledgers[id].Landed(budget.Landing{Payers: e.payers, At: e.at, Term: e.term, Charge: e.charge})
						return nil
					})
					if err != nil {
						t.Error(err)
						return
					}
					charged.Add(int64(e.charge.Charged))
				}
			})
		}
	}
	wg.Wait()
	got := charged.Load()
	if got > worth || got < worth-60*bound {
		t.Errorf("%d of %d were charged", got, worth)
	}
	// Nothing is in flight: what is left is less than one request holds.
	for id := range nodes {
		for {
			var h budget.Hold
			if err := f.ledgers[id].Hold(t.Context(), &h, budget.Payers{Key: key.ID, User: user.ID}, bound, nil); err != nil {
				break
			}
			got += int64(h.Settle(cost).Charged)
		}
	}
	if got > worth || got < worth-nodes*bound {
		t.Errorf("%d of %d could be charged", got, worth)
	}
}
