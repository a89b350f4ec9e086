package store_test

import (
	"context"
	"database/sql"
	"math"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/store"
	"halley/internal/store/pgtest"
	"halley/internal/store/storetest"
)

func TestEveryEditIsAnnouncedAndNothingElse(t *testing.T) {
	t.Parallel()
	storetest.RunChanges(t, storetest.Open(t, pgtest.URL(t)))
}

// Ids are given when a change is made and seen when it is committed.
func TestATransactionIsAnnouncedWhenItIsDone(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, pgtest.URL(t))
	w := storetest.WatchFeed(t, db)
	slow, err := beginChange(t, db, "slow")
	must(t, err)
	saveOption(t, db, "quick", "1")
	w.Want(t, "the one that began later", "option quick")
	saveOption(t, db, "quick", "2")
	w.Want(t, "another", "option quick")
	must(t, slow.Commit())
	w.Want(t, "the one that began first", "option slow")
	w.Want(t, "nothing")
}

func TestWhatIsUndoneIsNotAnnounced(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, pgtest.URL(t))
	w := storetest.WatchFeed(t, db)
	undone, err := beginChange(t, db, "undone")
	must(t, err)
	must(t, undone.Rollback())
	w.Want(t, "a rollback")
	saveOption(t, db, "kept", "1")
	w.Want(t, "a change", "option kept")
}

// However transactions and looks interleave.
func TestEachChangeIsSeenOnce(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, pgtest.URL(t))
	const writers, each = 8, 40
	w := storetest.WatchFeed(t, db)
	var writing sync.WaitGroup
	for n := range writers {
		writing.Go(func() {
			for i := range each {
				name := strconv.Itoa(n) + "-" + strconv.Itoa(i)
				end := (*sql.Tx).Commit
				if (n+i)%4 == 0 {
					end = (*sql.Tx).Rollback
				}
				tx, err := beginChange(t, db, name)
				if err == nil {
					err = end(tx)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	written := make(chan struct{})
	go func() { writing.Wait(); close(written) }()
	seen := map[string]int{}
	look := func() {
		for _, c := range w.Page(t).Changes {
			seen[c.Ref]++
		}
	}
	for over := false; !over; {
		select {
		case <-written:
			over = true
		default:
		}
		look()
	}
	want := map[string]int{}
	for n := range writers {
		for i := range each {
			if (n+i)%4 != 0 {
				want[strconv.Itoa(n)+"-"+strconv.Itoa(i)] = 1
			}
		}
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("how often each was seen (-want +got):\n%s", diff)
	}
}

func TestPruningSparesWhatWasNotSeenYet(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, pgtest.URL(t))
	bystander, err := beginChange(t, db, "bystander") // older than all, and never done
	must(t, err)
	t.Cleanup(func() { _ = bystander.Rollback() })
	w := storetest.WatchFeed(t, db)
	saveOption(t, db, "old", "1")
	slow, err := beginChange(t, db, "slow")
	must(t, err)
	before := w.Cursor
	w.Want(t, "the old one", "option old")
	pruneAt := w.Cursor
	must(t, slow.Commit())
	saveOption(t, db, "new", "1")
	must(t, db.PruneChanges(t.Context(), pruneAt))
	w.Want(t, "pruning", "option new", "option slow")
	all := &storetest.FeedWatcher{DB: db, Cursor: before}
	all.Want(t, "pruning, from the beginning", "option new", "option slow")
}

func TestADatabaseThatFellBackIsNoticed(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, pgtest.URL(t))
	far := strconv.FormatInt(math.MaxInt64/2, 10)
	w := &storetest.FeedWatcher{DB: db, Cursor: far + ":" + far + ":"}
	if !w.Page(t).Rewound {
		t.Error("a cursor of the future is taken for one of the past")
	}
	if w.Page(t).Rewound {
		t.Error("it is noticed twice")
	}
}

func TestMoreThanAPageOfChangesIsSaidToBeMore(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, pgtest.URL(t))
	w := storetest.WatchFeed(t, db)
	for _, portion := range []struct {
		from, to int
		more     bool
	}{{1, 10_000, false}, {10_001, 20_001, true}} {
		fill(t, db, portion.from, portion.to)
		if page := w.Page(t); page.More != portion.more || (len(page.Changes) == 10_000) == portion.more {
			t.Errorf("options %d to %d: %d changes, more: %v", portion.from, portion.to, len(page.Changes), page.More)
		}
	}
	w.Want(t, "nothing")
}

// beginChange changes an option in a transaction that stays open.
func beginChange(t *testing.T, db *store.DB, name string) (*sql.Tx, error) {
	tx, err := db.Writer().BeginTx(context.WithoutCancel(t.Context()), nil)
	if err != nil {
		return nil, err
	}
	_, err = tx.ExecContext(t.Context(), `INSERT INTO options (name, value) VALUES ($1, '')`, name)
	return tx, err
}

func saveOption(t *testing.T, db *store.DB, name, text string) {
	t.Helper()
	must(t, db.SaveOption(t.Context(), name, text))
}

// fill makes that many options at once.
func fill(t *testing.T, db *store.DB, from, to int) {
	t.Helper()
	_, err := db.Writer().ExecContext(t.Context(), `INSERT INTO options (name, value) SELECT CAST(n AS TEXT), '' FROM generate_series($1::int, $2::int) n`, from, to)
	must(t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
