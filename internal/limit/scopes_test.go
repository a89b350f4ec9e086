package limit

import (
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"halley/internal/fault"
)

// three are scopes of a key, its account and a group.
func three(key int64, ofKey, ofAccount, ofGroup *Limits) []Scope {
	return []Scope{{Whose: ThisKey, ID: key, Limits: ofKey}, {Whose: Account, ID: 1, Limits: ofAccount}, {Whose: Group, Name: "vip", Limits: ofGroup}}
}

func TestAnAccountsAndAGroupsLimitsBindAllKeysTogether(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		scopes func(key int64) []Scope
		begins string
	}{
		"an account": {func(key int64) []Scope { return three(key, nil, &Limits{RPM: new(int64(3))}, nil) }, "This account may make 3 requests per minute."},
		"a group": {func(key int64) []Scope {
			return three(key, &Limits{RPM: new(int64(9))}, nil, &Limits{RPM: new(int64(3))})
		}, `The group "vip" may make 3 requests per minute.`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := alone()
			for key := range int64(3) {
				if _, denied := l.Take(start, row.scopes(key), Request{}); denied != nil {
					t.Fatalf("key %d: %+v", key, denied)
				}
			}
			_, denied := l.Take(at(time.Second), row.scopes(7), Request{})
			if denied == nil || denied.RetryAfter != 59*time.Second {
				t.Fatalf("the fourth: %+v", denied)
			}
			if f := fault.From(denied.Fault()); f.Message != row.begins || f.Kind != fault.RateLimited {
				t.Errorf("%q", f.Message)
			}
			if f := denied.Facts.Requests; f.Limit != 3 || f.Remaining != 0 {
				t.Errorf("facts %+v", f)
			}
		})
	}
}

func TestARefusalNamesWhoseLimitItIs(t *testing.T) {
	t.Parallel()
	none := new(int64(0))
	for limits, want := range map[*Limits]string{
		{RPM: none}:         "make 0 requests per minute.",
		{RPD: none}:         "make 0 requests in 24 hours.",
		{TPM: none}:         "use 0 tokens per minute; the request needs about 100.",
		{TPMInput: none}:    "use 0 input tokens per minute; the request needs about 100.",
		{TPMOutput: none}:   "use 0 output tokens per minute; the request is expected to need 1.",
		{Concurrency: none}: "have 0 requests under way at the same time.",
		{PerModel: map[string]Rate{"m*": {RPM: none}}}: `make 0 requests per minute with "m*".`,
	} {
		for whose, name := range map[Whose]string{ThisKey: "This API key", ParentKey: "The parent key", Account: "This account", Group: `The group "vip"`} {
			_, denied := alone().Take(start, []Scope{{Whose: whose, ID: 1, Name: "vip", Limits: limits}}, Request{Model: "m1", Input: 100, OutputCap: 1000})
			if denied == nil {
				t.Fatalf("%s may %s: let in", name, want)
			}
			if got := fault.From(denied.Fault()).Message; got != name+" may "+want {
				t.Errorf("%q, want %q", got, name+" may "+want)
			}
		}
	}
}

func TestAParentsCountIsItsOwnAndItsChildrens(t *testing.T) {
	t.Parallel()
	l, limits := alone(), &Limits{RPM: new(int64(2))}
	child := func(id int64) []Scope {
		return []Scope{{Whose: ThisKey, ID: id}, {Whose: ParentKey, ID: 1, Limits: limits}}
	}
	for _, scopes := range [][]Scope{child(2), {{Whose: ThisKey, ID: 1, Limits: limits}}} {
		if _, denied := l.Take(start, scopes, Request{}); denied != nil {
			t.Fatalf("%+v", denied)
		}
	}
	if _, denied := l.Take(start, child(3), Request{}); denied == nil || denied.Whose != ParentKey {
		t.Errorf("the third: %+v", denied)
	}
}

func TestWhatOneScopeRefusesCountsInNone(t *testing.T) {
	t.Parallel()
	l := alone()
	wide := &Limits{RPM: new(int64(10)), RPD: new(int64(10)), TPM: new(int64(1000)), TPMInput: new(int64(1000)), Concurrency: new(int64(10)), PerModel: map[string]Rate{"m": {RPM: new(int64(10))}}}
	for _, narrow := range []*Limits{{RPM: new(int64(0))}, {Concurrency: new(int64(0))}, {TPMOutput: new(int64(0))}, {PerModel: map[string]Rate{"*": {TPMInput: new(int64(5))}}}} {
		for range 20 {
			if _, denied := l.Take(start, three(1, wide, wide, narrow), Request{Model: "m", Input: 10, OutputCap: 10}); denied == nil || denied.Whose != Group {
				t.Fatalf("%+v", denied)
			}
		}
	}
	if f := l.Peek(start, three(1, wide, wide, nil), Request{Model: "m"}); f.Requests.Remaining != 10 || f.Tokens.Remaining != 1000 {
		t.Errorf("%+v", f)
	}
}

func TestTheTightestOfAllScopesIsTold(t *testing.T) {
	t.Parallel()
	l := alone()
	lease, _ := l.Take(start, three(1, &Limits{RPM: new(int64(50)), TPMOutput: new(int64(5000))}, &Limits{RPM: new(int64(20)), TPM: new(int64(4000))}, &Limits{RPM: new(int64(30)), TPMInput: new(int64(3000))}), Request{Input: 100, OutputCap: 10})
	f := lease.Facts()
	if f.Requests.Limit != 20 || f.Requests.Remaining != 19 || f.Tokens.Limit != 3000 || f.Tokens.Remaining != 2900 {
		t.Errorf("%+v", f)
	}
}

func TestInputAndOutputAreLimitedApart(t *testing.T) {
	t.Parallel()
	l := alone()
	limits := &Limits{TPM: new(int64(5000)), TPMInput: new(int64(1000)), TPMOutput: new(int64(2000))}
	scopes := []Scope{{ID: 1, Limits: limits}}
	lease, denied := l.Take(start, scopes, Request{Input: 400, OutputCap: 4096})
	if denied != nil {
		t.Fatalf("%+v", denied)
	}
	lease.Done(at(time.Second), Tokens{Input: 700, Output: 300})
	if _, denied = l.Take(at(time.Second), scopes, Request{Input: 301}); denied == nil || denied.Which != InputPerMinute || denied.Need != 301 {
		t.Fatalf("more input than is left: %+v", denied)
	}
	// Of what was taken at first 400 leave after a minute, the rest a second on.
	if denied.RetryAfter != 59*time.Second {
		t.Errorf("to be asked again after %v", denied.RetryAfter)
	}
	lease, denied = l.Take(at(2*time.Second), scopes, Request{Input: 300, OutputCap: 4096})
	if denied != nil {
		t.Fatalf("as much as is left: %+v", denied)
	}
	lease.Done(at(3*time.Second), Tokens{Input: 300, Output: 2000})
	if _, denied = l.Take(at(4*time.Second), scopes, Request{}); denied == nil || denied.Which != InputPerMinute && denied.Which != OutputPerMinute {
		t.Fatalf("with nothing left of either: %+v", denied)
	}
	if _, denied = l.Take(at(62*time.Second), scopes, Request{OutputCap: 4096}); denied == nil || denied.Which != OutputPerMinute {
		t.Fatalf("with input left again: %+v", denied)
	}
}

// A request whose input fits is never kept out of an empty window by the output
// that is expected of it, whatever the limits.
func TestExpectedOutputAloneRefusesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		some := func(what string) *int64 {
			if rapid.Bool().Draw(t, what+" is limited") {
				return new(rapid.Int64Range(1, 2000).Draw(t, what))
			}
			return nil
		}
		limits := &Limits{TPM: some("tpm"), TPMInput: some("input"), TPMOutput: some("output"), PerModel: map[string]Rate{"*": {TPM: some("tpm of models"), TPMOutput: some("output of models")}}}
		fits := int64(2000)
		for _, most := range []*int64{limits.TPM, limits.TPMInput, limits.PerModel["*"].TPM} {
			if most != nil {
				fits = min(fits, *most)
			}
		}
		l, now := alone(), start
		for range 20 {
			now = now.Add(time.Minute + time.Second)
			lease, denied := l.Take(now, []Scope{{ID: 1, Limits: limits}}, Request{
				Model: "m", Input: rapid.Int64Range(0, fits).Draw(t, "estimate"), OutputCap: rapid.Int64Range(0, 100_000).Draw(t, "cap"),
			})
			if denied != nil {
				t.Fatalf("refused in an empty window: %+v", denied)
			}
			lease.Done(now, Tokens{Input: fits, Output: rapid.Int64Range(0, 50_000).Draw(t, "real output")})
		}
	})
}

// What a burst lets in at once follows what the requests have really used.
func TestABurstIsBoundedByWhatRequestsHaveUsed(t *testing.T) {
	t.Parallel()
	const limit, real = 10_000, 1000
	l := alone()
	scopes := []Scope{{ID: 1, Limits: &Limits{TPMOutput: new(int64(limit))}}}
	ask := Request{OutputCap: 32_768}
	now := start
	for range 40 {
		now = now.Add(10 * time.Second)
		lease, denied := l.Take(now, scopes, ask)
		if denied != nil {
			t.Fatalf("one at a time: %+v", denied)
		}
		lease.Done(now, Tokens{Output: real})
	}
	now = now.Add(time.Minute)
	let := 0
	for range 1000 {
		if _, denied := l.Take(now, scopes, ask); denied == nil {
			let++
		}
	}
	if used := let * real; used < limit*8/10 || used > limit*12/10 {
		t.Errorf("a burst of %d requests would use %d, the limit is %d", let, used, limit)
	}
	if _, denied := l.Take(now.Add(time.Minute), scopes, Request{OutputCap: 5}); denied != nil {
		t.Errorf("with a small cap of its own: %+v", denied)
	}
}

// Those whose history is kept in one place do not push each other out of it.
func TestScopesOfOneShardAllCount(t *testing.T) {
	t.Parallel()
	account := Scope{Whose: Account, ID: 1, Limits: &Limits{RPM: new(int64(1))}}
	key := Scope{Whose: ThisKey, ID: 1, Limits: &Limits{RPM: new(int64(1))}}
	for key.subject().shard() != account.subject().shard() {
		key.ID++
	}
	for name, scopes := range map[string][]Scope{"key first": {key, account}, "account first": {account, key}} {
		for range 20 { // maps begin anywhere
			l := alone()
			if _, denied := l.Take(start, scopes, Request{}); denied != nil {
				t.Fatalf("%s: %+v", name, denied)
			}
			for _, scope := range scopes {
				if _, denied := l.Take(start.Add(time.Second), []Scope{scope}, Request{}); denied == nil {
					t.Fatalf("%s: the request did not count for %d", name, scope.Whose)
				}
			}
		}
	}
}

func TestManyScopesAreLockedInOneOrder(t *testing.T) {
	t.Parallel()
	l := alone()
	limits := &Limits{RPM: new(int64(1 << 40)), Concurrency: new(int64(1 << 40))}
	var all sync.WaitGroup
	for i := range int64(8) {
		all.Go(func() {
			for n := range int64(300) {
				scopes := []Scope{{Whose: ThisKey, ID: n * i % 97, Limits: limits}, {Whose: Account, ID: n % 13, Limits: limits}, {Whose: Group, Name: strings.Repeat("g", int(n+i)%5), Limits: limits}}
				lease, _ := l.Take(start, scopes, Request{})
				lease.Done(start, Tokens{})
			}
		})
	}
	all.Wait() // a deadlock is what would be seen
	for i := range l.shards {
		for who, st := range l.shards[i].states {
			if st.inFlight != 0 {
				t.Errorf("%+v: %d under way", who, st.inFlight)
			}
		}
	}
}

func TestSharesAddUpToTheLimit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		nodes := rapid.IntRange(1, 50).Draw(t, "nodes")
		limit := rapid.Int64Range(0, MaxCount).Draw(t, "limit")
		sum, least, most := int64(0), limit, int64(0)
		for i := range nodes {
			share := part{i, nodes}.of(limit)
			sum, least, most = sum+share, min(least, share), max(most, share)
		}
		if sum != limit || most-least > 1 {
			t.Fatalf("shares of %d among %d are %d to %d and add up to %d", limit, nodes, least, most, sum)
		}
	})
}

// However requests fall on the nodes, in no minute do they let in more than the
// limit says together, also while a node comes and another one goes.
func TestNodesWithSharesNeverLetInMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.OneOf(rapid.Int64Range(0, 6), rapid.Int64Range(0, 500)).Draw(t, "limit")
		count := rapid.IntRange(1, 5).Draw(t, "nodes")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		var seats [5]atomic.Int64 // index and nodes, 0 when it is not there
		seat := func(i, index, nodes int) { seats[i].Store(int64(nodes)<<8 | int64(index)) }
		nodes := make([]*Limiter, count)
		for i := range nodes {
			seat(i, i, count)
			nodes[i] = New(Options{Match: byPrefix, Share: func() (int, int) {
				at := seats[i].Load()
				return int(at & 0xff), int(at >> 8)
			}})
		}
		scopes := []Scope{{ID: 1, Limits: &Limits{RPM: &limit}}}
		gone := -1
		var in []time.Time
		now, oldest := start, 0
		for step := range 2000 {
			now = now.Add(time.Duration(random.Int64N(int64(400 * time.Millisecond))))
			if step == 1000 && count > 1 {
				gone = random.IntN(count) // the others see it
				for i := range nodes {
					switch {
					case i < gone:
						seat(i, i, count-1)
					case i > gone:
						seat(i, i-1, count-1)
					}
				}
			}
			i := random.IntN(count)
			if i == gone {
				continue
			}
			lease, denied := nodes[i].Take(now, scopes, Request{})
			lease.Done(now, Tokens{})
			if denied != nil {
				if denied.Nodes != 1 && (denied.Share > limit || denied.RetryAfter <= 0) {
					t.Fatalf("%+v", denied)
				}
				continue
			}
			in = append(in, now)
			for !in[oldest].After(now.Add(-time.Minute)) {
				oldest++
			}
			if within := int64(len(in) - oldest); within > limit {
				t.Fatalf("%d within a minute on %d nodes, the limit is %d", within, count, limit)
			}
		}
	})
}

// Of a limit that is smaller than the number of nodes one of them has all, and
// the same one of all such limits, so that it can let a request in at all.
func TestATinyLimitIsOneNodes(t *testing.T) {
	t.Parallel()
	one := &Limits{RPM: new(int64(1)), Concurrency: new(int64(1)), RPD: new(int64(2))}
	let := 0
	for i := range 3 {
		l := New(Options{Match: byPrefix, Share: func() (int, int) { return i, 3 }})
		lease, denied := l.Take(start, three(1, one, one, one), Request{})
		if denied == nil {
			let++
			lease.Done(start, Tokens{})
			continue
		}
		if denied.RetryAfter != time.Second {
			t.Errorf("another node may take it, so it is worth asking again after %v", denied.RetryAfter)
		}
		if f := fault.From(denied.Fault()); !strings.Contains(f.Message, "(0 at this one of 3 servers)") {
			t.Errorf("%q", f.Message)
		}
	}
	if let != 1 {
		t.Errorf("%d nodes let the request in", let)
	}
}

func TestAShareGrowsWhenWhatOthersLetInIsOver(t *testing.T) {
	t.Parallel()
	nodes := 2
	l := New(Options{Match: byPrefix, Share: func() (int, int) { return 0, nodes }})
	limits := &Limits{RPM: new(int64(10))}
	remaining := func(when time.Duration) int64 { return l.peek(at(when), 1, "m", limits).Requests.Remaining }
	if got := remaining(0); got != 5 {
		t.Errorf("%d of two nodes", got)
	}
	nodes = 1
	if got := remaining(time.Second); got != 5 {
		t.Errorf("%d when the other has just gone", got)
	}
	if got := remaining(61 * time.Second); got != 10 {
		t.Errorf("%d a minute later", got)
	}
	nodes = 5
	if got := remaining(62 * time.Second); got != 2 {
		t.Errorf("%d when others have come", got)
	}
	if got := l.Backend(at(62 * time.Second)); got != "shares" {
		t.Errorf("counted by %q", got)
	}
}

func TestWithoutLimitsNothingIsAllocated(t *testing.T) {
	l := New(Options{Match: byPrefix, Share: func() (int, int) { return 0, 3 }})
	none := &Limits{}
	if n := testing.AllocsPerRun(1000, func() {
		var room [4]Scope
		scopes := append(room[:0], Scope{Whose: ThisKey, ID: 1, Limits: none}, Scope{Whose: Account, ID: 2, Limits: none}, Scope{Whose: Group, Name: "default"})
		lease, denied := l.Take(start, scopes, Request{Model: "m", Input: 10, OutputCap: 100})
		if denied != nil {
			t.Error("refused")
		}
		lease.Done(start, Tokens{Input: 5})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	many := int64(1 << 40)
	some := &Limits{RPM: &many, TPM: &many, Concurrency: &many}
	if n := testing.AllocsPerRun(1000, func() {
		lease, _ := l.Take(start, three(1, some, some, nil), Request{Model: "m", Input: 10, OutputCap: 100})
		lease.Done(start, Tokens{Input: 5})
	}); n > 1 {
		t.Errorf("%v allocations with limits", n)
	}
}
