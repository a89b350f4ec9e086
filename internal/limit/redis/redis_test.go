package redis_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"halley/internal/limit"
	"halley/internal/limit/redis"
	"halley/internal/limit/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// aged is a server whose counts reach back far enough.
func aged(t testing.TB) *redistest.Server {
	t.Helper()
	server := redistest.Start(t)
	command(t, server, "SET", "halley:{limits}:since", "1")
	return server
}

// command runs a command at the server.
func command(t testing.TB, server *redistest.Server, words ...string) rueidis.RedisResult {
	t.Helper()
	option, err := rueidis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	option.DisableCache = true
	client, err := rueidis.NewClient(option)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	result := client.Do(context.Background(), client.B().Arbitrary(words...).Build())
	if err := result.Error(); err != nil {
		t.Fatalf("%v: %v", words, err)
	}
	return result
}

// backend is a node's way to the server; changes come before it starts.
func backend(t testing.TB, server *redistest.Server, changes ...func(*redis.Backend)) *redis.Backend {
	t.Helper()
	b, err := redis.New(redis.Options{URL: server.URL(), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	b.Patient(patience) // but where a test says otherwise the machine may be busy
	for _, change := range changes {
		change(b)
	}
	b.Start()
	t.Cleanup(b.Close)
	return b
}

// node is a limiter that counts at the server; index and nodes are its share.
func node(b *redis.Backend, index, nodes int) *limit.Limiter {
	return limit.New(limit.Options{
		Match:  func(pattern, model string) bool { return pattern == model },
		Share:  func() (int, int) { return index, nodes },
		Shared: b,
	})
}

// ofKey are the scopes of a request that counts against one key.
func ofKey(limits *limit.Limits) []limit.Scope {
	return []limit.Scope{{Whose: limit.ThisKey, ID: 7, Limits: limits}}
}

// ask is a request of which nothing matters but that it is one.
func ask() limit.Request { return limit.Request{Model: "m"} }

// become waits until the backend is in the state.
func become(t testing.TB, b *redis.Backend, want limit.State) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); b.State() != want; {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("the state is %d, want %d", b.State(), want)
		}
	}
}

func TestNodesCountTogether(t *testing.T) {
	t.Parallel()
	server := aged(t)
	nodes := []*limit.Limiter{node(backend(t, server), 0, 2), node(backend(t, server), 1, 2)}
	r := ofKey(&limit.Limits{RPM: new(int64(100))})
	var let atomic.Int64
	var all sync.WaitGroup
	for i := range 300 {
		all.Go(func() {
			lease, denied := nodes[i%3/2].Take(time.Now(), r, ask()) // unevenly
			if denied == nil {
				let.Add(1)
				lease.Done(time.Now(), limit.Tokens{})
			}
		})
	}
	all.Wait()
	if got := let.Load(); got != 100 {
		t.Errorf("%d were let in, want 100", got)
	}
	_, denied := nodes[0].Take(time.Now(), r, ask())
	if denied == nil || denied.RetryAfter <= 30*time.Second || denied.RetryAfter > time.Minute || denied.Facts.Requests.Remaining != 0 || denied.Nodes != 1 {
		t.Errorf("the next is told %+v", denied)
	}
	if f := nodes[1].Peek(time.Now(), r, ask()).Requests; f.Limit != 100 || f.Remaining != 0 || f.Reset <= 30*time.Second {
		t.Errorf("facts: %+v", f)
	}
	if got := nodes[0].Backend(time.Now()); got != "redis" {
		t.Errorf("counted by %q", got)
	}
}

func TestAllLimitsOfARequestTogetherOrNone(t *testing.T) {
	t.Parallel()
	l := node(backend(t, aged(t)), 0, 1)
	one, many := &limit.Limits{RPM: new(int64(1)), Concurrency: new(int64(5)), TPMInput: new(int64(1000))}, &limit.Limits{RPM: new(int64(10)), TPM: new(int64(1000)), Concurrency: new(int64(9))}
	all := []limit.Scope{{Whose: limit.ThisKey, ID: 1, Limits: one}, {Whose: limit.Account, ID: 1, Limits: many}, {Whose: limit.Group, Name: "vip", Limits: many}}
	lease, denied := l.Take(time.Now(), all, limit.Request{Model: "m", Input: 100, OutputCap: 50})
	if denied != nil {
		t.Fatalf("%+v", denied)
	}
	for range 20 {
		if _, again := l.Take(time.Now(), all, ask()); again == nil || again.Whose != limit.ThisKey || again.Which != limit.RequestsPerMinute {
			t.Fatalf("the second of one: %+v", again)
		}
	}
	others := all[1:]
	if f := l.Peek(time.Now(), others, ask()); f.Requests.Remaining != 9 || f.Tokens.Remaining != 850 {
		t.Errorf("refused requests counted against account or group: %+v", f)
	}
	lease.Done(time.Now(), limit.Tokens{Input: 300, Output: 400})
	if f := l.Peek(time.Now(), others, ask()); f.Tokens.Remaining != 300 {
		t.Errorf("after the real figures: %+v", f)
	}
	lease, denied = l.Take(time.Now(), others, limit.Request{Model: "m", Input: 200})
	if denied != nil {
		t.Fatalf("%+v", denied)
	}
	lease.Cancel(time.Now())
	if f := l.Peek(time.Now(), others, ask()); f.Requests.Remaining != 9 || f.Tokens.Remaining != 300 {
		t.Errorf("after a request that counts nowhere: %+v", f)
	}
}

// In no span are more let in than the limit says, by however many nodes, and of
// few none is refused that fits.
func TestNoWindowEverHoldsMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	server := aged(t)
	nodes := []*redis.Backend{backend(t, server), backend(t, server), backend(t, server)}
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		most := rapid.Int64Range(0, 400).Draw(t, "limit")
		span := time.Duration(rapid.IntRange(5, 60).Draw(t, "span")) * time.Millisecond
		largest := rapid.Int64Range(1, 20).Draw(t, "largest amount")
		seed := rapid.Uint64().Draw(t, "seed")
		type taken struct {
			before, after time.Duration
			amount        int64
		}
		var mu sync.Mutex
		var in []taken
		var all sync.WaitGroup
		began := time.Now()
		for i, b := range nodes {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			all.Go(func() {
				for range 150 {
					amount := random.Int64N(largest) + 1
					before := time.Since(began)
					counts, err := b.Take("lease", []limit.SharedRule{{Name: fmt.Sprint("test", run), Span: span, Limit: most, Amount: amount}}, false)
					if err != nil {
						t.Errorf("%v", err)
						return
					}
					after := time.Since(began)
					if counts[0].Wait == 0 {
						mu.Lock()
						in = append(in, taken{before, after, amount})
						mu.Unlock()
					} else if counts[0].Used+amount <= most {
						t.Errorf("%d of %d refused with %d used", amount, most, counts[0].Used)
					}
				}
			})
		}
		all.Wait()
		slices.SortFunc(in, func(a, b taken) int { return int(a.after - b.after) })
		for i, last := range in {
			sum := int64(0)
			for _, one := range in[:i+1] {
				if last.after-one.before < span { // surely within one
					sum += one.amount
				}
			}
			if sum > most {
				t.Fatalf("%d within %v, the limit is %d", sum, span, most)
			}
		}
	})
}

func TestARefusedRequestFitsWhenItWasTold(t *testing.T) {
	t.Parallel()
	b := backend(t, aged(t))
	rules := []limit.SharedRule{{Name: "test", Span: 200 * time.Millisecond, Limit: 300, Amount: 1}}
	for i := range 600 {
		counts, err := b.Take("lease", rules, false)
		if err != nil {
			t.Fatal(err)
		}
		if counts[0].Wait == 0 {
			continue
		}
		if counts[0].Used != 300 {
			t.Fatalf("request %d is refused with %d used", i, counts[0].Used)
		}
		<-time.After(counts[0].Wait)
		if counts, err = b.Take("lease", rules, false); err != nil || counts[0].Wait != 0 {
			t.Fatalf("asked again when it said: %+v, %v", counts, err)
		}
	}
}

func TestALimitIsBoundedInMemory(t *testing.T) {
	t.Parallel()
	server := aged(t)
	b := backend(t, server)
	rules := []limit.SharedRule{{Name: "test", Span: time.Second, Limit: 1 << 40, Amount: 1 << 30}}
	for range 2000 {
		if _, err := b.Take("lease", rules, false); err != nil {
			t.Fatal(err)
		}
	}
	fields, err := command(t, server, "HLEN", "halley:{limits}:test").AsInt64()
	if err != nil || fields > 2*128+4 {
		t.Errorf("%d fields are kept, %v", fields, err)
	}
	if ttl, err := command(t, server, "PTTL", "halley:{limits}:test").AsInt64(); err != nil || ttl <= 0 || ttl > 2000 {
		t.Errorf("it is kept for %d ms, %v", ttl, err)
	}
}

func TestWhatALogHadLongAgoIsNotGivenBackToItsSuccessor(t *testing.T) {
	t.Parallel()
	server := aged(t)
	b := backend(t, server)
	rule := limit.SharedRule{Name: "test", Span: time.Minute, Limit: 100, Amount: 50}
	first, err := b.Take("first", []limit.SharedRule{rule}, false)
	if err != nil {
		t.Fatal(err)
	}
	command(t, server, "DEL", "halley:{limits}:test") // as it does when it expires
	if _, err := b.Take("second", []limit.SharedRule{rule}, false); err != nil {
		t.Fatal(err)
	}
	b.Done("first", []limit.SharedChange{{Name: rule.Name, Span: rule.Span, Entry: first[0].Entry, By: -50}})
	counts, err := b.Peek([]limit.SharedRule{rule})
	if err != nil || counts[0].Used != 50 {
		t.Errorf("%+v, %v", counts, err)
	}
}

func TestRequestsAtTheSameTimeAreCountedOverAllNodes(t *testing.T) {
	t.Parallel()
	server := aged(t)
	hasten := func(b *redis.Backend) {
		b.Hasten(time.Minute, 500*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond)
	}
	other := backend(t, server, hasten)
	here, there := node(backend(t, server, hasten), 0, 2), node(other, 1, 2)
	r := ofKey(&limit.Limits{Concurrency: new(int64(2))})
	first, d1 := here.Take(time.Now(), r, ask())
	second, d2 := there.Take(time.Now(), r, ask())
	_, d3 := here.Take(time.Now(), r, ask())
	if d1 != nil || d2 != nil || d3 == nil || d3.Which != limit.Concurrency || d3.RetryAfter != time.Second {
		t.Fatalf("%+v, %+v, %+v", d1, d2, d3)
	}
	// A long request counts as long as it runs, longer than its lease.
	<-time.After(time.Second)
	if _, denied := there.Take(time.Now(), r, ask()); denied == nil {
		t.Error("a request that runs for long was forgotten")
	}
	first.Done(time.Now(), limit.Tokens{})
	third, denied := there.Take(time.Now(), r, ask())
	if denied != nil {
		t.Fatalf("when one has ended: %+v", denied)
	}
	third.Cancel(time.Now())
	// The requests of a node that dies count until their leases end.
	other.Close()
	_ = second
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); ; {
		a, d1 := here.Take(time.Now(), r, ask())
		b, d2 := here.Take(time.Now(), r, ask())
		a.Done(time.Now(), limit.Tokens{})
		b.Done(time.Now(), limit.Tokens{})
		if d1 == nil && d2 == nil {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the dead node's request counts for ever")
		}
	}
}

// Counts that were lost with a server are none to judge by before they reach
// back a minute again.
func TestCountsThatWereLostGrantNothingAnew(t *testing.T) {
	t.Parallel()
	server := aged(t)
	b := backend(t, server)
	l := node(b, 0, 2)
	r := ofKey(&limit.Limits{RPM: new(int64(10)), RPD: new(int64(1000))})
	take := func(n int) (let int) {
		for range n {
			if _, denied := l.Take(time.Now(), r, ask()); denied == nil {
				let++
			}
		}
		return let
	}
	if got := take(8); got != 8 {
		t.Fatalf("%d of 8 let in", got)
	}
	command(t, server, "FLUSHALL")
	if got := take(10); got != 0 {
		t.Errorf("%d let in when the counts were lost, beyond this node's share", got)
	}
	if b.State() != limit.Warming || l.Backend(time.Now()) != "shares" {
		t.Errorf("state %d, counted by %q", b.State(), l.Backend(time.Now()))
	}
	_, denied := l.Take(time.Now(), r, ask())
	if denied == nil || denied.Share != 5 || denied.Nodes != 2 || !strings.Contains(denied.Fault().Error(), "10 requests per minute (5 at this one of 2 servers)") {
		t.Errorf("%+v", denied)
	}
}

func TestADaysLimitOutlivesTheCounts(t *testing.T) {
	t.Parallel()
	server := aged(t)
	l := node(backend(t, server), 0, 2)
	r := ofKey(&limit.Limits{RPD: new(int64(3))})
	for range 3 {
		if _, denied := l.Take(time.Now(), r, ask()); denied != nil {
			t.Fatalf("%+v", denied)
		}
	}
	command(t, server, "FLUSHALL")
	command(t, server, "SET", "halley:{limits}:since", "1")
	_, denied := l.Take(time.Now(), r, ask())
	if denied == nil || denied.Which != limit.RequestsPerDay || denied.RetryAfter < 23*time.Hour {
		t.Errorf("the fourth: %+v", denied)
	}
	if n, err := command(t, server, "HGET", "halley:{limits}:k:7:rpd", "sum").AsInt64(); err != nil || n != 0 {
		t.Errorf("the refused request counts %d, %v", n, err)
	}
}

// A server that is killed under load costs no request more than a moment: the
// nodes go on with their shares, and count together again when it is back.
func TestWithoutTheServerEachNodeTakesItsShare(t *testing.T) {
	t.Parallel()
	server := aged(t)
	var log buffer
	quick := func(b *redis.Backend) {
		b.Hasten(300*time.Millisecond, time.Minute, 50*time.Millisecond, 20*time.Millisecond)
		b.Patient(time.Second)
	}
	backends := make([]*redis.Backend, 3)
	nodes := make([]*limit.Limiter, 3)
	for i := range backends {
		var err error
		if backends[i], err = redis.New(redis.Options{URL: server.URL(), Log: slog.New(slog.NewTextHandler(&log, nil))}); err != nil {
			t.Fatal(err)
		}
		quick(backends[i])
		backends[i].Start()
		t.Cleanup(backends[i].Close)
		become(t, backends[i], limit.Exact)
		nodes[i] = node(backends[i], i, 3)
	}
	const most = 30_000
	limits := &limit.Limits{RPM: new(int64(most)), Concurrency: new(int64(100))}
	var let, slow atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				lease, denied := nodes[i%3].Take(began, ofKey(limits), ask())
				if time.Since(began) > 5*time.Second {
					slow.Add(1)
				}
				if denied == nil {
					let.Add(1)
				}
				lease.Done(time.Now(), limit.Tokens{})
			}
		})
	}
	more := func() { // requests go on being let in
		t.Helper()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for before, late := let.Load(), time.After(patience); let.Load() < min(before+100, most); {
			select {
			case <-tick.C:
			case <-late:
				t.Fatalf("no more than %d are let in", let.Load())
			}
		}
	}
	more()
	server.Kill()
	for _, b := range backends {
		become(t, b, limit.Away)
	}
	more()
	server.Restart()
	for _, b := range backends {
		become(t, b, limit.Exact)
	}
	more()
	server.Hang()
	for _, b := range backends {
		become(t, b, limit.Away)
	}
	more()
	server.Resume()
	for _, b := range backends {
		become(t, b, limit.Exact)
	}
	more()
	stop()
	all.Wait()
	if n := slow.Load(); n > 0 {
		t.Errorf("%d requests waited for far longer than they should", n)
	}
	// What one node let in of the whole while it could, others may let in again
	// as their share once; never more.
	if n := let.Load(); n > most+most*2/3 {
		t.Errorf("%d were let in, the limit is %d", n, most)
	}
	text := log.String()
	if away, back := strings.Count(text, "does not answer"), strings.Count(text, "is there"); away < 6 || back != away+3 {
		t.Errorf("%d warnings and %d returns in the log of three nodes that each saw two failures:\n%s", away, back, text)
	}
}

// Requests under way that the server never heard of, or forgot, count again
// when it is back.
func TestRequestsUnderWayAreNotForgotten(t *testing.T) {
	t.Parallel()
	server := aged(t)
	hasten := func(b *redis.Backend) {
		b.Hasten(time.Millisecond, time.Minute, 20*time.Millisecond, 20*time.Millisecond)
	}
	b := backend(t, server, hasten)
	l := node(b, 0, 1)
	r := ofKey(&limit.Limits{Concurrency: new(int64(3))})
	first, _ := l.Take(time.Now(), r, ask())
	server.Kill()
	second, _ := l.Take(time.Now(), r, ask())
	become(t, b, limit.Away)
	if first == nil || second == nil {
		t.Fatal("two of three were refused")
	}
	server.Restart()
	become(t, b, limit.Exact)
	counted := func() int64 {
		n, err := command(t, server, "ZCARD", "halley:{limits}:k:7:concurrency").AsInt64()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if got := counted(); got != 2 {
		t.Errorf("%d are counted at the server, want 2", got)
	}
	first.Done(time.Now(), limit.Tokens{})
	second.Done(time.Now(), limit.Tokens{})
	if got := counted(); got != 0 {
		t.Errorf("%d are counted when all have ended", got)
	}
}

func TestAServerThatIsNotThereIsNoReasonNotToStart(t *testing.T) {
	t.Parallel()
	server := aged(t)
	server.Kill()
	b := backend(t, server, func(b *redis.Backend) {
		b.Hasten(time.Millisecond, time.Minute, 20*time.Millisecond, 20*time.Millisecond)
	})
	l := node(b, 1, 2)
	r := ofKey(&limit.Limits{RPM: new(int64(3))})
	if _, denied := l.Take(time.Now(), r, ask()); denied != nil {
		t.Errorf("the first of the share: %+v", denied)
	}
	if _, denied := l.Take(time.Now(), r, ask()); denied == nil || denied.Share != 1 {
		t.Errorf("beyond the share: %+v", denied)
	}
	server.Restart()
	become(t, b, limit.Exact)
}

func TestAURLIsJudgedWithoutShowingIt(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"http://user:canary@host", "redis://user:canary@host/x", "canary", "redis://%zzcanary"} {
		err := redis.CheckURL(url)
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{"redis://host", "rediss://user:secret@host:6380/2", "unix:///run/valkey.sock", "redis://a:1?addr=b:1&addr=c:1"} {
		if err := redis.CheckURL(url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func BenchmarkTake(b *testing.B) {
	l := node(backend(b, aged(b)), 0, 1)
	many := int64(1 << 40)
	r := ofKey(&limit.Limits{RPM: &many, TPM: &many, Concurrency: &many})
	b.ReportAllocs()
	for b.Loop() {
		lease, _ := l.Take(time.Now(), r, ask())
		lease.Done(time.Now(), limit.Tokens{Input: 90})
	}
}
