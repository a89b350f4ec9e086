package converse_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/awsstream"
	"halley/internal/translate"
	"halley/internal/translate/converse"
	"halley/test/translatetest"
)

const (
	plainAPI  = "bedrock.converse"
	streamAPI = "bedrock.converseStream"
)

// plain takes out of a body what makes no difference in the dialect. These are
// the allowed differences:
//
//   - an inferenceConfig or a system that is empty is absent.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, member := range v {
			member = plain(member)
			if object, ok := member.(map[string]any); name == "inferenceConfig" && ok && len(object) == 0 {
				continue
			}
			if list, ok := member.([]any); name == "system" && ok && len(list) == 0 {
				continue
			}
			out[name] = member
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	}
	return v
}

// notJSON is a recorded request whose body lacks its closing brace.
const notJSON = "bedrock-model-other-parameters"

func TestRecordedRequestsSurviveTheirOwnDialect(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, in := range translatetest.Recordings(t, plainAPI, streamAPI) {
		if in.Request.Body == nil || strings.Contains(in.File, notJSON) {
			continue
		}
		seen++
		c, err := converse.Codec{}.DecodeRequest(in.Request.Body)
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		out, err := converse.Codec{}.EncodeRequest(c, translate.Target{Model: in.Model})
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		if diff := cmp.Diff(plain(translatetest.Parse(t, in.Request.Body)), plain(translatetest.Parse(t, out))); diff != "" {
			t.Errorf("%s:\n%s", in.File, diff)
		}
		if dropped := c.TakeDropped(); dropped != nil {
			t.Errorf("%s: dropped %v", in.File, dropped)
		}
	}
	t.Logf("%d requests", seen)
}

func TestRecordedAnswersSurviveTheirOwnDialect(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, in := range translatetest.Recordings(t, plainAPI) {
		if in.Response.Status != 200 {
			continue
		}
		seen++
		a, err := converse.Codec{}.DecodeAnswer(in.Response.Body)
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		out, err := converse.Codec{}.EncodeAnswer(nil, a)
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		if diff := cmp.Diff(translatetest.Parse(t, in.Response.Body), translatetest.Parse(t, out)); diff != "" {
			t.Errorf("%s:\n%s", in.File, diff)
		}
		checkUsage(t, in.File, a.Usage, in.Response.Body)
	}
	t.Logf("%d answers", seen)
}

// checkUsage holds the usage against the recording's own sums.
func checkUsage(t *testing.T, file string, got *translate.Usage, holder []byte) {
	t.Helper()
	var v struct {
		Usage struct {
			Total  int64 `json:"totalTokens"`
			Output int64 `json:"outputTokens"`
			Read   int64 `json:"cacheReadInputTokens"`
			Write  int64 `json:"cacheWriteInputTokens"`
		} `json:"usage"`
	}
	if err := json.Unmarshal(holder, &v); err != nil {
		t.Fatal(err)
	}
	u := v.Usage
	switch {
	case got == nil:
		t.Errorf("%s: no usage", file)
	case got.Prompt+got.Completion != u.Total || got.Completion != u.Output || got.CachedRead != u.Read || got.CacheWrite5m+got.CacheWrite1h != u.Write:
		t.Errorf("%s: usage %+v, the recording says %+v", file, *got, u)
	}
}

// happening is an event of a stream as it came.
type happening struct {
	name string
	data []byte
}

// happenings are those of a recorded stream.
func happenings(t testing.TB, body []byte) (list []happening) {
	t.Helper()
	r := awsstream.NewReader(bytes.NewReader(body), 1<<20)
	for {
		m, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, happening{m.Name, bytes.Clone(m.Payload)})
	}
}

// run decodes a stream and ends it.
func run(list []happening) (events []translate.Event, err error) {
	d := converse.Codec{}.DecodeStream()
	emit := func(e translate.Event) { events = append(events, e) }
	for _, h := range list {
		if err := d.Decode(h.name, h.data, emit); err != nil {
			return events, err
		}
	}
	return events, d.End(emit)
}

// assembled is the answer in events.
func assembled(events []translate.Event) (*translate.Answer, bool, *translate.Failure) {
	var a translate.Assembler
	for _, e := range events {
		a.Add(e)
	}
	return a.Answer()
}

// whole puts a stream together the way Amazon's own examples do: as the answer
// that would have come at once.
func whole(t testing.TB, list []happening) []byte {
	t.Helper()
	var content []any
	out := map[string]any{"output": map[string]any{"message": map[string]any{"role": "assistant"}}}
	add := func(object map[string]any, name string, v any) {
		old, _ := object[name].(string)
		object[name] = old + v.(string)
	}
	block := func(e map[string]any) map[string]any {
		i := int(e["contentBlockIndex"].(float64))
		for len(content) <= i {
			content = append(content, map[string]any{})
		}
		return content[i].(map[string]any)
	}
	sub := func(object map[string]any, name string) map[string]any {
		if object[name] == nil {
			object[name] = map[string]any{}
		}
		return object[name].(map[string]any)
	}
	for _, h := range list {
		e := translatetest.Parse(t, h.data).(map[string]any)
		switch h.name {
		case "contentBlockStart":
			for name, v := range e["start"].(map[string]any)["toolUse"].(map[string]any) {
				sub(block(e), "toolUse")[name] = v
			}
		case "contentBlockDelta":
			for kind, v := range e["delta"].(map[string]any) {
				switch kind {
				case "text":
					add(block(e), "text", v)
				case "toolUse":
					add(sub(block(e), "toolUse"), "input", v.(map[string]any)["input"])
				case "reasoningContent":
					for name, piece := range v.(map[string]any) {
						add(sub(sub(block(e), "reasoningContent"), "reasoningText"), name, piece)
					}
				default:
					t.Fatalf("unknown delta %s", kind)
				}
			}
		case "contentBlockStop":
			if call, ok := block(e)["toolUse"].(map[string]any); ok {
				call["input"] = translatetest.Parse(t, []byte(call["input"].(string)))
			}
		case "messageStop":
			out["stopReason"] = e["stopReason"]
		case "metadata":
			for name, v := range e {
				if name != "p" {
					out[name] = v
				}
			}
		}
	}
	out["output"].(map[string]any)["message"].(map[string]any)["content"] = content
	text, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// streams are the recorded ones that are no errors.
func streams(t testing.TB) (all map[string][]happening) {
	t.Helper()
	all = map[string][]happening{}
	for _, in := range translatetest.Recordings(t, streamAPI) {
		if in.Response.Status == 200 {
			all[in.File] = happenings(t, in.Response.Body)
		}
	}
	return all
}

func TestRecordedStreamsGiveTheMessageTheyHold(t *testing.T) {
	t.Parallel()
	for file, list := range streams(t) {
		events, err := run(list)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		a, done, fault := assembled(events)
		if !done || fault != nil {
			t.Errorf("%s: done %v, failure %v", file, done, fault)
		}
		at := whole(t, list)
		want, err := converse.Codec{}.DecodeAnswer(at)
		if err != nil {
			t.Fatalf("%s: %v\n%s", file, err, at)
		}
		if diff := cmp.Diff(want.Candidates[0].Parts, a.Candidates[0].Parts, sameArguments); diff != "" {
			t.Errorf("%s:\n%s", file, diff)
		}
		if diff := cmp.Diff([]any{want.Candidates[0].Stop, want.Candidates[0].StopWord, want.Usage}, []any{a.Candidates[0].Stop, a.Candidates[0].StopWord, a.Usage}); diff != "" {
			t.Errorf("%s:\n%s", file, diff)
		}
		checkUsage(t, file, a.Usage, list[len(list)-1].data)
	}
}

// sameArguments compares arguments of calls as JSON.
var sameArguments = cmp.Transformer("arguments", func(c *translate.ToolCall) map[string]any {
	var v any
	if err := json.Unmarshal([]byte(c.Args), &v); err != nil {
		v = c.Args
	}
	return map[string]any{"id": c.ID, "name": c.Name, "args": v, "server": c.Server}
})

// written are the events that an encoder of the same dialect writes.
func written(t testing.TB, events []translate.Event) (list []happening) {
	t.Helper()
	enc := converse.Codec{}.EncodeStream(nil)
	var out []byte
	for _, e := range events {
		out = enc.Encode(out, e)
	}
	for event := range strings.SplitSeq(strings.TrimSuffix(string(out), "\n\n"), "\n\n") {
		name, data, ok := strings.Cut(strings.TrimPrefix(event, "event: "), "\ndata: ")
		if !ok {
			t.Fatalf("not an event: %q", event)
		}
		list = append(list, happening{name, []byte(data)})
	}
	return list
}

func TestRecordedStreamsSurviveTheirOwnDialect(t *testing.T) {
	t.Parallel()
	for file, list := range streams(t) {
		events, err := run(list)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		var want, got []any
		for _, h := range list {
			v := translatetest.Parse(t, h.data).(map[string]any)
			delete(v, "p") // padding
			if delta, ok := v["delta"].(map[string]any); ok && empty(delta) {
				continue // it says nothing
			}
			want = append(want, []any{h.name, v})
		}
		again := written(t, events)
		for _, h := range again {
			got = append(got, []any{h.name, translatetest.Parse(t, h.data)})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", file, diff)
		}
		if _, err := run(again); err != nil {
			t.Errorf("%s: read again: %v", file, err)
		}
	}
}

// empty says whether a delta adds nothing.
func empty(delta map[string]any) bool {
	for _, v := range delta {
		switch v := v.(type) {
		case string:
			return v == ""
		case map[string]any:
			return empty(v)
		}
	}
	return false
}

func TestAStreamThatIsCutIsNoAnswer(t *testing.T) {
	t.Parallel()
	for file, list := range streams(t) {
		stop := slices.IndexFunc(list, func(h happening) bool { return h.name == "messageStop" })
		for n := range stop {
			if _, err := run(list[:n]); err == nil {
				t.Errorf("%s: %d of %d events pass for a whole stream", file, n, len(list))
			}
		}
	}
}

func TestAnExceptionInAStreamIsAFailure(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]translate.Failure{
		"throttlingException":         {Status: 429, Kind: translate.RateLimited, Message: "Too many requests"},
		"serviceUnavailableException": {Status: 503, Kind: translate.Unavailable, Message: "Too many requests"},
		"internalServerException":     {Status: 500, Kind: translate.Internal, Message: "Too many requests"},
		"validationException":         {Status: 400, Kind: translate.BadRequest, Message: "Too many requests"},
		"somethingNewException":       {Status: 500, Kind: translate.Internal, Message: "Too many requests"},
	} {
		events, err := run([]happening{{"messageStart", []byte(`{"role":"assistant"}`)}, {name, []byte(`{"message":"Too many requests"}`)}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, done, fault := assembled(events)
		want.Type, want.Origin = name, translate.Converse
		if done || fault == nil || *fault != want {
			t.Errorf("%s: done %v, failure %+v, want %+v", name, done, fault, want)
		}
	}
}

func TestRecordedErrorsKeepTheirWording(t *testing.T) {
	t.Parallel()
	for _, in := range translatetest.Recordings(t, plainAPI, streamAPI) {
		if in.Response.Status == 200 {
			continue
		}
		f := converse.Codec{}.DecodeFailure(in.Response.Status, in.Response.Body)
		want := translatetest.Parse(t, in.Response.Body).(map[string]any)["message"]
		if f.Message != want || f.Kind != translate.BadRequest {
			t.Errorf("%s: %+v, want the message %q", in.File, f, want)
		}
		if diff := cmp.Diff(translatetest.Parse(t, in.Response.Body), translatetest.Parse(t, converse.Codec{}.EncodeFailure(f, "id"))); diff != "" {
			t.Errorf("%s:\n%s", in.File, diff)
		}
	}
}
