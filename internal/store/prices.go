package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"halley/internal/price"
)

var _ price.Store = (*DB)(nil)

const (
	priceColumns = `id, model, definition, created_ms`

	sqlPrices = `SELECT ` + priceColumns + ` FROM price_versions
WHERE definition <> '' AND id IN (SELECT MAX(id) FROM price_versions GROUP BY model) ORDER BY id`
	sqlPriceInsert  = `INSERT INTO price_versions (model, definition, created_ms) VALUES ($1, $2, $3) RETURNING id`
	sqlPriceVersion = `SELECT ` + priceColumns + ` FROM price_versions WHERE id = $1`

	// Without a model, of all of them.
	sqlPriceVersions     = `SELECT ` + priceColumns + ` FROM price_versions WHERE ($1 = '' OR model = $1) ORDER BY id DESC LIMIT $2 OFFSET $3`
	sqlPriceVersionCount = `SELECT COUNT(*) FROM price_versions WHERE ($1 = '' OR model = $1)`

	// sqlPriceEnd adds a version without a definition after one that has one.
	sqlPriceEnd = `INSERT INTO price_versions (model, definition, created_ms)
SELECT model, '', $1 FROM price_versions
WHERE definition <> '' AND id = (SELECT MAX(id) FROM price_versions WHERE model = $2)`

	// Ends of prices wait for each other on this row; see sqlUserGuard.
	sqlPriceGuard = `INSERT INTO meta (name, value) VALUES ('price_guard', '') ON CONFLICT (name) DO UPDATE SET value = ''`
)

// ListPrices implements price.Store.
func (db *DB) ListPrices(ctx context.Context) ([]price.Stored, error) {
	return db.prices(ctx, sqlPrices)
}

// ListPriceVersions implements price.Store.
func (db *DB) ListPriceVersions(ctx context.Context, model string, limit, offset int64) ([]price.Stored, int64, error) {
	var total int64
	if err := db.r.QueryRowContext(ctx, sqlPriceVersionCount, model).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count versions of prices: %w", err)
	}
	versions, err := db.prices(ctx, sqlPriceVersions, model, limit, offset)
	return versions, total, err
}

func (db *DB) prices(ctx context.Context, query string, args ...any) ([]price.Stored, error) {
	rows, err := db.r.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("select prices: %w", err)
	}
	defer rows.Close()
	var prices []price.Stored
	for rows.Next() {
		s, err := scanPrice(rows)
		if err != nil {
			return nil, err
		}
		prices = append(prices, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("select prices: %w", err)
	}
	return prices, nil
}

// PutPrice implements price.Store. Of versions added at the same moment the one
// with the highest number counts, whichever was committed last.
func (db *DB) PutPrice(ctx context.Context, model string, definition []byte, now time.Time) (int64, error) {
	var version int64
	err := db.w.QueryRowContext(ctx, sqlPriceInsert, model, string(definition), millis(now)).Scan(&version)
	if err != nil {
		return 0, fmt.Errorf("insert price: %w", err)
	}
	return version, nil
}

// DeletePrice implements price.Store. Deletions wait for each other, so that of
// two at the same moment one finds the price gone.
func (db *DB) DeletePrice(ctx context.Context, model string, now time.Time) (bool, error) {
	found := false
	err := db.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, sqlPriceGuard); err != nil {
			return fmt.Errorf("guard prices: %w", err)
		}
		result, err := tx.ExecContext(ctx, sqlPriceEnd, millis(now), model)
		if err != nil {
			return fmt.Errorf("end price: %w", err)
		}
		found, err = changedRow(result)
		return err
	})
	return found && err == nil, err
}

// PriceVersion implements price.Store.
func (db *DB) PriceVersion(ctx context.Context, version int64) (price.Stored, bool, error) {
	s, err := scanPrice(db.r.QueryRowContext(ctx, sqlPriceVersion, version))
	if errors.Is(err, sql.ErrNoRows) {
		return price.Stored{}, false, nil
	}
	return s, err == nil, err
}

func scanPrice(row interface{ Scan(...any) error }) (price.Stored, error) {
	var s price.Stored
	var created int64
	if err := row.Scan(&s.Version, &s.Model, &s.Definition, &created); err != nil {
		return price.Stored{}, fmt.Errorf("read price: %w", err)
	}
	s.Created = instant(created)
	return s, nil
}
