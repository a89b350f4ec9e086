// Package sqlite opens and tunes an SQLite database: one writer connection, a
// pool of readers, write-ahead log. It knows no table.
package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	_ "modernc.org/sqlite" // the "sqlite" driver
)

// Open opens the file at path, made when missing with mode 0600 as are its
// companions, and gives the writer (one connection) and the readers.
func Open(ctx context.Context, path string) (writer, readers *sql.DB, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, nil, fmt.Errorf("make the database folder: %w", err)
	}
	// SQLite gives its -wal and -shm files the mode of the main file.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open the database file: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, nil, fmt.Errorf("open the database file: %w", err)
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

func open(ctx context.Context, path string, params url.Values, conns int) (*sql.DB, error) {
	for _, pragma := range []string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(1)", "temp_store(MEMORY)", "cache_size(-4000)"} {
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
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("open sqlite: %w", err)
	}
	return db, nil
}
