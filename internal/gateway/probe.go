package gateway

import (
	"context"
	"fmt"
	"net/http"

	"halley/internal/channel"
)

// Probe asks a channel's upstream for its model list, which costs nothing, and
// says what is wrong. Servers without such a list answer 404, which proves that
// they are there.
func (g *Gateway) Probe(ctx context.Context, ch *channel.Channel) error {
	up, ok := g.Upstreams[ch.Kind]
	if !ok {
		return fmt.Errorf("there is no upstream of the kind %q", ch.Kind)
	}
	call, _, err := g.askModels(ctx, up, ch, firstCredential(ch))
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
