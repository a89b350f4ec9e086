package load

import (
	"testing"
	"time"
)

func TestPercentileIsTheNearestRank(t *testing.T) {
	t.Parallel()
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100 - i) // 100 down to 1
	}
	for _, tc := range []struct {
		name      string
		latencies []time.Duration
		p         float64
		want      time.Duration
	}{
		{"none", nil, 0.5, 0},
		{"one", []time.Duration{7}, 0.99, 7},
		{"middle of an odd number", []time.Duration{3, 1, 2}, 0.5, 2},
		{"middle of an even number", []time.Duration{4, 1, 3, 2}, 0.5, 2},
		{"median of a hundred", hundred, 0.5, 50},
		{"99 of a hundred", hundred, 0.99, 99},
		{"smallest", hundred, 0, 1},
		{"largest", hundred, 1, 100},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := Percentile(tc.latencies, tc.p); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}
