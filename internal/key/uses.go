package key

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"halley/internal/seal"
)

// seen is the Unix second in which a value was last shown, as far as this copy
// of its record knows.
type seen struct{ second atomic.Int64 }

// valueSeen is the mark of the value with the hash if the key accepts it at now,
// else nil.
func (k *Key) valueSeen(hash []byte, now time.Time) *seen {
	if string(k.Hash) == string(hash) {
		return k.seen
	}
	for i := range k.Older {
		if o := &k.Older[i]; string(o.Hash) == string(hash) && now.Before(o.Ends) {
			return o.seen
		}
	}
	return nil
}

// uses are when values were last used, as far as the store does not know yet:
// a note per value and second.
type uses struct {
	mu    *sync.Mutex
	notes map[seal.Hash]time.Time
	wiped time.Time // values that ended by then are wiped
}

func newUses() uses { return uses{mu: &sync.Mutex{}, notes: map[seal.Hash]time.Time{}} }

// use notes that a value was shown. The record's mark keeps all but the first
// of each second from the lock.
func (s *Service) use(k *Key, hash seal.Hash, now time.Time) {
	mark := k.valueSeen(hash[:], now)
	if mark == nil || mark.second.Swap(now.Unix()) == now.Unix() {
		return
	}
	s.uses.mu.Lock()
	defer s.uses.mu.Unlock()
	s.uses.notes[hash] = now
}

func (u *uses) last(hash []byte) time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.notes[seal.Hash(hash)]
}

// Tidy writes down when values were last used and wipes those that have ended.
// What it could not write it keeps for the next time.
func (s *Service) Tidy(ctx context.Context) error {
	s.uses.mu.Lock()
	notes := maps.Clone(s.uses.notes)
	s.uses.mu.Unlock()
	if len(notes) > 0 {
		used := make(map[string]time.Time, len(notes))
		for hash, at := range notes {
			used[string(hash[:])] = at
		}
		if err := s.Store.TouchValues(ctx, used); err != nil {
			return failed(err, "note when keys were used")
		}
		s.uses.mu.Lock()
		for hash, at := range notes {
			if s.uses.notes[hash].Equal(at) {
				delete(s.uses.notes, hash)
			}
		}
		s.uses.mu.Unlock()
	}
	s.uses.mu.Lock()
	from := s.uses.wiped
	s.uses.mu.Unlock()
	now := s.Now()
	if err := s.Store.WipeValues(ctx, from, now); err != nil {
		return failed(err, "wipe ended values")
	}
	s.uses.mu.Lock()
	s.uses.wiped = now
	s.uses.mu.Unlock()
	return nil
}
