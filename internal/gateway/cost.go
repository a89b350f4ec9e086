package gateway

import (
	"halley/internal/channel"
	"halley/internal/money"
	"halley/internal/price"
	"halley/internal/usage"
)

// usualTokens is the request by which upstreams are compared: as much of a
// prompt to each token of an answer as chats usually have.
var usualTokens = usage.Tokens{Prompt: 3000, Completion: 1000} //nolint:gochecknoglobals // never changes

// UpstreamCost is what a usual request costs at a channel, for groups that go by
// it: by the price of the name by which the upstream knows the model, else of the
// public one. The group's ratio is the same for all of its channels.
func UpstreamCost(prices *price.Book) func(ch *channel.Channel, model string) (int64, bool) {
	return func(ch *channel.Channel, model string) (int64, bool) {
		for _, name := range []string{ch.UpstreamModel(model), model} {
			if p, ok := prices.Lookup(name); ok {
				return int64(p.Cost(usualTokens, "", money.One)), true
			}
		}
		return 0, false
	}
}
