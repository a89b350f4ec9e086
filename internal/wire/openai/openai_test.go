package openai_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/fault"
	"halley/internal/usage"
	"halley/internal/wire"
	"halley/internal/wire/openai"
)

func TestScanReadsWhatRoutingNeeds(t *testing.T) {
	t.Parallel()
	body := ` {"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}},{"model":"inner"}]}],
		"mod\u0065l":"gpt-4o","stream":true,"stream_options":{"x":1,"include_usage":true},"max_tokens":5,"n":2,"user":"me","service_tier":"flex","max_completion_tokens":null} `
	h, err := openai.ScanRequest([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if h.Model != "gpt-4o" || !h.Stream || !h.IncludeUsage || h.Cap != 5 || h.Choices != 2 || h.EndUser != "me" || h.ServiceTier != "flex" || h.Media == 0 {
		t.Errorf("head = %+v", h)
	}
	if got := string(h.ModelAt.Of([]byte(body))); got != `"gpt-4o"` {
		t.Errorf("ModelAt covers %s", got)
	}
}

func TestScanRefusesWhatIsWrongAndNamesIt(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ body, param string }{
		"empty":                 {"", ""},
		"not an object":         {"[]", ""},
		"truncated":             {`{"model":"m","messages":[`, ""},
		"trailing":              {`{"model":"m"} {}`, ""},
		"not UTF-8":             {"{\"model\":\"m\",\"x\":\"\xff\"}", ""},
		"nested too deep":       {`{"model":"m","x":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "}", ""},
		"no model":              {`{"messages":[]}`, "model"},
		"model is a number":     {`{"model":5}`, "model"},
		"model is null":         {`{"model":null}`, "model"},
		"model is empty":        {`{"model":""}`, "model"},
		"model twice":           {`{"model":"cheap","model":"dear"}`, "model"},
		"model in capitals too": {`{"model":"cheap","Model":"dear"}`, "model"},
		"model twice, escaped":  {`{"model":"cheap","\u006dodel":"dear"}`, "model"},
		"stream is a string":    {`{"model":"m","stream":"true"}`, "stream"},
		"options are a list":    {`{"model":"m","stream_options":[]}`, "stream_options"},
		"cap is a string":       {`{"model":"m","max_tokens":"5"}`, "max_tokens"},
		"cap has a fraction":    {`{"model":"m","max_tokens":1.5}`, "max_tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := openai.ScanRequest([]byte(row.body))
			f := fault.From(err)
			if err == nil || f.Kind != fault.Malformed || f.Code != "invalid_request" || f.Param != row.param {
				t.Errorf("err = %v with param %q, want invalid_request on %q", err, f.Param, row.param)
			}
		})
	}
}

// What is wrong with a number is the upstream's to say; the hold only needs a
// bound.
func TestAbsurdLimitsGoThrough(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int64{
		`{"model":"m","max_tokens":0}`: 0, `{"model":"m","max_completion_tokens":-5}`: 0, `{"model":"m","max_tokens":1e3}`: 1000,
		`{"model":"m","max_tokens":1e300}`: 1 << 40, `{"model":"m","max_tokens":9223372036854775808}`: 1 << 40, `{"model":"m","max_tokens":-1e300}`: 0,
	} {
		h, err := openai.ScanRequest([]byte(body))
		if err != nil || h.Cap != want || h.Choices != 1 {
			t.Errorf("%s: cap %d, %v", body, h.Cap, err)
		}
	}
	for body, want := range map[string]int64{
		`{"model":"m","max_tokens":7,"max_completion_tokens":3}`: 7, `{"model":"m","max_tokens":3,"max_completion_tokens":7}`: 7, `{"model":"m","max_tokens":0,"max_completion_tokens":7}`: 7,
	} {
		if h, err := openai.ScanRequest([]byte(body)); err != nil || h.Cap != want {
			t.Errorf("%s: cap %d, %v, want the larger, %d", body, h.Cap, err, want)
		}
	}
	for body, want := range map[string]int64{`{"model":"m","n":0}`: 1, `{"model":"m","n":-9e18}`: 1, `{"model":"m","n":4}`: 4, `{"model":"m","n":1099511627776}`: 1 << 20} {
		h, err := openai.ScanRequest([]byte(body))
		if err != nil || h.Choices != want {
			t.Errorf("%s: %d choices, %v, want %d", body, h.Choices, err, want)
		}
		if (1<<40)*h.Choices < 1<<40 {
			t.Errorf("%s: times the largest cap it is beyond 64 bits", body)
		}
	}
}

func TestEditsChangeOnlyWhatTheyName(t *testing.T) {
	t.Parallel()
	all := wire.Changes{Model: "up/stream", IncludeUsage: true, OutputCap: 33}
	for name, row := range map[string]struct {
		in, want string
		c        wire.Changes
	}{
		"nothing":                {`{"model":"m"}`, `{"model":"m"}`, wire.Changes{Model: "m"}},
		"all added":              {`{"model":"m", "x":1 }`, `{"model":"up/stream", "x":1 ,"stream_options":{"include_usage":true},"max_tokens":33}`, all},
		"all there":              {`{"max_tokens":99,"stream_options":{"include_usage":false},"model":"m"}`, `{"max_tokens":33,"stream_options":{"include_usage":true},"model":"up/stream"}`, all},
		"options empty":          {`{"model":"m","stream_options":{ }}`, `{"model":"m","stream_options":{"include_usage":true }}`, wire.Changes{IncludeUsage: true}},
		"options null":           {`{"model":"m","stream_options":null}`, `{"model":"m","stream_options":{"include_usage":true}}`, wire.Changes{IncludeUsage: true}},
		"options hold others":    {`{"model":"m","stream_options":{"a":1}}`, `{"model":"m","stream_options":{"include_usage":true,"a":1}}`, wire.Changes{IncludeUsage: true}},
		"usage asked for":        {`{"model":"m","stream_options":{"include_usage":true}}`, `{"model":"m","stream_options":{"include_usage":true}}`, wire.Changes{IncludeUsage: true}},
		"newer cap":              {`{"model":"m","max_completion_tokens":99}`, `{"model":"m","max_completion_tokens":33}`, wire.Changes{OutputCap: 33}},
		"cap missing, new model": {`{"model":"m"}`, `{"model":"gpt-5","max_completion_tokens":33}`, wire.Changes{Model: "gpt-5", OutputCap: 33}},
		"both caps":              {`{"max_completion_tokens":99,"model":"m","max_tokens":98}`, `{"max_completion_tokens":33,"model":"m","max_tokens":33}`, wire.Changes{OutputCap: 33}},
		"cap null":               {`{"model":"m","max_tokens":null}`, `{"model":"m","max_tokens":33}`, wire.Changes{OutputCap: 33}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := openai.ScanRequest([]byte(row.in))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(wire.Apply(nil, []byte(row.in), h.Edits(row.c))); got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

// Whatever a body holds, edited it is the same body but for the named members.
func FuzzEditsKeepTheRest(f *testing.F) {
	for _, seed := range []string{`{"model":"m"}`, `{"model":"m","stream_options":{"a":[1,{"b":null}]},"max_tokens":7}`, `{"\u006dodel":"é\ud83d\ude00","n":1,"x":{"model":"y"}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := openai.ScanRequest(body)
		if err != nil {
			return
		}
		out := wire.Apply(nil, body, h.Edits(wire.Changes{Model: "other", IncludeUsage: true, OutputCap: 5}))
		again, err := openai.ScanRequest(out)
		if err != nil {
			t.Fatalf("%s became %s: %v", body, out, err)
		}
		if again.Model != "other" || !again.IncludeUsage || again.Cap != 5 {
			t.Fatalf("%s became %s", body, out)
		}
		if diff := cmp.Diff(rest(t, body), rest(t, out)); diff != "" {
			t.Fatalf("the rest changed: %s", diff)
		}
	})
}

func rest(t *testing.T, body []byte) map[string]any {
	var m map[string]any
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&m); err != nil {
		t.Fatal(err)
	}
	if options, ok := m["stream_options"].(map[string]any); ok {
		delete(options, "include_usage")
		if len(options) == 0 {
			delete(m, "stream_options")
		}
	}
	for _, name := range []string{"model", "max_tokens", "max_completion_tokens"} {
		delete(m, name)
	}
	if m["stream_options"] == nil {
		delete(m, "stream_options")
	}
	return m
}

func TestUsageIsReadInEveryServersTerms(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		body string
		want usage.Tokens
		has  bool
	}{
		"openai":             {`{"usage":{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":1},"completion_tokens_details":{"reasoning_tokens":3,"audio_tokens":2}}}`, usage.Tokens{Prompt: 10, CachedRead: 4, AudioIn: 1, Completion: 7, Reasoning: 3, AudioOut: 2}, true},
		"deepseek":           {`{"usage":{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17,"prompt_cache_hit_tokens":6,"prompt_cache_miss_tokens":4}}`, usage.Tokens{Prompt: 10, CachedRead: 6, Completion: 7}, true},
		"mistral":            {`{"usage":{"prompt_tokens":64,"completion_tokens":6,"total_tokens":70,"num_cached_tokens":32}}`, usage.Tokens{Prompt: 64, CachedRead: 32, Completion: 6}, true},
		"moonshot":           {`{"usage":{"prompt_tokens":20,"completion_tokens":30,"total_tokens":50,"cached_tokens":10}}`, usage.Tokens{Prompt: 20, CachedRead: 10, Completion: 30}, true},
		"xai reasoning":      {`{"usage":{"prompt_tokens":10,"completion_tokens":7,"total_tokens":37,"completion_tokens_details":{"reasoning_tokens":20}}}`, usage.Tokens{Prompt: 10, Completion: 27, Reasoning: 20}, true},
		"groq stream":        {`{"choices":[],"x_groq":{"id":"r","usage":{"prompt_tokens":3,"completion_tokens":2}}}`, usage.Tokens{Prompt: 3, Completion: 2}, true},
		"embeddings":         {`{"usage":{"prompt_tokens":5,"total_tokens":5}}`, usage.Tokens{Prompt: 5}, true},
		"null members":       {`{"usage":{"prompt_tokens":5,"completion_tokens":null,"prompt_tokens_details":null}}`, usage.Tokens{Prompt: 5}, true},
		"null":               {`{"usage":null}`, usage.Tokens{}, false},
		"empty":              {`{"usage":{}}`, usage.Tokens{}, false},
		"absent":             {`{"choices":[]}`, usage.Tokens{}, false},
		"negative is none":   {`{"usage":{"prompt_tokens":-5,"completion_tokens":1}}`, usage.Tokens{Completion: 1}, true},
		"wrong type is none": {`{"usage":{"prompt_tokens":"5"}}`, usage.Tokens{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, ok := openai.ScanAnswer([]byte(row.body))
			if !ok {
				t.Fatal("not read")
			}
			if diff := cmp.Diff(row.want, a.Usage); diff != "" || a.HasUsage != row.has {
				t.Errorf("has %v, %s", a.HasUsage, diff)
			}
		})
	}
}

func FuzzScanAnswer(f *testing.F) {
	f.Add([]byte(`{"model":"m","usage":{"prompt_tokens":1e400},"choices":[ ],"error":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		a, ok := openai.ScanAnswer(body)
		if ok && a.ModelAt.Present() && body[a.ModelAt.From] != '"' {
			t.Fatalf("ModelAt covers %q", a.ModelAt.Of(body))
		}
	})
}

func TestErrorShape(t *testing.T) {
	t.Parallel()
	got := string(openai.Error(fault.New(fault.Forbidden, "model_not_allowed", "No.").Field("model"), "req-1"))
	want := `{"error":{"message":"No. (request id: req-1)","type":"permission_error","param":"model","code":"model_not_allowed"}}`
	if got != want {
		t.Errorf("got %s", got)
	}
}

func BenchmarkScanRequest(b *testing.B) {
	const code = `\tif got := told(\"comet\"); got != want {\n\t\treturn fmt.Errorf(\"%q\", got)\n\t}\n`
	for name, text := range map[string]string{"1KB": strings.Repeat("hello wor", 1<<10/9), "100KB": strings.Repeat("hello wor", 100<<10/9), "100KB of code": strings.Repeat(code, 100<<10/len(code))} {
		body := []byte(`{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"` + text + `"}]}`)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := openai.ScanRequest(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkScanAnswer(b *testing.B) {
	body := []byte(`{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"` + strings.Repeat("hello wor", 100) + `"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":1},"completion_tokens_details":{"reasoning_tokens":3,"audio_tokens":2}}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := openai.ScanAnswer(body); !ok {
			b.Fatal("not read")
		}
	}
}

func TestSearchModelsAreKnownToHaveSearched(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int64{
		`{"usage":{"prompt_tokens":1,"completion_tokens":2},"model":"gpt-4o-search-preview-2025-03-11"}`: 1,
		`{"model":"gpt-5-search-api","usage":{"prompt_tokens":1,"completion_tokens":2}}`:                 1,
		`{"model":"gpt-4o-search-preview"}`:                                    0, // which says nothing of its usage
		`{"model":"gpt-4o","usage":{"prompt_tokens":1,"completion_tokens":2}}`: 0,
		`{"usage":{"prompt_tokens":1,"completion_tokens":2}}`:                  0,
	} {
		if a, ok := openai.ScanAnswer([]byte(body)); !ok || a.Usage.Searches != want {
			t.Errorf("%s: %d searches", body, a.Usage.Searches)
		}
	}
}
