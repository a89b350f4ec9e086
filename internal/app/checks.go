package app

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"halley/internal/channel"
	"halley/internal/gateway"
)

const (
	// checkTick is how often the checks look at what is due.
	checkTick = time.Second
	// checksAtOnce bounds how many channels are checked at once, and checkLimit
	// how long one may take, whatever its time limits are.
	checksAtOnce = 8
	checkLimit   = time.Minute
)

// checks looks after the channels that want it. With several servers each checks
// as many times less often, so that an upstream is not asked more for it.
type checks struct {
	channels func() []*channel.Channel
	check    func(ctx context.Context, ch *channel.Channel) gateway.CheckResult
	servers  func() int // how many are at work, this one included
	roll     func() float64
	now      func() time.Time
	log      *slog.Logger
	told     func(gateway.CheckResult)

	ctx   context.Context // ended by stop
	end   context.CancelFunc
	done  sync.WaitGroup
	slots chan struct{}

	mu   sync.Mutex
	next map[int64]time.Time
	busy map[int64]bool
	last map[int64]gateway.CheckResult
}

func newChecks(c *checks) *checks {
	c.next, c.busy, c.last = map[int64]time.Time{}, map[int64]bool{}, map[int64]gateway.CheckResult{}
	c.slots = make(chan struct{}, checksAtOnce)
	c.ctx, c.end = context.WithCancel(context.Background())
	return c
}

// Last is what the last check of the channel came to.
func (c *checks) Last(id int64) (gateway.CheckResult, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.last[id]
	return r, ok
}

func (c *checks) start() {
	c.done.Go(func() {
		tick := time.NewTicker(checkTick)
		defer tick.Stop()
		for {
			select {
			case <-c.ctx.Done():
				return
			case <-tick.C:
				c.look()
			}
		}
	})
}

func (c *checks) stop() {
	c.end()
	c.done.Wait()
}

// look begins the checks that are due, and forgets channels that want none.
func (c *checks) look() {
	now := c.now()
	wanted := map[int64]bool{}
	for _, ch := range c.channels() {
		if ch.Checks.Mode == channel.NoChecks || ch.Status != channel.Enabled {
			continue
		}
		wanted[ch.ID] = true
		if c.due(now, ch) {
			c.done.Go(func() { c.run(ch) })
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.next {
		if !wanted[id] {
			delete(c.next, id)
			delete(c.last, id)
		}
	}
}

// due reports whether the channel is to be checked now, and then says when it is
// next. The first time is anywhere in its interval, so that a start of the server
// is no rush.
func (c *checks) due(now time.Time, ch *channel.Channel) bool {
	every := ch.Checks.Interval() * time.Duration(max(1, c.servers()))
	c.mu.Lock()
	defer c.mu.Unlock()
	next, known := c.next[ch.ID]
	switch {
	case !known:
		c.next[ch.ID] = now.Add(time.Duration(c.roll() * float64(min(every, time.Minute))))
		return false
	case now.Before(next) && next.Sub(now) <= every*5/4: // else the interval has become shorter
		return false
	case c.busy[ch.ID]:
		return false
	}
	c.next[ch.ID] = now.Add(time.Duration((0.9 + 0.2*c.roll()) * float64(every)))
	c.busy[ch.ID] = true
	return true
}

func (c *checks) run(ch *channel.Channel) {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.busy, ch.ID)
	}()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-c.ctx.Done():
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, checkLimit)
	defer cancel()
	r := c.check(ctx, ch)
	if c.ctx.Err() != nil {
		return
	}
	c.told(r)
	c.mu.Lock()
	before, known := c.last[ch.ID]
	c.last[ch.ID] = r
	c.mu.Unlock()
	if r.OK == before.OK && (known || r.OK) {
		return
	}
	level, text := slog.LevelWarn, "a channel's check fails"
	if r.OK {
		level, text = slog.LevelInfo, "a channel's check succeeds again"
	}
	c.log.LogAttrs(context.Background(), level, text, slog.Int64("channel_id", ch.ID), slog.String("error", r.Message))
}
