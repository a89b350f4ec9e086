// Package openai is the OpenAI dialect on the wire: what a request asks for,
// what an answer and a stream's chunks say about usage, and the shape of
// errors. Facts are from OpenAI's published API reference and from recorded
// traffic of the servers that speak the dialect. It does no I/O.
package openai

import (
	"bytes"
	"fmt"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/fault"
	"halley/internal/wire"
)

// Head is what routing, holding and editing need of a request body.
type Head struct {
	Model           string
	ModelAt         wire.Span // the value with its quotes
	Stream          bool
	MaxTokens       int64 // 0 when not given
	MaxTokensAt     wire.Span
	MaxCompletion   int64 // max_completion_tokens, 0 when not given
	MaxCompletionAt wire.Span
	Choices         int64 // n, at least 1
	ServiceTier     string
	EndUser         string
	// IncludeUsage is stream_options.include_usage; the spans say where to put it.
	IncludeUsage    bool
	StreamOptions   objectState
	StreamOptionsAt wire.Span // the value
	IncludeUsageAt  wire.Span // the value inside it
	Close           int       // offset of the closing brace
	Media           int       // parts that are not text, at most
}

// objectState tells what an optional object holds.
type objectState uint8

const (
	objectAbsent objectState = iota // missing or null
	objectEmpty
	objectFilled
)

// Cap is the output cap asked for, per choice; 0 when none is.
func (h *Head) Cap() int64 {
	if h.MaxCompletion > 0 {
		return h.MaxCompletion
	}
	return h.MaxTokens
}

// names are the members that decide what a request may do and costs. A body in
// which one of them stands in other letter case is refused: some upstreams
// match names without regard to case and would take the other one.
var names = [...]string{"model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "service_tier"} //nolint:gochecknoglobals // a constant table

// ScanRequest reads the head of a chat, completion or embeddings request
// without decoding the rest, which is checked for being JSON. What is wrong is a
// fault of kind Malformed with the code invalid_request and the member.
func ScanRequest(body []byte) (Head, error) {
	h := Head{Choices: 1}
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true))
	if dec.PeekKind() != '{' {
		return h, invalid("", "The body must be a JSON object.")
	}
	if _, err := dec.ReadToken(); err != nil {
		return h, notJSON()
	}
	var seen uint
	for dec.PeekKind() == '"' {
		name, err := dec.ReadValue()
		if err != nil {
			return h, notJSON()
		}
		which := -1
		if len(name) <= len(`"max_completion_tokens"`) || bytes.IndexByte(name, '\\') >= 0 {
			if which, err = member(name); err != nil {
				return h, err
			}
		}
		if which >= 0 {
			if seen&(1<<which) != 0 {
				return h, invalid(names[which], "%s is given twice.", names[which])
			}
			seen |= 1 << which
		}
		if which < 0 && !bytes.Equal(name, []byte(`"user"`)) {
			if err := dec.SkipValue(); err != nil {
				return h, notJSON()
			}
			continue
		}
		value, err := dec.ReadValue()
		if err != nil {
			return h, notJSON()
		}
		end := int(dec.InputOffset())
		span := wire.Span{From: end - len(value), To: end}
		if err := h.take(which, value, span); err != nil {
			return h, err
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return h, notJSON()
	}
	h.Close = int(dec.InputOffset()) - 1
	if len(bytes.TrimSpace(body[h.Close+1:])) > 0 {
		return h, notJSON()
	}
	if !h.ModelAt.Present() {
		return h, invalid("model", "model is required.")
	}
	h.Media = bytes.Count(body, []byte(`"image_url"`)) + bytes.Count(body, []byte(`"input_audio"`)) + bytes.Count(body, []byte(`"file"`))
	return h, nil
}

// member finds name among names; -1 when it is none of them.
func member(name []byte) (int, error) {
	text, err := jsontext.AppendUnquote(nil, name)
	if err != nil {
		return -1, notJSON()
	}
	for i, known := range names {
		if string(text) == known {
			return i, nil
		}
		if bytes.EqualFold(text, []byte(known)) {
			return -1, invalid(known, "%s must be written in lower case, not %q.", known, text)
		}
	}
	return -1, nil
}

func (h *Head) take(which int, value []byte, at wire.Span) error {
	null := value[0] == 'n'
	if which < 0 { // user
		h.EndUser = text(value)
		return nil
	}
	name := names[which]
	switch name {
	case "model":
		if value[0] != '"' {
			return invalid("model", "model must be a string.")
		}
		h.Model, h.ModelAt = text(value), at
		if h.Model == "" {
			return invalid("model", "model must not be empty.")
		}
	case "stream":
		if !null && value[0] != 't' && value[0] != 'f' {
			return invalid("stream", "stream must be true or false.")
		}
		h.Stream = value[0] == 't'
	case "stream_options":
		h.StreamOptionsAt = at
		if null {
			return nil
		}
		if value[0] != '{' {
			return invalid("stream_options", "stream_options must be an object.")
		}
		return h.takeStreamOptions(value, at.From)
	case "service_tier":
		h.ServiceTier = text(value)
	case "max_tokens", "max_completion_tokens", "n":
		if null {
			if name == "max_tokens" {
				h.MaxTokensAt = at
			} else if name == "max_completion_tokens" {
				h.MaxCompletionAt = at
			}
			return nil
		}
		v, err := positive(name, value)
		if err != nil {
			return err
		}
		switch name {
		case "n":
			h.Choices = v
		case "max_tokens":
			h.MaxTokens, h.MaxTokensAt = v, at
		default:
			h.MaxCompletion, h.MaxCompletionAt = v, at
		}
	}
	return nil
}

func (h *Head) takeStreamOptions(value []byte, from int) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(value))
	if _, err := dec.ReadToken(); err != nil {
		return notJSON()
	}
	h.StreamOptions = objectEmpty
	for dec.PeekKind() == '"' {
		h.StreamOptions = objectFilled
		name, err := dec.ReadValue()
		if err != nil {
			return invalid("stream_options", "stream_options has a member twice or is not valid.")
		}
		mine := string(name) == `"include_usage"`
		v, err := dec.ReadValue()
		if err != nil {
			return notJSON()
		}
		if mine {
			end := int(dec.InputOffset())
			h.IncludeUsage = v[0] == 't'
			h.IncludeUsageAt = wire.Span{From: from + end - len(v), To: from + end}
		}
	}
	return nil
}

// positive reads a count: a whole number of at least 1.
func positive(name string, value []byte) (int64, error) {
	if value[0] == '"' || value[0] == '{' || value[0] == '[' || value[0] == 't' || value[0] == 'f' {
		return 0, invalid(name, "%s must be a whole number.", name)
	}
	v, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(string(value), 64)
		if ferr != nil || f != math.Trunc(f) || f > 1<<53 || f < -(1<<53) {
			return 0, invalid(name, "%s must be a whole number.", name)
		}
		v = int64(f)
	}
	if v < 1 || v > 1<<40 {
		return 0, invalid(name, "%s must be between 1 and %d.", name, int64(1)<<40)
	}
	return v, nil
}

// text is the string in a JSON value; "" when it is not a string.
func text(value []byte) string {
	if len(value) < 2 || value[0] != '"' {
		return ""
	}
	out, err := jsontext.AppendUnquote(nil, value)
	if err != nil {
		return ""
	}
	return string(out)
}

// Quote is s as a JSON string.
func Quote(s string) []byte {
	out, err := jsontext.AppendQuote(nil, s)
	if err != nil { // not UTF-8; the scan refuses that
		return []byte(fmt.Sprintf("%q", s))
	}
	return out
}

func invalid(param, format string, args ...any) error {
	return fault.New(fault.Malformed, "invalid_request", format, args...).Field(param)
}

func notJSON() error { return invalid("", "The body is not valid JSON in UTF-8.") }
