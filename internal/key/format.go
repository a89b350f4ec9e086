package key

import (
	"strings"

	"halley/internal/tokenfmt"
)

// The value of a key of ours: Prefix, 39 random base62 characters, 6 of
// checksum.
const (
	Prefix    = "sk-hly"
	randomLen = 39
	scheme    = "sk-"
)

// MaxValue is the length of the longest value a key can have, in bytes. Longer
// ones are refused unread.
const MaxValue = 256

// NewValue makes the value of a new key.
func NewValue() string { return tokenfmt.New(Prefix, randomLen) }

// Shape is what a value looks like, without asking anybody.
type Shape uint8

// The shapes.
const (
	Foreign     Shape = iota // not made here; imported keys look like anything
	Ours                     // made by Halley, checksum right
	BadChecksum              // made by Halley and changed since, or a look-alike
)

// Check tells the shape of a value, with or without its "sk-".
func Check(value string) Shape {
	value = scheme + canonical(value)
	switch {
	case !tokenfmt.Shaped(value, Prefix, randomLen):
		return Foreign
	case !tokenfmt.ChecksumOK(value):
		return BadChecksum
	}
	return Ours
}

// canonical is the form that is hashed: both "sk-abc" and "abc" authenticate
// the key "sk-abc".
func canonical(value string) string { return strings.TrimPrefix(value, scheme) }

// Mask shows which key a value belongs to without giving it away: sk-hly…last4.
func Mask(shape Shape, last4 string) string {
	if shape == Foreign {
		return scheme + "…" + last4
	}
	return Prefix + "…" + last4
}

// last4 is a value's last four characters.
func last4(value string) string { return value[max(0, len(value)-4):] }
