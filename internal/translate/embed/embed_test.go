package embed_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/translate/embed"
	"halley/test/translatetest"
)

// upstreams are all there are, with their recordings.
var upstreams = map[string]embed.Upstream{
	"gemini.batchEmbedContents": embed.Gemini{},
	"gemini.embedContent":       embed.VertexContent{},
	"vertex.predict":            embed.VertexPredict{},
	"cohere.embed_v2":           embed.Cohere{},
	"openai.embeddings":         embed.OpenAI{},
}

func parse(t testing.TB, text []byte) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, text)
	}
	return v
}

// lists are all lists of numbers in a JSON value, in order of the document.
func lists(v any) (all [][]any) {
	switch v := v.(type) {
	case []any:
		if _, ok := v[0].(float64); ok {
			return [][]any{v}
		}
		for _, e := range v {
			all = append(all, lists(e)...)
		}
	case map[string]any:
		for _, e := range v { // of these answers one member has them
			if _, deep := e.(map[string]any); deep {
				all = append(all, lists(e)...)
			} else if list, ok := e.([]any); ok && len(list) > 0 {
				all = append(all, lists(e)...)
			}
		}
	}
	return all
}

// told says how many tokens a recording says that the texts had.
func told(body []byte) (n int64) {
	for _, name := range []string{"promptTokenCount", "token_count", "input_tokens", "prompt_tokens"} {
		for rest := string(body); ; {
			_, after, ok := strings.Cut(rest, `"`+name+`":`)
			if !ok {
				break
			}
			var one float64
			if json.NewDecoder(strings.NewReader(after)).Decode(&one) == nil {
				n += int64(one)
			}
			rest = after
		}
		if n > 0 {
			return n
		}
	}
	return n
}

func TestRecordedVectorsReachEveryClient(t *testing.T) {
	t.Parallel()
	for api, up := range upstreams {
		seen := 0
		for _, in := range translatetest.Recordings(t, api) {
			if in.Response.Status != 200 || strings.Contains(string(in.Request.Body), `"base64"`) {
				continue
			}
			seen++
			v, err := up.DecodeAnswer(in.Response.Body)
			if err != nil {
				t.Errorf("%s: %v", in.File, err)
				continue
			}
			want := lists(parse(t, in.Response.Body))
			for name, client := range clients() {
				out, err := client.EncodeAnswer(&embed.Request{}, v, "public")
				if err != nil {
					t.Fatal(err)
				}
				got := lists(parse(t, out))
				if name == "gemini.embedContent" { // which is asked for one
					want = want[:1]
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s for %s:\n%s", in.File, name, diff)
				}
				want = lists(parse(t, in.Response.Body))
				back, ok := client.(embed.Upstream)
				if !ok {
					continue
				}
				again, err := back.DecodeAnswer(out)
				if err != nil || !cmp.Equal(again.Values, v.Values) {
					t.Errorf("%s read again as %s: %v", in.File, name, err)
				}
			}
			if want := told(in.Response.Body); (v.Tokens != nil && *v.Tokens > 0) != (want > 0) || v.Tokens != nil && *v.Tokens != want {
				t.Errorf("%s: tokens %v, the recording says %d", in.File, v.Tokens, want)
			}
		}
		if seen == 0 {
			t.Errorf("%s: no recording", api)
		}
	}
}

// clients are the forms that clients speak.
func clients() map[string]embed.Client {
	return map[string]embed.Client{"openai.embeddings": embed.OpenAI{}, "gemini.batchEmbedContents": embed.Gemini{}, "gemini.embedContent": embed.GeminiOne{}}
}

// TestBase64IsReadAsNumbers holds the vectors of OpenAI's other form against what
// is written of them again.
func TestBase64IsReadAsNumbers(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, in := range translatetest.Recordings(t, "openai.embeddings") {
		if in.Response.Status != 200 || !strings.Contains(string(in.Request.Body), `"base64"`) {
			continue
		}
		seen++
		v, err := embed.OpenAI{}.DecodeAnswer(in.Response.Body)
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		out, err := embed.OpenAI{}.EncodeAnswer(&embed.Request{Base64: true}, v, "public")
		if err != nil {
			t.Fatal(err)
		}
		want, got := parse(t, in.Response.Body)["data"], parse(t, out)["data"]
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", in.File, diff)
		}
	}
	if seen == 0 {
		t.Error("no recording")
	}
}

func TestCoheresModelsOnBedrock(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, in := range translatetest.Recordings(t, "bedrock.invoke") {
		if in.Response.Status != 200 || !strings.Contains(in.Model, "embed") {
			continue
		}
		seen++
		v, err := embed.BedrockCohere{}.DecodeAnswer(in.Response.Body)
		if err != nil {
			t.Errorf("%s: %v", in.File, err)
			continue
		}
		e, err := embed.OpenAI{}.DecodeRequest([]byte(`{"input":["hello","world"],"input_type":"search_query","dimensions":512}`))
		if err != nil {
			t.Fatal(err)
		}
		out, err := embed.BedrockCohere{}.EncodeRequest(e, translate.Target{Model: in.Model})
		if want := `{"input_type":"search_query","texts":["hello","world"],"output_dimension":512}`; err != nil || string(out) != want {
			t.Errorf("%s, %v", out, err)
		}
		if texts := parse(t, in.Request.Body)["texts"].([]any); len(texts) != len(v.Values) || len(v.Values[0]) < 64 {
			t.Errorf("%s: %d vectors of %d texts", in.File, len(v.Values), len(texts))
		}
	}
	if seen == 0 {
		t.Error("no recording")
	}
}

func TestTitanTakesOneText(t *testing.T) {
	t.Parallel()
	e, err := embed.Gemini{}.DecodeRequest([]byte(`{"requests":[{"content":{"parts":[{"text":"a"}]},"title":"A","taskType":"CLUSTERING","outputDimensionality":256}]}`))
	if err != nil {
		t.Fatal(err)
	}
	out, err := embed.Titan{}.EncodeRequest(e, translate.Target{Model: "amazon.titan-embed-text-v2:0"})
	if err != nil || string(out) != `{"inputText":"a","dimensions":256}` || strings.Join(e.TakeDropped(), " ") != "requests.title requests.taskType" {
		t.Errorf("%s, %v", out, err)
	}
	if out, err = (embed.Titan{}).EncodeRequest(e, translate.Target{Model: "amazon.titan-embed-image-v1"}); err != nil || string(out) != `{"inputText":"a","embeddingConfig":{"outputEmbeddingLength":256}}` {
		t.Errorf("%s, %v", out, err)
	}
	v, err := embed.Titan{}.DecodeAnswer([]byte(`{"embedding":[0.5,-1],"inputTextTokenCount":3,"embeddingsByType":{"float":[0.5,-1]}}`))
	if err != nil || len(v.Values) != 1 || *v.Tokens != 3 {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestGooglesRequestsAreWrittenInEachForm(t *testing.T) {
	t.Parallel()
	const body = `{"requests":[
		{"model":"models/public","content":{"role":"user","parts":[{"text":"a"},{"text":"b"}]},"taskType":"QUESTION_ANSWERING","title":"T","outputDimensionality":8},
		{"model":"models/public","content":{"parts":{"text":"c"}},"task_type":"QUESTION_ANSWERING","output_dimensionality":"8","later":1}]}`
	for api, row := range map[string]struct{ want, dropped string }{
		"openai.embeddings":         {`{"model":"m","input":["a\nb","c"],"dimensions":8}`, "requests.later requests.title requests.taskType"},
		"cohere.embed_v2":           {`{"model":"m","input_type":"search_query","texts":["a\nb","c"],"embedding_types":["float"],"output_dimension":8}`, "requests.later requests.title"},
		"vertex.predict":            {`{"instances":[{"content":"a\nb","task_type":"QUESTION_ANSWERING","title":"T"},{"content":"c","task_type":"QUESTION_ANSWERING"}],"parameters":{"outputDimensionality":8}}`, "requests.later"},
		"gemini.batchEmbedContents": {`{"requests":[{"model":"models/m","content":{"parts":[{"text":"a\nb"}]},"taskType":"QUESTION_ANSWERING","title":"T","outputDimensionality":8},{"model":"models/m","content":{"parts":[{"text":"c"}]},"taskType":"QUESTION_ANSWERING","outputDimensionality":8}]}`, "requests.later"},
	} {
		e, err := embed.Gemini{}.DecodeRequest([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		out, err := upstreams[api].EncodeRequest(e, translate.Target{Model: "m"})
		if err != nil || string(out) != row.want {
			t.Errorf("%s: %s, %v", api, out, err)
		}
		if dropped := strings.Join(e.TakeDropped(), " "); dropped != row.dropped {
			t.Errorf("%s: dropped %q, want %q", api, dropped, row.dropped)
		}
	}
	for field, odd := range map[string]string{
		"requests.taskType":             `{"requests":[{"content":{"parts":[{"text":"a"}]},"taskType":"CLUSTERING"},{"content":{"parts":[{"text":"a"}]}}]}`,
		"requests.outputDimensionality": `{"requests":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"a"}]},"outputDimensionality":8}]}`,
		"requests.content.parts":        `{"requests":[{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"AA=="}}]}}]}`,
	} {
		e, err := embed.Gemini{}.DecodeRequest([]byte(odd))
		if err != nil {
			t.Fatal(err)
		}
		_, err = embed.OpenAI{}.EncodeRequest(e, translate.Target{Model: "m"})
		if no, ok := errors.AsType[*translate.Unsupported](err); !ok || no.Field != field {
			t.Errorf("%s: %v", odd, err)
		}
	}
	for _, bad := range []string{`{}`, `{"requests":[]}`, `{"requests":5}`, `[]`} {
		if _, err := (embed.Gemini{}).DecodeRequest([]byte(bad)); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
}

func TestVectorsStandWhereTheirIndexSays(t *testing.T) {
	t.Parallel()
	v, err := embed.OpenAI{}.DecodeAnswer([]byte(`{"data":[{"index":1,"embedding":[1]},{"embedding":[2],"index":2},{"index":0,"embedding":[0]}],"usage":{"prompt_tokens":3,"total_tokens":3}}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]float64{{0}, {1}, {2}}, v.Values); diff != "" {
		t.Error(diff)
	}
}

func TestOpenAIsRequestsAreWrittenInEachForm(t *testing.T) {
	t.Parallel()
	const body = `{"model":"public","input":["a","b"],"dimensions":8,"input_type":"search_query","encoding_format":"base64","user":"u"}`
	e, err := embed.OpenAI{}.DecodeRequest([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Left) != 1 || e.Left[0] != "user" || !e.Base64 {
		t.Errorf("read as %+v", e)
	}
	for api, want := range map[string]string{
		"gemini.batchEmbedContents": `{"requests":[{"model":"models/m","content":{"parts":[{"text":"a"}]},"taskType":"RETRIEVAL_QUERY","outputDimensionality":8},{"model":"models/m","content":{"parts":[{"text":"b"}]},"taskType":"RETRIEVAL_QUERY","outputDimensionality":8}]}`,
		"vertex.predict":            `{"instances":[{"content":"a","task_type":"RETRIEVAL_QUERY"},{"content":"b","task_type":"RETRIEVAL_QUERY"}],"parameters":{"outputDimensionality":8}}`,
		"cohere.embed_v2":           `{"model":"m","input_type":"search_query","texts":["a","b"],"embedding_types":["float"],"output_dimension":8}`,
	} {
		out, err := upstreams[api].EncodeRequest(e, translate.Target{Model: "m"})
		if err != nil || string(out) != want {
			t.Errorf("%s: %s, %v", api, out, err)
		}
	}
	e.Texts = e.Texts[:1]
	if out, err := (embed.VertexContent{}).EncodeRequest(e, translate.Target{Model: "m"}); err != nil || string(out) != `{"content":{"parts":[{"text":"a"}]},"taskType":"RETRIEVAL_QUERY","outputDimensionality":8}` {
		t.Errorf("%s, %v", out, err)
	}
	e.Purpose = ""
	if out, err := (embed.Cohere{}).EncodeRequest(e, translate.Target{Model: "m"}); err != nil || !strings.Contains(string(out), `"input_type":"search_document"`) {
		t.Errorf("%s, %v", out, err)
	}
}

func TestWhatAnUpstreamCannotEmbedIsRefused(t *testing.T) {
	t.Parallel()
	ids, err := embed.OpenAI{}.DecodeRequest([]byte(`{"model":"m","input":[[1,2],[3]]}`))
	if err != nil || !ids.TokenIDs {
		t.Fatalf("%+v, %v", ids, err)
	}
	for api, up := range upstreams {
		if _, err := up.EncodeRequest(ids, translate.Target{Model: "m"}); !refuses(err) {
			t.Errorf("%s: token ids: %v", api, err)
		}
	}
	two, err := embed.OpenAI{}.DecodeRequest([]byte(`{"input":["a","b"]}`))
	if err != nil {
		t.Fatal(err)
	}
	for model, up := range map[string]embed.Upstream{"gemini-embedding-2": embed.VertexContent{}, "gemini-embedding-001": embed.VertexPredict{}, "amazon.titan-embed-text-v2:0": embed.Titan{}} {
		if _, err := up.EncodeRequest(two, translate.Target{Model: model}); !refuses(err) {
			t.Errorf("%s: two texts: %v", model, err)
		}
	}
	for _, body := range []string{`{"model":"m"}`, `{"input":5}`, `[]`, `{"input":"a","dimensions":"x"}`} {
		if _, err := (embed.OpenAI{}).DecodeRequest([]byte(body)); err == nil {
			t.Errorf("%s is read", body)
		} else if _, ok := errors.AsType[*translate.Malformed](err); !ok {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func refuses(err error) bool {
	no, ok := errors.AsType[*translate.Unsupported](err)
	return ok && no.Field == "input"
}

func TestAnAnswerWithoutVectorsIsNone(t *testing.T) {
	t.Parallel()
	for api, up := range upstreams {
		for _, body := range []string{``, `{}`, `{"embeddings":{}}`, `{"error":{"message":"x"}}`, `{"predictions":[]}`, `[]`} {
			if v, err := up.DecodeAnswer([]byte(body)); err == nil {
				t.Errorf("%s: %s is read as %v", api, body, v)
			}
		}
		if f := up.DecodeFailure(404, []byte(`{"message":"gone"}`)); f.Message != "gone" || f.Status != 404 {
			t.Errorf("%s: %+v", api, f)
		}
	}
}

func FuzzDecodeAnswer(f *testing.F) {
	for api := range upstreams {
		for _, in := range translatetest.Recordings(f, api) {
			if len(in.Response.Body) < 64<<10 {
				f.Add(in.Response.Body)
			}
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for api, up := range upstreams {
			v, err := up.DecodeAnswer(body)
			if err != nil {
				continue
			}
			for _, client := range clients() {
				for _, base64 := range []bool{false, true} {
					out, err := client.EncodeAnswer(&embed.Request{Base64: base64}, v, "m")
					if err != nil || !jsonx.Value(out).IsValid() {
						t.Fatalf("%s: %v: %s", api, err, out)
					}
				}
			}
		}
	})
}

func FuzzDecodeRequest(f *testing.F) {
	f.Add([]byte(`{"model":"m","input":["a","b"],"dimensions":8,"encoding_format":"base64"}`))
	f.Add([]byte(`{"input":[[1,2]]}`))
	f.Add([]byte(`{"requests":[{"model":"models/m","content":{"parts":[{"text":"a"},{"inlineData":{}}]},"taskType":"CLUSTERING","title":"t","outputDimensionality":8}]}`))
	f.Add([]byte(`{"content":{"parts":{"text":"a"}},"task_type":"RETRIEVAL_QUERY"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, client := range clients() {
			e, err := client.DecodeRequest(body)
			if err != nil {
				continue
			}
			for api, up := range upstreams {
				if out, err := up.EncodeRequest(e, translate.Target{Model: "m"}); err == nil && !jsonx.Value(out).IsValid() {
					t.Fatalf("%s: not JSON: %s", api, out)
				}
			}
		}
	})
}
