package cohere

import (
	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
)

// EncodeAnswer implements translate.Client.
func (Codec) EncodeAnswer(_ *translate.Conversation, a *translate.Answer) ([]byte, error) {
	var c translate.Candidate
	if len(a.Candidates) > 0 {
		c = a.Candidates[0]
	}
	var w jsonx.Writer
	w.Open('{')
	w.Text("id", a.ID)
	w.Text("finish_reason", stopWord(a.From, c.Stop, c.StopWord))
	w.Name("message")
	writeAnswer(&w, a.From, &c)
	writeUsage(&w, a.From, a.Usage, a.UsageRaw)
	if a.From == translate.Cohere {
		writeExtra(&w, a.Extra)
	}
	w.Close('}')
	return w.Out, nil
}

func writeAnswer(w *jsonx.Writer, from translate.Dialect, c *translate.Candidate) {
	w.Open('{')
	w.Text("role", "assistant")
	var content []translate.Part
	var calls []*translate.ToolCall
	for _, p := range c.Parts {
		switch p := p.(type) {
		case *translate.ToolCall:
			if p.Server == "" {
				calls = append(calls, p)
			}
		case *translate.Thinking:
			if p.Signature == planMark && p.Origin == translate.Cohere {
				w.Text("tool_plan", p.Text)
				continue
			}
			content = append(content, p)
		case *translate.Text, *translate.Refusal:
			content = append(content, p)
		}
	}
	if content != nil {
		w.Name("content")
		w.Open('[')
		for _, p := range content {
			writeSaid(w, p)
		}
		w.Close(']')
	}
	if calls != nil {
		w.Name("tool_calls")
		w.Open('[')
		for _, p := range calls {
			writeCall(w, p, object(p.Args), from == translate.Cohere)
		}
		w.Close(']')
	}
	writeCitations(w, from, content, c)
	w.Close('}')
}

func writeSaid(w *jsonx.Writer, p translate.Part) {
	kind, text := said(p)
	w.Open('{')
	w.Text("type", kind)
	w.Text(kind, text)
	w.Close('}')
}

// said is the type that words have here, and the words.
func said(p translate.Part) (kind, text string) {
	switch p := p.(type) {
	case *translate.Thinking:
		return "thinking", p.Text
	case *translate.Refusal:
		return "text", p.Text
	case *translate.Text:
		return "text", p.Text
	}
	return "text", ""
}

func writeCitations(w *jsonx.Writer, from translate.Dialect, content []translate.Part, c *translate.Candidate) {
	own := from == translate.Cohere
	var w2 jsonx.Writer
	w2.Open('[')
	for i, p := range content {
		if text, ok := p.(*translate.Text); ok {
			for j := range text.Citations {
				writeCitation(&w2, &text.Citations[j], from, text.Text, i)
			}
		}
	}
	for _, m := range c.Extra {
		switch {
		case !own:
		case m.Name == "citations":
			for v := range wire.Elements(m.Value) {
				w2.Value(v)
			}
		default:
			w.Raw(m.Name, m.Value)
		}
	}
	w2.Close(']')
	if len(w2.Out) > len("[]") {
		w.Raw("citations", w2.Out)
	}
}

// writeUsage says what was used. Of an answer in another dialect it is all billed.
func writeUsage(w *jsonx.Writer, from translate.Dialect, u *translate.Usage, raw jsonx.Value) {
	if from == translate.Cohere && raw != nil {
		w.Raw("usage", raw)
		return
	}
	if u == nil {
		return
	}
	w.Name("usage")
	w.Open('{')
	for _, name := range []string{"billed_units", "tokens"} {
		w.Name(name)
		w.Open('{')
		w.Int("input_tokens", u.Prompt)
		w.Int("output_tokens", u.Completion)
		w.Close('}')
	}
	if u.CachedRead > 0 {
		w.Int("cached_tokens", u.CachedRead)
	}
	w.Close('}')
}
