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

// event is an event of a stream. Which members it has depends on its type.
type event struct {
	Type    string         `json:"type"`
	Message *answerBody    `json:"message"`       // message_start
	Block   jsontext.Value `json:"content_block"` // content_block_start
	Delta   *delta         `json:"delta"`         // content_block_delta, message_delta
	Usage   jsontext.Value `json:"usage"`         // message_delta
	Index   int64          `json:"index"`
	Extra   jsontext.Value `json:",embed"` // message_delta: context_management
}

// delta is what an event adds.
type delta struct {
	Type         string         `json:"type"`
	Text         string         `json:"text"`
	PartialJSON  string         `json:"partial_json"`
	Thinking     string         `json:"thinking"`
	Signature    string         `json:"signature"`
	Citation     jsontext.Value `json:"citation"`
	Content      jsontext.Value `json:"content"` // compaction_delta
	StopReason   string         `json:"stop_reason"`
	StopSequence string         `json:"stop_sequence"`
	Extra        jsontext.Value `json:",embed"` // message_delta: container, stop_details
}

// DecodeStream implements translate.Upstream.
func (Codec) DecodeStream() translate.StreamDecoder { return &streamDecoder{} }

// streamDecoder reads a stream's events. Its memory does not grow with the
// stream, but for one input of valueTool and the summary of a compaction.
type streamDecoder struct {
	begun, over bool
	failed      bool
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
	var e event
	if err := jsonx.Decode(data, &e); err != nil {
		return fmt.Errorf("decode stream event: %w", err)
	}
	if e.Type == "error" {
		d.over, d.failed = true, true
		f := Codec{}.DecodeFailure(0, data)
		emit(translate.Event{Kind: translate.Fault, Failure: &f})
		return nil
	}
	if e.Type == "message_start" {
		return d.start(&e, emit)
	}
	if !d.begun {
		if e.Type == "ping" {
			emit(translate.Event{Kind: translate.Ping})
			return nil
		}
		return errors.New("decode stream event: " + e.Type + " stands before message_start")
	}
	switch e.Type {
	case "content_block_start":
		return d.beginBlock(e.Block, emit)
	case "content_block_delta":
		if d.open != nil && e.Delta != nil {
			d.addDelta(e.Delta, emit)
		}
	case "content_block_stop":
		d.endBlock(emit)
	case "message_delta":
		d.finish(&e, emit)
	case "message_stop":
		d.endBlock(emit)
		d.over = true
		emit(translate.Event{Kind: translate.Done})
	case "ping":
		emit(translate.Event{Kind: translate.Ping})
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
func (d *streamDecoder) start(e *event, emit func(translate.Event)) error {
	if e.Message == nil {
		return errors.New("decode stream event: message_start has no message")
	}
	if d.begun {
		if d.blocks > 0 {
			return errors.New("decode stream event: another message begins inside the message")
		}
		return nil
	}
	d.begun = true
	m := e.Message
	emit(translate.Event{Kind: translate.Begin, ID: m.ID, Model: m.Model, From: translate.Messages, Extra: extra(m.Extra)})
	d.use(m.Usage, emit)
	for _, block := range m.Content {
		if err := d.beginBlock(block, emit); err != nil {
			return err
		}
		d.endBlock(emit)
	}
	if m.StopReason != "" {
		d.finish(&event{Delta: &delta{StopReason: m.StopReason, StopSequence: m.StopSequence}, Usage: m.Usage}, emit)
	}
	return nil
}

func (d *streamDecoder) beginBlock(raw jsontext.Value, emit func(translate.Event)) error {
	d.endBlock(emit)
	part, err := decodeBlock("content_block", raw)
	if err != nil {
		return fmt.Errorf("decode stream event: %w", err)
	}
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
			return nil
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
	return nil
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
	switch add.Type {
	case "text_delta":
		d.text(add.Text, emit)
	case "thinking_delta":
		d.text(add.Thinking, emit)
	case "input_json_delta":
		d.arguments(add.PartialJSON, emit)
	case "signature_delta":
		emit(translate.Event{Kind: translate.SignDelta, Text: add.Signature})
	case "citations_delta":
		emit(translate.Event{Kind: translate.CiteDelta, Citation: decodeCitation(add.Citation)})
	case "compaction_delta":
		if p, ok := d.open.(*translate.Other); ok {
			p.Raw = merged(p.Raw, contentOf(add))
		}
	}
}

// contentOf is what a compaction_delta adds to its block: its own members but
// for the type.
func contentOf(add *delta) jsontext.Value {
	var w jsonx.Writer
	w.Open('{')
	w.Raw("content", add.Content)
	writeExtra(&w, extra(add.Extra), "")
	w.Close('}')
	return w.Out
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
	if e.Delta != nil && e.Delta.StopReason != "" {
		end := translate.Event{
			Kind: translate.Finish, Stop: stopOf(e.Delta.StopReason), StopWord: e.Delta.StopReason, StopText: e.Delta.StopSequence,
			Extra: append(extra(e.Delta.Extra), extra(e.Extra)...),
		}
		if d.answered && !d.called && end.Stop == translate.ToCallTools {
			end.Stop, end.StopWord = translate.EndOfTurn, "end_turn"
		}
		emit(end)
	}
	d.use(e.Usage, emit)
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
