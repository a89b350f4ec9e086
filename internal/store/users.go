package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/jsonx"
	"halley/internal/money"
)

var _ account.UserStore = (*DB)(nil)

const (
	userColumns = `id, username, display_name, email, password_hash, role, status, grp, granted_nano, used_nano, unlimited, request_count, time_zone, language, must_change, created_ms, version, limits`
	userMatches = `deleted_ms = 0 AND ($1 = '' OR search_fold LIKE $1 ESCAPE '\')`

	sqlUserInsert = `INSERT INTO users (username, username_fold, display_name, email, search_fold, password_hash, role, status, grp, granted_nano, unlimited, time_zone, language, must_change, created_ms, limits)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) ON CONFLICT (username_fold) DO NOTHING RETURNING id, version`
	sqlUserAny      = `SELECT id FROM users LIMIT 1`
	sqlUserByID     = `SELECT ` + userColumns + ` FROM users WHERE id = $1 AND deleted_ms = 0`
	sqlUserByName   = `SELECT ` + userColumns + ` FROM users WHERE username_fold = $1 AND deleted_ms = 0`
	sqlUserRoot     = `SELECT ` + userColumns + ` FROM users WHERE role = 'root' AND status = 1 AND deleted_ms = 0 ORDER BY id LIMIT 1`
	sqlUserPage     = `SELECT ` + userColumns + ` FROM users WHERE ` + userMatches + ` ORDER BY id DESC LIMIT $2 OFFSET $3`
	sqlUserCount    = `SELECT COUNT(*) FROM users WHERE ` + userMatches
	sqlUserLock     = `UPDATE users SET version = version + 1 WHERE id = $1 AND deleted_ms = 0`
	sqlUserRoots    = `SELECT COUNT(*) FROM users WHERE id <> $1 AND role = 'root' AND status = 1 AND deleted_ms = 0`
	sqlUserUpdate   = `UPDATE users SET display_name = $1, email = $2, search_fold = $3, password_hash = $4, role = $5, status = $6, grp = $7, granted_nano = granted_nano + $8, unlimited = $9, time_zone = $10, language = $11, must_change = $12, limits = $13 WHERE id = $14`
	sqlUserDelete   = `UPDATE users SET deleted_ms = $1, version = version + 1 WHERE id = $2 AND deleted_ms = 0`
	sqlUserPassword = `UPDATE users SET password_hash = $1, version = version + 1 WHERE id = $2 AND password_hash = $3 AND deleted_ms = 0`

	// The row exists so that transactions can wait for each other on it:
	// SQLite has one writer, PostgreSQL locks the row until the commit.
	sqlUserGuard = `INSERT INTO meta (name, value) VALUES ('user_guard', '') ON CONFLICT (name) DO UPDATE SET value = ''`
)

// InsertUser implements account.UserStore.
func (db *DB) InsertUser(ctx context.Context, u *account.User, why budget.Cause) error {
	return db.tx(ctx, func(tx *sql.Tx) error { return insertUser(ctx, tx, u, why) })
}

// InsertFirstUser implements account.UserStore.
func (db *DB) InsertFirstUser(ctx context.Context, u *account.User, why budget.Cause) (bool, error) {
	created := false
	err := db.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, sqlUserGuard); err != nil {
			return fmt.Errorf("guard users: %w", err)
		}
		var id int64
		err := tx.QueryRowContext(ctx, sqlUserAny).Scan(&id)
		if err == nil {
			return nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("look for users: %w", err)
		}
		created = true
		return insertUser(ctx, tx, u, why)
	})
	return created && err == nil, err
}

func insertUser(ctx context.Context, tx *sql.Tx, u *account.User, why budget.Cause) error {
	limits, err := jsonx.Marshal(u.Limits)
	if err != nil {
		return fmt.Errorf("write the limits: %w", err)
	}
	err = tx.QueryRowContext(ctx, sqlUserInsert,
		u.Username, account.Fold(u.Username), u.DisplayName, u.Email, searchFold(u), u.PasswordHash, string(u.Role), int64(u.Status), u.Group,
		int64(u.Granted), flag(u.Unlimited), u.TimeZone, u.Language, flag(u.MustChange), millis(u.Created), string(limits),
	).Scan(&u.ID, &u.Version)
	if errors.Is(err, sql.ErrNoRows) {
		return account.ErrNameTaken
	}
	if err != nil {
		return fmt.Errorf("insert user: %w", err)
	}
	return noteNew(ctx, tx, budget.Subject{Kind: budget.User, ID: u.ID}, u.Granted, u.Unlimited, why)
}

// HasUsers implements account.UserStore.
func (db *DB) HasUsers(ctx context.Context) (bool, error) {
	var id int64
	err := db.w.QueryRowContext(ctx, sqlUserAny).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for users: %w", err)
	}
	return true, nil
}

// UserByID implements account.UserStore.
func (db *DB) UserByID(ctx context.Context, id int64) (*account.User, error) {
	return scanUser(db.r.QueryRowContext(ctx, sqlUserByID, id))
}

// UserByName implements account.UserStore.
func (db *DB) UserByName(ctx context.Context, fold string) (*account.User, error) {
	return scanUser(db.r.QueryRowContext(ctx, sqlUserByName, stored(fold, maxUserSearch)))
}

// FirstRoot implements account.UserStore.
func (db *DB) FirstRoot(ctx context.Context) (*account.User, error) {
	return scanUser(db.r.QueryRowContext(ctx, sqlUserRoot))
}

// maxUserSearch is more than any user's search_fold has, in bytes.
const maxUserSearch = 4096

// searchFold is what a keyword is looked for in. Case does not count in it: the
// database could fold the letters of ASCII only.
func searchFold(u *account.User) string {
	return account.Fold(u.Username + "\n" + u.DisplayName + "\n" + u.Email)
}

// ListUsers implements account.UserStore.
func (db *DB) ListUsers(ctx context.Context, f account.Filter) ([]*account.User, int64, error) {
	keyword := ""
	if f.Keyword != "" {
		keyword = contains(stored(account.Fold(f.Keyword), maxUserSearch))
	}
	var total int64
	if err := db.r.QueryRowContext(ctx, sqlUserCount, keyword).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count users: %w", err)
	}
	rows, err := db.r.QueryContext(ctx, sqlUserPage, keyword, f.Limit, f.Offset)
	if err != nil {
		return nil, 0, fmt.Errorf("select users: %w", err)
	}
	defer rows.Close()
	var users []*account.User
	for rows.Next() {
		u, err := scanUser(rows)
		if err != nil {
			return nil, 0, err
		}
		users = append(users, u)
	}
	if err := rows.Err(); err != nil {
		return nil, 0, fmt.Errorf("select users: %w", err)
	}
	return users, total, nil
}

// EditUser implements account.UserStore. All edits wait for each other, so that
// two roots cannot demote each other at the same moment; they are rare.
func (db *DB) EditUser(ctx context.Context, id int64, change func(*account.Edit) error) (*account.User, error) {
	var after *account.User
	err := db.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, sqlUserGuard); err != nil {
			return fmt.Errorf("guard users: %w", err)
		}
		if _, err := tx.ExecContext(ctx, sqlUserLock, id); err != nil {
			return fmt.Errorf("lock user: %w", err)
		}
		before, err := scanUser(tx.QueryRowContext(ctx, sqlUserByID, id))
		if err != nil {
			return err
		}
		edit := account.Edit{User: *before}
		if err := tx.QueryRowContext(ctx, sqlUserRoots, id).Scan(&edit.OtherRoots); err != nil {
			return fmt.Errorf("count roots: %w", err)
		}
		if err := change(&edit); err != nil {
			return err
		}
		if err := updateUser(ctx, tx, id, before.Unlimited, &edit); err != nil {
			return err
		}
		after, err = scanUser(tx.QueryRowContext(ctx, sqlUserByID, id))
		return err
	})
	if err != nil {
		return nil, err
	}
	return after, nil
}

func updateUser(ctx context.Context, tx *sql.Tx, id int64, was bool, edit *account.Edit) error {
	u := &edit.User
	unlimited := was
	if edit.Change.Unlimited != nil {
		unlimited = *edit.Change.Unlimited
	}
	limits, err := jsonx.Marshal(u.Limits)
	if err != nil {
		return fmt.Errorf("write the limits: %w", err)
	}
	_, err = tx.ExecContext(ctx, sqlUserUpdate,
		u.DisplayName, u.Email, searchFold(u), u.PasswordHash, string(u.Role), int64(u.Status), u.Group, int64(edit.Change.Delta), flag(unlimited),
		u.TimeZone, u.Language, flag(u.MustChange), string(limits), id)
	if err != nil {
		return fmt.Errorf("update user: %w", err)
	}
	if err := noteChange(ctx, tx, budget.Subject{Kind: budget.User, ID: id}, edit.Change.Delta, was, unlimited, edit.Cause); err != nil {
		return err
	}
	if !edit.EndSessions {
		return nil
	}
	if _, err := tx.ExecContext(ctx, sqlSessionsOfUserDelete, id); err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	return nil
}

// DeleteUser implements account.UserStore.
func (db *DB) DeleteUser(ctx context.Context, id int64, at time.Time) error {
	return db.tx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, sqlUserDelete, millis(at), id)
		if err != nil {
			return fmt.Errorf("delete user: %w", err)
		}
		if deleted, err := changedRow(result); err != nil || !deleted {
			return errors.Join(err, account.ErrNotFound)
		}
		for _, statement := range append(secondFactorsGone(), sqlIdentitiesOfUserDelete, sqlSessionsOfUserDelete, sqlAccessTokensOfUserDelete) {
			if _, err := tx.ExecContext(ctx, statement, id); err != nil {
				return fmt.Errorf("end what signs in: %w", err)
			}
		}
		return nil
	})
}

// ReplacePasswordHash implements account.UserStore.
func (db *DB) ReplacePasswordHash(ctx context.Context, id int64, old, new string) (bool, error) {
	result, err := db.w.ExecContext(ctx, sqlUserPassword, new, id, old)
	if err != nil {
		return false, fmt.Errorf("replace password hash: %w", err)
	}
	return changedRow(result)
}

func scanUser(row interface{ Scan(...any) error }) (*account.User, error) {
	var u account.User
	var granted, used, unlimited, mustChange, created int64
	var limits string
	err := row.Scan(&u.ID, &u.Username, &u.DisplayName, &u.Email, &u.PasswordHash, &u.Role, &u.Status, &u.Group,
		&granted, &used, &unlimited, &u.RequestCount, &u.TimeZone, &u.Language, &mustChange, &created, &u.Version, &limits)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, account.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read user: %w", err)
	}
	if err := jsonx.Unmarshal([]byte(limits), &u.Limits); err != nil {
		return nil, fmt.Errorf("read the limits of user %d: %w", u.ID, err)
	}
	u.Granted, u.Used, u.Unlimited = money.Nano(granted), money.Nano(used), unlimited != 0
	u.MustChange, u.Created = mustChange != 0, instant(created)
	return &u, nil
}
