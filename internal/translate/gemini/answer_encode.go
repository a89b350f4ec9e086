package gemini

import (
	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// EncodeAnswer implements translate.Client.
func (Codec) EncodeAnswer(_ *translate.Conversation, a *translate.Answer) ([]byte, error) {
	same := a.From == translate.Gemini
	w := jsonx.Writer{Out: make([]byte, 0, 1024)}
	w.Open('{')
	blocked := false
	for i := range a.Candidates {
		if raw := blockOf(a.Candidates[i].Extra, same); raw != nil {
			w.Raw(feedback, raw)
			blocked = true
		}
	}
	if !blocked {
		w.Name("candidates")
		w.Open('[')
		for i := range a.Candidates {
			writeCandidate(&w, &a.Candidates[i], a.From)
		}
		w.Close(']')
	}
	switch {
	case same:
		w.Raw("usageMetadata", a.UsageRaw)
	case a.Usage != nil:
		writeUsage(&w, *a.Usage)
	}
	w.TextIf("modelVersion", a.Model)
	w.TextIf("responseId", a.ID)
	if same {
		writeExtra(&w, a.Extra)
	}
	w.Close('}')
	return w.Out, nil
}

// blockOf is the promptFeedback that a candidate stands for; nil for a real one.
func blockOf(e translate.Extra, same bool) jsontext.Value {
	if !same {
		return nil
	}
	return e.Get(feedback)
}

func writeCandidate(w *jsonx.Writer, c *translate.Candidate, from translate.Dialect) {
	same := from == translate.Gemini
	var g grounding
	w.Open('{')
	w.Name("content")
	w.Open('{')
	w.Name("parts")
	w.Open('[')
	n := 0
	for _, p := range c.Parts {
		before := len(w.Out)
		writeAnswerPart(w, p, same)
		if t, ok := p.(*translate.Text); ok && !same {
			g.add(n, 0, t.Text, t.Citations)
		}
		if len(w.Out) > before {
			n++
		}
	}
	w.Close(']')
	w.Text("role", roleModel)
	w.Close('}')
	w.TextIf("finishReason", stopWord(c.Stop, c.StopWord, same))
	w.Int("index", int64(c.Index))
	if same {
		writeExtra(w, c.Extra)
	} else {
		g.write(w)
		writeLogprobs(w, tokensOf(c.Logprobs))
	}
	w.Close('}')
}

// writeAnswerPart writes a part of an answer, or nothing where a client of this
// dialect has no use for it: what another provider ran itself.
func writeAnswerPart(w *jsonx.Writer, p translate.Part, same bool) {
	switch p := p.(type) {
	case *translate.Text:
		w.Open('{')
		w.Text("text", p.Text)
		w.TextIf("thoughtSignature", p.Signature)
		if same {
			writeExtra(w, p.Extra)
		}
		w.Close('}')
	case *translate.Refusal:
		writeText(w, p.Text)
	case *translate.Thinking:
		writeThinking(w, p, same)
	case *translate.ToolCall:
		if same || p.Server == "" {
			writeCall(w, p, same)
		}
	case *translate.ToolResult:
		if same && len(p.Raw) > 0 {
			w.Value(p.Raw)
		}
	case *translate.Media:
		if p.Data != "" || p.URL != "" {
			writeMedia(w, p, same)
		}
	case *translate.Other:
		if same {
			w.Value(p.Raw)
		}
	}
}

// writeUsage writes usageMetadata. Thoughts are counted beside the candidates'
// tokens, and what a cache held is part of the prompt.
func writeUsage(w *jsonx.Writer, u translate.Usage) {
	w.Name("usageMetadata")
	w.Open('{')
	w.Int("promptTokenCount", u.Prompt)
	w.Int("candidatesTokenCount", u.Completion-u.Reasoning)
	w.Int("totalTokenCount", u.Prompt+u.Completion)
	writeCount(w, "cachedContentTokenCount", u.CachedRead)
	writeCount(w, "thoughtsTokenCount", u.Reasoning)
	writeModalities(w, "promptTokensDetails", u.Prompt, u.AudioIn, u.ImageIn)
	writeModalities(w, "candidatesTokensDetails", u.Completion-u.Reasoning, u.AudioOut, u.ImageOut)
	w.Close('}')
}

func writeCount(w *jsonx.Writer, name string, n int64) {
	if n > 0 {
		w.Int(name, n)
	}
}

func writeModalities(w *jsonx.Writer, name string, all, audio, image int64) {
	if audio == 0 && image == 0 {
		return
	}
	w.Name(name)
	w.Open('[')
	for _, m := range []struct {
		name   string
		tokens int64
	}{{"TEXT", all - audio - image}, {"AUDIO", audio}, {"IMAGE", image}} {
		if m.tokens > 0 {
			w.Open('{')
			w.Text("modality", m.name)
			w.Int("tokenCount", m.tokens)
			w.Close('}')
		}
	}
	w.Close(']')
}
