package gateway

import (
	"cmp"
	"slices"
	"time"

	"halley/internal/channel"
	"halley/internal/group"
	"halley/internal/health"
	"halley/internal/money"
	"halley/internal/speech"
)

// Route is where a request would go.
type Route struct {
	Groups      []string // those it may be served in, in order
	CrossGroup  bool     // whether it goes on to the next when one is used up
	MaxAttempts int      // of the plan
	Plan        []Step
	PassedOver  []PassedOver
}

// Step is one channel that may serve, in the order of trying.
type Step struct {
	Channel     *channel.Channel
	UpstreamKey string // its id, "" for a channel without
	Group       string
	Why         speech.Text // all of the below, in words
	State       health.State
	// OutUntil is when a channel that is out is tried again without need; zero for
	// one that is not out.
	OutUntil time.Time
	Reason   string // why it is not plainly well, "" when it is
	Strategy group.Strategy
	Ratio    money.Ratio
}

// PassedOver is a channel that lists the model and is not in the plan.
type PassedOver struct {
	Channel *channel.Channel
	Group   string
	Why     speech.Text
}

// maxExplained bounds a plan that is shown, and what is shown of others.
const maxExplained = 100

// explain says where the request would go, in order, from p on, and where not.
func (g *Gateway) explain(w *way, p *plan, r *Route) {
	if w.snap == nil { // it was refused before
		return
	}
	r.Groups, r.CrossGroup = w.groups, w.who.key.CrossGroupRetry
	r.MaxAttempts = cmp.Or(w.snap.MaxAttempts, defaultMaxAttempts)
	now := g.Now()
	for ; p != nil && len(r.Plan) < maxExplained; p = w.next(now) {
		r.Plan = append(r.Plan, p.explained(now))
	}
	if p != nil { // what is not in the plan is not known
		return
	}
	for _, name := range w.groups {
		for _, ch := range w.snap.Routes.Candidates(name, w.model) {
			if len(r.PassedOver) == maxExplained || slices.ContainsFunc(r.Plan, func(s Step) bool { return s.Channel.ID == ch.ID }) {
				continue
			}
			r.PassedOver = append(r.PassedOver, PassedOver{Channel: ch, Group: name, Why: w.passedOver(ch)})
		}
	}
}

func (p *plan) explained(now time.Time) Step {
	v := &p.step.Verdict
	s := Step{
		Channel: p.channel, UpstreamKey: p.step.Target().Credential, Group: p.group, Why: p.step.Reason(now),
		State: v.State, Reason: v.Reason, Strategy: cmp.Or(p.step.Strategy, group.Weighted), Ratio: p.ratio,
	}
	if v.Share == 0 && !v.Probe {
		s.OutUntil = v.Until
	}
	return s
}

func (w *way) passedOver(ch *channel.Channel) speech.Text {
	switch {
	case ch.Status != channel.Enabled:
		return speech.Say("disabled")
	case !w.who.unlimited() && w.snap.priceOf(w.model, ch) == nil:
		return speech.Say("the model has no price here")
	}
	return speech.Say("another group serves, and cross_group_retry is off")
}
