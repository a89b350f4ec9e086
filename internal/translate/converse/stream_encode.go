package converse

import (
	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// EncodeStream implements translate.Client. The events are written as server-sent
// events; see the package comment.
func (Codec) EncodeStream(*translate.Conversation) translate.StreamEncoder { return &streamEncoder{} }

// streamEncoder writes a stream's events. metadata waits for the end.
type streamEncoder struct {
	same, over bool
	finished   bool

	index int64          // of the next block, or of the open one
	open  translate.Part // nil when none is
	free  []byte         // of the open custom call: its text
	use   translate.Event
}

// Encode implements translate.StreamEncoder.
func (s *streamEncoder) Encode(dst []byte, e translate.Event) []byte {
	if e.Candidate != 0 || s.over { // the dialect cannot ask for more candidates
		return dst
	}
	switch e.Kind {
	case translate.Begin:
		s.same = e.From == translate.Converse
		w := beginEvent(dst, "messageStart")
		w.Text("role", "assistant")
		dst = endEvent(&w)
	case translate.PartBegin:
		dst = s.begin(dst, e.Part)
	case translate.TextDelta:
		dst = s.text(dst, e.Text)
	case translate.SignDelta:
		if t, ok := s.open.(*translate.Thinking); ok {
			signed := *t
			signed.Signature = e.Text
			dst = s.delta(dst, "reasoningContent", "signature", signature(&signed))
		}
	case translate.CiteDelta:
		if s.same && e.Citation != nil && len(e.Citation.Raw) > 0 {
			w := s.beginBlockEvent(dst, "contentBlockDelta")
			w.Name("delta")
			w.Open('{')
			w.Raw("citation", e.Citation.Raw)
			w.Close('}')
			dst = endEvent(&w)
		}
	case translate.PartEnd:
		dst = s.end(dst)
	case translate.Whole:
		dst = s.whole(dst, e.Part)
	case translate.Finish:
		dst = s.finish(s.end(dst), &e)
	case translate.Use:
		s.use = e
	case translate.Done:
		if !s.finished { // some upstreams do not say why
			dst = s.finish(s.end(dst), &translate.Event{Stop: translate.EndOfTurn})
		}
		s.over = true
		dst = s.metadata(dst)
	case translate.Fault:
		return s.Fail(dst, *e.Failure, "")
	case translate.LogprobsDelta, translate.Ping:
	}
	return dst
}

// Fail implements translate.StreamEncoder.
func (s *streamEncoder) Fail(dst []byte, f translate.Failure, requestID string) []byte {
	s.over = true
	dst = append(append(append(dst, "event: "...), exceptionOf(f)...), "\ndata: "...)
	return append(append(dst, Codec{}.EncodeFailure(f, requestID)...), "\n\n"...)
}

// beginEvent begins an event up to its first member.
func beginEvent(dst []byte, name string) jsonx.Writer {
	w := jsonx.Writer{Out: append(append(append(dst, "event: "...), name...), "\ndata: "...)}
	w.Open('{')
	return w
}

func endEvent(w *jsonx.Writer) []byte {
	w.Close('}')
	return append(w.Out, "\n\n"...)
}

func (s *streamEncoder) beginBlockEvent(dst []byte, name string) jsonx.Writer {
	w := beginEvent(dst, name)
	w.Int("contentBlockIndex", s.index)
	return w
}

// begin begins a block, which only calls of tools have an event for.
func (s *streamEncoder) begin(dst []byte, p translate.Part) []byte {
	dst = s.end(dst)
	s.open, s.free = p, s.free[:0]
	switch p := p.(type) {
	case *translate.ToolCall:
		if p.Server != "" && !s.same {
			s.open = nil
			return dst
		}
		w := s.beginBlockEvent(dst, "contentBlockStart")
		w.Name("start")
		w.Open('{')
		w.Name("toolUse")
		w.Open('{')
		w.Text("toolUseId", p.ID)
		w.Text("name", p.Name)
		if s.same {
			writeExtra(&w, p.Extra)
		}
		w.Close('}')
		w.Close('}')
		dst = s.text(endEvent(&w), p.Args)
	case *translate.Text:
		dst = s.text(dst, p.Text)
	case *translate.Thinking:
		dst = s.text(dst, p.Text)
	case *translate.Refusal:
		dst = s.text(dst, p.Text)
	default:
		s.open = nil
	}
	return dst
}

// text adds to the open block.
func (s *streamEncoder) text(dst []byte, text string) []byte {
	if text == "" {
		return dst
	}
	switch p := s.open.(type) {
	case *translate.Text, *translate.Refusal:
		return s.delta(dst, "", "text", text)
	case *translate.Thinking:
		return s.delta(dst, "reasoningContent", "text", text)
	case *translate.ToolCall:
		if p.Custom {
			s.free = append(s.free, text...)
			return dst
		}
		return s.delta(dst, "toolUse", "input", text)
	}
	return dst
}

// delta writes {"delta": {of: {name: text}}}, or without of when that is empty.
func (s *streamEncoder) delta(dst []byte, of, name, text string) []byte {
	w := s.beginBlockEvent(dst, "contentBlockDelta")
	w.Name("delta")
	w.Open('{')
	if of != "" {
		w.Name(of)
		w.Open('{')
	}
	w.Text(name, text)
	if of != "" {
		w.Close('}')
	}
	w.Close('}')
	return endEvent(&w)
}

// end ends the open block.
func (s *streamEncoder) end(dst []byte) []byte {
	if s.open == nil {
		return dst
	}
	if call, ok := s.open.(*translate.ToolCall); ok && call.Custom {
		dst = s.delta(dst, "toolUse", "input", string(translate.Extra{{Name: "input", Value: jsonText(s.free)}}.Object()))
	}
	s.open = nil
	w := s.beginBlockEvent(dst, "contentBlockStop")
	s.index++
	return endEvent(&w)
}

func jsonText(text []byte) []byte {
	var w jsonx.Writer
	w.String(string(text))
	return w.Out
}

// whole writes a part that comes at once.
func (s *streamEncoder) whole(dst []byte, p translate.Part) []byte {
	t, ok := p.(*translate.Thinking)
	if !ok {
		return s.end(s.begin(dst, p))
	}
	dst = s.end(dst)
	s.open = &translate.Thinking{Origin: t.Origin}
	if t.Origin == translate.Converse && t.Sealed != "" {
		dst = s.delta(dst, "reasoningContent", "redactedContent", t.Sealed)
	} else {
		dst = s.text(dst, t.Text)
		if sign := signature(t); sign != "" {
			dst = s.delta(dst, "reasoningContent", "signature", sign)
		}
	}
	return s.end(dst)
}

func (s *streamEncoder) finish(dst []byte, e *translate.Event) []byte {
	s.finished = true
	w := beginEvent(dst, "messageStop")
	w.Text("stopReason", stopWord(e.Stop, e.StopWord, s.same))
	if s.same {
		writeExtra(&w, e.Extra)
	}
	return endEvent(&w)
}

func (s *streamEncoder) metadata(dst []byte) []byte {
	w := beginEvent(dst, "metadata")
	if s.same {
		w.Raw("usage", s.use.UsageRaw)
		writeExtra(&w, s.use.Extra)
	} else {
		w.Name("usage")
		writeUsage(&w, s.use.Usage)
		w.Raw("metrics", jsontext.Value(noMetrics))
	}
	return endEvent(&w)
}
