package app

import (
	"testing"
	"time"
)

// All nodes at work see the same order, each its own place in it; one that is
// silent has none.
func TestEachNodeHasASeatOfItsOwn(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ids := []int64{5, 17, 90}
	for place, id := range ids {
		p := newPeers(id, time.Minute)
		beats := map[int64]int64{7: 1} // beats once and never again
		for round := range int64(10) {
			now = now.Add(pulse)
			for _, other := range ids {
				beats[other] = round
			}
			alive, _ := p.see(now, beats)
			want, nodes := place, len(ids)
			if round < 5 { // not silent for long enough
				nodes++
				if id > 7 {
					want++
				}
			}
			if got := p.before(now); got != want || alive != nodes {
				t.Errorf("node %d in round %d: place %d of %d, want %d of %d", id, round, got, alive, want, nodes)
			}
		}
	}
}

func TestAServerAloneHasTheWholeOfEveryLimit(t *testing.T) {
	t.Parallel()
	for _, s := range []*sharing{nil, {}} {
		if index, nodes := s.share(); index != 0 || nodes != 1 {
			t.Errorf("place %d of %d", index, nodes)
		}
	}
}
