package gateway

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"halley/internal/channel"
	"halley/internal/health"
)

// CheckResult is what looking after a channel came to.
type CheckResult struct {
	At      time.Time
	OK      bool
	Latency time.Duration // of the slowest upstream key's answer
	Message string        // what is wrong, without secrets
	Classes []health.Class
}

// Check asks the channel's upstream, as its Checks say, whether it works, with
// each of its upstream keys, and tells Health. Nothing is charged to anybody.
func (g *Gateway) Check(ctx context.Context, ch *channel.Channel) CheckResult {
	r := CheckResult{At: g.Now(), OK: true}
	check := func(own *channel.Credential) {
		began := g.Now()
		outcome, message := g.check(ctx, ch, own)
		r.Latency = max(r.Latency, g.Now().Sub(began))
		r.Classes = append(r.Classes, outcome.Class)
		if outcome.Class != health.Success {
			r.OK, r.Message = false, message
		}
	}
	for i := range ch.Credentials {
		check(&ch.Credentials[i])
	}
	if len(ch.Credentials) == 0 {
		check(nil)
	}
	return r
}

// check is Check with one upstream key, nil for none.
func (g *Gateway) check(ctx context.Context, ch *channel.Channel, own *channel.Credential) (outcome health.Outcome, message string) {
	target := health.Target{Channel: ch.ID}
	if own != nil {
		target.Credential = own.ID
	}
	if ch.Checks.Mode == channel.CheckRequest {
		target.Model = ch.UpstreamModel(ch.Checks.Model)
	}
	var attempt health.Attempt
	if g.Health != nil {
		now := g.Now()
		var begun bool
		if attempt, begun = g.Health.Begin(now, target, g.Health.Look(now, target).Probe); !begun {
			attempt, _ = g.Health.Begin(now, target, false) // a client's request probes it: this one only looks
		}
	}
	outcome.Class = health.ClientGone // after a panic it says nothing
	defer func() {
		if ctx.Err() != nil {
			outcome.Class = health.ClientGone // we gave up
		}
		attempt.Done(g.Now(), outcome)
	}()
	if ch.Checks.Mode != channel.CheckRequest {
		return g.checkModels(ctx, ch, own)
	}
	test, outcome, err := g.tryOut(ctx, ch, own, ch.Checks.Model, false)
	if err != nil {
		return health.Outcome{Class: health.ClientFault}, err.Error()
	}
	return outcome, test.Message
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
		g.answersAgain(ch, own)
		return health.Outcome{Class: health.Success}, ""
	}
	body = masked(ch, secret, body)
	return health.Outcome{Class: classOf(call.Status, body, up.Provider), Detail: fmt.Sprintf("status %d", call.Status)}, clip(string(body), maxExcerpt)
}

// answersAgain has what is broken of an upstream key probed by the next request:
// its server is there, whatever the models do.
func (g *Gateway) answersAgain(ch *channel.Channel, own *channel.Credential) {
	if g.Health == nil {
		return
	}
	now, id := g.Now(), ""
	if own != nil {
		id = own.ID
	}
	for _, v := range g.Health.Channel(now, ch.ID).Targets {
		if v.Credential == id && v.Model != "" && v.State == health.Open {
			g.Health.Hint(now, health.Hint{Target: v.Target, Reason: "its server lists its models"})
		}
	}
}
