// Package route decides which channel serves a request. It is pure: a table is
// compiled from channels once per change, is immutable, and is asked with the
// request's facts and a random number. It does no I/O and reads no clock.
package route

import (
	"cmp"
	"slices"
	"strings"

	"halley/internal/channel"
)

// Table answers which channels offer a model in a group.
type Table struct {
	groups map[string]*offers
}

// offers is one group's channels by model, dearest priority first.
type offers struct {
	exact map[string][]*channel.Channel
	// wild are the channels with a pattern, for names that none lists exactly.
	wild []wildOffer
}

type wildOffer struct {
	pattern string
	channel *channel.Channel
}

// Compile builds the table.
func Compile(channels []*channel.Channel) *Table {
	t := &Table{groups: map[string]*offers{}}
	for _, ch := range channels {
		for _, group := range ch.Groups {
			g := t.groups[group]
			if g == nil {
				g = &offers{exact: map[string][]*channel.Channel{}}
				t.groups[group] = g
			}
			for _, pattern := range ch.Models {
				if strings.Contains(pattern, "*") {
					g.wild = append(g.wild, wildOffer{pattern, ch})
				} else {
					g.exact[pattern] = append(g.exact[pattern], ch)
				}
			}
		}
	}
	for _, g := range t.groups {
		for model := range g.exact {
			g.exact[model] = g.find(model)
		}
	}
	return t
}

// find is every channel that offers the model, each once, in order.
func (g *offers) find(model string) []*channel.Channel {
	found := slices.Clone(g.exact[model])
	for _, w := range g.wild {
		if Match(w.pattern, model) {
			found = append(found, w.channel)
		}
	}
	slices.SortStableFunc(found, func(a, b *channel.Channel) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.ID, b.ID))
	})
	return slices.CompactFunc(found, func(a, b *channel.Channel) bool { return a.ID == b.ID })
}

// Candidates is every channel of the group that lists the model, disabled ones
// included, by priority. The slice is shared and must not be changed.
func (t *Table) Candidates(group, model string) []*channel.Channel {
	g := t.groups[group]
	if g == nil {
		return nil
	}
	if exact, ok := g.exact[model]; ok {
		return exact
	}
	if len(g.wild) == 0 {
		return nil
	}
	return g.find(model)
}

// Choice is the outcome of Pick.
type Choice struct {
	Group   string
	Channel *channel.Channel
	// Listed is whether any channel lists the model at all, in any of the
	// groups asked for.
	Listed bool
}

// Pick chooses one channel for the model: the first group with a usable one,
// there the highest priority, and inside it by weight with the random number
// roll in [0, 1).
func (t *Table) Pick(groups []string, model string, roll float64) Choice {
	var c Choice
	for _, group := range groups {
		candidates := t.Candidates(group, model)
		c.Listed = c.Listed || len(candidates) > 0
		if ch := weighted(candidates, roll); ch != nil {
			c.Group, c.Channel = group, ch
			return c
		}
	}
	return c
}

// weighted picks among the usable channels of the highest priority that has any.
func weighted(candidates []*channel.Channel, roll float64) *channel.Channel {
	first := slices.IndexFunc(candidates, usable)
	if first < 0 {
		return nil
	}
	top := candidates[first].Priority
	var total int64
	for _, ch := range candidates[first:] {
		if ch.Priority != top {
			break
		}
		if usable(ch) {
			total += ch.Weight
		}
	}
	if total == 0 {
		return candidates[first]
	}
	at := int64(roll * float64(total))
	for _, ch := range candidates[first:] {
		if ch.Priority != top {
			break
		}
		if !usable(ch) {
			continue
		}
		if at -= ch.Weight; at < 0 {
			return ch
		}
	}
	return candidates[first]
}

func usable(ch *channel.Channel) bool { return ch.Status == channel.Enabled }

// Models is every model the groups' usable channels offer: names listed exactly
// and, of known, those that a pattern covers.
func (t *Table) Models(groups []string, known []string) []string {
	seen := map[string]struct{}{}
	for _, name := range groups {
		g := t.groups[name]
		if g == nil {
			continue
		}
		for model, channels := range g.exact {
			if slices.ContainsFunc(channels, usable) {
				seen[model] = struct{}{}
			}
		}
		for _, w := range g.wild {
			if !usable(w.channel) {
				continue
			}
			for _, model := range known {
				if Match(w.pattern, model) {
					seen[model] = struct{}{}
				}
			}
		}
	}
	models := make([]string, 0, len(seen))
	for model := range seen {
		models = append(models, model)
	}
	slices.Sort(models)
	return models
}

// Match reports whether the model fits the pattern, in which * stands for any
// run of characters.
func Match(pattern, model string) bool {
	head, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == model
	}
	if !strings.HasPrefix(model, head) {
		return false
	}
	model = model[len(head):]
	for {
		part, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(model, part)
		}
		at := strings.Index(model, part)
		if at < 0 {
			return false
		}
		model, rest = model[at+len(part):], next
	}
}
