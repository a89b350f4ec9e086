package health

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Tracker keeps the health of all targets. Use New. It is safe for concurrent
// use. A channel that is well is looked at without a lock; an attempt takes its
// channel's lock when the answer begins and when it ends.
type Tracker struct {
	config Config
	shards [shardCount]shard
}

const shardCount = 64

// shard holds some of the channels. The map is never changed but replaced,
// under the lock: there are few channels, and they seldom come or go.
type shard struct {
	mu       sync.Mutex
	channels atomic.Pointer[map[int64]*channelState]
}

// channelState is everything known of one channel.
type channelState struct {
	id       int64
	inFlight atomic.Int64
	// troubled counts the gates that are not plainly closed. At 0 nothing else
	// needs to be looked at.
	troubled atomic.Int32
	// epoch grows when a gate shuts or opens. An attempt remembers the epoch in
	// which it began, so that what ends late says nothing about what came after.
	epoch atomic.Uint64

	mu     sync.Mutex // guards all below
	probes uint64     // probes so far: their numbers
	keys   map[string]*keyState
}

// keyState is an upstream key, and the models it was used for.
type keyState struct {
	gate
	row    int // probes of the key as a whole that failed since anything was answered
	models map[string]*modelState
}

// modelState is a model reached with an upstream key.
type modelState struct {
	gate
	window    window
	row       int // failures since the last success
	firstByte average
	used      time.Time
}

// maxModels bounds the models of one upstream key: where a channel takes any
// name, clients decide how many there are. Further ones go without history.
const maxModels = 4096

// New makes a Tracker. An error names the field of the configuration that is
// out of range.
func New(config Config) (*Tracker, error) {
	config = config.withDefaults()
	if err := config.check(); err != nil {
		return nil, err
	}
	t := &Tracker{config: config}
	for i := range t.shards {
		t.shards[i].channels.Store(&map[int64]*channelState{})
	}
	return t, nil
}

// Clear reports that nothing speaks against any target of the channel. It is
// the quick way to what Look says in more words.
func (t *Tracker) Clear(channel int64) bool {
	c := t.known(channel)
	return c == nil || c.troubled.Load() == 0
}

// Look gives what may be sent to a target now. It changes nothing.
func (t *Tracker) Look(now time.Time, target Target) Verdict {
	c := t.known(target.Channel)
	if c == nil || c.troubled.Load() == 0 {
		return Verdict{State: Closed, Share: 1}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key, model := c.find(target)
	v := Verdict{State: Closed, Share: 1}
	if key != nil {
		v = key.verdict(now, &t.config)
	}
	if model != nil {
		v = both(v, model.verdict(now, &t.config))
	}
	return v
}

// InFlight is how many attempts a channel has under way.
func (t *Tracker) InFlight(channel int64) int64 {
	if c := t.known(channel); c != nil {
		return c.inFlight.Load()
	}
	return 0
}

// FirstByte is the usual time to first byte of a target, recent answers
// counting most; false when none is known. What has not been measured for a
// while looks better by and by, so that it is tried again.
func (t *Tracker) FirstByte(now time.Time, target Target) (time.Duration, bool) {
	c := t.known(target.Channel)
	if c == nil {
		return 0, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, model := c.find(target)
	if model == nil {
		return 0, false
	}
	return model.firstByte.read(now)
}

// Retain forgets the channels and upstream keys that keep does not want, such
// as those that the operator has removed or replaced. For a channel without
// upstream keys the credential is "".
func (t *Tracker) Retain(keep func(channel int64, credential string) bool) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		left := maps.Clone(*s.channels.Load())
		maps.DeleteFunc(left, func(_ int64, c *channelState) bool { return c.retain(keep) == 0 && c.inFlight.Load() == 0 })
		s.channels.Store(&left)
		s.mu.Unlock()
	}
}

// Forget makes a channel as new, as an administrator may ask for.
func (t *Tracker) Forget(channel int64) {
	if c := t.known(channel); c != nil {
		c.retain(func(int64, string) bool { return false })
	}
}

// retain says how many upstream keys are left.
func (c *channelState) retain(keep func(channel int64, credential string) bool) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, key := range c.keys {
		if keep(c.id, id) {
			continue
		}
		c.discount(&key.gate)
		for _, model := range key.models {
			c.discount(&model.gate)
		}
		delete(c.keys, id)
	}
	return len(c.keys)
}

func (t *Tracker) shardOf(channel int64) *shard { return &t.shards[uint64(channel)%shardCount] }

// known is the state of a channel, nil when there is none.
func (t *Tracker) known(channel int64) *channelState {
	return (*t.shardOf(channel).channels.Load())[channel]
}

// channel is the state of a channel, made when there is none.
func (t *Tracker) channel(id int64) *channelState {
	if c := t.known(id); c != nil {
		return c
	}
	s := t.shardOf(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := *s.channels.Load()
	if c := old[id]; c != nil {
		return c
	}
	c := &channelState{id: id, keys: map[string]*keyState{}}
	next := maps.Clone(old)
	next[id] = c
	s.channels.Store(&next)
	return c
}

// find gives what is known of a target, nil where nothing is.
func (c *channelState) find(target Target) (*keyState, *modelState) {
	key := c.keys[target.Credential]
	if key == nil {
		return nil, nil
	}
	return key, key.models[target.Model]
}

// need is find, and makes what is missing. The model's state is nil for the key
// as a whole, and when the key has too many.
func (c *channelState) need(now time.Time, target Target, idleAfter time.Duration) (*keyState, *modelState) {
	key, model := c.find(target)
	if key == nil {
		key = &keyState{models: map[string]*modelState{}}
		c.keys[strings.Clone(target.Credential)] = key
	}
	if model == nil && target.Model != "" {
		c.sweep(now, key, idleAfter)
		if len(key.models) < maxModels {
			model = &modelState{used: now}
			// The name may be part of a large request body.
			key.models[strings.Clone(target.Model)] = model
		}
	}
	return key, model
}

// sweep takes some idle models away. It runs whenever one is added, so that
// memory follows what is in use.
func (c *channelState) sweep(now time.Time, key *keyState, idleAfter time.Duration) {
	looked := 0
	for name, m := range key.models { // begins anywhere
		idle := now.Add(-idleAfter)
		if m.used.Before(idle) && m.until.Before(idle) && m.probeBy.Before(idle) {
			c.discount(&m.gate)
			delete(key.models, name)
		}
		if looked++; looked == 8 {
			return
		}
	}
}
