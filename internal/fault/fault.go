// Package fault is Halley's error type: a small kind that fixes the HTTP
// status, a stable machine word, a message fit for the caller, and the cause
// for the log. Errors are returned, wrapped on the way, and turned into an
// answer once, at the edge. The package knows nothing of HTTP bodies or
// dialects.
package fault

import (
	"errors"
	"strings"
	"time"
	"unicode"

	"halley/internal/speech"
)

// Kind classifies an error by what the caller can do about it.
type Kind uint8

// The kinds, with the HTTP status each stands for.
const (
	Internal           Kind = iota // 500
	Malformed                      // 400: not readable as what was asked for
	Unauthenticated                // 401
	PaymentRequired                // 402: the grant is used up
	Forbidden                      // 403
	NotFound                       // 404
	Conflict                       // 409
	PreconditionFailed             // 412: the record moved on
	TooLarge                       // 413
	Invalid                        // 422: readable, but breaks a rule
	RateLimited                    // 429
	BadGateway                     // 502
	Unavailable                    // 503
	GatewayTimeout                 // 504
	NotAllowed                     // 405
)

var statuses = [...]int{500, 400, 401, 402, 403, 404, 409, 412, 413, 422, 429, 502, 503, 504, 405}

// Status is the HTTP status of the kind.
func (k Kind) Status() int {
	if int(k) < len(statuses) {
		return statuses[k]
	}
	return 500
}

// Error is an error with everything an edge needs to answer it.
type Error struct {
	Kind       Kind
	Code       string        // stable machine word, e.g. "name_too_long"
	Message    string        // plain language for the caller; never holds a secret
	Param      string        // the request field at fault, "" when none
	RetryAfter time.Duration // > 0 when waiting helps
	Cause      error         // for the log only
	text       speech.Text   // Message, for other languages
}

// New makes an error; format and args give the public message. What is not
// UTF-8 in it, as a path may hold, becomes U+FFFD: no dialect could write it.
func New(kind Kind, code, format string, args ...any) *Error {
	text := speech.Say(format, args...)
	msg := format
	if len(args) > 0 {
		msg = strings.ToValidUTF8(text.String(), "\ufffd")
	}
	return &Error{Kind: kind, Code: code, Message: msg, text: text}
}

// In is the message in a language.
func (e *Error) In(l *speech.Language) string {
	if e.text.Format == "" { // it was not made by New
		return e.Message
	}
	return strings.ToValidUTF8(l.Say(e.text), "\ufffd")
}

// Wrap makes an error with a cause that is logged but not shown.
func Wrap(cause error, kind Kind, code, format string, args ...any) *Error {
	e := New(kind, code, format, args...)
	e.Cause = cause
	return e
}

// Field returns the error with Param set.
func (e *Error) Field(name string) *Error { e.Param = name; return e }

// Retry returns the error with RetryAfter set.
func (e *Error) Retry(after time.Duration) *Error { e.RetryAfter = after; return e }

// Error gives the message and, for logs, the cause.
func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Message + ": " + e.Cause.Error()
	}
	return e.Message
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// From finds the fault in err's chain; any other error becomes an Internal one
// whose message says nothing.
func From(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return Wrap(err, Internal, "internal_error", "Something went wrong on our side.")
}

// Is reports whether err's chain holds a fault of the kind.
func Is(err error, kind Kind) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == kind
}

// Code gives the machine word of the fault in err's chain, "" when there is none.
func Code(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// Quote is an outsider's text fit for a message: in quotes, cut to 80
// characters, without what could forge or hide text.
func Quote(s string) string {
	const most = 80
	if r := []rune(s[:min(len(s), 4*most+4)]); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return `"` + strings.Map(func(r rune) rune {
		if Unprintable(r) {
			return '\ufffd'
		}
		return r
	}, s) + `"`
}

// Unprintable are the characters that could forge or hide text in a terminal, a
// log or a list: controls, line separators and changes of direction. The joiners
// inside emoji are not among them.
func Unprintable(r rune) bool {
	switch {
	case unicode.IsControl(r), r == '\u2028', r == '\u2029', r == '\ufeff':
		return true
	case '\u202a' <= r && r <= '\u202e', '\u2066' <= r && r <= '\u2069':
		return true
	}
	return false
}
