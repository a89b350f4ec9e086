package messages

import (
	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
)

// kinds are the error types of Anthropic's reference, with the status each has;
// the first of a kind is the one that is written for it.
var kinds = [...]struct {
	word   string
	kind   translate.FailureKind
	status int
}{
	{"invalid_request_error", translate.BadRequest, 400},
	{"authentication_error", translate.Unauthorized, 401},
	{"billing_error", translate.Payment, 402},
	{"permission_error", translate.Forbidden, 403},
	{"not_found_error", translate.NotFound, 404},
	{"conflict_error", translate.Conflict, 409},
	{"request_too_large", translate.TooLarge, 413},
	{"rate_limit_error", translate.RateLimited, 429},
	{"api_error", translate.Internal, 500},
	{"overloaded_error", translate.Unavailable, 529},
	{"timeout_error", translate.Timeout, 504},
	{"overloaded_error", translate.Overloaded, 529},
}

// DecodeFailure implements translate.Upstream. It also reads what the clouds say
// of their own: Amazon's {"message"} and Google's {"error": {"message",
// "status"}}, alone or in a list. In a stream there is no status: then 0 stands
// for the one that is usual for the type.
func (Codec) DecodeFailure(status int, body []byte) translate.Failure {
	f := translate.Failure{Status: status, Kind: translate.KindOf(status), Origin: translate.Messages}
	value := jsontext.Value(body)
	if !value.IsValid() {
		f.Message = translate.Words(body)
		return statusOf(f)
	}
	value = translate.First(value)
	object := jsontext.Value(wire.Get(value, "error"))
	if object.Kind() != '{' {
		object = value
	}
	f.Type, f.Message = memberOf(object, "type"), memberOf(object, "message")
	if f.Message == "" {
		f.Message = memberOf(value, "Message") // some of Amazon's
	}
	f.Code = memberOf(object, "status") // Google's word
	if f.Message == "" {
		f.Message = translate.Words(body)
	}
	return statusOf(f)
}

// statusOf lets the type say what the status leaves open.
func statusOf(f translate.Failure) translate.Failure {
	for i := len(kinds) - 1; i >= 0; i-- {
		k := &kinds[i]
		if k.word != f.Type {
			continue
		}
		if f.Status == 0 {
			f.Status, f.Kind = k.status, k.kind
		} else if f.Kind == translate.BadRequest || f.Kind == translate.Internal { // the kinds of statuses that say little
			f.Kind = k.kind
		}
		return f
	}
	if f.Status == 0 {
		f.Status, f.Kind = 500, translate.Internal
	}
	return f
}

// EncodeFailure implements translate.Client.
func (Codec) EncodeFailure(f translate.Failure, requestID string) []byte {
	var w jsonx.Writer
	w.Open('{')
	w.Text("type", "error")
	w.Name("error")
	w.Open('{')
	w.Text("type", errorType(f))
	w.Text("message", f.Message)
	w.Close('}')
	w.TextIf("request_id", requestID)
	w.Close('}')
	return w.Out
}

func errorType(f translate.Failure) string {
	if f.Origin == translate.Messages && f.Type != "" && f.Type != "error" {
		return f.Type
	}
	if f.Status == 502 {
		return "api_error"
	}
	for _, k := range kinds {
		if k.kind == f.Kind {
			return k.word
		}
	}
	return "api_error"
}
