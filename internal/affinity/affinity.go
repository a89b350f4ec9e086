// Package affinity remembers where conversations were served last, so that the
// next request of one goes where its prompt is in the provider's cache. It is a
// table of fixed size: what is not asked for goes when others come. It knows
// conversations by a number only, and must not know what makes one.
package affinity

import (
	"hash/maphash"
	"sync"
	"time"
)

// Place is a channel and the upstream key that was used there.
type Place struct {
	Channel    int64
	Credential string // its id, "" for a channel without
}

const (
	// term is how long a place is worth going back to. Providers keep prompts for
	// five minutes to an hour.
	term = time.Hour

	shardCount  = 64
	bucketCount = 256 // in each shard
	bucketSize  = 4
	// Room is how many conversations are remembered at most.
	Room = shardCount * bucketCount * bucketSize
)

// Table remembers places. Its zero value is not usable; use New. It is safe for
// concurrent use.
type Table struct {
	seed   maphash.Seed
	shards [shardCount]shard
}

// shard is a part of the table with a lock of its own. It takes no memory until
// it is used.
type shard struct {
	mu      sync.Mutex
	buckets *[bucketCount][bucketSize]entry
}

type entry struct {
	conversation uint64 // 0 for none
	place        Place
	served       time.Time
}

// New makes an empty table.
func New() *Table { return &Table{seed: maphash.MakeSeed()} }

// Conversation is the number of what a client calls one, for a model, with an API
// key; never 0. Two conversations have the same number as good as never, and then
// no harm is done: one goes where the other was.
func (t *Table) Conversation(key int64, model, name string) uint64 {
	type parts struct {
		key         int64
		model, name string
	}
	return max(1, maphash.Comparable(t.seed, parts{key, model, name}))
}

func (t *Table) find(conversation uint64) (s *shard, bucket int) {
	return &t.shards[conversation%shardCount], int(conversation / shardCount % bucketCount)
}

// Last is where the conversation was served last; false when that is not known,
// or too long ago.
func (t *Table) Last(now time.Time, conversation uint64) (Place, bool) {
	s, bucket := t.find(conversation)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets == nil {
		return Place{}, false
	}
	for i := range s.buckets[bucket] {
		if e := &s.buckets[bucket][i]; e.conversation == conversation && now.Sub(e.served) < term {
			return e.place, true
		}
	}
	return Place{}, false
}

// Served notes where the conversation was served. It takes the place of the
// bucket's least recent one when there is no room.
func (t *Table) Served(now time.Time, conversation uint64, p Place) {
	s, bucket := t.find(conversation)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets == nil {
		s.buckets = new([bucketCount][bucketSize]entry)
	}
	at := &s.buckets[bucket][0]
	for i := range s.buckets[bucket] {
		e := &s.buckets[bucket][i]
		if e.conversation == conversation {
			at = e
			break
		}
		if e.served.Before(at.served) {
			at = e
		}
	}
	*at = entry{conversation, p, now}
}
