package limit

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"halley/internal/fault"
)

func byPrefix(pattern, model string) bool {
	prefix, wild := strings.CutSuffix(pattern, "*")
	return model == pattern || (wild && strings.HasPrefix(model, prefix))
}

var start = time.Unix(1_766_000_000, 0)

func at(d time.Duration) time.Time { return start.Add(d) }

// alone is a limiter of one node without a Shared.
func alone() *Limiter { return New(Options{Match: byPrefix}) }

// take lets in a request that counts against one key.
func (l *Limiter) take(now time.Time, id int64, model string, limits *Limits, input int64) (*Lease, *Denied) {
	return l.Take(now, []Scope{{Whose: ThisKey, ID: id, Limits: limits}}, Request{Model: model, Input: input})
}

func (l *Limiter) peek(now time.Time, id int64, model string, limits *Limits) Facts {
	return l.Peek(now, []Scope{{Whose: ThisKey, ID: id, Limits: limits}}, Request{Model: model})
}

// remembered is the history of a key, nil when there is none.
func (l *Limiter) remembered(id int64) *state {
	s := subject{kind: 'k', id: id}
	return l.shards[s.shard()].states[s]
}

func TestAKeyWithoutLimitsIsNotCounted(t *testing.T) {
	t.Parallel()
	l := alone()
	for _, limits := range []*Limits{nil, {}, {PerModel: map[string]Rate{}}} {
		lease, denied := l.take(start, 1, "m", limits, 10)
		if lease != nil || denied != nil {
			t.Fatal("counted")
		}
		lease.Done(start, Tokens{Input: 5})
		lease.Cancel(start)
		if f := lease.Facts(); f != (Facts{}) {
			t.Errorf("facts: %+v", f)
		}
	}
	if l.remembered(1) != nil {
		t.Error("something is remembered")
	}
}

func TestRequestsPerMinuteSlide(t *testing.T) {
	t.Parallel()
	l, limits := alone(), &Limits{RPM: new(int64(2))}
	take := func(when time.Duration) (*Lease, *Denied) { return l.take(at(when), 1, "m", limits, 0) }
	first, _ := take(0)
	second, _ := take(40 * time.Second)
	if first == nil || second == nil {
		t.Fatal("two of two are refused")
	}
	want := Facts{Requests: Stand{Set: true, Limit: 2, Remaining: 0, Reset: time.Minute}}
	if diff := cmp.Diff(want, second.Facts()); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
	_, denied := take(50 * time.Second)
	if denied == nil || denied.RetryAfter != 10*time.Second || denied.Which != RequestsPerMinute || denied.Facts.Requests.Remaining != 0 || denied.Facts.Requests.Reset != 50*time.Second {
		t.Fatalf("third at 50 s: %+v", denied)
	}
	if _, denied = take(time.Minute - 1); denied == nil || denied.RetryAfter != 1 {
		t.Fatalf("just before: %+v", denied)
	}
	if _, denied = take(time.Minute); denied != nil {
		t.Fatalf("when the first is a minute old: %+v", denied)
	}
	if _, denied = take(99 * time.Second); denied == nil || denied.RetryAfter != time.Second {
		t.Fatalf("the second still counts: %+v", denied)
	}
}

func TestZeroAllowsNothingAndSaysSo(t *testing.T) {
	t.Parallel()
	for which, limits := range map[Which]*Limits{
		RequestsPerMinute: {RPM: new(int64(0))}, RequestsPerDay: {RPD: new(int64(0))}, TokensPerMinute: {TPM: new(int64(0))},
		InputPerMinute: {TPMInput: new(int64(0))}, OutputPerMinute: {TPMOutput: new(int64(0))}, Concurrency: {Concurrency: new(int64(0))},
	} {
		lease, denied := alone().take(start, 1, "m", limits, 0)
		if lease != nil || denied == nil || denied.Which != which || denied.RetryAfter <= 0 || denied.Limit != 0 {
			t.Errorf("%s: %+v", which, denied)
		}
	}
}

func TestEachKeyAndEachPatternHasItsOwnCount(t *testing.T) {
	t.Parallel()
	l := alone()
	limits := &Limits{RPM: new(int64(3)), PerModel: map[string]Rate{"gpt-5*": {RPM: new(int64(1))}, "other": {TPM: new(int64(1))}}}
	let := func(key int64, model string) *Denied {
		_, denied := l.take(start, key, model, limits, 0)
		return denied
	}
	if let(1, "gpt-5-mini") != nil {
		t.Fatal("the first of a pattern is refused")
	}
	if d := let(1, "gpt-5-nano"); d == nil || d.Pattern != "gpt-5*" || d.Limit != 1 {
		t.Fatalf("the second of a pattern: %+v", d)
	}
	for range 2 {
		if let(1, "claude") != nil {
			t.Fatal("a refused request counted against the key")
		}
	}
	if d := let(1, "claude"); d == nil || d.Pattern != "" || d.Limit != 3 {
		t.Fatalf("the fourth of the key: %+v", d)
	}
	if let(2, "gpt-5-mini") != nil {
		t.Fatal("another key is refused")
	}
	other := int64(2)
	for (&Scope{ID: other}).subject().shard() != (&Scope{ID: 1}).subject().shard() {
		other++
	}
	if let(other, "gpt-5-mini") != nil {
		t.Fatal("another key of the same shard is refused")
	}
}

func TestTokensAreReservedAndPutRight(t *testing.T) {
	t.Parallel()
	l, limits := alone(), &Limits{TPM: new(int64(100))}
	take := func(when time.Duration, estimate int64) (*Lease, *Denied) {
		return l.take(at(when), 1, "m", limits, estimate)
	}
	remaining := func(when time.Duration) int64 { return l.peek(at(when), 1, "m", limits).Tokens.Remaining }
	a, _ := take(0, 60)
	if _, denied := take(time.Second, 50); denied == nil || denied.RetryAfter != 59*time.Second || denied.Need != 50 {
		t.Fatalf("more than is left: %+v", denied)
	}
	if _, denied := take(time.Second, 101); denied == nil || denied.RetryAfter != time.Minute {
		t.Fatalf("more than there ever is: %+v", denied)
	}
	a.Done(at(2*time.Second), Tokens{Input: 20}) // gives 40 back
	if got := remaining(2 * time.Second); got != 80 {
		t.Fatalf("%d remain, want 80", got)
	}
	b, _ := take(3*time.Second, 10)
	b.Done(at(90*time.Second), Tokens{Input: 150}) // long, and far more than said: counts when it ends
	if got := remaining(90 * time.Second); got != 0 {
		t.Fatalf("%d remain, want 0", got)
	}
	if _, denied := take(100*time.Second, 0); denied == nil || denied.RetryAfter != 50*time.Second {
		t.Fatalf("nothing is left: %+v", denied)
	}
	b.Done(at(120*time.Second), Tokens{Input: 150}) // again: nothing
	b.Cancel(start)
	if got := remaining(150 * time.Second); got != 100 {
		t.Fatalf("%d remain, want 100", got)
	}
}

func TestACancelledRequestCountsNowhere(t *testing.T) {
	t.Parallel()
	l := alone()
	limits := &Limits{RPM: new(int64(1)), RPD: new(int64(1)), TPM: new(int64(10)), Concurrency: new(int64(1)), PerModel: map[string]Rate{"*": {RPM: new(int64(1)), TPM: new(int64(10))}}}
	for range 5 {
		lease, denied := l.take(start, 1, "m", limits, 10)
		if denied != nil {
			t.Fatalf("%+v", denied)
		}
		lease.Cancel(start)
		lease.Done(start, Tokens{Input: 10})
	}
	if f := l.peek(start, 1, "m", limits); f.Requests.Remaining != 1 || f.Tokens.Remaining != 10 || f.Requests.Reset != 0 {
		t.Errorf("%+v", f)
	}
}

func TestOfSeveralLimitsTheLongestWaitIsTold(t *testing.T) {
	t.Parallel()
	l := alone()
	limits := &Limits{RPM: new(int64(1)), RPD: new(int64(1)), Concurrency: new(int64(1))}
	if _, denied := l.take(start, 1, "m", limits, 0); denied != nil {
		t.Fatal(denied)
	}
	_, denied := l.take(at(time.Second), 1, "m", limits, 0)
	if denied == nil || denied.Which != RequestsPerDay || denied.RetryAfter != 24*time.Hour-time.Second {
		t.Fatalf("%+v", denied)
	}
	err := denied.Fault()
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind != fault.RateLimited || f.Code != "rate_limit_exceeded" || f.RetryAfter != denied.RetryAfter || !strings.Contains(f.Message, "1 requests in 24 hours") {
		t.Errorf("%+v", err)
	}
}

func TestHeadersTellTheTightestLimit(t *testing.T) {
	t.Parallel()
	l := alone()
	limits := &Limits{RPM: new(int64(60)), RPD: new(int64(10)), TPM: new(int64(1000)), PerModel: map[string]Rate{"m*": {TPM: new(int64(500))}}}
	lease, _ := l.take(start, 1, "m1", limits, 100)
	got := map[string]string{}
	lease.Facts().Headers(func(name, value string) { got[name] = value })
	want := map[string]string{
		"x-ratelimit-limit-requests": "10", "x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "24h0m0s",
		"x-ratelimit-limit-tokens": "500", "x-ratelimit-remaining-tokens": "400", "x-ratelimit-reset-tokens": "1m0s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	Facts{}.Headers(func(name, _ string) { t.Errorf("a header without a limit: %s", name) })
}

// In no 60 seconds are more let in than the limit says, and with few enough
// requests none is refused that would have fitted.
func TestNoWindowEverHoldsMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.OneOf(rapid.Int64Range(0, 5), rapid.Int64Range(0, 1000)).Draw(t, "limit")
		pace := rapid.SampledFrom([]time.Duration{time.Millisecond, 100 * time.Millisecond, time.Second, 20 * time.Second}).Draw(t, "pace")
		seed := rapid.Uint64().Draw(t, "seed")
		random := rand.New(rand.NewPCG(seed, 1))
		l, limits := alone(), &Limits{RPM: &limit}
		var in []time.Time // let in
		now, oldest := start, 0
		for range 1000 {
			now = now.Add(time.Duration(random.Int64N(int64(2 * pace))))
			for oldest < len(in) && !in[oldest].After(now.Add(-time.Minute)) {
				oldest++
			}
			count := int64(len(in) - oldest)
			lease, denied := l.take(now, 7, "m", limits, 0)
			if denied == nil {
				if count >= limit {
					t.Fatalf("the %d. in a minute was let in, the limit is %d", count+1, limit)
				}
				in = append(in, now)
				if f := lease.Facts().Requests; f.Remaining > limit-count-1 {
					t.Fatalf("%d remain, at the most %d do", f.Remaining, limit-count-1)
				}
				continue
			}
			if limit <= exact && count < limit {
				t.Fatalf("the %d. in a minute was refused, the limit is %d", count+1, limit)
			}
			// Asked again when it said, it is let in.
			if limit > 0 {
				now = now.Add(denied.RetryAfter)
				if _, again := l.take(now, 7, "m", limits, 0); again != nil {
					t.Fatalf("refused again after the wait: %+v", again)
				}
				in = append(in, now)
			}
		}
		if n := len(l.remembered(7).whole.minute.entries); n > 2*exact+2 {
			t.Fatalf("%d entries are kept", n)
		}
	})
}

func TestNoWindowEverHoldsMoreTokensThanTheLimit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(1, 10_000).Draw(t, "limit")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		l, limits := alone(), &Limits{TPM: &limit}
		type spent struct {
			at     time.Time
			tokens int64
		}
		var in []spent
		var open []*Lease
		now := start
		for range 500 {
			now = now.Add(time.Duration(random.Int64N(int64(3 * time.Second))))
			estimate := random.Int64N(limit/3 + 1)
			lease, denied := l.take(now, 7, "m", limits, estimate)
			if denied == nil {
				sum := estimate
				for _, s := range in {
					if s.at.After(now.Add(-time.Minute)) {
						sum += s.tokens
					}
				}
				if sum > limit {
					t.Fatalf("%d tokens in a minute, the limit is %d", sum, limit)
				}
				in = append(in, spent{now, estimate})
				open = append(open, lease)
			}
			if len(open) > 0 && random.IntN(2) == 0 {
				open[0].Done(now, Tokens{Input: open[0].takes[0].amount}) // exactly as estimated
				open = open[1:]
			}
		}
	})
}

func TestNeverMoreAtOnceThanAllowed(t *testing.T) {
	t.Parallel()
	l, limits := alone(), &Limits{Concurrency: new(int64(5)), RPM: new(int64(1 << 40))}
	var atOnce, let atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 500 {
				lease, denied := l.take(time.Now(), 1, "m", limits, 0)
				if denied != nil {
					if denied.Which != Concurrency {
						t.Errorf("%+v", denied)
					}
					continue
				}
				if n := atOnce.Add(1); n > 5 {
					t.Errorf("%d at once", n)
				}
				let.Add(1)
				atOnce.Add(-1)
				lease.Done(time.Now(), Tokens{})
			}
		})
	}
	all.Wait()
	if let.Load() == 0 {
		t.Error("none was let in")
	}
	if got := l.remembered(1).inFlight; got != 0 {
		t.Errorf("%d are still counted", got)
	}
}

func TestManyAtOnceGetExactlyTheLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, limits := alone(), &Limits{RPM: new(int64(300)), TPM: new(int64(2500))}
		round := func() (let int64) {
			var count atomic.Int64
			var all sync.WaitGroup
			for range 1000 {
				all.Go(func() {
					if _, denied := l.take(time.Now(), 1, "m", limits, 10); denied == nil {
						count.Add(1)
					}
				})
			}
			all.Wait()
			return count.Load()
		}
		if got := round(); got != 250 { // by tokens
			t.Errorf("%d were let in, want 250", got)
		}
		<-time.After(59 * time.Second)
		if got := round(); got != 0 {
			t.Errorf("%d were let in within the minute", got)
		}
		<-time.After(time.Second)
		if got := round(); got != 250 {
			t.Errorf("%d were let in a minute later, want 250", got)
		}
	})
}

func TestIdleKeysAreForgotten(t *testing.T) {
	t.Parallel()
	l, limits := alone(), &Limits{RPM: new(int64(5)), PerModel: map[string]Rate{"a*": {TPM: new(int64(5))}}}
	for i := range 50_000 {
		lease, _ := l.take(at(time.Duration(i)*100*time.Millisecond), int64(i), "a1", limits, 1)
		lease.Done(at(time.Duration(i)*100*time.Millisecond), Tokens{Input: 1})
	}
	kept := 0
	for i := range l.shards {
		kept += len(l.shards[i].states)
	}
	if kept > 3000 { // 600 of them are of the last minute
		t.Errorf("%d keys are remembered", kept)
	}
}

func TestPatternsThatAreGoneAreForgotten(t *testing.T) {
	t.Parallel()
	l := alone()
	for i := range 100 {
		name := fmt.Sprint("m", i)
		lease, denied := l.take(at(time.Duration(i)*time.Minute), 1, name, &Limits{PerModel: map[string]Rate{name: {RPM: new(int64(1))}}}, 0)
		if denied != nil {
			t.Fatal(denied)
		}
		lease.Done(start, Tokens{})
	}
	if n := len(l.remembered(1).patterns); n > 2 {
		t.Errorf("%d patterns are remembered", n)
	}
}

// What every model request pays whose caller has no limits.
func BenchmarkTakeWithoutLimits(b *testing.B) {
	benchmark(b, &Limits{}, ThisKey, Account, Group)
}

func BenchmarkTake(b *testing.B) {
	many := int64(1 << 40)
	benchmark(b, &Limits{RPM: &many, TPM: &many, Concurrency: &many, PerModel: map[string]Rate{"gpt*": {RPM: &many}}}, ThisKey)
}

func BenchmarkTakeOfKeyAccountAndGroup(b *testing.B) {
	many := int64(1 << 40)
	benchmark(b, &Limits{RPM: &many, TPM: &many, Concurrency: &many}, ThisKey, Account, Group)
}

func benchmark(b *testing.B, limits *Limits, whose ...Whose) {
	l := alone()
	var scopes []Scope
	for _, w := range whose {
		scopes = append(scopes, Scope{Whose: w, ID: 1, Limits: limits})
	}
	b.ReportAllocs()
	for b.Loop() {
		now := time.Now()
		lease, _ := l.Take(now, scopes, Request{Model: "gpt-4o", Input: 100, OutputCap: 1000})
		lease.Done(now, Tokens{Input: 90, Output: 10})
	}
}
