package chaos_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// What all models cost here, in pico-USD per token: numbers that leave a fraction
// of a nano-USD behind. unit is a quota unit in nano-USD.
const (
	inputPico  = 12_345_679
	outputPico = 56_789_013
	unit       = 2_000
)

// price is what so many tokens cost in nano-USD: exact, rounded up once.
func price(prompt, completion int64) int64 {
	return (prompt*inputPico + completion*outputPico + 999) / 1000
}

// outcome is how a request ended for its client.
type outcome string

const (
	answered outcome = "answered" // with all that the upstream had to say
	ranOut   outcome = "cut"      // properly ended when the money was
	refused  outcome = "refused"  // before anything was served
	failed   outcome = "failed"   // with an error that says so
	left     outcome = "left"     // the client hung up
	broken   outcome = "broken"   // no end: the connection broke
)

func (s *seen) outcome(r *row) outcome {
	switch {
	case s.Left:
		return left
	case s.Status == 402 || s.Status == 401 || s.Status == 429, s.Status == 503 && s.Code != "":
		return refused
	case s.Status >= 400 || s.ErrorEvent:
		return failed
	case !s.Whole:
		return broken
	case r != nil && slices.Contains([]string{"key_quota_exhausted", "insufficient_balance", "budget_exhausted"}, r.ErrorCode):
		return ranOut
	}
	return answered
}

// row is a usage record.
type row struct {
	RequestID                        string
	KeyID, ParentID, UserID          int64
	TimeMS                           int64
	Status                           int
	ErrorCode, Source                string
	Prompt, Completion               int64
	Cost, Absorbed, Held             int64 // nano-USD, as the grants
	LatencyMS                        int64
	KeyGrant, ParentGrant, UserGrant int64
}

// balance is a key's or an account's line.
type balance struct {
	Granted, Used int64
	Unlimited     bool
}

// books are the ledger as the database has it in the end.
type books struct {
	Rows   []row
	Keys   map[int64]balance
	Users  map[int64]balance
	Hourly map[int64]int64 // the rollups' sums by key
	Leases int             // rows of leases, and of the nodes that have some
}

// record is everything that is known of a run.
type record struct {
	Seen   []seen
	Served map[string][]*serving
	Books  *books
	Purses []*purse
	Faults []fault
}

// verdict is what a record shows: findings, each of which is a promise broken,
// and the sums for the table.
type verdict struct {
	books    *books
	findings []string
	total    tally
	byFault  map[string]*tally
	// purses and windows of renewing budgets that were looked at, and by how much
	// they were overspent together.
	purses, windows int
	overspent       int64
}

// tally counts the requests that a kind of fault met.
type tally struct {
	faults   int
	outcomes map[outcome]int
	requests int
	served   int64 // nano-USD: by the upstream's account, of complete answers
	charged  int64 // for those
	partial  int64 // charged for answers that were not complete
	absorbed int64
	lost     int
	doubled  int
	shifted  int // records dated by a clock that was off
}

func (v *verdict) find(format string, args ...any) {
	v.findings = append(v.findings, fmt.Sprintf(format, args...))
}

// judge holds what was charged against what was served.
func judge(r record) *verdict {
	v := &verdict{books: r.Books, byFault: map[string]*tally{}}
	rows := map[string][]row{}
	for _, w := range r.Books.Rows {
		rows[w.RequestID] = append(rows[w.RequestID], w)
	}
	for i := range r.Seen {
		s := &r.Seen[i]
		v.request(r, s, rows[s.ID], r.Served[s.ID])
		delete(rows, s.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		v.find("request %s has a usage record and was never made", id)
	}
	for _, f := range r.Faults {
		v.of(f.Kind).faults++
	}
	v.balances(r)
	return v
}

func (v *verdict) of(kind string) *tally {
	if v.byFault[kind] == nil {
		v.byFault[kind] = &tally{}
	}
	return v.byFault[kind]
}

// maxAttempts is the default of the option.
const maxAttempts = 4

// request judges one request: its records, and what the upstream served of it.
func (v *verdict) request(r record, s *seen, rows []row, served []*serving) {
	var w *row
	if len(rows) > 0 {
		w = &rows[0]
	}
	var up *serving
	if len(served) > 0 {
		up = served[len(served)-1] // what came before has failed, or is found below
	}
	end := s.outcome(w)
	about := func(format string, args ...any) {
		v.find("request %s (%s, stream %t, node %d): %s\n  client %+v\n  upstream %+v\n  records %+v", s.ID, s.Manner, s.Stream, s.Node, fmt.Sprintf(format, args...), *s, up, rows)
	}
	t := tally{requests: 1, outcomes: map[outcome]int{end: 1}}
	if len(rows) > 1 {
		t.doubled = 1
		about("%d records", len(rows))
	}
	// It is the only one there is, so it is asked again when it has failed, and only
	// then; or when the process stood still for longer than it may take, and found a
	// limit that is over beside an answer that is there.
	whole := slices.ContainsFunc(served[:max(0, len(served)-1)], func(before *serving) bool { return before.Whole })
	if whole && !met(r.Faults, s, 0, time.Second, paused) || len(served) > maxAttempts {
		about("the upstream was asked %d times, amid %v", len(served), troubles(r.Faults, s))
	}
	if w == nil && s.mustHaveRecord(end, up, r.Faults) {
		t.lost = 1
		about("%s, and no record", end)
	}
	switch {
	case s.Status == 401:
		about("a known key is unknown")
	case s.Code == "internal_error":
		about("an internal error")
	case end == broken && !met(r.Faults, s, 0, time.Second, killed, terminated):
		about("the connection broke, and no process had ended: %v", s.Err)
	case end == refused && up != nil && s.Code != "shutting_down":
		about("refused after the upstream was asked")
	case end == answered && (up == nil || !up.Whole || s.Tokens != up.Written):
		about("the client was told that its answer is complete, and it is not")
	}
	for i := range rows {
		v.row(about, r, s, end, &rows[i], up)
	}
	if w != nil {
		if off := time.UnixMilli(w.TimeMS).Sub(s.Begin); off.Abs() > 5*time.Minute {
			t.shifted = 1
		}
		t.absorbed = w.Absorbed
		if end == answered && up != nil {
			t.charged, t.served = w.Cost, up.worth(w)
		} else {
			t.partial = w.Cost
		}
	}
	v.total.add(t)
	for _, kind := range troubles(r.Faults, s) {
		v.of(kind).add(t)
	}
}

// mustHaveRecord reports whether the request must have left a record. A process
// that was killed owes none for what it had not finished, and one that turns
// requests away before it knows their keys owes none for those.
func (s *seen) mustHaveRecord(end outcome, up *serving, faults []fault) bool {
	switch end {
	case answered, ranOut, failed:
		return true // the client was told the end, which is after the record
	case refused:
		// While a disk is full, records of refusals are left out.
		return s.Status != 503 && !met(faults, s, time.Second, time.Second, diskFull)
	}
	return up != nil && !met(faults, s, 0, 5*time.Second, killed)
}

// row judges a record by what was served.
func (v *verdict) row(about func(string, ...any), r record, s *seen, end outcome, w *row, up *serving) {
	cost := price(w.Prompt, w.Completion)
	switch w.Source {
	case "none":
		cost = 0
		if s.Tokens > 0 {
			about("served for nothing")
		}
	case "provider":
		if up == nil || !up.Reported || w.Prompt != up.Prompt || w.Completion != up.Completion {
			about("the usage is not what the upstream reported")
		}
	case "metered", "estimated":
		if up == nil || w.Completion < s.Tokens || w.Completion > up.Written {
			about("metered %d tokens of output", w.Completion)
		}
		if 4*w.Prompt < 3*s.Prompt || 4*w.Prompt > 5*s.Prompt {
			about("estimated a prompt of %d tokens at %d", s.Prompt, w.Prompt)
		}
		if end == answered && s.Manner != omits {
			about("not charged by what the upstream reported")
		}
	default:
		about("usage source %q", w.Source)
	}
	switch {
	case w.KeyID != s.Key.id || w.ParentID != s.Key.parent.number():
		about("charged to the key %d and its parent %d instead of %d and %d", w.KeyID, w.ParentID, s.Key.id, s.Key.parent.number())
	case w.Cost < 0 || w.Absorbed < 0 || w.Cost+w.Absorbed != cost:
		about("%d nano-USD charged and %d absorbed instead of %d in all", w.Cost, w.Absorbed, cost)
	case end == refused && w.Cost != 0:
		about("a refusal was charged")
	case !s.Manner.lies() && cost > w.Held:
		about("%d nano-USD were held, which is too little", w.Held)
	case w.Absorbed > 0 && !s.Manner.lies() && !lapsed(r.Faults, s):
		about("an honest answer was absorbed")
	case w.LatencyMS < 0 || w.LatencyMS > patience.Milliseconds():
		about("it took %d ms by its record", w.LatencyMS)
	}
}

// worth is what the upstream's answer costs by its own account; without one, by
// what it sent.
func (s *serving) worth(w *row) int64 {
	if s.Reported {
		return price(s.Prompt, s.Completion)
	}
	return price(w.Prompt, s.Written)
}

func (t *tally) add(o tally) {
	if t.outcomes == nil {
		t.outcomes = map[outcome]int{}
	}
	for end, n := range o.outcomes {
		t.outcomes[end] += n
	}
	t.requests += o.requests
	t.served += o.served
	t.charged += o.charged
	t.partial += o.partial
	t.absorbed += o.absorbed
	t.lost += o.lost
	t.doubled += o.doubled
	t.shifted += o.shifted
}

// met reports whether a fault of one of the kinds met the request's node while it
// ran, or so much before or after.
func met(faults []fault, s *seen, before, after time.Duration, kinds ...string) bool {
	return slices.ContainsFunc(faults, func(f fault) bool {
		return slices.Contains(kinds, f.Kind) && f.meets(s, before, after)
	})
}

func (f *fault) meets(s *seen, before, after time.Duration) bool {
	return (f.Node == everyNode || f.Node == s.Node) && f.Begin.Before(s.End.Add(after)) && f.End.After(s.Begin.Add(-before))
}

// lapsed reports whether the node was away, with the request under way or its
// record not yet in the database, for so long that others may have taken its
// leases: it is then charged as far as there is money.
func lapsed(faults []fault, s *seen) bool {
	// A record waits for as long as the database is away, and some seconds more.
	const unwritten = 15 * time.Second
	return slices.ContainsFunc(faults, func(f fault) bool {
		return (f.Kind == killed || f.Kind == paused) && f.End.Sub(f.Begin) > leaseTerm && f.meets(s, 0, unwritten)
	})
}

// troubles are the kinds of fault that a request met, those of its own client and
// upstream among them.
func troubles(faults []fault, s *seen) []string {
	kinds := map[string]bool{}
	for _, f := range faults {
		if f.meets(s, 0, 0) {
			kinds[f.Kind] = true
		}
	}
	if s.Manner != honest {
		kinds["upstream "+string(s.Manner)] = true
	}
	if s.LeaveAfter >= 0 {
		kinds["client hangs up"] = true
	}
	return slices.Collect(maps.Keys(kinds))
}

// balances judges every purse by the records.
func (v *verdict) balances(r record) {
	used, grants := map[subject]int64{}, map[subject]int64{}
	perKey := map[int64]int64{}
	for _, w := range r.Books.Rows {
		perKey[w.KeyID] += w.Cost
		used[subject{key, w.KeyID}] += w.Cost
		grants[subject{key, w.KeyID}] += w.KeyGrant
		if w.ParentID != 0 {
			used[subject{key, w.ParentID}] += w.Cost
			grants[subject{key, w.ParentID}] += w.ParentGrant
		}
		used[subject{user, w.UserID}] += w.Cost
		grants[subject{user, w.UserID}] += w.UserGrant
	}
	for _, p := range r.Purses {
		b, there := r.Books.of(p.subject)
		v.purses++
		v.overspent += max(0, b.Used-b.Granted)
		switch {
		case !there:
			v.find("%s has no line", p.Name)
		case b.Used != used[p.subject]:
			v.find("%s: %d nano-USD used, and its records say %d", p.Name, b.Used, used[p.subject])
		case b.Used > b.Granted:
			v.find("%s: OVERSPENT: %d nano-USD used of %d granted", p.Name, b.Used, b.Granted)
		case !p.mayBeGranted(b.Granted - grants[p.subject]):
			v.find("%s: %d nano-USD granted, of which %d by what was spent; was given %d units, then %v", p.Name, b.Granted, grants[p.subject], p.Initial, p.added)
		case p.kind == key && r.Books.Hourly[p.id] != perKey[p.id]:
			v.find("%s: %d nano-USD in the rollups, %d in the records", p.Name, r.Books.Hourly[p.id], perKey[p.id])
		}
		for _, allowance := range p.Allowances {
			v.allowance(p, allowance, r.Books.Rows)
		}
	}
	if r.Books.Leases > 0 {
		v.find("%d rows of leases and their nodes are left although no node runs", r.Books.Leases)
	}
}

func (b *books) of(s subject) (balance, bool) {
	lines := b.Keys
	if s.kind == user {
		lines = b.Users
	}
	line, there := lines[s.id]
	return line, there
}

// allowance judges a renewing budget: in no window may more be spent.
func (v *verdict) allowance(p *purse, a allowance, rows []row) {
	spent := map[int64]int64{}
	for _, w := range rows {
		if w.KeyID == p.id || w.ParentID == p.id {
			spent[a.window(w.TimeMS)] += w.Cost
		}
	}
	for _, window := range slices.Sorted(maps.Keys(spent)) {
		v.windows++
		v.overspent += max(0, spent[window]-a.Units*unit)
		if spent[window] > a.Units*unit {
			v.find("%s: OVERSPENT: %d nano-USD in the window from %d of a budget of %d", p.Name, spent[window], window, a.Units*unit)
		}
	}
}

// window is where the window begins that a record of that instant counts in.
func (a allowance) window(ms int64) int64 {
	const hour = int64(3600)
	since := ms/1000 - a.Anchor
	n := since / hour
	if since%hour < 0 {
		n--
	}
	return a.Anchor + n*hour
}

// number is the id of a parent, 0 of none.
func (p *purse) number() int64 {
	if p == nil {
		return 0
	}
	return p.id
}

// mayBeGranted reports whether the sum is what was given at first and later,
// where it may be open whether some of it was given at all.
func (p *purse) mayBeGranted(nano int64) bool {
	sums := map[int64]bool{p.Initial * unit: true}
	for _, a := range p.added {
		next := map[int64]bool{}
		for sum := range sums {
			next[sum+a.Units*unit] = true
			if !a.Sure {
				next[sum] = true
			}
		}
		sums = next
	}
	return sums[nano]
}

// lines are the tallies by name, in order.
func (v *verdict) lines() []string {
	return slices.SortedFunc(maps.Keys(v.byFault), cmp.Compare[string])
}
