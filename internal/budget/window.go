package budget

import (
	"context"
	"math"
	"slices"
	"time"

	"halley/internal/fault"
	"halley/internal/money"
)

// Allowance is a renewing budget: an amount that comes back at each boundary of
// its schedule, whatever of it was left.
type Allowance struct {
	Amount   money.Nano
	Schedule Schedule
}

// AllowanceState is an allowance at one moment.
type AllowanceState struct {
	Allowance
	Used   money.Nano // charged to what was held in the present window
	Held   money.Nano
	Start  time.Time
	Renews time.Time
}

// Left is what can be spent now; negative when the amount was lowered below
// what is spent.
func (a AllowanceState) Left() money.Nano { return a.Amount - a.Used - a.Held }

// window is the period that an allowance of a pocket is in. It moves on when it
// is next used after its end, by that use's clock, and never back.
//
// A request belongs to the window in which its money was held: what it is
// charged counts there, however late that comes. The instant is Hold.At, and
// the request's record must carry it, as that is what the store sums up.
type window struct {
	allowance  Allowance
	start, end int64 // Unix milliseconds; start ≤ a hold's instant < end
	// bound is what used and held may come to: the amount; or, where several
	// nodes share the store, what this one has leased of it, and both without
	// what has reached the store.
	bound, used, held money.Nano
	holds             int // open ones

	shared        bool       // the amount is leased
	taken, landed money.Nano // see Lease
	spent         bool       // less than a unit is not spent, as far as the store told
	// over are windows that have ended while some of their holds are open, the
	// oldest first.
	over []ended
}

type ended struct {
	start, end        int64
	bound, used, held money.Nano
	holds             int
}

func newWindow(a Allowance, at int64, shared bool) window {
	w := window{allowance: a, shared: shared}
	w.open(at)
	return w
}

// open begins the window that at lies in.
func (w *window) open(at int64) {
	start, end := w.allowance.Schedule.Window(time.UnixMilli(at))
	w.start, w.end = start.UnixMilli(), end.UnixMilli()
	w.used, w.held, w.holds, w.taken, w.landed, w.spent = 0, 0, 0, 0, 0, false
	w.bound = w.allowance.Amount
	if w.shared {
		w.bound = 0
	}
}

// roll moves on to the window that at lies in, if it is a later one.
func (w *window) roll(at int64) {
	if at < w.end {
		return
	}
	if w.holds > 0 {
		w.over = append(w.over, ended{w.start, w.end, w.bound, w.used, w.held, w.holds})
	}
	w.open(at)
}

func (w *window) left() money.Nano { return w.bound - w.used - w.held }

// reserve takes a hold of this instant, which roll has seen.
func (w *window) reserve(amount money.Nano) {
	w.held += amount
	w.holds++
}

// leftAt is what a hold of that instant may still take. One from before the
// allowance was there is not bound by it.
func (w *window) leftAt(at int64) money.Nano {
	if at >= w.start {
		return w.left()
	}
	for _, e := range w.over {
		if e.start <= at && at < e.end {
			return e.bound - e.used - e.held
		}
	}
	return math.MaxInt64
}

// extend adds to what a hold of that instant has taken.
func (w *window) extend(at int64, more money.Nano) {
	if at >= w.start {
		w.held += more
		return
	}
	for i := range w.over {
		if e := &w.over[i]; e.start <= at && at < e.end {
			e.held += more
			return
		}
	}
}

// settle replaces a hold of that instant by its charge.
func (w *window) settle(at int64, held, charged money.Nano) {
	if at >= w.start {
		w.held -= held
		w.used += charged
		w.holds--
		return
	}
	for i := range w.over {
		if e := &w.over[i]; e.start <= at && at < e.end {
			e.held -= held
			e.used += charged
			if e.holds--; e.holds == 0 {
				w.over = slices.Delete(w.over, i, i+1)
			}
			return
		}
	}
}

// land is a charge of that instant that has reached the store.
func (w *window) land(c charge) {
	if w.start <= c.at && c.at < w.end {
		w.used -= c.amount
		w.bound -= c.amount
		w.landed += c.amount
		return
	}
	for i := range w.over {
		if e := &w.over[i]; e.start <= c.at && c.at < e.end {
			e.used -= c.amount
			e.bound -= c.amount
		}
	}
}

// spentOut reports whether less than a quota unit of the window is not spent.
func (w *window) spentOut() bool {
	if w.shared {
		return w.spent
	}
	return w.bound-w.used < money.Unit
}

// charge is a settlement that the store has not got yet.
type charge struct {
	at     int64
	amount money.Nano
}

// latest is the instant that a hold taken at now is dated: now, or the start of
// the newest window when the clock has been set back behind it.
func (p *pocket) latest(now int64) int64 {
	for i := range p.windows {
		now = max(now, p.windows[i].start)
	}
	return now
}

func (p *pocket) roll(at int64) {
	for i := range p.windows {
		p.windows[i].roll(at)
	}
}

// tightest is the least that any window has left.
func (p *pocket) tightest() money.Nano {
	left := money.Nano(math.MaxInt64)
	for i := range p.windows {
		left = min(left, p.windows[i].left())
	}
	return left
}

// leftAt is what a hold of that instant may take beyond what it has.
func (p *pocket) leftAt(at int64) money.Nano {
	left := p.spendable()
	for i := range p.windows {
		left = min(left, p.windows[i].leftAt(at))
	}
	return left
}

// spentUntil is when the last of the windows renews of which less than a quota
// unit is not spent; zero without one.
func (p *pocket) spentUntil() time.Time {
	var until int64
	for i := range p.windows {
		if w := &p.windows[i]; w.spentOut() {
			until = max(until, w.end)
		}
	}
	if until == 0 {
		return time.Time{}
	}
	return time.UnixMilli(until)
}

// Allowances are the subject's renewing budgets as they are now.
func (l *Ledger) Allowances(ctx context.Context, s Subject) ([]AllowanceState, error) {
	if l.leases != nil {
		return l.sharedAllowances(ctx, s)
	}
	p, err := l.acquire(ctx, s)
	if err != nil {
		return nil, err
	}
	defer p.mu.Unlock()
	p.roll(p.latest(l.now().UnixMilli()))
	states := make([]AllowanceState, 0, len(p.windows))
	for i := range p.windows {
		w := &p.windows[i]
		states = append(states, AllowanceState{w.allowance, w.used, w.held, time.UnixMilli(w.start), time.UnixMilli(w.end)})
	}
	return states, nil
}

// Exhausted is the refusal of a request that a renewing budget does not cover
// until then.
func Exhausted(until, now time.Time) error {
	return fault.New(fault.PaymentRequired, "budget_exhausted", "A renewing budget does not cover the request before it renews at %s.", until.UTC().Format(time.RFC3339)).Retry(max(time.Second, until.Sub(now)))
}

// renewal is when the request would go through as far as the windows tell:
// after the first renewal by which those that were in its way have their amount
// back. A request that no renewal helps is told that of the tightest.
func (h *Hold) renewal(want money.Nano, fit Fit) time.Time {
	var windows []*window
	for i := range h.n {
		p := h.parts[i].pocket
		for i := range p.windows {
			windows = append(windows, &p.windows[i])
		}
	}
	slices.SortStableFunc(windows, func(a, b *window) int { return int(min(max(a.end-b.end, -1), 1)) })
	rest := h.tightest().spendable()
	for i, renewed := range windows {
		left := rest
		for j, w := range windows {
			if j <= i || w.end == renewed.end {
				left = min(left, w.allowance.Amount)
			} else {
				left = min(left, w.left())
			}
		}
		if _, ok := affordable(left, want, fit); ok && left >= 0 {
			return time.UnixMilli(renewed.end)
		}
	}
	tightest := slices.MinFunc(windows, func(a, b *window) int { return int(min(max(a.left()-b.left(), -1), 1)) })
	return time.UnixMilli(tightest.end)
}

// openWindows makes the windows of allowances the pocket has none of yet, with
// what the store says was spent in them. It does I/O and takes the pocket's lock
// only to look.
func (l *Ledger) openWindows(ctx context.Context, s Subject, p *pocket, allowances []Allowance) error {
	p.mu.Lock()
	missing := slices.DeleteFunc(slices.Clone(allowances), func(a Allowance) bool { return p.window(a.Schedule) != nil })
	p.mu.Unlock()
	if len(missing) == 0 {
		return nil
	}
	if p.loaded.Load() && l.leases == nil {
		// While the sums are read, nothing that is settled reaches the store:
		// what it does not know is exactly what has not landed. Of a pocket that
		// is being loaded there is no such thing.
		if err := l.landing.pause(ctx); err != nil {
			return err
		}
		defer l.landing.resume()
	}
	// A clock that was set back renews nothing again: the windows are those of
	// the latest spending.
	last, err := l.store.LastSpending(ctx, s)
	if err != nil {
		return storeAway(err)
	}
	at := int64(0)
	if !last.IsZero() {
		at = last.UnixMilli()
	}
	fresh := make([]window, len(missing))
	since := make([]time.Time, len(missing))
	for {
		p.mu.Lock()
		at = max(at, p.newest(l.now().UnixMilli()))
		p.mu.Unlock()
		for i, a := range missing {
			fresh[i] = newWindow(a, at, l.leases != nil)
			since[i] = time.UnixMilli(fresh[i].start)
		}
		spent := make([]money.Nano, len(missing))
		if l.leases == nil { // else the store is asked when something is leased
			if spent, err = l.store.SpentSince(ctx, s, since); err != nil {
				return storeAway(err)
			}
		}
		if p.take(fresh, spent) {
			return nil
		}
	}
}

// newest is the latest of now, the windows' starts and the instants of what the
// store does not know yet.
func (p *pocket) newest(now int64) int64 {
	now = p.latest(now)
	for _, c := range p.pending[p.first:] {
		now = max(now, c.at)
	}
	for h := p.open; h != nil; h = h.of(p).next {
		now = max(now, h.at)
	}
	return now
}

// take adds windows in which the store says so much was spent; false when they
// have ended meanwhile.
func (p *pocket) take(fresh []window, spent []money.Nano) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	newest := p.newest(0)
	for i := range fresh {
		w := &fresh[i]
		if newest >= w.end {
			return false
		}
		w.used = spent[i]
		for _, c := range p.pending[p.first:] {
			if c.at >= w.start {
				w.used += c.amount
			}
		}
		for h := p.open; h != nil; h = h.of(p).next {
			if h.at >= w.start {
				w.reserve(h.amount)
			}
		}
	}
	p.windows = append(p.windows, fresh...)
	return true
}

// window is the pocket's window of a schedule, nil when it has none.
func (p *pocket) window(s Schedule) *window {
	for i := range p.windows {
		if p.windows[i].allowance.Schedule.same(s) {
			return &p.windows[i]
		}
	}
	return nil
}

// bind makes the allowances those of the pocket. Each has a window already.
func (p *pocket) bind(allowances []Allowance) {
	next := make([]window, 0, len(allowances))
	for _, a := range allowances {
		w := *p.window(a.Schedule)
		w.allowance, w.over = a, slices.Clone(w.over)
		if !w.shared {
			w.bound = a.Amount
			for i := range w.over {
				w.over[i].bound = a.Amount
			}
		}
		next = append(next, w)
	}
	p.windows = next
}

// stricter are the allowances of both lists, with the smaller amount where both
// have a schedule.
func stricter(a, b []Allowance) []Allowance {
	both := slices.Concat(a, b)
	for i := range both {
		for _, o := range both {
			if o.Schedule.same(both[i].Schedule) {
				both[i].Amount = min(both[i].Amount, o.Amount)
			}
		}
	}
	return both
}

func (p *pocket) allowances() []Allowance {
	list := make([]Allowance, len(p.windows))
	for i := range p.windows {
		list[i] = p.windows[i].allowance
	}
	return list
}
