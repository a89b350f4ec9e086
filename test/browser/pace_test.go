package browser_test

import (
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the driver

	"halley/test/harness"
)

// manyKeys is how many keys a list must bear.
const manyKeys = 100_000

// The server's own page of keys is real; what lies below it is cloned in the
// database, as making it through the API would take minutes. How long the rows
// take is held against its bound by make bench-console alone, on a machine
// that does nothing else; here the requests and their bytes are.
func TestPageOfManyKeys(t *testing.T) {
	if os.Getenv("HALLEY_BENCH") == "" {
		t.Parallel()
	}
	chromium := needs(t)
	s := harness.Start(t, harness.Options{})
	if !built(t, s.BaseURL) {
		harness.LeaveOut(t, "the binary is without the console: make web")
	}
	first := s.Root.CreateKey(t, harness.Fields{"name": "First", "remain_quota": 250_000})
	cloneKey(t, s, first.ID, manyKeys)
	s.Root.PutOption(t, "max_keys_per_user", 2*manyKeys)
	for i := range 20 {
		s.Root.CreateKey(t, harness.Fields{"name": fmt.Sprintf("Zodiac %02d", i), "remain_quota": 250_000})
	}
	run(t, "pace.test.mjs", s, chromium)
}

// cloneKey copies a key's row under other names, each with a value that nobody
// knows and that cannot be shown.
func cloneKey(t *testing.T, s *harness.Server, id int64, count int) {
	t.Helper()
	const columns = `created_ms, accessed_ms, ends_ms, granted_nano, unlimited, model_limits_enabled, model_limits, allow_ips, grp, cross_group_retry, limits`
	inDatabase(t, s, func(tx *sql.Tx) error {
		for _, statement := range []string{
			`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $2)
INSERT INTO keys (user_id, status, name, name_fold, ` + columns + `) SELECT user_id, status, 'Clone ' || n.i, 'clone ' || n.i, ` + columns + ` FROM keys, n WHERE id = $1`,
			`INSERT INTO key_values (hash, key_id, sealed, last4, created_ms) SELECT randomblob(32), id, x'00', printf('%04d', id % 10000), created_ms FROM keys WHERE id > $1 AND id <= $1 + $2`,
		} {
			if _, err := tx.ExecContext(t.Context(), statement, id, count); err != nil {
				return err
			}
		}
		return nil
	})
}

// inDatabase does what the API cannot, behind the server's back.
func inDatabase(t *testing.T, s *harness.Server, do func(*sql.Tx) error) {
	t.Helper()
	path, isSQLite := strings.CutPrefix(s.DatabaseURL, "sqlite:")
	if !isSQLite {
		t.Fatalf("%s is not SQLite", s.DatabaseURL)
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := do(tx); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}
