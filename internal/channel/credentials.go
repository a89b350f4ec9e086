package channel

import (
	"crypto/rand"
	"fmt"
	"strings"
)

// Sealer encrypts what must not be readable in the database. aad binds a sealed
// text to its place: it opens only with the same.
type Sealer interface {
	Seal(plain, aad []byte) []byte
	Open(sealed, aad []byte) ([]byte, error)
}

// replaceCredentials makes the pool that values ask for. A value that is in old
// keeps its credential; so does one that reads as an old one is shown, its last
// characters, which lets a caller send back what it read. Doubles are dropped.
func replaceCredentials(kind Kind, old []Credential, values []string, sealer Sealer) ([]Credential, error) {
	if len(values) > MaxCredentials {
		return nil, invalid("keys", "invalid_keys", "keys must be at most %d, there are %d.", MaxCredentials, len(values))
	}
	pool := make([]Credential, 0, len(values))
	for i, value := range values {
		value = compactKey(kind, strings.TrimSpace(value))
		if err := checkCredential(i, value); err != nil {
			return nil, err
		}
		if find(pool, func(c Credential) bool { return c.Value == value }) >= 0 {
			continue
		}
		kept := find(old, func(c Credential) bool { return c.Value == value })
		if kept < 0 {
			kept = find(old, func(c Credential) bool {
				return c.Last4 == value && find(pool, func(p Credential) bool { return p.ID == c.ID }) < 0
			})
		}
		if kept >= 0 {
			if find(pool, func(p Credential) bool { return p.ID == old[kept].ID }) < 0 {
				pool = append(pool, old[kept])
			}
			continue
		}
		pool = append(pool, newCredential(value, sealer))
	}
	return pool, nil
}

func find(list []Credential, wanted func(Credential) bool) int {
	for i, c := range list {
		if wanted(c) {
			return i
		}
	}
	return -1
}

func newCredential(value string, sealer Sealer) Credential {
	c := Credential{ID: rand.Text(), Value: value, Last4: shownOf(value)}
	c.Sealed = sealer.Seal([]byte(value), c.aad())
	return c
}

// open gives the credentials with their values.
func open(list []Credential, sealer Sealer) ([]Credential, error) {
	opened := make([]Credential, len(list))
	for i, c := range list {
		value, err := sealer.Open(c.Sealed, c.aad())
		if err != nil {
			return nil, fmt.Errorf("open upstream key …%s (is this the master key it was sealed with?): %w", c.Last4, err)
		}
		c.Value = string(value)
		opened[i] = c
	}
	return opened, nil
}

func (c Credential) aad() []byte { return []byte("channel credential " + c.ID) }

// last4 is what a value may be recognized by: its last 4 characters, and never
// more than half of it.
func last4(value string) string { return value[len(value)-min(4, len(value)/2):] }
