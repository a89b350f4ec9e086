package messages

import (
	"fmt"
	"strings"

	"halley/internal/translate"
	"halley/internal/wire"
)

// ToolRules implements translate.Upstream.
func (codec Codec) ToolRules(c *translate.Conversation, _ translate.Target) *translate.ToolRules {
	if c.From == translate.Messages {
		return nil
	}
	return &translate.ToolRules{BoundsCalls: true, Lacks: func(t *translate.Tool, _ bool) string { return codec.lacks(t) }}
}

// lacks is why Claude cannot run a tool; "" when it can. Bedrock has none of
// Anthropic's own, Vertex AI only the search.
func (codec Codec) lacks(t *translate.Tool) string {
	switch t.Kind {
	case translate.WebSearch:
		b := t.Web()
		switch {
		case codec.Platform == Bedrock:
			return "Claude on Amazon Bedrock does not search the web."
		case b.Allowed != nil && b.Blocked != nil:
			return "Claude's web search takes domains that are allowed or domains that are blocked, not both."
		}
		return ""
	case translate.WebFetch, translate.CodeExecution:
		if codec.Platform != Direct {
			return fmt.Sprintf("Claude has %s at Anthropic's own API only.", strings.ReplaceAll(string(t.Kind), "_", " "))
		}
		container := wire.Find(t.Raw, "container").Of(t.Raw)
		if files := wire.Find(container, "file_ids"); files.Present() && string(files.Of(container)) != "[]" {
			return "The files of the container are not at the upstream."
		}
		return ""
	}
	return fmt.Sprintf("Claude has no counterpart of the tool %q.", toolName(t))
}
