package exchange

import (
	"bytes"

	"halley/internal/fault"
	"halley/internal/sse"
	"halley/internal/translate"
	"halley/internal/usage"
	"halley/internal/wire"
)

// Stream begins to translate a streamed answer.
func (x *Across) Stream() wire.Stream {
	s := &stream{x: x, in: x.Upstream.DecodeStream(), out: x.Client.EncodeStream(x.Conversation)}
	s.ender, _ = s.in.(translate.Ender)
	s.emit, s.tell = s.event, x.fitted.Stream(func(e translate.Event) { s.to = s.out.Encode(s.to, e) })
	return s
}

// stream is one streamed answer on its way from one dialect to another.
type stream struct {
	x  *Across
	in translate.StreamDecoder
	// ender is in where that knows no final event.
	ender translate.Ender
	out   translate.StreamEncoder
	p     wire.Progress
	emit  func(translate.Event)
	tell  func(translate.Event) // the client, in its words and by the names of its tools
	to    []byte                // what emit appends to, while an event is taken
	open  map[int]bool
	// reported says that the event under way has told what was used so far.
	reported bool
	// ended says that the client has been told the end, good or bad.
	ended bool
}

var _ wire.Stream = (*stream)(nil)

// Progress implements wire.Stream.
func (s *stream) Progress() *wire.Progress { return &s.p }

// Complete implements wire.Stream. Half an event does not decode, so that a rest
// that is none does no harm.
func (s *stream) Complete(rest []byte) bool {
	_, ok := data(rest)
	return ok
}

// Take implements wire.Stream.
func (s *stream) Take(out, event []byte) []byte {
	said, ok := data(event)
	if !ok || s.ended {
		return out
	}
	s.to, s.reported = out, false
	if err := s.in.Decode(string(sse.Name(event)), said, s.emit); err != nil {
		s.broken("The upstream sent something that cannot be read; the answer is not complete.")
	}
	if s.reported { // it counts its event's own words, also where decoders tell of it before them
		s.p.Told = s.p.Text
	}
	if s.ender != nil && s.ender.Ended() {
		s.p.Finished = max(1, value(s.x.Conversation.Candidates))
	}
	out, s.to = s.to, nil
	return out
}

// data is what an event says, bare errors included. One whose data is empty is
// none, by the standard that they are of.
func data(event []byte) (said []byte, ok bool) {
	if said, ok = sse.Data(event); ok {
		return said, len(bytes.TrimSpace(said)) > 0
	}
	return sse.Bare(event)
}

// event meters an event and writes it for the client.
func (s *stream) event(e translate.Event) {
	if s.ended {
		return
	}
	switch e.Kind {
	case translate.Begin:
		e.Model, e.ID = s.x.Model, s.x.called(e.ID)
	case translate.PartBegin:
		s.opened(e.Candidate, true)
	case translate.PartEnd:
		s.opened(e.Candidate, false)
	case translate.TextDelta:
		if e.Text != "" {
			countText(&s.p.Text, e.Text)
			s.p.Chunks++
		}
	case translate.Whole:
		before := s.p.Text.Total()
		if countPart(&s.p.Text, e.Part); s.p.Text.Total() > before {
			s.p.Chunks++
		}
	case translate.Finish:
		if s.ender == nil {
			s.p.Finished++
		}
	case translate.Use:
		if e.Usage != nil {
			s.p.Report(*e.Usage)
			s.reported = true
		}
	case translate.Done:
		s.p.Done, s.ended = true, true
	case translate.Fault:
		s.p.Failed, s.ended = true, true
		s.to = s.out.Fail(s.to, *e.Failure, "")
		return
	case translate.SignDelta, translate.CiteDelta, translate.LogprobsDelta, translate.Ping:
	}
	if e.Tier != "" {
		s.p.Tier = e.Tier
	}
	s.tell(e)
}

func (s *stream) opened(candidate int, open bool) {
	if s.open == nil {
		s.open = map[int]bool{}
	}
	s.open[candidate] = open
}

// broken ends the stream with an error event.
func (s *stream) broken(message string) {
	if s.ended {
		return
	}
	s.p.Failed, s.p.Unreadable, s.p.Done, s.ended = true, true, true, true
	s.to = s.out.Fail(s.to, translate.Failure{Status: 502, Kind: translate.Unavailable, Code: "upstream_error", Message: message}, "")
}

// ContentType implements wire.Stream.
func (s *stream) ContentType() string {
	if kind, ok := s.out.(interface{ ContentType() string }); ok {
		return kind.ContentType()
	}
	return "text/event-stream; charset=utf-8"
}

// AppendEnd implements wire.Stream.
func (s *stream) AppendEnd(out []byte) []byte {
	s.to = out
	if err := s.in.End(s.emit); err != nil {
		s.broken("The upstream broke off; the answer is not complete.")
	}
	out, s.to = s.to, nil
	return out
}

// AppendLengthEnd implements wire.Stream.
func (s *stream) AppendLengthEnd(out []byte, tokens *usage.Tokens) []byte {
	s.to = out
	for c := range int(max(1, value(s.x.Conversation.Candidates))) {
		if s.open[c] {
			s.event(translate.Event{Kind: translate.PartEnd, Candidate: c})
		}
		s.event(translate.Event{Kind: translate.Finish, Candidate: c, Stop: translate.AtMaxOutput})
	}
	if tokens != nil {
		s.event(translate.Event{Kind: translate.Use, Usage: tokens})
	}
	s.event(translate.Event{Kind: translate.Done})
	out, s.to = s.to, nil
	return out
}

func value(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

// AppendFault implements wire.Stream.
func (s *stream) AppendFault(out []byte, f *fault.Error, requestID string) []byte {
	if s.ended {
		return out
	}
	s.ended = true
	return s.out.Fail(out, FailureOf(f), requestID)
}

// FailureOf is a fault of Halley's own as a translate.Failure.
func FailureOf(f *fault.Error) translate.Failure {
	status := f.Kind.Status()
	return translate.Failure{Status: status, Kind: translate.KindOf(status), Code: f.Code, Message: f.Message, Param: f.Param}
}

func countText(to *wire.TextBytes, text string) {
	for i := range len(text) {
		if text[i] < 0x80 {
			to.ASCII++
		} else {
			to.Other++
		}
	}
}

// countPart counts what the model wrote in a part.
func countPart(to *wire.TextBytes, p translate.Part) {
	switch p := p.(type) {
	case *translate.Text:
		countText(to, p.Text)
	case *translate.Thinking:
		countText(to, p.Text)
	case *translate.ToolCall:
		countText(to, p.Args)
	case *translate.Refusal:
		countText(to, p.Text)
	}
}
