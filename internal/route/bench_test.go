package route_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"halley/internal/channel"
	"halley/internal/group"
	"halley/internal/route"
)

// fleet are n channels of one group, with weights from 1 to 5, that all offer
// the models: 500 if none are given.
func fleet(n int64, models ...string) []*channel.Channel {
	if models == nil {
		for i := range 500 {
			models = append(models, fmt.Sprint("model-", i))
		}
		models[0] = "m"
	}
	channels := make([]*channel.Channel, n)
	for i := range channels {
		channels[i] = keys(ch(int64(i)+1, 0, int64(i%5)+1, models...), "k")
	}
	return channels
}

// asks breaks one of every so many channels, and gives a request for the others.
func asks(tb testing.TB, channels []*channel.Channel, every int) route.Request {
	tr := tracker(tb)
	for i, c := range channels {
		target := at(c.ID)
		target.Credential = "k"
		if every > 0 && i%every == 0 {
			does(tr, start, target, 5, failure)
		} else {
			does(tr, start, target, 1, success)
		}
	}
	return route.Request{Model: "m", Groups: []string{"g"}, Health: tr, Roll: rand.Float64}
}

func TestPlanningAllocatesNothingHoweverManyChannelsThereAre(t *testing.T) {
	for _, n := range []int64{3, 10_000} {
		for _, strategy := range []group.Strategy{group.Weighted, group.LeastLatency, group.LeastBusy, group.Cheapest} {
			for _, models := range [][]string{{"m", "n"}, {"m*"}} {
				channels := fleet(n, models...)
				table := route.New(route.Config{Channels: channels, Strategies: map[string]group.Strategy{"g": strategy}})
				request := asks(t, channels, 3)
				if allocs := testing.AllocsPerRun(100, func() {
					p := table.Plan(request)
					for range 4 {
						if _, ok := p.Next(start); !ok && n > 3 {
							t.Fatal("there is no step")
						}
					}
				}); allocs != 0 {
					t.Errorf("%d channels, %s, %v: %g allocations", n, strategy, models, allocs)
				}
			}
		}
	}
}

func BenchmarkPlan(b *testing.B) {
	all := fleet(10_000)
	for _, row := range []struct {
		name     string
		channels []*channel.Channel
		strategy group.Strategy
		every    int // one of so many is down; 0 is none
	}{
		{"10000x500", all, group.Weighted, 0},
		{"10000x500, a third down", all, group.Weighted, 3},
		{"10000x500, all down", all, group.Weighted, 1},
		{"10000x500, least-latency", all, group.LeastLatency, 3},
		{"10000x500, least-busy", all, group.LeastBusy, 3},
		{"10000 by pattern", fleet(10_000, "m*", "n*"), group.Weighted, 3},
		{"3", fleet(3, "m"), group.Weighted, 3},
		{"3, all down", fleet(3, "m"), group.Weighted, 1},
		{"20, least-busy", fleet(20, "m"), group.LeastBusy, 3},
	} {
		b.Run(row.name, func(b *testing.B) {
			table := route.New(route.Config{Channels: row.channels, Strategies: map[string]group.Strategy{"g": row.strategy}})
			request := asks(b, row.channels, row.every)
			b.ReportAllocs()
			for b.Loop() {
				p := table.Plan(request)
				if _, ok := p.Next(start); !ok {
					b.Fatal("there is no step")
				}
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	channels := fleet(10_000)
	b.ReportAllocs()
	for b.Loop() {
		route.New(route.Config{Channels: channels})
	}
}
