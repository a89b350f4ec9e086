package account

import (
	"container/list"
	"context"
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"halley/internal/fault"
)

const (
	throttleWindow   = 15 * time.Minute
	failuresPerName  = 10
	failuresPerAddr  = 100
	throttledNames   = 20_000 // about 5 MB when full
	throttledAddrs   = 5_000  // about 13 MB when every one is at its limit
	throttledMessage = "Too many failed sign-ins; try again later."
)

// throttle counts failed sign-ins by user name and by address. Only failures
// count, and an attempt under way counts as one until it is decided, so that a
// thousand attempts at the same moment try no more passwords than a thousand in
// a row. Counts live in this process.
type throttle struct {
	now func() time.Time

	mu      sync.Mutex
	names   *tally
	addrs   *tally
	changed chan struct{} // closed and replaced when an attempt is decided
}

func newThrottle(now func() time.Time) *throttle {
	return &throttle{
		now:     now,
		names:   newTally(failuresPerName, throttledNames),
		addrs:   newTally(failuresPerAddr, throttledAddrs),
		changed: make(chan struct{}),
	}
}

// begin admits one attempt, or refuses it with a 429. When too many attempts
// are undecided it waits for them. The caller must call end once.
func (t *throttle) begin(ctx context.Context, name string, addr netip.Addr) (end func(failed bool), err error) {
	nameKey, addrKey := sha256.Sum256([]byte(name)), sha256.Sum256([]byte(throttleAddr(addr)))
	for {
		t.mu.Lock()
		now := t.now()
		if wait := max(t.names.wait(nameKey, now), t.addrs.wait(addrKey, now)); wait > 0 {
			t.mu.Unlock()
			return nil, fault.New(fault.RateLimited, "too_many_attempts", throttledMessage).Retry(wait)
		}
		if t.names.room(nameKey) && t.addrs.room(addrKey) {
			t.names.get(nameKey).pending++
			t.addrs.get(addrKey).pending++
			t.mu.Unlock()
			return func(failed bool) { t.end(nameKey, addrKey, failed) }, nil
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

func (t *throttle) end(name, addr [32]byte, failed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	t.names.decide(name, now, failed)
	t.addrs.decide(addr, now, failed)
	close(t.changed)
	t.changed = make(chan struct{})
}

// throttleAddr is what counts as one address: an IPv6 caller owns a whole /64,
// and all whose address nobody knows are one.
func throttleAddr(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		return netip.PrefixFrom(addr, 64).Masked().String()
	}
	return addr.String()
}

// tally counts recent failures under many keys; when there are more keys than
// fit, the one that failed longest ago goes.
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
