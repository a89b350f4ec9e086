package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"halley/internal/channel"
	"halley/internal/health"
	"halley/internal/money"
)

// CheckResult is what looking after a channel came to.
type CheckResult struct {
	At      time.Time
	OK      bool
	Latency time.Duration // of the slowest upstream key's answer
	Message string        // what is wrong, without secrets
	Classes []health.Class
	Cost    money.Nano // by the prices of the models; charged to nobody
}

// Check asks the channel's upstream, as its Checks say, whether it works, with
// each of its upstream keys, and tells Health. Nothing is charged to anybody.
func (g *Gateway) Check(ctx context.Context, ch *channel.Channel) CheckResult {
	r := CheckResult{At: g.Now(), OK: true}
	for i := range ch.Credentials {
		g.check(ctx, ch, &ch.Credentials[i], &r)
	}
	if len(ch.Credentials) == 0 {
		g.check(ctx, ch, nil, &r)
	}
	return r
}

// check is Check with one upstream key, nil for none.
func (g *Gateway) check(ctx context.Context, ch *channel.Channel, own *channel.Credential, r *CheckResult) {
	target := health.Target{Channel: ch.ID}
	if own != nil {
		target.Credential = own.ID
	}
	if ch.Checks.Mode == channel.CheckRequest {
		target.Model = ch.UpstreamModel(ch.Checks.Model)
	}
	began := g.Now()
	attempt, verdict := g.beginCheck(began, target)
	outcome := health.Outcome{Class: health.ClientGone} // after a panic it says nothing
	defer func() {
		if reason := recover(); reason != nil { // none of this is worth a server's end
			g.Log.LogAttrs(context.Background(), slog.LevelError, "panic while checking a channel", slog.Int64("channel_id", ch.ID),
				slog.String("panic", fmt.Sprint(reason)), slog.String("stack", string(debug.Stack())))
			r.OK, r.Message = false, "Something went wrong on our side."
		}
		if ctx.Err() != nil {
			outcome.Class = health.ClientGone // we gave up
		}
		attempt.Done(g.Now(), outcome)
		r.Latency = max(r.Latency, g.Now().Sub(began))
		r.Classes = append(r.Classes, outcome.Class)
	}()
	var message string
	if ch.Checks.Mode == channel.CheckRequest {
		test, judged, err := g.tryOut(ctx, ch, own, ch.Checks.Model, false)
		outcome, message = judged, test.Message
		r.Cost += test.cost
		if err != nil {
			outcome, message = health.Outcome{Class: health.ClientFault}, err.Error()
		}
	} else {
		outcome, message = g.checkModels(ctx, ch, own)
		if outcome.Class == health.Success && verdict.State >= health.HalfOpen && verdict.Cause == health.ByBalance {
			outcome.Class, message = health.ClientFault, "The list of models came, which says nothing about the balance that is used up."
		}
	}
	if outcome.Class != health.Success {
		r.OK, r.Message = false, message
	}
}

// beginCheck begins an attempt that is the probe where one is wanted.
func (g *Gateway) beginCheck(now time.Time, target health.Target) (health.Attempt, health.Verdict) {
	if g.Health == nil {
		return health.Attempt{}, health.Verdict{}
	}
	verdict := g.Health.Look(now, target)
	attempt, begun := g.Health.Begin(now, target, verdict.Probe)
	if !begun { // a client's request probes it: this one only looks
		attempt, _ = g.Health.Begin(now, target, false)
	}
	return attempt, verdict
}

// checkModels asks for the model list. Servers without one answer 404, which
// proves that they are there.
func (g *Gateway) checkModels(ctx context.Context, ch *channel.Channel, own *channel.Credential) (outcome health.Outcome, message string) {
	up, ok := g.Upstreams[ch.Kind]
	if !ok {
		return health.Outcome{Class: health.ClientFault}, noSuchKind(ch).Error()
	}
	call, secret, err := g.askModels(ctx, up, ch, own)
	if err != nil {
		return unprepared(err).outcome, string(masked(ch, secret, []byte(err.Error())))
	}
	defer call.Close()
	body, err := readLimited(call, maxErrorBody)
	if err != nil {
		return broken(err).outcome, err.Error()
	}
	if call.Status < 300 || call.Status == http.StatusNotFound {
		return health.Outcome{Class: health.Success}, ""
	}
	body = masked(ch, secret, body)
	return health.Outcome{Class: classOf(call.Status, body, up.Provider), Detail: fmt.Sprintf("status %d", call.Status)}, clip(string(body), maxExcerpt)
}
