package gateway_test

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"halley/internal/channel"
	"halley/internal/gateway"
	"halley/internal/group"
	"halley/internal/health"
	"halley/internal/provider"
	"halley/internal/provider/bedrock"
	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/internal/translate/converse"
	"halley/internal/translate/messages"
	"halley/internal/upstream"
	"halley/internal/wire/anthropic"
	"halley/test/fakeprovider"
)

var awsKey = aws.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG"}

// atBedrock is a house whose own channel is one of the kind bedrock. Its upstream
// takes what is signed with awsKey only.
func atBedrock(t *testing.T, model string, serve func(w http.ResponseWriter, r *http.Request, body string), changes ...func(*house)) *house {
	t.Helper()
	verified := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := fakeprovider.CheckSignature(r, body, awsKey, "bedrock", "us-east-1"); err != nil {
			t.Errorf("%s: %v", r.RequestURI, err)
			w.WriteHeader(http.StatusForbidden)
			return
		}
		serve(w, r, string(body))
	}
	prov, err := bedrock.New(bedrock.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, verified, append([]func(*house){func(h *house) {
		first(h)
		h.channel.Kind, h.channel.BaseURL, h.channel.AWS.Region = channel.Bedrock, h.upstream.URL, "us-east-1"
		h.channel.ModelMapping = mapping(t, "m", model)
		h.channel.Credentials = []channel.Credential{{ID: "a", Value: awsKey.AccessKeyID + ":" + awsKey.SecretAccessKey}}
	}}, changes...)...)
	h.Upstreams[channel.Bedrock] = gateway.Upstream{Provider: prov, Transport: upstream.NewTransport(channel.AddressPolicy{AllowAll: true})}
	h.Codecs = map[provider.Operation]translate.Codec{
		provider.Chat: chat.Codec{}, provider.Messages: messages.Codec{}, provider.Converse: converse.Codec{},
		provider.BedrockMessages: messages.Codec{Platform: messages.Bedrock},
	}
	return h
}

// eventStream sends frames, one by one.
func eventStream(w http.ResponseWriter, frames ...[]byte) {
	w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
	for _, f := range frames {
		_, _ = w.Write(f)
		w.(http.Flusher).Flush()
	}
}

// asMessages asks in Anthropic's dialect.
func (h *house) asMessages(ctx context.Context, body string, c *client) {
	c.header = http.Header{}
	h.Serve(ctx, &gateway.Inbound{
		RequestID: "req-1", Start: time.Now(), Credentials: []string{keyValue}, IP: netip.MustParseAddr("192.0.2.1"), Format: anthropic.Messages{}, Operation: provider.Messages,
		Header:   http.Header{"Content-Type": {"application/json"}, "Anthropic-Version": {"2023-06-01"}, "Anthropic-Beta": {"context-1m-2025-08-07,not-for-bedrock"}},
		ReadBody: func() ([]byte, error) { return []byte(body), nil },
	}, c)
}

const claudeModel = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"

func TestAChatClientIsServedByConverse(t *testing.T) {
	t.Parallel()
	h := atBedrock(t, claudeModel, func(w http.ResponseWriter, r *http.Request, body string) {
		if r.RequestURI != "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse" || !strings.Contains(body, `"messages":[{"role":"user","content":[{"text":"Hi"}]}]`) {
			t.Errorf("%s %s", r.RequestURI, body)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"metrics":{"latencyMs":5},"output":{"message":{"role":"assistant","content":[{"text":"Hello!"}]}},"stopReason":"end_turn","usage":{"inputTokens":8,"outputTokens":3,"totalTokens":111,"cacheReadInputTokens":100}}`)
	})
	var c client
	h.do(t.Context(), `{"model":"m","messages":[{"role":"user","content":"Hi"}]}`, &c)
	for _, want := range []string{`"model":"m"`, `"content":"Hello!"`, `"prompt_tokens":108`, `"cached_tokens":100`} {
		if !strings.Contains(c.body.String(), want) {
			t.Errorf("%s is missing in %d %s", want, c.status, c.body.String())
		}
	}
	if r := h.settled(); r.Tokens.Prompt != 108 || r.Tokens.CachedRead != 100 || r.Tokens.Completion != 3 || r.ServedModel != claudeModel {
		t.Errorf("record = %+v", r)
	}
}

// converseFrames are a short streamed answer.
func converseFrames() [][]byte {
	return [][]byte{
		fakeprovider.EventFrame("messageStart", `{"p":"abc","role":"assistant"}`),
		fakeprovider.EventFrame("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"Hel"},"p":"ab"}`),
		fakeprovider.EventFrame("contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"lo"},"p":"abcdef"}`),
		fakeprovider.EventFrame("contentBlockStop", `{"contentBlockIndex":0,"p":"a"}`),
		fakeprovider.EventFrame("messageStop", `{"p":"ab","stopReason":"end_turn"}`),
		fakeprovider.EventFrame("metadata", `{"metrics":{"latencyMs":5},"p":"a","usage":{"inputTokens":8,"outputTokens":2,"totalTokens":10}}`),
	}
}

func TestAStreamOfConverseReachesAChatClient(t *testing.T) {
	t.Parallel()
	h := atBedrock(t, claudeModel, func(w http.ResponseWriter, r *http.Request, _ string) {
		if !strings.HasSuffix(r.RequestURI, "/converse-stream") || r.Header.Get("Accept") != "application/vnd.amazon.eventstream" {
			t.Errorf("%s %v", r.RequestURI, r.Header)
		}
		eventStream(w, converseFrames()...)
	})
	var c client
	h.do(t.Context(), `{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}`, &c)
	out := c.body.String()
	for _, want := range []string{`"content":"Hel"`, `"content":"lo"`, `"finish_reason":"stop"`, "data: [DONE]\n\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is missing in %d %s", want, c.status, out)
		}
	}
	if kind := c.header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		t.Errorf("the answer is %s", kind)
	}
	if r := h.settled(); r.Tokens.Prompt != 8 || r.Tokens.Completion != 2 || r.Status != 200 {
		t.Errorf("record = %+v", r)
	}
}

// chunks are events of Anthropic's as InvokeModelWithResponseStream frames them.
func chunks(events ...string) (frames [][]byte) {
	for _, e := range events {
		frames = append(frames, fakeprovider.EventFrame("chunk", `{"bytes":"`+base64.StdEncoding.EncodeToString([]byte(e))+`","p":"abcd"}`))
	}
	return frames
}

func TestAMessagesClientGetsClaudesOwnEvents(t *testing.T) {
	t.Parallel()
	events := []string{
		`{"type":"message_start","message":{"id":"msg_bdrk_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[],"usage":{"input_tokens":8,"output_tokens":1}}}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}`,
		`{"type":"content_block_stop","index":0}`,
		`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}`,
		`{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":8,"outputTokenCount":2}}`,
	}
	h := atBedrock(t, claudeModel, func(w http.ResponseWriter, r *http.Request, body string) {
		if !strings.HasSuffix(r.RequestURI, "/invoke-with-response-stream") || r.Header["Anthropic-Version"] != nil || r.Header["Anthropic-Beta"] != nil {
			t.Errorf("%s %v", r.RequestURI, r.Header)
		}
		const want = `{"max_tokens":9,"unknown":{"model":1},"messages":[],"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["context-1m-2025-08-07"]}`
		if body != want {
			t.Errorf("body %s, want %s", body, want)
		}
		eventStream(w, chunks(events...)...)
	})
	var c client
	h.asMessages(t.Context(), `{"model":"m","max_tokens":9,"stream":true,"unknown":{"model":1},"messages":[]}`, &c)
	var want strings.Builder
	for i, name := range []string{"message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"} {
		want.WriteString("event: " + name + "\ndata: " + strings.Replace(events[i], `"model":"claude-sonnet-4-5"`, `"model":"m"`, 1) + "\n\n")
	}
	if c.status != 200 || c.body.String() != want.String() {
		t.Errorf("client got %d %s, want %s", c.status, c.body.String(), want.String())
	}
	if r := h.settled(); r.Tokens.Prompt != 8 || r.Tokens.Completion != 2 {
		t.Errorf("record = %+v", r)
	}
}

func TestAmazonsErrorsAreToldInTheClientsDialect(t *testing.T) {
	t.Parallel()
	const wording = "This model doesn't support the video content block that you provided."
	h := atBedrock(t, claudeModel, func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("X-Amzn-Errortype", "ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/")
		answers(400, "application/json", `{"message":"`+wording+`"}`)(w, nil)
	})
	var c client
	h.asMessages(t.Context(), `{"model":"m","max_tokens":9,"messages":[]}`, &c)
	if want := `{"type":"error","error":{"type":"invalid_request_error","message":"` + wording + `"}`; c.status != 400 || !strings.HasPrefix(c.body.String(), strings.TrimSuffix(want, "}")) {
		t.Errorf("a Messages client got %d %s", c.status, c.body.String())
	}
	c = client{}
	h.do(t.Context(), `{"model":"m","messages":[{"role":"user","content":"Hi"}]}`, &c)
	if c.status != 400 || !strings.Contains(c.body.String(), `"message":"`+wording) || !strings.Contains(c.body.String(), `"type":"invalid_request_error"`) {
		t.Errorf("a chat client got %d %s", c.status, c.body.String())
	}
}

func TestAThrottledModelIsHadElsewhere(t *testing.T) {
	t.Parallel()
	throttled := fakeprovider.ExceptionFrame("throttlingException", `{"message":"Too many tokens, please wait before trying again."}`)
	for name, serve := range map[string]func(w http.ResponseWriter, r *http.Request, body string){
		"at once": func(w http.ResponseWriter, _ *http.Request, _ string) {
			answers(429, "application/json", `{"message":"Too many requests"}`)(w, nil)
		},
		"as the first event": func(w http.ResponseWriter, _ *http.Request, _ string) { eventStream(w, throttled) },
		"a spoilt frame": func(w http.ResponseWriter, _ *http.Request, _ string) {
			eventStream(w, []byte("<html>not a frame at all</html>"))
		},
		"half a frame": func(w http.ResponseWriter, _ *http.Request, _ string) { eventStream(w, converseFrames()[0][:20]) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked calls
			good := func(w http.ResponseWriter, _ *http.Request) { streams(w, chunk("a"), lastChunk, usageChunk, done) }
			h := atBedrock(t, claudeModel, serve, asked.channel(t, 9, good, group.Default), tracked(t))
			var c client
			h.do(t.Context(), `{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}`, &c)
			if c.status != 200 || !strings.Contains(c.body.String(), `"content":"a"`) {
				t.Errorf("client got %d %s", c.status, c.body.String())
			}
			if r := h.settled(); r.Attempts != 2 || r.ChannelID != 9 {
				t.Errorf("record = %+v", r)
			}
		})
	}
}

func TestAStreamOfAmazonsThatBreaksOffIsNoSuccess(t *testing.T) {
	t.Parallel()
	frames := converseFrames()
	spoilt := slices.Clone(frames[2])
	spoilt[len(spoilt)-1] ^= 1
	for name, sent := range map[string][][]byte{
		"between frames":    frames[:3],
		"in a frame":        {frames[0], frames[1], frames[2][:30]},
		"a checksum":        {frames[0], frames[1], spoilt},
		"with an exception": {frames[0], frames[1], fakeprovider.ExceptionFrame("modelStreamErrorException", `{"message":"It broke."}`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := atBedrock(t, claudeModel, func(w http.ResponseWriter, _ *http.Request, _ string) { eventStream(w, sent...) })
			var c client
			h.do(t.Context(), `{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}`, &c)
			if out := c.body.String(); !strings.Contains(out, `"content":"Hel"`) || !strings.Contains(out, `"error":{`) || strings.Contains(out, `"finish_reason":"stop"`) {
				t.Errorf("client got %d %s", c.status, out)
			}
			if r := h.settled(); r.ErrorCode != "upstream_error" {
				t.Errorf("record = %+v", r)
			}
		})
	}
}

func TestAKeyThatAmazonRefusesIsNotTheClientsFault(t *testing.T) {
	t.Parallel()
	h := atBedrock(t, claudeModel, func(w http.ResponseWriter, _ *http.Request, _ string) {
		answers(403, "application/json", `{"message":"The security token included in the request is invalid: `+awsKey.SecretAccessKey+`"}`)(w, nil)
	}, tracked(t))
	var c client
	h.do(t.Context(), `{"model":"m","messages":[{"role":"user","content":"Hi"}]}`, &c)
	if c.status != 502 || strings.Contains(c.body.String(), "security token") || !slices.Equal(h.outcomes, []health.Class{health.Credential}) {
		t.Errorf("client got %d %s after %v", c.status, c.body.String(), h.outcomes)
	}
}

func TestChannelsToBedrockAreTestedAndLooked(t *testing.T) {
	t.Parallel()
	h := atBedrock(t, claudeModel, func(w http.ResponseWriter, r *http.Request, _ string) {
		switch {
		case r.URL.Path == "/foundation-models":
			_, _ = io.WriteString(w, `{"modelSummaries":[{"modelId":"b.m"},{"modelId":"a.m","modelName":"A"}]}`)
		case strings.HasSuffix(r.URL.Path, "/converse-stream"):
			eventStream(w, converseFrames()...)
		default:
			_, _ = io.WriteString(w, `{"output":{"message":{"role":"assistant","content":[{"text":"hi"}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2}}`)
		}
	})
	for _, stream := range []bool{false, true} {
		test, err := h.TestChannel(t.Context(), h.channel, "m", stream)
		if err != nil || !test.OK {
			t.Errorf("streamed %v: %+v, %v", stream, test, err)
		}
	}
	if names, err := h.UpstreamModels(t.Context(), h.channel); err != nil || !slices.Equal(names, []string{"a.m", "b.m"}) {
		t.Errorf("models %v, %v", names, err)
	}
}
