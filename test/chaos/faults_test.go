package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"halley/internal/store/pgtest"
)

// The kinds of fault.
const (
	killed     = "kill -9 and restart"
	terminated = "SIGTERM and restart"
	paused     = "a process stands still"
	clockMoved = "clock off by 10 minutes"
	diskFull   = "disk full"
	dbStopped  = "PostgreSQL stopped"
	dbCrashed  = "PostgreSQL crashed"
	dbCut      = "connections cut"
)

// everyNode is the node of a fault that all nodes meet.
const everyNode = -1

// fault is one that was done, from when it began to when all was well again.
type fault struct {
	Kind       string
	Node       int
	Begin, End time.Time
}

// plan is a fault that is going to be done.
type plan struct {
	kind   string
	node   int
	length time.Duration
	wait   time.Duration // since the one before
	other  bool          // which of two ways
}

// kinds are those that can be done here.
func (w *world) kinds() []string {
	all := []string{killed, killed, terminated, clockMoved}
	if w.database != nil {
		all = append(all, killed, paused, dbStopped, dbCrashed, dbCut)
	}
	if w.nodes[0].disk {
		all = append(all, diskFull)
	}
	return all
}

// breakThings does faults one after another, some of them at the same time, until
// ctx ends, and returns when all is well again. The kinds come as from a deck of
// cards, so that each has its turn.
func (w *world) breakThings(ctx context.Context, t *testing.T, r *rand.Rand) {
	var all sync.WaitGroup
	var deck []string
	for {
		if len(deck) == 0 {
			deck = w.kinds()
			r.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		}
		p := plan{
			kind: deck[0], node: r.IntN(len(w.nodes)), other: r.IntN(2) == 0,
			length: time.Duration(r.IntN(2500)) * time.Millisecond, wait: time.Duration(2000+r.IntN(4000)) * time.Millisecond / time.Duration(1+len(w.nodes)/2),
		}
		deck = deck[1:]
		if p.kind != clockMoved && r.IntN(8) == 0 && (p.kind == paused || p.kind == killed) {
			p.length = leaseTerm + leaseTerm/10 + 4*time.Second // so long that its leases lapse
		}
		rest(ctx, p.wait)
		if ctx.Err() != nil {
			break
		}
		all.Go(func() { w.do(t, p) })
	}
	all.Wait()
}

// do makes the fault and mends it.
func (w *world) do(t *testing.T, p plan) {
	f := fault{Kind: p.kind, Node: p.node}
	switch p.kind {
	case dbStopped, dbCrashed, dbCut:
		f.Node = everyNode
		w.breakDatabase(t, p, &f)
	default:
		n := w.nodes[p.node]
		n.busy.Lock()
		defer n.busy.Unlock()
		f.Begin = time.Now()
		n.fail(t, p)
	}
	f.End = time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, f)
}

// hold lets a fault last.
func hold(d time.Duration) { rest(context.Background(), d) }

// fail does something to the node.
func (n *node) fail(t *testing.T, p plan) {
	switch p.kind {
	case killed, terminated:
		if p.kind == killed {
			n.Kill()
		} else {
			n.Stop(t)
		}
		hold(p.length)
		if err := errors.Join(n.Restart(), n.AwaitReady(patience)); err != nil {
			t.Errorf("node %d did not come back after %s: %v\n%s", p.node, p.kind, err, n.Log())
		}
	case paused:
		if err := n.Signal(syscall.SIGSTOP); err != nil {
			t.Error(err)
		}
		hold(p.length)
		if err := n.Signal(syscall.SIGCONT); err != nil {
			t.Error(err)
		}
		hold(time.Second) // its clients have waited
	case clockMoved:
		n.moveClock(t, map[bool]int64{false: 600, true: -600}[p.other])
		hold(p.length)
		n.moveClock(t, 0)
	case diskFull:
		left := int64(0) // so that a write fails
		if p.other {
			left = 4 << 20 // so that it is refused before one does
		}
		if err := n.fillDisk(left, p.length); err != nil {
			t.Error(err)
		}
		// What could not be written is in memory: the process must not end yet.
		await(t, patience, func() error {
			for _, figure := range []string{"halley_journal_full", "halley_usage_queue_records"} {
				if value, err := n.metric(figure); err != nil || value > 1000 || (figure == "halley_journal_full" && value > 0) {
					return fmt.Errorf("%s is %v: %w", figure, value, err)
				}
			}
			return nil
		})
	}
}

// fillDisk fills the node's disk up to so many bytes and makes room again.
func (n *node) fillDisk(left int64, length time.Duration) error {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(n.DataDir, &disk); err != nil {
		return err
	}
	path := filepath.Join(n.DataDir, "somebody else's")
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	size := int64(disk.Bavail)*disk.Bsize - left
	for piece := make([]byte, 1<<20); size > 0; size -= int64(len(piece)) {
		if _, err := file.Write(piece); err != nil {
			break // full
		}
	}
	hold(length)
	return os.Remove(path)
}

func (w *world) breakDatabase(t *testing.T, p plan, f *fault) {
	// One at a time, and a stop only of what runs.
	w.databaseBusy.Lock()
	defer w.databaseBusy.Unlock()
	f.Begin = time.Now()
	if p.kind == dbCut {
		if err := cutConnections(w.database.URL); err != nil {
			t.Error(err)
		}
		return
	}
	how := pgtest.Fast
	if p.kind == dbCrashed {
		how = pgtest.Immediate
	}
	if err := w.database.Stop(how); err != nil {
		t.Error(err)
	}
	hold(p.length)
	if err := w.database.Start(); err != nil {
		t.Error(err)
	}
}

// cutConnections ends all other connections to the database.
func cutConnections(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	return errors.Join(err, conn.Close(ctx))
}

// metric reads one figure off /metrics.
func (n *node) metric(name string) (float64, error) {
	resp, err := (&http.Client{Timeout: 5 * time.Second}).Get(n.BaseURL + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("/metrics does not tell %s", name)
}

// await asks until it is content, for so long.
func await(t *testing.T, most time.Duration, ask func() error) {
	t.Helper()
	again, late := time.NewTicker(50*time.Millisecond), time.NewTimer(most)
	defer again.Stop()
	defer late.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-late.C:
			t.Errorf("waited %v in vain: %v", most, err)
			return
		}
	}
}
