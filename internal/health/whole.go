package health

import "time"

// What is said about an upstream key as a whole, without a model, comes from our
// own probes: they ask for the list of models, which costs nothing.

// wholeFailures is how many such probes in a row must have failed until nothing
// is expected of the upstream key: never one.
const wholeFailures = 2

// unreachable notes that a probe of the upstream key as a whole has failed.
func (ch *change) unreachable(a *Attempt, key *keyState, detail string) {
	switch key.row++; {
	case !a.knows(&key.gate), key.state.shut() && (a.probe == 0 || key.probe != a.probe):
		return
	case !key.state.shut() && key.row < wholeFailures:
		return
	}
	config := &ch.tracker.config
	ch.shut(&key.gate, a.keyTarget(), Open, ch.backoff(&key.gate, config.Cooldown, config.MaxCooldown), ByFailures, "the probe failed: "+detail)
}

// reachable notes that a probe of the upstream key as a whole was answered, which
// does not say that its models are. Those that have shut for failures are
// probed at once, but not again before their cooldown when that has failed.
func (ch *change) reachable(key *keyState) {
	for _, m := range key.models {
		if m.state == Open && m.streak == 1 && ch.now.Before(m.until) {
			m.until = ch.now
		}
	}
}

// Worst is the worst state of the channel's upstream keys and models.
func (t *Tracker) Worst(now time.Time, channel int64) State {
	c := t.known(channel)
	if c == nil || c.troubled.Load() == 0 {
		return Closed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	worst := Closed
	for _, key := range c.keys {
		worst = max(worst, key.verdict(now, &t.config).State)
		for _, model := range key.models {
			worst = max(worst, model.verdict(now, &t.config).State)
		}
	}
	return worst
}
