package channel

import (
	"context"
	"errors"
	"fmt"

	"halley/internal/fault"
)

// MaxBulk is how many channels one bulk action may name.
const MaxBulk = 1000

// Draft is a channel that is not saved, for trying out what a change would make.
// Name and models may be left out. Its keys and proxy are open, its id is 0.
func (s *Service) Draft(change Change) (*Channel, error) {
	if change.Name == nil {
		change.Name = new("draft")
	}
	if change.Models == nil {
		change.Models = &[]string{"*"}
	}
	require(&change)
	return s.apply(s.blank(), change)
}

// DraftOf is what Update would make of a channel, which stays as it is: for trying
// out a change before it is saved. Its id is 0.
func (s *Service) DraftOf(id int64, change Change) (*Channel, error) {
	old, ok := s.Get(id)
	if !ok {
		return nil, NotFound(id)
	}
	c, err := s.apply(*old, change)
	if err != nil {
		return nil, err
	}
	c.ID = 0
	return c, nil
}

// Duplicate adds a copy of a channel, upstream keys included, under its name with
// " copy" behind it. The copy is disabled, so that nothing is served by it before
// somebody has looked at it.
func (s *Service) Duplicate(ctx context.Context, id int64) (*Channel, error) {
	old, ok := s.Get(id)
	if !ok {
		return nil, NotFound(id)
	}
	c := *old
	blank := s.blank()
	c.ID, c.Version, c.Created, c.Status = 0, blank.Version, blank.Created, Disabled
	const suffix = " copy"
	name := []rune(c.Name)
	c.Name = string(name[:min(len(name), MaxName-len(suffix))]) + suffix
	c.Credentials = make([]Credential, len(old.Credentials))
	for i, credential := range old.Credentials {
		c.Credentials[i] = newCredential(credential.Value, s.deps.Sealer) // with a health of its own
	}
	return s.insert(ctx, &c)
}

// Bulk is what to do to several channels at once.
type Bulk string

// The actions.
const (
	BulkEnable  Bulk = "enable"
	BulkDisable Bulk = "disable"
	BulkDelete  Bulk = "delete"
)

// Bulk does it to the channels with these ids, in their order, or to all that
// have the tag; exactly one of the two must be given. It returns the ids of those
// that were changed, also when it fails on the way: what has been done stays.
// Ids of no channel and channels that are that way already do not count.
func (s *Service) Bulk(ctx context.Context, action Bulk, ids []int64, tag string) ([]int64, error) {
	switch {
	case action != BulkEnable && action != BulkDisable && action != BulkDelete:
		return nil, invalid("action", "invalid_action", "action must be one of %q, %q and %q.", BulkEnable, BulkDisable, BulkDelete)
	case (len(ids) == 0) == (tag == ""):
		return nil, invalid("ids", "invalid_ids", "Either ids or tag must say which channels are meant, and not both.")
	case len(ids) > MaxBulk:
		return nil, invalid("ids", "invalid_ids", "ids must be at most %d, there are %d.", MaxBulk, len(ids))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.now.Load()
	if tag != "" {
		for _, c := range next.list {
			if c.Tag == tag {
				ids = append(ids, c.ID)
			}
		}
	}
	var done []int64
	var failed error
	for _, id := range ids {
		c, changed, err := s.bulkOne(ctx, action, id)
		if err != nil {
			failed = fmt.Errorf("%s channel %d: %w", action, id, err)
			break
		}
		if changed {
			next = next.with(c, id)
			done = append(done, id)
		}
	}
	if len(done) > 0 {
		s.swap(next)
	}
	return done, failed
}

// bulkOne gives the channel as it is afterwards, nil when it is gone.
func (s *Service) bulkOne(ctx context.Context, action Bulk, id int64) (c *Channel, changed bool, err error) {
	if action == BulkDelete {
		changed, err = s.deps.Store.DeleteChannel(ctx, id)
		return nil, changed, err
	}
	status := Enabled
	if action == BulkDisable {
		status = Disabled
	}
	c, err = s.deps.Store.Channel(ctx, id)
	if err == nil && c.Status != status {
		c, err = s.update(ctx, id, Change{Status: &status}, nil)
		changed = err == nil
	}
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.NotFound {
		return nil, false, nil
	}
	return c, changed, err
}
