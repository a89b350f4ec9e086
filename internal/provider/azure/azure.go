// Package azure speaks to Azure OpenAI. Its dialect is OpenAI's; what differs is
// where requests go (a deployment's own address, or the v1 API), how a credential
// is shown (an api-key header, or a token of Entra ID that has to be fetched) and
// how errors are worded.
package azure

import (
	"bytes"
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"halley/internal/channel"
	"halley/internal/provider"
	"halley/internal/provider/openai"
	"halley/internal/provider/token"
)

// Provider is the kind. It keeps the tokens it has got.
type Provider struct {
	tokens *token.Cache[application]
}

var (
	_ provider.Provider  = (*Provider)(nil)
	_ provider.Exchanger = (*Provider)(nil)
)

// URL is where the operation goes. A base URL that ends in /openai/v1 is the v1
// API, which is OpenAI's; any other is a resource, with or without /openai, whose
// deployments have the models' names.
//
// https://learn.microsoft.com/azure/ai-services/openai/reference
// https://learn.microsoft.com/azure/ai-services/openai/api-version-lifecycle
func (*Provider) URL(ch *channel.Channel, c provider.Call) string {
	if strings.HasSuffix(ch.BaseURL, "/openai/v1") {
		at := openai.Provider{}.URL(ch, c)
		if ch.Azure.APIVersion != "" { // "preview", to opt in
			at += "?api-version=" + url.QueryEscape(ch.Azure.APIVersion)
		}
		return at
	}
	resource := strings.TrimSuffix(ch.BaseURL, "/openai") + "/openai"
	version := "?api-version=" + url.QueryEscape(cmp.Or(ch.Azure.APIVersion, channel.AzureAPIVersion))
	switch c.Operation {
	case provider.Models:
		return resource + "/models" + version
	case provider.Embeddings:
		return resource + "/deployments/" + url.PathEscape(c.Model) + "/embeddings" + version
	case provider.Responses: // which knows no deployments in its path
		return resource + "/v1/responses"
	case provider.Completions:
		return resource + "/deployments/" + url.PathEscape(c.Model) + "/completions" + version
	}
	return resource + "/deployments/" + url.PathEscape(c.Model) + "/chat/completions" + version
}

// Authorize gives the header of an API key.
func (*Provider) Authorize(credential string) (header, value string) {
	return "Api-Key", credential
}

// Classify knows Azure's words. 401 is a wrong key or a principal without the
// role, 403 a network or a tenant that may not call the resource: ours both. 404
// is a deployment that is not there, or an address that is none; so are versions
// that a model is not offered at. The content filter's 400 is the request's own,
// whatever words of the prompt it repeats. The rest is as with OpenAI.
func (*Provider) Classify(status int, body []byte) provider.Class {
	head := bytes.ToLower(body[:min(len(body), 4096)])
	says := func(words ...string) bool {
		return slices.ContainsFunc(words, func(word string) bool { return bytes.Contains(head, []byte(word)) })
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return provider.OfCredential
	case http.StatusNotFound:
		return provider.OfChannel
	case http.StatusBadRequest:
		switch {
		case says(`"content_filter"`, "responsibleaipolicyviolation"):
			return provider.OfRequest
		case says("only for api versions", "unsupportedapiversion", "api version not supported"):
			return provider.OfChannel
		}
	}
	return openai.Provider{}.Classify(status, body)
}
