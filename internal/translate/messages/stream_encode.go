package messages

import (
	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// EncodeStream implements translate.Client.
func (Codec) EncodeStream(*translate.Conversation) translate.StreamEncoder { return &streamEncoder{} }

// streamEncoder writes a stream's events. message_start waits for the first
// event that is not about usage, so that it says what the upstream has said of it
// by then; message_delta waits for the end.
type streamEncoder struct {
	begin   translate.Event
	started bool
	over    bool

	index    int64          // of the next block
	open     translate.Part // the open block, with what came of it that counts at its end; nil when none is
	silent   bool           // the open part has no block
	free     []byte         // of the open custom call: its text
	finish   translate.Event
	called   bool
	usage    *translate.Usage
	usageRaw jsontext.Value
}

func (s *streamEncoder) same() bool { return s.begin.From == translate.Messages }

// Encode implements translate.StreamEncoder.
func (s *streamEncoder) Encode(dst []byte, e translate.Event) []byte {
	if e.Candidate != 0 || s.over { // the dialect cannot ask for more candidates
		return dst
	}
	switch e.Kind {
	case translate.Begin:
		s.begin = e
		return dst
	case translate.Use:
		s.usage, s.usageRaw = e.Usage, e.UsageRaw
		return dst
	case translate.LogprobsDelta:
		return dst
	case translate.Fault:
		return s.Fail(dst, *e.Failure, "")
	}
	dst = s.start(dst)
	switch e.Kind {
	case translate.PartBegin:
		dst = s.beginPart(dst, e.Part)
	case translate.TextDelta:
		dst = s.text(dst, e.Text)
	case translate.SignDelta:
		s.sign(e.Text)
	case translate.CiteDelta:
		dst = s.cite(dst, e.Citation)
	case translate.PartEnd:
		if t, ok := e.Part.(*translate.Thinking); ok {
			s.learn(t)
		}
		dst = s.endPart(dst)
	case translate.Whole:
		dst = s.wholePart(dst, e.Part)
	case translate.Finish:
		s.finish = e
	case translate.Ping:
		dst = append(dst, "event: ping\ndata: {\"type\":\"ping\"}\n\n"...)
	case translate.Done:
		dst = s.end(dst)
	case translate.Begin, translate.Use, translate.LogprobsDelta, translate.Fault: // above
	}
	return dst
}

// Fail implements translate.StreamEncoder.
func (s *streamEncoder) Fail(dst []byte, f translate.Failure, requestID string) []byte {
	s.over = true
	dst = append(dst, "event: error\ndata: "...)
	return append(append(dst, Codec{}.EncodeFailure(f, requestID)...), "\n\n"...)
}

// beginEvent begins an event up to its first own member.
func beginEvent(dst []byte, kind string) jsonx.Writer {
	w := jsonx.Writer{Out: append(append(append(dst, "event: "...), kind...), "\ndata: "...)}
	w.Open('{')
	w.Text("type", kind)
	return w
}

func endEvent(w *jsonx.Writer) []byte {
	w.Close('}')
	return append(w.Out, "\n\n"...)
}

// start writes message_start, once.
func (s *streamEncoder) start(dst []byte) []byte {
	if s.started {
		return dst
	}
	s.started = true
	w := beginEvent(dst, "message_start")
	w.Name("message")
	w.Open('{')
	w.Text("id", s.begin.ID)
	w.Text("type", "message")
	w.Text("role", "assistant")
	w.Text("model", s.begin.Model)
	w.Raw("content", jsontext.Value("[]"))
	w.Null("stop_reason")
	w.Null("stop_sequence")
	s.writeUsage(&w)
	if s.same() {
		writeExtra(&w, s.begin.Extra, "")
	}
	w.Close('}')
	return endEvent(&w)
}

func (s *streamEncoder) writeUsage(w *jsonx.Writer) {
	if s.same() {
		writeUsage(w, s.usage, s.usageRaw)
	} else {
		writeUsage(w, s.usage, nil)
	}
}

// beginPart begins the block of a part that deltas follow.
func (s *streamEncoder) beginPart(dst []byte, p translate.Part) []byte {
	dst = s.endPart(dst)
	s.silent, s.free = false, s.free[:0]
	switch p := p.(type) {
	case *translate.Text:
		text := *p
		text.Text, text.Citations = "", nil
		s.open = &text
		dst = s.block(dst, &text)
		if p.Text != "" {
			dst = s.text(dst, p.Text)
		}
		for i := range p.Citations {
			dst = s.cite(dst, &p.Citations[i])
		}
	case *translate.Refusal:
		s.open = &translate.Text{}
		dst = s.block(dst, s.open)
		if p.Text != "" {
			dst = s.text(dst, p.Text)
		}
	case *translate.Thinking:
		dst = s.beginThinking(dst, p)
	case *translate.ToolCall:
		dst = s.beginCall(dst, p)
	default: // has no deltas, wherever it comes from
		dst = s.wholePart(dst, p)
		s.open, s.silent = p, true
	}
	return dst
}

func (s *streamEncoder) beginThinking(dst []byte, p *translate.Thinking) []byte {
	t := *p
	s.open = &t
	shown := t
	shown.Text, shown.Signature = "", ""
	if t.Origin != translate.Messages { // what it carries stands in the signature
		shown.Sealed, shown.ID, shown.Origin = "", "", translate.Messages
	}
	dst = s.block(dst, &shown)
	if p.Text != "" {
		dst = s.text(dst, p.Text)
	}
	return dst
}

func (s *streamEncoder) beginCall(dst []byte, p *translate.ToolCall) []byte {
	if t := carrier(p, s.begin.From); t != nil {
		dst = s.wholePart(dst, t)
	}
	call := *p
	call.Signature = "" // told; another may come yet
	s.open = &call
	if call.Server != "" && !s.same() {
		s.silent = true
		return dst
	}
	if call.Server == "" {
		s.called = true
	}
	shown := call
	shown.Args, shown.Custom = "", false
	dst = s.block(dst, &shown)
	if p.Args != "" {
		dst = s.text(dst, p.Args)
	}
	return dst
}

// block writes content_block_start.
func (s *streamEncoder) block(dst []byte, p translate.Part) []byte {
	w := beginEvent(dst, "content_block_start")
	w.Int("index", s.index)
	w.Name("content_block")
	writeAnswerPart(&w, p, s.begin.From)
	return endEvent(&w)
}

// text writes a content_block_delta of what the open part is made of.
func (s *streamEncoder) text(dst []byte, text string) []byte {
	if s.silent || text == "" {
		return dst
	}
	kind, member := "text_delta", "text"
	switch p := s.open.(type) {
	case nil:
		return dst
	case *translate.Thinking:
		kind, member = "thinking_delta", "thinking"
	case *translate.ToolCall:
		kind, member = "input_json_delta", "partial_json"
		if p.Custom {
			s.free = append(s.free, text...)
			return dst
		}
	}
	return s.delta(dst, kind, member, text)
}

func (s *streamEncoder) delta(dst []byte, kind, member, text string) []byte {
	w := beginEvent(dst, "content_block_delta")
	w.Int("index", s.index)
	w.Name("delta")
	w.Open('{')
	w.Text("type", kind)
	w.Text(member, text)
	w.Close('}')
	return endEvent(&w)
}

// sign notes the signature of the open part, which is told at its end.
func (s *streamEncoder) sign(signature string) {
	switch p := s.open.(type) {
	case *translate.Thinking:
		p.Signature = signature
	case *translate.ToolCall:
		p.Signature = signature
	}
}

// learn takes what is known of the open thoughts only at their end.
func (s *streamEncoder) learn(whole *translate.Thinking) {
	if t, ok := s.open.(*translate.Thinking); ok {
		t.Signature, t.Sealed, t.ID, t.Origin = whole.Signature, whole.Sealed, whole.ID, whole.Origin
	}
}

func (s *streamEncoder) cite(dst []byte, c *translate.Citation) []byte {
	if _, ok := s.open.(*translate.Text); !ok || c == nil || s.silent {
		return dst
	}
	w := beginEvent(dst, "content_block_delta")
	w.Int("index", s.index)
	w.Name("delta")
	w.Open('{')
	w.Text("type", "citations_delta")
	w.Name("citation")
	writeCitation(&w, c)
	w.Close('}')
	return endEvent(&w)
}

// endPart ends the open block.
func (s *streamEncoder) endPart(dst []byte) []byte {
	part := s.open
	s.open = nil
	if part == nil || s.silent {
		return dst
	}
	var after *translate.Thinking
	switch p := part.(type) {
	case *translate.Thinking:
		redacted := p.Origin == translate.Messages && p.Sealed != ""
		if signature := p.Carry(translate.Messages); signature != "" && !redacted {
			dst = s.delta(dst, "signature_delta", "signature", signature)
		}
	case *translate.ToolCall:
		if p.Custom {
			dst = s.delta(dst, "input_json_delta", "partial_json", string(wrapped("input", string(s.free))))
		}
		after = carrier(p, s.begin.From)
	}
	dst = s.stopBlock(dst)
	if after != nil {
		dst = s.wholePart(dst, after)
	}
	return dst
}

func (s *streamEncoder) stopBlock(dst []byte) []byte {
	w := beginEvent(dst, "content_block_stop")
	w.Int("index", s.index)
	s.index++
	return endEvent(&w)
}

// wholePart writes a part that came at once.
func (s *streamEncoder) wholePart(dst []byte, p translate.Part) []byte {
	switch p := p.(type) {
	case *translate.Text, *translate.Refusal, *translate.Thinking, *translate.ToolCall:
		return s.endPart(s.beginPart(dst, p))
	case *translate.Other:
		if p.Kind == "compaction" && s.same() {
			return s.compaction(s.endPart(dst), p)
		}
	}
	if raw := rawOf(p); !s.same() || len(raw) == 0 {
		return dst
	}
	return s.stopBlock(s.block(s.endPart(dst), p))
}

// rawOf is the block of a part that only this dialect has words for.
func rawOf(p translate.Part) jsontext.Value {
	switch p := p.(type) {
	case *translate.Other:
		return p.Raw
	case *translate.ToolResult:
		return p.Raw
	case *translate.Media:
		return p.Raw
	}
	return nil
}

// compaction writes a summary of the context: an empty block and one delta with
// all of it, as the API sends it.
func (s *streamEncoder) compaction(dst []byte, p *translate.Other) []byte {
	w := beginEvent(dst, "content_block_start")
	w.Int("index", s.index)
	w.Raw("content_block", jsontext.Value(`{"type":"compaction","content":null}`))
	w = beginEvent(endEvent(&w), "content_block_delta")
	w.Int("index", s.index)
	w.Name("delta")
	w.Open('{')
	w.Text("type", "compaction_delta")
	writeExtra(&w, translate.ExtraOf(p.Raw), "type")
	w.Close('}')
	return s.stopBlock(endEvent(&w))
}

// end writes message_delta and message_stop.
func (s *streamEncoder) end(dst []byte) []byte {
	dst = s.endPart(dst)
	f := &s.finish
	if f.Stop == translate.Broken {
		return s.Fail(dst, translate.Failure{Status: 502, Kind: translate.Internal, Message: errBroken.Error()}, "")
	}
	s.over = true
	w := beginEvent(dst, "message_delta")
	w.Name("delta")
	w.Open('{')
	w.Text("stop_reason", stopWord(f.Stop, f.StopWord, s.same(), s.called))
	if f.StopText != "" {
		w.Text("stop_sequence", f.StopText)
	} else {
		w.Null("stop_sequence")
	}
	var beside jsontext.Value // stands beside the delta
	if s.same() {
		writeExtra(&w, f.Extra, "context_management")
		beside = f.Extra.Get("context_management")
	}
	w.Close('}')
	s.writeUsage(&w)
	w.Raw("context_management", beside)
	w = beginEvent(endEvent(&w), "message_stop")
	return endEvent(&w)
}
