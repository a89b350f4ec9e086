package cluster_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"halley/internal/cluster"
)

// A pooler that lends connections takes LISTEN and never delivers anything.
func TestAConnectionThatCarriesNoNoticesIsNotTakenForOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		line := &line{deaf: true}
		l, log := line.listen(t)
		time.Sleep(10 * time.Minute)
		if l.Connected() {
			t.Error("notices are said to arrive")
		}
		// 5 s to find out, 2.5 to 5 s until the next attempt.
		if n := line.opened.Load(); n < 50 || n > 90 {
			t.Errorf("%d connections in ten minutes", n)
		}
		if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "pooler") {
			t.Errorf("log:\n%s", got)
		}
		line.hear()
		time.Sleep(10 * time.Second)
		if got := log.String(); !l.Connected() || strings.Count(got, "\n") != 2 {
			t.Errorf("connected: %v; log:\n%s", l.Connected(), got)
		}
	})
}

func TestASilentConnectionIsAskedAndGivenUpWhenItDoesNotAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		line := &line{}
		l, _ := line.listen(t)
		time.Sleep(time.Hour)
		if n := line.opened.Load(); n != 1 || !l.Connected() {
			t.Errorf("%d connections in a quiet hour, connected: %v", n, l.Connected())
		}
		line.mute()
		time.Sleep(30 * time.Second)
		if n := line.opened.Load(); n < 3 || l.Connected() {
			t.Errorf("%d connections after half a minute without an answer, connected: %v", n, l.Connected())
		}
		if open := line.opened.Load() - line.closed.Load(); open > 1 {
			t.Errorf("%d connections are open", open)
		}
	})
}

// line makes connections on which nothing happens but what is sent by
// themselves.
type line struct {
	deaf           bool
	silent         atomic.Bool
	heard          atomic.Bool
	opened, closed atomic.Int64
}

func (n *line) hear() { n.heard.Store(true) }
func (n *line) mute() { n.silent.Store(true) }

func (n *line) listen(t *testing.T) (*cluster.Listener, *lockedBuffer) {
	t.Helper()
	log := &lockedBuffer{}
	l := cluster.NewListener(cluster.ListenerOptions{
		Log: slog.New(slog.NewTextHandler(log, nil)), Roll: func() float64 { return 0.5 },
		Connect: func(context.Context, []string) (cluster.Connection, error) {
			n.opened.Add(1)
			return &connection{line: n, notices: make(chan string, 1)}, nil
		},
	})
	l.Start()
	t.Cleanup(l.Stop)
	return l, log
}

type connection struct {
	line    *line
	notices chan string
}

// Receive implements cluster.Connection.
func (c *connection) Receive(ctx context.Context) (channel, payload string, err error) {
	select {
	case channel := <-c.notices:
		return channel, "", nil
	case <-ctx.Done():
		return "", "", ctx.Err()
	}
}

// Notify implements cluster.Connection.
func (c *connection) Notify(_ context.Context, channel string) error {
	if (!c.line.deaf || c.line.heard.Load()) && !c.line.silent.Load() {
		c.notices <- channel
	}
	return nil
}

// Close implements cluster.Connection.
func (c *connection) Close(context.Context) error {
	c.line.closed.Add(1)
	return errors.New("it was broken anyway")
}
