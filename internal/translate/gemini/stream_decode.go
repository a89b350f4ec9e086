package gemini

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	geminiwire "halley/internal/wire/gemini"
)

// DecodeStream implements translate.Upstream.
func (Codec) DecodeStream() translate.StreamDecoder { return &streamDecoder{} }

// streamDecoder reads a stream of chunks, each an answer with the parts that are
// new. Nothing marks the end of it, and models before 2 give every chunk a
// finishReason: so candidates finish when the stream ends.
type streamDecoder struct {
	begun      bool
	id         string
	usage      []byte // the last, as it came
	searches   int64
	candidates []*streamed
	blocked    *translate.Candidate
	failed     bool
}

// streamed is what has come of a candidate.
type streamed struct {
	index     int
	open      openPart
	text      []byte // of the open text, which citations count in
	calls     int    // made so far
	partial   *partialCall
	stop      string
	extra     translate.Extra
	grounding jsontext.Value
	citations jsontext.Value
}

// openPart is the kind of the part that deltas belong to.
type openPart uint8

const (
	nothing openPart = iota
	textOpen
	thoughtOpen
)

// Decode implements translate.StreamDecoder.
func (d *streamDecoder) Decode(_ string, data []byte, emit func(translate.Event)) error {
	if d.failed {
		return nil
	}
	r := jsonx.Read(data)
	if r.Kind() == '[' { // an error that came before the stream
		r.Array()
		if !r.Next(']') {
			return errors.New("read a generateContent chunk: it is an empty list")
		}
		data = r.Value()
		r = jsonx.Read(data)
	}
	var in response
	in.read(r)
	if err := r.End(); err != nil {
		return fmt.Errorf("read a generateContent chunk: %w", err)
	}
	if in.failure != nil {
		d.failed = true
		f := Codec{}.DecodeFailure(0, data)
		emit(translate.Event{Kind: translate.Fault, Failure: &f, From: translate.Gemini})
		return nil
	}
	if !d.begun {
		d.begun, d.id = true, in.id
		emit(translate.Event{Kind: translate.Begin, ID: in.id, Model: in.model, Created: in.unix(), From: translate.Gemini, Extra: in.beginning()})
	}
	d.use(in.usage, in.searches(), emit)
	if in.blocked != nil {
		d.blocked = new(in.refused())
	}
	for i := range in.candidates {
		if err := d.candidate(&in.candidates[i], emit); err != nil {
			return err
		}
	}
	return nil
}

// use tells usage that is new. It comes before the parts of its chunk, so that
// whoever begins to write an answer knows of the prompt's.
func (d *streamDecoder) use(raw jsontext.Value, searches int64, emit func(translate.Event)) {
	if raw == nil {
		raw = d.usage // searches may be told of in a chunk of their own
	}
	if raw == nil || bytes.Equal(raw, d.usage) && searches <= d.searches {
		d.searches = max(d.searches, searches)
		return
	}
	d.usage, d.searches = raw, max(d.searches, searches)
	e := translate.Event{Kind: translate.Use, UsageRaw: raw, From: translate.Gemini}
	if u, tier, ok := geminiwire.Usage(raw); ok {
		u.Searches = d.searches
		e.Usage, e.Tier = &u, tier
	}
	emit(e)
}

func (d *streamDecoder) candidate(c *candidate, emit func(translate.Event)) error {
	s := d.streamed(c.index)
	for i := range c.parts {
		if err := d.part(s, &c.parts[i], emit); err != nil {
			return err
		}
	}
	if tokens := tokensOf(openAILogprobs(c.logprobs)); tokens != nil {
		emit(translate.Event{Kind: translate.LogprobsDelta, Candidate: s.index, Raw: tokens, From: translate.Gemini})
	}
	if c.stop != "" {
		s.stop = c.stop
	}
	if c.grounding != nil {
		s.grounding = c.grounding
	}
	if c.citations != nil {
		s.citations = c.citations
	}
	for _, m := range c.extra {
		s.keep(m)
	}
	return nil
}

// keep remembers a member that the last chunk to have it says whole.
func (s *streamed) keep(m translate.Member) {
	for i := range s.extra {
		if s.extra[i].Name == m.Name {
			s.extra[i].Value = m.Value
			return
		}
	}
	s.extra = append(s.extra, m)
}

func (d *streamDecoder) streamed(index int) *streamed {
	for _, s := range d.candidates {
		if s.index == index {
			return s
		}
	}
	s := &streamed{index: index}
	d.candidates = append(d.candidates, s)
	return s
}

func (d *streamDecoder) part(s *streamed, p *wirePart, emit func(translate.Event)) error {
	if s.partial != nil && p.call == nil {
		d.finishCall(s, emit) // its end was not told
	}
	switch {
	case p.call != nil:
		return d.call(s, p, emit)
	case p.media != nil || p.result != nil || len(p.rest) > 0:
		s.close(emit)
		emit(translate.Event{Kind: translate.Whole, Candidate: s.index, Part: p.neutral(), From: translate.Gemini})
		return nil
	case p.text == "" && p.signature == "":
		return nil
	case p.thought:
		s.to(thoughtOpen, emit)
	default:
		s.to(textOpen, emit)
		s.text = append(s.text, p.text...)
	}
	if p.text != "" {
		emit(translate.Event{Kind: translate.TextDelta, Candidate: s.index, Text: p.text, From: translate.Gemini})
	}
	if p.signature != "" {
		s.sign(p, emit)
	}
	return nil
}

// sign tells the open part's signature, which ends it.
func (s *streamed) sign(p *wirePart, emit func(translate.Event)) {
	text := p.signature
	if s.open == thoughtOpen {
		text = p.thinking().Signature
	}
	emit(translate.Event{Kind: translate.SignDelta, Candidate: s.index, Text: text, From: translate.Gemini})
	if s.open == thoughtOpen {
		s.close(emit)
	}
}

// to opens a part, unless it is open.
func (s *streamed) to(kind openPart, emit func(translate.Event)) {
	if s.open == kind {
		return
	}
	s.close(emit)
	s.open = kind
	var part translate.Part = &translate.Text{}
	if kind == thoughtOpen {
		part = &translate.Thinking{Origin: translate.Gemini}
	}
	emit(translate.Event{Kind: translate.PartBegin, Candidate: s.index, Part: part, From: translate.Gemini})
}

func (s *streamed) close(emit func(translate.Event)) {
	if s.open == nothing {
		return
	}
	s.open, s.text = nothing, s.text[:0]
	emit(translate.Event{Kind: translate.PartEnd, Candidate: s.index, From: translate.Gemini})
}

// call takes a call, which comes whole, or on Vertex AI, where that was asked
// for, its name first and its arguments in pieces.
func (d *streamDecoder) call(s *streamed, p *wirePart, emit func(translate.Event)) error {
	if s.partial != nil && p.call.name != "" {
		d.finishCall(s, emit)
	}
	if s.partial == nil && !p.call.goesOn && p.call.partial == nil {
		d.whole(s, p.toolCall(), emit)
		return nil
	}
	if s.partial == nil {
		s.partial = &partialCall{call: p.toolCall()}
	}
	if p.signature != "" {
		s.partial.call.Signature = p.signature
	}
	if err := s.partial.add(p.call.partial); err != nil {
		return fmt.Errorf("read a generateContent chunk: %w", err)
	}
	if !p.call.goesOn {
		d.finishCall(s, emit)
	}
	return nil
}

func (d *streamDecoder) finishCall(s *streamed, emit func(translate.Event)) {
	call := s.partial.call
	call.Args = s.partial.args()
	s.partial = nil
	d.whole(s, call, emit)
}

func (d *streamDecoder) whole(s *streamed, call *translate.ToolCall, emit func(translate.Event)) {
	nameCall(call, d.id, s.index, s.calls)
	s.calls++
	s.close(emit)
	emit(translate.Event{Kind: translate.Whole, Candidate: s.index, Part: call, From: translate.Gemini})
}

// Ended implements translate.Ender.
func (d *streamDecoder) Ended() bool {
	for _, s := range d.candidates {
		if s.stop == "" {
			return false
		}
	}
	return d.blocked != nil || len(d.candidates) > 0
}

// End implements translate.StreamDecoder.
func (d *streamDecoder) End(emit func(translate.Event)) error {
	if d.failed {
		return nil
	}
	if d.blocked == nil && len(d.candidates) == 0 {
		return errors.New("the stream ended without a candidate")
	}
	for _, s := range d.candidates {
		if s.stop == "" {
			return errors.New("the stream ended without a finishReason")
		}
	}
	if b := d.blocked; b != nil && len(d.candidates) == 0 {
		emit(translate.Event{Kind: translate.Finish, Stop: b.Stop, StopWord: b.StopWord, Extra: b.Extra, From: translate.Gemini})
	}
	for _, s := range d.candidates {
		d.finish(s, emit)
	}
	emit(translate.Event{Kind: translate.Done, From: translate.Gemini})
	return nil
}

func (d *streamDecoder) finish(s *streamed, emit func(translate.Event)) {
	if s.partial != nil {
		d.finishCall(s, emit)
	}
	if s.grounding != nil || s.citations != nil {
		s.cite(emit)
	}
	s.close(emit)
	emit(translate.Event{
		Kind: translate.Finish, Candidate: s.index, Stop: stopOf(s.stop, s.calls > 0), StopWord: s.stop, Extra: s.extra, From: translate.Gemini,
	})
}

// cite tells the citations of the open text: what says where words come from
// comes with the last chunk.
func (s *streamed) cite(emit func(translate.Event)) {
	if s.open != textOpen {
		return
	}
	text := string(s.text)
	for _, c := range citationsOf(s.grounding, s.citations) {
		cited := c.Citation
		cited.Start, cited.End = runes(text, c.segment.from), runes(text, c.segment.to)
		emit(translate.Event{Kind: translate.CiteDelta, Candidate: s.index, Citation: &cited, From: translate.Gemini})
	}
}
