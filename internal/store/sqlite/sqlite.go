// Package sqlite opens and tunes an SQLite database: one writer connection, a
// pool of readers, write-ahead log. It knows no table.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"modernc.org/sqlite" // and the "sqlite" driver
	sqlite3 "modernc.org/sqlite/lib"
)

// busyTimeout is how long a statement waits for another process's write.
const busyTimeout = 5 * time.Second

// Open opens the file at path, made when missing with mode 0600 as are its
// companions, and gives the writer (one connection) and the readers.
func Open(ctx context.Context, path string) (writer, readers *sql.DB, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, nil, fmt.Errorf("make the database folder: %w", err)
	}
	if err := create(path); err != nil {
		return nil, nil, fmt.Errorf("make the database file: %w", err)
	}
	writer, err = open(ctx, path, url.Values{"_txlock": {"immediate"}}, 1)
	if err != nil {
		return nil, nil, err
	}
	readers, err = open(ctx, path, url.Values{"_pragma": {"query_only(1)"}}, max(4, runtime.GOMAXPROCS(0)))
	if err != nil {
		_ = writer.Close()
		return nil, nil, err
	}
	return writer, readers, nil
}

// create makes the file when it is missing; SQLite gives its companions the same
// mode. One that is there is not opened: closing it again would drop the locks
// that this process may have on it already.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

func open(ctx context.Context, path string, params url.Values, conns int) (*sql.DB, error) {
	for _, pragma := range []string{fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(1)", "temp_store(MEMORY)", "cache_size(-4000)"} {
		params.Add("_pragma", pragma)
	}
	dsn := (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: params.Encode()}).String()
	if !filepath.IsAbs(path) {
		dsn = "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + params.Encode()
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("open sqlite: %w", err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	if err := ping(ctx, db); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("open sqlite: %w", err)
	}
	return db, nil
}

// Sync makes the transactions committed to the database at path safe from a
// loss of power: those that are not in the main file, which a checkpoint has
// synced, are in the write-ahead log. No lock is held on the log's file, so
// that closing this descriptor cannot drop one, as it would on the others.
func Sync(path string) error {
	for _, name := range []string{path + "-wal", filepath.Dir(path)} {
		f, err := os.Open(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // everything is in the main file
		}
		if err != nil {
			return fmt.Errorf("sync the database: %w", err)
		}
		err = f.Sync()
		_ = f.Close()
		if err != nil {
			return fmt.Errorf("sync the database: %w", err)
		}
	}
	return nil
}

// ping makes the first connection. When two processes turn the same new file to
// a write-ahead log at once, one is told that it is busy without being made to
// wait: then it tries again, for as long as any other statement would wait.
func ping(ctx context.Context, db *sql.DB) error {
	again, enough := time.NewTicker(10*time.Millisecond), time.After(busyTimeout)
	defer again.Stop()
	for {
		err := db.PingContext(ctx)
		busy, ok := errors.AsType[*sqlite.Error](err)
		if !ok || busy.Code()&0xff != sqlite3.SQLITE_BUSY {
			return err
		}
		select {
		case <-again.C:
		case <-enough:
			return err
		case <-ctx.Done():
			return err
		}
	}
}
