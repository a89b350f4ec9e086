package store

import (
	"context"
	"fmt"

	"halley/internal/audit"
)

var _ audit.Store = (*DB)(nil)

const (
	sqlAuditInsert = `INSERT INTO audit_records (time_ms, actor, action, target, detail, ip) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`

	// The rest of these is put together as the filters ask, so that each finds
	// its index; a test prepares everything that can come out.
	auditPage  = `SELECT id, time_ms, actor, action, target, detail, ip FROM audit_records`
	auditCount = `SELECT COUNT(*) FROM audit_records`
)

// maxAuditText is the most that an audit record's text has, in bytes.
const maxAuditText = 4000

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
	var total int64
	count, args := auditCountText(f)
	if err := db.r.QueryRowContext(ctx, count, args...).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count audit records: %w", err)
	}
	page, args := auditPageText(f)
	rows, err := db.r.QueryContext(ctx, page, args...)
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

func auditCountText(f audit.Filter) (string, []any) {
	w := auditWhere(f)
	return auditCount + firstWhere(w.text.String()), w.args
}

func auditPageText(f audit.Filter) (string, []any) {
	w := auditWhere(f)
	return auditPage + firstWhere(w.text.String()) + " ORDER BY id DESC LIMIT " + w.arg(f.Limit) + " OFFSET " + w.arg(f.Offset), w.args
}

func auditWhere(f audit.Filter) *where {
	w := &where{}
	if !f.From.IsZero() || !f.To.IsZero() {
		w.between("time_ms", millis(f.From), upTo(f.To))
	}
	if f.Actor != nil {
		w.and("actor = ", *f.Actor)
	}
	if f.Action != "" {
		w.and("action = ", stored(f.Action, maxAuditText))
	}
	if f.Target != "" {
		w.and("target = ", stored(f.Target, maxAuditText))
	}
	return w
}
