// Package vertex speaks to Google's Vertex AI: Gemini and Claude in their own
// dialects, models of others in OpenAI's. What differs from the dialects' own APIs
// is where requests go (a publisher's model in a project's location), a few
// members of the bodies, and the credentials, which buy tokens.
package vertex

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"time"

	"halley/internal/channel"
	"halley/internal/provider"
	"halley/internal/provider/anthropic"
	"halley/internal/provider/gemini"
	"halley/internal/provider/token"
	"halley/internal/translate/messages"
	"halley/internal/wire"
)

// Provider is the kind. It keeps the tokens it has got.
type Provider struct {
	tokens *token.Cache[account]
	claude *wire.Patch // from a body of Anthropic's API
	embed  *wire.Patch // from an embedContent of AI Studio's
}

var (
	_ provider.Provider  = (*Provider)(nil)
	_ provider.Speaker   = (*Provider)(nil)
	_ provider.Preparer  = (*Provider)(nil)
	_ provider.Reshaper  = (*Provider)(nil)
	_ provider.Hinter    = (*Provider)(nil)
	_ provider.Exchanger = (*Provider)(nil)
)

// publisher is whose a model is, and its name there. Names may say it, as in
// "anthropic/claude-sonnet-4-5" and "meta/llama-4-maverick-17b-128e-instruct-maas".
func publisher(model string) (whose, name string) {
	model = strings.TrimPrefix(strings.TrimPrefix(model, "publishers/"), "models/")
	if whose, name, ok := strings.Cut(model, "/"); ok {
		return whose, strings.TrimPrefix(name, "models/")
	}
	if strings.HasPrefix(model, "claude") {
		return "anthropic", model
	}
	return "google", model
}

// Speaks implements provider.Speaker. Models of publishers other than Google and
// Anthropic have Vertex AI's endpoint that is OpenAI's.
func (*Provider) Speaks(_ *channel.Channel, model string, op provider.Operation) provider.Operation {
	whose, name := publisher(model)
	switch op {
	case provider.Chat, provider.Responses, provider.Messages, provider.Generate:
		switch whose {
		case "anthropic":
			return provider.VertexMessages
		case "google":
			return provider.VertexGenerate
		}
		return provider.Chat
	case provider.Embeddings, provider.GeminiEmbed, provider.GeminiEmbedOne:
		switch {
		case whose != "google":
			return ""
		case strings.HasPrefix(name, "gemini-embedding-") && name != "gemini-embedding-001":
			return provider.VertexEmbed
		}
		return provider.VertexPredict
	case provider.CountMessages:
		if whose == "anthropic" {
			return op
		}
	case provider.CountGenerate:
		if whose == "google" {
			return op
		}
	case provider.Models:
		return op
	}
	return ""
}

// URL is the address of the model's method.
//
// https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
// https://docs.claude.com/en/api/claude-on-vertex-ai
func (*Provider) URL(ch *channel.Channel, c provider.Call) string {
	base := strings.TrimSuffix(strings.TrimSuffix(ch.BaseURL, "/v1"), "/v1beta1")
	if c.Operation == provider.Models {
		return base + "/v1beta1/publishers/google/models?pageSize=200"
	}
	base += "/v1"
	if ch.Vertex.Project != "" { // else express mode
		base += "/projects/" + url.PathEscape(ch.Vertex.Project) + "/locations/" + url.PathEscape(ch.VertexLocation())
	}
	whose, name := publisher(c.Model)
	switch c.Operation {
	case provider.Chat:
		return base + "/endpoints/openapi/chat/completions"
	case provider.CountMessages: // one address for all, which has the model in the body
		return base + "/publishers/anthropic/models/count-tokens:rawPredict"
	}
	base += "/publishers/" + url.PathEscape(whose) + "/models/"
	switch c.Operation {
	case provider.VertexMessages:
		if c.Stream {
			return base + url.PathEscape(name) + ":streamRawPredict"
		}
		return base + url.PathEscape(name) + ":rawPredict"
	case provider.VertexEmbed:
		return base + url.PathEscape(name) + ":embedContent"
	case provider.VertexPredict:
		return base + url.PathEscape(name) + ":predict"
	}
	c.Model = name
	return base + gemini.Method(c)
}

// Prepare implements provider.Preparer: of Anthropic's headers Vertex AI takes
// the betas that it knows, and refuses requests with others. Whose project is
// asked to pay is not for clients to say.
func (*Provider) Prepare(h http.Header, c provider.Call) {
	delete(h, "X-Goog-User-Project")
	if c.Operation != provider.VertexMessages && c.Operation != provider.CountMessages {
		return
	}
	delete(h, "Anthropic-Version") // which is in the body
	if given := h["Anthropic-Beta"]; given != nil {
		delete(h, "Anthropic-Beta")
		if kept, _ := messages.Vertex.Betas(given); len(kept) > 0 {
			h["Anthropic-Beta"] = []string{strings.Join(kept, ",")}
		}
	}
}

// Reshape implements provider.Reshaper: the model is in the address. In its place
// messages say which version they are.
func (p *Provider) Reshape(body []byte, _ http.Header, c provider.Call) []byte {
	switch c.Operation {
	case provider.VertexMessages:
		return p.claude.Apply(body)
	case provider.VertexEmbed:
		return p.embed.Apply(body)
	}
	return body
}

// RetryAfter implements provider.Hinter.
func (*Provider) RetryAfter(body []byte) time.Duration { return gemini.Provider{}.RetryAfter(body) }

// Classify knows Google's words, and Anthropic's about Claude. 403 is a principal
// without the role, or a project without the API; a model that is not there, or
// not in this location, is a 404.
func (*Provider) Classify(status int, body []byte) provider.Class {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return provider.OfCredential
	case http.StatusNotFound:
		return provider.OfChannel
	case http.StatusBadRequest:
		if bytes.Contains(body[:min(len(body), 4096)], []byte("is not servable in region")) {
			return provider.OfChannel
		}
	}
	if wire.Text(wire.Get(body, "type")) == "error" {
		return anthropic.Provider{}.Classify(status, body)
	}
	return gemini.Provider{}.Classify(status, body)
}
