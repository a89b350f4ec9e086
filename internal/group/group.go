// Package group owns groups: named sets of channels with a price ratio and a
// rule for who may use them, and the automatic order among them. It must not
// know HTTP, SQL or channels.
package group

import (
	"halley/internal/limit"
	"halley/internal/money"
)

// Default is the group that always exists.
const Default = "default"

// Group is one group.
type Group struct {
	Name  string
	Ratio money.Ratio // price factor, exact decimal
	Desc  string
	// UsableBy is who may use it besides those whose own it is; nil means
	// everybody.
	UsableBy *Audience
	Strategy Strategy     // how it chooses among its channels; "" is Weighted
	Limits   limit.Limits // of all requests that are routed in the group, together
	Version  int64
}

// Usable reports whether a user may use g. Everybody may use their own group.
func (g *Group) Usable(u User) bool {
	return g.UsableBy == nil || g.Name == u.Group || g.UsableBy.includes(u)
}
