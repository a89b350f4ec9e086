package store

import (
	"context"
	"fmt"

	"halley/internal/key"
)

const (
	keyToWatch = keySelect + keyFrom + ` WHERE k.user_id = $1 AND k.deleted_ms = 0 AND k.status <> 2`

	sqlKeysExpiring = keyToWatch + ` AND k.ends_ms > $2 AND k.ends_ms <= $3 ORDER BY k.ends_ms, k.id LIMIT $4`
	// One whose quota never was more than a unit is there to ask questions only.
	sqlKeysRunningOut = keyToWatch + ` AND k.unlimited = 0 AND (k.ends_ms < 0 OR k.ends_ms > $2) AND k.granted_nano >= 2000 AND k.granted_nano - k.used_nano <= k.granted_nano / 10
AND (k.granted_nano - k.used_nano >= 2000 OR k.accessed_ms >= $3) ORDER BY k.granted_nano - k.used_nano, k.id LIMIT $4`
	// The text is as limits are written, see keyRow; within a string it has backslashes.
	sqlKeysBudgeted = keyToWatch + ` AND (k.ends_ms < 0 OR k.ends_ms > $2) AND k.limits LIKE '%"budgets":[{%' ORDER BY k.accessed_ms DESC, k.id DESC LIMIT $3`
)

// KeysToWatch implements key.Store.
func (db *DB) KeysToWatch(ctx context.Context, q key.WatchQuery) ([]*key.Key, error) {
	text, args := sqlKeysBudgeted, []any{q.UserID, millis(q.Now), q.Limit}
	switch q.Kind {
	case key.WatchExpiring:
		text, args = sqlKeysExpiring, []any{q.UserID, millis(q.Now), millis(q.Until), q.Limit}
	case key.WatchRunningOut:
		text, args = sqlKeysRunningOut, []any{q.UserID, millis(q.Now), millis(q.UsedSince), q.Limit}
	case key.WatchBudgets:
	}
	rows, err := db.r.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, fmt.Errorf("select keys to watch: %w", err)
	}
	defer rows.Close()
	var keys []*key.Key
	for rows.Next() {
		k, err := scanKey(rows)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, rows.Err()
}
