package store

import (
	"context"
	"database/sql"
	"fmt"

	"halley/internal/budget"
	"halley/internal/money"
	"halley/internal/reconcile"
)

const (
	sqlGrantInsert = `INSERT INTO grants (time_ms, kind, subject_id, delta_nano, reason, actor, request_id) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	sqlGrantPage   = `SELECT id, time_ms, delta_nano, reason, actor, request_id FROM grants WHERE kind = $1 AND subject_id = $2 ORDER BY id DESC LIMIT $3 OFFSET $4`
	sqlGrantCount  = `SELECT COUNT(*) FROM grants WHERE kind = $1 AND subject_id = $2`
)

// noteNew writes the first rows of a new subject: what it was made with, be it
// nothing.
func noteNew(ctx context.Context, tx *sql.Tx, s budget.Subject, granted money.Nano, unlimited bool, why budget.Cause) error {
	if err := noteGrant(ctx, tx, s, granted, why); err != nil {
		return err
	}
	return noteUnlimited(ctx, tx, s, false, unlimited, why)
}

// noteChange writes the rows of a change; what stays as it was leaves none.
func noteChange(ctx context.Context, tx *sql.Tx, s budget.Subject, delta money.Nano, was, unlimited bool, why budget.Cause) error {
	if delta != 0 {
		if err := noteGrant(ctx, tx, s, delta, why); err != nil {
			return err
		}
	}
	return noteUnlimited(ctx, tx, s, was, unlimited, why)
}

func noteUnlimited(ctx context.Context, tx *sql.Tx, s budget.Subject, was, is bool, why budget.Cause) error {
	if was == is {
		return nil
	}
	why.Reason = budget.Bound
	if is {
		why.Reason = budget.Lifted
	}
	return noteGrant(ctx, tx, s, 0, why)
}

func noteGrant(ctx context.Context, tx *sql.Tx, s budget.Subject, delta money.Nano, why budget.Cause) error {
	_, err := tx.ExecContext(ctx, sqlGrantInsert, millis(why.At), int64(s.Kind), s.ID, int64(delta), string(why.Reason), why.Actor, stored(why.RequestID, maxWord))
	if err != nil {
		return fmt.Errorf("note a grant: %w", err)
	}
	return nil
}

// Grants implements reconcile.Store.
func (db *DB) Grants(ctx context.Context, s budget.Subject, offset, limit int64) ([]reconcile.Grant, int64, error) {
	var total int64
	if err := db.r.QueryRowContext(ctx, sqlGrantCount, int64(s.Kind), s.ID).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count grants: %w", err)
	}
	rows, err := db.r.QueryContext(ctx, sqlGrantPage, int64(s.Kind), s.ID, limit, offset)
	if err != nil {
		return nil, 0, fmt.Errorf("select grants: %w", err)
	}
	defer rows.Close()
	var grants []reconcile.Grant
	for rows.Next() {
		g := reconcile.Grant{Subject: s}
		var at int64
		if err := rows.Scan(&g.ID, &at, &g.Delta, &g.Cause.Reason, &g.Cause.Actor, &g.Cause.RequestID); err != nil {
			return nil, 0, fmt.Errorf("scan grant: %w", err)
		}
		g.Cause.At = instant(at)
		grants = append(grants, g)
	}
	return grants, total, rows.Err()
}
