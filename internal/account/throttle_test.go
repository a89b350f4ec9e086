package account

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"halley/internal/fault"
)

var (
	here  = netip.MustParseAddr("192.0.2.1")
	there = netip.MustParseAddr("192.0.2.2")
)

// try makes one attempt and reports whether it was let through.
func try(t *testing.T, th *throttle, name string, addr netip.Addr, failed bool) bool {
	t.Helper()
	end, err := th.begin(t.Context(), name, addr)
	if err != nil {
		if !fault.Is(err, fault.RateLimited) || fault.Code(err) != "too_many_attempts" || fault.From(err).RetryAfter <= 0 {
			t.Fatalf("refused with %v", err)
		}
		return false
	}
	end(failed)
	return true
}

func TestTenFailuresStopAName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(time.Now)
		for i := range 10 {
			if !try(t, th, "ada", netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), true) {
				t.Fatalf("failure %d was refused", i+1)
			}
			time.Sleep(time.Minute)
		}
		if try(t, th, "ada", there, false) {
			t.Error("an eleventh attempt was let through, from elsewhere and with the right password")
		}
		if !try(t, th, "grace", here, false) {
			t.Error("another name was refused")
		}
		// The first failure is 15 minutes old in 5 minutes.
		_, err := th.begin(t.Context(), "ada", there)
		if got := fault.From(err).RetryAfter; got != 5*time.Minute {
			t.Errorf("Retry-After is %v, want 5m", got)
		}
		time.Sleep(5*time.Minute - time.Nanosecond)
		if try(t, th, "ada", there, false) {
			t.Error("let through too early")
		}
		time.Sleep(time.Nanosecond)
		if !try(t, th, "ada", there, true) {
			t.Error("refused although the oldest failure has left the window")
		}
		if try(t, th, "ada", there, false) {
			t.Error("let through with ten failures in the window again")
		}
	})
}

func TestAHundredFailuresStopAnAddress(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name        string
		addr, alike string
	}{
		{"IPv4", "192.0.2.1", "192.0.2.1"},
		{"IPv4 written as IPv6", "192.0.2.1", "::ffff:192.0.2.1"},
		{"IPv6, another address of the same /64", "2001:db8::1", "2001:db8::ffff:1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				th := newThrottle(time.Now)
				for i := range 100 {
					if !try(t, th, fmt.Sprint("user", i), netip.MustParseAddr(tc.addr), true) {
						t.Fatalf("failure %d was refused", i+1)
					}
				}
				if try(t, th, "ada", netip.MustParseAddr(tc.alike), false) {
					t.Error("the 101st attempt was let through")
				}
				if !try(t, th, "ada", netip.MustParseAddr("2001:db8:0:1::1"), false) {
					t.Error("another address was refused")
				}
				time.Sleep(15 * time.Minute)
				if !try(t, th, "ada", netip.MustParseAddr(tc.alike), false) {
					t.Error("refused after the window")
				}
			})
		})
	}
}

func TestSuccessesDoNotCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(time.Now)
		for range 500 {
			if !try(t, th, "ada", here, false) {
				t.Fatal("refused although nothing had failed")
			}
		}
		if len(th.names.entries) != 0 || len(th.addrs.entries) != 0 {
			t.Errorf("successes are remembered: %d names, %d addresses", len(th.names.entries), len(th.addrs.entries))
		}
	})
}

func TestAttemptsAtTheSameMomentTryNoMorePasswords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(time.Now)
		var tried atomic.Int64
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				end, err := th.begin(t.Context(), "ada", here)
				if err != nil {
					return
				}
				tried.Add(1)
				time.Sleep(30 * time.Millisecond)
				end(true)
			})
		}
		wg.Wait()
		if n := tried.Load(); n != 10 {
			t.Errorf("%d passwords were tried, want 10", n)
		}
	})
}

func TestManyRightPasswordsAtTheSameMomentAllPass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(time.Now)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				end, err := th.begin(t.Context(), "ada", here)
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(30 * time.Millisecond)
				end(false)
			})
		}
		wg.Wait()
	})
}

func TestSomebodyWhoGoesAwayStopsWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(time.Now)
		var ends []func(bool)
		for range 10 {
			end, err := th.begin(t.Context(), "ada", here)
			if err != nil {
				t.Fatal(err)
			}
			ends = append(ends, end)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := th.begin(ctx, "ada", here); err != context.DeadlineExceeded {
			t.Errorf("got %v", err)
		}
		for _, end := range ends {
			end(false)
		}
	})
}

func TestTwentyAccountsStopAnAddressFromMakingMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(time.Now)
		attempt := func(addr netip.Addr, counts bool) error {
			end, err := th.beginAccount(t.Context(), addr)
			if err == nil {
				end(counts)
			}
			return err
		}
		for i := range 47 {
			if err := attempt(here, i%5 < 2); err != nil { // of five two are made, 20 in all
				t.Fatalf("attempt %d: %v", i+1, err)
			}
		}
		if err := attempt(here, true); !fault.Is(err, fault.RateLimited) || fault.Code(err) != "too_many_attempts" || fault.From(err).RetryAfter != 15*time.Minute {
			t.Errorf("the 21st: %v", err)
		}
		if err := attempt(there, true); err != nil {
			t.Errorf("from elsewhere: %v", err)
		}
		if !try(t, th, "ada", here, false) {
			t.Error("signing in from the address was refused")
		}
		time.Sleep(15 * time.Minute)
		if err := attempt(here, true); err != nil {
			t.Errorf("after the window: %v", err)
		}
	})
}

func TestAccountsMadeAtTheSameMomentAreNoMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(time.Now)
		var made atomic.Int64
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				end, err := th.beginAccount(t.Context(), here)
				if err != nil {
					return
				}
				made.Add(1)
				time.Sleep(30 * time.Millisecond)
				end(true)
			})
		}
		wg.Wait()
		if n := made.Load(); n != 20 {
			t.Errorf("%d accounts were made, want 20", n)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	th := newThrottle(func() time.Time { return now })
	th.names.size, th.addrs.size = 100, 50
	hold, err := th.begin(t.Context(), "under way", netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5000 {
		try(t, th, fmt.Sprint("user", i), netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), true)
	}
	if len(th.names.entries) > 100 || th.names.order.Len() != len(th.names.entries) || len(th.addrs.entries) > 50 {
		t.Errorf("%d names and %d addresses are kept, want at most 100 and 50", len(th.names.entries), len(th.addrs.entries))
	}
	hold(true) // its entry must have survived
	if th.names.entries == nil || !try(t, th, "user4999", here, true) {
		t.Error("the latest name was refused after one failure")
	}
}
