package cohere_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/internal/translate/cohere"
	"halley/internal/translate/messages"
	"halley/test/translatetest"
)

func TestRecordedConversationsOfOthersGetThrough(t *testing.T) {
	t.Parallel()
	for api, client := range map[string]translate.Client{"openai.chat": chat.Codec{}, "anthropic.messages": messages.Codec{}} {
		var tally translatetest.Tally
		for _, in := range translatetest.Recordings(t, api) {
			if in.Request.Body == nil || in.Response.Status != 200 {
				continue
			}
			if _, err := client.DecodeRequest(in.Request.Body); err != nil {
				continue // the dialect's own test says so
			}
			before, after, refused := translatetest.Through(t, in.Request.Body, client, cohere.Codec{}, "command-a-reasoning-08-2025")
			if refused != "" {
				tally.Refuse(refused)
				continue
			}
			if diff := cmp.Diff(before, after.WithoutIntroductions()); diff != "" {
				t.Errorf("%s:\n%s", in.File, diff)
				continue
			}
			tally.Passed++
		}
		tally.Log(t, api)
	}
}

func TestRecordedAnswersReachOthersClients(t *testing.T) {
	t.Parallel()
	for name, far := range map[string]translate.Codec{"chat": chat.Codec{}, "messages": messages.Codec{}} {
		var tally translatetest.Tally
		for _, in := range translatetest.Recordings(t, chatAPI) {
			if in.Response.Status != 200 || in.Response.IsSSE() {
				continue
			}
			a, err := cohere.Codec{}.DecodeAnswer(in.Response.Body)
			if err != nil {
				t.Fatal(err)
			}
			back := translatetest.AndBack(t, a, far)
			if diff := cmp.Diff(translatetest.OfAnswer(a).OneWord(), translatetest.OfAnswer(back).OneWord()); diff != "" {
				t.Errorf("%s %s:\n%s", name, in.File, diff)
			}
			tally.Passed++
		}
		for _, s := range streams(t) {
			list, err := run(s.events)
			if err != nil {
				t.Fatal(err)
			}
			want, err := translatetest.Whole(list)
			if err != nil {
				t.Fatal(err)
			}
			got, err := translatetest.Streamed(list, far)
			if err != nil {
				t.Errorf("%s %s: %v", name, s.file, err)
				continue
			}
			if diff := cmp.Diff(translatetest.OfAnswer(want).OneWord(), translatetest.OfAnswer(got).OneWord()); diff != "" {
				t.Errorf("%s %s:\n%s", name, s.file, diff)
			}
			tally.Passed++
		}
		tally.Log(t, name)
	}
}

// asked encodes a request for a model, and gives the body and what was dropped.
func asked(t *testing.T, model string, change func(*translate.Conversation)) (body map[string]any, dropped []string, err error) {
	t.Helper()
	c := &translate.Conversation{From: translate.Chat, Messages: []translate.Message{{Role: translate.User, Parts: []translate.Part{&translate.Text{Text: "hi"}}}}}
	change(c)
	out, err := cohere.Codec{}.EncodeRequest(c, translate.Target{Model: model})
	if err != nil {
		return nil, nil, err
	}
	return translatetest.Parse(t, out).(map[string]any), c.TakeDropped(), nil
}

func tool(name string) translate.Tool { return translate.Tool{Kind: translate.Function, Name: name} }

func TestWhatOthersAskForIsSaidInCoheresWords(t *testing.T) {
	t.Parallel()
	const reasons, plain = "command-a-reasoning-08-2025", "command-r-08-2024"
	for name, row := range map[string]struct {
		model   string
		change  func(*translate.Conversation)
		want    string // the members besides model and messages
		dropped string
	}{
		"a budget":            {reasons, func(c *translate.Conversation) { c.Reasoning = &translate.Reasoning{Budget: new(int64(500))} }, `{"thinking":{"token_budget":500,"type":"enabled"}}`, ""},
		"an effort":           {reasons, func(c *translate.Conversation) { c.Reasoning = &translate.Reasoning{Effort: "low"} }, `{"thinking":{"token_budget":1024,"type":"enabled"}}`, ""},
		"no thoughts":         {reasons, func(c *translate.Conversation) { c.Reasoning = &translate.Reasoning{Effort: "none"} }, `{"thinking":{"type":"disabled"}}`, ""},
		"thoughts of none":    {plain, func(c *translate.Conversation) { c.Reasoning = &translate.Reasoning{Effort: "low"} }, `{}`, "reasoning"},
		"no thoughts of none": {plain, func(c *translate.Conversation) { c.Reasoning = &translate.Reasoning{Off: true} }, `{}`, ""},
		"one tool of two": {plain, func(c *translate.Conversation) {
			c.Tools = []translate.Tool{tool("a"), tool("b")}
			c.ToolChoice = &translate.ToolChoice{Mode: translate.ChooseNamed, Name: "b"}
		}, `{"tool_choice":"REQUIRED","tools":[{"function":{"name":"b","parameters":{"properties":{},"type":"object"}},"type":"function"}]}`, ""},
		"strict tools, not parallel": {plain, func(c *translate.Conversation) {
			c.Tools = []translate.Tool{tool("a")}
			c.Tools[0].Strict, c.ParallelTools = new(true), new(false)
		}, `{"strict_tools":true,"tools":[{"function":{"name":"a","parameters":{"properties":{},"type":"object"}},"type":"function"}]}`, "parallel_tool_calls"},
		"no tools": {plain, func(c *translate.Conversation) {
			c.Tools, c.ToolChoice = []translate.Tool{tool("a")}, &translate.ToolChoice{Mode: translate.ChooseNone}
		}, `{"tool_choice":"NONE","tools":[{"function":{"name":"a","parameters":{"properties":{},"type":"object"}},"type":"function"}]}`, ""},
		"a schema": {plain, func(c *translate.Conversation) {
			c.Format = &translate.Format{Kind: translate.JSONSchema, Name: "n", Schema: []byte(`{"type":"object"}`)}
		}, `{"response_format":{"schema":{"type":"object"},"type":"json_object"}}`, ""},
		"settings in range": {plain, func(c *translate.Conversation) {
			c.Temperature, c.TopP, c.TopK, c.Seed, c.Stop, c.MaxOutput = new(0.2), new(1.0), new(int64(4)), new(int64(7)), []string{"x"}, new(int64(9))
		}, `{"k":4,"max_tokens":9,"p":0.99,"seed":7,"stop_sequences":["x"],"temperature":0.2}`, ""},
		"settings out of range": {plain, func(c *translate.Conversation) {
			c.FrequencyPenalty, c.PresencePenalty, c.TopK = new(-1.0), new(1.5), new(int64(1000))
		}, `{"frequency_penalty":0,"k":500,"presence_penalty":1}`, "frequency_penalty, presence_penalty, top_k"},
		"what names a request": {plain, func(c *translate.Conversation) {
			c.EndUser, c.Metadata, c.CacheKey, c.ServiceTier, c.Store = "u", map[string]string{"a": "b"}, "k", "flex", new(true)
			c.Extra = translate.Extra{{Name: "prediction", Value: []byte(`{}`)}}
		}, `{}`, "user, metadata, prompt_cache_key, service_tier, store, prediction"},
	} {
		body, dropped, err := asked(t, row.model, row.change)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		delete(body, "model")
		delete(body, "messages")
		got, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != row.want || strings.Join(dropped, ", ") != row.dropped {
			t.Errorf("%s: %s, dropped %v; want %s, %q", name, got, dropped, row.want, row.dropped)
		}
	}
}

func TestWhatCohereHasNoWordsForIsRefused(t *testing.T) {
	t.Parallel()
	media := func(m translate.Media) func(*translate.Conversation) {
		return func(c *translate.Conversation) { c.Messages[0].Parts = append(c.Messages[0].Parts, &m) }
	}
	for field, change := range map[string]func(*translate.Conversation){
		"n":               func(c *translate.Conversation) { c.Candidates = new(int64(2)) },
		"logit_bias":      func(c *translate.Conversation) { c.LogitBias = []byte(`{"1":2}`) },
		"logprobs":        func(c *translate.Conversation) { c.Logprobs = new(true) },
		"modalities":      func(c *translate.Conversation) { c.Modalities = []string{"audio"} },
		"stop":            func(c *translate.Conversation) { c.Stop = []string{"1", "2", "3", "4", "5", "6"} },
		"audio":           media(translate.Media{Kind: translate.AudioClip, Data: "AA=="}),
		"video":           media(translate.Media{Kind: translate.Video, URL: "https://example.com"}),
		"document":        media(translate.Media{Kind: translate.Document, MIME: "application/pdf", Data: "AA=="}),
		"image":           media(translate.Media{Kind: translate.Image, FileID: "f"}),
		"tools.server":    func(c *translate.Conversation) { c.Tools = []translate.Tool{{Kind: translate.WebSearch, Name: "w"}} },
		"response_format": func(c *translate.Conversation) { c.Format = &translate.Format{Kind: translate.OtherFormat} },
		"tool_choice": func(c *translate.Conversation) {
			c.Tools, c.ToolChoice = []translate.Tool{tool("a")}, &translate.ToolChoice{Mode: translate.ChooseNamed, Name: "b"}
		},
	} {
		_, _, err := asked(t, "command-r-08-2024", change)
		if no, ok := err.(*translate.Unsupported); !ok || no.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestPlansAndThoughtsComeBackToCohere(t *testing.T) {
	t.Parallel()
	s := streams(t)
	i := slices.IndexFunc(s, func(s stream) bool { return strings.Contains(s.file, "empty-tool-call") })
	list, err := run(s[i].events)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := translatetest.Streamed(list, messages.Codec{})
	if err != nil {
		t.Fatal(err)
	}
	// As a client of Anthropic's dialect sends it back.
	c := &translate.Conversation{From: translate.Messages, Messages: []translate.Message{{Role: translate.Assistant, Parts: answer.Candidates[0].Parts}}}
	for _, p := range answer.Candidates[0].Parts {
		if thought, ok := p.(*translate.Thinking); ok {
			thought.Uncarry(translate.Messages, thought.Carry(translate.Messages))
		}
	}
	out, err := cohere.Codec{}.EncodeRequest(c, translate.Target{Model: "command-r7b-12-2024"})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"model":"command-r7b-12-2024","messages":[{"role":"assistant","tool_plan":"I will use the currentTime tool to find the current time.","tool_calls":[{"id":"currentTime_y46ar19t5gvw","type":"function","function":{"name":"currentTime","arguments":"{}"}}]}]}`
	if string(out) != want {
		t.Errorf("%s\nwant %s", out, want)
	}
}

func TestAModelThatFailsIsNoSuccess(t *testing.T) {
	t.Parallel()
	if _, err := (cohere.Codec{}).DecodeAnswer([]byte(`{"id":"x","message":{"role":"assistant"},"finish_reason":"ERROR"}`)); err == nil {
		t.Error("an answer")
	}
	start := []byte(`{"type":"message-start","id":"m","delta":{"message":{"role":"assistant"}}}`)
	for name, end := range map[string]string{
		"an error": `{"type":"message-end","delta":{"error":"boom","finish_reason":"ERROR"}}`, "a timeout": `{"type":"message-end","delta":{"finish_reason":"TIMEOUT"}}`,
		"no event": `{"message":"internal server error"}`,
	} {
		list, err := run([][]byte{start, []byte(end)})
		if err != nil || list[len(list)-1].Kind != translate.Fault {
			t.Errorf("%s: %v, %+v", name, err, list)
		}
		if slices.ContainsFunc(list, func(e translate.Event) bool { return e.Kind == translate.Done }) {
			t.Errorf("%s: done", name)
		}
		if _, err := translatetest.Streamed(list, cohere.Codec{}); err == nil {
			t.Errorf("%s: its client is told a success", name)
		}
	}
}
