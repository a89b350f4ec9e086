package failover_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"halley/test/harness"
)

const (
	// flappingChannels is how many channels there are, of which a third flaps.
	flappingChannels = 9
	// flappingClients is how many requests are under way at once.
	flappingClients = 48
	// flappingFor is how long the load lasts, flappingPeriod how long a channel is
	// down and then up.
	flappingFor    = 10 * time.Second
	flappingPeriod = 1500 * time.Millisecond
)

// crowd counts the requests that are at an upstream at once.
type crowd struct {
	now, peak atomic.Int64
}

func (c *crowd) enter() {
	now := c.now.Add(1)
	for {
		peak := c.peak.Load()
		if now <= peak || c.peak.CompareAndSwap(peak, now) {
			return
		}
	}
}

// TestAThirdOfTheChannelsFlapsAndNobodyNotices puts load on nine channels, of
// which three fail by turns, each time in another way.
func TestAThirdOfTheChannelsFlapsAndNobodyNotices(t *testing.T) {
	server := harness.Start(t, harness.Options{Env: []string{"HALLEY_ALLOW_PRIVATE_UPSTREAMS=true"}})
	h := &house{t: t, server: server, client: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: flappingClients}}}
	h.key = server.Root.CreateKey(t, harness.Fields{"name": "flapping", "remain_quota": 1_000_000_000})
	h.model("flapping")
	var upstreams []*upstream
	for i := range flappingChannels {
		u := newUpstream(t)
		upstreams = append(upstreams, u)
		var f *fault
		if i < flappingChannels/3 {
			f = &fault{waits: true}
		}
		h.channel("flapping", u.url(), 0, f)
	}
	ctx, stop := context.WithTimeout(t.Context(), flappingFor)
	defer stop()
	var running sync.WaitGroup
	turns := flap(ctx, t, &running, upstreams[:flappingChannels/3])
	var served atomic.Int64
	for lane := range flappingClients {
		running.Go(func() {
			for ctx.Err() == nil {
				got, err := h.ask(t.Context(), "flapping", lane%2 == 0)
				if err != nil || !got.whole {
					t.Errorf("a client noticed: %d %.300s, %v", got.status, got.body, err)
					return
				}
				served.Add(1)
			}
		})
	}
	running.Wait()
	answers := served.Load()
	h.paid("flapping", int(answers), int(answers), false)
	if key := server.Root.GetKey(t, h.key.ID); key.HeldQuota != 0 || key.UsedQuota != answers*cost {
		t.Errorf("%d units are charged for %d answers of %d, and %d are held when all is over", key.UsedQuota, answers, cost, key.HeldQuota)
	}
	server.Root.CheckBooks(t)
	wrong, well := int64(0), int64(0)
	for i, u := range upstreams {
		wrong += u.asked.Load()
		if peak := u.crowd.peak.Load(); i >= flappingChannels/3 {
			well = max(well, peak)
		}
	}
	for i, u := range upstreams[:flappingChannels/3] {
		// A rush would be everybody at once; what is recovering gets no more than
		// what is well.
		if back := u.back.peak.Load(); back > max(well, flappingClients/2) {
			t.Errorf("channel %d met %d requests at once when it came back; the well ones had %d at the most", i, back, well)
		}
	}
	t.Logf("%d requests served, %d turns; the flapping channels were asked %d times while they were down; at most %d requests at once at a well channel", served.Load(), turns.Load(), wrong, well)
	if turns.Load() < 6 || served.Load() < 500 {
		t.Errorf("%d turns and %d requests are no test", turns.Load(), served.Load())
	}
}

// flap breaks and heals the upstreams by turns until ctx ends, and heals them at
// last.
func flap(ctx context.Context, t *testing.T, running *sync.WaitGroup, upstreams []*upstream) *atomic.Int64 {
	var kinds []*fault
	for _, f := range faults() {
		// What strikes in mid-stream is told, which is another test's; what is huge
		// would be so some fifty times at once.
		if f.base == nil && !f.midStream && !f.huge {
			kinds = append(kinds, f)
		}
	}
	var turns atomic.Int64
	for i, u := range upstreams {
		running.Go(func() {
			for turn := i; ; turn += len(upstreams) {
				if !pause(ctx, flappingPeriod*time.Duration(i+2)/3) {
					return
				}
				turns.Add(1)
				u.breaks(kinds[(turn*5)%len(kinds)])
				pause(ctx, flappingPeriod)
				if err := u.heals(); err != nil {
					t.Errorf("heal: %v", err)
					return
				}
			}
		})
	}
	return &turns
}

// pause waits, and reports whether ctx still runs.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
