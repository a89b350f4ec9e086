package openai_test

import (
	"slices"
	"strings"
	"testing"

	"halley/internal/jsonx"
	"halley/internal/wire/openai"
)

// continuing is what the gateway asks of a request.
type continuing interface {
	Previous() string
	Keeps() bool
	References(body []byte) []string
	Input(body []byte, referred map[string][]byte) []byte
	Unroll(body []byte, before []openai.Turn, referred map[string][]byte) []byte
}

func scanned(t testing.TB, body string) continuing {
	t.Helper()
	r, err := openai.Responses{}.ScanRequest([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return r.(continuing) // or else the test ends here
}

func TestWhatARequestGoesOnFromIsReadOffIt(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]struct {
		previous string
		keeps    bool
		refers   []string
	}{
		`{"model":"m"}`: {"", true, nil},
		`{"model":"m","store":false,"previous_response_id":"resp_1"}`:                                                               {"resp_1", false, nil},
		`{"model":"m","store":null,"previous_response_id":null}`:                                                                    {"", true, nil},
		`{"model":"m","input":"say \"item_reference\""}`:                                                                            {"", true, nil},
		`{"model":"m","input":[{"type":"item_reference","id":"a"},{"id":"b","type":"item_reference"},{"type":"message","id":"c"}]}`: {"", true, []string{"a", "b"}},
	} {
		r := scanned(t, body)
		if r.Previous() != want.previous || r.Keeps() != want.keeps || !slices.Equal(r.References([]byte(body)), want.refers) {
			t.Errorf("%s: %q, %v, %v", body, r.Previous(), r.Keeps(), r.References([]byte(body)))
		}
	}
	for _, body := range []string{`{"model":"m","store":1}`, `{"model":"m","previous_response_id":7}`, `{"model":"m","previous_response_id":"a","previous_response_id":"b"}`} {
		if _, err := (openai.Responses{}).ScanRequest([]byte(body)); err == nil {
			t.Errorf("%s is taken", body)
		}
	}
}

func TestTheFinalResponseOfAStreamIsFound(t *testing.T) {
	t.Parallel()
	const response = `{"id":"resp_1","output":[{"text":"data: {\"type\":\"response.completed\",\"response\":{}}"}]}`
	final := `data: {"type":"response.completed","response":` + response + `}`
	for name, events := range map[string]string{
		"alone":                   final + "\n\n",
		"named":                   "event: response.completed\n" + final + "\n\n",
		"with CRLF":               "event: response.completed\r\n" + final + "\r\n\r\n",
		"without an end":          final,
		"after others":            "data: {\"type\":\"response.created\",\"response\":{\"id\":\"x\"}}\n\n" + final + "\n\n",
		"before the marker":       final + "\n\ndata: [DONE]\n\n",
		"before a comment, so to": final + "\n\n: bye\n\n",
	} {
		if got := string(openai.FinalResponse([]byte(events))); got != response {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, events := range []string{"", "\n", "data: [DONE]\n\n", `data: {"type":"response.failed","response":{"id":"x"}}` + "\n\n", `data: {"type":"response.completed"}` + "\n\n"} {
		if got := openai.FinalResponse([]byte(events)); got != nil {
			t.Errorf("%q: %s", events, got)
		}
	}
}

func TestInputItemsComeInPages(t *testing.T) {
	t.Parallel()
	const input = `[{"role":"user","content":"0"},{"id":"mine","role":"user","content":"1"},{"role":"user","content":"2"}]`
	for name, test := range map[string]struct {
		page openai.InputPage
		want string
	}{
		"newest first": {openai.InputPage{Limit: 2}, `{"object":"list","data":[{"id":"item_r_2","role":"user","content":"2"},{"id":"mine","role":"user","content":"1"}],"first_id":"item_r_2","last_id":"mine","has_more":true}`},
		"the rest":     {openai.InputPage{After: "mine"}, `{"object":"list","data":[{"id":"item_r_0","role":"user","content":"0"}],"first_id":"item_r_0","last_id":"item_r_0","has_more":false}`},
		"oldest first": {openai.InputPage{Limit: 1, Ascending: true}, `{"object":"list","data":[{"id":"item_r_0","role":"user","content":"0"}],"first_id":"item_r_0","last_id":"item_r_0","has_more":true}`},
		"past the end": {openai.InputPage{After: "item_r_0"}, `{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}`},
	} {
		if got, ok := openai.InputItems("r", []byte(input), test.page); !ok || string(got) != test.want {
			t.Errorf("%s: %v %s", name, ok, got)
		}
	}
	if _, ok := openai.InputItems("r", []byte(input), openai.InputPage{After: "nobody"}); ok {
		t.Error("a page after an unknown item is given")
	}
}

func FuzzUnroll(f *testing.F) {
	f.Add(`{"model":"m","input":"hi","previous_response_id":"r"}`, `[{"role":"user","content":"x"}]`, `{"output":[{"type":"message","id":"a","content":[]},{"type":"reasoning"}]}`)
	f.Add(`{"model":"m","previous_response_id":null}`, `"text"`, `{"output":[]}`)
	f.Add(` { "input" : [ { "type" : "item_reference" , "id" : "a" } ] , "model" : "m" } `, `[]`, `{"output":[{"type":"function_call","id":"b","call_id":"c"}]}`)
	f.Fuzz(func(t *testing.T, body, input, answer string) {
		r, err := openai.Responses{}.ScanRequest([]byte(body))
		var in, out any
		if err != nil || jsonx.Unmarshal([]byte(input), &in) != nil || jsonx.Unmarshal([]byte(answer), &out) != nil {
			return
		}
		c, _ := r.(continuing)
		referred := map[string][]byte{"a": []byte(`{"type":"message","id":"a"}`), "b": []byte(`{"type":"reasoning"}`)}
		whole := c.Unroll([]byte(body), []openai.Turn{{Input: []byte(input), Body: []byte(answer)}}, referred)
		again, err := openai.Responses{}.ScanRequest(whole)
		if err != nil {
			t.Fatalf("%s: %v", whole, err)
		}
		if next, _ := again.(continuing); next.Previous() != "" || again.Facts().Model != r.Facts().Model {
			t.Errorf("it still goes on from something: %s", whole)
		}
		var list []any
		if err := jsonx.Unmarshal(c.Input([]byte(body), referred), &list); err != nil {
			t.Errorf("the input %s: %v", c.Input([]byte(body), referred), err)
		}
		if f, ok := openai.ReadFinished([]byte(answer)); ok && strings.ContainsAny(f.ID, "/?# ") {
			t.Errorf("%q is kept", f.ID)
		}
	})
}
