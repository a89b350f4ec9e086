package gemini

import (
	"fmt"

	"halley/internal/translate"
	"halley/internal/wire"
)

// ToolRules implements translate.Upstream.
func (codec Codec) ToolRules(c *translate.Conversation, to translate.Target) *translate.ToolRules {
	if c.From == translate.Gemini {
		return nil
	}
	m := modelOf(to.Model)
	return &translate.ToolRules{Lacks: func(t *translate.Tool, functions bool) string { return codec.lacks(m, t, functions) }}
}

// serverToolName is Google's name for a tool that it runs; "" for others.
func serverToolName(kind translate.ToolKind) string {
	switch kind {
	case translate.WebSearch:
		return "googleSearch"
	case translate.WebFetch:
		return "urlContext"
	case translate.CodeExecution:
		return "codeExecution"
	}
	return ""
}

// lacks is why Gemini cannot run a tool; "" when it can. What bounds where the
// model may look cannot be left out.
func (codec Codec) lacks(m model, t *translate.Tool, functions bool) string {
	name := serverToolName(t.Kind)
	b := t.Web()
	fetched := t.Kind == translate.WebFetch && (b.Allowed != nil || b.Blocked != nil)
	switch {
	case name == "":
		return fmt.Sprintf("Gemini has no counterpart of the tool %q.", t.Name)
	case b.Allowed != nil, fetched:
		return fmt.Sprintf("Gemini's %s does not take domains that are allowed.", name)
	case b.Blocked != nil && !codec.Vertex:
		return fmt.Sprintf("Gemini's %s takes domains that are blocked on Vertex AI only.", name)
	case functions && !m.checksSignatures():
		return fmt.Sprintf("Gemini models before 3 cannot have functions and %s in one request.", name)
	}
	if container := wire.Find(t.Raw, "container").Of(t.Raw); t.Kind == translate.CodeExecution && len(container) > 0 {
		if files := wire.Find(container, "file_ids"); files.Present() && string(files.Of(container)) != "[]" {
			return "The files of the container are not at the upstream."
		}
	}
	return ""
}
