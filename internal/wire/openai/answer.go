package openai

import (
	"bytes"
	"iter"
	"strconv"

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
	for name, v := range members(value) {
		if string(name) == `"usage"` {
			return parseUsage(v)
		}
	}
	return usage.Tokens{}, false
}

// usageWire is "usage" as the dialect's servers write it. Counts may be null,
// and some servers write them as floats.
type usageWire struct {
	prompt, completion, total, reasoning count
	cacheHit                             count // DeepSeek: prompt_cache_hit_tokens
	cachedFlat, cachedNum                count // Moonshot, Together: cached_tokens; Mistral: num_cached_tokens
	cached, cacheWrite, audioIn, imageIn count // prompt_tokens_details
	reasoningIn, audioOut, imageOut      count // completion_tokens_details
}

// count is a number of tokens that may be absent.
type count struct {
	tokens int64
	given  bool
}

// parseUsage brings a usage object into Halley's terms; ok is false when it
// says nothing.
func parseUsage(value []byte) (usage.Tokens, bool) {
	w, ok := readUsage(value)
	if !ok || (!w.prompt.given && !w.completion.given && !w.total.given) {
		return usage.Tokens{}, false
	}
	t := usage.Tokens{
		Prompt: w.prompt.tokens, CachedRead: max(w.cacheHit.tokens, w.cached.tokens, w.cachedFlat.tokens, w.cachedNum.tokens), CacheWrite5m: w.cacheWrite.tokens,
		AudioIn: w.audioIn.tokens, ImageIn: w.imageIn.tokens,
		Completion: w.completion.tokens, Reasoning: max(w.reasoning.tokens, w.reasoningIn.tokens),
		AudioOut: w.audioOut.tokens, ImageOut: w.imageOut.tokens,
	}
	switch {
	case w.total.tokens == 0:
	case !w.prompt.given && !w.completion.given:
		t.Prompt = w.total.tokens
	case t.Reasoning > 0 && w.total.tokens == t.Prompt+t.Completion+t.Reasoning:
		// xAI counts reasoning beside completion_tokens, not in it.
		t.Completion += t.Reasoning
	}
	return t, true
}

func readUsage(value []byte) (w usageWire, ok bool) {
	for name, v := range members(value) {
		to, known := (*count)(nil), true
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
			known = to.read(v)
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
	to   *count
}

func readDetails(value []byte, into detailNames) bool {
	for name, v := range members(value) {
		for _, d := range into {
			if d.to != nil && string(name) == d.name && !d.to.read(v) {
				return false
			}
		}
	}
	return true
}

// read takes a JSON number, or null for nothing; a negative or absurd number is
// nothing. false means that the value is neither.
func (c *count) read(value []byte) bool {
	if len(value) == 0 || value[0] == 'n' {
		return true
	}
	if value[0] != '-' && (value[0] < '0' || value[0] > '9') {
		return false
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(string(value), 64)
		if ferr != nil || f > 1<<50 {
			return true
		}
		n = int64(f)
	}
	if n >= 0 && n <= 1<<50 {
		*c = count{tokens: n, given: true}
	}
	return true
}

// members ranges over the names, as written, and values of a JSON object; over
// nothing for any other value.
func members(value []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, v []byte) bool) {
		w, ok := jsonx.Walk(value)
		if !ok {
			return
		}
		for {
			name, at, more := w.Next()
			if !more || !yield(value[name.From:name.To], value[at.From:at.To]) {
				return
			}
		}
	}
}
