package gateway

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"halley/internal/channel"
	"halley/internal/limit"
)

func capped(id int64, c channel.Caps) place {
	return place{channel: &channel.Channel{ID: id, Caps: c}, request: limit.Request{Model: "m", Input: 10, OutputCap: 10}}
}

// free reports that nobody holds a seat at the place, or waits for one.
func (c *caps) free(t *testing.T, at place) {
	t.Helper()
	for range at.channel.Caps.Concurrency {
		s, denied := c.take(at)
		if denied != nil {
			t.Errorf("channel %d has a seat too few: %+v", at.channel.ID, denied)
		}
		defer s.cancel()
	}
	if len(c.lines) != 0 {
		t.Errorf("there are %d lines with nobody in them", len(c.lines))
	}
}

func TestWhoComesFirstIsSeatedFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCaps(time.Now)
		at := capped(1, channel.Caps{Concurrency: 1})
		held, denied := c.take(at)
		if denied != nil {
			t.Fatal(denied)
		}
		var order []int
		for i := range 5 {
			go func() {
				s, ok := c.wait(t.Context(), []place{at}, time.Minute)
				if !ok {
					t.Errorf("%d got no seat", i)
				}
				order = append(order, i) // one at a time has the seat
				time.AfterFunc(time.Second, func() { s.leave(limit.Tokens{}) })
			}()
			synctest.Wait()
		}
		held.leave(limit.Tokens{})
		synctest.Wait()
		if s, denied := c.take(at); denied == nil {
			s.cancel()
			t.Error("a newcomer overtakes those who wait")
		}
		<-time.After(10 * time.Second)
		if !slices.Equal(order, []int{0, 1, 2, 3, 4}) {
			t.Errorf("seated in the order %v", order)
		}
		c.free(t, at)
	})
}

func TestWhoWantsLittleDoesNotOvertakeWhoWantsMuch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCaps(time.Now)
		much, little := capped(1, channel.Caps{TPM: 30}), capped(1, channel.Caps{TPM: 30})
		little.request = limit.Request{Model: "m", Input: 1}
		held, _ := c.take(much)
		held.leave(limit.Tokens{Input: 25})
		go func() {
			if _, ok := c.wait(t.Context(), []place{much}, time.Second); ok {
				t.Error("there was room for it")
			}
		}()
		synctest.Wait()
		if _, denied := c.take(little); denied == nil {
			t.Error("seated before who waits")
		}
		if _, ok := c.wait(t.Context(), []place{little}, 2*time.Second); !ok {
			t.Error("not seated when nobody is before it any more")
		}
	})
}

func TestNobodyWaitsLongerThanHeMay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCaps(time.Now)
		at := capped(1, channel.Caps{Concurrency: 1})
		held, _ := c.take(at)
		start := time.Now()
		if _, ok := c.wait(t.Context(), []place{at}, 2*time.Second); ok || time.Since(start) != 2*time.Second {
			t.Errorf("seated: %v, after %v", ok, time.Since(start))
		}
		ctx, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		start = time.Now()
		if _, ok := c.wait(ctx, []place{at}, time.Minute); ok || time.Since(start) != time.Second {
			t.Errorf("who has left is seated: %v, after %v", ok, time.Since(start))
		}
		held.leave(limit.Tokens{})
		c.free(t, at)
	})
}

func TestALineIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCaps(time.Now)
		at := capped(1, channel.Caps{Concurrency: 1})
		held, _ := c.take(at)
		for range maxWaiting {
			go c.wait(t.Context(), []place{at}, time.Second)
		}
		synctest.Wait()
		start := time.Now()
		if _, ok := c.wait(t.Context(), []place{at}, time.Minute); ok || time.Since(start) != 0 {
			t.Errorf("one more waits: seated %v, after %v", ok, time.Since(start))
		}
		<-time.After(2 * time.Second)
		held.leave(limit.Tokens{})
		c.free(t, at)
	})
}

func TestTheFirstSeatAnywhereIsTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCaps(time.Now)
		one, two := capped(1, channel.Caps{Concurrency: 1}), capped(2, channel.Caps{Concurrency: 1})
		first, _ := c.take(one)
		second, _ := c.take(two)
		seats := make(chan seat, 2)
		for range 2 {
			go func() {
				s, ok := c.wait(t.Context(), []place{one, two}, time.Minute)
				if !ok {
					t.Error("no seat")
				}
				seats <- s
			}()
		}
		synctest.Wait()
		second.leave(limit.Tokens{})
		s := <-seats
		if s.channel != 2 {
			t.Errorf("seated at %d", s.channel)
		}
		first.leave(limit.Tokens{})
		other := <-seats
		if other.channel != 1 {
			t.Errorf("seated at %d", other.channel)
		}
		s.leave(limit.Tokens{})
		other.leave(limit.Tokens{})
		c.free(t, one)
		c.free(t, two)
	})
}

func TestTimeMakesRoomInRates(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		caps channel.Caps
		used limit.Tokens
		want time.Duration
	}{
		"requests":              {channel.Caps{RPM: 1}, limit.Tokens{}, time.Minute},
		"tokens":                {channel.Caps{TPM: 30}, limit.Tokens{Input: 10, Output: 15}, time.Minute},
		"tokens that came back": {channel.Caps{TPM: 30}, limit.Tokens{Input: 5}, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCaps(time.Now)
				at := capped(1, row.caps)
				held, denied := c.take(at)
				if denied != nil {
					t.Fatal(denied)
				}
				time.AfterFunc(time.Second, func() { held.leave(row.used) })
				start := time.Now()
				s, ok := c.wait(t.Context(), []place{at}, 2*time.Minute)
				if !ok || time.Since(start) != row.want {
					t.Errorf("seated: %v, after %v, want %v", ok, time.Since(start), row.want)
				}
				s.cancel()
			})
		})
	}
}

func TestASeatIsLeftOnce(t *testing.T) {
	t.Parallel()
	c := newCaps(time.Now)
	at := capped(1, channel.Caps{Concurrency: 1})
	s, _ := c.take(at)
	s.leave(limit.Tokens{})
	s.leave(limit.Tokens{})
	s.cancel()
	if again, denied := c.take(at); denied != nil || again.lease == nil {
		t.Errorf("%+v", denied)
	}
	if more, denied := c.take(at); denied == nil {
		t.Errorf("a seat that is left twice makes two: %+v", more)
	}
	var none seat
	none.leave(limit.Tokens{}) // a channel without caps has no more to do
}
