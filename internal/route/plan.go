package route

import (
	"math"
	"slices"
	"sort"
	"time"

	"halley/internal/channel"
	"halley/internal/group"
	"halley/internal/health"
)

// Request is what a plan is made for.
type Request struct {
	Model string // the public name
	// Groups are those the request may be served in, each once, in order.
	Groups []string
	// CrossGroup lets the plan go on to the next group when one is used up.
	// Without it the first group with a usable channel is the only one.
	CrossGroup bool
	// Prefer goes first in its group while it is well.
	Prefer Preference
	// Health says which upstreams are well; nil takes all to be.
	Health *health.Tracker
	// Roll is a random number in [0, 1).
	Roll func() float64
}

// Preference is the channel, and the upstream key, that served a conversation
// before and have it in their cache. It goes first inside the group whose turn
// it is: it must not make a request dearer by serving in another.
type Preference struct {
	Channel    int64  // 0 for none
	Credential string // the id of the upstream key, "" for any
}

// Plan is the order in which a request's channels are tried, worked out step by
// step. It must not be copied once it is in use, nor be used concurrently.
type Plan struct {
	table *Table
	req   Request
	// Where it stands: of all turns the current one, in it the group, in that the
	// tier.
	turn     turn
	after    turn // the next turn in which there is something to take
	group    int
	tier     int
	offer    *offer // of the group; nil when the group has not been looked at
	strategy group.Strategy
	serving  int  // the group that the plan must not leave, -1 for none
	probed   bool // a step was given that is one
	tried    tried
	last     Step
	seed     uint64 // decides how channels in slow start fare in this plan; 0: not drawn
}

// turn is a round through groups and tiers. Each takes what is at least as good
// as it says.
type turn uint8

const (
	well     turn = iota // nothing speaks against it, or it is time to probe it
	spared               // well, but not to have this much traffic yet
	standby              // well, but with the weight 0
	broken               // not well
	refusing             // does not take our upstream key
	turns                // how many there are
)

// pick is a channel and upstream key, and what was known when it was picked.
type pick struct {
	channel    *channel.Channel
	credential *channel.Credential
	verdict    health.Verdict
	turn       turn // from which on it may be taken
}

// Plan begins a plan. It costs next to nothing, whatever the table's size.
func (t *Table) Plan(r Request) Plan { return Plan{table: t, req: r, serving: -1, after: turns} }

// Listed reports whether any channel lists the model, in any of the groups,
// though it may be disabled.
func (p *Plan) Listed() bool {
	return slices.ContainsFunc(p.req.Groups, func(group string) bool { return p.table.offer(group, p.req.Model) != nil })
}

// Next gives the next step; false when every channel has been given. First come
// those that are well, by group, priority and the group's strategy, and then, in
// the same order, those that still need to be spared, those with the weight 0,
// and those that are broken: nothing better is left, so they may be tried. No
// channel comes twice.
func (p *Plan) Next(now time.Time) (Step, bool) {
	for p.turn < turns {
		if t := p.currentTier(); t == nil {
			p.nextGroup()
		} else if found, ok := p.choose(now, t); ok {
			return p.take(now, t, found), true
		} else {
			p.tier++
		}
	}
	return Step{}, false
}

// currentTier is nil when the group has no more.
func (p *Plan) currentTier() *tier {
	if p.group >= len(p.req.Groups) || (p.serving >= 0 && p.serving != p.group) {
		return nil
	}
	if p.offer == nil {
		if g := p.table.groups[p.req.Groups[p.group]]; g != nil {
			p.offer, p.strategy = g.find(p.req.Model), g.strategy
		}
	}
	if p.offer == nil || p.tier >= len(p.offer.tiers) {
		return nil
	}
	return &p.offer.tiers[p.tier]
}

func (p *Plan) nextGroup() {
	if p.group++; p.group >= len(p.req.Groups) {
		p.group = 0
		p.turn, p.after = p.after, turns
	}
	p.tier, p.offer = 0, nil
}

// take makes a step of what was chosen, or of what is preferred to it.
func (p *Plan) take(now time.Time, t *tier, found pick) Step {
	preferred := false
	if p.turn == well {
		if better, of, ok := p.preferred(now); ok {
			found, t, preferred = better, of, true
		}
	}
	// A probe is a trial. Whether the group has a usable channel is known only
	// when it has ended, so it does not bind the plan to the group.
	if found.verdict.Probe {
		p.probed = true
	} else if !p.req.CrossGroup {
		p.serving = p.group
	}
	p.tried.add(found.channel.ID)
	p.last = Step{
		Channel: found.channel, Credential: found.credential, Group: p.req.Groups[p.group],
		Probe: found.verdict.Probe, Verdict: found.verdict,
		model: p.req.Model, health: p.req.Health, Strategy: p.strategy, tier: t, turn: found.turn, preferred: preferred,
	}
	return p.last
}

// preferred is the preferred channel, if it is well and the group has it.
func (p *Plan) preferred(now time.Time) (pick, *tier, bool) {
	ch := p.table.byID[p.req.Prefer.Channel]
	if ch == nil || p.req.Prefer.Channel == 0 || p.tried.has(ch.ID) {
		return pick{}, nil, false
	}
	tiers := p.offer.tiers
	first := sort.Search(len(tiers), func(i int) bool { return tiers[i].priority <= ch.Priority })
	for i := first; i < len(tiers) && tiers[i].priority == ch.Priority; i++ {
		if tiers[i].weighted.find(ch.ID) == nil {
			continue
		}
		found, ok := p.withCredential(now, ch, p.req.Prefer.Credential)
		return found, &tiers[i], ok && !found.verdict.Probe
	}
	return pick{}, nil, false
}

// withCredential is the channel with that upstream key if it is well, or else
// with any.
func (p *Plan) withCredential(now time.Time, ch *channel.Channel, id string) (pick, bool) {
	i := slices.IndexFunc(ch.Credentials, func(c channel.Credential) bool { return c.ID == id })
	if i >= 0 {
		if found := p.inspect(now, ch, i); found.turn == well && !found.verdict.Probe {
			return found, true
		}
	}
	return p.look(now, ch)
}

// choose gives the tier's next channel that may be taken in this turn.
func (p *Plan) choose(now time.Time, t *tier) (pick, bool) {
	found, ok := p.byStrategy(now, &t.weighted)
	switch {
	case ok || len(t.standby.channels) == 0:
		return found, ok
	case p.turn < standby:
		p.after = min(p.after, standby)
		return pick{}, false
	}
	return p.draw(now, &t.standby, nil)
}

// fewChannels is up to how many the least busy is looked for among all. Among
// more, two by chance are as good as all when many requests choose at once.
const fewChannels = 32

func (p *Plan) byStrategy(now time.Time, of *pool) (pick, bool) {
	plain := p.req.Health == nil || p.turn > spared || len(of.channels) == 1 || (p.strategy != group.LeastLatency && p.strategy != group.LeastBusy)
	if !plain && p.strategy == group.LeastBusy && len(of.channels) <= fewChannels {
		return p.leastBusy(now, of)
	}
	first, ok := p.draw(now, of, nil)
	if plain || !ok || first.verdict.Probe { // one probe tells more than a comparison
		return first, ok
	}
	second, ok := p.draw(now, of, first.channel)
	switch {
	case !ok:
		return first, true
	case second.verdict.Probe,
		p.strategy == group.LeastLatency && p.firstByte(now, second) < p.firstByte(now, first),
		p.strategy == group.LeastBusy && p.load(second.channel) < p.load(first.channel):
		return second, true
	}
	return first, true
}

// firstByte is 0 for what was never measured, so that it soon is.
func (p *Plan) firstByte(now time.Time, of pick) time.Duration {
	d, _ := p.req.Health.FirstByte(now, target(of.channel, of.credential, p.req.Model))
	return d
}

// load is what a channel would have under way for each unit of its weight.
func (p *Plan) load(ch *channel.Channel) float64 {
	return float64(p.req.Health.InFlight(ch.ID)+1) / float64(max(ch.Weight, 1))
}

// leastBusy looks at all of the pool. Equals are drawn by weight.
func (p *Plan) leastBusy(now time.Time, of *pool) (best pick, ok bool) {
	least, total := math.Inf(1), int64(0)
	for _, ch := range of.channels {
		load := p.load(ch)
		if load > least || p.tried.has(ch.ID) {
			continue
		}
		found, fits := p.look(now, ch)
		if !fits {
			continue
		}
		if load < least {
			least, total = load, 0
		}
		total += max(ch.Weight, 1)
		if int64(p.req.Roll()*float64(total)) < max(ch.Weight, 1) {
			best, ok = found, true
		}
	}
	return best, ok
}

// quickDraws is how often to draw before looking at each of n channels. Looking
// at all is what a large pool must be spared of while any fair part of it is
// well, and should not become much dearer by what was drawn before.
func quickDraws(n int) int { return min(n, max(8, n/16)) }

// draw takes one channel by weight from those of the pool that were not tried
// and may be taken in this turn. Drawing again until one fits gives each the
// same chance as drawing from those that fit.
func (p *Plan) draw(now time.Time, of *pool, except *channel.Channel) (pick, bool) {
	if len(of.channels) > 1 {
		for range quickDraws(len(of.channels)) {
			ch := of.at(p.req.Roll())
			if ch == except || p.tried.has(ch.ID) {
				continue
			}
			if found, ok := p.look(now, ch); ok {
				return found, true
			}
		}
	}
	return p.scan(now, of, except)
}

// scan is draw in one pass over the whole pool.
func (p *Plan) scan(now time.Time, of *pool, except *channel.Channel) (drawn pick, ok bool) {
	total := int64(0)
	for _, ch := range of.channels {
		if ch == except || p.tried.has(ch.ID) {
			continue
		}
		found, fits := p.look(now, ch)
		if !fits {
			continue
		}
		total += max(ch.Weight, 1)
		if int64(p.req.Roll()*float64(total)) < max(ch.Weight, 1) {
			drawn, ok = found, true
		}
	}
	return drawn, ok
}

// look picks one of the channel's upstream keys: one that is well, by chance, or
// else the best there is. It reports whether that may be taken in this turn.
func (p *Plan) look(now time.Time, ch *channel.Channel) (pick, bool) {
	i, n := 0, len(ch.Credentials)
	switch n {
	case 0:
		i = -1
	case 1:
	default:
		i = p.rollIndex(n)
	}
	found := p.inspect(now, ch, i)
	if n > 1 && found.turn > well {
		found = p.best(now, ch, -1)
	}
	if found.turn > p.turn {
		p.after = min(p.after, found.turn)
		return pick{}, false
	}
	return found, true
}

func (p *Plan) rollIndex(n int) int { return min(int(p.req.Roll()*float64(n)), n-1) }

// best looks at all upstream keys of a channel but one. Equals are drawn by
// chance.
func (p *Plan) best(now time.Time, ch *channel.Channel, except int) pick {
	best, equals := pick{turn: turns}, 0
	for i := range ch.Credentials {
		if i == except {
			continue
		}
		found := p.inspect(now, ch, i)
		if found.turn < best.turn {
			best, equals = found, 1
		} else if found.turn == best.turn {
			if equals++; p.rollIndex(equals) == 0 {
				best = found
			}
		}
	}
	return best
}

// inspect is the channel with its ith upstream key, or without one.
func (p *Plan) inspect(now time.Time, ch *channel.Channel, i int) pick {
	found := pick{channel: ch, verdict: health.Verdict{State: health.Closed, Share: 1}}
	if i >= 0 {
		found.credential = &ch.Credentials[i]
	}
	if p.req.Health == nil || p.req.Health.Clear(ch.ID) {
		return found
	}
	found.verdict = p.req.Health.Look(now, target(ch, found.credential, p.req.Model))
	switch v := &found.verdict; {
	case v.State == health.Out:
		found.turn = refusing
	case v.Share == 0, v.Probe && p.probed: // a request has attempts for one probe, not for many
		found.turn = broken
	case v.Share < 1 && p.chance(ch.ID, i) >= v.Share:
		found.turn = spared
	}
	return found
}

// chance is a random number in [0, 1) that is always the same for an upstream
// key in this plan: asking again must not make a slow start faster.
func (p *Plan) chance(channelID int64, credential int) float64 {
	if p.seed == 0 {
		p.seed = math.Float64bits(p.req.Roll()) | 1
	}
	return float64(mix(mix(p.seed^uint64(channelID))^uint64(credential))>>11) / (1 << 53)
}

// Begin starts a step's attempt. False means that the step was to probe and that
// somebody else does by now: the channel comes again where the plan has nothing
// better, and Next gives what to try instead.
func (p *Plan) Begin(now time.Time, s *Step) (health.Attempt, bool) {
	if p.req.Health == nil {
		return health.Attempt{}, true
	}
	attempt, ok := p.req.Health.Begin(now, s.Target(), s.Probe)
	switch {
	case ok:
	case s.again: // it is all there is, whoever probes it
		s.Probe = false
		return p.req.Health.Begin(now, s.Target(), false)
	default:
		p.tried.remove(s.Channel.ID)
	}
	return attempt, ok
}

// Alone reports whether one channel is all there is: Next has nothing left and
// gave only that.
func (p *Plan) Alone() bool { return p.turn == turns && p.tried.size() == 1 }

// Again gives the channel of the last step once more where it is all there is. It
// takes another of its upstream keys unless none of them is as well.
func (p *Plan) Again(now time.Time) (Step, bool) {
	if !p.Alone() {
		return Step{}, false
	}
	s := &p.last
	before := slices.IndexFunc(s.Channel.Credentials, func(c channel.Credential) bool { return c.ID == s.credentialID() })
	found := p.inspect(now, s.Channel, before)
	if other := p.best(now, s.Channel, before); other.turn <= found.turn {
		found = other
	}
	s.Credential, s.Probe, s.Verdict, s.turn, s.again = found.credential, found.verdict.Probe, found.verdict, found.turn, true
	return *s, true
}

// target is what health knows an upstream by.
func target(ch *channel.Channel, credential *channel.Credential, model string) health.Target {
	t := health.Target{Channel: ch.ID, Model: ch.UpstreamModel(model)}
	if credential != nil {
		t.Credential = credential.ID
	}
	return t
}

// tried are the channels that a plan has given: few, as a rule.
type tried struct {
	n    int // of few
	few  [8]int64
	more map[int64]struct{}
}

func (t *tried) size() int { return t.n + len(t.more) }

func (t *tried) add(id int64) {
	if t.n < len(t.few) {
		t.few[t.n] = id
		t.n++
		return
	}
	if t.more == nil {
		t.more = map[int64]struct{}{}
	}
	t.more[id] = struct{}{}
}

func (t *tried) has(id int64) bool {
	if slices.Contains(t.few[:t.n], id) {
		return true
	}
	_, ok := t.more[id]
	return ok
}

func (t *tried) remove(id int64) {
	if i := slices.Index(t.few[:t.n], id); i >= 0 {
		t.n--
		t.few[i] = t.few[t.n]
		return
	}
	delete(t.more, id)
}
