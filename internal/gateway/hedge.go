package gateway

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"halley/internal/health"
	"halley/internal/provider"
	"halley/internal/upstream"
)

const (
	// hedgeSamples is how many answers must be known of a channel and model
	// before their 95th percentile means anything, and hedgeKept how many are kept.
	hedgeSamples = 20
	hedgeKept    = 64
	// hedgeLeast is the least time to wait: below it a second attempt gains
	// nothing.
	hedgeLeast = 10 * time.Millisecond
	// hedgeShare bounds how many requests are sent twice, as one in so many: when
	// everything is slow, twice the load makes it slower.
	hedgeShare = 10
	// hedgeModels bounds of how many channels and models times are kept.
	hedgeModels = 10_000
)

// delays knows how long upstreams take for what may be sent twice.
type delays struct {
	mu     sync.Mutex
	times  map[delayed]*samples
	asked  int64 // requests that might have been sent twice
	hedged int64 // those that were
}

// delayed is what times are kept of.
type delayed struct {
	channel int64
	model   string
}

// samples are the last times, in any order.
type samples struct {
	last [hedgeKept]time.Duration
	n    int
}

// note takes the time of an answer.
func (d *delays) note(channel int64, model string, took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.times == nil || len(d.times) >= hedgeModels {
		d.times = map[delayed]*samples{}
	}
	s := d.times[delayed{channel, model}]
	if s == nil {
		s = &samples{}
		d.times[delayed{channel, model}] = s
	}
	s.last[s.n%hedgeKept] = took
	s.n++
}

// after gives when a request that has not been answered is to be sent once more;
// false when it is not.
func (d *delays) after(channel int64, model string) (time.Duration, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	s := d.times[delayed{channel, model}]
	if s == nil || s.n < hedgeSamples || d.hedged*hedgeShare >= d.asked {
		return 0, false
	}
	last := slices.Clone(s.last[:min(s.n, hedgeKept)])
	slices.Sort(last)
	return max(hedgeLeast, last[len(last)*95/100]), true
}

// spent notes that a request was sent twice.
func (d *delays) spent() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hedged++
}

// hedgeable reports whether the request may be sent to two upstreams: it makes
// nothing but numbers, and not in a stream.
func (t *ticket) hedgeable(a *ask) bool {
	return a.operation == provider.Embeddings && t.way.snap.HedgeEmbeddings
}

// reply is what came of a dispatch.
type reply struct {
	d    *dispatch
	call *upstream.Call
	err  error
}

// decides reports whether the reply is an answer that nothing better can come
// after.
func (r *reply) decides() bool {
	if r.err != nil {
		return false
	}
	switch r.call.Status {
	case http.StatusOK, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// raced is a dispatch under way beside another.
type raced struct {
	d      *dispatch
	try    health.Attempt
	cancel context.CancelFunc
}

// hedge sends the request and, when its answer takes longer than it usually does,
// once more to another upstream. The first that answers is taken, and the other
// is let go. What it gives is the reply that the attempt goes on with; the
// ticket's attempt is that one's.
func (g *Gateway) hedge(ctx context.Context, t *ticket, a *ask, d *dispatch) reply {
	after, ok := g.delays.after(d.plan.channel.ID, a.head.Model)
	if !ok {
		call, err := d.send(ctx)
		return reply{d, call, err}
	}
	replies := make(chan reply, 2)
	start := func(d *dispatch) context.CancelFunc {
		ctx, cancel := context.WithCancel(ctx)
		go func() { // ends with its call, which cancel ends; taken or let go below
			call, err := d.send(ctx)
			replies <- reply{d, call, err}
		}()
		return cancel
	}
	cancel := start(d)
	timer := time.NewTimer(after)
	defer timer.Stop()
	select {
	case r := <-replies:
		return r.ownedBy(cancel)
	case <-timer.C:
	}
	second, ok := g.second(ctx, t, a)
	if !ok {
		r := <-replies
		return r.ownedBy(cancel)
	}
	g.delays.spent()
	t.record.Attempts++
	first := raced{d, t.try, cancel}
	second.cancel = start(second.d)
	r := <-replies
	here, other := &first, &second
	if r.d == second.d {
		here, other = other, here
	}
	if r.decides() {
		g.letGo(t, other, replies)
		return t.won(here, r)
	}
	g.lost(t, here, r)
	return t.won(other, <-replies)
}

// ownedBy ends the call's own context with the call.
func (r reply) ownedBy(cancel context.CancelFunc) reply {
	if r.err != nil {
		cancel()
		return r
	}
	r.call.OnClose(cancel)
	return r
}

// second prepares the request for another upstream that is well; false when there
// is none, or the money or the limits do not allow it.
func (g *Gateway) second(ctx context.Context, t *ticket, a *ask) (r raced, ok bool) {
	if !t.mayTryAgain() {
		return r, false
	}
	p := t.seated(a)
	if p == nil {
		return r, false
	}
	up, known := g.Upstreams[p.channel.Kind]
	if !known || p.step.Verdict.State > health.SlowStart {
		t.next = p // for later
		return r, false
	}
	if r.try, ok = t.way.steps.Begin(g.Now(), &p.step); !ok {
		p.unseat()
		return r, false
	}
	if r.d, _, ok = g.dispatch(ctx, t, a, p, up); !ok {
		r.try.Done(g.Now(), health.Outcome{Class: health.ClientGone})
		p.unseat()
	}
	return r, ok
}

// won makes the reply's dispatch the ticket's attempt.
func (t *ticket) won(l *raced, r reply) reply {
	t.try = l.try
	t.planned(l.d.plan)
	return r.ownedBy(l.cancel)
}

// lost ends the attempt of a dispatch whose reply was none, while the other is
// still under way.
func (g *Gateway) lost(t *ticket, l *raced, r reply) {
	outcome := health.Outcome{Class: health.Failed, Detail: "no answer"}
	if r.err != nil {
		outcome = broken(r.err).outcome
	} else {
		outcome.Class, outcome.Detail = classOf(r.call.Status, nil, l.d.up.Provider), fmt.Sprintf("status %d", r.call.Status)
		outcome.RetryAfter = retryAfter(r.call.Header, g.Now())
		r.call.Close()
	}
	l.cancel()
	g.leave(t, l, outcome)
}

// letGo ends a dispatch that is not needed any more. Its call is over when its
// reply has come, which is not waited for.
func (g *Gateway) letGo(t *ticket, l *raced, replies <-chan reply) {
	l.cancel()
	go func() { // ends at once: the call's context has
		if r := <-replies; r.err == nil {
			r.call.Close()
		}
	}()
	g.leave(t, l, health.Outcome{Class: health.ClientGone})
}

// leave ends the attempt of a dispatch that the client gets nothing of.
func (g *Gateway) leave(t *ticket, l *raced, o health.Outcome) {
	l.try.Done(g.Now(), o)
	g.Observer.Attempted(o.Class)
	l.d.plan.unseat()
	if t.who.owner.Administers() {
		t.trail = append(t.trail, step(l.d.plan, o.Class))
	}
}
