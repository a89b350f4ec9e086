package responses

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// EncodeStream implements translate.Client.
func (Codec) EncodeStream(c *translate.Conversation) translate.StreamEncoder {
	return &streamEncoder{c: c}
}

// streamEncoder writes one stream. The dialect repeats at the end of every part
// and item what it was, and at the end of the stream all of them, so that they
// are kept until then.
type streamEncoder struct {
	c        *translate.Conversation
	o        output
	begin    translate.Event
	shown    shown
	started  bool
	over     bool
	sequence int64
	items    []jsontext.Value // done
	index    int64            // output_index of the open item
	message  openMessage
	part     translate.Part // the open part; nil when none is
	text     []byte         // what has come of it
	id       string         // of its item, when it is not the message's
	sealed   string         // the signature of it
	cited    []translate.Citation
	logprobs jsontext.Value
	summary  []string // of the open thoughts: the parts that are done
	thinks   bool     // a part of them is open
	bare     bool     // they are shown as they are
	finish   translate.Event
	usage    jsontext.Value
	tier     string
	counted  *translate.Usage
}

// openMessage is the message item that is open.
type openMessage struct {
	on       bool
	raw      jsontext.Value // its head in this dialect, as it came
	head     translate.Extra
	id       string
	contents []jsontext.Value // done
}

func (s *streamEncoder) same() bool { return s.begin.From == translate.Responses }

// Encode implements translate.StreamEncoder.
func (s *streamEncoder) Encode(dst []byte, e translate.Event) []byte {
	if e.Candidate != 0 || s.over { // the dialect cannot ask for more candidates
		return dst
	}
	if e.Tier != "" {
		s.tier = e.Tier
	}
	switch e.Kind {
	case translate.Begin:
		s.begin = e
	case translate.Use:
		s.counted, s.usage = e.Usage, nil
		if e.From == translate.Responses {
			s.usage = e.UsageRaw
		}
		return dst
	case translate.Fault:
		return s.Fail(dst, *e.Failure, "")
	}
	dst = s.start(dst)
	switch e.Kind {
	case translate.PartBegin:
		dst = s.beginPart(dst, e.Part)
	case translate.TextDelta:
		dst = s.delta(dst, &e)
	case translate.SignDelta:
		s.sealed = e.Text
	case translate.CiteDelta:
		dst = s.cite(dst, e.Citation)
	case translate.PartEnd:
		dst = s.endPart(dst)
	case translate.Whole:
		dst = s.whole(dst, e.Part)
	case translate.Finish:
		s.finish = e
	case translate.LogprobsDelta:
		dst = s.probe(dst, e.Raw)
	case translate.Done:
		dst = s.end(dst)
	case translate.Begin, translate.Use, translate.Ping, translate.Fault:
	}
	return dst
}

// event begins an event up to its sequence number.
func (s *streamEncoder) event(dst []byte, kind string) jsonx.Writer {
	dst = append(append(append(dst, "event: "...), kind...), "\ndata: {\"type\":\""...)
	dst = append(append(dst, kind...), `","sequence_number":`...)
	dst = strconv.AppendInt(dst, s.sequence, 10)
	s.sequence++
	return jsonx.Writer{Out: dst}
}

func ended(w *jsonx.Writer) []byte {
	w.Close('}')
	return append(w.Out, "\n\n"...)
}

// start writes that the response is there, once.
func (s *streamEncoder) start(dst []byte) []byte {
	if s.started {
		return dst
	}
	s.started = true
	s.prepare()
	for _, kind := range []string{"response.created", "response.in_progress"} {
		w := s.event(dst, kind)
		w.Name("response")
		dst = ended(&jsonx.Writer{Out: s.shown.append(w.Out)})
	}
	return dst
}

// prepare makes the response as it is before anything has come.
func (s *streamEncoder) prepare() {
	s.o = newOutput(s.begin.ID, s.same())
	s.shown = shown{id: s.begin.ID, model: s.begin.Model, created: s.begin.Created, same: s.same(), extra: s.begin.Extra}
	if s.shown.model == "" {
		s.shown.model = s.c.Model
	}
	if !s.same() {
		s.shown.adapt(s.c, translate.NotStopped, nil)
	}
	s.shown.status = "in_progress"
}

// beginPart begins a part that deltas follow.
func (s *streamEncoder) beginPart(dst []byte, p translate.Part) []byte {
	dst = s.endPart(dst)
	s.text, s.sealed, s.cited, s.summary, s.thinks, s.logprobs = s.text[:0], "", nil, nil, false, nil
	switch p := p.(type) {
	case *translate.Text:
		dst = s.beginContent(dst, p)
		if p.Text != "" {
			dst = s.words(dst, p.Text)
		}
		for i := range p.Citations {
			dst = s.cite(dst, &p.Citations[i])
		}
	case *translate.Refusal:
		dst = s.beginContent(dst, p)
		if p.Text != "" {
			dst = s.words(dst, p.Text)
		}
	case *translate.Thinking:
		dst = s.beginThinking(dst, p)
	case *translate.ToolCall:
		dst = s.beginCall(dst, p)
	default:
		return s.whole(dst, p)
	}
	return dst
}

// beginContent begins a part of a message, and the message where none is open
// that it belongs to.
func (s *streamEncoder) beginContent(dst []byte, p translate.Part) []byte {
	m := &s.message
	if m.on && s.same() && !bytes.Equal(m.raw, headOf(p)) {
		dst = s.endMessage(dst)
	}
	if !m.on {
		head := s.o.head(p)
		*m = openMessage{on: true, raw: headOf(p), head: head, id: text(head.Get("id"))}
		dst = s.item(dst, "response.output_item.added", messageValue(head, "in_progress", nil))
	}
	s.part = p
	w := s.event(dst, "response.content_part.added")
	s.place(&w)
	w.Raw("part", s.soFar())
	return ended(&w)
}

// soFar is the open part of a message, as far as it has come.
func (s *streamEncoder) soFar() jsontext.Value {
	switch p := s.part.(type) {
	case *translate.Text:
		extra := with(nil, "logprobs", s.logprobs)
		if s.same() {
			for _, m := range p.Extra {
				if m.Name != "logprobs" || s.logprobs == nil {
					extra = append(extra, m)
				}
			}
		}
		return textValue(string(s.text), s.cited, extra, s.same())
	case *translate.Refusal:
		return s.o.content(&translate.Refusal{Text: string(s.text), Extra: p.Extra}, nil)
	}
	return nil
}

// item writes an event that carries a whole item.
func (s *streamEncoder) item(dst []byte, kind string, item jsontext.Value) []byte {
	w := s.event(dst, kind)
	w.Int("output_index", s.index)
	w.Raw("item", item)
	return ended(&w)
}

// place says where the open part of a message stands.
func (s *streamEncoder) place(w *jsonx.Writer) {
	w.Text("item_id", s.message.id)
	w.Int("output_index", s.index)
	w.Int("content_index", int64(len(s.message.contents)))
}

// beginThinking begins a reasoning item.
func (s *streamEncoder) beginThinking(dst []byte, p *translate.Thinking) []byte {
	dst = s.endMessage(dst)
	s.part, s.sealed, s.bare = p, p.Signature, p.Extra.Get(bareThoughts) != nil || s.same() && p.Extra.Get("content") != nil
	if s.id = p.ID; !s.same() || s.id == "" {
		s.id = s.o.id("rs_")
	}
	dst = s.item(dst, "response.output_item.added", reasoningValue(s.id, nil, "", nil))
	if p.Text != "" {
		dst = s.think(dst, p.Text)
	}
	return dst
}

// beginCall begins an item of a call, behind one with a foreign signature of it.
// What the provider runs is written at its end.
func (s *streamEncoder) beginCall(dst []byte, p *translate.ToolCall) []byte {
	dst = s.endMessage(dst)
	s.part = p
	s.text = append(s.text, p.Args...)
	if p.Server != "" || p.Search {
		return dst
	}
	if t := s.o.carrier(p); t != nil {
		s.part = nil
		dst = s.whole(dst, t)
		s.part = p
	}
	s.id = s.o.callID(p)
	dst = s.item(dst, "response.output_item.added", s.o.call(p, s.id, "", "in_progress"))
	if p.Args != "" {
		s.text = s.text[:0]
		dst = s.words(dst, p.Args)
	}
	return dst
}

// delta writes a piece of the open part.
func (s *streamEncoder) delta(dst []byte, e *translate.Event) []byte {
	switch p := s.part.(type) {
	case nil:
		return dst
	case *translate.Thinking:
		if e.Extra.Get(summaryBreak) != nil {
			return s.endThought(dst)
		}
		return s.think(dst, e.Text)
	case *translate.ToolCall:
		if p.Server != "" || p.Search {
			s.text = append(s.text, e.Text...)
			return dst
		}
	}
	return s.words(dst, e.Text)
}

// words writes a delta of words or arguments.
func (s *streamEncoder) words(dst []byte, said string) []byte {
	if said == "" {
		return dst
	}
	s.text = append(s.text, said...)
	kind := "response.output_text.delta"
	switch p := s.part.(type) {
	case *translate.Refusal:
		kind = "response.refusal.delta"
	case *translate.ToolCall:
		kind = "response.function_call_arguments.delta"
		if p.Custom {
			kind = "response.custom_tool_call_input.delta"
		}
		w := s.event(dst, kind)
		w.Text("item_id", s.id)
		w.Int("output_index", s.index)
		w.Text("delta", said)
		return ended(&w)
	}
	w := s.event(dst, kind)
	s.place(&w)
	w.Text("delta", said)
	if kind == "response.output_text.delta" {
		w.Raw("logprobs", jsontext.Value("[]"))
	}
	return ended(&w)
}

// probe writes the log probabilities of the words before, which the neutral form
// has behind them, with a delta of no words.
func (s *streamEncoder) probe(dst []byte, tokens jsontext.Value) []byte {
	if _, ok := s.part.(*translate.Text); !ok {
		return dst
	}
	s.logprobs = joinLists(s.logprobs, tokens)
	w := s.event(dst, "response.output_text.delta")
	s.place(&w)
	w.Text("delta", "")
	w.Raw("logprobs", tokens)
	return ended(&w)
}

// think writes a delta of thoughts, in a part of the summary, or where the
// upstream shows them as they are, of the content.
func (s *streamEncoder) think(dst []byte, said string) []byte {
	if said == "" {
		return dst
	}
	if !s.thinks {
		s.thinks = true
		kind := "response.reasoning_summary_part.added"
		if s.bare {
			kind = "response.content_part.added"
		}
		w := s.event(dst, kind)
		s.thoughtPlace(&w)
		w.Raw("part", s.thought(""))
		dst = ended(&w)
	}
	s.text = append(s.text, said...)
	kind := "response.reasoning_summary_text.delta"
	if s.bare {
		kind = "response.reasoning_text.delta"
	}
	w := s.event(dst, kind)
	s.thoughtPlace(&w)
	w.Text("delta", said)
	return ended(&w)
}

func (s *streamEncoder) thoughtPlace(w *jsonx.Writer) {
	w.Text("item_id", s.id)
	w.Int("output_index", s.index)
	name := "summary_index"
	if s.bare {
		name = "content_index"
	}
	w.Int(name, int64(len(s.summary)))
}

// thought is a part of the thoughts.
func (s *streamEncoder) thought(said string) jsontext.Value {
	kind := "summary_text"
	if s.bare {
		kind = "reasoning_text"
	}
	var w jsonx.Writer
	w.Open('{')
	w.Text("type", kind)
	w.Text("text", said)
	w.Close('}')
	return w.Out
}

// endThought ends the open part of the thoughts.
func (s *streamEncoder) endThought(dst []byte) []byte {
	if !s.thinks {
		return dst
	}
	said := string(s.text)
	done, part := "response.reasoning_summary_text.done", "response.reasoning_summary_part.done"
	if s.bare {
		done, part = "response.reasoning_text.done", "response.content_part.done"
	}
	w := s.event(dst, done)
	s.thoughtPlace(&w)
	w.Text("text", said)
	dst = ended(&w)
	w = s.event(dst, part)
	s.thoughtPlace(&w)
	w.Raw("part", s.thought(said))
	s.summary, s.thinks, s.text = append(s.summary, said), false, s.text[:0]
	return ended(&w)
}

// endThinking ends the open reasoning item.
func (s *streamEncoder) endThinking(dst []byte, p *translate.Thinking) []byte {
	dst = s.endThought(dst)
	t := *p
	t.Signature = s.sealed
	if !s.bare {
		return s.itemDone(dst, reasoningValue(s.id, s.summary, t.Carry(translate.Responses), nil))
	}
	var content jsonx.Writer
	content.Open('[')
	for _, said := range s.summary {
		content.Value(s.thought(said))
	}
	content.Close(']')
	return s.itemDone(dst, reasoningValue(s.id, nil, t.Carry(translate.Responses), translate.Extra{{Name: "content", Value: content.Out}}))
}

// cite writes a citation of the open words.
func (s *streamEncoder) cite(dst []byte, c *translate.Citation) []byte {
	if _, ok := s.part.(*translate.Text); !ok || c == nil {
		return dst
	}
	var annotation jsonx.Writer
	if !writeAnnotation(&annotation, c, s.same()) {
		return dst
	}
	w := s.event(dst, "response.output_text.annotation.added")
	s.place(&w)
	w.Int("annotation_index", int64(len(s.cited)))
	w.Raw("annotation", annotation.Out)
	s.cited = append(s.cited, *c)
	return ended(&w)
}

// endPart ends the open part: a part of a message alone, anything else with its
// item.
func (s *streamEncoder) endPart(dst []byte) []byte {
	part := s.part
	s.part = nil
	switch p := part.(type) {
	case *translate.Text, *translate.Refusal:
		s.part = part
		dst = s.endContent(dst)
		s.part = nil
	case *translate.Thinking:
		dst = s.endThinking(dst, p)
	case *translate.ToolCall:
		dst = s.endCall(dst, p)
	}
	return dst
}

// endContent ends the open part of a message.
func (s *streamEncoder) endContent(dst []byte) []byte {
	whole := s.soFar()
	kind, name := "response.output_text.done", "text"
	if _, ok := s.part.(*translate.Refusal); ok {
		kind, name = "response.refusal.done", "refusal"
	}
	w := s.event(dst, kind)
	s.place(&w)
	w.Text(name, string(s.text))
	if name == "text" {
		w.Raw("logprobs", listOr(s.logprobs))
	}
	dst = ended(&w)
	w = s.event(dst, "response.content_part.done")
	s.place(&w)
	w.Raw("part", whole)
	s.message.contents = append(s.message.contents, whole)
	return ended(&w)
}

func listOr(v jsontext.Value) jsontext.Value {
	if len(v) == 0 {
		return jsontext.Value("[]")
	}
	return v
}

// endMessage ends the open message.
func (s *streamEncoder) endMessage(dst []byte) []byte {
	m := &s.message
	if !m.on {
		return dst
	}
	item := messageValue(m.head, "completed", m.contents)
	*m = openMessage{}
	return s.itemDone(dst, item)
}

// endCall ends the item of a call.
func (s *streamEncoder) endCall(dst []byte, p *translate.ToolCall) []byte {
	if p.Server != "" || p.Search {
		call := *p
		call.Args = string(s.text)
		if call.Signature == "" {
			call.Signature = s.sealed
		}
		return s.whole(dst, &call)
	}
	if len(s.text) == 0 && !p.Custom && !s.same() {
		s.part = p
		dst = s.words(dst, "{}") // which clients parse
		s.part = nil
	}
	kind, name := "response.function_call_arguments.done", "arguments"
	if p.Custom {
		kind, name = "response.custom_tool_call_input.done", "input"
	}
	w := s.event(dst, kind)
	w.Text("item_id", s.id)
	w.Int("output_index", s.index)
	w.Text(name, string(s.text))
	if !p.Custom {
		w.Text("name", p.Name)
	}
	dst = s.itemDone(ended(&w), s.o.call(p, s.id, string(s.text), "completed"))
	if s.sealed == "" {
		return dst
	}
	late := *p
	late.Signature = s.sealed
	if t := s.o.carrier(&late); t != nil {
		dst = s.whole(dst, t)
	}
	return dst
}

// itemDone writes the end of the open item and keeps it.
func (s *streamEncoder) itemDone(dst []byte, item jsontext.Value) []byte {
	dst = s.item(dst, "response.output_item.done", item)
	s.items = append(s.items, item)
	s.index++
	return dst
}

// whole writes a part that has come at once.
func (s *streamEncoder) whole(dst []byte, p translate.Part) []byte {
	switch p := p.(type) {
	case *translate.Text, *translate.Refusal, *translate.Thinking:
		return s.endPart(s.beginPart(dst, p))
	case *translate.ToolCall:
		if p.Server == "" && !p.Search {
			return s.endPart(s.beginPart(dst, p))
		}
	}
	for _, item := range s.o.item(p) {
		dst = s.endMessage(s.endPart(dst))
		dst = s.item(dst, "response.output_item.added", begun(item))
		for _, step := range steps(member(item, "type")) {
			w := s.event(dst, "response."+step)
			w.Text("item_id", member(item, "id"))
			w.Int("output_index", s.index)
			dst = ended(&w)
		}
		dst = s.itemDone(dst, item)
	}
	return dst
}

// begun is an item as it is when it is added: in progress, and without what it
// came to.
func begun(item jsontext.Value) jsontext.Value {
	var w jsonx.Writer
	w.Open('{')
	for _, m := range translate.ExtraOf(item) {
		switch m.Name {
		case "status":
			w.Text("status", "in_progress")
		case "result", "action", "outputs", "results":
		default:
			w.Raw(m.Name, m.Value)
		}
	}
	w.Close('}')
	return w.Out
}

// steps are the events of a tool that the provider runs, as the API names them.
func steps(kind string) []string {
	switch kind {
	case webSearchCall, fileSearchCall:
		return []string{kind + ".in_progress", kind + ".searching", kind + ".completed"}
	case interpreterCall:
		return []string{kind + ".in_progress", kind + ".interpreting", kind + ".completed"}
	case imageCall:
		return []string{kind + ".in_progress", kind + ".generating", kind + ".completed"}
	case mcpCall:
		return []string{kind + ".in_progress", kind + ".completed"}
	}
	return nil
}

// end writes the last event.
func (s *streamEncoder) end(dst []byte) []byte {
	dst = s.endMessage(s.endPart(dst))
	if s.finish.Stop == translate.Broken {
		return s.Fail(dst, translate.Failure{Status: 502, Kind: translate.Internal, Message: errBroken.Error()}, "")
	}
	s.over = true
	s.shown.output, s.shown.tier, s.shown.usage = s.items, s.tier, s.usage
	if s.usage == nil && s.counted != nil {
		s.shown.usage = usageObject(*s.counted)
	}
	s.shown.status, s.shown.incomplete = statusOf(s.finish.Stop)
	if s.same() {
		s.shown.extra = s.finish.Extra
		if s.finish.StopWord != "" {
			s.shown.status = s.finish.StopWord
		}
	}
	kind := "response.completed"
	if s.shown.status == "incomplete" {
		kind = "response.incomplete"
	}
	w := s.event(dst, kind)
	w.Name("response")
	return ended(&jsonx.Writer{Out: s.shown.append(w.Out)})
}

// Fail implements translate.StreamEncoder: as the API does it, with an error and
// the response that failed. The error has its members where the reference has
// them and where the API writes them.
func (s *streamEncoder) Fail(dst []byte, f translate.Failure, requestID string) []byte {
	if s.over {
		return dst
	}
	s.over = true
	if !s.started {
		s.started = true
		s.prepare()
	}
	if requestID != "" && f.Origin == "" {
		f.Message += " (request id: " + requestID + ")"
	}
	f.Code = failureCode(&f)
	w := s.event(dst, "error")
	w.Text("code", f.Code)
	w.Text("message", f.Message)
	textOrNull(&w, "param", f.Param)
	w.Raw("error", find(Codec{}.EncodeFailure(f, ""), "error"))
	dst = ended(&w)
	s.shown.status, s.shown.output, s.shown.failure = "failed", s.items, &f
	if s.shown.same {
		s.shown.extra = with(s.shown.extra, "error", errorValue(&f))
	}
	w = s.event(dst, "response.failed")
	w.Name("response")
	return ended(&jsonx.Writer{Out: s.shown.append(w.Out)})
}

// joinLists joins two JSON lists.
func joinLists(a, b jsontext.Value) jsontext.Value {
	if len(a) <= 2 {
		return b.Clone()
	}
	if len(b) <= 2 {
		return a
	}
	return append(append(a[:len(a)-1], ','), b[1:]...)
}
