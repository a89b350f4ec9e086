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

func TestRecordedVectorsReachOpenAIsClients(t *testing.T) {
	t.Parallel()
	for api, up := range upstreams {
		seen := 0
		for _, in := range translatetest.Recordings(t, api) {
			if in.Response.Status != 200 {
				continue
			}
			seen++
			v, err := up.DecodeAnswer(in.Response.Body)
			if err != nil {
				t.Errorf("%s: %v", in.File, err)
				continue
			}
			out, err := embed.OpenAI{}.EncodeAnswer(&embed.Request{}, v, "public")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(lists(parse(t, in.Response.Body)), lists(parse(t, out)["data"])); diff != "" {
				t.Errorf("%s:\n%s", in.File, diff)
			}
			says := strings.Contains(string(in.Response.Body), "okenCount") || strings.Contains(string(in.Response.Body), "token_count") || strings.Contains(string(in.Response.Body), "input_tokens")
			if told := v.Tokens != nil && *v.Tokens > 0; told != says {
				t.Errorf("%s: tokens %v", in.File, v.Tokens)
			}
		}
		if seen == 0 {
			t.Errorf("%s: no recording", api)
		}
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
	two := &embed.Request{Texts: []string{"a", "b"}}
	for model, up := range map[string]embed.Upstream{"gemini-embedding-2": embed.VertexContent{}, "gemini-embedding-001": embed.VertexPredict{}} {
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
			for _, base64 := range []bool{false, true} {
				out, err := embed.OpenAI{}.EncodeAnswer(&embed.Request{Base64: base64}, v, "m")
				if err != nil || !jsonx.Value(out).IsValid() {
					t.Fatalf("%s: %v: %s", api, err, out)
				}
			}
		}
	})
}

func FuzzDecodeRequest(f *testing.F) {
	f.Add([]byte(`{"model":"m","input":["a","b"],"dimensions":8,"encoding_format":"base64"}`))
	f.Add([]byte(`{"input":[[1,2]]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := embed.OpenAI{}.DecodeRequest(body)
		if err != nil {
			return
		}
		for api, up := range upstreams {
			if out, err := up.EncodeRequest(e, translate.Target{Model: "m"}); err == nil && !jsonx.Value(out).IsValid() {
				t.Fatalf("%s: not JSON: %s", api, out)
			}
		}
	})
}
