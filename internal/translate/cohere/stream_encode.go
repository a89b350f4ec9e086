package cohere

import (
	"halley/internal/jsonx"
	"halley/internal/translate"
)

// EncodeStream implements translate.Client.
func (Codec) EncodeStream(*translate.Conversation) translate.StreamEncoder { return &streamEncoder{} }

// streamEncoder writes a stream's events. message-end waits for the end, as it
// says what was used.
type streamEncoder struct {
	from     translate.Dialect
	over     bool
	contents int64 // that have begun
	calls    int64
	cites    int64
	open     translate.Part // nil: none is
	text     []byte         // of the open text, for citations of other dialects
	finish   translate.Event
	usage    *translate.Usage
	usageRaw jsonx.Value
}

// Encode implements translate.StreamEncoder.
func (s *streamEncoder) Encode(dst []byte, e translate.Event) []byte {
	if e.Candidate != 0 || s.over { // the dialect cannot ask for more candidates
		return dst
	}
	switch e.Kind {
	case translate.Begin:
		s.from = e.From
		return s.event(dst, "message-start", -1, func(w *jsonx.Writer) {
			w.Text("role", "assistant")
			for _, name := range []string{"content", "tool_calls", "citations"} {
				w.Raw(name, jsonx.Value("[]"))
			}
			w.Text("tool_plan", "")
		}, e.ID)
	case translate.PartBegin:
		return s.begin(dst, e.Part)
	case translate.Whole:
		return s.whole(dst, e.Part)
	case translate.TextDelta:
		return s.delta(dst, e.Text)
	case translate.CiteDelta:
		return s.cite(dst, e.Citation)
	case translate.PartEnd:
		return s.end(dst)
	case translate.Finish:
		s.finish = e
	case translate.Use:
		s.usage, s.usageRaw = e.Usage, e.UsageRaw
	case translate.Done:
		return s.done(dst, "", "")
	case translate.Fault:
		return s.Fail(dst, *e.Failure, "")
	case translate.SignDelta, translate.LogprobsDelta, translate.Ping:
	}
	return dst
}

// event appends an event whose delta is a piece of the message; an index below 0
// is left out.
func (s *streamEncoder) event(dst []byte, kind string, index int64, message func(*jsonx.Writer), id string) []byte {
	dst = append(append(append(dst, "event: "...), kind...), "\ndata: "...)
	w := jsonx.Writer{Out: dst}
	w.Open('{')
	w.TextIf("id", id)
	w.Text("type", kind)
	if index >= 0 {
		w.Int("index", index)
	}
	if message != nil {
		w.Name("delta")
		w.Open('{')
		w.Name("message")
		w.Open('{')
		message(&w)
		w.Close('}')
		w.Close('}')
	}
	w.Close('}')
	return append(w.Out, "\n\n"...)
}

func (s *streamEncoder) begin(dst []byte, part translate.Part) []byte {
	s.open, s.text = part, s.text[:0]
	switch p := part.(type) {
	case *translate.ToolCall:
		if p.Server != "" {
			s.open = nil
			return dst
		}
		s.calls++
		return s.event(dst, "tool-call-start", s.calls-1, func(w *jsonx.Writer) {
			w.Name("tool_calls")
			writeCall(w, p, "", s.from == translate.Cohere)
		}, "")
	case *translate.Thinking:
		if p.Signature == planMark && p.Origin == translate.Cohere {
			return dst
		}
	case *translate.Text, *translate.Refusal:
	default:
		s.open = nil
		return dst
	}
	s.contents++
	kind, _ := said(part)
	return s.event(dst, "content-start", s.contents-1, func(w *jsonx.Writer) {
		w.Name("content")
		w.Open('{')
		w.Text("type", kind)
		w.Text(kind, "")
		w.Close('}')
	}, "")
}

func (s *streamEncoder) delta(dst []byte, text string) []byte {
	switch p := s.open.(type) {
	case nil:
		return dst
	case *translate.ToolCall:
		return s.event(dst, "tool-call-delta", s.calls-1, func(w *jsonx.Writer) {
			w.Name("tool_calls")
			w.Open('{')
			w.Name("function")
			w.Open('{')
			w.Text("arguments", text)
			w.Close('}')
			w.Close('}')
		}, "")
	case *translate.Thinking:
		if p.Signature == planMark && p.Origin == translate.Cohere {
			return s.event(dst, "tool-plan-delta", -1, func(w *jsonx.Writer) { w.Text("tool_plan", text) }, "")
		}
	}
	if s.from != translate.Cohere {
		s.text = append(s.text, text...)
	}
	kind, _ := said(s.open)
	return s.event(dst, "content-delta", s.contents-1, func(w *jsonx.Writer) {
		w.Name("content")
		w.Open('{')
		w.Text(kind, text)
		w.Close('}')
	}, "")
}

func (s *streamEncoder) cite(dst []byte, c *translate.Citation) []byte {
	if _, ok := s.open.(*translate.Text); !ok || c == nil {
		return dst
	}
	s.cites++
	dst = s.event(dst, "citation-start", s.cites-1, func(w *jsonx.Writer) {
		w.Name("citations")
		writeCitation(w, c, s.from, string(s.text), 0)
	}, "")
	return s.event(dst, "citation-end", s.cites-1, nil, "")
}

func (s *streamEncoder) end(dst []byte) []byte {
	open := s.open
	s.open = nil
	switch p := open.(type) {
	case nil:
		return dst
	case *translate.ToolCall:
		return s.event(dst, "tool-call-end", s.calls-1, nil, "")
	case *translate.Thinking:
		if p.Signature == planMark && p.Origin == translate.Cohere {
			return dst
		}
	}
	return s.event(dst, "content-end", s.contents-1, nil, "")
}

// whole writes a part that comes at once.
func (s *streamEncoder) whole(dst []byte, part translate.Part) []byte {
	text := ""
	switch p := part.(type) {
	case *translate.ToolCall:
		text = p.Args
	case *translate.Text, *translate.Thinking, *translate.Refusal:
		_, text = said(p)
	default:
		return dst
	}
	dst = s.begin(dst, part)
	if text != "" {
		dst = s.delta(dst, text)
	}
	return s.end(dst)
}

// done writes message-end.
func (s *streamEncoder) done(dst []byte, word, failure string) []byte {
	dst = s.end(dst)
	s.over = true
	if word == "" {
		word = stopWord(s.from, s.finish.Stop, s.finish.StopWord)
	}
	w := jsonx.Writer{Out: append(dst, "event: message-end\ndata: "...)}
	w.Open('{')
	w.Text("type", "message-end")
	w.Name("delta")
	w.Open('{')
	w.TextIf("error", failure)
	w.Text("finish_reason", word)
	writeUsage(&w, s.from, s.usage, s.usageRaw)
	w.Close('}')
	w.Close('}')
	return append(w.Out, "\n\n"...)
}

// Fail implements translate.StreamEncoder: the dialect tells of a failure in its
// last event.
func (s *streamEncoder) Fail(dst []byte, f translate.Failure, _ string) []byte {
	if s.over {
		return dst
	}
	return s.done(dst, "ERROR", f.Message)
}
