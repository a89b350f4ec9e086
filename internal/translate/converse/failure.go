package converse

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// exceptions are the errors of Amazon's reference, with the status that each has;
// the first of a kind is the one that is written for it.
//
// https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
var exceptions = [...]struct {
	name   string // as an event of a stream says it
	kind   translate.FailureKind
	status int
}{
	{"validationException", translate.BadRequest, 400},
	{"accessDeniedException", translate.Forbidden, 403},
	{"unrecognizedClientException", translate.Unauthorized, 403},
	{"resourceNotFoundException", translate.NotFound, 404},
	{"conflictException", translate.Conflict, 409},
	{"modelTimeoutException", translate.Timeout, 408},
	{"throttlingException", translate.RateLimited, 429},
	{"modelNotReadyException", translate.RateLimited, 429},
	{"serviceQuotaExceededException", translate.Payment, 400},
	{"internalServerException", translate.Internal, 500},
	{"modelStreamErrorException", translate.Internal, 424},
	{"modelErrorException", translate.Internal, 424},
	{"serviceUnavailableException", translate.Unavailable, 503},
	{"serviceUnavailableException", translate.Overloaded, 503},
}

// DecodeFailure implements translate.Upstream. The type stands in a header, which
// is not at hand here; some of Amazon's front ends repeat it in the body.
func (Codec) DecodeFailure(status int, body []byte) translate.Failure {
	f := translate.Failure{Status: status, Kind: translate.KindOf(status), Origin: translate.Converse}
	switch status {
	case 408:
		f.Kind = translate.Timeout
	case 424: // ModelErrorException
		f.Kind = translate.Internal
	}
	if value := jsontext.Value(body); value.Kind() == '{' && value.IsValid() {
		f.Message = textOf(value, "message")
		if f.Message == "" {
			f.Message = textOf(value, "Message")
		}
		name := textOf(value, "__type")
		f.Type = name[strings.LastIndexByte(name, '#')+1:]
	}
	if f.Message == "" {
		f.Message = translate.Words(body)
	}
	return f
}

// Exception is an exception that came in a stream.
func Exception(name string, data []byte) translate.Failure {
	f := Codec{}.DecodeFailure(500, data)
	f.Type = name
	for _, e := range exceptions {
		if e.name == name {
			f.Kind, f.Status = e.kind, e.status
			break
		}
	}
	if original := textOf(data, "originalMessage"); original != "" && !strings.Contains(f.Message, original) {
		f.Message += " " + original
	}
	return f
}

// EncodeFailure implements translate.Client. The dialect has no place for the
// request's id in a body.
func (Codec) EncodeFailure(f translate.Failure, _ string) []byte {
	var w jsonx.Writer
	w.Open('{')
	w.Text("message", f.Message)
	w.Close('}')
	return w.Out
}

// exceptionOf is the name of an error in a stream.
func exceptionOf(f translate.Failure) string {
	if f.Origin == translate.Converse && strings.HasSuffix(f.Type, "Exception") {
		return strings.ToLower(f.Type[:1]) + f.Type[1:]
	}
	for _, e := range exceptions {
		if e.kind == f.Kind {
			return e.name
		}
	}
	return "internalServerException"
}
