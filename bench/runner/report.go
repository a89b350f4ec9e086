package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"halley/bench/load"
)

// report is everything that a run found out; its JSON form is what -json writes.
type report struct {
	Started time.Time          `json:"started"`
	Go      string             `json:"go"`
	CPUs    int                `json:"cpus"`
	Floor   string             `json:"floor"`
	Rounds  int                `json:"rounds"`
	Rate    float64            `json:"open_loop_rate"` // requests per second
	Closed  []row              `json:"closed"`
	Open    []row              `json:"open"`
	Peak    map[string]float64 `json:"peak_mb"` // resident memory by target, 10^6 bytes, over the whole run
}

// row is one target in one contest. Latencies are in milliseconds.
type row struct {
	Workload    string         `json:"workload"`
	Connections int            `json:"connections"`
	Target      string         `json:"target"`
	Requests    int            `json:"requests"`
	PerSecond   float64        `json:"requests_per_second"`
	P50         float64        `json:"p50_ms"`
	P99         float64        `json:"p99_ms"`
	FirstP50    float64        `json:"first_byte_p50_ms"`
	FirstP99    float64        `json:"first_byte_p99_ms"`
	Errors      map[string]int `json:"errors,omitempty"`
	FirstError  string         `json:"first_error,omitempty"`

	// Closed loop only.
	CPU      float64   `json:"cpu_us_per_request,omitempty"` // median over the rounds
	CPUs     []float64 `json:"cpu_us_per_round,omitempty"`
	Ratio    float64   `json:"ratio,omitempty"` // to the floor: median of the rounds' ratios
	Ratios   []float64 `json:"ratio_per_round,omitempty"`
	Failures int       `json:"failures"`

	// Open loop only: what the target adds to asking the upstream directly.
	AddedP50      float64 `json:"added_p50_ms,omitempty"`
	AddedP99      float64 `json:"added_p99_ms,omitempty"`
	AddedFirstP50 float64 `json:"added_first_byte_p50_ms,omitempty"`
}

// summarize turns the slices of one contest into rows, in the contestants'
// order. Rounds are compared with each other before they are summed up: what
// slows a whole round down does not change its ratio.
func summarize(c contest, contestants []*process, bySlices map[string][]slice, floor string) []row {
	rows := make([]row, 0, len(contestants))
	for _, p := range contestants {
		var total load.Result
		for _, s := range bySlices[p.name] {
			total.Add(s.load)
		}
		r := row{
			Workload:    c.workload.Name,
			Connections: c.options.Connections,
			Target:      p.name,
			Requests:    total.Requests,
			PerSecond:   over(float64(len(total.Latencies)), total.Elapsed.Seconds()),
			P50:         milliseconds(load.Percentile(total.Latencies, 0.50)),
			P99:         milliseconds(load.Percentile(total.Latencies, 0.99)),
			FirstP50:    milliseconds(load.Percentile(total.FirstBytes, 0.50)),
			FirstP99:    milliseconds(load.Percentile(total.FirstBytes, 0.99)),
			Errors:      total.Errors,
			FirstError:  total.FirstError,
			Failures:    total.Failed(),
		}
		if c.options.Rate == 0 {
			r.CPUs = perRequest(bySlices[p.name])
			r.CPU = median(r.CPUs)
			r.Ratios = ratios(r.CPUs, perRequest(bySlices[floor]))
			r.Ratio = median(r.Ratios)
		}
		rows = append(rows, r)
	}
	if direct := slices.IndexFunc(rows, func(r row) bool { return r.Target == directName }); direct >= 0 {
		for i := range rows {
			rows[i].AddedP50 = rows[i].P50 - rows[direct].P50
			rows[i].AddedP99 = rows[i].P99 - rows[direct].P99
			rows[i].AddedFirstP50 = rows[i].FirstP50 - rows[direct].FirstP50
		}
	}
	return rows
}

// perRequest is the CPU time of each round in microseconds per request.
func perRequest(rounds []slice) []float64 {
	costs := make([]float64, len(rounds))
	for i, s := range rounds {
		costs[i] = over(float64(s.cpu)/float64(time.Microsecond), float64(s.load.Requests))
	}
	return costs
}

// ratios divides round by round.
func ratios(costs, floor []float64) []float64 {
	list := make([]float64, min(len(costs), len(floor)))
	for i := range list {
		list[i] = over(costs[i], floor[i])
	}
	return list
}

// median is the middle value, or the mean of the two in the middle; 0 of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// over divides; nothing over nothing is 0, which JSON can say.
func over(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func milliseconds(d time.Duration) float64 {
	return float64(d) / float64(time.Millisecond)
}

// print writes the report as tables.
func (r *report) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "workload\tconns\ttarget\tCPU µs/req\t× %s\treq/s\tp50 ms\tp99 ms\tfirst byte p50\terrors\t\n", r.Floor)
	for _, row := range r.Closed {
		fmt.Fprintf(t, "%s\t%d\t%s\t%.1f\t%.2f\t%.0f\t%.2f\t%.2f\t%.2f\t%d\t\n", row.Workload, row.Connections, row.Target,
			row.CPU, row.Ratio, row.PerSecond, row.P50, row.P99, row.FirstP50, row.Failures)
	}
	_ = t.Flush()
	if len(r.Open) > 0 {
		fmt.Fprintf(t, "\nat %g req/s\ttarget\tp50 ms\tp99 ms\tadded p50\tadded p99\tadded first byte p50\terrors\t\n", r.Rate)
		for _, row := range r.Open {
			fmt.Fprintf(t, "%s\t%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%d\t\n", row.Workload, row.Target,
				row.P50, row.P99, row.AddedP50, row.AddedP99, row.AddedFirstP50, row.Failures)
		}
		_ = t.Flush()
	}
	fmt.Fprint(t, "\ntarget\tpeak memory MB\t\n")
	for _, name := range r.targets() {
		fmt.Fprintf(t, "%s\t%.1f\t\n", name, r.Peak[name])
	}
	_ = t.Flush()
	for _, row := range slices.Concat(r.Closed, r.Open) {
		if row.Failures > 0 {
			fmt.Fprintf(w, "\n%s, %s, %d connections: %v\n  for example: %s\n", row.Target, row.Workload, row.Connections, row.Errors, row.FirstError)
		}
	}
}

// targets are the names in the order of the rows.
func (r *report) targets() []string {
	var names []string
	for _, row := range r.Closed {
		if !slices.Contains(names, row.Target) {
			names = append(names, row.Target)
		}
	}
	return names
}
