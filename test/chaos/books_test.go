package chaos_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the drivers
	_ "modernc.org/sqlite"
)

// openBooks opens the database beside the servers.
func openBooks(t *testing.T, url string) *sql.DB {
	t.Helper()
	driver, source := "pgx", url
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, source = "sqlite", path
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// readBooks copies the ledger.
func readBooks(ctx context.Context, db *sql.DB) (*books, error) {
	b := &books{Keys: map[int64]balance{}, Users: map[int64]balance{}, Hourly: map[int64]int64{}}
	var w row
	err := each(ctx, db, `SELECT request_id, key_id, parent_id, user_id, time_ms, status, error_code, usage_source, prompt_tokens, completion_tokens,
cost_nano, absorbed_nano, held_nano, latency_ms, key_grant_nano, parent_grant_nano, user_grant_nano FROM usage_records ORDER BY id`,
		func() { b.Rows = append(b.Rows, w) },
		&w.RequestID, &w.KeyID, &w.ParentID, &w.UserID, &w.TimeMS, &w.Status, &w.ErrorCode, &w.Source, &w.Prompt, &w.Completion,
		&w.Cost, &w.Absorbed, &w.Held, &w.LatencyMS, &w.KeyGrant, &w.ParentGrant, &w.UserGrant)
	if err != nil {
		return nil, err
	}
	for table, lines := range map[string]map[int64]balance{"keys": b.Keys, "users": b.Users} {
		var id, unlimited int64
		var line balance
		err := each(ctx, db, `SELECT id, granted_nano, used_nano, unlimited FROM `+table, func() {
			line.Unlimited = unlimited != 0
			lines[id] = line
		}, &id, &line.Granted, &line.Used, &unlimited)
		if err != nil {
			return nil, err
		}
	}
	var id, cost int64
	err = each(ctx, db, `SELECT key_id, CAST(SUM(cost_nano) AS BIGINT) FROM usage_hours GROUP BY key_id`, func() { b.Hourly[id] = cost }, &id, &cost)
	if err != nil {
		return nil, err
	}
	return b, each(ctx, db, `SELECT (SELECT COUNT(*) FROM leases) + (SELECT COUNT(*) FROM lease_nodes)`, func() {}, &b.Leases)
}

// each runs the query and calls do for every row, scanned into the targets.
func each(ctx context.Context, db *sql.DB, query string, do func(), into ...any) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
		do()
	}
	return rows.Err()
}
