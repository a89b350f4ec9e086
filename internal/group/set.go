package group

import (
	"maps"
	"slices"
)

// Set is all groups at one moment. It never changes, so it can be read by any
// number of goroutines without a lock.
type Set struct {
	byName map[string]*Group
	sorted []*Group // by name, Default first
}

// NewSet makes the set of the groups given.
func NewSet(groups []*Group) *Set {
	s := &Set{byName: make(map[string]*Group, len(groups))}
	for _, g := range groups {
		s.byName[g.Name] = g
	}
	s.sorted = slices.SortedFunc(maps.Values(s.byName), func(a, b *Group) int {
		switch {
		case a.Name == b.Name:
			return 0
		case a.Name == Default || (b.Name != Default && a.Name < b.Name):
			return -1
		}
		return 1
	})
	return s
}

// Get is the group of that name.
func (s *Set) Get(name string) (*Group, bool) {
	g, ok := s.byName[name]
	return g, ok
}

// All is every group: Default first, then by name. The slice is shared and must
// not be changed.
func (s *Set) All() []*Group { return s.sorted }

// Usable reports whether the group exists and the user may use it.
func (s *Set) Usable(name string, u User) bool {
	g, ok := s.byName[name]
	return ok && g.Usable(u)
}

// For is every group that the user may use, in All's order.
func (s *Set) For(u User) []*Group {
	var usable []*Group
	for _, g := range s.sorted {
		if g.Usable(u) {
			usable = append(usable, g)
		}
	}
	return usable
}

// Strategies are the groups' strategies, by name.
func (s *Set) Strategies() map[string]Strategy {
	strategies := make(map[string]Strategy, len(s.sorted))
	for _, g := range s.sorted {
		strategies[g.Name] = g.Strategy
	}
	return strategies
}

// with is the set with g put in or replaced, without the group named drop.
func (s *Set) with(g *Group, drop string) *Set {
	groups := make([]*Group, 0, len(s.sorted)+1)
	for _, old := range s.sorted {
		if old.Name != drop && (g == nil || old.Name != g.Name) {
			groups = append(groups, old)
		}
	}
	if g != nil {
		groups = append(groups, g)
	}
	return NewSet(groups)
}
