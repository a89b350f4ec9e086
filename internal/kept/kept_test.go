package kept_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"halley/internal/fault"
	"halley/internal/kept"
	"halley/internal/seal"
	"halley/internal/store"
	"halley/internal/store/storetest"
)

// bench is a service on a real database.
type bench struct {
	*kept.Service
	db    *store.DB
	now   time.Time
	rules kept.Rules
}

func newBench(t *testing.T) *bench {
	t.Helper()
	master, err := seal.ParseMaster(strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{db: storetest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "kept.db")), now: time.UnixMilli(1_800_000_000_000), rules: kept.Rules{For: time.Hour, PerKey: 1 << 20}}
	b.Service = kept.NewService(b.db, master.Box("kept response"), func() kept.Rules { return b.rules }, func() time.Time { return b.now })
	return b
}

func (b *bench) keep(t *testing.T, id, previous, root, text string) {
	t.Helper()
	r := &kept.Response{KeyID: 1, ID: id, Previous: previous, Root: root, Created: b.now, Input: []byte(`["` + text + `"]`), Body: []byte(`{"id":"` + id + `"}`)}
	if err := b.Keep(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// story is what a conversation says up to a response.
func (b *bench) story(t *testing.T, id string) string {
	t.Helper()
	thread, err := b.Thread(t.Context(), 1, id)
	if err != nil {
		return fault.From(err).Message
	}
	var said []string
	for _, r := range thread {
		said = append(said, string(r.Input))
	}
	return strings.Join(said, " ")
}

func TestAConversationIsReadFromItsBeginningAlongItsOwnBranch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.keep(t, "a", "", "a", "1")
	b.keep(t, "b", "a", "a", "2")
	b.keep(t, "c", "b", "a", "3")
	b.keep(t, "other", "a", "a", "2 otherwise")
	for id, want := range map[string]string{"a": `["1"]`, "c": `["1"] ["2"] ["3"]`, "other": `["1"] ["2 otherwise"]`, "x": "Response with id 'x' not found."} {
		if got := b.story(t, id); got != want {
			t.Errorf("up to %s: %s, want %s", id, got, want)
		}
	}
	if err := b.Delete(t.Context(), 1, "b"); err != nil {
		t.Fatal(err)
	}
	if got := b.story(t, "c"); got != "Response with id 'b' not found." {
		t.Errorf("with a gap: %s", got)
	}
	if err := b.Delete(t.Context(), 1, "b"); !fault.Is(err, fault.NotFound) {
		t.Errorf("deleting it again: %v", err)
	}
}

func TestAConversationThatGoesInCirclesEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.keep(t, "a", "b", "a", "1")
	b.keep(t, "b", "a", "a", "2")
	if got := b.story(t, "b"); got != "Response with id 'b' not found." {
		t.Errorf("got %s", got)
	}
}

func TestTheDatabaseAloneTellsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.keep(t, "a", "", "a", "my secret")
	row, err := b.db.Kept(t.Context(), 1, "a", b.now)
	if err != nil || bytes.Contains(row.Content, []byte("secret")) || len(row.Input)+len(row.Body) > 0 {
		t.Fatalf("the row says %q, %v", row.Content, err)
	}
	// A row that somebody moved to another key opens for nobody.
	row.KeyID = 2
	if err := b.db.InsertKept(t.Context(), row, 1<<20); err != nil {
		t.Fatal(err)
	}
	if r, err := b.Get(t.Context(), 2, "a"); err == nil {
		t.Errorf("key 2 reads %s", r.Input)
	}
}

func TestTimeAndRoomEndAResponse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.keep(t, "a", "", "a", "1")
	b.now = b.now.Add(50 * time.Minute)
	b.keep(t, "b", "a", "a", "2") // and a lasts as long
	b.now = b.now.Add(50 * time.Minute)
	if got := b.story(t, "b"); got != `["1"] ["2"]` {
		t.Errorf("after 100 minutes: %s", got)
	}
	b.now = b.now.Add(10 * time.Minute)
	if got := b.story(t, "b"); got != "Response with id 'b' not found." {
		t.Errorf("after 110 minutes: %s", got)
	}
	if err := b.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := b.db.DropKept(t.Context(), b.now, 10); n != 0 || err != nil {
		t.Errorf("the sweep left %d, %v", n, err)
	}
	b.rules.PerKey = 100
	err := b.Keep(t.Context(), &kept.Response{KeyID: 1, ID: "big", Root: "big", Created: b.now, Input: []byte("[]"), Body: []byte(`"` + fmt.Sprint(slices.Repeat([]int{12345, 999}, 200)) + `"`)})
	if !fault.Is(err, fault.TooLarge) {
		t.Errorf("what is larger than everything: %v", err)
	}
	b.rules.For = 0
	if b.keep(t, "none", "", "none", "x"); b.On() || b.story(t, "none") != "Response with id 'none' not found." {
		t.Error("it is kept although nothing is")
	}
}
