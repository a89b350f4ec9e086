package channel

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"halley/internal/fault"
)

// certificate is one in PEM.
func certificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestAProxyIsSealedShownMaskedAndKeptWhenItIsSentBack(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := newBundle(t)
	const proxy = "http://me:pass-word-9@proxy.example.com:3128"
	c := b.create(t, merged(valid(), Change{ProxyURL: new(proxy)}))
	if shown := c.Network.Proxy.Shown(); shown != "http://***@proxy.example.com:3128" {
		t.Errorf("shown as %s", shown)
	}
	for _, printed := range []string{fmt.Sprintf("%v %+v %#v", c, c, c), fmt.Sprintf("%v", c.Network), string(b.store.rows[c.ID].Network.Proxy.Sealed)} {
		if strings.Contains(printed, "pass-word-9") {
			t.Errorf("the password is in %s", printed)
		}
	}
	again, err := b.Update(ctx, c.ID, Change{ProxyURL: new(c.Network.Proxy.Shown()), Tag: new("x")}, nil)
	if err != nil || again.Network.Proxy.URL != proxy {
		t.Errorf("sent back: %v, %v", again, err)
	}
	if err := b.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	if read, _ := b.Get(c.ID); read.Network.Proxy.URL != proxy {
		t.Errorf("after a reload it is %q", read.Network.Proxy.URL)
	}
	if text := string(c.Masked([]byte("proxy said pass-word-9"))); text != "proxy said [redacted]" {
		t.Errorf("masked to %q", text)
	}
	gone, err := b.Update(ctx, c.ID, Change{ProxyURL: new("")}, nil)
	if err != nil || !gone.Network.Direct() || len(gone.Network.Proxy.Sealed) != 0 {
		t.Errorf("taken away: %v, %v", gone, err)
	}
}

func TestAProxyThatCannotBeOpenedIsSaidAndCanBeMended(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	c := b.create(t, merged(valid(), Change{ProxyURL: new("http://proxy.example.com")}))
	b.store.rows[c.ID].Network.Proxy.Sealed = []byte("of another master key")
	if err := b.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "master key") {
		t.Errorf("reload: %v", err)
	}
	if _, err := b.Update(t.Context(), c.ID, Change{Tag: new("x")}, nil); err == nil {
		t.Error("changed without being opened")
	}
	if mended, err := b.Update(t.Context(), c.ID, Change{ProxyURL: new("")}, nil); err != nil || !mended.Network.Direct() {
		t.Errorf("mended: %v, %v", mended, err)
	}
}

func TestCertificatesAreReadWhenTheyAreSaved(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	two := certificate(t) + "\n" + certificate(t)
	c := b.create(t, merged(valid(), Change{CAPEM: new("  " + two)}))
	if c.Network.CAPEM != strings.TrimSpace(two) || c.Network.Direct() {
		t.Errorf("kept as %q", c.Network.CAPEM)
	}
	for text, want := range map[string]string{
		two + "\nand more": "entry 2",
		two + "\n-----BEGIN EC PRIVATE KEY-----\naGVsbG8=\n-----END EC PRIVATE KEY-----\n": "entry 3 is a EC PRIVATE KEY",
		strings.Repeat("x", MaxCAPEM+1): "at most",
	} {
		if _, err := b.Update(t.Context(), c.ID, Change{CAPEM: &text}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("err = %v, want %q", err, want)
		}
	}
}

// Upstream keys can be written and not read. Whoever may edit a channel must not
// get to see them by having them sent to a server of their own.
func TestKeptKeysAreNotShownToSomebodyNew(t *testing.T) {
	t.Parallel()
	const key, application = "sk-the-real-key-1234", "entra:tenant:client:the-secret-5678"
	ca := certificate(t)
	for _, row := range []struct {
		name   string
		before Change
		change Change
		names  string // who would see them; "" is fine
	}{
		{"another host", Change{}, Change{BaseURL: new("https://evil.example.com/v1")}, "https://evil.example.com:443"},
		{"another host, keys by their ends", Change{}, Change{BaseURL: new("https://evil.example.com/v1"), Keys: new([]string{"1234"})}, "https://evil.example.com:443"},
		{"another host, keys in full", Change{}, Change{BaseURL: new("https://other.example.com/v1"), Keys: new([]string{key})}, ""},
		{"another host, other keys", Change{}, Change{BaseURL: new("https://other.example.com/v1"), Keys: new([]string{"sk-other-key-9999"})}, ""},
		{"another host, no keys", Change{}, Change{BaseURL: new("https://other.example.com/v1"), Keys: new([]string{})}, ""},
		{"another port", Change{}, Change{BaseURL: new("https://api.example.com:8443/v1")}, "https://api.example.com:8443"},
		{"no TLS any more", Change{}, Change{BaseURL: new("http://api.example.com/v1")}, "http://api.example.com:80"},
		{"another path", Change{}, Change{BaseURL: new("https://api.example.com/v2")}, ""},
		{"the same host, written differently", Change{}, Change{BaseURL: new("https://API.example.com:443/v1")}, ""},
		{"a channel that had no keys", Change{Keys: new([]string{})}, Change{BaseURL: new("https://other.example.com/v1")}, ""},
		{"a proxy before TLS", Change{}, Change{ProxyURL: new("http://proxy.example.com")}, ""},
		{"a proxy that may pose as the upstream", Change{}, Change{ProxyURL: new("http://proxy.example.com"), CAPEM: &ca}, "http://proxy.example.com"},
		{"certificates for a proxy that is there", Change{ProxyURL: new("http://proxy.example.com")}, Change{CAPEM: &ca}, "http://proxy.example.com"},
		{"certificates without a proxy", Change{}, Change{CAPEM: &ca}, ""},
		{"a proxy before an upstream without TLS", Change{BaseURL: new("http://api.example.com/v1")}, Change{ProxyURL: new("http://me:pw@proxy.example.com")}, "http://***@proxy.example.com"},
		{"no proxy any more", Change{ProxyURL: new("http://proxy.example.com"), CAPEM: &ca}, Change{ProxyURL: new("")}, ""},
		{"another name", Change{ProxyURL: new("http://proxy.example.com"), CAPEM: &ca}, Change{Name: new("x")}, ""},
		{"another authority", Change{Kind: new(Azure), Keys: new([]string{application})}, Change{AzureAuthority: new("https://evil.example.com")}, "https://evil.example.com:443"},
		{"another authority, of API keys", Change{Kind: new(Azure)}, Change{AzureAuthority: new("https://evil.example.com")}, ""},
		{"the authority that is meant anyway", Change{Kind: new(Azure), Keys: new([]string{application})}, Change{AzureAuthority: new(AzureAuthority)}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			if row.before.Keys == nil {
				row.before.Keys = new([]string{key})
			}
			c := b.create(t, merged(valid(), row.before))
			_, err := b.Update(t.Context(), c.ID, row.change, nil)
			if row.names == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if f := fault.From(err); f.Kind != fault.Invalid || f.Code != "keys_required" || f.Param != "keys" || !strings.Contains(f.Message, row.names) {
				t.Errorf("err = %v", err)
			}
			if now, _ := b.Get(c.ID); now != c {
				t.Error("a refused change has changed something")
			}
		})
	}
}
