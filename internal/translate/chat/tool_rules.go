package chat

import (
	"fmt"
	"strconv"
	"strings"

	"halley/internal/translate"
)

// ToolRules implements translate.Upstream.
func (Codec) ToolRules(c *translate.Conversation, to translate.Target) *translate.ToolRules {
	if c.From == translate.Chat {
		return nil
	}
	return &translate.ToolRules{
		FreeText: c.From == translate.Responses && freeText(to.Model),
		Lacks:    func(t *translate.Tool, _ bool) string { return lacks(to.Model, t) },
	}
}

// freeText tells the models that take tools of free text: OpenAI's own from GPT-5
// on. Other servers of this dialect know functions only; to them a model of
// OpenAI's has its maker's name in front.
func freeText(model string) bool {
	rest, ok := strings.CutPrefix(model, "gpt-")
	if !ok {
		return false
	}
	end := strings.IndexFunc(rest, func(c rune) bool { return c < '0' || c > '9' })
	if end < 0 {
		end = len(rest)
	}
	version, err := strconv.Atoi(rest[:end])
	return err == nil && version >= 5
}

// searches tells the models that take web_search_options: OpenAI's that are made
// for searching, and Perplexity's.
func searches(model string) bool {
	name := model[strings.LastIndexByte(model, '/')+1:]
	return strings.HasPrefix(name, "gpt-") && strings.Contains(name, "-search") || strings.HasPrefix(name, "sonar")
}

// lacks is why the upstream cannot run a tool; "" when it can.
func lacks(model string, t *translate.Tool) string {
	if t.Kind != translate.WebSearch || !searches(model) {
		return fmt.Sprintf("The tool %q is run by the provider whose dialect the request was made in; the upstream of this model has none like it.", t.Name)
	}
	if b := t.Web(); b.Allowed != nil || b.Blocked != nil {
		return "Chat completions cannot bound a web search to domains."
	}
	return ""
}
