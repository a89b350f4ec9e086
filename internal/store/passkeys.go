package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"halley/internal/account"
	"halley/internal/passkey"
)

const (
	passkeyColumns = `id, user_id, name, credential_id, record, sign_count, created_ms, used_ms`

	// Changes nothing but holds the user's row until the commit.
	sqlPasskeyUser = `UPDATE users SET version = version WHERE id = $1 AND deleted_ms = 0`

	sqlPasskeyInsert = `INSERT INTO passkeys (user_id, name, credential_id, record, sign_count, created_ms, used_ms) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (credential_id) DO NOTHING RETURNING id`
	sqlPasskeyCount         = `SELECT COUNT(*) FROM passkeys WHERE user_id = $1`
	sqlPasskeysOfUser       = `SELECT ` + passkeyColumns + ` FROM passkeys WHERE user_id = $1 ORDER BY id`
	sqlPasskeyByCredential  = `SELECT ` + passkeyColumns + ` FROM passkeys WHERE credential_id = $1`
	sqlPasskeyUse           = `UPDATE passkeys SET record = $1, sign_count = $2, used_ms = $3 WHERE credential_id = $4 AND (sign_count < $2 OR (sign_count = 0 AND $2 = 0))`
	sqlPasskeyRename        = `UPDATE passkeys SET name = $1 WHERE user_id = $2 AND id = $3 RETURNING ` + passkeyColumns
	sqlPasskeyDelete        = `DELETE FROM passkeys WHERE user_id = $1 AND id = $2`
	sqlPasskeysOfUserDelete = `DELETE FROM passkeys WHERE user_id = $1`

	sqlStateSpend   = `INSERT INTO spent_states (hash, ends_ms) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING`
	sqlStatesForget = `DELETE FROM spent_states WHERE ends_ms <= $1`
)

// InsertPasskey implements account.SecondFactorStore.
func (db *DB) InsertPasskey(ctx context.Context, p *account.Passkey, limit int, recovery [][]byte) (bool, error) {
	issued := false
	err := db.tx(ctx, func(tx *sql.Tx) error {
		// Without it two passkeys made at once could both be the last allowed.
		result, err := tx.ExecContext(ctx, sqlPasskeyUser, p.UserID)
		if err != nil {
			return fmt.Errorf("lock user: %w", err)
		}
		if there, err := changedRow(result); err != nil || !there {
			return errors.Join(err, account.ErrNotFound)
		}
		var n, codes int
		if err := tx.QueryRowContext(ctx, sqlPasskeyCount, p.UserID).Scan(&n); err != nil {
			return fmt.Errorf("count passkeys: %w", err)
		}
		if n >= limit {
			return account.ErrTooMany
		}
		err = tx.QueryRowContext(ctx, sqlPasskeyInsert, p.UserID, p.Name, p.Credential.ID, string(p.Record), int64(p.SignCount), millis(p.Created), millis(p.Used)).Scan(&p.ID)
		if errors.Is(err, sql.ErrNoRows) {
			return account.ErrThere
		}
		if err != nil {
			return fmt.Errorf("insert passkey: %w", err)
		}
		if err := tx.QueryRowContext(ctx, sqlRecoveryCount, p.UserID).Scan(&codes); err != nil {
			return fmt.Errorf("count recovery codes: %w", err)
		}
		if issued = codes == 0; !issued {
			return nil
		}
		return replaceRecoveryCodes(ctx, tx, p.UserID, recovery)
	})
	return issued && err == nil, err
}

// PasskeyByCredential implements account.SecondFactorStore.
func (db *DB) PasskeyByCredential(ctx context.Context, credential []byte) (*account.Passkey, error) {
	return scanPasskey(db.w.QueryRowContext(ctx, sqlPasskeyByCredential, credential))
}

// passkeys are a user's, in the order in which they were made.
func (db *DB) passkeys(ctx context.Context, userID int64) ([]*account.Passkey, error) {
	rows, err := db.w.QueryContext(ctx, sqlPasskeysOfUser, userID)
	if err != nil {
		return nil, fmt.Errorf("select passkeys: %w", err)
	}
	defer rows.Close()
	var all []*account.Passkey
	for rows.Next() {
		p, err := scanPasskey(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("select passkeys: %w", err)
	}
	return all, nil
}

// UsePasskey implements account.SecondFactorStore.
func (db *DB) UsePasskey(ctx context.Context, c passkey.Credential, at time.Time) (bool, error) {
	result, err := db.w.ExecContext(ctx, sqlPasskeyUse, string(c.Record), int64(c.SignCount), millis(at), c.ID)
	if err != nil {
		return false, fmt.Errorf("use passkey: %w", err)
	}
	return changedRow(result)
}

// RenamePasskey implements account.SecondFactorStore.
func (db *DB) RenamePasskey(ctx context.Context, userID, id int64, name string) (*account.Passkey, error) {
	return scanPasskey(db.w.QueryRowContext(ctx, sqlPasskeyRename, name, userID, id))
}

// DeletePasskey implements account.SecondFactorStore.
func (db *DB) DeletePasskey(ctx context.Context, userID, id int64) error {
	return db.tx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, sqlPasskeyDelete, userID, id)
		if err != nil {
			return fmt.Errorf("delete passkey: %w", err)
		}
		if deleted, err := changedRow(result); err != nil || !deleted {
			return errors.Join(err, account.ErrNotFound)
		}
		return dropUnneeded(ctx, tx, userID)
	})
}

// SpendState implements account.SecondFactorStore.
func (db *DB) SpendState(ctx context.Context, hash []byte, now, ends time.Time) error {
	if _, err := db.w.ExecContext(ctx, sqlStatesForget, millis(now)); err != nil {
		return fmt.Errorf("forget spent states: %w", err)
	}
	result, err := db.w.ExecContext(ctx, sqlStateSpend, hash, millis(ends))
	if err != nil {
		return fmt.Errorf("spend a state: %w", err)
	}
	if fresh, err := changedRow(result); err != nil || !fresh {
		return errors.Join(err, account.ErrThere)
	}
	return nil
}

func scanPasskey(row interface{ Scan(...any) error }) (*account.Passkey, error) {
	var p account.Passkey
	var record string
	var count, created, used int64
	err := row.Scan(&p.ID, &p.UserID, &p.Name, &p.Credential.ID, &record, &count, &created, &used)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, account.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read passkey: %w", err)
	}
	p.Record, p.SignCount, p.Created, p.Used = []byte(record), uint32(count), instant(created), instant(used)
	return &p, nil
}
