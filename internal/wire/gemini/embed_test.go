package gemini_test

import (
	"strings"
	"testing"

	"halley/internal/wire"
	"halley/internal/wire/gemini"
)

func TestAnEmbedRequestIsEditedInItsModelsAlone(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		batch      bool
		body, want string
	}{
		"one":               {false, `{ "content": {"parts": [{"text": "a \"model\""}]}, "model": "models/public","x": 1.0}`, `{ "content": {"parts": [{"text": "a \"model\""}]}, "model": "models/m2","x": 1.0}`},
		"one without":       {false, `{"content":{}}`, `{"content":{}}`},
		"null":              {false, `{"model":null}`, `{"model":null}`},
		"batch":             {true, `{"requests" : [ {"model":"models/public", "later": {"model":"z"}},{"content":{}},{"model":"public"} ]}`, `{"requests" : [ {"model":"models/m2", "later": {"model":"z"}},{"content":{}},{"model":"models/m2"} ]}`},
		"batch, model atop": {true, `{"model":"other","requests":[]}`, `{"model":"other","requests":[]}`},
	} {
		r, err := gemini.Embed{Generate: gemini.Generate{Model: "public"}, Batch: row.batch}.ScanRequest([]byte(row.body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if h := r.Facts(); h.Model != "public" || h.Stream || h.Choices != 1 {
			t.Errorf("%s: %+v", name, h)
		}
		for model, want := range map[string]string{"m2": row.want, "public": row.body, "models/public": row.body, "": row.body} {
			if got := wire.Apply(nil, []byte(row.body), r.Edits(wire.Changes{Model: model})); string(got) != want {
				t.Errorf("%s to %q: %s, want %s", name, model, got, want)
			}
		}
	}
}

func TestAnEmbedRequestHasThePathsModel(t *testing.T) {
	t.Parallel()
	for body, field := range map[string]string{
		`{"model":"models/dearer","content":{}}`: "model",
		`{"model":5}`:                            "model",
		`{"requests":[{"model":"models/cheap"},{"model":"models/dearer"}]}`:       "requests[1].model",
		`{"requests":[{"model":"models/cheap","\u006dodel":"models/dearer"}]}`:    "requests[0].model",
		`{"requests":[{"model":"models/cheap"}],"requests":[{"model":"dearer"}]}`: "requests[0].model",
		`{"requests":5}`:   "requests",
		`{"requests":[5]}`: "requests",
		`[]`:               "JSON",
		`{"content":{}`:    "JSON",
	} {
		format := gemini.Embed{Generate: gemini.Generate{Model: "cheap"}, Batch: strings.Contains(body, "requests")}
		if _, err := format.ScanRequest([]byte(body)); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func FuzzEmbedScanning(f *testing.F) {
	f.Add([]byte(`{"requests":[{"model":"models/m","content":{"parts":[{"text":"a"}]}},{"model":"m"}]}`))
	f.Add([]byte(`{"model":"m","content":{}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, batch := range []bool{false, true} {
			r, err := gemini.Embed{Generate: gemini.Generate{Model: "m"}, Batch: batch}.ScanRequest(body)
			if err != nil {
				continue
			}
			out := wire.Apply(nil, body, r.Edits(wire.Changes{Model: "other"}))
			if _, err := (gemini.Embed{Generate: gemini.Generate{Model: "other"}, Batch: batch}).ScanRequest(out); err != nil {
				t.Fatalf("%s became %s: %v", body, out, err)
			}
		}
	})
}
