package gateway

import (
	"context"
	"net/netip"
	"slices"

	"halley/internal/account"
	"halley/internal/group"
	"halley/internal/key"
	"halley/internal/price"
)

// Model is one entry of a key's model list.
type Model struct {
	ID      string
	OwnedBy string
	Created int64 // Unix seconds
	// MaxOutputTokens is the largest output, 0 when it is not known.
	MaxOutputTokens int64
	Embeds          bool // it makes vectors, and no text
}

// Models lists what the key may call right now, sorted by id. The key's state
// and address are judged as for a model request; an exhausted key may still
// look.
func (g *Gateway) Models(ctx context.Context, k *key.Key, owner *account.User, ip netip.Addr) ([]Model, error) {
	who, err := g.callerOf(ctx, k, owner)
	if err != nil {
		return nil, err
	}
	if err := g.admitState(ctx, who); err != nil && !isExhausted(err) {
		return nil, err
	}
	if err := admitAddress(who, ip); err != nil {
		return nil, err
	}
	snap := g.Snapshot()
	groups, err := snap.groupsOf(who)
	if err != nil {
		return nil, err
	}
	var models []Model
	for _, id := range snap.ModelsOf(groups) {
		if !who.allowsModel(id) {
			continue
		}
		m := Model{ID: id, OwnedBy: "halley"}
		p, priced := snap.Prices.Lookup(id)
		if priced {
			m.OwnedBy, m.Created, m.MaxOutputTokens, m.Embeds = p.Vendor, p.Created.Unix(), p.MaxOutputTokens, p.Mode == price.ModeEmbedding
		} else if !who.unlimited() && snap.priceIn(groups, id) == nil {
			continue
		}
		models = append(models, m)
	}
	return models, nil
}

// ModelsOf is every model that the groups' usable channels offer.
func (s *Snapshot) ModelsOf(groups []string) []string {
	known := make([]string, 0, 256)
	for _, p := range s.Prices.All() {
		known = append(known, p.Model)
	}
	return s.Routes.Models(groups, known)
}

// priceIn is the first price that the model has with a channel of the groups;
// nil when it has none.
func (s *Snapshot) priceIn(groups []string, model string) *price.Price {
	for _, group := range groups {
		for _, ch := range s.Routes.Candidates(group, model) {
			if p := s.priceOf(model, ch); p != nil {
				return p
			}
		}
	}
	return nil
}

// ModelsFor is every model that the owner may call: what has no price only
// without a limit.
func (s *Snapshot) ModelsFor(owner *account.User) []string {
	groups := s.GroupsFor(owner)
	models := s.ModelsOf(groups)
	if owner.Unlimited {
		return models
	}
	return slices.DeleteFunc(models, func(model string) bool { return s.priceIn(groups, model) == nil })
}

// Offer is a model that an owner may call.
type Offer struct {
	Model  string
	Groups []string     // those of the owner's that offer it, the owner's own first
	Price  *price.Price // before the group's ratio; nil when there is none
}

// OffersFor is every model that the owner may call, by name.
func (s *Snapshot) OffersFor(owner *account.User) []Offer {
	groups := map[string][]string{}
	for _, name := range s.GroupsFor(owner) {
		for _, model := range s.ModelsOf([]string{name}) {
			groups[model] = append(groups[model], name)
		}
	}
	models := s.ModelsFor(owner)
	offers := make([]Offer, 0, len(models))
	for _, model := range models {
		offers = append(offers, Offer{Model: model, Groups: groups[model], Price: s.priceIn(groups[model], model)})
	}
	return offers
}

// GroupsFor are the groups that requests of an owner's key without a group of
// its own and of automatic routing may reach.
func (s *Snapshot) GroupsFor(owner *account.User) []string {
	groups := []string{owner.Group}
	for _, g := range s.Groups.For(group.User{ID: owner.ID, Group: owner.Group}) {
		if !slices.Contains(groups, g.Name) {
			groups = append(groups, g.Name)
		}
	}
	return groups
}
