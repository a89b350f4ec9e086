package gateway

import (
	"context"
	"slices"
	"time"

	"halley/internal/fault"
	"halley/internal/limit"
	"halley/internal/usage"
)

// sit takes a seat for the request where p goes. A channel that has none, and may
// have one soon, is kept in mind for when there is nowhere else to go.
func (t *ticket) sit(a *ask, p *plan) bool {
	if !p.channel.Caps.Set() {
		return true
	}
	s, denied := t.gateway.caps.take(p.place(a))
	t.full = slices.DeleteFunc(t.full, func(other *plan) bool { return other.channel.ID == p.channel.ID })
	if denied == nil {
		p.seat = s
		return true
	}
	if t.retry == 0 || denied.RetryAfter < t.retry {
		t.retry = denied.RetryAfter
	}
	// Only time makes room for another request in a minute.
	if denied.Which != limit.RequestsPerMinute || denied.RetryAfter < p.channel.Caps.Wait() {
		t.full = append(t.full, p)
	}
	return false
}

func (p *plan) place(a *ask) place { return place{channel: p.channel, request: limited(a, p)} }

// await waits for a seat at the channels that had none; nil when there is none in
// time.
func (t *ticket) await(ctx context.Context, a *ask) *plan {
	if len(t.full) == 0 {
		return nil
	}
	var patience time.Duration
	places := make([]place, len(t.full))
	for i, p := range t.full {
		places[i] = p.place(a)
		patience = max(patience, p.channel.Caps.Wait())
	}
	s, ok := t.gateway.caps.wait(ctx, places, min(patience, t.ends.Sub(t.gateway.Now())))
	if !ok {
		return nil
	}
	i := slices.IndexFunc(t.full, func(p *plan) bool { return p.channel.ID == s.channel })
	p := t.full[i]
	t.full = slices.Delete(t.full, i, i+1)
	p.seat = s
	return p
}

// unseat gives back the seat of a place that was not gone to; p may be nil.
func (p *plan) unseat() {
	if p != nil {
		p.seat.cancel()
	}
}

// used is what the attempt that has just ended is known to have used.
func (t *ticket) used() limit.Tokens {
	if !t.settled || t.record.Source == usage.NoUsage {
		return limit.Tokens{}
	}
	return limit.Tokens{Input: t.record.Tokens.Prompt, Output: t.record.Tokens.Completion}
}

// atCaps is for a request whose channels all have as much to do as they may.
func (t *ticket) atCaps(model string) error {
	return fault.New(fault.Unavailable, "no_channel_available", "Every channel for the model %q has as much to do as it may right now.", model).
		Field("model").Retry(max(t.retry, time.Second))
}
