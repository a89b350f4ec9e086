// Package messages is Anthropic's Messages dialect, POST /v1/messages, between
// its wire shapes and the neutral conversation: requests, answers, streams,
// errors and token counts, for clients and for upstreams. It also knows how the
// body differs on Google Vertex AI and Amazon Bedrock, and what each Claude model
// can do. Facts are from Anthropic's API reference, the two clouds' own, and
// recorded traffic. It does no I/O.
//
// Conventions of its own:
//
//   - A member that stands in an Extra under the name "type" replaces the type
//     that the encoder would write: mcp_tool_use is a ToolCall that way.
//   - Answers that must follow a schema, from models that have no structured
//     output, are asked for as the input of a tool with a reserved name; the
//     decoders give that input as text. See format.go.
//   - What a Gemini model signs a tool call with travels through Messages clients
//     as a thinking block without words, whose signature says which call it is of.
package messages

import (
	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
)

// Platform is where a Claude model is served.
type Platform uint8

// The platforms.
const (
	Direct  Platform = iota // Anthropic's own API, and those that copy it
	Vertex                  // Google Vertex AI, rawPredict and streamRawPredict
	Bedrock                 // Amazon Bedrock, InvokeModel and InvokeModelWithResponseStream
)

// Codec knows the dialect; the zero value is that of Anthropic's own API. The
// platform matters only where it faces the upstream.
type Codec struct {
	Platform Platform
	// Betas are anthropic-beta values that go into the body, which is where Bedrock
	// wants them; see Platform.Betas. They are ignored elsewhere.
	Betas []string
}

var _ translate.Codec = Codec{}

// version is the anthropic_version that the body carries on a platform: the
// values that Google's and Amazon's references demand.
func (p Platform) version() string {
	switch p {
	case Vertex:
		return "vertex-2023-10-16"
	case Bedrock:
		return "bedrock-2023-05-31"
	case Direct:
	}
	return ""
}

// writeExtra writes members of an Extra but for one name.
func writeExtra(w *jsonx.Writer, e translate.Extra, but string) {
	for _, m := range e {
		if m.Name != but {
			w.Raw(m.Name, m.Value)
		}
	}
}

// typeOf is what stands in an Extra as type, or what is usual.
func typeOf(e translate.Extra, usual string) string {
	if v := e.Get("type"); v != nil {
		return wire.Text(v)
	}
	return usual
}
