// Package cohere speaks to Cohere's v2 API: the base URL is what its SDKs are
// given, without a version.
package cohere

import (
	"bytes"
	"net/http"
	"slices"
	"strings"

	"halley/internal/channel"
	"halley/internal/provider"
)

// Provider is the kind; it has no state.
type Provider struct{}

var (
	_ provider.Provider = Provider{}
	_ provider.Speaker  = Provider{}
)

// Speaks implements provider.Speaker: everything that makes text is asked for as
// chat.
func (Provider) Speaks(_ *channel.Channel, _ string, op provider.Operation) provider.Operation {
	switch op {
	case provider.Chat, provider.Responses, provider.Messages, provider.Generate, provider.CohereChat:
		return provider.CohereChat
	case provider.Embeddings, provider.GeminiEmbed, provider.GeminiEmbedOne:
		return provider.CohereEmbed
	case provider.Rerank, provider.Models:
		return op
	}
	return ""
}

// URL appends the operation's path to the channel's base URL, which may or may
// not end in a version.
//
// https://docs.cohere.com/reference/about
func (Provider) URL(ch *channel.Channel, c provider.Call) string {
	base := strings.TrimSuffix(strings.TrimSuffix(ch.BaseURL, "/v2"), "/v1")
	switch c.Operation {
	case provider.Models:
		return base + "/v1/models?page_size=1000"
	case provider.CohereEmbed:
		return base + "/v2/embed"
	case provider.Rerank:
		return base + "/v2/rerank"
	}
	return base + "/v2/chat"
}

// Authorize gives the API key's header.
func (Provider) Authorize(credential string) (header, value string) {
	return "Authorization", "Bearer " + credential
}

// Classify knows Cohere's words: a trial key that has used up its month, and an
// account without money, are our balance; a model that is not there, or not any
// more, is a 404.
//
// https://docs.cohere.com/reference/errors
func (Provider) Classify(status int, body []byte) provider.Class {
	head := bytes.ToLower(body[:min(len(body), 4096)])
	says := func(words ...string) bool {
		return slices.ContainsFunc(words, func(word string) bool { return bytes.Contains(head, []byte(word)) })
	}
	switch status {
	case http.StatusUnauthorized:
		return provider.OfCredential
	case http.StatusPaymentRequired:
		return provider.OfBalance
	case http.StatusForbidden, http.StatusNotFound:
		return provider.OfChannel
	case http.StatusTooManyRequests:
		if says("calls / month", "calls/month", "per month", "monthly") {
			return provider.OfBalance
		}
	}
	return provider.OfRequest
}
