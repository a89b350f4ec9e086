package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"halley/internal/fault"
	"halley/internal/provider"
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
)

// attempt sends the request to the plan's channel and brings back its answer.
func (g *Gateway) attempt(ctx context.Context, t *ticket, a *ask, p *plan) error {
	if ctx.Err() != nil { // there is nobody to ask for
		return context.Cause(ctx)
	}
	t.record.Attempts = 1
	up, ok := g.Upstreams[p.channel.Kind]
	if !ok {
		return fault.New(fault.Unavailable, "no_channel_available", "No channel for the model %q is available right now.", a.head.Model)
	}
	tether := g.tether(ctx, p.channel)
	defer tether.release()
	call, err := upstream.Do(tether.ctx, up.Transport, g.upstreamRequest(t, a, p, up.Provider))
	if err != nil {
		return failed(err)
	}
	defer call.Close()
	switch {
	case call.Status >= 400:
		return t.forwardError(ctx, call, up.Provider)
	case call.Status != http.StatusOK:
		return badGateway(fmt.Errorf("the upstream answered with the status %d", call.Status))
	case a.head.Stream && isEventStream(call.Header):
		return t.stream(ctx, tether, call, a)
	}
	return t.forwardPlain(ctx, call, a)
}

func (g *Gateway) upstreamRequest(t *ticket, a *ask, p *plan, prov provider.Provider) upstream.Request {
	ch := p.channel
	edits := a.head.Edits(openai.Changes{
		Model:         ch.UpstreamModel(a.head.Model),
		IncludeUsage:  a.head.Stream,
		OutputCap:     t.cap,
		CompletionCap: openai.WantsCompletionTokens(ch.UpstreamModel(a.head.Model)),
	})
	body := a.body
	if len(edits) > 0 {
		body = wire.Apply(make([]byte, 0, len(body)+128), body, edits)
	}
	header := forwardedHeader(t.in.Header)
	if len(ch.Credentials) > 0 {
		name, value := prov.Authorize(ch.Credentials[0].Value)
		header.Set(name, value)
		t.secret = ch.Credentials[0].Value
	}
	times := ch.Timeouts.Or(g.Timeouts)
	return upstream.Request{
		Method: http.MethodPost, URL: prov.URL(ch, a.operation), Header: header, Body: body,
		Times: upstream.Timeouts{Connect: times.Connect, FirstByte: times.FirstByte, Idle: times.Idle, Total: times.Total},
	}
}

// failed explains a call that gave no usable answer before anything was sent.
func failed(err error) error {
	if upstream.IsTimeout(err) {
		return fault.Wrap(err, fault.GatewayTimeout, "upstream_error", "The upstream took too long to answer.")
	}
	return badGateway(err)
}

func badGateway(err error) error {
	return fault.Wrap(err, fault.BadGateway, "upstream_error", "The upstream could not answer the request.")
}

// forwardError brings an upstream's error answer back unmodified, unless it is
// about our own credential.
func (t *ticket) forwardError(ctx context.Context, call *upstream.Call, prov provider.Provider) error {
	body, err := readLimited(call, maxErrorBody)
	if err != nil {
		return failed(err)
	}
	if left(ctx) {
		return clientGone()
	}
	body = t.masked(body)
	if prov.Classify(call.Status, body) == provider.OfCredential {
		return badGateway(fmt.Errorf("the upstream refused our credential or balance: status %d: %s", call.Status, clip(string(body), 1000)))
	}
	t.record.ErrorCode = "upstream_error"
	t.record.Status = call.Status
	t.refund()
	t.writeWhole(call.Header, body)
	return nil
}

// forwardPlain brings back an answer that is one JSON body.
func (t *ticket) forwardPlain(ctx context.Context, call *upstream.Call, a *ask) error {
	body, err := readLimited(call, maxAnswer)
	if err != nil {
		return failed(err)
	}
	body = t.masked(body)
	answer, ok := openai.ScanAnswer(body)
	switch {
	case len(body) == 0:
		return badGateway(errors.New("the upstream answered 200 with an empty body"))
	case !ok:
		return badGateway(fmt.Errorf("the upstream answered 200 with something that is not JSON: %s", clip(string(body), 200)))
	case answer.IsError:
		return badGateway(fmt.Errorf("the upstream answered 200 with an error: %s", clip(string(body), 1000)))
	}
	if answer.ServiceTier != "" {
		t.tier = answer.ServiceTier
	}
	tokens, source := answer.Usage, usage.FromProvider
	if !answer.HasUsage {
		tokens, source = estimateAnswer(a, body), usage.Estimated
	}
	if left(ctx) { // nobody gets the answer, but what it cost is known
		t.gone()
		t.settle(tokens, source)
		return clientGone()
	}
	t.record.Status = http.StatusOK
	t.settle(tokens, source)
	if name := a.head.Model; answer.ModelAt.Present() && t.record.ServedModel != name {
		body = wire.Apply(make([]byte, 0, len(body)+len(name)), body, []wire.Edit{{At: answer.ModelAt, With: openai.Quote(name)}})
	}
	t.writeWhole(call.Header, body)
	return nil
}

// estimateAnswer is for upstreams that do not say what they used.
func estimateAnswer(a *ask, body []byte) usage.Tokens {
	tokens := usage.Tokens{Prompt: promptEstimate(a)}
	if a.operation != provider.Embeddings {
		var m meter
		m.chunk(body)
		tokens.Completion = max(1, m.tokens())
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

func isEventStream(h http.Header) bool {
	kind := h.Get("Content-Type")
	if strings.HasPrefix(kind, "text/event-stream") {
		return true
	}
	media, _, err := mime.ParseMediaType(kind)
	return err == nil && media == "text/event-stream"
}
