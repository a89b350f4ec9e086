package journal

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/store"
	"halley/internal/store/storetest"
	"halley/internal/usage"
)

// childDir tells the test binary that it is the process to be killed, and
// where; childURL is its database.
const (
	childDir = "HALLEY_TEST_JOURNAL_CHILD"
	childURL = "HALLEY_TEST_JOURNAL_URL"
)

// node is what a server does with its records.
type node struct {
	db       *store.DB
	journal  *Journal
	recorder *usage.Recorder
}

func startNode(ctx context.Context, dir, url string) (*node, error) {
	db, err := store.Open(ctx, url, quiet())
	if err != nil {
		return nil, err
	}
	j, err := Open(ctx, Options{Dir: dir, FsyncInterval: 5 * time.Millisecond, SegmentSize: 20_000, Barrier: db.Sync, Log: quiet()})
	if err != nil {
		return nil, err
	}
	r := usage.NewRecorder(db, quiet(), usage.RecorderOptions{Journal: j, Delay: 20 * time.Millisecond})
	if err := j.Replay(ctx, r.Restore); err != nil {
		return nil, err
	}
	j.Start()
	r.Start()
	return &node{db, j, r}, nil
}

func (n *node) stop(ctx context.Context) error {
	if err := n.recorder.Stop(ctx); err != nil {
		return err
	}
	if err := n.journal.Close(ctx); err != nil {
		return err
	}
	return n.db.Close()
}

// child records until it is killed, and says of each record when it is done.
func child(dir string) {
	ctx := context.Background()
	n, err := startNode(ctx, dir, os.Getenv(childURL))
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	run := rand.Uint64()
	var writers sync.WaitGroup
	for g := range 6 {
		writers.Go(func() {
			for i := 0; ; i++ {
				rec := someRecord(0)
				rec.EventID, rec.RequestID = fmt.Sprintf("%x-%d-%d", run, g, i), "kill"
				rec.UserID, rec.Cost, rec.Time = 1, 7, time.Now()
				n.recorder.Record(rec)
				_, _ = os.Stdout.WriteString(rec.EventID + "\n")
			}
		})
	}
	writers.Wait()
}

// A process is killed again and again while it records: every record that it
// said was done is charged, and none is charged twice.
func TestKilledAtAnyMomentNothingIsLostAndNothingDoubled(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url func(t *testing.T) string) {
		dir, address := filepath.Join(t.TempDir(), "journal"), url(t)
		db := storetest.Open(t, address)
		spender := &account.User{Username: "eve", PasswordHash: "x", Role: account.RoleUser, Status: account.Enabled, Group: "default", Created: time.UnixMilli(1)}
		if err := db.InsertUser(t.Context(), spender, budget.Cause{}); err != nil || spender.ID != 1 {
			t.Fatal(spender.ID, err)
		}
		answered := map[string]bool{}
		for range 8 {
			runAndKill(t, dir, address, time.Duration(rand.IntN(60_000))*time.Microsecond, answered)
		}
		n, err := startNode(t.Context(), dir, address)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left := files(t, dir); len(left) > 0 {
			t.Errorf("left in the journal: %v", left)
		}
		var rows int64
		for {
			entries, err := db.UsageEntries(t.Context(), usage.Filter{UserID: 1}, 1000, int(rows))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				delete(answered, strings.TrimPrefix(e.EventID, "kill."))
			}
			rows += int64(len(entries))
			if len(entries) < 1000 {
				break
			}
		}
		for id := range answered {
			t.Errorf("%s was answered and is not charged", id)
		}
		totals, err := db.UsageTotals(t.Context(), usage.Filter{UserID: 1})
		if err != nil {
			t.Fatal(err)
		}
		balance, err := db.LoadBalance(t.Context(), budget.Subject{Kind: budget.User, ID: 1})
		if err != nil {
			t.Fatal(err)
		}
		if totals.Requests != rows || int64(totals.Cost) != 7*rows || int64(balance.Used) != 7*rows {
			t.Errorf("%d rows, but %d requests and %d nano-USD rolled up and %d charged", rows, totals.Requests, totals.Cost, balance.Used)
		}
		t.Logf("%d records over 8 kills", rows)
	})
}

func runAndKill(t *testing.T, dir, url string, after time.Duration, answered map[string]bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0]) //nolint:gosec // this binary
	cmd.Env = append(os.Environ(), childDir+"="+dir, childURL+"="+url)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	kill := func() { _ = cmd.Process.Kill() }
	var timer *time.Timer
	for n := 0; lines.Scan(); n++ {
		if strings.HasPrefix(lines.Text(), "failed") {
			t.Fatal(lines.Text())
		}
		if n == 0 {
			timer = time.AfterFunc(after, kill)
		}
		if answered[lines.Text()] {
			t.Fatalf("%q twice", lines.Text())
		}
		answered[lines.Text()] = true
		if n == 20_000 {
			kill()
		}
	}
	if timer == nil {
		t.Fatal("the child said nothing")
	}
	timer.Stop()
	_ = cmd.Wait() // killed
}
