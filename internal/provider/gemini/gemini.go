// Package gemini speaks to Google's Gemini API (AI Studio): the base URL is what
// its SDKs are given, without a version.
package gemini

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"time"

	"halley/internal/channel"
	"halley/internal/provider"
	"halley/internal/wire/gemini"
)

// Provider is the kind; it has no state.
type Provider struct{}

var (
	_ provider.Provider = Provider{}
	_ provider.Speaker  = Provider{}
	_ provider.Hinter   = Provider{}
)

// Speaks implements provider.Speaker: everything that makes text is asked for as
// generateContent.
func (Provider) Speaks(_ *channel.Channel, _ string, op provider.Operation) provider.Operation {
	switch op {
	case provider.Chat, provider.Responses, provider.Messages, provider.Generate:
		return provider.Generate
	case provider.Embeddings:
		return provider.GeminiEmbed
	case provider.GeminiEmbed, provider.GeminiEmbedOne, provider.CountGenerate, provider.Models:
		return op
	}
	return ""
}

// URL is the method's address for the model, which stands in the path. Streams
// are always asked for as server-sent events.
func (Provider) URL(ch *channel.Channel, c provider.Call) string {
	base := strings.TrimSuffix(ch.BaseURL, "/v1beta") + "/v1beta"
	if c.Operation == provider.Models {
		return base + "/models?pageSize=1000"
	}
	return base + "/models/" + Method(c)
}

// Method is the model and what is asked of it, as it stands in the path.
func Method(c provider.Call) string {
	at := url.PathEscape(strings.TrimPrefix(c.Model, "models/"))
	switch {
	case c.Operation == provider.CountGenerate:
		return at + ":countTokens"
	case c.Operation == provider.GeminiEmbed:
		return at + ":batchEmbedContents"
	case c.Operation == provider.GeminiEmbedOne:
		return at + ":embedContent"
	case c.Stream:
		return at + ":streamGenerateContent?alt=sse"
	}
	return at + ":generateContent"
}

// Authorize gives the API key's header.
func (Provider) Authorize(credential string) (header, value string) {
	return "X-Goog-Api-Key", credential
}

// RetryAfter implements provider.Hinter: Google says it in the error's details.
func (Provider) RetryAfter(body []byte) time.Duration { return gemini.RetryDelay(body) }

// Classify knows Google's words: a wrong key is a 400 that says so, and a quota
// that is used up a 429 like too many requests, after which it recovers.
//
// https://ai.google.dev/gemini-api/docs/troubleshooting
func (Provider) Classify(status int, body []byte) provider.Class {
	head := body[:min(len(body), 4096)]
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return provider.OfCredential
	case http.StatusPaymentRequired:
		return provider.OfBalance
	case http.StatusNotFound:
		return provider.OfChannel
	case http.StatusBadRequest:
		if bytes.Contains(head, []byte("API_KEY_INVALID")) || bytes.Contains(head, []byte("API key not valid")) || bytes.Contains(head, []byte("API key expired")) {
			return provider.OfCredential
		}
		if bytes.Contains(head, []byte("FAILED_PRECONDITION")) { // a place or a plan that the API is not offered to
			return provider.OfChannel
		}
	}
	return provider.OfRequest
}
