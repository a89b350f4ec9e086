package gateway

import (
	"bytes"
	"cmp"
	"context"
	"net/http"
	"time"

	"halley/internal/channel"
	"halley/internal/jsonx"
	"halley/internal/price"
	"halley/internal/provider"
	"halley/internal/sse"
	"halley/internal/upstream"
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
}

// maxExcerpt bounds what is shown of an answer, in bytes.
const maxExcerpt = 1000

// TestChannel sends a real request of a few tokens through the channel, enabled
// or not, saved or not. Nothing is charged.
func (g *Gateway) TestChannel(ctx context.Context, ch *channel.Channel, model string, stream bool) (ChannelTest, error) {
	up, ok := g.Upstreams[ch.Kind]
	if !ok {
		return ChannelTest{}, noSuchKind(ch)
	}
	upstreamModel := ch.UpstreamModel(model)
	op, request := testRequest(upstreamModel, stream, g.Snapshot().priceOf(model, ch))
	body, err := jsonx.Marshal(request)
	if err != nil {
		return ChannelTest{}, err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	start := g.Now()
	failed := func(err error, secret string) (ChannelTest, error) {
		return ChannelTest{Latency: g.Now().Sub(start), Message: string(masked(ch, secret, []byte(err.Error())))}, nil
	}
	way, err := g.way(up, ch)
	if err != nil {
		return failed(err, "")
	}
	secret, err := authorize(ctx, header, up.Provider, ch, firstCredential(ch), way)
	if err != nil {
		return failed(err, "")
	}
	times := ch.Timeouts.Or(g.Timeouts)
	call, err := upstream.Do(ctx, way, upstream.Request{
		Method: http.MethodPost, URL: up.Provider.URL(ch, op, upstreamModel), Header: header, Body: body,
		Times: upstream.Timeouts{Connect: times.Connect, FirstByte: min(times.FirstByte, 30*time.Second), Idle: min(times.Idle, 30*time.Second), Total: min(times.Total, time.Minute)},
	})
	if err != nil {
		return failed(err, secret)
	}
	defer call.Close()
	result := ChannelTest{Status: call.Status, FirstByte: g.Now().Sub(start)}
	answer, err := readLimited(call, maxErrorBody)
	result.Latency = g.Now().Sub(start)
	if err != nil {
		result.Message = string(masked(ch, secret, []byte(err.Error())))
		return result, nil
	}
	// Before anything is cut: half a secret is one too many.
	result.read(masked(ch, secret, answer), stream && op == provider.Chat)
	return result, nil
}

// read judges what came back.
func (r *ChannelTest) read(answer []byte, stream bool) {
	excerpt, text := clip(string(answer), maxExcerpt), ""
	switch {
	case r.Status != http.StatusOK:
		r.Message = cmp.Or(excerpt, "The answer has no body.")
	case stream:
		var events int
		var failed bool
		switch text, events, failed = streamedText(answer); {
		case events == 0:
			r.Message = "The answer is not an event stream: " + excerpt
		case failed:
			r.Message = excerpt
		}
	default:
		scanned, isJSON := openai.ScanAnswer(answer)
		switch text = openai.AnswerText(answer); {
		case !isJSON:
			r.Message = "The answer is not a JSON object: " + excerpt
		case scanned.IsError:
			r.Message = excerpt
		}
	}
	r.OK = r.Message == "" && r.Status == http.StatusOK
	r.Answer = cmp.Or(clip(text, maxExcerpt), excerpt)
}

// streamedText is the text of a stream's events, how many have data, and whether
// one tells of an error.
func streamedText(answer []byte) (text string, events int, failed bool) {
	stream := sse.NewReader(bytes.NewReader(answer), nil, len(answer)+1)
	for stream.Fill() == nil {
		for e := stream.Buffered(); e != nil; e = stream.Buffered() {
			if data, ok := sse.Data(e); ok {
				scanned, _ := openai.ScanAnswer(data)
				events, failed = events+1, failed || scanned.IsError
				text += openai.AnswerText(data)
			}
		}
	}
	return text, events, failed
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
