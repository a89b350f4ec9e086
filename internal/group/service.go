package group

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"halley/internal/fault"
	"halley/internal/limit"
	"halley/internal/money"
)

// Store keeps groups.
type Store interface {
	// Groups gives all groups, in any order.
	Groups(ctx context.Context) ([]*Group, error)
	// Group gives one; a NotFound fault when there is none.
	Group(ctx context.Context, name string) (*Group, error)
	// InsertGroup adds g as version 1; false when the name is taken.
	InsertGroup(ctx context.Context, g *Group) (bool, error)
	// UpdateGroup replaces the group of g's name by g, whose version becomes
	// the stored one plus 1, if the stored one is still version; else false.
	UpdateGroup(ctx context.Context, g *Group, version int64) (bool, error)
	// DeleteGroup deletes the group unless something uses it, in one
	// transaction, and says what does. A missing group is a NotFound fault.
	DeleteGroup(ctx context.Context, name string) (Uses, error)
}

// Uses counts what refers to a group.
type Uses struct{ Keys, Users, Channels int64 }

// None reports whether nothing does.
func (u Uses) None() bool { return u == Uses{} }

// String counts in words: "2 keys and 1 channel".
func (u Uses) String() string {
	var parts []string
	for _, p := range []struct {
		n    int64
		what string
	}{{u.Keys, "key"}, {u.Users, "user"}, {u.Channels, "channel"}} {
		switch {
		case p.n == 1:
			parts = append(parts, "1 "+p.what)
		case p.n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", p.n, p.what))
		}
	}
	switch len(parts) {
	case 0:
		return "nothing"
	case 1:
		return parts[0]
	}
	last := len(parts) - 1
	return strings.Join(parts[:last], ", ") + " and " + parts[last]
}

// Change is what an edit sets; nil members stay as they are.
type Change struct {
	Ratio    *string   // decimal, as in "1.25"
	Desc     *string   // at most MaxDesc characters
	UsableBy *[]string // nil inside means everybody
	Limits   *limit.Patch
}

// Service owns the groups. Reads come from an immutable Set; every change is
// written to the store and then swapped in, so it counts for the next request.
type Service struct {
	store Store
	set   atomic.Pointer[Set]

	mu       sync.Mutex // one change or reload at a time
	onChange []func()
}

// NewService makes a service that knows no group until Reload.
func NewService(store Store) *Service {
	s := &Service{store: store}
	s.set.Store(NewSet(nil))
	return s
}

// OnChange adds a function that runs after every swap of the set, whether a
// change made here or a reload; it must not change groups itself. Call it
// before the service is shared.
func (s *Service) OnChange(f func()) { s.onChange = append(s.onChange, f) }

// Current is all groups now.
func (s *Service) Current() *Set { return s.set.Load() }

// Reload reads all groups from the store, for the start and for changes made by
// others. On failure the old set stays.
func (s *Service) Reload(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	groups, err := s.store.Groups(ctx)
	if err != nil {
		return fmt.Errorf("read the groups: %w", err)
	}
	s.swap(NewSet(groups))
	return nil
}

// Create adds a group. What the change leaves out is ratio 1, no description,
// usable by everybody.
func (s *Service) Create(ctx context.Context, name string, change Change) (*Group, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	g, err := change.apply(Group{Name: name, Ratio: money.One, Version: 1})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	added, err := s.store.InsertGroup(ctx, g)
	if err != nil {
		return nil, fmt.Errorf("add the group: %w", err)
	}
	if !added {
		return nil, fault.New(fault.Conflict, "group_exists", "There is already a group %q.", name).Field("name")
	}
	s.swap(s.set.Load().with(g, ""))
	return g, nil
}

// Update changes a group; with ifVersion only when it still is that version.
func (s *Service) Update(ctx context.Context, name string, change Change, ifVersion *int64) (*Group, error) {
	if CheckName(name) != nil {
		return nil, NotFound(name) // not every database takes the question
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		old, err := s.store.Group(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("read the group: %w", err)
		}
		if ifVersion != nil && *ifVersion != old.Version {
			return nil, fault.New(fault.PreconditionFailed, "version_conflict", "The group is at version %d by now.", old.Version)
		}
		g, err := change.apply(*old)
		if err != nil {
			return nil, err
		}
		g.Version = old.Version + 1
		updated, err := s.store.UpdateGroup(ctx, g, old.Version)
		if err != nil {
			return nil, fmt.Errorf("change the group: %w", err)
		}
		if updated {
			s.swap(s.set.Load().with(g, ""))
			return g, nil
		}
		// Another node changed it in between: look again. Each round lost is
		// a round that somebody else won, and the context bounds the waiting.
	}
}

// Delete removes a group that nothing uses.
func (s *Service) Delete(ctx context.Context, name string) error {
	if name == Default {
		return fault.New(fault.Conflict, "default_group", "The group %q cannot be deleted.", Default).Field("name")
	}
	if CheckName(name) != nil {
		return NotFound(name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	uses, err := s.store.DeleteGroup(ctx, name)
	if err != nil {
		return fmt.Errorf("delete the group: %w", err)
	}
	if !uses.None() {
		return fault.New(fault.Conflict, "group_in_use", "The group %q is in use by %s.", name, uses).Field("name")
	}
	s.swap(s.set.Load().with(nil, name))
	return nil
}

func (s *Service) swap(set *Set) {
	s.set.Store(set)
	for _, f := range s.onChange {
		f()
	}
}

// apply gives a changed copy, checked.
func (c Change) apply(g Group) (*Group, error) {
	if c.Ratio != nil {
		ratio, err := parseRatio(*c.Ratio)
		if err != nil {
			return nil, err
		}
		g.Ratio = ratio
	}
	if c.Desc != nil {
		g.Desc = strings.TrimSpace(*c.Desc)
		if err := checkDesc(g.Desc); err != nil {
			return nil, err
		}
	}
	if c.UsableBy != nil {
		list, err := checkUsableBy(*c.UsableBy)
		if err != nil {
			return nil, err
		}
		g.UsableBy = list
	}
	if c.Limits != nil {
		limits, err := c.Limits.Apply(g.Limits)
		if err == nil {
			err = limit.CheckSize(limits)
		}
		if err != nil {
			return nil, err
		}
		g.Limits = limits
	}
	return &g, nil
}
