// Package limit owns how often and how much at once: requests per minute and
// per day, tokens per minute and requests at the same time, of keys, accounts,
// groups and models of each. It is exact on one node. Several nodes count
// together through a Shared, or else each takes its share of every limit. It
// keeps nothing but recent history in memory, and must not know HTTP, SQL, or
// what a key is.
package limit

import (
	"math/bits"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Whose says whose limits a scope's are.
type Whose uint8

// A parent key's are counted together with what the parent does itself.
const (
	ThisKey Whose = iota
	ParentKey
	Account
	Group
	Channel
)

// Scope is one whom a request counts against, with the limits.
type Scope struct {
	Whose  Whose
	ID     int64  // of the key, the account or the channel
	Name   string // of the group
	Limits *Limits
}

// subject is who a history belongs to.
type subject struct {
	kind byte // k, u, g or c
	id   int64
	name string
}

func (s *Scope) subject() subject {
	switch s.Whose {
	case Account:
		return subject{kind: 'u', id: s.ID}
	case Group:
		return subject{kind: 'g', name: s.Name}
	case Channel:
		return subject{kind: 'c', id: s.ID}
	}
	return subject{kind: 'k', id: s.ID}
}

// Request is what is known of a request when it asks to be let in.
type Request struct {
	Model string
	// Input is how many input tokens it will use at the least.
	Input int64
	// OutputCap is how many output tokens it may use at the most.
	OutputCap int64
}

// Limited reports whether any of the scopes has a limit.
func Limited(scopes []Scope) bool {
	for i := range scopes {
		if !scopes[i].Limits.none() {
			return true
		}
	}
	return false
}

// Tokens are what a request used.
type Tokens struct{ Input, Output int64 }

// Options are what a Limiter is made of.
type Options struct {
	// Match tells whether a model is one of a pattern's.
	Match func(pattern, model string) bool
	// Share says which of how many nodes this is, from 0; nil is the only one.
	Share func() (index, nodes int)
	// Shared counts for all nodes together; nil when each takes its share.
	Shared Shared
}

// Limiter counts what keys, accounts and groups do. Use New.
type Limiter struct {
	match  func(pattern, model string) bool
	shares shares
	shared Shared
	leases atomic.Uint64 // counts those that the Shared knows
	node   string        // begins their names
	shards [shardCount]shard
}

const shardCount = 64 // as many as a shardSet has bits

type shard struct {
	mu     sync.Mutex
	states map[subject]*state
}

// state is a subject's recent history, guarded by its shard's lock.
type state struct {
	seen     int64 // when it was last asked for, in Unix nanoseconds
	inFlight int64
	outputs  int64 // a running mean of output tokens, see reserve
	whole    windows
	patterns map[string]*windows
}

// windows are the histories of a subject, or of one of its patterns.
type windows struct {
	minute window // requests
	day    window // requests
	tokens [3]window
}

// New makes a Limiter.
func New(o Options) *Limiter {
	l := &Limiter{match: o.Match, shared: o.Shared, node: nodeName()}
	l.shares.of = o.Share
	for i := range l.shards {
		l.shards[i].states = map[subject]*state{}
	}
	return l
}

// shardSet is a set of shards, a bit each.
type shardSet uint64

func (s subject) shard() int {
	h := uint64(s.id)*2 + uint64(s.kind)
	for i := range len(s.name) {
		h = h*31 + uint64(s.name[i])
	}
	return int(h % shardCount)
}

func shardsOf(scopes []Scope) shardSet {
	var set shardSet
	for i := range scopes {
		if !scopes[i].Limits.none() {
			set |= 1 << scopes[i].subject().shard()
		}
	}
	return set
}

// lock takes the shards' locks, always in the same order.
func (l *Limiter) lock(set shardSet) {
	for ; set != 0; set &= set - 1 {
		l.shards[bits.TrailingZeros64(uint64(set))].mu.Lock()
	}
}

func (l *Limiter) unlock(set shardSet) {
	for ; set != 0; set &= set - 1 {
		l.shards[bits.TrailingZeros64(uint64(set))].mu.Unlock()
	}
}

// Take lets a request in, by all limits of all scopes together, or says why not.
// Its tokens count as estimated until Done brings the real figures. A refused
// request counts nowhere.
func (l *Limiter) Take(now time.Time, scopes []Scope, r Request) (*Lease, *Denied) {
	if !Limited(scopes) {
		return nil, nil
	}
	if l.shared != nil {
		return l.takeShared(now, scopes, r)
	}
	return l.takeLocal(now, scopes, r)
}

// takeLocal judges by this node's share.
func (l *Limiter) takeLocal(now time.Time, scopes []Scope, r Request) (*Lease, *Denied) {
	set := shardsOf(scopes)
	l.lock(set)
	defer l.unlock(set)
	var space [12]rule
	rules := l.rules(space[:0], now, scopes, r)
	l.shares.apply(now, rules)
	if denied := deny(now, scopes, rules); denied != nil {
		denied.Facts = facts(now, rules)
		return nil, denied
	}
	return l.admit(now, scopes, set, rules), nil
}

// admit counts a request in; the shards are locked.
func (l *Limiter) admit(now time.Time, scopes []Scope, set shardSet, rules []rule) *Lease {
	lease := &Lease{limiter: l, set: set}
	lease.takes, lease.states = lease.takeRoom[:0], lease.stateRoom[:0]
	for i := range scopes {
		if s := &scopes[i]; !s.Limits.none() {
			st := l.state(now, s.subject())
			st.inFlight++
			lease.states = append(lease.states, st)
		}
	}
	for i := range rules {
		if rl := &rules[i]; rl.window != nil {
			lease.takes = append(lease.takes, take{rl.window, rl.window.add(now, rl.span, rl.amount), rl.amount, rl.counts})
		}
	}
	lease.facts = facts(now, rules)
	return lease
}

// Peek gives the facts without taking anything.
func (l *Limiter) Peek(now time.Time, scopes []Scope, r Request) Facts {
	if !Limited(scopes) {
		return Facts{}
	}
	if l.shared != nil {
		return l.peekShared(now, scopes, r)
	}
	return l.peekLocal(now, scopes, r)
}

func (l *Limiter) peekLocal(now time.Time, scopes []Scope, r Request) Facts {
	set := shardsOf(scopes)
	l.lock(set)
	defer l.unlock(set)
	var space [12]rule
	rules := l.rules(space[:0], now, scopes, r)
	l.shares.apply(now, rules)
	return facts(now, rules)
}

// state is the subject's history; whoever adds one takes some idle ones away, so
// that memory follows the number of subjects in use.
func (l *Limiter) state(now time.Time, s subject) *state {
	states := l.shards[s.shard()].states
	st := states[s]
	if st != nil {
		st.seen = now.UnixNano()
		return st
	}
	looked := 0
	for id, old := range states { // begins anywhere
		// The request that asks may have found that one just before.
		if old.seen != now.UnixNano() && old.idle(now) {
			delete(states, id)
		}
		if looked++; looked == 8 {
			break
		}
	}
	st = &state{seen: now.UnixNano(), outputs: firstOutputs}
	states[s] = st
	return st
}

func (st *state) idle(now time.Time) bool {
	if st.inFlight > 0 || !st.whole.idle(now) {
		return false
	}
	for pattern, w := range st.patterns {
		if !w.idle(now) {
			return false
		}
		delete(st.patterns, pattern)
	}
	return true
}

func (w *windows) idle(now time.Time) bool {
	for i := range w.tokens {
		if w.tokens[i].within(now, time.Minute) != 0 {
			return false
		}
	}
	return w.minute.within(now, time.Minute) == 0 && w.day.within(now, day) == 0
}

const day = 24 * time.Hour

// leaseName names a request for the Shared, unlike any other of any node.
func (l *Limiter) leaseName() string {
	return l.node + strconv.FormatUint(l.leases.Add(1), 36)
}
