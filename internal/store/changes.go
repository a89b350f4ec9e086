package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"halley/internal/cluster"
	"halley/internal/store/postgres"
)

var _ cluster.Store = (*DB)(nil)

// mostChanges is how many changes one page lists.
const mostChanges = 10_000

// PostgreSQL's alone: on SQLite there is nobody to tell. A snapshot is which
// transactions are done, so what one does not see and a later one does is exactly
// what was committed in between. Its xmin is where to begin to look.
const (
	changesSince = `WITH since AS (SELECT CAST(NULLIF(CAST($1 AS TEXT), '') AS pg_snapshot) AS seen)
SELECT CAST(pg_current_snapshot() AS TEXT), CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT), COALESCE(pg_snapshot_xmax(pg_current_snapshot()) < pg_snapshot_xmax(seen), FALSE), c.id, c.topic, c.ref, c.time_ms
FROM since LEFT JOIN changes c ON c.xact >= pg_snapshot_xmin(seen) AND NOT pg_visible_in_snapshot(c.xact, seen) ORDER BY c.id LIMIT $2`
	changesPrune = `DELETE FROM changes WHERE xact < pg_snapshot_xmax(CAST(CAST($1 AS TEXT) AS pg_snapshot)) AND pg_visible_in_snapshot(xact, CAST(CAST($1 AS TEXT) AS pg_snapshot))`
)

// errOneServer is what the feed of changes says on SQLite.
var errOneServer = errors.New("a SQLite database has one server and no feed of changes")

// Changes implements cluster.Store on PostgreSQL.
func (db *DB) Changes(ctx context.Context, since string) (cluster.Page, error) {
	if db.engine != Postgres {
		return cluster.Page{}, errOneServer
	}
	rows, err := db.r.QueryContext(ctx, changesSince, since, mostChanges+1)
	if err != nil {
		return cluster.Page{}, fmt.Errorf("select changes: %w", err)
	}
	defer rows.Close()
	var page cluster.Page
	for rows.Next() {
		var now int64
		var id, millis sql.NullInt64
		var topic, ref sql.NullString
		if err := rows.Scan(&page.Cursor, &now, &page.Rewound, &id, &topic, &ref, &millis); err != nil {
			return cluster.Page{}, fmt.Errorf("read change: %w", err)
		}
		page.Now = time.UnixMicro(now)
		if id.Valid {
			page.Changes = append(page.Changes, cluster.Change{ID: id.Int64, Topic: topic.String, Ref: ref.String, Millis: millis.Int64})
		}
	}
	if err := rows.Err(); err != nil {
		return cluster.Page{}, fmt.Errorf("select changes: %w", err)
	}
	if page.More = len(page.Changes) > mostChanges; page.More {
		page.Changes = nil
	}
	return page, nil
}

// PruneChanges implements cluster.Store on PostgreSQL.
func (db *DB) PruneChanges(ctx context.Context, cursor string) error {
	if db.engine != Postgres {
		return errOneServer
	}
	if _, err := db.w.ExecContext(ctx, changesPrune, cursor); err != nil {
		return fmt.Errorf("prune changes: %w", err)
	}
	return nil
}

// Listen opens a connection that hears notices on the channels; on PostgreSQL.
func (db *DB) Listen(ctx context.Context, channels []string) (*postgres.Listening, error) {
	if db.engine != Postgres {
		return nil, errOneServer
	}
	return postgres.Listen(ctx, db.url, channels)
}
