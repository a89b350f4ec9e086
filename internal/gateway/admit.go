package gateway

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/group"
	"halley/internal/key"
)

// admitCaller judges what is known before the body is read: the key's and the
// owner's state, the address and the endpoint.
func (g *Gateway) admitCaller(ctx context.Context, who caller, in *Inbound) error {
	if err := g.admitState(ctx, who); err != nil {
		return err
	}
	return admitPlace(who, in.IP, in.Operation.Endpoint())
}

// admitState judges the key, its parent and its owner as they are now.
func (g *Gateway) admitState(ctx context.Context, who caller) error {
	if who.owner.Status != account.Enabled {
		return fault.New(fault.Unauthenticated, "account_disabled", "The account that this API key belongs to is disabled.")
	}
	if err := key.Admissible(who.key, who.parent, g.Now()); err != nil {
		return err
	}
	if g.Recorder.Full() {
		return fault.New(fault.Unavailable, "store_unavailable", "Usage cannot be written right now, so no request can be charged; try again shortly.").Retry(5 * time.Second)
	}
	for k := range who.keys {
		if k.Unlimited && len(k.Limits.Budgets) == 0 {
			continue
		}
		b, err := g.Ledger.Standing(ctx, budget.Subject{Kind: budget.Key, ID: k.ID})
		switch {
		case err != nil:
			return err
		case k.Effective(b, g.Now()) != key.Exhausted:
		case k == who.parent:
			return fault.New(fault.PaymentRequired, "key_quota_exhausted", "The quota of this API key's parent is used up.")
		default:
			return fault.New(fault.PaymentRequired, "key_quota_exhausted", "This API key's quota is used up.")
		}
		if !b.SpentUntil.IsZero() {
			return budget.Exhausted(b.SpentUntil, g.Now())
		}
	}
	if len(who.owner.Limits.Budgets) == 0 {
		return nil
	}
	b, err := g.Ledger.Standing(ctx, budget.Subject{Kind: budget.User, ID: who.owner.ID})
	if err == nil && !b.SpentUntil.IsZero() {
		err = budget.Exhausted(b.SpentUntil, g.Now())
	}
	return err
}

// admitPlace judges where the request comes from and where it goes.
func admitPlace(who caller, ip netip.Addr, endpoint string) error {
	if err := admitAddress(who, ip); err != nil {
		return err
	}
	return admitEndpoint(who, endpoint)
}

func admitAddress(who caller, ip netip.Addr) error {
	for k := range who.keys {
		if !k.AllowsIP(ip) {
			return fault.New(fault.Forbidden, "ip_not_allowed", "This API key may not be used from %s.", addressText(ip))
		}
	}
	return nil
}

func admitEndpoint(who caller, endpoint string) error {
	for k := range who.keys {
		if !k.AllowsEndpoint(endpoint) {
			return fault.New(fault.Forbidden, "endpoint_not_allowed", "This API key may not call the %s endpoint.", endpoint)
		}
	}
	return nil
}

func addressText(ip netip.Addr) string {
	if !ip.IsValid() {
		return "an unknown address"
	}
	return ip.String()
}

// admitModel judges the lists of models.
func admitModel(who caller, model string) error {
	if !who.allowsModel(model) {
		return fault.New(fault.Forbidden, "model_not_allowed", "This API key may not use the model %q.", model).Field("model")
	}
	return nil
}

func (c caller) allowsModel(model string) bool {
	return c.key.AllowsModel(model) && (c.parent == nil || c.parent.AllowsModel(model))
}

// groupsOf are the groups the caller's requests are routed in, in order.
func (s *Snapshot) groupsOf(who caller) ([]string, error) {
	switch who.key.Group {
	case "":
		if _, ok := s.Groups.Get(who.owner.Group); !ok {
			return nil, notAllowed(who.owner.Group)
		}
		return []string{who.owner.Group}, nil
	case key.GroupAuto:
		order := who.autoGroups(s.AutoGroups)
		groups := make([]string, 0, len(order))
		for _, name := range order {
			if s.Groups.Usable(name, who.member()) && !slices.Contains(groups, name) {
				groups = append(groups, name)
			}
		}
		if len(groups) == 0 {
			return nil, fault.New(fault.Forbidden, "group_not_allowed", "None of the groups of automatic routing is open to this account.")
		}
		return groups, nil
	}
	if !s.Groups.Usable(who.key.Group, who.member()) {
		return nil, notAllowed(who.key.Group)
	}
	return []string{who.key.Group}, nil
}

// autoGroups is the order of automatic routing: the key's own, else its
// parent's, else that of everybody. What the parent's leaves out stays out.
func (c caller) autoGroups(everybody []string) []string {
	own := c.key.Limits.AutoGroups
	var parents []string
	if c.parent != nil {
		parents = c.parent.AutoGroups()
	}
	switch {
	case own == nil && parents == nil:
		return everybody
	case own == nil:
		return parents
	case parents == nil:
		return own
	}
	return slices.DeleteFunc(slices.Clone(own), func(name string) bool { return !slices.Contains(parents, name) })
}

// member is what groups know of the key's owner.
func (c caller) member() group.User { return group.User{ID: c.owner.ID, Group: c.owner.Group} }

func notAllowed(group string) error {
	return fault.New(fault.Forbidden, "group_not_allowed", "The group %q is not open to this account.", group)
}
