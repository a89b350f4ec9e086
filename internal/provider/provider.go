// Package provider knows the upstream kinds: where a request goes, how the
// credential is shown, and what an error answer means for us. One package per
// kind lies below it.
package provider

import (
	"context"
	"io"
	"net/http"
	"time"

	"halley/internal/channel"
)

// Operation is what is asked of an upstream.
type Operation string

// The operations. Those that make text are also the dialects that it is made in.
const (
	Chat          Operation = "chat"           // OpenAI chat completions
	Responses     Operation = "responses"      // OpenAI responses
	Messages      Operation = "messages"       // Anthropic messages
	Generate      Operation = "gemini"         // Google generateContent
	Converse      Operation = "converse"       // Amazon Bedrock Converse
	CohereChat    Operation = "cohere"         // Cohere v2 chat
	Completions   Operation = "completions"    // OpenAI completions, of before chat
	CountMessages Operation = "count_messages" // Anthropic count_tokens: what a prompt is long
	CountGenerate Operation = "count_gemini"   // Google countTokens
	Embeddings    Operation = "embeddings"     // OpenAI embeddings
	Rerank        Operation = "rerank"         // Cohere v2 rerank, which others have copied
	Models        Operation = "models"

	// On other clouds bodies differ in a few members from those of the dialect's own
	// API; see Operation.Dialect.
	BedrockMessages Operation = "bedrock_messages"
	VertexMessages  Operation = "vertex_messages"
	VertexGenerate  Operation = "vertex_gemini"

	// Embeddings that are not OpenAI's. Clients ask for the first two as well.
	GeminiEmbed    Operation = "gemini_embed"     // Google batchEmbedContents
	GeminiEmbedOne Operation = "gemini_embed_one" // Google embedContent
	CohereEmbed    Operation = "cohere_embed"     // Cohere v2 embed
	VertexEmbed    Operation = "vertex_embed"     // Vertex AI embedContent
	VertexPredict  Operation = "vertex_predict"   // Vertex AI predict
	TitanEmbed     Operation = "titan_embed"      // Amazon Bedrock InvokeModel of Titan
	BedrockCohere  Operation = "bedrock_cohere"   // Amazon Bedrock InvokeModel of Cohere Embed
)

// Dialect is the operation whose bodies these are, but for a few members that
// the provider sees to: see Reshaper.
func (op Operation) Dialect() Operation {
	switch op {
	case VertexMessages, BedrockMessages:
		return Messages
	case VertexGenerate:
		return Generate
	case VertexEmbed:
		return GeminiEmbedOne
	}
	return op
}

// Call is what a request asks for.
type Call struct {
	Operation Operation
	Model     string // the upstream's name of it, empty for Models
	Stream    bool
}

// Preparer is a Provider whose upstreams want something in every request's
// header, or cannot have everything.
type Preparer interface {
	// Prepare changes the header of a request before the credential is added.
	Prepare(h http.Header, c Call)
}

// Reshaper is a Provider whose upstreams want a body in a dialect otherwise than
// the dialect's own API does.
type Reshaper interface {
	// Reshape changes the body of a request that was made in the call's dialect,
	// with the client's header. It may keep body, and does not change it.
	Reshape(body []byte, client http.Header, c Call) []byte
}

// Framer is a Provider whose upstreams stream in another framing than that of
// server-sent events.
type Framer interface {
	// Frame gives the body of an answer with the status 200 as server-sent events;
	// nil when its header says that it is no stream in that framing.
	Frame(header http.Header, body io.Reader, c Call) io.Reader
}

// Hinter is a Provider whose error answers say in their body how long to wait.
type Hinter interface {
	// RetryAfter is how long the upstream wants to be left alone, 0 when it does
	// not say.
	RetryAfter(body []byte) time.Duration
}

// Speaker is a provider whose upstreams speak other dialects than OpenAI's chat
// completions and embeddings.
type Speaker interface {
	// Speaks gives the operation that serves a client's: the same one where the
	// upstream has it, else the one to translate to; "" when there is none.
	Speaks(ch *channel.Channel, model string, op Operation) Operation
}

// Speaks is what p's upstream is asked for, for a client's operation on a model
// by its upstream name; "" when it has nothing of the kind.
func Speaks(p Provider, ch *channel.Channel, model string, op Operation) Operation {
	if s, ok := p.(Speaker); ok {
		return s.Speaks(ch, model, op)
	}
	switch op {
	case Chat, Responses, Messages, Generate:
		return OpenAIDialect(ch, op)
	case Completions, Embeddings, Models:
		return op
	case GeminiEmbed, GeminiEmbedOne:
		return Embeddings
	case Rerank: // which servers of one's own have
		if ch.Kind == channel.OpenAI {
			return op
		}
	}
	return ""
}

// OpenAIDialect is which of OpenAI's two dialects serves an operation that makes
// text, at a channel that says which it has.
func OpenAIDialect(ch *channel.Channel, op Operation) Operation {
	switch {
	case ch.API == channel.ResponsesOnly, ch.API == channel.ChatAndResponses && op == Responses:
		return Responses
	}
	return Chat
}

// Endpoint is the operation's name in keys' limits and in usage records: what
// belongs together is allowed together.
func (op Operation) Endpoint() string {
	switch op {
	case Completions:
		return string(Chat)
	case CountMessages:
		return string(Messages)
	case CountGenerate:
		return string(Generate)
	case GeminiEmbed, GeminiEmbedOne:
		return string(Embeddings)
	}
	return string(op)
}

// Writes reports whether the model answers with words of its own, which cost.
func (op Operation) Writes() bool {
	return !op.Embeds() && op != Rerank && !op.Counts()
}

// Embeds reports whether clients ask for vectors.
func (op Operation) Embeds() bool {
	return op == Embeddings || op == GeminiEmbed || op == GeminiEmbedOne
}

// Counts reports whether the operation only says how long a prompt is.
func (op Operation) Counts() bool { return op == CountMessages || op == CountGenerate }

// Provider is one upstream kind.
type Provider interface {
	// URL is where the call goes for the channel.
	URL(ch *channel.Channel, c Call) string
	// Authorize gives the header that carries the credential.
	Authorize(credential string) (header, value string)
	// Classify says what an answer with an error status means.
	Classify(status int, body []byte) Class
}

// Shown is how a credential goes to the upstream.
type Shown struct {
	Header string
	Value  string
	Secret string // what must not come back to a client
}

// Exchanger is a Provider some of whose credentials are not shown themselves:
// they buy a token that is, which takes a call.
type Exchanger interface {
	// Exchange gives what stands for the credential, of the channel's, now. ok is
	// false when the credential is shown itself, as Authorize says. Calls go by
	// way of the channel's own network. An error means that the credential is of
	// no use at present; it is a *Refusal or ctx's cause.
	Exchange(ctx context.Context, ch *channel.Channel, credential string, way http.RoundTripper) (shown Shown, ok bool, err error)
	// Refused tells that the upstream did not accept the secret that was shown for
	// the credential, so that the next Exchange gives another.
	Refused(ch *channel.Channel, credential, secret string)
}

// Signer is a Provider some of whose credentials are not shown at all: they sign
// the request as it goes out.
type Signer interface {
	// Sign adds to the request's header what proves the credential, of the
	// channel's. ok is false when the credential is shown itself, as Authorize says.
	// The secret is what must not come back to a client. An error is like
	// Exchange's.
	Sign(ctx context.Context, ch *channel.Channel, credential string, r Outgoing) (secret string, ok bool, err error)
}

// Outgoing is a request as it goes out, but for its credential.
type Outgoing struct {
	Method string
	URL    string
	Header http.Header
	Body   []byte
}

// Refusal is why there is no token for a credential.
type Refusal struct {
	Reason string // in a few words, for operators, without secrets
	Cause  error
}

// Error is the reason and the cause, without secrets.
func (r *Refusal) Error() string { return r.Reason + ": " + r.Cause.Error() }

// Unwrap is the cause.
func (r *Refusal) Unwrap() error { return r.Cause }

// Class is what an error answer means.
type Class uint8

// The classes.
const (
	// OfRequest is an answer meant for the client: it goes back as it is.
	OfRequest Class = iota
	// OfCredential means that our credential was refused; the client must not see
	// it as its own.
	OfCredential
	// OfBalance means that our balance or quota there is used up; the same.
	OfBalance
	// OfChannel means that the channel is not set up for the request: another may
	// serve it.
	OfChannel
)
