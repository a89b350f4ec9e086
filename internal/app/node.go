package app

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"sync"
	"time"

	"halley/internal/config"
	"halley/internal/store"
)

// beat is how often a node says that it lives; commands take one that has been
// silent for three beats for dead.
const beat = 5 * time.Second

// node keeps this server's line in the table by which commands find a running
// server on a database.
type node struct {
	db   *store.DB
	log  *slog.Logger
	line store.Node
	quit chan struct{}
	done sync.WaitGroup
}

func newNode(db *store.DB, _ *config.Config, version string, log *slog.Logger) *node {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return &node{db: db, log: log, quit: make(chan struct{}), line: store.Node{ID: rand.Text(), Hostname: host, Version: version, Started: time.Now()}}
}

func (n *node) start(listen, socket string) {
	n.line.Listen, n.line.Socket = listen, socket
	n.beat()
	n.done.Go(func() {
		tick := time.NewTicker(beat)
		defer tick.Stop()
		for {
			select {
			case <-n.quit:
				return
			case <-tick.C:
				n.beat()
			}
		}
	})
}

func (n *node) beat() {
	ctx, cancel := context.WithTimeout(context.Background(), beat)
	defer cancel()
	n.line.Seen = time.Now()
	if err := n.db.PutNode(ctx, n.line); err != nil {
		n.log.Warn("the node's line could not be written", "error", err)
	}
}

func (n *node) stop(ctx context.Context) {
	close(n.quit)
	n.done.Wait()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := n.db.RemoveNode(ctx, n.line.ID); err != nil {
		n.log.Warn("the node's line could not be removed", "error", err)
	}
}
