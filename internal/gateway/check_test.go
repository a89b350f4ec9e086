package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"halley/internal/channel"
	"halley/internal/gateway"
	"halley/internal/health"
)

// checked is a house whose upstream answers as status says, and its channel.
func checked(t *testing.T, mode channel.CheckMode, status *atomic.Int64) (*house, *channel.Channel, *health.Tracker) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code := int(status.Load())
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		switch {
		case code != http.StatusOK:
			_, _ = w.Write([]byte(`{"error":{"message":"no, secret-of-9","code":"x"}}`))
		case strings.HasSuffix(r.URL.Path, "/models"):
			_, _ = w.Write([]byte(`{"data":[{"id":"m"}]}`))
		default:
			_, _ = w.Write([]byte(`{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}`))
		}
	}))
	t.Cleanup(server.Close)
	tracker, err := health.New(health.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ch := &channel.Channel{
		ID: 9, Kind: channel.OpenAI, BaseURL: server.URL, Models: []string{"m"}, Groups: []string{"default"}, Status: channel.Enabled, Weight: 1,
		Credentials: []channel.Credential{{ID: "k9", Value: "secret-of-9"}}, Checks: channel.Checks{Mode: mode, Model: "m"},
	}
	h := newHouse(t, nil, func(h *house) { h.health = tracker })
	return h, ch, tracker
}

func TestACheckTakesARefusedUpstreamKeyOutAndBringsItBack(t *testing.T) {
	t.Parallel()
	var status atomic.Int64
	status.Store(401)
	h, ch, tracker := checked(t, channel.CheckModels, &status)
	target := health.Target{Channel: 9, Credential: "k9", Model: "m"}
	r := h.Check(t.Context(), ch)
	if r.OK || strings.Contains(r.Message, "secret-of-9") || r.Message == "" {
		t.Errorf("%+v", r)
	}
	if v := tracker.Look(time.Now(), target); v.State != health.Out {
		t.Fatalf("a refused key: %+v", v)
	}
	status.Store(200)
	if r := h.Check(t.Context(), ch); !r.OK || r.Message != "" || r.Latency <= 0 {
		t.Errorf("%+v", r)
	}
	if v := tracker.Look(time.Now(), target); v.State != health.SlowStart {
		t.Errorf("a key that is accepted again: %+v", v)
	}
}

func TestACheckByRequestOpensAndShutsTheModelsBreaker(t *testing.T) {
	t.Parallel()
	var status atomic.Int64
	status.Store(500)
	h, ch, tracker := checked(t, channel.CheckRequest, &status)
	target := health.Target{Channel: 9, Credential: "k9", Model: "m"}
	for range 5 {
		h.Check(t.Context(), ch)
	}
	if v := tracker.Look(time.Now(), target); v.State != health.Open || !strings.Contains(v.Reason, "status 500") {
		t.Fatalf("after five failures: %+v", v)
	}
	status.Store(200)
	h.Check(t.Context(), ch)
	if v := tracker.Look(time.Now(), target); v.State != health.SlowStart {
		t.Errorf("when it answers again, long before its cooldown is over: %+v", v)
	}
}

func TestAModelListThatComesHasTheBrokenProbedAtOnce(t *testing.T) {
	t.Parallel()
	var status atomic.Int64
	status.Store(200)
	h, ch, tracker := checked(t, channel.CheckModels, &status)
	target := health.Target{Channel: 9, Credential: "k9", Model: "m"}
	now := time.Now()
	for range 5 {
		a, _ := tracker.Begin(now, target, false)
		a.Done(now, health.Outcome{Class: health.Failed})
	}
	if v := tracker.Look(now, target); v.Probe {
		t.Fatalf("probed already: %+v", v)
	}
	h.Check(t.Context(), ch)
	if v := tracker.Look(time.Now(), target); !v.Probe {
		t.Errorf("%+v", v)
	}
}

func TestACheckChargesNobody(t *testing.T) {
	t.Parallel()
	var status atomic.Int64
	status.Store(200)
	h, ch, _ := checked(t, channel.CheckRequest, &status)
	h.Check(t.Context(), ch)
	if len(h.records) != 0 {
		t.Errorf("%+v", h.records)
	}
}

func TestAnUpstreamThatIsNotThereIsKnownBeforeAClientFindsOut(t *testing.T) {
	t.Parallel()
	var status atomic.Int64
	status.Store(503)
	h, ch, tracker := checked(t, channel.CheckModels, &status)
	target := health.Target{Channel: 9, Credential: "k9", Model: "m"}
	h.Check(t.Context(), ch)
	if v := tracker.Look(time.Now(), target); v.State != health.Closed {
		t.Errorf("after one error: %+v", v)
	}
	h.Check(t.Context(), ch)
	if v := tracker.Look(time.Now(), target); v.State != health.Open || !strings.Contains(v.Reason, "status 503") {
		t.Errorf("after two: %+v", v)
	}
	status.Store(200)
	h.Check(t.Context(), ch)
	if v := tracker.Look(time.Now(), target); v.State != health.SlowStart {
		t.Errorf("when it is there again: %+v", v)
	}
}

// Who has no money left can still list models.
func TestAListOfModelsDoesNotBringABalanceBack(t *testing.T) {
	t.Parallel()
	var status atomic.Int64
	status.Store(200)
	h, ch, tracker := checked(t, channel.CheckModels, &status)
	target, now := health.Target{Channel: 9, Credential: "k9", Model: "m"}, time.Now()
	a, _ := tracker.Begin(now, target, false)
	a.Done(now, health.Outcome{Class: health.Balance})
	if r := h.Check(t.Context(), ch); r.OK || !strings.Contains(r.Message, "balance") {
		t.Errorf("%+v", r)
	}
	if v := tracker.Look(time.Now(), target); v.State != health.Out {
		t.Errorf("%+v", v)
	}
	ch.Checks.Mode = channel.CheckRequest // a request proves it
	if r := h.Check(t.Context(), ch); !r.OK {
		t.Errorf("%+v", r)
	}
	ch.Checks.Mode = channel.CheckModels
	if r := h.Check(t.Context(), ch); !r.OK || r.Message != "" {
		t.Errorf("while it recovers: %+v", r)
	}
	if v := tracker.Look(time.Now(), target); v.State != health.SlowStart {
		t.Errorf("%+v", v)
	}
}

func TestWhatACheckCostsIsKnown(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(answers(200, "application/json", plainAnswer))
	t.Cleanup(server.Close)
	var status atomic.Int64
	h, ch, _ := checked(t, channel.CheckRequest, &status)
	ch.BaseURL = server.URL
	r := h.Check(t.Context(), ch)
	if !r.OK || r.Cost <= 0 {
		t.Errorf("%+v", r)
	}
	if len(h.records) != 0 {
		t.Errorf("it is charged: %+v", h.records)
	}
}

func TestAPanicInACheckIsNotTheServersEnd(t *testing.T) {
	t.Parallel()
	var status atomic.Int64
	h, ch, tracker := checked(t, channel.CheckModels, &status)
	h.Upstreams[channel.OpenAI] = gateway.Upstream{Provider: panics{}, Transport: http.DefaultTransport}
	if r := h.Check(t.Context(), ch); r.OK || r.Message == "" {
		t.Errorf("%+v", r)
	}
	if v := tracker.Look(time.Now(), health.Target{Channel: 9, Credential: "k9"}); v.State != health.Closed || tracker.InFlight(9) != 0 {
		t.Errorf("%+v, %d under way", v, tracker.InFlight(9))
	}
}
