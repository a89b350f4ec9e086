package vertex

import (
	"context"
	"log/slog"
	"net/http"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	"golang.org/x/oauth2/jwt"

	"halley/internal/channel"
	"halley/internal/provider"
	"halley/internal/provider/gemini"
	"halley/internal/provider/token"
	"halley/internal/translate/messages"
	"halley/internal/wire"
)

// New makes the provider. Close ends what it does in the background.
func New(o token.Options) (*Provider, error) {
	claude, err := messages.Vertex.Patch()
	if err != nil {
		return nil, err
	}
	embed, err := wire.NewPatch(wire.PatchSpec{Remove: []wire.Path{{{Name: "model"}}}})
	if err != nil {
		return nil, err
	}
	return &Provider{tokens: token.New[account](o), claude: claude, embed: embed}, nil
}

// Close ends the calls for tokens that are under way and waits for them.
func (p *Provider) Close() { p.tokens.Close() }

// Authorize gives an API key's header.
func (*Provider) Authorize(credential string) (header, value string) {
	return gemini.Provider{}.Authorize(credential)
}

// Exchange gives a token where the credential is a service account's key or
// stands for the server's own credentials.
func (p *Provider) Exchange(ctx context.Context, ch *channel.Channel, credential string, way http.RoundTripper) (shown provider.Shown, ok bool, err error) {
	who, ok, err := accountOf(ch, credential)
	switch {
	case !ok:
		return shown, false, nil
	case err != nil:
		return shown, true, &provider.Refusal{Reason: "the upstream key is not a service account's", Cause: err}
	}
	value, err := p.tokens.Get(ctx, who, func(ctx context.Context) (*oauth2.Token, error) { return fetch(ctx, who, way) })
	if err != nil {
		return shown, true, err
	}
	return provider.Shown{Header: "Authorization", Value: "Bearer " + value, Secret: value}, true, nil
}

// Refused forgets the token: it may have been revoked.
func (p *Provider) Refused(ch *channel.Channel, credential, secret string) {
	if who, ok, err := accountOf(ch, credential); ok && err == nil {
		p.tokens.Forget(who, secret)
	}
}

// account is who a token is for and by which way it is got. The zero
// ServiceAccount stands for the server's own credentials.
type account struct {
	channel.ServiceAccount
	proxy, ca string
}

// LogValue implements token.Holder.
func (a account) LogValue() slog.Value {
	if a.Email == "" {
		return slog.StringValue(channel.AmbientKey)
	}
	return slog.GroupValue(slog.String("service_account", a.Email), slog.String("key_id", a.KeyID))
}

// accountOf is whose credential it is; ok is false for an API key.
func accountOf(ch *channel.Channel, credential string) (who account, ok bool, err error) {
	if credential != channel.AmbientKey {
		if who.ServiceAccount, ok, err = channel.ParseServiceAccount(credential); !ok || err != nil {
			return who, ok, err
		}
	}
	who.proxy, who.ca = ch.Network.Proxy.URL, ch.Network.CAPEM
	return who, true, nil
}

// fetch buys a token.
//
// https://developers.google.com/identity/protocols/oauth2/service-account
// https://cloud.google.com/docs/authentication/application-default-credentials
func fetch(ctx context.Context, who account, way http.RoundTripper) (*oauth2.Token, error) {
	ctx = token.Client(ctx, way)
	source, err := sourceOf(ctx, who)
	if err != nil {
		return nil, &provider.Refusal{Reason: "the server has no Google credentials of its own", Cause: err}
	}
	got, err := source.Token()
	if err != nil {
		return nil, token.Refusal(err, "Google", who.PrivateKey)
	}
	return got, nil
}

func sourceOf(ctx context.Context, who account) (oauth2.TokenSource, error) {
	if who.Email == "" {
		return google.DefaultTokenSource(ctx, channel.VertexScope)
	}
	config := &jwt.Config{
		Email: who.Email, PrivateKey: []byte(who.PrivateKey), PrivateKeyID: who.KeyID, TokenURL: who.TokenURL, Scopes: []string{channel.VertexScope},
	}
	return config.TokenSource(ctx), nil
}
