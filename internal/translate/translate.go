// Package translate puts a request that was made in one model dialect before an
// upstream that speaks another, and brings the answer back. In the middle stands
// a neutral conversation; each dialect has a package below this one with a
// Codec, which turns its own shapes into neutral ones and back. It is pure: it
// does no I/O, reads no clock and keeps nothing between requests.
//
// What one side can say and the other cannot is never lost in silence. An
// encoder that cannot express something either refuses the request, when leaving
// it out would change the answer ([Unsupported]), or leaves it out and says so
// ([Conversation.Drop]).
package translate

import (
	"errors"
	"fmt"
	"strings"

	"halley/internal/jsonx"
	"halley/internal/usage"
)

// Dialect names a family of shapes, at one endpoint of a provider's API.
type Dialect string

// The dialects.
const (
	Chat      Dialect = "chat"      // OpenAI POST /chat/completions
	Responses Dialect = "responses" // OpenAI POST /responses
	Messages  Dialect = "messages"  // Anthropic POST /v1/messages
	Gemini    Dialect = "gemini"    // Google generateContent, streamGenerateContent
	Converse  Dialect = "converse"  // Amazon Bedrock Converse, ConverseStream
	Cohere    Dialect = "cohere"    // Cohere POST /v2/chat
)

// Codec knows one dialect, in both of its places: as a client speaks it to
// Halley, and as Halley speaks it to an upstream. It has no state and may be
// shared.
type Codec interface {
	Client
	Upstream
}

// Client is the side of a dialect that faces who asked.
type Client interface {
	// DecodeRequest reads a request body. What is wrong with it is a *Malformed
	// naming the member. What has no place in a Conversation goes to its Extra.
	DecodeRequest(body []byte) (*Conversation, error)
	// EncodeAnswer writes an answer to the request c, as a body.
	EncodeAnswer(c *Conversation, a *Answer) ([]byte, error)
	// EncodeStream begins to write a streamed answer to the request c.
	EncodeStream(c *Conversation) StreamEncoder
	// EncodeFailure writes an error answer's body. requestID may be empty.
	EncodeFailure(f Failure, requestID string) []byte
}

// Upstream is the side of a dialect that faces who answers.
type Upstream interface {
	// ToolRules says which of the conversation's tools the upstream takes; nil
	// when it takes them all as they are.
	ToolRules(c *Conversation, to Target) *ToolRules
	// EncodeRequest writes a request body for the upstream. It notes with
	// c.Drop what it leaves out; *Unsupported is what it cannot leave out.
	EncodeRequest(c *Conversation, to Target) ([]byte, error)
	// DecodeAnswer reads an answer's body. An error means that it is none: not
	// JSON, or not of this dialect.
	DecodeAnswer(body []byte) (*Answer, error)
	// DecodeStream begins to read a streamed answer.
	DecodeStream() StreamDecoder
	// DecodeFailure reads the body of an answer with an error status. It reads
	// any bytes; what it does not understand becomes the message, clipped.
	DecodeFailure(status int, body []byte) Failure
}

// StreamDecoder reads one streamed answer, event by event.
type StreamDecoder interface {
	// Decode reads one event: its name (SSE's event: line, or the event type of
	// an AWS event stream; "" when there is none) and its data. What it means is
	// given to emit, in order. An error means that the data is unreadable; the
	// stream is then over. Data is not kept.
	Decode(name string, data []byte, emit func(Event)) error
	// End says that the upstream has ended the stream. An error means that it
	// was not whole: the dialect's final event is missing.
	End(emit func(Event)) error
}

// Ender is a StreamDecoder of a dialect without a final event, which therefore
// tells of Finish and Done only in End.
type Ender interface {
	// Ended reports whether the stream may end here: every candidate has said why
	// it stops.
	Ended() bool
}

// StreamEncoder writes one streamed answer, event by event, as the bytes that go
// to the client: for the SSE dialects whole events with their blank line.
type StreamEncoder interface {
	// Encode appends what the event means to dst; often that is nothing.
	Encode(dst []byte, e Event) []byte
	// Fail appends the dialect's error event, after which nothing comes.
	Fail(dst []byte, f Failure, requestID string) []byte
}

// Target is what an encoder needs to know of the upstream.
type Target struct {
	Model string // the upstream's name for it
	// MaxOutput is the model's largest output, in tokens, for dialects where a
	// request must bound its output; 0 when it is not known.
	MaxOutput int64
	// Cap replaces the output bound of the request when it is above 0: what the
	// money allows.
	Cap int64
}

// Failure is an error answer in no dialect.
type Failure struct {
	Status int // the HTTP status it had or shall have
	Kind   FailureKind
	// Type and Code are the upstream's own words, when it has such.
	Type, Code string
	Message    string // the upstream's wording, which clients match
	Param      string
	Origin     Dialect // who said it; "" is Halley
}

// FailureKind is what went wrong, roughly.
type FailureKind string

// The kinds, by the status that is usual for them.
const (
	BadRequest   FailureKind = "bad_request"  // 400, 422
	Unauthorized FailureKind = "unauthorized" // 401
	Payment      FailureKind = "payment"      // 402
	Forbidden    FailureKind = "forbidden"    // 403
	NotFound     FailureKind = "not_found"    // 404
	Conflict     FailureKind = "conflict"     // 409
	TooLarge     FailureKind = "too_large"    // 413
	RateLimited  FailureKind = "rate_limited" // 429
	Internal     FailureKind = "internal"     // 500
	Unavailable  FailureKind = "unavailable"  // 502, 503
	Timeout      FailureKind = "timeout"      // 504
	Overloaded   FailureKind = "overloaded"   // 529
)

// KindOf is the kind that is usual for an HTTP status.
func KindOf(status int) FailureKind {
	switch status {
	case 401:
		return Unauthorized
	case 402:
		return Payment
	case 403:
		return Forbidden
	case 404:
		return NotFound
	case 409:
		return Conflict
	case 413:
		return TooLarge
	case 429:
		return RateLimited
	case 502, 503:
		return Unavailable
	case 504:
		return Timeout
	case 529:
		return Overloaded
	}
	if status >= 500 {
		return Internal
	}
	return BadRequest
}

// Malformed is a request that its dialect does not allow.
type Malformed struct {
	Field string // a path in the dialect's terms, such as messages[2].content
	Why   string // a sentence for users
}

// Error is the sentence.
func (m *Malformed) Error() string { return m.Why }

// Malform makes a Malformed.
func Malform(field, format string, args ...any) *Malformed {
	return &Malformed{Field: field, Why: fmt.Sprintf(format, args...)}
}

// Undecodable is a *Malformed that says which member of a body jsonx did not like;
// nil for no error.
func Undecodable(err error) error {
	if err == nil {
		return nil
	}
	if bad, ok := errors.AsType[*jsonx.DecodeError](err); ok && bad.Field != "" {
		return Malform(bad.Field, "%s %s.", bad.Field, bad.Reason)
	}
	return Malform("", "The request is unreadable: %s.", err)
}

// Unsupported is a request that an upstream's dialect has no words for, and that
// would mean something else without.
type Unsupported struct {
	Field string // in the terms of the dialect that the request was made in
	Why   string
}

// Error is the reason.
func (u *Unsupported) Error() string { return u.Why }

// Unsupport makes an Unsupported.
func Unsupport(field, format string, args ...any) *Unsupported {
	return &Unsupported{Field: field, Why: fmt.Sprintf(format, args...)}
}

// Usage is what an answer has used: Prompt includes what was read from and
// written to caches, Completion includes reasoning, whatever the dialect's own
// custom is.
type Usage = usage.Tokens

// maxMessage bounds an upstream's words that are no message of its dialect, in
// bytes.
const maxMessage = 1000

// Clip shortens what an upstream said to what can stand in a message.
func Clip(text string) string {
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
