package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"halley/bench/load"
)

// bounds are what the subject must keep for -assert to succeed.
type bounds struct {
	subject string
	ratios  map[string]float64 // to the floor, by workload
	peakMB  float64
}

// parseRatios reads "plain1k=1.5,stream100=1.5".
func parseRatios(text string) (map[string]float64, error) {
	parsed := map[string]float64{}
	for part := range strings.SplitSeq(text, ",") {
		workload, value, ok := strings.Cut(part, "=")
		ratio, err := strconv.ParseFloat(value, 64)
		if !ok || err != nil || !(ratio > 0) {
			return nil, fmt.Errorf("%q is not a workload's bound such as plain1k=1.5", part)
		}
		if _, err := load.Named(workload); err != nil {
			return nil, err
		}
		parsed[workload] = ratio
	}
	return parsed, nil
}

// broken lists every bound that the report exceeds; a subject that was not
// measured has kept none. A floor that fails is no floor: more than one bad
// answer in a hundred makes the ratios worthless.
func (b bounds) broken(r *report) []string {
	var list []string
	complain := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	measured := false
	for _, row := range r.Closed {
		if row.Target == r.Floor && row.Failures*100 > row.Requests {
			complain("the floor failed %d of %d requests of %s at %d connections", row.Failures, row.Requests, row.Workload, row.Connections)
		}
		if row.Target != b.subject {
			continue
		}
		measured = true
		bound, bounded := b.ratios[row.Workload]
		switch {
		case row.Ratio <= 0:
			complain("%s at %d connections: no ratio was measured", row.Workload, row.Connections)
		case bounded && row.Ratio > bound:
			complain("%s at %d connections: %.2f × the floor, allowed are %.2f", row.Workload, row.Connections, row.Ratio, bound)
		}
	}
	if !measured {
		complain("%s was not measured", b.subject)
		return list
	}
	for _, row := range slices.Concat(r.Closed, r.Open) {
		if row.Target == b.subject && row.Failures > 0 {
			complain("%s at %d connections: %d of %d requests failed: %v", row.Workload, row.Connections, row.Failures, row.Requests, row.Errors)
		}
	}
	if peak := r.Peak[b.subject]; peak <= 0 || peak > b.peakMB {
		complain("%.1f MB of memory at the peak, allowed are %.0f", peak, b.peakMB)
	}
	return list
}
