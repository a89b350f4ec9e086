package gateway

import (
	"time"

	"halley/internal/channel"
	"halley/internal/fault"
	"halley/internal/limit"
	"halley/internal/money"
	"halley/internal/price"
	"halley/internal/provider"
	"halley/internal/wire/openai"
)

// ask is what the client wants, read off the body.
type ask struct {
	operation provider.Operation
	body      []byte
	head      openai.Head
}

func readAsk(in *Inbound) (*ask, error) {
	body, err := in.ReadBody()
	if err != nil {
		return nil, err
	}
	head, err := openai.ScanRequest(body)
	if err != nil {
		return nil, err
	}
	if in.Operation == provider.Embeddings {
		head.Stream = false
	}
	return &ask{operation: in.Operation, body: body, head: head}, nil
}

// plan is where the request goes and at what price.
type plan struct {
	channel *channel.Channel
	group   string
	ratio   money.Ratio
	limits  *limit.Limits // of the group
	price   *price.Price  // nil: no price, only for callers without any limit
}

// plan judges model and group, chooses the channel and finds the price.
func (g *Gateway) plan(snap *Snapshot, who caller, a *ask) (*plan, error) {
	model := a.head.Model
	if err := admitModel(who, model); err != nil {
		return nil, err
	}
	groups, err := snap.groupsOf(who)
	if err != nil {
		return nil, err
	}
	choice := snap.Routes.Pick(groups, model, g.Roll())
	if choice.Channel == nil {
		return nil, noChannel(model, choice.Listed)
	}
	p := &plan{channel: choice.Channel, group: choice.Group, ratio: money.One}
	if gr, ok := snap.Groups.Get(choice.Group); ok {
		p.ratio, p.limits = gr.Ratio, &gr.Limits
	}
	p.price = snap.priceOf(model, choice.Channel)
	if p.price == nil && !who.unlimited() {
		return nil, fault.New(fault.Forbidden, "model_not_priced", "The model %q has no price, so a key or account with a limit cannot use it. An administrator can set one; free is an explicit price of 0.", model).Field("model")
	}
	return p, nil
}

func noChannel(model string, listed bool) error {
	if !listed {
		return fault.New(fault.NotFound, "model_not_found", "The model %q does not exist here or is not offered to this API key.", model).Field("model")
	}
	return fault.New(fault.Unavailable, "no_channel_available", "No channel for the model %q is available right now.", model).Field("model").Retry(30 * time.Second)
}

// priceOf is the price of the public name, else of the name the channel maps it
// to.
func (s *Snapshot) priceOf(model string, ch *channel.Channel) *price.Price {
	if p, ok := s.Prices.Lookup(model); ok {
		return p
	}
	if p, ok := s.Prices.Lookup(ch.UpstreamModel(model)); ok {
		return p
	}
	return nil
}
