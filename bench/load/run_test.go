package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWorkloadsAreValidJSONOfTheirSize(t *testing.T) {
	t.Parallel()
	sizes := map[string]int{"plain1k": 1 << 10, "stream100": 1 << 10, "prompt100k": 100 << 10}
	for _, w := range Workloads() {
		if len(w.Body) != sizes[w.Name] {
			t.Errorf("%s has %d bytes", w.Name, len(w.Body))
		}
		var body struct {
			Model    string
			Stream   bool
			Messages []struct{ Content string }
		}
		if err := json.Unmarshal([]byte(w.Body), &body); err != nil {
			t.Fatalf("%s: %v", w.Name, err)
		}
		if body.Model != Model || body.Stream != (w.Chunks > 0) || len(body.Messages) != 2 {
			t.Errorf("%s asks for %q, stream %v", w.Name, body.Model, body.Stream)
		}
		if again, err := Named(w.Name); err != nil || again != w {
			t.Errorf("%s is not the same twice: %v", w.Name, err)
		}
	}
	if _, err := Named("nothing"); err == nil {
		t.Error("an unknown workload is found")
	}
}

func TestClosedLoopSendsTheWorkloadExactlySoOften(t *testing.T) {
	t.Parallel()
	w := Workload{Path: "/chat", Body: `{"hello":1}`}
	var seen atomic.Int64
	var before int64
	url := serve(t, func(rw http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path != "/v1/chat" || string(body) != w.Body || r.Header.Get("Authorization") != "Bearer x" {
			rw.WriteHeader(http.StatusTeapot)
		}
		io.WriteString(rw, object)
	})
	target := Target{URL: url + "/v1/", Header: map[string]string{"Authorization": "Bearer x"}}
	got, err := Run(t.Context(), target, w, Options{
		Connections: 4, Requests: 50, Duration: time.Minute, Timeout: time.Minute,
		Begin: func() { before = seen.Load() },
	})
	if err != nil {
		t.Fatal(err)
	}
	if before != 4 {
		t.Errorf("%d requests before the run, want one per connection", before)
	}
	if got.Requests != 50 || seen.Load() != 54 || got.Failed() != 0 || len(got.Latencies) != 50 || len(got.FirstBytes) != 50 {
		t.Errorf("%d requests, %d seen, errors %v, %d latencies: %s", got.Requests, seen.Load(), got.Errors, len(got.Latencies), got.FirstError)
	}
}

func TestOpenLoopSendsAtItsRate(t *testing.T) {
	t.Parallel()
	url := serve(t, func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, object) })
	got, err := Run(t.Context(), Target{URL: url}, ask(), Options{
		Connections: 2, Requests: 1000, Duration: 100 * time.Millisecond, Timeout: time.Minute, Rate: 100,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Requests != 10 || got.Failed() != 0 || got.Elapsed < 90*time.Millisecond {
		t.Errorf("%d requests in %v, errors %v", got.Requests, got.Elapsed, got.Errors)
	}
}

func TestOpenLoopDoesNotWaitForAWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		next := openLoop(t.Context(), start, Options{Requests: 1000, Duration: time.Second, Rate: 50})
		time.Sleep(time.Minute) // of the bubble's clock: nobody takes a request meanwhile
		for i := range 50 {
			due, ok := next()
			if want := start.Add(time.Duration(i) * 20 * time.Millisecond); !ok || !due.Equal(want) {
				t.Fatalf("request %d is due after %v", i, due.Sub(start))
			}
		}
		if _, ok := next(); ok {
			t.Error("more requests than the rate allows")
		}
	})
}

func TestBadAnswersAreCountedByReason(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	url := serve(t, func(rw http.ResponseWriter, r *http.Request) {
		switch n.Add(1) {
		case 2:
			rw.WriteHeader(http.StatusPaymentRequired)
		case 3:
			io.WriteString(rw, `{"choices":`)
		case 4:
			panic(http.ErrAbortHandler)
		default:
			io.WriteString(rw, object)
		}
	})
	got, err := Run(t.Context(), Target{URL: url}, ask(), Options{
		Connections: 1, Requests: 5, Duration: time.Minute, Timeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"status 402": 1, "not a completion": 1, "cut short": 1}
	if diff := cmp.Diff(want, got.Errors); diff != "" {
		t.Error(diff)
	}
	if got.Requests != 5 || len(got.Latencies) != 2 {
		t.Errorf("%d requests, %d good", got.Requests, len(got.Latencies))
	}
}

func TestATargetThatHangsTimesOut(t *testing.T) {
	t.Parallel()
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	got, err := Run(t.Context(), Target{URL: url}, ask(), Options{
		Connections: 1, Requests: 1, Duration: time.Minute, Timeout: 20 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"timeout": 2}, got.Errors); diff != "" { // the priming request too
		t.Error(diff)
	}
}

func TestCancelledRunEndsAtOnceAndCountsNoErrors(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	got, err := Run(ctx, Target{URL: url}, ask(), Options{
		Connections: 3, Requests: 100, Duration: time.Hour, Timeout: time.Hour,
	})
	if !errors.Is(err, context.Canceled) || got.Failed() != 0 {
		t.Errorf("got %v and errors %v", err, got.Errors)
	}
}

func TestRunRefusesWhatHasNoBounds(t *testing.T) {
	t.Parallel()
	good := Options{Connections: 1, Requests: 1, Duration: time.Second, Timeout: time.Second}
	for name, spoil := range map[string]func(*Options, *Target){
		"no connections": func(o *Options, _ *Target) { o.Connections = 0 },
		"no requests":    func(o *Options, _ *Target) { o.Requests = 0 },
		"no duration":    func(o *Options, _ *Target) { o.Duration = 0 },
		"no time-out":    func(o *Options, _ *Target) { o.Timeout = 0 },
		"negative rate":  func(o *Options, _ *Target) { o.Rate = -1 },
		"https":          func(_ *Options, t *Target) { t.URL = "https://localhost/v1" },
		"no host":        func(_ *Options, t *Target) { t.URL = "/v1" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, target := good, Target{URL: "http://127.0.0.1:1"}
			spoil(&o, &target)
			if _, err := Run(t.Context(), target, Workload{}, o); err == nil {
				t.Error("it is accepted")
			}
		})
	}
}

// ask is a small plain request.
func ask() Workload { return Workload{Path: "/chat", Body: "{}"} }

// serve starts a target. It reads each request to its end first: only then
// does net/http notice a client that leaves.
func serve(t *testing.T, handler http.HandlerFunc) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}
