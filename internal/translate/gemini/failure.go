package gemini

import (
	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// statuses are the words of google.rpc.Code with the HTTP status that each goes
// with; the first of a kind is the one that is written for it.
var statuses = [...]struct {
	word   string
	kind   translate.FailureKind
	status int
}{
	{"INVALID_ARGUMENT", translate.BadRequest, 400},
	{"FAILED_PRECONDITION", translate.BadRequest, 400},
	{"OUT_OF_RANGE", translate.BadRequest, 400},
	{"UNAUTHENTICATED", translate.Unauthorized, 401},
	{"PERMISSION_DENIED", translate.Forbidden, 403},
	{"NOT_FOUND", translate.NotFound, 404},
	{"ABORTED", translate.Conflict, 409},
	{"ALREADY_EXISTS", translate.Conflict, 409},
	{"RESOURCE_EXHAUSTED", translate.RateLimited, 429},
	{"RESOURCE_EXHAUSTED", translate.Payment, 402},
	{"INVALID_ARGUMENT", translate.TooLarge, 413},
	{"INTERNAL", translate.Internal, 500},
	{"UNKNOWN", translate.Internal, 500},
	{"DATA_LOSS", translate.Internal, 500},
	{"UNIMPLEMENTED", translate.Internal, 501},
	{"UNAVAILABLE", translate.Unavailable, 503},
	{"UNAVAILABLE", translate.Overloaded, 503},
	{"DEADLINE_EXCEEDED", translate.Timeout, 504},
	{"CANCELLED", translate.Internal, 499},
}

// DecodeFailure implements translate.Upstream. The error object stands alone or
// in a list, which is what a stream that is an array answers. A status of 0
// stands for the one that the body names. A key that is wrong has the status of
// any bad request, and says so in its details.
func (Codec) DecodeFailure(status int, body []byte) translate.Failure {
	f := translate.Failure{Status: status, Origin: translate.Gemini}
	value := jsontext.Value(body)
	if value.IsValid() {
		value = translate.First(value)
	}
	r := jsonx.Read(value)
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("error") && r.Kind() == '{':
			readFailure(r, &f)
		case r.Is("message") && r.Kind() == '"' && f.Message == "":
			f.Message = r.String()
		default:
			r.Skip()
		}
	}
	if f.Message == "" {
		f.Message = translate.Words(body)
	}
	for _, s := range statuses {
		if s.word == f.Type {
			f.Kind = s.kind
			if f.Status == 0 {
				f.Status = s.status
			}
			break
		}
	}
	if f.Status == 0 {
		f.Status = 500
	}
	if f.Kind == "" || f.Status == 529 {
		f.Kind = translate.KindOf(f.Status)
	}
	if f.Code == "API_KEY_INVALID" {
		f.Kind = translate.Unauthorized
	}
	return f
}

func readFailure(r *jsonx.Reader, f *translate.Failure) {
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("message"):
			f.Message = r.String()
		case r.Is("status"):
			f.Type = readWord(r)
		case r.Is("code") && r.Kind() == '0':
			if n := r.Int(); f.Status == 0 && n >= 400 && n < 600 {
				f.Status = int(n)
			}
		case r.Is("details"):
			each(r, func() {
				for r.Object(); r.Next('}'); {
					if r.Is("reason") && r.Kind() == '"' {
						f.Code = r.String()
					} else {
						r.Skip()
					}
				}
			})
		default:
			r.Skip()
		}
	}
}

// EncodeFailure implements translate.Client. The request's id stands in the
// details, as Google's own services have it.
func (Codec) EncodeFailure(f translate.Failure, requestID string) []byte {
	var w jsonx.Writer
	w.Open('{')
	w.Name("error")
	w.Open('{')
	w.Int("code", int64(f.Status))
	w.Text("message", f.Message)
	w.Text("status", statusWord(f))
	if requestID != "" {
		w.Name("details")
		w.Open('[')
		w.Open('{')
		w.Text("@type", "type.googleapis.com/google.rpc.RequestInfo")
		w.Text("requestId", requestID)
		w.Close('}')
		w.Close(']')
	}
	w.Close('}')
	w.Close('}')
	return w.Out
}

func statusWord(f translate.Failure) string {
	if f.Origin == translate.Gemini && f.Type != "" {
		return f.Type
	}
	for _, s := range statuses {
		if s.kind == f.Kind {
			return s.word
		}
	}
	return "INTERNAL"
}
