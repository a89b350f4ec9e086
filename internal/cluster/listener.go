package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Connection hears notices on the channels it was opened for.
type Connection interface {
	// Receive waits for the next notice. When ctx ends before one comes that is
	// ctx's error, and the connection can be used on.
	Receive(ctx context.Context) (channel, payload string, err error)
	// Notify sends an empty notice.
	Notify(ctx context.Context, channel string) error
	Close(ctx context.Context) error
}

// ListenerOptions is what a Listener is made of.
type ListenerOptions struct {
	// Connect opens a connection that hears the channels from its return on.
	Connect func(ctx context.Context, channels []string) (Connection, error)
	Log     *slog.Logger
	// Roll is chance, in [0, 1).
	Roll func() float64
	// Quiet is how long nothing may be heard before the listener sends itself a
	// notice, which must then come within the same time; 0 is DefaultQuiet.
	Quiet time.Duration
}

// DefaultQuiet is the default of ListenerOptions.Quiet.
const DefaultQuiet = 5 * time.Second

// Listener keeps a connection on which PostgreSQL sends notices, and opens it
// again when it breaks. Set it up with On and OnReconnect, then Start it.
//
// Notices come soon but not surely: none comes that was sent while there was no
// connection. Who must not miss any needs another way to look for what they
// announce, and does so when OnReconnect says so.
type Listener struct {
	ListenerOptions
	echo      string // a channel of our own
	handlers  map[string][]func(payload string)
	reconnect []func()
	connected atomic.Bool

	stop context.CancelFunc
	done sync.WaitGroup
}

// NewListener makes a Listener that does nothing before Start.
func NewListener(o ListenerOptions) *Listener {
	if o.Quiet == 0 {
		o.Quiet = DefaultQuiet
	}
	echo := "halley_echo_" + rand.Text()
	return &Listener{ListenerOptions: o, echo: echo, handlers: map[string][]func(string){echo: nil}}
}

// On has f called with the payload of each notice on the channel, in their
// order. It must not wait for anything: the notices behind it do.
func (l *Listener) On(channel string, f func(payload string)) {
	l.handlers[channel] = append(l.handlers[channel], f)
}

// OnReconnect has f called whenever a connection has begun to listen, the first
// included: what was sent before was not heard. It must not wait for anything.
func (l *Listener) OnReconnect(f func()) { l.reconnect = append(l.reconnect, f) }

// Connected reports whether notices arrive.
func (l *Listener) Connected() bool { return l.connected.Load() }

// Start begins to listen.
func (l *Listener) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	l.stop = cancel
	l.done.Go(func() { l.run(ctx) })
}

// Stop ends what Start began, if it was called, and waits for it.
func (l *Listener) Stop() {
	if l.stop != nil {
		l.stop()
	}
	l.done.Wait()
}

// How long to wait before connecting again: between half of it and all of it,
// so that servers which lost the database together do not come back together.
const (
	shortestWait = 100 * time.Millisecond
	longestWait  = 5 * time.Second
)

// connectTimeout bounds one attempt, and the end of a connection.
const connectTimeout = 5 * time.Second

func (l *Listener) run(ctx context.Context) {
	lost := false
	wait := shortestWait
	for {
		err := l.listen(ctx, func() {
			wait = shortestWait
			if lost {
				l.Log.Info("notices from other servers arrive again")
			}
			lost = false
		})
		if ctx.Err() != nil {
			return
		}
		if !lost {
			l.Log.Warn("notices from other servers do not arrive; trying again", "error", err)
		}
		lost = true
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait/2 + time.Duration(l.Roll()*float64(wait/2))):
		}
		wait = min(2*wait, longestWait)
	}
}

// listen opens one connection and hears notices until it breaks or ctx ends. It
// calls arrive when it knows that they do arrive.
func (l *Listener) listen(ctx context.Context, arrive func()) (err error) {
	opening, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := l.Connect(opening, slices.Sorted(maps.Keys(l.handlers)))
	if err != nil {
		return err
	}
	defer func() {
		l.connected.Store(false)
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
		defer cancel()
		err = errors.Join(err, conn.Close(closing))
	}()
	for _, f := range l.reconnect {
		f()
	}
	return l.hear(ctx, conn, arrive)
}

// errDeaf means that a connection is there but notices do not come through it,
// as with a pooler that lends its connections for one transaction each.
var errDeaf = errors.New("the connection carries no notices: is there a connection pooler between?")

func (l *Listener) hear(ctx context.Context, conn Connection, arrive func()) error {
	asked, err := true, l.ask(ctx, conn)
	for err == nil {
		var channel, payload string
		channel, payload, err = l.receive(ctx, conn)
		switch {
		case err == nil:
			asked = false
			if !l.connected.Swap(true) {
				arrive()
			}
			for _, f := range l.handlers[channel] {
				f(payload)
			}
		case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
		case asked:
			err = errDeaf
		default:
			asked, err = true, l.ask(ctx, conn)
		}
	}
	return err
}

// receive waits for a notice as long as it may be quiet.
func (l *Listener) receive(ctx context.Context, conn Connection) (channel, payload string, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.Quiet)
	defer cancel()
	return conn.Receive(ctx)
}

// ask sends a notice to ourselves.
func (l *Listener) ask(ctx context.Context, conn Connection) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return conn.Notify(ctx, l.echo)
}
