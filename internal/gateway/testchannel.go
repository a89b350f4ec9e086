package gateway

import (
	"context"
	"net/http"
	"time"

	"halley/internal/channel"
	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/price"
	"halley/internal/provider"
	"halley/internal/sse"
	"halley/internal/upstream"
	"halley/internal/wire/openai"
)

// ChannelTest is what a test request to a channel brought back.
type ChannelTest struct {
	OK        bool
	Status    int // the upstream's, 0 when it gave none
	Latency   time.Duration
	FirstByte time.Duration
	Message   string // what is wrong, or the start of the answer
}

// TestChannel sends a real request of a few tokens through the channel, enabled
// or not. Nothing is charged.
func (g *Gateway) TestChannel(ctx context.Context, ch *channel.Channel, model string, stream bool) (ChannelTest, error) {
	up, ok := g.Upstreams[ch.Kind]
	if !ok {
		return ChannelTest{}, fault.New(fault.Invalid, "invalid_kind", "There is no upstream of the kind %q.", ch.Kind).Field("kind")
	}
	op, request := testRequest(ch.UpstreamModel(model), stream, g.Snapshot().priceOf(model, ch))
	body, err := jsonx.Marshal(request)
	if err != nil {
		return ChannelTest{}, err
	}
	body = ch.Overrides.EditBody(body)
	header := http.Header{"Content-Type": {"application/json"}}
	overrideHeader(header, ch.Overrides)
	if len(ch.Credentials) > 0 {
		name, value := up.Provider.Authorize(ch.Credentials[0].Value)
		header.Set(name, value)
	}
	times := ch.Timeouts.Or(g.Timeouts)
	start := g.Now()
	call, err := upstream.Do(ctx, up.Transport, upstream.Request{
		Method: http.MethodPost, URL: up.Provider.URL(ch, op), Header: header, Body: body,
		Times: upstream.Timeouts{Connect: times.Connect, FirstByte: min(times.FirstByte, 30*time.Second), Idle: min(times.Idle, 30*time.Second), Total: min(times.Total, time.Minute)},
	})
	if err != nil {
		return ChannelTest{Latency: g.Now().Sub(start), Message: err.Error()}, nil
	}
	defer call.Close()
	result := ChannelTest{Status: call.Status, FirstByte: g.Now().Sub(start)}
	answer, err := readLimited(call, maxErrorBody)
	result.Latency = g.Now().Sub(start)
	switch {
	case err != nil:
		result.Message = err.Error()
	case call.Status != http.StatusOK:
		result.Message = clip(string(answer), 1000)
	case stream && op == provider.Chat:
		_, _, result.OK = sse.DataSpan(answer[:max(0, firstEvent(answer))])
		if !result.OK {
			result.Message = "The answer is not an event stream: " + clip(string(answer), 500)
		}
	default:
		scanned, isJSON := openai.ScanAnswer(answer)
		result.OK = isJSON && !scanned.IsError
		result.Message = clip(string(answer), 1000)
	}
	return result, nil
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

// firstEvent is the length of the first line with data.
func firstEvent(answer []byte) int {
	for i := range answer {
		if answer[i] == '\n' && i > 0 {
			if _, _, ok := sse.DataSpan(answer[:i]); ok {
				return i
			}
		}
	}
	return len(answer)
}
