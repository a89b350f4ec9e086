//go:build !race

package seal_test

import "testing"

// The race detector makes sync.Pool forget on purpose, so this is pinned
// without it.
func TestHashingAllocatesNothing(t *testing.T) {
	h := master(t, 1).Hasher("keys")
	if n := testing.AllocsPerRun(1000, func() { h.Sum("sk-hly0123456789012345678901234567890123456789ab") }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkSum(b *testing.B) {
	h := master(b, 1).Hasher("keys")
	b.ReportAllocs()
	for b.Loop() {
		h.Sum("sk-hly0123456789012345678901234567890123456789ab")
	}
}
