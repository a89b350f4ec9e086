//go:build !race

package key_test

import (
	"net/netip"
	"testing"

	"halley/internal/key"
)

// The race detector makes sync.Pool forget on purpose, so these are pinned
// without it.

func TestAWarmAuthenticationAllocatesNothing(t *testing.T) {
	b := newBench(t)
	_, value := b.create(t, key.Patch{})
	ctx := t.Context()
	authenticate := func() {
		if _, err := b.Authenticate(ctx, value); err != nil {
			t.Fatal(err)
		}
	}
	authenticate()
	if n := testing.AllocsPerRun(1000, authenticate); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
	if n := b.store.lookups.Load(); n != 1 {
		t.Errorf("%d look-ups in the store, want 1", n)
	}
}

func TestAdmissionAllocatesNothing(t *testing.T) {
	b := newBench(t)
	_, value := b.create(t, key.Patch{ModelLimitsEnabled: new(true), ModelLimits: new("gpt-4o,gpt-5*,*-mini"), AllowIPs: new("10.0.0.0/8 2001:db8::/32")})
	k, err := b.Authenticate(t.Context(), value)
	if err != nil {
		t.Fatal(err)
	}
	now, addr := b.clock.now(), netip.MustParseAddr("::ffff:10.1.2.3")
	n := testing.AllocsPerRun(1000, func() {
		if key.Admissible(k, k, now) != nil || !k.AllowsIP(addr) || !k.AllowsModel("o4-mini") || k.AllowsModel("claude") || !k.AllowsEndpoint("chat") {
			t.Fatal("refused")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func TestAWarmParentAllocatesNothing(t *testing.T) {
	b := newBench(t)
	parent, _ := b.create(t, key.Patch{})
	_, value := b.child(t, parent, key.Patch{})
	ctx := t.Context()
	ask := func() {
		k, err := b.Authenticate(ctx, value)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Parent(ctx, k); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	b.store.away.Store(true)
	if n := testing.AllocsPerRun(1000, ask); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkAuthenticateWarm(b *testing.B) {
	s := newBench(b)
	_, value := s.create(b, key.Patch{})
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Authenticate(ctx, value); err != nil {
			b.Fatal(err)
		}
	}
}
