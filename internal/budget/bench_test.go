//go:build unix

package budget_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"

	"halley/internal/budget"
	"halley/internal/money"
)

// What a hold and its settlement cost a warm server, by the keys it has in
// memory. The processor's time is what counts: on a machine that does something
// else, too, the clock on the wall says little.
func BenchmarkHoldAndSettle(b *testing.B) {
	for _, keys := range []int{1, 1000, 100_000} {
		for name, shared := range map[string]bool{"alone": false, "shared": true} {
			b.Run(fmt.Sprintf("%s, %d keys", name, keys), func(b *testing.B) {
				w := newWarm(b, keys, shared)
				b.ReportAllocs()
				start := processorTime(b)
				for b.Loop() {
					w.request(b)
				}
				b.ReportMetric(float64(processorTime(b)-start)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// processorTime is what this process has used so far, in nanoseconds.
func processorTime(b *testing.B) int64 {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return used.Utime.Nano() + used.Stime.Nano()
}

func BenchmarkHoldAndSettleTogether(b *testing.B) {
	l, _ := newLedger(money.Max, money.Max)
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var h budget.Hold
		for pb.Next() {
			if err := l.Hold(ctx, &h, budget.Payers{Key: key.ID, User: user.ID}, 100, nil); err != nil {
				b.Fatal(err)
			}
			l.Landed(budget.Landing{Payers: budget.Payers{Key: key.ID, User: user.ID}, At: h.At(), Charge: h.Settle(50)})
		}
	})
}
