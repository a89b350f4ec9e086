package fakeprovider

import (
	"bytes"
	"encoding/json"
	"strings"

	"halley/internal/usage"
)

// Usage is what the recording reports that the request consumed, in Halley's
// terms; false when it reports nothing. It covers openai.chat and
// openai.embeddings.
//
// Where the figures stand, with the providers of the fixtures that put them
// there:
//
//   - plain answers: the member "usage" (all providers);
//   - streams, in a last chunk with empty choices: alibaba, azure, crusoe,
//     huggingface (novita, with sla_metrics beside it), openai, openrouter,
//     snowflake, xai;
//   - streams, in a chunk that still has choices, asked for or not: deepseek,
//     groq, huggingface (together), mistral, moonshotai, openrouter, zai;
//   - streams, in every chunk, growing: perplexity. The last one counts;
//   - streams, under "x_groq" beside or instead of "usage": groq. Where both are
//     there they say the same;
//   - "usage":null in the chunks before: openai and its like. It says nothing.
//
// Groq's usage_breakdown repeats the figures per model and is not added.
//
// What is in it:
//
//   - prompt_tokens, completion_tokens, total_tokens: all; embeddings have no
//     completion_tokens;
//   - cached input as prompt_tokens_details.cached_tokens: alibaba, azure,
//     cerebras, crusoe, deepseek, mistral, openai, openrouter, portkey,
//     snowflake, xai, zai; as the top-level num_cached_tokens: mistral (often
//     the only one); as the top-level cached_tokens: huggingface and together
//     (0 in every recording), moonshotai; as prompt_cache_hit_tokens: deepseek
//     (beside the first, always equal). All are part of prompt_tokens;
//   - cache writes as prompt_tokens_details.cache_write_tokens: openai,
//     openrouter. Nothing says how long they live: they count as the five
//     minute kind. OpenRouter's Gemini may report the same tokens as read and as
//     written (and bills both), so the two parts can exceed the whole;
//   - prompt_tokens_details.audio_tokens: azure, openai, openrouter, portkey,
//     snowflake, xai; .image_tokens: openai, xai; .text_tokens and
//     .video_tokens (openrouter) have no kind of their own;
//   - completion_tokens_details.reasoning_tokens: alibaba, azure, cerebras,
//     crusoe, deepseek, groq, moonshotai, openai, openrouter, portkey,
//     snowflake, xai, zai; as the top-level reasoning_tokens: azure (0 in
//     every recording); .audio_tokens: azure, openai, openrouter, portkey,
//     snowflake, xai; .image_tokens: openrouter;
//   - details that are null instead of absent: azure, huggingface, mistral.
//
// completion_tokens includes the reasoning tokens everywhere but at xai: in all
// six of its recordings total = prompt + completion + reasoning, and one has 26
// completion and 227 reasoning tokens. A report that adds up so is read so,
// whoever sends it. (An aborted OpenRouter stream reports 11 reasoning of 10
// completion tokens, 53 = 43 + 10 in total: that is left as it stands.)
func (in Interaction) Usage() (usage.Tokens, bool) {
	if in.API != Chat && in.API != Embeddings {
		return usage.Tokens{}, false
	}
	var last *report
	var searches int64
	for _, text := range in.payloads() {
		var p struct {
			Model string
			Usage *report `json:"usage"`
			XGroq *struct {
				Usage *report `json:"usage"`
			} `json:"x_groq"`
		}
		if json.Unmarshal(text, &p) != nil {
			continue
		}
		if strings.Contains(p.Model, "-search-") { // OpenAI's, which search once for each answer
			searches = 1
		}
		switch {
		case p.Usage != nil:
			last = p.Usage
		case p.XGroq != nil && p.XGroq.Usage != nil:
			last = p.XGroq.Usage
		}
	}
	if last == nil {
		return usage.Tokens{}, false
	}
	t := last.tokens()
	t.Searches = searches
	return t, true
}

// report is a usage object with every spelling that the fixtures have.
type report struct {
	Prompt     int64 `json:"prompt_tokens"`
	Completion int64 `json:"completion_tokens"`
	Total      int64 `json:"total_tokens"`

	CachedTokens    int64 `json:"cached_tokens"`
	NumCachedTokens int64 `json:"num_cached_tokens"`
	CacheHitTokens  int64 `json:"prompt_cache_hit_tokens"`
	ReasoningTokens int64 `json:"reasoning_tokens"`

	In struct {
		Cached     int64 `json:"cached_tokens"`
		CacheWrite int64 `json:"cache_write_tokens"`
		Audio      int64 `json:"audio_tokens"`
		Image      int64 `json:"image_tokens"`
	} `json:"prompt_tokens_details"`
	Out struct {
		Reasoning int64 `json:"reasoning_tokens"`
		Audio     int64 `json:"audio_tokens"`
		Image     int64 `json:"image_tokens"`
	} `json:"completion_tokens_details"`
}

func (r report) tokens() usage.Tokens {
	t := usage.Tokens{
		Prompt:       r.Prompt,
		CachedRead:   max(r.In.Cached, r.CachedTokens, r.NumCachedTokens, r.CacheHitTokens),
		CacheWrite5m: r.In.CacheWrite,
		AudioIn:      r.In.Audio,
		ImageIn:      r.In.Image,
		Completion:   r.Completion,
		Reasoning:    max(r.Out.Reasoning, r.ReasoningTokens),
		AudioOut:     r.Out.Audio,
		ImageOut:     r.Out.Image,
	}
	if t.Reasoning > 0 && r.Total == r.Prompt+r.Completion+t.Reasoning {
		t.Completion += t.Reasoning
	}
	return t
}

// payloads are the JSON texts of the response: the body, or each event's data.
func (in Interaction) payloads() [][]byte {
	if !in.Response.IsSSE() {
		return [][]byte{in.Response.Body}
	}
	var texts [][]byte
	for _, ev := range Events(in.Response.Body) {
		if data, ok := EventData(ev); ok && !bytes.Equal(data, []byte("[DONE]")) {
			texts = append(texts, data)
		}
	}
	return texts
}
