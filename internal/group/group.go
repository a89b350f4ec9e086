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
	// UsableBy lists the user groups that may use it; nil means everybody.
	UsableBy []string
	Limits   limit.Limits // of all requests that are routed in the group, together
	Version  int64
}

// Usable reports whether an owner in userGroup may use g. Everybody may use
// their own group.
func (g *Group) Usable(userGroup string) bool {
	if g.UsableBy == nil || g.Name == userGroup {
		return true
	}
	for _, u := range g.UsableBy {
		if u == userGroup {
			return true
		}
	}
	return false
}
