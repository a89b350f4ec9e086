package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"halley/internal/audit"
)

var _ audit.Store = (*DB)(nil)

const (
	auditColumns = `id, time_ms, actor, action, target, detail, before, after, request_id, ip, hash`

	// Whoever adds to the chain holds its row until the commit, on every server.
	sqlAuditNext   = `UPDATE audit_chain SET head_id = head_id + 1 WHERE id = 1 RETURNING head_id, head_hash`
	sqlAuditHead   = `UPDATE audit_chain SET head_hash = $1 WHERE id = 1`
	sqlAuditInsert = `INSERT INTO audit_records (` + auditColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`
	sqlAuditEnds   = `SELECT anchor_id, anchor_hash, anchor_mac, head_id, head_hash FROM audit_chain WHERE id = 1`
	sqlAuditAfter  = `SELECT ` + auditColumns + ` FROM audit_records WHERE id > $1 ORDER BY id LIMIT $2`

	sqlAuditSpan = `SELECT MIN(id), MAX(id) FROM audit_records`

	sqlAuditHold   = `UPDATE audit_chain SET head_id = head_id WHERE id = 1 RETURNING head_id, anchor_id`
	sqlAuditKeep   = `SELECT COALESCE(MIN(id), 0) FROM audit_records WHERE time_ms >= $1`
	sqlAuditHash   = `SELECT hash FROM audit_records WHERE id = $1`
	sqlAuditPrune  = `DELETE FROM audit_records WHERE id <= $1`
	sqlAuditAnchor = `UPDATE audit_chain SET anchor_id = $1, anchor_hash = $2, anchor_mac = $3 WHERE id = 1`

	// The rest of these is put together as the filters ask, so that each finds
	// its index; a test prepares everything that can come out.
	auditPage  = `SELECT ` + auditColumns + ` FROM audit_records`
	auditCount = `SELECT COUNT(*) FROM audit_records`
)

// maxAuditText is the most that an audit record's text has, in bytes.
const maxAuditText = 4000

// InsertAudit implements audit.Store.
func (db *DB) InsertAudit(ctx context.Context, r *audit.Record, link func([]byte) []byte) error {
	return db.tx(ctx, func(tx *sql.Tx) error {
		var previous []byte
		if err := tx.QueryRowContext(ctx, sqlAuditNext).Scan(&r.ID, &previous); err != nil {
			return fmt.Errorf("take the next place in the audit chain: %w", err)
		}
		r.Hash = link(previous)
		_, err := tx.ExecContext(ctx, sqlAuditInsert, r.ID, millis(r.Time), r.Actor, r.Action, r.Target, r.Detail, r.Before, r.After, r.RequestID, r.IP, r.Hash)
		if err != nil {
			return fmt.Errorf("insert audit record: %w", err)
		}
		if _, err := tx.ExecContext(ctx, sqlAuditHead, r.Hash); err != nil {
			return fmt.Errorf("move the audit chain's head: %w", err)
		}
		return nil
	})
}

// ListAudit implements audit.Store.
func (db *DB) ListAudit(ctx context.Context, f audit.Filter) ([]*audit.Record, int64, error) {
	var total int64
	count, args := auditCountText(f)
	if err := db.r.QueryRowContext(ctx, count, args...).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count audit records: %w", err)
	}
	records, err := db.AuditPage(ctx, f)
	return records, total, err
}

// AuditPage implements audit.Store.
func (db *DB) AuditPage(ctx context.Context, f audit.Filter) ([]*audit.Record, error) {
	page, args := auditPageText(f)
	return db.auditRecords(ctx, page, args...)
}

// AuditEnds implements audit.Store.
func (db *DB) AuditEnds(ctx context.Context) (audit.Ends, error) {
	var e audit.Ends
	err := db.r.QueryRowContext(ctx, sqlAuditEnds).Scan(&e.Anchor.ID, &e.Anchor.Hash, &e.AnchorMAC, &e.Head.ID, &e.Head.Hash)
	if err != nil {
		return audit.Ends{}, fmt.Errorf("read the audit chain's ends: %w", err)
	}
	return e, nil
}

// AuditAfter implements audit.Store.
func (db *DB) AuditAfter(ctx context.Context, id, limit int64) ([]*audit.Record, error) {
	return db.auditRecords(ctx, sqlAuditAfter, id, limit)
}

// AuditSpan implements audit.Store.
func (db *DB) AuditSpan(ctx context.Context) (int64, int64, bool, error) {
	var oldest, newest sql.NullInt64
	if err := db.r.QueryRowContext(ctx, sqlAuditSpan).Scan(&oldest, &newest); err != nil {
		return 0, 0, false, fmt.Errorf("read the audit trail's span: %w", err)
	}
	return oldest.Int64, newest.Int64, oldest.Valid, nil
}

func (db *DB) auditRecords(ctx context.Context, query string, args ...any) ([]*audit.Record, error) {
	rows, err := db.r.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("select audit records: %w", err)
	}
	defer rows.Close()
	var records []*audit.Record
	for rows.Next() {
		var r audit.Record
		var at int64
		if err := rows.Scan(&r.ID, &at, &r.Actor, &r.Action, &r.Target, &r.Detail, &r.Before, &r.After, &r.RequestID, &r.IP, &r.Hash); err != nil {
			return nil, fmt.Errorf("read audit record: %w", err)
		}
		if len(r.Hash) == 0 {
			r.Hash = nil
		}
		r.Time = instant(at)
		records = append(records, &r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("select audit records: %w", err)
	}
	return records, nil
}

// PruneAudit implements audit.Store.
func (db *DB) PruneAudit(ctx context.Context, older time.Time, vouch func(audit.Link) []byte) (audit.Link, int64, error) {
	var last audit.Link
	var n int64
	err := db.tx(ctx, func(tx *sql.Tx) error {
		var head, anchor, keep int64
		if err := tx.QueryRowContext(ctx, sqlAuditHold).Scan(&head, &anchor); err != nil {
			return fmt.Errorf("hold the audit chain: %w", err)
		}
		if err := tx.QueryRowContext(ctx, sqlAuditKeep, millis(older)).Scan(&keep); err != nil {
			return fmt.Errorf("find what is kept of the audit trail: %w", err)
		}
		last.ID = keep - 1
		if keep == 0 { // everything is older
			last.ID = head
		}
		if last.ID > anchor { // else they are from before there were hashes
			if err := tx.QueryRowContext(ctx, sqlAuditHash, last.ID).Scan(&last.Hash); err != nil {
				return fmt.Errorf("read the audit chain's new anchor, record %d: %w", last.ID, err)
			}
			if _, err := tx.ExecContext(ctx, sqlAuditAnchor, last.ID, last.Hash, vouch(last)); err != nil {
				return fmt.Errorf("move the audit chain's anchor: %w", err)
			}
		}
		result, err := tx.ExecContext(ctx, sqlAuditPrune, last.ID)
		if err != nil {
			return fmt.Errorf("prune the audit trail: %w", err)
		}
		n, err = result.RowsAffected()
		return err
	})
	return last, n, err
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
		action := stored(f.Action, maxAuditText)
		if strings.Contains(action, ".") {
			w.and("action = ", action)
		} else { // every action on such records
			w.begins("action", action+".")
		}
	}
	if f.Target != "" {
		w.and("target = ", stored(f.Target, maxAuditText))
	}
	if f.TargetKind != "" {
		w.begins("target", stored(f.TargetKind, maxAuditText)+" ")
	}
	if f.RequestID != "" {
		w.and("request_id = ", stored(f.RequestID, maxAuditText))
	}
	if f.Before != 0 {
		w.and("id < ", f.Before)
	}
	return w
}

// begins has a column's text begin with another, case and all.
func (w *where) begins(column, prefix string) {
	w.and("SUBSTR("+column+", 1, "+strconv.Itoa(utf8.RuneCountInString(prefix))+") = ", prefix)
}
