package limit

import "time"

// Lease is one request that was let in. A nil Lease is that of a request
// without limits; its methods do nothing. Of Done and Cancel only the first
// counts. A Lease belongs to one request and is not for concurrent use.
type Lease struct {
	limiter *Limiter
	set     shardSet
	facts   Facts
	takes   []take
	states  []*state
	shared  *sharedLease // what the Shared was told, nil when nothing
	done    bool

	// What most requests need.
	takeRoom  [6]take
	stateRoom [3]*state
}

// take is what a lease has put into one window.
type take struct {
	window *window
	entry  uint64
	amount int64
	counts counts
}

// Facts are those for the answer's headers, as of Take.
func (le *Lease) Facts() Facts {
	if le == nil {
		return Facts{}
	}
	return le.facts
}

// Done ends the request. What it used beyond the estimate counts from now on;
// what it used less is given back.
func (le *Lease) Done(now time.Time, used Tokens) {
	if le != nil && !le.done {
		le.end(now, correction{used: Tokens{max(used.Input, 0), max(used.Output, 0)}})
	}
}

// Cancel ends a request that was refused after all, by another rule: it counts
// nowhere.
func (le *Lease) Cancel(now time.Time) {
	if le != nil && !le.done {
		le.end(now, correction{cancel: true})
	}
}

// correction turns what was taken into what was used.
type correction struct {
	used   Tokens
	cancel bool
}

// of is by how much a limit's count changes of which amount was taken.
func (c correction) of(what counts, amount int64) int64 {
	switch {
	case c.cancel:
		return -amount
	case what.tokens():
		return what.of(c.used) - amount
	}
	return 0
}

func (le *Lease) end(now time.Time, c correction) {
	le.done = true
	l := le.limiter
	l.lock(le.set)
	for _, st := range le.states {
		st.inFlight--
		st.learn(c.used.Output)
	}
	for _, t := range le.takes {
		switch by := c.of(t.counts, t.amount); {
		case by > 0: // tokens, which are counted by the minute
			t.window.add(now, time.Minute, by)
		case by < 0:
			t.window.giveBack(t.entry, -by)
		}
	}
	l.unlock(le.set)
	if le.shared != nil {
		le.shared.end(l.shared, c)
	}
}
