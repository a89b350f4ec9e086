package health_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"halley/internal/health"
)

// Whatever the configuration and however many answers stand around it: one
// error opens nothing.
func TestOneErrorNeverOpensABreaker(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		tracker, err := health.New(health.Config{
			MinVolume:    rapid.IntRange(2, 10).Draw(rt, "volume"),
			FailureRatio: rapid.Float64Range(0.001, 1).Draw(rt, "ratio"),
			Consecutive:  rapid.IntRange(2, 10).Draw(rt, "consecutive"),
		})
		if err != nil {
			rt.Fatal(err)
		}
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		attempts := rapid.IntRange(1, 30).Draw(rt, "attempts")
		bad := rapid.IntRange(0, attempts-1).Draw(rt, "bad")
		for i := range attempts {
			now = now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(rt, "ms")) * time.Millisecond)
			a, _ := tracker.Begin(now, m, false)
			if i == bad {
				a.Done(now, failed)
			} else {
				a.Done(now, rapid.SampledFrom([]health.Outcome{well, {Class: health.ClientFault}, {Class: health.ClientGone}}).Draw(rt, "outcome"))
			}
			if !tracker.Clear(1) {
				rt.Fatalf("after %d attempts: %+v", i+1, tracker.Look(now, m))
			}
		}
	})
}

// running is an attempt that the test has under way.
type running struct {
	health.Attempt
	target health.Target
	probe  bool
	began  time.Time
}

// laws does anything to a tracker, and checks after each step what must hold.
type laws struct {
	tracker *health.Tracker
	targets []health.Target
	now     time.Time
	running []*running
}

const probeTerm = 2 * time.Minute

func (l *laws) target(rt *rapid.T) health.Target {
	return rapid.SampledFrom(l.targets).Draw(rt, "target")
}

func (l *laws) begin(rt *rapid.T) {
	target := l.target(rt)
	before := l.tracker.Look(l.now, target)
	probe := before.Probe || rapid.Bool().Draw(rt, "wants to probe")
	a, ok := l.tracker.Begin(l.now, target, probe)
	if ok != (!probe || before.Share > 0) {
		rt.Fatalf("Begin(probe %v) = %v at %+v", probe, ok, before)
	}
	if !ok {
		return
	}
	if before.Probe {
		for _, r := range l.running {
			if r.probe && r.target == target && l.now.Sub(r.began) < probeTerm {
				rt.Fatalf("two probes at a time at %v", target)
			}
		}
	}
	l.running = append(l.running, &running{a, target, before.Probe, l.now})
}

// heard knows which probes have become attempts like others, because their
// gate has opened or shut meanwhile.
func (l *laws) heard(tr health.Transition) {
	if tr.To != health.HalfOpen {
		l.noProbes(func(t health.Target) bool {
			return t.Channel == tr.Target.Channel && t.Credential == tr.Target.Credential && (tr.Target.Model == "" || t.Model == tr.Target.Model)
		})
	}
}

func (l *laws) noProbes(of func(health.Target) bool) {
	for _, r := range l.running {
		if of(r.target) {
			r.probe = false
		}
	}
}

func (l *laws) end(rt *rapid.T) {
	if len(l.running) == 0 {
		rt.Skip("nothing is under way")
	}
	i := rapid.IntRange(0, len(l.running)-1).Draw(rt, "which")
	r := l.running[i]
	o := health.Outcome{Class: rapid.SampledFrom([]health.Class{
		health.Success, health.Failed, health.Failed, health.RateLimited, health.Credential, health.Balance, health.ClientFault, health.ClientGone,
	}).Draw(rt, "class")}
	if rapid.Bool().Draw(rt, "says how long") {
		o.RetryAfter = time.Duration(rapid.Int64Range(-10, 1e5).Draw(rt, "seconds")) * time.Second
	}
	if rapid.Bool().Draw(rt, "began to answer") {
		r.FirstByte(l.now)
	}
	r.Done(l.now, o)
	l.running = slices.Delete(l.running, i, i+1)
}

func (l *laws) pass(rt *rapid.T) {
	l.now = l.now.Add(time.Duration(rapid.SampledFrom([]int{1, 10, 100, 1000, 5000, 30_000, 600_000}).Draw(rt, "ms")) * time.Millisecond)
}

func (l *laws) hint(rt *rapid.T) {
	h := health.Hint{Target: l.target(rt), Broken: rapid.Bool().Draw(rt, "broken"), Until: l.now.Add(time.Duration(rapid.IntRange(-1, 100).Draw(rt, "seconds")) * time.Second)}
	if rapid.Bool().Draw(rt, "whole key") {
		h.Target.Model = ""
	}
	before := l.tracker.Look(l.now, h.Target)
	l.tracker.Hint(l.now, h)
	if after := l.tracker.Look(l.now, h.Target); before.Share > 0 && after.Share == 0 {
		rt.Fatalf("a hint has shut what was %+v", before)
	}
}

func (l *laws) forget(rt *rapid.T) {
	drop := l.target(rt)
	l.tracker.Retain(func(channel int64, credential string) bool {
		return channel != drop.Channel || credential != drop.Credential
	})
	l.noProbes(func(t health.Target) bool { return t.Channel == drop.Channel && t.Credential == drop.Credential })
}

func (l *laws) check(rt *rapid.T) {
	under := map[int64]int64{}
	for _, r := range l.running {
		under[r.target.Channel]++
	}
	for _, target := range l.targets {
		v := l.tracker.Look(l.now, target)
		switch {
		case v.Share < 0 || v.Share > 1,
			v.Probe != (v.State == health.HalfOpen && v.Share > 0),
			v.State > health.HalfOpen && v.Share != 0,
			v.State < health.HalfOpen && v.Share == 0,
			(v.State == health.Closed) != v.Until.IsZero(),
			l.tracker.Clear(target.Channel) && v.State != health.Closed:
			rt.Fatalf("%v: %+v, clear %v", target, v, l.tracker.Clear(target.Channel))
		}
		if got := l.tracker.InFlight(target.Channel); got != under[target.Channel] {
			rt.Fatalf("channel %d: %d in flight, want %d", target.Channel, got, under[target.Channel])
		}
	}
}

func TestTheLawsOfHealthHoldWhateverHappens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		l := &laws{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		tracker, err := health.New(health.Config{MinVolume: 2, Consecutive: 3, ProbeTerm: probeTerm, OnTransition: l.heard})
		if err != nil {
			rt.Fatal(err)
		}
		l.tracker = tracker
		for i := range int64(8) {
			l.targets = append(l.targets, health.Target{Channel: i & 1, Credential: []string{"", "k"}[i>>1&1], Model: []string{"m", "n"}[i>>2]})
		}
		rt.Repeat(map[string]func(*rapid.T){
			"begin": l.begin, "begin more": l.begin, "end": l.end, "end more": l.end, "pass": l.pass, "hint": l.hint, "forget": l.forget,
			"": l.check,
		})
		l.recovers(rt)
	})
}

// recovers: whatever happened before, when the answers are good again every
// target is well after its longest cooldown and its slow start.
func (l *laws) recovers(rt *rapid.T) {
	for _, r := range l.running {
		r.Done(l.now, health.Outcome{Class: health.ClientGone})
	}
	l.running = nil
	for range 2 {
		l.now = l.now.Add(2 * time.Hour)
		for _, target := range l.targets {
			v := l.tracker.Look(l.now, target)
			if v.Share == 0 {
				rt.Fatalf("%v lets nothing through after its cooldown: %+v", target, v)
			}
			a, ok := l.tracker.Begin(l.now, target, v.Probe)
			if !ok {
				rt.Fatalf("%v may not be probed: %+v", target, v)
			}
			a.Done(l.now, well)
		}
	}
	for _, target := range l.targets {
		if v := l.tracker.Look(l.now, target); v.State != health.Closed || !l.tracker.Clear(target.Channel) {
			rt.Fatalf("%v has not recovered: %+v", target, v)
		}
	}
}
