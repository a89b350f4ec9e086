package cohere

import (
	"fmt"

	"halley/internal/translate"
)

// ToolRules implements translate.Upstream. Cohere runs no tools.
func (Codec) ToolRules(c *translate.Conversation, _ translate.Target) *translate.ToolRules {
	if c.From == translate.Cohere {
		return nil
	}
	return &translate.ToolRules{Lacks: func(t *translate.Tool, _ bool) string { return lacks(t) }}
}

func lacks(t *translate.Tool) string {
	return fmt.Sprintf("The tool %q is run by the provider whose dialect the request was made in; the upstream of this model has none like it.", t.Name)
}
