package route_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/channel"
	"halley/internal/group"
	"halley/internal/health"
	"halley/internal/route"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// in puts a channel into other groups than "g".
func in(c *channel.Channel, groups ...string) *channel.Channel {
	c.Groups = groups
	return c
}

// keys gives a channel upstream keys.
func keys(c *channel.Channel, ids ...string) *channel.Channel {
	for _, id := range ids {
		c.Credentials = append(c.Credentials, channel.Credential{ID: id})
	}
	return c
}

func tracker(t testing.TB) *health.Tracker {
	t.Helper()
	tr, err := health.New(health.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// does reports outcomes of attempts at an upstream.
func does(tr *health.Tracker, now time.Time, target health.Target, times int, o health.Outcome) {
	for range times {
		a, _ := tr.Begin(now, target, tr.Look(now, target).Probe)
		a.Done(now, o)
	}
}

func at(id int64) health.Target { return health.Target{Channel: id, Model: "m"} }

var (
	failure = health.Outcome{Class: health.Failed, Detail: "status 503"}
	success = health.Outcome{Class: health.Success, FirstByte: 100 * time.Millisecond}
	refusal = health.Outcome{Class: health.Credential, Detail: "status 401"}
	tooMany = health.Outcome{Class: health.RateLimited, RetryAfter: 30 * time.Second}
)

func dice(seed uint64) func() float64 { return rand.New(rand.NewPCG(seed, 0)).Float64 }

// walk follows a plan to its end: "2/h" is channel 2 in group h, a "?" marks a probe.
func walk(p *route.Plan, now time.Time) string {
	var steps []string
	for s, ok := p.Next(now); ok; s, ok = p.Next(now) {
		text := fmt.Sprintf("%d/%s", s.Channel.ID, s.Group)
		if s.Probe {
			text += "?"
		}
		steps = append(steps, text)
	}
	return strings.Join(steps, " ")
}

func TestAPlanGoesByGroupPriorityAndHealth(t *testing.T) {
	t.Parallel()
	broken := func(ids ...int64) func(*health.Tracker) {
		return func(tr *health.Tracker) {
			for _, id := range ids {
				does(tr, start.Add(-time.Second), at(id), 5, failure)
			}
		}
	}
	// recovering has its next probe due now.
	recovering := func(ids ...int64) func(*health.Tracker) {
		return func(tr *health.Tracker) {
			for _, id := range ids {
				does(tr, start.Add(-time.Minute), at(id), 5, failure)
			}
		}
	}
	out := func(id int64) func(*health.Tracker) {
		return func(tr *health.Tracker) { does(tr, start, at(id), 1, refusal) }
	}
	all := func(of ...func(*health.Tracker)) func(*health.Tracker) {
		return func(tr *health.Tracker) {
			for _, f := range of {
				f(tr)
			}
		}
	}
	two := func() []*channel.Channel {
		return []*channel.Channel{ch(1, 9, 1, "m"), ch(2, 5, 1, "m"), in(ch(3, 5, 1, "m"), "h")}
	}
	for name, row := range map[string]struct {
		channels []*channel.Channel
		cross    bool
		health   func(*health.Tracker)
		want     string
	}{
		"by priority, inside the first group":             {two(), false, nil, "1/g 2/g"},
		"across groups":                                   {two(), true, nil, "1/g 2/g 3/h"},
		"a channel of two groups comes once":              {[]*channel.Channel{in(ch(1, 0, 1, "m"), "g", "h"), in(ch(2, 0, 1, "m"), "h")}, true, nil, "1/g 2/h"},
		"disabled ones never":                             {[]*channel.Channel{off(ch(1, 9, 1, "m")), ch(2, 5, 1, "m")}, true, nil, "2/g"},
		"the first group has no enabled one":              {[]*channel.Channel{off(ch(1, 9, 1, "m")), in(ch(2, 5, 1, "m"), "h")}, false, nil, "2/h"},
		"other models' not":                               {[]*channel.Channel{ch(1, 9, 1, "n"), ch(2, 5, 1, "m*")}, true, nil, "2/g"},
		"broken ones are the last":                        {two(), true, broken(1), "2/g 3/h 1/g"},
		"refused ones are behind the broken":              {two(), true, all(broken(2), out(1)), "3/h 2/g 1/g"},
		"all broken: in order":                            {two(), true, broken(1, 2, 3), "1/g 2/g 3/h"},
		"all broken, one group: the first":                {two(), false, broken(1, 2, 3), "1/g 2/g"},
		"a group that is broken does not serve":           {two(), false, broken(1, 2), "3/h"},
		"a group that is broken in part does":             {two(), false, broken(1), "2/g 1/g"},
		"the only one is tried although it is broken":     {[]*channel.Channel{ch(1, 0, 1, "m")}, false, broken(1), "1/g"},
		"the only one is tried although it is refused":    {[]*channel.Channel{ch(1, 0, 1, "m")}, false, out(1), "1/g"},
		"a probe goes where the channel would":            {two(), true, recovering(1), "1/g? 2/g 3/h"},
		"a probe in a broken group leaves the next group": {two(), false, all(recovering(1), broken(2)), "1/g? 3/h"},
		"after a probe the group serves if it can":        {two(), false, recovering(1), "1/g? 2/g"},
		"only probes":                                     {two(), false, recovering(1, 2, 3), "1/g? 2/g? 3/h?"},
		"one probe is enough for one request":             {two(), true, recovering(1, 2), "1/g? 3/h 2/g?"},
		"weight 0 comes after all others that are well":   {[]*channel.Channel{ch(1, 9, 0, "m"), ch(2, 9, 1, "m"), ch(3, 5, 1, "m")}, false, nil, "2/g 3/g 1/g"},
		"weight 0 comes before what is broken":            {[]*channel.Channel{ch(1, 9, 0, "m"), ch(2, 9, 1, "m")}, false, broken(2), "1/g 2/g"},
		"weight 0 alone in its priority is like others":   {[]*channel.Channel{ch(1, 9, 0, "m"), ch(2, 5, 1, "m")}, false, nil, "1/g 2/g"},
		"nobody": {nil, true, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := tracker(t)
			if row.health != nil {
				row.health(tr)
			}
			p := route.New(route.Config{Channels: row.channels}).Plan(route.Request{Model: "m", Groups: []string{"g", "h"}, CrossGroup: row.cross, Health: tr, Roll: dice(1)})
			if got := walk(&p, start); got != row.want {
				t.Errorf("the plan is %q, want %q", got, row.want)
			}
		})
	}
}

func TestAPlanKnowsWhetherAModelIsListedAtAll(t *testing.T) {
	t.Parallel()
	table := route.New(route.Config{Channels: []*channel.Channel{off(ch(1, 0, 1, "m")), off(in(ch(2, 0, 1, "w*"), "h"))}})
	for model, want := range map[string]bool{"m": true, "w1": true, "n": false} {
		p := table.Plan(route.Request{Model: model, Groups: []string{"g", "h", "nowhere"}, Roll: dice(1)})
		if _, ok := p.Next(start); ok || p.Listed() != want {
			t.Errorf("%s: listed %v", model, p.Listed())
		}
	}
}

// All of two groups fail: each channel is tried once, and the flag decides how far.
func TestFailingChannelsAreTriedOnceEach(t *testing.T) {
	t.Parallel()
	table := route.New(route.Config{Channels: []*channel.Channel{in(ch(1, 0, 1, "m"), "g1"), in(ch(2, 0, 1, "m"), "g1"), in(ch(3, 0, 1, "m"), "g2", "g1b")}})
	for _, cross := range []bool{true, false} {
		for seed := range uint64(200) {
			tr := tracker(t)
			p := table.Plan(route.Request{Model: "m", Groups: []string{"g1", "g2", "g1b"}, CrossGroup: cross, Health: tr, Roll: dice(seed)})
			attempts := map[int64]int{}
			for s, ok := p.Next(start); ok; s, ok = p.Next(start) {
				a, began := p.Begin(start, &s)
				if !began {
					t.Fatal("an attempt did not begin")
				}
				a.Done(start, failure)
				attempts[s.Channel.ID]++
			}
			want := map[int64]int{1: 1, 2: 1}
			if cross {
				want[3] = 1
			}
			if diff := cmp.Diff(want, attempts); diff != "" {
				t.Fatalf("cross %v: %s", cross, diff)
			}
		}
	}
}

func TestOneOfManyRequestsProbesAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	tr := tracker(t)
	table := route.New(route.Config{Channels: []*channel.Channel{ch(1, 9, 1, "m"), ch(2, 5, 1, "m")}})
	does(tr, start, at(1), 5, failure)
	now := start.Add(time.Minute)
	plan := func() *route.Plan {
		p := table.Plan(route.Request{Model: "m", Groups: []string{"g"}, Health: tr, Roll: dice(1)})
		return &p
	}
	one, other := plan(), plan()
	s1, _ := one.Next(now)
	s2, _ := other.Next(now)
	if !s1.Probe || !s2.Probe {
		t.Fatal("no probe is due")
	}
	a1, ok1 := one.Begin(now, &s1)
	if _, ok2 := other.Begin(now, &s2); !ok1 || ok2 {
		t.Fatalf("two began to probe: %v %v", ok1, ok2)
	}
	if got := walk(other, now); got != "2/g 1/g" {
		t.Errorf("the one that came late goes on with %q", got)
	}
	if got := walk(plan(), now); got != "2/g 1/g" {
		t.Errorf("while a probe runs plans are %q", got)
	}
	a1.Done(now, success)
	if tr.Look(now, at(1)).State != health.SlowStart {
		t.Error("an answered probe does not start the channel")
	}
}

func TestARecoveringChannelGetsItsShareAndTheRestGoesElsewhere(t *testing.T) {
	t.Parallel()
	tr := tracker(t)
	table := route.New(route.Config{Channels: []*channel.Channel{ch(1, 9, 1, "m"), in(ch(2, 5, 1, "m"), "g", "h"), in(ch(3, 5, 1, "m"), "h")}})
	does(tr, start, at(1), 5, failure)
	now := start.Add(5 * time.Second)
	does(tr, now, at(1), 1, success)
	now = now.Add(2 * time.Second)
	share := tr.Look(now, at(1)).Share
	if share < 0.3 || share > 0.6 {
		t.Fatalf("a share of %g", share)
	}
	roll := dice(1)
	count := map[string]int{}
	for range 20_000 {
		p := table.Plan(route.Request{Model: "m", Groups: []string{"g", "h"}, CrossGroup: true, Health: tr, Roll: roll})
		count[walk(&p, now)]++
	}
	within(t, "first", count["1/g 2/g 3/h"], 20_000, share)
	within(t, "spared", count["2/g 3/h 1/g"], 20_000, 1-share)
}

func TestSlowStartsAreNoFasterForBeingAskedAgain(t *testing.T) {
	t.Parallel()
	tr := tracker(t)
	table := route.New(route.Config{Channels: []*channel.Channel{ch(1, 9, 1, "m"), ch(2, 9, 1, "m"), ch(3, 5, 1, "m")}})
	now := start.Add(time.Minute)
	for id := range int64(2) {
		does(tr, start, at(id+1), 5, failure)
		does(tr, now, at(id+1), 1, success) // 10 % of its traffic
	}
	roll := dice(1)
	spared := 0
	for range 20_000 {
		p := table.Plan(route.Request{Model: "m", Groups: []string{"g"}, Health: tr, Roll: roll})
		if s, _ := p.Next(now); s.Channel.ID == 3 {
			spared++
		}
	}
	within(t, "both are spared", spared, 20_000, 0.9*0.9)
}

func TestAPreferredChannelGoesFirstWhileItIsWell(t *testing.T) {
	t.Parallel()
	channels := []*channel.Channel{
		ch(1, 9, 1, "m"), ch(2, 9, 5, "m"), keys(ch(3, 5, 1, "m"), "a", "b", "c"), ch(4, 5, 0, "m"), off(ch(5, 5, 1, "m")), in(ch(6, 5, 1, "m"), "h"), ch(7, 5, 1, "n"), ch(8, 5, 1, "m"), in(ch(9, 9, 1, "m"), "h"),
	}
	for name, row := range map[string]struct {
		prefer route.Preference
		health func(*health.Tracker)
		want   string // the first step
	}{
		"of lower priority":           {route.Preference{Channel: 3}, nil, "3 *"},
		"with its upstream key":       {route.Preference{Channel: 3, Credential: "b"}, nil, "3 b"},
		"its upstream key is no more": {route.Preference{Channel: 3, Credential: "z"}, nil, "3 *"},
		"its upstream key is out": {route.Preference{Channel: 3, Credential: "b"}, func(tr *health.Tracker) {
			does(tr, start, health.Target{Channel: 3, Credential: "b", Model: "m"}, 1, refusal)
		}, "3 a|c"},
		"broken":                    {route.Preference{Channel: 1}, func(tr *health.Tracker) { does(tr, start, at(1), 5, failure) }, "2 "},
		"it is no matter of probes": {route.Preference{Channel: 8}, func(tr *health.Tracker) { does(tr, start.Add(-time.Minute), at(8), 5, failure) }, "1|2 "},
		"weight 0":                  {route.Preference{Channel: 4}, nil, "1|2 "},
		"disabled":                  {route.Preference{Channel: 5}, nil, "1|2 "},
		"of another group":          {route.Preference{Channel: 6}, nil, "1|2 "},
		"does not offer the model":  {route.Preference{Channel: 7}, nil, "1|2 "},
		"unknown":                   {route.Preference{Channel: 99}, nil, "1|2 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(50) {
				tr := tracker(t)
				if row.health != nil {
					row.health(tr)
				}
				p := route.New(route.Config{Channels: channels}).Plan(route.Request{Model: "m", Groups: []string{"g", "h"}, CrossGroup: true, Prefer: row.prefer, Health: tr, Roll: dice(seed)})
				s, ok := p.Next(start)
				key := ""
				if s.Credential != nil {
					key = s.Credential.ID
				}
				id, credential, _ := strings.Cut(row.want, " ")
				if !ok || !oneOf(fmt.Sprint(s.Channel.ID), id) || (credential != "*" && !oneOf(key, credential)) {
					t.Fatalf("channel %d with key %q comes first, want %s", s.Channel.ID, key, row.want)
				}
				rest := walk(&p, start)
				if row.prefer.Channel == 6 && !strings.HasSuffix(rest, " 6/h 9/h") && !strings.Contains(rest, " 6/h 9/h ") {
					t.Fatalf("when its group's turn comes it is not the first: %s", rest)
				}
				if strings.Contains(" "+rest, fmt.Sprintf(" %d/", s.Channel.ID)) {
					t.Fatalf("after channel %d come %s", s.Channel.ID, rest)
				}
			}
		})
	}
}

func oneOf(text, choices string) bool {
	for choice := range strings.SplitSeq(choices, "|") {
		if text == choice {
			return true
		}
	}
	return false
}

func TestUpstreamKeysTakeTurnsAndBrokenOnesRest(t *testing.T) {
	t.Parallel()
	tr := tracker(t)
	table := route.New(route.Config{Channels: []*channel.Channel{keys(ch(1, 0, 1, "m"), "a", "b", "c", "d")}})
	roll := dice(3)
	count := func(now time.Time, n int) map[string]int {
		used := map[string]int{}
		for range n {
			p := table.Plan(route.Request{Model: "m", Groups: []string{"g"}, Health: tr, Roll: roll})
			s, _ := p.Next(now)
			used[s.Credential.ID]++
		}
		return used
	}
	key := func(id string) health.Target { return health.Target{Channel: 1, Credential: id, Model: "m"} }
	for id, n := range count(start, 20_000) {
		within(t, id, n, 20_000, 0.25)
	}
	does(tr, start, key("a"), 1, refusal)
	does(tr, start, key("b"), 1, tooMany)
	used := count(start, 20_000)
	within(t, "c", used["c"], 20_000, 0.5)
	within(t, "d", used["d"], 20_000, 0.5)

	// With all of them broken, what is limited for a while is better than what is refused.
	does(tr, start, key("c"), 5, failure)
	does(tr, start, key("d"), 1, refusal)
	used = count(start, 20_000)
	within(t, "b", used["b"], 20_000, 0.5)
	within(t, "c", used["c"], 20_000, 0.5)

	// A key that has recovered is spared in proportion.
	later := start.Add(30 * time.Second)
	does(tr, later, key("b"), 1, success)
	does(tr, later, key("c"), 1, success)
	does(tr, later, key("d"), 1, refusal)
	later = later.Add(time.Minute)
	does(tr, later, key("d"), 1, success) // from 10 % on; a is out still, b and c are well
	does(tr, later, key("a"), 1, refusal)
	within(t, "d", count(later, 20_000)["d"], 20_000, 0.1/3)
}

func TestTheOnlyChannelMayBeTriedAgainWithAnotherKey(t *testing.T) {
	t.Parallel()
	request := func(table *route.Table, tr *health.Tracker) *route.Plan {
		p := table.Plan(route.Request{Model: "m", Groups: []string{"g"}, Health: tr, Roll: dice(1)})
		return &p
	}
	only := route.New(route.Config{Channels: []*channel.Channel{keys(ch(1, 7, 2, "m"), "a", "b")}})
	for range 20 {
		tr := tracker(t)
		p := request(only, tr)
		if _, ok := p.Again(start); ok {
			t.Fatal("a channel comes again before it came")
		}
		first, _ := p.Next(start)
		if _, ok := p.Again(start); ok {
			t.Fatal("a channel comes again before it is known to be the only one")
		}
		a, _ := p.Begin(start, &first)
		a.Done(start, refusal)
		if got := walk(p, start); got != "" {
			t.Fatalf("the only channel is followed by %s", got)
		}
		second, ok := p.Again(start)
		if !ok || second.Channel.ID != 1 || second.Credential.ID == first.Credential.ID {
			t.Fatalf("%+v comes after %+v", second, first)
		}
		if got := second.Reason(start).String(); got != "once more, there is no other channel, priority 7, weight 2 of 2" {
			t.Error(got)
		}
		b, _ := p.Begin(start, &second)
		b.Done(start, failure)
		third, ok := p.Again(start) // the refused key is no better than the one that failed
		if !ok || third.Credential.ID != second.Credential.ID {
			t.Fatalf("%+v comes after %+v", third, second)
		}
	}
	bare := request(route.New(route.Config{Channels: []*channel.Channel{ch(1, 0, 1, "m")}}), nil)
	walk(bare, start)
	if s, ok := bare.Again(start); !ok || s.Channel.ID != 1 || s.Credential != nil {
		t.Errorf("%+v, %v", s, ok)
	}
	pair := request(route.New(route.Config{Channels: []*channel.Channel{ch(1, 0, 1, "m"), ch(2, 0, 1, "m")}}), tracker(t))
	walk(pair, start)
	if _, ok := pair.Again(start); ok {
		t.Error("one of two channels comes again")
	}
}

func TestTheOnlyChannelIsTriedAgainThoughSomebodyElseProbesItMeanwhile(t *testing.T) {
	t.Parallel()
	tr := tracker(t)
	does(tr, start, at(1), 5, failure)
	table := route.New(route.Config{Channels: []*channel.Channel{ch(1, 0, 1, "m")}})
	p := table.Plan(route.Request{Model: "m", Groups: []string{"g"}, Health: tr, Roll: dice(1)})
	if _, ok := p.Next(start); !ok {
		t.Fatal("the broken channel is not tried though it is all there is")
	}
	if p.Alone() {
		t.Error("it is said to be alone before that is known")
	}
	if _, more := p.Next(start); more || !p.Alone() {
		t.Fatal("there is another channel")
	}
	now := start.Add(10 * time.Second) // its probe is due
	s, ok := p.Again(now)
	if !ok || !s.Probe {
		t.Fatalf("the step %+v is no probe", s)
	}
	if _, ok := tr.Begin(now, at(1), true); !ok {
		t.Fatal("somebody else may not probe")
	}
	if _, ok := p.Begin(now, &s); !ok || s.Probe {
		t.Errorf("the attempt may begin: %v, as a probe: %v", ok, s.Probe)
	}
}

func TestLeastLatencyTakesTheFasterOfTwo(t *testing.T) {
	t.Parallel()
	tr := tracker(t)
	var channels []*channel.Channel
	for id := range int64(4) {
		channels = append(channels, ch(id+1, 0, 1, "m"))
		does(tr, start, at(id+1), 3, health.Outcome{Class: health.Success, FirstByte: time.Duration(id+1) * 100 * time.Millisecond})
	}
	table := route.New(route.Config{Channels: channels, Strategies: map[string]group.Strategy{"g": group.LeastLatency}})
	roll := dice(4)
	first := map[int64]int{}
	for range 20_000 {
		p := table.Plan(route.Request{Model: "m", Groups: []string{"g"}, Health: tr, Roll: roll})
		s, _ := p.Next(start)
		first[s.Channel.ID]++
	}
	for i, want := range []float64{3. / 6, 2. / 6, 1. / 6, 0} { // of the six pairs
		within(t, fmt.Sprint(i+1), first[int64(i+1)], 20_000, want)
	}
}

func TestADueProbeIsNotComparedWithOthers(t *testing.T) {
	t.Parallel()
	table := route.New(route.Config{Channels: []*channel.Channel{ch(1, 0, 1, "m"), ch(2, 0, 1, "m")}, Strategies: map[string]group.Strategy{"g": group.LeastLatency}})
	for seed := range uint64(40) {
		tr := tracker(t)
		does(tr, start, at(1), 2, success)
		does(tr, start, at(2), 4, health.Outcome{Class: health.Success, FirstByte: time.Hour})
		does(tr, start, at(2), 4, failure)
		p := table.Plan(route.Request{Model: "m", Groups: []string{"g"}, Health: tr, Roll: dice(seed)})
		if s, _ := p.Next(start.Add(5 * time.Second)); !s.Probe {
			t.Fatalf("seed %d: the slower channel's probe waits until its average has faded", seed)
		}
	}
}

func TestWhatWasNeverMeasuredIsTriedSoon(t *testing.T) {
	t.Parallel()
	tr := tracker(t)
	does(tr, start, at(1), 3, success)
	table := route.New(route.Config{Channels: []*channel.Channel{ch(1, 0, 1, "m"), ch(2, 0, 1, "m")}, Strategies: map[string]group.Strategy{"g": group.LeastLatency}})
	for seed := range uint64(20) {
		p := table.Plan(route.Request{Model: "m", Groups: []string{"g"}, Health: tr, Roll: dice(seed)})
		if s, _ := p.Next(start); s.Channel.ID != 2 {
			t.Fatalf("channel %d comes first", s.Channel.ID)
		}
	}
}

func TestLeastBusyTakesTheOneWithTheLeastUnderWayForItsWeight(t *testing.T) {
	t.Parallel()
	for _, n := range []int64{3, 40} { // looked at all, two by chance
		tr := tracker(t)
		var channels []*channel.Channel
		for id := range n {
			channels = append(channels, ch(id, 0, 1+id%2, "m"))
		}
		table := route.New(route.Config{Channels: channels, Strategies: map[string]group.Strategy{"g": group.LeastBusy}})
		roll := dice(5)
		for range n * 100 {
			p := table.Plan(route.Request{Model: "m", Groups: []string{"g"}, Health: tr, Roll: roll})
			s, _ := p.Next(start)
			if _, ok := p.Begin(start, &s); !ok {
				t.Fatal("an attempt did not begin")
			}
		}
		weights := n + n/2
		spread := int64(1) // in requests beside the fair share
		if n > 32 {
			spread = 8
		}
		for _, c := range channels {
			fair := 100 * n * c.Weight / weights
			if got := tr.InFlight(c.ID); got < fair-spread || got > fair+spread {
				t.Errorf("of %d channels number %d with weight %d has %d under way, a fair share is %d", n, c.ID, c.Weight, got, fair)
			}
		}
	}
}

func TestCheapestGoesByCostAndThenByWeight(t *testing.T) {
	t.Parallel()
	costs := map[int64]int64{1: 30, 2: 10, 3: 10, 4: 5, 5: 1}
	table := route.New(route.Config{
		Channels:   []*channel.Channel{ch(1, 9, 5, "m", "w*", "x2", "x3"), ch(2, 9, 1, "m", "w*", "x2", "x3"), ch(3, 9, 3, "m"), ch(4, 5, 1, "m"), ch(5, 9, 0, "m"), ch(6, 9, 9, "m", "w*")},
		Strategies: map[string]group.Strategy{"g": group.Cheapest},
		Cost: func(c *channel.Channel, model string) (int64, bool) {
			cost, known := costs[c.ID]
			if strings.HasSuffix(model, "2") {
				cost = -cost // dearer ones are cheap for these
			}
			return cost, known
		},
	})
	roll := dice(6)
	count := map[string]int{}
	for range 20_000 {
		p := table.Plan(route.Request{Model: "m", Groups: []string{"g"}, Roll: roll})
		count[walk(&p, start)]++
	}
	within(t, "heavier first", count["3/g 2/g 1/g 6/g 4/g 5/g"], 20_000, 0.75)
	within(t, "lighter first", count["2/g 3/g 1/g 6/g 4/g 5/g"], 20_000, 0.25)
	for range 2 { // found out, and remembered
		for model, want := range map[string]string{"w2": "1/g 2/g 6/g", "w3": "2/g 1/g 6/g", "x2": "1/g 2/g", "x3": "2/g 1/g"} {
			p := table.Plan(route.Request{Model: model, Groups: []string{"g"}, Roll: roll})
			if got := walk(&p, start); got != want {
				t.Errorf("%s: %s", model, got)
			}
		}
	}
}

func TestEachStepSaysWhyItComesWhereItDoes(t *testing.T) {
	t.Parallel()
	now := start.Add(10 * time.Second)
	tr := tracker(t)
	does(tr, start, at(3), 5, failure) // its probe is due
	does(tr, now, at(4), 1, tooMany)   // cooling down
	does(tr, now, at(5), 1, refusal)   // out
	does(tr, now, at(6), 5, failure)   // open
	does(tr, start, at(7), 5, failure) // its probe runs
	_, _ = tr.Begin(now, at(7), true)  //
	does(tr, start, at(8), 5, failure) // in slow start
	does(tr, now, at(8), 1, success)   //
	tr.Hint(now, health.Hint{Target: at(9), Broken: true, Until: now.Add(time.Minute), Reason: "status 500"})
	table := route.New(route.Config{Channels: []*channel.Channel{
		ch(1, 10, 3, "m"), ch(2, 9, 0, "m"), ch(3, 8, 5, "m"), ch(4, 7, 1, "m"), ch(5, 7, 1, "m"), ch(6, 6, 1, "m"), ch(7, 5, 1, "m"), ch(8, 4, 1, "m"), ch(9, 3, 1, "m"), ch(10, 3, 1, "m"),
		ch(11, 10, 0, "m"),
	}})
	p := table.Plan(route.Request{Model: "m", Groups: []string{"g"}, Prefer: route.Preference{Channel: 10}, Health: tr, Roll: func() float64 { return 0.5 }})
	var got []string
	for s, ok := p.Next(now); ok; s, ok = p.Next(now) {
		got = append(got, fmt.Sprintf("%d: %s", s.Channel.ID, s.Reason(now)))
	}
	want := []string{
		"10: served this conversation before, priority 3, weight 1 of 2",
		"1: priority 10, weight 3 of 3",
		"2: priority 9, weight 0 like all of them",
		"3: priority 8, weight 5 of 5, half-open probe (5 of 5 attempts failed within 30s, the last: status 503)",
		"8: priority 4, weight 1 of 1, slow-start with 10% of its traffic until 2026-01-01T00:00:15Z (it answered), spared, tried because nothing better is left",
		"9: priority 3, weight 1 of 2, suspected with 25% of its traffic until 2026-01-01T00:01:10Z (another node says: status 500), spared, tried because nothing better is left",
		"11: priority 10, weight 0, tried because nothing with a weight is left",
		"4: priority 7, weight 1 of 2, cooling down until 2026-01-01T00:00:40Z (rate limited, retry after 30s), tried because nothing better is left",
		"6: priority 6, weight 1 of 1, open until 2026-01-01T00:00:15Z (5 of 5 attempts failed within 30s, the last: status 503), tried because nothing better is left",
		"7: priority 5, weight 1 of 1, half-open, somebody else probes (5 of 5 attempts failed within 30s, the last: status 503), tried because nothing better is left",
		"5: priority 7, weight 1 of 2, out until 2026-01-01T00:01:10Z (the upstream key was refused: status 401), tried because nothing better is left",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestStrategiesSayWhatTheyWentBy(t *testing.T) {
	t.Parallel()
	tr := tracker(t)
	does(tr, start, at(1), 1, success)
	_, _ = tr.Begin(start, at(1), false)
	for strategy, want := range map[group.Strategy]string{
		group.LeastLatency: "2: priority 0, time to first byte not known, weight 1 of 2|1: priority 0, 100ms to first byte, weight 1 of 2",
		group.LeastBusy:    "2: priority 0, 0 under way, weight 1 of 2|1: priority 0, 1 under way, weight 1 of 2",
		group.Cheapest:     "1: priority 0, cost 7, weight 1 of 1|2: priority 0, cost not known, weight 1 of 1",
	} {
		table := route.New(route.Config{
			Channels: []*channel.Channel{ch(1, 0, 1, "m"), ch(2, 0, 1, "m")}, Strategies: map[string]group.Strategy{"g": strategy},
			Cost: func(c *channel.Channel, _ string) (int64, bool) { return 7, c.ID == 1 },
		})
		p := table.Plan(route.Request{Model: "m", Groups: []string{"g"}, Health: tr, Roll: dice(1)})
		var got []string
		for s, ok := p.Next(start); ok; s, ok = p.Next(start) {
			got = append(got, fmt.Sprintf("%d: %s", s.Channel.ID, s.Reason(start)))
		}
		if text := strings.Join(got, "|"); text != want {
			t.Errorf("%s: %s", strategy, text)
		}
	}
}

func TestNamesThatPatternsCoverAreFoundWhateverTheirNumber(t *testing.T) {
	t.Parallel()
	var channels []*channel.Channel
	for id := range int64(2000) {
		channels = append(channels, ch(id, 0, 1, []string{"a*", "*z", "b*", "exact"}[id%4]))
	}
	for _, strategy := range []group.Strategy{group.Weighted, group.Cheapest} {
		table := route.New(route.Config{
			Channels: channels, Strategies: map[string]group.Strategy{"g": strategy},
			Cost: func(c *channel.Channel, model string) (int64, bool) { return c.ID % 7 * int64(len(model)), true },
		})
		for i := range 600 { // more than is remembered
			for name, want := range map[string]int{fmt.Sprint("a", i): 500, fmt.Sprint("b", i, "z"): 1000, fmt.Sprint("c", i): 0} {
				if got := len(table.Candidates("g", name)); got != want {
					t.Fatalf("%s is offered by %d channels, want %d", name, got, want)
				}
			}
		}
	}
}
