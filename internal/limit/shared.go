package limit

import (
	"crypto/rand"
	"strconv"
	"time"
)

// Shared counts for all nodes together. Its methods take a bounded time, and an
// error means that the counts cannot be had right now.
type Shared interface {
	// State tells how far the counts can be relied on.
	State() State
	// Take judges a request by all rules together and counts it in all, or in
	// none when one of them has a Wait. With force it counts without judging.
	// There is one Count for each rule. A State that turns out to be none of
	// Exact is an error.
	Take(lease string, rules []SharedRule, force bool) ([]Count, error)
	// Peek gives the counts without taking anything.
	Peek(rules []SharedRule) ([]Count, error)
	// Track names the sets of requests at the same time that a request is in
	// until Done, so that a Shared that was away hears of it when it is back.
	Track(lease string, sets []string)
	// Done ends a request and corrects what it took.
	Done(lease string, changes []SharedChange)
}

// State is how far a Shared can be relied on.
type State uint8

// Warming counts are right, but do not reach back far enough to judge by.
const (
	Away State = iota
	Warming
	Exact
)

// SharedRule is one limit as a Shared knows it.
type SharedRule struct {
	Name   string        // of what is counted, the same on all nodes
	Span   time.Duration // 0: requests at the same time
	Limit  int64
	Amount int64
}

// Count is how a rule stands: after a request that was let in, else before it.
type Count struct {
	Wait  time.Duration // until the request would fit; 0 when it does
	Used  int64
	Clear time.Duration // until nothing counts any more
	Entry int64         // where the request's amount is
}

// SharedChange corrects what a request took of a rule: By is added.
type SharedChange struct {
	Name  string
	Span  time.Duration
	Entry int64
	By    int64
}

// sharedLease is what a Shared was told of a request.
type sharedLease struct {
	name  string
	takes []sharedTake
}

type sharedTake struct {
	rule   SharedRule
	counts counts
	entry  int64
}

// nodeName is unlike that of any other node or earlier run.
func nodeName() string { return rand.Text()[:12] + "." }

// sharedRules are the request's rules with the names that all nodes know them
// by: whose, of which models, which limit.
func sharedRules(scopes []Scope, rules []rule) []SharedRule {
	list := make([]SharedRule, len(rules))
	for i := range rules {
		r := &rules[i]
		s := scopes[r.scope].subject()
		name := string(s.kind) + ":" + s.name
		if s.name == "" {
			name += strconv.FormatInt(s.id, 10)
		}
		if r.pattern != "" {
			name += ":" + r.pattern
		}
		list[i] = SharedRule{Name: name + ":" + string(r.which()), Span: r.span, Limit: r.limit, Amount: r.amount}
	}
	return list
}

// takeShared judges by the counts of all nodes. While they are not to be relied
// on it judges by this node's share, as it has counted all along.
func (l *Limiter) takeShared(now time.Time, scopes []Scope, r Request) (*Lease, *Denied) {
	rules := l.copyRules(now, scopes, r)
	if len(rules) == 0 { // limits of other models only
		return l.takeLocal(now, scopes, r)
	}
	asked := sharedRules(scopes, rules)
	if l.shared.State() == Exact {
		if lease, denied, ok := l.takeExact(now, scopes, r, rules, asked); ok {
			return lease, denied
		}
	}
	lease, denied := l.takeLocal(now, scopes, r)
	if denied == nil {
		l.tell(lease, rules, asked)
	}
	return lease, denied
}

// takeExact asks the Shared; ok is false when it has no answer.
func (l *Limiter) takeExact(now time.Time, scopes []Scope, r Request, rules []rule, asked []SharedRule) (*Lease, *Denied, bool) {
	name := l.leaseName()
	counts, err := l.shared.Take(name, asked, false)
	if err != nil {
		return nil, nil, false
	}
	denied, facts := judge(scopes, rules, counts)
	if denied != nil {
		denied.Facts = facts
		return nil, denied, true
	}
	l.track(name, asked)
	shared := newSharedLease(name, rules, asked, counts)
	lease, denied := l.takeWhole(now, scopes, r)
	if denied != nil {
		denied.Facts = facts
		shared.end(l.shared, correction{cancel: true})
		return nil, denied, true
	}
	lease.facts, lease.shared = facts, shared
	return lease, nil, true
}

// copyRules are the request's rules as they are now.
func (l *Limiter) copyRules(now time.Time, scopes []Scope, r Request) []rule {
	set := shardsOf(scopes)
	l.lock(set)
	defer l.unlock(set)
	return l.rules(nil, now, scopes, r)
}

// takeWhole counts a request in on this node, too. A Shared that has lost its
// counts judges again when they reach back a minute; that this node let a day's
// limit in already is remembered here.
func (l *Limiter) takeWhole(now time.Time, scopes []Scope, r Request) (*Lease, *Denied) {
	set := shardsOf(scopes)
	l.lock(set)
	defer l.unlock(set)
	rules := l.rules(nil, now, scopes, r)
	for i := range rules {
		// The two clocks need not agree on when the last of a day leaves it.
		if rl := &rules[i]; rl.span == day && rl.window.since(now.Add(time.Second-day)) >= rl.limit {
			wait, _ := rl.wait(now)
			return nil, rl.denied(scopes, wait)
		}
	}
	return l.admit(now, scopes, set, rules), nil
}

// judge is deny and facts for a Shared's counts.
func judge(scopes []Scope, rules []rule, counts []Count) (*Denied, Facts) {
	var worst *Denied
	var f Facts
	for i := range rules {
		r, c := &rules[i], &counts[i]
		f.add(r, r.limit-c.Used, c.Clear)
		if c.Wait > 0 && (worst == nil || worst.RetryAfter < c.Wait) {
			worst = r.denied(scopes, c.Wait)
		}
	}
	return worst, f
}

func newSharedLease(name string, rules []rule, asked []SharedRule, counts []Count) *sharedLease {
	lease := &sharedLease{name: name, takes: make([]sharedTake, len(rules))}
	for i := range rules {
		lease.takes[i] = sharedTake{asked[i], rules[i].counts, counts[i].Entry}
	}
	return lease
}

// tell has the Shared count a request that was let in without it.
func (l *Limiter) tell(lease *Lease, rules []rule, asked []SharedRule) {
	name := l.leaseName()
	l.track(name, asked)
	lease.shared = &sharedLease{name: name}
	if l.shared.State() != Warming {
		return
	}
	if counts, err := l.shared.Take(name, asked, true); err == nil {
		lease.shared = newSharedLease(name, rules, asked, counts)
	}
}

func (l *Limiter) track(name string, rules []SharedRule) {
	var sets []string
	for i := range rules {
		if rules[i].Span == 0 {
			sets = append(sets, rules[i].Name)
		}
	}
	if sets != nil {
		l.shared.Track(name, sets)
	}
}

// end tells the Shared of a request's end.
func (s *sharedLease) end(to Shared, c correction) {
	var changes []SharedChange
	for _, t := range s.takes {
		by := c.of(t.counts, t.rule.Amount)
		if t.counts != atOnce && by != 0 {
			changes = append(changes, SharedChange{Name: t.rule.Name, Span: t.rule.Span, Entry: t.entry, By: by})
		}
	}
	to.Done(s.name, changes)
}

func (l *Limiter) peekShared(now time.Time, scopes []Scope, r Request) Facts {
	rules := l.copyRules(now, scopes, r)
	if len(rules) == 0 || l.shared.State() != Exact {
		return l.peekLocal(now, scopes, r)
	}
	counts, err := l.shared.Peek(sharedRules(scopes, rules))
	if err != nil {
		return l.peekLocal(now, scopes, r)
	}
	_, f := judge(scopes, rules, counts)
	return f
}

// Backend names what the limits are counted by now: "redis", "shares" of
// several nodes, or "local".
func (l *Limiter) Backend(now time.Time) string {
	switch {
	case l.shared != nil && l.shared.State() == Exact:
		return "redis"
	case l.shares.nodes(now) > 1:
		return "shares"
	}
	return "local"
}
