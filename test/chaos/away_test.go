package chaos_test

import (
	"context"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
	"testing"
	"time"

	"halley/internal/store/pgtest"
)

func TestWhileTheDatabaseIsAwayKnownKeysAreServedAndUnknownOnesAreNotDenied(t *testing.T) {
	// Nodes may spend what they have leased for as long as the database is away.
	w := newWorld(t, options{nodes: 3, term: 5 * time.Minute, silence: silence, renews: time.Now().Add(time.Hour)}, pgtest.Own(t))
	r := random(t, "load")
	w.strangers(t, 401)

	ctx, enough := context.WithCancel(t.Context())
	defer enough()
	var load sync.WaitGroup
	load.Go(func() { w.load(ctx, r) })
	hold(3 * time.Second)
	away := fault{Kind: dbStopped, Node: everyNode, Begin: time.Now()}
	if err := w.database.Stop(pgtest.Fast); err != nil {
		t.Fatal(err)
	}
	down := time.Now()
	for until := down.Add(planned().away); time.Now().Before(until); hold(time.Second) {
		w.strangers(t, 503)
	}
	up := time.Now()
	if err := w.database.Start(); err != nil {
		t.Fatal(err)
	}
	away.End = time.Now()
	w.faults = append(w.faults, away)
	hold(3 * time.Second)
	enough()
	load.Wait()
	w.strangers(t, 401)

	served := map[string]int{}
	for i := range w.seen {
		s := &w.seen[i]
		if s.Begin.Before(down) || s.End.After(up) || s.Manner != honest || s.Left {
			continue
		}
		plenty := strings.HasPrefix(s.Key.Name, "plenty")
		switch {
		case s.Status == 200 && s.Whole && plenty:
			served["with plenty"]++
		case s.Status == 200 && s.Whole:
			served["of what had been leased"]++
		case plenty:
			t.Errorf("a known key with plenty was not served: %+v", *s)
		case s.Status != 503 && s.Status != 402:
			t.Errorf("a known key got %d %s", s.Status, s.Code)
		}
	}
	t.Logf("while the database was away for %v: %v answers", planned().away, served)
	if served["with plenty"] == 0 || served["of what had been leased"] == 0 {
		t.Errorf("answers while the database was away: %v", served)
	}
	w.judge(t)
}

// strangers sends each node a key that nobody has: denied only by a database that
// can tell.
func (w *world) strangers(t *testing.T, want int) {
	t.Helper()
	for node := range w.nodes {
		s := w.client.send(t.Context(), order{
			script: script{ID: fmt.Sprintf("stranger-%d", node), Manner: honest, Tokens: 1, Chunk: 1},
			Key:    &purse{Value: stranger(time.Now().UnixNano())}, Node: node, Model: models[0].name, Cap: 16, LeaveAfter: -1,
		})
		if s.Status != want {
			t.Errorf("an unknown key got %d %s %v at node %d instead of %d", s.Status, s.Code, s.Err, node, want)
		}
	}
}

// stranger is a well-formed key that was never issued: "sk-hly", 39 characters and
// the checksum of all that.
func stranger(n int64) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	text := fmt.Sprintf("sk-hly%039d", n)
	sum := [6]byte{}
	for i, rest := len(sum)-1, crc32.ChecksumIEEE([]byte(text)); i >= 0; i-- {
		sum[i] = digits[rest%62]
		rest /= 62
	}
	return text + string(sum[:])
}
