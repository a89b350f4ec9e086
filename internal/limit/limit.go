// Package limit owns how often and how much at once: requests per minute and
// per day, tokens per minute and requests at the same time, per key and per
// model of a key. It is exact on one node and keeps nothing but recent history
// in memory. It must not know HTTP, SQL, or what a key is: limits come in as
// plain numbers.
package limit

import (
	"sync"
	"time"
)

// Limits are one key's. nil is no limit; 0 allows nothing.
type Limits struct {
	RPM         *int64          // requests in any 60 seconds
	RPD         *int64          // requests in any 24 hours
	TPM         *int64          // tokens in any 60 seconds
	Concurrency *int64          // requests at the same time
	PerModel    map[string]Rate // by model pattern; all patterns that match apply
}

// Rate is the limits of what matches one model pattern, taken together.
type Rate struct {
	RPM *int64
	TPM *int64
}

func (l *Limits) none() bool {
	return l == nil || (l.RPM == nil && l.RPD == nil && l.TPM == nil && l.Concurrency == nil && len(l.PerModel) == 0)
}

// Limiter counts what keys do. Use New.
type Limiter struct {
	match  func(pattern, model string) bool
	shards [shardCount]shard
}

const shardCount = 64

type shard struct {
	mu   sync.Mutex
	keys map[int64]*state
}

// state is one key's recent history, guarded by its shard's lock.
type state struct {
	inFlight int64
	whole    windows
	patterns map[string]*windows
}

// windows are the histories of a key, or of one of its patterns.
type windows struct {
	minute window // requests
	day    window // requests
	tokens window // in a minute
}

// New makes a Limiter; match tells whether a model is one of a pattern's.
func New(match func(pattern, model string) bool) *Limiter {
	l := &Limiter{match: match}
	for i := range l.shards {
		l.shards[i].keys = map[int64]*state{}
	}
	return l
}

// Lease is one request that was let in. A nil Lease is that of a key without
// limits; its methods do nothing.
type Lease struct {
	shard  *shard
	state  *state
	facts  Facts
	tokens int64 // reserved
	takes  []take
	room   [4]take // for takes: what most keys need
	done   bool
}

// take is what a lease has put into one window.
type take struct {
	window   *window
	entry    uint64
	isTokens bool
}

// rule is one limit that applies to a request.
type rule struct {
	window   *window
	span     time.Duration
	limit    int64
	pattern  string
	isTokens bool
}

// Take lets a request in, all of its limits together, or says why not. estimate
// is how many tokens the request will surely use; it counts until Done brings
// the real figure. A refused request counts nowhere.
func (l *Limiter) Take(now time.Time, keyID int64, model string, limits *Limits, estimate int64) (*Lease, *Denied) {
	if limits.none() {
		return nil, nil
	}
	estimate = max(estimate, 0)
	sh := &l.shards[uint64(keyID)%shardCount]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	st := sh.state(now, keyID)
	var space [8]rule
	rules := l.rules(space[:0], now, st, model, limits)
	if denied := deny(now, st, rules, limits.Concurrency, estimate); denied != nil {
		denied.Facts = facts(now, rules)
		return nil, denied
	}
	lease := &Lease{shard: sh, state: st, tokens: estimate}
	lease.takes = lease.room[:0]
	for i := range rules {
		r := &rules[i]
		amount := int64(1)
		if r.isTokens {
			amount = estimate
		}
		lease.takes = append(lease.takes, take{r.window, r.window.add(now, r.span, amount), r.isTokens})
	}
	st.inFlight++
	lease.facts = facts(now, rules)
	return lease, nil
}

// Peek gives the facts without taking anything.
func (l *Limiter) Peek(now time.Time, keyID int64, model string, limits *Limits) Facts {
	if limits.none() {
		return Facts{}
	}
	sh := &l.shards[uint64(keyID)%shardCount]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	st := sh.keys[keyID]
	if st == nil {
		st = &state{}
	}
	var space [8]rule
	return facts(now, l.rules(space[:0], now, st, model, limits))
}

// Forget drops a deleted key's history. Leases of it may still end.
func (l *Limiter) Forget(keyID int64) {
	sh := &l.shards[uint64(keyID)%shardCount]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.keys, keyID)
}

// Facts are those for the answer's headers, as of Take.
func (le *Lease) Facts() Facts {
	if le == nil {
		return Facts{}
	}
	return le.facts
}

// Done ends the request. What it used beyond the estimate counts from now on;
// what it used less is given back. Only the first of Done and Cancel counts.
func (le *Lease) Done(now time.Time, tokens int64) {
	if le == nil {
		return
	}
	le.shard.mu.Lock()
	defer le.shard.mu.Unlock()
	if !le.end() {
		return
	}
	over := max(tokens, 0) - le.tokens
	for _, t := range le.takes {
		switch {
		case !t.isTokens || over == 0:
		case over > 0:
			t.window.add(now, time.Minute, over)
		default:
			t.window.giveBack(t.entry, -over)
		}
	}
}

// Cancel ends a request that was refused after all, by another rule: it counts
// nowhere.
func (le *Lease) Cancel() {
	if le == nil {
		return
	}
	le.shard.mu.Lock()
	defer le.shard.mu.Unlock()
	if !le.end() {
		return
	}
	for _, t := range le.takes {
		amount := int64(1)
		if t.isTokens {
			amount = le.tokens
		}
		t.window.giveBack(t.entry, amount)
	}
}

func (le *Lease) end() bool {
	if le.done {
		return false
	}
	le.done = true
	le.state.inFlight--
	return true
}

// state is the key's history; whoever adds a key takes some idle ones away, so
// that memory follows the number of keys in use.
func (sh *shard) state(now time.Time, keyID int64) *state {
	st := sh.keys[keyID]
	if st != nil {
		return st
	}
	looked := 0
	for id, old := range sh.keys { // begins anywhere
		if old.idle(now) {
			delete(sh.keys, id)
		}
		if looked++; looked == 8 {
			break
		}
	}
	st = &state{}
	sh.keys[keyID] = st
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
	return w.minute.within(now, time.Minute) == 0 && w.day.within(now, day) == 0 && w.tokens.within(now, time.Minute) == 0
}

const day = 24 * time.Hour

// rules are the windows that the request has to pass.
func (l *Limiter) rules(rules []rule, now time.Time, st *state, model string, limits *Limits) []rule {
	rules = st.whole.rules(rules, "", limits.RPM, limits.RPD, limits.TPM)
	for pattern, rate := range limits.PerModel {
		if (rate.RPM == nil && rate.TPM == nil) || !l.match(pattern, model) {
			continue
		}
		w := st.patterns[pattern]
		if w == nil {
			if st.patterns == nil {
				st.patterns = map[string]*windows{}
			}
			// Patterns that the key no longer has go when others come.
			for old, history := range st.patterns {
				if _, has := limits.PerModel[old]; !has && history.idle(now) {
					delete(st.patterns, old)
				}
			}
			w = &windows{}
			st.patterns[pattern] = w
		}
		rules = w.rules(rules, pattern, rate.RPM, nil, rate.TPM)
	}
	return rules
}

func (w *windows) rules(rules []rule, pattern string, rpm, rpd, tpm *int64) []rule {
	if rpm != nil {
		rules = append(rules, rule{&w.minute, time.Minute, *rpm, pattern, false})
	}
	if rpd != nil {
		rules = append(rules, rule{&w.day, day, *rpd, pattern, false})
	}
	if tpm != nil {
		rules = append(rules, rule{&w.tokens, time.Minute, *tpm, pattern, true})
	}
	return rules
}

// deny finds what speaks against the request, if anything does: of several
// limits the one that takes longest to pass.
func deny(now time.Time, st *state, rules []rule, concurrency *int64, estimate int64) *Denied {
	var worst *Denied
	if concurrency != nil && st.inFlight >= *concurrency {
		worst = &Denied{Which: Concurrency, Limit: *concurrency, RetryAfter: time.Second}
	}
	for i := range rules {
		r := &rules[i]
		need := int64(1)
		if r.isTokens {
			need = max(estimate, 1)
		}
		wait, ok := r.window.wait(now, r.span, r.limit, need)
		if ok || (worst != nil && worst.RetryAfter >= wait) {
			continue
		}
		worst = &Denied{Which: r.which(), Limit: r.limit, Pattern: r.pattern, RetryAfter: wait, Need: need}
	}
	return worst
}

func (r *rule) which() Which {
	switch {
	case r.isTokens:
		return TokensPerMinute
	case r.span == day:
		return RequestsPerDay
	}
	return RequestsPerMinute
}
