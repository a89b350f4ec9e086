package anthropic

import (
	"strconv"

	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/sse"
	"halley/internal/usage"
	"halley/internal/wire"
)

// Stream implements wire.Format.
func (Messages) Stream(o wire.StreamOptions) wire.Stream {
	s := &stream{o: o, open: -1}
	if o.Rename {
		s.rename = wire.Quote(o.Model)
	}
	return s
}

// stream is one streamed answer on its way through. Its events are metered and
// not validated.
type stream struct {
	o      wire.StreamOptions
	rename []byte
	p      wire.Progress
	usage  Usage
	open   int64 // the index of the content block that is open, -1 when none is
}

// Progress implements wire.Stream.
func (s *stream) Progress() *wire.Progress { return &s.p }

// Complete implements wire.Stream.
func (*stream) Complete(rest []byte) bool {
	from, to, ok := sse.DataSpan(rest)
	if !ok {
		return false
	}
	_, whole := Messages{}.ScanAnswer(rest[from:to])
	return whole
}

// Take implements wire.Stream.
func (s *stream) Take(out, event []byte) []byte {
	from, to, ok := sse.DataSpan(event)
	if !ok {
		return append(out, event...)
	}
	data := event[from:to]
	members, ok := jsonx.Walk(data)
	if !ok {
		return append(out, event...)
	}
	var kind string
	var typed, failure bool
	var index, block, usageAt, message wire.Span
	for {
		name, at, more := members.Next()
		if !more {
			break
		}
		switch string(data[name.From:name.To]) {
		case `"type"`:
			kind, typed = eventType(data[at.From:at.To]), true
		case `"index"`:
			index = wire.Span(at)
		case `"delta"`, `"content_block"`:
			block = wire.Span(at)
		case `"usage"`:
			usageAt = wire.Span(at)
		case `"message"`:
			message = wire.Span(at)
		case `"error"`:
			failure = data[at.From] != 'n'
		}
	}
	switch kind {
	case "content_block_delta":
		s.output(block.Of(data))
	case "content_block_start":
		s.open, _ = strconv.ParseInt(string(index.Of(data)), 10, 64)
	case "content_block_stop":
		s.open = -1
	case "message_start":
		if edit, ok := s.start(message.Of(data), from+message.From); ok {
			return wire.Apply(out, event, []wire.Edit{edit})
		}
	case "message_delta":
		if reason := wire.Find(block.Of(data), "stop_reason").Of(block.Of(data)); len(reason) > 0 && reason[0] == '"' {
			s.p.Finished = 1
		}
		s.use(usageAt.Of(data))
	case "message_stop":
		s.p.Done = true
	case "error":
		s.p.Failed = true
	default: // as proxies write their errors
		s.p.Failed = s.p.Failed || failure && !typed
	}
	return append(out, event...)
}

// eventType is the event's type without an allocation for those there are.
func eventType(value []byte) string {
	switch string(value) {
	case `"content_block_delta"`:
		return "content_block_delta"
	case `"content_block_start"`:
		return "content_block_start"
	case `"content_block_stop"`:
		return "content_block_stop"
	case `"message_start"`:
		return "message_start"
	case `"message_delta"`:
		return "message_delta"
	case `"message_stop"`:
		return "message_stop"
	case `"error"`:
		return "error"
	}
	return ""
}

// start reads the message that a stream begins with; at is where it stands in
// the event. ok is false when nothing is to be edited.
func (s *stream) start(message []byte, at int) (edit wire.Edit, ok bool) {
	a, _ := Messages{}.ScanAnswer(message)
	s.use(wire.Get(message, "usage"))
	if s.rename == nil || !a.ModelAt.Present() {
		return edit, false
	}
	return wire.Edit{At: wire.Span{From: at + a.ModelAt.From, To: at + a.ModelAt.To}, With: s.rename}, true
}

func (s *stream) use(value []byte) {
	if s.usage.Read(value) {
		s.p.Report(s.usage.Tokens())
		s.p.Tier = s.usage.Tier
	}
}

// output counts the text of a delta.
func (s *stream) output(delta []byte) {
	before := s.p.Text.Total()
	for name, v := range wire.Members(delta) {
		switch string(name) {
		case `"text"`, `"partial_json"`, `"thinking"`:
			if len(v) > 2 && v[0] == '"' {
				s.p.Text.Count(v[1 : len(v)-1])
			}
		}
	}
	if s.p.Text.Total() > before {
		s.p.Chunks++
	}
}

// ContentType implements wire.Stream.
func (*stream) ContentType() string { return "" }

// AppendEnd implements wire.Stream.
func (*stream) AppendEnd(out []byte) []byte { return out }

// AppendLengthEnd implements wire.Stream.
func (s *stream) AppendLengthEnd(out []byte, tokens *usage.Tokens) []byte {
	if s.open >= 0 {
		out = append(out, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":"...)
		out = strconv.AppendInt(out, s.open, 10)
		out = append(out, "}\n\n"...)
	}
	out = append(out, `event: message_delta`+"\n"+`data: {"type":"message_delta","delta":{"stop_reason":"max_tokens","stop_sequence":null},"usage":{"output_tokens":`...)
	if tokens != nil {
		out = strconv.AppendInt(out, tokens.Completion, 10)
	} else {
		out = append(out, '0')
	}
	return append(out, "}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"...)
}

// AppendFault implements wire.Stream.
func (*stream) AppendFault(out []byte, f *fault.Error, requestID string) []byte {
	out = append(out, "event: error\ndata: "...)
	out = append(out, Error(f, requestID)...)
	return append(out, "\n\n"...)
}
