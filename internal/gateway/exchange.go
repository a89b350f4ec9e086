package gateway

import (
	"bytes"
	"net/http"
	"strings"

	"halley/internal/exchange"
	"halley/internal/fault"
	"halley/internal/health"
	"halley/internal/provider"
	"halley/internal/translate"
	"halley/internal/translate/embed"
)

// exchange is how the request is put to the plan's upstream, and the operation
// that is asked of it.
func (g *Gateway) exchange(a *ask, p *plan, prov provider.Provider) (exchange.Exchange, provider.Operation, error) {
	model := p.channel.UpstreamModel(a.head.Model)
	op := provider.Speaks(prov, p.channel, model, a.operation)
	if op.Dialect() == a.operation && !g.mustTranslate(a) {
		same := &exchange.Same{Format: a.format, Request: a.request, Raw: a.body, Model: a.head.Model, Rename: model != a.head.Model}
		if a.resumed != nil && !a.resumed.at(p) {
			same.Request, same.Raw = a.resumed.request, a.resumed.whole
		}
		if op != a.operation {
			same.Platform = g.Codecs[op]
		}
		return same, op, nil
	}
	if up, ok := g.EmbedUpstreams[op]; ok {
		x, err := g.embeddings(a, up)
		return x, op, err
	}
	client, known := g.client(a)
	up, speaks := g.Codecs[op]
	if !known || !speaks {
		return nil, op, notOffered(a)
	}
	c, err := a.neutral(client)
	if err != nil {
		return nil, op, err
	}
	x := &exchange.Across{Conversation: c, Client: client, Upstream: up, Model: a.head.Model, ID: a.id}
	if a.operation == provider.Responses {
		// Other servers number their answers as they like, some from 1; what is kept
		// is found by its id.
		x.Rename = g.keepsResponse(a)
		if c.Kept = new(x.Rename); x.Rename {
			c.Store = nil // which is ours to do
			if op.Dialect() == provider.Responses {
				c.Store = new(false)
			}
		}
	}
	return x, op, nil
}

func notOffered(a *ask) error {
	return fault.New(fault.Malformed, "unsupported_operation", "The model %q is not offered at this endpoint.", a.head.Model).Field("model")
}

// embeddings is the exchange with an upstream that has another form of them.
func (g *Gateway) embeddings(a *ask, up embed.Upstream) (exchange.Exchange, error) {
	client, ok := g.EmbedClients[a.operation]
	if !ok {
		return nil, notOffered(a)
	}
	request, err := client.DecodeRequest(a.body)
	if err != nil {
		return nil, exchange.Fault(err)
	}
	return &exchange.Embeddings{Request: request, Client: client, Upstream: up, Model: a.head.Model}, nil
}

// mustTranslate reports whether the body cannot go to an upstream of the
// endpoint's dialect as it is: it is in another one, or it brings back reasoning
// that an upstream of another one has signed.
func (g *Gateway) mustTranslate(a *ask) bool {
	switch a.operation {
	case provider.Chat:
		return a.head.Foreign
	case provider.Responses, provider.Messages:
		return bytes.Contains(a.whole(), []byte(`"`+translate.CarryMark))
	case provider.Generate: // whose signatures are base64
		return bytes.Contains(a.body, []byte(`"`+translate.CarryMarkBase64))
	}
	return false
}

// client is the codec of who asks.
func (g *Gateway) client(a *ask) (translate.Client, bool) {
	if a.codec != nil {
		return a.codec, true
	}
	client, known := g.Codecs[a.operation]
	if a.operation != provider.Chat || !a.head.Foreign {
		return client, known
	}
	asks, ok := g.Codecs[provider.Responses]
	return mixed{client, asks}, known && ok
}

// mixed is a client that asks in one dialect and wants its answer in another, as
// Cursor does: it posts responses bodies to the address of chat completions.
type mixed struct {
	translate.Client
	asks translate.Client
}

// DecodeRequest implements translate.Client.
func (m mixed) DecodeRequest(body []byte) (*translate.Conversation, error) {
	c, err := m.asks.DecodeRequest(body)
	if err == nil {
		c.IncludeUsage = true
	}
	return c, err
}

// neutral is the request in no dialect.
func (a *ask) neutral(client translate.Client) (*translate.Conversation, error) {
	if a.conversation != nil {
		return a.conversation, nil
	}
	c, err := client.DecodeRequest(a.whole())
	if err != nil {
		return nil, exchange.Fault(err)
	}
	if before, ok := a.request.(continuing); ok && a.resumed != nil {
		c.PreviousResponse = before.Previous()
	}
	c.Model, c.Stream = a.head.Model, a.head.Stream // which some dialects have in the path
	if !a.start.IsZero() {
		c.Received = a.start.Unix()
	}
	a.conversation = c
	return c, nil
}

// untold is the ending of an attempt whose upstream's dialect has no words for
// the request. Another's may have.
func untold(err error) ending {
	return ending{err: err, again: true, outcome: health.Outcome{Class: health.ClientFault, Detail: "not translatable"}}
}

// tellDropped says what of the request the upstream does not know of.
func (t *ticket) tellDropped(dropped []string) {
	if len(dropped) == 0 {
		t.sink.Header().Del("X-Halley-Dropped") // of an attempt before
		return
	}
	t.sink.Header().Set("X-Halley-Dropped", strings.Join(dropped, ", "))
}

// translatedHeader is the header of a request that is put in another dialect:
// that of the client's means nothing there.
func translatedHeader(client http.Header) http.Header {
	h := http.Header{"Content-Type": {"application/json"}}
	if agent := client["User-Agent"]; agent != nil {
		h["User-Agent"] = agent
	} else {
		h["User-Agent"] = []string{""} // else the transport writes its own
	}
	return h
}

// answerHeader is what of an upstream's header goes with its answer to the
// client: nothing of another dialect's.
func answerHeader(from http.Header, x exchange.Exchange) http.Header {
	if !x.Translated() {
		return from
	}
	return http.Header{"Content-Type": {"application/json"}}
}
