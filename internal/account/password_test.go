package account

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"halley/internal/fault"
)

// cheap is a hash that costs next to nothing.
var cheap = HashParams{MemoryKiB: 64, Time: 1, Threads: 1}

func TestAHashIsItsPasswordsAlone(t *testing.T) {
	t.Parallel()
	h := newHasher(cheap)
	hash, err := h.hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=64,t=1,p=1$") || strings.Contains(hash, "horse") {
		t.Errorf("the hash is %q", hash)
	}
	for password, want := range map[string]bool{"correct horse": true, "correct hors": false, "": false, "Correct horse": false} {
		ok, stale, err := h.verify(t.Context(), hash, password)
		if ok != want || stale || err != nil {
			t.Errorf("verify %q: %v, stale %v, %v", password, ok, stale, err)
		}
	}
	again, err := h.hash(t.Context(), "correct horse")
	if err != nil || again == hash {
		t.Errorf("the same password hashed twice gives the same hash: no salt (%v)", err)
	}
}

func TestNobodysHashIsCheckedLikeAnyOther(t *testing.T) {
	t.Parallel()
	h := newHasher(cheap)
	ok, _, err := h.verify(t.Context(), "", "anything")
	if ok || err != nil {
		t.Errorf("verify: %v, %v", ok, err)
	}
	params, _, sum, err := decodeHash(h.decoy)
	if err != nil || params != cheap || len(sum) != hashBytes {
		t.Errorf("the decoy costs %+v for %d bytes (%v): unlike a real hash", params, len(sum), err)
	}
}

func TestOldParametersAreNoticed(t *testing.T) {
	t.Parallel()
	old, err := newHasher(cheap).hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	ok, stale, err := newHasher(HashParams{MemoryKiB: 128, Time: 1, Threads: 1}).verify(t.Context(), old, "correct horse")
	if !ok || !stale || err != nil {
		t.Errorf("verify: %v, stale %v, %v", ok, stale, err)
	}
}

func TestHashesThatHalleyDidNotWriteAreRefused(t *testing.T) {
	t.Parallel()
	good := encodeHash(cheap, make([]byte, 16), make([]byte, 32))
	for name, hash := range map[string]string{
		"empty":            " ",
		"bcrypt":           "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
		"argon2i":          strings.Replace(good, "argon2id", "argon2i", 1),
		"another version":  strings.Replace(good, "v=19", "v=16", 1),
		"a terabyte":       strings.Replace(good, "m=64", "m=1073741824", 1),
		"a billion passes": strings.Replace(good, "t=1", "t=1000000000", 1),
		"no passes":        strings.Replace(good, "t=1", "t=0", 1),
		"no threads":       strings.Replace(good, "p=1", "p=0", 1),
		"a sign":           strings.Replace(good, "t=1", "t=+1", 1),
		"another order":    strings.Replace(good, "m=64,t=1", "t=1,m=64", 1),
		"more after it":    good + "$x",
		"no hash":          good[:strings.LastIndexByte(good, '$')+1],
		"not base64":       good[:len(good)-2] + "!!",
	} {
		if _, _, err := newHasher(cheap).verify(t.Context(), hash, "x"); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func FuzzDecodeHash(f *testing.F) {
	f.Add(encodeHash(cheap, make([]byte, 16), make([]byte, 32)))
	f.Add("$argon2id$v=19$m=1,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$$$$$")
	f.Fuzz(func(t *testing.T, s string) {
		p, salt, sum, err := decodeHash(s)
		if err != nil {
			return
		}
		if p.MemoryKiB > 1<<20 || p.Time > 100 || p.Threads == 0 || len(sum) > 128 {
			t.Errorf("%q would cost %+v", s, p)
		}
		if p2, salt2, sum2, err := decodeHash(encodeHash(p, salt, sum)); err != nil || p2 != p || string(salt2) != string(salt) || string(sum2) != string(sum) {
			t.Errorf("%q does not survive writing and reading: %v", s, err)
		}
	})
}

func TestAFloodOfLoginsIsTurnedAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(cheap)
		if cap(h.slots) > maxHashers || cap(h.slots) > max(1, runtime.GOMAXPROCS(0)) {
			t.Fatalf("%d hashes at once", cap(h.slots))
		}
		for range cap(h.slots) {
			h.slots <- struct{}{} // every hasher is busy
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range maxWaiting {
			wg.Go(func() {
				if _, err := h.hash(ctx, "x"); err != context.Canceled {
					t.Errorf("got %v", err)
				}
			})
		}
		synctest.Wait()
		if _, err := h.hash(ctx, "x"); !fault.Is(err, fault.RateLimited) || fault.From(err).RetryAfter <= 0 {
			t.Errorf("one more got %v", err)
		}
		cancel()
		wg.Wait()
		for range cap(h.slots) {
			h.leave()
		}
		if _, err := h.hash(t.Context(), "x"); err != nil {
			t.Errorf("after the flood: %v", err)
		}
	})
}
