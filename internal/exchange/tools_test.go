package exchange_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"halley/internal/exchange"
	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/internal/translate/cohere"
	"halley/internal/translate/converse"
	"halley/internal/translate/gemini"
	"halley/internal/translate/messages"
	"halley/internal/translate/responses"
	"halley/internal/wire"
)

// codexAsks is a request as Codex makes it: with functions, a tool of free text, a
// search for tools that it runs itself, tools in namespaces that the search found
// or that stand in the input, and a web search; and earlier calls to all of them.
const codexAsks = `{"model":"public","stream":true,"input":[
	{"type":"additional_tools","role":"developer","tools":[
		{"type":"namespace","name":"functions","description":"","tools":[{"type":"custom","name":"exec","description":"Runs a program.","format":{"type":"grammar","syntax":"lark","definition":"start: /.+/"}}]},
		{"type":"namespace","name":"clock","description":"","tools":[{"type":"function","name":"sleep","parameters":{"type":"object","properties":{"ms":{"type":"number"}}}}]}]},
	{"role":"user","content":"Go on."},
	{"type":"tool_search_call","call_id":"s1","execution":"client","arguments":{"query":"mail"},"status":"completed"},
	{"type":"tool_search_output","call_id":"s1","execution":"client","status":"completed","tools":[
		{"type":"namespace","name":"mcp__mail.example","description":"","tools":[{"type":"function","name":"send","parameters":{"type":"object","properties":{"to":{"type":"string"}}}}]}]},
	{"type":"function_call","call_id":"c1","namespace":"mcp__mail.example","name":"send","arguments":"{\"to\":\"x\"}"},
	{"type":"function_call_output","call_id":"c1","output":"sent"},
	{"type":"custom_tool_call","call_id":"c2","name":"apply_patch","input":"*** Begin\n+\"é\"\n"},
	{"type":"custom_tool_call_output","call_id":"c2","output":"patched"},
	{"type":"custom_tool_call","call_id":"c3","namespace":"functions","name":"exec","input":"x()"},
	{"type":"custom_tool_call_output","call_id":"c3","output":"ran"}],
	"tools":[
		{"type":"function","name":"look","parameters":{"type":"object","properties":{}}},
		{"type":"custom","name":"apply_patch","description":"Edits."},
		{"type":"tool_search","execution":"client","description":"Finds tools.","parameters":{"type":"object","properties":{"query":{"type":"string"}}}},
		{"type":"web_search","external_web_access":true}]}`

// codexCalls are calls of each kind, as the client gets them: type, namespace,
// name, and what it is called with.
func codexCalls() []string {
	return []string{
		`function_call  look {}`,
		"custom_tool_call  apply_patch *** Begin\n+ \"é😀\" \\ \t*** End\n",
		`tool_search_call   {"query":"calendar"}`,
		`function_call mcp__mail.example send {"to":"y"}`,
		`custom_tool_call functions exec y()`,
		`function_call clock sleep {"ms":5}`,
	}
}

// modelCalls are the same, as an upstream makes them that knows functions only.
func modelCalls(names map[string]string) []translate.Part {
	calls := []struct{ name, args string }{
		{"look", "{}"},
		{"apply_patch", `{"input": "*** Begin\n+ \"\u00e9\ud83d\ude00\" \\ \t*** End\n"}`},
		{"tool_search", `{"query":"calendar"}`},
		{"send", `{"to":"y"}`},
		{"exec", `{"input":"y()"}`},
		{"sleep", `{"ms":5}`},
	}
	parts := make([]translate.Part, 0, len(calls))
	for i, c := range calls {
		parts = append(parts, &translate.ToolCall{ID: fmt.Sprintf("call_%d", i), Name: names[c.name], Args: c.args})
	}
	return parts
}

type codec struct {
	translate.Codec
	model   string
	dialect translate.Dialect
}

func codecs() map[string]codec {
	return map[string]codec{
		"chat":     {chat.Codec{}, "qwen3-coder", translate.Chat},
		"messages": {messages.Codec{}, "claude-sonnet-4-5", translate.Messages},
		"gemini":   {gemini.Codec{Streamed: true}, "gemini-3.1-pro-preview", translate.Gemini},
		"converse": {converse.Codec{}, "qwen.qwen3-coder", translate.Converse},
		"cohere":   {cohere.Codec{}, "command-a-03-2025", translate.Cohere},
	}
}

// askedOf puts the request before an upstream, and gives what that reads of it.
func askedOf(t *testing.T, up codec, body string) (x *exchange.Across, asked *translate.Conversation, dropped []string) {
	t.Helper()
	client := responses.Codec{}
	c, err := client.DecodeRequest([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	x = &exchange.Across{Conversation: c, Client: client, Upstream: up, Model: "public", ID: "id"}
	sent, dropped, err := x.Body(wire.Changes{Model: up.model}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if asked, err = up.DecodeRequest(sent); err != nil {
		t.Fatalf("%v: %s", err, sent)
	}
	return x, asked, dropped
}

// namesOf are the names of the functions, by what they end in.
func namesOf(t *testing.T, asked *translate.Conversation) map[string]string {
	t.Helper()
	names := map[string]string{}
	for _, tool := range asked.Tools {
		if tool.Kind != translate.Function {
			continue
		}
		for _, name := range []string{"look", "apply_patch", "tool_search", "exec", "sleep"} {
			if strings.HasSuffix(tool.Name, name) {
				names[name] = tool.Name
			}
		}
		if strings.HasPrefix(tool.Name, "mcp__mail_example__send_") {
			names["send"] = tool.Name
		}
	}
	if len(names) != 6 {
		t.Fatalf("the upstream knows %v", names)
	}
	return names
}

// shownCalls are the calls of a response's output.
func shownCalls(t *testing.T, body []byte) (calls []string) {
	t.Helper()
	var r struct {
		Output []struct {
			Type, Namespace, Name, Input string
			Arguments                    json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &r); err != nil {
		t.Fatal(err)
	}
	for _, item := range r.Output {
		with := item.Input
		if item.Arguments != nil && json.Unmarshal(item.Arguments, &with) != nil {
			with = string(item.Arguments)
		}
		var tidy bytes.Buffer
		if item.Type != "custom_tool_call" && json.Compact(&tidy, []byte(with)) == nil {
			with = tidy.String()
		}
		calls = append(calls, fmt.Sprintf("%s %s %s %s", item.Type, item.Namespace, item.Name, with))
	}
	return calls
}

func TestCodexToolsGoThereAndBack(t *testing.T) {
	t.Parallel()
	for name, up := range codecs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x, asked, dropped := askedOf(t, up, codexAsks)
			if want := []string{"tools.format", "tools.web_search"}; name != "gemini" && name != "messages" && !slices.Equal(dropped, want) {
				t.Errorf("%v is told, want %v", dropped, want)
			} else if !slices.Contains(dropped, "tools.format") {
				t.Errorf("%v is told", dropped)
			}
			names := namesOf(t, asked)
			history(t, asked, names)

			made := &translate.Answer{From: up.dialect, ID: "a1", Model: up.model, Candidates: []translate.Candidate{{Stop: translate.ToCallTools, Parts: modelCalls(names)}}}
			answer, err := up.EncodeAnswer(asked, made)
			if err != nil {
				t.Fatal(err)
			}
			_, out, ok := x.Answer(answer)
			if got := shownCalls(t, out); !ok || !slices.Equal(got, codexCalls()) {
				t.Errorf("the client gets %q", got)
			}

			out = streamed(t, x, up, asked, made)
			whole := out[bytes.LastIndex(out, []byte(`data: {"type":"response.completed"`))+len("data: "):]
			var last struct{ Response json.RawMessage }
			if err := json.Unmarshal(bytes.TrimSpace(whole), &last); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if got := shownCalls(t, last.Response); !slices.Equal(got, codexCalls()) {
				t.Errorf("the stream ends with %q", got)
			}
			if text := deltas(t, out, "response.custom_tool_call_input.delta"); text != "*** Begin\n+ \"é😀\" \\ \t*** End\ny()" {
				t.Errorf("the deltas of free text are %q", text)
			}
		})
	}
}

// history checks what the upstream is told of earlier turns.
func history(t *testing.T, asked *translate.Conversation, names map[string]string) {
	t.Helper()
	var got []string
	for _, m := range asked.Messages {
		for _, p := range m.Parts {
			switch p := p.(type) {
			case *translate.ToolCall:
				got = append(got, p.Name+" "+p.Args)
			case *translate.ToolResult:
				if text, ok := p.Parts[0].(*translate.Text); ok {
					got = append(got, text.Text)
				}
			}
		}
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{
		names["tool_search"], names["send"] + ` {"to":"x"}`, names["apply_patch"] + ` {"input":"*** Begin\n+\"é\"\n"}`, names["exec"] + ` {"input":"x()"}`,
		"These tools can be called now: " + names["send"] + ".", "sent", "patched", "ran",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%s is missing in %s", want, all)
		}
	}
}

// streamed lets the upstream stream the answer, with arguments in pieces of a few
// bytes, and gives what the client gets.
func streamed(t *testing.T, x *exchange.Across, up codec, asked *translate.Conversation, made *translate.Answer) (out []byte) {
	t.Helper()
	enc := up.EncodeStream(asked)
	var sent []byte
	tell := func(e translate.Event) { sent = enc.Encode(sent, e) }
	tell(translate.Event{Kind: translate.Begin, ID: made.ID, Model: made.Model})
	for _, p := range made.Candidates[0].Parts {
		begun := *p.(*translate.ToolCall) // they all are
		args := begun.Args
		begun.Args = ""
		tell(translate.Event{Kind: translate.PartBegin, Part: &begun})
		for piece := range slices.Chunk([]byte(args), 3) {
			tell(translate.Event{Kind: translate.TextDelta, Text: string(piece)})
		}
		tell(translate.Event{Kind: translate.PartEnd})
	}
	tell(translate.Event{Kind: translate.Finish, Stop: translate.ToCallTools})
	tell(translate.Event{Kind: translate.Use, Usage: &translate.Usage{Prompt: 3, Completion: 4}})
	tell(translate.Event{Kind: translate.Done})
	s := x.Stream()
	for event := range bytes.SplitAfterSeq(bytes.ReplaceAll(sent, []byte("\r\n"), []byte("\n")), []byte("\n\n")) {
		if len(event) > 0 {
			out = s.Take(out, event)
		}
	}
	return s.AppendEnd(out)
}

func deltas(t *testing.T, stream []byte, kind string) (text string) {
	t.Helper()
	for line := range strings.Lines(string(stream)) {
		data, ok := strings.CutPrefix(line, "data: ")
		var e struct{ Type, Delta string }
		if ok && json.Unmarshal([]byte(data), &e) == nil && e.Type == kind {
			text += e.Delta
		}
	}
	return text
}
