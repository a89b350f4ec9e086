package adminapi

import (
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"halley/internal/account"
	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/speech"
	"halley/internal/wire/openai"
)

// noData is the result of a call whose answer has no data member.
type noData struct{}

// bare is a result that is written as it is, without the envelope.
type bare struct{ body any }

type envelope struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
	Data    any    `json:"data"`
}

type envelopeNoData struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
}

type envelopeError struct {
	Success bool   `json:"success" enum:"false"`
	Message string `json:"message" doc:"Says to people which field broke which rule, in the language that Accept-Language asks for: English or Simplified Chinese."`
	Code    string `json:"code" doc:"Says the same to programs; it stays the same."`
	Param   string `json:"param,omitempty" doc:"The field at fault."`
	// Data is for who signs in and has shown the right password.
	Data *secondFactorChoice `json:"data,omitempty" doc:"With totp_required and passkey_required only: what may be shown."`
}

func (s *Server) succeed(w http.ResponseWriter, r *http.Request, result any) {
	var body any
	switch v := result.(type) {
	case noData:
		body = envelopeNoData{Success: true}
	case bare:
		body = v.body
	case http.Handler: // streams its own answer
		v.ServeHTTP(w, r)
		return
	default:
		body = envelope{Success: true, Data: result}
	}
	s.write(w, r, http.StatusOK, body)
}

// fail answers with the fault: in the envelope, or in OpenAI's shape where the
// published call does, whatever went wrong.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := fault.From(err)
	s.logFault(r, e, err)
	if strings.TrimSuffix(r.URL.Path, "/") == quotaPath {
		s.write(w, r, statusOf(w, e), jsonx.Value(openai.Error(e, requestID(r))))
		return
	}
	body := envelopeError{Message: e.In(s.languageOf(r)), Code: e.Code, Param: e.Param}
	if required, ok := errors.AsType[*account.SecondFactorRequired](err); ok {
		body.Data = &secondFactorChoice{Methods: required.Methods}
		if required.Passkey != nil {
			view, err := viewCeremony(required.Passkey)
			if err != nil {
				s.fail(w, r, err)
				return
			}
			body.Data.Passkey = view
		}
	}
	s.write(w, r, statusOf(w, e), body)
}

// languageOf is the language to tell people in who send the request.
func (s *Server) languageOf(r *http.Request) *speech.Language {
	return s.languages.For(r.Header.Get("Accept-Language"))
}

// statusOf also sets the headers that go with the fault.
func statusOf(w http.ResponseWriter, e *fault.Error) int {
	if e.RetryAfter > 0 {
		seconds := int64(math.Ceil(float64(e.RetryAfter) / float64(time.Second)))
		w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	return e.Kind.Status()
}

// logFault writes what the caller must not see: the cause of a fault of ours.
func (s *Server) logFault(r *http.Request, e *fault.Error, err error) {
	if e.Kind.Status() >= 500 {
		s.base.Log.LogAttrs(r.Context(), slog.LevelError, "management request failed",
			slog.String("request_id", requestID(r)), slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.String("error", err.Error()))
	}
}

// requestID is the request id that the outer handler made.
func requestID(r *http.Request) string { return r.Header.Get("X-Request-Id") }

func (s *Server) write(w http.ResponseWriter, r *http.Request, status int, body any) {
	text, err := jsonx.Marshal(body)
	if err != nil {
		s.base.Log.LogAttrs(r.Context(), slog.LevelError, "an answer could not be written as JSON", slog.String("error", err.Error()))
		status, text = http.StatusInternalServerError, []byte(`{"success":false,"message":"Something went wrong on our side.","code":"internal_error"}`)
	}
	writeJSON(w, status, text)
}

func writeJSON(w http.ResponseWriter, status int, text []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // the client may be gone; there is nobody left to tell
}

// Refuse answers for a server that cannot serve yet.
func Refuse(w http.ResponseWriter, e *fault.Error) {
	text, err := jsonx.Marshal(envelopeError{Message: e.Message, Code: e.Code, Param: e.Param})
	if err != nil { // strings of our own: cannot happen
		text = []byte(`{"success":false,"message":"","code":"internal_error"}`)
	}
	writeJSON(w, statusOf(w, e), text)
}
