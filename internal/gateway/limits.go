package gateway

import (
	"halley/internal/key"
	"halley/internal/limit"
)

// takeLimits counts the request against the key's rate limits, all of them
// together or none, and tells the client how it stands.
func (g *Gateway) takeLimits(t *ticket, who caller, a *ask) error {
	limits := rateLimits(who.key)
	lease, denied := g.Limiter.Take(g.Now(), who.key.ID, a.head.Model, &limits, int64(len(a.body)/bytesPerToken))
	if denied != nil {
		t.limitFacts(denied.Facts)
		return denied.Fault()
	}
	t.lease = lease
	t.limitFacts(lease.Facts())
	return nil
}

// bytesPerToken makes the low estimate that a request surely uses of a limit of
// tokens: the whole body over a rich number of bytes. The real figure replaces
// it when it is known.
const bytesPerToken = 5

// rateLimits are the key's limits in the limiter's terms.
func rateLimits(k *key.Key) limit.Limits {
	l := limit.Limits{RPM: k.Limits.RPM, RPD: k.Limits.RPD, TPM: k.Limits.TPM, Concurrency: k.Limits.Concurrency}
	if len(k.Limits.PerModel) > 0 {
		l.PerModel = make(map[string]limit.Rate, len(k.Limits.PerModel))
		for pattern, rate := range k.Limits.PerModel {
			l.PerModel[pattern] = limit.Rate{RPM: rate.RPM, TPM: rate.TPM}
		}
	}
	return l
}

func (t *ticket) limitFacts(f limit.Facts) {
	t.limitsTold = true
	f.Headers(t.sink.Header().Set)
}

// tellLimits puts the headers on an answer that was refused before the limits
// were asked.
func (t *ticket) tellLimits() {
	if t.who.key == nil || t.limitsTold {
		return
	}
	limits := rateLimits(t.who.key)
	t.limitFacts(t.gateway.Limiter.Peek(t.gateway.Now(), t.who.key.ID, t.record.Model, &limits))
}
