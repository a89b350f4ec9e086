package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/bench/load"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		values []float64
		want   float64
	}{
		{"none", nil, 0},
		{"one", []float64{3}, 3},
		{"odd", []float64{9, 1, 2}, 2},
		{"even", []float64{9, 1, 2, 4}, 3},
	} {
		if got := median(tc.values); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func TestRatiosAreTakenRoundByRound(t *testing.T) {
	t.Parallel()
	// The machine was three times slower in the second round: the ratio is
	// the same, though the medians of the costs are not comparable.
	c := contest{load.Workload{Name: "plain1k"}, load.Options{Connections: 32}}
	turns := map[string][]slice{
		"floor":  {turn(100, 10*time.Millisecond), turn(100, 30*time.Millisecond), turn(50, 5*time.Millisecond)},
		"halley": {turn(100, 12*time.Millisecond), turn(100, 36*time.Millisecond), turn(100, 12*time.Millisecond)},
	}
	rows := summarize(c, []*process{{name: "floor"}, {name: "halley"}}, turns, "floor")
	if diff := cmp.Diff([]float64{1.2, 1.2, 1.2}, rows[1].Ratios); diff != "" {
		t.Error(diff)
	}
	if rows[0].CPU != 100 || rows[0].Ratio != 1 || rows[1].CPU != 120 || rows[1].Ratio != 1.2 || rows[1].Requests != 300 {
		t.Errorf("rows %+v", rows)
	}
}

func TestAddedLatencyIsWhatTheTargetAddsToTheUpstream(t *testing.T) {
	t.Parallel()
	c := contest{load.Workload{Name: "plain1k"}, load.Options{Connections: 32, Rate: 50}}
	took := func(d time.Duration) []slice {
		return []slice{{load: load.Result{Requests: 1, Latencies: []time.Duration{d}, FirstBytes: []time.Duration{d / 2}}}}
	}
	turns := map[string][]slice{directName: took(2 * time.Millisecond), "halley": took(3 * time.Millisecond)}
	rows := summarize(c, []*process{{name: directName}, {name: "halley"}}, turns, "floor")
	if r := rows[1]; r.P50 != 3 || r.AddedP50 != 1 || r.AddedP99 != 1 || r.AddedFirstP50 != 0.5 || r.CPU != 0 {
		t.Errorf("row %+v", r)
	}
}

func TestBoundsNameEverythingThatIsBroken(t *testing.T) {
	t.Parallel()
	b := bounds{subject: "halley", ratios: map[string]float64{"plain1k": 1.5}, peakMB: 100}
	floor := row{Target: "floor", Workload: "plain1k", Requests: 1000, Ratio: 1}
	good := row{Target: "halley", Workload: "plain1k", Requests: 1000, Ratio: 1.5}
	with := func(change func(*row)) row { r := good; change(&r); return r }
	for _, tc := range []struct {
		name   string
		closed []row
		open   []row
		peak   float64
		want   []string // a word of each complaint, in order
	}{
		{"just kept", []row{floor, good}, nil, 100, nil},
		{"a ratio", []row{floor, with(func(r *row) { r.Ratio = 1.51 })}, nil, 50, []string{"1.51 ×"}},
		{"a ratio without a bound", []row{floor, with(func(r *row) { r.Workload, r.Ratio = "stream100", 9 })}, nil, 50, nil},
		{"no ratio", []row{floor, with(func(r *row) { r.Ratio = 0 })}, nil, 50, []string{"no ratio"}},
		{"memory", []row{floor, good}, nil, 100.1, []string{"100.1 MB"}},
		{"memory not read", []row{floor, good}, nil, 0, []string{"0.0 MB"}},
		{"one error", []row{floor, with(func(r *row) { r.Failures = 1 })}, nil, 50, []string{"1 of 1000"}},
		{"an error in the open loop", []row{floor, good}, []row{with(func(r *row) { r.Failures = 2 })}, 50, []string{"2 of 1000"}},
		{"all at once", []row{floor, with(func(r *row) { r.Ratio, r.Failures = 2, 3 })}, nil, 200, []string{"2.00 ×", "3 of 1000", "200.0 MB"}},
		{"another target's errors", []row{floor, good, {Target: "x", Failures: 5, Ratio: 9}}, nil, 50, nil},
		{"a floor with few errors", []row{{Target: "floor", Requests: 1000, Failures: 10}, good}, nil, 50, nil},
		{"a floor that fails", []row{{Target: "floor", Requests: 1000, Failures: 11}, good}, nil, 50, []string{"the floor failed"}},
		{"not measured", []row{floor}, nil, 50, []string{"not measured"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := b.broken(&report{Floor: "floor", Closed: tc.closed, Open: tc.open, Peak: map[string]float64{"halley": tc.peak}})
			if len(got) != len(tc.want) {
				t.Fatalf("got %q", got)
			}
			for i := range got {
				if !strings.Contains(got[i], tc.want[i]) {
					t.Errorf("got %q, want it to say %q", got[i], tc.want[i])
				}
			}
		})
	}
}

func TestParseRatios(t *testing.T) {
	t.Parallel()
	got, err := parseRatios("plain1k=1.5,stream100=2")
	if diff := cmp.Diff(map[string]float64{"plain1k": 1.5, "stream100": 2}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for _, text := range []string{"", "plain1k", "plain1k=", "plain1k=x", "plain1k=0", "plain1k=-1", "plain1k=NaN", "palin1k=1.5"} {
		if _, err := parseRatios(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

// turn is a slice of n requests that took so much CPU time in all.
func turn(n int, cpu time.Duration) slice {
	return slice{load: load.Result{Requests: n}, cpu: cpu}
}
