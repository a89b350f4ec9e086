// Package gateway is the life of one model request: authenticate, admit, route,
// hold, attempt, stream, settle. One file per stage, in that order. It knows
// the domains' rules and the wire scan, but not net/http's server side, SQL, or
// how a provider's credential is shown.
package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"halley/internal/account"
	"halley/internal/affinity"
	"halley/internal/budget"
	"halley/internal/channel"
	"halley/internal/group"
	"halley/internal/health"
	"halley/internal/hedge"
	"halley/internal/key"
	"halley/internal/limit"
	"halley/internal/money"
	"halley/internal/price"
	"halley/internal/provider"
	"halley/internal/route"
	"halley/internal/translate"
	"halley/internal/translate/embed"
	"halley/internal/usage"
	"halley/internal/wire"
)

// Keys finds the record of a key's value, and of the key that issued it. An unknown value is a fault with the
// code invalid_api_key.
type Keys interface {
	Authenticate(ctx context.Context, value string) (*key.Key, error)
	// Parent gives the record of the key that issued k, nil when none did. A
	// parent that is gone makes k an unknown key.
	Parent(ctx context.Context, k *key.Key) (*key.Key, error)
}

// Owners finds the account that a key belongs to.
type Owners interface {
	Owner(ctx context.Context, userID int64) (*account.User, error)
}

// Recorder takes the one record of each request. When Record returns it is safe
// from the end of this process; the store is not waited for.
type Recorder interface {
	Record(r usage.Record)
	// Full reports that no charged request may be taken on, because its record
	// might not be kept.
	Full() bool
}

// Observer is told of every finished request, for metrics.
type Observer interface {
	Finished(r *usage.Record)
	// Attempted is told of the end of each attempt at an upstream.
	Attempted(c health.Class)
	UnknownKey()
}

// Snapshot is what operators configure, compiled: immutable, swapped whole.
type Snapshot struct {
	Routes     *route.Table
	Groups     *group.Set
	Prices     *price.Book
	AutoGroups []string
	// Affinity has conversations go where they were served last.
	Affinity bool
	// AffinityHeader is the client's header that names its conversation, as
	// http.CanonicalHeaderKey writes it; "" for none.
	AffinityHeader string
	// MaxAttempts is how many attempts a request may take; 0 is the default.
	MaxAttempts int
	// HedgeEmbeddings has requests for embeddings that take unusually long sent to
	// a second upstream.
	HedgeEmbeddings bool
	// ExactCounts has no estimate given where no upstream counts tokens.
	ExactCounts bool
}

// Upstream is how one channel kind is reached.
type Upstream struct {
	Provider  provider.Provider
	Transport http.RoundTripper
}

// Config is what a Gateway is built from.
type Config struct {
	Keys      Keys
	Owners    Owners
	Ledger    *budget.Ledger
	Limiter   *limit.Limiter
	Recorder  Recorder
	Observer  Observer
	Snapshot  func() *Snapshot
	Upstreams map[channel.Kind]Upstream
	// Networks are for channels with a proxy or certificates of their own; nil
	// reaches all of them directly.
	Networks Networks
	// Codecs are the dialects between which requests are translated.
	Codecs map[provider.Operation]translate.Codec
	// EmbedClients and EmbedUpstreams are the forms of embeddings between which
	// requests are translated.
	EmbedClients   map[provider.Operation]embed.Client
	EmbedUpstreams map[provider.Operation]embed.Upstream
	// Kept keeps responses; nil keeps none.
	Kept Kept
	// Channel gives a channel as it is now, nil when there is none.
	Channel func(id int64) *channel.Channel
	Log     *slog.Logger
	Now     func() time.Time
	// NewEventID makes the idempotency key of a settlement.
	NewEventID func() string
	// Roll is a random number in [0, 1) for the choice by weight.
	Roll func() float64
	// Health knows how the upstreams are doing, and learns it from the attempts;
	// nil takes all to be well.
	Health *health.Tracker
	// Timeouts are those of channels that set none.
	Timeouts channel.Timeouts
	// Pause is the first pause before the only channel is tried once more; 0 is
	// the default.
	Pause time.Duration
}

// Gateway serves model requests.
type Gateway struct {
	Config
	caps     *caps
	places   *affinity.Table
	draining atomic.Bool
	leaving  chan struct{} // closed when draining begins
	inFlight sync.WaitGroup
	mu       sync.Mutex // orders Serve's Add against Drain's Wait

	pacer *hedge.Pacer

	ending context.Context // ended by End
	end    context.CancelCauseFunc
}

// New makes a gateway.
func New(c Config) *Gateway {
	g := &Gateway{Config: c, caps: newCaps(c.Now), places: affinity.New(), pacer: hedge.New(), leaving: make(chan struct{})}
	g.ending, g.end = context.WithCancelCause(context.Background())
	return g
}

// Why a request ends before its answer does.
var (
	// ErrShutdown is the cause with which a server ends the contexts of requests
	// that outlive its drain time.
	ErrShutdown = errors.New("the server is shutting down")
	// ErrClientGone is the cause of the fault with which reading the body of a
	// client fails that has hung up.
	ErrClientGone = errors.New("the client has gone")
)

// Inbound is one request as the door hands it in.
type Inbound struct {
	RequestID string
	Start     time.Time
	// Credentials are the values to try, in order.
	Credentials []string
	IP          netip.Addr
	Operation   provider.Operation
	Header      http.Header // the client's, not changed
	// Format is how the endpoint's bodies look.
	Format wire.Format
	// Client is the client's side of a translation; nil is the operation's codec.
	Client translate.Client
	// ReadBody reads the body, capped; its errors are faults.
	ReadBody func() ([]byte, error)
}

// Sink is the client's side of the answer. A Write that fails means that the
// client has gone.
type Sink interface {
	Header() http.Header
	Start(status int)
	Write(p []byte) (int, error)
	Flush() error
}

// Serve runs the request to its end and returns what the door logs. Whatever
// happens on the way, a request of a known key leaves exactly one record.
func (g *Gateway) Serve(ctx context.Context, in *Inbound, sink Sink) (record *usage.Record) {
	t := &ticket{gateway: g, in: in, sink: sink}
	record = &t.record // also after a panic
	if !g.enter() {
		t.refuse(shuttingDown())
		sink.Header().Set("Connection", "close")
		t.answer()
		return record
	}
	defer g.inFlight.Done()
	defer t.close()
	if err := g.serve(ctx, t); err != nil {
		t.refuse(reason(ctx, err))
	}
	t.answer()
	return record
}

// reason is why a request has failed: that its client left or that the server
// ended it, before anything that came of that.
func reason(ctx context.Context, err error) error {
	switch {
	case shutDown(ctx):
		return shuttingDown()
	case ctx.Err() != nil && !errors.Is(err, ErrClientGone):
		return clientGone()
	}
	return err
}

// shutDown reports whether the server has ended the request.
func shutDown(ctx context.Context) bool { return errors.Is(context.Cause(ctx), ErrShutdown) }

// left reports whether the client has hung up.
func left(ctx context.Context) bool { return ctx.Err() != nil && !shutDown(ctx) }

func (g *Gateway) serve(ctx context.Context, t *ticket) error {
	who, err := g.authenticate(ctx, t.in)
	if err != nil {
		return err
	}
	t.known(who)
	snap := g.Snapshot()
	if err := g.admitCaller(ctx, who, t.in); err != nil {
		return err
	}
	ask, err := readAsk(t.in)
	if err != nil {
		return err
	}
	t.asked(ask)
	if err := g.resume(ctx, who, ask); err != nil {
		return err
	}
	ask.thread = g.thread(snap, who, t.in, ask)
	plan, err := g.plan(&t.way, snap, who, ask)
	if err != nil {
		return err
	}
	t.planned(plan)
	if err := g.takeLimits(t, who, ask, plan); err != nil {
		return err
	}
	if ask.operation.Counts() {
		return g.count(ctx, t, ask, plan)
	}
	if err := g.hold(ctx, t, who, ask, plan); err != nil {
		return err
	}
	return g.serveBy(ctx, t, ask, plan)
}

// enter counts the request in, unless the gateway is draining.
func (g *Gateway) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.draining.Load() {
		return false
	}
	g.inFlight.Add(1)
	return true
}

// Draining reports that no new request is taken on.
func (g *Gateway) Draining() bool { return g.draining.Load() }

// Drain refuses new requests and waits for those under way, until ctx ends.
func (g *Gateway) Drain(ctx context.Context) error {
	g.mu.Lock()
	if !g.draining.Swap(true) {
		close(g.leaving)
	}
	g.mu.Unlock()
	done := make(chan struct{})
	go func() { // ends when the last request does; Drain is the last call of a process
		g.inFlight.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// End ends, when Drain's time is over, what has no client any more: upstreams
// that are read on for their usage. What has one ends with its context, whose
// cause must be ErrShutdown.
func (g *Gateway) End() { g.end(ErrShutdown) }

// spent is a request's cost once its tokens are known.
func (p *plan) spent(t usage.Tokens, tier string) money.Nano {
	if p.price == nil {
		return 0
	}
	return p.price.Cost(t, tier, p.ratio)
}
