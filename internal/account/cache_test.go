package account

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

func TestManyWhoAskAtOnceCostOneLoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCache[int, string](10)
		var loads atomic.Int64
		release := make(chan struct{})
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				v, err := c.get(t.Context(), 1, func(context.Context) (string, error) {
					loads.Add(1)
					<-release
					return "ada", nil
				})
				if v != "ada" || err != nil {
					t.Errorf("got %q, %v", v, err)
				}
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		if n := loads.Load(); n != 1 {
			t.Errorf("%d loads, want 1", n)
		}
	})
}

func TestAStaleLoadNeverOverwritesAChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCache[int, string](10)
		release := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			v, _ := c.get(t.Context(), 1, func(context.Context) (string, error) {
				<-release // read before the change, answers after it
				return "old", nil
			})
			if v != "old" {
				t.Errorf("the load's own caller got %q", v)
			}
		})
		synctest.Wait()
		c.drop(1)
		v, _ := c.get(t.Context(), 1, func(context.Context) (string, error) { return "new", nil })
		if v != "new" {
			t.Errorf("after the change: %q; it joined a load from before", v)
		}
		close(release)
		wg.Wait()
		v, _ = c.get(t.Context(), 1, func(context.Context) (string, error) { return "loaded again", nil })
		if v != "new" {
			t.Errorf("after the stale load ended: %q, want new", v)
		}
	})
}

func TestAFirstCallerWhoGoesAwayTakesNobodyAlong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCache[int, string](10)
		gone, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := c.get(gone, 1, func(ctx context.Context) (string, error) {
				<-ctx.Done()
				return "", ctx.Err()
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the first caller got %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			v, err := c.get(t.Context(), 1, func(context.Context) (string, error) { return "ada", nil })
			if v != "ada" || err != nil {
				t.Errorf("the second caller got %q, %v", v, err)
			}
		})
		synctest.Wait()
		cancel()
		wg.Wait()
	})
}

func TestErrorsAreNotRemembered(t *testing.T) {
	t.Parallel()
	c := newCache[int, string](10)
	if _, err := c.get(t.Context(), 1, func(context.Context) (string, error) { return "", errors.New("away") }); err == nil {
		t.Fatal("the error was lost")
	}
	v, err := c.get(t.Context(), 1, func(context.Context) (string, error) { return "ada", nil })
	if v != "ada" || err != nil {
		t.Errorf("got %q, %v", v, err)
	}
}

// The cache never holds more than its limit and always agrees with a source
// whose every change is followed by a drop.
func TestCacheAgreesWithItsSource(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const limit = 4
		c := newCache[int, int](limit)
		source := map[int]int{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			k := rapid.IntRange(0, 9).Draw(t, "key")
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				source[k]++
				c.drop(k)
			case 1:
				source[k]++
				now := source[k]
				c.dropIf(func(v int) bool { return v == now-1 })
			case 2:
				source[k]++
				c.clear()
			default:
				v, err := c.get(context.Background(), k, func(context.Context) (int, error) { return source[k], nil })
				if err != nil || v != source[k] {
					t.Fatalf("key %d: got %d, %v, want %d", k, v, err, source[k])
				}
			}
			if len(c.entries) > limit {
				t.Fatalf("%d entries, limit %d", len(c.entries), limit)
			}
		}
	})
}
