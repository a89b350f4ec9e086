package responses_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/translate"
	"halley/internal/translate/responses"
	"halley/test/fakeprovider"
	"halley/test/translatetest"
)

// apiName is the dialect's name in the recordings.
const apiName = "openai.responses"

func recordings(t testing.TB, stream bool) []fakeprovider.Interaction {
	t.Helper()
	return fakeprovider.Fixtures(t).MustLoad(t, func(m fakeprovider.Meta) bool {
		return m.API == apiName && m.Status == 200 && m.Stream == stream && m.Authenticity == "recorded"
	})
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
		if a.Usage != nil {
			a.Usage.Searches = 0 // which the output tells, not the usage: see package wire
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
	list, err := translatetest.OfSSE(body)
	if err != nil {
		return err
	}
	for _, h := range list {
		if err := take(h.Name, h.Data); err != nil {
			return err
		}
	}
	return nil
}

// decode reads a stream's events with a dialect's decoder.
func decode(d translate.StreamDecoder, body []byte) ([]translate.Event, error) {
	return translatetest.Events(d, body)
}

func encode(s translate.StreamEncoder, events []translate.Event) []byte {
	return translatetest.Written(s, events)
}

func assemble(events []translate.Event) (*translate.Answer, bool, *translate.Failure) {
	return translatetest.Assembled(events)
}

// alike is a body without the allowed differences.
func alike(t *testing.T, body []byte) any {
	t.Helper()
	return translatetest.PlainResponses(translatetest.Parse(t, body))
}

// final is the response that a stream ends with; nil when it was cut.
func final(t *testing.T, body []byte) []byte {
	t.Helper()
	list, err := translatetest.OfSSE(body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := translatetest.WholeResponses(list)
	if err != nil {
		t.Fatal(err)
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
		if diff := cmp.Diff(translatetest.Core(b), translatetest.Core(a)); diff != "" {
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
		if diff := cmp.Diff(translatetest.AtLast(alike(t, want)), translatetest.AtLast(alike(t, final(t, out)))); diff != "" {
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
