// Package postgres opens and tunes a PostgreSQL database through pgx. It knows
// no table.
package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
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

// Lost reports whether an error comes of a connection that could not be made or has
// ended. Of one that ends without a word in the middle of an answer only
// io.ErrUnexpectedEOF is known, which other things may mean as well.
func Lost(err error) bool {
	if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting {
		return !refused(err)
	}
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok {
		// Shut down by somebody, crashed, or starting; and what connections fail of.
		return strings.HasPrefix(answer.Code, "57P") || strings.HasPrefix(answer.Code, "08")
	}
	_, network := errors.AsType[*net.OpError](err)
	return network || errors.Is(err, driver.ErrBadConn) || pgconn.SafeToRetry(err)
}
