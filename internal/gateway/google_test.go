package gateway_test

import (
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"halley/internal/channel"
	"halley/internal/gateway"
	"halley/internal/group"
	"halley/internal/health"
	"halley/internal/provider"
	"halley/internal/provider/cohere"
	"halley/internal/provider/gemini"
	"halley/internal/provider/token"
	"halley/internal/provider/vertex"
	"halley/internal/translate"
	"halley/internal/translate/chat"
	coheredialect "halley/internal/translate/cohere"
	embedforms "halley/internal/translate/embed"
	geminidialect "halley/internal/translate/gemini"
	"halley/internal/translate/messages"
	"halley/internal/upstream"
	"halley/internal/usage"
	"halley/internal/wire"
	"halley/internal/wire/anthropic"
	wirecohere "halley/internal/wire/cohere"
	wiregemini "halley/internal/wire/gemini"
)

// of makes the house's own channel one of that kind, at the test's upstream.
func of(kind channel.Kind) func(*house) {
	return func(h *house) {
		first(h)
		h.channel.Kind, h.channel.BaseURL = kind, h.upstream.URL
		h.channel.Vertex = channel.VertexSettings{Project: "p", Location: "us-east5"}
	}
}

// withOthers gives the gateway what speaks to upstreams of other dialects.
func withOthers(t *testing.T, h *house) *house {
	t.Helper()
	prov, err := vertex.New(token.Options{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(prov.Close)
	way := upstream.NewTransport(channel.AddressPolicy{AllowAll: true})
	h.Upstreams[channel.Vertex] = gateway.Upstream{Provider: prov, Transport: way}
	h.Upstreams[channel.Gemini] = gateway.Upstream{Provider: gemini.Provider{}, Transport: way}
	h.Upstreams[channel.Cohere] = gateway.Upstream{Provider: cohere.Provider{}, Transport: way}
	h.Codecs = map[provider.Operation]translate.Codec{
		provider.Chat: chat.Codec{}, provider.Messages: messages.Codec{}, provider.Generate: geminidialect.Codec{}, provider.CohereChat: coheredialect.Codec{},
		provider.VertexMessages: messages.Codec{Platform: messages.Vertex}, provider.VertexGenerate: geminidialect.Codec{Vertex: true},
	}
	h.EmbedClients = map[provider.Operation]embedforms.Client{
		provider.Embeddings: embedforms.OpenAI{}, provider.GeminiEmbed: embedforms.Gemini{}, provider.GeminiEmbedOne: embedforms.GeminiOne{},
	}
	h.EmbedUpstreams = map[provider.Operation]embedforms.Upstream{
		provider.GeminiEmbed: embedforms.Gemini{}, provider.CohereEmbed: embedforms.Cohere{}, provider.Embeddings: embedforms.OpenAI{},
		provider.VertexEmbed: embedforms.VertexContent{}, provider.VertexPredict: embedforms.VertexPredict{},
	}
	return h
}

// ask sends a request in a format of its own.
func (h *house) ask(t *testing.T, op provider.Operation, format wire.Format, body string, c *client) usage.Record {
	t.Helper()
	in := h.inbound(op, body, keyValue)
	in.Format = format
	c.header = http.Header{}
	h.Serve(t.Context(), in, c)
	return h.settled()
}

func TestClaudeOnVertexGetsTheBodyByteForByteButForTheModel(t *testing.T) {
	t.Parallel()
	const answer = `{"type":"message","id":"m1","model":"claude-opus-4-6","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2},"later":{"x": 1.0}}`
	h := withOthers(t, newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		const want = `{"later":{"x": 1.0}, "messages":[{"role":"user","content":"hi"}],"max_tokens":5,"anthropic_version":"vertex-2023-10-16"}`
		if string(body) != want || r.URL.Path != "/v1/projects/p/locations/us-east5/publishers/anthropic/models/claude-opus-4-6:rawPredict" {
			t.Errorf("%s %s", r.URL, body)
		}
		if r.Header.Get("X-Goog-Api-Key") != "upstream-secret" || r.Header["Authorization"] != nil || r.Header["Anthropic-Version"] != nil {
			t.Errorf("header %v", r.Header)
		}
		answers(200, "application/json", answer)(w, r)
	}, of(channel.Vertex), func(h *house) { h.channel.ModelMapping = mapping(t, "m", "claude-opus-4-6") }))
	var c client
	r := h.ask(t, provider.Messages, anthropic.Messages{}, `{"later":{"x": 1.0},"model":"m", "messages":[{"role":"user","content":"hi"}],"max_tokens":5}`, &c)
	if want := strings.Replace(answer, "claude-opus-4-6", "m", 1); c.status != 200 || c.body.String() != want {
		t.Errorf("client got %d %s", c.status, c.body.String())
	}
	if r.Tokens.Prompt != 3 || r.Tokens.Completion != 2 || r.Tokens == (usage.Tokens{}) || r.ServedModel != "claude-opus-4-6" {
		t.Errorf("record %+v", r)
	}
}

func TestAChatClientReachesClaudeAndGeminiOnVertex(t *testing.T) {
	t.Parallel()
	for model, row := range map[string]struct{ path, inBody, answer string }{
		"claude-opus-4-6": {
			"/publishers/anthropic/models/claude-opus-4-6:rawPredict", `"anthropic_version":"vertex-2023-10-16"`,
			`{"type":"message","id":"m1","model":"x","content":[{"type":"text","text":"hi there"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}`,
		},
		"gemini-2.5-pro": {
			"/publishers/google/models/gemini-2.5-pro:generateContent", `"contents":[{"role":"user"`,
			`{"candidates":[{"content":{"role":"model","parts":[{"text":"hi there"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2}}`,
		},
	} {
		h := withOthers(t, newHouse(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if r.URL.Path != "/v1/projects/p/locations/us-east5"+row.path || !strings.Contains(string(body), row.inBody) || strings.Contains(string(body), `"model"`) {
				t.Errorf("%s %s", r.URL, body)
			}
			answers(200, "application/json", row.answer)(w, r)
		}, of(channel.Vertex), func(h *house) { h.channel.ModelMapping = mapping(t, "m", model) }))
		var c client
		if h.do(t.Context(), `{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":9}`, &c); c.status != 200 || !strings.Contains(c.body.String(), `"content":"hi there"`) {
			t.Errorf("%s: client got %d %s", model, c.status, c.body.String())
		}
		if r := h.settled(); r.Tokens.Prompt != 3 || r.Tokens.Completion != 2 {
			t.Errorf("%s: record %+v", model, r)
		}
	}
}

// tooFast is a recorded answer.
const tooFast = `{"error":{"code":429,"message":"You exceeded your current quota.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.4s"}]}}`

func TestGooglesWaitIsKeptAndToldToTheClient(t *testing.T) {
	t.Parallel()
	h := withOthers(t, newHouse(t, answers(429, "application/json", tooFast), of(channel.Gemini), tracked(t)))
	var c client
	before := time.Now()
	h.do(t.Context(), `{"model":"m","messages":[{"role":"user","content":"hi"}]}`, &c)
	if c.status != 429 || c.header.Get("Retry-After") != "35" || !strings.Contains(c.body.String(), `"message":"You exceeded your current quota."`) {
		t.Errorf("client got %d, Retry-After %q: %s", c.status, c.header.Get("Retry-After"), c.body.String())
	}
	for _, target := range h.health.Channel(time.Now(), h.channel.ID).Targets {
		if wait := target.Until.Sub(before); target.Model == "m" && (target.State != health.CoolingDown || wait < 34*time.Second || wait > 40*time.Second) {
			t.Errorf("health is %+v", target)
		}
	}
}

func TestEmbeddingsAreHadInTheFormOfTheUpstream(t *testing.T) {
	t.Parallel()
	for kind, row := range map[channel.Kind]struct {
		path, body, answer string
		prompt             int64
		source             usage.Source
	}{
		channel.Gemini: {
			"/v1beta/models/m:batchEmbedContents", `{"requests":[{"model":"models/m","content":{"parts":[{"text":"hi"}]}}]}`,
			`{"embeddings":[{"values":[0.5,-1]}],"usageMetadata":{"promptTokenCount":7}}`, 7, usage.FromProvider,
		},
		channel.Cohere: {
			"/v2/embed", `{"model":"m","input_type":"search_document","texts":["hi"],"embedding_types":["float"]}`,
			`{"embeddings":{"float":[[0.5,-1]]},"meta":{}}`, 15, usage.Estimated,
		},
	} {
		h := withOthers(t, newHouse(t, func(w http.ResponseWriter, r *http.Request) {
			if body, _ := io.ReadAll(r.Body); r.URL.Path != row.path || string(body) != row.body {
				t.Errorf("%s: %s %s", kind, r.URL, body)
			}
			answers(200, "application/json", row.answer)(w, r)
		}, of(kind)))
		var c client
		const ask = `{"model":"m","input":"hi","encoding_format":"float","user":"u","stream":true}`
		h.call(t.Context(), provider.Embeddings, ask, &c, keyValue)
		if c.status != 200 || !strings.HasPrefix(c.body.String(), `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-1]}],"model":"m"`) || c.header.Get("X-Halley-Dropped") != "user, stream" {
			t.Errorf("%s: client got %d %v %s", kind, c.status, c.header, c.body.String())
		}
		if r := h.settled(); r.Source != row.source || r.Tokens.Completion != 0 || (row.source == usage.FromProvider && r.Tokens.Prompt != row.prompt) || r.Tokens.Prompt == 0 {
			t.Errorf("%s: record %+v", kind, r)
		}
	}
}

func TestGooglesClientsHaveEmbeddingsOfEveryUpstream(t *testing.T) {
	t.Parallel()
	const (
		one   = `{"content": {"parts":[{"text":"hi"}]}, "model":"models/m","taskType":"RETRIEVAL_QUERY"}`
		batch = `{"requests": [{"model":"models/m","content":{"parts":[{"text":"hi"}]},"taskType":"RETRIEVAL_QUERY"}]}`
		two   = `"usageMetadata":{"promptTokenCount":7}`
	)
	project := "/v1/projects/p/locations/us-east5/publishers/google/models/"
	for name, row := range map[string]struct {
		kind               channel.Kind
		model              string
		batch              bool
		path, body, answer string
		want, dropped      string
		estimated          bool
	}{
		"Gemini": {
			kind: channel.Gemini, model: "m", path: "/v1beta/models/m:embedContent", body: one,
			answer: `{"embedding": {"values":[0.5]},"later":1,` + two + `}`, want: `{"embedding": {"values":[0.5]},"later":1,` + two + `}`,
		},
		"Gemini, renamed": {
			kind: channel.Gemini, model: "g", batch: true, path: "/v1beta/models/g:batchEmbedContents", body: strings.Replace(batch, "models/m", "models/g", 1),
			answer: `{"embeddings":[{"values":[0.5]}]}`, want: `{"embeddings":[{"values":[0.5]}]}`, estimated: true,
		},
		"Vertex, which has it": {
			kind: channel.Vertex, model: "gemini-embedding-2", path: project + "gemini-embedding-2:embedContent",
			body: `{"content": {"parts":[{"text":"hi"}]},"taskType":"RETRIEVAL_QUERY"}`, answer: `{"embedding":{"values":[0.5]},` + two + `}`, want: `{"embedding":{"values":[0.5]},` + two + `}`,
		},
		"Vertex, which predicts": {
			kind: channel.Vertex, model: "text-embedding-005", batch: true, path: project + "text-embedding-005:predict", body: `{"instances":[{"content":"hi","task_type":"RETRIEVAL_QUERY"}]}`,
			answer: `{"predictions":[{"embeddings":{"values":[0.5],"statistics":{"token_count":7}}}]}`, want: `{"embeddings":[{"values":[0.5]}],` + two + `}`,
		},
		"Cohere": {
			kind: channel.Cohere, model: "m", path: "/v2/embed", body: `{"model":"m","input_type":"search_query","texts":["hi"],"embedding_types":["float"]}`,
			answer: `{"embeddings":{"float":[[0.5]]},"meta":{"billed_units":{"input_tokens":7}}}`, want: `{"embedding":{"values":[0.5]},` + two + `}`,
		},
		"OpenAI": {
			kind: channel.OpenAI, model: "m", batch: true, path: "/embeddings", body: `{"model":"m","input":["hi"]}`,
			answer: `{"object":"list","data":[{"index":0,"embedding":[0.5]}],"usage":{"prompt_tokens":7,"total_tokens":7}}`, want: `{"embeddings":[{"values":[0.5]}],` + two + `}`, dropped: "requests.taskType",
		},
	} {
		h := withOthers(t, newHouse(t, func(w http.ResponseWriter, r *http.Request) {
			if body, _ := io.ReadAll(r.Body); r.URL.Path != row.path || string(body) != row.body {
				t.Errorf("%s: %s %s", name, r.URL, body)
			}
			answers(200, "application/json", row.answer)(w, r)
		}, of(row.kind), func(h *house) { h.channel.ModelMapping = mapping(t, "m", row.model) }))
		var c client
		op, format, ask := provider.GeminiEmbedOne, wiregemini.Embed{Generate: wiregemini.Generate{Model: "m"}}, one
		if row.batch {
			op, ask, format.Batch = provider.GeminiEmbed, batch, true
		}
		r := h.ask(t, op, format, ask, &c)
		if c.status != 200 || c.body.String() != row.want || c.header.Get("X-Halley-Dropped") != row.dropped {
			t.Errorf("%s: client got %d %v %s", name, c.status, c.header, c.body.String())
		}
		if r.Endpoint != "embeddings" || r.Tokens.Completion != 0 || (r.Source == usage.Estimated) != row.estimated || !row.estimated && r.Tokens.Prompt != 7 || r.Tokens.Prompt == 0 {
			t.Errorf("%s: record %+v", name, r)
		}
	}
	h := withOthers(t, newHouse(t, answers(400, "application/json", `{"error":{"message":"no such size","type":"invalid_request_error"}}`), of(channel.OpenAI)))
	var c client
	if h.ask(t, provider.GeminiEmbed, wiregemini.Embed{Generate: wiregemini.Generate{Model: "m"}, Batch: true}, batch, &c); c.status != 400 || !strings.HasPrefix(c.body.String(), `{"error":{"code":400,"message":"no such size`) {
		t.Errorf("client got %d %s", c.status, c.body.String())
	}
}

func TestAnEmbeddingThatAnUpstreamCannotMakeIsHadElsewhere(t *testing.T) {
	t.Parallel()
	unasked := func(http.ResponseWriter, *http.Request) { t.Error("the upstream was asked") }
	var asked calls
	h := withOthers(t, newHouse(t, unasked, of(channel.Cohere), asked.channel(t, 9, answers(200, "application/json", vectors), group.Default), tracked(t)))
	var c client
	h.call(t.Context(), provider.Embeddings, `{"model":"m","input":[1,2,3]}`, &c, keyValue)
	if c.status != 200 || !slices.Equal(h.outcomes, []health.Class{health.ClientFault, health.Success}) {
		t.Errorf("client got %d %s after %v", c.status, c.body.String(), h.outcomes)
	}
}

func TestRerankingGoesThroughAsItIs(t *testing.T) {
	t.Parallel()
	const ask = `{"model":"m","query":"q","documents":["a",{"text":"b"}],"top_n": 1}`
	for kind, row := range map[channel.Kind]struct {
		path, answer string
		prompt       int64
	}{
		channel.Cohere: {"/v2/rerank", `{"id":"x","results":[{"index":1,"relevance_score":0.9}],"meta":{"billed_units":{"search_units":1}}}`, 0},
		channel.OpenAI: {"/rerank", `{"model":"m","results":[{"index":1,"relevance_score":0.9}],"usage":{"total_tokens":12}}`, 12},
	} {
		h := withOthers(t, newHouse(t, func(w http.ResponseWriter, r *http.Request) {
			if body, _ := io.ReadAll(r.Body); r.URL.Path != row.path || string(body) != ask {
				t.Errorf("%s: %s %s", kind, r.URL, body)
			}
			answers(200, "application/json", row.answer)(w, r)
		}, of(kind)))
		var c client
		r := h.ask(t, provider.Rerank, wirecohere.Rerank{}, ask, &c)
		if c.status != 200 || c.body.String() != row.answer {
			t.Errorf("%s: client got %d %s", kind, c.status, c.body.String())
		}
		if r.Endpoint != "rerank" || r.Tokens.Prompt != row.prompt || r.Tokens.Completion != 0 || r.Source != usage.FromProvider {
			t.Errorf("%s: record %+v", kind, r)
		}
	}
	h := withOthers(t, newHouse(t, func(http.ResponseWriter, *http.Request) { t.Error("asked") }, of(channel.Gemini)))
	var c client
	if h.ask(t, provider.Rerank, wirecohere.Rerank{}, ask, &c); c.status != 400 || !strings.Contains(c.body.String(), `"unsupported_operation"`) {
		t.Errorf("of a kind without it: %d %s", c.status, c.body.String())
	}
}
