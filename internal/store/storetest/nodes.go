package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/store"
)

// RunNodes checks that a database keeps the list of running servers.
func RunNodes(t *testing.T, open func(t *testing.T) *store.DB) {
	db := open(t)
	now := time.UnixMilli(1_766_000_000_123).UTC()
	node := func(id string, seen time.Time) store.Node {
		return store.Node{ID: id, Hostname: "host", Listen: "127.0.0.1:8080", Socket: "halley.sock", Version: "1", Started: now.Add(-time.Hour), Seen: seen}
	}
	put := func(n store.Node) {
		t.Helper()
		if err := db.PutNode(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string, since time.Time, want ...store.Node) {
		t.Helper()
		got, err := db.LiveNodes(t.Context(), since)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	long := time.Unix(1, 0)
	check("at first", long)
	put(node("dead", now.Add(-48*time.Hour)))
	put(node("old", now.Add(-time.Minute)))
	put(node("new", now))
	check("silent for a day", long, node("new", now), node("old", now.Add(-time.Minute)))
	check("recently seen", now.Add(-time.Second), node("new", now))

	moved := node("new", now.Add(time.Second))
	moved.Listen = "127.0.0.1:9090"
	put(moved)
	check("put again", now, moved)

	later := now.Add(2 * time.Second)
	if ok, err := db.Heartbeat(t.Context(), "old", later); !ok || err != nil {
		t.Errorf("heartbeat: %v, %v", ok, err)
	}
	check("after a heartbeat", now, node("old", later), moved)
	if err := db.RemoveNode(t.Context(), "old"); err != nil {
		t.Fatal(err)
	}
	check("after removal", long, moved)
	if ok, err := db.Heartbeat(t.Context(), "old", later); ok || err != nil {
		t.Errorf("heartbeat of a node that is gone: %v, %v", ok, err)
	}
}
