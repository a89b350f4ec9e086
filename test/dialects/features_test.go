package dialects_test

import (
	"halley/internal/translate"
)

// features are what an interaction may use, in the order of the report.
func features() []string {
	return []string{
		"text", "system", "multi-turn", "images", "documents", "audio", "video", "tools", "parallel tools", "tool results", "structured output",
		"thinking", "cache", "logprobs", "citations", "server tools", "refusals", "stop sequences", "multiple candidates", "errors", "stream",
		"embeddings", "rerank",
	}
}

// used are the features of one interaction.
type used map[string]bool

// features are what the interaction has of them, read from the neutral forms.
func (j *judge) features() used {
	u := used{}
	if j.in.Response.Status >= 400 {
		u["errors"] = true
	}
	if j.in.Stream || j.in.Response.IsSSE() {
		u["stream"] = true
	}
	if j.other != "" {
		u[j.other] = true
	}
	if j.asked != nil {
		u.request(j.asked)
	}
	for _, a := range j.answers {
		u.answer(a)
	}
	return u
}

func (u used) request(c *translate.Conversation) {
	for _, m := range c.Messages {
		switch m.Role {
		case translate.System, translate.Developer:
			u["system"] = true
		case translate.Assistant:
			u["multi-turn"] = true
		case translate.User:
		}
		u.parts(m.Parts)
	}
	for _, t := range c.Tools {
		u.tool(t)
	}
	if f := c.Format; f != nil && f.Kind != translate.PlainText {
		u["structured output"] = true
	}
	if c.Reasoning != nil {
		u["thinking"] = true
	}
	if c.CacheKey != "" {
		u["cache"] = true
	}
	if c.Logprobs != nil && *c.Logprobs {
		u["logprobs"] = true
	}
	if len(c.Stop) > 0 {
		u["stop sequences"] = true
	}
	if c.Candidates != nil && *c.Candidates > 1 {
		u["multiple candidates"] = true
	}
}

func (u used) tool(t translate.Tool) {
	if t.Cache != nil {
		u["cache"] = true
	}
	if t.Kind == translate.Function || t.Kind == translate.Custom {
		u["tools"] = true
		return
	}
	u["server tools"] = true
}

func (u used) answer(a *translate.Answer) {
	if len(a.Candidates) > 1 {
		u["multiple candidates"] = true
	}
	if a.Usage != nil && a.Usage.CachedRead+a.Usage.CacheWrite5m+a.Usage.CacheWrite1h > 0 {
		u["cache"] = true
	}
	for _, c := range a.Candidates {
		u.parts(c.Parts)
		if len(c.Logprobs) > 0 {
			u["logprobs"] = true
		}
		switch c.Stop {
		case translate.Refused, translate.Filtered:
			u["refusals"] = true
		case translate.AtStopText:
			u["stop sequences"] = true
		case translate.NotStopped, translate.EndOfTurn, translate.AtMaxOutput, translate.AtContext, translate.ToCallTools, translate.Paused, translate.Broken:
		}
	}
}

func (u used) parts(parts []translate.Part) {
	calls := 0
	for _, p := range parts {
		switch p := p.(type) {
		case *translate.Text:
			u["text"] = true
			u.mark(p.Cache)
			if len(p.Citations) > 0 {
				u["citations"] = true
			}
		case *translate.Media:
			u[[...]string{"images", "documents", "audio", "video"}[p.Kind]] = true
			u.mark(p.Cache)
		case *translate.ToolCall:
			if p.Server != "" {
				u["server tools"] = true
				continue
			}
			calls++
			u["tools"] = true
		case *translate.ToolResult:
			if p.Server != "" {
				u["server tools"] = true
				continue
			}
			u["tool results"] = true
			u.parts(p.Parts)
		case *translate.Thinking:
			u["thinking"] = true
		case *translate.Refusal:
			u["refusals"] = true
		}
	}
	if calls > 1 {
		u["parallel tools"] = true
	}
}

func (u used) mark(m *translate.CacheMark) {
	if m != nil {
		u["cache"] = true
	}
}
