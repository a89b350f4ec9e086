package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"

	"halley/internal/fault"
)

// HashParams is the cost of one argon2id hash.
type HashParams struct {
	MemoryKiB uint32
	Time      uint32
	Threads   uint8
}

// DefaultHash is the one of OWASP's equally strong settings for argon2id that
// needs the least memory: 7 MiB and five passes, some 35 ms on a small server.
// With the 19 MiB that are more often seen, a handful of logins doubled the
// peak memory of a gateway that is otherwise measured in tens of megabytes.
// Change it freely: a password is hashed anew at its next login.
func DefaultHash() HashParams { return HashParams{MemoryKiB: 7 * 1024, Time: 5, Threads: 1} }

const (
	saltBytes = 16
	hashBytes = 32
	// maxHashers bounds the memory of hashing: 4 × 7 MiB at a time.
	maxHashers = 4
	// maxWaiting bounds the requests that wait for a hasher, some seconds' work.
	maxWaiting = 256
)

// hasher makes and checks password hashes, a few at a time.
type hasher struct {
	params  HashParams
	decoy   string // a hash that no password has
	slots   chan struct{}
	waiting atomic.Int64
}

func newHasher(p HashParams) *hasher {
	if p == (HashParams{}) {
		p = DefaultHash()
	}
	return &hasher{
		params: p,
		decoy:  encodeHash(p, randomBytes(saltBytes), randomBytes(hashBytes)),
		slots:  make(chan struct{}, max(1, min(maxHashers, runtime.GOMAXPROCS(0)))),
	}
}

// hash is the password's hash in PHC string format.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	salt := randomBytes(saltBytes)
	sum := argon2.IDKey([]byte(password), salt, h.params.Time, h.params.MemoryKiB, h.params.Threads, hashBytes)
	return encodeHash(h.params, salt, sum), nil
}

// verify reports whether the hash is the password's, and whether it was made
// with other parameters than today's. The comparison takes constant time, and
// an empty hash (nobody by that name) the same time as a real one.
func (h *hasher) verify(ctx context.Context, hash, password string) (ok, stale bool, err error) {
	if hash == "" {
		hash = h.decoy
	}
	params, salt, want, err := decodeHash(hash)
	if err != nil {
		return false, false, err
	}
	if err := h.enter(ctx); err != nil {
		return false, false, err
	}
	defer h.leave()
	sum := argon2.IDKey([]byte(password), salt, params.Time, params.MemoryKiB, params.Threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(sum, want) == 1, params != h.params || len(want) != hashBytes || len(salt) != saltBytes, nil
}

// enter waits for a free hasher.
func (h *hasher) enter(ctx context.Context) error {
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > maxWaiting {
		return fault.New(fault.RateLimited, "too_many_attempts", "Too many people are signing in at the same moment; try again shortly.").Retry(2 * time.Second)
	}
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *hasher) leave() { <-h.slots }

func encodeHash(p HashParams, salt, sum []byte) string {
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.MemoryKiB, p.Time, p.Threads, enc.EncodeToString(salt), enc.EncodeToString(sum))
}

var errHashFormat = errors.New("the stored password hash is not argon2id in PHC string format")

// decodeHash reads what encodeHash wrote. Costs beyond 1 GiB or 100 passes are
// refused: no release of Halley wrote them, and working them off would stop the
// node.
func decodeHash(s string) (p HashParams, salt, sum []byte, err error) {
	fail := func() (HashParams, []byte, []byte, error) { return HashParams{}, nil, nil, errHashFormat }
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return fail()
	}
	costs := strings.Split(parts[3], ",")
	if len(costs) != 3 {
		return fail()
	}
	var numbers [3]uint64
	for i, cost := range []struct {
		name string
		max  uint64
	}{{"m=", 1 << 20}, {"t=", 100}, {"p=", 64}} {
		text, named := strings.CutPrefix(costs[i], cost.name)
		n, err := strconv.ParseUint(text, 10, 32)
		if !named || err != nil || n == 0 || n > cost.max {
			return fail()
		}
		numbers[i] = n
	}
	enc := base64.RawStdEncoding.Strict()
	salt, saltErr := enc.DecodeString(parts[4])
	sum, sumErr := enc.DecodeString(parts[5])
	if saltErr != nil || sumErr != nil || len(salt) < 8 || len(sum) < 16 || len(sum) > 128 {
		return fail()
	}
	return HashParams{MemoryKiB: uint32(numbers[0]), Time: uint32(numbers[1]), Threads: uint8(numbers[2])}, salt, sum, nil
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: it ends the process rather than answer
	return b
}
