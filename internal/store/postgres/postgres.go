// Package postgres opens and tunes a PostgreSQL database through pgx. It knows
// no table.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// Open connects to a postgres:// URL. The error of a malformed URL or a refused
// connection never repeats the password.
func Open(ctx context.Context, dsn string) (*sql.DB, error) {
	config, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(8)
	db.SetConnMaxIdleTime(5 * time.Minute)
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		if refused(err) {
			return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
		}
		return nil, fmt.Errorf("%w: %w", ErrAway, err)
	}
	return db, nil
}

func parse(dsn string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("read the PostgreSQL URL: %w", err)
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "halley"
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 5 * time.Second
	}
	return config, nil
}

// ErrAway means that no server could be reached, or one that is just starting
// or stopping.
var ErrAway = errors.New("PostgreSQL cannot be reached")

// refused reports that a server answered, and that waiting will not change its
// mind: a wrong password (class 28) or a database that does not exist (3D).
func refused(err error) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (strings.HasPrefix(answer.Code, "28") || strings.HasPrefix(answer.Code, "3D"))
}
