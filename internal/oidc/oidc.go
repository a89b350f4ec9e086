// Package oidc speaks OpenID Connect to identity providers: where a browser is
// sent, and what the code that it brings back says of its user. The code flow
// with PKCE and nonce is the only one. It must not know SQL or what an account is.
package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	library "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"halley/internal/jsonx"
)

// Provider is who is asked, and as whom.
type Provider struct {
	Issuer       string
	ClientID     string
	ClientSecret string // "" for a client without one
	Scopes       []string
	Callback     string // where browsers come back to
}

// Claims are what a provider says of a user.
type Claims struct {
	Issuer        string
	Subject       string
	Email         string
	EmailVerified bool
	Name          string
	Username      string
	All           map[string]any
}

// What comes back from Exchange when it is nobody's fault here.
var (
	ErrRefused     = errors.New("the identity provider's answer is not right")
	ErrUnreachable = errors.New("the identity provider does not answer as it should")
)

const (
	callTimeout  = 10 * time.Second
	maxAnswer    = 1 << 20 // bytes
	metadataLife = time.Hour
	failureLife  = 5 * time.Second // how long a provider that does not answer is not asked again
	maxSubject   = 255             // bytes, as the specification says
)

// ThisMachine reports whether a host is the one that asks, where TLS adds nothing.
func ThisMachine(host string) bool {
	return slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, host)
}

// Client asks providers, and remembers what they say of themselves.
type Client struct {
	http *http.Client
	now  func() time.Time

	mu    sync.Mutex
	known map[string]known   // by issuer
	asked map[string]*asking // likewise, while it is asked
}

// known is what an issuer has said of itself, or why it has not.
type known struct {
	provider *library.Provider
	err      error
	until    time.Time
}

// asking is a question that others wait for, too.
type asking struct {
	done chan struct{} // closed when known is set
	known
}

// New makes a client.
func New(transport http.RoundTripper, now func() time.Time) *Client {
	return &Client{http: &http.Client{Transport: short{transport}, Timeout: callTimeout}, now: now, known: map[string]known{}, asked: map[string]*asking{}}
}

// AuthURL is where to send a browser. verifier is the secret half of PKCE.
func (c *Client) AuthURL(ctx context.Context, p Provider, state, nonce, verifier string) (string, error) {
	provider, err := c.discover(ctx, p.Issuer)
	if err != nil {
		return "", err
	}
	return p.config(provider).AuthCodeURL(state, library.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), nil
}

// Exchange buys the claims for the code that a browser came back with. The token
// must be signed by the provider, for this client, and have the nonce.
func (c *Client) Exchange(ctx context.Context, p Provider, code, nonce, verifier string) (*Claims, error) {
	provider, err := c.discover(ctx, p.Issuer)
	if err != nil {
		return nil, err
	}
	ctx = library.ClientContext(ctx, c.http)
	token, err := p.config(provider).Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		if refusal, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refusal.Response != nil && refusal.Response.StatusCode < 500 {
			return nil, fmt.Errorf("%w: the code was refused: %s", ErrRefused, refusal.ErrorCode)
		}
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return nil, fmt.Errorf("%w: there is no id_token", ErrRefused)
	}
	id, err := provider.VerifierContext(ctx, &library.Config{ClientID: p.ClientID, Now: c.now}).Verify(ctx, raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(nonce)) != 1 {
		return nil, fmt.Errorf("%w: the nonce is another one", ErrRefused)
	}
	var all jsonx.Value
	if err := id.Claims(&all); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	claims := &Claims{Issuer: id.Issuer, Subject: id.Subject}
	if err := claims.read(all); err != nil {
		return nil, err
	}
	if azp, ok := claims.All["azp"].(string); len(id.Audience) > 1 && (!ok || azp != p.ClientID) {
		return nil, fmt.Errorf("%w: the token is for another client as well", ErrRefused)
	}
	if id.Subject == "" || len(id.Subject) > maxSubject || strings.ContainsFunc(id.Subject, unicode.IsControl) || !utf8.ValidString(id.Subject) {
		return nil, fmt.Errorf("%w: the subject is none", ErrRefused)
	}
	return claims, c.userInfo(ctx, provider, token, claims)
}

// userInfo adds what the token lacks and the provider tells when it is asked.
func (c *Client) userInfo(ctx context.Context, provider *library.Provider, token *oauth2.Token, claims *Claims) error {
	if provider.UserInfoEndpoint() == "" {
		return nil
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if info.Subject != claims.Subject {
		return fmt.Errorf("%w: it tells of another user", ErrRefused)
	}
	var more jsonx.Value
	if err := info.Claims(&more); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	signed := claims.All
	if err := claims.read(more); err != nil {
		return err
	}
	for name, value := range signed { // what was signed counts
		claims.All[name] = value
	}
	claims.name()
	return nil
}

// read takes the claims over.
func (c *Claims) read(text jsonx.Value) error {
	c.All = map[string]any{}
	if err := jsonx.Unmarshal(text, &c.All); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	c.name()
	return nil
}

// name picks the claims that have a name of their own here.
func (c *Claims) name() {
	text := func(name string) string { s, _ := c.All[name].(string); return s }
	c.Email, c.Name, c.Username = text("email"), text("name"), text("preferred_username")
	// Some providers write the flag as a text.
	c.EmailVerified = c.All["email_verified"] == true || c.All["email_verified"] == "true"
}

// Values are a claim's texts: of a list each, of a text itself.
func (c *Claims) Values(claim string) []string {
	switch v := c.All[claim].(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, one := range v {
			if s, ok := one.(string); ok {
				all = append(all, s)
			}
		}
		return all
	}
	return nil
}

// discover reads what the issuer says of itself. Anybody may have it asked, by
// beginning to sign in; so it is asked once however many do, and not again at once
// when it does not answer.
func (c *Client) discover(ctx context.Context, issuer string) (*library.Provider, error) {
	c.mu.Lock()
	before, ok := c.known[issuer]
	if ok && c.now().Before(before.until) {
		c.mu.Unlock()
		return before.provider, before.err
	}
	if a := c.asked[issuer]; a != nil {
		c.mu.Unlock()
		select {
		case <-a.done:
			return a.provider, a.err
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
		}
	}
	a := &asking{done: make(chan struct{}), known: known{err: fmt.Errorf("%w: asking it came to no end", ErrUnreachable)}}
	c.asked[issuer] = a
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.known[issuer] = a.known
		delete(c.asked, issuer)
		close(a.done)
	}()
	// Others wait for it, whether or not who asked first does; a call has an end.
	provider, err := library.NewProvider(library.ClientContext(context.WithoutCancel(ctx), c.http), issuer)
	switch {
	case err == nil:
		a.known = known{provider: provider, until: c.now().Add(metadataLife)}
	case before.provider != nil: // what it said before is better than nothing
		a.known = known{provider: before.provider, until: c.now().Add(failureLife)}
	default:
		a.known = known{err: fmt.Errorf("%w: %w", ErrUnreachable, err), until: c.now().Add(failureLife)}
	}
	return a.provider, a.err
}

func (p Provider) config(provider *library.Provider) *oauth2.Config {
	scopes := slices.Clone(p.Scopes)
	if !slices.Contains(scopes, library.ScopeOpenID) {
		scopes = append([]string{library.ScopeOpenID}, scopes...)
	}
	return &oauth2.Config{ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: provider.Endpoint(), RedirectURL: p.Callback, Scopes: scopes}
}

// short cuts answers off that are longer than any should be. It calls other
// machines with TLS only: a provider's document and its redirects may say otherwise.
type short struct{ next http.RoundTripper }

var errNoTLS = errors.New("the address is not https")

// RoundTrip implements http.RoundTripper.
func (s short) RoundTrip(r *http.Request) (*http.Response, error) {
	if host := r.URL.Hostname(); r.URL.Scheme != "https" && !ThisMachine(host) {
		if r.Body != nil {
			_ = r.Body.Close() // a transport's part, also when it refuses
		}
		return nil, fmt.Errorf("%w: http://%s", errNoTLS, host)
	}
	resp, err := s.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &limited{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

type limited struct {
	io.Reader
	io.Closer
}
