package option

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"halley/internal/fault"
)

// Store keeps the options that were changed, as JSON text by name.
type Store interface {
	LoadOptions(ctx context.Context) (map[string]string, error)
	SaveOption(ctx context.Context, name, text string) error
}

// Service hands out the values in force and changes them.
type Service struct {
	store       Store
	groupExists func(string) bool
	current     atomic.Pointer[Values]

	mu       sync.Mutex // one change at a time
	onChange []func(*Values)
}

// NewService makes a service with the defaults in force; Reload reads what was
// changed.
func NewService(store Store, groupExists func(name string) bool) *Service {
	s := &Service{store: store, groupExists: groupExists}
	defaults := Defaults()
	s.current.Store(&defaults)
	return s
}

// OnChange has f called with the new values after every change. It is for
// setting up, before anything changes.
func (s *Service) OnChange(f func(*Values)) { s.onChange = append(s.onChange, f) }

// Current are the values in force. They are shared and must not be changed.
func (s *Service) Current() *Values { return s.current.Load() }

// Reload reads the options from the store. Options that this release does not
// know are left alone; a stored value that it cannot accept is an error that
// names the option, and the values in force stay.
func (s *Service) Reload(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored, err := s.store.LoadOptions(ctx)
	if err != nil {
		return unavailable(err)
	}
	defaults := Defaults()
	values := &defaults
	for _, name := range Names() {
		text, changed := stored[name]
		if !changed {
			continue
		}
		// A group may have gone since it was listed; routing passes it over.
		if values, err = values.with(name, []byte(text), func(string) bool { return true }); err != nil {
			return fmt.Errorf("read the option %s: %w", name, err)
		}
	}
	s.swap(values)
	return nil
}

// List are all options.
func (s *Service) List() []Option {
	values := s.Current()
	var options []Option
	for _, name := range Names() {
		options = append(options, values.option(name))
	}
	return options
}

// Set changes one option; value is JSON. An unknown name is a NotFound fault
// option_not_found, a value of another type a Malformed and one that breaks the
// option's rule an Invalid fault, both naming the option.
func (s *Service) Set(ctx context.Context, name string, value []byte) (Option, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, err := s.Current().with(name, value, s.groupExists)
	if err != nil {
		return Option{}, err
	}
	text, err := next.text(name)
	if err != nil {
		return Option{}, fmt.Errorf("write the option %s: %w", name, err)
	}
	if err := s.store.SaveOption(ctx, name, text); err != nil {
		return Option{}, unavailable(err)
	}
	s.swap(next)
	return next.option(name), nil
}

func (s *Service) swap(values *Values) {
	s.current.Store(values)
	for _, f := range s.onChange {
		f(values)
	}
}

func unavailable(err error) error {
	return fault.Wrap(err, fault.Unavailable, "store_unavailable", "The database cannot be reached right now; try again shortly.").Retry(2 * time.Second)
}
