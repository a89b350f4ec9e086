package health

import (
	"cmp"
	"fmt"
	"time"
)

// Attempt is one try at a target that is under way. Its zero value reports to
// nobody. It must not be copied once it is in use, nor be used concurrently.
type Attempt struct {
	tracker *Tracker
	channel *channelState
	target  Target
	began   time.Time
	epoch   uint64 // it is evidence for gates that have not changed since
	probe   uint64 // its number if it is a probe
	opened  uint64 // the epoch in which its first byte opened the model's gate
	told    bool   // the first byte
	done    bool
}

// Begin starts an attempt. With probe the caller was told by Look that a probe
// may go; false means that it may not any more, since somebody else's runs or
// the target is shut again. Without probe the attempt goes ahead however the
// target is doing. Each attempt that began must be ended by Done.
func (t *Tracker) Begin(now time.Time, target Target, probe bool) (Attempt, bool) {
	c := t.channel(target.Channel)
	a := Attempt{tracker: t, channel: c, target: target, began: now, epoch: c.epoch.Load()}
	if probe && c.troubled.Load() > 0 && !a.claim() {
		return Attempt{}, false
	}
	c.inFlight.Add(1)
	return a, true
}

// claim takes the probe of each gate that is shut, or of none.
func (a *Attempt) claim() bool {
	ch := a.change(a.began)
	defer ch.tell()
	a.channel.mu.Lock()
	defer a.channel.mu.Unlock()
	key, model := a.channel.find(a.target)
	if key == nil {
		return true
	}
	a.channel.probes++
	number := a.channel.probes
	if !ch.claim(&key.gate, a.keyTarget(), number) {
		return false
	}
	if model != nil && !ch.claim(&model.gate, a.target, number) {
		release(&key.gate, number)
		return false
	}
	a.probe = number
	return true
}

// FirstByte tells that the upstream has begun to answer. What was shut opens:
// a long stream must not keep everybody else waiting for its end.
func (a *Attempt) FirstByte(now time.Time) {
	if a.tracker == nil || a.done || a.told {
		return
	}
	a.told = true
	ch := a.change(now)
	defer ch.tell()
	a.channel.mu.Lock()
	defer a.channel.mu.Unlock()
	ch.answered(a, now.Sub(a.began))
}

// Done ends the attempt. Only the first call counts.
func (a *Attempt) Done(now time.Time, o Outcome) {
	if a.tracker == nil || a.done {
		return
	}
	a.done = true
	a.channel.inFlight.Add(-1)
	if o.Class.silent() && a.probe == 0 {
		return
	}
	ch := a.change(now)
	defer ch.tell()
	a.channel.mu.Lock()
	defer a.channel.mu.Unlock()
	switch o.Class {
	case Success:
		ch.succeeded(a, o)
	case Failed:
		if o.RetryAfter > 0 && a.target.Model != "" { // it says itself how long it will
			ch.limited(a, o)
			break
		}
		ch.failed(a, o)
	case RateLimited:
		ch.limited(a, o)
	case Credential, Balance:
		ch.refused(a, o)
	case ClientFault, ClientGone, Overtaken:
	}
	if a.probe != 0 {
		a.release()
	}
}

// release lets the next probe go where this one has decided nothing.
func (a *Attempt) release() {
	key, model := a.channel.find(a.target)
	if key != nil {
		release(&key.gate, a.probe)
	}
	if model != nil {
		release(&model.gate, a.probe)
	}
}

func release(g *gate, probe uint64) {
	if g.probe == probe {
		g.probe = 0
	}
}

func (a *Attempt) change(now time.Time) change {
	return change{tracker: a.tracker, channel: a.channel, now: now}
}

// keyTarget is the upstream key as a whole.
func (a *Attempt) keyTarget() Target {
	return Target{Channel: a.target.Channel, Credential: a.target.Credential}
}

// need gives what is known of the attempt's target, up to date.
func (ch *change) need(a *Attempt) (*keyState, *modelState) {
	key, model := ch.channel.need(ch.now, a.target, ch.tracker.config.IdleAfter)
	ch.settle(&key.gate, a.keyTarget())
	if model != nil {
		model.used = ch.now
		ch.settle(&model.gate, a.target)
	}
	return key, model
}

// answered is evidence that the target works.
func (ch *change) answered(a *Attempt, firstByte time.Duration) *modelState {
	key, model := ch.need(a)
	ch.works(a, &key.gate, a.keyTarget())
	key.row = 0
	if model != nil {
		if ch.works(a, &model.gate, a.target) {
			a.opened = model.changed
		}
		if firstByte > 0 {
			model.firstByte.add(ch.now, firstByte)
		}
	}
	return model
}

// knows reports whether the attempt is evidence for the gate as it is now.
func (a *Attempt) knows(g *gate) bool { return a.epoch >= g.changed || a.opened == g.changed }

// works opens the gate, if it was shut and the evidence is of its epoch.
func (ch *change) works(a *Attempt, g *gate, target Target) (opened bool) {
	switch {
	case g.state.shut() && a.epoch >= g.changed:
		ch.open(g, target)
		return true
	case g.state == Suspected && a.epoch >= g.hinted:
		ch.become(g, target, Closed, time.Time{}, ByAnswer, "it answered")
	}
	return false
}

func (ch *change) succeeded(a *Attempt, o Outcome) {
	model := ch.answered(a, o.FirstByte)
	if a.target.Model == "" {
		key, _ := ch.channel.find(a.target)
		ch.reachable(key)
	}
	if model == nil || !a.knows(&model.gate) {
		return
	}
	model.row = 0
	model.window.add(ch.now, ch.tracker.config.Window, false)
}

func (ch *change) failed(a *Attempt, o Outcome) {
	key, model := ch.need(a)
	detail := cmp.Or(o.Detail, "no usable answer")
	if a.target.Model == "" {
		ch.unreachable(a, key, detail)
		return
	}
	if model == nil || !a.knows(&model.gate) {
		return
	}
	config := &ch.tracker.config
	shut := func(reason string) {
		model.row, model.window = 0, window{}
		ch.shut(&model.gate, a.target, Open, ch.backoff(&model.gate, config.Cooldown, config.MaxCooldown), ByFailures, reason)
	}
	switch {
	case model.state.shut():
		// Others than the probe were sent although it is shut; they prove nothing new.
		if a.probe != 0 && model.probe == a.probe {
			shut("the probe failed: " + detail)
		}
		return
	case model.state == SlowStart && a.opened == model.changed:
		shut("the probe failed after its first byte: " + detail)
		return
	}
	model.row++
	model.window.add(ch.now, config.Window, true)
	good, bad := model.window.counts(ch.now, config.Window)
	switch {
	case bad > 1 && good+bad >= config.MinVolume && float64(bad) >= config.FailureRatio*float64(good+bad):
		shut(fmt.Sprintf("%d of %d attempts failed within %s, the last: %s", bad, good+bad, config.Window, detail))
	case model.row >= config.Consecutive:
		shut(fmt.Sprintf("%d attempts in a row failed, the last: %s", model.row, detail))
	}
}

func (ch *change) limited(a *Attempt, o Outcome) {
	_, model := ch.need(a)
	if model == nil {
		return
	}
	config := &ch.tracker.config
	asked := min(o.RetryAfter, config.MaxRetryAfter)
	switch {
	case model.state == CoolingDown && ch.now.Before(model.until):
		if until := ch.now.Add(asked); until.After(model.until) {
			model.until = until
		}
		return
	case !a.knows(&model.gate):
		return
	case model.state.shut() && (a.probe == 0 || model.probe != a.probe):
		return
	}
	reason := "rate limited"
	if o.Class == Failed {
		reason = "it failed"
	}
	cooldown := ch.backoff(&model.gate, config.RateLimitCooldown, config.MaxRateLimitCooldown)
	if asked > 0 {
		cooldown = spread(asked, 0.1*config.Roll()) // never sooner than asked
		reason += fmt.Sprintf(", retry after %s", o.RetryAfter)
	}
	if o.Detail != "" {
		reason += ": " + o.Detail
	}
	ch.shut(&model.gate, a.target, CoolingDown, cooldown, ByRateLimit, reason)
}

func (ch *change) refused(a *Attempt, o Outcome) {
	key, _ := ch.need(a)
	if a.epoch < key.changed || (key.state.shut() && (a.probe == 0 || key.probe != a.probe)) {
		return
	}
	config := &ch.tracker.config
	cause, reason := ByCredential, "the upstream key was refused"
	if o.Class == Balance {
		cause, reason = ByBalance, "the upstream key's balance is used up"
	}
	if o.Detail != "" {
		reason += ": " + o.Detail
	}
	ch.shut(&key.gate, a.keyTarget(), Out, ch.backoff(&key.gate, config.KeyCooldown, config.MaxKeyCooldown), cause, reason)
}
