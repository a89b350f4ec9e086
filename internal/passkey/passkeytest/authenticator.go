// Package passkeytest is an authenticator and the browser around it, in software:
// it makes keys, signs and writes CBOR as a real one does, and does what a test
// wants it to do wrong.
package passkeytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"slices"
	"testing"
)

// Authenticator holds passkeys, all of them discoverable.
type Authenticator struct {
	Origin   string // of the page that the browser shows
	Verifies bool   // its user, by a fingerprint or a PIN
	Counts   bool   // its signatures
	keys     []*passkey
}

type passkey struct {
	id      []byte
	site    string
	handle  []byte
	private *ecdsa.PrivateKey
	count   uint32
}

// The flags of authenticator data.
const (
	present  = 0x01
	verified = 0x04
	attested = 0x40
)

type creationOptions struct {
	Challenge string
	RP        struct{ ID string }
	User      struct{ ID string }
	Exclude   []struct{ ID string } `json:"excludeCredentials"`
}

type requestOptions struct {
	Challenge string
	RPID      string                `json:"rpId"`
	Allow     []struct{ ID string } `json:"allowCredentials"`
}

// Clone is another authenticator with the same keys and counts.
func (a *Authenticator) Clone() *Authenticator {
	c := *a
	c.keys = nil
	for _, k := range a.keys {
		other := *k
		c.keys = append(c.keys, &other)
	}
	return &c
}

// Create answers navigator.credentials.create; nil when the authenticator has a
// key that the options exclude.
func (a *Authenticator) Create(t testing.TB, options []byte) json.RawMessage {
	t.Helper()
	var o creationOptions
	if err := json.Unmarshal(options, &o); err != nil {
		t.Fatalf("creation options: %v\n%s", err, options)
	}
	for _, excluded := range o.Exclude {
		if slices.ContainsFunc(a.keys, func(k *passkey) bool { return encode(k.id) == excluded.ID }) {
			return nil
		}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k := &passkey{id: random(t, 32), site: o.RP.ID, handle: decode(t, o.User.ID), private: private}
	a.keys = append(a.keys, k)

	data := a.data(k, attested)
	data = append(data, make([]byte, 16)...) // no model
	data = binary.BigEndian.AppendUint16(data, uint16(len(k.id)))
	data = append(append(data, k.id...), k.cose(t)...)
	object := append([]byte{0xa3}, text("fmt")...)
	object = append(append(object, text("none")...), text("attStmt")...)
	object = append(append(object, 0xa0), text("authData")...)
	object = append(object, blob(data)...)
	return answer(t, k, map[string]any{
		"clientDataJSON": encode(a.client(t, "webauthn.create", o.Challenge)), "attestationObject": encode(object), "transports": []string{"internal"},
	})
}

// Get answers navigator.credentials.get, with the newest key that fits; nil when
// there is none.
func (a *Authenticator) Get(t testing.TB, options []byte) json.RawMessage {
	t.Helper()
	var o requestOptions
	if err := json.Unmarshal(options, &o); err != nil {
		t.Fatalf("request options: %v\n%s", err, options)
	}
	for _, k := range slices.Backward(a.keys) {
		allowed := len(o.Allow) == 0 || slices.ContainsFunc(o.Allow, func(c struct{ ID string }) bool { return c.ID == encode(k.id) })
		if k.site != o.RPID || !allowed {
			continue
		}
		if a.Counts {
			k.count++
		}
		data, client := a.data(k, 0), a.client(t, "webauthn.get", o.Challenge)
		hash := sha256.Sum256(client)
		sum := sha256.Sum256(append(slices.Clone(data), hash[:]...))
		signature, err := ecdsa.SignASN1(rand.Reader, k.private, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return answer(t, k, map[string]any{
			"clientDataJSON": encode(client), "authenticatorData": encode(data), "signature": encode(signature), "userHandle": encode(k.handle),
		})
	}
	return nil
}

// data is authenticator data without a key.
func (a *Authenticator) data(k *passkey, flags byte) []byte {
	if a.Verifies {
		flags |= verified
	}
	site := sha256.Sum256([]byte(k.site))
	return binary.BigEndian.AppendUint32(append(site[:], flags|present), k.count)
}

func (a *Authenticator) client(t testing.TB, kind, challenge string) []byte {
	t.Helper()
	return marshal(t, map[string]any{"type": kind, "challenge": challenge, "origin": a.Origin, "crossOrigin": false})
}

func answer(t testing.TB, k *passkey, response map[string]any) json.RawMessage {
	t.Helper()
	return marshal(t, map[string]any{"id": encode(k.id), "rawId": encode(k.id), "type": "public-key", "clientExtensionResults": map[string]any{}, "response": response})
}

// cose is the public key as a COSE map: EC2, ES256, P-256.
func (k *passkey) cose(t testing.TB) []byte {
	t.Helper()
	point, err := k.private.PublicKey.Bytes() // 4, x, y
	if err != nil {
		t.Fatal(err)
	}
	out := []byte{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21}
	out = append(out, blob(point[1:33])...)
	return append(append(out, 0x22), blob(point[33:])...)
}

// text is a short CBOR text.
func text(s string) []byte { return append([]byte{0x60 | byte(len(s))}, s...) }

// blob is a CBOR byte string.
func blob(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0x59}, uint16(len(b))), b...)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decode(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return b
}

func random(t testing.TB, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
