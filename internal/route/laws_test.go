package route_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"halley/internal/channel"
	"halley/internal/group"
	"halley/internal/health"
	"halley/internal/route"
)

// within checks a count of independent trials against its probability: five
// standard deviations, which fair chance leaves once in a million.
func within(t *testing.T, name string, got, of int, probability float64) {
	t.Helper()
	mean := float64(of) * probability
	if off := math.Abs(float64(got) - mean); off > 5*math.Sqrt(mean*(1-probability))+1e-6 {
		t.Errorf("%s: %d of %d, want about %.0f", name, got, of, mean)
	}
}

// world is a random table with a random state of health.
type world struct {
	channels []*channel.Channel
	table    *route.Table
	health   *health.Tracker
	now      time.Time
}

func newWorld(t *testing.T, rng *rand.Rand) *world {
	t.Helper()
	w := &world{health: tracker(t), now: start}
	pick := func(of ...string) []string {
		rng.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
		return of[:1+rng.IntN(len(of))]
	}
	for id := range int64(1 + rng.IntN(14)) {
		c := ch(id+1, int64(rng.IntN(3)), int64(rng.IntN(4)), pick("m", "m*", "n", "*")...)
		c.Groups = pick("a", "b", "c", "d")
		if rng.IntN(6) == 0 {
			off(c)
		}
		for k := range rng.IntN(4) {
			keys(c, fmt.Sprintf("%d-%d", c.ID, k))
		}
		w.channels = append(w.channels, c)
	}
	strategies := map[string]group.Strategy{}
	for i, name := range []string{"a", "b", "c", "d"} {
		strategies[name] = []group.Strategy{group.Weighted, group.LeastLatency, group.LeastBusy, group.Cheapest}[(i+rng.IntN(4))%4]
	}
	w.table = route.New(route.Config{Channels: w.channels, Strategies: strategies, Cost: func(c *channel.Channel, _ string) (int64, bool) { return c.ID % 3, c.ID%5 > 0 }})
	for range rng.IntN(60) {
		w.now = w.now.Add(time.Duration(rng.IntN(5000)) * time.Millisecond)
		c := w.channels[rng.IntN(len(w.channels))]
		target := health.Target{Channel: c.ID, Model: "m"}
		if len(c.Credentials) > 0 {
			target.Credential = c.Credentials[rng.IntN(len(c.Credentials))].ID
		}
		does(w.health, w.now, target, 1+rng.IntN(5), []health.Outcome{success, failure, failure, refusal, tooMany}[rng.IntN(5)])
	}
	return w
}

// asked is a random request, the same for the same seed.
func (w *world) asked(rng *rand.Rand) route.Request {
	groups := []string{"a", "b", "c", "d", "nowhere"}
	rng.Shuffle(len(groups), func(i, j int) { groups[i], groups[j] = groups[j], groups[i] })
	r := route.Request{Model: "m", Groups: groups[:rng.IntN(len(groups)+1)], CrossGroup: rng.IntN(2) == 0, Health: w.health, Roll: rng.Float64}
	if rng.IntN(3) == 0 {
		r.Prefer.Channel = rng.Int64N(int64(len(w.channels)) + 2)
	}
	return r
}

// A million random plans, each followed to its end: no channel comes twice, none
// that is disabled, of another group or another model comes at all, none that
// may come is missing, and the better ones come first.
func TestAMillionPlansNeverStray(t *testing.T) {
	t.Parallel()
	plans, worlds := 1_000_000, 2000
	if testing.Short() {
		plans = 40_000
	}
	rng := rand.New(rand.NewPCG(16, 4))
	for range worlds {
		w := newWorld(t, rng)
		for range plans / worlds {
			if problem := w.follow(w.asked(rng)); problem != "" {
				t.Fatal(problem)
			}
		}
	}
}

// offered reports whether the channel may serve in the group.
func offered(c *channel.Channel, group string) bool {
	return c.Status == channel.Enabled && slices.Contains(c.Groups, group) && slices.ContainsFunc(c.Models, func(p string) bool { return route.Match(p, "m") })
}

func (w *world) follow(r route.Request) (problem string) {
	p := w.table.Plan(r)
	var seen uint64 // a bit for each channel
	serving := ""   // the group that a plan without CrossGroup is bound to
	probes := 0
	alive := true // until the first that is broken, or a second probe
	for s, ok := p.Next(w.now); ok; s, ok = p.Next(w.now) {
		switch bit := uint64(1) << s.Channel.ID; {
		case seen&bit != 0:
			return fmt.Sprintf("channel %d comes twice", s.Channel.ID)
		case !slices.Contains(r.Groups, s.Group) || !offered(s.Channel, s.Group):
			return fmt.Sprintf("channel %d comes in group %q of %v", s.Channel.ID, s.Group, r.Groups)
		case (s.Credential == nil) != (len(s.Channel.Credentials) == 0),
			s.Credential != nil && !slices.ContainsFunc(s.Channel.Credentials, func(c channel.Credential) bool { return c.ID == s.Credential.ID }):
			return fmt.Sprintf("channel %d comes with the upstream key %v", s.Channel.ID, s.Credential)
		case !r.CrossGroup && serving != "" && s.Group != serving:
			return fmt.Sprintf("channel %d comes in group %s after %s", s.Channel.ID, s.Group, serving)
		case !alive && s.Verdict.Share > 0 && !s.Probe:
			return fmt.Sprintf("channel %d comes behind broken ones and is %+v", s.Channel.ID, s.Verdict)
		default:
			seen |= bit
		}
		if s.Probe {
			probes++
		}
		alive = alive && s.Verdict.Share > 0 && probes < 2
		if !s.Probe && !r.CrossGroup {
			serving = s.Group
		}
	}
	for _, c := range w.channels {
		for _, group := range r.Groups {
			if seen&(1<<c.ID) == 0 && offered(c, group) && (r.CrossGroup || serving == "" || group == serving) {
				return fmt.Sprintf("channel %d of group %s is missing", c.ID, group)
			}
		}
	}
	return ""
}

// Drawn without replacement by weight: the first by its share, the second by its
// share of what the first leaves, and so on; also where most channels are out,
// so that drawing takes another way.
func TestPlansRespectTheWeights(t *testing.T) {
	t.Parallel()
	const plans = 50_000
	weights := map[int64]float64{1: 1, 2: 2, 3: 3, 4: 10}
	for name, brokenOnes := range map[string]int64{"all are well": 0, "most are broken": 40} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := tracker(t)
			var channels []*channel.Channel
			for id, weight := range weights {
				channels = append(channels, ch(id, 0, int64(weight), "m"))
			}
			for id := range brokenOnes {
				channels = append(channels, ch(100+id, 0, 5, "m"))
				does(tr, start, at(100+id), 5, failure)
			}
			table := route.New(route.Config{Channels: channels})
			roll := dice(7)
			var first, second, third [5]int
			for range plans {
				p := table.Plan(route.Request{Model: "m", Groups: []string{"g"}, Health: tr, Roll: roll})
				for _, count := range []*[5]int{&first, &second, &third} {
					s, _ := p.Next(start)
					count[s.Channel.ID]++
				}
			}
			for id, weight := range weights {
				within(t, fmt.Sprint("first ", id), first[id], plans, weight/16)
				chance2, chance3 := 0.0, 0.0
				for a, wa := range weights {
					if a == id {
						continue
					}
					chance2 += wa / 16 * weight / (16 - wa)
					for b, wb := range weights {
						if b != id && b != a {
							chance3 += wa / 16 * wb / (16 - wa) * weight / (16 - wa - wb)
						}
					}
				}
				within(t, fmt.Sprint("second ", id), second[id], plans, chance2)
				within(t, fmt.Sprint("third ", id), third[id], plans, chance3)
			}
		})
	}
}
