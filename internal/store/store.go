// Package store holds all SQL. Each file implements the store interface of one
// domain; the same text runs on SQLite and PostgreSQL, with $n placeholders,
// integers for booleans and instants, and JSON as text. It must not know HTTP
// or any rule of the business.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"halley/internal/store/migrations"
	"halley/internal/store/postgres"
	"halley/internal/store/sqlite"
)

// ErrAway means that the database cannot be reached right now, while nothing
// says that it never will be.
var ErrAway = errors.New("the database does not answer")

// Away reports whether an error of this package, or of one that used it, means
// ErrAway: waiting may help.
func Away(err error) bool { return errors.Is(err, ErrAway) || postgres.Lost(err) }

// Engine names the database underneath.
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// DB is an open, migrated database. On SQLite writes go through one
// connection; on PostgreSQL w and r are the same pool.
type DB struct {
	engine Engine
	w, r   *sql.DB
	path   string // SQLite's file
	url    string // PostgreSQL's, with its password
	usage  usageWriter
	node   atomic.Int64 // whose leases pay for usage; 0 for none
}

// querier is a transaction, or no transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Open opens "sqlite:PATH" or "postgres://…" and brings the schema up to date.
func Open(ctx context.Context, url string, log *slog.Logger) (*DB, error) {
	db, err := connect(ctx, url)
	if err != nil {
		return nil, err
	}
	if err := db.migrate(ctx, log); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func connect(ctx context.Context, url string) (*DB, error) {
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		w, r, err := sqlite.Open(ctx, path)
		if err != nil {
			return nil, err
		}
		return &DB{engine: SQLite, w: w, r: r, path: path}, nil
	}
	if strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://") {
		pool, err := postgres.Open(ctx, url)
		if errors.Is(err, postgres.ErrAway) {
			return nil, fmt.Errorf("%w: %w", ErrAway, err)
		}
		if err != nil {
			return nil, err
		}
		return &DB{engine: Postgres, w: pool, r: pool, url: url}, nil
	}
	return nil, errors.New("database.url must be sqlite:PATH or postgres://…")
}

// migrate runs what is missing. Several may start together: on PostgreSQL a
// session lock orders them; on SQLite whoever comes second finds the tables
// made, and everything done when it looks again.
func (db *DB) migrate(ctx context.Context, log *slog.Logger) error {
	folder, err := fs.Sub(migrations.Files, string(db.engine))
	if err != nil {
		return fmt.Errorf("find the migrations: %w", err)
	}
	dialect, options := goose.DialectSQLite3, []goose.ProviderOption{goose.WithSlog(log)}
	if db.engine == Postgres {
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300)) // every second, for five minutes
		if err != nil {
			return fmt.Errorf("make the migration lock: %w", err)
		}
		dialect = goose.DialectPostgres
		options = append(options, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(dialect, db.w, folder, options...)
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	_, err = provider.Up(ctx)
	for again := 0; err != nil && db.engine == SQLite && again < 3; again++ {
		_, err = provider.Up(ctx)
	}
	if err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

// Engine tells which database this is.
func (db *DB) Engine() Engine { return db.engine }

// Ping asks the database for a sign of life.
func (db *DB) Ping(ctx context.Context) error { return db.w.PingContext(ctx) }

// Sync makes what has been committed safe from a loss of power. PostgreSQL does
// so at each commit. SQLite with synchronous=NORMAL would leave it to the next
// checkpoint; here its write-ahead log is synced from outside, which is as good
// and costs one fsync for many commits.
func (db *DB) Sync() error {
	if db.engine == Postgres {
		return nil
	}
	return sqlite.Sync(db.path)
}

// Close closes the connections.
func (db *DB) Close() error {
	if db.w == db.r {
		return db.w.Close()
	}
	return errors.Join(db.r.Close(), db.w.Close())
}

// tx runs f in a write transaction, rolled back when f fails or panics.
func (db *DB) tx(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := db.w.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := f(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// flag is how booleans are stored.
func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// millis is how instants are stored; the zero time is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// instant reads what millis wrote.
func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// contains makes a LIKE pattern for "has this substring", for use with
// ESCAPE '\'; the text must already be folded as the column is.
func contains(s string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s) + "%"
}
