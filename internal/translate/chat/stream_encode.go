package chat

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/translate"
	"halley/internal/wire"
)

// EncodeStream implements translate.Client.
func (Codec) EncodeStream(c *translate.Conversation) translate.StreamEncoder {
	return &streamEncoder{c: c, legacy: c.From == translate.Chat && c.Fields[translate.FeatureTools] == legacyTools}
}

// streamEncoder writes one stream.
type streamEncoder struct {
	c      *translate.Conversation
	legacy bool
	head   []byte // how every chunk begins, up to its choices
	open   map[int]*writing
	tokens *translate.Usage
	usage  jsontext.Value // in the upstream's words, when they are the dialect's
	tier   string
	same   bool // the answer is of this dialect
	spoilt bool // the model spoiled its output
}

// writing is what is being written of a choice.
type writing struct {
	part  translate.Part
	calls int  // tool calls begun
	begun bool // the role has been said
	empty bool // no arguments have come of the open call
}

// Encode implements translate.StreamEncoder.
func (s *streamEncoder) Encode(dst []byte, e translate.Event) []byte {
	if e.Tier != "" {
		s.tier = e.Tier
	}
	if e.Kind == translate.Begin {
		s.begin(e)
		return s.role(dst, 0)
	}
	if s.head == nil {
		s.begin(translate.Event{Model: s.c.Model})
	}
	switch e.Kind {
	case translate.PartBegin:
		return s.partBegin(dst, e)
	case translate.Whole:
		return s.whole(dst, e)
	case translate.TextDelta:
		return s.text(dst, e)
	case translate.SignDelta:
		return s.sign(dst, e)
	case translate.CiteDelta:
		if list := annotations([]translate.Citation{*e.Citation}, nil, e.From == translate.Chat); list != nil {
			return s.delta(dst, e.Candidate, `{"annotations":`, list, `}`)
		}
	case translate.PartEnd:
		w := s.writing(e.Candidate)
		if call, ok := w.part.(*translate.ToolCall); ok && w.empty && call.Server == "" && !call.Custom {
			dst = s.args(dst, e.Candidate, w, "{}") // which clients parse
		}
		w.part = nil
	case translate.LogprobsDelta:
		dst = s.choice(dst, e.Candidate)
		dst = append(dst, `{},"logprobs":{"content":`...)
		dst = append(dst, e.Raw...)
		return s.endChoice(append(dst, `},"finish_reason":null`...))
	case translate.Finish:
		if n := s.c.Candidates; e.Stop == translate.Broken && !s.same && (n == nil || *n < 2) {
			s.spoilt = true
			return dst // told at the end
		}
		word := finishReason(e.Stop)
		if e.From == translate.Chat && e.StopWord != "" {
			word = e.StopWord
		} else if s.legacy && word == "tool_calls" {
			word = "function_call"
		}
		dst = s.role(dst, e.Candidate)
		dst = s.choice(dst, e.Candidate)
		dst = append(dst, `{},"finish_reason":`...)
		return s.endChoice(append(dst, wire.Quote(word)...))
	case translate.Use:
		if e.Usage != nil {
			s.tokens, s.usage = e.Usage, nil
		}
		if e.From == translate.Chat && e.UsageRaw != nil {
			s.usage = e.UsageRaw
		}
	case translate.Done:
		if s.spoilt {
			return s.Fail(dst, translate.Failure{Status: 502, Kind: translate.Internal, Message: errBroken.Error()}, "")
		}
		if s.usage == nil && s.tokens != nil {
			s.usage = usageObject(*s.tokens)
		}
		if s.usage != nil && s.c.IncludeUsage {
			dst = append(append(dst, "data: "...), s.head...)
			dst = append(append(dst, `"choices":[],"usage":`...), s.usage...)
			dst = append(dst, "}\n\n"...)
		}
		return append(dst, "data: [DONE]\n\n"...)
	case translate.Fault:
		return s.Fail(dst, *e.Failure, "")
	case translate.Begin, translate.Ping:
	}
	return dst
}

func (s *streamEncoder) begin(e translate.Event) {
	created := e.Created
	if created == 0 {
		created = s.c.Received
	}
	id := e.ID
	if e.From != translate.Chat {
		id = answerID(id)
	}
	s.same = e.From == translate.Chat
	s.head = append([]byte(`{"id":`), wire.Quote(id)...)
	s.head = append(s.head, `,"object":"chat.completion.chunk","created":`...)
	s.head = strconv.AppendInt(s.head, created, 10)
	s.head = append(append(s.head, `,"model":`...), wire.Quote(e.Model)...)
	if s.tier != "" {
		s.head = append(append(s.head, `,"service_tier":`...), wire.Quote(s.tier)...)
	}
	s.head = append(s.head, ',')
}

func (s *streamEncoder) writing(candidate int) *writing {
	if s.open == nil {
		s.open = map[int]*writing{}
	}
	w := s.open[candidate]
	if w == nil {
		w = &writing{}
		s.open[candidate] = w
	}
	return w
}

// role says once who speaks.
func (s *streamEncoder) role(dst []byte, candidate int) []byte {
	w := s.writing(candidate)
	if w.begun {
		return dst
	}
	w.begun = true
	return s.delta(dst, candidate, `{"role":"assistant","content":""}`, nil, "")
}

// choice begins a chunk up to the choice's delta.
func (s *streamEncoder) choice(dst []byte, candidate int) []byte {
	dst = append(append(dst, "data: "...), s.head...)
	dst = append(dst, `"choices":[{"index":`...)
	dst = strconv.AppendInt(dst, int64(candidate), 10)
	return append(dst, `,"delta":`...)
}

func (s *streamEncoder) endChoice(dst []byte) []byte { return append(dst, "}]}\n\n"...) }

// delta writes a chunk whose delta is before, value and after.
func (s *streamEncoder) delta(dst []byte, candidate int, before string, value jsontext.Value, after string) []byte {
	dst = append(s.choice(dst, candidate), before...)
	dst = append(append(dst, value...), after...)
	return s.endChoice(append(dst, `,"finish_reason":null`...))
}

// said writes a chunk whose delta has one member, a text.
func (s *streamEncoder) said(dst []byte, candidate int, before, text, after string) []byte {
	dst = append(s.choice(dst, candidate), before...)
	dst = appendQuote(dst, text)
	dst = append(dst, after...)
	return s.endChoice(append(dst, `,"finish_reason":null`...))
}

func appendQuote(dst []byte, text string) []byte {
	out, err := jsontext.AppendQuote(dst, text)
	if err != nil { // not UTF-8
		return append(dst, wire.Quote(text)...)
	}
	return out
}

func (s *streamEncoder) partBegin(dst []byte, e translate.Event) []byte {
	dst = s.role(dst, e.Candidate)
	w := s.writing(e.Candidate)
	w.part = e.Part
	call, ok := e.Part.(*translate.ToolCall)
	if !ok || call.Server != "" {
		return dst
	}
	w.calls++
	w.empty = true
	return s.begins(dst, e.Candidate, w, call, "")
}

// begins writes the chunk that a tool call begins with.
func (s *streamEncoder) begins(dst []byte, candidate int, w *writing, call *translate.ToolCall, args string) []byte {
	if s.legacy {
		return s.delta(dst, candidate, `{"function_call":`, marshal(called{call.Name, argumentText(args)}), `}`)
	}
	t := toolCall{Index: new(w.calls - 1), ID: call.ID}
	if call.Custom {
		t.Type, t.Custom = "custom", &custom{call.Name, args}
	} else {
		t.Type, t.Function = "function", &called{call.Name, argumentText(args)}
	}
	t.sign(call)
	return s.delta(dst, candidate, `{"tool_calls":[`, marshal(t), `]}`)
}

// whole writes a part that has come at once.
func (s *streamEncoder) whole(dst []byte, e translate.Event) []byte {
	call, ok := e.Part.(*translate.ToolCall)
	if ok {
		if call.Server != "" {
			return dst
		}
		dst = s.role(dst, e.Candidate)
		w := s.writing(e.Candidate)
		w.calls++
		return s.begins(dst, e.Candidate, w, call, arguments(call.Args, false))
	}
	begin := e
	begin.Kind = translate.PartBegin
	dst = s.partBegin(dst, begin)
	switch p := e.Part.(type) {
	case *translate.Text:
		e.Text = p.Text
	case *translate.Refusal:
		e.Text = p.Text
	case *translate.Thinking:
		e.Text = p.Text
	case *translate.Media:
		if p.Kind == translate.Image && !p.Thought {
			dst = s.delta(dst, e.Candidate, `{"images":`, imageList(p), `}`)
		}
	case *translate.Other:
		switch {
		case !s.same:
		case p.Kind == audioPart:
			dst = s.delta(dst, e.Candidate, `{"audio":`, p.Raw, `}`)
		default:
			dst = s.delta(dst, e.Candidate, `{"content":[`, p.Raw, `]}`)
		}
	}
	if e.Text != "" {
		dst = s.text(dst, e)
	}
	switch p := e.Part.(type) {
	case *translate.Text:
		if list := annotations(p.Citations, nil, false); list != nil {
			dst = s.delta(dst, e.Candidate, `{"annotations":`, list, `}`)
		}
	case *translate.Thinking:
		if list := details(p); list != nil {
			dst = s.delta(dst, e.Candidate, `{"reasoning_details":`, list, `}`)
		}
	}
	s.writing(e.Candidate).part = nil
	return dst
}

func (s *streamEncoder) text(dst []byte, e translate.Event) []byte {
	w := s.writing(e.Candidate)
	switch p := w.part.(type) {
	case *translate.Text:
		return s.said(dst, e.Candidate, `{"content":`, e.Text, `}`)
	case *translate.Thinking:
		return s.said(dst, e.Candidate, `{"reasoning_content":`, e.Text, `}`)
	case *translate.Refusal:
		return s.said(dst, e.Candidate, `{"refusal":`, e.Text, `}`)
	case *translate.ToolCall:
		if p.Server == "" && e.Text != "" {
			return s.args(dst, e.Candidate, w, e.Text)
		}
	}
	return dst
}

// args writes a fragment of the open call's arguments.
func (s *streamEncoder) args(dst []byte, candidate int, w *writing, text string) []byte {
	w.empty = false
	if s.legacy {
		return s.said(dst, candidate, `{"function_call":{"arguments":`, text, `}}`)
	}
	dst = append(s.choice(dst, candidate), `{"tool_calls":[{"index":`...)
	dst = strconv.AppendInt(dst, int64(w.calls-1), 10)
	if call, ok := w.part.(*translate.ToolCall); ok && call.Custom {
		dst = append(dst, `,"custom":{"input":`...)
	} else {
		dst = append(dst, `,"function":{"arguments":`...)
	}
	dst = appendQuote(dst, text)
	return s.endChoice(append(dst, `}}]},"finish_reason":null`...))
}

// sign writes what proves the open part to who made it.
func (s *streamEncoder) sign(dst []byte, e translate.Event) []byte {
	w := s.writing(e.Candidate)
	switch p := w.part.(type) {
	case *translate.Thinking:
		signed := *p
		signed.Signature = e.Text
		if list := details(&signed); list != nil {
			return s.delta(dst, e.Candidate, `{"reasoning_details":`, list, `}`)
		}
	case *translate.ToolCall:
		if p.Server == "" && !s.legacy {
			t := toolCall{Index: new(w.calls - 1)}
			t.sign(&translate.ToolCall{Signature: e.Text})
			return s.delta(dst, e.Candidate, `{"tool_calls":[`, marshal(t), `]}`)
		}
	}
	return dst
}

// Fail implements translate.StreamEncoder.
func (s *streamEncoder) Fail(dst []byte, f translate.Failure, requestID string) []byte {
	dst = append(dst, "data: "...)
	dst = append(dst, Codec{}.EncodeFailure(f, requestID)...)
	return append(dst, "\n\n"...)
}
