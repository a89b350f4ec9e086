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

// authorize adds to the request's header what shows the credential to the
// channel's upstream, nil for none. It comes last, as it may be a signature of all
// the rest. The secret is what must not come back to a client.
func authorize(ctx context.Context, r *upstream.Request, prov provider.Provider, ch *channel.Channel, own *channel.Credential, way http.RoundTripper) (secret string, err error) {
	if own == nil {
		return "", nil
	}
	if signer, ok := prov.(provider.Signer); ok {
		secret, signed, err := signer.Sign(ctx, ch, own.Value, provider.Outgoing{Method: r.Method, URL: r.URL, Header: r.Header, Body: r.Body})
		if signed || err != nil {
			return secret, err
		}
	}
	if exchanger, ok := prov.(provider.Exchanger); ok {
		shown, exchanged, err := exchanger.Exchange(ctx, ch, own.Value, way)
		if err != nil {
			return "", err
		}
		if exchanged {
			r.Header.Set(shown.Header, shown.Value)
			return shown.Secret, nil
		}
	}
	r.Header.Set(prov.Authorize(own.Value))
	return own.Value, nil
}

// prepare gives a request's header what the provider wants in it.
func prepare(prov provider.Provider, header http.Header, c provider.Call) {
	if p, ok := prov.(provider.Preparer); ok {
		p.Prepare(header, c)
	}
}

// send sends a request and waits for the answer's headers. A stream in a framing
// of the provider's own comes as server-sent events.
func send(ctx context.Context, way http.RoundTripper, prov provider.Provider, r upstream.Request, c provider.Call) (*upstream.Call, error) {
	call, err := upstream.Do(ctx, way, r)
	if err != nil || call.Status != http.StatusOK || !c.Stream {
		return call, err
	}
	if framer, ok := prov.(provider.Framer); ok {
		if events := framer.Frame(call.Header, call.Raw(), c); events != nil {
			call.Reframe("text/event-stream", events)
		}
	}
	return call, nil
}

// reshape gives a body in the client's dialect the form that the provider wants;
// a translated one has it.
func reshape(prov provider.Provider, x exchange.Exchange, body []byte, client http.Header, c provider.Call) []byte {
	if r, ok := prov.(provider.Reshaper); ok && !x.Translated() {
		return r.Reshape(body, client, c)
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
