package messages_test

import (
	"bytes"
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

// answered is an answer of another dialect as a Messages client gets it.
func answered(t *testing.T, a *translate.Answer) map[string]any {
	t.Helper()
	out, err := messages.Codec{}.EncodeAnswer(&translate.Conversation{From: translate.Messages}, a)
	if err != nil {
		t.Fatal(err)
	}
	return translatetest.Parse(t, out).(map[string]any)
}

// streamed is the same answer, event by event.
func streamed(events ...translate.Event) []byte {
	enc := messages.Codec{}.EncodeStream(&translate.Conversation{From: translate.Messages})
	var out []byte
	for _, e := range events {
		out = enc.Encode(out, e)
	}
	return out
}

var foreignUsage = translate.Usage{Prompt: 100, CachedRead: 30, CacheWrite5m: 20, CacheWrite1h: 10, Completion: 50, Reasoning: 5}

func TestAForeignAnswerIsToldInAnthropicsTerms(t *testing.T) {
	t.Parallel()
	got := answered(t, &translate.Answer{
		From: translate.Chat, ID: "chatcmpl-1", Model: "gpt", Usage: &foreignUsage, UsageRaw: jsontext.Value(`{"prompt_tokens":100}`),
		Extra: translate.Extra{{Name: "system_fingerprint", Value: jsontext.Value(`"f"`)}},
		Candidates: []translate.Candidate{{Stop: translate.EndOfTurn, StopWord: "stop", Parts: []translate.Part{
			&translate.Text{Text: "see", Citations: []translate.Citation{{URL: "https://a", Title: "A"}}},
			&translate.ToolCall{ID: "ws", Server: translate.WebSearch},
			&translate.ToolCall{ID: "call_1", Name: "w", Args: `{"a":1}`, ItemID: "fc_1"},
		}}},
	})
	want := `{"id":"chatcmpl-1","type":"message","role":"assistant","model":"gpt","content":[
		{"type":"text","text":"see","citations":[{"type":"web_search_result_location","url":"https://a","title":"A","cited_text":"","encrypted_index":""}]},
		{"type":"tool_use","id":"call_1","name":"w","input":{"a":1}}],
		"stop_reason":"tool_use","stop_sequence":null,
		"usage":{"input_tokens":40,"cache_creation_input_tokens":30,"cache_read_input_tokens":30,
			"cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":10},
			"output_tokens":50,"output_tokens_details":{"thinking_tokens":5}}}`
	if diff := cmp.Diff(translatetest.Parse(t, []byte(want)), any(got)); diff != "" {
		t.Error(diff)
	}
}

func TestStopsHaveAnthropicsNames(t *testing.T) {
	t.Parallel()
	for stop, want := range map[translate.Stop]string{
		translate.NotStopped: "end_turn", translate.EndOfTurn: "end_turn", translate.AtStopText: "stop_sequence",
		translate.AtMaxOutput: "max_tokens", translate.AtContext: "model_context_window_exceeded", translate.ToCallTools: "tool_use",
		translate.Filtered: "refusal", translate.Refused: "refusal", translate.Paused: "pause_turn",
	} {
		a := &translate.Answer{From: translate.Gemini, Candidates: []translate.Candidate{{Stop: stop, StopWord: "X", StopText: "END"}}}
		got := answered(t, a)
		if got["stop_reason"] != want || got["stop_sequence"] != "END" {
			t.Errorf("%d: %v, %v; want %s", stop, got["stop_reason"], got["stop_sequence"], want)
		}
		out := streamed(translate.Event{Kind: translate.Begin, From: translate.Gemini}, translate.Event{Kind: translate.Finish, Stop: stop, StopWord: "X"}, translate.Event{Kind: translate.Done})
		if !bytes.Contains(out, []byte(`"stop_reason":"`+want+`"`)) {
			t.Errorf("%d, streamed: %s", stop, out)
		}
	}
}

func TestUnusableOutputIsNoAnswer(t *testing.T) {
	t.Parallel()
	a := &translate.Answer{From: translate.Gemini, Candidates: []translate.Candidate{{Stop: translate.Broken}}}
	if _, err := (messages.Codec{}).EncodeAnswer(&translate.Conversation{}, a); err == nil {
		t.Error("it was answered")
	}
	out := streamed(translate.Event{Kind: translate.Begin, From: translate.Gemini}, translate.Event{Kind: translate.Finish, Stop: translate.Broken}, translate.Event{Kind: translate.Done})
	if !bytes.Contains(out, []byte("event: error\n")) || bytes.Contains(out, []byte("message_stop")) {
		t.Errorf("streamed: %s", out)
	}
}

func TestAForeignStreamFollowsAnthropicsGrammar(t *testing.T) {
	t.Parallel()
	out := streamed(
		translate.Event{Kind: translate.Begin, ID: "resp_1", Model: "gpt", From: translate.Responses},
		translate.Event{Kind: translate.PartBegin, Part: &translate.Thinking{Origin: translate.Responses, ID: "rs_1"}},
		translate.Event{Kind: translate.TextDelta, Text: "hm"},
		translate.Event{Kind: translate.PartEnd, Part: &translate.Thinking{Origin: translate.Responses, ID: "rs_1", Sealed: "secret"}},
		translate.Event{Kind: translate.Ping},
		translate.Event{Kind: translate.PartBegin, Part: &translate.Text{}},
		translate.Event{Kind: translate.TextDelta, Text: "Hel"},
		translate.Event{Kind: translate.LogprobsDelta, Raw: jsontext.Value(`[]`)},
		translate.Event{Kind: translate.TextDelta, Text: "lo"},
		translate.Event{Kind: translate.CiteDelta, Citation: &translate.Citation{URL: "https://a"}},
		translate.Event{Kind: translate.PartEnd},
		translate.Event{Kind: translate.TextDelta, Candidate: 1, Text: "another answer"},
		translate.Event{Kind: translate.PartBegin, Part: &translate.ToolCall{ID: "c", Name: "w"}},
		translate.Event{Kind: translate.TextDelta, Text: `{"a":`},
		translate.Event{Kind: translate.TextDelta, Text: `1}`},
		translate.Event{Kind: translate.PartEnd},
		translate.Event{Kind: translate.Whole, Part: &translate.Refusal{Text: "no"}},
		translate.Event{Kind: translate.Whole, Part: &translate.Media{Data: "AA=="}},
		translate.Event{Kind: translate.Finish, Stop: translate.EndOfTurn, StopWord: "completed"},
		translate.Event{Kind: translate.Use, Usage: &foreignUsage},
		translate.Event{Kind: translate.Done},
	)
	checkGrammar(t, "foreign", out)
	var a translate.Assembler
	list, err := run(stream{"foreign", events(t, out)})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		a.Add(e)
	}
	got, _, _ := a.Answer()
	if diff := cmp.Diff(&foreignUsage, got.Usage); diff != "" {
		t.Errorf("usage:\n%s", diff)
	}
	c := got.Candidates[0]
	if got.ID != "resp_1" || got.Model != "gpt" || c.Stop != translate.ToCallTools || len(c.Parts) != 4 {
		t.Fatalf("got %+v", got)
	}
	thought := c.Parts[0].(*translate.Thinking)
	back := translate.Thinking{}
	back.Uncarry(translate.Messages, thought.Signature)
	if thought.Text != "hm" || back.Origin != translate.Responses || back.ID != "rs_1" || back.Sealed != "secret" {
		t.Errorf("thoughts %+v carry %+v", thought, back)
	}
	if text := c.Parts[1].(*translate.Text); text.Text != "Hello" || len(text.Citations) != 1 {
		t.Errorf("text %+v", text)
	}
	if call := c.Parts[2].(*translate.ToolCall); call.ID != "c" || call.Args != `{"a":1}` {
		t.Errorf("call %+v", call)
	}
}

func TestForeignThoughtsComeBackThroughTheClient(t *testing.T) {
	t.Parallel()
	got := answered(t, &translate.Answer{From: translate.Gemini, Candidates: []translate.Candidate{{Parts: []translate.Part{
		&translate.Thinking{Text: "hm", Signature: "sig1", Origin: translate.Gemini},
		&translate.ToolCall{ID: "c", Name: "w", Args: "{}", Signature: "sig2"},
	}}}})
	request := `{"model":"m","max_tokens":5,"messages":[{"role":"assistant","content":` + compact(t, got["content"]) + `}]}`
	c, err := messages.Codec{}.DecodeRequest([]byte(request))
	if err != nil {
		t.Fatal(err)
	}
	want := []translate.Part{
		&translate.Thinking{Text: "hm", Signature: "sig1", Origin: translate.Gemini},
		&translate.ToolCall{ID: "c", Name: "w", Args: "{}", Signature: "sig2"},
	}
	if diff := cmp.Diff(want, c.Messages[0].Parts); diff != "" {
		t.Error(diff)
	}
	// To Claude they mean nothing.
	out, err := messages.Codec{}.EncodeRequest(c, claude("claude-sonnet-4-5"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(out, []byte("hly.")) || bytes.Contains(out, []byte("thinking")) || !slices.Equal(c.TakeDropped(), []string{"messages.content.thinking"}) {
		t.Errorf("to Claude: %s", out)
	}
}

func TestAStreamedCallsSignatureComesBackThroughTheClient(t *testing.T) {
	t.Parallel()
	out := streamed(
		translate.Event{Kind: translate.Begin, From: translate.Gemini},
		translate.Event{Kind: translate.PartBegin, Part: &translate.ToolCall{ID: "c", Name: "w"}},
		translate.Event{Kind: translate.TextDelta, Text: "{}"},
		translate.Event{Kind: translate.SignDelta, Text: "late"},
		translate.Event{Kind: translate.PartEnd},
		translate.Event{Kind: translate.Whole, Part: &translate.ToolCall{ID: "d", Name: "w", Args: "{}", Signature: "early"}},
		translate.Event{Kind: translate.Finish, Stop: translate.ToCallTools},
		translate.Event{Kind: translate.Done},
	)
	checkGrammar(t, "signed calls", out)
	content := translatetest.Parse(t, message(t, stream{"signed calls", events(t, out)})).(map[string]any)["content"]
	c, err := messages.Codec{}.DecodeRequest([]byte(`{"messages":[{"role":"assistant","content":` + compact(t, content) + `}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []translate.Part{
		&translate.ToolCall{ID: "c", Name: "w", Args: "{}", Signature: "late"},
		&translate.ToolCall{ID: "d", Name: "w", Args: "{}", Signature: "early"},
	}
	if diff := cmp.Diff(want, c.Messages[0].Parts); diff != "" {
		t.Error(diff)
	}
}

func TestAMadeCitationDoesNotComeBack(t *testing.T) {
	t.Parallel()
	c, err := messages.Codec{}.DecodeRequest([]byte(`{"messages":[{"role":"assistant","content":[{"type":"text","text":"a","citations":[
		{"type":"web_search_result_location","url":"https://a","encrypted_index":""},
		{"type":"web_search_result_location","url":"https://b","encrypted_index":"x","title":"B","cited_text":"q"}]}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	got := c.Messages[0].Parts[0].(*translate.Text).Citations
	if len(got) != 1 || got[0].URL != "https://b" || got[0].Title != "B" || got[0].Quote != "q" {
		t.Errorf("%+v", got)
	}
}

func TestAMalformedRequestNamesTheMember(t *testing.T) {
	t.Parallel()
	for body, field := range map[string]string{
		``:                            "",
		`[]`:                          "",
		`{"model":1}`:                 "model",
		`{"messages":{}}`:             "messages",
		`{"messages":[{"role":"x"}]}`: "messages.0.role",
		`{"messages":[{"role":"user","content":5}]}`:                                                             "messages.0.content",
		`{"messages":[{"role":"user","content":[{"text":"a"}]}]}`:                                                "messages.0.content.0",
		`{"messages":[{"role":"user","content":["a"]}]}`:                                                         "messages.0.content.0",
		`{"messages":[{"role":"user","content":[{"type":"text","text":5}]}]}`:                                    "messages.0.content.0.text",
		`{"messages":[{"role":"user","content":[{"type":"image"}]}]}`:                                            "messages.0.content.0",
		`{"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"text","text":1}]}]}]}`: "messages.0.content.0.content.0.text",
		`{"system":[{"type":"text","text":[]}]}`:                                                                 "system.0.text",
		`{"tools":[{"name":5}]}`:                                                                                 "tools.0.name",
		`{"tool_choice":{"type":"some"}}`:                                                                        "tool_choice.type",
		`{"tool_choice":"auto"}`:                                                                                 "tool_choice",
		`{"thinking":{"type":"enabled"}}`:                                                                        "thinking",
		`{"output_config":{"format":5}}`:                                                                         "output_config.format",
		`{"messages":[{"content":"a"}]}`:                                                                         "messages.0",
		`{"max_tokens":1.5}`:                                                                                     "max_tokens",
		`{"metadata":{"user_id":5}}`:                                                                             "metadata.user_id",
	} {
		_, err := messages.Codec{}.DecodeRequest([]byte(body))
		bad, ok := errors.AsType[*translate.Malformed](err)
		if !ok || bad.Field != field || !strings.HasPrefix(bad.Why, field) || !strings.HasSuffix(bad.Why, ".") {
			t.Errorf("%s: %v, want field %q", body, err, field)
		}
	}
}

func TestTheClientsWishesAreUnderstood(t *testing.T) {
	t.Parallel()
	c, err := messages.Codec{}.DecodeRequest([]byte(`{
		"model":"m","max_tokens":100,"stream":true,"temperature":0.5,"top_p":0.9,"top_k":5,"stop_sequences":["a"],
		"metadata":{"user_id":"u"},"service_tier":"auto","thinking":{"type":"enabled","budget_tokens":2000,"display":"summarized"},
		"output_config":{"effort":"high","format":{"type":"json_schema","schema":{"type":"object"}}},
		"tool_choice":{"type":"tool","name":"w","disable_parallel_tool_use":true},
		"tools":[{"name":"w","input_schema":{},"strict":true,"cache_control":{"type":"ephemeral","ttl":"1h"}},
			{"type":"web_search_20250305","name":"web_search","max_uses":3},{"type":"bash_20250124","name":"bash"}],
		"mcp_servers":[{"type":"url","url":"https://m","name":"m"}],
		"system":"s",
		"messages":[{"role":"user","content":[
			{"type":"search_result","source":"https://s","title":"S","content":[{"type":"text","text":"words"}]},
			{"type":"document","title":"D","source":{"type":"content","content":"plain"}},
			{"type":"container_upload","file_id":"f"}]}],
		"inference_geo":"us"}`))
	if err != nil {
		t.Fatal(err)
	}
	kinds := []translate.ToolKind{}
	for _, tool := range c.Tools {
		kinds = append(kinds, tool.Kind)
	}
	if want := []translate.ToolKind{translate.Function, translate.WebSearch, translate.OtherTool, translate.MCP}; !slices.Equal(kinds, want) {
		t.Errorf("tools %v", kinds)
	}
	if c.Tools[0].Cache.TTL != "1h" || !*c.Tools[0].Strict || c.ToolChoice.Name != "w" || *c.ParallelTools {
		t.Errorf("tools %+v, choice %+v", c.Tools[0], c.ToolChoice)
	}
	r := c.Reasoning
	if *r.Budget != 2000 || r.Effort != "high" || !*r.Show || c.Format.Kind != translate.JSONSchema {
		t.Errorf("reasoning %+v, format %+v", r, c.Format)
	}
	if c.EndUser != "u" || !c.Stream || *c.MaxOutput != 100 || *c.TopK != 5 || c.Extra.Get("inference_geo") == nil {
		t.Errorf("%+v", c)
	}
	parts := c.Messages[1].Parts
	found, plain := parts[0].(*translate.Media), parts[1].(*translate.Media)
	if found.Name != "S" || found.Text != "https://s\n\nwords" || plain.Text != "plain" || parts[2].(*translate.Other).Kind != "container_upload" {
		t.Errorf("parts %+v, %+v, %+v", found, plain, parts[2])
	}
	if c.Field(translate.FeatureEndUser) != "metadata.user_id" || c.Field(translate.FeatureStop) != "stop_sequences" {
		t.Error("features are not called by their names")
	}
}

func TestErrorsHaveTheTypeOfTheirKind(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		status  int
		body    string
		kind    translate.FailureKind
		message string
		word    string
	}{
		"billing":         {400, `{"type":"error","error":{"type":"billing_error","message":"pay"}}`, translate.Payment, "pay", "billing_error"},
		"overloaded":      {529, `{"type":"error","error":{"type":"overloaded_error","message":"busy"}}`, translate.Overloaded, "busy", "overloaded_error"},
		"in a stream":     {0, `{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}`, translate.RateLimited, "slow", "rate_limit_error"},
		"a new type":      {0, `{"type":"error","error":{"type":"moon_error","message":"new"}}`, translate.Internal, "new", "moon_error"},
		"Amazon's":        {429, `{"message":"Too many tokens"}`, translate.RateLimited, "Too many tokens", "rate_limit_error"},
		"Google's":        {403, `[{"error":{"code":403,"message":"denied","status":"PERMISSION_DENIED"}}]`, translate.Forbidden, "denied", "permission_error"},
		"not JSON":        {502, `<html>`, translate.Unavailable, "<html>", "api_error"},
		"none":            {500, ``, translate.Internal, "", "api_error"},
		"a long page":     {404, strings.Repeat("ä", 900), translate.NotFound, strings.Repeat("ä", 500) + "…", "not_found_error"},
		"our own refusal": {413, `{}`, translate.TooLarge, "{}", "request_too_large"},
	} {
		f := messages.Codec{}.DecodeFailure(row.status, []byte(row.body))
		if f.Kind != row.kind || f.Message != row.message || f.Status == 0 {
			t.Errorf("%s: %+v", name, f)
		}
		got := translatetest.Parse(t, messages.Codec{}.EncodeFailure(f, "")).(map[string]any)["error"].(map[string]any)
		if got["type"] != row.word || got["message"] != row.message {
			t.Errorf("%s: %v, want %s", name, got, row.word)
		}
	}
}

func TestAnErrorInAStreamEndsIt(t *testing.T) {
	t.Parallel()
	list, err := run(stream{"", [][]byte{
		[]byte(`{"type":"message_start","message":{"type":"message","content":[]}}`),
		[]byte(`{"type":"error","error":{"type":"overloaded_error","message":"busy"}}`),
		[]byte(`{"type":"message_stop"}`),
	}})
	last := list[len(list)-1]
	if err != nil || last.Kind != translate.Fault || last.Failure.Kind != translate.Overloaded || last.Failure.Message != "busy" {
		t.Errorf("%v, %+v", err, last)
	}
	out := streamed(append(list, translate.Event{Kind: translate.Done})...)
	want := "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n"
	if string(out) != want {
		t.Errorf("told as %q", out)
	}
}

func TestAnAnswerOfAnotherShapeIsNone(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `{}`, `[]`, `{"type":"error","error":{}}`, `{"type":"message","content":[{"type":"text","text":1}]}`, `{"type":"message"`} {
		if a, err := (messages.Codec{}).DecodeAnswer([]byte(body)); err == nil {
			t.Errorf("%s is taken for %+v", body, a)
		}
	}
}
