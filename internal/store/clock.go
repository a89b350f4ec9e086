package store

import (
	"context"
	"fmt"
	"time"
)

// The one question that the engines need different words for.
const (
	clockPostgres = `SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)`
	// SQLite has no clock of its own: the newest record stands for it, unless
	// it is in the past, as it should be.
	clockSQLite = `SELECT MAX(COALESCE((SELECT MAX(created_ms) FROM users), 0), COALESCE((SELECT time_ms FROM usage_records ORDER BY id DESC LIMIT 1), 0))`
)

// Clock is the database's time. On SQLite, which has none, it is this machine's
// unless a record lies ahead of it, which shows that the clock went back.
func (db *DB) Clock(ctx context.Context) (time.Time, error) {
	query := clockPostgres
	if db.engine == SQLite {
		query = clockSQLite
	}
	var ms int64
	if err := db.r.QueryRowContext(ctx, query).Scan(&ms); err != nil {
		return time.Time{}, fmt.Errorf("read the database's clock: %w", err)
	}
	at := time.UnixMilli(ms)
	if now := time.Now(); db.engine == SQLite && at.Before(now) {
		return now, nil
	}
	return at, nil
}
