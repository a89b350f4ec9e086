package gateway

import (
	"slices"

	"halley/internal/limit"
	"halley/internal/usage"
	"halley/internal/wire"
)

// takeLimits counts the request against the rate limits of the key, its parent,
// its owner and the group, all of them together or none, and tells the client how it
// stands.
func (g *Gateway) takeLimits(t *ticket, who caller, a *ask, p *plan) error {
	t.home = p.group
	var room [4]limit.Scope
	scopes := append(who.scopes(room[:0]), p.scope())
	if !limit.Limited(scopes) {
		return nil
	}
	lease, denied := g.Limiter.Take(g.Now(), scopes, limited(a, p))
	if denied != nil {
		t.limitFacts(denied.Facts)
		return denied.Fault()
	}
	t.lease = lease
	t.limitFacts(lease.Facts())
	return nil
}

func limited(a *ask, p *plan) limit.Request {
	return limit.Request{Model: a.head.Model, Input: leastInput(a), OutputCap: outputCap(a, p) * a.head.Choices}
}

func (p *plan) scope() limit.Scope {
	return limit.Scope{Whose: limit.Group, Name: p.group, Limits: p.limits}
}

// visit is a request's count against the limits of a group that it was tried in
// after its first.
type visit struct {
	group string
	lease *limit.Lease
}

// enterGroup counts a request that is tried elsewhere against the limits of the
// group it is tried in, and reports whether they have room for it. It goes on
// counting in those that it was tried in before, as their upstreams had it.
func (t *ticket) enterGroup(a *ask, p *plan) bool {
	if p.group == t.home || slices.ContainsFunc(t.abroad, func(v visit) bool { return v.group == p.group }) {
		return true
	}
	lease, denied := t.gateway.Limiter.Take(t.gateway.Now(), []limit.Scope{p.scope()}, limited(a, p))
	if denied != nil {
		return false
	}
	t.abroad = append(t.abroad, visit{p.group, lease})
	return true
}

// scopes are those whose limits bind all that the caller does.
func (c caller) scopes(list []limit.Scope) []limit.Scope {
	list = append(list, limit.Scope{Whose: limit.ThisKey, ID: c.key.ID, Limits: &c.key.Limits.Limits})
	if c.parent != nil {
		list = append(list, limit.Scope{Whose: limit.ParentKey, ID: c.parent.ID, Limits: &c.parent.Limits.Limits})
	}
	return append(list, limit.Scope{Whose: limit.Account, ID: c.owner.ID, Limits: &c.owner.Limits.Limits})
}

// The low estimate of what a request surely uses of a limit of tokens: its text
// over a rich number of bytes. Embeddings may be asked for as lists of token
// ids, of which the longest take eight bytes.
const (
	bytesPerToken   = 5
	bytesPerTokenID = 8
)

func leastInput(a *ask) int64 {
	size := len(a.whole())
	if a.head.Media > 0 {
		ascii, other := wire.TextSize(a.whole())
		size = ascii + other
	}
	if a.operation.Embeds() {
		return int64(size / bytesPerTokenID)
	}
	return int64(size / bytesPerToken)
}

// endLimits replaces what was estimated by the real figures; a request that was
// refused after all counts nowhere.
func (t *ticket) endLimits(served bool, used usage.Tokens) {
	end := func(lease *limit.Lease) {
		if served {
			lease.Done(t.gateway.Now(), limit.Tokens{Input: used.Prompt, Output: used.Completion})
		} else {
			lease.Cancel(t.gateway.Now())
		}
	}
	end(t.lease)
	for _, v := range t.abroad {
		end(v.lease)
	}
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
	var room [4]limit.Scope
	t.limitFacts(t.gateway.Limiter.Peek(t.gateway.Now(), t.who.scopes(room[:0]), limit.Request{Model: t.record.Model}))
}
