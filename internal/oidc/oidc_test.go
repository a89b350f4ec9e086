package oidc_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"halley/internal/oidc"
	"halley/internal/oidc/oidctest"
)

const verifier = "a-verifier-of-the-right-length-0123456789-abcdef"

// flow goes through the whole of it.
func flow(t *testing.T, c *oidc.Client, p *oidctest.Provider, change func(provider *oidc.Provider, nonce, verifier *string)) (*oidc.Claims, error) {
	t.Helper()
	provider := oidc.Provider{Issuer: p.URL, ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret, Scopes: []string{"profile"}, Callback: "http://localhost/callback"}
	to, err := c.AuthURL(t.Context(), provider, "state", "nonce", verifier)
	if err != nil {
		t.Fatal(err)
	}
	back := p.Visit(t, to)
	if back.Query().Get("state") != "state" || !strings.HasPrefix(back.String(), provider.Callback) {
		t.Fatalf("sent back to %s", back)
	}
	nonce, verifier := "nonce", verifier
	if change != nil {
		change(&provider, &nonce, &verifier)
	}
	return c.Exchange(t.Context(), provider, back.Query().Get("code"), nonce, verifier)
}

func TestAProvidersUserIsLearned(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"ES256", "RS256"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			p := oidctest.New(t, alg)
			p.SignedIn(map[string]any{"sub": "ada-1", "email": "ada@example.com", "email_verified": true, "preferred_username": "ada", "name": "Ada", "groups": []string{"staff", "dev"}, "role": "boss"})
			claims, err := flow(t, oidc.New(http.DefaultTransport, time.Now), p, nil)
			if err != nil {
				t.Fatal(err)
			}
			if claims.Issuer != p.URL || claims.Subject != "ada-1" || claims.Email != "ada@example.com" || !claims.EmailVerified || claims.Username != "ada" || claims.Name != "Ada" {
				t.Errorf("the claims are %+v", claims)
			}
			if strings.Join(claims.Values("groups"), " ") != "staff dev" || strings.Join(claims.Values("role"), " ") != "boss" || claims.Values("none") != nil {
				t.Errorf("the values are %v and %v", claims.Values("groups"), claims.Values("role"))
			}
		})
	}
}

func TestWhatTheTokenLacksIsAskedFor(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, "ES256")
	p.SignedIn(map[string]any{"sub": "ada-1", "preferred_username": "ada"})
	p.Info(map[string]any{"sub": "ada-1", "groups": []string{"staff"}, "preferred_username": "mallory"})
	c := oidc.New(http.DefaultTransport, time.Now)
	claims, err := flow(t, c, p, nil)
	if err != nil || strings.Join(claims.Values("groups"), " ") != "staff" || claims.Username != "ada" {
		t.Errorf("%+v, %v", claims, err)
	}
	p.Info(map[string]any{"sub": "somebody else", "groups": []string{"admins"}})
	if _, err := flow(t, c, p, nil); !errors.Is(err, oidc.ErrRefused) {
		t.Errorf("it told of another user: %v", err)
	}
}

func TestTokensThatAreNotRight(t *testing.T) {
	t.Parallel()
	type M = map[string]any
	for name, spoil := range map[string]func(header, claims map[string]any){
		"unsigned":              func(h, _ map[string]any) { h["alg"] = "none" },
		"another algorithm":     func(h, _ map[string]any) { h["alg"], h["kid"] = "RS256", "rsa" },
		"another issuer":        func(_, c map[string]any) { c["iss"] = "https://evil.example.com" },
		"for another client":    func(_, c map[string]any) { c["aud"] = "other" },
		"for two, by the other": func(_, c map[string]any) { c["aud"], c["azp"] = []string{"halley", "other"}, "other" },
		"expired":               func(_, c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() },
		"another nonce":         func(_, c map[string]any) { c["nonce"] = "x" },
		"no nonce":              func(_, c map[string]any) { delete(c, "nonce") },
		"nobody":                func(_, c map[string]any) { c["sub"] = "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := oidctest.New(t, "ES256")
			p.SignedIn(M{"sub": "ada-1"})
			p.Spoil(spoil)
			if claims, err := flow(t, oidc.New(http.DefaultTransport, time.Now), p, nil); !errors.Is(err, oidc.ErrRefused) {
				t.Errorf("%+v, %v", claims, err)
			}
		})
	}
	p := oidctest.New(t, "ES256")
	p.SignedIn(M{"sub": "ada-1"})
	c := oidc.New(http.DefaultTransport, time.Now)
	for name, change := range map[string]func(p *oidc.Provider, nonce, verifier *string){
		"another browser's nonce":    func(_ *oidc.Provider, nonce, _ *string) { *nonce = "other" },
		"another browser's verifier": func(_ *oidc.Provider, _, v *string) { *v = strings.Repeat("x", 43) },
		"a wrong secret":             func(p *oidc.Provider, _, _ *string) { p.ClientSecret = "wrong" },
		"another callback":           func(p *oidc.Provider, _, _ *string) { p.Callback = "http://localhost/other" },
	} {
		if claims, err := flow(t, c, p, change); !errors.Is(err, oidc.ErrRefused) || strings.Contains(err.Error(), oidctest.ClientSecret) {
			t.Errorf("%s: %+v, %v", name, claims, err)
		}
	}
	p.OtherKeys(t)
	if claims, err := flow(t, c, p, nil); !errors.Is(err, oidc.ErrRefused) {
		t.Errorf("signed with a key that is not published: %+v, %v", claims, err)
	}
}

// Anybody may begin to sign in, as often as they like: a provider that is down is
// not called, nor waited for, by each of them.
func TestAProviderThatIsDownIsAskedNowAndThen(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	p := oidctest.New(t, "ES256")
	var down atomic.Bool
	down.Store(true)
	release := make(chan struct{})
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		if asked.Add(1); down.Load() {
			<-release
			return nil, errors.New("connection refused")
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	clock := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	var ms atomic.Int64
	c := oidc.New(transport, func() time.Time { return clock.Add(time.Duration(ms.Load()) * time.Millisecond) })
	begin := func(ctx context.Context) error {
		_, err := c.AuthURL(ctx, oidc.Provider{Issuer: p.URL}, "s", "n", verifier)
		return err
	}
	leaving, leave := context.WithCancel(t.Context())
	leave() // whoever was first does not wait, and spoils it for nobody
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			ctx := t.Context()
			if i == 0 {
				ctx = leaving
			}
			if err := begin(ctx); err == nil {
				t.Error("a provider that is down was found")
			}
		})
	}
	close(release)
	wg.Wait()
	if err := begin(t.Context()); !errors.Is(err, oidc.ErrUnreachable) || asked.Load() != 1 {
		t.Errorf("asked %d times: %v", asked.Load(), err)
	}
	down.Store(false)
	ms.Add(5000)
	if err := begin(t.Context()); err != nil || asked.Load() != 2 {
		t.Errorf("up again: asked %d times, %v", asked.Load(), err)
	}
	// What it said once is used on when it is down.
	down.Store(true)
	ms.Add(time.Hour.Milliseconds())
	for range 3 {
		if err := begin(t.Context()); err != nil || asked.Load() != 3 {
			t.Errorf("down again: asked %d times, %v", asked.Load(), err)
		}
	}
}

// The secret and the code do not go over a line that others read, whatever a
// provider says of itself, nor is anybody's browser the means to call other
// machines here.
func TestNothingGoesOutWithoutTLS(t *testing.T) {
	t.Parallel()
	const issuer = "https://id.example.com"
	document := `{"issuer":"` + issuer + `","authorization_endpoint":"` + issuer + `/a","token_endpoint":"http://id.example.com/token","jwks_uri":"` + issuer + `/keys"}`
	var plain atomic.Int64
	answer := func(status int, header http.Header, body string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
	c := oidc.New(roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Scheme == "http" {
			plain.Add(1)
			return answer(200, http.Header{"Content-Type": {"application/json"}}, `{}`)
		}
		if r.URL.Host == "moved.example.com" {
			return answer(307, http.Header{"Location": {"http://169.254.169.254/latest/meta-data"}}, "")
		}
		return answer(200, http.Header{"Content-Type": {"application/json"}}, document)
	}), time.Now)
	if _, err := c.Exchange(t.Context(), oidc.Provider{Issuer: issuer, ClientID: "halley", ClientSecret: "secret"}, "code", "nonce", verifier); !errors.Is(err, oidc.ErrUnreachable) {
		t.Errorf("a token endpoint without TLS: %v", err)
	}
	if _, err := c.AuthURL(t.Context(), oidc.Provider{Issuer: "https://moved.example.com"}, "s", "n", verifier); !errors.Is(err, oidc.ErrUnreachable) {
		t.Errorf("sent on to where there is no TLS: %v", err)
	}
	if n := plain.Load(); n != 0 {
		t.Errorf("%d requests went out without TLS", n)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAProviderThatIsNotThere(t *testing.T) {
	t.Parallel()
	c := oidc.New(http.DefaultTransport, time.Now)
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 3 << 10 {
			_, _ = w.Write(make([]byte, 1<<10))
		}
	}))
	t.Cleanup(endless.Close)
	for _, issuer := range []string{"http://127.0.0.1:1", endless.URL} {
		if _, err := c.AuthURL(t.Context(), oidc.Provider{Issuer: issuer}, "s", "n", verifier); !errors.Is(err, oidc.ErrUnreachable) {
			t.Errorf("%s: %v", issuer, err)
		}
	}
}
