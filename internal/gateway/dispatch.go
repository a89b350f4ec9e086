package gateway

import (
	"context"
	"net/http"
	"time"

	"halley/internal/exchange"
	"halley/internal/provider"
	"halley/internal/upstream"
)

// dispatch is the request as it goes to one upstream.
type dispatch struct {
	plan    *plan
	up      Upstream
	x       exchange.Exchange
	way     http.RoundTripper
	request upstream.Request
	call    provider.Call
	secret  string // our credential there
	sent    time.Time
}

// dispatch makes the request for the plan's upstream; what is wrong is the ending
// of the attempt.
func (g *Gateway) dispatch(ctx context.Context, t *ticket, a *ask, p *plan, up Upstream) (d *dispatch, end ending, ok bool) {
	x, op, err := g.exchange(a, p, up.Provider)
	if err != nil {
		return nil, untold(err), false
	}
	d = &dispatch{plan: p, up: up, x: x}
	d.call = provider.Call{Operation: op, Model: p.channel.UpstreamModel(a.head.Model), Stream: a.head.Stream}
	if d.request, err = g.upstreamRequest(t, a, p, up.Provider, x, d.call); err != nil {
		return nil, untold(err), false
	}
	d.sent = g.Now()
	if d.way, err = g.way(up, p.channel); err != nil {
		return nil, unprepared(err), false
	}
	if d.secret, err = authorize(ctx, &d.request, up.Provider, p.channel, p.step.Credential, d.way); err != nil {
		return nil, unprepared(err), false
	}
	return d, end, true
}

// send sends it and waits for the answer's headers.
func (d *dispatch) send(ctx context.Context) (*upstream.Call, error) {
	return send(ctx, d.way, d.up.Provider, d.request, d.call)
}
