// Package audit owns the trail of who changed what through the management API
// and the command line. Entries name records and fields, never a secret's
// value. It must not know HTTP, SQL or the records it tells of.
package audit

import (
	"context"
	"strings"
	"time"

	"halley/internal/fault"
)

// Entry is one change. Action is "record.verb" ("key.update"), Target the
// record ("key 12"), Detail what changed in a few words or JSON.
type Entry struct {
	Actor  int64 // user id, 0 for the system itself
	Action string
	Target string
	Detail string
	IP     string // "" over the local socket
}

// Record is an entry as kept.
type Record struct {
	ID   int64
	Time time.Time
	Entry
}

// Filter is one page of the trail; zero members do not filter. From is
// inclusive, To exclusive.
type Filter struct {
	Actor         *int64
	Action        string
	Target        string
	From, To      time.Time
	Offset, Limit int64
}

// Store keeps the trail.
type Store interface {
	InsertAudit(ctx context.Context, r *Record) error // sets ID
	// ListAudit gives one page, newest first, and how many match.
	ListAudit(ctx context.Context, f Filter) ([]*Record, int64, error)
}

// Service writes and reads the trail.
type Service struct {
	store Store
	now   func() time.Time
}

// NewService makes the service.
func NewService(store Store, now func() time.Time) *Service { return &Service{store: store, now: now} }

// maxText bounds each text of an entry, in bytes.
const maxText = 4000

// Record adds an entry.
func (s *Service) Record(ctx context.Context, e Entry) error {
	for _, text := range []*string{&e.Action, &e.Target, &e.Detail, &e.IP} {
		*text = cut(*text, maxText)
	}
	return unavailable(s.store.InsertAudit(ctx, &Record{Time: s.now(), Entry: e}))
}

// List gives one page of the trail, newest first, and how many entries match.
func (s *Service) List(ctx context.Context, f Filter) ([]*Record, int64, error) {
	records, total, err := s.store.ListAudit(ctx, f)
	return records, total, unavailable(err)
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
