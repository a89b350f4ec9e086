package gateway

import (
	"context"
	"net/http"
	"time"

	"halley/internal/channel"
	"halley/internal/health"
	"halley/internal/hedge"
	"halley/internal/limit"
)

// hedgeable reports whether the request may be sent to two upstreams: it makes
// nothing but numbers, and not in a stream.
func (t *ticket) hedgeable(a *ask) bool {
	return t.way.snap.HedgeEmbeddings && a.operation.Embeds()
}

// paced is what the times of answers are kept of.
func paced(p *plan, a *ask) hedge.Target {
	return hedge.Target{Channel: p.channel.ID, Model: p.channel.UpstreamModel(a.head.Model)}
}

// racer is a dispatch that may have another beside it.
type racer struct {
	reply
	try    health.Attempt
	cancel context.CancelFunc
	body   []byte // of the answer, without our credential
}

// hedge sends the request and, when its answer takes longer than it usually does,
// once more to another upstream. The first usable answer is taken, and the other
// call is ended; what fails while the other is under way costs only time. It gives
// the reply that the attempt goes on with; the ticket's attempt is that one's.
// Calls end with ctx, which may outlive the client.
func (g *Gateway) hedge(ctx context.Context, tether tether, t *ticket, a *ask, d *dispatch) reply {
	patience, known := g.pacer.Patience(paced(d.plan, a))
	replies := make(chan *racer, 2)
	first := &racer{reply: reply{d: d}, try: t.try}
	first.start(tether.ctx, replies)
	if !known {
		return t.won(<-replies)
	}
	slow := time.NewTimer(patience)
	defer slow.Stop()
	select {
	case r := <-replies:
		return t.won(r)
	case <-slow.C:
	}
	second := g.second(ctx, tether.ctx, t, a, d.plan)
	if second == nil {
		return t.won(<-replies)
	}
	t.record.Attempts++
	second.start(tether.ctx, replies)
	r := <-replies
	other := first
	if r == first {
		other = second
	}
	if r.decides() {
		g.overtake(t, a, other, replies)
		return t.won(r)
	}
	g.drop(ctx, tether, t, a, r)
	return t.won(<-replies)
}

// start sends the request and reads the whole answer. The racer is the
// goroutine's until it comes out of replies; whoever began it takes it there.
func (r *racer) start(ctx context.Context, replies chan<- *racer) {
	ctx, r.cancel = context.WithCancel(ctx)
	go func() {
		r.call, r.err = r.d.send(ctx)
		if r.err == nil {
			var body []byte
			if body, r.err = readLimited(r.call, maxAnswer); r.err != nil {
				r.call.Close()
			}
			r.body = channel.Mask(body, r.d.secret)
		}
		replies <- r
	}()
}

// decides reports whether the reply is one for the client, so that nothing better
// can come after it: an answer, or the request's own fault.
func (r *racer) decides() bool {
	switch {
	case r.err != nil:
		return false
	case r.call.Status == http.StatusOK:
		answer, _, ok := r.d.x.Answer(r.body)
		return ok && !answer.IsError
	}
	return r.call.Status >= 400 && classOf(r.call.Status, r.body, r.d.up.Provider) == health.ClientFault
}

// second prepares the request for another channel that is well, in the same group
// and so at the same price; nil when there is none, or when the money or the
// limits do not allow it.
func (g *Gateway) second(ctx, call context.Context, t *ticket, a *ask, first *plan) *racer {
	if ctx.Err() != nil || !t.mayTryAgain() || !g.pacer.Allow(paced(first, a)) {
		return nil
	}
	p := t.seated(a)
	if p == nil {
		return nil
	}
	up, known := g.Upstreams[p.channel.Kind]
	if !known || p.step.Verdict.State > health.SlowStart || p.channel == first.channel || p.group != first.group {
		t.next = p // for when the first has failed
		return nil
	}
	try, ok := t.way.steps.Begin(g.Now(), &p.step)
	if !ok {
		p.unseat()
		return nil
	}
	d, end, ok := g.dispatch(call, t, a, p, up)
	if !ok {
		try.Done(g.Now(), end.outcome)
		p.unseat()
		return nil
	}
	return &racer{reply: reply{d: d}, try: try}
}

// won makes the racer's dispatch the ticket's attempt.
func (t *ticket) won(r *racer) reply {
	t.try, t.tried = r.try, r.d.sent
	t.planned(r.d.plan)
	if r.err != nil {
		r.cancel()
		return r.reply
	}
	r.call.Replay(r.body)
	r.call.OnClose(r.cancel)
	return r.reply
}

// drop ends the attempt of a racer whose reply serves nobody, while the other is
// still under way.
func (g *Gateway) drop(ctx context.Context, tether tether, t *ticket, a *ask, r *racer) {
	if r.err == nil {
		r.call.Replay(r.body)
	}
	end := t.answered(ctx, tether, a, r.reply)
	r.cancel()
	if ctx.Err() != nil { // we ended it
		end.outcome.Class = health.ClientGone
	}
	t.failed(r.d.plan, end)
	g.leave(t, a, r, end.outcome)
}

// overtake ends a call that is not needed any more. That it has taken so long is
// known of its upstream.
func (g *Gateway) overtake(t *ticket, a *ask, r *racer, replies <-chan *racer) {
	r.cancel()
	g.pacer.Took(paced(r.d.plan, a), g.Now().Sub(r.d.sent))
	if r = <-replies; r.err == nil { // at once: its context has ended
		r.call.Close()
	}
	g.leave(t, a, r, health.Outcome{Class: health.Overtaken})
}

// leave ends the attempt of a racer that the client gets nothing of. Its upstream
// has had the prompt.
func (g *Gateway) leave(t *ticket, a *ask, r *racer, o health.Outcome) {
	r.try.Done(g.Now(), o)
	g.Observer.Attempted(o.Class)
	r.d.plan.seat.leave(limit.Tokens{Input: leastInput(a)})
	t.note(r.d.plan, o, r.d.sent)
}
