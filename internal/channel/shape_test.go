package channel

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"halley/internal/fault"
	"halley/internal/jsonx"
)

func readSpec(t *testing.T, text string) OverrideSpec {
	t.Helper()
	var patch OverridesPatch
	if err := jsonx.Decode([]byte(text), &patch); err != nil {
		t.Fatal(err)
	}
	return patch.apply(OverrideSpec{})
}

func TestNoOverrideTouchesWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	for text, param := range map[string]string{
		`{"headers":{"set":{"Authorization":"x"}}}`:                "overrides.headers.set",
		`{"headers":{"default":{"x-api-key":"x"}}}`:                "overrides.headers.default",
		`{"headers":{"remove":["API-KEY"]}}`:                       "overrides.headers.remove",
		`{"headers":{"set":{"x-goog-api-key":"x"}}}`:               "overrides.headers.set",
		`{"headers":{"set":{"X-Amz-Security-Token":""}}}`:          "overrides.headers.set",
		`{"headers":{"set":{"Cookie":"x"}}}`:                       "overrides.headers.set",
		`{"headers":{"set":{"host":"x"}}}`:                         "overrides.headers.set",
		`{"headers":{"set":{"content-length":"1"}}}`:               "overrides.headers.set",
		`{"headers":{"remove":["Transfer-Encoding"]}}`:             "overrides.headers.remove",
		`{"headers":{"set":{"Connection":"close"}}}`:               "overrides.headers.set",
		`{"headers":{"set":{"Accept-Encoding":"gzip"}}}`:           "overrides.headers.set",
		`{"headers":{"set":{"":"x"}}}`:                             "overrides.headers.set",
		`{"headers":{"set":{"a b":"x"}}}`:                          "overrides.headers.set",
		`{"headers":{"set":{"a":"x\r\nB: y"}}}`:                    "overrides.headers.set",
		`{"headers":{"set":{"a":"é"}}}`:                            "overrides.headers.set",
		`{"headers":{"set":{"x-a":"1","X-A":"2"}}}`:                "overrides.headers.set",
		`{"body":{"set":{"model":"x"}}}`:                           "overrides.body.set",
		`{"body":{"set":{"MODEL":"x"}}}`:                           "overrides.body.set",
		`{"body":{"remove":["stream"]}}`:                           "overrides.body.remove",
		`{"body":{"default":{"stream_options":{}}}}`:               "overrides.body.default",
		`{"body":{"set":{"stream_options.x":1}}}`:                  "overrides.body.set",
		`{"body":{"default":{"max_tokens":5}}}`:                    "overrides.body.default",
		`{"body":{"remove":["max_completion_tokens"]}}`:            "overrides.body.remove",
		`{"body":{"set":{"max_output_tokens":5}}}`:                 "overrides.body.set",
		`{"body":{"set":{"n":5}}}`:                                 "overrides.body.set",
		`{"body":{"set":{"n[0]":5}}}`:                              "overrides.body.set",
		`{"body":{"set":{"best_of":5}}}`:                           "overrides.body.set",
		`{"body":{"set":{"service_tier":"priority"}}}`:             "overrides.body.set",
		`{"body":{"set":{"generationConfig":{}}}}`:                 "overrides.body.set",
		`{"body":{"set":{"generation_config.candidate_count":2}}}`: "overrides.body.set",
		`{"body":{"set":{"a..b":1}}}`:                              "overrides.body.set",
		`{"body":{"remove":["a["]}}`:                               "overrides.body.remove",
		`{"body":{"set":{"a":1,"a.b":2}}}`:                         "overrides.body",
	} {
		o, err := NewOverrides(readSpec(t, text))
		f := fault.From(err)
		if err == nil || f.Kind != fault.Invalid || f.Code != "invalid_overrides" || f.Param != param || !strings.HasPrefix(f.Message, param) {
			t.Errorf("%s: %+v, %v; want a fault of %s", text, o, err, param)
		}
	}
	for _, text := range []string{
		`{"headers":{"set":{"HTTP-Referer":"https://a.example","anthropic-beta":"x","User-Agent":"a"},"remove":["X-Debug"]}}`,
		`{"body":{"set":{"generationConfig.temperature":1,"messages[0].n":1,"reasoning.max_tokens":5},"remove":["user"],"default":{"user":null}}}`,
	} {
		if _, err := NewOverrides(readSpec(t, text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestOverridesAreBounded(t *testing.T) {
	t.Parallel()
	many := OverrideSpec{Body: BodyOverrides{Set: map[string]jsonx.Value{}}}
	for i := range MaxOverrides + 1 {
		many.Body.Set[fmt.Sprintf("m%d", i)] = jsonx.Value("1")
	}
	long, _ := json.Marshal(strings.Repeat("x", MaxOverrideBytes))
	for name, spec := range map[string]OverrideSpec{
		"too many":     many,
		"too large":    {Body: BodyOverrides{Default: map[string]jsonx.Value{"a": long}}},
		"a long value": {Headers: HeaderOverrides{Set: map[string]string{"X-A": strings.Repeat("x", MaxOverrideHeader+1)}}},
	} {
		if _, err := NewOverrides(spec); fault.Code(err) != "invalid_overrides" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNoBodyGrowsBeyondWhatIsHeldFor is about money: what Added says is held.
func TestNoBodyGrowsBeyondWhatIsHeldFor(t *testing.T) {
	t.Parallel()
	names := []string{"a", `b"`, `c\.d`, "e"}
	path := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(append(names, "a[0]")), 1, 3).Draw(t, "names"), ".")
	})
	value := rapid.SampledFrom([]string{`1`, `"some text"`, `{"a":{"e":[1]}}`, `null`, `[{"a":2}]`})
	values := func(t *rapid.T, label string) map[string]jsonx.Value {
		m := map[string]jsonx.Value{}
		for p, v := range rapid.MapOfN(path, value, 0, 3).Draw(t, label) {
			m[p] = jsonx.Value(v)
		}
		return m
	}
	bodies := rapid.SampledFrom([]string{
		`{}`, `{"a":1}`, `{"a":{},"a":{},"a":{}}`, `{"a":null,"e":[[],{}]}`, `{"a":[{"a":null},1],"b\"":{"e":{}},"a":2,"c.d":{}}`, `{"e":{"e":{}},"e":{"a":1}}`,
	})
	rapid.Check(t, func(t *rapid.T) {
		spec := OverrideSpec{Body: BodyOverrides{Set: values(t, "set"), Default: values(t, "default")}}
		o, err := NewOverrides(spec)
		if err != nil { // paths that meet
			return
		}
		body := bodies.Draw(t, "body")
		got := o.EditBody([]byte(body))
		added, _ := o.Added()
		if len(got) > len(body)+added || !json.Valid(got) {
			t.Fatalf("%+v made %s of %s, %d bytes more, with %d added", spec, got, body, len(got)-len(body), added)
		}
	})
	o, err := NewOverrides(OverrideSpec{Body: BodyOverrides{Set: map[string]jsonx.Value{"messages[0].content": jsonx.Value(`[{"type":"image_url","image_url":{"url":"https://a.example/b.png"}}]`)}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, media := o.Added(); media < 1 {
		t.Errorf("a picture counts as %d parts that are no text", media)
	}
}

func TestShapeIsMergedMemberByMember(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	c := b.create(t, Change{Name: new("a"), Kind: new(Demo), Models: new([]string{"m"})})
	for _, step := range []struct {
		overrides, caps string
		want            string
		wantCaps        Caps
	}{
		{`{"headers":{"set":{"x-a":" 1 "}},"body":{"set":{"a":{"b": 1}},"remove":["c"]}}`, `{"concurrency":2,"queue_ms":50}`,
			`{"headers":{"set":{"X-A":"1"}},"body":{"set":{"a":{"b":1}},"remove":["c"]}}`, Caps{Concurrency: 2, Queue: 50 * time.Millisecond}},
		{`{"body":{"default":{"d":null},"remove":null}}`, `{"rpm":3,"queue_ms":null}`,
			`{"headers":{"set":{"X-A":"1"}},"body":{"set":{"a":{"b":1}},"default":{"d":null}}}`, Caps{Concurrency: 2, RPM: 3}},
		{`{"headers":null}`, `{"concurrency":0}`, `{"body":{"set":{"a":{"b":1}},"default":{"d":null}}}`, Caps{RPM: 3}},
		{`null`, `null`, `{}`, Caps{}},
	} {
		var change struct {
			Overrides jsonx.Opt[OverridesPatch] `json:"overrides"`
			Caps      jsonx.Opt[CapsPatch]      `json:"caps"`
		}
		if err := jsonx.Decode([]byte(`{"overrides":`+step.overrides+`,"caps":`+step.caps+`}`), &change); err != nil {
			t.Fatal(err)
		}
		var err error
		if c, err = b.Update(t.Context(), c.ID, Change{Overrides: change.Overrides, Caps: change.Caps}, nil); err != nil {
			t.Fatal(err)
		}
		want, err := NewOverrides(readSpec(t, step.want))
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, c.Overrides); diff != "" || c.Caps != step.wantCaps {
			t.Errorf("after %s and %s: caps %+v, overrides %s", step.overrides, step.caps, c.Caps, diff)
		}
		if kept, err := b.Update(t.Context(), c.ID, Change{Tag: new("t")}, nil); err != nil || !kept.Overrides.Equal(c.Overrides) || kept.Caps != c.Caps {
			t.Errorf("another change: %+v, %v", kept, err)
		}
	}
}

func TestBadCapsAreRefusedByName(t *testing.T) {
	t.Parallel()
	for param, patch := range map[string]CapsPatch{
		"caps.concurrency": {Concurrency: jsonx.Some(int64(-1))},
		"caps.rpm":         {RPM: jsonx.Some(int64(MaxCap + 1))},
		"caps.tpm":         {TPM: jsonx.Some(int64(-5))},
		"caps.queue_ms":    {QueueMS: jsonx.Some(MaxCapQueue.Milliseconds() + 1)},
	} {
		if _, err := patch.apply(Caps{}); fault.Code(err) != "invalid_caps" || fault.From(err).Param != param {
			t.Errorf("%s: %v", param, err)
		}
	}
}
