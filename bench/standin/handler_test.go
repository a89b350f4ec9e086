package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"halley/bench/load"
)

func TestTheLoadGeneratorFindsEveryAnswerWhole(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(newHandler(100))
	t.Cleanup(server.Close)
	for _, w := range load.Workloads() {
		got, err := load.Run(t.Context(), load.Target{URL: server.URL + "/v1"}, w, load.Options{
			Connections: 2, Requests: 10, Duration: time.Minute, Timeout: time.Minute,
		})
		if err != nil {
			t.Fatal(err)
		}
		if got.Failed() != 0 || got.Requests != 10 {
			t.Errorf("%s: %d requests, errors %v: %s", w.Name, got.Requests, got.Errors, got.FirstError)
		}
	}
}

func TestAnswersAreWholeJSONWithHonestUsage(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, method, path, body   string
		minSize, maxSize           int
		promptTokens, answerTokens int
	}{
		{"plain", "POST", "/v1/chat/completions", `{"model":"m","stream":false}`, 900, 1300, 7, plainWords},
		{"embeddings", "POST", "/v1/embeddings", `{"input":"word"}`, 1000, 4000, 4, 0},
		{"models", "GET", "/v1/models", "", 50, 500, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			body := ask(t, tc.method, tc.path, tc.body)
			var got struct {
				Usage struct {
					PromptTokens     int `json:"prompt_tokens"`
					CompletionTokens int `json:"completion_tokens"`
					TotalTokens      int `json:"total_tokens"`
				}
			}
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatalf("%v: %s", err, body)
			}
			u := got.Usage
			if u.PromptTokens != tc.promptTokens || u.CompletionTokens != tc.answerTokens || u.TotalTokens != u.PromptTokens+u.CompletionTokens {
				t.Errorf("usage %+v", u)
			}
			if len(body) < tc.minSize || len(body) > tc.maxSize {
				t.Errorf("%d bytes", len(body))
			}
		})
	}
}

func TestStreamCarriesUsageOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, body string
		events     int
		last       string
	}{
		{"not asked", `{"stream":true}`, 101, `"finish_reason":"stop"`},
		{"asked", `{"stream" : true,"stream_options":{"include_usage" :true}}`, 102, `"usage":{"prompt_tokens":14,"completion_tokens":98,"total_tokens":112}`},
		{"asked not to", `{"stream":true,"stream_options":{"include_usage":false}}`, 101, `"finish_reason":"stop"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			events := strings.Split(strings.TrimSuffix(ask(t, "POST", "/v1/chat/completions", tc.body), "\n\n"), "\n\n")
			if len(events) != tc.events || events[len(events)-1] != "data: [DONE]" {
				t.Fatalf("%d events, the last %s", len(events), events[len(events)-1])
			}
			for _, event := range events[:len(events)-1] {
				if !json.Valid([]byte(strings.TrimPrefix(event, "data: "))) {
					t.Errorf("not JSON: %s", event)
				}
			}
			if last := events[len(events)-2]; !strings.Contains(last, tc.last) {
				t.Errorf("last chunk %s", last)
			}
		})
	}
}

func TestEachChunkIsFlushed(t *testing.T) {
	t.Parallel()
	w := &flushes{ResponseRecorder: httptest.NewRecorder()}
	r := httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader(`{"stream":true}`))
	newHandler(5).ServeHTTP(w, r)
	if w.n != 6 {
		t.Errorf("%d flushes for 5 chunks and [DONE]", w.n)
	}
}

type flushes struct {
	*httptest.ResponseRecorder
	n int
}

func (f *flushes) Flush() { f.n++ }

func ask(t *testing.T, method, path, body string) string {
	t.Helper()
	w := httptest.NewRecorder()
	newHandler(100).ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	got, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("status %d, %v", w.Code, err)
	}
	return string(got)
}
