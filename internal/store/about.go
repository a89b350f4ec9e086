package store

import (
	"context"
	"fmt"
)

// About is what can be said of the database itself.
type About struct {
	Engine  Engine
	Version string // of its software
	Bytes   int64
	Schema  int64 // the last migration
}

const (
	sqlSchemaVersion = `SELECT CAST(MAX(version_id) AS BIGINT) FROM goose_db_version`

	// The engines tell of themselves in their own words.
	aboutPostgres = `SELECT current_setting('server_version'), pg_database_size(current_database())`
	aboutSQLite   = `SELECT sqlite_version(), (SELECT page_count FROM pragma_page_count()) * (SELECT page_size FROM pragma_page_size())`
)

// About asks the database about itself.
func (db *DB) About(ctx context.Context) (About, error) {
	about := About{Engine: db.engine}
	query := aboutPostgres
	if db.engine == SQLite {
		query = aboutSQLite
	}
	if err := db.r.QueryRowContext(ctx, query).Scan(&about.Version, &about.Bytes); err != nil {
		return about, fmt.Errorf("ask the database about itself: %w", err)
	}
	if err := db.r.QueryRowContext(ctx, sqlSchemaVersion).Scan(&about.Schema); err != nil {
		return about, fmt.Errorf("read the version of the schema: %w", err)
	}
	return about, nil
}
