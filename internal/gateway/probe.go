package gateway

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"halley/internal/channel"
	"halley/internal/provider"
	"halley/internal/upstream"
)

// Probe asks a channel's upstream for its model list, which costs nothing, and
// says what is wrong. Servers without such a list answer 404, which proves that
// they are there.
func (g *Gateway) Probe(ctx context.Context, ch *channel.Channel) error {
	up, ok := g.Upstreams[ch.Kind]
	if !ok {
		return fmt.Errorf("there is no upstream of the kind %q", ch.Kind)
	}
	header := http.Header{}
	overrideHeader(header, ch.Overrides)
	if len(ch.Credentials) > 0 {
		name, value := up.Provider.Authorize(ch.Credentials[0].Value)
		header.Set(name, value)
	}
	const limit = 10 * time.Second
	call, err := upstream.Do(ctx, up.Transport, upstream.Request{
		Method: http.MethodGet, URL: up.Provider.URL(ch, provider.Models), Header: header,
		Times: upstream.Timeouts{Connect: limit, FirstByte: limit, Idle: limit, Total: limit},
	})
	if err != nil {
		return err
	}
	defer call.Close()
	switch {
	case call.Status == http.StatusNotFound || call.Status < 300:
		return nil
	case call.Status == http.StatusUnauthorized || call.Status == http.StatusForbidden:
		return fmt.Errorf("the upstream refuses the channel's key (status %d)", call.Status)
	}
	return fmt.Errorf("the upstream answered with the status %d", call.Status)
}
