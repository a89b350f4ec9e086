// Package chaos_test counts the money after everything that can break has been
// broken. It runs real halley processes, one on SQLite or three on a PostgreSQL of
// their own, under a load of streamed and plain requests on keys that are
// nearly used up, and meanwhile kills and pauses processes, stops the database,
// cuts its connections, moves clocks, fills disks; its clients hang up and its
// upstream stalls, breaks off and lies. In the end what the clients saw
// (client_test.go) and what the upstream kept on its own account of what it
// served (upstream_test.go) are held against what was charged (judge_test.go).
// It knows Halley by its published contract and the tables of its ledger, and
// imports nothing that it judges.
//
// The short version runs with all other tests, the full one with make chaos. A
// failure names its seed; the same seed draws the same faults in the same order.
package chaos_test

import (
	"flag"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"halley/test/harness"
)

var (
	duration = flag.Duration("chaos.duration", 0, "how long the nodes on PostgreSQL are under load, at most an hour; 0 is the short version")
	seed     = flag.Uint64("chaos.seed", 0, "what the faults and the load are drawn from; 0 is a new one each time")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	// A server whose clock can be moved.
	os.Exit(harness.Main(m, "-tags", "chaos"))
}

// lengths are how long each part takes.
type lengths struct{ sqlite, postgres, away time.Duration }

func planned() lengths {
	if *duration <= 0 {
		return lengths{sqlite: 25 * time.Second, postgres: 50 * time.Second, away: 15 * time.Second}
	}
	d := min(*duration, time.Hour)
	return lengths{sqlite: d / 2, postgres: d, away: time.Minute}
}

// random is a source of its own for each part of a test, so that one does not
// change what another draws.
func random(t testing.TB, part string) *rand.Rand {
	t.Helper()
	t.Logf("to draw the same faults and the same load again: -run '^%s$' -args -chaos.seed=%d", t.Name(), *seed)
	name := fnv.New64()
	_, _ = name.Write([]byte(part)) // never fails
	return rand.New(rand.NewPCG(*seed, name.Sum64()))
}
