package openai

import (
	"bytes"

	"halley/internal/fault"
	"halley/internal/sse"
	"halley/internal/usage"
	"halley/internal/wire"
)

// Format is the chat, completions and embeddings endpoints; it has no state.
type Format struct{}

var _ wire.Format = Format{}

// Dialect implements wire.Format.
func (Format) Dialect() wire.Dialect { return wire.OpenAI }

// ScanRequest implements wire.Format.
func (Format) ScanRequest(body []byte) (wire.Request, error) {
	h, err := ScanRequest(body)
	if err != nil {
		return nil, err
	}
	return &h, nil
}

// ScanAnswer implements wire.Format.
func (Format) ScanAnswer(body []byte) (wire.Answer, bool) {
	a, ok := ScanAnswer(body)
	return a.Answer, ok
}

// OutputText implements wire.Format.
func (Format) OutputText(body []byte) wire.TextBytes {
	var s Stream
	s.chunk(body)
	return s.p.Text
}

// Stream implements wire.Format.
func (Format) Stream(o wire.StreamOptions) wire.Stream {
	s := &Stream{o: o}
	if o.Rename {
		s.rename = wire.Quote(o.Model)
	}
	return s
}

// Error implements wire.Format.
func (Format) Error(f *fault.Error, requestID string) []byte { return Error(f, requestID) }

// Stream is one chat stream on its way through. Its chunks are metered and not
// validated.
type Stream struct {
	o      wire.StreamOptions
	rename []byte
	p      wire.Progress

	// head is how the chunks of this stream begin, up to their choices: the
	// same bytes each time, read once.
	head [256]byte
	size int

	opened  bool   // an event has passed that is more than a prelude
	prelude []byte // what is kept back until then
}

var _ wire.Stream = (*Stream)(nil)

// Progress implements wire.Stream.
func (s *Stream) Progress() *wire.Progress { return &s.p }

// Complete implements wire.Stream.
func (*Stream) Complete(rest []byte) bool {
	from, to, ok := sse.DataSpan(rest)
	if !ok {
		return false
	}
	_, whole := ScanAnswer(rest[from:to])
	return whole || isDone(rest[from:to])
}

func isDone(data []byte) bool { return bytes.Equal(bytes.TrimSpace(data), []byte("[DONE]")) }

// Take implements wire.Stream. Azure begins streams with a chunk without choices
// that says how it has filtered the prompt. It is kept back until something
// follows, so that a stream which fails then has said nothing yet.
func (s *Stream) Take(out, event []byte) []byte {
	if s.opened {
		return s.take(out, event)
	}
	before := len(out)
	out = s.take(append(out, s.prelude...), event)
	if from, to, ok := sse.DataSpan(event); !ok || s.p.Failed || !bytes.Contains(event[from:to], []byte(`"choices":[]`)) {
		s.opened, s.prelude = true, nil
		return out
	}
	s.prelude = bytes.Clone(out[before:])
	return out[:before]
}

// take meters one event and appends what the client gets of it.
func (s *Stream) take(out, event []byte) []byte {
	from, to, ok := sse.DataSpan(event)
	if !ok {
		return append(out, event...)
	}
	data := event[from:to]
	if isDone(data) {
		s.p.Done = true
		return append(out, event...)
	}
	if scan := s.chunk(data); s.rename == nil && !scan {
		return append(out, event...)
	}
	answer, ok := ScanAnswer(data)
	if !ok {
		return append(out, event...)
	}
	if answer.IsError {
		s.p.Failed = true
	}
	if answer.ServiceTier != "" {
		s.p.Tier = answer.ServiceTier
	}
	if answer.HasUsage {
		s.p.Report(answer.Usage)
		if answer.NoChoices && !s.o.WantUsage {
			return out // the chunk that we asked for and the client did not
		}
	}
	if s.rename != nil && answer.ModelAt.Present() {
		at := wire.Span{From: from + answer.ModelAt.From, To: from + answer.ModelAt.To}
		return wire.Apply(out, event, []wire.Edit{{At: at, With: s.rename}})
	}
	return append(out, event...)
}

// ContentType implements wire.Stream.
func (*Stream) ContentType() string { return "" }

// AppendEnd implements wire.Stream.
func (*Stream) AppendEnd(out []byte) []byte { return out }

// AppendLengthEnd implements wire.Stream.
func (s *Stream) AppendLengthEnd(out []byte, tokens *usage.Tokens) []byte {
	if !s.o.WantUsage {
		tokens = nil
	}
	return appendLengthEnd(out, s.head[:s.size], s.o.Model, int(s.o.Choices), tokens)
}

// AppendFault implements wire.Stream.
func (*Stream) AppendFault(out []byte, f *fault.Error, requestID string) []byte {
	out = append(out, "data: "...)
	out = append(out, Error(f, requestID)...)
	return append(out, "\n\n"...)
}

// chunk counts a chunk's output, and reports whether the chunk says something
// beyond it that is worth a proper scan. It goes from string to string, so that
// nothing inside a text is mistaken for a member.
func (s *Stream) chunk(data []byte) (scan bool) {
	before := s.p.Text.Total()
	i := 0
	if s.size > 0 && bytes.HasPrefix(data, s.head[:s.size]) {
		i = s.size
	}
	for {
		quote := bytes.IndexByte(data[i:], '"')
		if quote < 0 {
			break
		}
		from := i + quote
		to := wire.StringEnd(data, from)
		value := wire.AfterColon(data, to+1)
		if value < 0 { // a string that is no member's name
			i = min(to+1, len(data))
			continue
		}
		i = value
		switch first := data[value]; string(data[from+1 : to]) {
		case "content", "text", "arguments", "reasoning_content", "reasoning", "refusal", "transcript":
			if first == '"' {
				end := wire.StringEnd(data, value)
				s.p.Text.Count(data[value+1 : end])
				i = min(end+1, len(data))
			}
		case "finish_reason":
			if first == '"' && finishes(data[value:]) {
				s.p.Finished++
			}
		case "usage", "error":
			scan = scan || first != 'n'
		case "choices":
			if !scan && from <= len(s.head) && s.p.Text.Total() == before {
				s.size = copy(s.head[:], data[:from])
			}
		case "service_tier":
			scan = scan || (s.p.Tier == "" && first == '"')
		}
	}
	if s.p.Text.Total() > before {
		s.p.Chunks++
	}
	return scan
}

// finishes reports whether a finish_reason gives a reason; some servers have an
// empty one in every chunk.
func finishes(reason []byte) bool {
	return !bytes.HasPrefix(reason, []byte(`""`)) && !bytes.HasPrefix(reason, []byte(`"null"`))
}
