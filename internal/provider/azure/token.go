package azure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"halley/internal/channel"
	"halley/internal/provider"
	"halley/internal/upstream"
)

const (
	// fetchLimit bounds one call for a token.
	fetchLimit = 10 * time.Second
	// early is how long before its end a token is replaced, in the background. A
	// shorter-lived one is replaced after half of its life.
	early = 5 * time.Minute
	// calm is how long no other fetch is begun in the background after one failed,
	// and patience how long the failure stands for those who wait for a token.
	calm     = 30 * time.Second
	patience = 2 * time.Second
)

// Options are what a Provider needs.
type Options struct {
	Now func() time.Time
	Log *slog.Logger // told of replacements in the background that failed
}

// New makes the provider. Close ends what it does in the background.
func New(o Options) *Provider {
	t := &tokens{Options: o, kept: map[application]*token{}}
	t.ending, t.end = context.WithCancel(context.Background())
	return &Provider{tokens: t}
}

// Close ends the calls for tokens that are under way and waits for them.
func (p *Provider) Close() {
	p.tokens.end()
	p.tokens.fetches.Wait()
}

// Exchange gives a token of Entra ID where the credential is an application's. It
// is fetched by the first who needs it, shared by all, and replaced before it
// ends without anybody waiting.
func (p *Provider) Exchange(ctx context.Context, ch *channel.Channel, credential string, way http.RoundTripper) (shown provider.Shown, ok bool, err error) {
	entra, ok, err := channel.ParseEntra(credential)
	if !ok {
		return shown, false, nil
	}
	if err != nil {
		return shown, true, &provider.Refusal{Reason: "the upstream key is not entra:TENANT:CLIENT_ID:SECRET", Cause: err}
	}
	value, err := p.tokens.get(ctx, applicationOf(ch, entra), way)
	if err != nil {
		return shown, true, err
	}
	return provider.Shown{Header: "Authorization", Value: "Bearer " + value, Secret: value}, true, nil
}

// Refused forgets the token: it may have been revoked.
func (p *Provider) Refused(ch *channel.Channel, credential, secret string) {
	if entra, ok, err := channel.ParseEntra(credential); ok && err == nil {
		p.tokens.forget(applicationOf(ch, entra), secret)
	}
}

// application is who a token is for and where it comes from. Channels that are
// reached differently do not share tokens: who cannot reach the authority by its
// own way has none.
type application struct {
	channel.Entra
	authority, scope string
	proxy, ca        string
}

func applicationOf(ch *channel.Channel, e channel.Entra) application {
	return application{
		Entra: e, authority: cmp.Or(ch.Azure.Authority, channel.AzureAuthority), scope: cmp.Or(ch.Azure.Scope, channel.AzureScope),
		proxy: ch.Network.Proxy.URL, ca: ch.Network.CAPEM,
	}
}

// tokens are those that were fetched, by application.
type tokens struct {
	Options
	ending  context.Context // ended by Close
	end     context.CancelFunc
	fetches sync.WaitGroup

	mu   sync.Mutex
	kept map[application]*token
}

// token is an application's, as it stands; guarded by tokens.mu.
type token struct {
	value   string
	expires time.Time
	renew   time.Time // when it is time for a new one
	fetch   *fetch    // under way, nil for none
	failed  error     // what the last fetch failed with, nil when it did not
}

// fetch is one call for a token, which many may wait for.
type fetch struct {
	done  chan struct{}
	value string // once done
	err   error
}

func (t *tokens) get(ctx context.Context, app application, way http.RoundTripper) (string, error) {
	now := t.Now()
	t.mu.Lock()
	one := t.kept[app]
	if one == nil {
		t.dropEnded(now)
		one = &token{}
		t.kept[app] = one
	}
	value, good, failed := one.value, now.Before(one.expires), one.failed
	if one.fetch == nil && !now.Before(one.renew) {
		one.fetch = t.begin(app, one, way)
	}
	running := one.fetch
	t.mu.Unlock()
	switch {
	case good:
		return value, nil
	case running == nil:
		return "", failed
	}
	select {
	case <-running.done:
		return running.value, running.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// dropEnded forgets tokens that have ended, such as those of deleted channels.
func (t *tokens) dropEnded(now time.Time) {
	for app, one := range t.kept {
		if one.fetch == nil && !now.Before(one.expires) {
			delete(t.kept, app)
		}
	}
}

func (t *tokens) forget(app application, value string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one := t.kept[app]; one != nil && one.value == value {
		one.value, one.expires, one.renew = "", time.Time{}, time.Time{}
	}
}

// begin fetches a token on its own time: whoever asked first may leave, and
// others wait for the same.
func (t *tokens) begin(app application, one *token, way http.RoundTripper) *fetch {
	f := &fetch{done: make(chan struct{})}
	t.fetches.Go(func() {
		ctx, cancel := context.WithTimeout(t.ending, fetchLimit)
		defer cancel()
		got, err := call(upstream.ConnectWithin(ctx, fetchLimit), app, way)
		t.mu.Lock()
		defer t.mu.Unlock()
		defer close(f.done)
		now := t.Now()
		one.fetch, one.failed, f.err = nil, err, err
		switch {
		case err == nil:
			f.value, one.value, one.expires = got.AccessToken, got.AccessToken, got.Expiry
			one.renew = one.expires.Add(-min(early, one.expires.Sub(now)/2))
		case now.Before(one.expires): // nobody is told: the old one still serves
			one.renew = now.Add(calm)
			t.Log.LogAttrs(ctx, slog.LevelWarn, "a token of Entra ID could not be replaced",
				slog.String("tenant", app.Tenant), slog.String("client_id", app.ClientID), slog.Time("expires", one.expires), slog.String("error", err.Error()))
		default:
			one.renew = now.Add(patience)
		}
	})
	return f
}

// call asks Entra ID for a token, as its client credentials flow says.
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
func call(ctx context.Context, app application, way http.RoundTripper) (*oauth2.Token, error) {
	config := clientcredentials.Config{
		ClientID: app.ClientID, ClientSecret: app.Secret, Scopes: []string{app.scope}, AuthStyle: oauth2.AuthStyleInParams,
		TokenURL: app.authority + "/" + app.Tenant + "/oauth2/v2.0/token",
	}
	client := &http.Client{
		Transport: way,
		// The secret is in the body, which a redirect could send elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	got, err := config.Token(context.WithValue(ctx, oauth2.HTTPClient, client))
	switch {
	case err != nil:
		return nil, refusal(err, app)
	case got.Expiry.IsZero(): // it would be kept for ever
		return nil, &provider.Refusal{Reason: "no token from Entra ID", Cause: errors.New("the answer does not say when the token ends")}
	}
	return got, nil
}

// refusal says what went wrong without the secret and without whatever else the
// answer holds: of a refusal the standard's two members count.
func refusal(err error, app application) error {
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		text := channel.Mask([]byte(err.Error()), app.Secret)
		return &provider.Refusal{Reason: "Entra ID could not be asked for a token", Cause: errors.New(string(text))}
	}
	status := refused.Response.StatusCode
	reason := fmt.Sprintf("Entra ID gives no token: status %d", status)
	if refused.ErrorCode != "" {
		reason += " " + clip(string(channel.Mask([]byte(refused.ErrorCode), app.Secret)), 60)
	}
	description := clip(string(channel.Mask([]byte(refused.ErrorDescription), app.Secret)), 500)
	return &provider.Refusal{Reason: reason, Cause: errors.New(cmp.Or(description, "it does not say why"))}
}

func clip(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}
