package gateway

import (
	"context"
	"net/http"

	"halley/internal/fault"
	"halley/internal/provider"
	"halley/internal/usage"
	"halley/internal/wire"
)

// count answers how many tokens a prompt has. It is free. An upstream that counts
// in the client's dialect is asked; where there is none, the answer is an estimate
// that says so or, if the operator prefers that, that there is none.
func (g *Gateway) count(ctx context.Context, t *ticket, a *ask, p *plan) error {
	first := p
	for ; p != nil; p = t.way.next(g.Now()) {
		up, known := g.Upstreams[p.channel.Kind]
		if known && provider.Speaks(up.Provider, p.channel, p.channel.UpstreamModel(a.head.Model), a.operation) == a.operation {
			t.planned(p)
			return g.serveBy(ctx, t, a, p)
		}
	}
	t.planned(first)
	counter, ok := a.format.(wire.Counter)
	if !ok || t.way.snap.ExactCounts {
		return fault.New(fault.NotFound, "token_count_unavailable", "No upstream of the model %q counts tokens, and estimates are switched off here.", a.head.Model).Field("model")
	}
	t.record.Status = http.StatusOK
	t.settle(usage.Tokens{}, usage.NoUsage)
	t.sink.Header().Set("X-Halley-Estimated", "true")
	t.writeWhole(http.Header{"Content-Type": {"application/json"}}, counter.Count(promptEstimate(a)))
	return nil
}
