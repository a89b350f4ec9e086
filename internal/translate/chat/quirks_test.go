package chat_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/test/translatetest"
)

// streamed reads chunks as a client of an odd server gets them.
func streamed(t *testing.T, frame string, chunks ...string) *translate.Answer {
	t.Helper()
	events, err := decode([]byte(strings.Join(chunks, frame)))
	if err != nil {
		t.Fatal(err)
	}
	a, err := translatetest.Whole(events)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestCallsOfOneIndexAreToldApartByTheirIDs(t *testing.T) {
	t.Parallel()
	a := streamed(t, "\n\n",
		`data: {"id":"x","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":"}}]}}]}`,
		`data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"1}"}}]}}]}`,
		`data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"b","function":{"name":"g","arguments":"{"}}]}}]}`,
		`data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}}]}`,
		`data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`, "data: [DONE]", "")
	want := []string{"a f {\"x\":1}", "b g {}"}
	if diff := cmp.Diff(want, translatetest.OfAnswer(a).Calls); diff != "" {
		t.Error(diff)
	}
	_, err := decode([]byte(`data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}},{"index":1,"id":"b","function":{"name":"g","arguments":"{}"}},{"index":0,"id":"a","function":{"name":"f","arguments":"}"}}]}}]}` + "\n\n"))
	if err == nil || !strings.Contains(err.Error(), "mixed up") {
		t.Errorf("arguments that are mixed up: %v", err)
	}
}

// deltas are chunks of one choice with these deltas, and its end.
func deltas(list ...string) (chunks []string) {
	for _, d := range list {
		chunks = append(chunks, `data: {"id":"x","choices":[{"index":0,"delta":`+d+`}]}`)
	}
	return append(chunks, `data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`, "data: [DONE]", "")
}

func TestWhatComesInTheMiddleOfACallIsToldBehindIt(t *testing.T) {
	t.Parallel()
	const f, g = `{"index":0,"id":"a","function":{"name":"f","arguments":""}}`, `{"index":1,"id":"b","function":{"name":"g","arguments":""}}`
	for name, c := range map[string]struct{ deltas, want []string }{
		"calls in turn": {
			[]string{
				`{"tool_calls":[` + f + `]}`, `{"tool_calls":[` + g + `]}`,
				`{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":"}}]}`, `{"tool_calls":[{"index":1,"function":{"arguments":"{\"y\":"}}]}`,
				`{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}`, `{"tool_calls":[{"index":1,"function":{"arguments":"2}"}}]}`,
			},
			[]string{`a f {"x":1}`, `b g {"y":2}`},
		},
		"calls in one chunk": {
			[]string{`{"tool_calls":[` + f + `,` + g + `]}`, `{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":1}"}},{"index":1,"function":{"arguments":"{}"}}]}`},
			[]string{`a f {"x":1}`, `b g {}`},
		},
		"an empty line": {
			[]string{`{"tool_calls":[` + f + `]}`, `{"content":"\n","tool_calls":[{"index":0,"function":{"arguments":"{\"x\":1}"}}]}`},
			[]string{`a f {"x":1}`},
		},
		"a proof of thoughts": {
			[]string{`{"tool_calls":[` + f + `]}`, `{"reasoning_details":[{"type":"reasoning.encrypted","data":"z"}]}`, `{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":1}"}}]}`},
			[]string{`a f {"x":1}`},
		},
		"nothing more of the first": {
			[]string{`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}},` + g + `]}`, `{"tool_calls":[{"index":0,"function":{"arguments":""}}]}`, `{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}`},
			[]string{`a f {}`, `b g {}`},
		},
		"no arguments at all": {[]string{`{"tool_calls":[` + f + `,` + g + `]}`, `{"content":"so"}`}, []string{`a f {}`, `b g {}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, translatetest.OfAnswer(streamed(t, "\n\n", deltas(c.deltas...)...)).Calls); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSpeechThatComesInPiecesIsOnePart(t *testing.T) {
	t.Parallel()
	a := streamed(t, "\n\n", deltas(`{"audio":{"id":"audio_1"}}`, `{"audio":{"transcript":"Hel"}}`, `{"audio":{"transcript":"lo","data":"UklG"}}`, `{"audio":{"data":"Rg=="}}`, `{"audio":{"expires_at":1700000000}}`)...)
	out, err := chat.Codec{}.EncodeAnswer(&translate.Conversation{}, a)
	const want = `"audio":{"id":"audio_1","data":"UklGRg==","transcript":"Hello","expires_at":1700000000}`
	if err != nil || !strings.Contains(string(out), want) {
		t.Errorf("%s is not in %s, %v", want, out, err)
	}
}

func TestOddServersAreUnderstood(t *testing.T) {
	t.Parallel()
	for name, chunks := range map[string][]string{
		"no [DONE]":            {`data: {"created":1.7e9,"choices":[{"delta":{"content":"hi"}}]}`, `data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`, ""},
		"usage in the choice":  {`data:{"created":"1700000000","choices":[{"delta":{"content":"hi"}}]}`, `data:{"choices":[{"delta":{"content":""},"finish_reason":"stop","usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}]}`, "data:[DONE]", ""},
		"comments and retries": {": PROCESSING", `data: {"created":1700000000,"choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":null,"refusal":null,"reasoning":null}}]}`, "retry: 3", "event: x\nid: 1\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"\"}]}", `data: {"choices":[{"index":0,"delta":null,"finish_reason":"stop"}],"usage":null}`, `data: {"choices":null,"usage":{"prompt_tokens":3,"completion_tokens":2}}`, "data: [DONE]", ""},
	} {
		for _, frame := range []string{"\n\n", "\r\n\r\n"} {
			a := streamed(t, frame, chunks...)
			g := translatetest.OfAnswer(a)
			if g.Assistant != "hi" || g.Stop != translate.EndOfTurn || g.Usage == nil || g.Usage.Prompt != 3 || g.Usage.Completion != 2 || a.Created != 1700000000 {
				t.Errorf("%s with %q: %+v, %+v, created %d", name, frame, g, g.Usage, a.Created)
			}
		}
	}
	for _, created := range []string{"1700000000", "1700000000.25", `"1700000000"`} {
		a, err := chat.Codec{}.DecodeAnswer([]byte(`{"id":null,"created":` + created + `,"choices":[{"message":{"role":"assistant","content":"hi","reasoning_details":[{"type":"reasoning.text","text":"so "},{"type":"reasoning.text","text":"it is"}]},"finish_reason":"stop"}]}`))
		if err != nil || a.Created != 1700000000 || len(a.Candidates[0].Parts) != 2 || a.Candidates[0].Parts[0].(*translate.Thinking).Text != "so it is" {
			t.Errorf("created %s: %+v, %v", created, a, err)
		}
	}
}

func TestOutputThatItsModelSpoiledIsNoAnswer(t *testing.T) {
	t.Parallel()
	c := &translate.Conversation{From: translate.Chat, IncludeUsage: true}
	a := &translate.Answer{From: translate.Gemini, Candidates: []translate.Candidate{{Stop: translate.Broken}}}
	if out, err := (chat.Codec{}).EncodeAnswer(c, a); err == nil {
		t.Errorf("an answer: %s", out)
	}
	out := string(translatetest.Written(chat.Codec{}.EncodeStream(c), []translate.Event{
		{Kind: translate.Begin, From: translate.Gemini}, {Kind: translate.Finish, Stop: translate.Broken}, {Kind: translate.Done},
	}))
	if !strings.Contains(out, `"error":{`) || strings.Contains(out, `"finish_reason":"`) || strings.Contains(out, "[DONE]") {
		t.Error(out)
	}
}
