package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"halley/internal/seal"
)

var _ seal.Meta = (*DB)(nil)

const (
	sqlMetaGet = `SELECT value FROM meta WHERE name = $1`
	sqlMetaPut = `INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`
)

// GetMeta implements seal.Meta. It reads where writes go, so that what was just
// put is seen.
func (db *DB) GetMeta(ctx context.Context, name string) (string, bool, error) {
	var value string
	err := db.w.QueryRowContext(ctx, sqlMetaGet, name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read meta %s: %w", name, err)
	}
	return value, true, nil
}

// PutMetaIfAbsent implements seal.Meta.
func (db *DB) PutMetaIfAbsent(ctx context.Context, name, value string) (string, error) {
	if _, err := db.w.ExecContext(ctx, sqlMetaPut, name, value); err != nil {
		return "", fmt.Errorf("write meta %s: %w", name, err)
	}
	standing, ok, err := db.GetMeta(ctx, name)
	if err == nil && !ok {
		err = fmt.Errorf("meta %s is gone", name)
	}
	return standing, err
}
