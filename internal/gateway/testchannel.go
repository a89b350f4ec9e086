package gateway

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"halley/internal/channel"
	"halley/internal/exchange"
	"halley/internal/health"
	"halley/internal/jsonx"
	"halley/internal/money"
	"halley/internal/price"
	"halley/internal/provider"
	"halley/internal/sse"
	"halley/internal/translate"
	"halley/internal/upstream"
	"halley/internal/wire"
	"halley/internal/wire/openai"
)

// ChannelTest is what a test request to a channel brought back. Its texts hold
// no secret of the channel.
type ChannelTest struct {
	OK        bool
	Status    int // the upstream's, 0 when it gave none
	Latency   time.Duration
	FirstByte time.Duration
	Message   string // what is wrong, in the upstream's words where it has some; else empty
	Answer    string // the start of what came back: the model's text, else the body

	cost money.Nano // by what the upstream says that it has used; 0 for streams
}

// maxExcerpt bounds what is shown of an answer, in bytes.
const maxExcerpt = 1000

// TestChannel sends a real request of a few tokens through the channel, enabled
// or not, saved or not. Nothing is charged.
func (g *Gateway) TestChannel(ctx context.Context, ch *channel.Channel, model string, stream bool) (ChannelTest, error) {
	test, _, err := g.tryOut(ctx, ch, firstCredential(ch), model, stream)
	return test, err
}

// tryOut is TestChannel with one of the upstream keys, nil for none; it also
// says what the answer means for the upstream's health.
func (g *Gateway) tryOut(ctx context.Context, ch *channel.Channel, own *channel.Credential, model string, stream bool) (ChannelTest, health.Outcome, error) {
	up, ok := g.Upstreams[ch.Kind]
	if !ok {
		return ChannelTest{}, health.Outcome{}, noSuchKind(ch)
	}
	upstreamModel := ch.UpstreamModel(model)
	ours, request := testRequest(upstreamModel, stream, g.Snapshot().priceOf(model, ch))
	x, op, body, err := g.testExchange(ours, request, ch, up.Provider)
	if err != nil {
		return ChannelTest{}, health.Outcome{}, err
	}
	where := provider.Call{Operation: op, Model: upstreamModel, Stream: stream}
	header := http.Header{"Content-Type": {"application/json"}}
	body = ch.Overrides.EditBody(reshape(up.Provider, x, body, header, where))
	prepare(up.Provider, header, where)
	overrideHeader(header, ch.Overrides)
	start := g.Now()
	failed := func(err error, secret string) (ChannelTest, health.Outcome, error) {
		return ChannelTest{Latency: g.Now().Sub(start), Message: string(masked(ch, secret, []byte(err.Error())))}, unprepared(err).outcome, nil
	}
	way, err := g.way(up, ch)
	if err != nil {
		return failed(err, "")
	}
	times := ch.Timeouts.Or(g.Timeouts)
	r := upstream.Request{
		Method: http.MethodPost, URL: up.Provider.URL(ch, where), Header: header, Body: body,
		Times: upstream.Timeouts{Connect: times.Connect, FirstByte: min(times.FirstByte, 30*time.Second), Idle: min(times.Idle, 30*time.Second), Total: min(times.Total, time.Minute)},
	}
	secret, err := authorize(ctx, &r, up.Provider, ch, own, way)
	if err != nil {
		return failed(err, "")
	}
	call, err := send(ctx, way, up.Provider, r, where)
	if err != nil {
		return failed(err, secret)
	}
	defer call.Close()
	result := ChannelTest{Status: call.Status, FirstByte: g.Now().Sub(start)}
	answer, err := readLimited(call, maxErrorBody)
	result.Latency = g.Now().Sub(start)
	if err != nil {
		result.Message = string(masked(ch, secret, []byte(err.Error())))
		return result, broken(err).outcome, nil
	}
	// Before anything is cut: half a secret is one too many.
	answer = masked(ch, secret, answer)
	usable := true
	if call.Status == http.StatusOK && !stream {
		result.cost = g.costOf(x, answer, model, ch)
		_, _, usable = x.Answer(answer)
	}
	if x.Translated() && call.Status == http.StatusOK {
		answer = inChat(x, answer, stream)
	}
	result.read(answer, stream && ours == provider.Chat, usable)
	// So small a request says little of how long others take.
	outcome := health.Outcome{Class: health.Success}
	switch {
	case call.Status != http.StatusOK:
		outcome = health.Outcome{Class: classOf(call.Status, answer, up.Provider), Detail: fmt.Sprintf("status %d", call.Status), RetryAfter: waitFor(call.Header, answer, up.Provider, g.Now())}
	case !result.OK:
		var refused bool
		if outcome, refused = ourFault(up.Provider, answer, "an answer that is none"); !refused {
			outcome.Class = health.Failed
		}
	}
	return result, outcome, nil
}

// costOf is what an answer to a request of ours cost by the model's price.
func (g *Gateway) costOf(x exchange.Exchange, answer []byte, model string, ch *channel.Channel) money.Nano {
	scanned, _, ok := x.Answer(answer)
	p := g.Snapshot().priceOf(model, ch)
	if !ok || !scanned.HasUsage || p == nil {
		return 0
	}
	return p.Cost(scanned.Usage, scanned.ServiceTier, money.One)
}

// testExchange puts a request of ours into the words of the channel's upstream.
func (g *Gateway) testExchange(ours provider.Operation, request map[string]any, ch *channel.Channel, prov provider.Provider) (x exchange.Exchange, op provider.Operation, body []byte, err error) {
	if body, err = jsonx.Marshal(request); err != nil {
		return nil, "", nil, err
	}
	format := openai.Format{}
	scanned, err := format.ScanRequest(body)
	if err != nil {
		return nil, "", nil, err
	}
	a := &ask{operation: ours, body: body, format: format, request: scanned, head: scanned.Facts()}
	if x, op, err = g.exchange(a, &plan{channel: ch}, prov); err != nil {
		return nil, op, nil, err
	}
	body, _, err = x.Body(wire.Changes{Model: a.head.Model}, 0)
	return x, op, body, err
}

// inChat is an answer in another dialect as one of ours; as it came where it
// cannot be read.
func inChat(x exchange.Exchange, answer []byte, stream bool) []byte {
	if !stream {
		if _, out, ok := x.Answer(answer); ok {
			return out
		}
		return answer
	}
	var out []byte
	s := x.Stream()
	events := sse.NewReader(bytes.NewReader(answer), nil, len(answer)+1)
	for {
		err := events.Fill()
		for e := events.Buffered(); e != nil; e = events.Buffered() {
			out = s.Take(out, e)
		}
		if err != nil {
			break
		}
	}
	if out = s.AppendEnd(out); len(out) == 0 {
		return answer
	}
	return out
}

// read judges what came back; usable is whether a client would get it as an
// answer.
func (r *ChannelTest) read(answer []byte, stream, usable bool) {
	excerpt, text := clip(string(answer), maxExcerpt), ""
	switch {
	case r.Status != http.StatusOK:
		r.Message = cmp.Or(clip(translate.Words(answer), maxExcerpt), "The answer has no body.")
	case stream:
		var events int
		var p wire.Progress
		switch text, events, p = streamedText(answer); {
		case events == 0:
			r.Message = "The answer is not an event stream: " + excerpt
		case p.Failed:
			r.Message = excerpt
		case !p.Done && p.Finished == 0:
			r.Message = "The stream broke off before its end: " + excerpt
		}
	default:
		scanned, isJSON := openai.ScanAnswer(answer)
		switch text = openai.AnswerText(answer); {
		case !isJSON:
			r.Message = "The answer is not a JSON object: " + excerpt
		case scanned.IsError:
			r.Message = clip(translate.Words(answer), maxExcerpt)
		case !usable:
			r.Message = "The answer is none: " + excerpt
		}
	}
	r.OK = r.Message == "" && r.Status == http.StatusOK
	r.Answer = cmp.Or(clip(text, maxExcerpt), excerpt)
}

// streamedText is the text of a stream's events, how many say something, and how
// far it came.
func streamedText(answer []byte) (text string, events int, p wire.Progress) {
	s := openai.Format{}.Stream(wire.StreamOptions{Choices: 1})
	take := func(event []byte) {
		if data, ok := sse.Data(event); ok && isObject(data) {
			events++
			text += openai.AnswerText(data)
		}
		_ = s.Take(nil, event)
	}
	stream := sse.NewReader(bytes.NewReader(answer), nil, len(answer)+1)
	for stream.Fill() == nil {
		for e := stream.Buffered(); e != nil; e = stream.Buffered() {
			take(e)
		}
	}
	if s.Complete(stream.Rest()) {
		take(stream.Rest())
	}
	return text, events, *s.Progress()
}

// testRequest is the smallest useful request to the model: an embedding where
// the price says that it makes them, else a few words.
func testRequest(model string, stream bool, p *price.Price) (provider.Operation, map[string]any) {
	if p != nil && p.Mode == price.ModeEmbedding {
		return provider.Embeddings, map[string]any{"model": model, "input": "hi"}
	}
	capName := "max_tokens"
	if openai.WantsCompletionTokens(model) {
		capName = "max_completion_tokens"
	}
	return provider.Chat, map[string]any{
		"model": model, "stream": stream, capName: 16,
		"messages": []map[string]string{{"role": "user", "content": "Say hi."}},
	}
}
