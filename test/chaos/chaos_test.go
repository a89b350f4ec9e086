package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"halley/internal/store/pgtest"
	"halley/test/harness"
)

func TestWhateverBreaksOneNodeOnSQLiteChargesWhatItServed(t *testing.T) {
	w := newWorld(t, options{nodes: 1, term: leaseTerm, disks: true, silence: silence, renews: time.Now().Add(planned().sqlite / 2)}, nil)
	w.run(t, planned().sqlite)
}

func TestWhateverBreaksThreeNodesOnPostgreSQLChargeWhatTheyServed(t *testing.T) {
	w := newWorld(t, options{nodes: 3, term: leaseTerm, disks: true, silence: silence, renews: time.Now().Add(planned().postgres / 2)}, pgtest.Own(t))
	w.run(t, planned().postgres)
}

func TestDisksCanBeFilled(t *testing.T) {
	if err := mountDisk(t, t.TempDir()); err != nil {
		t.Skipf("NOT TESTED: a full disk. A small one could not be mounted, which takes root: %v", err)
	}
}

func TestOnlyBuildsForThisSuiteHaveAClockThatCanBeMoved(t *testing.T) {
	root, err := harness.RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	for tags, want := range map[string]bool{"": false, "chaos": true} {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-tags", tags, "-f", "{{.GoFiles}}", "./internal/app")
		cmd.Dir = root
		files, err := cmd.Output()
		if got := strings.Contains(string(files), "clock_chaos.go"); err != nil || got != want {
			t.Errorf("built with the tags %q: %t, %v: %s", tags, got, err, files)
		}
	}
}

// run puts the world under load for so long, breaks things meanwhile, and judges.
func (w *world) run(t *testing.T, length time.Duration) {
	load, faults := random(t, "load"), random(t, "faults")
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var both sync.WaitGroup
	both.Go(func() { w.load(ctx, load) })
	both.Go(func() { w.breakThings(ctx, t, faults) })
	both.Wait()
	if w.database != nil {
		w.orphan(t)
	}
	w.judge(t)
}

// orphan kills a node and sees to it that its leases outlive it for as long as its
// term, and no longer. It comes back as if nothing had been.
func (w *world) orphan(t *testing.T) {
	t.Helper()
	w.quiet(t)
	n := w.nodes[len(w.nodes)-1]
	w.spendAt(t, len(w.nodes)-1)
	db := openBooks(t, w.url)
	leases := func() (count int) {
		const query = `SELECT COUNT(*) FROM leases WHERE node_id = $1`
		if err := db.QueryRowContext(t.Context(), query, n.id(t)).Scan(&count); err != nil {
			t.Fatal(err)
		}
		return count
	}
	begin := time.Now()
	n.Kill()
	if leases() == 0 {
		t.Error("the node that is killed has no leases")
	}
	await(t, 2*leaseTerm+10*time.Second, func() error {
		if left := leases(); left > 0 {
			return fmt.Errorf("%d leases of a dead node are left", left)
		}
		return nil
	})
	if gone := time.Since(begin); gone < leaseTerm-3*time.Second { // its last sign of life may be 2 s old
		t.Errorf("its leases went after %v, and its term is %v", gone, leaseTerm)
	}
	if err := errors.Join(n.Restart(), n.AwaitReady(patience)); err != nil {
		t.Error(err)
	}
}

// spendAt has the node spend of a key's quota, for which it needs a lease.
func (w *world) spendAt(t *testing.T, node int) {
	t.Helper()
	r := random(t, "orphan")
	p := w.keys[slices.IndexFunc(w.keys, func(p *purse) bool { return !p.Unlimited && p.Allowances == nil })]
	n := 0
	await(t, patience, func() error {
		n++
		w.fill(t.Context(), r, p)
		o := w.draw(r, fmt.Sprintf("orphan-%d", n))
		o.Key, o.Node, o.Manner, o.LeaveAfter = p, node, honest, -1
		s := w.client.send(t.Context(), o)
		w.note(s)
		if !s.Whole {
			return fmt.Errorf("%d %s: %w", s.Status, s.Code, s.Err)
		}
		return nil
	})
}

// judge waits until all is quiet, stops the nodes and does the sums.
func (w *world) judge(t *testing.T) *verdict {
	t.Helper()
	w.quiet(t)
	w.agree(t)
	w.nodes[0].doctor(t)
	for i, n := range w.nodes {
		for _, figure := range []string{"halley_usage_set_aside_total", "halley_journal_damaged"} {
			if value, err := n.metric(figure); err != nil || value != 0 {
				t.Errorf("node %d: %s is %v: %v", i, figure, value, err)
			}
		}
		n.Stop(t)
		if left, _ := filepath.Glob(filepath.Join(n.DataDir, "journal", "*.journal")); len(left) > 0 { // the pattern is well-formed
			t.Errorf("node %d left a journal behind: %v", i, left)
		}
	}
	w.nodes[0].doctor(t)
	db := openBooks(t, w.url)
	b, err := readBooks(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	v := judge(record{Seen: w.seen, Served: w.upstream.served, Books: b, Purses: w.purses, Faults: w.faults})
	t.Logf("\n%s", v.table())
	const most = 10
	for _, finding := range v.findings[:min(most, len(v.findings))] {
		t.Error(finding)
	}
	if len(v.findings) > most {
		t.Errorf("and %d more", len(v.findings)-most)
	}
	if v.total.outcomes[answered] == 0 || v.total.outcomes[refused] == 0 {
		t.Errorf("too little happened: %v", v.total.outcomes)
	}
	if met := v.byFault[clockMoved]; met != nil && met.outcomes[answered] > 10 && v.total.shifted == 0 {
		t.Error("clocks were moved, and no record shows it")
	}
	if t.Failed() && os.Getenv("CHAOS_KEEP") != "" {
		w.keep(t, os.Getenv("CHAOS_KEEP"))
	}
	return v
}

// agree asks each node for each key: all must say the same, and nothing may be
// held. What others hold a node hears a moment late.
func (w *world) agree(t *testing.T) {
	t.Helper()
	for _, p := range w.keys {
		await(t, 5*time.Second, func() error {
			var first harness.Key
			for i, n := range w.nodes {
				k := harness.NewClient(n.BaseURL, p.owner.Authorization).GetKey(t, p.id)
				if i == 0 {
					first = k
				}
				if k.HeldQuota != 0 || k.RemainQuota != first.RemainQuota || k.UsedQuota != first.UsedQuota {
					return fmt.Errorf("%s: node %d says %d units remain, %d used and %d held; node 0 says %d, %d and %d", p.Name, i, k.RemainQuota, k.UsedQuota, k.HeldQuota, first.RemainQuota, first.UsedQuota, first.HeldQuota)
				}
			}
			return nil
		})
	}
}

// keep writes down what the nodes have said, for whoever looks for a cause.
func (w *world) keep(t *testing.T, folder string) {
	for i, n := range w.nodes {
		name := filepath.Join(folder, fmt.Sprintf("%s-node%d.log", strings.ReplaceAll(t.Name(), "/", "-"), i))
		if err := os.WriteFile(name, []byte(n.Log()), 0o600); err != nil {
			t.Error(err)
		}
	}
}
