package converse_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/translate"
	"halley/internal/translate/converse"
	"halley/test/translatetest"
)

const (
	plainAPI  = "bedrock.converse"
	streamAPI = "bedrock.converseStream"
)

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
		if diff := cmp.Diff(translatetest.PlainConverse(translatetest.Parse(t, in.Request.Body)), translatetest.PlainConverse(translatetest.Parse(t, out))); diff != "" {
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

// run decodes a stream and ends it.
func run(list []translatetest.Happening) ([]translate.Event, error) {
	return translatetest.Run(converse.Codec{}.DecodeStream(), list)
}

// streams are the recorded ones that are no errors.
func streams(t testing.TB) (all map[string][]translatetest.Happening) {
	t.Helper()
	all = map[string][]translatetest.Happening{}
	for _, in := range translatetest.Recordings(t, streamAPI) {
		if in.Response.Status == 200 {
			list, err := translatetest.Happenings(in)
			if err != nil {
				t.Fatalf("%s: %v", in.File, err)
			}
			all[in.File] = list
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
		a, done, fault := translatetest.Assembled(events)
		if !done || fault != nil {
			t.Errorf("%s: done %v, failure %v", file, done, fault)
		}
		at, err := translatetest.WholeConverse(list)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
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
		checkUsage(t, file, a.Usage, list[len(list)-1].Data)
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
func written(t testing.TB, events []translate.Event) (list []translatetest.Happening) {
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
		list = append(list, translatetest.Happening{Name: name, Data: []byte(data)})
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
			v := translatetest.Parse(t, h.Data).(map[string]any)
			delete(v, "p") // padding
			if delta, ok := v["delta"].(map[string]any); ok && empty(delta) {
				continue // it says nothing
			}
			want = append(want, []any{h.Name, v})
		}
		again := written(t, events)
		for _, h := range again {
			got = append(got, []any{h.Name, translatetest.Parse(t, h.Data)})
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
		stop := slices.IndexFunc(list, func(h translatetest.Happening) bool { return h.Name == "messageStop" })
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
		events, err := run([]translatetest.Happening{{Name: "messageStart", Data: []byte(`{"role":"assistant"}`)}, {Name: name, Data: []byte(`{"message":"Too many requests"}`)}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, done, fault := translatetest.Assembled(events)
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
