package store

import (
	"context"
	"fmt"
	"math"

	"halley/internal/audit"
)

var _ audit.Store = (*DB)(nil)

const (
	auditMatches = `time_ms >= $1 AND time_ms < $2 AND ($3 = -1 OR actor = $3) AND ($4 = '' OR action = $4) AND ($5 = '' OR target = $5)`

	sqlAuditInsert = `INSERT INTO audit_records (time_ms, actor, action, target, detail, ip) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`
	sqlAuditPage   = `SELECT id, time_ms, actor, action, target, detail, ip FROM audit_records WHERE ` + auditMatches + ` ORDER BY id DESC LIMIT $6 OFFSET $7`
	sqlAuditCount  = `SELECT COUNT(*) FROM audit_records WHERE ` + auditMatches
)

// InsertAudit implements audit.Store.
func (db *DB) InsertAudit(ctx context.Context, r *audit.Record) error {
	err := db.w.QueryRowContext(ctx, sqlAuditInsert, millis(r.Time), r.Actor, r.Action, r.Target, r.Detail, r.IP).Scan(&r.ID)
	if err != nil {
		return fmt.Errorf("insert audit record: %w", err)
	}
	return nil
}

// ListAudit implements audit.Store.
func (db *DB) ListAudit(ctx context.Context, f audit.Filter) ([]*audit.Record, int64, error) {
	from, to, actor := millis(f.From), millis(f.To), int64(-1)
	if f.To.IsZero() {
		to = math.MaxInt64
	}
	if f.Actor != nil {
		actor = *f.Actor
	}
	var total int64
	if err := db.r.QueryRowContext(ctx, sqlAuditCount, from, to, actor, f.Action, f.Target).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count audit records: %w", err)
	}
	rows, err := db.r.QueryContext(ctx, sqlAuditPage, from, to, actor, f.Action, f.Target, f.Limit, f.Offset)
	if err != nil {
		return nil, 0, fmt.Errorf("select audit records: %w", err)
	}
	defer rows.Close()
	var records []*audit.Record
	for rows.Next() {
		var r audit.Record
		var at int64
		if err := rows.Scan(&r.ID, &at, &r.Actor, &r.Action, &r.Target, &r.Detail, &r.IP); err != nil {
			return nil, 0, fmt.Errorf("read audit record: %w", err)
		}
		r.Time = instant(at)
		records = append(records, &r)
	}
	if err := rows.Err(); err != nil {
		return nil, 0, fmt.Errorf("select audit records: %w", err)
	}
	return records, total, nil
}
