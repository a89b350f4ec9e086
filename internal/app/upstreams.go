package app

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"halley/internal/channel"
	"halley/internal/health"
	"halley/internal/telemetry"
	"halley/internal/upstream"
)

// newHealth makes what knows how the upstreams are doing, for as long as the
// process runs. Each change is logged and counted, and told to also.
func newHealth(log *slog.Logger, metrics *telemetry.Metrics, also func(health.Transition)) (*health.Tracker, error) {
	return health.New(health.Config{Roll: rand.Float64, OnTransition: func(t health.Transition) {
		also(t)
		metrics.ChannelTransition(t.To.String(), t.Cause.String())
		level := slog.LevelInfo
		if t.To >= health.CoolingDown {
			level = slog.LevelWarn
		}
		log.LogAttrs(context.Background(), level, "channel health changed",
			slog.Int64("channel_id", t.Target.Channel), slog.String("model", t.Target.Model), slog.String("upstream_key_id", t.Target.Credential),
			slog.String("from", t.From.String()), slog.String("to", t.To.String()), slog.String("cause", t.Cause.String()), slog.Time("until", t.Until), slog.String("reason", t.Reason))
	}})
}

// healthStates are the names of the states, in their order.
func healthStates() (names []string) {
	for state := health.Closed; state <= health.Out; state++ {
		names = append(names, state.String())
	}
	return names
}

// channelsIn is how many enabled channels are in the state.
func (s *services) channelsIn(state int) (n int) {
	now := time.Now()
	for _, ch := range s.channels.All() {
		if ch.Status == channel.Enabled && int(s.health.Worst(now, ch.ID)) == state {
			n++
		}
	}
	return n
}

// forgetOthers drops what is known of channels and upstream keys that are gone.
func forgetOthers(tracker *health.Tracker, channels []*channel.Channel) {
	type upstream struct {
		channel    int64
		credential string
	}
	there := map[upstream]bool{}
	for _, ch := range channels {
		if len(ch.Credentials) == 0 {
			there[upstream{ch.ID, ""}] = true
		}
		for _, c := range ch.Credentials {
			there[upstream{ch.ID, c.ID}] = true
		}
	}
	tracker.Retain(func(id int64, credential string) bool { return there[upstream{id, credential}] })
}

// keepWays has the transports at hand that the channels need, and closes those
// that none needs any more.
func keepWays(ways *upstream.Transports, channels []*channel.Channel, log *slog.Logger) {
	var used []upstream.Network
	for _, ch := range channels {
		if !ch.Network.Direct() {
			used = append(used, upstream.Network{Proxy: ch.Network.Proxy.URL, CA: ch.Network.CAPEM})
		}
	}
	if err := ways.Keep(used); err != nil {
		log.LogAttrs(context.Background(), slog.LevelError, "a channel's proxy or certificates cannot be used", slog.String("error", err.Error()))
	}
}
