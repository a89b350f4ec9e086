// Package audit owns the trail of who changed what through the management API
// and the command line. Entries name records and fields, never a secret's
// value; each is chained to the one before it, so that tampering shows. It must
// not know HTTP, SQL or the records it tells of.
package audit

import (
	"context"
	"iter"
	"strings"
	"sync"
	"time"

	"halley/internal/fault"
	"halley/internal/seal"
)

// Entry is one change. Action is "record.verb" ("key.update"), Target the
// record ("key 12"), Detail what was asked for in a few words or JSON.
type Entry struct {
	Actor  int64 // user id, 0 for the system itself
	Action string
	Target string
	Detail string
	// Before and After are JSON objects of the fields that the change has
	// changed; "" where there was no record, or nothing is told.
	Before, After string
	RequestID     string
	IP            string // "" over the local socket
}

// Record is an entry as kept.
type Record struct {
	ID   int64
	Time time.Time
	Entry
	Hash []byte // nil in records from before there were hashes
}

// Filter is one page of the trail; zero members do not filter. An Action without
// a dot is every action on such records. From is
// inclusive, To exclusive.
type Filter struct {
	Actor         *int64
	Action        string
	Target        string
	TargetKind    string // "key" is every target that is a key, "key 12" for one
	RequestID     string
	From, To      time.Time
	Before        int64 // only records with a lower id
	Offset, Limit int64
}

// Store keeps the trail.
type Store interface {
	// InsertAudit sets ID, which follows that of the newest record, and Hash,
	// which link makes of the newest record's. No other is inserted meanwhile.
	InsertAudit(ctx context.Context, r *Record, link func(previous []byte) []byte) error
	// ListAudit gives one page, newest first, and how many match.
	ListAudit(ctx context.Context, f Filter) ([]*Record, int64, error)
	// AuditPage is ListAudit without the counting.
	AuditPage(ctx context.Context, f Filter) ([]*Record, error)
	// AuditEnds is where the chain begins and ends now.
	AuditEnds(ctx context.Context) (Ends, error)
	// AuditAfter gives the records that follow an id, oldest first.
	AuditAfter(ctx context.Context, id, limit int64) ([]*Record, error)
	// AuditSpan gives the lowest and the highest id that there is, false without
	// records.
	AuditSpan(ctx context.Context) (oldest, newest int64, any bool, err error)
	// PruneAudit deletes the oldest records, as far as all of them are older,
	// and makes the last of them the anchor. It tells which that is, and how
	// many went.
	PruneAudit(ctx context.Context, older time.Time, vouch func(Link) []byte) (Link, int64, error)
}

// Link is a record's place in the chain.
type Link struct {
	ID   int64
	Hash []byte
}

// Ends are the ends of the chain. The anchor is the last record that is not
// there to be checked any more; AnchorMAC vouches for it.
type Ends struct {
	Anchor    Link
	AnchorMAC []byte
	Head      Link
}

// Service writes and reads the trail.
type Service struct {
	store Store
	keyed *seal.Hasher
	now   func() time.Time

	mu      sync.Mutex
	written Link // the newest that this service wrote
}

// NewService makes the service. Hashes are keyed with the master key, so that who
// can write to the database alone cannot make a chain of their own.
func NewService(store Store, master *seal.Master, now func() time.Time) *Service {
	return &Service{store: store, keyed: master.Hasher("audit chain"), now: now}
}

// The bounds of an entry's texts, in bytes.
const (
	maxText    = 4000
	maxChanges = 16_000
)

// Record adds an entry.
func (s *Service) Record(ctx context.Context, e Entry) error {
	for _, text := range []*string{&e.Action, &e.Target, &e.Detail, &e.IP, &e.RequestID} {
		*text = cut(*text, maxText)
	}
	for _, text := range []*string{&e.Before, &e.After} {
		if len(*text) > maxChanges {
			*text = `{"too_long":true}`
		}
		*text = cut(*text, maxChanges)
	}
	// As the databases keep it, or it could not be checked.
	r := &Record{Time: time.UnixMilli(s.now().UnixMilli()).UTC(), Entry: e}
	if err := s.store.InsertAudit(ctx, r, func(previous []byte) []byte { return s.link(previous, r) }); err != nil {
		return unavailable(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.ID > s.written.ID {
		s.written = Link{r.ID, r.Hash}
	}
	return nil
}

// ownNewest is the newest record that this service wrote; the zero Link before the
// first.
func (s *Service) ownNewest() Link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written
}

// List gives one page of the trail, newest first, and how many entries match.
func (s *Service) List(ctx context.Context, f Filter) ([]*Record, int64, error) {
	records, total, err := s.store.ListAudit(ctx, f)
	return records, total, unavailable(err)
}

// eachPortion is how many records All holds at a time.
const eachPortion = 500

// All gives every entry that matches, newest first, and how many there were when
// it began. It holds one portion at a time and no transaction, however many there
// are and however slowly they are taken. What comes in meanwhile is left out.
func (s *Service) All(ctx context.Context, f Filter) (int64, iter.Seq2[*Record, error], error) {
	f.Offset, f.Limit = 0, eachPortion
	portion, total, err := s.List(ctx, f)
	if err != nil {
		return 0, nil, err
	}
	return total, func(yield func(*Record, error) bool) {
		for {
			for _, r := range portion {
				if !yield(r, nil) {
					return
				}
			}
			if len(portion) < eachPortion {
				return
			}
			f.Before = portion[len(portion)-1].ID
			var err error
			if portion, err = s.store.AuditPage(ctx, f); err != nil {
				yield(nil, unavailable(err))
				return
			}
		}
	}, nil
}

func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return fault.Wrap(err, fault.Unavailable, "store_unavailable", "The database cannot be reached right now; try again shortly.").Retry(2 * time.Second)
}

// cut shortens text to at most n bytes of valid UTF-8 without NUL, which
// PostgreSQL cannot keep.
func cut(text string, n int) string {
	if len(text) > n {
		text = text[:n]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, ""), "\x00", "")
}
