// Package gemini is the Gemini dialect on the wire. The error shape is that of
// Google's APIs (google.rpc.Status as JSON). It does no I/O.
package gemini

import (
	"strconv"
	"strings"
	"time"

	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/wire"
)

type errorBody struct {
	Error struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Status  string `json:"status"`
	} `json:"error"`
}

// Error writes a fault of Halley's own in the dialect's shape.
func Error(f *fault.Error, requestID string) []byte {
	var body errorBody
	body.Error.Code = f.Kind.Status()
	body.Error.Message = f.Message + " (request id: " + requestID + ")"
	body.Error.Status = status(f.Kind)
	out, err := jsonx.Marshal(body)
	if err != nil {
		return []byte(`{"error":{"code":500,"message":"Something went wrong on our side.","status":"INTERNAL"}}`)
	}
	return out
}

// AppendError ends an event stream with an error's body. Google writes it bare, and
// its SDK for JavaScript finds it only so; other readers of event streams find it
// only in an event. So it stands there in both forms. No empty line follows: where
// the SDK reads the two in one piece, what is left over is an error to it as well.
func AppendError(out, body []byte) []byte {
	out = append(append(out, "data: "...), body...)
	out = append(append(out, "\r\n\r\n"...), body...)
	return append(out, '\n')
}

// RetryDelay is what the google.rpc.RetryInfo in an error's details says; 0 when
// there is none.
func RetryDelay(body []byte) time.Duration {
	err := wire.Get(body, "error")
	for detail := range wire.Elements(wire.Get(err, "details")) {
		if kind := wire.Text(wire.Get(detail, "@type")); kind != "type.googleapis.com/google.rpc.RetryInfo" {
			continue
		}
		// A protobuf Duration: seconds with up to nine decimals and an s.
		text, ok := strings.CutSuffix(wire.Text(wire.Get(detail, "retryDelay")), "s")
		if seconds, err := strconv.ParseFloat(text, 64); ok && err == nil && seconds > 0 {
			return time.Duration(min(seconds, 1e6) * float64(time.Second))
		}
	}
	return 0
}

func status(k fault.Kind) string {
	switch k {
	case fault.Malformed, fault.Invalid, fault.TooLarge, fault.NotAllowed:
		return "INVALID_ARGUMENT"
	case fault.Unauthenticated:
		return "UNAUTHENTICATED"
	case fault.PaymentRequired, fault.RateLimited:
		return "RESOURCE_EXHAUSTED"
	case fault.Forbidden:
		return "PERMISSION_DENIED"
	case fault.NotFound:
		return "NOT_FOUND"
	case fault.Conflict, fault.PreconditionFailed:
		return "FAILED_PRECONDITION"
	case fault.Unavailable, fault.BadGateway:
		return "UNAVAILABLE"
	case fault.GatewayTimeout:
		return "DEADLINE_EXCEEDED"
	case fault.Internal:
	}
	return "INTERNAL"
}
