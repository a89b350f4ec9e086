package store

import (
	"context"
	"fmt"

	"halley/internal/option"
)

var _ option.Store = (*DB)(nil)

const (
	sqlOptions    = `SELECT name, value FROM options`
	sqlOptionSave = `INSERT INTO options (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`
)

// LoadOptions implements option.Store.
func (db *DB) LoadOptions(ctx context.Context) (map[string]string, error) {
	rows, err := db.r.QueryContext(ctx, sqlOptions)
	if err != nil {
		return nil, fmt.Errorf("select options: %w", err)
	}
	defer rows.Close()
	options := map[string]string{}
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, fmt.Errorf("read option: %w", err)
		}
		options[name] = value
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("select options: %w", err)
	}
	return options, nil
}

// SaveOption implements option.Store.
func (db *DB) SaveOption(ctx context.Context, name, text string) error {
	if _, err := db.w.ExecContext(ctx, sqlOptionSave, name, text); err != nil {
		return fmt.Errorf("save option: %w", err)
	}
	return nil
}
