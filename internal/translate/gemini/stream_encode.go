package gemini

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	geminiwire "halley/internal/wire/gemini"
)

// EncodeStream implements translate.Client.
func (codec Codec) EncodeStream(c *translate.Conversation) translate.StreamEncoder {
	e := &streamEncoder{array: codec.Array}
	if c != nil {
		e.model = c.Model
	}
	return e
}

// streamEncoder writes a stream: a chunk for every piece of text, and one for each
// call as a whole, since the dialect's calls do not come in pieces. How the
// candidates finished waits for the end, where clients look for the usage too.
type streamEncoder struct {
	array    bool
	begun    bool // the array, or its first element
	over     bool
	model    string
	id       string
	from     translate.Dialect
	begin    translate.Extra
	usage    *translate.Usage
	usageRaw jsontext.Value
	tail     []byte // how every chunk ends, behind its candidates; empty when that is to be written anew
	writing  []*writing
	w        jsonx.Writer
	start    int // of the element that is being written
}

// writing is what is being written of a candidate.
type writing struct {
	index  int
	part   translate.Part // the open one
	held   string         // the last words of open thoughts, which their signature goes with
	args   []byte         // of the open call
	text   string         // of the open text, when it may be cited
	base   int            // bytes of text before it
	cited  []translate.Citation
	tokens jsontext.Value // logprobs that have come, a list
	grounding
	finish *translate.Event
}

func (s *streamEncoder) same() bool { return s.from == translate.Gemini }

// Encode implements translate.StreamEncoder.
func (s *streamEncoder) Encode(dst []byte, e translate.Event) []byte {
	if s.over {
		return dst
	}
	switch e.Kind {
	case translate.Begin:
		s.id, s.from, s.begin = e.ID, e.From, e.Extra
		if e.Model != "" {
			s.model = e.Model
		}
		s.tail = s.tail[:0]
		return dst
	case translate.Use:
		s.usage, s.usageRaw, s.tail = e.Usage, e.UsageRaw, s.tail[:0]
		return dst
	case translate.Done:
		return s.end(dst)
	case translate.Fault:
		return s.Fail(dst, *e.Failure, "")
	case translate.Ping:
		return dst // there is no such event, and an array has no comments
	}
	c := s.candidate(e.Candidate)
	switch e.Kind {
	case translate.PartBegin:
		c.part, c.args, c.cited, c.text = e.Part, c.args[:0], nil, ""
	case translate.TextDelta:
		return s.text(dst, c, e.Text)
	case translate.SignDelta:
		return s.sign(dst, c, e.Text)
	case translate.CiteDelta:
		if !s.same() && e.Citation != nil {
			c.cited = append(c.cited, *e.Citation)
		}
	case translate.PartEnd:
		if t, ok := e.Part.(*translate.Thinking); ok { // what is known of it only now
			c.part = t
		}
		return s.endPart(dst, c)
	case translate.Whole:
		return s.whole(dst, c, e.Part)
	case translate.LogprobsDelta:
		if !s.same() {
			c.tokens = joined(c.tokens, e.Raw)
		}
	case translate.Finish:
		c.finish = &e
	case translate.Begin, translate.Use, translate.Done, translate.Fault, translate.Ping: // above
	}
	return dst
}

func (s *streamEncoder) candidate(index int) *writing {
	for _, c := range s.writing {
		if c.index == index {
			return c
		}
	}
	c := &writing{index: index}
	s.writing = append(s.writing, c)
	return c
}

// joined puts two lists into one.
func joined(a, b jsontext.Value) jsontext.Value {
	switch {
	case len(a) <= 2:
		return b
	case len(b) <= 2:
		return a
	}
	return append(append(a[:len(a)-1:len(a)-1], ','), b[1:]...)
}

// open begins a chunk up to the first part of the candidate.
func (s *streamEncoder) open(dst []byte, index int) []byte {
	dst = s.element(dst)
	dst = append(dst, `{"candidates":[{"index":`...)
	dst = strconv.AppendInt(dst, int64(index), 10)
	return append(dst, `,"content":{"role":"model","parts":[`...)
}

// close ends a chunk behind the last part.
func (s *streamEncoder) close(dst []byte) []byte {
	dst = append(dst, `]}}]`...)
	return s.closeElement(s.rest(dst))
}

// element begins an event, or the array's next element.
func (s *streamEncoder) element(dst []byte) []byte {
	switch {
	case !s.array:
		dst = append(dst, "data: "...)
	case s.begun:
		dst = append(dst, ",\r\n"...)
	default:
		dst = append(dst, '[')
	}
	s.begun, s.start = true, len(dst)
	return dst
}

// closeElement ends an event. Raw values from elsewhere may have line breaks
// between their tokens, which an event must not.
func (s *streamEncoder) closeElement(dst []byte) []byte {
	if s.array {
		return dst
	}
	for i := s.start; i < len(dst); i++ {
		next := bytes.IndexAny(dst[i:], "\r\n")
		if next < 0 {
			break
		}
		i += next
		dst[i] = ' '
	}
	return append(dst, "\r\n\r\n"...)
}

// rest writes what stands in every chunk behind its candidates, and closes it.
func (s *streamEncoder) rest(dst []byte) []byte {
	if len(s.tail) == 0 {
		w := jsonx.Writer{Out: append(s.tail, ' ')} // behind which no comma is put
		switch {
		case s.same():
			w.Raw("usageMetadata", s.usageRaw)
		case s.usage != nil:
			writeUsage(&w, *s.usage)
		}
		w.TextIf("modelVersion", s.model)
		w.TextIf("responseId", s.id)
		if s.same() {
			writeExtra(&w, s.begin)
		}
		w.Close('}')
		s.tail = w.Out
	}
	if len(s.tail) > len(" }") && dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(dst, s.tail[1:]...)
}

func (s *streamEncoder) text(dst []byte, c *writing, text string) []byte {
	switch c.part.(type) {
	case *translate.ToolCall:
		c.args = append(c.args, text...)
		return dst
	case *translate.Text, *translate.Refusal:
		if !s.same() {
			c.text += text
		}
		dst = append(s.open(dst, c.index), `{"text":`...)
		return s.close(append(quote(dst, text), '}'))
	case *translate.Thinking:
		dst = s.thought(dst, c)
		if s.same() {
			c.held = text
			return s.thought(dst, c)
		}
		c.held = text
	}
	return dst
}

// thought writes the words of thoughts that were held.
func (s *streamEncoder) thought(dst []byte, c *writing) []byte {
	if c.held == "" {
		return dst
	}
	dst = append(quote(append(s.open(dst, c.index), `{"text":`...), c.held), `,"thought":true}`...)
	c.held = ""
	return s.close(dst)
}

// quote appends a JSON string; what is not UTF-8 in it becomes U+FFFD.
func quote(dst []byte, text string) []byte {
	w := jsonx.Writer{Out: dst}
	w.String(text)
	return w.Out
}

// sign writes a signature: in a part without words as Google does, but for
// thoughts of others, of which the last words have waited: the AI SDK loses what
// stands at a thought without any.
func (s *streamEncoder) sign(dst []byte, c *writing, text string) []byte {
	switch p := c.part.(type) {
	case *translate.ToolCall:
		signed := *p
		signed.Signature = text
		c.part = &signed
	case *translate.Thinking:
		signed := *p
		signed.Signature = text
		c.part = &translate.Thinking{} // nothing is left to say
		signed.Text, c.held = c.held, ""
		return s.write(dst, c, &signed)
	case *translate.Text:
		dst = append(s.open(dst, c.index), `{"text":"","thoughtSignature":`...)
		return s.close(append(quote(dst, text), '}'))
	}
	return dst
}

// endPart writes the call that has come, and remembers what a text was based on.
// Thoughts that are sealed, or were signed at once, are written here.
func (s *streamEncoder) endPart(dst []byte, c *writing) []byte {
	part := c.part
	c.part = nil
	switch p := part.(type) {
	case *translate.ToolCall:
		call := *p
		call.Args += string(c.args)
		return s.write(dst, c, &call)
	case *translate.Text:
		c.add(0, c.base, c.text, c.cited)
		c.base += len(c.text)
	case *translate.Refusal:
		c.base += len(c.text)
	case *translate.Thinking:
		if p.Signature == "" && p.Sealed == "" {
			return s.thought(dst, c)
		}
		last := translate.Thinking{Text: c.held, Signature: p.Signature, Sealed: p.Sealed, Origin: p.Origin, ID: p.ID}
		c.held = ""
		return s.write(dst, c, &last)
	}
	return dst
}

// whole writes a part that has come at once.
func (s *streamEncoder) whole(dst []byte, c *writing, part translate.Part) []byte {
	if t, ok := part.(*translate.Text); ok && !s.same() {
		c.add(0, c.base, t.Text, t.Citations)
		c.base += len(t.Text)
	}
	return s.write(dst, c, part)
}

// write writes a chunk with a part, or nothing where the part is none for clients
// of this dialect.
func (s *streamEncoder) write(dst []byte, c *writing, part translate.Part) []byte {
	s.w.Out = append(s.w.Out[:0], '[')
	writeAnswerPart(&s.w, part, s.same())
	if len(s.w.Out) == 1 {
		return dst
	}
	return s.close(append(s.open(dst, c.index), s.w.Out[1:]...))
}

// end writes how the candidates finished, in one chunk, and ends the array.
func (s *streamEncoder) end(dst []byte) []byte {
	s.over = true
	dst = append(s.element(dst), '{')
	w := jsonx.Writer{Out: dst}
	blocked := false
	for _, c := range s.writing {
		if c.finish == nil {
			continue
		}
		if raw := blockOf(c.finish.Extra, s.same()); raw != nil {
			w.Raw(feedback, raw)
			blocked = true
		}
	}
	if !blocked {
		w.Name("candidates")
		w.Open('[')
		for _, c := range s.writing {
			s.writeFinish(&w, c)
		}
		w.Close(']')
	}
	dst = s.closeElement(s.rest(w.Out))
	if s.array {
		dst = append(dst, ']')
	}
	return dst
}

func (s *streamEncoder) writeFinish(w *jsonx.Writer, c *writing) {
	w.Open('{')
	w.Int("index", int64(c.index))
	w.Raw("content", jsontext.Value(`{"role":"model","parts":[{"text":""}]}`))
	if f := c.finish; f != nil {
		w.TextIf("finishReason", stopWord(f.Stop, f.StopWord, s.same()))
		if s.same() {
			writeExtra(w, f.Extra)
		}
	} else if !s.same() { // some upstreams end without a reason
		w.Text("finishReason", stopWord(translate.EndOfTurn, "", false))
	}
	c.write(w)
	writeLogprobs(w, c.tokens)
	w.Close('}')
}

// Fail implements translate.StreamEncoder.
func (s *streamEncoder) Fail(dst []byte, f translate.Failure, requestID string) []byte {
	s.over = true
	body := Codec{}.EncodeFailure(f, requestID)
	if !s.array {
		return geminiwire.AppendError(dst, body)
	}
	return append(append(s.element(dst), body...), ']')
}

// ContentType is what the stream is.
func (s *streamEncoder) ContentType() string {
	if s.array {
		return "application/json; charset=UTF-8"
	}
	return "text/event-stream"
}
