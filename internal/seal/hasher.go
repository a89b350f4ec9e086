package seal

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
)

// Hash is a look-up hash. Without the master key it can neither be made nor
// be guessed at.
type Hash = [sha256.Size]byte

// Hasher makes look-up hashes of one purpose. It is safe for concurrent use.
type Hasher struct{ pool sync.Pool }

// hashing is one computation's state, reused so that a look-up allocates
// nothing.
type hashing struct {
	mac hash.Hash
	in  []byte
	out []byte
}

// Hasher is the hasher of a purpose, such as "key look-up".
func (m *Master) Hasher(purpose string) *Hasher {
	pepper := m.subkey("hash: " + purpose)
	h := &Hasher{}
	h.pool.New = func() any { return &hashing{mac: hmac.New(sha256.New, pepper)} }
	return h
}

// Sum is HMAC-SHA-256 of value under the purpose's pepper.
func (h *Hasher) Sum(value string) Hash {
	s := h.pool.Get().(*hashing)
	s.mac.Reset()
	s.in = append(s.in[:0], value...)
	_, _ = s.mac.Write(s.in) // a hash never fails
	s.out = s.mac.Sum(s.out[:0])
	sum := Hash(s.out)
	clear(s.in) // values do not linger in the pool
	h.pool.Put(s)
	return sum
}
