package converse

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/translate/messages"
)

// event is an event of a stream. Which members it has depends on its name.
type event struct {
	index  int64
	start  translate.Part  // contentBlockStart: a *ToolCall, or *Other for what is not streamed on
	delta  delta           // contentBlockDelta
	stop   string          // messageStop
	usage  jsontext.Value  // metadata
	tier   string          // metadata
	extras translate.Extra // messageStop, metadata
}

// delta is what an event adds to a block.
type delta struct {
	kind     deltaKind
	text     string
	citation jsontext.Value
}

type deltaKind uint8

const (
	otherDelta deltaKind = iota
	textDelta
	inputDelta
	thinkingDelta
	signatureDelta
	sealedDelta
	citationDelta
)

func readEvent(r *jsonx.Reader) (e event) {
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("contentBlockIndex"):
			e.index = r.Int()
		case r.Is("delta"):
			e.delta = readDelta(r)
		case r.Is("start"):
			e.start = readStart(r)
		case r.Is("stopReason"):
			e.stop = r.String()
		case r.Is("usage"):
			e.usage = r.Raw()
		case r.Is("role"), r.Is("p"): // p is padding, which hides lengths from who listens in
			r.Skip()
		case r.Is("serviceTier"):
			tier := member(r)
			e.tier = tierOf(tier.Value)
			e.extras = append(e.extras, tier)
		default:
			e.extras = append(e.extras, member(r))
		}
	}
	return e
}

func readDelta(r *jsonx.Reader) (d delta) {
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("text"):
			d.kind, d.text = textDelta, r.String()
		case r.Is("toolUse"):
			for r.Object(); r.Next('}'); {
				if r.Is("input") {
					d.kind, d.text = inputDelta, r.String()
				} else {
					r.Skip()
				}
			}
		case r.Is("reasoningContent"):
			for r.Object(); r.Next('}'); {
				switch {
				case r.Is("text"):
					d.kind, d.text = thinkingDelta, r.String()
				case r.Is("signature"):
					d.kind, d.text = signatureDelta, r.String()
				case r.Is("redactedContent"):
					d.kind, d.text = sealedDelta, r.String()
				default:
					r.Skip()
				}
			}
		case r.Is("citation"):
			d.kind, d.citation = citationDelta, r.Value()
		default:
			r.Skip()
		}
	}
	return d
}

func readStart(r *jsonx.Reader) (p translate.Part) {
	for r.Object(); r.Next('}'); {
		if r.Is("toolUse") {
			p = readCall(r)
			continue
		}
		name := strings.Clone(r.Name())
		p = &translate.Other{Kind: name, Raw: translate.Extra{{Name: name, Value: r.Value()}}.Object()}
	}
	return p
}

// DecodeStream implements translate.Upstream.
func (Codec) DecodeStream() translate.StreamDecoder { return &streamDecoder{} }

// streamDecoder reads a stream's events. Its memory does not grow with the
// stream, but for the input of one reserved tool and for sealed thoughts. What a
// tool of Amazon's own answers in a stream is left out.
type streamDecoder struct {
	begun, stopped, over bool

	open   translate.Part // the open block; nil when none is
	index  int64          // of it
	wrote  bool           // the open call's arguments have begun
	sealed []byte         // of the open thoughts
	input  []byte         // of the open reserved tool that is needed whole
	tool   string         // the reserved tool's name

	called, answered bool
}

// errTruncated is a stream without messageStop.
var errTruncated = errors.New("the stream ended before messageStop")

// Decode implements translate.StreamDecoder.
func (d *streamDecoder) Decode(name string, data []byte, emit func(translate.Event)) error {
	if d.over {
		return nil
	}
	if strings.HasSuffix(name, "Exception") || name == "error" {
		d.over = true
		f := Exception(name, data)
		emit(translate.Event{Kind: translate.Fault, Failure: &f})
		return nil
	}
	r := jsonx.Read(data)
	e := readEvent(r)
	if err := r.End(); err != nil {
		return fmt.Errorf("decode stream event: %w", err)
	}
	if name == "messageStart" {
		if d.begun {
			return errors.New("decode stream event: another message begins inside the message")
		}
		d.begun = true
		emit(translate.Event{Kind: translate.Begin, From: translate.Converse})
		return nil
	}
	if !d.begun {
		return fmt.Errorf("decode stream event: %q stands before messageStart", name)
	}
	switch name {
	case "contentBlockStart":
		d.begin(e.index, e.start, emit)
	case "contentBlockDelta":
		d.add(&e, emit)
	case "contentBlockStop":
		d.end(emit)
	case "messageStop":
		d.end(emit)
		d.stopped = true
		d.finish(&e, emit)
	case "metadata":
		d.end(emit)
		if u, ok := tokens(e.usage); ok {
			emit(translate.Event{Kind: translate.Use, Usage: &u, UsageRaw: e.usage, Tier: e.tier, Extra: e.extras})
		}
		if d.stopped {
			d.over = true
			emit(translate.Event{Kind: translate.Done})
		}
	}
	return nil // names that are yet to come are skipped
}

// End implements translate.StreamDecoder. A stream without metadata is whole: it
// only does not say what it has used.
func (d *streamDecoder) End(emit func(translate.Event)) error {
	switch {
	case d.over:
		return nil
	case !d.stopped:
		return errTruncated
	}
	d.over = true
	emit(translate.Event{Kind: translate.Done})
	return nil
}

// begin begins a block. Only calls of tools have an event for that; others begin
// with their first delta.
func (d *streamDecoder) begin(index int64, part translate.Part, emit func(translate.Event)) {
	d.end(emit)
	d.open, d.index, d.wrote, d.tool = part, index, false, ""
	d.sealed, d.input = d.sealed[:0], d.input[:0]
	if call, ok := part.(*translate.ToolCall); ok {
		if _, reserved := messages.AnswerText(call.Name, nil); reserved {
			d.answered, d.tool, d.open = true, call.Name, &translate.Text{}
		} else if call.Server == "" {
			d.called = true
		}
	}
	switch d.open.(type) {
	case nil, *translate.Other:
	default:
		emit(translate.Event{Kind: translate.PartBegin, Part: d.open})
	}
}

// add adds a delta to its block, which it may begin.
func (d *streamDecoder) add(e *event, emit func(translate.Event)) {
	if d.open != nil && d.index != e.index {
		d.end(emit)
	}
	switch e.delta.kind {
	case textDelta, citationDelta:
		if d.open == nil {
			d.begin(e.index, &translate.Text{}, emit)
		}
	case thinkingDelta, signatureDelta:
		if d.open == nil {
			d.begin(e.index, &translate.Thinking{Origin: translate.Messages}, emit)
		}
	case sealedDelta:
		if d.open == nil {
			d.begin(e.index, &translate.Other{}, emit)
		}
		if piece, err := base64.StdEncoding.DecodeString(e.delta.text); err == nil {
			d.sealed = append(d.sealed, piece...)
		}
		return
	case otherDelta, inputDelta:
	}
	d.addTo(&e.delta, emit)
}

// addTo adds a delta to the open block; one that does not fit it is left out.
func (d *streamDecoder) addTo(add *delta, emit func(translate.Event)) {
	text := func() {
		if add.text != "" {
			emit(translate.Event{Kind: translate.TextDelta, Text: add.text})
		}
	}
	switch d.open.(type) {
	case *translate.Text:
		switch {
		case add.kind == inputDelta && messages.WholeInput(d.tool):
			d.input = append(d.input, add.text...)
		case add.kind == textDelta, add.kind == inputDelta && d.tool != "":
			text()
		case add.kind == citationDelta:
			emit(translate.Event{Kind: translate.CiteDelta, Citation: readCitation(add.citation)})
		}
	case *translate.Thinking:
		switch add.kind {
		case thinkingDelta:
			text()
		case signatureDelta:
			emit(translate.Event{Kind: translate.SignDelta, Text: add.text})
		case otherDelta, textDelta, inputDelta, sealedDelta, citationDelta:
		}
	case *translate.ToolCall:
		if add.kind == inputDelta {
			d.wrote = d.wrote || add.text != ""
			text()
		}
	}
}

// end ends the open block.
func (d *streamDecoder) end(emit func(translate.Event)) {
	part := d.open
	d.open = nil
	switch part.(type) {
	case nil:
		return
	case *translate.Other:
		if len(d.sealed) > 0 {
			sealed := base64.StdEncoding.EncodeToString(d.sealed)
			emit(translate.Event{Kind: translate.Whole, Part: &translate.Thinking{Sealed: sealed, Origin: translate.Converse}})
		}
		return
	case *translate.ToolCall:
		if !d.wrote { // a call without arguments; other dialects' clients want an object
			emit(translate.Event{Kind: translate.TextDelta, Text: "{}"})
		}
	}
	if messages.WholeInput(d.tool) {
		text, _ := messages.AnswerText(d.tool, d.input)
		emit(translate.Event{Kind: translate.TextDelta, Text: text})
	}
	emit(translate.Event{Kind: translate.PartEnd})
}

func (d *streamDecoder) finish(e *event, emit func(translate.Event)) {
	end := translate.Event{Kind: translate.Finish, Stop: stopOf(e.stop), StopWord: e.stop, Extra: e.extras}
	if d.answered && !d.called && end.Stop == translate.ToCallTools {
		end.Stop, end.StopWord = translate.EndOfTurn, "end_turn"
	}
	emit(end)
}
