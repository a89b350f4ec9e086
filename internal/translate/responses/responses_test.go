package responses_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/internal/translate/gemini"
	"halley/internal/translate/messages"
	"halley/internal/translate/responses"
)

var _ translate.Codec = responses.Codec{}

func decodeRequest(t *testing.T, codec translate.Client, body string) *translate.Conversation {
	t.Helper()
	c, err := codec.DecodeRequest([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func encodeRequest(t *testing.T, codec translate.Upstream, c *translate.Conversation, model string) map[string]any {
	t.Helper()
	body, err := codec.EncodeRequest(c, translate.Target{Model: model})
	if err != nil {
		t.Fatal(err)
	}
	return object(t, body)
}

func object(t *testing.T, body []byte) (out map[string]any) {
	t.Helper()
	if err := json.Unmarshal(body, &out); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return out
}

// same holds a value against JSON text.
func same(t *testing.T, got any, want string) {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(want), &v); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(v, got); diff != "" {
		t.Error(diff)
	}
}

func TestAChatRequestIsPutInTheWordsOfResponses(t *testing.T) {
	t.Parallel()
	c := decodeRequest(t, chat.Codec{}, `{"model":"m","stream":true,"max_completion_tokens":99,"temperature":0.5,"reasoning_effort":"low","verbosity":"low",
		"user":"ann","metadata":{"a":"b"},"prompt_cache_key":"k","service_tier":"flex","parallel_tool_calls":false,"logprobs":true,"top_logprobs":2,
		"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"},"strict":true}},
		"tool_choice":{"type":"function","function":{"name":"f"}},
		"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}},
			{"type":"custom","custom":{"name":"c","format":{"type":"grammar","grammar":{"syntax":"regex","definition":"a+"}}}}],
		"messages":[{"role":"system","content":"S"},
			{"role":"user","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"https://x/i.png","detail":"low"}},{"type":"file","file":{"file_data":"data:application/pdf;base64,AA==","filename":"a.pdf"}}]},
			{"role":"assistant","content":"hm","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},{"id":"call_2","type":"custom","custom":{"name":"c","input":"aaa"}}]},
			{"role":"tool","tool_call_id":"call_1","content":"one"},{"role":"tool","tool_call_id":"call_2","content":"two"}]}`)
	got := encodeRequest(t, responses.Codec{}, c, "gpt-5")
	same(t, got, `{"model":"gpt-5","stream":true,"max_output_tokens":99,"temperature":0.5,"reasoning":{"effort":"low"},
		"text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"},"strict":true},"verbosity":"low"},
		"user":"ann","metadata":{"a":"b"},"prompt_cache_key":"k","service_tier":"flex","parallel_tool_calls":false,"top_logprobs":2,"store":false,
		"include":["reasoning.encrypted_content","message.output_text.logprobs"],
		"tool_choice":{"type":"function","name":"f"},
		"tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object"},"strict":false},
			{"type":"custom","name":"c","format":{"type":"grammar","syntax":"regex","definition":"a+"}}],
		"input":[{"type":"message","role":"system","content":"S"},
			{"type":"message","role":"user","content":[{"type":"input_text","text":"look"},{"type":"input_image","image_url":"https://x/i.png","detail":"low"},{"type":"input_file","file_data":"data:application/pdf;base64,AA==","filename":"a.pdf"}]},
			{"type":"message","role":"assistant","content":"hm"},
			{"type":"function_call","call_id":"call_1","name":"f","arguments":"{\"a\":1}"},
			{"type":"custom_tool_call","call_id":"call_2","name":"c","input":"aaa"},
			{"type":"function_call_output","call_id":"call_1","output":"one"},
			{"type":"custom_tool_call_output","call_id":"call_2","output":"two"}]}`)
	if dropped := c.TakeDropped(); len(dropped) > 0 {
		t.Errorf("dropped %v", dropped)
	}
}

func TestWhatResponsesCannotSayIsRefusedOrToldToBeDropped(t *testing.T) {
	t.Parallel()
	for _, r := range []struct{ name, member, field string }{
		{"several answers", `"n":2`, "n"},
		{"stop sequences", `"stop":["x"]`, "stop"},
		{"a bias", `"logit_bias":{"1":5}`, "logit_bias"},
		{"speech", `"modalities":["text","audio"]`, "modalities"},
		{"sound", `"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}}]}]`, "audio"},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			body := `{"model":"m",` + r.member + `}`
			_, err := responses.Codec{}.EncodeRequest(decodeRequest(t, chat.Codec{}, body), translate.Target{Model: "m"})
			refusal, ok := errors.AsType[*translate.Unsupported](err)
			if !ok || refusal.Field != r.field {
				t.Errorf("got %v", err)
			}
		})
	}
	c := decodeRequest(t, chat.Codec{}, `{"model":"m","seed":1,"top_k":4,"presence_penalty":0.5,"frequency_penalty":0,"prediction":{},"reasoning_effort":"high",
		"messages":[{"role":"user","name":"Ann","content":"hi"}]}`)
	encodeRequest(t, responses.Codec{}, c, "gpt-4o")
	want := []string{"messages.name", "reasoning_effort", "presence_penalty", "seed", "top_k", "prediction"}
	if diff := cmp.Diff(want, c.TakeDropped()); diff != "" {
		t.Error(diff)
	}
}

func TestIdsThatAreTooLongAreShortenedAlikeForACallAndItsResult(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100)
	c := decodeRequest(t, messages.Codec{}, `{"model":"m","max_tokens":9,"metadata":{"user_id":"`+long+`"},"messages":[
		{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"tool_use","id":"`+long+`","name":"f","input":{}}]},
		{"role":"user","content":[{"type":"tool_result","tool_use_id":"`+long+`","is_error":true,"content":"no"}]}]}`)
	got := encodeRequest(t, responses.Codec{}, c, "gpt-5")
	items, _ := got["input"].([]any)
	call, _ := items[1].(map[string]any)
	result, _ := items[2].(map[string]any)
	id, _ := call["call_id"].(string)
	if len(id) != 64 || id != result["call_id"] {
		t.Errorf("the call is %v and the result of %v", call, result)
	}
	if result["output"] != "Error: no" {
		t.Errorf("the failure is not told: %v", result["output"])
	}
	if user, _ := got["user"].(string); len(user) != 64 {
		t.Errorf("the user is %v", user)
	}
}

func TestWebSearchKeepsItsBounds(t *testing.T) {
	t.Parallel()
	c := decodeRequest(t, messages.Codec{}, `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"tools":[
		{"type":"web_search_20250305","name":"web_search","blocked_domains":["b.org"],"user_location":{"type":"approximate","city":"Berne","country":"CH"}}]}`)
	got := encodeRequest(t, responses.Codec{}, c, "gpt-5")
	same(t, got["tools"], `[{"type":"web_search","filters":{"blocked_domains":["b.org"]},"user_location":{"type":"approximate","city":"Berne","country":"CH"}}]`)
}

// A conversation with a reasoning model goes on through clients of dialects that
// know nothing of its sealed thoughts.
func TestSealedReasoningComesBackThroughClientsOfOtherDialects(t *testing.T) {
	t.Parallel()
	answer := `{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"gpt-5","output":[
		{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"I look it up."}],"encrypted_content":"gAAA"},
		{"type":"function_call","id":"fc_1","call_id":"call_1","name":"f","arguments":"{}","status":"completed"}]}`
	for _, d := range []dialect{{name: translate.Chat, codec: chat.Codec{}}, {name: translate.Messages, codec: messages.Codec{}}} {
		for _, streamed := range []bool{false, true} {
			t.Run(fmt.Sprint(d.name, streamed), func(t *testing.T) {
				t.Parallel()
				a, err := responses.Codec{}.DecodeAnswer([]byte(answer))
				if err != nil {
					t.Fatal(err)
				}
				out, err := d.codec.EncodeAnswer(&translate.Conversation{From: d.name}, a)
				if err != nil {
					t.Fatal(err)
				}
				shown := object(t, out)
				var message any
				if streamed {
					stream := encode(responses.Codec{}.EncodeStream(&translate.Conversation{}), eventsOf(a))
					events, err := decode(responses.Codec{}.DecodeStream(), stream)
					if err != nil {
						t.Fatal(err)
					}
					again, err := decode(d.codec.DecodeStream(), encode(d.codec.EncodeStream(&translate.Conversation{From: d.name}), events))
					if err != nil {
						t.Fatal(err)
					}
					b, _, _ := assemble(again)
					if out, err = d.codec.EncodeAnswer(&translate.Conversation{From: d.name}, b); err != nil {
						t.Fatal(err)
					}
					shown = object(t, out)
				}
				follow := `[{"role":"tool","tool_call_id":"call_1","content":"42"}]`
				if d.name == translate.Chat {
					choices, _ := shown["choices"].([]any)
					choice, _ := choices[0].(map[string]any)
					message = choice["message"]
				} else {
					message = map[string]any{"role": "assistant", "content": shown["content"]}
					follow = `[{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_1","content":"42"}]}]`
				}
				said, err := json.Marshal(message)
				if err != nil {
					t.Fatal(err)
				}
				c := decodeRequest(t, d.codec, `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"},`+string(said)+`,`+follow[1:]+`}`)
				got := encodeRequest(t, responses.Codec{}, c, "gpt-5")
				same(t, got["input"], `[{"type":"message","role":"user","content":"hi"},
					{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"I look it up."}],"encrypted_content":"gAAA"},
					{"type":"function_call","call_id":"call_1","name":"f","arguments":"{}"},
					{"type":"function_call_output","call_id":"call_1","output":"42"}]`)
			})
		}
	}
}

// eventsOf is an answer as a stream that brings each part at once.
func eventsOf(a *translate.Answer) []translate.Event {
	events := []translate.Event{{Kind: translate.Begin, ID: a.ID, Model: a.Model, Created: a.Created, From: a.From, Extra: a.Extra}}
	for _, p := range a.Candidates[0].Parts {
		events = append(events, translate.Event{Kind: translate.Whole, Part: p})
	}
	c := &a.Candidates[0]
	return append(events,
		translate.Event{Kind: translate.Finish, Stop: c.Stop, StopWord: c.StopWord, From: a.From},
		translate.Event{Kind: translate.Use, Usage: a.Usage, From: a.From}, translate.Event{Kind: translate.Done})
}

// A client of Responses that talks to Claude or Gemini brings back what they
// signed, without knowing it.
func TestForeignSignaturesComeBackThroughClientsOfResponses(t *testing.T) {
	t.Parallel()
	a := &translate.Answer{From: translate.Gemini, ID: "g1", Model: "gemini", Candidates: []translate.Candidate{{
		Stop: translate.ToCallTools,
		Parts: []translate.Part{
			&translate.Thinking{Text: "Hm.", Signature: "sig", Origin: translate.Messages},
			&translate.ToolCall{ID: "call_1", Name: "f", Args: `{"a":1}`, Signature: "thought"},
			&translate.ToolCall{ID: "call_2", Name: "g"},
		},
	}}}
	body, err := responses.Codec{}.EncodeAnswer(&translate.Conversation{From: translate.Responses}, a)
	if err != nil {
		t.Fatal(err)
	}
	stream := encode(responses.Codec{}.EncodeStream(&translate.Conversation{From: translate.Responses}), eventsOf(a))
	grammar(t, "stream", stream)
	for name, response := range map[string][]byte{"whole": body, "streamed": final(t, stream)} {
		items, err := json.Marshal(object(t, response)["output"])
		if err != nil {
			t.Fatal(err)
		}
		c := decodeRequest(t, responses.Codec{}, `{"model":"m","input":`+string(items)+`}`)
		var parts []translate.Part
		for _, m := range c.Messages {
			parts = append(parts, m.Parts...)
		}
		if len(parts) != 3 {
			t.Fatalf("%s: got %d parts of %s", name, len(parts), items)
		}
		thought, _ := parts[0].(*translate.Thinking)
		signed, _ := parts[1].(*translate.ToolCall)
		plain, _ := parts[2].(*translate.ToolCall)
		if thought == nil || thought.Text != "Hm." || thought.Signature != "sig" || thought.Origin != translate.Messages {
			t.Errorf("%s: the thoughts are %+v", name, thought)
		}
		if signed == nil || signed.ID != "call_1" || signed.Signature != "thought" || signed.Args != `{"a":1}` {
			t.Errorf("%s: the signed call is %+v", name, signed)
		}
		if plain == nil || plain.ID != "call_2" || plain.Signature != "" || plain.Args != "{}" {
			t.Errorf("%s: the call is %+v", name, plain)
		}
	}
}

func TestTheTurnsOfAResponsesClientAreOneMessageForChat(t *testing.T) {
	t.Parallel()
	c := decodeRequest(t, responses.Codec{}, `{"model":"m","instructions":"Be brief.","input":[{"role":"user","content":"hi"},
		{"type":"reasoning","id":"rs_1","summary":[]},
		{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Both.","annotations":[]}]},
		{"type":"function_call","id":"fc_1","call_id":"call_1","name":"f","arguments":"{}"},
		{"type":"function_call","id":"fc_2","call_id":"call_2","name":"g","arguments":"{\"b\":2}"},
		{"type":"function_call_output","call_id":"call_1","output":"one"},
		{"type":"function_call_output","call_id":"call_2","output":[{"type":"input_text","text":"two"}]}]}`)
	got := encodeRequest(t, chat.Codec{}, c, "m")
	same(t, got["messages"], `[{"role":"system","content":"Be brief."},{"role":"user","content":"hi"},
		{"role":"assistant","content":"Both.","tool_calls":[
			{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}},
			{"id":"call_2","type":"function","function":{"name":"g","arguments":"{\"b\":2}"}}]},
		{"role":"tool","tool_call_id":"call_1","content":"one"},{"role":"tool","tool_call_id":"call_2","content":"two"}]`)
}

func TestWhatIsKeptAtOpenAIIsRefusedElsewhere(t *testing.T) {
	t.Parallel()
	for _, member := range []string{`"conversation":"conv_1"`, `"previous_response_id":"resp_1","input":"hi"`, `"prompt":{"id":"pmpt_1"}`, `"input":[{"type":"item_reference","id":"rs_1"}]`, `"input":[{"type":"compaction","encrypted_content":"x"}]`} {
		c := decodeRequest(t, responses.Codec{}, `{"model":"m",`+member+`}`)
		for _, codec := range []translate.Upstream{chat.Codec{}, messages.Codec{}, gemini.Codec{}} {
			_, err := codec.EncodeRequest(c, translate.Target{Model: "m"})
			if refusal, ok := errors.AsType[*translate.Unsupported](err); !ok || refusal.Field == "" {
				t.Errorf("%s: got %v", member, err)
			}
		}
	}
}

func TestAMalformedRequestNamesTheMember(t *testing.T) {
	t.Parallel()
	for _, r := range []struct{ body, field string }{
		{`{"input":7}`, "input"},
		{`{"input":[{"role":"nobody","content":"x"}]}`, "input[0].role"},
		{`{"input":[{"content":"x"}]}`, "input[0].role"},
		{`{"input":["x"]}`, "input[0]"},
		{`{"input":[{"role":"user","content":[{"text":"x"}]}]}`, "input[0].content[0].type"},
		{`{"input":[{"role":"user","content":[{"type":"input_image"}]}]}`, "input[0].content[0].image_url"},
		{`{"input":[{"role":"user","content":[{"type":"input_file","file_data":"data:x"}]}]}`, "input[0].content[0].file_data"},
		{`{"instructions":["x"]}`, "instructions"},
		{`{"temperature":"hot"}`, "temperature"},
		{`{"tool_choice":7}`, "tool_choice"},
		{`{"tools":["x"]}`, "tools[0]"},
		{`{"include":"x"}`, "include"},
		{`{"reasoning":"x"}`, "reasoning"},
		{`{"text":{"format":{"type":"json_schema","name":"n"}}}`, "text.format.schema"},
		{`not JSON`, ""},
	} {
		_, err := responses.Codec{}.DecodeRequest([]byte(r.body))
		bad, ok := errors.AsType[*translate.Malformed](err)
		if !ok || bad.Field != r.field || bad.Why == "" {
			t.Errorf("%s: got %v, want a Malformed of %q", r.body, err, r.field)
		}
	}
}

func TestAStreamThatBreaksOffIsNoSuccess(t *testing.T) {
	t.Parallel()
	const begun = `{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","model":"m","output":[],"status":"in_progress"}}`
	for _, r := range []struct {
		name   string
		events []string
	}{
		{"nothing", nil},
		{"a beginning", []string{begun}},
		{"Chat's end alone", []string{begun, "[DONE]"}},
		{"half an event", []string{begun, `{"type":"response.output_text.delta"`}},
		{"words of no item", []string{begun, `{"type":"response.function_call_arguments.delta","output_index":0,"delta":"x"}`}},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			events, err := decode(responses.Codec{}.DecodeStream(), stream(r.events))
			if _, whole, fault := assemble(events); err == nil || whole || fault != nil {
				t.Errorf("whole %v, %v, %v", whole, err, fault)
			}
		})
	}
}

func stream(events []string) []byte {
	var b bytes.Buffer
	for _, e := range events {
		fmt.Fprintf(&b, "data: %s\n\n", e)
	}
	return b.Bytes()
}

func TestServersThatLeaveOutEventsAreUnderstood(t *testing.T) {
	t.Parallel()
	const message = `{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"Hello","annotations":[]}]}`
	const call = `{"type":"function_call","id":"fc_1","call_id":"call_1","name":"f","arguments":"{\"a\":1}"}`
	completed := func(output string) string {
		return `{"type":"response.completed","response":{"id":"resp_1","model":"m","status":"completed","output":[` + output + `],"usage":{"input_tokens":1,"output_tokens":2}}}`
	}
	for _, r := range []struct {
		name   string
		events []string
	}{
		{"all at the end", []string{completed(message + "," + call)}},
		{"items when they are done", []string{
			`{"type":"response.output_item.done","output_index":0,"item":` + message + `}`,
			`{"type":"response.output_item.done","output_index":1,"item":` + call + `}`, completed(""),
		}},
		{"no deltas", []string{
			`{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"msg_1","role":"assistant","content":[]}}`,
			`{"type":"response.output_text.done","output_index":0,"text":"Hello"}`,
			`{"type":"response.output_item.done","output_index":0,"item":` + message + `}`,
			`{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","id":"fc_1","call_id":"call_1","name":"f","arguments":""}}`,
			`{"type":"response.output_item.done","output_index":1,"item":` + call + `}`, completed(""),
		}},
		{"deltas alone", []string{
			`{"type":"response.output_text.delta","delta":"Hel"}`, `{"type":"response.output_text.delta","delta":"lo"}`,
			`{"type":"response.output_item.added","item":{"type":"function_call","id":"fc_1","call_id":"call_1","name":"f","arguments":""}}`,
			`{"type":"response.function_call_arguments.delta","delta":"{\"a\":1}"}`, completed(""),
		}},
		{"two items at a time", []string{
			`{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"msg_1","role":"assistant","content":[]}}`,
			`{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","id":"fc_1","call_id":"call_1","name":"f","arguments":""}}`,
			`{"type":"response.output_text.delta","output_index":0,"delta":"Hel"}`,
			`{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{\"a\""}`,
			`{"type":"response.output_text.delta","output_index":0,"delta":"lo"}`,
			`{"type":"response.output_item.done","output_index":0,"item":` + message + `}`,
			`{"type":"response.function_call_arguments.delta","output_index":1,"delta":":1}"}`, completed(""),
		}},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			events, err := decode(responses.Codec{}.DecodeStream(), stream(r.events))
			a, whole, fault := assemble(events)
			if err != nil || !whole || fault != nil {
				t.Fatalf("whole %v, %v, %v", whole, err, fault)
			}
			want := essence{Text: "Hello", Calls: []string{`call_1 f {"a":1}`}, Stop: translate.ToCallTools, Usage: translate.Usage{Prompt: 1, Completion: 2}}
			if diff := cmp.Diff(want, essenceOf(a)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAFailureInMidStreamEndsItWithTheResponseThatFailed(t *testing.T) {
	t.Parallel()
	s := responses.Codec{}.EncodeStream(&translate.Conversation{From: translate.Responses, Model: "m"})
	out := s.Encode(nil, translate.Event{Kind: translate.Begin, ID: "x", Model: "m", From: translate.Chat})
	out = s.Encode(out, translate.Event{Kind: translate.PartBegin, Part: &translate.Text{}})
	out = s.Encode(out, translate.Event{Kind: translate.TextDelta, Text: "Hel"})
	out = s.Fail(out, translate.Failure{Status: 429, Kind: translate.RateLimited, Message: "Slow down."}, "req_1")
	out = s.Encode(out, translate.Event{Kind: translate.Done})
	grammar(t, "failed", out)
	events, err := decode(responses.Codec{}.DecodeStream(), out)
	_, whole, fault := assemble(events)
	if err != nil || whole || fault == nil || fault.Message != "Slow down. (request id: req_1)" || fault.Kind != translate.RateLimited || fault.Code != "rate_limit_exceeded" {
		t.Errorf("whole %v, %v, %+v", whole, err, fault)
	}
	if n := bytes.Count(out, []byte("event: response.failed")); n != 1 {
		t.Errorf("%d responses failed in %s", n, out)
	}
}

func TestAFailedResponseIsNoAnswer(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"id":"resp_1","object":"response","status":"failed","error":{"code":"server_error","message":"Oh."},"output":[]}`, `{"error":{"message":"x"}}`, `[]`, `x`,
	} {
		if a, err := (responses.Codec{}).DecodeAnswer([]byte(body)); err == nil {
			t.Errorf("%s is %+v", body, a)
		}
	}
}

func FuzzDecoding(f *testing.F) {
	for _, stream := range []bool{false, true} {
		for i, in := range recordings(f, stream) {
			if i%15 == 0 {
				f.Add(in.Request.Body[:min(len(in.Request.Body), 8000)])
				f.Add(in.Response.Body[:min(len(in.Response.Body), 8000)])
			}
		}
	}
	others := []translate.Codec{responses.Codec{}, chat.Codec{}, messages.Codec{}}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, codec := range others {
			if c, err := (responses.Codec{}).DecodeRequest(body); err == nil {
				if out, err := codec.EncodeRequest(c, translate.Target{Model: "m"}); err == nil && !json.Valid(out) {
					t.Errorf("a request is written as %s", out)
				}
			}
			if a, err := (responses.Codec{}).DecodeAnswer(body); err == nil {
				if out, err := codec.EncodeAnswer(&translate.Conversation{}, a); err == nil && !json.Valid(out) {
					t.Errorf("an answer is written as %s", out)
				}
			}
			events, _ := decode(responses.Codec{}.DecodeStream(), body)
			encode(codec.EncodeStream(&translate.Conversation{}), events)
		}
		responses.Codec{}.DecodeFailure(400, body)
		// Whatever another dialect's stream says, what is written of it keeps to the
		// grammar.
		events, err := decode(chat.Codec{}.DecodeStream(), body)
		if err == nil && slices.ContainsFunc(events, func(e translate.Event) bool { return e.Kind == translate.Done }) {
			grammar(t, "fuzz", encode(responses.Codec{}.EncodeStream(&translate.Conversation{}), events))
		}
	})
}

func BenchmarkChunk(b *testing.B) {
	data := []byte(`{"type":"response.output_text.delta","content_index":0,"delta":" word","item_id":"msg_0c3a5dc1b9f4bc0b0068e8e8ab1f6c819d","logprobs":[],"obfuscation":"sTTrzBCYDVnA","output_index":0,"sequence_number":7}`)
	for name, s := range map[string]translate.StreamEncoder{
		"ToChat": chat.Codec{}.EncodeStream(&translate.Conversation{From: translate.Chat}), "ToResponses": responses.Codec{}.EncodeStream(&translate.Conversation{From: translate.Responses}),
	} {
		b.Run(name, func(b *testing.B) {
			d := responses.Codec{}.DecodeStream()
			out := make([]byte, 0, 4096)
			emit := func(e translate.Event) {
				if e.Kind == translate.Begin {
					e.From = translate.Chat
				}
				out = s.Encode(out[:0], e)
			}
			if err := d.Decode("", []byte(`{"type":"response.created","response":{"id":"resp_1","model":"m","output":[]}}`), emit); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := d.Decode("", data, emit); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRequest32KB(b *testing.B) {
	long := strings.Repeat("The quick brown fox jumps over the lazy dog, again and again. ", 120)
	body := fmt.Appendf(nil, `{"model":"m","stream":true,"max_output_tokens":100,"instructions":%q,"input":[{"role":"user","content":%q},{"type":"message","role":"assistant","content":[{"type":"output_text","text":%q}]},{"type":"function_call","call_id":"call_1","name":"f","arguments":"{\"a\":1}"},{"type":"function_call_output","call_id":"call_1","output":%q}],"tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{"a":{"type":"number"}}}}]}`, long, long, long, long)
	for name, codec := range map[string]translate.Upstream{"ToChat": chat.Codec{}, "ToResponses": responses.Codec{}} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				c, err := responses.Codec{}.DecodeRequest(body)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := codec.EncodeRequest(c, translate.Target{Model: "m"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
