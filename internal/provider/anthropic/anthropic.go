// Package anthropic speaks to Anthropic's API and to servers that have its
// Messages endpoint: the base URL is what its SDKs are given, without /v1.
package anthropic

import (
	"bytes"
	"net/http"
	"strings"

	"halley/internal/channel"
	"halley/internal/provider"
)

// Provider is the kind; it has no state.
type Provider struct{}

var (
	_ provider.Provider = Provider{}
	_ provider.Speaker  = Provider{}
	_ provider.Preparer = Provider{}
)

// Speaks implements provider.Speaker: everything that makes text is asked for as
// messages.
func (Provider) Speaks(_ *channel.Channel, _ string, op provider.Operation) provider.Operation {
	switch op {
	case provider.Chat, provider.Responses, provider.Messages, provider.Generate:
		return provider.Messages
	case provider.CountMessages, provider.Models:
		return op
	}
	return ""
}

// URL appends the operation's path to the channel's base URL, which may or may
// not end in /v1.
func (Provider) URL(ch *channel.Channel, c provider.Call) string {
	base := strings.TrimSuffix(ch.BaseURL, "/v1") + "/v1"
	switch c.Operation {
	case provider.Models:
		return base + "/models?limit=1000"
	case provider.CountMessages:
		return base + "/messages/count_tokens"
	}
	return base + "/messages"
}

// Authorize gives an API key's header; tokens of OAuth go as bearer tokens.
func (Provider) Authorize(credential string) (header, value string) {
	if strings.HasPrefix(credential, "sk-ant-oat") {
		return "Authorization", "Bearer " + credential
	}
	return "X-Api-Key", credential
}

// version is the version of the API that requests mean that do not say; there
// has been no other since 2023.
const version = "2023-06-01"

// Prepare implements provider.Preparer: every request says which version of the
// API it means.
func (Provider) Prepare(h http.Header, _ provider.Call) {
	if h["Anthropic-Version"] == nil {
		h["Anthropic-Version"] = []string{version}
	}
}

// Classify knows Anthropic's words: a balance that is used up is a 400, a key
// that may not use a model a 403, and a model that is not there a 404.
//
// https://docs.claude.com/en/api/errors
func (Provider) Classify(status int, body []byte) provider.Class {
	head := bytes.ToLower(body[:min(len(body), 4096)])
	switch status {
	case http.StatusUnauthorized:
		return provider.OfCredential
	case http.StatusPaymentRequired:
		return provider.OfBalance
	case http.StatusForbidden, http.StatusNotFound:
		return provider.OfChannel
	case http.StatusBadRequest, http.StatusTooManyRequests:
		if bytes.Contains(head, []byte("credit balance is too low")) || bytes.Contains(head, []byte("billing_error")) {
			return provider.OfBalance
		}
	}
	return provider.OfRequest
}
