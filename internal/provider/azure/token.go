package azure

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"halley/internal/channel"
	"halley/internal/provider"
	"halley/internal/provider/token"
)

// New makes the provider. Close ends what it does in the background.
func New(o token.Options) *Provider { return &Provider{tokens: token.New[application](o)} }

// Close ends the calls for tokens that are under way and waits for them.
func (p *Provider) Close() { p.tokens.Close() }

// Exchange gives a token of Entra ID where the credential is an application's.
func (p *Provider) Exchange(ctx context.Context, ch *channel.Channel, credential string, way http.RoundTripper) (shown provider.Shown, ok bool, err error) {
	entra, ok, err := channel.ParseEntra(credential)
	if !ok {
		return shown, false, nil
	}
	if err != nil {
		return shown, true, &provider.Refusal{Reason: "the upstream key is not entra:TENANT:CLIENT_ID:SECRET", Cause: err}
	}
	app := applicationOf(ch, entra)
	value, err := p.tokens.Get(ctx, app, func(ctx context.Context) (*oauth2.Token, error) { return fetch(ctx, app, way) })
	if err != nil {
		return shown, true, err
	}
	return provider.Shown{Header: "Authorization", Value: "Bearer " + value, Secret: value}, true, nil
}

// Refused forgets the token: it may have been revoked.
func (p *Provider) Refused(ch *channel.Channel, credential, secret string) {
	if entra, ok, err := channel.ParseEntra(credential); ok && err == nil {
		p.tokens.Forget(applicationOf(ch, entra), secret)
	}
}

// application is who a token is for and where it comes from.
type application struct {
	channel.Entra
	authority, scope string
	proxy, ca        string
}

// LogValue implements token.Holder.
func (a application) LogValue() slog.Value {
	return slog.GroupValue(slog.String("tenant", a.Tenant), slog.String("client_id", a.ClientID))
}

func applicationOf(ch *channel.Channel, e channel.Entra) application {
	return application{
		Entra: e, authority: cmp.Or(ch.Azure.Authority, channel.AzureAuthority), scope: cmp.Or(ch.Azure.Scope, channel.AzureScope),
		proxy: ch.Network.Proxy.URL, ca: ch.Network.CAPEM,
	}
}

// fetch asks Entra ID for a token, as its client credentials flow says.
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
func fetch(ctx context.Context, app application, way http.RoundTripper) (*oauth2.Token, error) {
	config := clientcredentials.Config{
		ClientID: app.ClientID, ClientSecret: app.Secret, Scopes: []string{app.scope}, AuthStyle: oauth2.AuthStyleInParams,
		TokenURL: app.authority + "/" + app.Tenant + "/oauth2/v2.0/token",
	}
	got, err := config.Token(token.Client(ctx, way))
	switch {
	case err != nil:
		return nil, token.Refusal(err, "Entra ID", app.Secret)
	case got.Expiry.IsZero(): // it would be kept for ever
		return nil, &provider.Refusal{Reason: "no token from Entra ID", Cause: errors.New("the answer does not say when the token ends")}
	}
	return got, nil
}
