package health_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/health"
)

// ward is a Tracker with a clock that the test turns.
type ward struct {
	t *testing.T
	*health.Tracker
	now   time.Time
	heard []string
}

func newWard(t *testing.T, config health.Config) *ward {
	t.Helper()
	w := &ward{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	config.OnTransition = func(tr health.Transition) {
		w.heard = append(w.heard, fmt.Sprintf("%s/%s %s → %s: %s", tr.Target.Credential, tr.Target.Model, tr.From, tr.To, tr.Reason))
	}
	tracker, err := health.New(config)
	if err != nil {
		t.Fatal(err)
	}
	w.Tracker = tracker
	return w
}

func (w *ward) pass(d time.Duration) { w.now = w.now.Add(d) }

func (w *ward) try(target health.Target, outcomes ...health.Outcome) {
	w.t.Helper()
	for _, o := range outcomes {
		a, ok := w.Begin(w.now, target, w.Look(w.now, target).Probe)
		if !ok {
			w.t.Fatalf("an attempt at %v may not begin: %+v", target, w.Look(w.now, target))
		}
		a.Done(w.now, o)
	}
}

func (w *ward) is(target health.Target, want health.State) {
	w.t.Helper()
	if v := w.Look(w.now, target); v.State != want {
		w.t.Errorf("%v is %s (%s), want %s", target, v.State, v.Reason, want)
	}
}

// breaks opens the model's breaker.
func (w *ward) breaks(target health.Target) {
	w.t.Helper()
	w.try(target, times(5, failed)...)
	w.is(target, health.Open)
}

var (
	m      = health.Target{Channel: 1, Credential: "k", Model: "m"}
	well   = health.Outcome{Class: health.Success, FirstByte: 100 * time.Millisecond}
	failed = health.Outcome{Class: health.Failed, Detail: "status 503"}
)

func times(n int, o health.Outcome) []health.Outcome {
	all := make([]health.Outcome, n)
	for i := range all {
		all[i] = o
	}
	return all
}

func TestABreakerOpensByRatioOrByFailuresInARow(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		outcomes string // + well, - failed, c client's fault, g client gone, . ten seconds pass
		want     health.State
	}{
		"one error":                          {"-", health.Closed},
		"too few to tell":                    {"----", health.Closed},
		"enough":                             {"-----", health.Open},
		"half of them":                       {"+-+-+-", health.Open},
		"less than half":                     {"++-++-+-++", health.Closed},
		"what was long ago does not count":   {"+--...-+-", health.Closed},
		"a window slides, it does not reset": {"--..-.+-", health.Closed},
		"little traffic, all of it failing":  {"-....-....-....-....-", health.Open},
		"little traffic, one of it answered": {"-....-....+....-....-....-", health.Closed},
		"the client's faults say nothing":    {"----cccgggcc", health.Closed},
		"and do not interrupt a row":         {"-....-....c....-....-....-", health.Open},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWard(t, health.Config{})
			for _, c := range row.outcomes {
				switch c {
				case '+':
					w.try(m, well)
				case '-':
					w.try(m, failed)
				case 'c':
					w.try(m, health.Outcome{Class: health.ClientFault})
				case 'g':
					w.try(m, health.Outcome{Class: health.ClientGone})
				case '.':
					w.pass(10 * time.Second)
				}
			}
			w.is(m, row.want)
		})
	}
}

func TestCooldownsDoubleWithEachProbeThatFailsUpToTheirCap(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{Cooldown: 5 * time.Second, MaxCooldown: 30 * time.Second})
	w.breaks(m)
	for _, want := range []time.Duration{5, 10, 20, 30, 30} {
		v := w.Look(w.now, m)
		if got := v.Until.Sub(w.now); got != want*time.Second || v.State != health.Open || v.Share != 0 || v.Probe {
			t.Errorf("%+v for %s, want it open for %s", v, got, want*time.Second)
		}
		w.pass(want*time.Second - 1)
		w.is(m, health.Open)
		w.pass(1)
		if v := w.Look(w.now, m); v.State != health.HalfOpen || !v.Probe || v.Share != 1 {
			t.Errorf("after its cooldown it is %+v", v)
		}
		w.try(m, failed)
	}
}

func TestJitterShortensACooldownByAFifthAtMost(t *testing.T) {
	t.Parallel()
	for _, roll := range []float64{0, 0.5, 0.999999} {
		w := newWard(t, health.Config{Cooldown: 10 * time.Second, Roll: func() float64 { return roll }})
		w.breaks(m)
		got := w.Look(w.now, m).Until.Sub(w.now)
		if want := 10*time.Second - time.Duration(roll*float64(2*time.Second)); got != want {
			t.Errorf("roll %g: %s, want %s", roll, got, want)
		}
	}
}

func TestARecoveredTargetStartsSlowly(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{Cooldown: 40 * time.Second, SlowStart: 30 * time.Second, FirstShare: 0.1})
	w.breaks(m)
	w.pass(40 * time.Second)
	w.try(m, well)
	for _, want := range []float64{0.1, 0.4, 0.7} {
		if v := w.Look(w.now, m); v.State != health.SlowStart || v.Share < want-1e-9 || v.Share > want+1e-9 || v.Probe {
			t.Errorf("%+v, want a share of %g", v, want)
		}
		w.try(m, well)
		w.pass(10 * time.Second)
	}
	w.is(m, health.Closed)
	w.try(m, well)
	want := []string{
		"k/m closed → open: 5 of 5 attempts failed within 30s, the last: status 503",
		"k/m open → half-open: 5 of 5 attempts failed within 30s, the last: status 503",
		"k/m half-open → slow-start: it answered",
		"k/m slow-start → closed: its slow start is over",
	}
	if diff := cmp.Diff(want, w.heard); diff != "" {
		t.Error(diff)
	}
	if !w.Clear(1) {
		t.Error("something still speaks against the channel")
	}
}

func TestASlowStartIsNoLongerThanTheCooldownWas(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{Cooldown: 5 * time.Second})
	w.breaks(m)
	w.pass(5 * time.Second)
	w.try(m, well)
	w.is(m, health.SlowStart)
	w.pass(5 * time.Second)
	w.is(m, health.Closed)
}

func TestATargetThatFailsWhileItRecoversCoolsDownForLonger(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{Cooldown: 5 * time.Second})
	w.breaks(m)
	w.pass(5 * time.Second)
	w.try(m, well)
	w.try(m, failed)
	w.is(m, health.SlowStart) // one error opens nothing
	w.try(m, times(4, failed)...)
	w.is(m, health.Open)
	if got := w.Look(w.now, m).Until.Sub(w.now); got != 10*time.Second {
		t.Errorf("cools down for %s", got)
	}
}

func TestOnlyOneOfManyMayProbe(t *testing.T) {
	t.Parallel()
	tracker, err := health.New(health.Config{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for round := range 50 {
		target := health.Target{Channel: int64(round), Credential: "k", Model: "m"}
		for range 5 {
			a, _ := tracker.Begin(now, target, false)
			a.Done(now, failed)
		}
		later := now.Add(time.Minute)
		if !tracker.Look(later, target).Probe {
			t.Fatal("no probe may go after the cooldown")
		}
		var probes atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, ok := tracker.Begin(later, target, true); ok {
					probes.Add(1)
				}
			})
		}
		wg.Wait()
		if probes.Load() != 1 || tracker.InFlight(target.Channel) != 1 {
			t.Fatalf("%d probes at a time, %d attempts under way", probes.Load(), tracker.InFlight(target.Channel))
		}
		if v := tracker.Look(later, target); v.State != health.HalfOpen || v.Probe || v.Share != 0 {
			t.Fatalf("while a probe runs: %+v", v)
		}
	}
}

func TestAProbeThatSaysNothingLetsTheNextOneGo(t *testing.T) {
	t.Parallel()
	for _, class := range []health.Class{health.ClientFault, health.ClientGone, health.Credential} {
		w := newWard(t, health.Config{})
		w.breaks(m)
		w.pass(time.Minute)
		w.try(m, health.Outcome{Class: class})
		if class == health.Credential {
			w.pass(time.Hour) // what the key is out for now
		}
		if v := w.Look(w.now, m); v.State != health.HalfOpen || !v.Probe {
			t.Errorf("after class %d: %+v", class, v)
		}
	}
}

func TestAProbeThatWasOvertakenDoesNotHoldUpTheNext(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{ProbeTerm: time.Hour})
	w.breaks(m)
	w.pass(time.Minute)
	slow, _ := w.Begin(w.now, m, true)
	last, _ := w.Begin(w.now, m, false) // for lack of better ones
	last.Done(w.now, well)
	w.try(m, times(5, failed)...)
	w.is(m, health.Open)
	w.pass(time.Minute)
	if !w.Look(w.now, m).Probe {
		t.Error("the probe of an earlier cooldown is waited for")
	}
	slow.Done(w.now, failed)
	if !w.Look(w.now, m).Probe {
		t.Error("the probe of an earlier cooldown has decided the next")
	}
}

func TestAProbeTakesBothGatesOrNone(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{ProbeTerm: time.Hour})
	w.try(m, well)
	w.breaks(m)
	w.pass(time.Minute)
	if _, ok := w.Begin(w.now, m, true); !ok { // it runs on
		t.Fatal("the model's probe may not begin")
	}
	n := health.Target{Channel: 1, Credential: "k", Model: "n"}
	w.try(n, health.Outcome{Class: health.Credential})
	w.pass(time.Minute)
	if _, ok := w.Begin(w.now, m, true); ok {
		t.Fatal("two probes at a time of the same model")
	}
	if !w.Look(w.now, n).Probe {
		t.Error("the key's probe was taken by an attempt that did not begin")
	}
}

func TestTheSmallerShareOfTwoGatesCounts(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{FirstShare: 0.1, SuspectShare: 0.25})
	w.breaks(m)
	w.pass(5 * time.Second)
	w.try(m, well)
	w.Hint(w.now, health.Hint{Target: health.Target{Channel: 1, Credential: "k"}, Broken: true, Until: w.now.Add(time.Minute)})
	if v := w.Look(w.now, m); v.State != health.Suspected || v.Share != 0.1 {
		t.Errorf("%+v", v)
	}
}

func TestAProbeThatNeverEndsIsNotWaitedForForever(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{ProbeTerm: time.Minute})
	w.breaks(m)
	w.pass(time.Minute)
	lost, _ := w.Begin(w.now, m, true)
	w.pass(time.Minute - 1)
	if _, ok := w.Begin(w.now, m, true); ok {
		t.Fatal("a second probe went beside the first")
	}
	w.pass(1)
	w.try(m, failed)
	w.is(m, health.Open)
	lost.Done(w.now, well) // at last: it began before the second failed
	w.is(m, health.Open)
}

func TestTheFirstByteOfALongStreamOpensTheGate(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{Cooldown: 20 * time.Second})
	w.breaks(m)
	w.pass(20 * time.Second)
	a, _ := w.Begin(w.now, m, true)
	w.pass(time.Second)
	a.FirstByte(w.now)
	w.is(m, health.SlowStart)
	if got, ok := w.FirstByte(w.now, m); !ok || got != time.Second {
		t.Errorf("time to first byte %s, %v", got, ok)
	}
	w.pass(10 * time.Second)
	a.Done(w.now, failed) // the stream stalls
	w.is(m, health.Open)
	if v := w.Look(w.now, m); v.Until.Sub(w.now) != 40*time.Second || v.Reason != "the probe failed after its first byte: status 503" {
		t.Errorf("%+v", v)
	}
}

func TestARateLimitCoolsDownNothingButThatKeyAndModel(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{})
	w.try(m, health.Outcome{Class: health.RateLimited, RetryAfter: 30 * time.Second, Detail: "tokens per minute"})
	if v := w.Look(w.now, m); v.State != health.CoolingDown || v.Until.Sub(w.now) != 30*time.Second || v.Reason != "rate limited, retry after 30s: tokens per minute" {
		t.Errorf("%+v", v)
	}
	w.is(health.Target{Channel: 1, Credential: "k", Model: "n"}, health.Closed)
	w.is(health.Target{Channel: 1, Credential: "l", Model: "m"}, health.Closed)
	w.is(health.Target{Channel: 2, Credential: "k", Model: "m"}, health.Closed)
	w.pass(30*time.Second - 1)
	w.is(m, health.CoolingDown)
	w.pass(1)
	w.try(m, well)
	w.is(m, health.SlowStart)
}

func TestRetryAfterIsHonouredAndCapped(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		asked, want time.Duration
		roll        float64
	}{
		"as asked":               {3 * time.Second, 3 * time.Second, 0},
		"jitter never sooner":    {10 * time.Second, 10*time.Second + 500*time.Millisecond, 0.5},
		"capped":                 {24 * time.Hour, 10 * time.Minute, 0},
		"nothing said":           {0, 2 * time.Second, 0},
		"nonsense":               {-time.Hour, 2 * time.Second, 0},
		"nothing said, jittered": {0, 1800 * time.Millisecond, 0.5},
	} {
		w := newWard(t, health.Config{Roll: func() float64 { return row.roll }})
		w.try(m, health.Outcome{Class: health.RateLimited, RetryAfter: row.asked})
		if got := w.Look(w.now, m).Until.Sub(w.now); got != row.want {
			t.Errorf("%s: %s, want %s", name, got, row.want)
		}
	}
}

func TestAFailureThatSaysHowLongItLastsIsLeftAloneForAsLong(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{})
	w.try(m, health.Outcome{Class: health.Failed, RetryAfter: 30 * time.Second, Detail: "status 503"})
	if v := w.Look(w.now, m); v.State != health.CoolingDown || v.Until.Sub(w.now) != 30*time.Second || v.Reason != "it failed, retry after 30s: status 503" {
		t.Errorf("%+v", v)
	}
	w.is(health.Target{Channel: 1, Credential: "k", Model: "n"}, health.Closed)
	w.pass(30 * time.Second)
	w.try(m, health.Outcome{Class: health.Failed, Detail: "status 503"}) // the probe
	w.is(m, health.Open)
}

func TestOfSeveralRateLimitsTheLongestHolds(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{})
	var attempts []*health.Attempt
	for range 3 {
		a, _ := w.Begin(w.now, m, false)
		attempts = append(attempts, &a)
	}
	for i, after := range []time.Duration{5 * time.Second, 20 * time.Second, 10 * time.Second} {
		attempts[i].Done(w.now, health.Outcome{Class: health.RateLimited, RetryAfter: after})
	}
	if got := w.Look(w.now, m).Until.Sub(w.now); got != 20*time.Second {
		t.Errorf("cools down for %s", got)
	}
}

func TestARefusedKeyIsOutForAllItsModelsAndNoOtherKey(t *testing.T) {
	t.Parallel()
	for class, reason := range map[health.Class]string{
		health.Credential: "the upstream key was refused: status 401",
		health.Balance:    "the upstream key's balance is used up: status 401",
	} {
		w := newWard(t, health.Config{})
		w.try(m, well)
		w.try(m, health.Outcome{Class: class, Detail: "status 401"})
		n := health.Target{Channel: 1, Credential: "k", Model: "n"}
		for _, target := range []health.Target{m, n, {Channel: 1, Credential: "k"}} {
			if v := w.Look(w.now, target); v.State != health.Out || v.Share != 0 || v.Reason != reason {
				t.Errorf("%v: %+v", target, v)
			}
		}
		replaced := health.Target{Channel: 1, Credential: "k2", Model: "m"}
		w.is(replaced, health.Closed)

		// It is probed at growing intervals, and one answer is enough.
		w.pass(time.Minute)
		w.try(n, health.Outcome{Class: class})
		if got := w.Look(w.now, m).Until.Sub(w.now); got != 2*time.Minute {
			t.Errorf("out for %s after the second refusal", got)
		}
		w.pass(2 * time.Minute)
		if a, ok := w.Begin(w.now, n, true); !ok || w.Look(w.now, m).Probe {
			t.Error("two models may probe the same key")
		} else {
			a.Done(w.now, well)
		}
		w.is(m, health.SlowStart)
	}
}

func TestWhatTheOperatorRemovedIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{})
	other := health.Target{Channel: 1, Credential: "l", Model: "m"}
	gone := health.Target{Channel: 2, Credential: "", Model: "m"}
	for _, target := range []health.Target{m, other, gone} {
		w.breaks(target)
	}
	w.Retain(func(channel int64, credential string) bool { return channel == 1 && credential == "l" })
	w.is(m, health.Closed)
	w.is(other, health.Open)
	w.is(gone, health.Closed)
	if !w.Clear(2) || len(w.Channels(w.now)) != 1 {
		t.Errorf("%+v is left", w.Channels(w.now))
	}
	w.Forget(1)
	w.is(other, health.Closed)
	if !w.Clear(1) {
		t.Error("a forgotten channel is not clear")
	}
}

func TestWhatEndsLateSaysNothingAboutWhatCameAfter(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{Cooldown: 5 * time.Second})
	late := make([]health.Attempt, 8)
	for i := range late {
		late[i], _ = w.Begin(w.now, m, false)
	}
	w.breaks(m)
	late[0].Done(w.now, well) // an old stream ends: that does not heal
	w.is(m, health.Open)
	late[1].Done(w.now, failed)
	if got := w.Look(w.now, m).Until.Sub(w.now); got != 5*time.Second {
		t.Errorf("what failed before lengthened the cooldown to %s", got)
	}
	w.pass(5 * time.Second)
	w.try(m, well)
	late[2].Done(w.now, health.Outcome{Class: health.RateLimited})
	w.is(m, health.SlowStart)
	for i := range late[3:] { // time-outs of the bad days
		late[i+3].Done(w.now, failed)
	}
	w.is(m, health.SlowStart)
}

func TestALateRefusalSaysNothingAboutAKeyThatWorksAgain(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{})
	late, _ := w.Begin(w.now, m, false)
	w.try(m, health.Outcome{Class: health.Balance})
	w.pass(time.Minute)
	w.try(m, well)
	late.Done(w.now, health.Outcome{Class: health.Balance})
	w.is(m, health.SlowStart)
}

func TestAnAttemptThatWasMadeForLackOfBetterOnesHealsIfItIsAnswered(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{Cooldown: 5 * time.Second})
	w.breaks(m)
	until := w.Look(w.now, m).Until
	w.pass(time.Second)
	for _, o := range times(20, failed) {
		a, ok := w.Begin(w.now, m, false)
		if !ok {
			t.Fatal("an attempt without alternatives was refused")
		}
		a.Done(w.now, o)
	}
	if got := w.Look(w.now, m).Until; !got.Equal(until) {
		t.Errorf("attempts that were no probes moved the cooldown's end by %s", got.Sub(until))
	}
	a, _ := w.Begin(w.now, m, false)
	a.Done(w.now, well)
	w.is(m, health.SlowStart)
}

func TestAHintWeighsLessOrProbesSoonerAndNeverShuts(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{SuspectShare: 0.25, MaxCooldown: time.Minute})
	w.Hint(w.now, health.Hint{Target: m, Broken: true, Until: w.now.Add(24 * time.Hour), Reason: "status 503"})
	if v := w.Look(w.now, m); v.State != health.Suspected || v.Share != 0.25 || v.Until.Sub(w.now) != time.Minute || v.Reason != "another node says: status 503" {
		t.Errorf("%+v", v)
	}
	a, _ := w.Begin(w.now, m, false)
	w.Hint(w.now, health.Hint{Target: m, Broken: true, Until: w.now.Add(time.Minute), Reason: "status 500"})
	a.Done(w.now, well) // it began before that was said
	w.is(m, health.Suspected)
	w.try(m, well) // we know better
	w.is(m, health.Closed)

	w.Hint(w.now, health.Hint{Target: m, Broken: true, Until: w.now.Add(time.Second)})
	w.Hint(w.now, health.Hint{Target: m, Broken: true, Until: w.now.Add(10 * time.Second)}) // again
	w.pass(9 * time.Second)
	w.is(m, health.Suspected)
	w.pass(time.Second)
	w.is(m, health.Closed)
	w.Hint(w.now, health.Hint{Target: m, Broken: true, Until: w.now.Add(-time.Second)}) // old news
	w.is(m, health.Closed)
	w.Hint(w.now, health.Hint{Target: m, Broken: true, Until: w.now.Add(time.Second)})
	w.Hint(w.now, health.Hint{Target: m})
	w.is(m, health.Closed)

	w.breaks(m)
	w.Hint(w.now, health.Hint{Target: m, Broken: true, Until: w.now.Add(time.Hour)}) // no news
	w.is(m, health.Open)
	w.Hint(w.now, health.Hint{Target: m})
	if v := w.Look(w.now, m); v.State != health.HalfOpen || !v.Probe {
		t.Errorf("after another node was answered: %+v", v)
	}
	w.try(m, well)
	w.Hint(w.now, health.Hint{Target: m, Broken: true, Until: w.now.Add(time.Hour)}) // it already weighs less
	w.is(m, health.SlowStart)

	key := health.Target{Channel: 3, Credential: "k"}
	w.Hint(w.now, health.Hint{Target: key, Broken: true, Until: w.now.Add(time.Second)})
	w.is(health.Target{Channel: 3, Credential: "k", Model: "any"}, health.Suspected)
}

func TestTheAverageFollowsTheTimesToFirstByte(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{})
	if _, ok := w.FirstByte(w.now, m); ok {
		t.Error("a time is known before anything was tried")
	}
	measure := func(d time.Duration) { w.try(m, health.Outcome{Class: health.Success, FirstByte: d}) }
	got := func() time.Duration { d, _ := w.FirstByte(w.now, m); return d }
	measure(100 * time.Millisecond)
	w.pass(time.Hour)
	measure(300 * time.Millisecond) // however old the other is, one answer is half of it at most
	if got() != 200*time.Millisecond {
		t.Errorf("the average of 100 and 300 ms is %s", got())
	}
	for range 100 {
		w.pass(time.Second)
		measure(time.Second)
	}
	if d := got(); d < 990*time.Millisecond || d > time.Second {
		t.Errorf("after 100 answers in 1s the average is %s", d)
	}
	before := got()
	w.pass(time.Minute)
	if got() != before {
		t.Error("the average fades within a minute")
	}
	w.pass(time.Minute)
	if d := got() - before/2; d < -time.Microsecond || d > time.Microsecond {
		t.Errorf("the average faded from %s to %s", before, got())
	}
}

func TestMemoryFollowsWhatIsInUse(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{IdleAfter: time.Minute})
	model := func(i int) health.Target {
		return health.Target{Channel: 1, Credential: "k", Model: fmt.Sprintf("m%d", i)}
	}
	for i := range 5000 {
		w.try(model(i), well)
	}
	if n := len(w.Channel(w.now, 1).Targets); n != 4096+1 {
		t.Errorf("%d targets are kept at once", n)
	}
	w.try(model(4999), times(5, failed)...) // without history, but it works
	w.is(model(4999), health.Closed)
	w.breaks(model(0))
	w.pass(10 * time.Minute)
	for i := range 2000 {
		w.try(model(10_000+i%10), well)
		w.try(health.Target{Channel: 1, Credential: "k", Model: fmt.Sprintf("n%d", i)}, well)
	}
	if n := len(w.Channel(w.now, 1).Targets); n > 2500 {
		t.Errorf("%d targets are kept although most are idle", n)
	}
	w.is(model(0), health.Closed)
	for i := range 1000 { // clients' own mistakes leave no trace
		w.try(health.Target{Channel: 2, Model: fmt.Sprintf("x%d", i)}, health.Outcome{Class: health.ClientFault})
	}
	if n := len(w.Channel(w.now, 2).Targets); n != 0 {
		t.Errorf("%d targets are kept of requests that were refused", n)
	}
}

func TestAdministratorsSeeStatesWithTheirReasons(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{})
	w.try(m, well, failed, well)
	w.try(health.Target{Channel: 1, Credential: "k", Model: "n"}, times(5, failed)...)
	open, _ := w.Begin(w.now, m, false)
	idle := health.Verdict{Share: 1}
	want := []health.ChannelView{{ID: 1, InFlight: 1, Targets: []health.View{
		{Target: health.Target{Channel: 1, Credential: "k"}, Verdict: idle},
		{Target: m, Verdict: idle, Good: 2, Bad: 1, FirstByte: 100 * time.Millisecond},
		{
			Target: health.Target{Channel: 1, Credential: "k", Model: "n"}, Since: w.now,
			Verdict: health.Verdict{State: health.Open, Until: w.now.Add(5 * time.Second), Cause: health.ByFailures, Reason: "5 of 5 attempts failed within 30s, the last: status 503"},
		},
	}}}
	if diff := cmp.Diff(want, w.Channels(w.now)); diff != "" {
		t.Error(diff)
	}
	open.Done(w.now, well)
	open.Done(w.now, well)
	if n := w.InFlight(1); n != 0 {
		t.Errorf("an attempt that ends twice leaves %d under way", n)
	}
	if v := w.Channel(w.now, 99); v.ID != 99 || v.Targets != nil {
		t.Errorf("%+v", v)
	}
}

func TestManyMayUseATrackerAtOnce(t *testing.T) {
	t.Parallel()
	var told atomic.Int64
	tracker, err := health.New(health.Config{Roll: rand.Float64, OnTransition: func(health.Transition) { told.Add(1) }})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 3000 {
				now := start.Add(time.Duration(i) * 20 * time.Millisecond)
				target := health.Target{Channel: rand.Int64N(3), Credential: []string{"k", "l"}[rand.IntN(2)], Model: fmt.Sprint("m", rand.IntN(3))}
				switch rand.IntN(100) {
				case 0:
					tracker.Channels(now)
				case 1:
					tracker.Retain(func(_ int64, credential string) bool { return credential == "k" })
				case 2:
					tracker.Hint(now, health.Hint{Target: target, Broken: rand.IntN(2) == 0, Until: now.Add(time.Second)})
				case 3:
					tracker.Forget(target.Channel)
				}
				tracker.FirstByte(now, target)
				if a, ok := tracker.Begin(now, target, tracker.Look(now, target).Probe); ok {
					a.FirstByte(now.Add(time.Millisecond))
					a.Done(now.Add(2*time.Millisecond), health.Outcome{Class: health.Class(rand.IntN(7)), RetryAfter: time.Second})
				}
			}
		})
	}
	wg.Wait()
	for id := range int64(3) {
		if n := tracker.InFlight(id); n != 0 {
			t.Errorf("channel %d has %d attempts under way when all have ended", id, n)
		}
		tracker.Forget(id)
		if !tracker.Clear(id) {
			t.Errorf("something speaks against channel %d although it is forgotten", id)
		}
	}
	if told.Load() == 0 {
		t.Error("nobody heard of a transition")
	}
}

func TestAnAttemptOfNobodyReportsToNobody(t *testing.T) {
	t.Parallel()
	var a health.Attempt
	a.FirstByte(time.Now())
	a.Done(time.Now(), failed)
}

func TestStatesHaveNames(t *testing.T) {
	t.Parallel()
	var names []string
	for s := health.Closed; s <= health.Out+1; s++ {
		text, err := s.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, string(text))
	}
	if got := strings.Join(names, " "); got != "closed slow-start suspected half-open cooling-down open out state 7" {
		t.Error(got)
	}
}

func TestBadConfigurationIsRefusedByName(t *testing.T) {
	t.Parallel()
	for want, config := range map[string]health.Config{
		"MinVolume must be at least 2, so that one error opens no breaker, it is 1": {MinVolume: 1},
		"Consecutive must be at least 2":                                            {Consecutive: -1},
		"FailureRatio must be above 0 and at most 1, it is 1.5":                     {FailureRatio: 1.5},
		"FirstShare must be above 0":                                                {FirstShare: -0.1},
		"SuspectShare must be above 0":                                              {SuspectShare: 2},
		"MaxCooldown must be at least 1m0s, it is 1s":                               {Cooldown: time.Minute, MaxCooldown: time.Second},
		"Window must be at least 10ms, it is -1s":                                   {Window: -time.Second},
		"SlowStart must be at least 1ms":                                            {SlowStart: -1},
	} {
		if _, err := health.New(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := health.New(health.Config{Cooldown: time.Hour, KeyCooldown: 48 * time.Hour, RateLimitCooldown: time.Hour}); err != nil {
		t.Errorf("long cooldowns without caps of their own: %v", err)
	}
}

func TestAnAnsweredAttemptAllocatesNothing(t *testing.T) {
	w := newWard(t, health.Config{})
	w.try(m, well)
	if n := testing.AllocsPerRun(100, func() {
		w.Look(w.now, m)
		a, _ := w.Begin(w.now, m, false)
		w.pass(time.Millisecond)
		a.FirstByte(w.now)
		a.Done(w.now, well)
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func BenchmarkAttempt(b *testing.B) {
	tracker, err := health.New(health.Config{})
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		tracker.Look(now, m)
		a, _ := tracker.Begin(now, m, false)
		now = now.Add(time.Millisecond)
		a.FirstByte(now)
		a.Done(now, well)
	}
}

func BenchmarkAttemptsAtOneTargetFromAllCores(b *testing.B) {
	tracker, err := health.New(health.Config{})
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		now := start
		for pb.Next() {
			tracker.Look(now, m)
			a, _ := tracker.Begin(now, m, false)
			now = now.Add(time.Millisecond)
			a.FirstByte(now)
			a.Done(now, well)
		}
	})
}
