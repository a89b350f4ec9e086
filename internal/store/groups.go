package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"halley/internal/group"
	"halley/internal/jsonx"
	"halley/internal/money"
)

var _ group.Store = (*DB)(nil)

const groupColumns = `name, ratio_micro, description, usable_by, strategy, limits`

const (
	sqlGroups      = `SELECT ` + groupColumns + `, version FROM groups ORDER BY name`
	sqlGroup       = `SELECT ` + groupColumns + `, version FROM groups WHERE name = $1`
	sqlGroupInsert = `INSERT INTO groups (` + groupColumns + `, version) VALUES ($1, $2, $3, $4, $5, $6, 1) ON CONFLICT (name) DO NOTHING`
	sqlGroupUpdate = `UPDATE groups SET name = $1, ratio_micro = $2, description = $3, usable_by = $4, strategy = $5, limits = $6, version = version + 1 WHERE name = $1 AND version = $7`
	sqlGroupDelete = `DELETE FROM groups WHERE name = $1`
)

// groupAudience is the usable_by column, which is empty for everybody.
type groupAudience struct {
	Groups []string `json:"groups,omitempty"`
	Users  []int64  `json:"users,omitempty"`
}

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
	values, err := groupValues(g)
	if err != nil {
		return false, err
	}
	result, err := db.w.ExecContext(ctx, sqlGroupInsert, values...)
	if err != nil {
		return false, fmt.Errorf("insert group: %w", err)
	}
	return changedRow(result)
}

// UpdateGroup implements group.Store.
func (db *DB) UpdateGroup(ctx context.Context, g *group.Group, version int64) (bool, error) {
	values, err := groupValues(g)
	if err != nil {
		return false, err
	}
	result, err := db.w.ExecContext(ctx, sqlGroupUpdate, append(values, version)...)
	if err != nil {
		return false, fmt.Errorf("update group: %w", err)
	}
	return changedRow(result)
}

func scanGroup(row interface{ Scan(...any) error }) (*group.Group, error) {
	var g group.Group
	var ratio int64
	var usableBy, limits string
	if err := row.Scan(&g.Name, &ratio, &g.Desc, &usableBy, &g.Strategy, &limits, &g.Version); err != nil {
		return nil, fmt.Errorf("read group: %w", err)
	}
	g.Ratio = money.Ratio(ratio)
	if usableBy != "" {
		var audience groupAudience
		if err := jsonx.Unmarshal([]byte(usableBy), &audience); err != nil {
			return nil, fmt.Errorf("read who may use group %s: %w", g.Name, err)
		}
		g.UsableBy = new(group.Audience(audience))
	}
	if err := jsonx.Unmarshal([]byte(limits), &g.Limits); err != nil {
		return nil, fmt.Errorf("read the limits of group %s: %w", g.Name, err)
	}
	return &g, nil
}

// groupValues are the values of groupColumns, in their order.
func groupValues(g *group.Group) ([]any, error) {
	limits, err := jsonx.Marshal(g.Limits)
	if err != nil {
		return nil, fmt.Errorf("write group: %w", err)
	}
	usableBy := ""
	if g.UsableBy != nil {
		text, err := jsonx.Marshal(groupAudience(*g.UsableBy))
		if err != nil {
			return nil, fmt.Errorf("write group: %w", err)
		}
		usableBy = string(text)
	}
	return []any{g.Name, int64(g.Ratio), g.Desc, usableBy, string(cmp.Or(g.Strategy, group.Weighted)), string(limits)}, nil
}

// changedRow reports whether a statement that can change one row did.
func changedRow(result sql.Result) (bool, error) {
	n, err := result.RowsAffected()
	return n == 1, err
}
