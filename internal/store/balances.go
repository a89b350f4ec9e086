package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"halley/internal/budget"
	"halley/internal/fault"
)

var _ budget.Store = (*DB)(nil)

const (
	sqlKeyBalance  = `SELECT granted_nano, used_nano, unlimited FROM keys WHERE id = $1 AND deleted_ms = 0`
	sqlUserBalance = `SELECT granted_nano, used_nano, unlimited FROM users WHERE id = $1 AND deleted_ms = 0`
)

// LoadBalance reads what a key or an account has been granted and has used.
func (db *DB) LoadBalance(ctx context.Context, s budget.Subject) (budget.Balance, error) {
	query := sqlKeyBalance
	if s.Kind == budget.User {
		query = sqlUserBalance
	}
	var b budget.Balance
	var unlimited int64
	err := db.r.QueryRowContext(ctx, query, s.ID).Scan(&b.Granted, &b.Used, &unlimited)
	if errors.Is(err, sql.ErrNoRows) {
		return b, fault.New(fault.NotFound, "not_found", "There is no such key or account.")
	}
	if err != nil {
		return b, fmt.Errorf("read a balance: %w", err)
	}
	b.Unlimited = unlimited != 0
	return b, nil
}
