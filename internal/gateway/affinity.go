package gateway

import (
	"cmp"

	"halley/internal/affinity"
	"halley/internal/health"
	"halley/internal/route"
	"halley/internal/wire"
)

// thread is the number of the conversation that the request belongs to, in the
// client's words; 0 when nobody is interested or the client names none.
func (g *Gateway) thread(snap *Snapshot, who caller, in *Inbound, a *ask) uint64 {
	if !snap.Affinity || a.operation.Embeds() {
		return 0
	}
	var name string
	if snap.AffinityHeader != "" {
		name = in.Header.Get(snap.AffinityHeader)
	}
	if name = cmp.Or(name, a.named()); name == "" {
		return 0
	}
	return g.places.Conversation(who.key.ID, a.head.Model, name)
}

// named is what the body calls the conversation, "" when it has no name.
func (a *ask) named() string {
	h := a.head
	if key := wire.Text(h.CacheKeyAt.Of(a.body)); key != "" {
		return key
	}
	metadata := h.MetadataAt.Of(a.body)
	return cmp.Or(wire.Text(wire.Get(metadata, "user_id")), h.EndUser)
}

// before is where the conversation was served before, first of all where what it
// goes on from is kept.
func (g *Gateway) before(a *ask) route.Preference {
	if a.resumed != nil {
		if home := a.resumed.home(); home.Channel != 0 {
			return home
		}
	}
	if a.thread == 0 {
		return route.Preference{}
	}
	place, _ := g.places.Last(g.Now(), a.thread)
	return route.Preference(place)
}

// remember notes where the conversation has been served.
func (g *Gateway) remember(a *ask, p *plan, o health.Outcome) {
	if a.thread == 0 || o.Class != health.Success {
		return
	}
	g.places.Served(g.Now(), a.thread, affinity.Place{Channel: p.channel.ID, Credential: p.step.Target().Credential})
}
