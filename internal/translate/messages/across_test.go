package messages_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"halley/internal/translate"
	"halley/internal/translate/messages"
	"halley/test/translatetest"
)

// ask is a question in another dialect.
func ask(change func(c *translate.Conversation)) *translate.Conversation {
	c := &translate.Conversation{From: translate.Chat, Model: "m", Messages: []translate.Message{says(translate.User, "hi")}}
	if change != nil {
		change(c)
	}
	return c
}

func says(role translate.Role, text string) translate.Message {
	return translate.Message{Role: role, Parts: []translate.Part{&translate.Text{Text: text}}}
}

func with(role translate.Role, parts ...translate.Part) translate.Message {
	return translate.Message{Role: role, Parts: parts}
}

// encoded is a request as the upstream gets it, and what was dropped.
func encoded(t *testing.T, codec messages.Codec, c *translate.Conversation, to translate.Target) (body map[string]any, dropped []string) {
	t.Helper()
	out, err := codec.EncodeRequest(c, to)
	if err != nil {
		t.Fatal(err)
	}
	if !jsontext.Value(out).IsValid() {
		t.Fatalf("not JSON: %s", out)
	}
	return translatetest.Parse(t, out).(map[string]any), c.TakeDropped()
}

// compact is a value as JSON.
func compact(t *testing.T, v any) string {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func claude(name string) translate.Target { return translate.Target{Model: name} }

func TestAToolLoopBecomesTurnsThatAlternate(t *testing.T) {
	t.Parallel()
	c := ask(func(c *translate.Conversation) {
		c.Messages = []translate.Message{
			says(translate.System, "be brief"),
			says(translate.Developer, "be kind"),
			says(translate.User, "weather?"),
			with(translate.Assistant, &translate.Text{}, &translate.ToolCall{ID: "a", Name: "w", Args: `{"c":"Oslo"}`}),
			with(translate.Assistant, &translate.ToolCall{ID: "b.1", Name: "w"}),
			with(translate.User, &translate.ToolResult{CallID: "a", Parts: []translate.Part{&translate.Text{Text: "sun"}}}),
			says(translate.User, "and?"),
			with(translate.User, &translate.ToolResult{CallID: "b.1", Failed: true, Parts: []translate.Part{
				&translate.Media{MIME: "image/png", Data: "iVBORw0KGgo="},
			}}),
		}
		c.Tools = []translate.Tool{{Kind: translate.Function, Name: "w", Strict: new(true)}}
		c.ParallelTools = new(false)
	})
	body, dropped := encoded(t, messages.Codec{}, c, claude("claude-sonnet-4-5"))
	want := `{
		"model": "claude-sonnet-4-5", "max_tokens": 4096,
		"system": [{"type":"text","text":"be brief"}, {"type":"text","text":"be kind"}],
		"messages": [
			{"role":"user","content":[{"type":"text","text":"weather?"}]},
			{"role":"assistant","content":[
				{"type":"tool_use","id":"a","name":"w","input":{"c":"Oslo"}},
				{"type":"tool_use","id":"hly_Yi4x","name":"w","input":{}}]},
			{"role":"user","content":[
				{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"sun"}]},
				{"type":"tool_result","tool_use_id":"hly_Yi4x","is_error":true,"content":[
					{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]},
				{"type":"text","text":"and?"}]}],
		"tools": [{"name":"w","input_schema":{"type":"object","properties":{}}}],
		"tool_choice": {"type":"auto","disable_parallel_tool_use":true}
	}`
	if diff := cmp.Diff(translatetest.Parse(t, []byte(want)), any(body)); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(dropped, []string{"tools.strict"}) {
		t.Errorf("dropped %v", dropped)
	}
}

func TestSystemTextInTheMiddleStaysWhereTheModelHearsIt(t *testing.T) {
	t.Parallel()
	talk := func() *translate.Conversation {
		return ask(func(c *translate.Conversation) {
			c.Messages = append(c.Messages, says(translate.Developer, "now in French"))
		})
	}
	newer, _ := encoded(t, messages.Codec{}, talk(), claude("claude-opus-4-8"))
	if got := compact(t, newer["messages"]); !strings.Contains(got, `"role":"system"`) || newer["system"] != nil {
		t.Errorf("Opus 4.8: %s", got)
	}
	older, _ := encoded(t, messages.Codec{}, talk(), claude("claude-opus-4-5"))
	if got := compact(t, older["messages"]); strings.Contains(got, "system") || older["system"] == nil {
		t.Errorf("Opus 4.5: %s", got)
	}
	alone, _ := encoded(t, messages.Codec{}, ask(func(c *translate.Conversation) {
		c.Messages = []translate.Message{says(translate.System, "tell a joke")}
	}), claude("claude-opus-4-5"))
	if got := compact(t, alone["messages"]); got != `[{"content":[{"text":"tell a joke","type":"text"}],"role":"user"}]` {
		t.Errorf("system text alone: %s", got)
	}
}

func TestReasoningIsSaidTheWayTheModelKnows(t *testing.T) {
	t.Parallel()
	effort := func(word string) *translate.Reasoning { return &translate.Reasoning{Effort: word} }
	budget := func(n int64) *translate.Reasoning { return &translate.Reasoning{Budget: &n} }
	forced := func(c *translate.Conversation) {
		c.Tools = []translate.Tool{{Kind: translate.Function, Name: "w"}}
		c.ToolChoice = &translate.ToolChoice{Mode: translate.ChooseAny}
	}
	unsigned := func(c *translate.Conversation) {
		c.Messages = append(c.Messages,
			with(translate.Assistant, &translate.ToolCall{ID: "a", Name: "w"}),
			with(translate.User, &translate.ToolResult{CallID: "a"}))
	}
	signed := func(c *translate.Conversation) {
		c.Messages = append(c.Messages,
			with(translate.Assistant, &translate.Thinking{Text: "hm", Signature: "s", Origin: translate.Messages}, &translate.ToolCall{ID: "a", Name: "w"}),
			with(translate.User, &translate.ToolResult{CallID: "a"}),
			with(translate.Assistant, &translate.ToolCall{ID: "b", Name: "w"}),
			with(translate.User, &translate.ToolResult{CallID: "b"}))
	}
	sealedElsewhere := func(c *translate.Conversation) {
		c.Messages = append(c.Messages,
			with(translate.Assistant, &translate.Thinking{Sealed: "s", Origin: translate.Responses}, &translate.ToolCall{ID: "a", Name: "w"}),
			with(translate.User, &translate.ToolResult{CallID: "a"}))
	}
	capped := func(n int64) func(*translate.Conversation) {
		return func(c *translate.Conversation) { c.MaxOutput = &n }
	}
	for name, row := range map[string]struct {
		model    string
		r        *translate.Reasoning
		change   func(*translate.Conversation)
		thinking string
		effort   any
		max      float64
		dropped  []string
	}{
		"nothing said":                       {"claude-opus-4-6", nil, nil, `null`, nil, 4096, nil},
		"effort as a budget":                 {"claude-sonnet-4-5", effort("low"), nil, `{"budget_tokens":1024,"type":"enabled"}`, nil, 5120, nil},
		"a budget below the least":           {"claude-sonnet-4-5", budget(10), nil, `{"budget_tokens":1024,"type":"enabled"}`, nil, 5120, nil},
		"a budget above the bound":           {"claude-sonnet-4-5", effort("high"), capped(8000), `{"budget_tokens":6000,"type":"enabled"}`, nil, 8000, nil},
		"a bound too small to think":         {"claude-sonnet-4-5", effort("high"), capped(1000), `null`, nil, 1000, []string{"reasoning"}},
		"the model decides, within a budget": {"claude-sonnet-4-5", budget(-1), nil, `{"budget_tokens":8192,"type":"enabled"}`, nil, 12288, nil},
		"adaptive":                           {"claude-opus-4-6", effort("medium"), nil, `{"type":"adaptive"}`, "medium", 4096, nil},
		"adaptive, from a budget":            {"claude-opus-4-7", budget(20000), nil, `{"type":"adaptive"}`, "high", 4096, nil},
		"adaptive, the model decides":        {"claude-opus-4-7", &translate.Reasoning{Adaptive: true}, nil, `{"type":"adaptive"}`, nil, 4096, nil},
		"adaptive, shown":                    {"claude-opus-5", &translate.Reasoning{Effort: "xhigh", Show: new(true)}, nil, `{"display":"summarized","type":"adaptive"}`, "xhigh", 4096, nil},
		"a level the model does not know":    {"claude-opus-4-6", effort("xhigh"), nil, `{"type":"adaptive"}`, "max", 4096, nil},
		"the least":                          {"claude-opus-4-6", effort("minimal"), nil, `{"type":"adaptive"}`, "low", 4096, nil},
		"off where it is off":                {"claude-opus-4-6", effort("none"), nil, `null`, nil, 4096, nil},
		"off where it is on":                 {"claude-opus-5", effort("none"), nil, `{"type":"disabled"}`, nil, 4096, nil},
		"off where it cannot be":             {"claude-opus-5-5", budget(0), nil, `null`, "low", 4096, []string{"reasoning"}},
		"a model that does not think":        {"claude-3-5-haiku-20241022", effort("high"), nil, `null`, nil, 4096, []string{"reasoning"}},
		"a forced tool":                      {"claude-sonnet-4-5", effort("high"), forced, `null`, nil, 4096, []string{"reasoning"}},
		"a forced tool, adaptive":            {"claude-opus-4-6", effort("high"), forced, `{"type":"adaptive"}`, "high", 4096, nil},
		"unsigned history":                   {"claude-sonnet-4-5", effort("low"), unsigned, `null`, nil, 4096, []string{"reasoning"}},
		"foreign history":                    {"claude-sonnet-4-5", effort("low"), sealedElsewhere, `null`, nil, 4096, []string{"reasoning", "thinking"}},
		"signed history":                     {"claude-sonnet-4-5", effort("low"), signed, `{"budget_tokens":1024,"type":"enabled"}`, nil, 5120, nil},
		"unsigned history, adaptive":         {"claude-opus-4-6", effort("low"), unsigned, `{"type":"adaptive"}`, "low", 4096, nil},
		"another maker's model":              {"kimi-k2", effort("low"), nil, `{"budget_tokens":1024,"type":"enabled"}`, nil, 5120, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := ask(row.change)
			c.Reasoning = row.r
			body, dropped := encoded(t, messages.Codec{}, c, claude(row.model))
			if got := compact(t, body["thinking"]); got != row.thinking {
				t.Errorf("thinking %s, want %s", got, row.thinking)
			}
			var word any
			if config, ok := body["output_config"].(map[string]any); ok {
				word = config["effort"]
			}
			if word != row.effort || body["max_tokens"] != row.max {
				t.Errorf("effort %v, max_tokens %v; want %v, %v", word, body["max_tokens"], row.effort, row.max)
			}
			if !slices.Equal(dropped, row.dropped) {
				t.Errorf("dropped %v, want %v", dropped, row.dropped)
			}
		})
	}
}

func TestTheOutputBoundIsWhatAllCanBear(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		asked *int64
		to    translate.Target
		want  float64
	}{
		"nobody says":            {nil, translate.Target{}, messages.DefaultMaxTokens},
		"the model's":            {nil, translate.Target{MaxOutput: 64000}, 64000},
		"the client's":           {new(int64(10)), translate.Target{MaxOutput: 64000}, 10},
		"more than the model's":  {new(int64(100000)), translate.Target{MaxOutput: 64000}, 64000},
		"what the money allows":  {new(int64(100000)), translate.Target{MaxOutput: 64000, Cap: 50}, 50},
		"money, and nobody says": {nil, translate.Target{Cap: 50}, 50},
	} {
		row.to.Model = "claude-sonnet-4-5"
		body, _ := encoded(t, messages.Codec{}, ask(func(c *translate.Conversation) { c.MaxOutput = row.asked }), row.to)
		if body["max_tokens"] != row.want {
			t.Errorf("%s: %v, want %v", name, body["max_tokens"], row.want)
		}
	}
}

func TestMoneyBoundsThinkingInTheSameDialect(t *testing.T) {
	t.Parallel()
	for bound, want := range map[int64]string{4000: `{"budget_tokens":3000,"type":"enabled"}`, 1000: `null`, 0: `{"budget_tokens":8000,"type":"enabled"}`} {
		c, err := messages.Codec{}.DecodeRequest([]byte(`{"model":"m","max_tokens":9000,"thinking":{"type":"enabled","budget_tokens":8000},"messages":[]}`))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := encoded(t, messages.Codec{}, c, translate.Target{Model: "claude-sonnet-4-5", Cap: bound})
		if got := compact(t, body["thinking"]); got != want {
			t.Errorf("%d: %s, want %s", bound, got, want)
		}
	}
}

func TestSamplingFitsTheModel(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		model             string
		temperature, topP float64
		topK              int64
		thinks            bool
		want              string
		dropped           []string
	}{
		"as asked":             {"claude-3-haiku-20240307", 0.5, 0.9, 40, false, `[0.5,0.9,40]`, nil},
		"too hot":              {"claude-3-haiku-20240307", 1.7, 0, 0, false, `[1,null,null]`, []string{"temperature"}},
		"one of the two":       {"claude-sonnet-4-5", 0.5, 0.9, 40, false, `[0.5,null,40]`, []string{"top_p"}},
		"a top_p of nothing":   {"claude-sonnet-4-5", 0.5, 1, 0, false, `[0.5,null,null]`, nil},
		"while it thinks":      {"claude-sonnet-4-5", 0.5, 0.9, 40, true, `[null,null,null]`, []string{"temperature", "top_p", "top_k"}},
		"a high top_p thinks":  {"claude-sonnet-4-5", 1, 0.97, 0, true, `[null,0.97,null]`, nil},
		"models without":       {"claude-opus-4-7", 0.5, 0.9, 40, false, `[null,null,null]`, []string{"temperature", "top_p", "top_k"}},
		"another maker's":      {"kimi-k2", 0.5, 0.9, 40, false, `[0.5,0.9,40]`, nil},
		"a temperature of one": {"claude-opus-4-7", 1, 0, 0, false, `[null,null,null]`, nil},
	} {
		c := ask(func(c *translate.Conversation) {
			c.Temperature = &row.temperature
			if row.topP > 0 {
				c.TopP = &row.topP
			}
			if row.topK > 0 {
				c.TopK = &row.topK
			}
			if row.thinks {
				c.Reasoning = &translate.Reasoning{Effort: "low"}
			}
		})
		body, dropped := encoded(t, messages.Codec{}, c, claude(row.model))
		if got := compact(t, []any{body["temperature"], body["top_p"], body["top_k"]}); got != row.want || !slices.Equal(dropped, row.dropped) {
			t.Errorf("%s: %s dropped %v, want %s dropped %v", name, got, dropped, row.want, row.dropped)
		}
	}
}

func TestWhatChangesTheAnswerIsRefusedByItsName(t *testing.T) {
	t.Parallel()
	media := func(m *translate.Media) func(*translate.Conversation) {
		return func(c *translate.Conversation) { c.Messages = append(c.Messages, with(translate.User, m)) }
	}
	tool := func(kind translate.ToolKind) func(*translate.Conversation) {
		return func(c *translate.Conversation) { c.Tools = []translate.Tool{{Kind: kind, Name: "x"}} }
	}
	for name, row := range map[string]struct {
		codec  messages.Codec
		change func(*translate.Conversation)
		field  string
	}{
		"candidates":       {messages.Codec{}, func(c *translate.Conversation) { c.Candidates = new(int64(2)) }, "n"},
		"logprobs":         {messages.Codec{}, func(c *translate.Conversation) { c.Logprobs = new(true) }, "logprobs"},
		"logit bias":       {messages.Codec{}, func(c *translate.Conversation) { c.LogitBias = jsontext.Value(`{"1":2}`) }, "logit_bias"},
		"speech":           {messages.Codec{}, func(c *translate.Conversation) { c.Modalities = []string{"text", "audio"} }, "modalities"},
		"white stop":       {messages.Codec{}, func(c *translate.Conversation) { c.Stop = []string{"\n"} }, "stop"},
		"audio":            {messages.Codec{}, media(&translate.Media{Kind: translate.AudioClip, Data: "AA=="}), "audio"},
		"video":            {messages.Codec{}, media(&translate.Media{Kind: translate.Video, URL: "https://a"}), "video"},
		"a foreign file":   {messages.Codec{}, media(&translate.Media{Kind: translate.Document, FileID: "file-1"}), "document"},
		"an odd image":     {messages.Codec{}, media(&translate.Media{MIME: "image/tiff", Data: "AA=="}), "image"},
		"a URL on Bedrock": {messages.Codec{Platform: messages.Bedrock}, media(&translate.Media{URL: "https://a/b.png"}), "image"},
		"a custom tool":    {messages.Codec{}, tool(translate.Custom), "tools.custom"},
		"a foreign tool":   {messages.Codec{}, tool(translate.OtherTool), "tools.server"},
		"search, Bedrock":  {messages.Codec{Platform: messages.Bedrock}, tool(translate.WebSearch), "tools.server"},
		"code on Vertex":   {messages.Codec{Platform: messages.Vertex}, tool(translate.CodeExecution), "tools.server"},
		"an odd format":    {messages.Codec{}, func(c *translate.Conversation) { c.Format = &translate.Format{Kind: translate.OtherFormat} }, "response_format"},
		"a foreign part": {messages.Codec{}, func(c *translate.Conversation) {
			c.Messages = append(c.Messages, with(translate.User, &translate.Other{Kind: "item_reference"}))
		}, "item_reference"},
	} {
		_, err := row.codec.EncodeRequest(ask(row.change), claude("claude-sonnet-4-5"))
		if refused, ok := errors.AsType[*translate.Unsupported](err); !ok || refused.Field != row.field {
			t.Errorf("%s: %v, want a refusal of %s", name, err, row.field)
		}
	}
}

func TestWhatDoesNotIsDroppedByItsName(t *testing.T) {
	t.Parallel()
	c := ask(func(c *translate.Conversation) {
		c.FrequencyPenalty, c.PresencePenalty, c.Seed = new(0.5), new(0.0), new(int64(7))
		c.Verbosity, c.CacheKey, c.Store, c.ServiceTier = "low", "k", new(true), "flex"
		c.Metadata = map[string]string{"a": "b"}
		c.EndUser = "ann@example.com"
		c.Extra = translate.Extra{{Name: "prediction", Value: jsontext.Value("{}")}}
		c.Messages[0].Name = "ann"
		c.Messages = append([]translate.Message{with(translate.Assistant, &translate.Thinking{Text: "hm"}, &translate.Text{Text: "hello"})}, c.Messages...)
	})
	body, dropped := encoded(t, messages.Codec{}, c, claude("claude-sonnet-4-5"))
	want := []string{"thinking", "messages.name", "service_tier", "frequency_penalty", "seed", "verbosity", "metadata", "prompt_cache_key", "store", "user", "prediction"}
	if !slices.Equal(dropped, want) {
		t.Errorf("dropped %v, want %v", dropped, want)
	}
	if len(body) != 3 {
		t.Errorf("left over: %v", body)
	}
}

func TestServersToolsHaveTheirCounterparts(t *testing.T) {
	t.Parallel()
	c := ask(func(c *translate.Conversation) {
		c.Tools = []translate.Tool{
			{Kind: translate.WebSearch, Raw: jsontext.Value(`{"type":"web_search","filters":{"allowed_domains":["a.org"]},"user_location":{"type":"approximate","city":"Oslo"}}`)},
			{Kind: translate.WebSearch, Raw: jsontext.Value(`{"user_location":{"type":"approximate","approximate":{"country":"NO"}}}`)},
			{Kind: translate.WebFetch, Raw: jsontext.Value(`{}`)},
			{Kind: translate.CodeExecution, Raw: jsontext.Value(`{"type":"code_interpreter","container":{"type":"auto"}}`)},
		}
	})
	body, _ := encoded(t, messages.Codec{}, c, claude("claude-sonnet-4-5"))
	want := `[{"allowed_domains":["a.org"],"name":"web_search","type":"web_search_20250305","user_location":{"city":"Oslo","type":"approximate"}},` +
		`{"name":"web_search","type":"web_search_20250305","user_location":{"country":"NO","type":"approximate"}},` +
		`{"name":"web_fetch","type":"web_fetch_20250910"},{"name":"code_execution","type":"code_execution_20250825"}]`
	if got := compact(t, body["tools"]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestOnlyAllowedToolsAreOffered(t *testing.T) {
	t.Parallel()
	c := ask(func(c *translate.Conversation) {
		c.Tools = []translate.Tool{{Kind: translate.Function, Name: "a"}, {Kind: translate.Function, Name: "b", Schema: jsontext.Value(`{"properties":{"x":{}}}`)}}
		c.ToolChoice = &translate.ToolChoice{Mode: translate.ChooseAny, Allowed: []string{"b"}}
	})
	body, _ := encoded(t, messages.Codec{}, c, claude("claude-sonnet-4-5"))
	want := `[[{"input_schema":{"properties":{"x":{}},"type":"object"},"name":"b"}],{"type":"any"}]`
	if got := compact(t, []any{body["tools"], body["tool_choice"]}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestMediaGoToTheirSources(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		media *translate.Media
		want  string
	}{
		"image":     {&translate.Media{Data: "/9j/4AAQ"}, `{"source":{"data":"/9j/4AAQ","media_type":"image/jpeg","type":"base64"},"type":"image"}`},
		"image URL": {&translate.Media{URL: "https://a/b.png"}, `{"source":{"type":"url","url":"https://a/b.png"},"type":"image"}`},
		"data URL":  {&translate.Media{URL: "data:image/gif;base64,R0lGODlh"}, `{"source":{"data":"R0lGODlh","media_type":"image/gif","type":"base64"},"type":"image"}`},
		"PDF":       {&translate.Media{Kind: translate.Document, MIME: "application/pdf", Data: "JVBERi0=", Name: "a.pdf"}, `{"source":{"data":"JVBERi0=","media_type":"application/pdf","type":"base64"},"title":"a.pdf","type":"document"}`},
		"text as data": {
			&translate.Media{Kind: translate.Document, MIME: "text/csv", Data: "YSxi"},
			`{"source":{"data":"a,b","media_type":"text/plain","type":"text"},"type":"document"}`,
		},
		"text": {&translate.Media{Kind: translate.Document, Text: "a,b", Cache: &translate.CacheMark{TTL: "1h"}}, `{"cache_control":{"ttl":"1h","type":"ephemeral"},"source":{"data":"a,b","media_type":"text/plain","type":"text"},"type":"document"}`},
	} {
		body, _ := encoded(t, messages.Codec{}, ask(func(c *translate.Conversation) {
			c.Messages = []translate.Message{with(translate.User, row.media)}
		}), claude("claude-sonnet-4-5"))
		if got := compact(t, body["messages"].([]any)[0].(map[string]any)["content"].([]any)[0]); got != row.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, row.want)
		}
	}
}

func TestThePlatformsBodiesDiffer(t *testing.T) {
	t.Parallel()
	streamed := func(c *translate.Conversation) { c.Stream = true }
	for name, row := range map[string]struct {
		codec messages.Codec
		want  string
	}{
		"Anthropic": {messages.Codec{}, `[null,"claude-sonnet-4-5",true,null]`},
		"Vertex":    {messages.Codec{Platform: messages.Vertex, Betas: []string{"x"}}, `["vertex-2023-10-16",null,true,null]`},
		"Bedrock":   {messages.Codec{Platform: messages.Bedrock, Betas: []string{"x"}}, `["bedrock-2023-05-31",null,null,["x"]]`},
	} {
		body, _ := encoded(t, row.codec, ask(streamed), claude("claude-sonnet-4-5"))
		if got := compact(t, []any{body["anthropic_version"], body["model"], body["stream"], body["anthropic_beta"]}); got != row.want {
			t.Errorf("%s: %s, want %s", name, got, row.want)
		}
	}
}

func TestBetasAreFilteredForTheClouds(t *testing.T) {
	t.Parallel()
	values := []string{"context-1m-2025-08-07, claude-code-20250219", "advanced-tool-use-2025-11-20", "effort-2025-11-24,context-1m-2025-08-07,"}
	for platform, want := range map[messages.Platform][2][]string{
		messages.Direct:  {{"context-1m-2025-08-07", "claude-code-20250219", "advanced-tool-use-2025-11-20", "effort-2025-11-24"}, nil},
		messages.Vertex:  {{"context-1m-2025-08-07", "tool-search-tool-2025-10-19"}, {"claude-code-20250219", "effort-2025-11-24"}},
		messages.Bedrock: {{"context-1m-2025-08-07", "tool-search-tool-2025-10-19", "effort-2025-11-24"}, {"claude-code-20250219"}},
	} {
		kept, left := platform.Betas(values)
		if !slices.Equal(kept, want[0]) || !slices.Equal(left, want[1]) {
			t.Errorf("%d: kept %v, left %v", platform, kept, left)
		}
	}
}

func TestATokenCountAsksForThePromptAlone(t *testing.T) {
	t.Parallel()
	c := ask(func(c *translate.Conversation) {
		c.Temperature, c.Stream, c.EndUser, c.MaxOutput = new(0.5), true, "u", new(int64(5))
		c.Tools = []translate.Tool{{Kind: translate.Function, Name: "w"}}
	})
	out, err := messages.Codec{Platform: messages.Vertex}.EncodeCount(c, claude("claude-sonnet-4-5"))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],"tools":[{"name":"w","input_schema":{"type":"object","properties":{}}}]}`
	if string(out) != want {
		t.Errorf("got %s", out)
	}
	for _, body := range []string{``, `{}`, `{"input_tokens":-1}`, `{"input_tokens":"1"}`, `[]`} {
		if n, ok := messages.DecodeCountAnswer([]byte(body)); ok {
			t.Errorf("%s is taken for %d", body, n)
		}
	}
}

func TestACallIsNeverLostForItsArguments(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{``: `{}`, `{"a":1}`: `{"a":1}`, `{"a":`: `{"arguments":"{\"a\":"}`, `[1]`: `{"arguments":"[1]"}`} {
		body, _ := encoded(t, messages.Codec{}, ask(func(c *translate.Conversation) {
			c.Messages = append(c.Messages, with(translate.Assistant, &translate.ToolCall{ID: "a", Name: "w", Args: args}))
		}), claude("claude-sonnet-4-5"))
		call := body["messages"].([]any)[1].(map[string]any)["content"].([]any)[0].(map[string]any)
		if got := compact(t, call["input"]); got != want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
}
