package converse_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/internal/translate/converse"
	"halley/internal/translate/gemini"
	"halley/internal/translate/messages"
	"halley/internal/translate/responses"
	"halley/test/fakeprovider"
	"halley/test/translatetest"
)

// others are the other dialects, with a model that is asked in each.
var others = []struct {
	name  string
	codec translate.Codec
	api   string
	model string
}{
	{"Chat", chat.Codec{}, fakeprovider.Chat, "gpt-5"},
	{"Messages", messages.Codec{}, "anthropic.messages", "claude-sonnet-4-5"},
	{"Responses", responses.Codec{}, "openai.responses", "gpt-5"},
	{"Gemini", gemini.Codec{}, "gemini.generateContent", "gemini-2.5-pro"},
}

// models on Bedrock, of kinds that take different things.
var models = []string{"us.anthropic.claude-sonnet-4-5-20250929-v1:0", "us.amazon.nova-2-lite-v1:0", "meta.llama3-70b-instruct-v1:0"}

// TestRecordedRequestsReachBedrock sends what clients of other dialects have asked
// to models there and reads it back.
func TestRecordedRequestsReachBedrock(t *testing.T) {
	t.Parallel()
	for _, from := range others {
		for _, model := range models {
			var y translatetest.Tally
			for _, in := range translatetest.Recordings(t, from.api) {
				if in.Request.Body == nil || in.Response.Status >= 400 {
					continue
				}
				if _, err := from.codec.DecodeRequest(in.Request.Body); err != nil {
					continue // that dialect's own tests say which and why
				}
				before, after, field := translatetest.Through(t, in.Request.Body, from.codec, converse.Codec{}, model)
				if field != "" {
					y.Refuse(field)
					continue
				}
				y.Passed++
				if before.User == "" && after.User == before.System { // a conversation of system text alone
					before.User, before.System = before.System, ""
				}
				if diff := cmp.Diff(before.Fitted(), after.Fitted()); diff != "" {
					t.Errorf("%s to %s:\n%s", in.File, model, diff)
				}
			}
			y.Log(t, from.name+" to "+model)
		}
	}
}

// TestRecordedAnswersReachEveryClient brings what Bedrock has answered to clients
// of each dialect, and reads it as they do.
func TestRecordedAnswersReachEveryClient(t *testing.T) {
	t.Parallel()
	for _, to := range others {
		var y translatetest.Tally
		for _, in := range translatetest.Recordings(t, plainAPI) {
			if in.Response.Status != 200 {
				continue
			}
			a, err := converse.Codec{}.DecodeAnswer(in.Response.Body)
			if err != nil {
				t.Fatal(err)
			}
			a.ID = "id-1" // the gateway gives it
			y.Passed++
			back := translatetest.AndBack(t, a, to.codec)
			if diff := cmp.Diff(translatetest.OfAnswer(a).OneWord(), translatetest.OfAnswer(back).OneWord()); diff != "" {
				t.Errorf("%s to %s:\n%s", in.File, to.name, diff)
			}
		}
		for file, list := range streams(t) {
			events, err := run(list)
			if err != nil {
				t.Fatal(err)
			}
			a, err := translatetest.Whole(events)
			if err != nil {
				t.Fatal(err)
			}
			events[0].ID = "id-1"
			got, err := translatetest.Streamed(events, to.codec)
			if err != nil {
				t.Errorf("%s to %s: %v", file, to.name, err)
				continue
			}
			y.Passed++
			if diff := cmp.Diff(translatetest.OfAnswer(a).OneWord(), translatetest.OfAnswer(got).OneWord()); diff != "" {
				t.Errorf("%s to %s, streamed:\n%s", file, to.name, diff)
			}
		}
		y.Log(t, "answers to "+to.name)
	}
}

// TestAnswersReachConverseClients is the other way round, which no door needs yet.
func TestAnswersReachConverseClients(t *testing.T) {
	t.Parallel()
	for _, from := range others {
		var y translatetest.Tally
		for _, in := range translatetest.Recordings(t, from.api) {
			if in.Response.Status != 200 {
				continue
			}
			var a *translate.Answer
			var back *translate.Answer
			if in.Response.IsSSE() {
				events, err := translatetest.Events(from.codec.DecodeStream(), in.Response.Body)
				if err != nil {
					continue
				}
				if a, err = translatetest.Whole(events); err != nil || len(a.Candidates) == 0 {
					continue
				}
				if back, err = translatetest.Streamed(events, converse.Codec{}); err != nil {
					t.Errorf("%s: %v", in.File, err)
					continue
				}
			} else {
				var err error
				if a, err = from.codec.DecodeAnswer(in.Response.Body); err != nil || len(a.Candidates) == 0 {
					continue
				}
				back = translatetest.AndBack(t, a, converse.Codec{})
			}
			y.Passed++
			for _, c := range a.Candidates {
				for _, p := range c.Parts {
					if call, ok := p.(*translate.ToolCall); ok && call.Custom { // free text stands in an object
						call.Args = string(messages.Arguments(call))
					}
				}
			}
			if diff := cmp.Diff(seenHere(a), seenHere(back)); diff != "" {
				t.Errorf("%s:\n%s", in.File, diff)
			}
		}
		y.Log(t, from.name+" answers to Converse")
	}
}

// seenHere allows for what a Converse client is not told: media, and how much was
// reasoning.
func seenHere(a *translate.Answer) translatetest.Gist {
	g := translatetest.OfAnswer(a).OneWord()
	g.Media, g.Usage.Reasoning = nil, 0
	return g
}

// TestClaudesThoughtsGoOnAnywhere follows a signature from Bedrock through a
// client of each dialect to Claude at Anthropic's and back on Bedrock.
func TestClaudesThoughtsGoOnAnywhere(t *testing.T) {
	t.Parallel()
	a, err := converse.Codec{}.DecodeAnswer([]byte(`{"output":{"message":{"role":"assistant","content":[
		{"reasoningContent":{"reasoningText":{"text":"I think.","signature":"EqoBCkgIARABGAIiQL=="}}},
		{"text":"Let me see."},
		{"toolUse":{"toolUseId":"tooluse_1","name":"f","input":{}}}]}},"stopReason":"tool_use"}`))
	if err != nil {
		t.Fatal(err)
	}
	if sign := a.Candidates[0].Parts[0].(*translate.Thinking); sign.Origin != translate.Messages {
		t.Errorf("the thoughts are of %s", sign.Origin)
	}
	for _, client := range others {
		out, err := client.codec.EncodeAnswer(&translate.Conversation{IncludeUsage: true}, a)
		if err != nil {
			t.Fatal(err)
		}
		shown, err := client.codec.DecodeAnswer(out)
		if err != nil {
			t.Fatal(err)
		}
		parts := slices.Clone(shown.Candidates[0].Parts)
		budget := int64(2048)
		c := &translate.Conversation{From: translate.Chat, Reasoning: &translate.Reasoning{Budget: &budget}, Tools: []translate.Tool{{Kind: translate.Function, Name: "f"}}, Messages: []translate.Message{
			{Role: translate.User, Parts: []translate.Part{&translate.Text{Text: "Hi"}}},
			{Role: translate.Assistant, Parts: parts},
			{Role: translate.User, Parts: []translate.Part{&translate.ToolResult{CallID: "tooluse_1", Parts: []translate.Part{&translate.Text{Text: "1"}}}}},
		}}
		if client.name == "Gemini" { // whose clients bring signatures back elsewhere; see its own tests
			continue
		}
		for name, up := range map[string]struct {
			codec translate.Codec
			model string
			want  string
		}{
			"Anthropic": {messages.Codec{}, "claude-sonnet-4-5", `"signature":"EqoBCkgIARABGAIiQL=="`},
			"Bedrock":   {converse.Codec{}, models[0], `"reasoningText":{"text":"I think.","signature":"EqoBCkgIARABGAIiQL=="}`},
		} {
			body, err := up.codec.EncodeRequest(c, translate.Target{Model: up.model})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(body), up.want) {
				t.Errorf("%s client, on to %s: %s", client.name, name, body)
			}
		}
		body, err := converse.Codec{}.EncodeRequest(c, translate.Target{Model: models[1]})
		if err != nil || strings.Contains(string(body), "reasoningContent") {
			t.Errorf("Nova gets Claude's thoughts: %s, %v", body, err)
		}
	}
}

func TestWhatNovasOwnToolsAnswerIsNoResultOfTheClients(t *testing.T) {
	t.Parallel()
	for tool, kind := range map[string]translate.ToolKind{"nova_grounding": translate.WebSearch, "nova_code_interpreter": translate.CodeExecution} {
		body := []byte(`{"output":{"message":{"role":"assistant","content":[
			{"toolUse":{"toolUseId":"t1","name":"` + tool + `","input":{"query":"q"},"type":"server_tool_use"}},
			{"toolResult":{"toolUseId":"t1","content":[{"text":"[HIDDEN]"}],"status":"success","type":"` + tool + `_result"}},
			{"text":"so"}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2},"metrics":{"latencyMs":1}}`)
		a, err := converse.Codec{}.DecodeAnswer(body)
		if err != nil {
			t.Fatal(err)
		}
		call, isCall := a.Candidates[0].Parts[0].(*translate.ToolCall)
		result, isResult := a.Candidates[0].Parts[1].(*translate.ToolResult)
		if !isCall || !isResult || call.Server != kind || result.Server != kind || a.Candidates[0].Stop != translate.EndOfTurn {
			t.Errorf("%s: %+v", tool, a.Candidates[0])
		}
		out, err := converse.Codec{}.EncodeAnswer(&translate.Conversation{From: translate.Converse}, a)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(translatetest.Parse(t, body), translatetest.Parse(t, out)); diff != "" {
			t.Error(diff)
		}
	}
}
