// Package hardening_test treats the real binary badly, on SQLite and on
// PostgreSQL: it plants secrets and looks for them everywhere (canary_test.go),
// sends what no client should send (bodies_, paths_, headers_ and
// patience_test.go), reaches for other people's records (owners_test.go) and
// points channels where they must not go (addresses_test.go). It knows Halley by
// its published contract only.
package hardening_test

import (
	"os"
	"testing"

	"halley/internal/store/pgtest"
	"halley/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// onEngines runs f on a database of each engine, in parallel.
func onEngines(t *testing.T, f func(t *testing.T, o harness.Options)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		f(t, harness.Options{})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		f(t, harness.Options{DatabaseURL: pgtest.URL(t)})
	})
}
