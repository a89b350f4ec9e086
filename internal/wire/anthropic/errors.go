package anthropic

import (
	"halley/internal/fault"
	"halley/internal/jsonx"
)

// errorBody is the dialect's error object.
type errorBody struct {
	Type  string `json:"type"`
	Error struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	} `json:"error"`
	RequestID string `json:"request_id,omitzero"`
}

// Error writes a fault of Halley's own in the dialect's shape.
func Error(f *fault.Error, requestID string) []byte {
	body := errorBody{Type: "error", RequestID: requestID}
	body.Error.Type, body.Error.Message = errorType(f.Kind), f.Message
	out, err := jsonx.Marshal(body)
	if err != nil { // strings only: cannot happen unless one is not UTF-8
		return []byte(`{"type":"error","error":{"type":"api_error","message":"Something went wrong on our side."}}`)
	}
	return out
}

// errorType is the type that Anthropic's own API uses for the status.
func errorType(k fault.Kind) string {
	switch k {
	case fault.Unauthenticated:
		return "authentication_error"
	case fault.PaymentRequired:
		return "billing_error"
	case fault.Forbidden:
		return "permission_error"
	case fault.NotFound:
		return "not_found_error"
	case fault.TooLarge:
		return "request_too_large"
	case fault.RateLimited:
		return "rate_limit_error"
	case fault.GatewayTimeout:
		return "timeout_error"
	case fault.Internal, fault.BadGateway:
		return "api_error"
	case fault.Unavailable:
		return "overloaded_error"
	}
	return "invalid_request_error"
}
