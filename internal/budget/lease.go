package budget

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"halley/internal/fault"
	"halley/internal/money"
)

// Leases is where nodes that share one store keep who of them may spend how
// much. A node spends only what it has leased, so that all of them together
// never spend more than there is. A Ledger without Leases is alone on its store.
//
// Everything here is about the calling node; the implementation knows which one
// that is.
type Leases interface {
	// OwnLeases are what this node has of the subject.
	OwnLeases(ctx context.Context, s Subject) ([]Lease, error)
	// TakeLease lets decide say, from where the subject stands, what this node
	// has of the asked purses from now on, and writes that down. Nobody else
	// decides about the subject meanwhile. A subject that does not exist is a
	// fault.NotFound; ErrLapsed when the node's term is not the given one.
	TakeLease(ctx context.Context, s Subject, term int64, asked []Lease, decide func(Position) []Lease) error
	// KeepLeases writes down what this node has left of the subject, in answer
	// to a recall or of its own accord. Leases that are not there are left out.
	// ErrLapsed, and nothing written, when the node's term is not the given one:
	// what it leased since is not what it had before.
	KeepLeases(ctx context.Context, s Subject, term int64, leases []Lease) error
	// DropLeases gives up everything of a subject that does not exist any more.
	DropLeases(ctx context.Context, s Subject) error
	// RecallLeases asks the other nodes that have something of the subject to
	// give back what they do not use, and gives how many those are.
	RecallLeases(ctx context.Context, s Subject) (int, error)
	// UnansweredRecalls is how many living nodes have not answered yet.
	UnansweredRecalls(ctx context.Context, s Subject) (int, error)
	// WaitingRecalls are the subjects that this node was asked for.
	WaitingRecalls(ctx context.Context) ([]Subject, error)
	// ReportHeld tells the other nodes what is held here.
	ReportHeld(ctx context.Context, held []HeldLease) error
	// HeldElsewhere is what other nodes hold of the quotas of these keys or
	// accounts; those that are missing hold nothing.
	HeldElsewhere(ctx context.Context, kind Kind, ids []int64) (map[int64]money.Nano, error)
	// LockLeases keeps every node from taking leases of the subject until unlock.
	LockLeases(ctx context.Context, s Subject) (unlock func(), err error)
	// Position is where the subject stands, as TakeLease would see it.
	Position(ctx context.Context, s Subject, asked []Lease) (Position, error)
	// Nodes is how many nodes are at work, 1 at the least.
	Nodes() int
}

// ErrLapsed means that the other nodes took this one for dead and have its
// leases.
var ErrLapsed = fault.New(fault.Unavailable, "store_unavailable", "This server was cut off from the others for too long and has to find its balances again; try again shortly.").Retry(time.Second)

// Lease is what a node has of a purse: of a subject's quota, or of one window of
// a renewing budget. Taken and Landed only count up, but for what is given back;
// their difference is what the node may still charge.
type Lease struct {
	Purse string // "" is the quota, else the schedule's Text
	// Start and End bound, in Unix milliseconds, the instants whose charges
	// count. Of the quota all do.
	Start, End int64
	Taken      money.Nano
	Landed     money.Nano // charges of the lease that are in the store
	Held       money.Nano // by requests in flight, as last reported
}

// Outstanding is what the lease keeps from others.
func (l Lease) Outstanding() money.Nano { return max(0, l.Taken-l.Landed) }

func (l Lease) same(o Lease) bool { return l.Purse == o.Purse && l.Start == o.Start }

// HeldLease is a lease with whom it is of.
type HeldLease struct {
	Subject
	Lease
}

// Position is where a subject stands in the store.
type Position struct {
	Granted, Used money.Nano
	Unlimited     bool
	Allowances    []Allowance
	Own           []Lease      // of this node
	Others        []Lease      // of all others, ended windows left out or not
	Spent         []money.Nano // what was charged in each of the asked purses; 0 for the quota
}

// quotaEnd is the End of a lease of a quota.
const quotaEnd = math.MaxInt64

// available is what nobody has of an asked purse, of which this node has taken
// so much.
func (p *Position) available(i int, ask Lease) money.Nano {
	left := p.Granted - p.Used
	if ask.Purse != "" {
		left = p.amount(ask.Purse) - p.Spent[i]
	}
	for _, o := range p.Own {
		if o.same(ask) {
			ask.Landed = o.Landed
		}
	}
	left -= ask.Outstanding()
	for _, o := range p.Others {
		if o.same(ask) {
			left -= o.Outstanding()
		}
	}
	return left
}

func (p *Position) amount(purse string) money.Nano {
	for _, a := range p.Allowances {
		if a.Schedule.Text() == purse {
			return a.Amount
		}
	}
	return 0
}

// divide is how much of what is there a node gets that needs so much: what it
// needs, and of the rest a part that is smaller the more nodes there are and the
// less is left.
func divide(available, need money.Nano, nodes int) money.Nano {
	if available <= need {
		return max(0, available)
	}
	return need + (available-need)/money.Nano(2*max(nodes, 1))
}

const (
	// recallWait is how long a request waits for what other nodes do not use.
	recallWait = 300 * time.Millisecond
	recallPoll = 4 * time.Millisecond
	// dryFor is how long a node believes that there is no more, so that those
	// who ask an empty purse do not keep the store busy.
	dryFor    = 100 * time.Millisecond
	dryAwhile = 10 * time.Millisecond
	// leaseWait bounds what a request waits for in mid-stream or at its end.
	leaseWait = 2 * time.Second
)

// leaseState is what a pocket needs on a store that several nodes share.
type leaseState struct {
	term   int64 // the node's when the pocket was made
	io     chan struct{}
	recall chan struct{}

	// Guarded by the pocket's mu.
	taken, landed money.Nano // of the quota
	reported      money.Nano // held, as the others know it
	listed        bool       // among the ledger's changed pockets
	doubtful      bool       // it is not known what the last write did
	stale         bool       // somebody else changed the subject
	dryUntil      time.Duration
	dryFrom       money.Nano
}

func newLeaseState(term int64) leaseState {
	return leaseState{term: term, io: make(chan struct{}, 1), recall: make(chan struct{}, 1)}
}

// enter takes one of the pocket's turns. Those who have theirs wait for the store.
func enter(ctx context.Context, turn chan struct{}) error {
	select {
	case turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return storeAway(ctx.Err())
	}
}

// holdLeased is HoldSlice on a store that several nodes share: what is not here
// is leased.
func (l *Ledger) holdLeased(ctx context.Context, h *Hold, who Payers, want, first money.Nano, fit Fit) error {
	const tries = 8
	var away error
	for range tries {
		err := l.tryHold(ctx, h, who, want, first, nil)
		if err == nil || !fault.Is(err, fault.PaymentRequired) {
			return err
		}
		full := true
		for i := 0; i < h.n && away == nil; i++ {
			var here bool
			if here, away = l.extend(ctx, h.parts[i].pocket, want); !here {
				full = false
			}
		}
		if !full || away != nil {
			break
		}
	}
	err := l.tryHold(ctx, h, who, want, first, fit)
	if away != nil && fault.Is(err, fault.PaymentRequired) {
		return away // there may be enough
	}
	return err
}

// extend leases so much that want is there for a hold on the pocket; false when
// there is not so much anywhere.
func (l *Ledger) extend(ctx context.Context, p *pocket, want money.Nano) (bool, error) {
	if full, known := l.enough(p, want); known {
		return full, nil
	}
	ctx, cancel := context.WithTimeout(ctx, leaseWait)
	defer cancel()
	full, err := l.take(ctx, p, want)
	if full || err != nil {
		return full, err
	}
	// Others may have some that they do not use.
	if err := enter(ctx, p.lease.recall); err != nil {
		return false, err
	}
	defer func() { <-p.lease.recall }()
	if full, known := l.enough(p, want); known {
		return full, nil
	}
	asked, err := l.recall(ctx, p.subject)
	if err != nil {
		return false, err
	}
	if asked {
		if full, err = l.take(ctx, p, want); full || err != nil {
			return full, err
		}
	}
	dry := dryFor
	if asked { // what others use may come back at any moment
		dry = dryAwhile
	}
	p.mu.Lock()
	p.lease.dryUntil, p.lease.dryFrom = l.clock()+dry, want
	p.mu.Unlock()
	return false, nil
}

// recall asks the other nodes for what they do not use of the subject and waits
// for them; false when none has anything.
func (l *Ledger) recall(ctx context.Context, s Subject) (bool, error) {
	asked, err := l.leases.RecallLeases(ctx, s)
	if err != nil {
		return false, storeAway(err)
	}
	if asked == 0 {
		return false, nil
	}
	l.recalls.Add(1)
	enough, again := time.NewTimer(recallWait), time.NewTicker(recallPoll)
	defer enough.Stop()
	defer again.Stop()
	for {
		left, err := l.leases.UnansweredRecalls(ctx, s)
		if err != nil {
			return true, storeAway(err)
		}
		if left == 0 {
			return true, nil
		}
		select {
		case <-again.C:
		case <-enough.C: // what they have stays theirs
			return true, nil
		case <-ctx.Done():
			return true, storeAway(ctx.Err())
		}
	}
}

// enough reports whether want is here, as far as that is known without asking.
func (l *Ledger) enough(p *pocket, want money.Nano) (full, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.evicted || p.lease.stale {
		return true, true // look again
	}
	if p.here() >= want {
		return true, true
	}
	return false, l.clock() < p.lease.dryUntil && want >= p.lease.dryFrom
}

// here is what a hold can take of the pocket now.
func (p *pocket) here() money.Nano { return min(p.spendable(), p.tightest()) }

// take leases what is missing of want.
func (l *Ledger) take(ctx context.Context, p *pocket, want money.Nano) (bool, error) {
	if err := enter(ctx, p.lease.io); err != nil {
		return false, err
	}
	defer func() { <-p.lease.io }()
	if full, known := l.enough(p, want); known {
		return full, nil
	}
	p.mu.Lock()
	asked, needs := p.missing(want)
	p.lease.doubtful = true
	p.mu.Unlock()
	gives, short, stale := make([]money.Nano, len(asked)), false, false
	var spent []money.Nano
	var amounts []money.Nano
	err := l.leases.TakeLease(ctx, p.subject, p.lease.term, asked, func(at Position) []Lease {
		if stale = p.outdated(&at); stale {
			return nil
		}
		leases := make([]Lease, len(asked))
		for i, ask := range asked {
			gives[i] = divide(at.available(i, ask), needs[i], l.leases.Nodes())
			short = short || gives[i] < needs[i]
			leases[i] = ask
			leases[i].Taken += gives[i]
			amounts = append(amounts, at.amount(ask.Purse))
		}
		spent = at.Spent
		return leases
	})
	switch {
	case fault.Is(err, fault.NotFound):
		l.Forget(p.subject)
		return false, err
	case err != nil:
		l.list(p) // Tend finds out
		return false, storeAway(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lease.doubtful = false
	if stale {
		p.lease.stale = true
		return true, nil
	}
	l.taken.Add(1)
	for i, ask := range asked {
		p.give(ask, gives[i], amounts[i]-spent[i])
	}
	return !short, nil
}

// missing are the purses that have too little for want, and how much that is.
func (p *pocket) missing(want money.Nano) (asked []Lease, needs []money.Nano) {
	if left := p.spendable(); left < want {
		asked, needs = append(asked, p.quota()), append(needs, want-left)
	}
	for i := range p.windows {
		if w := &p.windows[i]; w.left() < want {
			asked, needs = append(asked, w.lease()), append(needs, want-w.left())
		}
	}
	return asked, needs
}

// quota is the pocket's lease of the quota.
func (p *pocket) quota() Lease {
	return Lease{End: quotaEnd, Taken: p.lease.taken, Landed: p.lease.landed, Held: p.held}
}

// lease is what this node has of the window.
func (w *window) lease() Lease {
	return Lease{Purse: w.allowance.Schedule.Text(), Start: w.start, End: w.end, Taken: w.taken, Landed: w.landed, Held: w.held}
}

// give adds to what the pocket has; of a renewing budget so much is not charged.
func (p *pocket) give(ask Lease, amount, uncharged money.Nano) {
	if ask.Purse == "" {
		p.lease.taken += amount
		p.granted += amount
		p.lease.reported = ask.Held
		return
	}
	for i := range p.windows {
		w := &p.windows[i]
		if w.start == ask.Start && w.allowance.Schedule.Text() == ask.Purse {
			w.taken += amount
			w.bound += amount
			w.spent = uncharged-w.used < money.Unit
		}
	}
}

// outdated reports whether the store knows the subject otherwise than the
// pocket does.
func (p *pocket) outdated(at *Position) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at.Unlimited != p.lifted || len(at.Allowances) != len(p.windows) {
		return true
	}
	for i, a := range at.Allowances {
		if mine := p.windows[i].allowance; mine.Amount != a.Amount || !mine.Schedule.same(a.Schedule) {
			return true
		}
	}
	return false
}

// refresh reads again what somebody else may have changed.
func (l *Ledger) refresh(ctx context.Context, p *pocket) error {
	p.load.Lock()
	defer p.load.Unlock()
	p.mu.Lock()
	stale := p.lease.stale
	p.lease.stale = false
	p.mu.Unlock()
	if !stale {
		return nil
	}
	again := func(err error) error {
		p.mu.Lock()
		p.lease.stale = true
		p.mu.Unlock()
		return err
	}
	b, err := l.store.LoadBalance(ctx, p.subject)
	if fault.Is(err, fault.NotFound) {
		l.Forget(p.subject)
		return err
	}
	if err != nil {
		return again(storeAway(err))
	}
	allowances, err := l.store.LoadAllowances(ctx, p.subject)
	if err != nil {
		return again(storeAway(err))
	}
	if err := l.adopt(ctx, p, b.Unlimited, allowances); err != nil {
		return again(err)
	}
	return nil
}

// adopt makes the pocket's terms those of the store.
func (l *Ledger) adopt(ctx context.Context, p *pocket, unlimited bool, allowances []Allowance) error {
	if err := l.openWindows(ctx, p.subject, p, allowances); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bind(allowances)
	p.lifted = unlimited
	p.lease.dryUntil = 0
	for i := range p.windows {
		p.windows[i].spent = false
	}
	return nil
}

// reclaim takes over what this node has leased already, from before the pocket
// was loaded.
func (l *Ledger) reclaim(ctx context.Context, p *pocket) error {
	own, err := l.leases.OwnLeases(ctx, p.subject)
	if err != nil {
		return storeAway(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range own {
		if o.Purse == "" {
			p.lease.taken, p.lease.landed = o.Taken, o.Landed
			p.granted += o.Taken - o.Landed
			continue
		}
		for i := range p.windows {
			if w := &p.windows[i]; w.start == o.Start && w.allowance.Schedule.Text() == o.Purse {
				w.taken, w.landed = o.Taken, o.Landed
				w.bound += o.Taken - o.Landed
			}
		}
	}
	return nil
}

// Changed says that somebody else changed the subject: a grant, its renewing
// budgets, whether it is unlimited, or that it is gone. The next use looks.
func (l *Ledger) Changed(s Subject) {
	if p := l.loadedPocket(s); p != nil && l.leases != nil {
		p.outdate()
	}
}

// ChangedAll says Changed of every subject, for when changes may have been
// missed.
func (l *Ledger) ChangedAll() {
	if l.leases == nil {
		return
	}
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		pockets := slices.Collect(maps.Values(sh.pockets))
		sh.mu.Unlock()
		for _, p := range pockets {
			if p.loaded.Load() {
				p.outdate()
			}
		}
	}
}

// outdate has the next use look at the store.
func (p *pocket) outdate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lease.stale = true
	p.lease.dryUntil = 0
}

// Recalled answers another node's wish: what is not in use goes back.
func (l *Ledger) Recalled(ctx context.Context, s Subject) error {
	p, err := l.pocket(ctx, s)
	if fault.Is(err, fault.NotFound) {
		return l.leases.DropLeases(ctx, s)
	}
	if err != nil {
		return err
	}
	return l.giveBack(ctx, p)
}

// giveBack returns what is not in use.
func (l *Ledger) giveBack(ctx context.Context, p *pocket) error {
	if err := enter(ctx, p.lease.io); err != nil {
		return err
	}
	defer func() { <-p.lease.io }()
	p.mu.Lock()
	if p.evicted { // its leases are another pocket's, or nobody's
		p.mu.Unlock()
		return nil
	}
	leases := p.shrink()
	p.lease.doubtful = true
	p.mu.Unlock()
	if err := l.leases.KeepLeases(ctx, p.subject, p.lease.term, leases); err != nil {
		l.list(p)
		return err // what was given up here stays given up
	}
	p.mu.Lock()
	p.lease.doubtful = false
	p.mu.Unlock()
	return nil
}

// shrink gives up what is not in use and is what is left.
func (p *pocket) shrink() []Lease {
	// What holds on an unlimited subject raised is in both.
	if idle := min(p.lease.taken-p.lease.landed, p.granted-p.used-p.held); idle > 0 {
		p.lease.taken -= idle
		p.granted -= idle
	}
	leases := append(make([]Lease, 0, 1+len(p.windows)), p.quota())
	p.lease.reported = p.held
	for i := range p.windows {
		w := &p.windows[i]
		if idle := min(w.left(), w.taken-w.landed); idle > 0 {
			w.taken -= idle
			w.bound -= idle
		}
		leases = append(leases, w.lease())
	}
	return leases
}

// Tend looks after the leases: it answers recalls whose notice was missed, tells
// the other nodes what is held here, and repeats what failed. To be called
// several times a second.
func (l *Ledger) Tend(ctx context.Context) error {
	waiting, err := l.leases.WaitingRecalls(ctx)
	if err != nil {
		return err
	}
	for _, s := range waiting {
		if err := l.Recalled(ctx, s); err != nil {
			return err
		}
	}
	l.changedMu.Lock()
	changed := l.changed
	l.changed = nil
	l.changedMu.Unlock()
	var held []HeldLease
	var doubts error
	for _, p := range changed {
		p.mu.Lock()
		p.lease.listed = false
		if p.evicted { // another pocket tells of the subject
			p.mu.Unlock()
			continue
		}
		tell := p.lease.reported != p.held || len(p.windows) > 0
		doubtful := p.lease.doubtful
		p.lease.reported = p.held
		if tell {
			held = append(held, HeldLease{p.subject, p.quota()})
		}
		for i := range p.windows {
			held = append(held, HeldLease{p.subject, p.windows[i].lease()})
		}
		p.mu.Unlock()
		if doubtful && doubts == nil {
			doubts = l.giveBack(ctx, p)
		}
		if doubtful && doubts != nil { // again next time, with all that come behind it
			l.list(p)
		}
	}
	if len(held) == 0 {
		return doubts
	}
	if err := l.leases.ReportHeld(ctx, held); err != nil {
		for _, p := range changed {
			p.mu.Lock()
			p.lease.reported = -1
			p.mu.Unlock()
			l.list(p)
		}
		return err
	}
	return doubts
}

// list notes that what is held of the pocket has changed. Its lock is not held.
func (l *Ledger) list(p *pocket) {
	p.mu.Lock()
	listed := p.lease.listed
	p.lease.listed = true
	p.mu.Unlock()
	if !listed {
		l.enlist(p)
	}
}

func (l *Ledger) enlist(p *pocket) {
	l.changedMu.Lock()
	l.changed = append(l.changed, p)
	l.changedMu.Unlock()
}

// Renewed says that the node's term runs until then, by the clock of this
// process; behind it nothing leased may be spent.
func (l *Ledger) Renewed(until time.Time) { l.until.Store(int64(until.Sub(l.born))) }

// Lapsed begins a new term: the others have taken this node for dead, or it is
// just beginning. Nothing of what was leased before counts; what was held before
// settles, and is charged by the store as far as there is money.
func (l *Ledger) Lapsed(term int64) {
	l.term.Store(term)
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		pockets := sh.pockets
		sh.pockets = map[Subject]*pocket{}
		sh.mu.Unlock()
		for _, p := range pockets {
			p.mu.Lock()
			p.evicted = true
			p.mu.Unlock()
		}
	}
}

// clock is the time since the ledger was made, which no change of the machine's
// clock moves.
func (l *Ledger) clock() time.Duration { return time.Since(l.born) }

// overdue reports that the node's term is over as far as it knows.
func (l *Ledger) overdue() bool { return int64(l.clock()) > l.until.Load() }

// needsLease reports whether a hold on the pocket takes of what is leased.
func (p *pocket) needsLease() bool { return !p.lifted || len(p.windows) > 0 }

func errOverdue() error {
	return fault.New(fault.Unavailable, "store_unavailable", "The database has been away for so long that balances are not certain any more; try again shortly.").Retry(2 * time.Second)
}

// loadedPocket is the subject's pocket if it is in memory.
func (l *Ledger) loadedPocket(s Subject) *pocket {
	sh := l.shard(s)
	sh.mu.Lock()
	p := sh.pockets[s]
	sh.mu.Unlock()
	if p == nil || !p.loaded.Load() {
		return nil
	}
	return p
}
