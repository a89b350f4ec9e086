package cluster_test

import (
	"slices"
	"testing"
	"time"

	"halley/test/harness"
)

// TestRevocationsReachEveryServerWithinASecond deletes keys on one server while
// the others serve them, and measures from the deletion's answer to the first
// refusal on both others.
func TestRevocationsReachEveryServerWithinASecond(t *testing.T) {
	t.Parallel()
	c := start(t)
	const deletions = 200
	keys := make([]harness.Key, deletions)
	for i := range keys {
		keys[i] = c.key(t)
	}
	var lags []time.Duration
	for _, k := range keys {
		c.root.DeleteKey(t, k.ID)
		lags = append(lags, c.everywhere(t, k.Key, answer{401, "invalid_api_key"}))
	}
	slices.Sort(lags)
	at := func(percent int) time.Duration { return lags[(len(lags)-1)*percent/100].Round(100 * time.Microsecond) }
	t.Logf("%d deletions, from the answer to the first refusal on both other servers: half within %v, 99 %% within %v, all within %v", deletions, at(50), at(99), at(100))
	if at(99) >= time.Second {
		t.Errorf("99 %% within %v, want less than a second", at(99))
	}
}
