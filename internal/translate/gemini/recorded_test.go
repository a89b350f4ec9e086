package gemini_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
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

// plain takes out of a body what makes no difference in the dialect, so that two
// bodies can be compared. These are the allowed differences:
//
//   - names in snake case are those in camel case;
//   - base64 has one of two alphabets, and thoughtSignature is base64 as well;
//   - one value stands for a list of one: tools, content, parts;
//   - functions may be declared in one entry of tools or in several;
//   - whole numbers may be written as 40.0, and enums as numbers;
//   - what is empty or the default is absent: null, a role of user, index 0,
//     responseModalities of TEXT alone, an empty description, an empty
//     generationConfig, content without parts;
//   - a text that is empty and not signed is no part.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			name = camel(name)
			value = plain(value)
			switch name {
			case "tools", "contents", "parts", "functionDeclarations":
				if _, one := value.(map[string]any); one {
					value = []any{value}
				}
			}
			switch name {
			case "tools":
				value = merged(value.([]any))
			case "data", "thoughtSignature":
				if text, ok := value.(string); ok {
					value = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(text), "=")
				}
			case "role":
				if value == "user" {
					continue
				}
			case "index":
				if value == 0.0 {
					continue
				}
			case "finishReason":
				if value == 1.0 {
					value = "STOP"
				}
			case "responseModalities":
				if cmp.Equal(value, []any{"TEXT"}) {
					continue
				}
			case "description":
				if value == "" {
					continue
				}
			case "generationConfig", "content":
				if object, ok := value.(map[string]any); ok && (len(object) == 0 || len(object) == 1 && object["role"] != nil) {
					continue
				}
			case "parts":
				value = slices.DeleteFunc(value.([]any), func(p any) bool {
					part, ok := p.(map[string]any)
					return ok && len(part) == 1 && part["text"] == ""
				})
				if len(value.([]any)) == 0 {
					continue
				}
			}
			if value != nil {
				out[name] = value
			}
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

func camel(name string) string {
	words := strings.Split(strings.TrimLeft(name, "_"), "_")
	for i := 1; i < len(words); i++ {
		if words[i] != "" {
			words[i] = strings.ToUpper(words[i][:1]) + words[i][1:]
		}
	}
	return strings.Join(words, "")
}

// merged is a list of tools with all functions in the first entry and one entry
// for every other tool.
func merged(tools []any) []any {
	var functions []any
	var others []any
	for _, t := range tools {
		for _, name := range slices.Sorted(maps.Keys(t.(map[string]any))) {
			value := t.(map[string]any)[name]
			if name == "functionDeclarations" {
				functions = append(functions, value.([]any)...)
			} else {
				others = append(others, map[string]any{name: value})
			}
		}
	}
	return append([]any{map[string]any{"functionDeclarations": functions}}, others...)
}

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
		if diff := cmp.Diff(plain(translatetest.Parse(t, in.Response.Body)), plain(translatetest.Parse(t, out))); diff != "" {
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

// message puts a stream together the way Google's documentation has it: texts of
// a kind are joined, other parts follow each other, and of everything else the
// last chunk's word counts.
func message(t testing.TB, s stream) map[string]any {
	t.Helper()
	whole, one := map[string]any{}, map[string]any{}
	var parts []any
	var args map[string]any // of the open call
	for _, data := range s.chunks {
		chunk := translatetest.Parse(t, data).(map[string]any)
		candidates, _ := chunk["candidates"].([]any)
		delete(chunk, "candidates")
		maps.Copy(whole, chunk)
		for _, c := range candidates {
			candidate := c.(map[string]any)
			content, _ := candidate["content"].(map[string]any)
			delete(candidate, "content")
			maps.Copy(one, candidate)
			list, _ := content["parts"].([]any)
			for _, p := range list {
				part := p.(map[string]any)
				if call, ok := part["functionCall"].(map[string]any); ok {
					if call["name"] != nil {
						args = map[string]any{}
						if call["willContinue"] == nil {
							args, _ = call["args"].(map[string]any)
						} else {
							call["args"] = args
						}
						delete(call, "willContinue")
						parts = append(parts, part)
					}
					for _, p := range list0(call["partialArgs"]) {
						piece := p.(map[string]any)
						put(args, strings.Split(strings.NewReplacer("[", ".", "]", "").Replace(piece["jsonPath"].(string)), ".")[1:], piece)
					}
					continue
				}
				if last, ok := lastOf(parts); ok && last["text"] != nil && part["text"] != nil && last["thought"] == part["thought"] {
					last["text"] = last["text"].(string) + part["text"].(string)
					if part["thoughtSignature"] != nil {
						last["thoughtSignature"] = part["thoughtSignature"]
					}
					continue
				}
				if part["text"] != "" || part["thoughtSignature"] != nil {
					parts = append(parts, part)
				}
			}
		}
	}
	for _, p := range parts {
		if call, ok := p.(map[string]any)["functionCall"].(map[string]any); ok {
			call["args"] = listed(call["args"])
		}
	}
	one["content"] = map[string]any{"role": "model", "parts": parts}
	whole["candidates"] = []any{one}
	return whole
}

// put puts a piece of an argument where its path says. A list is an object of
// numbers here, which is what listed mends.
func put(at map[string]any, path []string, piece map[string]any) {
	name := path[0]
	if len(path) > 1 {
		inner, ok := at[name].(map[string]any)
		if !ok {
			inner = map[string]any{}
			at[name] = inner
		}
		put(inner, path[1:], piece)
		return
	}
	if text, ok := piece["stringValue"].(string); ok {
		old, _ := at[name].(string)
		at[name] = old + text
		return
	}
	at[name] = piece["numberValue"]
}

// listed makes lists of objects whose names are numbers.
func listed(v any) any {
	object, ok := v.(map[string]any)
	if !ok {
		return v
	}
	for name := range object {
		object[name] = listed(object[name])
	}
	if object["0"] == nil {
		return object
	}
	var list []any
	for i := range len(object) {
		list = append(list, object[strconv.Itoa(i)])
	}
	return list
}

func list0(v any) []any { list, _ := v.([]any); return list }

func lastOf(parts []any) (map[string]any, bool) {
	if len(parts) == 0 {
		return nil, false
	}
	return parts[len(parts)-1].(map[string]any), true
}

func TestRecordedStreamsAssembleToTheirMessage(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, s := range streams(t) {
		list, err := run(s)
		if err != nil {
			t.Errorf("%s: %v", s.file, err)
			continue
		}
		seen++
		var a translate.Assembler
		for _, e := range list {
			a.Add(e)
		}
		got, whole, fault := a.Answer()
		if !whole || fault != nil {
			t.Errorf("%s: whole %v, fault %v", s.file, whole, fault)
		}
		want := message(t, s)
		out, err := gemini.Codec{}.EncodeAnswer(nil, got)
		if err != nil {
			t.Errorf("%s: %v", s.file, err)
			continue
		}
		if diff := cmp.Diff(plain(want), plain(translatetest.Parse(t, out))); diff != "" {
			t.Errorf("%s:\n%s", s.file, diff)
		}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
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
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
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
