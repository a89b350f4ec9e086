package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/health"
	"halley/internal/limit"
	"halley/internal/money"
	"halley/internal/usage"
)

// The status and code of a request whose client left; seen only by one that has
// stopped sending and still reads.
const (
	statusClientGone = 499
	codeClientGone   = "client_closed_request"
)

// ticket is one request's way to its one record: it collects the facts as the
// stages learn them, keeps the hold, and makes sure that answer, settlement and
// record each happen exactly once.
type ticket struct {
	gateway *Gateway
	in      *Inbound
	sink    Sink

	who    caller
	way    way
	plan   *plan         // where it is
	next   *plan         // where it goes next, when that is known already
	full   []*plan       // where it could go that had no seat for it
	retry  time.Duration // when one of those may have a seat; 0 when all had
	ends   time.Time     // no attempt goes on beyond it
	began  time.Time     // the first attempt
	pauses int           // before the only channel was tried once more
	try    health.Attempt
	trying bool
	theirs *theirs     // what an upstream last said to the client, nil when none did
	tried  time.Time   // when the attempt under way began
	tries  []usage.Try // the attempts that have ended and did not serve
	hold   budget.Hold
	lease  *limit.Lease
	home   string  // the group whose limits the lease counts against
	abroad []visit // other groups it was tried in
	output outputHold
	relay  *relay // the stream, once there is one
	cap    int64  // lowered output cap, 0 when it was not
	secret string // our credential at the upstream
	tier   string // service tier to price by
	record usage.Record

	fault   *fault.Error // what went wrong, nil when nothing did
	started bool         // the answer has begun
	settled bool
	// limitsTold says that the answer carries the rate limits' headers.
	limitsTold bool
}

func (t *ticket) known(who caller) {
	t.who = who
	t.record = usage.Record{
		EventID: t.gateway.NewEventID(), Time: t.in.Start, RequestID: t.in.RequestID,
		KeyID: who.key.ID, KeyName: who.key.Name, ParentID: who.payers().Parent, UserID: who.owner.ID,
		Dialect: string(t.in.Format.Dialect()), Endpoint: t.in.Operation.Endpoint(), Source: usage.NoUsage,
	}
	if t.in.IP.IsValid() {
		t.record.IP = t.in.IP.String()
	}
}

func (t *ticket) asked(a *ask) {
	t.record.Model, t.record.Stream, t.record.EndUser = clip(a.head.Model, 200), a.head.Stream, clip(a.head.EndUser, 200)
	t.tier = a.head.ServiceTier
}

func (t *ticket) planned(p *plan) {
	t.plan = p
	t.record.ChannelID, t.record.Group = p.channel.ID, p.group
	t.record.ServedModel = p.channel.UpstreamModel(t.record.Model)
	t.record.PriceVersion = ""
	if p.price != nil {
		t.record.PriceVersion = p.price.Version
	}
}

// ended tells of the end of an attempt.
func (t *ticket) ended(p *plan, o health.Outcome) {
	t.trying = false
	t.try.Done(t.gateway.Now(), o)
	t.gateway.Observer.Attempted(o.Class)
	if o.Class != health.Success {
		t.note(p, o, t.tried)
	}
}

// failed logs an attempt that did not decide the request.
func (t *ticket) failed(p *plan, end ending) {
	why := end.outcome.Detail
	if end.err != nil {
		why = string(t.masked([]byte(end.err.Error())))
	}
	t.gateway.Log.LogAttrs(context.Background(), slog.LevelInfo, "attempt failed",
		slog.String("request_id", t.in.RequestID), slog.Int64("channel_id", p.channel.ID), slog.String("outcome", end.outcome.Class.String()), slog.String("error", why))
}

// clip bounds what a client's text can take in a row.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}

// gone notes that the client has hung up.
func (t *ticket) gone() {
	if !t.settled {
		t.record.Status, t.record.ErrorCode = statusClientGone, codeClientGone
	}
}

// refuse notes what went wrong; the first fault stays.
func (t *ticket) refuse(err error) {
	if t.fault != nil || err == nil {
		return
	}
	t.fault = fault.From(err)
	switch {
	case errors.Is(err, ErrClientGone):
		t.gone()
	case !t.settled:
		t.record.Status, t.record.ErrorCode = t.fault.Kind.Status(), t.fault.Code
	}
	if t.record.Status >= 500 {
		t.gateway.Log.LogAttrs(context.Background(), slog.LevelWarn, "model request failed",
			slog.String("request_id", t.in.RequestID), slog.Int64("channel_id", t.record.ChannelID), slog.String("code", t.fault.Code), slog.String("error", string(t.masked([]byte(err.Error())))))
	}
}

// refund settles for nothing: the request failed before any output.
func (t *ticket) refund() { t.settle(usage.Tokens{}, usage.NoUsage) }

// settle replaces the hold by the cost of the tokens and writes the record.
// Only the first call counts. It is called before the client can know that its
// answer is complete, so that its next request finds the money back.
func (t *ticket) settle(tokens usage.Tokens, source usage.Source) {
	if t.settled || t.who.key == nil {
		return
	}
	var cost money.Nano
	if t.plan != nil && source != usage.NoUsage {
		cost = t.plan.spent(tokens, t.tier)
	}
	t.settled = true
	r := &t.record
	r.Tokens, r.Source = tokens, source
	r.Settled = t.hold.Open()
	// Last, as it may have to wait for others to be told.
	defer t.endLimits(r.Settled, tokens)
	charge := t.hold.Settle(cost)
	r.Term = t.hold.Term()
	r.Cost, r.Absorbed = charge.Charged, charge.Absorbed
	r.KeyGrantDelta, r.ParentGrantDelta, r.UserGrantDelta = charge.KeyGrant, charge.ParentGrant, charge.UserGrant
	now := t.gateway.Now()
	r.Latency, r.Trail = now.Sub(t.in.Start), t.trail(now)
	if !t.started && r.Source != usage.NoUsage && r.Status == http.StatusOK {
		r.FirstByte = r.Latency // the answer follows at once
	}
	if charge.Absorbed > 0 {
		t.gateway.Log.LogAttrs(context.Background(), slog.LevelWarn, "an upstream billed more than the request could bear",
			slog.String("request_id", r.RequestID), slog.Int64("channel_id", r.ChannelID), slog.String("absorbed_usd", charge.Absorbed.USDString()))
	}
	t.gateway.Recorder.Record(*r)
	t.gateway.Observer.Finished(r)
}

// begin starts the answer.
func (t *ticket) begin(status int) {
	t.started = true
	if !t.settled {
		t.record.Status = status
	}
	t.record.FirstByte = t.gateway.Now().Sub(t.in.Start)
	t.tellAttempts(status)
	t.sink.Start(status)
}

// answer tells the client about the fault, if there is one and nothing has been
// sent yet.
func (t *ticket) answer() {
	if t.fault == nil || t.started {
		return
	}
	t.refund()
	t.tellLimits()
	t.tellAttempts(t.fault.Kind.Status())
	t.started = true
	h := t.sink.Header()
	if t.fault.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((t.fault.RetryAfter+time.Second-1)/time.Second), 10))
	}
	body := t.in.Format.Error(t.fault, t.in.RequestID)
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	status := t.fault.Kind.Status()
	if t.fault.Code == codeClientGone {
		status = statusClientGone
	}
	t.sink.Start(status)
	_, _ = t.sink.Write(body) // the client may be gone
}

// close is deferred: it settles what is still open and turns a panic into an
// answer, or into the end of one that has begun.
func (t *ticket) close() {
	defer t.refund() // whatever goes wrong here: no hold outlives its request
	reason := recover()
	if reason == nil {
		return
	}
	t.gateway.Log.LogAttrs(context.Background(), slog.LevelError, "panic while serving a request",
		slog.String("request_id", t.in.RequestID), slog.String("panic", fmt.Sprint(reason)), slog.String("stack", string(debug.Stack())))
	t.refuse(fault.New(fault.Internal, "internal_error", "Something went wrong on our side."))
	if t.started && t.relay != nil {
		t.relay.settle()
		t.relay.tell(t.fault)
	}
	t.answer()
}

// clientGone is for a client that has hung up. One that has only stopped sending
// may still read it, and must not take silence for an answer.
func clientGone() *fault.Error {
	return fault.Wrap(ErrClientGone, fault.Malformed, codeClientGone, "The client has closed its side of the connection; there is no more of the answer.")
}

func shuttingDown() error {
	return fault.New(fault.Unavailable, "shutting_down", "This server is shutting down; send the request again.").Retry(time.Second)
}
