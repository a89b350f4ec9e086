package gateway

import (
	"slices"
	"time"

	"halley/internal/channel"
	"halley/internal/fault"
	"halley/internal/limit"
	"halley/internal/money"
	"halley/internal/price"
	"halley/internal/provider"
	"halley/internal/route"
	"halley/internal/translate"
	"halley/internal/wire"
)

// ask is what the client wants, read off the body.
type ask struct {
	id        string    // the request's
	start     time.Time // when it came
	operation provider.Operation
	body      []byte
	format    wire.Format
	codec     translate.Client // nil is the operation's
	request   wire.Request
	head      *wire.Head // of the request
	// thread is the number of the conversation that the request belongs to, 0 when
	// that is of no interest.
	thread uint64
	// conversation is the request in no dialect, once a translation needed it.
	conversation *translate.Conversation
	// resumed is what it goes on from, nil for nothing that is kept.
	resumed *resumed
}

// whole is all that the model reads.
func (a *ask) whole() []byte {
	if a.resumed != nil {
		return a.resumed.whole
	}
	return a.body
}

func readAsk(in *Inbound) (*ask, error) {
	body, err := in.ReadBody()
	if err != nil {
		return nil, err
	}
	request, err := in.Format.ScanRequest(body)
	if err != nil {
		return nil, err
	}
	head := request.Facts()
	if !in.Operation.Writes() {
		head.Stream = false
	}
	return &ask{
		id: in.RequestID, start: in.Start, operation: in.Operation, body: body, format: in.Format, codec: in.Client, request: request, head: head,
	}, nil
}

// plan is where the request goes next and at what price.
type plan struct {
	step    route.Step
	channel *channel.Channel
	group   string
	ratio   money.Ratio
	limits  *limit.Limits // of the group
	price   *price.Price  // nil: no price, only for callers without any limit
	seat    seat          // at the channel
	again   bool          // it is the channel of the last attempt once more
}

// way is a request's way through the channels that may serve it.
type way struct {
	snap     *Snapshot
	who      caller
	model    string
	searches int64 // of the web, that are held for
	groups   []string
	steps    route.Plan
	unpriced bool     // a channel was passed over for its model has no price
	keys     []string // the upstream keys that were tried, when there is a choice
}

// plan judges model and group and gives the first place to go to.
func (g *Gateway) plan(w *way, snap *Snapshot, who caller, a *ask) (*plan, error) {
	if err := g.begin(w, snap, who, a); err != nil {
		return nil, err
	}
	p := w.next(g.Now())
	switch {
	case p != nil:
		return p, nil
	case w.unpriced:
		return nil, fault.New(fault.Forbidden, "model_not_priced", "The model %q has no price, so a key or account with a limit cannot use it. An administrator can set one; free is an explicit price of 0.", w.model).Field("model")
	}
	return nil, noChannel(w.model, w.steps.Listed())
}

// begin judges model and group, and begins the way.
func (g *Gateway) begin(w *way, snap *Snapshot, who caller, a *ask) error {
	model := a.head.Model
	if err := admitModel(who, model); err != nil {
		return err
	}
	groups, err := snap.groupsOf(who)
	if err != nil {
		return err
	}
	w.snap, w.who, w.model, w.groups, w.searches = snap, who, model, groups, a.head.Searches
	w.steps = snap.Routes.Plan(route.Request{Model: model, Groups: groups, CrossGroup: who.key.CrossGroupRetry, Prefer: g.before(a), Health: g.Health, Roll: g.Roll})
	return nil
}

// next gives the next place to go to, nil when there is none. What has no price
// is none for a caller with a limit.
func (w *way) next(now time.Time) *plan {
	for {
		step, ok := w.steps.Next(now)
		if !ok {
			return w.otherKey(now)
		}
		if p := w.priced(step); p != nil {
			return p
		}
	}
}

// otherKey gives another upstream key of the one channel there is.
func (w *way) otherKey(now time.Time) *plan {
	for range 2 * len(w.keys) { // chance may give one of them again
		step, ok := w.steps.Again(now)
		if !ok {
			return nil
		}
		if !slices.Contains(w.keys, step.Target().Credential) {
			p := w.priced(step)
			if p != nil {
				p.again = true
			}
			return p
		}
	}
	return nil
}

func (w *way) priced(step route.Step) *plan {
	p := &plan{step: step, channel: step.Channel, group: step.Group, ratio: money.One, price: w.snap.priceOf(w.model, step.Channel).ForSearches(w.searches)}
	if p.price == nil && !w.who.unlimited() {
		w.unpriced = true
		return nil
	}
	if gr, ok := w.snap.Groups.Get(step.Group); ok {
		p.ratio, p.limits = gr.Ratio, &gr.Limits
	}
	return p
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
