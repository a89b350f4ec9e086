package store

import (
	"context"
	"fmt"
)

// HealthChannel is where a node hears how upstreams are doing on the others. The
// payload is the sender's to define.
const HealthChannel = "halley_health"

const pgNotify = `SELECT pg_notify($1, $2)`

// MaxNotice bounds a notice's payload, in bytes: PostgreSQL takes 8,000.
const MaxNotice = 7900

// Notify tells every server that listens on the channel, this one included.
// PostgreSQL only.
func (db *DB) Notify(ctx context.Context, channel, payload string) error {
	if _, err := db.w.ExecContext(ctx, pgNotify, channel, payload); err != nil {
		return fmt.Errorf("notify %s: %w", channel, err)
	}
	return nil
}
