package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"halley/internal/reconcile"
)

var _ reconcile.Store = (*DB)(nil)

// usageRecordsFrom is the meta entry of whoever drops old usage records: the
// instant, in Unix milliseconds and at a whole hour, before which there may be
// none. The rollups of those hours stay and cannot be compared any more. It is
// written in the transaction that drops them.
const usageRecordsFrom = "usage_records_from"

const (
	sqlBooksSize = `SELECT (SELECT COUNT(*) FROM keys), (SELECT COUNT(*) FROM users)`

	// A key is charged for its own usage and for that of the keys that it has
	// issued; the grant of an unlimited one rises by what is charged.
	sqlBooksKeys = `WITH
spent AS (SELECT key_id, SUM(cost_nano) AS cost, SUM(key_grant_nano) AS rise, SUM(parent_grant_nano) AS parent_rise FROM usage_hours GROUP BY key_id),
issued AS (SELECT c.parent_id AS key_id, SUM(s.cost) AS cost, SUM(s.parent_rise) AS rise FROM spent s JOIN keys c ON c.id = s.key_id WHERE c.parent_id <> 0 GROUP BY c.parent_id),
given AS (SELECT subject_id, SUM(delta_nano) AS delta, MAX(CASE WHEN reason IN ('unlimited', 'limited') THEN id ELSE 0 END) AS flag FROM grants WHERE kind = 1 GROUP BY subject_id),
leased AS (SELECT subject_id, SUM(taken_nano - landed_nano) AS amount FROM leases WHERE kind = 1 AND purse = '' AND taken_nano > landed_nano GROUP BY subject_id),
known AS (SELECT id FROM keys UNION SELECT key_id FROM spent UNION SELECT subject_id FROM given UNION SELECT subject_id FROM leased),
books AS (SELECT n.id, k.id AS stored, k.granted_nano, k.used_nano, k.unlimited, 0 AS requests,
  COALESCE(g.delta, 0) + COALESCE(s.rise, 0) + COALESCE(i.rise, 0) AS granted, COALESCE(s.cost, 0) + COALESCE(i.cost, 0) AS used,
  CASE WHEN f.reason = 'unlimited' THEN 1 ELSE 0 END AS lifted, 0 AS counted, CASE WHEN k.deleted_ms = 0 THEN COALESCE(l.amount, 0) ELSE 0 END AS leased
  FROM known n LEFT JOIN keys k ON k.id = n.id LEFT JOIN given g ON g.subject_id = n.id LEFT JOIN spent s ON s.key_id = n.id LEFT JOIN issued i ON i.key_id = n.id LEFT JOIN grants f ON f.id = g.flag LEFT JOIN leased l ON l.subject_id = n.id)
` + booksTail

	sqlBooksUsers = `WITH
spent AS (SELECT user_id, SUM(cost_nano) AS cost, SUM(user_grant_nano) AS rise, SUM(requests) AS requests FROM usage_hours GROUP BY user_id),
given AS (SELECT subject_id, SUM(delta_nano) AS delta, MAX(CASE WHEN reason IN ('unlimited', 'limited') THEN id ELSE 0 END) AS flag FROM grants WHERE kind = 2 GROUP BY subject_id),
leased AS (SELECT subject_id, SUM(taken_nano - landed_nano) AS amount FROM leases WHERE kind = 2 AND purse = '' AND taken_nano > landed_nano GROUP BY subject_id),
known AS (SELECT id FROM users UNION SELECT user_id FROM spent UNION SELECT subject_id FROM given UNION SELECT subject_id FROM leased),
books AS (SELECT n.id, u.id AS stored, u.granted_nano, u.used_nano, u.unlimited, u.request_count AS requests,
  COALESCE(g.delta, 0) + COALESCE(s.rise, 0) AS granted, COALESCE(s.cost, 0) AS used,
  CASE WHEN f.reason = 'unlimited' THEN 1 ELSE 0 END AS lifted, COALESCE(s.requests, 0) AS counted, CASE WHEN u.deleted_ms = 0 THEN COALESCE(l.amount, 0) ELSE 0 END AS leased
  FROM known n LEFT JOIN users u ON u.id = n.id LEFT JOIN given g ON g.subject_id = n.id LEFT JOIN spent s ON s.user_id = n.id LEFT JOIN grants f ON f.id = g.flag LEFT JOIN leased l ON l.subject_id = n.id)
` + booksTail

	booksTail = `SELECT id, CASE WHEN stored IS NULL THEN 0 ELSE 1 END, COALESCE(granted_nano, 0), CAST(granted AS BIGINT), COALESCE(used_nano, 0), CAST(used AS BIGINT), COALESCE(unlimited, 0), lifted, COALESCE(requests, 0), CAST(counted AS BIGINT), CAST(leased AS BIGINT)
FROM books WHERE stored IS NULL OR granted_nano <> granted OR used_nano <> used OR unlimited <> lifted OR requests <> counted OR used_nano > granted_nano OR leased > 0 AND leased > granted_nano - used_nano ORDER BY id`

	// The first instant from $1 on of which there is a rollup or a record.
	sqlBooksNext = `SELECT MIN(at) FROM (SELECT MIN(hour_ms) AS at FROM usage_hours WHERE hour_ms >= $1 UNION ALL SELECT MIN(time_ms) AS at FROM usage_records WHERE time_ms >= $1) AS next`
	// The rollups of [$1, $2) beside the sums of the records of that time. SQLite
	// has no good plan for a full join; rows that are told apart by side are
	// sorted once.
	sqlBooksHours = `SELECT hour_ms, user_id, key_id, model, channel_id,
  CAST(SUM(CASE WHEN side = 1 THEN requests ELSE 0 END) AS BIGINT), CAST(SUM(CASE WHEN side = 1 THEN 0 ELSE requests END) AS BIGINT), CAST(SUM(CASE WHEN side = 1 THEN errors ELSE 0 END) AS BIGINT), CAST(SUM(CASE WHEN side = 1 THEN 0 ELSE errors END) AS BIGINT),
  CAST(SUM(CASE WHEN side = 1 THEN tokens_in ELSE 0 END) AS BIGINT), CAST(SUM(CASE WHEN side = 1 THEN 0 ELSE tokens_in END) AS BIGINT), CAST(SUM(CASE WHEN side = 1 THEN tokens_out ELSE 0 END) AS BIGINT), CAST(SUM(CASE WHEN side = 1 THEN 0 ELSE tokens_out END) AS BIGINT),
  CAST(SUM(CASE WHEN side = 1 THEN cost_nano ELSE 0 END) AS BIGINT), CAST(SUM(CASE WHEN side = 1 THEN 0 ELSE cost_nano END) AS BIGINT), CAST(SUM(CASE WHEN side = 1 THEN key_grant_nano ELSE 0 END) AS BIGINT), CAST(SUM(CASE WHEN side = 1 THEN 0 ELSE key_grant_nano END) AS BIGINT),
  CAST(SUM(CASE WHEN side = 1 THEN parent_grant_nano ELSE 0 END) AS BIGINT), CAST(SUM(CASE WHEN side = 1 THEN 0 ELSE parent_grant_nano END) AS BIGINT), CAST(SUM(CASE WHEN side = 1 THEN user_grant_nano ELSE 0 END) AS BIGINT), CAST(SUM(CASE WHEN side = 1 THEN 0 ELSE user_grant_nano END) AS BIGINT)
FROM (SELECT 1 AS side, hour_ms, user_id, key_id, model, channel_id, requests, errors, tokens_in, tokens_out, cost_nano, key_grant_nano, parent_grant_nano, user_grant_nano FROM usage_hours WHERE hour_ms >= $1 AND hour_ms < $2
UNION ALL SELECT -1, time_ms - time_ms % 3600000, user_id, key_id, model, channel_id, 1, CASE WHEN status >= 400 THEN 1 ELSE 0 END, prompt_tokens, completion_tokens, cost_nano, key_grant_nano, parent_grant_nano, user_grant_nano FROM usage_records WHERE time_ms >= $1 AND time_ms < $2) AS sides
GROUP BY hour_ms, user_id, key_id, model, channel_id
HAVING SUM(side * requests) <> 0 OR SUM(side * errors) <> 0 OR SUM(side * tokens_in) <> 0 OR SUM(side * tokens_out) <> 0 OR SUM(side * cost_nano) <> 0 OR SUM(side * key_grant_nano) <> 0 OR SUM(side * parent_grant_nano) <> 0 OR SUM(side * user_grant_nano) <> 0
ORDER BY hour_ms, user_id, key_id, model, channel_id`
	// Leases of nodes that have none: nobody would ever give them back.
	sqlBooksOrphans   = `SELECT node_id, COUNT(*) FROM leases l WHERE NOT EXISTS (SELECT 1 FROM lease_nodes n WHERE n.id = l.node_id) GROUP BY node_id ORDER BY node_id`
	sqlBooksHourCount = `SELECT COUNT(*) FROM usage_hours WHERE hour_ms >= $1 AND hour_ms < $2`
)

// Reconcile implements reconcile.Store. Everything is read in one snapshot, so
// that what is written meanwhile makes no difference; nobody waits for it.
func (db *DB) Reconcile(ctx context.Context, most int) (reconcile.Report, error) {
	tx, err := db.r.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return reconcile.Report{}, fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	b := books{tx: tx, most: most}
	for _, check := range []func(context.Context) error{
		b.size,
		func(ctx context.Context) error { return b.balances(ctx, reconcile.Key, sqlBooksKeys) },
		func(ctx context.Context) error { return b.balances(ctx, reconcile.User, sqlBooksUsers) },
		b.hours,
		b.leases,
	} {
		if err := check(ctx); err != nil {
			return reconcile.Report{}, fmt.Errorf("check the books: %w", err)
		}
	}
	return b.report, nil
}

// books is one check under way.
type books struct {
	tx     *sql.Tx
	most   int
	report reconcile.Report
}

// differ notes a figure that is not as its rows say.
func (b *books) differ(kind reconcile.Of, id int64, what string, stored, expected int64) {
	if b.report.Total++; len(b.report.Differences) < b.most {
		b.report.Differences = append(b.report.Differences, reconcile.Difference{Kind: kind, ID: id, What: what, Expected: expected, Stored: stored})
	}
}

func (b *books) size(ctx context.Context) error {
	return b.tx.QueryRowContext(ctx, sqlBooksSize).Scan(&b.report.Keys, &b.report.Users)
}

// balances compares what keys or accounts have been granted and have used with
// their grants and their usage.
func (b *books) balances(ctx context.Context, kind reconcile.Of, query string) error {
	rows, err := b.tx.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, there, leased int64
		var granted, used, unlimited, requests pair
		err := rows.Scan(&id, &there, &granted.stored, &granted.expected, &used.stored, &used.expected, &unlimited.stored, &unlimited.expected, &requests.stored, &requests.expected, &leased)
		if err != nil {
			return err
		}
		if there == 0 {
			b.differ(kind, id, "record", 0, 1)
			continue
		}
		b.compare(kind, id, "granted_nano", granted)
		b.compare(kind, id, "used_nano", used)
		b.compare(kind, id, "unlimited", unlimited)
		b.compare(kind, id, "request_count", requests)
		if used.stored > granted.stored {
			b.differ(kind, id, "overdrawn", used.stored, granted.stored)
		}
		if left := granted.stored - used.stored; leased > 0 && leased > left {
			b.differ(kind, id, "leased", leased, left)
		}
	}
	return rows.Err()
}

// pair is a figure as it is stored and as its rows have it.
type pair struct{ stored, expected int64 }

func (b *books) compare(kind reconcile.Of, id int64, what string, p pair) {
	if p.stored != p.expected {
		b.differ(kind, id, what, p.stored, p.expected)
	}
}

// hours compares the rollups with the records, a day at a time: what a day needs
// to be sorted fits in memory, and each record is read once.
func (b *books) hours(ctx context.Context) error {
	from, err := b.recordsFrom(ctx)
	if err != nil {
		return err
	}
	for {
		var next sql.NullInt64
		if err := b.tx.QueryRowContext(ctx, sqlBooksNext, from).Scan(&next); err != nil || !next.Valid {
			return err
		}
		from = max(from, next.Int64-next.Int64%hour)
		end := from - from%day + day
		var compared int64
		if err := b.tx.QueryRowContext(ctx, sqlBooksHourCount, from, end).Scan(&compared); err != nil {
			return err
		}
		b.report.Hours += compared
		if err := b.hoursOf(ctx, from, end); err != nil {
			return err
		}
		from = end
	}
}

const day = 24 * hour

// recordsFrom is the instant since which no record has been dropped.
func (b *books) recordsFrom(ctx context.Context) (int64, error) {
	var text string
	err := b.tx.QueryRowContext(ctx, sqlMetaGet, usageRecordsFrom).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	from, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read meta %s: %w", usageRecordsFrom, err)
	}
	return from, nil
}

func (b *books) hoursOf(ctx context.Context, from, to int64) error {
	rows, err := b.tx.QueryContext(ctx, sqlBooksHours, from, to)
	if err != nil {
		return err
	}
	defer rows.Close()
	figures := [...]string{"requests", "errors", "tokens_in", "tokens_out", "cost_nano", "key_grant_nano", "parent_grant_nano", "user_grant_nano"}
	var p [len(figures)]pair
	for rows.Next() {
		var h hourKey
		into := []any{&h.hour, &h.user, &h.key, &h.model, &h.channel}
		for i := range p {
			into = append(into, &p[i].stored, &p[i].expected)
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		whose := fmt.Sprintf(" of user %d, key %d, model %s, channel %d", h.user, h.key, h.model, h.channel)
		for i, figure := range figures {
			b.compare(reconcile.Hour, h.hour/1000, figure+whose, p[i])
		}
	}
	return rows.Err()
}

// leases looks for those that no node will give back.
func (b *books) leases(ctx context.Context) error {
	rows, err := b.tx.QueryContext(ctx, sqlBooksOrphans)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var node, count int64
		if err := rows.Scan(&node, &count); err != nil {
			return err
		}
		b.differ(reconcile.Node, node, "leases", count, 0)
	}
	return rows.Err()
}
