package messages

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
	"halley/internal/wire/anthropic"
)

// event is an event of a stream. Which members it has depends on its kind.
type event struct {
	message message         // message_start
	block   translate.Part  // content_block_start
	delta   delta           // content_block_delta, message_delta
	usage   jsontext.Value  // message_delta
	extra   translate.Extra // message_delta: context_management
}

// delta is what an event adds.
type delta struct {
	kind     kind
	text     string         // whatever kind it is of
	citation jsontext.Value // citations_delta
	stop     string         // message_delta
	stopText string
	extra    translate.Extra // message_delta: container, stop_details; compaction_delta: all
}

// kind is a kind of delta.
type kind uint8

const (
	otherDelta kind = iota
	textDelta
	inputDelta
	signatureDelta
	citationsDelta
	compactionDelta
)

func readEvent(r *jsonx.Reader) (e event) {
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("type"), r.Is("index"):
			r.Skip()
		case r.Is("message"):
			e.message = readAnswer(r)
		case r.Is("content_block"):
			e.block = readBlock(r)
		case r.Is("delta"):
			e.delta = readDelta(r)
		case r.Is("usage"):
			e.usage = r.Raw()
		default:
			e.extra = append(e.extra, member(r))
		}
	}
	return e
}

func readDelta(r *jsonx.Reader) (d delta) {
	switch string(r.Peek("type")) {
	case "text_delta", "thinking_delta":
		d.kind = textDelta
	case "input_json_delta":
		d.kind = inputDelta
	case "signature_delta":
		d.kind = signatureDelta
	case "citations_delta":
		d.kind = citationsDelta
	case "compaction_delta":
		d.kind = compactionDelta
	}
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("type"):
			r.Skip()
		case r.Is("text"), r.Is("thinking"), r.Is("partial_json"), r.Is("signature"):
			d.text = r.String()
		case r.Is("citation"):
			d.citation = r.Raw()
		case r.Is("stop_reason"):
			d.stop = r.String()
		case r.Is("stop_sequence"):
			d.stopText = r.String()
		default:
			d.extra = append(d.extra, member(r))
		}
	}
	return d
}

// DecodeStream implements translate.Upstream.
func (Codec) DecodeStream() translate.StreamDecoder { return &streamDecoder{} }

// streamDecoder reads a stream's events. Its memory does not grow with the
// stream, but for one input of valueTool and the summary of a compaction.
type streamDecoder struct {
	begun, over bool
	blocks      int // that have begun

	open     translate.Part // the open block; nil when none is
	whole    bool           // the open block had no deltas and is given at its end
	wrote    bool           // the open call's arguments have begun
	input    []byte         // of the open valueTool
	value    bool           // the open block is a valueTool
	called   bool           // a tool of the client's was called
	answered bool           // a reserved tool was

	usage    anthropic.Usage
	usageRaw jsontext.Value
}

// errTruncated is a stream without message_stop.
var errTruncated = errors.New("the stream ended before message_stop")

// Decode implements translate.StreamDecoder. The name is not needed: the data
// says it too.
func (d *streamDecoder) Decode(_ string, data []byte, emit func(translate.Event)) error {
	if d.over {
		return nil
	}
	r := jsonx.Read(data)
	kind := r.Peek("type")
	e := readEvent(r)
	if err := r.End(); err != nil {
		return fmt.Errorf("decode stream event: %w", err)
	}
	switch string(kind) {
	case "ping":
		emit(translate.Event{Kind: translate.Ping})
		return nil
	case "error":
		d.over = true
		f := Codec{}.DecodeFailure(0, data)
		emit(translate.Event{Kind: translate.Fault, Failure: &f})
		return nil
	case "message_start":
		return d.start(&e.message, emit)
	}
	if !d.begun {
		return fmt.Errorf("decode stream event: %q stands before message_start", kind)
	}
	switch string(kind) {
	case "content_block_start":
		if e.block == nil {
			return errors.New("decode stream event: content_block_start has no block")
		}
		d.beginBlock(e.block, emit)
	case "content_block_delta":
		if d.open != nil {
			d.addDelta(&e.delta, emit)
		}
	case "content_block_stop":
		d.endBlock(emit)
	case "message_delta":
		d.finish(&e, emit)
	case "message_stop":
		d.endBlock(emit)
		d.over = true
		emit(translate.Event{Kind: translate.Done})
	}
	return nil // types that are yet to come are skipped, as the API asks its clients to
}

// End implements translate.StreamDecoder.
func (d *streamDecoder) End(func(translate.Event)) error {
	if !d.over {
		return errTruncated
	}
	return nil
}

// start begins the message. It may have content already: what a tool call of
// running code is answered with comes that way. A second one is a repetition, if
// nothing has come since, or the beginning of another message in this one's
// middle, which nobody can make whole.
func (d *streamDecoder) start(m *message, emit func(translate.Event)) error {
	if m.kind != "message" {
		return errors.New("decode stream event: message_start has no message")
	}
	if d.begun {
		if d.blocks > 0 {
			return errors.New("decode stream event: another message begins inside the message")
		}
		return nil
	}
	d.begun = true
	emit(translate.Event{Kind: translate.Begin, ID: m.id, Model: m.model, From: translate.Messages, Extra: m.extra})
	d.use(m.usage, emit)
	for _, part := range m.parts {
		d.beginBlock(part, emit)
		d.endBlock(emit)
	}
	if m.stop != "" {
		d.finish(&event{delta: delta{stop: m.stop, stopText: m.stopText}, usage: m.usage}, emit)
	}
	return nil
}

func (d *streamDecoder) beginBlock(part translate.Part, emit func(translate.Event)) {
	d.endBlock(emit)
	d.blocks++
	d.open, d.whole, d.wrote, d.value, d.input = part, false, false, false, d.input[:0]
	begin := func(p translate.Part) { emit(translate.Event{Kind: translate.PartBegin, Part: p}) }
	switch p := part.(type) {
	case *translate.Text:
		text, citations := p.Text, p.Citations
		p.Text, p.Citations = "", nil
		begin(p)
		d.text(text, emit)
		for i := range citations {
			emit(translate.Event{Kind: translate.CiteDelta, Citation: &citations[i]})
		}
	case *translate.Thinking:
		text, signature := p.Text, p.Signature
		p.Text, p.Signature = "", ""
		if p.Sealed != "" {
			d.whole = true
			return
		}
		begin(p)
		d.text(text, emit)
		if signature != "" {
			emit(translate.Event{Kind: translate.SignDelta, Text: signature})
		}
	case *translate.ToolCall:
		args := p.Args
		p.Args = ""
		d.beginCall(p, begin)
		if args != "{}" {
			d.arguments(args, emit)
		}
	default:
		d.whole = true
	}
}

// beginCall begins a call, or the answer when it is of a reserved tool.
func (d *streamDecoder) beginCall(call *translate.ToolCall, begin func(translate.Part)) {
	switch {
	case call.Server != "":
	case isAnswerTool(call.Name):
		d.answered, d.value = true, call.Name == valueTool
		d.open = &translate.Text{}
		begin(d.open)
		return
	default:
		d.called = true
	}
	begin(call)
}

func (d *streamDecoder) text(text string, emit func(translate.Event)) {
	if text != "" {
		emit(translate.Event{Kind: translate.TextDelta, Text: text})
	}
}

// arguments adds a piece of a call's input.
func (d *streamDecoder) arguments(piece string, emit func(translate.Event)) {
	if d.value {
		d.input = append(d.input, piece...)
		return
	}
	d.wrote = d.wrote || piece != ""
	d.text(piece, emit)
}

func (d *streamDecoder) addDelta(add *delta, emit func(translate.Event)) {
	switch add.kind {
	case textDelta:
		d.text(add.text, emit)
	case inputDelta:
		d.arguments(add.text, emit)
	case signatureDelta:
		emit(translate.Event{Kind: translate.SignDelta, Text: add.text})
	case citationsDelta:
		emit(translate.Event{Kind: translate.CiteDelta, Citation: decodeCitation(add.citation)})
	case compactionDelta:
		if p, ok := d.open.(*translate.Other); ok {
			p.Raw = merged(p.Raw, add.extra.Object())
		}
	case otherDelta:
	}
}

func (d *streamDecoder) endBlock(emit func(translate.Event)) {
	if d.open == nil {
		return
	}
	part := d.open
	d.open = nil
	if d.whole {
		emit(translate.Event{Kind: translate.Whole, Part: part})
		return
	}
	if _, ok := part.(*translate.ToolCall); ok && !d.wrote {
		d.text("{}", emit) // a call without arguments; other dialects' clients want an object
	}
	if d.value {
		d.text(answerText(valueTool, d.input), emit)
	}
	emit(translate.Event{Kind: translate.PartEnd})
}

// finish reads a message_delta. It closes no block: content_block_stop does.
func (d *streamDecoder) finish(e *event, emit func(translate.Event)) {
	d.endBlock(emit)
	if e.delta.stop != "" {
		end := translate.Event{
			Kind: translate.Finish, Stop: stopOf(e.delta.stop), StopWord: e.delta.stop, StopText: e.delta.stopText,
			Extra: append(e.delta.extra, e.extra...),
		}
		if d.answered && !d.called && end.Stop == translate.ToCallTools {
			end.Stop, end.StopWord = translate.EndOfTurn, "end_turn"
		}
		emit(end)
	}
	d.use(e.usage, emit)
}

// use takes a usage object, whose members replace those that came before.
func (d *streamDecoder) use(raw jsontext.Value, emit func(translate.Event)) {
	if !d.usage.Read(raw) {
		return
	}
	d.usageRaw = merged(d.usageRaw, raw)
	emit(translate.Event{Kind: translate.Use, Usage: new(d.usage.Tokens()), UsageRaw: d.usageRaw, Tier: d.usage.Tier})
}

// memberOf is a member that is a string.
func memberOf(object jsontext.Value, name string) string {
	return wire.Text(wire.Find(object, name).Of(object))
}
