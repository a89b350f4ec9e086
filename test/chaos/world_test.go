package chaos_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"halley/internal/store/pgtest"
	"halley/test/harness"
)

// leaseTerm is the nodes' in this suite: the shortest there may be, so that nodes
// that are away for a while lose what they had leased.
const leaseTerm = 10 * time.Second

// silence is how long an upstream may say nothing, where some stall on purpose.
const silence = 1500 * time.Millisecond

// world is some nodes on one database, an upstream, people with keys, and a
// protocol of what happens to them.
type world struct {
	nodes        []*node
	database     *pgtest.Server // nil on SQLite
	url          string         // of the database
	upstream     *upstream
	purses       []*purse
	keys         []*purse // those of the purses that requests can be made with
	client       *client
	databaseBusy sync.Mutex

	mu     sync.Mutex
	seen   []seen
	faults []fault
}

// node is one server and what can be done to it.
type node struct {
	*harness.Server
	clock string     // the file that moves its clock
	disk  bool       // its data folder is a small disk of its own
	busy  sync.Mutex // one fault at a time
}

type kind int

const (
	key kind = iota + 1
	user
)

type subject struct {
	kind kind
	id   int64
}

// purse is a key or an account with what it was granted.
type purse struct {
	subject
	Name       string
	Value      string // of a key
	Initial    int64  // units
	Unlimited  bool
	Allowances []allowance
	parent     *purse          // the key that issued it, nil for none
	owner      *harness.Client // may read and fill it

	mu    sync.Mutex
	added []grant
}

// grant is a number of units added later; whether it was, is not sure when the
// answer to that was lost.
type grant struct {
	Units int64
	Sure  bool
}

// allowance is a renewing budget of an hour's period.
type allowance struct{ Units, Anchor int64 }

// options are what tests have different.
type options struct {
	nodes int
	term  time.Duration
	disks bool
	// silence is how long the upstream may say nothing.
	silence time.Duration
	// renews is when the renewing budgets do.
	renews time.Time
}

// newWorld starts the nodes, on SQLite where database is nil.
func newWorld(t *testing.T, o options, database *pgtest.Server) *world {
	t.Helper()
	w := &world{database: database, upstream: startUpstream(t)}
	if database != nil {
		w.url = database.URL
	}
	var urls []string
	for i := range o.nodes {
		w.nodes = append(w.nodes, w.startNode(t, i, o))
		urls = append(urls, w.nodes[i].BaseURL)
		w.url = w.nodes[i].DatabaseURL
	}
	w.client = newClient(urls)
	root := w.nodes[0].Root
	for _, model := range models {
		root.PutPrice(t, model.name, harness.Fields{"input": dollars(inputPico), "output": dollars(outputPico), "max_output_tokens": 4000})
		root.CreateChannel(t, harness.Fields{
			"name": model.name, "base_url": w.upstream.url, "models": []string{model.name}, "on_disconnect": model.onDisconnect,
			"timeouts": harness.Fields{"first_byte_ms": o.silence.Milliseconds(), "idle_ms": o.silence.Milliseconds()},
		})
	}
	w.settle(t, o.renews)
	w.meetEveryKey(t)
	return w
}

// patience is how long anything may take that has to come.
const patience = time.Minute

// dollars is a price in USD per 1M tokens.
func dollars(pico int64) string { return fmt.Sprintf("%d.%06d", pico/1_000_000, pico%1_000_000) }

// model is a model with a channel of its own.
type model struct{ name, onDisconnect string }

var models = []model{{"chaos-cancel", "cancel"}, {"chaos-drain", "drain"}}

func (w *world) startNode(t *testing.T, i int, o options) *node {
	t.Helper()
	n := &node{clock: filepath.Join(t.TempDir(), "clock")}
	n.moveClock(t, 0)
	folder := t.TempDir()
	if o.disks {
		if err := mountDisk(t, folder); err != nil {
			t.Logf("NOT TESTED here: a full disk; see TestDisksCanBeFilled: %v", err)
		} else {
			n.disk = true
		}
	}
	options := harness.Options{
		DatabaseURL: w.url, DataDir: folder, Listen: ownAddress(t), ReadyWithin: patience,
		Env: []string{
			"CHAOS_CLOCK=" + n.clock, "HALLEY_LOG_LEVEL=warn", "HALLEY_DRAIN_TIMEOUT=1s", "HALLEY_CLUSTER_LEASE_TERM=" + o.term.String(),
			"HALLEY_MASTER_KEY=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
		},
	}
	if w.database == nil || i == 0 {
		n.Server = harness.Start(t, options)
		return n
	}
	n.Server = harness.Launch(t, options)
	n.RootPAT = w.nodes[0].RootPAT
	n.Root = harness.NewClient(n.BaseURL, n.RootPAT)
	return n
}

// ownAddress is one on loopback that no outgoing connection will take while its
// server is down: below those that the system gives away.
func ownAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(20_000+rand.IntN(10_000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no free port from 20000 to 30000")
	return ""
}

// doctor has the node's database looked at: "halley doctor --ledger".
func (n *node) doctor(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Getenv("HALLEY_TEST_BINARY"), "doctor", "--ledger")
	cmd.Env = append(os.Environ(), "HALLEY_DATABASE_URL="+n.DatabaseURL, "HALLEY_DATA_DIR="+n.DataDir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("halley doctor --ledger: %v\n%s", err, out)
	}
}

// id is the node's as its leases have it.
func (n *node) id(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(n.DataDir, "node.id"))
	if err != nil {
		t.Fatal(err)
	}
	id, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// moveClock sets how far the node's clock is off, in seconds.
func (n *node) moveClock(t *testing.T, seconds int64) {
	t.Helper()
	file, err := os.OpenFile(n.clock, os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		defer file.Close()
		_, err = file.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(seconds)), 0)
	}
	if err != nil {
		t.Error(err)
	}
}

// mountDisk makes the folder a small disk, with room for a journal.
func mountDisk(t *testing.T, folder string) error {
	t.Helper()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=192m"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("a small disk could not be mounted, which takes root: %v", err)
		}
		return err
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return nil
}

// longWinded is the account whose keys like long answers.
const longWinded = "long-winded"

// settle makes the accounts and keys: with plenty, with a quota that is nearly
// used up, with an account that is, with budgets that renew, and children.
func (w *world) settle(t *testing.T, renews time.Time) {
	t.Helper()
	const plenty = 1_000_000_000
	account := func(name string, units int64, unlimited bool) (*purse, *harness.Client) {
		u, as := w.nodes[0].NewUser(t, harness.Fields{"username": name, "quota": units, "unlimited_quota": unlimited})
		p := &purse{subject: subject{user, u.ID}, Name: name, Initial: units, Unlimited: unlimited, owner: w.nodes[0].Root}
		w.purses = append(w.purses, p)
		return p, as
	}
	var parent *purse // of the next key, if any
	add := func(as *harness.Client, name string, units int64, unlimited bool, allowances ...allowance) *purse {
		fields := harness.Fields{"name": name, "remain_quota": units, "unlimited_quota": unlimited}
		var budgets []harness.Fields
		for _, a := range allowances {
			budgets = append(budgets, harness.Fields{"amount": a.Units, "period": "hours:1", "anchor": a.Anchor})
		}
		if budgets != nil {
			fields["limits"] = harness.Fields{"budgets": budgets}
		}
		path := "/api/token/"
		if parent != nil {
			path += strconv.FormatInt(parent.id, 10) + "/children"
		}
		k := harness.Into[harness.Key](t, as.Must(t, http.MethodPost, path, fields))
		p := &purse{subject: subject{key, k.ID}, Name: name, Value: k.Key, Initial: units, Unlimited: unlimited, Allowances: allowances, parent: parent, owner: as}
		w.purses = append(w.purses, p)
		w.keys = append(w.keys, p)
		return p
	}
	_, as := account("plenty", 0, true)
	for i := range 4 {
		add(as, fmt.Sprintf("plenty-%d", i), 0, true)
	}
	_, as = account("careful", plenty, false)
	for i := range 5 {
		add(as, fmt.Sprintf("nearly-out-%d", i), 60_000, false)
	}
	_, as = account("short", 80_000, false)
	for i := range 3 {
		add(as, fmt.Sprintf("of-a-short-account-%d", i), 0, true)
	}
	// Long streams start on this one side by side, until there is not enough.
	_, as = account(longWinded, 400_000, false)
	for i := range 3 {
		add(as, fmt.Sprintf("%s-%d", longWinded, i), 0, true)
	}
	_, as = account("renewing", 0, true)
	for i := range 3 {
		add(as, fmt.Sprintf("renewing-%d", i), 0, true, allowance{Units: 200_000, Anchor: renews.Unix()})
	}
	add(as, "renewing-and-nearly-out", 60_000, false, allowance{Units: 150_000, Anchor: renews.Unix()})
	// Keys that spend from the key that issued them.
	parent = add(as, "parent", 150_000, false)
	add(as, "child", 0, true)
	add(as, "child-nearly-out", 60_000, false, allowance{Units: 100_000, Anchor: renews.Unix()})
}

// meetEveryKey makes every node know every key, and sees to it that it has heard of
// the channels, which were made on the first one.
func (w *world) meetEveryKey(t *testing.T) {
	t.Helper()
	for node := range w.nodes {
		for i, p := range w.keys {
			n := 0
			await(t, patience, func() error {
				n++
				s := w.client.send(t.Context(), order{
					script: script{ID: fmt.Sprintf("hello-%d-%d-%d", node, i, n), Manner: honest, Tokens: 1, Chunk: 1},
					Key:    p, Node: node, Model: models[i%len(models)].name, Cap: 16, LeaveAfter: -1,
				})
				w.note(s)
				if s.Status != http.StatusOK {
					return fmt.Errorf("%s at node %d: %d %s: %w", p.Name, node, s.Status, s.Code, s.Err)
				}
				return nil
			})
		}
	}
}

// fill adds to a purse through one of the nodes.
func (w *world) fill(ctx context.Context, r *rand.Rand, p *purse) {
	units := int64(r.IntN(6)+1) * 10_000
	if p.Name == longWinded {
		units *= 10
	}
	n := w.nodes[r.IntN(len(w.nodes))]
	path := "/api/token/"
	if p.kind == user {
		path = "/api/user/"
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	as := harness.Client{BaseURL: n.BaseURL, Authorization: p.owner.Authorization, HTTP: w.client.http}
	a, err := as.Do(ctx, http.MethodPost, path+strconv.FormatInt(p.id, 10)+"/quota", harness.Fields{"add": units})
	if err == nil && !a.Success && a.Status != http.StatusInternalServerError && !strings.Contains(a.Code, "store_unavailable") {
		return // refused
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.added = append(p.added, grant{units, err == nil && a.Success})
}

func (w *world) note(s seen) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, s)
}
