// Package openai is the OpenAI dialect on the wire: what a request asks for,
// what an answer and a stream's chunks say about usage, and the shape of
// errors. Facts are from OpenAI's published API reference and from recorded
// traffic of the servers that speak the dialect. It does no I/O.
package openai

import (
	"bytes"

	"halley/internal/jsonx"
	"halley/internal/wire"
)

// Head is what routing, holding and editing need of a request body.
type Head struct {
	wire.Head                 // Cap: of max_tokens and max_completion_tokens the larger, as some servers go by the one and do not know the other
	ModelAt         wire.Span // the value with its quotes
	MaxTokensAt     wire.Span
	MaxCompletionAt wire.Span // max_completion_tokens
	// StreamOptions says where to put stream_options.include_usage.
	StreamOptions   objectState
	StreamOptionsAt wire.Span // the value
	IncludeUsageAt  wire.Span // the value inside it
	Close           int       // offset of the closing brace
}

// Facts implements wire.Request.
func (h *Head) Facts() *wire.Head { return &h.Head }

// objectState tells what an optional object holds.
type objectState uint8

const (
	objectAbsent objectState = iota // missing or null
	objectEmpty
	objectFilled
)

// names are the members that decide what a request may do and costs. A body in
// which one of them stands in other letter case is refused: some upstreams
// match names without regard to case and would take the other one.
var names = [...]string{"model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "best_of", "service_tier"}

// mediaNames are the members that carry a picture, a sound or a file.
var mediaNames = [...]string{`"image_url"`, `"input_audio"`, `"file"`}

// ScanRequest reads the head of a chat, completion or embeddings request
// without decoding the rest, which is checked for being JSON. What is wrong is a
// fault of kind Malformed with the code invalid_request and the member.
func ScanRequest(body []byte) (Head, error) {
	h := Head{Head: wire.Head{Choices: 1}}
	members, ok := jsonx.Walk(body)
	if !ok {
		return h, wire.Invalid("", "The body must be a JSON object in UTF-8.")
	}
	members.Watch(mediaNames[:])
	var seen uint
	var input, messages bool
	for {
		at, valueAt, more := members.Next()
		if !more {
			break
		}
		name := body[at.From:at.To]
		switch string(name) {
		case `"user"`:
			h.EndUser = wire.Text(body[valueAt.From:valueAt.To])
			continue
		case `"input"`:
			input = true
		case `"messages"`:
			messages = true
		case `"web_search_options"`:
			if body[valueAt.From] == '{' {
				h.Searches += wire.AssumedSearches
			}
			continue
		case `"tools"`: // of Responses bodies that came here
			h.Searches += wire.SearchTools(body[valueAt.From:valueAt.To])
			continue
		case `"prompt_cache_key"`:
			h.CacheKeyAt = wire.Span(valueAt)
			continue
		case `"metadata"`:
			h.MetadataAt = wire.Span(valueAt)
			continue
		}
		which, err := member(name)
		if err != nil {
			return h, err
		}
		if which < 0 {
			continue
		}
		if seen&(1<<which) != 0 {
			return h, wire.Invalid(names[which], "%s is given twice.", names[which])
		}
		seen |= 1 << which
		if err := h.take(names[which], body[valueAt.From:valueAt.To], wire.Span(valueAt)); err != nil {
			return h, err
		}
	}
	if h.Close, ok = members.Close(); !ok {
		return h, wire.NotJSON()
	}
	if !h.ModelAt.Present() {
		return h, wire.Invalid("model", "model is required.")
	}
	h.Media, h.Foreign = members.Seen(), input && !messages
	return h, nil
}

// member finds name among names; -1 when it is none of them.
func member(name []byte) (int, error) {
	plain := name[1 : len(name)-1]
	if bytes.IndexByte(plain, '\\') >= 0 {
		plain = []byte(wire.Text(name))
	}
	if len(plain) > longestName {
		return -1, nil
	}
	for i, known := range names {
		if string(plain) == known {
			return i, nil
		}
		if len(plain) == len(known) && bytes.EqualFold(plain, []byte(known)) {
			return -1, wire.Invalid(known, "%s must be written in lower case, not %q.", known, plain)
		}
	}
	return -1, nil
}

// longestName is the length of max_completion_tokens.
const longestName = 21

func (h *Head) take(name string, value []byte, at wire.Span) error {
	null := value[0] == 'n'
	switch name {
	case "model":
		if value[0] != '"' {
			return wire.Invalid("model", "model must be a string.")
		}
		h.Model, h.ModelAt = wire.Text(value), at
		if h.Model == "" {
			return wire.Invalid("model", "model must not be empty.")
		}
	case "stream":
		if !null && value[0] != 't' && value[0] != 'f' {
			return wire.Invalid("stream", "stream must be true or false.")
		}
		h.Stream = value[0] == 't'
	case "stream_options":
		h.StreamOptionsAt = at
		if null {
			return nil
		}
		if value[0] != '{' {
			return wire.Invalid("stream_options", "stream_options must be an object.")
		}
		return h.takeStreamOptions(value, at.From)
	case "service_tier":
		h.ServiceTier = wire.Text(value)
	case "max_tokens", "max_completion_tokens", "n", "best_of":
		if null {
			if name == "max_tokens" {
				h.MaxTokensAt = at
			} else if name == "max_completion_tokens" {
				h.MaxCompletionAt = at
			}
			return nil
		}
		v, err := wire.Limit(name, value)
		if err != nil {
			return err
		}
		switch name {
		case "n", "best_of": // of which all are paid for
			h.Choices = max(h.Choices, min(v, wire.MaxChoices))
		case "max_tokens":
			h.Cap, h.MaxTokensAt = max(h.Cap, v), at
		default:
			h.Cap, h.MaxCompletionAt = max(h.Cap, v), at
		}
	}
	return nil
}

func (h *Head) takeStreamOptions(value []byte, from int) error {
	h.StreamOptions = objectEmpty
	members, _ := jsonx.Walk(value)
	for {
		name, at, more := members.Next()
		if !more {
			return nil
		}
		h.StreamOptions = objectFilled
		if wire.Text(value[name.From:name.To]) != "include_usage" {
			continue
		}
		if h.IncludeUsageAt.Present() {
			return wire.Invalid("stream_options.include_usage", "stream_options.include_usage is given twice.")
		}
		h.IncludeUsage = value[at.From] == 't'
		h.IncludeUsageAt = wire.Span{From: from + at.From, To: from + at.To}
	}
}
