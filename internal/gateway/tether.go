package gateway

import (
	"context"
	"errors"
	"time"

	"halley/internal/channel"
)

// tether ties an upstream call to its client: who leaves frees the upstream at
// once or, on channels that drain, is followed by the upstream when its usage is
// known or the channel's limit is over. A server that ends its requests waits
// for neither.
type tether struct {
	ctx    context.Context // of the upstream call
	drains bool
	// startLimit may be called again; the first limit holds.
	startLimit func()
	release    func() // must be called when the upstream call is over
}

// errDrained is the cause with which a call ends whose drain limit is over.
var errDrained = errors.New("the client has gone and the channel's drain limit is over")

// tether makes the tether of a call to the channel for the client of ctx.
func (g *Gateway) tether(ctx context.Context, ch *channel.Channel) tether {
	if ch.OnDisconnect != channel.Drain {
		return tether{ctx: ctx, startLimit: func() {}, release: func() {}}
	}
	detached, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	limit := ch.Timeouts.Or(g.Timeouts).Drain
	startLimit := func() { g.endAfter(detached, cancel, limit) }
	stop := context.AfterFunc(ctx, func() {
		if shutDown(ctx) {
			cancel(ErrShutdown)
			return
		}
		startLimit()
	})
	return tether{ctx: detached, drains: true, startLimit: startLimit, release: func() { stop(); cancel(nil) }}
}

// endAfter ends a call after the limit, or with the server.
func (g *Gateway) endAfter(call context.Context, cancel context.CancelCauseFunc, limit time.Duration) {
	timed, over := context.WithTimeout(call, limit)
	forget := context.AfterFunc(g.ending, func() { cancel(ErrShutdown) })
	context.AfterFunc(timed, func() {
		over()
		forget()
		cancel(errDrained)
	})
}
