package messages

import (
	"halley/internal/jsonx"
	"halley/internal/translate"
)

// EncodeAnswer implements translate.Client. It writes the first candidate: the
// dialect cannot ask for more. The error is for output that its model spoiled.
func (Codec) EncodeAnswer(_ *translate.Conversation, a *translate.Answer) ([]byte, error) {
	var candidate translate.Candidate
	if len(a.Candidates) > 0 {
		candidate = a.Candidates[0]
	}
	if candidate.Stop == translate.Broken {
		return nil, errBroken
	}
	same := a.From == translate.Messages
	w := jsonx.Writer{Out: make([]byte, 0, 1024)}
	w.Open('{')
	w.Text("id", a.ID)
	w.Text("type", "message")
	w.Text("role", "assistant")
	w.Text("model", a.Model)
	w.Name("content")
	w.Open('[')
	called := false
	for _, p := range candidate.Parts {
		if call, ok := p.(*translate.ToolCall); ok && call.Server == "" {
			called = true
		}
		writeAnswerPart(&w, p, a.From)
	}
	w.Close(']')
	w.Text("stop_reason", stopWord(candidate.Stop, candidate.StopWord, same, called))
	if candidate.StopText != "" {
		w.Text("stop_sequence", candidate.StopText)
	} else {
		w.Null("stop_sequence")
	}
	if same {
		writeUsage(&w, a.Usage, a.UsageRaw)
		writeExtra(&w, later(a.Extra, candidate.Extra), "")
	} else {
		writeUsage(&w, a.Usage, nil)
	}
	w.Close('}')
	return w.Out, nil
}

// later joins two Extras, of which the second says the last word.
func later(e, last translate.Extra) translate.Extra {
	if len(last) == 0 {
		return e
	}
	joined := make(translate.Extra, 0, len(e)+len(last))
	for _, m := range e {
		if last.Get(m.Name) == nil {
			joined = append(joined, m)
		}
	}
	return append(joined, last...)
}

// writeAnswerPart writes a part of an answer of the dialect from, or nothing
// where a client of this one has no use for it: media, and what another provider
// ran itself.
func writeAnswerPart(w *jsonx.Writer, p translate.Part, from translate.Dialect) {
	same := from == translate.Messages
	switch p := p.(type) {
	case *translate.Text:
		if !same {
			p = &translate.Text{Text: p.Text, Citations: p.Citations}
		}
		writeText(w, p, true)
	case *translate.Refusal:
		writeText(w, &translate.Text{Text: p.Text}, false)
	case *translate.Thinking:
		if !same {
			bare := *p
			bare.Extra = nil
			p = &bare
		}
		writeThinking(w, p)
	case *translate.ToolCall:
		if !same {
			if p.Server != "" {
				return
			}
			if t := carrier(p, from); t != nil {
				writeThinking(w, t)
			}
			p = &translate.ToolCall{ID: p.ID, Name: p.Name, Args: p.Args, Custom: p.Custom}
		}
		writeCall(w, p)
	case *translate.ToolResult:
		if same && len(p.Raw) > 0 {
			w.Value(p.Raw)
		}
	case *translate.Media:
		if same && len(p.Raw) > 0 {
			w.Value(p.Raw)
		}
	case *translate.Other:
		if same {
			w.Value(p.Raw)
		}
	}
}
