// Package provider knows the upstream kinds: where a request goes, how the
// credential is shown, and what an error answer means for us. One package per
// kind lies below it.
package provider

import "halley/internal/channel"

// Operation is what is asked of an upstream.
type Operation string

// The operations.
const (
	Chat       Operation = "chat"
	Embeddings Operation = "embeddings"
	Models     Operation = "models"
)

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
