package route_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"halley/internal/channel"
	"halley/internal/route"
)

func ch(id, priority, weight int64, models ...string) *channel.Channel {
	return &channel.Channel{ID: id, Priority: priority, Weight: weight, Models: models, Groups: []string{"g"}, Status: channel.Enabled}
}

func off(c *channel.Channel) *channel.Channel {
	c.Status = channel.Disabled
	return c
}

// first is the channel that a plan begins with, nil when there is none.
func first(table *route.Table, groups []string, model string, roll float64) (ch *channel.Channel, listed bool) {
	p := table.Plan(route.Request{Model: model, Groups: groups, Roll: func() float64 { return roll }})
	step, _ := p.Next(time.Time{})
	return step.Channel, p.Listed()
}

func TestAPlanBeginsByGroupThenPriorityThenWeight(t *testing.T) {
	t.Parallel()
	other := ch(9, 100, 1, "m")
	other.Groups = []string{"h"}
	for name, row := range map[string]struct {
		channels []*channel.Channel
		groups   []string
		model    string
		roll     float64
		id       int64 // 0: none
		listed   bool
	}{
		"highest priority":              {[]*channel.Channel{ch(1, 0, 1, "m"), ch(2, 5, 1, "m")}, []string{"g"}, "m", 0, 2, true},
		"a disabled one is passed over": {[]*channel.Channel{ch(1, 0, 1, "m"), off(ch(2, 5, 1, "m"))}, []string{"g"}, "m", 0, 1, true},
		"first share of the weight":     {[]*channel.Channel{ch(1, 0, 1, "m"), ch(2, 0, 3, "m")}, []string{"g"}, "m", 0.24, 1, true},
		"last share of the weight":      {[]*channel.Channel{ch(1, 0, 1, "m"), ch(2, 0, 3, "m")}, []string{"g"}, "m", 0.26, 2, true},
		"weight 0 is never drawn":       {[]*channel.Channel{ch(1, 0, 0, "m"), ch(2, 0, 1, "m")}, []string{"g"}, "m", 0, 2, true},
		"weight 0 alone serves":         {[]*channel.Channel{ch(1, 0, 0, "m")}, []string{"g"}, "m", 0.9, 1, true},
		"by pattern":                    {[]*channel.Channel{ch(1, 0, 1, "gpt-5*")}, []string{"g"}, "gpt-5-mini", 0, 1, true},
		"pattern beside the name":       {[]*channel.Channel{ch(1, 0, 1, "m"), ch(2, 5, 1, "*")}, []string{"g"}, "m", 0, 2, true},
		"groups in order":               {[]*channel.Channel{ch(1, 0, 1, "m"), other}, []string{"g", "h"}, "m", 0, 1, true},
		"the next group":                {[]*channel.Channel{off(ch(1, 0, 1, "m")), other}, []string{"g", "h"}, "m", 0, 9, true},
		"another group's is not ours":   {[]*channel.Channel{other}, []string{"g"}, "m", 0, 0, false},
		"listed, but none is enabled":   {[]*channel.Channel{off(ch(1, 0, 1, "m"))}, []string{"g"}, "m", 0, 0, true},
		"not listed":                    {[]*channel.Channel{ch(1, 0, 1, "m")}, []string{"g"}, "n", 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, listed := first(route.New(route.Config{Channels: row.channels}), row.groups, row.model, row.roll)
			var id int64
			if got != nil {
				id = got.ID
			}
			if id != row.id || listed != row.listed {
				t.Errorf("channel %d, listed %v, want %d, %v", id, listed, row.id, row.listed)
			}
		})
	}
}

// Whatever the channels and the roll: the first is enabled, lists the
// model, and none that could serve has a higher priority.
func TestAPlanNeverStraysFromTheTable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var channels []*channel.Channel
		for id := range rapid.Int64Range(0, 8).Draw(t, "channels") {
			c := ch(id+1, rapid.Int64Range(0, 2).Draw(t, "priority"), rapid.Int64Range(0, 3).Draw(t, "weight"), rapid.SampledFrom([]string{"m", "m*", "*", "n"}).Draw(t, "models"))
			if rapid.Bool().Draw(t, "off") {
				off(c)
			}
			channels = append(channels, c)
		}
		able := func(c *channel.Channel) bool {
			return c.Status == channel.Enabled && slices.ContainsFunc(c.Models, func(p string) bool { return route.Match(p, "m") })
		}
		got, _ := first(route.New(route.Config{Channels: channels}), []string{"g"}, "m", rapid.Float64Range(0, 0.999999).Draw(t, "roll"))
		if got == nil {
			if slices.ContainsFunc(channels, able) {
				t.Fatal("there is no step, though one could serve")
			}
			return
		}
		if !able(got) {
			t.Fatalf("channel %d cannot serve", got.ID)
		}
		for _, c := range channels {
			if able(c) && c.Priority > got.Priority {
				t.Fatalf("channel %d of priority %d was passed over", c.ID, c.Priority)
			}
		}
	})
}

func TestWeightsAreShares(t *testing.T) {
	t.Parallel()
	table := route.New(route.Config{Channels: []*channel.Channel{ch(1, 0, 1, "m"), ch(2, 0, 2, "m"), ch(3, 0, 7, "m")}})
	drawn := map[int64]int{}
	const rolls = 10_000
	for i := range rolls {
		got, _ := first(table, []string{"g"}, "m", float64(i)/rolls)
		drawn[got.ID]++
	}
	if diff := cmp.Diff(map[int64]int{1: rolls / 10, 2: rolls / 5, 3: rolls * 7 / 10}, drawn); diff != "" {
		t.Error(diff)
	}
}

func TestModelsAreThoseThatCanBeServed(t *testing.T) {
	t.Parallel()
	table := route.New(route.Config{Channels: []*channel.Channel{ch(1, 0, 1, "b", "gpt-5*"), off(ch(2, 0, 1, "off")), ch(3, 0, 1, "a", "b")}})
	want := []string{"a", "b", "gpt-5", "gpt-5-mini"}
	if diff := cmp.Diff(want, table.Models([]string{"g", "none"}, []string{"gpt-5", "gpt-5-mini", "gpt-4o"})); diff != "" {
		t.Error(diff)
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		pattern, model string
		want           bool
	}{
		{"m", "m", true}, {"m", "mm", false}, {"*", "", true}, {"*", "x/y", true}, {"a*", "ab", true}, {"a*", "ba", false}, {"*a", "ba", true}, {"*a", "ab", false},
		{"a*c", "abc", true}, {"a*c", "ac", true}, {"a*c", "ab", false}, {"a*a", "a", false}, {"a*b*c", "a-b-b-c", true}, {"**", "x", true}, {"a*b*", "ab", true}, {"", "", true}, {"", "x", false},
	} {
		if got := route.Match(row.pattern, row.model); got != row.want {
			t.Errorf("Match(%q, %q) = %v", row.pattern, row.model, got)
		}
	}
}
