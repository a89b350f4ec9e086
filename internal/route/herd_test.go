package route_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"halley/internal/channel"
	"halley/internal/health"
	"halley/internal/route"
)

// traffic sends requests by plans to upstreams that come and go, in a bubble
// where minutes pass at once.
type traffic struct {
	table  *route.Table
	health *health.Tracker
	roll   func() float64
	begin  time.Time
	down   func(id int64, since time.Duration) bool

	mu       sync.Mutex
	running  map[int64]int   // attempts under way
	most     map[int64]int   // of them, while the channel was down and known to be
	seconds  map[int64][]int // attempts by the second in which they began
	failures []time.Duration // requests that no channel served
	served   int
}

const (
	failsAfter   = 50 * time.Millisecond
	answersAfter = 100 * time.Millisecond
)

func newTraffic(t *testing.T, channels []*channel.Channel, down func(int64, time.Duration) bool) *traffic {
	t.Helper()
	rng := rand.New(rand.NewPCG(4, 16))
	tr := &traffic{
		table: route.New(route.Config{Channels: channels}), begin: time.Now(), down: down,
		running: map[int64]int{}, most: map[int64]int{}, seconds: map[int64][]int{},
	}
	var mu sync.Mutex
	tr.roll = func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return rng.Float64()
	}
	tracker, err := health.New(health.Config{Roll: tr.roll})
	if err != nil {
		t.Fatal(err)
	}
	tr.health = tracker
	return tr
}

// run sends requests at a steady rate and waits for the last.
func (tr *traffic) run(length, every time.Duration) {
	var wg sync.WaitGroup
	for time.Since(tr.begin) < length {
		wg.Go(tr.request)
		time.Sleep(every)
	}
	wg.Wait()
}

func (tr *traffic) request() {
	p := tr.table.Plan(route.Request{Model: "m", Groups: []string{"g"}, Health: tr.health, Roll: tr.roll})
	for attempts := 0; attempts < 4; {
		s, ok := p.Next(time.Now())
		if !ok {
			break
		}
		a, ok := p.Begin(time.Now(), &s)
		if !ok {
			continue
		}
		attempts++
		if tr.attempt(s.Channel.ID, &a) {
			return
		}
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.failures = append(tr.failures, time.Since(tr.begin))
}

func (tr *traffic) attempt(id int64, a *health.Attempt) bool {
	tr.mu.Lock()
	second := int(time.Since(tr.begin) / time.Second)
	for len(tr.seconds[id]) <= second {
		tr.seconds[id] = append(tr.seconds[id], 0)
	}
	tr.seconds[id][second]++
	tr.running[id]++
	if !tr.health.Clear(id) && tr.down(id, time.Since(tr.begin)) {
		tr.most[id] = max(tr.most[id], tr.running[id])
	}
	tr.mu.Unlock()

	fails := tr.down(id, time.Since(tr.begin))
	if fails {
		time.Sleep(failsAfter)
		a.Done(time.Now(), failure)
	} else {
		time.Sleep(answersAfter)
		a.FirstByte(time.Now())
		a.Done(time.Now(), health.Outcome{Class: health.Success})
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.running[id]--
	if !fails {
		tr.served++
	}
	return !fails
}

// attempts are those at a channel between two instants, in whole seconds.
func (tr *traffic) attempts(id int64, from, to int) int {
	n := 0
	for _, count := range tr.seconds[id][from:min(to, len(tr.seconds[id]))] {
		n += count
	}
	return n
}

// A channel that everybody prefers is away for 40 s. Clients do not notice; it
// is asked by single probes meanwhile, and by a growing share when it is back.
func TestARecoveringChannelIsNotOverrun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const from, to = 20, 60 // seconds
		tr := newTraffic(t, []*channel.Channel{ch(1, 10, 1, "m"), ch(2, 0, 1, "m"), ch(3, 0, 1, "m")}, func(id int64, since time.Duration) bool {
			return id == 1 && since >= from*time.Second && since < to*time.Second
		})
		tr.run(150*time.Second, 5*time.Millisecond)
		if len(tr.failures) > 0 {
			t.Errorf("%d requests failed, the first after %s", len(tr.failures), tr.failures[0])
		}
		if n := tr.attempts(1, 0, from); n < 190*from {
			t.Errorf("while it was well it got %d of %d requests", n, 200*from)
		}
		// Those that had begun before the breaker opened, and then a probe after
		// each of the growing cooldowns.
		if n := tr.attempts(1, from, to); n > 40 {
			t.Errorf("while it was away it was asked %d times", n)
		}
		if n := tr.attempts(1, from+1, to); n < 2 || n > 6 {
			t.Errorf("after its breaker had opened it was probed %d times", n)
		}
		if tr.most[1] > 1 {
			t.Errorf("%d probes at a time", tr.most[1])
		}
		back := to
		for tr.seconds[1][back] < 5 {
			back++
		}
		if back > to+40 {
			t.Errorf("it was back after %d s only", back-to)
		}
		t.Logf("requests per second after it was back at %d s: %v", back, tr.seconds[1][back:back+35])
		if n := tr.seconds[1][back]; n > 60 {
			t.Errorf("in its first second it got %d of 200 requests", n)
		}
		for second := back; second < back+30; second++ {
			if now, next := tr.seconds[1][second], tr.seconds[1][second+1]; next > now+50 {
				t.Errorf("its requests per second went from %d to %d", now, next)
			}
		}
		if n := tr.attempts(1, back+32, back+34); n < 380 {
			t.Errorf("it did not get its full share again: %d of 400", n)
		}
	})
}

// A third of the channels comes and goes, each in its own rhythm. As long as
// others are well no client sees an error.
func TestFlappingChannelsCostNoRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var channels []*channel.Channel
		for id := range int64(9) {
			channels = append(channels, ch(id, 0, 1+id/3, "m"))
		}
		flaps := func(id int64, since time.Duration) bool {
			return id%3 == 0 && since%(time.Duration(7+id)*time.Second) > 3*time.Second
		}
		tr := newTraffic(t, channels, flaps)
		tr.run(120*time.Second, 5*time.Millisecond)
		if len(tr.failures) > 0 {
			t.Errorf("%d requests failed, the first after %s", len(tr.failures), tr.failures[0])
		}
		if tr.served < 23_000 {
			t.Errorf("%d requests were served", tr.served)
		}
		for id := range int64(9) {
			t.Logf("channel %d: %d attempts", id, tr.attempts(id, 0, 120))
		}
	})
}

// All channels but one are away for good: it serves, at the price of the probes.
func TestOneHealthyChannelIsEnough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var channels []*channel.Channel
		for id := range int64(40) {
			channels = append(channels, ch(id, 0, 1, "m"))
		}
		tr := newTraffic(t, channels, func(id int64, _ time.Duration) bool { return id != 17 })
		tr.run(60*time.Second, 10*time.Millisecond)
		// Before the breakers have opened four attempts may all miss it.
		for _, at := range tr.failures {
			if at > 2*time.Second {
				t.Fatalf("a request failed after %s", at)
			}
		}
		if n := tr.attempts(17, 10, 60); n < 4900 {
			t.Errorf("the healthy one got %d of 5000 requests", n)
		}
	})
}
