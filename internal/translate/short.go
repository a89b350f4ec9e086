package translate

import (
	"crypto/sha256"
	"encoding/hex"
)

// Short is an id that an upstream takes: the id itself, or its SHA-256 in hex,
// 64 characters, when it has more than limit. It is the same wherever the id
// stands; the upstream never says it again, so that nothing has to turn it back.
func Short(id string, limit int) string {
	if len(id) <= limit {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])[:min(limit, 2*len(sum))]
}
