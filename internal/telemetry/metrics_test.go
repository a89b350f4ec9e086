package telemetry

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"halley/internal/money"
)

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(m).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func aRequest() *Request {
	return &Request{
		Dialect: "openai", Endpoint: "chat", Model: "gpt-4o", Status: 200, Duration: 1500 * time.Millisecond, FirstByte: 300 * time.Millisecond,
		Prompt: 1000, Cached: 600, CacheWrite: 100, Completion: 200, Reasoning: 50, Cost: 2_500_000, Absorbed: 0,
	}
}

func TestAScrapeShowsWhatWasObserved(t *testing.T) {
	t.Parallel()
	m := NewMetrics(Build{Version: "1.2.3", Revision: "abc"})
	m.KnowModels([]string{"gpt-4o"})
	m.WatchHolds(func() (int64, money.Nano) { return 3, 1_500_000_000 })
	m.WatchLeases(func() Leases { return Leases{Servers: 3, Taken: 40, Recalls: 5, Lapsed: 1} })
	m.WatchUsageQueue(func() UsageQueue {
		return UsageQueue{Records: 7, Oldest: 90 * time.Millisecond, FlushErrors: 2, SetAside: 1, Dropped: 4}
	})
	m.WatchJournal(func() Journal { return Journal{Bytes: 4096, Records: 9, Failures: 3, Torn: 1, Damaged: 2, Full: true} })
	m.JournalSynced(3 * time.Millisecond)
	m.WatchLimits(func() string { return "shares" })
	m.WatchChanges(func() bool { return true })
	m.ChangeApplied("key", "notice", 3*time.Millisecond)
	m.ChangeApplied("key", "poll", 300*time.Millisecond)
	m.Finished(aRequest())
	m.Finished(aRequest())
	refused := &Request{Dialect: "openai", Endpoint: "chat", Model: "made-up-by-the-caller", Status: 404, Duration: time.Millisecond}
	m.Finished(refused)
	absorbed := aRequest()
	absorbed.Absorbed, absorbed.Status = 4_000_000_000, 7
	m.Finished(absorbed)
	m.UnknownKey()
	m.Attempted("success")
	m.ChannelTransition("open", "failures")
	m.CheckCost(2_500_000_000)
	m.WatchChannels([]string{"closed", "open"}, func(state int) int { return 3 * state })
	text := scrape(t, m)
	for _, want := range []string{
		`halley_requests_total{code="200",dialect="openai",endpoint="chat"} 2`,
		`halley_requests_total{code="404",dialect="openai",endpoint="chat"} 1`,
		`halley_requests_total{code="other",dialect="openai",endpoint="chat"} 1`,
		`halley_request_duration_seconds_count{dialect="openai",endpoint="chat"} 4`,
		`halley_time_to_first_byte_seconds_count{dialect="openai",endpoint="chat"} 3`,
		`halley_model_requests_total{model="gpt-4o"} 3`,
		`halley_model_requests_total{model="other"} 1`,
		`halley_tokens_total{kind="prompt",model="gpt-4o"} 3000`,
		`halley_tokens_total{kind="cached",model="gpt-4o"} 1800`,
		`halley_tokens_total{kind="cache_write",model="gpt-4o"} 300`,
		`halley_tokens_total{kind="completion",model="gpt-4o"} 600`,
		`halley_tokens_total{kind="reasoning",model="gpt-4o"} 150`,
		`halley_cost_usd_total{model="gpt-4o"} 0.0075`,
		`halley_absorbed_usd_total 4`,
		`halley_unknown_key_requests_total 1`,
		`halley_attempts_total{outcome="success"} 1`,
		`halley_channel_transitions_total{cause="failures",to="open"} 1`,
		`halley_channel_check_cost_usd_total 2.5`,
		`halley_channels{state="open"} 3`,
		`halley_holds_in_flight 3`,
		`halley_held_usd 1.5`,
		`halley_lease_servers 3`, `halley_leases_taken_total 40`, `halley_lease_recalls_total 5`, `halley_lease_lapses_total 1`,
		`halley_usage_queue_records 7`,
		`halley_usage_queue_oldest_seconds 0.09`,
		`halley_usage_flush_errors_total 2`,
		`halley_usage_set_aside_total 1`,
		`halley_usage_dropped_total 4`,
		`halley_journal_bytes 4096`,
		`halley_journal_records 9`,
		`halley_journal_full 1`,
		`halley_journal_failures_total 3`,
		`halley_journal_torn 1`,
		`halley_journal_damaged 2`,
		`halley_journal_fsync_seconds_bucket{le="0.005"} 1`,
		`halley_limits_backend{state="local"} 0`, `halley_limits_backend{state="shares"} 1`, `halley_limits_backend{state="redis"} 0`,
		`halley_changes_applied_total{topic="key",via="notice"} 1`,
		`halley_changes_applied_total{topic="key",via="poll"} 1`,
		`halley_change_lag_seconds_bucket{le="0.005"} 1`,
		`halley_change_lag_seconds_count 2`,
		`halley_change_listener_connected 1`,
		`halley_build_info{goversion="go`,
		`revision="abc",version="1.2.3"} 1`,
		"go_goroutines ", "process_cpu_seconds_total ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the scrape misses %s", want)
		}
	}
	if strings.Contains(text, "made-up-by-the-caller") {
		t.Error("a caller's word became a label")
	}
}

func TestLabelsStayBounded(t *testing.T) {
	t.Parallel()
	m := NewMetrics(Build{})
	for i := range 1000 {
		m.Finished(&Request{Dialect: fmt.Sprint("d", i), Endpoint: "e", Model: fmt.Sprint("m", i), Status: i})
	}
	text := scrape(t, m)
	if n := strings.Count(text, "halley_request_duration_seconds_count{"); n > maxRoutes+1 {
		t.Errorf("%d combinations of dialect and endpoint", n)
	}
	if n := strings.Count(text, "halley_model_requests_total{"); n != 1 {
		t.Errorf("%d models", n)
	}
}

func TestFiguresOutliveAChangeOfTheKnownModels(t *testing.T) {
	t.Parallel()
	m := NewMetrics(Build{})
	m.KnowModels([]string{"gpt-4o"})
	m.Finished(aRequest())
	m.KnowModels([]string{"claude"})
	m.Finished(aRequest()) // not known now
	m.KnowModels([]string{"claude", "gpt-4o"})
	m.Finished(aRequest())
	if text := scrape(t, m); !strings.Contains(text, `halley_model_requests_total{model="gpt-4o"} 2`) || !strings.Contains(text, `halley_model_requests_total{model="other"} 1`) {
		t.Error(text)
	}
}

func TestManyMayObserveAtOnce(t *testing.T) {
	t.Parallel()
	m := NewMetrics(Build{})
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 500 {
				r := aRequest()
				r.Endpoint, r.Status = fmt.Sprint("e", i%5), 200+i%7
				m.Finished(r)
				if i%50 == g {
					m.KnowModels([]string{"gpt-4o", fmt.Sprint(i)})
				}
			}
		})
	}
	all.Wait()
	text, sum := scrape(t, m), 0
	for line := range strings.Lines(text) {
		var n int
		if name, value, ok := strings.Cut(line, "} "); ok && strings.HasPrefix(name, "halley_requests_total") {
			_, _ = fmt.Sscan(value, &n)
			sum += n
		}
	}
	if sum != 4000 {
		t.Errorf("%d requests counted, want 4000", sum)
	}
}

func TestObservingAllocatesNothingWhenWarm(t *testing.T) {
	m := NewMetrics(Build{})
	m.KnowModels([]string{"gpt-4o"})
	r := aRequest()
	m.Finished(r)
	if n := testing.AllocsPerRun(1000, func() { m.Finished(r); m.UnknownKey(); m.Attempted("success") }); n != 0 {
		t.Errorf("%v allocations per request", n)
	}
}

func BenchmarkFinished(b *testing.B) {
	m := NewMetrics(Build{})
	m.KnowModels([]string{"gpt-4o"})
	r := aRequest()
	b.ReportAllocs()
	for b.Loop() {
		m.Finished(r)
	}
}
