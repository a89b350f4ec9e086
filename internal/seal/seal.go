// Package seal keeps secrets: the master key and where it lives, the sub-keys
// made from it, sealing (AES-256-GCM) of values that must be read again, and
// hashing (HMAC-SHA-256) of values that must only be recognised. It must not
// know what it seals.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
)

// KeySize is the length of the master key and of every sub-key, in bytes.
const KeySize = 32

// Master is the secret that everything sealed and every look-up hash depends
// on. It is never written anywhere but its own file, and prints as a
// placeholder.
type Master struct{ secret [KeySize]byte }

// ParseMaster reads 32 bytes of base64, standard or URL alphabet, padded or
// not, blanks around it ignored. The error never repeats the text.
func ParseMaster(text string) (*Master, error) {
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(strings.TrimSpace(text), "="))
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("the master key is not base64; make one with: head -c 32 /dev/urandom | base64")
	}
	if len(raw) != KeySize {
		return nil, fmt.Errorf("the master key has %d bytes, it must have %d; make one with: head -c 32 /dev/urandom | base64", len(raw), KeySize)
	}
	m := new(Master)
	copy(m.secret[:], raw)
	return m, nil
}

// Format keeps the secret out of whatever prints the value.
func (*Master) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[master key]") }

// subkey is the key of one purpose; knowing it gives away no other.
func (m *Master) subkey(purpose string) []byte {
	key, err := hkdf.Key(sha256.New, m.secret[:], nil, "halley "+purpose, KeySize)
	if err != nil {
		panic("seal: " + err.Error()) // only for lengths that hkdf cannot give
	}
	return key
}

// Box seals and opens values of one purpose. It is safe for concurrent use.
type Box struct{ aead cipher.AEAD }

// Box is the box of a purpose, such as "key value".
func (m *Master) Box(purpose string) *Box {
	block, err := aes.NewCipher(m.subkey("box: " + purpose))
	if err != nil {
		panic("seal: " + err.Error()) // only for a wrong key size
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("seal: " + err.Error())
	}
	return &Box{aead}
}

// version1 is AES-256-GCM: version byte, 12 bytes of random nonce, ciphertext,
// 16 bytes of tag.
const version1 = 1

// ErrOpen is what every sealed text that cannot be opened gives: cut, changed,
// sealed under another master key or purpose, or bound to something else.
var ErrOpen = errors.New("the sealed value cannot be opened: wrong master key or damaged data")

// Seal encrypts plaintext. aad is not encrypted but must be the same at Open;
// it binds the text to the record it belongs to.
func (b *Box) Seal(plaintext, aad []byte) []byte {
	sealed := make([]byte, 1, 1+b.aead.Overhead()+len(plaintext))
	sealed[0] = version1
	return b.aead.Seal(sealed, nil, plaintext, bind(aad))
}

// Open decrypts what Seal made; anything else is ErrOpen.
func (b *Box) Open(sealed, aad []byte) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != version1 {
		return nil, ErrOpen
	}
	plaintext, err := b.aead.Open(nil, nil, sealed[1:], bind(aad))
	if err != nil {
		return nil, ErrOpen
	}
	return plaintext, nil
}

// bind makes the version byte part of what is authenticated.
func bind(aad []byte) []byte { return append([]byte{version1}, aad...) }
