package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Listening is a connection of its own that hears notices. It is for one
// goroutine.
type Listening struct{ conn *pgx.Conn }

// Listen opens a connection that hears the channels from now on.
func Listen(ctx context.Context, dsn string, channels []string) (*Listening, error) {
	config, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	l := &Listening{conn}
	for _, channel := range channels {
		if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize()); err != nil {
			return nil, errors.Join(fmt.Errorf("listen: %w", err), l.Close(ctx))
		}
	}
	return l, nil
}

// Receive waits for the next notice. When ctx ends before one comes that is
// ctx's error, and the connection can be used on.
func (l *Listening) Receive(ctx context.Context) (channel, payload string, err error) {
	n, err := l.conn.WaitForNotification(ctx)
	if err != nil {
		return "", "", fmt.Errorf("wait for a notice: %w", err)
	}
	return n.Channel, n.Payload, nil
}

// Notify sends an empty notice.
func (l *Listening) Notify(ctx context.Context, channel string) error {
	if _, err := l.conn.Exec(ctx, "NOTIFY "+pgx.Identifier{channel}.Sanitize()); err != nil {
		return fmt.Errorf("send a notice: %w", err)
	}
	return nil
}

// Close ends the connection.
func (l *Listening) Close(ctx context.Context) error {
	if err := l.conn.Close(ctx); err != nil {
		return fmt.Errorf("close the connection that listens: %w", err)
	}
	return nil
}
