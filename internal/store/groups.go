package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"halley/internal/group"
	"halley/internal/jsonx"
	"halley/internal/money"
)

var _ group.Store = (*DB)(nil)

const (
	sqlGroups      = `SELECT name, ratio_micro, description, usable_by, limits, version FROM groups ORDER BY name`
	sqlGroup       = `SELECT name, ratio_micro, description, usable_by, limits, version FROM groups WHERE name = $1`
	sqlGroupInsert = `INSERT INTO groups (name, ratio_micro, description, usable_by, limits, version) VALUES ($1, $2, $3, $4, $5, 1) ON CONFLICT (name) DO NOTHING`
	sqlGroupUpdate = `UPDATE groups SET ratio_micro = $1, description = $2, usable_by = $3, limits = $4, version = version + 1 WHERE name = $5 AND version = $6`
	sqlGroupDelete = `DELETE FROM groups WHERE name = $1`

	sqlGroupKeys      = `SELECT COUNT(*) FROM keys WHERE grp = $1 AND deleted_ms = 0`
	sqlGroupKeyLimits = `SELECT limits FROM keys WHERE grp <> $1 AND deleted_ms = 0 AND limits LIKE $2 ESCAPE '\'`
	sqlGroupUsers     = `SELECT COUNT(*) FROM users WHERE grp = $1 AND deleted_ms = 0`
	sqlGroupChannels  = `SELECT groups FROM channels`
)

// Groups implements group.Store.
func (db *DB) Groups(ctx context.Context) ([]*group.Group, error) {
	rows, err := db.r.QueryContext(ctx, sqlGroups)
	if err != nil {
		return nil, fmt.Errorf("select groups: %w", err)
	}
	defer rows.Close()
	var groups []*group.Group
	for rows.Next() {
		g, err := scanGroup(rows)
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return groups, rows.Err()
}

// Group implements group.Store. It reads where writes go, so that a change that
// was just made is seen.
func (db *DB) Group(ctx context.Context, name string) (*group.Group, error) {
	g, err := scanGroup(db.w.QueryRowContext(ctx, sqlGroup, name))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, group.NotFound(name)
	}
	return g, err
}

// InsertGroup implements group.Store.
func (db *DB) InsertGroup(ctx context.Context, g *group.Group) (bool, error) {
	usableBy, limits, err := groupTexts(g)
	if err != nil {
		return false, err
	}
	result, err := db.w.ExecContext(ctx, sqlGroupInsert, g.Name, int64(g.Ratio), g.Desc, usableBy, limits)
	if err != nil {
		return false, fmt.Errorf("insert group: %w", err)
	}
	return changedRow(result)
}

// UpdateGroup implements group.Store.
func (db *DB) UpdateGroup(ctx context.Context, g *group.Group, version int64) (bool, error) {
	usableBy, limits, err := groupTexts(g)
	if err != nil {
		return false, err
	}
	result, err := db.w.ExecContext(ctx, sqlGroupUpdate, int64(g.Ratio), g.Desc, usableBy, limits, g.Name, version)
	if err != nil {
		return false, fmt.Errorf("update group: %w", err)
	}
	return changedRow(result)
}

// DeleteGroup implements group.Store.
func (db *DB) DeleteGroup(ctx context.Context, name string) (group.Uses, error) {
	var uses group.Uses
	err := db.tx(ctx, func(tx *sql.Tx) error {
		var err error
		if uses, err = groupUses(ctx, tx, name); err != nil || !uses.None() {
			return err
		}
		result, err := tx.ExecContext(ctx, sqlGroupDelete, name)
		if err != nil {
			return fmt.Errorf("delete group: %w", err)
		}
		deleted, err := changedRow(result)
		if err == nil && !deleted {
			err = group.NotFound(name)
		}
		return err
	})
	return uses, err
}

// groupUses counts what refers to the group: keys by their group or their own
// automatic order, users, channels.
func groupUses(ctx context.Context, tx *sql.Tx, name string) (group.Uses, error) {
	var uses group.Uses
	if err := tx.QueryRowContext(ctx, sqlGroupKeys, name).Scan(&uses.Keys); err != nil {
		return uses, fmt.Errorf("count the group's keys: %w", err)
	}
	if err := tx.QueryRowContext(ctx, sqlGroupUsers, name).Scan(&uses.Users); err != nil {
		return uses, fmt.Errorf("count the group's users: %w", err)
	}
	// LIKE only narrows the search, as it may ignore case; the JSON decides.
	listed, err := countJSON(ctx, tx, func(limits struct {
		AutoGroups []string `json:"auto_groups"`
	}) bool {
		return slices.Contains(limits.AutoGroups, name)
	}, sqlGroupKeyLimits, name, contains(`"`+name+`"`))
	if err != nil {
		return uses, fmt.Errorf("count the group's keys: %w", err)
	}
	uses.Keys += listed
	uses.Channels, err = countJSON(ctx, tx, func(groups []string) bool {
		return slices.Contains(groups, name)
	}, sqlGroupChannels)
	if err != nil {
		return uses, fmt.Errorf("count the group's channels: %w", err)
	}
	return uses, nil
}

// countJSON counts the rows whose one column, read as a T, is wanted.
func countJSON[T any](ctx context.Context, tx *sql.Tx, wanted func(T) bool, query string, args ...any) (int64, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var n int64
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return 0, err
		}
		var v T
		if err := jsonx.Unmarshal([]byte(text), &v); err != nil {
			return 0, err
		}
		if wanted(v) {
			n++
		}
	}
	return n, rows.Err()
}

func scanGroup(row interface{ Scan(...any) error }) (*group.Group, error) {
	var g group.Group
	var ratio int64
	var usableBy, limits string
	if err := row.Scan(&g.Name, &ratio, &g.Desc, &usableBy, &limits, &g.Version); err != nil {
		return nil, fmt.Errorf("read group: %w", err)
	}
	g.Ratio = money.Ratio(ratio)
	if usableBy != "" {
		if err := jsonx.Unmarshal([]byte(usableBy), &g.UsableBy); err != nil {
			return nil, fmt.Errorf("read who may use group %s: %w", g.Name, err)
		}
	}
	if err := jsonx.Unmarshal([]byte(limits), &g.Limits); err != nil {
		return nil, fmt.Errorf("read the limits of group %s: %w", g.Name, err)
	}
	return &g, nil
}

// groupTexts are the columns that hold JSON; usable_by is empty for everybody.
func groupTexts(g *group.Group) (usableBy, limits string, err error) {
	text, err := jsonx.Marshal(g.Limits)
	if err != nil || g.UsableBy == nil {
		return "", string(text), err
	}
	list, err := jsonx.Marshal(g.UsableBy)
	return string(list), string(text), err
}

// changedRow reports whether a statement that can change one row did.
func changedRow(result sql.Result) (bool, error) {
	n, err := result.RowsAffected()
	return n == 1, err
}
