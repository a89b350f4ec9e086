// Package reconcile owns the proof that the books are right: every balance can
// be worked out again from rows that are only ever added (grants and usage), and
// is compared with what is stored. It must not know HTTP or SQL, and it mends
// nothing.
package reconcile

import (
	"context"
	"fmt"
	"sync"
	"time"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/money"
)

// Of is what a difference is about.
type Of string

// What there is to be about.
const (
	Key  Of = "key"
	User Of = "user"
	Hour Of = "hour" // of the rollups; its id is its start in Unix seconds
	Node Of = "node" // that leases money
)

// Difference is one figure that does not follow from its rows. Money is in
// nano-USD.
type Difference struct {
	Kind Of
	ID   int64
	// What is the figure, by the name it is stored under; of an hour, whose it
	// is follows. Further there are
	//   - record: a key or account that has rows but does not exist,
	//   - overdrawn: what it has used, stored, is more than its grant, expected,
	//   - leased: what nodes have leased, stored, is more than is left, expected,
	//   - leases: how many a node has that is not there.
	What     string
	Expected int64 // as the rows have it
	Stored   int64
}

// String is the difference in words.
func (d Difference) String() string {
	id := fmt.Sprint(d.ID)
	if d.Kind == Hour {
		id = time.Unix(d.ID, 0).UTC().Format("2006-01-02T15:04Z")
	}
	switch d.What {
	case "record":
		return fmt.Sprintf("%s %s: has rows, but does not exist", d.Kind, id)
	case "overdrawn":
		return fmt.Sprintf("%s %s: has used %d, which is more than the %d it was granted", d.Kind, id, d.Stored, d.Expected)
	case "leased":
		return fmt.Sprintf("%s %s: nodes have leased %d, which is more than the %d that are left", d.Kind, id, d.Stored, d.Expected)
	case "leases":
		return fmt.Sprintf("%s %s: has %d leases, but is not there", d.Kind, id, d.Stored)
	}
	return fmt.Sprintf("%s %s: %s is %d, its rows say %d", d.Kind, id, d.What, d.Stored, d.Expected)
}

// Report is what a check found.
type Report struct {
	Keys  int64 // that were checked, deleted ones among them
	Users int64
	Hours int64 // of rollups that were compared with their records
	// Differences are the first few of Total.
	Differences []Difference
	Total       int64
}

// Grant is one row of the books: a change of what a key or an account may spend
// in all.
type Grant struct {
	ID      int64
	Subject budget.Subject
	Delta   money.Nano
	Cause   budget.Cause
}

// Store keeps the books.
type Store interface {
	// Reconcile checks everything as of one moment and gives at most so many
	// differences in full.
	Reconcile(ctx context.Context, most int) (Report, error)
	// Grants gives one page of a subject's rows, newest first, and how many
	// there are.
	Grants(ctx context.Context, s budget.Subject, offset, limit int64) ([]Grant, int64, error)
}

// Most is how many differences a report has in full.
const Most = 100

// Service checks the books and shows their rows.
type Service struct {
	store   Store
	running sync.Mutex
}

// NewService makes the service.
func NewService(store Store) *Service { return &Service{store: store} }

// Check reads all books. It is the dearest question there is, so that a second
// one meanwhile is a Conflict fault.
func (s *Service) Check(ctx context.Context) (Report, error) {
	if !s.running.TryLock() {
		return Report{}, fault.New(fault.Conflict, "check_running", "The books are being checked already; wait for that check.")
	}
	defer s.running.Unlock()
	report, err := s.store.Reconcile(ctx, Most)
	return report, unavailable(err)
}

// Grants gives one page of the rows of a key or an account, newest first, and
// how many there are. What does not exist has none.
func (s *Service) Grants(ctx context.Context, of budget.Subject, offset, limit int64) ([]Grant, int64, error) {
	rows, total, err := s.store.Grants(ctx, of, offset, limit)
	return rows, total, unavailable(err)
}

func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return fault.Wrap(err, fault.Unavailable, "store_unavailable", "The database cannot be reached right now; try again shortly.").Retry(2 * time.Second)
}
