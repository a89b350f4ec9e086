package gateway

import (
	"context"
	"net/netip"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/key"
	"halley/internal/money"
	"halley/internal/provider"
	"halley/internal/speech"
	"halley/internal/wire"
)

// Question is a request that is only imagined. What is left empty is not
// judged.
type Question struct {
	Model    string
	IP       netip.Addr
	Endpoint string
}

// Verdict says whether the request would be admitted, and where it would go.
type Verdict struct {
	Allowed bool
	Refusal *fault.Error // nil when it is allowed
	Route
}

// Verify is a dry run of admission: it holds and charges nothing.
func (g *Gateway) Verify(ctx context.Context, k *key.Key, owner *account.User, q Question) (Verdict, error) {
	var v Verdict
	who, err := g.callerOf(ctx, k, owner)
	if err == nil {
		err = g.verify(ctx, who, q, &v.Route)
	}
	if err == nil {
		v.Allowed = true
		return v, nil
	}
	f := fault.From(err)
	if f.Kind == fault.Internal || f.Code == "store_unavailable" {
		return Verdict{}, err
	}
	v.Refusal = f
	return v, nil
}

func (g *Gateway) verify(ctx context.Context, who caller, q Question, r *Route) error {
	if err := g.admitState(ctx, who); err != nil {
		return err
	}
	if q.IP.IsValid() {
		if err := admitAddress(who, q.IP); err != nil {
			return err
		}
	}
	if q.Endpoint != "" {
		if err := admitEndpoint(who, q.Endpoint); err != nil {
			return err
		}
	}
	snap := g.Snapshot()
	if q.Model == "" {
		_, err := snap.groupsOf(who)
		return err
	}
	a := &ask{operation: provider.Operation(q.Endpoint), head: &wire.Head{Model: q.Model, Choices: 1}}
	var w way
	p, err := g.plan(&w, snap, who, a)
	g.explain(&w, p, r)
	if err != nil {
		return err
	}
	return g.affords(ctx, who, p, a)
}

// affords judges whether a short prompt with the least output would fit.
func (g *Gateway) affords(ctx context.Context, who caller, p *plan, a *ask) error {
	if p.price == nil {
		return nil
	}
	least := p.price.Bound(1, min(leastOutput, outputCap(a, p)), "", p.ratio)
	type gate struct {
		subject budget.Subject
		lifted  bool
		code    string
		whose   speech.Text
	}
	gates := []gate{{budget.Subject{Kind: budget.Key, ID: who.key.ID}, who.key.Unlimited, "key_quota_exhausted", speech.Phrase("This API key's quota")}}
	if who.parent != nil {
		gates = append(gates, gate{budget.Subject{Kind: budget.Key, ID: who.parent.ID}, who.parent.Unlimited, "key_quota_exhausted", speech.Phrase("The quota of this API key's parent")})
	}
	gates = append(gates, gate{budget.Subject{Kind: budget.User, ID: who.owner.ID}, who.owner.Unlimited, "insufficient_balance", speech.Phrase("The account's balance")})
	for _, gate := range gates {
		states, err := g.Ledger.Allowances(ctx, gate.subject)
		if err != nil {
			return err
		}
		for _, a := range states {
			if a.Left() < max(least, 0) {
				return budget.Exhausted(a.Renews, g.Now())
			}
		}
		if gate.lifted {
			continue
		}
		b, err := g.Ledger.Balance(ctx, gate.subject)
		if err != nil {
			return err
		}
		if b.Remaining() < max(least, money.Nano(0)) {
			return fault.New(fault.PaymentRequired, gate.code, "%s does not cover even a short request.", gate.whose)
		}
	}
	return nil
}

func isExhausted(err error) bool { return fault.Code(err) == "key_quota_exhausted" }
