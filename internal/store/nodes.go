package store

import (
	"context"
	"fmt"
	"time"
)

// Node is a running server, as its commands find it.
type Node struct {
	ID       string
	Hostname string
	Listen   string // host:port of the API
	Socket   string // path of the local socket, "" when there is none
	Version  string
	Started  time.Time
	Seen     time.Time // its last sign of life
}

const (
	sqlNodePut = `INSERT INTO nodes (id, hostname, listen, socket, version, started_ms, seen_ms) VALUES ($1, $2, $3, $4, $5, $6, $7) ` +
		`ON CONFLICT (id) DO UPDATE SET hostname = excluded.hostname, listen = excluded.listen, socket = excluded.socket, version = excluded.version, started_ms = excluded.started_ms, seen_ms = excluded.seen_ms`
	sqlNodeSeen   = `UPDATE nodes SET seen_ms = $1 WHERE id = $2`
	sqlNodeDelete = `DELETE FROM nodes WHERE id = $1`
	sqlNodesOld   = `DELETE FROM nodes WHERE seen_ms < $1`
	sqlNodesLive  = `SELECT id, hostname, listen, socket, version, started_ms, seen_ms FROM nodes WHERE seen_ms >= $1 ORDER BY seen_ms DESC, id`
)

// ForgetNodes is how long the line of a server that was killed stays.
const ForgetNodes = 24 * time.Hour

// PutNode writes the node's line, new or not, and drops the lines of servers
// that have been silent for a day.
func (db *DB) PutNode(ctx context.Context, n Node) error {
	if _, err := db.w.ExecContext(ctx, sqlNodePut, n.ID, n.Hostname, n.Listen, n.Socket, n.Version, millis(n.Started), millis(n.Seen)); err != nil {
		return fmt.Errorf("put node: %w", err)
	}
	if _, err := db.w.ExecContext(ctx, sqlNodesOld, millis(n.Seen.Add(-ForgetNodes))); err != nil {
		return fmt.Errorf("drop silent nodes: %w", err)
	}
	return nil
}

// Heartbeat notes a sign of life. It reports false when there is no such line,
// so that the node puts it back.
func (db *DB) Heartbeat(ctx context.Context, id string, seen time.Time) (bool, error) {
	result, err := db.w.ExecContext(ctx, sqlNodeSeen, millis(seen), id)
	if err != nil {
		return false, fmt.Errorf("note a node's sign of life: %w", err)
	}
	return changedRow(result)
}

// RemoveNode takes the node's line away.
func (db *DB) RemoveNode(ctx context.Context, id string) error {
	if _, err := db.w.ExecContext(ctx, sqlNodeDelete, id); err != nil {
		return fmt.Errorf("remove node: %w", err)
	}
	return nil
}

// LiveNodes gives the nodes that have been seen since then, the latest first.
func (db *DB) LiveNodes(ctx context.Context, since time.Time) ([]Node, error) {
	rows, err := db.r.QueryContext(ctx, sqlNodesLive, millis(since))
	if err != nil {
		return nil, fmt.Errorf("select nodes: %w", err)
	}
	defer rows.Close()
	var nodes []Node
	for rows.Next() {
		var n Node
		var started, seen int64
		if err := rows.Scan(&n.ID, &n.Hostname, &n.Listen, &n.Socket, &n.Version, &started, &seen); err != nil {
			return nil, fmt.Errorf("scan node: %w", err)
		}
		n.Started, n.Seen = instant(started), instant(seen)
		nodes = append(nodes, n)
	}
	return nodes, rows.Err()
}
