package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"halley/internal/budget"
	"halley/internal/jsonx"
	"halley/internal/key"
	"halley/internal/money"
)

var _ key.Store = (*DB)(nil)

const (
	keySelect = `SELECT k.id, k.user_id, k.status, k.name, k.created_ms, k.accessed_ms, k.ends_ms, k.granted_nano, k.used_nano, k.unlimited, k.model_limits_enabled, k.model_limits, k.allow_ips, k.grp, k.cross_group_retry, k.limits, k.parent_id, k.version, v.last4, v.sealed, v.hash, COALESCE(p.status, 0), COALESCE(p.ends_ms, 0), COALESCE(p.granted_nano, 0), COALESCE(p.used_nano, 0), COALESCE(p.unlimited, 0)`
	keyFrom   = ` FROM keys k JOIN key_values v ON v.key_id = k.id AND v.ends_ms = 0 LEFT JOIN keys p ON p.id = k.parent_id`
	// The values that are accepted at the instant that follows.
	valueInForce = `(o.ends_ms = 0 OR o.ends_ms > `
	valueSelect  = `SELECT o.hash, o.sealed, o.last4, o.created_ms, o.used_ms, o.ends_ms, (SELECT COUNT(*) FROM key_values n WHERE n.key_id = o.key_id AND n.created_ms <= o.created_ms) FROM key_values o WHERE o.key_id = $1`
	// A key is exhausted when less than one quota unit (2,000 nano-USD) is left.
	// What stops its parent stops it.
	keyMatches = ` WHERE k.user_id = $1 AND k.deleted_ms = 0 AND ($7 = 0 OR k.parent_id = $7) AND ($2 = '' OR k.name_fold LIKE $2 ESCAPE '\') AND ($3 = '' OR k.grp = $3) AND ($4 = '' OR EXISTS (SELECT 1 FROM key_values o WHERE o.key_id = k.id AND o.last4 = $4 AND ` + valueInForce + `$6)))
AND ($5 = 0 OR $5 = CASE WHEN k.status = 2 OR p.status = 2 THEN 2
WHEN k.status = 3 OR p.status = 3 OR (k.ends_ms >= 0 AND k.ends_ms <= $6) OR (p.ends_ms >= 0 AND p.ends_ms <= $6) THEN 3
WHEN k.status = 4 OR p.status = 4 OR (k.unlimited = 0 AND k.granted_nano - k.used_nano < 2000) OR (p.unlimited = 0 AND p.granted_nano - p.used_nano < 2000) THEN 4 ELSE 1 END)`

	sqlKeyByHash = keySelect + keyFrom + ` JOIN key_values o ON o.key_id = k.id WHERE o.hash = $1 AND ` + valueInForce + `$2) AND k.deleted_ms = 0`
	sqlKeyByID   = keySelect + keyFrom + ` WHERE k.id = $1 AND k.deleted_ms = 0`
	sqlKeyCount  = `SELECT COUNT(*) FROM keys k LEFT JOIN keys p ON p.id = k.parent_id` + keyMatches

	// A page is found by narrow rows first: sorting whole ones would carry their
	// texts about. By name from its end is the index read backwards, so that equal
	// names have their oldest first. What requests change (balances, last use) has no index: each
	// request would have to write it, too.
	keyPage = keySelect + keyFrom + ` JOIN (SELECT k.id AS page_id FROM keys k LEFT JOIN keys p ON p.id = k.parent_id` + keyMatches + ` ORDER BY `

	sqlKeyPageByCreated       = keyPage + `k.id LIMIT $8 OFFSET $9) page ON page.page_id = k.id ORDER BY k.id`
	sqlKeyPageByCreatedDown   = keyPage + `k.id DESC LIMIT $8 OFFSET $9) page ON page.page_id = k.id ORDER BY k.id DESC`
	sqlKeyPageByName          = keyPage + `k.name_fold, k.id DESC LIMIT $8 OFFSET $9) page ON page.page_id = k.id ORDER BY k.name_fold, k.id DESC`
	sqlKeyPageByNameDown      = keyPage + `k.name_fold DESC, k.id LIMIT $8 OFFSET $9) page ON page.page_id = k.id ORDER BY k.name_fold DESC, k.id`
	sqlKeyPageByUsed          = keyPage + `k.used_nano, k.id DESC LIMIT $8 OFFSET $9) page ON page.page_id = k.id ORDER BY k.used_nano, k.id DESC`
	sqlKeyPageByUsedDown      = keyPage + `k.used_nano DESC, k.id DESC LIMIT $8 OFFSET $9) page ON page.page_id = k.id ORDER BY k.used_nano DESC, k.id DESC`
	sqlKeyPageByLastUsed      = keyPage + `k.accessed_ms, k.id DESC LIMIT $8 OFFSET $9) page ON page.page_id = k.id ORDER BY k.accessed_ms, k.id DESC`
	sqlKeyPageByLastUsedDown  = keyPage + `k.accessed_ms DESC, k.id DESC LIMIT $8 OFFSET $9) page ON page.page_id = k.id ORDER BY k.accessed_ms DESC, k.id DESC`
	sqlKeyPageByRemaining     = keyPage + keyRemaining + `, k.id DESC LIMIT $8 OFFSET $9) page ON page.page_id = k.id ORDER BY ` + keyRemaining + `, k.id DESC`
	sqlKeyPageByRemainingDown = keyPage + keyRemaining + ` DESC, k.id DESC LIMIT $8 OFFSET $9) page ON page.page_id = k.id ORDER BY ` + keyRemaining + ` DESC, k.id DESC`
	sqlKeyPageByExpires       = keyPage + keyExpires + `, k.id DESC LIMIT $8 OFFSET $9) page ON page.page_id = k.id ORDER BY ` + keyExpires + `, k.id DESC`
	sqlKeyPageByExpiresDown   = keyPage + keyExpires + ` DESC, k.id DESC LIMIT $8 OFFSET $9) page ON page.page_id = k.id ORDER BY ` + keyExpires + ` DESC, k.id DESC`

	// What has no quota, or no end, has the most of it.
	keyRemaining = `CASE WHEN k.unlimited = 0 THEN k.granted_nano - k.used_nano ELSE 9223372036854775807 END`
	keyExpires   = `CASE WHEN k.ends_ms >= 0 THEN k.ends_ms ELSE 9223372036854775807 END`

	// Writing the parent's row makes an insert of its child and its deletion wait
	// for each other.
	sqlKeyParentLock = `UPDATE keys SET version = version WHERE id = $1 AND user_id = $2 AND parent_id = 0 AND deleted_ms = 0`
	// A parent_id of 0 is that of keys that none issued.
	sqlKeyChildren = `SELECT id FROM keys WHERE parent_id = $1 AND parent_id > 0 AND user_id = $2 AND deleted_ms = 0`

	// Writing the owner's row makes inserts of one owner wait for each other,
	// so that two cannot both be the last that was allowed.
	sqlKeyOwnerLock  = `UPDATE users SET version = version WHERE id = $1 AND deleted_ms = 0`
	sqlKeyOwnerCount = `SELECT COUNT(*) FROM keys WHERE user_id = $1 AND deleted_ms = 0`
	sqlKeyInsert     = `INSERT INTO keys (user_id, status, name, name_fold, created_ms, accessed_ms, ends_ms, granted_nano, unlimited, model_limits_enabled, model_limits, allow_ips, grp, cross_group_retry, limits, parent_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) RETURNING id`
	sqlKeyValueInsert = `INSERT INTO key_values (hash, key_id, sealed, last4, created_ms) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (hash) DO NOTHING`
	sqlKeyUpdate      = `UPDATE keys SET status = $1, name = $2, name_fold = $3, ends_ms = $4, granted_nano = granted_nano + $5, unlimited = $6, model_limits_enabled = $7, model_limits = $8, allow_ips = $9, grp = $10, cross_group_retry = $11, limits = $12, version = version + 1
WHERE id = $13 AND version = $14 AND deleted_ms = 0`
	sqlKeyUnlimited   = `SELECT unlimited FROM keys WHERE id = $1 AND version = $2 AND deleted_ms = 0`
	sqlKeyGrant       = `UPDATE keys SET granted_nano = granted_nano + $1, version = version + 1 WHERE id = $2 AND deleted_ms = 0`
	sqlKeyDelete      = `UPDATE keys SET deleted_ms = $1, version = version + 1 WHERE id = $2 AND user_id = $3 AND deleted_ms = 0`
	sqlKeyValueDelete = `UPDATE key_values SET sealed = $1, ends_ms = $2 WHERE key_id = $3 AND (ends_ms = 0 OR ends_ms > $2)`

	// Writing the key's row makes rotations of one key wait for each other.
	sqlKeyTurn          = `UPDATE keys SET version = version + 1 WHERE id = $1 AND user_id = $2 AND deleted_ms = 0`
	sqlKeyValueState    = `SELECT COALESCE(MAX(o.created_ms), 0), CAST(COALESCE(SUM(CASE WHEN ` + valueInForce + `$2) THEN 1 ELSE 0 END), 0) AS BIGINT) FROM key_values o WHERE o.key_id = $1`
	sqlKeyValueReplace  = `UPDATE key_values SET ends_ms = $1 WHERE key_id = $2 AND ends_ms = 0`
	sqlKeyValuesInForce = valueSelect + ` AND ` + valueInForce + `$2) ORDER BY o.created_ms DESC`
	sqlKeyValuePage     = valueSelect + ` ORDER BY o.created_ms DESC LIMIT $2 OFFSET $3`
	sqlKeyValueCount    = `SELECT COUNT(*) FROM key_values WHERE key_id = $1`
	sqlKeyValueEnd      = `UPDATE key_values SET sealed = $1, ends_ms = $2 WHERE key_id = $3 AND ends_ms > $2 AND $4 = (SELECT COUNT(*) FROM key_values n WHERE n.key_id = $3 AND n.created_ms <= key_values.created_ms)`
	sqlKeyValueTouch    = `UPDATE key_values SET used_ms = $1 WHERE hash = $2 AND used_ms < $1`
	sqlKeyValueWipe     = `UPDATE key_values SET sealed = $1 WHERE ends_ms > 0 AND ends_ms > $2 AND ends_ms <= $3`
	sqlKeyValueWipeOf   = `UPDATE key_values SET sealed = $1 WHERE key_id = $2 AND ends_ms > 0 AND ends_ms <= $3`
)

// KeyByHash implements key.Store.
func (db *DB) KeyByHash(ctx context.Context, hash []byte, now time.Time) (*key.Key, error) {
	k, err := scanKey(db.r.QueryRowContext(ctx, sqlKeyByHash, hash, millis(now)))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, key.NotFound(0)
	}
	if err != nil {
		return nil, err
	}
	values, err := db.ValuesInForce(ctx, k.ID, now)
	if err != nil {
		return nil, err
	}
	for _, v := range values {
		if !v.Ends.IsZero() {
			k.Older = append(k.Older, key.OldValue{Hash: v.Hash, Ends: v.Ends})
		}
	}
	return k, nil
}

// KeyByID implements key.Store.
func (db *DB) KeyByID(ctx context.Context, id int64) (*key.Key, error) {
	k, err := scanKey(db.r.QueryRowContext(ctx, sqlKeyByID, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, key.NotFound(id)
	}
	return k, err
}

// pageOf is the statement of an order; the store is asked only for orders that
// there are.
func pageOf(by key.Sort) string {
	switch by {
	case key.SortCreated:
		return sqlKeyPageByCreated
	case key.SortName:
		return sqlKeyPageByName
	case "-" + key.SortName:
		return sqlKeyPageByNameDown
	case key.SortUsed:
		return sqlKeyPageByUsed
	case "-" + key.SortUsed:
		return sqlKeyPageByUsedDown
	case key.SortLastUsed:
		return sqlKeyPageByLastUsed
	case "-" + key.SortLastUsed:
		return sqlKeyPageByLastUsedDown
	case key.SortRemaining:
		return sqlKeyPageByRemaining
	case "-" + key.SortRemaining:
		return sqlKeyPageByRemainingDown
	case key.SortExpires:
		return sqlKeyPageByExpires
	case "-" + key.SortExpires:
		return sqlKeyPageByExpiresDown
	}
	return sqlKeyPageByCreatedDown
}

// Keys implements key.Store.
func (db *DB) Keys(ctx context.Context, q key.Query) ([]*key.Key, int64, error) {
	pattern := ""
	if q.Keyword != "" {
		pattern = contains(q.Keyword)
	}
	where := []any{q.UserID, pattern, q.Group, q.Last4, int64(q.Status), millis(q.Now), q.ParentID}
	var total int64
	count, args := sqlKeyCount, where
	if pattern == "" && q.Group == "" && q.Last4 == "" && q.Status == 0 && q.ParentID == 0 {
		count, args = sqlKeyOwnerCount, where[:1] // by an index alone
	}
	if err := db.r.QueryRowContext(ctx, count, args...).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count keys: %w", err)
	}
	rows, err := db.r.QueryContext(ctx, pageOf(q.Sort), append(where, q.Limit, q.Offset)...)
	if err != nil {
		return nil, 0, fmt.Errorf("select keys: %w", err)
	}
	defer rows.Close()
	var keys []*key.Key
	for rows.Next() {
		k, err := scanKey(rows)
		if err != nil {
			return nil, 0, err
		}
		keys = append(keys, k)
	}
	return keys, total, rows.Err()
}

// InsertKey implements key.Store. The parent is locked before the account, in
// the order in which usage is charged.
func (db *DB) InsertKey(ctx context.Context, k *key.Key, most int64, why budget.Cause) (int64, error) {
	fields, err := keyFields(k)
	if err != nil {
		return 0, err
	}
	var id int64
	err = db.tx(ctx, func(tx *sql.Tx) error {
		if fields.parent != 0 {
			if err := lockRow(ctx, tx, key.NotFound(fields.parent), sqlKeyParentLock, fields.parent, k.UserID); err != nil {
				return fmt.Errorf("lock the key's parent: %w", err)
			}
		}
		if err := lockRow(ctx, tx, key.NoOwner(k.UserID), sqlKeyOwnerLock, k.UserID); err != nil {
			return fmt.Errorf("lock the key's owner: %w", err)
		}
		var count int64
		if err := tx.QueryRowContext(ctx, sqlKeyOwnerCount, k.UserID).Scan(&count); err != nil {
			return fmt.Errorf("count the owner's keys: %w", err)
		}
		if count >= most {
			return key.ErrTooMany
		}
		err = tx.QueryRowContext(ctx, sqlKeyInsert,
			k.UserID, fields.status, k.Name, key.Fold(k.Name), millis(k.Created), millis(k.Accessed), fields.ends, int64(k.Granted), flag(k.Unlimited),
			flag(k.ModelLimitsEnabled), fields.models, fields.addresses, k.Group, flag(k.CrossGroupRetry), fields.limits, fields.parent,
		).Scan(&id)
		if err != nil {
			return fmt.Errorf("insert key: %w", err)
		}
		value, err := tx.ExecContext(ctx, sqlKeyValueInsert, k.Hash, id, k.Sealed, k.Last4, millis(k.Created))
		if err != nil {
			return fmt.Errorf("insert key value: %w", err)
		}
		added, err := changedRow(value)
		if err == nil && !added {
			err = key.ErrValueTaken
		}
		if err != nil {
			return err
		}
		return noteNew(ctx, tx, budget.Subject{Kind: budget.Key, ID: id}, k.Granted, k.Unlimited, why)
	})
	return id, err
}

// lockRow writes a row, so that whoever else wants to waits until the
// transaction ends; missing is the error when it is not there.
func lockRow(ctx context.Context, tx *sql.Tx, missing error, statement string, args ...any) error {
	result, err := tx.ExecContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	there, err := changedRow(result)
	if err == nil && !there {
		err = missing
	}
	return err
}

// UpdateKey implements key.Store.
func (db *DB) UpdateKey(ctx context.Context, k *key.Key, delta money.Nano, why budget.Cause) (bool, error) {
	fields, err := keyFields(k)
	if err != nil {
		return false, err
	}
	updated := false
	err = db.tx(ctx, func(tx *sql.Tx) error {
		var unlimited int64
		err := tx.QueryRowContext(ctx, sqlKeyUnlimited, k.ID, k.Version).Scan(&unlimited)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read key: %w", err)
		}
		result, err := tx.ExecContext(ctx, sqlKeyUpdate,
			fields.status, k.Name, key.Fold(k.Name), fields.ends, int64(delta), flag(k.Unlimited), flag(k.ModelLimitsEnabled), fields.models,
			fields.addresses, k.Group, flag(k.CrossGroupRetry), fields.limits, k.ID, k.Version)
		if err != nil {
			return fmt.Errorf("update key: %w", err)
		}
		if updated, err = changedRow(result); err != nil || !updated {
			return err
		}
		return noteChange(ctx, tx, budget.Subject{Kind: budget.Key, ID: k.ID}, delta, unlimited != 0, k.Unlimited, why)
	})
	return updated && err == nil, err
}

// GrantKey implements key.Store.
func (db *DB) GrantKey(ctx context.Context, id int64, delta money.Nano, why budget.Cause) (bool, error) {
	granted := false
	err := db.tx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, sqlKeyGrant, int64(delta), id)
		if err != nil {
			return fmt.Errorf("change a key's grant: %w", err)
		}
		if granted, err = changedRow(result); err != nil || !granted {
			return err
		}
		return noteGrant(ctx, tx, budget.Subject{Kind: budget.Key, ID: id}, delta, why)
	})
	return granted && err == nil, err
}

// DeleteKeys implements key.Store. The rows stay: the key's for the ledger, the
// value's hash so that it is never given out again. Keys are taken in the order
// of their ids, so that two deletions cannot wait for each other in a circle.
func (db *DB) DeleteKeys(ctx context.Context, userID int64, ids []int64, now time.Time) (key.Deleted, error) {
	var deleted key.Deleted
	err := db.tx(ctx, func(tx *sql.Tx) error {
		children, err := liveChildren(ctx, tx, userID, ids)
		if err != nil {
			return err
		}
		// A child that was being made while its parent was still there shows
		// only once the parent is ours, and has a higher id than all of these.
		for todo := slices.Concat(ids, children); len(todo) > 0; todo = children {
			for _, id := range slices.Compact(slices.Sorted(slices.Values(todo))) {
				was, err := deleteKey(ctx, tx, userID, id, now)
				switch {
				case err != nil:
					return err
				case was && slices.Contains(ids, id):
					deleted.Asked = append(deleted.Asked, id)
				case was:
					deleted.Children = append(deleted.Children, id)
				}
			}
			if children, err = liveChildren(ctx, tx, userID, ids); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return key.Deleted{}, err
	}
	return deleted, nil
}

func liveChildren(ctx context.Context, tx *sql.Tx, userID int64, parents []int64) ([]int64, error) {
	var children []int64
	for _, id := range parents {
		rows, err := tx.QueryContext(ctx, sqlKeyChildren, id, userID)
		if err != nil {
			return nil, fmt.Errorf("select a key's children: %w", err)
		}
		children, err = appendIDs(children, rows)
		if err != nil {
			return nil, fmt.Errorf("read a key's children: %w", err)
		}
	}
	return children, nil
}

// appendIDs adds the ids that rows of one column hold.
func appendIDs(ids []int64, rows *sql.Rows) ([]int64, error) {
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// deleteKey ends one key and its values; false when the owner has no such key.
func deleteKey(ctx context.Context, tx *sql.Tx, userID, id int64, now time.Time) (bool, error) {
	result, err := tx.ExecContext(ctx, sqlKeyDelete, millis(now), id, userID)
	if err != nil {
		return false, fmt.Errorf("delete key: %w", err)
	}
	if was, err := changedRow(result); err != nil || !was {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, sqlKeyValueDelete, []byte{}, millis(now), id); err != nil {
		return false, fmt.Errorf("wipe key values: %w", err)
	}
	return true, nil
}

// keyRow is the fields of a record that are stored in another form.
type keyRow struct {
	status, ends, parent      int64
	models, addresses, limits string
}

func keyFields(k *key.Key) (keyRow, error) {
	limits, err := jsonx.Marshal(k.Limits)
	if err != nil {
		return keyRow{}, fmt.Errorf("write a key's limits: %w", err)
	}
	row := keyRow{
		status: int64(k.Status), ends: k.ExpiresAt, models: strings.Join(k.Models, ","), addresses: key.FormatAddresses(k.AllowIPs), limits: string(limits),
	}
	if k.ExpiresAt != key.Never {
		row.ends *= 1000
	}
	if k.Limits.ParentID != nil {
		row.parent = *k.Limits.ParentID
	}
	return row, nil
}

func scanKey(row interface{ Scan(...any) error }) (*key.Key, error) {
	var k key.Key
	var f keyRow
	var created, accessed, granted, used int64
	var unlimited, modelLimits, retry int64
	var parent struct{ status, ends, granted, used, unlimited int64 }
	err := row.Scan(&k.ID, &k.UserID, &f.status, &k.Name, &created, &accessed, &f.ends, &granted, &used, &unlimited, &modelLimits, &f.models,
		&f.addresses, &k.Group, &retry, &f.limits, &f.parent, &k.Version, &k.Last4, &k.Sealed, &k.Hash,
		&parent.status, &parent.ends, &parent.granted, &parent.used, &parent.unlimited)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	k.Status, k.Created, k.Accessed = key.Status(f.status), instant(created), instant(accessed)
	k.Granted, k.Used = money.Nano(granted), money.Nano(used)
	k.Unlimited, k.ModelLimitsEnabled, k.CrossGroupRetry = unlimited != 0, modelLimits != 0, retry != 0
	k.ExpiresAt = storedExpiry(f.ends)
	if f.models != "" {
		k.Models = strings.Split(f.models, ",")
	}
	if k.AllowIPs, err = storedAddresses(f.addresses); err != nil {
		return nil, fmt.Errorf("read key %d: %w", k.ID, err)
	}
	if err := jsonx.Unmarshal([]byte(f.limits), &k.Limits); err != nil {
		return nil, fmt.Errorf("read the limits of key %d: %w", k.ID, err)
	}
	if f.parent != 0 {
		k.Limits.ParentID = &f.parent
		k.Parent = &key.Parent{
			Status: key.Status(parent.status), ExpiresAt: storedExpiry(parent.ends),
			Granted: money.Nano(parent.granted), Used: money.Nano(parent.used), Unlimited: parent.unlimited != 0,
		}
	}
	return &k, nil
}

// storedExpiry is an ends_ms in Unix seconds.
func storedExpiry(ms int64) int64 {
	if ms == key.Never {
		return key.Never
	}
	return ms / 1000
}

// storedAddresses reads what key.FormatAddresses wrote.
func storedAddresses(text string) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.Contains(line, "/") {
			p, err := netip.ParsePrefix(line)
			if err != nil {
				return nil, err
			}
			list = append(list, p)
			continue
		}
		a, err := netip.ParseAddr(line)
		if err != nil {
			return nil, err
		}
		list = append(list, netip.PrefixFrom(a, a.BitLen()))
	}
	return list, nil
}
