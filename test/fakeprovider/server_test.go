package fakeprovider_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/test/fakeprovider"
)

func TestARecordingIsServedAsItWas(t *testing.T) {
	t.Parallel()
	lib := fakeprovider.Fixtures(t)
	s := fakeprovider.Start(t)
	for _, in := range lib.MustLoad(t, fakeprovider.OfAPI(fakeprovider.Chat, fakeprovider.Embeddings)) {
		e := s.Serve(in)
		resp, body := post(t, e.BaseURL+"/chat/completions", `{"model":"m"}`, nil)
		if resp.StatusCode != in.Response.Status || string(body) != string(in.Response.Body) {
			t.Errorf("%s: status %d and %d bytes, want %d and %d", in.File, resp.StatusCode, len(body), in.Response.Status, len(in.Response.Body))
		}
		for name, want := range in.Response.Headers {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: header %s = %q, want %q", in.File, name, got, want)
			}
		}
		s.Forget(e)
	}
}

func TestEveryChunkingArrivesWhole(t *testing.T) {
	t.Parallel()
	s := fakeprovider.Start(t)
	for _, chunking := range fakeprovider.Chunkings() {
		t.Run(string(chunking), func(t *testing.T) {
			t.Parallel()
			in := stream("data: {\"choices\":[],\"t\":\"voilà 🇩🇪\"}\r\n\r\ndata: [DONE]\r\n\r\n")
			_, body := post(t, s.Serve(in, fakeprovider.InChunks(chunking)).BaseURL+"/chat/completions", "{}", nil)
			if diff := cmp.Diff(string(in.Response.Body), string(body)); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatArrivedCanBeInspected(t *testing.T) {
	t.Parallel()
	s := fakeprovider.Start(t)
	e := s.Serve(plain("{}"))
	post(t, e.BaseURL+"/embeddings?x=1", `{"model": "m" }`, http.Header{"X-Own": {"a", "b"}})
	got := e.Await(t, 1)[0]
	if got.Method != http.MethodPost || got.Path != "/embeddings" || got.Query != "x=1" || string(got.Body) != `{"model": "m" }` {
		t.Errorf("received %s %s?%s %q", got.Method, got.Path, got.Query, got.Body)
	}
	if diff := cmp.Diff([]string{"a", "b"}, got.Header["X-Own"]); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if _, gone := got.Gone(); gone {
		t.Error("the client is said to have left")
	}
}

func TestOneBaseURLReachesEveryEndpointByHeader(t *testing.T) {
	t.Parallel()
	s := fakeprovider.Start(t)
	one, two := s.Serve(plain("1")), s.Serve(plain("2"))
	var wg sync.WaitGroup
	for range 20 {
		for want, e := range map[string]*fakeprovider.Endpoint{"1": one, "2": two} {
			wg.Go(func() {
				_, body := post(t, s.ByHeader()+"/chat/completions", "{}", http.Header{fakeprovider.SelectHeader: {e.ID}})
				if string(body) != want {
					t.Errorf("endpoint %s answered %q, want %q", e.ID, body, want)
				}
			})
		}
	}
	wg.Wait()
	if resp, _ := post(t, s.ByHeader()+"/chat/completions", "{}", nil); resp.StatusCode != http.StatusTeapot {
		t.Errorf("without the header: %d, want %d", resp.StatusCode, http.StatusTeapot)
	}
}

func TestQueuedAnswersComeInOrderAndTheLastStays(t *testing.T) {
	t.Parallel()
	s := fakeprovider.Start(t)
	e := s.Queue(fakeprovider.Replay(plain("1")), fakeprovider.Replay(plain("2")))
	var got []string
	for range 3 {
		_, body := post(t, e.BaseURL+"/chat/completions", "{}", nil)
		got = append(got, string(body))
	}
	if diff := cmp.Diff([]string{"1", "2", "2"}, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

func TestFaultsThatAnswer(t *testing.T) {
	t.Parallel()
	s := fakeprovider.Start(t)
	const three = "data: 1\n\ndata: 2\n\ndata: [DONE]\n\n"
	rows := []struct {
		name       string
		fault      fakeprovider.Fault
		status     int
		retryAfter string
		body       string // contained in the answer
		notBody    string
	}{
		{"error in 200", fakeprovider.Fault{Kind: fakeprovider.ErrorIn200}, 200, "", `"code":"server_error"`, ""},
		{"empty 200", fakeprovider.Fault{Kind: fakeprovider.Empty200}, 200, "", "", "data"},
		{"web page", fakeprovider.Fault{Kind: fakeprovider.HTML200}, 200, "", "<!doctype html>", "data: 1"},
		{"truncated", fakeprovider.Fault{Kind: fakeprovider.Truncated, After: 2}, 200, "", "data: 2", "[DONE]"},
		{"truncated, however many are asked for", fakeprovider.Fault{Kind: fakeprovider.Truncated, After: 99}, 200, "", "data: 2", "[DONE]"},
		{"invalid chunk", fakeprovider.Fault{Kind: fakeprovider.InvalidChunk}, 200, "", "cut in the midd\n\ndata: 2\n\ndata: [DONE]\n\n", ""},
	}
	for _, f := range fakeprovider.Statuses() {
		rows = append(rows, struct {
			name       string
			fault      fakeprovider.Fault
			status     int
			retryAfter string
			body       string
			notBody    string
		}{"status " + http.StatusText(f.Code) + f.RetryAfter, f, f.Code, f.RetryAfter, `{"error":{"message":"`, "data:"})
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			e := s.Serve(stream(three), fakeprovider.Failing(row.fault))
			resp, body := post(t, e.BaseURL+"/chat/completions", "{}", nil)
			if resp.StatusCode != row.status || resp.Header.Get("Retry-After") != row.retryAfter {
				t.Errorf("status %d, Retry-After %q, want %d, %q", resp.StatusCode, resp.Header.Get("Retry-After"), row.status, row.retryAfter)
			}
			if !strings.Contains(string(body), row.body) || row.notBody != "" && strings.Contains(string(body), row.notBody) {
				t.Errorf("body %q, want it with %q and without %q", body, row.body, row.notBody)
			}
		})
	}
}

func TestFaultsThatBreakTheConnection(t *testing.T) {
	t.Parallel()
	s := fakeprovider.Start(t)
	do := func(url string) (string, error) {
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Post(url+"/chat/completions", "application/json", strings.NewReader("{}"))
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return string(body), err
	}
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		if _, err := do(fakeprovider.RefusedURL(t)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("error %v, want a refused connection", err)
		}
	})
	t.Run("reset before headers", func(t *testing.T) {
		t.Parallel()
		e := s.Serve(plain("{}"), fakeprovider.Failing(fakeprovider.Fault{Kind: fakeprovider.ResetBeforeHeaders}))
		if _, err := do(e.BaseURL); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
			t.Errorf("error %v, want a reset", err)
		}
	})
	t.Run("reset in the middle", func(t *testing.T) {
		t.Parallel()
		e := s.Serve(stream("data: 1\n\ndata: 2\n\n"), fakeprovider.Failing(fakeprovider.Fault{Kind: fakeprovider.ResetMidBody}))
		body, err := do(e.BaseURL)
		if err == nil || strings.Contains(body, "data: 2") {
			t.Errorf("read %q, %v, want an error and no second event", body, err)
		}
	})
}

func TestStallsLastUntilReleased(t *testing.T) {
	t.Parallel()
	s := fakeprovider.Start(t)
	const body = "data: 1\n\ndata: 2\n\n"
	rows := map[fakeprovider.Kind]string{ // what arrives before the release
		fakeprovider.StallBeforeToken: "",
		fakeprovider.StallMidStream:   "data: 1\n\n",
	}
	for kind, before := range rows {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			e := s.Serve(stream(body), fakeprovider.Failing(fakeprovider.Fault{Kind: kind, Release: release}))
			resp, err := http.Post(e.BaseURL+"/chat/completions", "application/json", strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			first := make([]byte, len(before))
			if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != before {
				t.Fatalf("before the release: %q, %v, want %q", first, err, before)
			}
			close(release)
			rest, err := io.ReadAll(resp.Body)
			if err != nil || before+string(rest) != body {
				t.Errorf("after the release: %q, %v", rest, err)
			}
		})
	}
	t.Run(string(fakeprovider.SlowHeaders), func(t *testing.T) {
		t.Parallel()
		release := make(chan struct{})
		e := s.Serve(plain("{}"), fakeprovider.Failing(fakeprovider.Fault{Kind: fakeprovider.SlowHeaders, Release: release}))
		answered := make(chan string)
		go func() {
			_, body := post(t, e.BaseURL+"/chat/completions", "{}", nil)
			answered <- string(body)
		}()
		e.Await(t, 1)
		select {
		case body := <-answered:
			t.Errorf("answered %q before the release", body)
		default:
		}
		close(release)
		if body := <-answered; body != "{}" {
			t.Errorf("answered %q", body)
		}
	})
}

func TestAStallEndsWithItsTimeAndCutsTheConnection(t *testing.T) {
	t.Parallel()
	s := fakeprovider.Start(t)
	for _, kind := range []fakeprovider.Kind{fakeprovider.BlackHole, fakeprovider.SlowHeaders, fakeprovider.StallBeforeToken, fakeprovider.StallMidStream} {
		e := s.Serve(stream("data: 1\n\ndata: 2\n\n"), fakeprovider.Failing(fakeprovider.Fault{Kind: kind, Max: time.Millisecond}))
		resp, err := http.Post(e.BaseURL+"/chat/completions", "application/json", strings.NewReader("{}"))
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if err == nil {
			t.Errorf("%s: the answer came to a good end", kind)
		}
	}
}

// The default bound is real time that no test can wait for, so it is held
// against a fake clock.
func TestABlackHoleIsBoundedWithoutBeingTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answer := fakeprovider.Replay(plain("{}"), fakeprovider.Failing(fakeprovider.Fault{Kind: fakeprovider.BlackHole}))
		start := time.Now()
		defer func() {
			if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
				t.Errorf("ended with %v, want the connection cut", err)
			}
			if took := time.Since(start); took != 30*time.Second {
				t.Errorf("took %v, want 30 s", took)
			}
		}()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://upstream.invalid/", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer(nil, req, nil)
	})
}

func TestTheServerLearnsThatTheClientLeft(t *testing.T) {
	t.Parallel()
	s := fakeprovider.Start(t)
	e := s.Queue(fakeprovider.Script())
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.BaseURL+"/chat/completions", strings.NewReader(`{"model":"script-forever","stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	cancel()
	resp.Body.Close()
	if _, gone := e.Await(t, 1)[0].Gone(); !gone {
		t.Error("the stream ended although the client had left")
	}
}

func TestTheScriptAnswersByModelName(t *testing.T) {
	t.Parallel()
	s := fakeprovider.Start(t)
	e := s.Queue(fakeprovider.Script())
	t.Run("plain", func(t *testing.T) {
		t.Parallel()
		_, body := post(t, e.BaseURL+"/chat/completions", `{"model":"script-chat"}`, nil)
		var got struct {
			Model   string
			Choices []struct{ Message struct{ Content string } }
			Usage   struct {
				Total int `json:"total_tokens"`
			}
		}
		decode(t, body, &got)
		if got.Model != "script-chat" || got.Choices[0].Message.Content != fakeprovider.ScriptText || got.Usage.Total != 42 {
			t.Errorf("answer %+v", got)
		}
	})
	for _, asked := range []bool{false, true} {
		t.Run("streamed", func(t *testing.T) {
			t.Parallel()
			request := `{"model":"script-chat","stream":true}`
			if asked {
				request = `{"model":"script-chat","stream":true,"stream_options":{"include_usage":true}}`
			}
			_, body := post(t, e.BaseURL+"/chat/completions", request, nil)
			text := ""
			for _, ev := range fakeprovider.Events(body) {
				data, _ := fakeprovider.EventData(ev)
				if string(data) == "[DONE]" {
					continue
				}
				var chunk struct {
					Choices []struct{ Delta struct{ Content string } }
				}
				decode(t, data, &chunk)
				if len(chunk.Choices) > 0 {
					text += chunk.Choices[0].Delta.Content
				}
			}
			if text != fakeprovider.ScriptText {
				t.Errorf("streamed %q, want %q", text, fakeprovider.ScriptText)
			}
			if got := strings.Contains(string(body), "usage"); got != asked {
				t.Errorf("usage is in the stream: %v, asked for: %v", got, asked)
			}
			if !strings.HasSuffix(string(body), "data: [DONE]\n\n") {
				t.Error("the stream does not end with [DONE]")
			}
		})
	}
	t.Run("tools", func(t *testing.T) {
		t.Parallel()
		_, body := post(t, e.BaseURL+"/chat/completions", `{"model":"script-tools"}`, nil)
		var got struct {
			Choices []struct {
				Message struct {
					ToolCalls []struct {
						ID       string
						Function struct{ Name, Arguments string }
					} `json:"tool_calls"`
				}
			}
		}
		decode(t, body, &got)
		var calls []fakeprovider.ToolCall
		for _, c := range got.Choices[0].Message.ToolCalls {
			calls = append(calls, fakeprovider.ToolCall{ID: c.ID, Name: c.Function.Name, Arguments: c.Function.Arguments})
		}
		if diff := cmp.Diff(fakeprovider.ScriptToolCalls(), calls); diff != "" {
			t.Errorf("tool calls (-want +got):\n%s", diff)
		}
	})
	t.Run("embeddings", func(t *testing.T) {
		t.Parallel()
		_, body := post(t, e.BaseURL+"/embeddings", `{"model":"script-embed","input":["a","b"]}`, nil)
		var got struct {
			Data []struct{ Embedding []float64 }
		}
		decode(t, body, &got)
		if len(got.Data) != 2 || !cmp.Equal(got.Data[1].Embedding, fakeprovider.ScriptVector()) {
			t.Errorf("embeddings %+v", got)
		}
	})
	t.Run("errors", func(t *testing.T) {
		t.Parallel()
		resp, body := post(t, e.BaseURL+"/chat/completions", `{"model":"script-error-429"}`, nil)
		if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "1" || !strings.Contains(string(body), `"code":"scripted_429"`) {
			t.Errorf("status %d, %s", resp.StatusCode, body)
		}
	})
}

// plain is a made-up JSON recording, stream an event stream.
func plain(body string) fakeprovider.Interaction {
	return fakeprovider.Interaction{Response: fakeprovider.Response{Status: 200, Body: []byte(body)}}
}

func stream(body string) fakeprovider.Interaction {
	return fakeprovider.Interaction{Response: fakeprovider.Response{
		Status: 200, Body: []byte(body), Headers: map[string]string{"content-type": "text/event-stream"},
	}}
}

// post sends a body and reads the whole answer.
func post(t *testing.T, url, body string, header http.Header) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return &http.Response{}, nil
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return &http.Response{}, nil
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp, got
}

func decode(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}
