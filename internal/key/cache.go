package key

import (
	"context"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"halley/internal/fault"
	"halley/internal/seal"
)

// The sizes of the caches, in entries, and how long an unknown value is
// remembered as such.
const (
	cacheSize   = 200_000
	unknownSize = 20_000
	unknownFor  = 10 * time.Second
)

// cache holds the records that requests ask for. Which key a hash belongs to
// never changes while the key lives, so a change drops only the record: the
// hash map may keep entries of keys that are gone and of values that have ended,
// and a record counts only when the hash is still one of its own.
//
// A record that was read before a change must not be stored after it. Every
// change raises epoch; whoever reads the store notes it before and stores only
// when it has not moved.
type cache struct {
	ids     *otter.Cache[seal.Hash, int64]
	records *otter.Cache[int64, *Key]
	unknown *otter.Cache[seal.Hash, time.Time] // until when

	mu      sync.Mutex // guards what follows, and every Set against epoch
	epoch   uint64
	flights map[lookup]*flight
}

// lookup is what the store is asked: whose value has the hash or, where the id
// is not 0, which key has it. Records found by id are those of parents; they have
// no older values, whose use asks again.
type lookup struct {
	hash seal.Hash
	id   int64
}

// flight is one look-up in the store that others wait for.
type flight struct {
	done    chan struct{}
	record  *Key
	err     error
	current bool // nothing changed while it was under way
}

func newCache() *cache {
	return &cache{
		ids:     otter.Must(&otter.Options[seal.Hash, int64]{MaximumSize: cacheSize}),
		records: otter.Must(&otter.Options[int64, *Key]{MaximumSize: cacheSize}),
		unknown: otter.Must(&otter.Options[seal.Hash, time.Time]{MaximumSize: unknownSize}),
		flights: map[lookup]*flight{},
	}
}

// get is the record of a hash if it is here and the hash is that of a value in
// force.
func (c *cache) get(hash seal.Hash, now time.Time) (*Key, bool) {
	id, ok := c.ids.GetIfPresent(hash)
	if !ok {
		return nil, false
	}
	k, ok := c.records.GetIfPresent(id)
	if !ok || k.valueSeen(hash[:], now) == nil {
		return nil, false
	}
	return k, true
}

// byID is the record of a key if it is here.
func (c *cache) byID(id int64) (*Key, bool) { return c.records.GetIfPresent(id) }

// answer is what is here for a look-up.
func (c *cache) answer(q lookup, now time.Time) (*Key, bool) {
	if q.id != 0 {
		return c.byID(q.id)
	}
	return c.get(q.hash, now)
}

// isUnknown reports whether the store was asked for the hash a moment ago and
// did not know it.
func (c *cache) isUnknown(hash seal.Hash, now time.Time) bool {
	until, ok := c.unknown.GetIfPresent(hash)
	return ok && now.Before(until)
}

// load asks the store through find, once however many ask at a time. That a hash
// is not found is remembered for a while; other errors are not.
func (c *cache) load(ctx context.Context, q lookup, now time.Time, find func(context.Context) (*Key, error)) (*Key, error) {
	for {
		c.mu.Lock()
		f := c.flights[q]
		if f == nil {
			// Another flight may have landed since the caller looked.
			if k, ok := c.answer(q, now); ok {
				c.mu.Unlock()
				return k, nil
			}
			f = &flight{done: make(chan struct{})}
			c.flights[q] = f
			epoch := c.epoch
			c.mu.Unlock()
			c.fly(ctx, q, f, epoch, now, find)
			// Read after the caller asked, so good enough for the caller even
			// when it is too old for the others.
			return f.record, f.err
		}
		c.mu.Unlock()
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if f.current {
			return f.record, f.err
		}
	}
}

// fly does the look-up. It goes on when its caller leaves, for those who wait.
func (c *cache) fly(ctx context.Context, q lookup, f *flight, epoch uint64, now time.Time, find func(context.Context) (*Key, error)) {
	f.err = errAborted
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.flights, q)
		f.current = c.epoch == epoch
		switch {
		case !f.current:
		case f.err == nil && c.newer(f.record):
			f.current = false // read before a change that is not heard of yet
		case f.err == nil:
			c.records.Set(f.record.ID, f.record)
			if q.id == 0 {
				c.ids.Set(q.hash, f.record.ID)
				c.unknown.Invalidate(q.hash)
			}
		case q.id == 0 && fault.Is(f.err, fault.NotFound):
			c.unknown.Set(q.hash, now.Add(unknownFor))
		}
		close(f.done)
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), findTimeout)
	defer cancel()
	f.record, f.err = find(ctx)
}

// newer reports whether a newer record of the key is here: another of its
// values was looked up at the same time.
func (c *cache) newer(k *Key) bool {
	here, ok := c.records.GetIfPresent(k.ID)
	return ok && here.Version > k.Version
}

// findTimeout bounds a look-up, as callers wait for it.
const findTimeout = 5 * time.Second

// errAborted is what those who wait get when the look-up panics.
var errAborted = fault.New(fault.Internal, "internal_error", "Something went wrong on our side.")

// forget drops records, so that their next use asks the store.
func (c *cache) forget(ids ...int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	for _, id := range ids {
		c.records.Invalidate(id)
	}
}

// welcome drops the memory that a hash was unknown.
func (c *cache) welcome(hash seal.Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	c.unknown.Invalidate(hash)
}

// clear drops everything, for when changes may have been missed.
func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	c.records.InvalidateAll()
	c.unknown.InvalidateAll()
}
