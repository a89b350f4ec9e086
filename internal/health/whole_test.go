package health_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/health"
)

// whole is the upstream key of m as a whole.
var whole = health.Target{Channel: 1, Credential: "k"}

func TestAnUpstreamThatListsNoModelsTwiceIsNotExpectedToServeAny(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{Cooldown: 5 * time.Second})
	w.try(whole, failed)
	w.is(m, health.Closed) // one error opens nothing
	w.try(m, well)
	w.try(whole, failed)
	w.is(m, health.Closed) // it answered in between
	w.try(whole, failed)
	w.is(m, health.Open)
	w.is(health.Target{Channel: 1, Credential: "other", Model: "m"}, health.Closed)
	w.pass(time.Second)
	w.try(whole, failed) // no probe, so it proves nothing new
	if got := w.Look(w.now, m).Until.Sub(w.now); got != 4*time.Second {
		t.Errorf("cools down for %s more", got)
	}
	w.pass(4 * time.Second)
	w.try(whole, failed)
	if got := w.Look(w.now, m).Until.Sub(w.now); got != 10*time.Second {
		t.Errorf("after a probe that failed it cools down for %s", got)
	}
	w.pass(10 * time.Second)
	w.try(whole, well)
	w.is(m, health.SlowStart)
}

func TestAListOfModelsHasABrokenModelProbedAtOnceButNotAgain(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{Cooldown: 30 * time.Second})
	w.breaks(m)
	w.try(whole, well)
	w.is(m, health.HalfOpen)
	w.try(m, failed)
	w.try(whole, well) // the list proves nothing of the model
	if v := w.Look(w.now, m); v.State != health.Open || v.Until.Sub(w.now) != time.Minute {
		t.Errorf("after the probe has failed: %+v", v)
	}
	limited := health.Target{Channel: 1, Credential: "k", Model: "limited"}
	w.try(limited, health.Outcome{Class: health.RateLimited, RetryAfter: time.Minute})
	w.try(whole, well)
	w.is(limited, health.CoolingDown) // what was asked for is kept to
}

func TestAnotherNodesAnswerDoesNotShortenWhatTheUpstreamAskedFor(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{})
	w.try(m, health.Outcome{Class: health.RateLimited, RetryAfter: time.Minute})
	w.Hint(w.now, health.Hint{Target: m})
	w.is(m, health.CoolingDown)
}

func TestOtherNodesHearWhatShutsAndWhatAnswersAgain(t *testing.T) {
	t.Parallel()
	var told []string
	tracker, err := health.New(health.Config{OnTransition: func(tr health.Transition) {
		if tr.ForOthers() {
			told = append(told, tr.To.String()+" by "+tr.Cause.String())
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	w := &ward{t: t, Tracker: tracker, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	w.Hint(w.now, health.Hint{Target: m, Broken: true, Until: w.now.Add(time.Minute)})
	w.Hint(w.now, health.Hint{Target: m}) // hearsay is not told on
	w.Hint(w.now, health.Hint{Target: m, Broken: true, Until: w.now.Add(time.Minute)})
	w.breaks(m) // but what was found out is
	w.pass(time.Minute)
	w.try(m, well)
	w.pass(time.Minute)
	w.try(m, well, health.Outcome{Class: health.RateLimited})
	w.try(health.Target{Channel: 2, Model: "m"}, health.Outcome{Class: health.Credential})
	w.try(health.Target{Channel: 3, Model: "m"}, health.Outcome{Class: health.Balance})
	want := []string{"open by failures", "slow-start by answer", "cooling-down by rate-limit", "out by credential", "out by balance"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}

func TestAChannelIsAsBadAsItsWorstTarget(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{})
	if got := w.Worst(w.now, 1); got != health.Closed {
		t.Errorf("what was never used is %s", got)
	}
	w.try(m, well)
	w.try(health.Target{Channel: 1, Credential: "k", Model: "n"}, times(5, failed)...)
	if got := w.Worst(w.now, 1); got != health.Open {
		t.Errorf("with a broken model it is %s", got)
	}
	w.try(health.Target{Channel: 1, Credential: "other", Model: "m"}, health.Outcome{Class: health.Credential})
	if got := w.Worst(w.now, 1); got != health.Out {
		t.Errorf("with a refused upstream key it is %s", got)
	}
}

func TestAnAttemptThatWasOvertakenSaysNothing(t *testing.T) {
	t.Parallel()
	w := newWard(t, health.Config{})
	w.try(m, times(20, health.Outcome{Class: health.Overtaken})...)
	w.is(m, health.Closed)
	if v := w.Channel(w.now, 1); v.InFlight != 0 || len(v.Targets) != 0 {
		t.Errorf("%+v", v)
	}
}
