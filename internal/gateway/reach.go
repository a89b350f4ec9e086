package gateway

import (
	"context"
	"errors"
	"net/http"

	"halley/internal/channel"
	"halley/internal/exchange"
	"halley/internal/health"
	"halley/internal/provider"
	"halley/internal/upstream"
)

// Networks gives the ways to upstreams that are not reached directly.
type Networks interface {
	For(n upstream.Network) (http.RoundTripper, error)
}

// way is how the channel's upstream is reached.
func (g *Gateway) way(up Upstream, ch *channel.Channel) (http.RoundTripper, error) {
	if ch.Network.Direct() || ch.Kind == channel.Demo || g.Networks == nil {
		return up.Transport, nil
	}
	return g.Networks.For(upstream.Network{Proxy: ch.Network.Proxy.URL, CA: ch.Network.CAPEM})
}

// authorize adds to the header what shows the credential to the channel's
// upstream, nil for none. The secret is what must not come back to a client.
func authorize(ctx context.Context, header http.Header, prov provider.Provider, ch *channel.Channel, own *channel.Credential, way http.RoundTripper) (secret string, err error) {
	if own == nil {
		return "", nil
	}
	if exchanger, ok := prov.(provider.Exchanger); ok {
		shown, exchanged, err := exchanger.Exchange(ctx, ch, own.Value, way)
		if err != nil {
			return "", err
		}
		if exchanged {
			header.Set(shown.Header, shown.Value)
			return shown.Secret, nil
		}
	}
	header.Set(prov.Authorize(own.Value))
	return own.Value, nil
}

// prepare gives a request's header what the provider wants in it.
func prepare(prov provider.Provider, header http.Header, c provider.Call) {
	if p, ok := prov.(provider.Preparer); ok {
		p.Prepare(header, c)
	}
}

// reshape gives a body in the client's dialect the form that the provider wants;
// a translated one has it.
func reshape(prov provider.Provider, x exchange.Exchange, body []byte, c provider.Call) []byte {
	if r, ok := prov.(provider.Reshaper); ok && !x.Translated() {
		return r.Reshape(body, c)
	}
	return body
}

// firstCredential is the channel's first, nil when it has none.
func firstCredential(ch *channel.Channel) *channel.Credential {
	if len(ch.Credentials) == 0 {
		return nil
	}
	return &ch.Credentials[0]
}

// unprepared is the ending of an attempt that could not be begun: the channel's
// credential is of no use, or its network is not.
func unprepared(err error) ending {
	refusal, ok := errors.AsType[*provider.Refusal](err)
	if !ok {
		return broken(err)
	}
	return ending{err: badGateway(err), again: true, outcome: health.Outcome{Class: health.Credential, Detail: refusal.Reason}}
}
