package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"halley/internal/exchange"
	"halley/internal/fault"
	"halley/internal/health"
	"halley/internal/provider"
	"halley/internal/sse"
	"halley/internal/upstream"
	"halley/internal/usage"
	"halley/internal/wire"
	"halley/internal/wire/openai"
)

const (
	// maxAnswer bounds a plain answer, which is held whole to be metered.
	maxAnswer = 256 << 20
	// maxErrorBody bounds an upstream's error answer.
	maxErrorBody = 4 << 20
	// defaultMaxAttempts is how many attempts a request may take.
	defaultMaxAttempts = 4
	// codeUpstream is the error code of what an upstream did wrong.
	codeUpstream = "upstream_error"
)

// ending is how an attempt ended.
type ending struct {
	// err is what to tell the client; nil when it has been answered, or when what
	// the upstream said is kept for it.
	err error
	// again says that nothing has reached the client and that the failure was not
	// of its making: another upstream may still serve.
	again bool
	// lasting says that asking the same upstream once more would end the same.
	lasting bool
	outcome health.Outcome
}

// serveBy has the request served by the first upstream that can, beginning with
// the plan's. What fails before anything has reached the client is tried
// elsewhere, until the attempts or the time are used up or there is nowhere left
// to go. Then the client gets what an upstream last said to it or, where none
// said anything, why the last attempt failed.
func (g *Gateway) serveBy(ctx context.Context, t *ticket, a *ask, p *plan) error {
	t.began = g.Now()
	// A channel that is given little time must leave some for the others.
	t.ends = t.began.Add(max(p.channel.Timeouts.Total, g.Timeouts.Total))
	defer func() { // whatever ends the request: no seat outlives it
		p.unseat()
		t.next.unseat()
	}()
	if !t.sit(a, p) {
		p = t.following(ctx, a)
	}
	var last error
	for p != nil {
		if ctx.Err() != nil { // there is nobody to ask for
			return context.Cause(ctx)
		}
		up, known := g.Upstreams[p.channel.Kind]
		if !known {
			p.unseat()
			p = t.following(ctx, a)
			continue
		}
		began, ok := t.way.steps.Begin(g.Now(), &p.step)
		if !ok { // somebody else probes it
			p.unseat()
			p = t.following(ctx, a)
			continue
		}
		t.planned(p)
		t.try = began
		end := g.attempt(ctx, t, a, p, up)
		if !end.again || (end.err != nil && ctx.Err() != nil) {
			return end.err
		}
		next := t.afterwards(ctx, a, &end)
		if next == nil && t.theirs == nil {
			return end.err
		}
		t.failed(t.plan, end)
		p, last = next, end.err
	}
	switch {
	case ctx.Err() != nil: // while it waited
		return context.Cause(ctx)
	case t.theirs != nil:
		t.forward(t.theirs)
		return nil
	case last != nil:
		return last
	case t.retry > 0:
		return t.atCaps(a.head.Model)
	}
	return noChannel(a.head.Model, true) // none could be tried
}

// afterwards gives where to go after a failure, nil when that was it.
func (t *ticket) afterwards(ctx context.Context, a *ask, end *ending) *plan {
	if ctx.Err() != nil || !t.mayTryAgain() {
		return nil
	}
	if p := t.following(ctx, a); p != nil {
		return p
	}
	return t.onceMore(ctx, a, end)
}

// following gives the next place to go to, nil when there is none. The request
// has a seat there, for which it waits when there is nowhere else.
func (t *ticket) following(ctx context.Context, a *ask) *plan {
	if p := t.next; p != nil {
		t.next = nil
		return p
	}
	if p := t.seated(a); p != nil {
		return p
	}
	for {
		p := t.await(ctx, a)
		if p == nil || t.admitted(a, p) {
			return p
		}
	}
}

// seated gives the next place to go to that has a seat, nil when there is none.
func (t *ticket) seated(a *ask) *plan {
	for {
		p := t.way.next(t.gateway.Now())
		switch {
		case p == nil:
			return nil
		case !t.sit(a, p):
			if p.again { // and will be forever
				return nil
			}
		case t.admitted(a, p):
			return p
		}
	}
}

// admitted reports whether the hold covers where p goes and its group's limits
// have room for the request; else its seat is given back.
func (t *ticket) admitted(a *ask, p *plan) bool {
	if t.enterGroup(a, p) && t.raise(a, p) {
		return true
	}
	p.unseat()
	return false
}

// mayTryAgain reports whether the attempts and the time allow another attempt.
func (t *ticket) mayTryAgain() bool {
	most := cmp.Or(t.way.snap.MaxAttempts, defaultMaxAttempts)
	return t.record.Attempts < most && t.gateway.Now().Before(t.ends)
}

// canMove reports whether there is another upstream to try or to wait for, or the
// only one once more.
func (t *ticket) canMove(a *ask, o health.Outcome) bool {
	if !t.mayTryAgain() {
		return false
	}
	t.next = t.seated(a)
	return t.next != nil || len(t.full) > 0 || t.mayPersist(o)
}

// attempt sends the request to one upstream and brings back its answer.
func (g *Gateway) attempt(ctx context.Context, t *ticket, a *ask, p *plan, up Upstream) (end ending) {
	defer func() { p.seat.leave(t.used()) }() // last, when the upstream is let go
	t.tier, t.relay, t.secret = a.head.ServiceTier, nil, ""
	t.trying, t.tried = true, g.Now()
	if len(p.channel.Credentials) > 1 {
		t.way.keys = append(t.way.keys, p.step.Credential.ID)
	}
	end.outcome.Class = health.ClientGone // after a panic it says nothing
	defer func() {
		if end.again && ctx.Err() != nil { // we ended it
			end.outcome.Class = health.ClientGone
		}
		t.ended(p, end.outcome)
		g.remember(a, p, end.outcome)
	}()
	tether := g.tether(ctx, p.channel)
	defer tether.release()
	d, failure, ok := g.dispatch(tether.ctx, t, a, p, up)
	if ok || failure.outcome.Class != health.ClientFault { // what it has no words for it is not asked
		t.record.Attempts++
	}
	if !ok {
		return failure
	}
	if t.hedgeable(a) {
		r := g.hedge(ctx, tether, t, a, d)
		p = r.d.plan
		return t.answered(ctx, tether, a, r)
	}
	call, err := d.send(tether.ctx)
	return t.answered(ctx, tether, a, reply{d: d, call: call, err: err})
}

// reply is what came of a dispatch: a call whose answer has begun, or an error.
type reply struct {
	d    *dispatch
	call *upstream.Call
	err  error
}

// answered brings back what an upstream has replied.
func (t *ticket) answered(ctx context.Context, tether tether, a *ask, r reply) ending {
	t.secret = r.d.secret
	if r.err != nil {
		return broken(r.err)
	}
	call, p, x := r.call, r.d.plan, r.d.x
	defer call.Close()
	switch {
	case call.Status == http.StatusProxyAuthRequired: // an upstream has no such answer
		return unusable("status 407 of the proxy", errors.New("the channel's proxy refuses us"))
	case encoded(call.Header): // and so neither to be read nor to be masked
		return unusable("a compressed answer", fmt.Errorf("the upstream's answer has the Content-Encoding %q, which it was not asked for", call.Header.Get("Content-Encoding")))
	case call.Status >= 400:
		return t.errorAnswer(ctx, call, p, r.d.up.Provider, x)
	case call.Status != http.StatusOK:
		return unusable(fmt.Sprintf("status %d", call.Status), fmt.Errorf("the upstream answered with the status %d", call.Status))
	case a.head.Stream && streams(call):
		return t.stream(ctx, tether, call, a, p, r.d.up.Provider, x)
	case a.head.Stream && x.Translated():
		return unusable("no event stream", errors.New("the upstream did not answer with the event stream that was asked for"))
	}
	firstByte := t.gateway.Now().Sub(r.d.sent)
	end := t.plainAnswer(ctx, call, a, p, r.d.up.Provider, x)
	end.outcome.FirstByte = firstByte
	if t.hedgeable(a) && end.outcome.Class == health.Success {
		t.gateway.pacer.Took(paced(p, a), firstByte)
	}
	return end
}

func (g *Gateway) upstreamRequest(t *ticket, a *ask, p *plan, prov provider.Provider, x exchange.Exchange, where provider.Call) (r upstream.Request, err error) {
	ch := p.channel
	var maxOutput int64
	if p.price != nil {
		maxOutput = p.price.MaxOutputTokens
	}
	body, dropped, err := x.Body(wire.Changes{Model: where.Model, IncludeUsage: a.head.Stream, OutputCap: t.cap}, maxOutput)
	if err != nil {
		return r, err
	}
	t.tellDropped(dropped)
	body = ch.Overrides.EditBody(reshape(prov, x, body, t.in.Header, where))
	var header http.Header
	if x.Translated() {
		header = translatedHeader(t.in.Header)
	} else {
		header = forwardedHeader(t.in.Header)
	}
	prepare(prov, header, where)
	overrideHeader(header, ch.Overrides)
	times := ch.Timeouts.Or(g.Timeouts)
	return upstream.Request{
		Method: http.MethodPost, URL: prov.URL(ch, where), Header: header, Body: body,
		Times: upstream.Timeouts{Connect: times.Connect, FirstByte: times.FirstByte, Idle: times.Idle, Total: min(times.Total, t.ends.Sub(g.Now()))},
	}, nil
}

// served is the ending of an attempt that answered the client.
func served() ending { return ending{outcome: health.Outcome{Class: health.Success}} }

// broken is the ending of an attempt that gave no usable answer before anything
// was sent.
func broken(err error) ending {
	if upstream.IsTimeout(err) {
		f := fault.Wrap(err, fault.GatewayTimeout, codeUpstream, "The upstream took too long to answer.")
		return ending{err: f, again: true, outcome: health.Outcome{Class: health.Failed, Detail: "no answer in time"}}
	}
	detail := "the connection broke"
	if errors.Is(err, upstream.ErrConnect) {
		detail = "no connection"
	}
	return unusable(detail, err)
}

// unusable is the ending of an attempt whose answer is none.
func unusable(detail string, cause error) ending {
	return ending{err: badGateway(cause), again: true, outcome: health.Outcome{Class: health.Failed, Detail: detail}}
}

// leftAlone is the ending of an attempt whose client has gone, or whose server stops.
func leftAlone(err error) ending {
	return ending{err: err, outcome: health.Outcome{Class: health.ClientGone}}
}

func badGateway(err error) error {
	return fault.Wrap(err, fault.BadGateway, codeUpstream, "The upstream could not answer the request.")
}

// theirs is what an upstream has said that did not serve the request.
type theirs struct {
	plan   *plan
	status int
	header http.Header
	body   []byte
	secret string
}

// forward brings back what an upstream has said, as it is.
func (t *ticket) forward(e *theirs) {
	t.planned(e.plan)
	t.secret = e.secret
	t.record.Status, t.record.ErrorCode = e.status, codeUpstream
	t.refund()
	t.writeWhole(e.header, e.body)
}

// errorAnswer reads an upstream's error answer and decides whose it is. It goes
// to the client unmodified when it is about the request, and when nobody else
// can serve; never when it is about our own credential.
func (t *ticket) errorAnswer(ctx context.Context, call *upstream.Call, p *plan, prov provider.Provider, x exchange.Exchange) ending {
	body, err := readLimited(call, maxErrorBody)
	if err != nil {
		return broken(err)
	}
	if left(ctx) {
		return leftAlone(clientGone())
	}
	body = t.masked(body)
	outcome := health.Outcome{Class: classOf(call.Status, body, prov), Detail: fmt.Sprintf("status %d", call.Status)}
	if outcome.Class == health.Failed || outcome.Class == health.RateLimited {
		outcome.RetryAfter = waitFor(call.Header, body, prov, t.gateway.Now())
	}
	answer := &theirs{plan: p, status: call.Status, header: errorHeader(call.Header, x, outcome.RetryAfter), secret: t.secret, body: x.Failure(call.Status, body, t.in.RequestID)}
	switch outcome.Class {
	case health.Credential, health.Balance:
		return t.turnedAway(p, prov, outcome, body)
	case health.Failed, health.RateLimited:
		t.theirs = answer
		return ending{again: true, lasting: prov.Classify(call.Status, body) == provider.OfChannel, outcome: outcome}
	case health.Success, health.ClientFault, health.ClientGone, health.Overtaken:
	}
	t.forward(answer)
	return ending{outcome: outcome}
}

// turnedAway is the ending of an attempt whose upstream refuses our credential or
// balance. What it said of that is for the log alone.
func (t *ticket) turnedAway(p *plan, prov provider.Provider, o health.Outcome, said []byte) ending {
	if exchanger, ok := prov.(provider.Exchanger); ok && p.step.Credential != nil {
		exchanger.Refused(p.channel, p.step.Credential.Value, t.secret)
	}
	refused := fmt.Errorf("the upstream refused our credential or balance: %s: %s", o.Detail, clip(string(said), 1000))
	return ending{err: badGateway(refused), again: true, outcome: o}
}

// ourFault reports whether an error that came with the status 200 is about our
// credential or balance. It is read like one with a 400, whose words decide.
func ourFault(prov provider.Provider, said []byte, detail string) (o health.Outcome, ours bool) {
	o = health.Outcome{Class: classOf(http.StatusBadRequest, said, prov), Detail: detail}
	return o, o.Class == health.Credential || o.Class == health.Balance
}

// classOf is what an error answer says about the upstream.
func classOf(status int, body []byte, prov provider.Provider) health.Class {
	switch prov.Classify(status, body) {
	case provider.OfCredential:
		return health.Credential
	case provider.OfBalance:
		return health.Balance
	case provider.OfChannel:
		return health.Failed
	case provider.OfRequest:
	}
	switch {
	case status == http.StatusTooManyRequests:
		return health.RateLimited
	case status == http.StatusRequestTimeout, status >= 500:
		return health.Failed
	case status == http.StatusNotFound && !isObject(body): // not the API's: a wrong address
		return health.Failed
	}
	return health.ClientFault
}

func isObject(body []byte) bool {
	_, ok := openai.ScanAnswer(body)
	return ok
}

// waitFor is how long an upstream wants to be left alone, by its answer's header
// or its body; 0 when it does not say.
func waitFor(h http.Header, body []byte, prov provider.Provider, now time.Time) time.Duration {
	wait := retryAfter(h, now)
	if hinter, ok := prov.(provider.Hinter); ok && wait == 0 {
		wait = hinter.RetryAfter(body)
	}
	return wait
}

// errorHeader is the header that an error answer goes to the client with. Clients
// look there for how long to wait, not in the body.
func errorHeader(from http.Header, x exchange.Exchange, wait time.Duration) http.Header {
	h := answerHeader(from, x)
	if wait <= 0 || h.Get("Retry-After") != "" {
		return h
	}
	h = maps.Clone(h)
	h.Set("Retry-After", strconv.FormatInt(int64(math.Ceil(wait.Seconds())), 10))
	return h
}

// retryAfter is how long an upstream wants to be left alone, 0 when it does not
// say: in milliseconds, in seconds or until a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 {
		return time.Duration(min(ms, 1e9) * float64(time.Millisecond))
	}
	text := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(text, 64); err == nil {
		return time.Duration(max(0, min(s, 1e6)) * float64(time.Second))
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// plainAnswer brings back an answer that is one JSON body.
func (t *ticket) plainAnswer(ctx context.Context, call *upstream.Call, a *ask, p *plan, prov provider.Provider, x exchange.Exchange) ending {
	body, err := readLimited(call, maxAnswer)
	if err != nil {
		return broken(err)
	}
	body = t.masked(body)
	answer, out, ok := x.Answer(body)
	if !ok || answer.IsError {
		if o, ours := ourFault(prov, body, "a 200 with an error"); ours {
			return t.turnedAway(p, prov, o, body)
		}
	}
	switch {
	case len(body) == 0:
		return unusable("an empty 200", errors.New("the upstream answered 200 with an empty body"))
	case !ok:
		return unusable("a 200 that is no answer", fmt.Errorf("the upstream answered 200 with something that is no answer: %s", clip(string(body), 200)))
	case answer.IsError:
		return unusable("a 200 with an error", fmt.Errorf("the upstream answered 200 with an error: %s", clip(string(body), 1000)))
	}
	if answer.ServiceTier != "" {
		t.tier = answer.ServiceTier
	}
	tokens, source := answer.Usage, usage.FromProvider
	if a.operation.Counts() {
		tokens, source = usage.Tokens{}, usage.NoUsage
	} else if !answer.HasUsage {
		tokens, source = estimateAnswer(a, x, body), usage.Estimated
	}
	if left(ctx) { // nobody gets the answer, but what it cost is known
		t.gone()
		t.settle(tokens, source)
		end := served()
		end.err = clientGone()
		return end
	}
	t.record.Status = http.StatusOK
	t.settle(tokens, source)
	t.keep(a, p, !x.Translated(), out)
	t.writeWhole(answerHeader(call.Header, x), out)
	return served()
}

// estimateAnswer is for upstreams that do not say what they used.
func estimateAnswer(a *ask, x exchange.Exchange, body []byte) usage.Tokens {
	tokens := usage.Tokens{Prompt: promptEstimate(a)}
	if a.operation.Writes() {
		text := x.OutputText(body)
		tokens.Completion = max(1, textTokens(text.ASCII, text.Other))
	}
	return tokens
}

// writeWhole sends an answer that is settled, with the record's status.
func (t *ticket) writeWhole(from http.Header, body []byte) {
	t.copyAnswerHeader(from)
	t.sink.Header().Set("Content-Length", strconv.Itoa(len(body)))
	t.begin(t.record.Status)
	_, _ = t.sink.Write(body) // the client may be gone; everything is settled
}

func readLimited(call *upstream.Call, most int) ([]byte, error) {
	size := 4096
	if text := call.Header.Get("Content-Length"); text != "" {
		if n, err := strconv.Atoi(text); err == nil && n > 0 {
			size = min(n+1, 1<<20)
		}
	}
	body := make([]byte, 0, size)
	for {
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
		n, err := call.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if errors.Is(err, io.EOF) {
			return body, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the upstream's answer: %w", err)
		}
		if len(body) > most {
			return nil, errors.New("the upstream's answer is too large")
		}
	}
}

// streams reports whether an answer is an event stream. Some servers do not say so,
// which their clients do not mind.
func streams(call *upstream.Call) bool {
	return isEventStream(call.Header) || !strings.Contains(call.Header.Get("Content-Type"), "json") && sse.Begins(call.Peek())
}

// encoded reports whether a body is in a coding that we do not know.
func encoded(h http.Header) bool {
	coding := h.Get("Content-Encoding")
	return coding != "" && !strings.EqualFold(coding, "identity")
}

func isEventStream(h http.Header) bool {
	kind := h.Get("Content-Type")
	if strings.HasPrefix(kind, "text/event-stream") {
		return true
	}
	media, _, err := mime.ParseMediaType(kind)
	return err == nil && media == "text/event-stream"
}
