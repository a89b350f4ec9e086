package openai

import (
	"bytes"
	"strings"

	"halley/internal/jsonx"
	"halley/internal/usage"
	"halley/internal/wire"
)

// Answer is what metering and editing need of an answer's body or of the JSON
// of one stream chunk.
type Answer struct {
	wire.Answer
	NoChoices bool // "choices" is there and empty: a usage-only chunk
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
			if a.HasUsage {
				a.Usage.Searches = SearchesOf(a.ModelAt.Of(body))
			}
			return a, ok
		}
		value := body[at.From:at.To]
		switch string(body[name.From:name.To]) {
		case `"model"`:
			if value[0] == '"' {
				a.ModelAt = wire.Span(at)
			}
		case `"usage"`:
			if u, ok := ParseUsage(value); ok {
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
			a.ServiceTier = wire.Text(value)
		}
	}
}

// SearchesOf is how often a model of this dialect has searched the web for an
// answer. OpenAI's search models do it once for each, and say so nowhere but in
// their names: https://platform.openai.com/docs/guides/tools-web-search.
func SearchesOf[T string | []byte](model T) int64 {
	name := string(model)
	if strings.Contains(name, "-search-preview") || strings.Contains(name, "-search-api") {
		return 1
	}
	return 0
}

func groqUsage(value []byte) (usage.Tokens, bool) {
	for name, v := range wire.Members(value) {
		if string(name) == `"usage"` {
			return ParseUsage(v)
		}
	}
	return usage.Tokens{}, false
}

// usageWire is "usage" as the dialect's servers write it. Counts may be null,
// and some servers write them as floats.
type usageWire struct {
	prompt, completion, total, reasoning wire.Count
	cacheHit                             wire.Count // DeepSeek: prompt_cache_hit_tokens
	cachedFlat, cachedNum                wire.Count // Moonshot, Together: cached_tokens; Mistral: num_cached_tokens
	cached, cacheWrite, audioIn, imageIn wire.Count // prompt_tokens_details
	reasoningIn, audioOut, imageOut      wire.Count // completion_tokens_details
}

// ParseUsage brings a usage object into Halley's terms; ok is false when it
// says nothing.
func ParseUsage(value []byte) (usage.Tokens, bool) {
	w, ok := readUsage(value)
	if !ok || (!w.prompt.Given && !w.completion.Given && !w.total.Given) {
		return usage.Tokens{}, false
	}
	t := usage.Tokens{
		Prompt: w.prompt.Tokens, CachedRead: max(w.cacheHit.Tokens, w.cached.Tokens, w.cachedFlat.Tokens, w.cachedNum.Tokens), CacheWrite5m: w.cacheWrite.Tokens,
		AudioIn: w.audioIn.Tokens, ImageIn: w.imageIn.Tokens,
		Completion: w.completion.Tokens, Reasoning: max(w.reasoning.Tokens, w.reasoningIn.Tokens),
		AudioOut: w.audioOut.Tokens, ImageOut: w.imageOut.Tokens,
	}
	switch {
	case w.total.Tokens == 0:
	case !w.prompt.Given && !w.completion.Given:
		t.Prompt = w.total.Tokens
	case t.Reasoning > 0 && w.total.Tokens == t.Prompt+t.Completion+t.Reasoning:
		// xAI counts reasoning beside completion_tokens, not in it.
		t.Completion += t.Reasoning
	}
	return t, true
}

func readUsage(value []byte) (w usageWire, ok bool) {
	for name, v := range wire.Members(value) {
		to, known := (*wire.Count)(nil), true
		switch string(name) {
		case `"prompt_tokens"`:
			to = &w.prompt
		case `"completion_tokens"`:
			to = &w.completion
		case `"total_tokens"`:
			to = &w.total
		case `"reasoning_tokens"`: // some servers put it here
			to = &w.reasoning
		case `"prompt_cache_hit_tokens"`:
			to = &w.cacheHit
		case `"cached_tokens"`:
			to = &w.cachedFlat
		case `"num_cached_tokens"`:
			to = &w.cachedNum
		case `"prompt_tokens_details"`:
			known = readDetails(v, detailNames{{`"cached_tokens"`, &w.cached}, {`"cache_write_tokens"`, &w.cacheWrite}, {`"audio_tokens"`, &w.audioIn}, {`"image_tokens"`, &w.imageIn}})
		case `"completion_tokens_details"`:
			known = readDetails(v, detailNames{{`"reasoning_tokens"`, &w.reasoningIn}, {`"audio_tokens"`, &w.audioOut}, {`"image_tokens"`, &w.imageOut}})
		}
		if to != nil {
			known = to.Read(v)
		}
		if !known {
			return w, false
		}
		ok = true
	}
	return w, ok
}

// detailNames says where each detail goes.
type detailNames [4]struct {
	name string
	to   *wire.Count
}

func readDetails(value []byte, into detailNames) bool {
	for name, v := range wire.Members(value) {
		for _, d := range into {
			if d.to != nil && string(name) == d.name && !d.to.Read(v) {
				return false
			}
		}
	}
	return true
}
