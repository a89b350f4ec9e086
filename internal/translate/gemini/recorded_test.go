package gemini_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"halley/internal/sse"
	"halley/internal/translate"
	"halley/internal/translate/gemini"
	"halley/test/translatetest"
)

const (
	generateAPI = "gemini.generateContent"
	countAPI    = "gemini.countTokens"
)

// invalid are recorded requests that the dialect does not allow; the recorded
// answer says so too.
var invalid = []string{"generate-content-invalid-role"}

func isInvalid(file string) bool {
	return slices.ContainsFunc(invalid, func(name string) bool { return strings.Contains(file, name) })
}

func TestRecordedRequestsSurviveTheirOwnDialect(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, in := range translatetest.Recordings(t, generateAPI) {
		if in.Request.Body == nil {
			continue
		}
		seen++
		c, err := gemini.Codec{Model: in.Model}.DecodeRequest(in.Request.Body)
		if isInvalid(in.File) {
			if err == nil || in.Response.Status != 400 {
				t.Errorf("%s: error %v, answered %d", in.File, err, in.Response.Status)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		out, err := gemini.Codec{}.EncodeRequest(c, translate.Target{Model: in.Model})
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		if diff := cmp.Diff(translatetest.PlainGemini(translatetest.Parse(t, in.Request.Body)), translatetest.PlainGemini(translatetest.Parse(t, out))); diff != "" {
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
	for _, in := range translatetest.Recordings(t, generateAPI) {
		if in.Stream || in.Response.Status != 200 {
			continue
		}
		seen++
		a, err := gemini.Codec{}.DecodeAnswer(in.Response.Body)
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		out, err := gemini.Codec{}.EncodeAnswer(nil, a)
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		if diff := cmp.Diff(translatetest.PlainGemini(translatetest.Parse(t, in.Response.Body)), translatetest.PlainGemini(translatetest.Parse(t, out))); diff != "" {
			t.Errorf("%s:\n%s", in.File, diff)
		}
		if a.Usage == nil && !strings.Contains(in.File, "gets-blocked") || a.Candidates[0].Stop == translate.NotStopped {
			t.Errorf("%s: usage %v, stop %v", in.File, a.Usage, a.Candidates[0].Stop)
		}
	}
	t.Logf("%d answers", seen)
}

// stream is one streamed answer: its chunks.
type stream struct {
	file   string
	chunks [][]byte
}

// streams are the recorded ones, in either framing.
func streams(t testing.TB) (all []stream) {
	t.Helper()
	for _, in := range translatetest.Recordings(t, generateAPI) {
		if in.Stream && in.Response.Status == 200 {
			all = append(all, stream{in.File, chunks(t, in.Response.Body)})
		}
	}
	return all
}

// chunks is the data of each event in an SSE body, or each element of an array,
// without the spacing of who wrote it.
func chunks(t testing.TB, body []byte) (list [][]byte) {
	t.Helper()
	var elements []json.RawMessage
	if body[0] == '[' {
		if err := json.Unmarshal(body, &elements); err != nil {
			t.Fatal(err)
		}
	} else {
		for event := range bytes.SplitSeq(bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")), []byte("\n\n")) {
			if data, ok := sse.Data(append(event, "\n\n"...)); ok {
				elements = append(elements, slices.Clone(data))
			}
		}
	}
	for _, e := range elements {
		var compact bytes.Buffer
		if err := json.Compact(&compact, e); err != nil {
			t.Fatalf("%v: %s", err, e)
		}
		list = append(list, compact.Bytes())
	}
	return list
}

// run decodes a stream and ends it.
func run(s stream) (list []translate.Event, err error) {
	d := gemini.Codec{}.DecodeStream()
	emit := func(e translate.Event) { list = append(list, e) }
	for _, data := range s.chunks {
		if err := d.Decode("", data, emit); err != nil {
			return list, err
		}
	}
	return list, d.End(emit)
}

func TestRecordedStreamsAssembleToTheirMessage(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, s := range streams(t) {
		given, err := run(s)
		if err != nil {
			t.Errorf("%s: %v", s.file, err)
			continue
		}
		seen++
		var a translate.Assembler
		for _, e := range given {
			a.Add(e)
		}
		got, whole, fault := a.Answer()
		if !whole || fault != nil {
			t.Errorf("%s: whole %v, fault %v", s.file, whole, fault)
		}
		var list []translatetest.Happening
		for _, data := range s.chunks {
			list = append(list, translatetest.Happening{Data: data})
		}
		text, err := translatetest.WholeGemini(list)
		if err != nil {
			t.Fatalf("%s: %v", s.file, err)
		}
		want := translatetest.Parse(t, text)
		out, err := gemini.Codec{}.EncodeAnswer(nil, got)
		if err != nil {
			t.Errorf("%s: %v", s.file, err)
			continue
		}
		if diff := cmp.Diff(translatetest.PlainGemini(want), translatetest.PlainGemini(translatetest.Parse(t, out))); diff != "" {
			t.Errorf("%s:\n%s", s.file, diff)
		}
		direct, err := gemini.Codec{}.DecodeAnswer(text)
		if err != nil {
			t.Fatalf("%s: %v", s.file, err)
		}
		if diff := cmp.Diff(direct.Usage, got.Usage); diff != "" || got.Usage == nil {
			t.Errorf("%s: usage:\n%s", s.file, diff)
		}
		if got.Candidates[0].Stop != direct.Candidates[0].Stop || got.Candidates[0].Stop == translate.NotStopped {
			t.Errorf("%s: stop %v, want %v", s.file, got.Candidates[0].Stop, direct.Candidates[0].Stop)
		}
	}
	t.Logf("%d streams", seen)
}

func TestRecordedStreamsSurviveTheirOwnDialect(t *testing.T) {
	t.Parallel()
	for _, s := range streams(t) {
		want, err := run(s)
		if err != nil {
			continue // the test above says so
		}
		for _, array := range []bool{false, true} {
			enc := gemini.Codec{Array: array}.EncodeStream(&translate.Conversation{From: translate.Gemini})
			var out []byte
			for _, e := range want {
				out = enc.Encode(out, e)
			}
			got, err := run(stream{s.file, chunks(t, out)})
			if err != nil {
				t.Errorf("%s: %v\n%s", s.file, err, out)
				continue
			}
			if diff := cmp.Diff(searchless(want), searchless(got), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s:\n%s", s.file, diff)
			}
		}
	}
}

func TestAStreamWithoutAFinishReasonIsAnError(t *testing.T) {
	t.Parallel()
	for _, s := range streams(t) {
		for n := range s.chunks {
			list, err := run(stream{s.file, s.chunks[:n]})
			finished := bytes.Contains(bytes.Join(s.chunks[:n], nil), []byte(`"finishReason"`))
			if (err == nil) != finished {
				t.Errorf("%s: cut after %d chunks: %v", s.file, n, err)
			}
			if err != nil && slices.ContainsFunc(list, func(e translate.Event) bool { return e.Kind == translate.Done || e.Kind == translate.Finish }) {
				t.Errorf("%s: cut after %d chunks says it is done", s.file, n)
			}
		}
	}
}

func TestRecordedErrorsKeepTheirWords(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, in := range slices.Concat(translatetest.Recordings(t, generateAPI), translatetest.Recordings(t, countAPI)) {
		if in.Response.Status < 400 {
			continue
		}
		seen++
		f := gemini.Codec{}.DecodeFailure(in.Response.Status, in.Response.Body)
		want := translatetest.Parse(t, in.Response.Body).(map[string]any)
		delete(want["error"].(map[string]any), "details") // of which the neutral form has no place
		if diff := cmp.Diff(want, translatetest.Parse(t, gemini.Codec{}.EncodeFailure(f, ""))); diff != "" {
			t.Errorf("%s:\n%s", in.File, diff)
		}
	}
	if seen < 5 {
		t.Errorf("only %d errors are recorded", seen)
	}
}

func TestForeignSignaturesAreKnownByTheirMark(t *testing.T) {
	t.Parallel()
	for _, origin := range []translate.Dialect{translate.Messages, translate.Responses} {
		thought := &translate.Thinking{Text: "so", Signature: "sig", Sealed: "sealed", Origin: origin, ID: "rs_1"}
		answer := &translate.Answer{From: origin, Candidates: []translate.Candidate{{Parts: []translate.Part{thought}}}}
		out, err := gemini.Codec{}.EncodeAnswer(nil, answer)
		if err != nil {
			t.Fatal(err)
		}
		var sent struct {
			Candidates []struct {
				Content json.RawMessage `json:"content"`
			} `json:"candidates"`
		}
		if err := json.Unmarshal(out, &sent); err != nil {
			t.Fatal(err)
		}
		var content struct {
			Parts []struct {
				ThoughtSignature string `json:"thoughtSignature"`
			} `json:"parts"`
		}
		if err := json.Unmarshal(sent.Candidates[0].Content, &content); err != nil {
			t.Fatal(err)
		}
		if _, err := base64.StdEncoding.DecodeString(content.Parts[0].ThoughtSignature); err != nil {
			t.Errorf("clients cannot decode the signature: %v", err)
		}
		c, err := gemini.Codec{}.DecodeRequest([]byte(`{"contents":[` + string(sent.Candidates[0].Content) + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]translate.Part{thought}, c.Messages[0].Parts, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	}
}

// searchless leaves out how often the web was searched, which may be told with the
// usage or, in a chunk of its own, behind it.
func searchless(events []translate.Event) (kept []translate.Event) {
	var last []byte
	for _, e := range events {
		if e.Kind == translate.Use {
			if last != nil && bytes.Equal(last, e.UsageRaw) {
				continue
			}
			last = e.UsageRaw
			if e.Usage != nil {
				u := *e.Usage
				u.Searches = 0
				e.Usage = &u
			}
		}
		kept = append(kept, e)
	}
	return kept
}
