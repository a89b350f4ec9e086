package demo

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"halley/internal/jsonx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheSameMessageGetsTheSameAnswer(t *testing.T) {
	t.Parallel()
	first := ask(t, `{"model":"demo-echo","messages":[{"role":"user","content":"Where do comets come from?"}]}`)
	if again := ask(t, `{"model":"demo-echo","messages":[{"role":"user","content":"Where do comets come from?"}]}`); first.raw != again.raw {
		t.Errorf("two answers:\n%s\n%s", first.raw, again.raw)
	}
	if !strings.Contains(first.text(), "Where do comets come from?") {
		t.Errorf("the answer does not take up what was said: %q", first.text())
	}
	if first.Model != "demo-echo" || first.Object != "chat.completion" || first.Created != now().Unix() || first.Choices[0].Finish != "stop" {
		t.Errorf("%+v", first.chatAnswer)
	}
	if u := first.Usage; u.Prompt < 1 || u.Completion != count(first.text()) || u.Total != u.Prompt+u.Completion {
		t.Errorf("usage %+v for %q", u, first.text())
	}
}

func TestAnswersFitWhatWasSaid(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"Hello!":                     "Hello!",
		"Say hello in one sentence.": "Hello!",
		"Thank you so much":          "You are welcome",
		"Count to 5":                 "1 2 3 4 5",
		"please count from 1 to 3.":  "1 2 3",
		"Repeat after me: a b  c":    "a b  c",
		`Say "ping"`:                 "ping",
		"  ":                         "You have not said anything yet",
		"Is it late?":                "Good question.",
		"The sky is blue.":           "You said: “The sky is blue.”",
		"Tell me about comets.":      "You said: “Tell me about comets.” My favourite subject!",
	} {
		if got := say(said); !strings.HasPrefix(got, want) {
			t.Errorf("to %q it says %q, want %q…", said, got, want)
		}
	}
}

func TestContentMayBeParts(t *testing.T) {
	t.Parallel()
	a := ask(t, `{"model":"demo-echo","messages":[{"role":"user","content":[{"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"data:,"}}]}]}`)
	if !strings.Contains(a.text(), "What is this?") || a.Usage.Prompt < mediaTokens {
		t.Errorf("%q, usage %+v", a.text(), a.Usage)
	}
}

func TestCapsCutTheAnswerExactly(t *testing.T) {
	t.Parallel()
	for _, field := range []string{"max_tokens", "max_completion_tokens"} {
		for _, most := range []int{1, 7, 16} {
			a := ask(t, fmt.Sprintf(`{"model":"demo-echo","%s":%d,"messages":[{"role":"user","content":"Count to 500"}]}`, field, most))
			if a.Usage.Completion != most || count(a.text()) != most || a.Choices[0].Finish != "length" {
				t.Errorf("%s %d: %d tokens, %q, %q", field, most, a.Usage.Completion, a.text(), a.Choices[0].Finish)
			}
		}
	}
	if a := ask(t, `{"model":"demo-echo","messages":[{"role":"user","content":"Count to 9999"}]}`); a.Usage.Completion != MaxOutputTokens || a.Choices[0].Finish != "length" {
		t.Errorf("without a cap: %d tokens, %q", a.Usage.Completion, a.Choices[0].Finish)
	}
}

func TestEveryChoiceIsCounted(t *testing.T) {
	t.Parallel()
	one := ask(t, `{"model":"demo-echo","messages":[{"role":"user","content":"Hello"}]}`)
	three := ask(t, `{"model":"demo-echo","n":3,"messages":[{"role":"user","content":"Hello"}]}`)
	if len(three.Choices) != 3 || three.Usage.Completion != 3*one.Usage.Completion || three.Usage.Prompt != one.Usage.Prompt || three.Choices[2].Index != 2 {
		t.Errorf("%+v after %+v", three.Usage, one.Usage)
	}
}

func TestStopEndsTheAnswer(t *testing.T) {
	t.Parallel()
	for _, stop := range []string{`" 4"`, `["x"," 4"]`} {
		if a := ask(t, `{"model":"demo-echo","stop":`+stop+`,"messages":[{"role":"user","content":"Count to 9"}]}`); a.text() != "1 2 3" || a.Choices[0].Finish != "stop" {
			t.Errorf("stop %s: %q %q", stop, a.text(), a.Choices[0].Finish)
		}
	}
}

func TestAStreamSaysWhatThePlainAnswerSays(t *testing.T) {
	t.Parallel()
	for _, rest := range []string{
		`"messages":[{"role":"user","content":"Hello there"}]`,
		`"n":2,"max_tokens":9,"messages":[{"role":"user","content":"Hello there"}]`,
		weather + `"tool_choice":"required","messages":[{"role":"user","content":"Paris"}]`,
		weather + `"messages":[{"role":"user","content":"Please use all the tools"}]`,
	} {
		whole := ask(t, `{"model":"demo-echo",`+rest+`}`)
		chunks := stream(t, `{"model":"demo-echo","stream":true,"stream_options":{"include_usage":true},`+rest+`}`)
		last := chunks[len(chunks)-1]
		if len(last.Choices) != 0 || last.Usage.Null || last.Usage.Value != whole.Usage {
			t.Errorf("the last chunk is %+v, want only the usage %+v", last, whole.Usage)
		}
		for i, want := range whole.Choices {
			var got chatMessage
			var text strings.Builder
			finish := ""
			for _, c := range chunks[:len(chunks)-1] {
				if !c.Usage.Set || !c.Usage.Null {
					t.Fatalf("a chunk's usage is not null: %+v", c)
				}
				if len(c.Choices) != 1 || c.Choices[0].Index != i {
					continue
				}
				d := c.Choices[0].Delta
				got.Role += d.Role
				text.WriteString(d.Content.Value)
				for _, called := range d.ToolCalls {
					if called.ID != "" {
						got.ToolCalls = append(got.ToolCalls, toolCall{ID: called.ID, Type: called.Type, Function: calledByName{Name: called.Function.Name}})
					}
					got.ToolCalls[*called.Index].Function.Arguments += called.Function.Arguments
				}
				if c.Choices[0].Finish != nil {
					finish += *c.Choices[0].Finish
				}
			}
			if want.Message.Content != nil {
				got.Content = new(text.String())
			}
			for j := range want.Message.ToolCalls { // ids follow the request's bytes
				want.Message.ToolCalls[j].ID, got.ToolCalls[j].ID = "", ""
			}
			if diff := cmp.Diff(want.Message, got); diff != "" || finish != want.Finish {
				t.Errorf("choice %d, finish %q: %s", i, finish, diff)
			}
		}
	}
}

func TestStreamsCarryUsageOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	for _, c := range stream(t, `{"model":"demo-echo","stream":true,"messages":[{"role":"user","content":"Hello"}]}`) {
		if c.Usage.Set || len(c.Choices) != 1 {
			t.Fatalf("a chunk that was not asked for: %+v", c)
		}
	}
}

func TestToolsAreCalledWhenTheyMustBe(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, rest string
		want       []string
	}{
		{"required", `"tool_choice":"required","messages":[{"role":"user","content":"Paris"}]`, []string{"get_weather"}},
		{"named", `"tool_choice":{"type":"function","function":{"name":"get_time"}},"messages":[{"role":"user","content":"Paris"}]`, []string{"get_time"}},
		{"asked for", `"messages":[{"role":"user","content":"Use the tool, please"}]`, []string{"get_weather"}},
		{"asked for by name", `"messages":[{"role":"user","content":"use the get_time tool"}]`, []string{"get_time"}},
		{"all", `"messages":[{"role":"user","content":"use all the tools"}]`, []string{"get_weather", "get_time"}},
		{"forbidden", `"tool_choice":"none","messages":[{"role":"user","content":"use the tool"}]`, nil},
		{"not asked for", `"tool_choice":"auto","messages":[{"role":"user","content":"Hello"}]`, nil},
		{"already called", `"messages":[{"role":"user","content":"use the tool"},{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"get_weather","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"sunny"}]`, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := ask(t, `{"model":"demo-echo",`+weather+tc.rest+`}`)
			var called []string
			for _, c := range a.Choices[0].Message.ToolCalls {
				called = append(called, c.Function.Name)
				if c.ID == "" || c.Type != "function" {
					t.Errorf("%+v", c)
				}
			}
			if !slices.Equal(called, tc.want) {
				t.Fatalf("called %v, want %v", called, tc.want)
			}
			if want := map[bool]string{true: "tool_calls", false: "stop"}[called != nil]; a.Choices[0].Finish != want {
				t.Errorf("finish_reason %q", a.Choices[0].Finish)
			}
			if tc.name == "already called" && !strings.Contains(a.text(), "sunny") {
				t.Errorf("the tool's answer is not taken up: %q", a.text())
			}
			if tc.name == "required" {
				want := `{"city":"Paris","days":1,"units":"celsius"}`
				if got := a.Choices[0].Message.ToolCalls[0].Function.Arguments; got != want {
					t.Errorf("arguments %s, want %s", got, want)
				}
			}
		})
	}
}

func TestStructuredAnswersFitTheirSchema(t *testing.T) {
	t.Parallel()
	a := ask(t, `{"model":"demo-echo","response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object","properties":{
		"ok":{"type":"boolean"},"tags":{"type":"array","minItems":2,"items":{"enum":["a","b"]}},"n":{"type":["null","number"],"minimum":2.5},"v":{"const":7},"o":{"anyOf":[{"type":"string"}]}}}}},
		"messages":[{"role":"user","content":"hm"}]}`)
	if want := `{"n":2.5,"o":"hm","ok":true,"tags":["a","a"],"v":7}`; a.text() != want {
		t.Errorf("%s, want %s", a.text(), want)
	}
	if a := ask(t, `{"model":"demo-echo","response_format":{"type":"json_object"},"messages":[{"role":"user","content":"Say: \"x\""}]}`); a.text() != `{"answer":"\"x\""}` {
		t.Errorf("json_object: %s", a.text())
	}
}

func TestModelsMisbehaveAsTheirNamesSay(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		model  string
		status int
		code   string
		header string
		body   string
	}{
		{"demo-500", 500, "null", "", "demo-500"},
		{"demo-429", 429, `"rate_limit_exceeded"`, "Retry-After: 2", "Rate limit"},
		{"demo-401", 401, `"invalid_api_key"`, "", "Incorrect API key"},
		{"demo-html", 200, "", "Content-Type: text/html; charset=utf-8", "<!DOCTYPE html>"},
		{"demo-empty", 200, "", "Content-Length: 0", ""},
		{"demo-none", 404, `"model_not_found"`, "", "does not exist"},
	} {
		for _, path := range []string{"chat/completions", "embeddings"} {
			resp := post(t, New(Options{}), path, `{"model":"`+tc.model+`","stream":true,"input":"x","messages":[{"role":"user","content":"x"}]}`)
			body := read(t, resp)
			if resp.StatusCode != tc.status || !strings.Contains(body, tc.body) || !strings.Contains(body, tc.code) {
				t.Errorf("%s %s: %d %s", tc.model, path, resp.StatusCode, body)
			}
			if name, want, ok := strings.Cut(tc.header, ": "); ok && resp.Header.Get(name) != want {
				t.Errorf("%s %s: %s is %q", tc.model, path, name, resp.Header.Get(name))
			}
			if int64(len(body)) != resp.ContentLength {
				t.Errorf("%s: %d bytes, announced %d", tc.model, len(body), resp.ContentLength)
			}
		}
	}
}

func TestACutAnswerBreaksOffInTheMiddle(t *testing.T) {
	t.Parallel()
	p := New(Options{})
	for path, body := range map[string]string{
		"chat/completions": `{"model":"demo-cut","messages":[{"role":"user","content":"Hello"}]}`,
		"embeddings":       `{"model":"demo-cut","input":"Hello"}`,
	} {
		resp := post(t, p, path, body)
		got, err := io.ReadAll(resp.Body)
		if !errors.Is(err, io.ErrUnexpectedEOF) || len(got) == 0 || int64(len(got)) >= resp.ContentLength {
			t.Errorf("%s: %d of %d bytes, then %v", path, len(got), resp.ContentLength, err)
		}
	}
	resp := post(t, p, "chat/completions", `{"model":"demo-cut","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hello"}]}`)
	got, err := io.ReadAll(resp.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.Contains(got, []byte(`"content":"Hello`)) || bytes.Contains(got, []byte("[DONE]")) || bytes.Contains(got, []byte(`"finish_reason":"stop"`)) {
		t.Errorf("the stream: %v after\n%s", err, got)
	}
}

func TestStreamsFlowAtAHumanPaceAndEndWithTheirReader(t *testing.T) {
	t.Parallel()
	const body = `{"model":"demo-echo","stream":true,"max_tokens":40,"messages":[{"role":"user","content":"Count to 500"}]}`
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Pace: HumanPace, SlowFirstByte: SlowFirstByte})
		start := time.Now()
		read(t, post(t, p, "chat/completions", body))
		if took := time.Since(start); took != 40*HumanPace {
			t.Errorf("40 chunks took %v", took)
		}

		start = time.Now()
		read(t, post(t, p, "chat/completions", strings.Replace(body, `"stream":true,`, "", 1)))
		if took := time.Since(start); took != 0 {
			t.Errorf("a plain answer took %v", took)
		}
		read(t, post(t, p, "chat/completions", strings.ReplaceAll(strings.Replace(body, `"stream":true,`, "", 1), "demo-echo", "demo-slow")))
		if took := time.Since(start); took != SlowFirstByte {
			t.Errorf("demo-slow took %v", took)
		}

		cause := errors.New("the client has gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(7*HumanPace+time.Millisecond, func() { cancel(cause) })
		resp, err := p.RoundTrip(request(ctx, "chat/completions", body))
		if err != nil {
			t.Fatal(err)
		}
		start = time.Now()
		got, err := io.ReadAll(resp.Body)
		if !errors.Is(err, cause) || bytes.Count(got, []byte("data:")) != 8 || time.Since(start) > 8*HumanPace {
			t.Errorf("after the client left: %v, %d chunks, %v", err, bytes.Count(got, []byte("data:")), time.Since(start))
		}

		resp = post(t, p, "chat/completions", body)
		time.AfterFunc(3*HumanPace+time.Millisecond, func() { _ = resp.Body.Close() })
		if got, err := io.ReadAll(resp.Body); err == nil || bytes.Count(got, []byte("data:")) != 4 {
			t.Errorf("after Close: %v, %d chunks", err, bytes.Count(got, []byte("data:")))
		}
		if err := resp.Body.Close(); err != nil {
			t.Errorf("closing again: %v", err)
		}
	})
}

func TestWaitingModelsEndWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{SlowFirstByte: time.Hour})
		for _, model := range []string{"demo-hang", "demo-slow"} {
			ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
			start := time.Now()
			_, err := p.RoundTrip(request(ctx, "chat/completions", `{"model":"`+model+`","messages":[{"role":"user","content":"x"}]}`))
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 90*time.Second {
				t.Errorf("%s: %v after %v", model, err, time.Since(start))
			}
			cancel()
			if _, err := p.RoundTrip(request(ctx, "models", "")); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a request whose time is over: %v", err)
			}
		}
	})
}

func TestEmbeddingsAreUnitVectorsThatFollowTheWords(t *testing.T) {
	t.Parallel()
	a := embedAll(t, `{"model":"demo-embed","input":["the cat sat","The cat sat","the cat ran","stock market news"]}`)
	if len(a.Data) != 4 || a.Usage.Prompt < 4 || a.Usage.Total != a.Usage.Prompt || a.Object != "list" || a.Model != "demo-embed" {
		t.Fatalf("%+v", a)
	}
	v := make([][]float64, 4)
	for i, e := range a.Data {
		if e.Index != i || e.Object != "embedding" {
			t.Errorf("%+v", e)
		}
		if err := jsonx.Unmarshal(e.Embedding, &v[i]); err != nil || len(v[i]) != defaultDimensions {
			t.Fatal(err)
		}
		if length := math.Sqrt(dot(v[i], v[i])); math.Abs(length-1) > 1e-5 {
			t.Errorf("vector %d has the length %v", i, length)
		}
	}
	if same, near, far := dot(v[0], v[1]), dot(v[0], v[2]), dot(v[0], v[3]); same < 0.999 || near < 0.4 || far > 0.3 {
		t.Errorf("likeness %v, %v, %v", same, near, far)
	}
	if len(embedAll(t, `{"model":"x","input":[[1,2],[3]],"dimensions":3}`).Data) != 2 {
		t.Error("token lists are not taken")
	}
	if u := embedAll(t, `{"model":"x","input":[1,2,3]}`).Usage; u.Prompt != 3 {
		t.Errorf("three token ids count as %d", u.Prompt)
	}
}

func TestEmbeddingsHonourDimensionsAndFormat(t *testing.T) {
	t.Parallel()
	var numbers []float32
	if err := jsonx.Unmarshal(embedAll(t, `{"model":"demo-embed","input":"x","dimensions":5}`).Data[0].Embedding, &numbers); err != nil || len(numbers) != 5 {
		t.Fatalf("%v %v", numbers, err)
	}
	var text string
	if err := jsonx.Unmarshal(embedAll(t, `{"model":"demo-embed","input":"x","dimensions":5,"encoding_format":"base64"}`).Data[0].Embedding, &text); err != nil {
		t.Fatal(err)
	}
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(packed) != 20 {
		t.Fatal(err, len(packed))
	}
	for i, want := range numbers {
		if got := math.Float32frombits(binary.LittleEndian.Uint32(packed[4*i:])); got != want {
			t.Errorf("number %d is %v, want %v", i, got, want)
		}
	}
}

func TestBadRequestsAreRefusedAsOpenAIDoes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		path, body, param string
	}{
		{"chat/completions", `{`, ""},
		{"chat/completions", `[]`, ""},
		{"chat/completions", `{"model":"m","messages":"x"}`, "messages"},
		{"chat/completions", `{"model":"m","messages":[]}`, "messages"},
		{"chat/completions", `{"messages":[{"role":"user","content":"x"}]}`, "model"},
		{"chat/completions", `{"model":"m","max_tokens":0,"messages":[{"role":"user","content":"x"}]}`, "max_tokens"},
		{"chat/completions", `{"model":"m","n":0,"messages":[{"role":"user","content":"x"}]}`, "n"},
		{"embeddings", `{"model":"m"}`, "input"},
		{"embeddings", `{"model":"m","input":""}`, "input"},
		{"embeddings", `{"model":"m","input":[]}`, "input"},
		{"embeddings", `{"model":"m","input":["a",""]}`, "input"},
		{"embeddings", `{"model":"m","input":{}}`, "input"},
		{"embeddings", `{"input":"a"}`, "model"},
		{"embeddings", `{"model":"m","input":"a","dimensions":0}`, "dimensions"},
		{"embeddings", `{"model":"m","input":"a","encoding_format":"hex"}`, "encoding_format"},
	} {
		resp := post(t, New(Options{}), tc.path, tc.body)
		body := read(t, resp)
		var e problemBody
		if err := jsonx.Unmarshal([]byte(body), &e); err != nil || resp.StatusCode != 400 || e.Error.Type != "invalid_request_error" || e.Error.Message == "" {
			t.Errorf("%s %s: %d %s", tc.path, tc.body, resp.StatusCode, body)
		}
		if got := cmpOr(e.Error.Param); got != tc.param {
			t.Errorf("%s %s: param %q, want %q", tc.path, tc.body, got, tc.param)
		}
	}
	for method, path := range map[string]string{"GET": "chat/completions", "POST": "models", "PUT": "nothing"} {
		r, err := http.NewRequestWithContext(t.Context(), method, "/"+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := New(Options{}).RoundTrip(r); err != nil || resp.StatusCode != 404 {
			t.Errorf("%s %s: %v %v", method, path, resp, err)
		}
	}
}

func TestModelsAreListed(t *testing.T) {
	t.Parallel()
	resp, err := New(Options{}).RoundTrip(request(t.Context(), "models", ""))
	if err != nil {
		t.Fatal(err)
	}
	var list modelList
	if err := jsonx.Unmarshal([]byte(read(t, resp)), &list); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range list.Data {
		names = append(names, m.ID)
	}
	if diff := cmp.Diff(Models(), names); diff != "" {
		t.Error(diff)
	}
}

func TestTokensJoinToTheTextAndAreNeverDenserThanThreeBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		list := tokens(text)
		if strings.Join(list, "") != text {
			t.Fatalf("%q became %q", text, list)
		}
		for i, token := range list {
			if token == "" || (len(token) < leastToken && i < len(list)-1) {
				t.Fatalf("token %q of %q", token, list)
			}
		}
	})
	for text, want := range map[string]int{"": 0, "Hello": 1, "Hello, world!": 3, "internationalization": 3, "日本語": 3, "a b c d": 2} {
		if got := tokens(text); len(got) != want {
			t.Errorf("%q has %d tokens: %q, want %d", text, len(got), got, want)
		}
	}
}

func FuzzChat(f *testing.F) {
	f.Add(`{"model":"demo-echo","messages":[{"role":"user","content":"use the tool"}],` + strings.TrimSuffix(weather, ",") + `}`)
	f.Add(`{"model":"x","stream":true,"max_tokens":1,"n":2,"messages":[{"content":null}],"tools":[{}],"tool_choice":{},"stop":[""],"response_format":{"type":"json_schema","json_schema":{"schema":{"type":[]}}}}`)
	p := New(Options{Now: now})
	f.Fuzz(func(t *testing.T, body string) {
		if strings.Contains(body, "hang") {
			return
		}
		resp, err := p.RoundTrip(request(t.Context(), "chat/completions", body))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body) // demo-cut fails as it should
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

const weather = `"tools":[
	{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"},"units":{"type":"string","enum":["celsius","fahrenheit"]}}}}},
	{"type":"function","function":{"name":"get_time"}}],`

func now() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func request(ctx context.Context, path, body string) *http.Request {
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://demo.invalid/v1/"+path, strings.NewReader(body))
	if err != nil {
		panic(err) // the method and the address are constants
	}
	return r
}

func post(t *testing.T, p *Provider, path, body string) *http.Response {
	t.Helper()
	resp, err := p.RoundTrip(request(t.Context(), path, body))
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func read(t *testing.T, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// asked is a chat completion with its bytes.
type asked struct {
	chatAnswer
	raw string
}

func (a asked) text() string { return cmpOr(a.Choices[0].Message.Content) }

func cmpOr(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func ask(t *testing.T, body string) asked {
	t.Helper()
	resp := post(t, New(Options{Now: now}), "chat/completions", body)
	a := asked{raw: read(t, resp)}
	if err := jsonx.Unmarshal([]byte(a.raw), &a.chatAnswer); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %v: %s", resp.StatusCode, err, a.raw)
	}
	return a
}

// stream gives the chunks of a stream that must end with [DONE].
func stream(t *testing.T, body string) []chunk {
	t.Helper()
	resp := post(t, New(Options{Now: now}), "chat/completions", body)
	if resp.Header.Get("Content-Type") != "text/event-stream; charset=utf-8" {
		t.Fatalf("the stream's type is %q", resp.Header.Get("Content-Type"))
	}
	events := strings.Split(strings.TrimSuffix(read(t, resp), "\n\n"), "\n\n")
	if events[len(events)-1] != "data: [DONE]" {
		t.Fatalf("the stream ends with %q", events[len(events)-1])
	}
	var chunks []chunk
	for _, event := range events[:len(events)-1] {
		var c chunk
		if err := jsonx.Unmarshal([]byte(strings.TrimPrefix(event, "data: ")), &c); err != nil {
			t.Fatalf("%v: %s", err, event)
		}
		chunks = append(chunks, c)
	}
	return chunks
}

type embedded struct {
	embeddingAnswer
	Data []struct {
		Object    string      `json:"object"`
		Index     int         `json:"index"`
		Embedding jsonx.Value `json:"embedding"`
	} `json:"data"`
}

func embedAll(t *testing.T, body string) embedded {
	t.Helper()
	var a embedded
	if text := read(t, post(t, New(Options{}), "embeddings", body)); jsonx.Unmarshal([]byte(text), &a) != nil || len(a.Data) == 0 {
		t.Fatal(text)
	}
	return a
}

func dot(a, b []float64) float64 {
	var sum float64
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}
