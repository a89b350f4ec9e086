package chat_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/test/fakeprovider"
	"halley/test/translatetest"
)

func recordings(t testing.TB, stream bool) []fakeprovider.Interaction {
	t.Helper()
	all := fakeprovider.Fixtures(t).MustLoad(t, func(m fakeprovider.Meta) bool {
		return m.API == fakeprovider.Chat && m.Status == 200 && m.Stream == stream && m.Authenticity == "recorded"
	})
	if len(all) == 0 {
		t.Fatal("no recordings")
	}
	return all
}

func TestEveryRecordedRequestSurvives(t *testing.T) {
	t.Parallel()
	count := 0
	for _, stream := range []bool{false, true} {
		for _, in := range recordings(t, stream) {
			if len(in.Request.Body) == 0 || in.Request.Body[0] != '{' {
				continue
			}
			count++
			c, err := chat.Codec{}.DecodeRequest(in.Request.Body)
			if err != nil {
				t.Errorf("%s: %v", in.File, err)
				continue
			}
			out, err := chat.Codec{}.EncodeRequest(c, translate.Target{Model: c.Model})
			if err != nil {
				t.Errorf("%s: %v", in.File, err)
				continue
			}
			want, got := translatetest.PlainChat(translatetest.Parse(t, in.Request.Body)), translatetest.PlainChat(translatetest.Parse(t, out))
			if dropped := c.TakeDropped(); len(dropped) > 0 {
				t.Errorf("%s: dropped %v", in.File, dropped)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", in.File, diff)
			}
		}
	}
	t.Logf("%d requests", count)
}

func TestEveryRecordedAnswerSurvives(t *testing.T) {
	t.Parallel()
	count := 0
	for _, in := range recordings(t, false) {
		if !json.Valid(in.Response.Body) || !bytes.Contains(in.Response.Body, []byte(`"choices"`)) {
			continue
		}
		count++
		a, err := chat.Codec{}.DecodeAnswer(in.Response.Body)
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		c := &translate.Conversation{From: translate.Chat}
		if bytes.Contains(in.Request.Body, []byte(`"functions"`)) {
			c.Name(translate.FeatureTools, "functions")
		}
		out, err := chat.Codec{}.EncodeAnswer(c, a)
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		if diff := cmp.Diff(translatetest.PlainChat(translatetest.Parse(t, in.Response.Body)), translatetest.PlainChat(translatetest.Parse(t, out))); diff != "" {
			t.Errorf("%s: %s", in.File, diff)
		}
		want, reported := in.Usage()
		if reported != (a.Usage != nil) || (reported && *a.Usage != want) {
			t.Errorf("%s: usage %+v, want %+v", in.File, a.Usage, want)
		}
	}
	t.Logf("%d answers", count)
}

// decode reads a stream's events.
func decode(body []byte) (events []translate.Event, err error) {
	return translatetest.Events(chat.Codec{}.DecodeStream(), body)
}

// said puts a recorded stream together by hand.
func said(body []byte) map[int]string {
	out := map[int]string{}
	for line := range strings.Lines(string(body)) {
		data, ok := strings.CutPrefix(line, "data:")
		if !ok {
			continue
		}
		var chunk struct {
			Choices []struct {
				Index int
				Delta struct {
					Content          any
					ReasoningContent string `json:"reasoning_content"`
					Reasoning        string
					Refusal          string
					ReasoningDetails []struct{ Text string }          `json:"reasoning_details"`
					FunctionCall     struct{ Name, Arguments string } `json:"function_call"`
					ToolCalls        []struct {
						Function struct{ Name, Arguments string }
					} `json:"tool_calls"`
				}
			}
		}
		if json.Unmarshal([]byte(data), &chunk) != nil {
			continue
		}
		for _, c := range chunk.Choices {
			thought := c.Delta.ReasoningContent
			if thought == "" {
				thought = c.Delta.Reasoning
			}
			if thought == "" && !bytes.Contains(body, []byte(`"reasoning":"`)) {
				for _, d := range c.Delta.ReasoningDetails {
					thought += d.Text
				}
			}
			out[c.Index] += thought + c.Delta.Refusal
			switch content := c.Delta.Content.(type) {
			case string:
				out[c.Index] += content
			case []any:
				for _, p := range content {
					part, _ := p.(map[string]any)
					if text, ok := part["text"].(string); ok {
						out[c.Index] += text
					}
					inner, _ := part["thinking"].([]any)
					for _, p := range inner {
						part, _ := p.(map[string]any)
						text, _ := part["text"].(string)
						out[c.Index] += text
					}
				}
			}
			for _, call := range c.Delta.ToolCalls {
				out[c.Index] += call.Function.Name + call.Function.Arguments
			}
			out[c.Index] += c.Delta.FunctionCall.Name + c.Delta.FunctionCall.Arguments
		}
	}
	return out
}

func spoken(a *translate.Answer) map[int]string {
	out := map[int]string{}
	for _, c := range a.Candidates {
		text := ""
		for _, p := range c.Parts {
			switch p := p.(type) {
			case *translate.Text:
				text += p.Text
			case *translate.Thinking:
				text += p.Text
			case *translate.Refusal:
				text += p.Text
			case *translate.ToolCall:
				text += p.Name + p.Args
			}
		}
		out[c.Index] = text
	}
	return out
}

func TestEveryRecordedStreamMeansWhatItSays(t *testing.T) {
	t.Parallel()
	count := 0
	for _, in := range recordings(t, true) {
		if !in.Response.IsSSE() {
			continue
		}
		count++
		events, err := decode(in.Response.Body)
		a, whole, fault := translatetest.Assembled(events)
		if in.Feature == "error_mid_stream" || fault != nil {
			if fault == nil || fault.Message == "" {
				t.Errorf("%s: the error is not told: %+v", in.File, fault)
			}
			continue
		}
		if strings.Contains(in.File, "cancel") && err != nil { // it was cut
			continue
		}
		if err != nil || !whole {
			t.Errorf("%s: whole %v, %v", in.File, whole, err)
			continue
		}
		if diff := cmp.Diff(said(in.Response.Body), spoken(a)); diff != "" {
			t.Errorf("%s: %s", in.File, diff)
		}
		want, reported := in.Usage()
		if reported && (a.Usage == nil || *a.Usage != want) {
			t.Errorf("%s: usage %+v, want %+v", in.File, a.Usage, want)
		}
		// Written again and read again, it means the same.
		c := &translate.Conversation{From: translate.Chat, IncludeUsage: true}
		out := translatetest.Written(chat.Codec{}.EncodeStream(c), events)
		again, err := decode(out)
		if err != nil {
			t.Errorf("%s: written as %s: %v", in.File, out, err)
			continue
		}
		b, _, _ := translatetest.Assembled(again)
		if diff := cmp.Diff(translatetest.Core(a), translatetest.Core(b)); diff != "" {
			t.Errorf("%s: %s", in.File, diff)
		}
	}
	t.Logf("%d streams", count)
}

func FuzzDecoding(f *testing.F) {
	for _, stream := range []bool{false, true} {
		for i, in := range recordings(f, stream) {
			if i%20 == 0 {
				f.Add(in.Request.Body)
				f.Add(in.Response.Body)
			}
		}
	}
	f.Fuzz(func(_ *testing.T, body []byte) {
		if c, err := (chat.Codec{}).DecodeRequest(body); err == nil {
			_, _ = chat.Codec{}.EncodeRequest(c, translate.Target{Model: "m"}) // may be refused
		}
		if a, err := (chat.Codec{}).DecodeAnswer(body); err == nil {
			_, _ = chat.Codec{}.EncodeAnswer(&translate.Conversation{}, a)
		}
		chat.Codec{}.DecodeFailure(400, body)
		events, _ := decode(body)
		encoder := chat.Codec{}.EncodeStream(&translate.Conversation{})
		for _, e := range events {
			encoder.Encode(nil, e)
		}
	})
}

func BenchmarkChunk(b *testing.B) {
	d := chat.Codec{}.DecodeStream()
	s := chat.Codec{}.EncodeStream(&translate.Conversation{Received: 1})
	data := []byte(`{"id":"chatcmpl-123456789012345678901234","object":"chat.completion.chunk","created":1795416582,"model":"gpt-4o","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}],"usage":null}`)
	out := make([]byte, 0, 1024)
	emit := func(e translate.Event) { out = s.Encode(out[:0], e) }
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Decode("", data, emit); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRequest32KB(b *testing.B) {
	long := strings.Repeat("The quick brown fox jumps over the lazy dog, again and again. ", 120)
	body := fmt.Appendf(nil, `{"model":"m","stream":true,"max_tokens":100,"messages":[{"role":"system","content":%q},{"role":"user","content":%q},{"role":"assistant","content":%q,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"call_1","content":%q}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"number"}}}}}]}`, long, long, long, long)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		c, err := chat.Codec{}.DecodeRequest(body)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := (chat.Codec{}).EncodeRequest(c, translate.Target{Model: "m"}); err != nil {
			b.Fatal(err)
		}
	}
}
