// Package oidctest is an identity provider in a test's process: discovery, keys,
// an authorization endpoint that asks nobody, and tokens with real signatures. It
// can be told to do things wrong.
package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Client is who the provider knows.
const (
	ClientID     = "halley"
	ClientSecret = "canary-client-secret"
)

// Provider is the identity provider.
type Provider struct {
	URL string // the issuer

	mu      sync.Mutex
	claims  map[string]any // of who is signed in there
	codes   map[string]grant
	ec      *ecdsa.PrivateKey // published
	signing *ecdsa.PrivateKey
	rsa     *rsa.PrivateKey
	alg     string
	spoil   func(header, claims map[string]any)
	info    map[string]any // what userinfo says, nil for no such endpoint
}

type grant struct {
	nonce, challenge, redirect string
	claims                     map[string]any
}

// New starts a provider that signs with alg, ES256 or RS256.
func New(t testing.TB, alg string) *Provider {
	t.Helper()
	p := &Provider{codes: map[string]grant{}, alg: alg}
	var err error
	if p.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	p.signing = p.ec
	if p.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /userinfo", p.userinfo)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// SignedIn says who sits in front of the browser.
func (p *Provider) SignedIn(claims map[string]any) { p.set(func() { p.claims = claims }) }

// Spoil changes tokens before they are signed; nil stops that.
func (p *Provider) Spoil(f func(header, claims map[string]any)) { p.set(func() { p.spoil = f }) }

// Info is what the provider says when it is asked for more.
func (p *Provider) Info(claims map[string]any) { p.set(func() { p.info = claims }) }

// OtherKeys has the provider sign with a key that it does not publish.
func (p *Provider) OtherKeys(t testing.TB) {
	t.Helper()
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p.set(func() { p.signing = other })
}

func (p *Provider) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// Visit follows a browser to the authorization endpoint and gives the address
// that it is sent back to.
func (p *Provider) Visit(t testing.TB, authURL string) *url.URL {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get(authURL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	back, err := resp.Location()
	if err != nil {
		t.Fatalf("%s answered %s", authURL, resp.Status)
	}
	return back
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	doc := map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"id_token_signing_alg_values_supported": []string{p.alg}, "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
	}
	p.set(func() {
		if p.info != nil {
			doc["userinfo_endpoint"] = p.URL + "/userinfo"
		}
	})
	write(w, doc)
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	x, y := make([]byte, 32), make([]byte, 32)
	point, err := p.ec.PublicKey.Bytes()
	if err != nil {
		http.Error(w, err.Error(), 500)
		return
	}
	copy(x, point[1:33])
	copy(y, point[33:])
	write(w, map[string]any{"keys": []map[string]any{
		{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "ec", "x": encode(x), "y": encode(y)},
		{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "rsa", "n": encode(p.rsa.N.Bytes()), "e": encode(big.NewInt(int64(p.rsa.E)).Bytes())},
	}})
}

func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != ClientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("state") == "" || q.Get("nonce") == "" {
		http.Error(w, "not a request of ours: "+r.URL.RawQuery, http.StatusBadRequest)
		return
	}
	code := rand.Text()
	p.set(func() {
		p.codes[code] = grant{q.Get("nonce"), q.Get("code_challenge"), q.Get("redirect_uri"), p.claims}
	})
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g, ok := p.codes[r.FormValue("code")]
	delete(p.codes, r.FormValue("code"))
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.FormValue("client_id"), r.FormValue("client_secret")
	}
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if !ok || id != ClientID || secret != ClientSecret || encode(sum[:]) != g.challenge || r.FormValue("redirect_uri") != g.redirect {
		w.WriteHeader(http.StatusBadRequest)
		write(w, map[string]any{"error": "invalid_grant"})
		return
	}
	claims := map[string]any{"iss": p.URL, "aud": ClientID, "nonce": g.nonce, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	for k, v := range g.claims {
		claims[k] = v
	}
	header := map[string]any{"alg": p.alg, "typ": "JWT", "kid": map[string]string{"ES256": "ec", "RS256": "rsa"}[p.alg]}
	if p.spoil != nil {
		p.spoil(header, claims)
	}
	token, err := p.sign(header, claims)
	if err != nil {
		http.Error(w, err.Error(), 500)
		return
	}
	write(w, map[string]any{"access_token": "access", "token_type": "Bearer", "expires_in": 60, "id_token": token})
}

func (p *Provider) userinfo(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	write(w, p.info)
}

func (p *Provider) sign(header, claims map[string]any) (string, error) {
	h, err := json.Marshal(header)
	if err != nil {
		return "", err
	}
	c, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	text := encode(h) + "." + encode(c)
	sum := sha256.Sum256([]byte(text))
	switch header["alg"] {
	case "RS256":
		signature, err := rsa.SignPKCS1v15(rand.Reader, p.rsa, crypto.SHA256, sum[:])
		return text + "." + encode(signature), err
	case "ES256":
		r, s, err := ecdsa.Sign(rand.Reader, p.signing, sum[:])
		if err != nil {
			return "", err
		}
		signature := make([]byte, 64)
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
		return text + "." + encode(signature), nil
	case "none":
		return text + ".", nil
	}
	return "", fmt.Errorf("no such algorithm: %v", header["alg"])
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
