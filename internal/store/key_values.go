package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"halley/internal/key"
)

// RotateKey implements key.Values.
func (db *DB) RotateKey(ctx context.Context, userID, id int64, v key.Value, now, ends time.Time, most int64) error {
	return db.tx(ctx, func(tx *sql.Tx) error {
		if err := lockRow(ctx, tx, key.NotFound(id), sqlKeyTurn, id, userID); err != nil {
			return fmt.Errorf("turn the key: %w", err)
		}
		var newest, inForce int64
		if err := tx.QueryRowContext(ctx, sqlKeyValueState, id, millis(now)).Scan(&newest, &inForce); err != nil {
			return fmt.Errorf("look at the key's values: %w", err)
		}
		if ends.After(now) && inForce >= most {
			return key.ErrTooManyValues
		}
		if _, err := tx.ExecContext(ctx, sqlKeyValueReplace, millis(ends), id); err != nil {
			return fmt.Errorf("replace the key's value: %w", err)
		}
		if _, err := tx.ExecContext(ctx, sqlKeyValueWipeOf, []byte{}, id, millis(now)); err != nil {
			return fmt.Errorf("wipe ended values: %w", err)
		}
		// Their instants number the values, so no two may have the same.
		created := max(millis(v.Created), newest+1)
		if _, err := tx.ExecContext(ctx, sqlKeyValueInsert, v.Hash, id, v.Sealed, v.Last4, created); err != nil {
			return fmt.Errorf("insert key value: %w", err)
		}
		return nil
	})
}

// ValuesInForce implements key.Values.
func (db *DB) ValuesInForce(ctx context.Context, id int64, now time.Time) ([]key.Value, error) {
	return db.keyValues(ctx, sqlKeyValuesInForce, id, millis(now))
}

// KeyValues implements key.Values.
func (db *DB) KeyValues(ctx context.Context, id, limit, offset int64) ([]key.Value, int64, error) {
	var total int64
	if err := db.r.QueryRowContext(ctx, sqlKeyValueCount, id).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count key values: %w", err)
	}
	values, err := db.keyValues(ctx, sqlKeyValuePage, id, limit, offset)
	return values, total, err
}

func (db *DB) keyValues(ctx context.Context, query string, args ...any) ([]key.Value, error) {
	rows, err := db.r.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("select key values: %w", err)
	}
	defer rows.Close()
	var values []key.Value
	for rows.Next() {
		var v key.Value
		var created, used, ends int64
		if err := rows.Scan(&v.Hash, &v.Sealed, &v.Last4, &created, &used, &ends, &v.Number); err != nil {
			return nil, fmt.Errorf("read key value: %w", err)
		}
		v.Created, v.Used, v.Ends = instant(created), instant(used), instant(ends)
		values = append(values, v)
	}
	return values, rows.Err()
}

// EndValue implements key.Values.
func (db *DB) EndValue(ctx context.Context, userID, id, number int64, now time.Time) (bool, error) {
	ended := false
	err := db.tx(ctx, func(tx *sql.Tx) error {
		if err := lockRow(ctx, tx, key.NotFound(id), sqlKeyTurn, id, userID); err != nil {
			return fmt.Errorf("turn the key: %w", err)
		}
		result, err := tx.ExecContext(ctx, sqlKeyValueEnd, []byte{}, millis(now), id, number)
		if err != nil {
			return fmt.Errorf("end a key value: %w", err)
		}
		if ended, err = changedRow(result); err == nil && !ended {
			err = errNotEnded // and the key stays as it was
		}
		return err
	})
	if errors.Is(err, errNotEnded) {
		return false, nil
	}
	return ended, err
}

var errNotEnded = errors.New("the value is not one that can end")

// TouchValues implements key.Values. Values are taken in one order, so that two
// nodes cannot wait for each other in a circle.
func (db *DB) TouchValues(ctx context.Context, used map[string]time.Time) error {
	hashes := slices.Sorted(maps.Keys(used))
	for portion := range slices.Chunk(hashes, 1000) {
		err := db.tx(ctx, func(tx *sql.Tx) error {
			for _, hash := range portion {
				if _, err := tx.ExecContext(ctx, sqlKeyValueTouch, millis(used[hash]), []byte(hash)); err != nil {
					return fmt.Errorf("note a value's use: %w", err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// WipeValues implements key.Values.
func (db *DB) WipeValues(ctx context.Context, from, to time.Time) error {
	if _, err := db.w.ExecContext(ctx, sqlKeyValueWipe, []byte{}, millis(from), millis(to)); err != nil {
		return fmt.Errorf("wipe ended values: %w", err)
	}
	return nil
}
