package health

import "time"

// gate lets attempts through, or not. It stands before an upstream key, or
// before a model reached with one.
type gate struct {
	state   State
	since   time.Time
	until   time.Time // when the state is over if nothing happens
	reason  string
	cause   Cause         // why it last shut
	changed uint64        // the channel's epoch in which it last shut or opened
	hinted  uint64        // the channel's epoch of the hint that made it Suspected
	streak  int           // how often it has shut since it was last well
	rest    time.Duration // the cooldown it last shut for
	probe   uint64        // number of the probe under way, 0 when none is
	probeBy time.Time
}

// verdict is what the gate lets through.
func (g *gate) verdict(now time.Time, config *Config) Verdict {
	v := Verdict{State: g.state, Until: g.until, Cause: g.cause, Reason: g.reason}
	over := !now.Before(g.until)
	switch {
	case g.state.shut() && over:
		v.State, v.Probe = HalfOpen, g.probe == 0 || !now.Before(g.probeBy)
		if v.Probe {
			v.Share = 1
		}
	case g.state.shut():
	case g.state == Closed || over:
		v = Verdict{State: Closed, Share: 1}
	case g.state == Suspected:
		v.Share = config.SuspectShare
	default: // SlowStart
		passed := float64(now.Sub(g.since)) / float64(g.until.Sub(g.since))
		v.Share = config.FirstShare + (1-config.FirstShare)*max(passed, 0)
	}
	return v
}

// both is what two gates in a row let through.
func both(a, b Verdict) Verdict {
	worst := a
	if b.State > a.State {
		worst = b
	}
	worst.Share = min(a.Share, b.Share)
	// A probe must find no gate that is shut to it.
	worst.Probe = worst.Share > 0 && (a.Probe || b.Probe)
	return worst
}

// change is one call's work on a channel's gates; the channel is locked.
type change struct {
	tracker *Tracker
	channel *channelState
	now     time.Time
	notes   []Transition // for the listener, once the lock is released
}

// tell reports what has changed.
func (ch *change) tell() {
	for _, note := range ch.notes {
		ch.tracker.config.OnTransition(note)
	}
}

// settle does what time alone has decided.
func (ch *change) settle(g *gate, target Target) {
	if (g.state == SlowStart || g.state == Suspected) && !ch.now.Before(g.until) {
		reason := "its slow start is over"
		if g.state == Suspected {
			reason = "the other node's warning is over"
		}
		ch.become(g, target, Closed, time.Time{}, ByTime, reason)
	}
}

// shut closes the gate to everything but probes.
func (ch *change) shut(g *gate, target Target, to State, cooldown time.Duration, cause Cause, reason string) {
	ch.renew(g)
	g.streak++
	g.rest, g.cause = cooldown, cause
	ch.become(g, target, to, ch.now.Add(cooldown), cause, reason)
}

// open lets a share through again, because an attempt was answered.
func (ch *change) open(g *gate, target Target) {
	ch.renew(g)
	ch.become(g, target, SlowStart, ch.now.Add(min(ch.tracker.config.SlowStart, g.rest)), ByAnswer, "it answered")
}

// renew begins an epoch, in which attempts of earlier ones say nothing about
// the gate.
func (ch *change) renew(g *gate) {
	g.changed = ch.channel.epoch.Add(1)
	g.probe = 0
}

// claim lets one probe through; false when the gate is shut to it.
func (ch *change) claim(g *gate, target Target, probe uint64) bool {
	if !g.state.shut() {
		return true
	}
	if !g.verdict(ch.now, &ch.tracker.config).Probe {
		return false
	}
	if g.state != HalfOpen {
		ch.become(g, target, HalfOpen, g.until, ByProbe, g.reason)
	}
	g.probe, g.probeBy = probe, ch.now.Add(ch.tracker.config.ProbeTerm)
	return true
}

func (ch *change) become(g *gate, target Target, to State, until time.Time, cause Cause, reason string) {
	if g.state == Closed {
		ch.channel.troubled.Add(1)
	}
	if to == Closed {
		ch.channel.troubled.Add(-1)
		g.streak = 0
	}
	ch.notes = append(ch.notes, Transition{Target: target, From: g.state, To: to, At: ch.now, Until: until, Cause: cause, Reason: reason})
	g.state, g.since, g.until, g.reason = to, ch.now, until, reason
}

// discount takes a gate that is about to be forgotten off the channel's count.
func (c *channelState) discount(g *gate) {
	if g.state != Closed {
		c.troubled.Add(-1)
		g.state = Closed
	}
}

// backoff is the cooldown of a gate that is about to shut: first, doubled for
// each time that it has shut already, at most most, and spread over its last
// fifth.
func (ch *change) backoff(g *gate, first, most time.Duration) time.Duration {
	cooldown := first
	for i := 0; i < g.streak && cooldown < most; i++ {
		cooldown *= 2
	}
	return spread(min(cooldown, most), -0.2*ch.tracker.config.Roll())
}

// spread changes d by a part of it.
func spread(d time.Duration, part float64) time.Duration { return d + time.Duration(part*float64(d)) }
