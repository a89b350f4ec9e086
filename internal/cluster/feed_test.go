package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/cluster"
)

func TestAChangeIsAppliedOnceHoweverOftenItIsHeardOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(t)
		b.store.change("key", "7", time.Now())
		b.feed.Hear(b.store.notice(0))
		time.Sleep(3 * time.Second)
		b.feed.Hear(b.store.notice(0))
		b.store.change("key", "8", time.Now())
		time.Sleep(time.Second)
		b.want(t, "reset", "key 7 notice", "key 8 poll")
	})
}

func TestNoticesThatAreNoChangesArePassedOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(t)
		for _, payload := range []string{"", "x", "1|key|3", "x|key|3|7", "1|key|x|7", "|||", "1|unheard of|3|7"} {
			b.feed.Hear(payload)
		}
		b.want(t, "reset")
	})
}

func TestARefMayHaveAnything(t *testing.T) {
	t.Parallel()
	c, err := cluster.ParseChange("12|group|1700000000123|a|b")
	want := cluster.Change{ID: 12, Topic: "group", Ref: "a|b", Millis: 1700000000123}
	if diff := cmp.Diff(want, c); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// What is read as a whole is read once for many changes, beside what need not
// wait for it, and again until it works.
func TestAPartIsReloadedOnceForManyChangesAndUntilItWorks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(t)
		started := b.count("load")
		hold := make(chan struct{})
		b.loads(func() error { <-hold; return errors.New("away") })
		b.store.change("price", "1", time.Now())
		time.Sleep(time.Second)
		for n := range 5 {
			b.store.change("price", strconv.Itoa(n+2), time.Now())
		}
		b.store.change("key", "7", time.Now())
		time.Sleep(time.Second)
		if b.count("key 7 poll") != 1 {
			t.Error("a change of a key waited for the prices")
		}
		close(hold)
		synctest.Wait()
		b.loads(func() error { return errors.New("away") })
		time.Sleep(4 * time.Second)
		if n := b.count("price"); n != 0 {
			t.Errorf("%d changes count that could not be read", n)
		}
		b.loads(nil)
		time.Sleep(time.Second)
		if n := b.count("price"); n != 6 {
			t.Errorf("%d changes of prices are in force, want 6", n)
		}
		loads := b.count("load")
		time.Sleep(time.Minute)
		if n := b.count("load"); n != loads || loads-started > 12 {
			t.Errorf("%d loads in all, then %d without a change", loads-started, n-loads)
		}
		if b.logged("cannot be put in force") != 1 || b.logged("is in force here") != 1 {
			t.Errorf("the trouble is not told once, or its end not:\n%s", &b.log)
		}
	})
}

func TestAStoreThatIsAwayForgetsNothingAndIsToldOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(t)
		b.store.set(func(s *feedStore) { s.err = errors.New("away") })
		time.Sleep(20 * time.Minute)
		b.store.change("key", "7", time.Now())
		b.store.set(func(s *feedStore) { s.err = nil })
		time.Sleep(time.Second)
		b.want(t, "reset", "key 7 poll")
		if b.logged("cannot be read") != 1 || b.logged("can be read again") != 1 {
			t.Errorf("it is not told once:\n%s", &b.log)
		}
	})
}

func TestWhoMayHaveMissedSomethingForgetsEverything(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]func(s *feedStore){
		"away for too long":         func(s *feedStore) { s.err = errors.New("away") },
		"its clock went on":         func(s *feedStore) { s.ahead = time.Hour },
		"a database that fell back": func(s *feedStore) { s.page.Rewound = true },
		"more than can be listed":   func(s *feedStore) { s.page.More = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.start(t)
				loads := b.count("load")
				b.store.set(trouble)
				time.Sleep(40 * time.Minute)
				b.store.set(func(s *feedStore) { s.err, s.page = nil, cluster.Page{} })
				time.Sleep(time.Second)
				resets := b.count("reset") - 1
				if once := name == "its clock went on" || name == "away for too long"; resets == 0 || (once && resets != 1) {
					t.Errorf("everything was dropped %d times", resets)
				}
				if b.count("load") == loads {
					t.Error("nothing was read again")
				}
				if b.logged("may have been missed") != resets {
					t.Errorf("the log does not say so:\n%s", &b.log)
				}
			})
		})
	}
}

func TestTheLagIsByTheDatabasesClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		const ahead = -3 * time.Minute
		b.store.set(func(s *feedStore) { s.ahead = ahead })
		b.start(t)
		b.store.change("key", "7", time.Now().Add(ahead-200*time.Millisecond))
		b.feed.Hear(b.store.notice(0))
		if got := b.lags(); len(got) != 1 || got[0] != 200*time.Millisecond {
			t.Errorf("lags %v, want 200ms", got)
		}
	})
}

func TestOldChangesArePrunedAndNewOnesAreNot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(t)
		time.Sleep(59 * time.Minute)
		if got := b.store.prunes(); len(got) != 0 {
			t.Errorf("pruned %v within the hour", got)
		}
		b.store.change("key", "7", time.Now())
		time.Sleep(10 * time.Minute)
		if diff := cmp.Diff([]string{"0"}, b.store.prunes()); diff != "" {
			t.Errorf("after an hour (-want +got):\n%s", diff)
		}
		time.Sleep(time.Hour)
		if diff := cmp.Diff([]string{"0", "1"}, b.store.prunes()); diff != "" {
			t.Errorf("after two (-want +got):\n%s", diff)
		}
	})
}

// By what a database said before it fell back everything in it is old.
func TestADatabaseThatFellBackIsNotPrunedByWhatItSaidBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(t)
		time.Sleep(50 * time.Minute)
		b.store.set(func(s *feedStore) { s.page.Rewound = true })
		time.Sleep(time.Second)
		b.store.set(func(s *feedStore) { s.page.Rewound = false })
		time.Sleep(59 * time.Minute)
		if got := b.store.prunes(); len(got) != 0 {
			t.Errorf("pruned %v within the hour", got)
		}
		time.Sleep(2 * time.Minute)
		if got := b.store.prunes(); len(got) != 1 {
			t.Errorf("pruned %v after it", got)
		}
	})
}

func TestStoppingWhatWasNotStartedDoesNothing(t *testing.T) {
	t.Parallel()
	cluster.NewFeed(cluster.FeedOptions{}).Stop()
	cluster.NewListener(cluster.ListenerOptions{}).Stop()
}

// bench is a feed on a database that does what it is told to. It has one topic
// that is applied at once, key, and one that is read as a whole, price.
type bench struct {
	feed  *cluster.Feed
	store *feedStore
	log   lockedBuffer

	mu      sync.Mutex // guards what follows
	loading func() error
	events  []string
	lag     []time.Duration
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{store: &feedStore{}}
	b.loads(nil)
	b.feed = cluster.NewFeed(cluster.FeedOptions{
		Store: b.store, Log: slog.New(slog.NewTextHandler(&b.log, nil)), Now: time.Now,
		Applied: func(topic string, via cluster.Via, lag time.Duration) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.lag = append(b.lag, lag)
			if topic == "key" {
				b.events[len(b.events)-1] += " " + string(via)
				return
			}
			b.events = append(b.events, topic)
		},
	})
	b.feed.OnReset(func() { b.note("reset") })
	b.feed.On("key", func(ref string) { b.note("key " + ref) })
	b.feed.Reload("price", func(context.Context) error {
		b.note("load")
		b.mu.Lock()
		load := b.loading
		b.mu.Unlock()
		return load()
	})
	return b
}

// loads sets what a load does; nil is a success.
func (b *bench) loads(load func() error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.loading = load
	if load == nil {
		b.loading = func() error { return nil }
	}
}

// start starts the feed and waits until it has looked for the first time.
func (b *bench) start(t *testing.T) {
	t.Helper()
	b.feed.Start()
	t.Cleanup(b.feed.Stop)
	synctest.Wait()
}

func (b *bench) note(event string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, event)
}

func (b *bench) count(event string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, e := range b.events {
		if e == event {
			n++
		}
	}
	return n
}

func (b *bench) lags() []time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.lag)
}

// want compares what happened, but for loads.
func (b *bench) want(t *testing.T, want ...string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	got := slices.DeleteFunc(slices.Clone(b.events), func(e string) bool { return e == "load" })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what happened (-want +got):\n%s", diff)
	}
}

func (b *bench) logged(text string) int { return strings.Count(b.log.String(), text) }

// feedStore is a database whose cursors are how many changes there were.
type feedStore struct {
	mu     sync.Mutex
	all    []cluster.Change
	pruned []string // the cursors
	err    error
	ahead  time.Duration
	page   cluster.Page // its flags go into every answer
}

func (s *feedStore) set(f func(*feedStore)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *feedStore) change(topic, ref string, at time.Time) {
	s.set(func(s *feedStore) {
		s.all = append(s.all, cluster.Change{ID: int64(len(s.all) + 1), Topic: topic, Ref: ref, Millis: at.UnixMilli()})
	})
}

// notice is the payload that announces the nth change.
func (s *feedStore) notice(n int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.all[n]
	return fmt.Sprintf("%d|%s|%d|%s", c.ID, c.Topic, c.Millis, c.Ref)
}

func (s *feedStore) prunes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.pruned)
}

// Changes implements cluster.Store.
func (s *feedStore) Changes(_ context.Context, since string) (cluster.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return cluster.Page{}, s.err
	}
	page := s.page
	page.Cursor, page.Now = strconv.Itoa(len(s.all)), time.Now().Add(s.ahead)
	if since != "" {
		from, err := strconv.Atoi(since)
		if err != nil {
			return page, err
		}
		page.Changes = slices.Clone(s.all[from:])
	}
	return page, nil
}

// PruneChanges implements cluster.Store.
func (s *feedStore) PruneChanges(_ context.Context, cursor string) error {
	s.set(func(s *feedStore) { s.pruned = append(s.pruned, cursor) })
	return nil
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
