package telemetry

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRequestIDsAreUniqueAndSortByTime(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 10_000 {
		id := NewRequestID()
		if len(id) != 26 || !acceptable(id) || seen[id] {
			t.Fatalf("%q", id)
		}
		seen[id] = true
	}
	var ids []string
	at := time.UnixMilli(1_766_000_000_000)
	for i := range 2000 {
		ids = append(ids, requestID(at.Add(time.Duration(i*i)*time.Millisecond), ^uint64(i), uint64(i)))
	}
	if !slices.IsSorted(ids) {
		t.Error("later ids do not sort later")
	}
}

func TestACallersRequestIDIsKeptWhenItIsHarmless(t *testing.T) {
	t.Parallel()
	for id, kept := range map[string]bool{
		"abc": true, "A-1_b.c:d": true, strings.Repeat("x", 64): true, "7f3c1f2e-0c1b-4a55-9f0e-2b1f6c1f0d11": true,
		"": false, strings.Repeat("x", 65): false, "a b": false, "a\nb": false, "ü": false, "a/b": false, `"`: false, "\x00": false,
		apiKey: false, pat: false, "id-" + apiKey: false,
	} {
		got := RequestID(id)
		if kept && got != id {
			t.Errorf("%q became %q", id, got)
		}
		if !kept && (got == id || len(got) != 26) {
			t.Errorf("%q became %q", id, got)
		}
	}
}

func BenchmarkRequestID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_ = RequestID("")
	}
}
