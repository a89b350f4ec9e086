package responses

import (
	"fmt"

	"halley/internal/translate"
)

// ToolRules implements translate.Upstream.
func (Codec) ToolRules(c *translate.Conversation, _ translate.Target) *translate.ToolRules {
	if c.From == translate.Responses {
		return nil
	}
	return &translate.ToolRules{FreeText: c.From == translate.Chat, Lacks: func(t *translate.Tool, _ bool) string { return lacks(t) }}
}

// lacks is why OpenAI cannot run a tool; "" when it can.
func lacks(t *translate.Tool) string {
	if t.Kind == translate.WebSearch || t.Kind == translate.CodeExecution {
		return ""
	}
	return fmt.Sprintf("The tool %q is run by the provider whose dialect the request was made in; the upstream of this model has none like it.", t.Name)
}
