package replay_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"halley/test/fakeprovider"
	"halley/test/harness"
)

// What an upstream does wrong before anything was sent to the client ends in the
// upstream's own answer or in an error that says whose fault it was, never in a
// success. All of it costs nothing.
func TestFailuresBeforeTheAnswerAreHonest(t *testing.T) {
	t.Parallel()
	s := startFaulty(t)
	type want struct {
		status int
		code   string
		own    bool // an error of Halley's own, which names the request
	}
	rows := []struct {
		name  string
		fault fakeprovider.Fault
		want  want
	}{
		{"an error in a 200", fakeprovider.Fault{Kind: fakeprovider.ErrorIn200}, want{502, "upstream_error", true}},
		{"an empty 200", fakeprovider.Fault{Kind: fakeprovider.Empty200}, want{502, "upstream_error", true}},
		{"a web page", fakeprovider.Fault{Kind: fakeprovider.HTML200}, want{502, "upstream_error", true}},
		{"a reset", fakeprovider.Fault{Kind: fakeprovider.ResetBeforeHeaders}, want{502, "upstream_error", true}},
		{"silence", fakeprovider.Fault{Kind: fakeprovider.BlackHole}, want{504, "upstream_error", true}},
		{"401", fakeprovider.Fault{Kind: fakeprovider.Status, Code: 401}, want{502, "upstream_error", true}},
		{"402", fakeprovider.Fault{Kind: fakeprovider.Status, Code: 402}, want{502, "upstream_error", true}},
		{"429", fakeprovider.Fault{Kind: fakeprovider.Status, Code: 429}, want{429, "rate_limit_exceeded", false}},
		{"429 with Retry-After", fakeprovider.Fault{Kind: fakeprovider.Status, Code: 429, RetryAfter: "7"}, want{429, "rate_limit_exceeded", false}},
		{"500", fakeprovider.Fault{Kind: fakeprovider.Status, Code: 500}, want{500, "server_error", false}},
		{"503 with Retry-After", fakeprovider.Fault{Kind: fakeprovider.Status, Code: 503, RetryAfter: "7"}, want{503, "server_error", false}},
		{"529", fakeprovider.Fault{Kind: fakeprovider.Status, Code: 529}, want{529, "overloaded", false}},
	}
	for _, streamed := range []bool{false, true} {
		for _, row := range rows {
			name := row.name + ", plain"
			if streamed {
				name = row.name + ", streamed"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				resp, body := s.ask(t, s.upstream.Serve(recording(streamed), fakeprovider.Failing(row.fault)), streamed)
				s.wantFailure(t, resp, body, row.want.status, row.want.code, row.want.own)
				if got := resp.Header.Get("Retry-After"); got != row.fault.RetryAfter {
					t.Errorf("Retry-After %q, want %q", got, row.fault.RetryAfter)
				}
			})
		}
	}
	t.Run("a refused connection", func(t *testing.T) {
		t.Parallel()
		s.halley.Root.CreateChannel(t, harness.Fields{"name": "nobody", "base_url": fakeprovider.RefusedURL(t), "models": []string{"refused"}})
		resp, body := s.post(t, `{"model":"refused","messages":[]}`)
		s.wantFailure(t, resp, body, 502, "upstream_error", true)
	})
}

// Once something was sent, a stream that fails says so as its last event: it is
// never cut short in silence.
func TestStreamsThatFailMidwayEndWithAnErrorEvent(t *testing.T) {
	t.Parallel()
	s := startFaulty(t)
	for _, kind := range []fakeprovider.Kind{fakeprovider.ResetMidBody, fakeprovider.Truncated, fakeprovider.StallMidStream} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			in := recording(true)
			resp, body := s.ask(t, s.upstream.Serve(in, fakeprovider.Failing(fakeprovider.Fault{Kind: kind, After: 2})), true)
			events := fakeprovider.Events(in.Response.Body)
			sent := string(events[0]) + string(events[1])
			if resp.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), sent) {
				t.Fatalf("%d %q, want the first two events", resp.StatusCode, body)
			}
			ending := fakeprovider.Events(body[len(sent):])
			var e struct {
				Error struct{ Message, Type, Code string }
			}
			if len(ending) > 0 {
				data, _ := fakeprovider.EventData(ending[0])
				_ = json.Unmarshal(data, &e) // what is wrong with it shows below
			}
			if e.Error.Code == "" || !strings.Contains(e.Error.Message, "(request id: ") {
				t.Errorf("after the first two events came %q, want an error event", body[len(sent):])
			}
			if strings.Contains(string(body), "[DONE]") {
				t.Error("the stream pretends to be complete")
			}
			row := s.halley.Root.UsageOf(t, resp.Header.Get("X-Request-Id"))
			if row.ErrorCode == "" || row.UsageSource != "metered" || row.CompletionTokens == 0 {
				t.Errorf("usage record %+v, want what passed, with an error code", row)
			}
		})
	}
}

// Chunks of the same dialect are passed on, not judged.
func TestAnUnreadableChunkPassesAndTheStreamGoesOn(t *testing.T) {
	t.Parallel()
	s := startFaulty(t)
	in := recording(true)
	resp, body := s.ask(t, s.upstream.Serve(in, fakeprovider.Failing(fakeprovider.Fault{Kind: fakeprovider.InvalidChunk})), true)
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "cut in the midd\n\n") || !strings.HasSuffix(string(body), "data: [DONE]\n\n") {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	row := s.halley.Root.UsageOf(t, resp.Header.Get("X-Request-Id"))
	if row.UsageSource != "provider" || row.PromptTokens != 5 || row.CompletionTokens != 3 {
		t.Errorf("usage record %+v, want the provider's 5 and 3", row)
	}
}

// startFaulty is a server for upstreams that fail.
func startFaulty(t *testing.T) *scene {
	t.Helper()
	s := &scene{halley: harness.Start(t, harness.Options{}), upstream: fakeprovider.Start(t), client: &http.Client{}}
	s.key = s.halley.Root.CreateKey(t, harness.Fields{"name": "faults", "unlimited_quota": true}).Key
	return s
}

// ask sends a small request to the endpoint behind Halley, through a channel of
// its own that loses patience quickly: no fault can spoil another's channel.
func (s *scene) ask(t *testing.T, e *fakeprovider.Endpoint, streamed bool) (*http.Response, []byte) {
	t.Helper()
	model := "faulty-" + e.ID
	s.halley.Root.CreateChannel(t, harness.Fields{
		"name": model, "base_url": e.BaseURL, "models": []string{model},
		"timeouts": harness.Fields{"first_byte_ms": 500, "idle_ms": 500},
	})
	body := `{"model":"` + model + `","messages":[{"role":"user","content":"Hello?"}]}`
	if streamed {
		body = `{"model":"` + model + `","stream":true,"messages":[{"role":"user","content":"Hello?"}]}`
	}
	return s.post(t, body)
}

func (s *scene) post(t *testing.T, body string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.halley.BaseURL+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading the answer: %v after %q", err, answer)
	}
	return resp, answer
}

// wantFailure holds a failed answer and its usage record against what they must be.
func (s *scene) wantFailure(t *testing.T, resp *http.Response, body []byte, status int, code string, own bool) {
	t.Helper()
	var e struct {
		Error struct{ Message, Type, Code string }
	}
	id := resp.Header.Get("X-Request-Id")
	if err := json.Unmarshal(body, &e); err != nil || resp.StatusCode != status || e.Error.Code != code {
		t.Fatalf("%d %s (%v), want %d %s", resp.StatusCode, body, err, status, code)
	}
	if named := strings.Contains(e.Error.Message, "(request id: "+id+")"); named != own {
		t.Errorf("the message %q names the request %q: %v, want %v", e.Error.Message, id, named, own)
	}
	row := s.halley.Root.UsageOf(t, id)
	if row.Status != status || row.UsageSource != "none" || row.CompletionTokens != 0 || strings.Trim(string(row.Quota), "0.") != "" {
		t.Errorf("usage record %+v, want status %d and no cost", row, status)
	}
}

// recording is a made-up good answer for the faults to spoil.
func recording(streamed bool) fakeprovider.Interaction {
	if streamed {
		return fakeprovider.Interaction{Response: fakeprovider.Response{
			Status: 200, Headers: map[string]string{"content-type": "text/event-stream"},
			Body: []byte("data: {\"model\":\"faulty\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Good \"},\"finish_reason\":null}]}\n\n" +
				"data: {\"model\":\"faulty\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"evening, \"},\"finish_reason\":null}]}\n\n" +
				"data: {\"model\":\"faulty\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"friend.\"},\"finish_reason\":\"stop\"}]}\n\n" +
				"data: {\"model\":\"faulty\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":3,\"total_tokens\":8}}\n\n" +
				"data: [DONE]\n\n"),
		}}
	}
	return fakeprovider.Interaction{Response: fakeprovider.Response{
		Status: 200, Headers: map[string]string{"content-type": "application/json"},
		Body: []byte(`{"model":"faulty","choices":[{"index":0,"message":{"role":"assistant","content":"Good evening, friend."},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}}`),
	}}
}
