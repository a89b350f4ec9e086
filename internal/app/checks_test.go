package app

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"halley/internal/channel"
	"halley/internal/gateway"
)

// watched counts checks by channel.
type watched struct {
	mu    sync.Mutex
	count map[int64]int
	ok    bool
	hang  bool
}

func (w *watched) check(ctx context.Context, ch *channel.Channel) gateway.CheckResult {
	w.mu.Lock()
	w.count[ch.ID]++
	ok, hang := w.ok, w.hang
	w.mu.Unlock()
	if hang {
		<-ctx.Done()
	}
	return gateway.CheckResult{At: time.Now(), OK: ok}
}

func (w *watched) taken() map[int64]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	count := w.count
	w.count = map[int64]int{}
	return count
}

func TestChannelsAreCheckedAsOftenAsTheyWant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &watched{count: map[int64]int{}, ok: true}
		var mu sync.Mutex
		servers, list := 1, []*channel.Channel{
			{ID: 1, Status: channel.Enabled, Checks: channel.Checks{Mode: channel.CheckModels, Every: 10 * time.Second}},
			{ID: 2, Status: channel.Enabled},
			{ID: 3, Status: channel.Disabled, Checks: channel.Checks{Mode: channel.CheckModels, Every: 10 * time.Second}},
			{ID: 4, Status: channel.Enabled, Checks: channel.Checks{Mode: channel.CheckRequest, Model: "m"}},
		}
		c := newChecks(&checks{
			channels: func() []*channel.Channel { mu.Lock(); defer mu.Unlock(); return list },
			servers:  func() int { mu.Lock(); defer mu.Unlock(); return servers },
			check:    w.check, roll: func() float64 { return 0.5 }, now: time.Now, log: slog.New(slog.DiscardHandler), told: func(gateway.CheckResult) {},
		})
		c.start()
		time.Sleep(10*time.Minute + 500*time.Millisecond)
		got := w.taken()
		if got[1] < 54 || got[1] > 61 || got[4] < 9 || got[4] > 10 || got[2] != 0 || got[3] != 0 {
			t.Errorf("in ten minutes: %v", got)
		}
		if r, ok := c.Last(1); !ok || !r.OK {
			t.Errorf("the last of it: %+v, %v", r, ok)
		}
		mu.Lock()
		servers = 3
		mu.Unlock()
		time.Sleep(10 * time.Minute)
		if got := w.taken(); got[1] < 17 || got[1] > 21 {
			t.Errorf("as one of three: %v", got)
		}
		mu.Lock()
		list = nil
		mu.Unlock()
		time.Sleep(time.Minute)
		if _, ok := c.Last(1); ok {
			t.Error("what is gone is remembered")
		}
		c.stop()
	})
}

func TestACheckThatHangsIsNotBegunAgainAndEndsWithTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &watched{count: map[int64]int{}, hang: true}
		list := []*channel.Channel{{ID: 1, Status: channel.Enabled, Checks: channel.Checks{Mode: channel.CheckModels, Every: 5 * time.Second}}}
		c := newChecks(&checks{
			channels: func() []*channel.Channel { return list }, servers: func() int { return 1 },
			check: w.check, roll: func() float64 { return 0 }, now: time.Now, log: slog.New(slog.DiscardHandler), told: func(gateway.CheckResult) {},
		})
		c.start()
		time.Sleep(50 * time.Second)
		if got := w.taken(); got[1] != 1 {
			t.Errorf("%v checks of one that hangs", got)
		}
		c.stop() // and waits for it
	})
}
