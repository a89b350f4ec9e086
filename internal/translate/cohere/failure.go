package cohere

import (
	"cmp"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
)

// DecodeFailure implements translate.Upstream: the dialect's errors are a message,
// and an id that says nothing.
func (Codec) DecodeFailure(status int, body []byte) translate.Failure {
	f := translate.Failure{Status: status, Kind: translate.KindOf(status), Origin: translate.Cohere}
	f.Message = wire.Text(wire.Get(body, "message"))
	if f.Message == "" {
		object := wire.Get(body, "error") // of gateways before it
		f.Message = cmp.Or(wire.Text(object), wire.Text(wire.Get(object, "message")), translate.Words(body))
	}
	return f
}

// EncodeFailure implements translate.Client.
func (Codec) EncodeFailure(f translate.Failure, requestID string) []byte {
	var w jsonx.Writer
	w.Open('{')
	w.TextIf("id", requestID)
	w.Text("message", f.Message)
	w.Close('}')
	return w.Out
}
