package account

import (
	"context"
	"errors"
	"sync"
)

// cache remembers what was loaded from the store. Values are shared and must
// not be changed. A load that began before something was dropped never puts its
// stale value back: it answers its own caller, who asked before the change was
// done, and nobody else.
type cache[K comparable, V any] struct {
	limit int // most entries kept

	mu      sync.RWMutex
	epoch   uint64 // counts drops
	entries map[K]V
	flights map[K]*flight[V]
}

// flight is a load under way that later callers wait for.
type flight[V any] struct {
	epoch uint64
	done  chan struct{} // closed when value and err are set
	value V
	err   error
}

// errLoadDied is what waiters see of a load that panicked.
var errLoadDied = errors.New("the load ended without a result")

func newCache[K comparable, V any](limit int) *cache[K, V] {
	return &cache[K, V]{limit: limit, entries: map[K]V{}, flights: map[K]*flight[V]{}}
}

// get gives the value under k, loaded once however many ask at the same time.
// Errors are not remembered.
func (c *cache[K, V]) get(ctx context.Context, k K, load func(context.Context) (V, error)) (V, error) {
	c.mu.RLock()
	v, ok := c.entries[k]
	c.mu.RUnlock()
	if ok {
		return v, nil
	}
	for {
		c.mu.Lock()
		if v, ok := c.entries[k]; ok {
			c.mu.Unlock()
			return v, nil
		}
		f := c.flights[k]
		if f == nil || f.epoch != c.epoch {
			f = &flight[V]{epoch: c.epoch, done: make(chan struct{}), err: errLoadDied}
			c.flights[k] = f
			c.mu.Unlock()
			return c.fly(ctx, k, f, load)
		}
		c.mu.Unlock()
		select {
		case <-f.done:
		case <-ctx.Done():
			var none V
			return none, ctx.Err()
		}
		// The first caller may have gone away; that is no answer for us.
		if errors.Is(f.err, context.Canceled) || errors.Is(f.err, context.DeadlineExceeded) {
			continue
		}
		return f.value, f.err
	}
}

func (c *cache[K, V]) fly(ctx context.Context, k K, f *flight[V], load func(context.Context) (V, error)) (V, error) {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.flights[k] == f {
			delete(c.flights, k)
		}
		if f.err == nil && f.epoch == c.epoch {
			c.put(k, f.value)
		}
		close(f.done)
	}()
	f.value, f.err = load(ctx)
	return f.value, f.err
}

// put makes room by dropping any entry: the cache is far larger than what is in
// use, so which one hardly matters.
func (c *cache[K, V]) put(k K, v V) {
	if len(c.entries) >= c.limit {
		for other := range c.entries {
			delete(c.entries, other)
			break
		}
	}
	c.entries[k] = v
}

// drop forgets one entry.
func (c *cache[K, V]) drop(k K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	delete(c.entries, k)
}

// clear forgets everything.
func (c *cache[K, V]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	clear(c.entries)
}

// dropIf forgets every entry that matches.
func (c *cache[K, V]) dropIf(match func(V) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	for k, v := range c.entries {
		if match(v) {
			delete(c.entries, k)
		}
	}
}
