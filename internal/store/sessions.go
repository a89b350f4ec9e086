package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"halley/internal/account"
)

var _ account.SessionStore = (*DB)(nil)

const (
	// Changes nothing but holds the user's row until the commit.
	sqlSessionUser = `UPDATE users SET password_hash = password_hash WHERE id = $1 AND password_hash = $2 AND status = 1 AND deleted_ms = 0`

	sessionColumns = `id, hash, user_id, created_ms, seen_ms, ends_ms, ip, user_agent, method`

	sqlSessionInsert        = `INSERT INTO sessions (hash, user_id, created_ms, seen_ms, ends_ms, ip, user_agent, method) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id`
	sqlSessionsExpired      = `DELETE FROM sessions WHERE user_id = $1 AND (ends_ms <= $2 OR seen_ms <= $3)`
	sqlSessionsOldest       = `DELETE FROM sessions WHERE user_id = $1 AND hash NOT IN (SELECT hash FROM sessions WHERE user_id = $1 ORDER BY created_ms DESC, seen_ms DESC LIMIT $2)`
	sqlSessionByHash        = `SELECT ` + sessionColumns + ` FROM sessions WHERE hash = $1`
	sqlSessionsOfUser       = `SELECT ` + sessionColumns + ` FROM sessions WHERE user_id = $1 AND ends_ms > $2 AND seen_ms > $3 ORDER BY seen_ms DESC, id DESC`
	sqlSessionTouch         = `UPDATE sessions SET seen_ms = $1 WHERE hash = $2`
	sqlSessionDelete        = `DELETE FROM sessions WHERE hash = $1`
	sqlSessionOfUserDelete  = `DELETE FROM sessions WHERE user_id = $1 AND id = $2 RETURNING hash`
	sqlSessionsOthersDelete = `DELETE FROM sessions WHERE user_id = $1 AND hash <> $2`
	sqlSessionsOfUserDelete = `DELETE FROM sessions WHERE user_id = $1`
)

// InsertSession implements account.SessionStore.
func (db *DB) InsertSession(ctx context.Context, s *account.Session, passwordHash string, expired account.SessionsExpired, keep int) error {
	return db.tx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, sqlSessionUser, s.UserID, passwordHash)
		if err != nil {
			return fmt.Errorf("lock the session's user: %w", err)
		}
		if there, err := changedRow(result); err != nil || !there {
			return errors.Join(err, account.ErrNotFound)
		}
		if _, err := tx.ExecContext(ctx, sqlSessionsExpired, s.UserID, millis(expired.At), millis(expired.IdleSince)); err != nil {
			return fmt.Errorf("drop ended sessions: %w", err)
		}
		if _, err := tx.ExecContext(ctx, sqlSessionsOldest, s.UserID, keep-1); err != nil {
			return fmt.Errorf("drop the oldest sessions: %w", err)
		}
		row := tx.QueryRowContext(ctx, sqlSessionInsert, s.Hash, s.UserID, millis(s.Created), millis(s.Seen), millis(s.Ends), s.IP, s.UserAgent, string(s.Method))
		if err := row.Scan(&s.ID); err != nil {
			return fmt.Errorf("insert session: %w", err)
		}
		return nil
	})
}

// SessionByHash implements account.SessionStore.
func (db *DB) SessionByHash(ctx context.Context, hash []byte) (*account.Session, error) {
	return scanSession(db.r.QueryRowContext(ctx, sqlSessionByHash, hash))
}

// ListSessions implements account.SessionStore.
func (db *DB) ListSessions(ctx context.Context, userID int64, expired account.SessionsExpired) ([]*account.Session, error) {
	rows, err := db.r.QueryContext(ctx, sqlSessionsOfUser, userID, millis(expired.At), millis(expired.IdleSince))
	if err != nil {
		return nil, fmt.Errorf("select sessions: %w", err)
	}
	defer rows.Close()
	var sessions []*account.Session
	for rows.Next() {
		s, err := scanSession(rows)
		if err != nil {
			return nil, err
		}
		sessions = append(sessions, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("select sessions: %w", err)
	}
	return sessions, nil
}

func scanSession(row interface{ Scan(...any) error }) (*account.Session, error) {
	var s account.Session
	var created, seen, ends int64
	err := row.Scan(&s.ID, &s.Hash, &s.UserID, &created, &seen, &ends, &s.IP, &s.UserAgent, &s.Method)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, account.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read session: %w", err)
	}
	s.Created, s.Seen, s.Ends = instant(created), instant(seen), instant(ends)
	return &s, nil
}

// TouchSession implements account.SessionStore.
func (db *DB) TouchSession(ctx context.Context, hash []byte, seen time.Time) (bool, error) {
	result, err := db.w.ExecContext(ctx, sqlSessionTouch, millis(seen), hash)
	if err != nil {
		return false, fmt.Errorf("touch session: %w", err)
	}
	return changedRow(result)
}

// DeleteSession implements account.SessionStore.
func (db *DB) DeleteSession(ctx context.Context, hash []byte) error {
	if _, err := db.w.ExecContext(ctx, sqlSessionDelete, hash); err != nil {
		return fmt.Errorf("delete session: %w", err)
	}
	return nil
}

// DeleteSessionOf implements account.SessionStore.
func (db *DB) DeleteSessionOf(ctx context.Context, userID, id int64) ([]byte, error) {
	var hash []byte
	err := db.w.QueryRowContext(ctx, sqlSessionOfUserDelete, userID, id).Scan(&hash)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, account.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("delete a user's session: %w", err)
	}
	return hash, nil
}

// DeleteOtherSessions implements account.SessionStore.
func (db *DB) DeleteOtherSessions(ctx context.Context, userID int64, keep []byte) (int64, error) {
	if keep == nil {
		keep = []byte{} // NULL would compare with nothing
	}
	result, err := db.w.ExecContext(ctx, sqlSessionsOthersDelete, userID, keep)
	if err != nil {
		return 0, fmt.Errorf("delete a user's sessions: %w", err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("count what was deleted: %w", err)
	}
	return n, nil
}
