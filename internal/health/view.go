package health

import (
	"cmp"
	"slices"
	"time"
)

// View is what an operator sees of one target.
type View struct {
	Target
	Verdict
	Since     time.Time     // of the state; zero for one that was never anything but Closed
	Good, Bad int           // outcomes within the window
	InARow    int           // failures since the last success
	FirstByte time.Duration // usual time to first byte, 0 when unknown
	Probing   bool          // a probe is under way
}

// ChannelView is what an operator sees of a channel.
type ChannelView struct {
	ID       int64
	InFlight int64
	Targets  []View // by upstream key and model; the key as a whole comes first
}

// Channels gives all channels that were used, by id.
func (t *Tracker) Channels(now time.Time) []ChannelView {
	var views []ChannelView
	for i := range t.shards {
		for _, c := range *t.shards[i].channels.Load() {
			views = append(views, c.view(now, &t.config))
		}
	}
	slices.SortFunc(views, func(a, b ChannelView) int { return cmp.Compare(a.ID, b.ID) })
	return views
}

// Channel gives one channel; one that was never used has no targets.
func (t *Tracker) Channel(now time.Time, id int64) ChannelView {
	if c := t.known(id); c != nil {
		return c.view(now, &t.config)
	}
	return ChannelView{ID: id}
}

func (c *channelState) view(now time.Time, config *Config) ChannelView {
	v := ChannelView{ID: c.id, InFlight: c.inFlight.Load()}
	c.mu.Lock()
	defer c.mu.Unlock()
	for credential, key := range c.keys {
		target := Target{Channel: c.id, Credential: credential}
		v.Targets = append(v.Targets, key.view(now, config, target))
		for name, m := range key.models {
			target.Model = name
			one := m.gate.view(now, config, target)
			one.Good, one.Bad = m.window.counts(now, config.Window)
			one.InARow = m.row
			one.FirstByte, _ = m.firstByte.read(now)
			v.Targets = append(v.Targets, one)
		}
	}
	slices.SortFunc(v.Targets, func(a, b View) int {
		return cmp.Or(cmp.Compare(a.Credential, b.Credential), cmp.Compare(a.Model, b.Model))
	})
	return v
}

func (g *gate) view(now time.Time, config *Config, target Target) View {
	return View{Target: target, Verdict: g.verdict(now, config), Since: g.since, Probing: g.probe != 0 && now.Before(g.probeBy)}
}
