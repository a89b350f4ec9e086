package route

import (
	"fmt"
	"testing"

	"halley/internal/channel"
)

// Clients choose the names that patterns cover: what is remembered of them must
// not grow with their fancy.
func TestWhatIsRememberedOfNamesIsBounded(t *testing.T) {
	t.Parallel()
	var channels []*channel.Channel
	for id := range int64(50) {
		channels = append(channels, &channel.Channel{ID: id, Weight: 1, Models: []string{"m*"}, Groups: []string{"g"}, Status: channel.Enabled})
	}
	table := New(Config{Channels: channels})
	memo := &table.groups["g"].found
	for i := range 2*memoRoom + 1000 {
		name := "m"
		if i%2 == 0 {
			name = "other"
		}
		table.Candidates("g", fmt.Sprint(name, i))
		if len(memo.names) > memoRoom || len(memo.sets) > 1 {
			t.Fatalf("%d names and %d sets after %d requests", len(memo.names), len(memo.sets), i+1)
		}
	}
	if len(memo.names) < 1000 {
		t.Errorf("%d names are remembered", len(memo.names))
	}
}
