package responses_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/sse"
	"halley/internal/translate"
	"halley/internal/translate/responses"
	"halley/test/fakeprovider"
)

// apiName is the dialect's name in the recordings.
const apiName = "openai.responses"

func recordings(t testing.TB, stream bool) []fakeprovider.Interaction {
	t.Helper()
	return fakeprovider.Fixtures(t).MustLoad(t, func(m fakeprovider.Meta) bool {
		return m.API == apiName && m.Status == 200 && m.Stream == stream && m.Authenticity == "recorded"
	})
}

// alike is a JSON text with the differences taken out that a decoded and encoded
// body may have: members that are null or empty are not there; a content that is
// one plain text is a string; an item without a type is a message; a time is
// whole.
func alike(t *testing.T, body []byte) map[string]any {
	t.Helper()
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	out, _ := normal("", v).(map[string]any)
	return out
}

func normal(name string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		if _, ok := v["role"]; ok && v["type"] == nil {
			v["type"] = "message"
		}
		for k, member := range v {
			if n := normal(k, member); n != nil {
				out[k] = n
			}
		}
		if len(out) == 0 && name != "schema" && name != "parameters" && name != "properties" {
			return nil
		}
		return out
	case []any:
		out := []any{}
		for _, element := range v {
			out = append(out, normal("", element))
		}
		if len(out) == 0 && name != "output" && name != "content" && name != "input" {
			return nil
		}
		if (name == "content" || name == "output") && len(out) == 1 {
			if one, ok := out[0].(map[string]any); ok && len(one) == 2 && (one["type"] == "input_text" || one["type"] == "output_text") {
				return one["text"]
			}
		}
		return out
	case float64:
		if name == "created_at" || name == "logprob" { // deltas say more digits than what they end with
			return float64(int64(v))
		}
	case string:
		if v == "" && name != "arguments" && name != "text" && name != "instructions" && name != "output" && name != "content" {
			return nil
		}
	}
	return v
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
			c, err := responses.Codec{}.DecodeRequest(in.Request.Body)
			if err != nil {
				t.Errorf("%s: %v", in.File, err)
				continue
			}
			out, err := responses.Codec{}.EncodeRequest(c, translate.Target{Model: c.Model})
			if err != nil {
				t.Errorf("%s: %v", in.File, err)
				continue
			}
			if dropped := c.TakeDropped(); len(dropped) > 0 {
				t.Errorf("%s: dropped %v", in.File, dropped)
			}
			want, got := alike(t, in.Request.Body), alike(t, out)
			for _, m := range []map[string]any{want, got} {
				if m["stream"] == false { // which need not be said
					delete(m, "stream")
				}
				if text, ok := m["input"].(string); ok { // the user's message
					m["input"] = []any{map[string]any{"type": "message", "role": "user", "content": text}}
				}
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
		if !json.Valid(in.Response.Body) || !bytes.Contains(in.Response.Body, []byte(`"output"`)) {
			continue
		}
		count++
		a, err := responses.Codec{}.DecodeAnswer(in.Response.Body)
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		out, err := responses.Codec{}.EncodeAnswer(&translate.Conversation{From: translate.Responses}, a)
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		if diff := cmp.Diff(alike(t, in.Response.Body), alike(t, out)); diff != "" {
			t.Errorf("%s: %s", in.File, diff)
		}
		if diff := cmp.Diff(usageIn(in.Response.Body), a.Usage); diff != "" {
			t.Errorf("%s: usage: %s", in.File, diff)
		}
	}
	t.Logf("%d answers", count)
}

// usageIn is what a response says that it has used.
func usageIn(body []byte) *translate.Usage {
	var r struct {
		Usage *struct {
			Input   int64 `json:"input_tokens"`
			Output  int64 `json:"output_tokens"`
			Details struct {
				Cached  int64 `json:"cached_tokens"`
				Written int64 `json:"cache_write_tokens"`
			} `json:"input_tokens_details"`
			OutputDetails struct {
				Reasoning int64 `json:"reasoning_tokens"`
			} `json:"output_tokens_details"`
		}
	}
	if json.Unmarshal(body, &r) != nil || r.Usage == nil {
		return nil
	}
	return &translate.Usage{
		Prompt: r.Usage.Input, Completion: r.Usage.Output, CachedRead: r.Usage.Details.Cached, CacheWrite5m: r.Usage.Details.Written,
		Reasoning: r.Usage.OutputDetails.Reasoning,
	}
}

// eachEvent reads the events of a stream.
func eachEvent(body []byte, take func(name string, data []byte) error) error {
	r := sse.NewReader(bytes.NewReader(body), nil, 16<<20)
	for {
		err := r.Fill()
		for e := r.Buffered(); e != nil; e = r.Buffered() {
			if data, ok := sse.Data(e); ok {
				if err := take(string(sse.Name(e)), data); err != nil {
					return err
				}
			}
		}
		if err == io.EOF {
			if data, ok := sse.Data(r.Rest()); ok {
				return take("", data)
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// decode reads a stream's events with a dialect's decoder.
func decode(d translate.StreamDecoder, body []byte) (events []translate.Event, err error) {
	emit := func(e translate.Event) { events = append(events, e) }
	err = eachEvent(body, func(name string, data []byte) error { return d.Decode(name, data, emit) })
	if err != nil {
		return events, err
	}
	return events, d.End(emit)
}

func encode(s translate.StreamEncoder, events []translate.Event) (out []byte) {
	for _, e := range events {
		out = s.Encode(out, e)
	}
	return out
}

func assemble(events []translate.Event) (*translate.Answer, bool, *translate.Failure) {
	var a translate.Assembler
	for _, e := range events {
		a.Add(e)
	}
	return a.Answer()
}

// final is the response that a recorded stream ends with, with the items that
// its events have brought: the last event may repeat none, and seals reasoning
// again.
func final(t *testing.T, body []byte) (response []byte) {
	t.Helper()
	var items []json.RawMessage
	err := eachEvent(body, func(_ string, data []byte) error {
		var e struct {
			Type     string
			Item     json.RawMessage
			Response json.RawMessage
		}
		if json.Unmarshal(data, &e) != nil {
			return nil
		}
		switch e.Type {
		case "response.output_item.done":
			items = append(items, e.Item)
		case "response.completed", "response.incomplete":
			response = e.Response
			return io.EOF // some recordings have several responses behind each other
		}
		return nil
	})
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	var whole map[string]any
	if response != nil && json.Unmarshal(response, &whole) == nil && len(items) > 0 {
		whole["output"] = items
		response, _ = json.Marshal(whole)
	}
	return response
}

// atLast takes out what of thoughts a stream tells only when they are done: that
// they are, and that there is nothing besides the summary.
func atLast(response map[string]any) map[string]any {
	items, _ := response["output"].([]any)
	for _, item := range items {
		it, _ := item.(map[string]any)
		if content, _ := it["content"].([]any); it["type"] == "reasoning" {
			delete(it, "status")
			if len(content) == 0 {
				delete(it, "content")
			}
		}
	}
	return response
}

func TestEveryRecordedStreamMeansWhatItSays(t *testing.T) {
	t.Parallel()
	count := 0
	for _, in := range recordings(t, true) {
		if !in.Response.IsSSE() {
			continue
		}
		count++
		events, err := decode(responses.Codec{}.DecodeStream(), in.Response.Body)
		a, whole, fault := assemble(events)
		if in.Feature == "error_mid_stream" {
			if err != nil || fault == nil || !strings.HasPrefix(fault.Message, "You exceeded your current quota") || fault.Code != "insufficient_quota" {
				t.Errorf("%s: the error is not told: %+v, %v", in.File, fault, err)
			}
			continue
		}
		want := final(t, in.Response.Body)
		if want == nil { // it was cut
			if err == nil || whole {
				t.Errorf("%s: a cut stream counts as whole", in.File)
			}
			continue
		}
		if err != nil || !whole || fault != nil {
			t.Errorf("%s: whole %v, %v, %v", in.File, whole, err, fault)
			continue
		}
		b, err := responses.Codec{}.DecodeAnswer(want)
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		if diff := cmp.Diff(core(b), core(a)); diff != "" {
			t.Errorf("%s: not what its last event says: %s", in.File, diff)
		}
		// Written again and read again, it is the same events.
		out := encode(responses.Codec{}.EncodeStream(&translate.Conversation{From: translate.Responses}), events)
		again, err := decode(responses.Codec{}.DecodeStream(), out)
		if err != nil {
			t.Errorf("%s: written as %s: %v", in.File, out, err)
			continue
		}
		if diff := cmp.Diff(events, again, cmp.Transformer("json", func(v json.RawMessage) any { return string(v) })); diff != "" {
			t.Errorf("%s: %s", in.File, diff)
		}
		if diff := cmp.Diff(atLast(alike(t, want)), atLast(alike(t, final(t, out)))); diff != "" {
			t.Errorf("%s: the last event: %s", in.File, diff)
		}
		grammar(t, in.File, out)
	}
	t.Logf("%d streams", count)
}

// grammar holds a written stream against the rules of the event grammar: numbers
// without gaps, items and parts that are added before they grow and are done once.
func grammar(t *testing.T, file string, body []byte) {
	t.Helper()
	sequence, items, done := 0, 0, false
	open, content := map[string]bool{}, map[string]bool{}
	err := eachEvent(body, func(name string, data []byte) error {
		var e struct {
			Type     string
			Sequence int    `json:"sequence_number"`
			Index    int    `json:"output_index"`
			Content  int    `json:"content_index"`
			Summary  int    `json:"summary_index"`
			ItemID   string `json:"item_id"`
			Item     struct{ ID string }
		}
		if err := json.Unmarshal(data, &e); err != nil {
			return fmt.Errorf("%w: %s", err, data)
		}
		if done {
			return fmt.Errorf("%s comes behind the end", e.Type)
		}
		if e.Type != name || e.Sequence != sequence {
			return fmt.Errorf("%s named %s with number %d, want %d", e.Type, name, e.Sequence, sequence)
		}
		sequence++
		part := fmt.Sprintf("%s %d %d", e.ItemID, e.Content, e.Summary)
		switch kind := strings.TrimPrefix(e.Type, "response."); {
		case kind == "created", kind == "in_progress":
			if sequence > 2 {
				return fmt.Errorf("%s is late", e.Type)
			}
		case kind == "output_item.added":
			if e.Index != items || len(open) > 0 {
				return fmt.Errorf("item %d is added while %v is open and %d are done", e.Index, open, items)
			}
			open[e.Item.ID] = true
		case kind == "output_item.done":
			if !open[e.Item.ID] || len(content) > 0 {
				return fmt.Errorf("item %s is done; open are %v and %v", e.Item.ID, open, content)
			}
			delete(open, e.Item.ID)
			items++
		case strings.HasSuffix(kind, "part.added"):
			content[part] = true
		case strings.HasSuffix(kind, "part.done"):
			if !content[part] {
				return fmt.Errorf("part %s is done twice", part)
			}
			delete(content, part)
		case kind == "completed", kind == "incomplete", kind == "failed":
			done = true
			if kind != "failed" && len(open)+len(content) > 0 {
				return fmt.Errorf("at the end are open: %v %v", open, content)
			}
		case kind == "error":
		case strings.Contains(kind, "_text.") || strings.HasPrefix(kind, "refusal."):
			if !content[part] {
				return fmt.Errorf("%s for a part that was not added", e.Type)
			}
			fallthrough
		default:
			if !open[e.ItemID] || e.Index != items {
				return fmt.Errorf("%s for item %s, which is not open", e.Type, e.ItemID)
			}
		}
		return nil
	})
	if err == nil && !done {
		err = fmt.Errorf("it has no end")
	}
	if err != nil {
		t.Errorf("%s: %v", file, err)
	}
}

// core is what of an answer a stream and a whole body have in common.
func core(a *translate.Answer) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %d\n", a.ID, a.Model, a.Created)
	if a.Usage != nil {
		fmt.Fprintf(&b, "%+v\n", *a.Usage)
	}
	for _, c := range a.Candidates {
		fmt.Fprintf(&b, "%d: %d %s %d\n", c.Index, c.Stop, c.StopWord, bytes.Count(c.Logprobs, []byte(`"logprob"`)))
		for _, p := range c.Parts {
			switch p := p.(type) {
			case *translate.Text:
				fmt.Fprintf(&b, "text %q %d %s\n", p.Text, len(p.Citations), p.Extra.Get("phase"))
			case *translate.Thinking:
				fmt.Fprintf(&b, "thinking %s %q %s\n", p.ID, p.Text, p.Signature)
			case *translate.Refusal:
				fmt.Fprintf(&b, "refusal %q\n", p.Text)
			case *translate.ToolCall:
				fmt.Fprintf(&b, "call %s %s %s %q %v %s\n", p.ID, p.ItemID, p.Name, p.Args, p.Custom, p.Server)
			case *translate.Other:
				fmt.Fprintf(&b, "other %s\n", p.Kind)
			default:
				fmt.Fprintf(&b, "%T\n", p)
			}
		}
	}
	return b.String()
}
