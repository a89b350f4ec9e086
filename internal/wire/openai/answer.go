package openai

import (
	"bytes"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

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
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if dec.PeekKind() != '{' {
		return a, false
	}
	if _, err := dec.ReadToken(); err != nil {
		return a, false
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadValue()
		if err != nil {
			return a, false
		}
		member := memberOther
		switch string(name) {
		case `"model"`:
			member = memberModel
		case `"usage"`:
			member = memberUsage
		case `"x_groq"`:
			member = memberGroq
		case `"error"`:
			member = memberError
		case `"choices"`:
			member = memberChoices
		case `"service_tier"`:
			member = memberTier
		}
		if member == memberOther {
			if err := dec.SkipValue(); err != nil {
				return a, false
			}
			continue
		}
		value, err := dec.ReadValue()
		if err != nil {
			return a, false
		}
		a.take(member, value, int(dec.InputOffset()))
	}
	if _, err := dec.ReadToken(); err != nil {
		return a, false
	}
	return a, len(bytes.TrimSpace(body[dec.InputOffset():])) == 0
}

type answerMember uint8

const (
	memberOther answerMember = iota
	memberModel
	memberUsage
	memberGroq
	memberError
	memberChoices
	memberTier
)

func (a *Answer) take(member answerMember, value []byte, end int) {
	switch member {
	case memberModel:
		if value[0] == '"' {
			a.ModelAt = wire.Span{From: end - len(value), To: end}
		}
	case memberUsage:
		if u, ok := parseUsage(value); ok {
			a.Usage, a.HasUsage = u, true
		}
	case memberGroq: // Groq's streams report usage as x_groq.usage
		var x struct {
			Usage jsontext.Value `json:"usage"`
		}
		if !a.HasUsage && json.Unmarshal(value, &x) == nil {
			if u, ok := parseUsage(x.Usage); ok {
				a.Usage, a.HasUsage = u, true
			}
		}
	case memberError:
		a.IsError = value[0] != 'n'
	case memberChoices:
		a.NoChoices = value[0] == '[' && len(bytes.TrimSpace(value[1:len(value)-1])) == 0
	case memberTier:
		a.ServiceTier = text(value)
	}
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
	if json.Unmarshal(value, &w, jsontext.AllowDuplicateNames(true)) != nil {
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
