package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/money"
)

var _ budget.Store = (*DB)(nil)

const (
	sqlKeyBalance  = `SELECT granted_nano, used_nano, unlimited FROM keys WHERE id = $1 AND deleted_ms = 0`
	sqlUserBalance = `SELECT granted_nano, used_nano, unlimited FROM users WHERE id = $1 AND deleted_ms = 0`

	sqlKeyLimits  = `SELECT limits FROM keys WHERE id = $1 AND deleted_ms = 0`
	sqlUserLimits = `SELECT limits FROM users WHERE id = $1 AND deleted_ms = 0`
	// What was charged from $2 on, of which $3 is the first whole hour. A key is
	// charged for those that it issued, too.
	keyFamily   = `(SELECT id FROM keys WHERE id = $1 OR parent_id = $1)`
	sqlKeySpent = `SELECT CAST(COALESCE((SELECT SUM(cost_nano) FROM usage_hours WHERE user_id = (SELECT user_id FROM keys WHERE id = $1) AND hour_ms >= $3 AND key_id IN ` + keyFamily + `), 0)
+ COALESCE((SELECT SUM(cost_nano) FROM usage_records WHERE key_id IN ` + keyFamily + ` AND time_ms >= $2 AND time_ms < $3), 0) AS BIGINT)`
	sqlUserSpent = `SELECT CAST(COALESCE((SELECT SUM(cost_nano) FROM usage_hours WHERE user_id = $1 AND hour_ms >= $3), 0)
+ COALESCE((SELECT SUM(cost_nano) FROM usage_records WHERE user_id = $1 AND time_ms >= $2 AND time_ms < $3), 0) AS BIGINT)`
	sqlKeyLast  = `SELECT COALESCE(MAX(last), 0) FROM (SELECT (SELECT MAX(time_ms) FROM usage_records WHERE key_id = k.id) AS last FROM keys k WHERE id = $1 OR parent_id = $1) AS family`
	sqlUserLast = `SELECT COALESCE(MAX(time_ms), 0) FROM usage_records WHERE user_id = $1`
)

// LoadBalance reads what a key or an account has been granted and has used.
func (db *DB) LoadBalance(ctx context.Context, s budget.Subject) (budget.Balance, error) {
	return loadBalance(ctx, db.r, s)
}

func loadBalance(ctx context.Context, q querier, s budget.Subject) (budget.Balance, error) {
	query := sqlKeyBalance
	if s.Kind == budget.User {
		query = sqlUserBalance
	}
	var b budget.Balance
	var unlimited int64
	err := q.QueryRowContext(ctx, query, s.ID).Scan(&b.Granted, &b.Used, &unlimited)
	if errors.Is(err, sql.ErrNoRows) {
		return b, fault.New(fault.NotFound, "not_found", "There is no such key or account.")
	}
	if err != nil {
		return b, fmt.Errorf("read a balance: %w", err)
	}
	b.Unlimited = unlimited != 0
	return b, nil
}

// LoadAllowances reads the renewing budgets of a key or an account.
func (db *DB) LoadAllowances(ctx context.Context, s budget.Subject) ([]budget.Allowance, error) {
	return loadAllowances(ctx, db.r, s)
}

func loadAllowances(ctx context.Context, q querier, s budget.Subject) ([]budget.Allowance, error) {
	query := sqlKeyLimits
	if s.Kind == budget.User {
		query = sqlUserLimits
	}
	var text string
	err := q.QueryRowContext(ctx, query, s.ID).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "not_found", "There is no such key or account.")
	}
	if err != nil {
		return nil, fmt.Errorf("read the limits of a key or an account: %w", err)
	}
	var limits struct {
		Budgets []budget.Renewing `json:"budgets"`
	}
	if err := jsonx.Unmarshal([]byte(text), &limits); err != nil {
		return nil, fmt.Errorf("read the budgets of %d: %w", s.ID, err)
	}
	return budget.Allowances(limits.Budgets), nil
}

// SpentSince sums up what a key or an account was charged from each instant on:
// whole hours from the rollups, the rest of the first hour from the records, in
// one statement so that both are of the same moment.
func (db *DB) SpentSince(ctx context.Context, s budget.Subject, since []time.Time) ([]money.Nano, error) {
	return spentSince(ctx, db.r, s, since)
}

func spentSince(ctx context.Context, q querier, s budget.Subject, since []time.Time) ([]money.Nano, error) {
	query := sqlKeySpent
	if s.Kind == budget.User {
		query = sqlUserSpent
	}
	spent := make([]money.Nano, len(since))
	for i, from := range since {
		at := millis(from)
		whole := (at + hour - 1) / hour * hour
		if err := q.QueryRowContext(ctx, query, s.ID, at, whole).Scan(&spent[i]); err != nil {
			return nil, fmt.Errorf("sum up what was spent: %w", err)
		}
	}
	return spent, nil
}

// LastSpending is the instant of the latest record of a key or an account.
func (db *DB) LastSpending(ctx context.Context, s budget.Subject) (time.Time, error) {
	query := sqlKeyLast
	if s.Kind == budget.User {
		query = sqlUserLast
	}
	var at int64
	if err := db.r.QueryRowContext(ctx, query, s.ID).Scan(&at); err != nil {
		return time.Time{}, fmt.Errorf("read the latest usage: %w", err)
	}
	return instant(at), nil
}
