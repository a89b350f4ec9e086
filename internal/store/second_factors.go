package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"halley/internal/account"
)

var _ account.SecondFactorStore = (*DB)(nil)

const (
	sqlTOTPPut = `INSERT INTO totp (user_id, sealed, confirmed, last_step, created_ms) VALUES ($1, $2, 0, 0, $3)
ON CONFLICT (user_id) DO UPDATE SET sealed = EXCLUDED.sealed, created_ms = EXCLUDED.created_ms WHERE totp.confirmed = 0`
	sqlTOTPGet     = `SELECT sealed, confirmed, last_step, created_ms FROM totp WHERE user_id = $1`
	sqlTOTPConfirm = `UPDATE totp SET confirmed = 1, last_step = $1 WHERE user_id = $2 AND confirmed = 0 AND sealed = $3`
	sqlTOTPStep    = `UPDATE totp SET last_step = $1 WHERE user_id = $2 AND confirmed = 1 AND last_step < $1`
	sqlTOTPDelete  = `DELETE FROM totp WHERE user_id = $1`

	sqlRecoveryCount        = `SELECT COUNT(*) FROM recovery_codes WHERE user_id = $1`
	sqlRecoveryInsert       = `INSERT INTO recovery_codes (user_id, hash) VALUES ($1, $2)`
	sqlRecoveryUse          = `DELETE FROM recovery_codes WHERE user_id = $1 AND hash = $2`
	sqlRecoveryOfUserDelete = `DELETE FROM recovery_codes WHERE user_id = $1`

	// What nothing needs any more.
	sqlRecoveryUnneeded = `DELETE FROM recovery_codes WHERE user_id = $1 AND NOT EXISTS (SELECT 1 FROM totp WHERE user_id = $1 AND confirmed = 1) AND NOT EXISTS (SELECT 1 FROM passkeys WHERE user_id = $1)`
)

// secondFactorsGone is what ends all of a user's second factors.
func secondFactorsGone() []string {
	return []string{sqlTOTPDelete, sqlPasskeysOfUserDelete, sqlRecoveryOfUserDelete}
}

// SecondFactors implements account.SecondFactorStore. It reads where writes go: a
// factor that was just set up must be asked for.
func (db *DB) SecondFactors(ctx context.Context, userID int64) (*account.SecondFactors, error) {
	var f account.SecondFactors
	t, err := db.TOTP(ctx, userID)
	switch {
	case err == nil:
		f.TOTP = t
	case !errors.Is(err, account.ErrNotFound):
		return nil, err
	}
	if f.Passkeys, err = db.passkeys(ctx, userID); err != nil {
		return nil, err
	}
	if err := db.w.QueryRowContext(ctx, sqlRecoveryCount, userID).Scan(&f.RecoveryCodes); err != nil {
		return nil, fmt.Errorf("count recovery codes: %w", err)
	}
	return &f, nil
}

// PutPendingTOTP implements account.SecondFactorStore.
func (db *DB) PutPendingTOTP(ctx context.Context, userID int64, t *account.TOTP) error {
	result, err := db.w.ExecContext(ctx, sqlTOTPPut, userID, t.Sealed, millis(t.Created))
	if err != nil {
		return fmt.Errorf("put a TOTP secret: %w", err)
	}
	if put, err := changedRow(result); err != nil || !put {
		return errors.Join(err, account.ErrThere)
	}
	return nil
}

// TOTP implements account.SecondFactorStore.
func (db *DB) TOTP(ctx context.Context, userID int64) (*account.TOTP, error) {
	var t account.TOTP
	var confirmed, created int64
	err := db.w.QueryRowContext(ctx, sqlTOTPGet, userID).Scan(&t.Sealed, &confirmed, &t.LastStep, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, account.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read a TOTP secret: %w", err)
	}
	t.Confirmed, t.Created = confirmed != 0, instant(created)
	return &t, nil
}

// ConfirmTOTP implements account.SecondFactorStore.
func (db *DB) ConfirmTOTP(ctx context.Context, userID int64, sealed []byte, step int64, recovery [][]byte) (bool, error) {
	confirmed := false
	err := db.tx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, sqlTOTPConfirm, step, userID, sealed)
		if err != nil {
			return fmt.Errorf("confirm a TOTP secret: %w", err)
		}
		if confirmed, err = changedRow(result); err != nil || !confirmed {
			return err
		}
		return replaceRecoveryCodes(ctx, tx, userID, recovery)
	})
	return confirmed && err == nil, err
}

// UseTOTPStep implements account.SecondFactorStore.
func (db *DB) UseTOTPStep(ctx context.Context, userID, step int64) (bool, error) {
	result, err := db.w.ExecContext(ctx, sqlTOTPStep, step, userID)
	if err != nil {
		return false, fmt.Errorf("use up a TOTP step: %w", err)
	}
	return changedRow(result)
}

// DeleteTOTP implements account.SecondFactorStore.
func (db *DB) DeleteTOTP(ctx context.Context, userID int64) error {
	return db.tx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, sqlTOTPDelete, userID)
		if err != nil {
			return fmt.Errorf("delete a TOTP secret: %w", err)
		}
		if deleted, err := changedRow(result); err != nil || !deleted {
			return errors.Join(err, account.ErrNotFound)
		}
		return dropUnneeded(ctx, tx, userID)
	})
}

// dropUnneeded deletes recovery codes that recover nothing.
func dropUnneeded(ctx context.Context, tx *sql.Tx, userID int64) error {
	if _, err := tx.ExecContext(ctx, sqlRecoveryUnneeded, userID); err != nil {
		return fmt.Errorf("delete recovery codes: %w", err)
	}
	return nil
}

// ReplaceRecoveryCodes implements account.SecondFactorStore.
func (db *DB) ReplaceRecoveryCodes(ctx context.Context, userID int64, hashes [][]byte) error {
	return db.tx(ctx, func(tx *sql.Tx) error { return replaceRecoveryCodes(ctx, tx, userID, hashes) })
}

func replaceRecoveryCodes(ctx context.Context, tx *sql.Tx, userID int64, hashes [][]byte) error {
	if _, err := tx.ExecContext(ctx, sqlRecoveryOfUserDelete, userID); err != nil {
		return fmt.Errorf("delete recovery codes: %w", err)
	}
	for _, hash := range hashes {
		if _, err := tx.ExecContext(ctx, sqlRecoveryInsert, userID, hash); err != nil {
			return fmt.Errorf("insert a recovery code: %w", err)
		}
	}
	return nil
}

// UseRecoveryCode implements account.SecondFactorStore.
func (db *DB) UseRecoveryCode(ctx context.Context, userID int64, hash []byte) (bool, error) {
	result, err := db.w.ExecContext(ctx, sqlRecoveryUse, userID, hash)
	if err != nil {
		return false, fmt.Errorf("use up a recovery code: %w", err)
	}
	return changedRow(result)
}

// DeleteSecondFactors implements account.SecondFactorStore.
func (db *DB) DeleteSecondFactors(ctx context.Context, userID int64) error {
	return db.tx(ctx, func(tx *sql.Tx) error {
		for _, statement := range secondFactorsGone() {
			if _, err := tx.ExecContext(ctx, statement, userID); err != nil {
				return fmt.Errorf("delete second factors: %w", err)
			}
		}
		return nil
	})
}
