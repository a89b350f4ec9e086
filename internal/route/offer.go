package route

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"strings"
	"sync"

	"halley/internal/channel"
	"halley/internal/group"
)

// offers are one group's channels by model.
type offers struct {
	strategy group.Strategy
	cost     func(ch *channel.Channel, model string) (int64, bool)
	exact    map[string]*offer
	// patterns are for names that no channel lists exactly.
	patterns []pattern
	found    memo
}

// pattern is one of the group's patterns, and who has it.
type pattern struct {
	text     string
	channels []*channel.Channel
}

// offer is who offers a model in a group. Models with the same channels share
// one.
type offer struct {
	all   []*channel.Channel // disabled ones included, in order
	tiers []tier             // of the others, in order
}

// tier are the channels between which the strategy chooses.
type tier struct {
	priority int64
	cost     int64 // of each, in groups that go by it
	weighted pool
	standby  pool // weight 0: never unless alone
}

// pool is what a channel can be drawn from by weight.
type pool struct {
	channels []*channel.Channel
	upTo     []int64 // the weights added up so far; nil when all are the same
	total    int64
}

// at is the channel that the roll in [0, 1) falls on.
func (p *pool) at(roll float64) *channel.Channel {
	if p.upTo == nil {
		return p.channels[min(int(roll*float64(len(p.channels))), len(p.channels)-1)]
	}
	mark := int64(roll * float64(p.total))
	return p.channels[sort.Search(len(p.upTo)-1, func(i int) bool { return p.upTo[i] > mark })]
}

// find is the channel with the id, nil when it is not in the pool.
func (p *pool) find(id int64) *channel.Channel {
	i, ok := slices.BinarySearchFunc(p.channels, id, func(ch *channel.Channel, id int64) int { return cmp.Compare(ch.ID, id) })
	if !ok {
		return nil
	}
	return p.channels[i]
}

// inOrder sorts by priority, highest first, and then by id.
func inOrder(a, b *channel.Channel) int {
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.ID, b.ID))
}

// lists gather a group's channels while a table is compiled.
type lists struct {
	exact    map[string][]*channel.Channel
	patterns map[string][]*channel.Channel
}

func newLists() *lists {
	return &lists{exact: map[string][]*channel.Channel{}, patterns: map[string][]*channel.Channel{}}
}

// add takes a channel; they come in order.
func (l *lists) add(ch *channel.Channel) {
	for _, name := range ch.Models {
		to := l.exact
		if strings.Contains(name, "*") {
			to = l.patterns
		}
		if list := to[name]; len(list) == 0 || list[len(list)-1] != ch {
			to[name] = append(list, ch)
		}
	}
}

func (l *lists) compile(strategy group.Strategy, cost func(*channel.Channel, string) (int64, bool)) *offers {
	g := &offers{strategy: cmp.Or(strategy, group.Weighted), cost: cost, exact: make(map[string]*offer, len(l.exact))}
	for text, channels := range l.patterns {
		g.patterns = append(g.patterns, pattern{text, channels})
	}
	slices.SortFunc(g.patterns, func(a, b pattern) int { return cmp.Compare(a.text, b.text) })
	same := map[uint64][]*offer{}
	for model, channels := range l.exact {
		all := merge(channels, g.matching(model))
		if g.strategy == group.Cheapest {
			g.exact[model] = g.offer(all, model)
			continue
		}
		sum := fingerprint(all)
		i := slices.IndexFunc(same[sum], func(o *offer) bool { return slices.Equal(o.all, all) })
		if i < 0 {
			i = len(same[sum])
			same[sum] = append(same[sum], g.offer(all, model))
		}
		g.exact[model] = same[sum][i]
	}
	return g
}

// fingerprint is the same for the same channels in the same order.
func fingerprint(channels []*channel.Channel) uint64 {
	sum := uint64(len(channels))
	for _, ch := range channels {
		sum = mix(sum ^ uint64(ch.ID))
	}
	return sum
}

// mix spreads the bits of x all over the result (splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// matching are the patterns that fit the model.
func (g *offers) matching(model string) []pattern {
	var fit []pattern
	for _, p := range g.patterns {
		if Match(p.text, model) {
			fit = append(fit, p)
		}
	}
	return fit
}

// merge gives each channel once, in order.
func merge(channels []*channel.Channel, patterns []pattern) []*channel.Channel {
	if len(patterns) == 0 {
		return channels
	}
	all := slices.Clone(channels)
	for _, p := range patterns {
		all = append(all, p.channels...)
	}
	slices.SortStableFunc(all, inOrder)
	return slices.CompactFunc(all, func(a, b *channel.Channel) bool { return a.ID == b.ID })
}

// offer sorts the enabled ones of the channels, which are in order, into tiers.
func (g *offers) offer(all []*channel.Channel, model string) *offer {
	o := &offer{all: all}
	left := all
	if slices.ContainsFunc(all, func(ch *channel.Channel) bool { return !usable(ch) }) {
		left = slices.DeleteFunc(slices.Clone(all), func(ch *channel.Channel) bool { return !usable(ch) })
	}
	for len(left) > 0 {
		n := 1
		for n < len(left) && left[n].Priority == left[0].Priority {
			n++
		}
		o.tiers = append(o.tiers, g.tiers(left[:n], model)...)
		left = left[n:]
	}
	return o
}

// tiers are those of one priority: a single one, or one for each cost.
func (g *offers) tiers(same []*channel.Channel, model string) []tier {
	weightless := func(ch *channel.Channel) bool { return ch.Weight == 0 }
	weighted, standby := same, []*channel.Channel(nil)
	if slices.ContainsFunc(same, weightless) {
		weighted = slices.DeleteFunc(slices.Clone(same), weightless)
		standby = slices.DeleteFunc(slices.Clone(same), func(ch *channel.Channel) bool { return !weightless(ch) })
	}
	if len(weighted) == 0 { // they are alone
		weighted, standby = standby, nil
	}
	priority := same[0].Priority
	var tiers []tier
	if g.strategy != group.Cheapest {
		tiers = []tier{{priority: priority, weighted: newPool(weighted)}}
	} else {
		tiers = g.byCost(weighted, model, priority)
	}
	tiers[len(tiers)-1].standby = newPool(standby)
	return tiers
}

// byCost makes a tier of each cost, the lowest first.
func (g *offers) byCost(channels []*channel.Channel, model string, priority int64) []tier {
	costs := map[int64][]*channel.Channel{}
	for _, ch := range channels {
		cost := int64(math.MaxInt64)
		if g.cost != nil {
			if c, known := g.cost(ch, model); known {
				cost = c
			}
		}
		costs[cost] = append(costs[cost], ch)
	}
	tiers := make([]tier, 0, len(costs))
	for cost, of := range costs {
		tiers = append(tiers, tier{priority: priority, cost: cost, weighted: newPool(of)})
	}
	slices.SortFunc(tiers, func(a, b tier) int { return cmp.Compare(a.cost, b.cost) })
	return tiers
}

func newPool(channels []*channel.Channel) pool {
	p := pool{channels: channels}
	even := true
	for _, ch := range channels {
		p.total += ch.Weight
		even = even && ch.Weight == channels[0].Weight
	}
	if even {
		return p
	}
	p.upTo = make([]int64, len(channels))
	sum := int64(0)
	for i, ch := range channels {
		sum += ch.Weight
		p.upTo[i] = sum
	}
	return p
}

// find is the offer of a model, nil when there is none.
func (g *offers) find(model string) *offer {
	if o := g.exact[model]; o != nil || len(g.patterns) == 0 {
		return o
	}
	return g.found.get(model, g)
}

// memo remembers what names come to that no channel lists exactly, so that not
// every request matches them against all patterns. It changes no answer.
type memo struct {
	mu    sync.RWMutex
	names map[string]*offer
	sets  map[string]*offer // by the patterns that fit; none in groups where each model has its costs
	room  int               // what is left of memoRoom
}

// memoRoom bounds a memo, in channels and names: clients choose the names.
const memoRoom = 1 << 18

func (m *memo) get(model string, g *offers) *offer {
	m.mu.RLock()
	o, ok := m.names[model]
	m.mu.RUnlock()
	if ok {
		return o
	}
	fit := g.matching(model)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.room <= 0 {
		m.names, m.sets, m.room = map[string]*offer{}, map[string]*offer{}, memoRoom
	}
	o = m.of(fit, model, g)
	m.room--
	m.names[strings.Clone(model)] = o // the name may be part of a large body
	return o
}

func (m *memo) of(fit []pattern, model string, g *offers) *offer {
	if len(fit) == 0 {
		return nil
	}
	var key strings.Builder
	for _, p := range fit {
		key.WriteString(p.text)
		key.WriteByte(0)
	}
	if o := m.sets[key.String()]; o != nil {
		return o
	}
	o := g.offer(merge(nil, fit), model)
	m.room -= len(o.all)
	if g.strategy != group.Cheapest {
		m.sets[key.String()] = o
	}
	return o
}
