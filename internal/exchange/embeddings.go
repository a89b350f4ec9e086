package exchange

import (
	"halley/internal/translate"
	"halley/internal/translate/embed"
	"halley/internal/usage"
	"halley/internal/wire"
)

// Embeddings is the exchange with an upstream that has another form of embeddings.
type Embeddings struct {
	Request  *embed.Request
	Client   embed.Client
	Upstream embed.Upstream
	Model    string // the public name
}

var _ Exchange = (*Embeddings)(nil)

// Body writes the request in the upstream's form.
func (x *Embeddings) Body(c wire.Changes, _ int64) (body []byte, dropped []string, err error) {
	body, err = x.Upstream.EncodeRequest(x.Request, translate.Target{Model: c.Model})
	return body, x.Request.TakeDropped(), Fault(err)
}

// Answer writes the answer in the client's form.
func (x *Embeddings) Answer(body []byte) (a wire.Answer, out []byte, ok bool) {
	v, err := x.Upstream.DecodeAnswer(body)
	if err != nil {
		return a, nil, false
	}
	if v.Tokens != nil {
		a.Usage, a.HasUsage = usage.Tokens{Prompt: *v.Tokens}, true
	}
	out, err = x.Client.EncodeAnswer(x.Request, v, x.Model)
	return a, out, err == nil
}

// OutputText is none: nothing is written.
func (*Embeddings) OutputText([]byte) wire.TextBytes { return wire.TextBytes{} }

// Stream is nil: embeddings are not streamed, whatever their request says.
func (*Embeddings) Stream() wire.Stream { return nil }

// Failure writes the upstream's error in the client's words.
func (x *Embeddings) Failure(status int, body []byte, requestID string) []byte {
	return x.Client.EncodeFailure(x.Upstream.DecodeFailure(status, body), requestID)
}

// Translated is true.
func (*Embeddings) Translated() bool { return true }
