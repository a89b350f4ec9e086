package cluster_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"halley/internal/cluster"
	"halley/internal/store"
	"halley/internal/store/pgtest"
)

// patience is how long what must happen may take on a busy machine.
const patience = 20 * time.Second

// never is an interval that no test lives to see.
const never = time.Hour

func TestANoticeArrives(t *testing.T) {
	t.Parallel()
	n := newNode(t, nodeOptions{every: never})
	n.start(t)
	n.option(t, "o")
	n.want(t, "o", cluster.ByNotice)
}

func TestNoticesArriveThroughAQuietTime(t *testing.T) {
	t.Parallel()
	n := newNode(t, nodeOptions{every: never, quiet: 5 * time.Millisecond})
	n.start(t)
	for range 30 {
		n.option(t, "o")
		n.want(t, "o", cluster.ByNotice)
		n.exec(t, `DELETE FROM options`)
		n.want(t, "o", cluster.ByNotice)
	}
	if c := n.connects.count(); c != 1 {
		t.Errorf("%d connections were needed", c)
	}
}

func TestEachChannelHasItsOwnNotices(t *testing.T) {
	t.Parallel()
	n := newNode(t, nodeOptions{every: never})
	recalls := make(chan string, 2)
	n.listener.On("halley_recall", func(payload string) { recalls <- payload })
	n.start(t)
	n.exec(t, `SELECT pg_notify('halley_recall', 'key 7')`)
	if got := receive(t, recalls); got != "key 7" {
		t.Errorf("heard %q", got)
	}
}

// The connection dies, a change is made while there is none, and what missed
// its notice is found as soon as there is one again.
func TestAChangeWhoseNoticeWasMissedIsFoundOnReconnect(t *testing.T) {
	t.Parallel()
	n := newNode(t, nodeOptions{every: never})
	n.start(t)
	n.option(t, "before")
	n.want(t, "before", cluster.ByNotice)
	n.connects.hold()
	n.kill(t)
	receive(t, n.connects.waiting)
	if n.listener.Connected() {
		t.Error("notices are said to arrive without a connection")
	}
	n.option(t, "meanwhile")
	n.connects.release()
	n.want(t, "meanwhile", cluster.ByPoll)
	n.option(t, "after")
	n.want(t, "after", cluster.ByNotice)
	if got := n.log.String(); strings.Count(got, "do not arrive") != 1 || strings.Count(got, "arrive again") != 1 {
		t.Errorf("the trouble is not told once, or its end not:\n%s", got)
	}
}

func TestChangesAreFoundWithoutAnyNotice(t *testing.T) {
	t.Parallel()
	n := newNode(t, nodeOptions{every: 10 * time.Millisecond})
	n.connects.hold()
	n.start(t)
	n.option(t, "o")
	n.want(t, "o", cluster.ByPoll)
}

// Two transactions, of which the one with the lower id is committed last: who
// remembers the highest id that it has seen never sees the other.
func TestAChangeThatIsCommittedOutOfOrderIsNotLost(t *testing.T) {
	t.Parallel()
	n := newNode(t, nodeOptions{every: 10 * time.Millisecond})
	n.connects.hold()
	n.start(t)
	slow := n.begin(t, "slow")
	n.option(t, "quick")
	n.want(t, "quick", cluster.ByPoll)
	n.option(t, "another")
	n.want(t, "another", cluster.ByPoll)
	if err := slow.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.want(t, "slow", cluster.ByPoll)
}

func TestOldChangesAreDroppedFromTheFeed(t *testing.T) {
	t.Parallel()
	n := newNode(t, nodeOptions{every: 5 * time.Millisecond, keep: 200 * time.Millisecond})
	n.option(t, "old")
	n.start(t)
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		var left int
		if err := n.conn.QueryRow(t.Context(), `SELECT COUNT(*) FROM changes WHERE topic = 'option'`).Scan(&left); err != nil {
			t.Fatal(err)
		}
		if left == 0 {
			return
		}
		select {
		case <-again.C:
		case <-deadline.C:
			t.Fatalf("%d changes are left", left)
		}
	}
}

// node is a listener and a feed on a database of its own, and a connection to
// change things with. It applies changes of options.
type node struct {
	listener *cluster.Listener
	feed     *cluster.Feed
	conn     *pgx.Conn
	url      string
	connects *gate
	log      lockedBuffer
	ready    chan struct{} // closed when the feed has looked for the first time
	applied  chan applied
}

type applied struct {
	ref string
	via cluster.Via
}

type nodeOptions struct{ every, keep, quiet time.Duration }

func newNode(t *testing.T, o nodeOptions) *node {
	t.Helper()
	n := &node{url: pgtest.URL(t), connects: newGate(), ready: make(chan struct{}), applied: make(chan applied, 100)}
	db, err := store.Open(t.Context(), n.url, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	n.conn = n.connect(t)
	log := slog.New(slog.NewTextHandler(&n.log, nil))
	n.listener = cluster.NewListener(cluster.ListenerOptions{
		Log: log, Roll: rand.Float64, Quiet: o.quiet,
		Connect: func(ctx context.Context, channels []string) (cluster.Connection, error) {
			if err := n.connects.pass(ctx); err != nil {
				return nil, err
			}
			return db.Listen(ctx, channels)
		},
	})
	var ref string
	n.feed = cluster.NewFeed(cluster.FeedOptions{
		Store: db, Log: log, Now: time.Now, Every: o.every, Keep: o.keep,
		Applied: func(_ string, via cluster.Via, lag time.Duration) {
			if lag > patience {
				t.Errorf("a lag of %v", lag)
			}
			n.applied <- applied{ref, via}
		},
	})
	n.feed.On(cluster.TopicOption, func(r string) { ref = r })
	n.feed.OnReset(func() {
		select {
		case <-n.ready:
		default:
			close(n.ready)
		}
	})
	n.listener.On(cluster.ChangesChannel, n.feed.Hear)
	n.listener.OnReconnect(n.feed.Look)
	return n
}

// start returns when the feed has looked, and notices arrive if they may.
func (n *node) start(t *testing.T) {
	t.Helper()
	connected := make(chan string, 10)
	n.listener.OnReconnect(func() { connected <- "" })
	n.feed.Start()
	t.Cleanup(n.feed.Stop)
	receive(t, n.ready)
	n.listener.Start()
	t.Cleanup(n.listener.Stop)
	if n.connects.waiting == nil {
		receive(t, connected)
	}
}

func (n *node) connect(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), n.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func (n *node) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	if _, err := n.conn.Exec(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

const insertOption = `INSERT INTO options (name, value) VALUES ($1, '')`

// option makes an option, which is a change.
func (n *node) option(t *testing.T, name string) {
	t.Helper()
	n.exec(t, insertOption, name)
}

// begin makes an option in a transaction that stays open.
func (n *node) begin(t *testing.T, name string) pgx.Tx {
	t.Helper()
	tx, err := n.connect(t).Begin(t.Context())
	if err == nil {
		_, err = tx.Exec(t.Context(), insertOption, name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// kill ends the connection that listens.
func (n *node) kill(t *testing.T) {
	t.Helper()
	var killed bool
	err := n.conn.QueryRow(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'NOTIFY "halley_echo%'`).Scan(&killed)
	if err != nil || !killed {
		t.Fatal("the connection that listens was not found: ", err)
	}
}

// want waits for the next change.
func (n *node) want(t *testing.T, ref string, via cluster.Via) {
	t.Helper()
	if got := receive(t, n.applied); got != (applied{ref, via}) {
		t.Errorf("applied %v, want %s by %s\n%s", got, ref, via, &n.log)
	}
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("nothing happened")
		panic("not reached")
	}
}

// gate holds attempts to connect up.
type gate struct {
	mu      sync.Mutex
	open    chan struct{} // closed while they may pass
	waiting chan struct{} // closed when one is held up
	passed  int
}

func newGate() *gate {
	g := &gate{open: make(chan struct{})}
	close(g.open)
	return g
}

func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open, g.waiting = make(chan struct{}), make(chan struct{})
}

func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.open)
}

func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.passed
}

func (g *gate) pass(ctx context.Context) error {
	g.mu.Lock()
	open, waiting := g.open, g.waiting
	g.mu.Unlock()
	select {
	case <-open:
	default:
		close(waiting)
	}
	select {
	case <-open:
		g.mu.Lock()
		defer g.mu.Unlock()
		g.passed++
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
