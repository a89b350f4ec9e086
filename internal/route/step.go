package route

import (
	"math"
	"strings"
	"time"

	"halley/internal/channel"
	"halley/internal/group"
	"halley/internal/health"
	"halley/internal/speech"
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
func (s *Step) Reason(now time.Time) speech.Text {
	var why []any
	if s.again {
		why = append(why, speech.Say("once more, there is no other channel"))
	}
	if s.preferred {
		why = append(why, speech.Say("served this conversation before"))
	}
	why = append(why, speech.Say("priority %d", s.Channel.Priority))
	switch {
	case s.health == nil:
	case s.Strategy == group.LeastLatency:
		why = append(why, s.latency(now))
	case s.Strategy == group.LeastBusy:
		why = append(why, speech.Say("%d under way", s.health.InFlight(s.Channel.ID)))
	}
	if s.Strategy == group.Cheapest && (s.Channel.Weight > 0 || s.tier.weighted.total == 0) {
		why = append(why, s.cost())
	}
	why = append(why, s.weight())
	if words := s.condition(); words.Format != "" {
		why = append(why, words)
	}
	return speech.Say(strings.Repeat("%s, ", len(why)-1)+"%s", why...)
}

func (s *Step) latency(now time.Time) speech.Text {
	if d, known := s.health.FirstByte(now, s.Target()); known {
		return speech.Say("%s to first byte", d.Round(time.Millisecond))
	}
	return speech.Say("time to first byte not known")
}

func (s *Step) cost() speech.Text {
	if s.tier.cost == math.MaxInt64 {
		return speech.Say("cost not known")
	}
	return speech.Say("cost %d", s.tier.cost)
}

func (s *Step) weight() speech.Text {
	switch {
	case s.Channel.Weight > 0:
		return speech.Say("weight %d of %d", s.Channel.Weight, s.tier.weighted.total)
	case s.tier.weighted.total == 0:
		return speech.Say("weight 0 like all of them")
	}
	return speech.Say("weight 0, tried because nothing with a weight is left")
}

// condition says how the upstream is doing, nothing when it is well.
func (s *Step) condition() speech.Text {
	v := &s.Verdict
	because := ""
	if v.Reason != "" {
		because = " (" + v.Reason + ")"
	}
	until := v.Until.UTC().Format(time.RFC3339)
	switch v.State {
	case health.Closed:
		return speech.Text{}
	case health.SlowStart:
		return s.eased(speech.Say("slow-start with %.0f%% of its traffic until %s%s", 100*v.Share, until, because))
	case health.Suspected:
		return s.eased(speech.Say("suspected with %.0f%% of its traffic until %s%s", 100*v.Share, until, because))
	case health.HalfOpen:
		if v.Probe {
			return speech.Say("half-open probe%s", because)
		}
		return speech.Say("half-open, somebody else probes%s, tried because nothing better is left", because)
	case health.CoolingDown:
		return speech.Say("cooling down until %s%s, tried because nothing better is left", until, because)
	case health.Open:
		return speech.Say("open until %s%s, tried because nothing better is left", until, because)
	case health.Out:
	}
	return speech.Say("out until %s%s, tried because nothing better is left", until, because)
}

// eased adds that the upstream is tried although others are to have its traffic.
func (s *Step) eased(words speech.Text) speech.Text {
	if s.turn == spared {
		return speech.Say("%s, spared, tried because nothing better is left", words)
	}
	return words
}
