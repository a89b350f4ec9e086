package gateway_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"halley/internal/budget"
	"halley/internal/channel"
	"halley/internal/gateway"
	"halley/internal/health"
	"halley/internal/money"
)

// lone is an upstream without a network, for tests in which time is not real.
type lone struct {
	mu    sync.Mutex
	asked []time.Duration // since the first
	began time.Time
	does  func(n int, r *http.Request) (*http.Response, error) // the nth request, from 1
}

func (l *lone) RoundTrip(r *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, r.Body)
	l.mu.Lock()
	if l.began.IsZero() {
		l.began = time.Now()
	}
	l.asked = append(l.asked, time.Since(l.began))
	n := len(l.asked)
	l.mu.Unlock()
	return l.does(n, r)
}

// reply makes an answer; header are names and values.
func reply(status int, body string, header ...string) (*http.Response, error) {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func fails(int, *http.Request) (*http.Response, error) { return reply(503, overloaded) }

func swallows(_ int, r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, context.Cause(r.Context())
}

// failsOnce fails the first time and serves from then on.
func failsOnce(header ...string) func(int, *http.Request) (*http.Response, error) {
	return func(n int, _ *http.Request) (*http.Response, error) {
		if n == 1 {
			return reply(429, overloaded, header...)
		}
		return reply(200, plainAnswer)
	}
}

func newLoneHouse(t *testing.T, does func(int, *http.Request) (*http.Response, error), changes ...func(*house)) (*house, *lone) {
	t.Helper()
	up := &lone{does: does}
	return newHouse(t, nil, append([]func(*house){tracked(t), func(h *house) { h.transport, h.pause = up, 0 }}, changes...)...), up
}

// gaps are the pauses between requests.
func (l *lone) gaps() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	var gaps []time.Duration
	for i := 1; i < len(l.asked); i++ {
		gaps = append(gaps, l.asked[i]-l.asked[i-1])
	}
	return gaps
}

func TestTheOnlyChannelIsTriedOnceMoreAfterAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, up := newLoneHouse(t, failsOnce())
		var c client
		served := make(chan struct{})
		go func() { defer close(served); h.do(t.Context(), `{"model":"m"}`, &c) }()
		synctest.Wait() // it pauses
		if b := h.balance(budget.Key, h.key.ID); b.Held == 0 {
			t.Error("nothing is held while it pauses")
		}
		<-served
		if r := h.settled(); c.status != 200 || c.body.String() != plainAnswer || r.Attempts != 2 || r.Cost != 200_000 || r.ErrorCode != "" {
			t.Errorf("client got %d %s, record %+v", c.status, c.body.String(), r)
		}
		if gaps := up.gaps(); len(gaps) != 1 || gaps[0] < 125*time.Millisecond || gaps[0] > 250*time.Millisecond {
			t.Errorf("it paused %v", gaps)
		}
	})
}

func TestWhoPausesHasNoSeatAtTheChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, up := newLoneHouse(t, failsOnce("Retry-After", "2"), func(h *house) { h.channel.Caps = channel.Caps{Concurrency: 1} })
		var paused, other client
		served := make(chan struct{})
		began := time.Now()
		go func() { defer close(served); h.do(t.Context(), `{"model":"m"}`, &paused) }()
		synctest.Wait()
		if h.do(t.Context(), `{"model":"m"}`, &other); other.status != 200 || time.Since(began) != 0 {
			t.Errorf("meanwhile another client got %d after %s", other.status, time.Since(began))
		}
		if <-served; paused.status != 200 || len(up.asked) != 3 {
			t.Errorf("after its pause the client got %d", paused.status)
		}
	})
}

func TestPausesGrowUntilTheAttemptsAreUsedUp(t *testing.T) {
	t.Parallel()
	for roll, want := range map[float64][]time.Duration{0: {125, 250, 500}, 0.5: {187, 375, 750}} {
		synctest.Test(t, func(t *testing.T) {
			h, up := newLoneHouse(t, fails, func(h *house) { h.roll = func() float64 { return roll } })
			var c client
			h.do(t.Context(), `{"model":"m"}`, &c)
			if r := h.settled(); c.status != 503 || c.body.String() != overloaded || r.Attempts != 4 || r.Cost != 0 {
				t.Errorf("client got %d %s, record %+v", c.status, c.body.String(), r)
			}
			gaps := up.gaps()
			for i := range gaps {
				gaps[i] /= time.Millisecond
			}
			if !slices.Equal(gaps, want) {
				t.Errorf("rolling %g it paused %v ms, want %v", roll, gaps, want)
			}
		})
	}
}

func TestAShortRetryAfterIsWaitedForAndALongOneTold(t *testing.T) {
	t.Parallel()
	for asked, row := range map[string]struct {
		status, attempts int
		least, most      time.Duration
	}{
		"2":  {200, 2, 2 * time.Second, 2125 * time.Millisecond},
		"5":  {200, 2, 5 * time.Second, 5125 * time.Millisecond},
		"6":  {429, 1, 0, 0},
		"60": {429, 1, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			h, _ := newLoneHouse(t, failsOnce("Retry-After", asked))
			var c client
			began := time.Now()
			h.do(t.Context(), `{"model":"m"}`, &c)
			took := time.Since(began)
			if r := h.settled(); c.status != row.status || r.Attempts != row.attempts || took < row.least || took > row.most {
				t.Errorf("asked for %s s: client got %d after %s and %d attempts", asked, c.status, took, r.Attempts)
			}
			if row.status == 429 && c.header.Get("Retry-After") != asked {
				t.Errorf("asked for %s s, the client is told %q", asked, c.header.Get("Retry-After"))
			}
		})
	}
}

// An upstream that never answers is tried again as long as there is time, and not
// by a client that has waited for long already.
func TestABlackHoleIsNotTriedBeyondTheTimeBudget(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		firstByte, total time.Duration
		attempts         int
		least, most      time.Duration
	}{
		"a time-out as long as anybody waits":   {30 * time.Second, time.Minute, 1, 30 * time.Second, 30 * time.Second},
		"a shorter one":                         {10 * time.Second, time.Minute, 3, 30 * time.Second, 31 * time.Second},
		"no time left":                          {10 * time.Second, 15 * time.Second, 2, 15 * time.Second, 15 * time.Second},
		"no time left for a pause":              {10 * time.Second, 10*time.Second + time.Millisecond, 1, 10 * time.Second, 10*time.Second + time.Millisecond},
		"a time-out that is all of the request": {time.Minute, 20 * time.Second, 1, 20 * time.Second, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h, up := newLoneHouse(t, swallows, func(h *house) {
					h.channel.Timeouts = channel.Timeouts{FirstByte: row.firstByte, Total: row.total}
				})
				var c client
				began := time.Now()
				h.do(t.Context(), `{"model":"m"}`, &c)
				took := time.Since(began)
				if r := h.settled(); c.status != 504 || r.Attempts != row.attempts || len(up.asked) != row.attempts || took < row.least || took > row.most {
					t.Errorf("client got %d after %s and %d attempts", c.status, took, r.Attempts)
				}
			})
		})
	}
}

func TestWhoLeavesInAPauseIsNotServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, up := newLoneHouse(t, fails)
		ctx, leave := context.WithCancel(t.Context())
		var c client
		served := make(chan struct{})
		began := time.Now()
		go func() { defer close(served); h.do(ctx, `{"model":"m"}`, &c) }()
		synctest.Wait()
		leave()
		<-served
		if r := h.settled(); r.Attempts != 1 || len(up.asked) != 1 || r.Cost != 0 || time.Since(began) != 0 {
			t.Errorf("%d attempts in %s, record %+v", len(up.asked), time.Since(began), r)
		}
	})
}

func TestAShutdownDoesNotWaitForAPause(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(h *house, end context.CancelCauseFunc){
		"draining": func(h *house, _ context.CancelCauseFunc) { _ = h.Drain(context.Background()) },
		"ending":   func(_ *house, end context.CancelCauseFunc) { end(gateway.ErrShutdown) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h, up := newLoneHouse(t, failsOnce("Retry-After", "4"))
				ctx, end := context.WithCancelCause(t.Context())
				var c client
				served := make(chan struct{})
				began := time.Now()
				go func() { defer close(served); h.do(ctx, `{"model":"m"}`, &c) }()
				synctest.Wait()
				stop(h, end)
				<-served
				if r := h.settled(); len(up.asked) != 1 || r.Attempts != 1 || r.Cost != 0 || time.Since(began) != 0 {
					t.Errorf("%d attempts in %s, record %+v", len(up.asked), time.Since(began), r)
				}
				if name == "draining" && (c.status != 429 || c.body.String() != overloaded || c.header.Get("Retry-After") != "4") {
					t.Errorf("the client got %d %s", c.status, c.body.String())
				}
			})
		})
	}
}

func TestThereIsNoPauseWhereThereIsAnotherChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, up := newLoneHouse(t, fails, func(h *house) {
			other := *h.channel
			other.ID = 6
			h.more = append(h.more, &other)
		})
		var c client
		began := time.Now()
		h.do(t.Context(), `{"model":"m"}`, &c)
		if r := h.settled(); r.Attempts != 2 || len(up.asked) != 2 || time.Since(began) != 0 {
			t.Errorf("%d attempts in %s", r.Attempts, time.Since(began))
		}
	})
}

func TestWhatAPauseCannotCureIsToldAtOnce(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		status int
		body   string
		change func(*house)
	}{
		"a refused key":         {401, overloaded, func(*house) {}},
		"a balance used up":     {429, `{"error":{"code":"insufficient_quota"}}`, func(*house) {}},
		"the request's fault":   {400, overloaded, func(*house) {}},
		"one attempt is enough": {503, overloaded, func(h *house) { h.maxAttempts = 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h, up := newLoneHouse(t, func(int, *http.Request) (*http.Response, error) { return reply(row.status, row.body) }, row.change)
				var c client
				began := time.Now()
				h.do(t.Context(), `{"model":"m"}`, &c)
				if h.settled(); len(up.asked) != 1 || time.Since(began) != 0 {
					t.Errorf("%d attempts in %s", len(up.asked), time.Since(began))
				}
			})
		})
	}
}

// The upstream keys of the only channel come first, without a pause.
func TestEachUpstreamKeyOfTheOnlyChannelIsTriedBeforeAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var shown []string
		h, up := newLoneHouse(t, func(n int, r *http.Request) (*http.Response, error) {
			shown = append(shown, r.Header.Get("Authorization"))
			if n < 3 {
				return fails(n, r)
			}
			return reply(200, plainAnswer)
		}, func(h *house) {
			h.channel.Credentials = append(h.channel.Credentials, channel.Credential{ID: "b", Value: "another"})
		})
		var c client
		h.do(t.Context(), `{"model":"m"}`, &c)
		if r := h.settled(); c.status != 200 || r.Attempts != 3 || r.Cost != money.Nano(200_000) {
			t.Errorf("client got %d, record %+v", c.status, r)
		}
		if gaps := up.gaps(); shown[0] == shown[1] || gaps[0] != 0 || gaps[1] == 0 {
			t.Errorf("keys %v, pauses %v", shown, gaps)
		}
	})
}

// Many wait for the only channel to recover and one of them probes it; the others
// must not come away empty for that.
func TestWhatIsProbedBySomebodyElseIsTriedAllTheSame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, _ := newLoneHouse(t, failsOnce("Retry-After", "1"), func(h *house) { h.roll = func() float64 { return 0.9 } })
		var probes atomic.Bool
		time.AfterFunc(time.Second+time.Millisecond, func() { // the cooldown is over, the pause is not
			_, ok := h.health.Begin(time.Now(), health.Target{Channel: h.channel.ID, Credential: "a", Model: "m"}, true)
			probes.Store(ok)
		})
		var c client
		h.do(t.Context(), `{"model":"m"}`, &c)
		if r := h.settled(); !probes.Load() || c.status != 200 || r.Attempts != 2 {
			t.Errorf("client got %d after %d attempts; somebody else probes: %v", c.status, r.Attempts, probes.Load())
		}
	})
}
