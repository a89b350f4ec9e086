package gateway_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"halley/internal/channel"
	"halley/internal/gateway"
	"halley/internal/group"
	"halley/internal/health"
	"halley/internal/provider"
	"halley/internal/provider/anthropic"
	"halley/internal/translate"
	"halley/internal/translate/responses"
	"halley/internal/upstream"
	"halley/internal/usage"
	wireanthropic "halley/internal/wire/anthropic"
	wireopenai "halley/internal/wire/openai"
)

const claudeAnswer = `{"type":"message","id":"m1","model":"m","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}`

// claude is an upstream that speaks Messages, and what it was sent.
type claude struct {
	mu     sync.Mutex
	bodies []string
	paths  []string
}

func (u *claude) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	u.mu.Lock()
	u.bodies, u.paths = append(u.bodies, string(body)), append(u.paths, r.URL.Path)
	u.mu.Unlock()
	answer := claudeAnswer
	if strings.HasSuffix(r.URL.Path, "/count_tokens") {
		answer = `{"input_tokens":7}`
	}
	answers(200, "application/json", answer)(w, r)
}

// dialects is a house whose own channel speaks Chat, with u as another behind it
// when it is not nil.
func dialects(t *testing.T, chat http.HandlerFunc, u *claude, changes ...func(*house)) *house {
	t.Helper()
	changes = append(changes, first)
	if u != nil {
		server := httptest.NewServer(http.HandlerFunc(u.serve))
		t.Cleanup(server.Close)
		changes = append(changes, func(h *house) {
			h.more = append(h.more, &channel.Channel{
				ID: 9, Kind: channel.Anthropic, BaseURL: server.URL, Models: []string{"m"}, Groups: []string{group.Default}, Status: channel.Enabled, Weight: 1,
				Credentials: []channel.Credential{{ID: "c", Value: "sk-ant"}},
			})
		})
	}
	h := withOthers(t, newHouse(t, chat, changes...))
	h.Upstreams[channel.Anthropic] = gateway.Upstream{Provider: anthropic.Provider{}, Transport: upstream.NewTransport(channel.AddressPolicy{AllowAll: true})}
	h.Codecs[provider.Responses] = responses.Codec{}
	return h
}

const searching = `{"model":"m","max_tokens":50,"tools":[{"type":"web_search_20250305","name":"web_search"}],"messages":[{"role":"user","content":"news?"}]}`

func TestWhatOneUpstreamHasNoWordsForGoesToAnother(t *testing.T) {
	t.Parallel()
	var u claude
	h := dialects(t, func(http.ResponseWriter, *http.Request) { t.Error("asked for what it has no words for") }, &u)
	h.maxAttempts = 1
	var c client
	r := h.ask(t, provider.Messages, wireanthropic.Messages{}, searching, &c)
	if c.status != 200 || r.ChannelID != 9 || r.Attempts != 1 || c.body.String() != claudeAnswer {
		t.Errorf("client got %d %s, record %+v", c.status, c.body.String(), r)
	}
	if len(u.bodies) != 1 || u.bodies[0] != searching {
		t.Errorf("the upstream got %v", u.bodies)
	}
}

func TestWhatNobodyHasWordsForIsRefusedByName(t *testing.T) {
	t.Parallel()
	h := dialects(t, func(http.ResponseWriter, *http.Request) { t.Error("asked for what it has no words for") }, nil)
	var c client
	r := h.ask(t, provider.Messages, wireanthropic.Messages{}, searching, &c)
	if c.status != 400 || r.Attempts != 0 || r.Cost != 0 || r.ErrorCode != "unsupported_parameter" || !strings.Contains(c.body.String(), `"type":"invalid_request_error"`) || !strings.Contains(c.body.String(), "web_search") {
		t.Errorf("client got %d %s, record %+v", c.status, c.body.String(), r)
	}
	if holds, held := h.ledger.InFlight(); holds != 0 || held != 0 {
		t.Errorf("%d holds of %d are left", holds, held)
	}
}

func TestWhatIsLeftOutIsNamed(t *testing.T) {
	t.Parallel()
	h := dialects(t, answers(200, "application/json", plainAnswer), nil)
	var c client
	r := h.ask(t, provider.Messages, wireanthropic.Messages{}, `{"model":"m","max_tokens":50,"top_k":5,"messages":[{"role":"user","content":"hi"}]}`, &c)
	if c.status != 200 || c.header.Get("X-Halley-Dropped") != "top_k" || r.Tokens.Prompt != 100 || r.Tokens.Completion != 50 {
		t.Errorf("client got %d, dropped %q, record %+v", c.status, c.header.Get("X-Halley-Dropped"), r)
	}
	if got := c.header.Get("Content-Type"); got != "application/json" || !strings.Contains(c.body.String(), `"stop_reason":"end_turn"`) {
		t.Errorf("%s: %s", got, c.body.String())
	}
}

// Cursor sends such.
func TestABodyOfResponsesAtTheAddressOfChatIsAnsweredAsChat(t *testing.T) {
	t.Parallel()
	var sent string
	h := dialects(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sent = string(body)
		answers(200, "application/json", plainAnswer)(w, r)
	}, nil)
	var c client
	r := h.ask(t, provider.Chat, wireopenai.Format{}, `{"model":"m","input":[{"role":"user","content":"hi"}],"tools":[{"type":"function","name":"f","parameters":{"type":"object"}}]}`, &c)
	if c.status != 200 || !strings.Contains(c.body.String(), `"choices"`) || r.Tokens.Prompt != 100 {
		t.Errorf("client got %d %s", c.status, c.body.String())
	}
	if !strings.Contains(sent, `"messages":[{"role":"user","content":"hi"}]`) || !strings.Contains(sent, `"function":{"name":"f"`) || strings.Contains(sent, `"input"`) {
		t.Errorf("the upstream got %s", sent)
	}
}

func TestReasoningThatAnotherUpstreamSignedStaysAway(t *testing.T) {
	t.Parallel()
	foreign := translate.Thinking{Text: "hm", Signature: "sealed", Origin: translate.Responses}
	ask := `{"model":"m","max_tokens":50,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"` +
		foreign.Carry(translate.Messages) + `"},{"type":"text","text":"ho"}]},{"role":"user","content":"and?"}]}`
	var u claude
	h := dialects(t, nil, &u, func(h *house) { h.channel.Status = channel.Disabled })
	var c client
	if h.ask(t, provider.Messages, wireanthropic.Messages{}, ask, &c); c.status != 200 {
		t.Fatalf("client got %d %s", c.status, c.body.String())
	}
	if len(u.bodies) != 1 || strings.Contains(u.bodies[0], translate.CarryMark) || !strings.Contains(u.bodies[0], `"ho"`) {
		t.Errorf("the upstream got %v", u.bodies)
	}
}

func TestTokensAreCountedByWhoCanElseEstimatedAndNeverCharged(t *testing.T) {
	t.Parallel()
	const ask = `{"model":"m","messages":[{"role":"user","content":"How long is this?"}]}`
	for name, row := range map[string]struct {
		counts, exact bool
		status        int
		body          string
		estimated     string
	}{
		"an upstream counts": {true, false, 200, `{"input_tokens":7}`, ""},
		"none does":          {false, false, 200, `{"input_tokens":`, "true"},
		"and none may guess": {false, true, 404, "not_found_error", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var u *claude
			if row.counts {
				u = &claude{}
			}
			h := dialects(t, func(http.ResponseWriter, *http.Request) { t.Error("asked to count") }, u)
			h.Gateway.Snapshot().ExactCounts = row.exact
			var c client
			r := h.ask(t, provider.CountMessages, wireanthropic.Messages{}, ask, &c)
			if c.status != row.status || !strings.Contains(c.body.String(), row.body) || c.header.Get("X-Halley-Estimated") != row.estimated {
				t.Errorf("client got %d %s, estimated %q", c.status, c.body.String(), c.header.Get("X-Halley-Estimated"))
			}
			if r.Cost != 0 || r.Tokens != (usage.Tokens{}) || r.Endpoint != "messages" || r.Status != row.status {
				t.Errorf("record %+v", r)
			}
			if row.counts && (len(u.paths) != 1 || u.paths[0] != "/v1/messages/count_tokens") {
				t.Errorf("asked at %v", u.paths)
			}
			if holds, held := h.ledger.InFlight(); holds != 0 || held != 0 {
				t.Errorf("%d holds of %d are left", holds, held)
			}
		})
	}
}

// stumbles is an upstream kind with a mistake in how it reads errors.
type stumbles struct{ anthropic.Provider }

func (stumbles) Classify(int, []byte) provider.Class { panic("boom") }

func TestAPanicSaysNothingOfAnUpstreamsHealth(t *testing.T) {
	t.Parallel()
	h := dialects(t, answers(500, "application/json", `{}`), nil, func(h *house) { h.channel.Kind = "stumbles" })
	h.Upstreams["stumbles"] = gateway.Upstream{Provider: stumbles{}, Transport: upstream.NewTransport(channel.AddressPolicy{AllowAll: true})}
	var c client
	h.ask(t, provider.Messages, wireanthropic.Messages{}, `{"model":"m","max_tokens":5,"messages":[]}`, &c)
	if c.status != 500 || len(h.outcomes) != 1 || h.outcomes[0] != health.ClientGone {
		t.Errorf("client got %d %s after %v", c.status, c.body.String(), h.outcomes)
	}
}

func TestAModelThatAnUpstreamDoesNotHaveIsAskedForOnce(t *testing.T) {
	t.Parallel()
	const missing = `{"type":"error","error":{"type":"not_found_error","message":"model: m"}}`
	var asked calls
	h := dialects(t, asked.by(5, answers(404, "application/json", missing)), nil, func(h *house) { h.channel.Kind = channel.Anthropic }, tracked(t))
	var c client
	r := h.ask(t, provider.Messages, wireanthropic.Messages{}, `{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}`, &c)
	if asked.want(t, 5); c.status != 404 || c.body.String() != missing || r.Attempts != 1 {
		t.Errorf("client got %d %s, record %+v", c.status, c.body.String(), r)
	}
}

// Not of Anthropic's form, but said all the same.
func TestAnErrorInAnotherFormIsNoAnswer(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ ask, answer string }{
		"plain":  {`{"model":"m","max_tokens":5,"messages":[]}`, `{"error":"internal failure"}`},
		"stream": {messagesStream, `data: {"error":{"message":"internal failure"}}` + "\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked calls
			bad := func(w http.ResponseWriter, r *http.Request) {
				if name == "stream" {
					streams(w, row.answer)
					return
				}
				answers(200, "application/json", row.answer)(w, r)
			}
			h := dialects(t, asked.by(5, bad), new(claude), func(h *house) { h.channel.Kind = channel.Anthropic }, tracked(t))
			var c client
			if r := h.ask(t, provider.Messages, wireanthropic.Messages{}, row.ask, &c); r.Attempts != 2 || r.ChannelID != 9 || r.Status != 200 {
				t.Errorf("client got %d %s, record %+v", c.status, c.body.String(), r)
			}
		})
	}
}

func TestAnEventStreamThatIsNotSaidToBeOneIsServed(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string][]string{"no type": nil, "another one": {"text/plain; charset=utf-8"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = kind
				_, _ = io.WriteString(w, chunk("a")+lastChunk+usageChunk+done)
			})
			var c client
			h.do(t.Context(), streamedAsk, &c)
			if got := c.header.Get("Content-Type"); c.status != 200 || c.body.String() != chunk("a")+lastChunk+done || got != "text/event-stream" {
				t.Errorf("client got %d %s: %s", c.status, got, c.body.String())
			}
			if r := h.settled(); r.Source != usage.FromProvider || r.Attempts != 1 {
				t.Errorf("record %+v", r)
			}
		})
	}
}

const messagesStream = `{"model":"m","max_tokens":50,"stream":true,"messages":[{"role":"user","content":"hi"}]}`

func TestAnErrorThatIsAllThereWasComesInTheClientsForm(t *testing.T) {
	t.Parallel()
	var asked calls
	begins := func(w http.ResponseWriter, _ *http.Request) { streams(w, theirError) }
	h := withOthers(t, newHouse(t, begins, first, asked.channel(t, 9, resets, group.Default), tracked(t)))
	var c client
	r := h.ask(t, provider.Messages, wireanthropic.Messages{}, messagesStream, &c)
	if kind := c.header.Get("Content-Type"); c.status != 200 || !strings.HasPrefix(kind, "text/event-stream") || !strings.HasPrefix(c.body.String(), "event: error\n") {
		t.Errorf("client got %d %s: %s", c.status, kind, c.body.String())
	}
	if asked.want(t, 9); r.ChannelID != 5 || r.ErrorCode != "upstream_error" || r.Cost != 0 {
		t.Errorf("record %+v", r)
	}
}

func TestAStreamThatBeginsUnreadablyIsNoAnswerInAnyDialect(t *testing.T) {
	t.Parallel()
	h := withOthers(t, newHouse(t, func(w http.ResponseWriter, _ *http.Request) { streams(w, "data: {\"choices\":[{\n\n") }, tracked(t)))
	var c client
	r := h.ask(t, provider.Messages, wireanthropic.Messages{}, messagesStream, &c)
	if c.status != 502 || r.Status != 502 || r.Cost != 0 || r.Attempts != 4 {
		t.Errorf("client got %d %s, record %+v", c.status, c.body.String(), r)
	}
}

func TestAStreamThatBecomesUnreadableIsTheUpstreamsFault(t *testing.T) {
	t.Parallel()
	told := `data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"words"}}],"usage":{"prompt_tokens":10,"completion_tokens":0,"total_tokens":10}}` + "\n\n"
	h := withOthers(t, newHouse(t, func(w http.ResponseWriter, _ *http.Request) { streams(w, told, "data: {\"choices\":[{\n\n") }))
	var c client
	r := h.ask(t, provider.Messages, wireanthropic.Messages{}, messagesStream, &c)
	if c.status != 200 || !strings.Contains(c.body.String(), "event: error") || r.Status != 502 || r.ErrorCode != "upstream_error" || r.Tokens.Prompt != 10 || r.Tokens.Completion == 0 {
		t.Errorf("client got %d %s, record %+v", c.status, c.body.String(), r)
	}
}
