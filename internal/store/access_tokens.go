package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"halley/internal/account"
)

var _ account.Store = (*DB)(nil)

const (
	accessTokenColumns = `id, user_id, name, scope, hash, last4, created_ms, accessed_ms, ends_ms`

	// Changes nothing but holds the user's row until the commit.
	sqlAccessTokenUser = `UPDATE users SET version = version WHERE id = $1 AND deleted_ms = 0`

	sqlAccessTokenInsert        = `INSERT INTO access_tokens (user_id, name, scope, hash, last4, created_ms, accessed_ms, ends_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id`
	sqlAccessTokenCount         = `SELECT COUNT(*) FROM access_tokens WHERE user_id = $1`
	sqlAccessTokenByHash        = `SELECT ` + accessTokenColumns + ` FROM access_tokens WHERE hash = $1`
	sqlAccessTokenPage          = `SELECT ` + accessTokenColumns + ` FROM access_tokens WHERE user_id = $1 ORDER BY id DESC LIMIT $2 OFFSET $3`
	sqlAccessTokenTouch         = `UPDATE access_tokens SET accessed_ms = $1 WHERE id = $2`
	sqlAccessTokenDelete        = `DELETE FROM access_tokens WHERE id = $1 AND user_id = $2`
	sqlAccessTokensOfUserDelete = `DELETE FROM access_tokens WHERE user_id = $1`
)

// InsertAccessToken implements account.TokenStore.
func (db *DB) InsertAccessToken(ctx context.Context, t *account.Token, limit int) error {
	ends := account.Never
	if t.ExpiresAt != account.Never {
		ends = t.ExpiresAt * 1000
	}
	return db.tx(ctx, func(tx *sql.Tx) error {
		// Without it two tokens made at once could both be the last allowed.
		result, err := tx.ExecContext(ctx, sqlAccessTokenUser, t.UserID)
		if err != nil {
			return fmt.Errorf("lock user: %w", err)
		}
		if there, err := changedRow(result); err != nil || !there {
			return errors.Join(err, account.ErrNotFound)
		}
		var n int
		if err := tx.QueryRowContext(ctx, sqlAccessTokenCount, t.UserID).Scan(&n); err != nil {
			return fmt.Errorf("count access tokens: %w", err)
		}
		if n >= limit {
			return account.ErrTooMany
		}
		err = tx.QueryRowContext(ctx, sqlAccessTokenInsert, t.UserID, t.Name, string(t.Scope), t.Hash, t.Last4, millis(t.Created), millis(t.Accessed), ends).Scan(&t.ID)
		if err != nil {
			return fmt.Errorf("insert access token: %w", err)
		}
		return nil
	})
}

// AccessTokenByHash implements account.TokenStore.
func (db *DB) AccessTokenByHash(ctx context.Context, hash []byte) (*account.Token, error) {
	return scanAccessToken(db.r.QueryRowContext(ctx, sqlAccessTokenByHash, hash))
}

// ListAccessTokens implements account.TokenStore.
func (db *DB) ListAccessTokens(ctx context.Context, userID, offset, limit int64) ([]*account.Token, int64, error) {
	var total int64
	if err := db.r.QueryRowContext(ctx, sqlAccessTokenCount, userID).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count access tokens: %w", err)
	}
	rows, err := db.r.QueryContext(ctx, sqlAccessTokenPage, userID, limit, offset)
	if err != nil {
		return nil, 0, fmt.Errorf("select access tokens: %w", err)
	}
	defer rows.Close()
	var tokens []*account.Token
	for rows.Next() {
		t, err := scanAccessToken(rows)
		if err != nil {
			return nil, 0, err
		}
		tokens = append(tokens, t)
	}
	if err := rows.Err(); err != nil {
		return nil, 0, fmt.Errorf("select access tokens: %w", err)
	}
	return tokens, total, nil
}

// TouchAccessToken implements account.TokenStore.
func (db *DB) TouchAccessToken(ctx context.Context, id int64, accessed time.Time) (bool, error) {
	result, err := db.w.ExecContext(ctx, sqlAccessTokenTouch, millis(accessed), id)
	if err != nil {
		return false, fmt.Errorf("touch access token: %w", err)
	}
	return changedRow(result)
}

// DeleteAccessToken implements account.TokenStore.
func (db *DB) DeleteAccessToken(ctx context.Context, userID, id int64) error {
	result, err := db.w.ExecContext(ctx, sqlAccessTokenDelete, id, userID)
	if err != nil {
		return fmt.Errorf("delete access token: %w", err)
	}
	if deleted, err := changedRow(result); err != nil || !deleted {
		return errors.Join(err, account.ErrNotFound)
	}
	return nil
}

func scanAccessToken(row interface{ Scan(...any) error }) (*account.Token, error) {
	var t account.Token
	var created, accessed, ends int64
	err := row.Scan(&t.ID, &t.UserID, &t.Name, &t.Scope, &t.Hash, &t.Last4, &created, &accessed, &ends)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, account.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read access token: %w", err)
	}
	t.Created, t.Accessed = instant(created), instant(accessed)
	t.ExpiresAt = ends
	if ends != account.Never {
		t.ExpiresAt = ends / 1000
	}
	return &t, nil
}
