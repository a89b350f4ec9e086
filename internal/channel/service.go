package channel

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"halley/internal/fault"
	"halley/internal/jsonx"
)

// Store keeps channels; credentials go in and come out sealed, without Value.
type Store interface {
	// Channels gives all channels, in any order.
	Channels(ctx context.Context) ([]*Channel, error)
	// Channel gives one; a NotFound fault when there is none.
	Channel(ctx context.Context, id int64) (*Channel, error)
	// InsertChannel adds c as version 1 and gives its id.
	InsertChannel(ctx context.Context, c *Channel) (int64, error)
	// UpdateChannel replaces the channel of c's id by c, whose version becomes
	// the stored one plus 1, if the stored one is still version; else false.
	// Created stays.
	UpdateChannel(ctx context.Context, c *Channel, version int64) (bool, error)
	// DeleteChannel removes the channel; false when there was none.
	DeleteChannel(ctx context.Context, id int64) (bool, error)
}

// Deps is what a Service needs.
type Deps struct {
	Store  Store
	Sealer Sealer
	// GroupExists tells whether a channel may name the group.
	GroupExists func(name string) bool
	Addresses   AddressPolicy
	Now         func() time.Time
}

// Change is what an edit sets; nil members stay as they are.
type Change struct {
	Name         *string
	Kind         *Kind
	BaseURL      *string
	Keys         *[]string // replaces the pool; equal values keep their credential
	Models       *[]string
	ModelMapping *map[string]string // replaces the mapping
	Groups       *[]string
	Priority     *int64
	Weight       *int64
	Status       *Status
	Tag          *string
	ConnectMS    *int64 // milliseconds, 0 the default; so for the next four
	FirstByteMS  *int64
	IdleMS       *int64
	TotalMS      *int64
	DrainMS      *int64
	OnDisconnect *OnDisconnect

	API               *API
	CheckMode         *string
	CheckModel        *string
	CheckEverySeconds *int64  // 0 the default
	AzureAPIVersion   *string // "" the default; so for the next two
	AzureAuthority    *string
	AzureScope        *string
	VertexProject     *string // "" the default; so for the next
	VertexLocation    *string
	AWSRegion         *string                   // "" the default
	ProxyURL          *string                   // "" none
	CAPEM             *string                   // "" none
	Overrides         jsonx.Opt[OverridesPatch] // merged list by list, null takes all away
	Caps              jsonx.Opt[CapsPatch]      // merged member by member, null takes all away
}

// Service owns the channels. Reads come from an immutable snapshot whose
// credentials are open; every change is written to the store and then swapped
// in, so it counts for the next request.
type Service struct {
	deps Deps
	now  atomic.Pointer[snapshot]

	mu       sync.Mutex // one change or reload at a time
	onChange []func()
}

type snapshot struct {
	list []*Channel // by id
	byID map[int64]*Channel
}

// NewService makes a service that knows no channel until Reload.
func NewService(deps Deps) *Service {
	s := &Service{deps: deps}
	s.now.Store(newSnapshot(nil))
	return s
}

// OnChange adds a function that runs after every swap of the snapshot, whether
// a change made here or a reload; it must not change channels itself. Call it
// before the service is shared.
func (s *Service) OnChange(f func()) { s.onChange = append(s.onChange, f) }

// All is every channel, by id, with opened credentials. The slice is shared and
// must not be changed; a later change makes a new one.
func (s *Service) All() []*Channel { return s.now.Load().list }

// Get is the channel of that id.
func (s *Service) Get(id int64) (*Channel, bool) {
	c, ok := s.now.Load().byID[id]
	return c, ok
}

// Reload reads all channels from the store, for the start and for changes made
// by others. On failure, an upstream key that cannot be opened included, the
// old snapshot stays.
func (s *Service) Reload(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	channels, err := s.deps.Store.Channels(ctx)
	if err != nil {
		return fmt.Errorf("read the channels: %w", err)
	}
	for _, c := range channels {
		if c.Credentials, err = open(c.Credentials, s.deps.Sealer); err != nil {
			return fmt.Errorf("channel %d (%s): %w", c.ID, c.Name, err)
		}
		if c.Network.Proxy, err = c.Network.Proxy.open(s.deps.Sealer); err != nil {
			return fmt.Errorf("channel %d (%s): %w", c.ID, c.Name, err)
		}
	}
	s.swap(newSnapshot(channels))
	return nil
}

// Create adds a channel. Name, kind, models and, but for the demo kind, base
// URL must be given; the rest has defaults: no keys, group "default", priority
// 0, weight 1, enabled, cancel on disconnect.
func (s *Service) Create(ctx context.Context, change Change) (*Channel, error) {
	require(&change)
	c, err := s.apply(s.blank(), change)
	if err != nil {
		return nil, err
	}
	return s.insert(ctx, c)
}

// blank is a channel as it is before anything is said about it.
func (s *Service) blank() Channel {
	return Channel{
		Groups: []string{"default"}, Weight: 1, Status: Enabled,
		OnDisconnect: Cancel, Created: s.deps.Now().UTC().Truncate(time.Millisecond), Version: 1,
	}
}

func (s *Service) insert(ctx context.Context, c *Channel) (*Channel, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if c.ID, err = s.deps.Store.InsertChannel(ctx, c); err != nil {
		return nil, fmt.Errorf("add the channel: %w", err)
	}
	s.swap(s.now.Load().with(c, c.ID))
	return c, nil
}

// Update changes a channel; with ifVersion only when it still is that version.
// Upstream keys must be given again where the change would show them to somebody
// who does not see them now.
func (s *Service) Update(ctx context.Context, id int64, change Change, ifVersion *int64) (*Channel, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.update(ctx, id, change, ifVersion)
	if err != nil {
		return nil, err
	}
	s.swap(s.now.Load().with(c, id))
	return c, nil
}

// update writes a change; the caller swaps it in.
func (s *Service) update(ctx context.Context, id int64, change Change, ifVersion *int64) (*Channel, error) {
	for {
		old, err := s.deps.Store.Channel(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("read the channel: %w", err)
		}
		if ifVersion != nil && *ifVersion != old.Version {
			return nil, fault.New(fault.PreconditionFailed, "version_conflict", "The channel is at version %d by now.", old.Version)
		}
		if old.Credentials, err = open(old.Credentials, s.deps.Sealer); err != nil {
			if change.Keys == nil {
				return nil, err
			}
			old.Credentials = nil // new keys mend it
		}
		if old.Network.Proxy, err = old.Network.Proxy.open(s.deps.Sealer); err != nil {
			if change.ProxyURL == nil {
				return nil, err
			}
			old.Network.Proxy = Proxy{} // so does a new proxy
		}
		c, err := s.apply(*old, change)
		if err != nil {
			return nil, err
		}
		c.Version = old.Version + 1
		updated, err := s.deps.Store.UpdateChannel(ctx, c, old.Version)
		if err != nil {
			return nil, fmt.Errorf("change the channel: %w", err)
		}
		if updated {
			return c, nil
		}
		// Another node changed it in between: look again. Each round lost is
		// a round that somebody else won, and the context bounds the waiting.
	}
}

// Delete removes a channel. Requests it is serving go on to their end.
func (s *Service) Delete(ctx context.Context, id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	deleted, err := s.deps.Store.DeleteChannel(ctx, id)
	if err != nil {
		return fmt.Errorf("delete the channel: %w", err)
	}
	s.swap(s.now.Load().with(nil, id))
	if !deleted {
		return NotFound(id)
	}
	return nil
}

func (s *Service) swap(next *snapshot) {
	s.now.Store(next)
	for _, f := range s.onChange {
		f()
	}
}

// require makes what a new channel must say count as said, so that it is checked.
func require(c *Change) {
	if c.Name == nil {
		c.Name = new("")
	}
	if c.Kind == nil {
		c.Kind = new(Kind(""))
	}
	if c.BaseURL == nil {
		c.BaseURL = new("")
	}
	if c.Models == nil {
		c.Models = new([]string(nil))
	}
}

// apply gives a changed copy, checked. Only what the change sets is checked: an
// address that was fine under another policy must not stand in the way of
// disabling its channel.
func (s *Service) apply(old Channel, change Change) (*Channel, error) {
	c := old
	for _, step := range []func(*Channel, Change) error{s.applyIdentity, s.applyOffer, applyOrder, applyTimeouts, applyShape, s.applyAzure, applyVertex, applyAWS, s.applyNetwork, applyChecks, applyAPI} {
		if err := step(&c, change); err != nil {
			return nil, err
		}
	}
	if err := checkKeysStay(&old, &c, change.Keys); err != nil {
		return nil, err
	}
	if err := s.applyKeys(&c, change); err != nil {
		return nil, err
	}
	for _, check := range []func(*Channel) error{checkAWSKeys, checkEntraKeys, s.completeVertex} {
		if err := check(&c); err != nil {
			return nil, err
		}
	}
	return &c, nil
}

func (s *Service) applyIdentity(c *Channel, change Change) error {
	if change.Name != nil {
		c.Name = strings.TrimSpace(*change.Name)
		if err := checkName(c.Name); err != nil {
			return err
		}
	}
	if change.Kind != nil {
		c.Kind = *change.Kind
		if err := checkKind(c.Kind); err != nil {
			return err
		}
	}
	if change.BaseURL != nil {
		c.BaseURL = strings.TrimSpace(*change.BaseURL)
	}
	if change.BaseURL != nil || change.Kind != nil {
		baseURL, err := checkBaseURL(c.Kind, c.BaseURL, s.deps.Addresses)
		if err != nil {
			return err
		}
		c.BaseURL = baseURL
	}
	if change.Tag != nil {
		c.Tag = strings.TrimSpace(*change.Tag)
		return checkTag(c.Tag)
	}
	return nil
}

func (s *Service) applyOffer(c *Channel, change Change) error {
	var err error
	if change.Models != nil {
		if c.Models, err = checkModels(*change.Models); err != nil {
			return err
		}
	}
	if change.ModelMapping != nil {
		if c.ModelMapping, err = checkMapping(*change.ModelMapping); err != nil {
			return err
		}
	}
	if change.Groups != nil {
		if c.Groups, err = checkGroups(*change.Groups, s.deps.GroupExists); err != nil {
			return err
		}
	}
	return nil
}

func applyOrder(c *Channel, change Change) error {
	if change.Priority != nil {
		c.Priority = *change.Priority
		if err := checkRange("priority", c.Priority, -MaxPriority, MaxPriority); err != nil {
			return err
		}
	}
	if change.Weight != nil {
		c.Weight = *change.Weight
		if err := checkRange("weight", c.Weight, 0, MaxWeight); err != nil {
			return err
		}
	}
	if change.Status != nil {
		c.Status = *change.Status
		if err := checkStatus(c.Status); err != nil {
			return err
		}
	}
	if change.OnDisconnect != nil {
		c.OnDisconnect = *change.OnDisconnect
		return checkOnDisconnect(c.OnDisconnect)
	}
	return nil
}

func applyTimeouts(c *Channel, change Change) error {
	for _, t := range []struct {
		name string
		ms   *int64
		to   *time.Duration
	}{
		{"connect_ms", change.ConnectMS, &c.Timeouts.Connect},
		{"first_byte_ms", change.FirstByteMS, &c.Timeouts.FirstByte},
		{"idle_ms", change.IdleMS, &c.Timeouts.Idle},
		{"total_ms", change.TotalMS, &c.Timeouts.Total},
		{"drain_ms", change.DrainMS, &c.Timeouts.Drain},
	} {
		if t.ms == nil {
			continue
		}
		d, err := checkTimeout(t.name, *t.ms)
		if err != nil {
			return err
		}
		*t.to = d
	}
	return nil
}

// applyKeys comes last, so that nothing is sealed for a change that is refused.
func (s *Service) applyKeys(c *Channel, change Change) error {
	if change.Keys == nil {
		return nil
	}
	pool, err := replaceCredentials(c.Kind, c.Credentials, *change.Keys, s.deps.Sealer)
	if err != nil {
		return err
	}
	c.Credentials = pool
	return nil
}

func newSnapshot(channels []*Channel) *snapshot {
	s := &snapshot{byID: make(map[int64]*Channel, len(channels))}
	for _, c := range channels {
		s.byID[c.ID] = c
	}
	s.list = slices.SortedFunc(maps.Values(s.byID), func(a, b *Channel) int { return cmp.Compare(a.ID, b.ID) })
	return s
}

// with is the snapshot with c in the place of the channel with that id, or
// without it when c is nil.
func (s *snapshot) with(c *Channel, id int64) *snapshot {
	channels := make([]*Channel, 0, len(s.list)+1)
	for _, old := range s.list {
		if old.ID != id {
			channels = append(channels, old)
		}
	}
	if c != nil {
		channels = append(channels, c)
	}
	return newSnapshot(channels)
}
