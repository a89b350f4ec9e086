package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/jsonx"
)

var _ account.ProviderStore = (*DB)(nil)

const (
	sqlProviders      = `SELECT name, label, issuer, client_id, client_secret, settings, version FROM login_providers ORDER BY name`
	sqlProviderInsert = `INSERT INTO login_providers (name, label, issuer, client_id, client_secret, settings) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING`
	sqlProviderUpdate = `UPDATE login_providers SET label = $1, issuer = $2, client_id = $3, client_secret = $4, settings = $5, version = version + 1 WHERE name = $6 AND version = $7`
	sqlProviderDelete = `DELETE FROM login_providers WHERE name = $1`

	identityColumns = `id, user_id, provider, issuer, subject, shown, created_ms, used_ms`

	sqlIdentityInsert = `INSERT INTO identities (user_id, provider, issuer, subject, shown, created_ms, used_ms) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (issuer, subject) DO NOTHING RETURNING id`
	sqlIdentityBySubject      = `SELECT ` + identityColumns + ` FROM identities WHERE issuer = $1 AND subject = $2`
	sqlIdentitiesOfUser       = `SELECT ` + identityColumns + ` FROM identities WHERE user_id = $1 ORDER BY id`
	sqlIdentityUse            = `UPDATE identities SET used_ms = $1 WHERE id = $2`
	sqlIdentityDelete         = `DELETE FROM identities WHERE user_id = $1 AND id = $2`
	sqlIdentitiesOfUserDelete = `DELETE FROM identities WHERE user_id = $1`
)

// maxIdentity is the longest that issuer and subject may be, in bytes.
const maxIdentity = 2000

// LoadLoginProviders implements account.ProviderStore.
func (db *DB) LoadLoginProviders(ctx context.Context) ([]*account.LoginProvider, error) {
	rows, err := db.w.QueryContext(ctx, sqlProviders)
	if err != nil {
		return nil, fmt.Errorf("select login providers: %w", err)
	}
	defer rows.Close()
	var all []*account.LoginProvider
	for rows.Next() {
		var p account.LoginProvider
		var settings string
		if err := rows.Scan(&p.Name, &p.Label, &p.Issuer, &p.ClientID, &p.Sealed, &settings, &p.Version); err != nil {
			return nil, fmt.Errorf("read login provider: %w", err)
		}
		if err := jsonx.Unmarshal([]byte(settings), &p.ProviderSettings); err != nil {
			return nil, fmt.Errorf("read the settings of login provider %s: %w", p.Name, err)
		}
		all = append(all, &p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("select login providers: %w", err)
	}
	return all, nil
}

// InsertLoginProvider implements account.ProviderStore.
func (db *DB) InsertLoginProvider(ctx context.Context, p *account.LoginProvider) error {
	settings, err := jsonx.Marshal(p.ProviderSettings)
	if err != nil {
		return fmt.Errorf("write the settings: %w", err)
	}
	result, err := db.w.ExecContext(ctx, sqlProviderInsert, p.Name, p.Label, p.Issuer, p.ClientID, sealedOrEmpty(p.Sealed), string(settings))
	if err != nil {
		return fmt.Errorf("insert login provider: %w", err)
	}
	if inserted, err := changedRow(result); err != nil || !inserted {
		return errors.Join(err, account.ErrThere)
	}
	return nil
}

// UpdateLoginProvider implements account.ProviderStore.
func (db *DB) UpdateLoginProvider(ctx context.Context, p *account.LoginProvider) error {
	settings, err := jsonx.Marshal(p.ProviderSettings)
	if err != nil {
		return fmt.Errorf("write the settings: %w", err)
	}
	result, err := db.w.ExecContext(ctx, sqlProviderUpdate, p.Label, p.Issuer, p.ClientID, sealedOrEmpty(p.Sealed), string(settings), p.Name, p.Version)
	if err != nil {
		return fmt.Errorf("update login provider: %w", err)
	}
	if updated, err := changedRow(result); err != nil || !updated {
		return errors.Join(err, account.ErrNotFound)
	}
	return nil
}

// sealedOrEmpty is never NULL.
func sealedOrEmpty(sealed []byte) []byte {
	if sealed == nil {
		return []byte{}
	}
	return sealed
}

// DeleteLoginProvider implements account.ProviderStore.
func (db *DB) DeleteLoginProvider(ctx context.Context, name string) error {
	result, err := db.w.ExecContext(ctx, sqlProviderDelete, stored(name, maxIdentity))
	if err != nil {
		return fmt.Errorf("delete login provider: %w", err)
	}
	if deleted, err := changedRow(result); err != nil || !deleted {
		return errors.Join(err, account.ErrNotFound)
	}
	return nil
}

// IdentityBySubject implements account.IdentityStore.
func (db *DB) IdentityBySubject(ctx context.Context, issuer, subject string) (*account.ExternalIdentity, error) {
	return scanIdentity(db.w.QueryRowContext(ctx, sqlIdentityBySubject, stored(issuer, maxIdentity), stored(subject, maxIdentity)))
}

// IdentitiesOf implements account.IdentityStore.
func (db *DB) IdentitiesOf(ctx context.Context, userID int64) ([]*account.ExternalIdentity, error) {
	rows, err := db.w.QueryContext(ctx, sqlIdentitiesOfUser, userID)
	if err != nil {
		return nil, fmt.Errorf("select identities: %w", err)
	}
	defer rows.Close()
	var all []*account.ExternalIdentity
	for rows.Next() {
		e, err := scanIdentity(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("select identities: %w", err)
	}
	return all, nil
}

// InsertIdentity implements account.IdentityStore.
func (db *DB) InsertIdentity(ctx context.Context, e *account.ExternalIdentity) error {
	return insertIdentity(ctx, db.w, e)
}

// InsertUserWithIdentity implements account.IdentityStore.
func (db *DB) InsertUserWithIdentity(ctx context.Context, u *account.User, why budget.Cause, e *account.ExternalIdentity) error {
	return db.tx(ctx, func(tx *sql.Tx) error {
		if err := insertUser(ctx, tx, u, why); err != nil {
			return err
		}
		e.UserID = u.ID
		return insertIdentity(ctx, tx, e)
	})
}

func insertIdentity(ctx context.Context, q querier, e *account.ExternalIdentity) error {
	err := q.QueryRowContext(ctx, sqlIdentityInsert, e.UserID, e.Provider, e.Issuer, e.Subject, e.Shown, millis(e.Created), millis(e.Used)).Scan(&e.ID)
	if errors.Is(err, sql.ErrNoRows) {
		return account.ErrThere
	}
	if err != nil {
		return fmt.Errorf("insert identity: %w", err)
	}
	return nil
}

// UseIdentity implements account.IdentityStore.
func (db *DB) UseIdentity(ctx context.Context, id int64, at time.Time) error {
	if _, err := db.w.ExecContext(ctx, sqlIdentityUse, millis(at), id); err != nil {
		return fmt.Errorf("use identity: %w", err)
	}
	return nil
}

// DeleteIdentity implements account.IdentityStore.
func (db *DB) DeleteIdentity(ctx context.Context, userID, id int64) error {
	result, err := db.w.ExecContext(ctx, sqlIdentityDelete, userID, id)
	if err != nil {
		return fmt.Errorf("delete identity: %w", err)
	}
	if deleted, err := changedRow(result); err != nil || !deleted {
		return errors.Join(err, account.ErrNotFound)
	}
	return nil
}

func scanIdentity(row interface{ Scan(...any) error }) (*account.ExternalIdentity, error) {
	var e account.ExternalIdentity
	var created, used int64
	err := row.Scan(&e.ID, &e.UserID, &e.Provider, &e.Issuer, &e.Subject, &e.Shown, &created, &used)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, account.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	e.Created, e.Used = instant(created), instant(used)
	return &e, nil
}
