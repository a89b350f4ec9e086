package gateway

import (
	"context"
	"slices"
	"sync"
	"time"

	"halley/internal/channel"
	"halley/internal/limit"
)

// maxWaiting is how many requests may wait for one channel.
const maxWaiting = 100

// caps keeps what this node sends to channels within their caps. A request at a
// channel has a seat there. Who finds none and can go nowhere else waits in line.
type caps struct {
	limiter *limit.Limiter
	now     func() time.Time

	mu    sync.Mutex // orders taking, leaving and waiting
	lines map[int64]*line
}

// line is who waits for a channel, first come first served. There is none where
// nobody waits.
type line struct {
	waiting []*waiter
	again   *time.Timer // looks again when a rate has room
}

// waiter is a request that waits for the first seat at any of its places.
type waiter struct {
	places []place
	seat   chan seat // has room for one
}

// place is a channel that a request may go to, and what it will use there.
type place struct {
	channel *channel.Channel
	request limit.Request
}

// seat is a request's count against a channel's caps. The zero seat is one at a
// channel without.
type seat struct {
	caps    *caps
	channel int64
	lease   *limit.Lease
}

func newCaps(now func() time.Time) *caps {
	return &caps{limiter: limit.New(limit.Options{}), now: now, lines: map[int64]*line{}}
}

// take gives a seat at a channel that has caps, or says why not. Nobody overtakes
// those who wait.
func (c *caps) take(at place) (seat, *limit.Denied) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lines[at.channel.ID] != nil {
		return seat{}, &limit.Denied{Which: limit.Concurrency, RetryAfter: time.Second}
	}
	return c.ask(at)
}

// ask is take for who is next; c is locked.
func (c *caps) ask(at place) (seat, *limit.Denied) {
	scope := [...]limit.Scope{{Whose: limit.Channel, ID: at.channel.ID, Limits: at.channel.Caps.Limits()}}
	lease, denied := c.limiter.Take(c.now(), scope[:], at.request)
	if denied != nil {
		return seat{}, denied
	}
	return seat{caps: c, channel: at.channel.ID, lease: lease}, nil
}

// wait gives the first seat that is free at any of the places, false when none
// is in that time.
func (c *caps) wait(ctx context.Context, places []place, patience time.Duration) (seat, bool) {
	w := &waiter{places: places, seat: make(chan seat, 1)}
	if !c.enter(w) {
		return seat{}, false
	}
	over := time.NewTimer(patience)
	defer over.Stop()
	select {
	case s := <-w.seat:
		return s, true
	case <-over.C:
	case <-ctx.Done():
	}
	c.mu.Lock()
	c.remove(w)
	for _, at := range places {
		c.call(at.channel.ID) // who comes next may want less
	}
	c.mu.Unlock()
	select {
	case s := <-w.seat: // at the last moment
		return s, true
	default:
		return seat{}, false
	}
}

// enter puts the waiter into the lines that are not too long; false when all
// are.
func (c *caps) enter(w *waiter) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	entered := false
	for _, at := range w.places {
		l := c.lines[at.channel.ID]
		if l == nil {
			l = &line{}
			c.lines[at.channel.ID] = l
		}
		if len(l.waiting) < maxWaiting {
			l.waiting = append(l.waiting, w)
			entered = true
		}
	}
	// A seat may have become free since it was asked for.
	for _, at := range w.places {
		c.call(at.channel.ID)
	}
	return entered
}

// call gives seats to those in line, as long as there are any; c is locked.
func (c *caps) call(id int64) {
	for l := c.lines[id]; l != nil; l = c.lines[id] {
		w := l.waiting[0]
		s, denied := c.ask(w.place(id))
		if denied != nil {
			c.callAgain(l, id, denied.RetryAfter)
			return
		}
		c.remove(w)
		w.seat <- s
	}
}

func (w *waiter) place(id int64) place {
	return w.places[slices.IndexFunc(w.places, func(at place) bool { return at.channel.ID == id })]
}

// callAgain calls once the rates may have room; a seat that is left calls at
// once.
func (c *caps) callAgain(l *line, id int64, after time.Duration) {
	if l.again != nil {
		l.again.Reset(after)
		return
	}
	l.again = time.AfterFunc(after, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.call(id)
	})
}

// remove takes the waiter out of all lines; c is locked.
func (c *caps) remove(w *waiter) {
	for _, at := range w.places {
		l := c.lines[at.channel.ID]
		if l == nil {
			continue
		}
		l.waiting = slices.DeleteFunc(l.waiting, func(other *waiter) bool { return other == w })
		if len(l.waiting) > 0 {
			continue
		}
		delete(c.lines, at.channel.ID)
		if l.again != nil {
			l.again.Stop()
		}
	}
}

// leave ends an attempt, which has used these tokens. Only the first end of a
// seat counts.
func (s *seat) leave(used limit.Tokens) {
	s.end(func(lease *limit.Lease) { lease.Done(s.caps.now(), used) })
}

// cancel gives a seat back of which no use was made.
func (s *seat) cancel() {
	s.end(func(lease *limit.Lease) { lease.Cancel(s.caps.now()) })
}

func (s *seat) end(how func(*limit.Lease)) {
	if s.lease == nil {
		return
	}
	how(s.lease)
	s.lease = nil
	s.caps.mu.Lock()
	defer s.caps.mu.Unlock()
	s.caps.call(s.channel)
}
