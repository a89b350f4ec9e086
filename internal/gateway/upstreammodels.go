package gateway

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"halley/internal/channel"
	"halley/internal/fault"
	"halley/internal/provider"
	"halley/internal/upstream"
	"halley/internal/wire/bedrock"
	"halley/internal/wire/gemini"
	"halley/internal/wire/openai"
)

// UpstreamModels are the names of the models that a channel's upstream says it
// has, sorted. Not every upstream lists them; what is wrong is a fault that says
// what came back. For Azure's deployments these are the models that the resource
// could deploy.
func (g *Gateway) UpstreamModels(ctx context.Context, ch *channel.Channel) ([]string, error) {
	up, ok := g.Upstreams[ch.Kind]
	if !ok {
		return nil, noSuchKind(ch)
	}
	call, secret, err := g.askModels(ctx, up, ch, firstCredential(ch))
	if err != nil {
		return nil, notListed(string(masked(ch, secret, []byte(err.Error()))))
	}
	defer call.Close()
	body, err := readLimited(call, maxErrorBody)
	if err != nil {
		return nil, notListed(string(masked(ch, secret, []byte(err.Error()))))
	}
	body = masked(ch, secret, body)
	if call.Status != http.StatusOK {
		return nil, notListed(fmt.Sprintf("status %d: %s", call.Status, clip(string(body), 500)))
	}
	models, ok := openai.ModelNames(body)
	if !ok {
		models, ok = gemini.ModelNames(body)
	}
	if !ok {
		models, ok = bedrock.ModelNames(body)
	}
	if !ok {
		return nil, notListed("the answer is not a list of models: " + clip(string(body), 200))
	}
	slices.Sort(models)
	return slices.Compact(models), nil
}

func notListed(what string) error {
	return fault.New(fault.BadGateway, codeUpstream, "The upstream's models cannot be listed: %s", what)
}

func noSuchKind(ch *channel.Channel) error {
	return fault.New(fault.Invalid, "invalid_kind", "There is no upstream of the kind %q.", ch.Kind).Field("kind")
}

// askModels calls for the upstream's model list, which costs nothing.
func (g *Gateway) askModels(ctx context.Context, up Upstream, ch *channel.Channel, own *channel.Credential) (call *upstream.Call, secret string, err error) {
	where := provider.Call{Operation: provider.Models}
	return g.ask(ctx, up, ch, own, http.MethodGet, up.Provider.URL(ch, where), where)
}

// ask calls a channel's upstream for something that has no body and costs
// nothing. It gives what was shown for a credential, too.
func (g *Gateway) ask(ctx context.Context, up Upstream, ch *channel.Channel, own *channel.Credential, method, url string, where provider.Call) (call *upstream.Call, secret string, err error) {
	way, err := g.way(up, ch)
	if err != nil {
		return nil, "", err
	}
	header := http.Header{}
	prepare(up.Provider, header, where)
	overrideHeader(header, ch.Overrides)
	const limit = 10 * time.Second
	r := upstream.Request{
		Method: method, URL: url, Header: header,
		Times: upstream.Timeouts{Connect: limit, FirstByte: limit, Idle: limit, Total: limit},
	}
	if secret, err = authorize(ctx, &r, up.Provider, ch, own, way); err != nil {
		return nil, "", err
	}
	call, err = send(ctx, way, up.Provider, r, where)
	return call, secret, err
}

// masked is what an upstream said without any secret of the channel, and without
// what was shown for one.
func masked(ch *channel.Channel, secret string, text []byte) []byte {
	return channel.Mask(ch.Masked(text), secret)
}
