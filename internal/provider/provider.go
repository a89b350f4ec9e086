// Package provider knows the upstream kinds: where a request goes, how the
// credential is shown, and what an error answer means for us. One package per
// kind lies below it.
package provider

import "halley/internal/channel"

// Operation is what is asked of an upstream.
type Operation string

// The operations. Those that make text are also the dialects that it is made in.
const (
	Chat       Operation = "chat"      // OpenAI chat completions
	Responses  Operation = "responses" // OpenAI responses
	Messages   Operation = "messages"  // Anthropic messages
	Generate   Operation = "gemini"    // Google generateContent
	Converse   Operation = "converse"  // Amazon Bedrock Converse
	CohereChat Operation = "cohere"    // Cohere v2 chat
	Embeddings Operation = "embeddings"
	Models     Operation = "models"
)

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
	case Chat, Embeddings, Models:
		return op
	case Responses, Messages, Generate:
		return Chat
	case Converse, CohereChat: // upstream only
	}
	return ""
}

// Provider is one upstream kind.
type Provider interface {
	// URL is where the operation goes for the channel.
	URL(ch *channel.Channel, op Operation) string
	// Authorize gives the header that carries the credential.
	Authorize(credential string) (header, value string)
	// Classify says what an answer with an error status means.
	Classify(status int, body []byte) Class
}

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
)
