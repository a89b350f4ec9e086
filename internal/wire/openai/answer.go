package openai

import (
	"bytes"

	"halley/internal/jsonx"
	"halley/internal/usage"
	"halley/internal/wire"
)

// Answer is what metering and editing need of an answer's body or of the JSON
// of one stream chunk.
type Answer struct {
	ModelAt     wire.Span
	Usage       usage.Tokens
	HasUsage    bool
	IsError     bool // an "error" member that is not null
	NoChoices   bool // "choices" is there and empty: a usage-only chunk
	ServiceTier string
}

// ScanAnswer reads an answer's or chunk's top level. ok is false when it is not
// a JSON object.
func ScanAnswer(body []byte) (a Answer, ok bool) {
	members, ok := jsonx.Walk(body)
	if !ok {
		return a, false
	}
	for {
		name, at, more := members.Next()
		if !more {
			_, ok = members.Close()
			return a, ok
		}
		value := body[at.From:at.To]
		switch string(body[name.From:name.To]) {
		case `"model"`:
			if value[0] == '"' {
				a.ModelAt = wire.Span(at)
			}
		case `"usage"`:
			if u, ok := parseUsage(value); ok {
				a.Usage, a.HasUsage = u, true
			}
		case `"x_groq"`: // Groq's streams report usage here
			if u, ok := groqUsage(value); ok && !a.HasUsage {
				a.Usage, a.HasUsage = u, true
			}
		case `"error"`:
			a.IsError = value[0] != 'n'
		case `"choices"`:
			a.NoChoices = value[0] == '[' && len(bytes.TrimSpace(value[1:len(value)-1])) == 0
		case `"service_tier"`:
			a.ServiceTier = text(value)
		}
	}
}

func groqUsage(value []byte) (usage.Tokens, bool) {
	var x struct {
		Usage jsonx.Value `json:"usage"`
	}
	if jsonx.Unmarshal(value, &x) != nil {
		return usage.Tokens{}, false
	}
	return parseUsage(x.Usage)
}

// usageWire is "usage" as the dialect's servers write it. Counts may be null,
// and some servers write them as floats.
type usageWire struct {
	Prompt        *float64 `json:"prompt_tokens"`
	Completion    *float64 `json:"completion_tokens"`
	Total         *float64 `json:"total_tokens"`
	CacheHit      *float64 `json:"prompt_cache_hit_tokens"` // DeepSeek
	PromptDetails *struct {
		Cached     *float64 `json:"cached_tokens"`
		CacheWrite *float64 `json:"cache_write_tokens"` // OpenRouter
		Audio      *float64 `json:"audio_tokens"`
		Image      *float64 `json:"image_tokens"`
	} `json:"prompt_tokens_details"`
	CompletionDetails *struct {
		Reasoning *float64 `json:"reasoning_tokens"`
		Audio     *float64 `json:"audio_tokens"`
		Image     *float64 `json:"image_tokens"`
	} `json:"completion_tokens_details"`
	Reasoning *float64 `json:"reasoning_tokens"` // some servers put it here
}

// parseUsage brings a usage object into Halley's terms; ok is false when it
// says nothing.
func parseUsage(value []byte) (usage.Tokens, bool) {
	if len(value) == 0 || value[0] != '{' {
		return usage.Tokens{}, false
	}
	var w usageWire
	if jsonx.Unmarshal(value, &w) != nil {
		return usage.Tokens{}, false
	}
	if w.Prompt == nil && w.Completion == nil && w.Total == nil {
		return usage.Tokens{}, false
	}
	t := usage.Tokens{Prompt: count(w.Prompt), Completion: count(w.Completion), Reasoning: count(w.Reasoning)}
	t.CachedRead = count(w.CacheHit)
	if d := w.PromptDetails; d != nil {
		t.CachedRead = max(t.CachedRead, count(d.Cached))
		t.CacheWrite5m, t.AudioIn, t.ImageIn = count(d.CacheWrite), count(d.Audio), count(d.Image)
	}
	if d := w.CompletionDetails; d != nil {
		t.Reasoning = max(t.Reasoning, count(d.Reasoning))
		t.AudioOut, t.ImageOut = count(d.Audio), count(d.Image)
	}
	if total := count(w.Total); total > 0 {
		switch {
		case w.Prompt == nil && w.Completion == nil:
			t.Prompt = total
		case total == t.Prompt+t.Completion+t.Reasoning && t.Reasoning > 0:
			// xAI counts reasoning beside completion_tokens, not in it.
			t.Completion += t.Reasoning
		}
	}
	return t, true
}

func count(v *float64) int64 {
	if v == nil || !(*v > 0) || *v > 1<<50 {
		return 0
	}
	return int64(*v)
}
