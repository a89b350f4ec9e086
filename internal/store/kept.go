package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"halley/internal/kept"
)

var _ kept.Store = (*DB)(nil)

const (
	keptColumns = `SELECT k.id, k.previous, k.root, k.channel_id, k.credential, k.created_ms, k.expires_ms, k.content FROM kept k`
	// What is to go: it is over, or its key is gone.
	keptDue = `(kept.expires_ms <= $1 OR EXISTS (SELECT 1 FROM keys WHERE keys.id = kept.key_id AND keys.deleted_ms > 0))`

	// Holds the key's total, and with it all of its responses, until the commit.
	sqlKeptLock   = `INSERT INTO kept_totals (key_id, bytes) VALUES ($1, 0) ON CONFLICT (key_id) DO UPDATE SET bytes = kept_totals.bytes RETURNING bytes`
	sqlKeptTotal  = `UPDATE kept_totals SET bytes = $2 WHERE key_id = $1`
	sqlKeptInsert = `INSERT INTO kept (key_id, id, previous, root, channel_id, credential, created_ms, expires_ms, size, content)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (key_id, id) DO NOTHING`
	sqlKeptItem = `INSERT INTO kept_items (key_id, item_id, response_id) VALUES ($1, $2, $3) ON CONFLICT (key_id, item_id) DO NOTHING`
	// Not each time, or every turn would write all before it once more.
	sqlKeptExtend = `UPDATE kept SET expires_ms = $3 WHERE key_id = $1 AND root = $2 AND expires_ms < $4`
	sqlKeptOldest = `DELETE FROM kept WHERE key_id = $1 AND id = (SELECT id FROM kept WHERE key_id = $1 AND id <> $2 ORDER BY created_ms, id LIMIT 1) RETURNING size`

	sqlKeptByID   = keptColumns + ` WHERE k.key_id = $1 AND k.id = $2 AND k.expires_ms > $3`
	sqlKeptThread = keptColumns + ` WHERE k.key_id = $1 AND k.root = $2 AND k.expires_ms > $3`
	sqlKeptByItem = keptColumns + ` JOIN kept_items i ON i.key_id = k.key_id AND i.response_id = k.id WHERE i.key_id = $1 AND i.item_id = $2 AND k.expires_ms > $3`

	sqlKeptDelete  = `DELETE FROM kept WHERE key_id = $1 AND id = $2 RETURNING size`
	sqlKeptDueKeys = `SELECT DISTINCT key_id FROM kept WHERE ` + keptDue + ` LIMIT $2`
	sqlKeptDrop    = `DELETE FROM kept WHERE key_id = $2 AND id IN (SELECT id FROM kept WHERE key_id = $2 AND ` + keptDue + ` ORDER BY created_ms LIMIT $3) RETURNING size`
)

// InsertKept implements kept.Store.
func (db *DB) InsertKept(ctx context.Context, r *kept.Row, most int64) error {
	return db.keptTx(ctx, r.KeyID, func(tx *sql.Tx, total int64) (int64, error) {
		result, err := tx.ExecContext(ctx, sqlKeptInsert, r.KeyID, r.ID, r.Previous, r.Root, r.Channel, r.Credential, millis(r.Created), millis(r.ExpiresAt), len(r.Content), r.Content)
		if err != nil {
			return 0, fmt.Errorf("insert kept response: %w", err)
		}
		if isNew, err := changedRow(result); err != nil || !isNew {
			return total, err
		}
		for _, item := range r.Items {
			if _, err := tx.ExecContext(ctx, sqlKeptItem, r.KeyID, item, r.ID); err != nil {
				return 0, fmt.Errorf("insert item of kept response: %w", err)
			}
		}
		late := r.ExpiresAt.Add(-min(24*time.Hour, r.ExpiresAt.Sub(r.Created)/10))
		if _, err := tx.ExecContext(ctx, sqlKeptExtend, r.KeyID, r.Root, millis(r.ExpiresAt), millis(late)); err != nil {
			return 0, fmt.Errorf("extend kept conversation: %w", err)
		}
		for total += int64(len(r.Content)); total > most; {
			var size int64
			err := tx.QueryRowContext(ctx, sqlKeptOldest, r.KeyID, r.ID).Scan(&size)
			if errors.Is(err, sql.ErrNoRows) {
				break
			}
			if err != nil {
				return 0, fmt.Errorf("drop the oldest kept response: %w", err)
			}
			total -= size
		}
		return total, nil
	})
}

// keptTx changes what a key keeps; f gets how many bytes that is and gives how
// many it is then.
func (db *DB) keptTx(ctx context.Context, keyID int64, f func(tx *sql.Tx, total int64) (int64, error)) error {
	return db.tx(ctx, func(tx *sql.Tx) error {
		var total int64
		if err := tx.QueryRowContext(ctx, sqlKeptLock, keyID).Scan(&total); err != nil {
			return fmt.Errorf("lock what the key keeps: %w", err)
		}
		then, err := f(tx, total)
		if err != nil || then == total {
			return err
		}
		if _, err := tx.ExecContext(ctx, sqlKeptTotal, keyID, then); err != nil {
			return fmt.Errorf("count what the key keeps: %w", err)
		}
		return nil
	})
}

// Kept implements kept.Store.
func (db *DB) Kept(ctx context.Context, keyID int64, id string, now time.Time) (*kept.Row, error) {
	return db.keptRow(ctx, sqlKeptByID, keyID, id, now)
}

// KeptWithItem implements kept.Store.
func (db *DB) KeptWithItem(ctx context.Context, keyID int64, item string, now time.Time) (*kept.Row, error) {
	return db.keptRow(ctx, sqlKeptByItem, keyID, item, now)
}

func (db *DB) keptRow(ctx context.Context, query string, keyID int64, id string, now time.Time) (*kept.Row, error) {
	rows, err := db.keptRows(ctx, query, keyID, id, now)
	switch {
	case err != nil:
		return nil, err
	case len(rows) == 0:
		return nil, kept.ErrNotFound
	}
	return rows[0], nil
}

// KeptThread implements kept.Store.
func (db *DB) KeptThread(ctx context.Context, keyID int64, root string, now time.Time) ([]*kept.Row, error) {
	return db.keptRows(ctx, sqlKeptThread, keyID, root, now)
}

func (db *DB) keptRows(ctx context.Context, query string, keyID int64, id string, now time.Time) ([]*kept.Row, error) {
	found, err := db.r.QueryContext(ctx, query, keyID, id, millis(now))
	if err != nil {
		return nil, fmt.Errorf("read kept responses: %w", err)
	}
	defer found.Close()
	var rows []*kept.Row
	for found.Next() {
		r := &kept.Row{Response: kept.Response{KeyID: keyID}}
		var created, expires int64
		if err := found.Scan(&r.ID, &r.Previous, &r.Root, &r.Channel, &r.Credential, &created, &expires, &r.Content); err != nil {
			return nil, fmt.Errorf("read kept response: %w", err)
		}
		r.Created, r.ExpiresAt = instant(created), instant(expires)
		rows = append(rows, r)
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("read kept responses: %w", err)
	}
	return rows, nil
}

// DeleteKept implements kept.Store.
func (db *DB) DeleteKept(ctx context.Context, keyID int64, id string) (there bool, err error) {
	err = db.keptTx(ctx, keyID, func(tx *sql.Tx, total int64) (int64, error) {
		var size int64
		err := tx.QueryRowContext(ctx, sqlKeptDelete, keyID, id).Scan(&size)
		if errors.Is(err, sql.ErrNoRows) {
			return total, nil
		}
		if err != nil {
			return 0, fmt.Errorf("delete kept response: %w", err)
		}
		there = true
		return total - size, nil
	})
	return there, err
}

// DropKept implements kept.Store.
func (db *DB) DropKept(ctx context.Context, now time.Time, limit int) (dropped int64, err error) {
	keys, err := db.keptDueKeys(ctx, now, limit)
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		if dropped >= int64(limit) {
			break
		}
		err := db.keptTx(ctx, key, func(tx *sql.Tx, total int64) (int64, error) {
			n, size, err := sumSizes(tx.QueryContext(ctx, sqlKeptDrop, millis(now), key, int64(limit)-dropped))
			dropped += n
			return total - size, err
		})
		if err != nil {
			return dropped, err
		}
	}
	return dropped, nil
}

func (db *DB) keptDueKeys(ctx context.Context, now time.Time, limit int) (keys []int64, err error) {
	found, err := db.r.QueryContext(ctx, sqlKeptDueKeys, millis(now), limit)
	if err != nil {
		return nil, fmt.Errorf("find expired responses: %w", err)
	}
	defer found.Close()
	for found.Next() {
		var key int64
		if err := found.Scan(&key); err != nil {
			return nil, fmt.Errorf("find expired responses: %w", err)
		}
		keys = append(keys, key)
	}
	return keys, found.Err()
}

func sumSizes(found *sql.Rows, err error) (n, size int64, _ error) {
	if err != nil {
		return 0, 0, fmt.Errorf("drop expired responses: %w", err)
	}
	defer found.Close()
	for found.Next() {
		var one int64
		if err := found.Scan(&one); err != nil {
			return 0, 0, fmt.Errorf("drop expired responses: %w", err)
		}
		n, size = n+1, size+one
	}
	return n, size, found.Err()
}
