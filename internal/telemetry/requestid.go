package telemetry

import (
	"math/rand/v2"
	"time"
)

// NewRequestID makes an id of 26 characters, digits and lower-case letters. Ids
// made later sort later, to the millisecond; the rest is random. An id is not a
// secret and proves nothing.
func NewRequestID() string {
	return requestID(time.Now(), rand.Uint64(), rand.Uint64())
}

// RequestID is the id to use for a request that came with this X-Request-Id:
// the caller's own when it is 1 to 64 characters of A–Z, a–z, 0–9 and ._:- and
// does not look like a credential, else a new one.
func RequestID(inbound string) string {
	if acceptable(inbound) {
		return inbound
	}
	return NewRequestID()
}

func acceptable(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		if c := id[i]; !isWord(c) && c != '.' && c != ':' {
			return false
		}
	}
	return !holdsSecret(id)
}

// requestID writes 48 bits of milliseconds and 80 random bits in Crockford's
// base 32, as a ULID does.
func requestID(at time.Time, high, low uint64) string {
	const digits = "0123456789abcdefghjkmnpqrstvwxyz"
	var id [26]byte
	ms := uint64(at.UnixMilli())
	for i := 9; i >= 0; i-- {
		id[i] = digits[ms&31]
		ms >>= 5
	}
	for i := 17; i >= 10; i-- {
		id[i] = digits[high&31]
		high >>= 5
	}
	for i := 25; i >= 18; i-- {
		id[i] = digits[low&31]
		low >>= 5
	}
	return string(id[:])
}
