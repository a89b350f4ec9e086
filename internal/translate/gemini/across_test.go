package gemini_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/internal/translate/gemini"
	"halley/internal/translate/messages"
	"halley/internal/translate/responses"
	"halley/test/fakeprovider"
	"halley/test/translatetest"
)

// other is another dialect, with the model that Gemini's clients are sent to.
type other struct {
	api   string
	codec translate.Codec
	model string
}

var others = []other{
	{fakeprovider.Chat, chat.Codec{}, "gpt-5"},
	{"anthropic.messages", messages.Codec{}, "claude-sonnet-4-5"},
	{"openai.responses", responses.Codec{}, "gpt-5"},
}

func TestRecordedRequestsReachOtherUpstreams(t *testing.T) {
	t.Parallel()
	for _, o := range others {
		var y translatetest.Tally
		for _, in := range translatetest.Recordings(t, generateAPI) {
			if in.Request.Body == nil || isInvalid(in.File) {
				continue
			}
			before, after, field := translatetest.Through(t, in.Request.Body, gemini.Codec{}, o.codec, o.model)
			if field != "" {
				y.Refuse(field)
				continue
			}
			y.Passed++
			if rest, ok := strings.CutPrefix(after.System, before.System); ok && strings.HasPrefix(rest, "AnswerwithoneJSONobject") {
				after.System = before.System // a format that Claude is asked for in words
			}
			if diff := cmp.Diff(before, after.WithoutIntroductions()); diff != "" {
				t.Errorf("%s to %s:\n%s", in.File, o.api, diff)
			}
		}
		y.Log(t, "Gemini requests to "+o.api)
	}
}

func TestRecordedRequestsOfOthersReachGemini(t *testing.T) {
	t.Parallel()
	for _, o := range others {
		var y translatetest.Tally
		for _, in := range translatetest.Recordings(t, o.api) {
			if in.Request.Body == nil || in.Response.Status >= 400 {
				continue
			}
			before, after, field := translatetest.Through(t, in.Request.Body, o.codec, gemini.Codec{}, "gemini-3-flash-preview")
			if field != "" {
				y.Refuse(field)
				continue
			}
			y.Passed++
			if before.User == "" && after.User == before.System { // a conversation of system text alone
				before.User, before.System = before.System, ""
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("%s:\n%s", in.File, diff)
			}
		}
		y.Log(t, o.api+" requests to Gemini")
	}
}

func TestRecordedAnswersReachOtherClients(t *testing.T) {
	t.Parallel()
	for _, o := range others {
		var y translatetest.Tally
		for _, in := range translatetest.Recordings(t, generateAPI) {
			if in.Stream || in.Response.Status != 200 {
				continue
			}
			a, err := gemini.Codec{}.DecodeAnswer(in.Response.Body)
			if err != nil {
				t.Fatal(err)
			}
			y.Passed++
			if diff := cmp.Diff(near(translatetest.OfAnswer(a)), near(translatetest.OfAnswer(translatetest.AndBack(t, a, o.codec)))); diff != "" {
				t.Errorf("%s to %s:\n%s", in.File, o.api, diff)
			}
		}
		for _, s := range streams(t) {
			list, err := run(s)
			if err != nil {
				t.Fatal(err)
			}
			a, err := translatetest.Whole(list)
			if err != nil {
				t.Fatal(err)
			}
			got, err := translatetest.Streamed(list, o.codec)
			if err != nil {
				t.Errorf("%s to %s: %v", s.file, o.api, err)
				continue
			}
			y.Passed++
			if diff := cmp.Diff(near(translatetest.OfAnswer(a)), near(translatetest.OfAnswer(got))); diff != "" {
				t.Errorf("%s to %s, streamed:\n%s", s.file, o.api, diff)
			}
		}
		y.Log(t, "Gemini answers to "+o.api)
	}
}

// near is a gist as far as answers share it: the media of an answer are part of
// no other dialect, but for pictures in Chat's.
func near(g translatetest.Gist) translatetest.Gist {
	g = g.OneWord()
	g.Media = nil
	return g
}

func TestRecordedAnswersOfOthersReachGeminiClients(t *testing.T) {
	t.Parallel()
	for _, o := range others {
		var y translatetest.Tally
		for _, in := range translatetest.Recordings(t, o.api) {
			if in.Response.Status != 200 {
				continue
			}
			var a, got *translate.Answer
			if in.Response.IsSSE() {
				list, err := translatetest.Events(o.codec.DecodeStream(), in.Response.Body)
				if err != nil {
					continue // the dialect's own tests say which and why
				}
				if a, err = translatetest.Whole(list); err != nil {
					continue
				}
				if got, err = translatetest.Streamed(list, gemini.Codec{}); err != nil {
					t.Errorf("%s: %v", in.File, err)
					continue
				}
			} else {
				var err error
				if a, err = o.codec.DecodeAnswer(in.Response.Body); err != nil {
					continue
				}
				got = translatetest.AndBack(t, a, gemini.Codec{})
			}
			y.Passed++
			wrapFreeText(a) // which no client of Gemini's can have asked for
			if diff := cmp.Diff(near(translatetest.OfAnswer(a)), near(translatetest.OfAnswer(got))); diff != "" {
				t.Errorf("%s:\n%s", in.File, diff)
			}
		}
		y.Log(t, o.api+" answers to Gemini")
	}
}

// wrapFreeText makes an object of what custom tools are called with.
func wrapFreeText(a *translate.Answer) {
	for _, p := range a.Candidates[0].Parts {
		if call, ok := p.(*translate.ToolCall); ok && call.Custom {
			text, _ := json.Marshal(map[string]string{"input": call.Args})
			call.Args = string(text)
		}
	}
}

// A conversation with a Gemini 2.5 model, which gives calls no ids, can be carried
// on by a client that needs them, and comes back to the model with the same ids
// for call and result.
func TestMadeUpCallIDsComeBack(t *testing.T) {
	t.Parallel()
	answer := []byte(`{"candidates":[{"content":{"role":"model","parts":[
		{"functionCall":{"name":"f","args":{"a":1}},"thoughtSignature":"c2ln"},{"functionCall":{"name":"f"}}]},"finishReason":"STOP"}],
		"usageMetadata":{"promptTokenCount":1},"responseId":"abc-_1"}`)
	a, err := gemini.Codec{}.DecodeAnswer(answer)
	if err != nil {
		t.Fatal(err)
	}
	first, second := a.Candidates[0].Parts[0].(*translate.ToolCall), a.Candidates[0].Parts[1].(*translate.ToolCall)
	if first.ID != "call_abc-_1_0" || second.ID != "call_abc-_1_1" || a.Candidates[0].Stop != translate.ToCallTools {
		t.Fatalf("%+v %+v %v", first, second, a.Candidates[0].Stop)
	}
	c := &translate.Conversation{From: translate.Chat, Messages: []translate.Message{
		{Role: translate.User, Parts: []translate.Part{&translate.Text{Text: "go"}}},
		{Role: translate.Assistant, Parts: []translate.Part{first, second}},
		{Role: translate.User, Parts: []translate.Part{&translate.ToolResult{CallID: second.ID, Parts: []translate.Part{&translate.Text{Text: "two"}}}}},
		{Role: translate.User, Parts: []translate.Part{&translate.ToolResult{CallID: first.ID, Failed: true, Parts: []translate.Part{&translate.Text{Text: "one"}}}}},
	}}
	out, err := gemini.Codec{}.EncodeRequest(c, translate.Target{Model: "gemini-2.5-flash"})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"contents":[{"role":"user","parts":[{"text":"go"}]},
		{"role":"model","parts":[{"functionCall":{"id":"call_abc-_1_0","name":"f","args":{"a":1}},"thoughtSignature":"c2ln"},{"functionCall":{"id":"call_abc-_1_1","name":"f","args":{}}}]},
		{"role":"user","parts":[{"functionResponse":{"id":"call_abc-_1_1","name":"f","response":{"output":"two"}}},{"functionResponse":{"id":"call_abc-_1_0","name":"f","response":{"error":"one"}}}]}]}`
	if diff := cmp.Diff(translatetest.Parse(t, []byte(want)), translatetest.Parse(t, out)); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(string(out), "skip_thought") {
		t.Error("a signature was made up for a model that wants none")
	}
}

func TestWhatAToolFoundStaysInItsResult(t *testing.T) {
	t.Parallel()
	const body = `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"},
		{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"search","input":{}}]},
		{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"search_result","source":"https://a.b","title":"t","content":[{"type":"text","text":"found"}]}]}]}]}`
	for _, far := range []translate.Codec{gemini.Codec{}, chat.Codec{}} {
		_, after, refused := translatetest.Through(t, []byte(body), messages.Codec{}, far, "gemini-2.5-pro")
		if refused != "" || len(after.Results) != 1 || !strings.Contains(after.Results[0], "found") || strings.Contains(after.User, "found") {
			t.Errorf("%T: %+v, %s", far, after, refused)
		}
	}
}

func TestAPictureOfThoughtsIsNoAnswer(t *testing.T) {
	t.Parallel()
	const draft, final = "iVBORw0KGgoA", "iVBORw0KGgoB"
	body := `{"candidates":[{"content":{"role":"model","parts":[{"inlineData":{"mimeType":"image/png","data":"` + draft + `"},"thought":true},{"inlineData":{"mimeType":"image/png","data":"` + final + `"}}]},"finishReason":"STOP"}],"responseId":"r","modelVersion":"m"}`
	a, err := gemini.Codec{}.DecodeAnswer([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	events, err := translatetest.Events(gemini.Codec{}.DecodeStream(), []byte("data: "+body+"\n\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, client := range []translate.Codec{chat.Codec{}, responses.Codec{}} {
		whole, err := client.EncodeAnswer(&translate.Conversation{}, a)
		if err != nil {
			t.Fatal(err)
		}
		for _, out := range [][]byte{whole, translatetest.Written(client.EncodeStream(&translate.Conversation{}), events)} {
			if !strings.Contains(string(out), final) || strings.Contains(string(out), draft) {
				t.Errorf("%T: %s", client, out)
			}
		}
	}
}
