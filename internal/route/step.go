package route

import (
	"fmt"
	"math"
	"strings"
	"time"

	"halley/internal/channel"
	"halley/internal/group"
	"halley/internal/health"
)

// Step is one attempt of a plan.
type Step struct {
	Channel    *channel.Channel
	Credential *channel.Credential // the upstream key; nil for a channel without
	Group      string              // in which it serves
	Probe      bool                // the one attempt that finds out whether it has recovered
	Verdict    health.Verdict      // how it was doing when it was picked
	Strategy   group.Strategy      // of the group

	model     string
	health    *health.Tracker
	tier      *tier
	turn      turn
	preferred bool
	again     bool
}

// Target is what health knows the step's upstream by.
func (s *Step) Target() health.Target { return target(s.Channel, s.Credential, s.model) }

func (s *Step) credentialID() string {
	if s.Credential == nil {
		return ""
	}
	return s.Credential.ID
}

// Reason says in words why the step comes where it does.
func (s *Step) Reason(now time.Time) string {
	var why []string
	if s.again {
		why = append(why, "once more, there is no other channel")
	}
	if s.preferred {
		why = append(why, "served this conversation before")
	}
	why = append(why, fmt.Sprintf("priority %d", s.Channel.Priority))
	switch {
	case s.health == nil:
	case s.Strategy == group.LeastLatency:
		why = append(why, s.latency(now))
	case s.Strategy == group.LeastBusy:
		why = append(why, fmt.Sprintf("%d under way", s.health.InFlight(s.Channel.ID)))
	}
	if s.Strategy == group.Cheapest && (s.Channel.Weight > 0 || s.tier.weighted.total == 0) {
		why = append(why, s.cost())
	}
	why = append(why, s.weight())
	if words := s.condition(); words != "" {
		why = append(why, words)
	}
	return strings.Join(why, ", ")
}

func (s *Step) latency(now time.Time) string {
	if d, known := s.health.FirstByte(now, s.Target()); known {
		return fmt.Sprintf("%s to first byte", d.Round(time.Millisecond))
	}
	return "time to first byte not known"
}

func (s *Step) cost() string {
	if s.tier.cost == math.MaxInt64 {
		return "cost not known"
	}
	return fmt.Sprintf("cost %d", s.tier.cost)
}

func (s *Step) weight() string {
	switch {
	case s.Channel.Weight > 0:
		return fmt.Sprintf("weight %d of %d", s.Channel.Weight, s.tier.weighted.total)
	case s.tier.weighted.total == 0:
		return "weight 0 like all of them"
	}
	return "weight 0, tried because nothing with a weight is left"
}

// condition says how the upstream is doing, "" when it is well.
func (s *Step) condition() string {
	const last = ", tried because nothing better is left"
	v := &s.Verdict
	because := ""
	if v.Reason != "" {
		because = " (" + v.Reason + ")"
	}
	until := " until " + v.Until.UTC().Format(time.RFC3339)
	switch v.State {
	case health.Closed:
		return ""
	case health.SlowStart, health.Suspected:
		words := fmt.Sprintf("%s with %.0f%% of its traffic%s%s", v.State, 100*v.Share, until, because)
		if s.turn == spared {
			words += ", spared" + last
		}
		return words
	case health.HalfOpen:
		if v.Probe {
			return "half-open probe" + because
		}
		return "half-open, somebody else probes" + because + last
	case health.CoolingDown:
		return "cooling down" + until + because + last
	case health.Open, health.Out:
	}
	return v.State.String() + until + because + last
}
