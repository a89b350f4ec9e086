package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"halley/internal/fault"
	"halley/internal/group"
	"halley/internal/jsonx"
	"halley/internal/key"
)

// What refers to a group: users and keys by a column, keys also by their own
// order of automatic routing, channels by a list, and the order of automatic
// routing for everybody.
const (
	sqlGroupKeys      = `SELECT id, name FROM keys WHERE grp = $1 AND deleted_ms = 0 ORDER BY id`
	sqlGroupKeyLimits = `SELECT id, name, limits FROM keys WHERE grp <> $1 AND deleted_ms = 0 AND limits LIKE $2 ESCAPE '\' ORDER BY id`
	sqlGroupUsers     = `SELECT id, username FROM users WHERE grp = $1 AND deleted_ms = 0 ORDER BY id`
	sqlGroupChannels  = `SELECT id, name, groups FROM channels ORDER BY id`

	// What is moved is read as it is when its row is locked: an edit of the same
	// row ends before or finds a later version.
	sqlGroupLock        = `UPDATE groups SET version = version WHERE name = $1`
	sqlGroupMoveKeys    = `UPDATE keys SET grp = $1, version = version + 1 WHERE grp = $2 AND deleted_ms = 0 RETURNING id`
	sqlGroupMoveUsers   = `UPDATE users SET grp = $1, version = version + 1 WHERE grp = $2 AND deleted_ms = 0 RETURNING id`
	sqlGroupKeysListing = `SELECT id FROM keys WHERE deleted_ms = 0 AND limits LIKE $1 ESCAPE '\' ORDER BY id`
	sqlGroupKeyTurn     = `UPDATE keys SET version = version + 1 WHERE id = $1 RETURNING limits`
	sqlGroupKeySet      = `UPDATE keys SET limits = $1 WHERE id = $2`
	sqlGroupChannelIDs  = `SELECT id FROM channels WHERE groups LIKE $1 ESCAPE '\' ORDER BY id`
	sqlGroupChannelTurn = `UPDATE channels SET version = version + 1 WHERE id = $1 RETURNING groups`
	sqlGroupChannelSet  = `UPDATE channels SET groups = $1 WHERE id = $2`
	sqlGroupAutoOrder   = `SELECT value FROM options WHERE name = 'auto_groups'`

	sqlUserExists = `SELECT 1 FROM users WHERE id = $1 AND deleted_ms = 0`
)

// DeleteGroup implements group.Store.
func (db *DB) DeleteGroup(ctx context.Context, name string) (uses group.Uses, err error) {
	err = db.tx(ctx, func(tx *sql.Tx) error {
		uses, err = deleteUnused(ctx, tx, name)
		return err
	})
	return uses, err
}

// deleteUnused deletes the group unless something uses it.
func deleteUnused(ctx context.Context, tx *sql.Tx, name string) (group.Uses, error) {
	uses, err := groupUses(ctx, tx, name)
	if err != nil || !uses.None() {
		return uses, err
	}
	result, err := tx.ExecContext(ctx, sqlGroupDelete, name)
	if err != nil {
		return uses, fmt.Errorf("delete group: %w", err)
	}
	deleted, err := changedRow(result)
	if err == nil && !deleted {
		err = group.NotFound(name)
	}
	return uses, err
}

// groupUses says what refers to the group. LIKE only narrows the search, as it
// may ignore case; the JSON decides.
func groupUses(ctx context.Context, tx *sql.Tx, name string) (group.Uses, error) {
	var uses group.Uses
	for _, part := range []struct {
		what  string
		of    *group.Use
		lists bool
		query string
		args  []any
	}{
		{"keys", &uses.Keys, false, sqlGroupKeys, []any{name}},
		{"keys", &uses.Keys, true, sqlGroupKeyLimits, []any{name, contains(`"` + name + `"`)}},
		{"users", &uses.Users, false, sqlGroupUsers, []any{name}},
		{"channels", &uses.Channels, true, sqlGroupChannels, nil},
	} {
		if err := countUses(ctx, tx, part.of, name, part.lists, part.query, part.args...); err != nil {
			return uses, fmt.Errorf("look for the group's %s: %w", part.what, err)
		}
	}
	return uses, nil
}

// countUses adds what a query finds: an id, a name and, with lists, JSON that
// lists the group or does not.
func countUses(ctx context.Context, tx *sql.Tx, uses *group.Use, name string, lists bool, query string, args ...any) error {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var called, text string
		into := []any{&id, &called}
		if lists {
			into = append(into, &text)
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		listed := !lists
		if lists {
			groups, err := listedGroups(text)
			if err != nil {
				return err
			}
			listed = slices.Contains(groups, name)
		}
		if listed {
			uses.Add(id, called)
		}
	}
	return rows.Err()
}

// listedGroups reads the groups of a channel, which are a list, or of a key's
// limits, which are an object.
func listedGroups(text string) (groups []string, err error) {
	if len(text) > 0 && text[0] == '[' {
		err = jsonx.Unmarshal([]byte(text), &groups)
		return groups, err
	}
	var limits key.Limits
	err = jsonx.Unmarshal([]byte(text), &limits)
	return limits.AutoGroups, err
}

// errInUse ends a transaction that was to leave a group unused.
var errInUse = errors.New("the group is in use")

// MoveGroup implements group.Store.
func (db *DB) MoveGroup(ctx context.Context, name, to string) (moved group.Moved, uses group.Uses, err error) {
	err = db.tx(ctx, func(tx *sql.Tx) error {
		m := mover{tx: tx, from: name, to: to}
		if err := m.lockTarget(ctx); err != nil {
			return err
		}
		if moved, err = m.all(ctx); err != nil {
			return err
		}
		if uses, err = deleteUnused(ctx, tx, name); err == nil && !uses.None() {
			err = errInUse
		}
		return err
	})
	switch {
	case errors.Is(err, errInUse):
		return group.Moved{}, uses, nil
	case err != nil:
		return group.Moved{}, group.Uses{}, err
	}
	return moved, uses, nil
}

// mover has what refers to a group refer to another one.
type mover struct {
	tx       *sql.Tx
	from, to string
}

func (m *mover) lockTarget(ctx context.Context) error {
	result, err := m.tx.ExecContext(ctx, sqlGroupLock, m.to)
	if err != nil {
		return fmt.Errorf("lock group: %w", err)
	}
	if there, err := changedRow(result); err != nil || there {
		return err
	}
	return fault.New(fault.Invalid, "invalid_group", "move_to: there is no group %q.", m.to).Field("move_to")
}

func (m *mover) all(ctx context.Context) (moved group.Moved, err error) {
	if moved.Channels, err = m.channels(ctx); err != nil {
		return moved, fmt.Errorf("move the group's channels: %w", err)
	}
	if moved.Users, err = ids(ctx, m.tx, sqlGroupMoveUsers, m.to, m.from); err != nil {
		return moved, fmt.Errorf("move the group's users: %w", err)
	}
	if moved.Keys, err = m.keys(ctx); err != nil {
		return moved, fmt.Errorf("move the group's keys: %w", err)
	}
	if moved.AutoGroups, err = m.autoGroups(ctx); err != nil {
		return moved, fmt.Errorf("change the order of automatic routing: %w", err)
	}
	return moved, nil
}

func (m *mover) channels(ctx context.Context) ([]int64, error) {
	return m.lists(ctx, sqlGroupChannelIDs, sqlGroupChannelTurn, sqlGroupChannelSet, func(text string) (string, bool, error) {
		var groups []string
		if err := jsonx.Unmarshal([]byte(text), &groups); err != nil {
			return "", false, err
		}
		return m.rewritten(&groups, &groups)
	})
}

func (m *mover) keys(ctx context.Context) ([]int64, error) {
	moved, err := ids(ctx, m.tx, sqlGroupMoveKeys, m.to, m.from)
	if err != nil {
		return nil, err
	}
	listing, err := m.lists(ctx, sqlGroupKeysListing, sqlGroupKeyTurn, sqlGroupKeySet, func(text string) (string, bool, error) {
		var limits key.Limits
		if err := jsonx.Unmarshal([]byte(text), &limits); err != nil {
			return "", false, err
		}
		return m.rewritten(&limits.AutoGroups, &limits)
	})
	for _, id := range listing {
		if !slices.Contains(moved, id) {
			moved = append(moved, id)
		}
	}
	return moved, err
}

// lists rewrites the JSON of those rows that may list the group: find gives
// their ids, turn locks one and gives its text, set writes it.
func (m *mover) lists(ctx context.Context, find, turn, set string, rewrite func(text string) (string, bool, error)) ([]int64, error) {
	candidates, err := ids(ctx, m.tx, find, contains(`"`+m.from+`"`))
	if err != nil {
		return nil, err
	}
	var moved []int64
	for _, id := range candidates {
		var text string
		if err := m.tx.QueryRowContext(ctx, turn, id).Scan(&text); err != nil {
			return nil, err
		}
		text, changed, err := rewrite(text)
		if err != nil {
			return nil, err
		}
		if !changed {
			continue
		}
		if _, err := m.tx.ExecContext(ctx, set, text, id); err != nil {
			return nil, err
		}
		moved = append(moved, id)
	}
	return moved, nil
}

// rewritten puts the other group in the place of the one in the list, which is
// whole or part of it, and gives the whole as JSON; false when it is not in it.
func (m *mover) rewritten(list *[]string, whole any) (string, bool, error) {
	at := slices.Index(*list, m.from)
	if at < 0 {
		return "", false, nil
	}
	next := slices.Clone(*list)
	if next[at] = m.to; slices.Contains((*list)[:at], m.to) {
		next = slices.Delete(next, at, at+1)
	} else if again := slices.Index(next[at+1:], m.to); again >= 0 {
		next = slices.Delete(next, at+1+again, at+2+again)
	}
	*list = next
	text, err := jsonx.Marshal(whole)
	return string(text), true, err
}

func (m *mover) autoGroups(ctx context.Context) (bool, error) {
	var text string
	err := m.tx.QueryRowContext(ctx, sqlGroupAutoOrder).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var order []string
	if err := jsonx.Unmarshal([]byte(text), &order); err != nil {
		return false, err
	}
	text, changed, err := m.rewritten(&order, &order)
	if err != nil || !changed {
		return false, err
	}
	_, err = m.tx.ExecContext(ctx, sqlOptionSave, "auto_groups", text)
	return true, err
}

// MissingUsers implements group.Store.
func (db *DB) MissingUsers(ctx context.Context, ids []int64) ([]int64, error) {
	var missing []int64
	for _, id := range ids {
		var there int
		err := db.w.QueryRowContext(ctx, sqlUserExists, id).Scan(&there)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			missing = append(missing, id)
		case err != nil:
			return nil, fmt.Errorf("look for user %d: %w", id, err)
		}
	}
	return missing, nil
}

// ids gives the one column of a query's rows.
func ids(ctx context.Context, tx *sql.Tx, query string, args ...any) ([]int64, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return appendIDs(nil, rows)
}
