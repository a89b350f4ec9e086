// Package exchange puts a client's request before one upstream and brings its
// answer back: as it is, edited in place, when both speak the same dialect, and
// through a neutral conversation when they do not. It is pure, and must not know
// keys, money or how an upstream is reached.
package exchange

import (
	"errors"

	"cmp"

	"halley/internal/fault"
	"halley/internal/translate"
	"halley/internal/wire"
)

// Exchange is one attempt at one upstream.
type Exchange interface {
	// Body writes the request's body for the upstream. A request that the
	// upstream's dialect has no words for is a fault of kind Malformed with the
	// code unsupported_parameter that names the member; dropped are the members
	// that were left out because the answer does not depend on them.
	Body(c wire.Changes, maxOutput int64) (body []byte, dropped []string, err error)
	// Answer reads an answer with the status 200. It says what the answer has used
	// and what of it the client gets; ok is false when it is no answer of the
	// upstream's dialect.
	Answer(body []byte) (a wire.Answer, out []byte, ok bool)
	// OutputText counts what the model wrote in an answer that does not say.
	OutputText(body []byte) wire.TextBytes
	// Stream begins to bring back a streamed answer.
	Stream() wire.Stream
	// Failure is what the client gets of an answer with an error status.
	Failure(status int, body []byte, requestID string) []byte
	// Translated reports whether the two speak different dialects, so that the
	// headers of one mean nothing to the other.
	Translated() bool
}

// Same is the exchange with an upstream that speaks the client's dialect.
type Same struct {
	Format  wire.Format
	Request wire.Request
	Raw     []byte // the client's body
	// Model is the public name; Rename says that the upstream has another.
	Model  string
	Rename bool
	// Platform is the upstream's codec where the dialect is served by another than
	// its maker: then the platform's own errors are not in the dialect.
	Platform translate.Codec
}

var _ Exchange = (*Same)(nil)

// Body is the client's, with the changes.
func (s *Same) Body(c wire.Changes, _ int64) (body []byte, dropped []string, err error) {
	edits := s.Request.Edits(c)
	if len(edits) == 0 {
		return s.Raw, nil, nil
	}
	return wire.Apply(make([]byte, 0, len(s.Raw)+128), s.Raw, edits), nil, nil
}

// Answer is the upstream's, with the public name of the model.
func (s *Same) Answer(body []byte) (a wire.Answer, out []byte, ok bool) {
	a, ok = s.Format.ScanAnswer(body)
	if ok = ok && (a.IsError || a.HasUsage || answers(body)); ok && s.Rename && a.ModelAt.Present() {
		body = wire.Apply(make([]byte, 0, len(body)+len(s.Model)), body, []wire.Edit{{At: a.ModelAt, With: wire.Quote(s.Model)}})
	}
	return a, body, ok
}

// answers reports whether a body that does not say what was used is an answer of
// some dialect all the same. Servers that answer whatever happens with 200 say
// what went wrong in an object of their own.
func answers(body []byte) bool {
	for _, name := range [...]string{"choices", "content", "output", "candidates", "data", "results", "embeddings"} {
		if v := wire.Get(body, name); len(v) > 0 && v[0] == '[' {
			return true
		}
	}
	for _, name := range [...]string{"output", "embeddings", "message"} { // Converse, Cohere
		if v := wire.Get(body, name); len(v) > 2 && v[0] == '{' {
			return true
		}
	}
	for _, name := range [...]string{"promptFeedback", "embedding", "totalTokens", "input_tokens"} {
		if v := wire.Get(body, name); len(v) > 0 && v[0] != 'n' {
			return true
		}
	}
	return false
}

// OutputText is the format's.
func (s *Same) OutputText(body []byte) wire.TextBytes { return s.Format.OutputText(body) }

// Stream is the format's.
func (s *Same) Stream() wire.Stream {
	head := s.Request.Facts()
	return s.Format.Stream(wire.StreamOptions{Model: s.Model, Rename: s.Rename, WantUsage: head.IncludeUsage, Choices: head.Choices})
}

// Failure is the upstream's, unmodified but for a platform's own, whose wording
// stays.
func (s *Same) Failure(status int, body []byte, requestID string) []byte {
	if s.Platform == nil {
		return body
	}
	if a, ok := s.Format.ScanAnswer(body); ok && a.IsError {
		return body
	}
	return s.Platform.EncodeFailure(s.Platform.DecodeFailure(status, body), requestID)
}

// Translated is false.
func (s *Same) Translated() bool { return false }

// Across is the exchange with an upstream that speaks another dialect.
type Across struct {
	Conversation *translate.Conversation
	Client       translate.Client
	Upstream     translate.Upstream
	Model        string // the public name
	// ID is what an answer is called whose upstream gives it no id, or, with Rename,
	// whatever the upstream calls it.
	ID     string
	Rename bool

	// fitted has the tools as the upstream was told of them.
	fitted *translate.Fitted
}

var _ Exchange = (*Across)(nil)

// Body writes the conversation in the upstream's words.
func (x *Across) Body(c wire.Changes, maxOutput int64) (body []byte, dropped []string, err error) {
	to := translate.Target{Model: c.Model, MaxOutput: maxOutput, Cap: c.OutputCap}
	x.fitted, err = x.Conversation.Fit(x.Upstream.ToolRules(x.Conversation, to))
	if err != nil {
		return nil, nil, Fault(err)
	}
	body, err = x.Upstream.EncodeRequest(x.fitted.Conversation, to)
	return body, x.fitted.Conversation.TakeDropped(), Fault(err)
}

// Answer writes the answer in the client's words.
func (x *Across) Answer(body []byte) (a wire.Answer, out []byte, ok bool) {
	answer, err := x.Upstream.DecodeAnswer(body)
	if err != nil {
		return a, nil, false
	}
	answer.Model, answer.ID = x.Model, x.called(answer.ID)
	x.fitted.Answer(answer)
	if answer.Usage != nil {
		a.Usage, a.HasUsage = *answer.Usage, true
	}
	a.ServiceTier = answer.ServiceTier
	out, err = x.Client.EncodeAnswer(x.Conversation, answer)
	return a, out, err == nil
}

// called is what the client knows an answer by.
func (x *Across) called(id string) string {
	if x.Rename {
		return x.ID
	}
	return cmp.Or(id, x.ID)
}

// OutputText counts the text of the answer's parts.
func (x *Across) OutputText(body []byte) (text wire.TextBytes) {
	answer, err := x.Upstream.DecodeAnswer(body)
	if err != nil {
		return text
	}
	for _, c := range answer.Candidates {
		for _, p := range c.Parts {
			countPart(&text, p)
		}
	}
	return text
}

// Failure writes the upstream's error in the client's words.
func (x *Across) Failure(status int, body []byte, requestID string) []byte {
	return x.Client.EncodeFailure(x.Upstream.DecodeFailure(status, body), requestID)
}

// Translated is true.
func (x *Across) Translated() bool { return true }

// Fault is an error of a codec as a fault: what the client got wrong, and what
// the upstream cannot do, are the request's.
func Fault(err error) error {
	if e, ok := errors.AsType[*translate.Malformed](err); ok {
		return wire.Invalid(e.Field, "%s", e.Why)
	}
	if e, ok := errors.AsType[*translate.Unsupported](err); ok {
		return fault.New(fault.Malformed, "unsupported_parameter", "%s", e.Why).Field(e.Field)
	}
	return err
}
