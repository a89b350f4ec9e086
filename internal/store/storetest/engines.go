// Package storetest holds what every engine must do alike: one exported
// conformance suite per domain's store interface, run on SQLite and on
// PostgreSQL. It knows the store from outside only.
package storetest

import (
	"database/sql"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"halley/internal/store"
	"halley/internal/store/pgtest"
	"halley/internal/store/postgres"
	"halley/internal/store/sqlite"
)

// Engines runs f in one subtest per engine, in parallel. Each open gives a
// fresh, migrated database, closed when the test that asked for it ends.
func Engines(t *testing.T, f func(t *testing.T, open func(t *testing.T) *store.DB)) {
	t.Helper()
	URLs(t, func(t *testing.T, url func(t *testing.T) string) {
		f(t, func(t *testing.T) *store.DB {
			t.Helper()
			return Open(t, url(t))
		})
	})
}

// URLs is Engines for tests that open databases themselves: each url is that of
// an empty database of the test's own.
func URLs(t *testing.T, f func(t *testing.T, url func(t *testing.T) string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		f(t, func(t *testing.T) string {
			t.Helper()
			return "sqlite:" + filepath.Join(t.TempDir(), "halley.db")
		})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		f(t, func(t *testing.T) string {
			t.Helper()
			return pgtest.URL(t)
		})
	})
}

// Open opens and migrates the database at url for as long as the test runs.
func Open(t testing.TB, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("open the store: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return db
}

// Raw is the database at url without the store in between, for what only a
// stranger or an older version would write.
func Raw(t *testing.T, url string) *sql.DB {
	t.Helper()
	var db *sql.DB
	var err error
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		var readers *sql.DB
		if db, readers, err = sqlite.Open(t.Context(), path); err == nil {
			err = readers.Close()
		}
	} else {
		db, err = postgres.Open(t.Context(), url)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}
