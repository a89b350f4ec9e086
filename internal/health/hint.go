package health

import "time"

// Hint is what another node says about a target: its Transition, in short.
type Hint struct {
	Target Target
	Broken bool      // it has shut there, until Until; else it has answered there
	Until  time.Time // by the sender's clock, hence capped
	Reason string
}

// ForOthers reports whether other nodes should hear of the change: that a target
// has shut, or is answered again. What was heard from one of them is not told on.
func (t Transition) ForOthers() bool {
	return t.Cause != ByHint && (t.To == SlowStart || (t.To.shut() && t.To != HalfOpen))
}

// Hint takes what another node knows for what it is worth. A target that is well
// here and broken there gets less of the traffic until we know ourselves; one
// that is broken here and answers there is probed at once. A hint never shuts a
// target: the other node may be the one with the broken network.
func (t *Tracker) Hint(now time.Time, h Hint) {
	c := t.channel(h.Target.Channel)
	ch := change{tracker: t, channel: c, now: now}
	defer ch.tell()
	c.mu.Lock()
	defer c.mu.Unlock()
	key, model := c.need(now, h.Target, t.config.IdleAfter)
	g := &key.gate
	if h.Target.Model != "" {
		if model == nil {
			return
		}
		g = &model.gate
	}
	ch.settle(g, h.Target)
	switch {
	case h.Broken:
		ch.suspect(g, h)
	case g.state == Suspected:
		ch.become(g, h.Target, Closed, time.Time{}, ByHint, "it answers another node")
	case g.state.shut() && g.state != CoolingDown && now.Before(g.until): // what was asked for is kept to
		g.until = now
	}
}

// suspect makes less of a target that is well.
func (ch *change) suspect(g *gate, h Hint) {
	until := h.Until
	if latest := ch.now.Add(ch.tracker.config.MaxCooldown); until.After(latest) {
		until = latest
	}
	if !until.After(ch.now) || (g.state != Closed && g.state != Suspected) {
		return
	}
	g.hinted = ch.channel.epoch.Add(1)
	if g.state == Suspected {
		g.until, g.reason = until, "another node says: "+h.Reason
		return
	}
	ch.become(g, h.Target, Suspected, until, ByHint, "another node says: "+h.Reason)
}
