package account

import (
	"container/list"
	"context"
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"halley/internal/fault"
	"halley/internal/speech"
)

const (
	throttleWindow   = 15 * time.Minute
	failuresPerName  = 10
	failuresPerAddr  = 100
	accountsPerAddr  = 20
	throttledNames   = 20_000 // about 5 MB when full
	throttledAddrs   = 5_000  // about 13 MB when every one is at its limit
	throttledMessage = "Too many failed sign-ins; try again later."
	accountsMessage  = "Too many accounts were made from this address; try again later."
)

// throttle counts failed sign-ins by user name and by address, and by address
// the accounts that people made for themselves. Only what failed (or was made)
// counts, and an attempt under way counts as one until it is decided, so that a
// thousand attempts at the same moment try no more passwords than a thousand in
// a row. Counts live in this process.
type throttle struct {
	now func() time.Time

	mu       sync.Mutex
	names    *tally
	addrs    *tally
	accounts *tally
	changed  chan struct{} // closed and replaced when an attempt is decided
}

func newThrottle(now func() time.Time) *throttle {
	return &throttle{
		now:      now,
		names:    newTally(failuresPerName, throttledNames),
		addrs:    newTally(failuresPerAddr, throttledAddrs),
		accounts: newTally(accountsPerAddr, throttledAddrs),
		changed:  make(chan struct{}),
	}
}

// begin admits one attempt to sign in, or refuses it with a 429. When too many
// attempts are undecided it waits for them. The caller must call end once.
func (t *throttle) begin(ctx context.Context, name string, addr netip.Addr) (end func(failed bool), err error) {
	return t.admit(ctx, throttledMessage, tallied{t.names, sha256.Sum256([]byte(name))}, tallied{t.addrs, throttleKey(addr)})
}

// beginNameless is begin for who does not say a name.
func (t *throttle) beginNameless(ctx context.Context, addr netip.Addr) (end func(failed bool), err error) {
	return t.admit(ctx, throttledMessage, tallied{t.addrs, throttleKey(addr)})
}

// beginAccount admits one attempt to make an account, as begin does. An attempt
// counts when an account was made, and when the name was taken: who is here must
// not be found out by the thousand.
func (t *throttle) beginAccount(ctx context.Context, addr netip.Addr) (end func(counts bool), err error) {
	return t.admit(ctx, accountsMessage, tallied{t.accounts, throttleKey(addr)})
}

// tallied is where an attempt counts.
type tallied struct {
	tally *tally
	key   [32]byte
}

func (t *throttle) admit(ctx context.Context, refusal string, counters ...tallied) (end func(counts bool), err error) {
	for {
		t.mu.Lock()
		now, wait, room := t.now(), time.Duration(0), true
		for _, c := range counters {
			wait = max(wait, c.tally.wait(c.key, now))
			room = room && c.tally.room(c.key)
		}
		if wait > 0 {
			t.mu.Unlock()
			return nil, fault.New(fault.RateLimited, "too_many_attempts", "%s", speech.Phrase(refusal)).Retry(wait)
		}
		if room {
			for _, c := range counters {
				c.tally.get(c.key).pending++
			}
			t.mu.Unlock()
			return func(counts bool) { t.end(counters, counts) }, nil
		}
		changed := t.changed
		t.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (t *throttle) end(counters []tallied, counts bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for _, c := range counters {
		c.tally.decide(c.key, now, counts)
	}
	close(t.changed)
	t.changed = make(chan struct{})
}

func throttleKey(addr netip.Addr) [32]byte { return sha256.Sum256([]byte(throttleAddr(addr))) }

// throttleAddr is what counts as one address: an IPv6 caller owns a whole /64,
// and all whose address nobody knows are one.
func throttleAddr(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		return netip.PrefixFrom(addr, 64).Masked().String()
	}
	return addr.String()
}

// tally counts recent failures (or whatever else counts) under many keys; when
// there are more keys than fit, the one that failed longest ago goes.
type tally struct {
	limit   int // failures allowed in the window
	size    int // keys kept
	entries map[[32]byte]*list.Element
	order   *list.List // of *attempts, the least recently used in front
}

type attempts struct {
	key      [32]byte
	failures []time.Time // in the window, oldest first
	pending  int
}

func newTally(limit, size int) *tally {
	return &tally{limit: limit, size: size, entries: map[[32]byte]*list.Element{}, order: list.New()}
}

// wait is how long until another failure is allowed, 0 when one is now.
func (t *tally) wait(key [32]byte, now time.Time) time.Duration {
	el := t.entries[key]
	if el == nil {
		return 0
	}
	a := el.Value.(*attempts)
	for len(a.failures) > 0 && now.Sub(a.failures[0]) >= throttleWindow {
		a.failures = a.failures[1:]
	}
	if len(a.failures) < t.limit {
		return 0
	}
	return a.failures[len(a.failures)-t.limit].Add(throttleWindow).Sub(now)
}

// room reports whether one more attempt may be under way.
func (t *tally) room(key [32]byte) bool {
	el := t.entries[key]
	if el == nil {
		return true
	}
	a := el.Value.(*attempts)
	return len(a.failures)+a.pending < t.limit
}

// get is the key's entry, made when missing.
func (t *tally) get(key [32]byte) *attempts {
	if el := t.entries[key]; el != nil {
		t.order.MoveToBack(el)
		return el.Value.(*attempts)
	}
	for el := t.order.Front(); el != nil && len(t.entries) >= t.size; {
		next := el.Next()
		if old := el.Value.(*attempts); old.pending == 0 {
			t.order.Remove(el)
			delete(t.entries, old.key)
		}
		el = next
	}
	a := &attempts{key: key}
	t.entries[key] = t.order.PushBack(a)
	return a
}

func (t *tally) decide(key [32]byte, now time.Time, failed bool) {
	a := t.get(key)
	a.pending--
	switch {
	case failed:
		a.failures = append(a.failures, now)
	case a.pending == 0 && len(a.failures) == 0:
		t.order.Remove(t.entries[key])
		delete(t.entries, key)
	}
}
