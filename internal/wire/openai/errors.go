package openai

import (
	"halley/internal/fault"
	"halley/internal/jsonx"
)

// errorBody is the dialect's error object.
type errorBody struct {
	Error struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    string  `json:"code"`
	} `json:"error"`
}

// Error writes a fault of Halley's own in the dialect's shape.
func Error(f *fault.Error, requestID string) []byte {
	var body errorBody
	body.Error.Message = f.Message + " (request id: " + requestID + ")"
	body.Error.Type = errorType(f.Kind)
	body.Error.Code = f.Code
	if f.Param != "" {
		body.Error.Param = &f.Param
	}
	out, err := jsonx.Marshal(body)
	if err != nil { // strings only: cannot happen unless one is not UTF-8
		return []byte(`{"error":{"message":"Something went wrong on our side.","type":"server_error","param":null,"code":"internal_error"}}`)
	}
	return out
}

// errorType is the type OpenAI's own API uses for the status.
func errorType(k fault.Kind) string {
	switch k {
	case fault.Unauthenticated:
		return "authentication_error"
	case fault.PaymentRequired:
		return "insufficient_quota"
	case fault.Forbidden:
		return "permission_error"
	case fault.RateLimited:
		return "rate_limit_error"
	case fault.Internal, fault.BadGateway, fault.Unavailable, fault.GatewayTimeout:
		return "server_error"
	}
	return "invalid_request_error"
}
