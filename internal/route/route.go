// Package route decides which channels may serve a request, and in which order.
// A Table is compiled from the channels once per change and is immutable; a Plan
// is one request's way through it, step by step, made no further than it is
// gone. It is pure: the health of upstreams, chance and the time come in. It
// does no I/O and reads no clock.
package route

import (
	"slices"
	"strings"

	"halley/internal/channel"
	"halley/internal/group"
)

// Config is what a Table is compiled from.
type Config struct {
	Channels []*channel.Channel
	// Strategies by group; a group without one is group.Weighted.
	Strategies map[string]group.Strategy
	// Cost is what a channel's model costs, in any unit, for the groups that go
	// by it; false when that is not known, which counts as dearest. nil knows
	// none. It must give the same answer as long as the table is in use.
	Cost func(ch *channel.Channel, model string) (int64, bool)
}

// Table answers which channels offer a model in a group.
type Table struct {
	groups map[string]*offers
	byID   map[int64]*channel.Channel
}

// New compiles a table.
func New(c Config) *Table {
	channels := slices.Clone(c.Channels)
	slices.SortStableFunc(channels, inOrder)
	t := &Table{groups: map[string]*offers{}, byID: make(map[int64]*channel.Channel, len(channels))}
	lists := map[string]*lists{}
	for _, ch := range channels {
		t.byID[ch.ID] = ch
		for _, group := range ch.Groups {
			if lists[group] == nil {
				lists[group] = newLists()
			}
			lists[group].add(ch)
		}
	}
	for group, l := range lists {
		t.groups[group] = l.compile(c.Strategies[group], c.Cost)
	}
	return t
}

// Candidates is every channel of the group that lists the model, disabled ones
// included, by priority. The slice is shared and must not be changed.
func (t *Table) Candidates(group, model string) []*channel.Channel {
	if o := t.offer(group, model); o != nil {
		return o.all
	}
	return nil
}

// offer is nil when no channel of the group lists the model.
func (t *Table) offer(group, model string) *offer {
	if g := t.groups[group]; g != nil {
		return g.find(model)
	}
	return nil
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
		for model, o := range g.exact {
			if len(o.tiers) > 0 {
				seen[model] = struct{}{}
			}
		}
		for _, p := range g.patterns {
			if !slices.ContainsFunc(p.channels, usable) {
				continue
			}
			for _, model := range known {
				if Match(p.text, model) {
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
