package cohere_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"halley/internal/sse"
	"halley/internal/translate"
	"halley/internal/translate/cohere"
	"halley/test/translatetest"
)

const chatAPI = "cohere.chat_v2"

func TestRecordedRequestsSurviveTheirOwnDialect(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, in := range translatetest.Recordings(t, chatAPI) {
		if in.Request.Body == nil {
			continue
		}
		seen++
		requestSurvives(t, in.File, in.Request.Body, in.Model)
	}
	t.Logf("%d requests", seen)
}

func requestSurvives(t *testing.T, name string, body []byte, model string) {
	t.Helper()
	c, err := cohere.Codec{}.DecodeRequest(body)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	out, err := cohere.Codec{}.EncodeRequest(c, translate.Target{Model: model})
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if diff := cmp.Diff(translatetest.PlainCohere(translatetest.Parse(t, body)), translatetest.PlainCohere(translatetest.Parse(t, out))); diff != "" {
		t.Errorf("%s:\n%s", name, diff)
	}
	if dropped := c.TakeDropped(); dropped != nil {
		t.Errorf("%s: dropped %v", name, dropped)
	}
}

func TestARequestWithEverythingSurvivesItsOwnDialect(t *testing.T) {
	t.Parallel()
	requestSurvives(t, "everything", []byte(`{"model":"m","stream":true,"messages":[
		{"role":"system","content":"Be brief."},
		{"role":"user","content":[{"type":"text","text":"Look","x":1},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"low"}},{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]},
		{"role":"assistant","content":[{"type":"thinking","thinking":"Hm."},{"type":"text","text":"I look."}],"tool_plan":"I will look.","tool_calls":[{"id":"a","type":"function","function":{"name":"look","arguments":"{\"x\":1}"}}]},
		{"role":"tool","tool_call_id":"a","content":[{"type":"document","document":{"id":"1","data":"{}"}}],"later":true}],
		"tools":[{"type":"function","function":{"name":"look","description":"Looks","parameters":{"type":"object"}}}],"strict_tools":true,"tool_choice":"REQUIRED",
		"documents":["one",{"id":"2","data":{"text":"two"}}],"citation_options":{"mode":"FAST"},"safety_mode":"OFF","priority":3,
		"response_format":{"type":"json_object","schema":{"type":"object"}},"max_tokens":5,"stop_sequences":["a"],"temperature":0.5,"seed":1,
		"frequency_penalty":0.1,"presence_penalty":0.2,"k":3,"p":0.4,"logprobs":true,"thinking":{"type":"enabled","token_budget":100}}`), "m")
}

func TestRecordedAnswersSurviveTheirOwnDialect(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, in := range translatetest.Recordings(t, chatAPI) {
		if in.Response.IsSSE() || in.Response.Status != 200 {
			continue
		}
		seen++
		a, err := cohere.Codec{}.DecodeAnswer(in.Response.Body)
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		if a.Usage == nil || a.Usage.Prompt == 0 || a.Usage.Completion == 0 || a.Usage.CachedRead > a.Usage.Prompt {
			t.Errorf("%s: usage %+v", in.File, a.Usage)
		}
		out, err := cohere.Codec{}.EncodeAnswer(nil, a)
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		if diff := cmp.Diff(translatetest.PlainCohere(translatetest.Parse(t, in.Response.Body)), translatetest.PlainCohere(translatetest.Parse(t, out))); diff != "" {
			t.Errorf("%s:\n%s", in.File, diff)
		}
	}
	t.Logf("%d answers", seen)
}

// stream is the data of a streamed answer's events.
type stream struct {
	file   string
	events [][]byte
}

func streams(t testing.TB) (all []stream) {
	t.Helper()
	for _, in := range translatetest.Recordings(t, chatAPI) {
		if in.Response.IsSSE() {
			all = append(all, stream{in.File, events(in.Response.Body)})
		}
	}
	return append(all, stream{"by hand", [][]byte{
		[]byte(`{"type":"message-start","id":"m","delta":{"message":{"role":"assistant"}}}`),
		[]byte(`{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}`),
		[]byte(`{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"It is sunny."}}}}`),
		[]byte(`{"type":"content-end","index":0}`),
		[]byte(`{"type":"citation-start","index":0,"delta":{"message":{"citations":{"start":6,"end":11,"text":"sunny","sources":[{"type":"document","id":"d","document":{"title":"Weather","url":"https://example.com","text":"Sun."}}],"type":"TEXT_CONTENT"}}}}`),
		[]byte(`{"type":"citation-end","index":0}`),
		[]byte(`{"type":"tool-call-start","index":0,"delta":{"message":{"tool_calls":{"id":"a","type":"function","function":{"name":"f","arguments":""}}}}}`),
		[]byte(`{"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":"{\"a\":"}}}}}`),
		[]byte(`{"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":"1}"}}}}}`),
		[]byte(`{"type":"tool-call-end","index":0}`),
		[]byte(`{"type":"tool-call-start","index":1,"delta":{"message":{"tool_calls":{"id":"b","type":"function","function":{"name":"g","arguments":""}}}}}`),
		[]byte(`{"type":"tool-call-end","index":1}`),
		[]byte(`{"type":"message-end","delta":{"finish_reason":"TOOL_CALL","usage":{"billed_units":{"input_tokens":3,"output_tokens":4},"tokens":{"input_tokens":50,"output_tokens":9}}}}`),
	}})
}

// events is the data of each event in an SSE body.
func events(body []byte) (list [][]byte) {
	for event := range bytes.SplitSeq(bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")), []byte("\n\n")) {
		if data, ok := sse.Data(append(event, "\n\n"...)); ok {
			list = append(list, slices.Clone(data))
		}
	}
	return list
}

func run(events [][]byte) (list []translate.Event, err error) {
	d := cohere.Codec{}.DecodeStream()
	emit := func(e translate.Event) { list = append(list, e) }
	for _, data := range events {
		if err := d.Decode("", data, emit); err != nil {
			return list, err
		}
	}
	return list, d.End(emit)
}

func TestRecordedStreamsAssembleToTheirMessage(t *testing.T) {
	t.Parallel()
	for _, s := range streams(t) {
		list, err := run(s.events)
		if err != nil {
			t.Errorf("%s: %v", s.file, err)
			continue
		}
		var a translate.Assembler
		for _, e := range list {
			a.Add(e)
		}
		got, whole_, fault := a.Answer()
		if !whole_ || fault != nil {
			t.Errorf("%s: whole %v, fault %v", s.file, whole_, fault)
		}
		var raw []translatetest.Happening
		for _, data := range s.events {
			raw = append(raw, translatetest.Happening{Data: data})
		}
		text, err := translatetest.WholeCohere(raw)
		if err != nil {
			t.Fatalf("%s: %v", s.file, err)
		}
		out, err := cohere.Codec{}.EncodeAnswer(nil, got)
		if err != nil {
			t.Errorf("%s: %v", s.file, err)
			continue
		}
		if diff := cmp.Diff(translatetest.PlainCohere(translatetest.Parse(t, text)), translatetest.PlainCohere(translatetest.Parse(t, out))); diff != "" {
			t.Errorf("%s:\n%s", s.file, diff)
		}
		want, err := cohere.Codec{}.DecodeAnswer(text)
		if err != nil {
			t.Fatalf("%s: %v", s.file, err)
		}
		if diff := cmp.Diff(want.Usage, got.Usage); diff != "" || got.Usage == nil || want.Candidates[0].Stop != got.Candidates[0].Stop {
			t.Errorf("%s: usage %+v, stop %v:\n%s", s.file, got.Usage, got.Candidates[0].Stop, diff)
		}
	}
}

func TestRecordedStreamsSurviveTheirOwnDialect(t *testing.T) {
	t.Parallel()
	for _, s := range streams(t) {
		want, err := run(s.events)
		if err != nil {
			t.Errorf("%s: %v", s.file, err)
			continue
		}
		enc := cohere.Codec{}.EncodeStream(nil)
		var out []byte
		for _, e := range want {
			out = enc.Encode(out, e)
		}
		named(t, out)
		got, err := run(events(out))
		if err != nil {
			t.Errorf("%s: %v", s.file, err)
			continue
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s:\n%s", s.file, diff)
		}
	}
}

// named holds each event's name against its type.
func named(t testing.TB, out []byte) {
	t.Helper()
	for event := range bytes.SplitSeq(bytes.TrimSuffix(out, []byte("\n\n")), []byte("\n\n")) {
		name, data, ok := bytes.Cut(event, []byte("\ndata: "))
		if !ok || string(name) != "event: "+translatetest.Parse(t, data).(map[string]any)["type"].(string) {
			t.Fatalf("not an event: %q", event)
		}
	}
}

func TestAStreamCutAnywhereIsAnError(t *testing.T) {
	t.Parallel()
	for _, s := range streams(t) {
		ends := len(s.events) - 1
		if string(s.events[ends]) == "[DONE]" {
			ends--
		}
		for n := range ends + 1 {
			list, err := run(s.events[:n])
			if err == nil || slices.ContainsFunc(list, func(e translate.Event) bool { return e.Kind == translate.Done }) {
				t.Fatalf("%s: cut after %d events is taken for whole", s.file, n)
			}
		}
	}
}

func TestRecordedErrorsKeepTheirWords(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, api := range []string{chatAPI, "cohere.chat_v1", "cohere.embed_v2"} {
		for _, in := range translatetest.Recordings(t, api) {
			if in.Response.Status < 400 {
				continue
			}
			seen++
			want := translatetest.Parse(t, in.Response.Body).(map[string]any)
			f := cohere.Codec{}.DecodeFailure(in.Response.Status, in.Response.Body)
			if f.Message != want["message"] || f.Kind != translate.NotFound {
				t.Errorf("%s: %+v", in.File, f)
			}
			if diff := cmp.Diff(want, translatetest.Parse(t, cohere.Codec{}.EncodeFailure(f, want["id"].(string)))); diff != "" {
				t.Errorf("%s:\n%s", in.File, diff)
			}
		}
	}
	if seen < 3 {
		t.Errorf("only %d errors are recorded", seen)
	}
	if f := (cohere.Codec{}).DecodeFailure(502, []byte("<html>bad gateway</html>")); !strings.Contains(f.Message, "bad gateway") {
		t.Errorf("%+v", f)
	}
}
