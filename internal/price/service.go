package price

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"halley/internal/fault"
)

// Store keeps custom prices. Every change of a price is a new version, and old
// versions stay, because charges name the version they were made at.
type Store interface {
	// ListPrices gives the version in force of each model that has a custom
	// price now.
	ListPrices(ctx context.Context) ([]Stored, error)
	// PutPrice adds a version and returns its number.
	PutPrice(ctx context.Context, model string, definition []byte, now time.Time) (version int64, err error)
	// DeletePrice ends the model's custom price; found is false when it has
	// none.
	DeletePrice(ctx context.Context, model string, now time.Time) (found bool, err error)
	// PriceVersion is any version there ever was.
	PriceVersion(ctx context.Context, version int64) (s Stored, found bool, err error)
	// ListPriceVersions gives a page of the versions of a model or, with "", of
	// all, newest first, and how many there are.
	ListPriceVersions(ctx context.Context, model string, limit, offset int64) ([]Stored, int64, error)
}

// Service keeps the book of current prices and changes custom ones.
type Service struct {
	catalog  *Catalog
	store    Store
	now      func() time.Time
	onChange func(context.Context) error
	book     atomic.Pointer[Book]
	reload   sync.Mutex // so that an older list never replaces a newer one
}

// NewService makes a service whose book is the catalog alone until the first
// Reload. onChange, which may be nil, is called after a change is stored and in
// force here.
func NewService(catalog *Catalog, store Store, now func() time.Time, onChange func(context.Context) error) (*Service, error) {
	book, err := NewBook(catalog, nil)
	if err != nil {
		return nil, err
	}
	s := &Service{catalog: catalog, store: store, now: now, onChange: onChange}
	s.book.Store(book)
	return s, nil
}

// Book is the set of prices in force. It costs nothing to ask for.
func (s *Service) Book() *Book { return s.book.Load() }

// Reload reads the custom prices again. When it fails the book stays.
func (s *Service) Reload(ctx context.Context) error {
	s.reload.Lock()
	defer s.reload.Unlock()
	custom, err := s.store.ListPrices(ctx)
	if err != nil {
		return fmt.Errorf("list the custom prices: %w", err)
	}
	book, err := NewBook(s.catalog, custom)
	if err != nil {
		return err
	}
	s.book.Store(book)
	return nil
}

// Put replaces the whole price of a model by the definition in body (see
// ParseDefinition) and gives the price in force from now on.
func (s *Service) Put(ctx context.Context, model string, body []byte) (*Price, error) {
	definition, err := s.definition(model, body)
	if err != nil {
		return nil, err
	}
	now := s.now()
	version, err := s.store.PutPrice(ctx, model, definition, now)
	if err != nil {
		return nil, fmt.Errorf("store the price of %s: %w", model, err)
	}
	if err := s.changed(ctx); err != nil {
		return nil, err
	}
	return s.catalog.custom(Stored{Version: version, Model: model, Definition: definition, Created: now})
}

// definition is the body of a complete price of the model, as it is stored.
func (s *Service) definition(model string, body []byte) ([]byte, error) {
	if err := CheckModel(model); err != nil {
		return nil, err
	}
	d, err := ParseDefinition(body)
	if err != nil {
		return nil, err
	}
	if err := d.Complete(s.catalog.mode(model, d)); err != nil {
		return nil, err
	}
	definition, err := d.encode()
	if err != nil {
		return nil, fmt.Errorf("write the price of %s: %w", model, err)
	}
	return definition, nil
}

// Draft is the price that Put would make, which is not in force.
func (s *Service) Draft(model string, body []byte) (*Price, error) {
	definition, err := s.definition(model, body)
	if err != nil {
		return nil, err
	}
	return s.catalog.custom(Stored{Model: model, Definition: definition, Created: s.now()})
}

// Change is one version of a model's custom price.
type Change struct {
	Model   string
	Version string
	At      time.Time
	Price   *Price // nil where the custom price ended and the catalog's counts
}

// History gives a page of the versions of a model's custom price or, with "", of
// all models', newest first, and how many there are.
func (s *Service) History(ctx context.Context, model string, limit, offset int64) ([]Change, int64, error) {
	if model != "" && CheckModel(model) != nil {
		return nil, 0, nil // a database might not even read it
	}
	versions, total, err := s.store.ListPriceVersions(ctx, model, limit, offset)
	if err != nil {
		return nil, 0, fmt.Errorf("list the versions of prices: %w", err)
	}
	changes := make([]Change, 0, len(versions))
	for _, v := range versions {
		change := Change{Model: v.Model, Version: customVersion(v.Version), At: v.Created}
		if len(v.Definition) > 0 {
			if change.Price, err = s.catalog.custom(v); err != nil {
				return nil, 0, fmt.Errorf("read version %d of the price of %s: %w", v.Version, v.Model, err)
			}
		}
		changes = append(changes, change)
	}
	return changes, total, nil
}

// Delete ends the custom price of a model, so that the catalog's counts again
// where it has one. Without a custom price it is fault.NotFound, and so it is
// for what cannot be a model's name, which a database might not even read.
func (s *Service) Delete(ctx context.Context, model string) error {
	found := false
	if CheckModel(model) == nil {
		var err error
		if found, err = s.store.DeletePrice(ctx, model, s.now()); err != nil {
			return fmt.Errorf("delete the price of %s: %w", model, err)
		}
	}
	if !found {
		return fault.New(fault.NotFound, "price_not_found", "The model has no custom price. Prices of the catalog cannot be deleted, only replaced.").Field("model")
	}
	return s.changed(ctx)
}

// Trace is the price that a charge for the model was made at, by the version
// that the charge names; fault.NotFound when this installation does not have
// it, such as one of an older catalog.
func (s *Service) Trace(ctx context.Context, model, version string) (*Price, error) {
	missing := fault.New(fault.NotFound, "price_not_found", "There is no such version of the model's price.").Field("version")
	if version == s.catalog.version {
		if p := s.catalog.prices[model]; p != nil {
			return p, nil
		}
		return nil, missing
	}
	n, ok := parseCustomVersion(version)
	if !ok {
		return nil, missing
	}
	stored, found, err := s.store.PriceVersion(ctx, n)
	if err != nil {
		return nil, fmt.Errorf("read version %d of the prices: %w", n, err)
	}
	if !found || stored.Model != model || len(stored.Definition) == 0 {
		return nil, missing
	}
	return s.catalog.custom(stored)
}

// changed puts a stored change in force here and says so, whether or not the
// caller is still there: what is stored counts.
func (s *Service) changed(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	if err := s.Reload(ctx); err != nil {
		return err
	}
	if s.onChange == nil {
		return nil
	}
	if err := s.onChange(ctx); err != nil {
		return fmt.Errorf("announce the changed prices: %w", err)
	}
	return nil
}
