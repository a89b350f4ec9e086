package affinity

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

var start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func TestAConversationIsFoundWhereItWasServedLast(t *testing.T) {
	t.Parallel()
	table := New()
	one := table.Conversation(1, "m", "a")
	if _, known := table.Last(start, one); known {
		t.Error("what never was is known")
	}
	table.Served(start, one, Place{5, "k"})
	table.Served(start.Add(time.Minute), one, Place{6, ""})
	if p, known := table.Last(start.Add(time.Hour), one); !known || p != (Place{6, ""}) {
		t.Errorf("it is at %v, %v", p, known)
	}
	if p, known := table.Last(start.Add(61*time.Minute), one); known || p != (Place{}) {
		t.Error("it is known for longer than any prompt is kept")
	}
}

func TestConversationsAreToldApartByKeyModelAndName(t *testing.T) {
	t.Parallel()
	table := New()
	seen := map[uint64]bool{}
	for _, key := range []int64{1, 2} {
		for _, rest := range [][2]string{{"m", "a"}, {"m", "b"}, {"n", "a"}, {"ma", ""}, {"", "ma"}} {
			seen[table.Conversation(key, rest[0], rest[1])] = true
		}
	}
	if len(seen) != 10 || seen[0] {
		t.Errorf("10 conversations have the numbers %v", seen)
	}
	if again := table.Conversation(1, "m", "a"); !seen[again] {
		t.Errorf("one conversation has another number now: %d", again)
	}
}

func TestMemoryDoesNotGrowWithConversations(t *testing.T) {
	t.Parallel()
	table := New()
	for i := range 4 * Room {
		table.Served(start.Add(time.Duration(i)), table.Conversation(1, "m", fmt.Sprint(i)), Place{Channel: int64(i)})
	}
	known, recent := 0, 0
	for i := range 4 * Room {
		if p, ok := table.Last(start.Add(time.Second), table.Conversation(1, "m", fmt.Sprint(i))); ok {
			known++
			if p.Channel != int64(i) {
				t.Fatalf("conversation %d is at %d", i, p.Channel)
			}
			if i >= 4*Room-Room/4 {
				recent++
			}
		}
	}
	if known > Room || recent < Room/4*9/10 {
		t.Errorf("%d are known, of the last %d so many: %d", known, Room/4, recent)
	}
	// One that is in use stays while others come and go.
	kept := table.Conversation(2, "m", "kept")
	for i := range Room {
		now := start.Add(time.Duration(10*Room + i))
		if i%(Room/64) == 0 {
			table.Served(now, kept, Place{Channel: 9})
		}
		table.Served(now, table.Conversation(3, "m", fmt.Sprint(i)), Place{Channel: 1})
	}
	if p, ok := table.Last(start.Add(time.Second), kept); !ok || p.Channel != 9 {
		t.Errorf("a conversation in use is at %v, %v", p, ok)
	}
}

func TestATableThatIsNotUsedTakesNoMemory(t *testing.T) {
	table := New()
	table.Last(start, 77)
	for i := range table.shards {
		if table.shards[i].buckets != nil {
			t.Fatalf("shard %d has memory", i)
		}
	}
	if n := testing.AllocsPerRun(100, func() { table.Last(start, table.Conversation(1, "m", "a")) }); n != 0 {
		t.Errorf("looking takes %v allocations", n)
	}
}

func TestManyMayUseItAtOnce(t *testing.T) {
	t.Parallel()
	table := New()
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 2000 {
				c := table.Conversation(int64(g%2), "m", fmt.Sprint(i%50))
				table.Served(start, c, Place{Channel: int64(i%50) + 1})
				if p, ok := table.Last(start, c); ok && p.Channel != int64(i%50)+1 {
					t.Errorf("conversation %d is at %d", i%50, p.Channel)
				}
			}
		})
	}
	all.Wait()
}
