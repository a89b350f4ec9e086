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
	// MoveGroup has all that uses the group use another one instead, which is
	// locked so that it stays, and deletes the group: in one transaction. What
	// has begun to use it in the meantime is in Uses, and then nothing has
	// changed. A missing group is a NotFound fault, so is a missing target, for
	// the field move_to.
	MoveGroup(ctx context.Context, name, to string) (Moved, Uses, error)
	// MissingUsers gives those of the ids that are no user's.
	MissingUsers(ctx context.Context, ids []int64) ([]int64, error)
}

// Change is what an edit sets; nil members stay as they are.
type Change struct {
	Ratio    *string    // decimal, as in "1.25"
	Desc     *string    // at most MaxDesc characters
	UsableBy **Audience // nil inside means everybody
	Strategy *Strategy
	Limits   *limit.Patch
}

// Service owns the groups. Reads come from an immutable Set; every change is
// written to the store and then swapped in, so it counts for the next request.
type Service struct {
	store Store
	set   atomic.Pointer[Set]

	mu       sync.Mutex // one change or reload at a time
	onChange []func()
	onMove   []func(context.Context, Moved) error
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

// OnMove adds a function that runs when the users of a group have been moved to
// another one in the store, before the group is taken out of the set: it has what
// is kept in memory of them follow. Call it before the service is shared.
func (s *Service) OnMove(f func(ctx context.Context, m Moved) error) { s.onMove = append(s.onMove, f) }

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
	g, err := change.apply(Group{Name: name, Ratio: money.One, Strategy: Weighted, Version: 1})
	if err == nil {
		err = s.checkUsers(ctx, g.UsableBy, nil)
	}
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
		if err == nil {
			err = s.checkUsers(ctx, g.UsableBy, old.UsableBy)
		}
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

// checkUsers judges the users that are new in an audience: one that was listed
// and has been deleted since does not stand in the way of other changes.
func (s *Service) checkUsers(ctx context.Context, now, before *Audience) error {
	added := now.added(before)
	if len(added) == 0 {
		return nil
	}
	missing, err := s.store.MissingUsers(ctx, added)
	if err != nil {
		return fmt.Errorf("look for users: %w", err)
	}
	if len(missing) > 0 {
		return unknownUser(missing[0])
	}
	return nil
}

// Delete removes a group. One that is in use is a Conflict fault that says by
// what, unless moveTo names the group which is to be used in its place.
func (s *Service) Delete(ctx context.Context, name, moveTo string) (Moved, error) {
	if name == Default {
		return Moved{}, fault.New(fault.Conflict, "default_group", "The group %q cannot be deleted.", Default).Field("name")
	}
	if CheckName(name) != nil {
		return Moved{}, NotFound(name)
	}
	if moveTo != "" && (moveTo == name || CheckName(moveTo) != nil) {
		return Moved{}, fault.New(fault.Invalid, "invalid_group", "move_to must be another group.").Field("move_to")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	moved, uses, err := s.delete(ctx, name, moveTo)
	switch {
	case err != nil:
		return Moved{}, fmt.Errorf("delete the group: %w", err)
	case !uses.None():
		return Moved{}, fault.New(fault.Conflict, "group_in_use", "The group %q is in use by %s.", name, uses.text()).Field("name")
	}
	for _, f := range s.onMove {
		if moved.None() {
			break
		}
		if e := f(ctx, moved); e != nil && err == nil {
			err = fmt.Errorf("read what was moved to another group: %w", e)
		}
	}
	s.swap(s.set.Load().with(nil, name))
	return moved, err
}

func (s *Service) delete(ctx context.Context, name, moveTo string) (Moved, Uses, error) {
	if moveTo != "" {
		return s.store.MoveGroup(ctx, name, moveTo)
	}
	uses, err := s.store.DeleteGroup(ctx, name)
	return Moved{}, uses, err
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
		audience, err := (*c.UsableBy).tidy()
		if err != nil {
			return nil, err
		}
		g.UsableBy = audience
	}
	if c.Strategy != nil {
		if err := checkStrategy(*c.Strategy); err != nil {
			return nil, err
		}
		g.Strategy = *c.Strategy
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
