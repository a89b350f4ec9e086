package cohere

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire/cohere"
)

// event is an event of a stream; which members it has depends on its type.
type event struct {
	id       string // message-start
	kind     string // content-start: text or thinking
	text     string // content-start, content-delta, tool-plan-delta
	call     call   // tool-call-start, tool-call-delta
	citation jsontext.Value
	finish   string // message-end
	failure  string
	usage    jsontext.Value
	extra    translate.Extra // of the event's top level: logprobs
}

func readEvent(r *jsonx.Reader) (e event) {
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("type"), r.Is("index"):
			r.Skip()
		case r.Is("id"):
			e.id = r.String()
		case r.Is("delta") && r.Kind() == '{':
			for r.Object(); r.Next('}'); {
				switch {
				case r.Is("message") && r.Kind() == '{':
					e.readMessage(r)
				case r.Is("finish_reason"):
					e.finish = r.String()
				case r.Is("error"):
					if r.Kind() != '"' {
						r.Skip()
						continue
					}
					e.failure = r.String()
				case r.Is("usage"):
					e.usage = r.Raw()
				default:
					r.Skip()
				}
			}
		default:
			e.extra = append(e.extra, member(r))
		}
	}
	return e
}

// readMessage reads a piece of the message. What the first event says of it is
// empty lists.
func (e *event) readMessage(r *jsonx.Reader) {
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("content") && r.Kind() == '{':
			for r.Object(); r.Next('}'); {
				switch {
				case r.Is("type"):
					e.kind = r.String()
				case r.Is("text"), r.Is("thinking"):
					e.text += r.String()
				default:
					r.Skip()
				}
			}
		case r.Is("tool_plan"):
			e.text = r.String()
		case r.Is("tool_calls") && r.Kind() == '{':
			e.call = readCall(r)
		case r.Is("citations") && r.Kind() == '{':
			e.citation = r.Value()
		default:
			r.Skip()
		}
	}
}

// DecodeStream implements translate.Upstream.
func (Codec) DecodeStream() translate.StreamDecoder { return &streamDecoder{} }

// streamDecoder reads a stream's events. A text stays open beyond its content-end,
// until something else comes, as its citations may follow.
type streamDecoder struct {
	begun, over bool
	open        translate.Part // nil: none is
	wrote       bool           // the open call's arguments have begun
}

// errTruncated is a stream without message-end.
var errTruncated = errors.New("the stream ended before message-end")

// Decode implements translate.StreamDecoder. The name is not needed: the data says
// it too.
func (d *streamDecoder) Decode(_ string, data []byte, emit func(translate.Event)) error {
	if d.over || bytes.Equal(data, []byte("[DONE]")) {
		return nil
	}
	r := jsonx.Read(data)
	kind := string(r.Peek("type"))
	e := readEvent(r)
	if err := r.End(); err != nil {
		return fmt.Errorf("decode stream event: %w", err)
	}
	switch {
	case kind == "": // no event of the dialect: its errors have no type
		if f := (Codec{}).DecodeFailure(500, data); !d.over {
			d.fail(f, emit)
		}
		return nil
	case kind == "message-start":
		if d.begun {
			return errors.New("decode stream event: another message begins inside the message")
		}
		d.begun = true
		emit(translate.Event{Kind: translate.Begin, ID: e.id, From: translate.Cohere})
		return nil
	case !d.begun:
		return fmt.Errorf("decode stream event: %q stands before message-start", kind)
	}
	d.take(kind, &e, emit)
	return nil
}

func (d *streamDecoder) take(kind string, e *event, emit func(translate.Event)) {
	switch kind {
	case "content-start":
		if e.kind == "thinking" {
			d.begin(&translate.Thinking{Origin: translate.Cohere}, emit)
		} else {
			d.begin(&translate.Text{}, emit)
		}
		d.text(e.text, emit)
	case "content-delta":
		d.text(e.text, emit)
	case "tool-plan-delta":
		if t, ok := d.open.(*translate.Thinking); !ok || t.Signature != planMark {
			d.begin(planned(""), emit)
		}
		d.text(e.text, emit)
	case "tool-call-start":
		args := e.call.args
		part := e.call.part()
		part.Args = ""
		d.begin(part, emit)
		d.arguments(args, emit)
	case "tool-call-delta":
		d.arguments(e.call.args, emit)
	case "tool-call-end":
		d.end(emit)
	case "citation-start":
		if citation, _, ofText := decodeCitation(e.citation); ofText {
			if _, ok := d.open.(*translate.Text); ok {
				emit(translate.Event{Kind: translate.CiteDelta, Citation: &citation})
			}
		}
	case "message-end":
		d.finish(e, emit)
	}
	// content-end and citation-end say nothing more; types that are yet to come are
	// skipped.
}

func (d *streamDecoder) begin(part translate.Part, emit func(translate.Event)) {
	d.end(emit)
	d.open, d.wrote = part, false
	emit(translate.Event{Kind: translate.PartBegin, Part: part})
}

func (d *streamDecoder) text(text string, emit func(translate.Event)) {
	if text != "" && d.open != nil {
		emit(translate.Event{Kind: translate.TextDelta, Text: text})
	}
}

// arguments adds a piece of a call's arguments.
func (d *streamDecoder) arguments(piece string, emit func(translate.Event)) {
	if _, ok := d.open.(*translate.ToolCall); ok && piece != "" && (d.wrote || piece != "null") {
		d.wrote = true
		d.text(piece, emit)
	}
}

func (d *streamDecoder) end(emit func(translate.Event)) {
	if d.open == nil {
		return
	}
	switch p := d.open.(type) {
	case *translate.ToolCall:
		if !d.wrote {
			d.text("{}", emit) // other dialects' clients want an object
		}
	case *translate.Thinking:
		if p.Signature != "" {
			emit(translate.Event{Kind: translate.SignDelta, Text: p.Signature})
		}
	}
	d.open = nil
	emit(translate.Event{Kind: translate.PartEnd})
}

func (d *streamDecoder) finish(e *event, emit func(translate.Event)) {
	d.end(emit)
	if u, ok := cohere.Usage(e.usage); ok {
		emit(translate.Event{Kind: translate.Use, Usage: &u, UsageRaw: e.usage})
	}
	if failed(e.finish) || e.failure != "" {
		status := 500
		if e.finish == "TIMEOUT" {
			status = 504
		}
		d.fail(translate.Failure{
			Status: status, Kind: translate.KindOf(status), Origin: translate.Cohere, Type: e.finish,
			Message: cmp.Or(e.failure, "The model failed."),
		}, emit)
		return
	}
	emit(translate.Event{Kind: translate.Finish, Stop: stopOf(e.finish), StopWord: e.finish})
	d.over = true
	emit(translate.Event{Kind: translate.Done})
}

func (d *streamDecoder) fail(f translate.Failure, emit func(translate.Event)) {
	d.over = true
	emit(translate.Event{Kind: translate.Fault, Failure: &f})
}

// End implements translate.StreamDecoder.
func (d *streamDecoder) End(func(translate.Event)) error {
	if !d.over {
		return errTruncated
	}
	return nil
}
