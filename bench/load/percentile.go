package load

import (
	"math"
	"slices"
	"time"
)

// Percentile is the smallest latency that at least the share p (0 to 1) of all
// latencies does not exceed: the nearest rank, nothing interpolated. Without
// latencies it is 0.
func Percentile(latencies []time.Duration, p float64) time.Duration {
	if len(latencies) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(latencies))
	rank := int(math.Ceil(p * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
