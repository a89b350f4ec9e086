package converse

import (
	"fmt"

	"halley/internal/translate"
)

// ToolRules implements translate.Upstream.
func (Codec) ToolRules(c *translate.Conversation, to translate.Target) *translate.ToolRules {
	if c.From == translate.Converse {
		return nil
	}
	m := modelOf(to.Model)
	return &translate.ToolRules{Lacks: func(t *translate.Tool, _ bool) string { return m.lacks(t) }}
}

// lacks is why the model cannot run a tool; "" when it can: Nova searches the
// web, where it likes.
func (m model) lacks(t *translate.Tool) string {
	switch b := t.Web(); {
	case t.Kind != translate.WebSearch || !m.nova():
		return fmt.Sprintf("This model on Amazon Bedrock has no counterpart of a tool of the kind %q.", t.Kind)
	case b.Allowed != nil || b.Blocked != nil:
		return "The web search of Amazon Nova does not take domains."
	}
	return ""
}
