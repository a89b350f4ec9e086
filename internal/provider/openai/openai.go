// Package openai speaks to OpenAI-compatible servers: the base URL is what an
// SDK would be given, the credential goes as a bearer token.
package openai

import (
	"bytes"
	"net/http"
	"slices"

	"halley/internal/channel"
	"halley/internal/provider"
)

// Provider is the kind; it has no state.
type Provider struct{}

var _ provider.Provider = Provider{}

// URL appends the operation's path to the channel's base URL.
func (Provider) URL(ch *channel.Channel, c provider.Call) string {
	switch c.Operation {
	case provider.Rerank: // of those that have copied Cohere's
		return ch.BaseURL + "/rerank"
	case provider.Embeddings:
		return ch.BaseURL + "/embeddings"
	case provider.Models:
		return ch.BaseURL + "/models"
	case provider.Responses:
		return ch.BaseURL + "/responses"
	case provider.Completions:
		return ch.BaseURL + "/completions"
	}
	return ch.BaseURL + "/chat/completions"
}

// Authorize gives a bearer token.
func (Provider) Authorize(credential string) (header, value string) {
	return "Authorization", "Bearer " + credential
}

// Classify tells our own refused credential or empty balance from errors of the
// request. 401 and 402 are always ours; a 403 or 429 only with the words that
// the servers use for a key or a balance (OpenAI insufficient_quota, DeepSeek
// and others "Insufficient Balance", One API and its kin insufficient_user_quota,
// xAI "used all available credits", OpenRouter "Key limit exceeded" of a key's
// credit limit); the rest is the request's.
func (Provider) Classify(status int, body []byte) provider.Class {
	switch status {
	case http.StatusPaymentRequired:
		return provider.OfBalance
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusBadRequest:
		head := bytes.ToLower(body[:min(len(body), 4096)])
		switch {
		case says(head, "insufficient_quota", "insufficient balance", "insufficient_balance", "credit balance is too low", "billing_hard_limit_reached",
			"insufficient_user_quota", "used all available credits", "key limit exceeded"):
			return provider.OfBalance
		case status == http.StatusUnauthorized, says(head, "invalid_api_key", "account_deactivated"):
			return provider.OfCredential
		}
	}
	return provider.OfRequest
}

func says(text []byte, words ...string) bool {
	return slices.ContainsFunc(words, func(word string) bool { return bytes.Contains(text, []byte(word)) })
}
