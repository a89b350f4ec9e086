// Package tokenfmt is the shape of Halley's own credentials: a prefix, random
// base62 characters, and a checksum with which secret scanners and people can
// tell a real one from a look-alike offline. It knows no credential in
// particular and keeps none.
package tokenfmt

import (
	"crypto/rand"
	"hash/crc32"
	"strings"
)

// ChecksumLen is the length of a checksum, in characters.
const ChecksumLen = 6

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// New makes prefix + n random base62 characters + checksum.
func New(prefix string, n int) string {
	var b strings.Builder
	b.Grow(len(prefix) + n + ChecksumLen)
	b.WriteString(prefix)
	for b.Len() < len(prefix)+n {
		var raw [64]byte
		_, _ = rand.Read(raw[:]) // never fails: the runtime ends the program instead
		for _, r := range raw {
			// 248 = 4 × 62: bytes above it would favour some characters.
			if r < 248 && b.Len() < len(prefix)+n {
				b.WriteByte(alphabet[r%62])
			}
		}
	}
	b.WriteString(Checksum(b.String()))
	return b.String()
}

// Checksum is the IEEE CRC-32 of text as base62 (0-9A-Za-z), padded with 0 on
// the left to 6 characters.
func Checksum(text string) string {
	sum := crc32.ChecksumIEEE([]byte(text))
	var out [ChecksumLen]byte
	for i := ChecksumLen - 1; i >= 0; i-- {
		out[i] = alphabet[sum%62]
		sum /= 62
	}
	return string(out[:])
}

// ChecksumOK reports whether the last 6 characters of value are the checksum of
// what precedes them.
func ChecksumOK(value string) bool {
	cut := len(value) - ChecksumLen
	return cut > 0 && Checksum(value[:cut]) == value[cut:]
}

// Shaped reports whether value is prefix and then exactly n random characters
// and a checksum, right or wrong.
func Shaped(value, prefix string, n int) bool {
	rest, ok := strings.CutPrefix(value, prefix)
	if !ok || len(rest) != n+ChecksumLen {
		return false
	}
	for _, c := range []byte(rest) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
