package budget_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/money"
)

// pool is a store that several nodes share, in memory; it does what the
// database does.
type pool struct {
	mu       sync.Mutex
	subjects map[budget.Subject]*account
	records  []entry
	leases   map[leaseID]*kept
	terms    map[int]int64
	lastTerm int64
	ledgers  map[int]*budget.Ledger // of the nodes that run
	cut      map[int]bool           // nodes that do not reach the pool
	turns    map[budget.Subject]*sync.Mutex
}

type account struct {
	granted, used money.Nano
	unlimited     bool
	allowances    []budget.Allowance
}

type leaseID struct {
	budget.Subject
	purse string
	start int64
	node  int
}

type kept struct {
	budget.Lease
	recalls, answered int
}

// entry is a settled request, as its record has it.
type entry struct {
	node     int
	term     int64
	payers   budget.Payers
	at       time.Time
	charge   budget.Charge
	landed   bool
	absorbed money.Nano // in the end
}

var errCut = errors.New("the pool does not answer")

func newPool() *pool {
	return &pool{
		subjects: map[budget.Subject]*account{}, leases: map[leaseID]*kept{}, terms: map[int]int64{}, ledgers: map[int]*budget.Ledger{},
		cut: map[int]bool{}, turns: map[budget.Subject]*sync.Mutex{},
	}
}

// node is the pool as one node sees it.
type node struct {
	*pool
	id int
}

func (n node) enter() (func(), error) {
	n.mu.Lock()
	if n.cut[n.id] {
		n.mu.Unlock()
		return nil, errCut
	}
	return n.mu.Unlock, nil
}

func (p *pool) join(id int) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terms[id] == 0 {
		p.lastTerm++
		p.terms[id] = p.lastTerm
	}
	return p.terms[id]
}

func (p *pool) lapse(id int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.terms, id)
	p.dropAll(id)
}

func (p *pool) dropAll(id int) {
	for l := range p.leases {
		if l.node == id {
			delete(p.leases, l)
		}
	}
}

func (p *pool) find(s budget.Subject) (*account, error) {
	if a := p.subjects[s]; a != nil {
		return a, nil
	}
	return nil, fault.New(fault.NotFound, "not_found", "no such subject")
}

func (n node) LoadBalance(_ context.Context, s budget.Subject) (budget.Balance, error) {
	leave, err := n.enter()
	if err != nil {
		return budget.Balance{}, err
	}
	defer leave()
	a, err := n.find(s)
	if err != nil {
		return budget.Balance{}, err
	}
	return budget.Balance{Granted: a.granted, Used: a.used, Unlimited: a.unlimited}, nil
}

func (n node) LoadAllowances(_ context.Context, s budget.Subject) ([]budget.Allowance, error) {
	leave, err := n.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	a, err := n.find(s)
	if err != nil {
		return nil, err
	}
	return slices.Clone(a.allowances), nil
}

func (e *entry) pays(s budget.Subject) bool {
	if s.Kind == budget.User {
		return e.payers.User == s.ID
	}
	return e.payers.Key == s.ID || e.payers.Parent == s.ID
}

func (p *pool) spent(s budget.Subject, from, to int64) money.Nano {
	var sum money.Nano
	for i := range p.records {
		if e := &p.records[i]; e.landed && e.pays(s) && e.at.UnixMilli() >= from && e.at.UnixMilli() < to {
			sum += e.charge.Charged
		}
	}
	return sum
}

func (n node) SpentSince(_ context.Context, s budget.Subject, since []time.Time) ([]money.Nano, error) {
	leave, err := n.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	sums := make([]money.Nano, len(since))
	for i, from := range since {
		sums[i] = n.spent(s, from.UnixMilli(), math.MaxInt64)
	}
	return sums, nil
}

func (n node) LastSpending(_ context.Context, s budget.Subject) (last time.Time, err error) {
	leave, err := n.enter()
	if err != nil {
		return last, err
	}
	defer leave()
	for i := range n.records {
		if e := &n.records[i]; e.landed && e.pays(s) && e.at.After(last) {
			last = e.at
		}
	}
	return last, nil
}

func (n node) OwnLeases(_ context.Context, s budget.Subject) ([]budget.Lease, error) {
	leave, err := n.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	at, err := n.position(s, nil)
	return at.Own, err
}

func (n node) position(s budget.Subject, asked []budget.Lease) (budget.Position, error) {
	a, err := n.find(s)
	if err != nil {
		return budget.Position{}, err
	}
	at := budget.Position{Granted: a.granted, Used: a.used, Unlimited: a.unlimited, Allowances: slices.Clone(a.allowances), Spent: make([]money.Nano, len(asked))}
	for id, l := range n.leases {
		if id.Subject != s {
			continue
		}
		if id.node == n.id {
			at.Own = append(at.Own, l.Lease)
		} else {
			at.Others = append(at.Others, l.Lease)
		}
	}
	for i, ask := range asked {
		if ask.Purse != "" {
			at.Spent[i] = n.spent(s, ask.Start, math.MaxInt64)
		}
	}
	return at, nil
}

func (n node) Position(_ context.Context, s budget.Subject, asked []budget.Lease) (budget.Position, error) {
	leave, err := n.enter()
	if err != nil {
		return budget.Position{}, err
	}
	defer leave()
	return n.position(s, asked)
}

func (n node) turn(s budget.Subject) *sync.Mutex {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.turns[s] == nil {
		n.turns[s] = &sync.Mutex{}
	}
	return n.turns[s]
}

func (n node) TakeLease(_ context.Context, s budget.Subject, term int64, asked []budget.Lease, decide func(budget.Position) []budget.Lease) error {
	turn := n.turn(s)
	turn.Lock()
	defer turn.Unlock()
	leave, err := n.enter()
	if err != nil {
		return err
	}
	defer leave()
	if n.terms[n.id] != term {
		return budget.ErrLapsed
	}
	at, err := n.position(s, asked)
	if err != nil {
		return err
	}
	for _, l := range decide(at) {
		id := leaseID{s, l.Purse, l.Start, n.id}
		if old := n.leases[id]; old != nil {
			old.Taken, old.Held = l.Taken, l.Held
		} else {
			n.leases[id] = &kept{Lease: l}
		}
	}
	return nil
}

func (n node) KeepLeases(_ context.Context, s budget.Subject, term int64, leases []budget.Lease) error {
	leave, err := n.enter()
	if err != nil {
		return err
	}
	defer leave()
	if n.terms[n.id] != term {
		return budget.ErrLapsed
	}
	for id, l := range n.leases {
		if id.Subject != s || id.node != n.id {
			continue
		}
		i := slices.IndexFunc(leases, func(k budget.Lease) bool { return k.Purse == id.purse && k.Start == id.start })
		if i < 0 {
			delete(n.leases, id)
			continue
		}
		l.Taken, l.Held, l.answered = leases[i].Taken, leases[i].Held, l.recalls
	}
	return nil
}

func (n node) DropLeases(_ context.Context, s budget.Subject) error {
	leave, err := n.enter()
	if err != nil {
		return err
	}
	defer leave()
	for id := range n.leases {
		if id.Subject == s && id.node == n.id {
			delete(n.leases, id)
		}
	}
	return nil
}

// RecallLeases has the nodes that run answer at once.
func (n node) RecallLeases(ctx context.Context, s budget.Subject) (int, error) {
	leave, err := n.enter()
	if err != nil {
		return 0, err
	}
	asked := map[int]*budget.Ledger{}
	for id, l := range n.leases {
		if id.Subject == s && id.node != n.id && l.Outstanding() > 0 && n.ledgers[id.node] != nil {
			l.recalls++
			asked[id.node] = n.ledgers[id.node]
		}
	}
	leave()
	for _, ledger := range asked {
		_ = ledger.Recalled(ctx, s) // a node that is cut off does not answer
	}
	return len(asked), nil
}

func (n node) UnansweredRecalls(context.Context, budget.Subject) (int, error) { return 0, nil }

func (n node) WaitingRecalls(context.Context) ([]budget.Subject, error) {
	leave, err := n.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	var list []budget.Subject
	for id, l := range n.leases {
		if id.node == n.id && l.recalls > l.answered {
			list = append(list, id.Subject)
		}
	}
	return list, nil
}

func (n node) ReportHeld(_ context.Context, held []budget.HeldLease) error {
	leave, err := n.enter()
	if err != nil {
		return err
	}
	defer leave()
	for _, h := range held {
		if l := n.leases[leaseID{h.Subject, h.Purse, h.Start, n.id}]; l != nil {
			l.Held = h.Held
		}
	}
	return nil
}

func (n node) HeldElsewhere(_ context.Context, kind budget.Kind, ids []int64) (map[int64]money.Nano, error) {
	leave, err := n.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	held := map[int64]money.Nano{}
	for id, l := range n.leases {
		if id.Kind == kind && id.purse == "" && id.node != n.id && slices.Contains(ids, id.ID) {
			held[id.ID] += l.Held
		}
	}
	return held, nil
}

func (n node) LockLeases(_ context.Context, s budget.Subject) (func(), error) {
	turn := n.turn(s)
	turn.Lock()
	leave, err := n.enter()
	if err != nil {
		turn.Unlock()
		return nil, err
	}
	leave()
	return turn.Unlock, nil
}

func (n node) Nodes() int { return 3 }

func unleased(at budget.Position) money.Nano {
	left := at.Granted - at.Used
	for _, l := range append(at.Own, at.Others...) {
		if l.Purse == "" {
			left -= l.Outstanding()
		}
	}
	return left
}

// land applies a record as the database does: off the node's lease or, when that
// has lapsed, as far as its payers can bear it.
func (n node) land(e *entry) error {
	leave, err := n.enter()
	if err != nil {
		return err
	}
	defer leave()
	type payer struct {
		s     budget.Subject
		grant *money.Nano
	}
	payers := []payer{{budget.Subject{Kind: budget.User, ID: e.payers.User}, &e.charge.UserGrant}, {budget.Subject{Kind: budget.Key, ID: e.payers.Key}, &e.charge.KeyGrant}}
	if e.payers.Parent != 0 {
		payers = append(payers, payer{budget.Subject{Kind: budget.Key, ID: e.payers.Parent}, &e.charge.ParentGrant})
	}
	lapsed := e.term != n.terms[n.id]
	if lapsed {
		left := e.charge.Charged
		for _, p := range payers {
			if *p.grant > 0 {
				continue
			}
			at, err := n.position(p.s, nil)
			if err != nil {
				return err
			}
			left = min(left, max(0, unleased(at)))
		}
		e.absorbed = e.charge.Charged - left
		e.charge.Charged = left
		for _, p := range payers {
			*p.grant = min(*p.grant, left)
		}
	}
	for _, p := range payers {
		a := n.subjects[p.s]
		a.used += e.charge.Charged
		a.granted += *p.grant
		for id, l := range n.leases {
			if lapsed || id.Subject != p.s || id.node != n.id || e.at.UnixMilli() < id.start || e.at.UnixMilli() >= l.End {
				continue
			}
			if id.purse == "" {
				l.Landed += e.charge.Charged - *p.grant
			} else {
				l.Landed += e.charge.Charged
			}
		}
	}
	e.landed = true
	return nil
}
