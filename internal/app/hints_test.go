package app

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"halley/internal/health"
	"halley/internal/store"
)

// pair is two servers, of which each hears what the other says.
type pair struct {
	now      time.Time
	trackers [2]*health.Tracker
	hints    [2]*hints
	notices  []string
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{now: time.Now()}
	for i := range p.hints {
		var err error
		p.trackers[i], err = health.New(health.Config{OnTransition: func(tr health.Transition) { p.hints[i].note(tr) }})
		if err != nil {
			t.Fatal(err)
		}
		p.hints[i] = &hints{
			node: int64(i + 1), tracker: p.trackers[i], log: slog.New(slog.DiscardHandler), now: func() time.Time { return p.now },
			known:   func(channel int64, _ string) bool { return channel < 1000 },
			waiting: map[health.Target]health.Transition{},
			notify: func(_ context.Context, payload string) error {
				p.notices = append(p.notices, payload)
				for _, h := range p.hints {
					h.hear(payload)
				}
				return nil
			},
		}
	}
	return p
}

func (p *pair) attempt(i int, target health.Target, class health.Class, probe bool) {
	a, ok := p.trackers[i].Begin(p.now, target, probe)
	if ok {
		a.Done(p.now, health.Outcome{Class: class, Detail: "status 503"})
	}
}

func TestWhatBreaksOnOneServerIsDoubtedOnTheOtherAndForgivenWithIt(t *testing.T) {
	t.Parallel()
	p, target := newPair(t), health.Target{Channel: 1, Credential: "k", Model: "m"}
	for range 5 {
		p.attempt(0, target, health.Failed, false)
	}
	if v := p.trackers[1].Look(p.now, target); v.State != health.Closed {
		t.Fatalf("before anything is told: %v", v.State)
	}
	p.hints[0].tell()
	if v := p.trackers[1].Look(p.now, target); v.State != health.Suspected || v.Share <= 0 || !strings.Contains(v.Reason, "status 503") {
		t.Errorf("doubted, and not shut: %+v", v)
	}
	p.hints[1].tell() // what it heard is not told on
	if len(p.notices) != 1 {
		t.Errorf("%d notices", len(p.notices))
	}
	p.now = p.now.Add(6 * time.Second)
	p.attempt(0, target, health.Success, true)
	p.hints[0].tell()
	if v := p.trackers[1].Look(p.now, target); v.State != health.Closed {
		t.Errorf("when it answers again: %+v", v)
	}
}

func TestAHintRunsOut(t *testing.T) {
	t.Parallel()
	p, target := newPair(t), health.Target{Channel: 1, Model: "m"}
	for range 5 {
		p.attempt(0, target, health.Failed, false)
	}
	p.hints[0].tell()
	p.now = p.now.Add(3 * time.Minute)
	if v := p.trackers[1].Look(p.now, target); v.State != health.Closed {
		t.Errorf("long after: %+v", v)
	}
}

func TestFlappingMakesNoStorm(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for range 100 {
		for channel := range int64(2000) {
			p.hints[0].note(health.Transition{Target: health.Target{Channel: channel, Model: strings.Repeat("m", 200)}, From: health.Closed, To: health.Open, Until: p.now.Add(time.Minute), Reason: strings.Repeat("r", 500)})
		}
	}
	if n := len(p.hints[0].waiting); n > hintQueue {
		t.Errorf("%d wait", n)
	}
	p.hints[0].tell()
	if len(p.notices) != 1 || len(p.notices[0]) > store.MaxNotice {
		t.Errorf("%d notices, the first of %d bytes", len(p.notices), len(p.notices[0]))
	}
}

func TestNonsenseAndUnknownChannelsAreNotHeard(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for _, payload := range []string{"", "{", `{"n":9,"h":null}`, `{"n":9,"h":[{"c":5000,"f":1000}]}`, fmt.Sprintf(`{"n":2,"h":[{"c":%d,"f":1000}]}`, 1)} {
		p.hints[1].hear(payload)
	}
	if v := p.trackers[1].Channels(p.now); len(v) != 0 {
		t.Errorf("%+v", v)
	}
}
