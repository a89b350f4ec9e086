package converse

import (
	"errors"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// EncodeAnswer implements translate.Client. It writes the first candidate: the
// dialect cannot ask for more.
func (Codec) EncodeAnswer(_ *translate.Conversation, a *translate.Answer) ([]byte, error) {
	if len(a.Candidates) == 0 {
		return nil, errors.New("encode answer: it has no candidate")
	}
	c, same := &a.Candidates[0], a.From == translate.Converse
	w := jsonx.Writer{Out: make([]byte, 0, 1024)}
	w.Open('{')
	w.Name("output")
	w.Open('{')
	w.Name("message")
	w.Open('{')
	w.Text("role", "assistant")
	w.Name("content")
	w.Open('[')
	for _, p := range c.Parts {
		writeAnswerPart(&w, p, same)
	}
	w.Close(']')
	if same {
		writeExtra(&w, c.Extra)
	}
	w.Close('}')
	w.Close('}')
	w.Text("stopReason", stopWord(c.Stop, c.StopWord, same))
	if same {
		w.Raw("usage", a.UsageRaw)
		writeExtra(&w, a.Extra)
	} else {
		w.Name("usage")
		writeUsage(&w, a.Usage)
		w.Raw("metrics", jsontext.Value(noMetrics))
	}
	w.Close('}')
	return w.Out, nil
}

// writeAnswerPart writes a part of an answer, or nothing where a client of this
// dialect has no use for it: media, and what another provider ran itself.
func writeAnswerPart(w *jsonx.Writer, p translate.Part, same bool) {
	switch p := p.(type) {
	case *translate.Text:
		writeText(w, p, same)
	case *translate.Refusal:
		writeText(w, &translate.Text{Text: p.Text}, false)
	case *translate.Thinking:
		writeThinking(w, p)
	case *translate.ToolCall:
		if same || p.Server == "" {
			writeCall(w, p, same)
		}
	case *translate.ToolResult:
		if same && len(p.Raw) > 0 {
			w.Value(translate.Extra{{Name: "toolResult", Value: p.Raw}}.Object())
		}
	case *translate.Media:
		if same && len(p.Raw) > 0 {
			w.Value(translate.Extra{{Name: mediaName(p.Kind), Value: p.Raw}}.Object())
		}
	case *translate.Other:
		if same {
			w.Value(p.Raw)
		}
	}
}

// writeUsage writes a usage object in the dialect's terms.
func writeUsage(w *jsonx.Writer, u *translate.Usage) {
	if u == nil {
		u = &translate.Usage{}
	}
	// Some upstreams count what they wrote to a cache as read from it, too; the
	// parts must not add up to more than the prompt.
	read := min(u.CachedRead, u.Prompt)
	write1h := min(u.CacheWrite1h, u.Prompt-read)
	write5m := min(u.CacheWrite5m, u.Prompt-read-write1h)
	w.Open('{')
	w.Int("inputTokens", u.Prompt-read-write1h-write5m)
	w.Int("outputTokens", u.Completion)
	w.Int("totalTokens", u.Prompt+u.Completion)
	w.Int("cacheReadInputTokens", read)
	w.Int("cacheWriteInputTokens", write5m+write1h)
	if write5m+write1h > 0 {
		w.Name("cacheDetails")
		w.Open('[')
		for _, d := range []struct {
			ttl    string
			tokens int64
		}{{"5m", write5m}, {"1h", write1h}} {
			if d.tokens > 0 {
				w.Open('{')
				w.Text("ttl", d.ttl)
				w.Int("inputTokens", d.tokens)
				w.Close('}')
			}
		}
		w.Close(']')
	}
	w.Close('}')
}

// noMetrics stand for how long a model took, which clients of this dialect are
// promised and which Halley does not learn from other dialects.
const noMetrics = `{"latencyMs":0}`
