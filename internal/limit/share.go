package limit

import (
	"sync/atomic"
	"time"
)

// shares are this node's parts of limits that several nodes have. The parts of
// all nodes add up to the limit: each gets the whole part of limit / nodes, and
// what is left over goes to the first nodes, one each. So of a limit that is
// smaller than the number of nodes the first nodes have all; it is always the
// first, that no request needs what two nodes have.
type shares struct {
	of   func() (index, nodes int) // nil: there is one node
	held atomic.Pointer[held]
}

// held is which part a node has. One that it had within the last minute bounds
// it, too: what was let in by it still counts, and others have had the rest.
type held struct {
	part
	earlier []earlier
}

type part struct{ index, nodes int }

type earlier struct {
	part
	until time.Time
}

func (p part) of(limit int64) int64 {
	share := limit / int64(p.nodes)
	if int64(p.index) < limit%int64(p.nodes) {
		share++
	}
	return share
}

// apply makes the rules those of this node.
func (s *shares) apply(now time.Time, rules []rule) {
	h := s.current(now)
	if h == nil || (h.nodes == 1 && len(h.earlier) == 0) {
		return
	}
	for i := range rules {
		r := &rules[i]
		r.share, r.nodes = h.part.of(r.limit), h.nodes
		for _, e := range h.earlier {
			if now.Before(e.until) {
				r.share, r.nodes = min(r.share, e.of(r.limit)), max(r.nodes, e.nodes)
			}
		}
	}
}

// nodes are how many there are.
func (s *shares) nodes(now time.Time) int {
	if h := s.current(now); h != nil {
		return h.nodes
	}
	return 1
}

func (s *shares) current(now time.Time) *held {
	if s.of == nil {
		return nil
	}
	var p part
	p.index, p.nodes = s.of()
	p.nodes = max(p.nodes, 1)
	for {
		before := s.held.Load()
		switch {
		case before != nil && before.part == p:
			return before
		case before == nil:
			if first := (&held{part: p}); s.held.CompareAndSwap(nil, first) {
				return first
			}
			continue
		}
		next := &held{part: p}
		for _, e := range before.earlier {
			if now.Before(e.until) {
				next.earlier = append(next.earlier, e)
			}
		}
		next.earlier = append(next.earlier, earlier{before.part, now.Add(time.Minute)})
		if s.held.CompareAndSwap(before, next) {
			return next
		}
	}
}
