// Package responses is OpenAI's Responses dialect, as OpenAI, Azure and the
// servers that took it over speak it. Facts are from OpenAI's published API
// reference and from recorded traffic.
package responses

import (
	"errors"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/internal/wire"
)

// Codec is the dialect; it has no state.
type Codec struct{}

var _ translate.Codec = Codec{}

// The types of items that the neutral form has words for.
const (
	messageItem     = "message"
	reasoningItem   = "reasoning"
	functionCall    = "function_call"
	functionOutput  = "function_call_output"
	customCall      = "custom_tool_call"
	customOutput    = "custom_tool_call_output"
	webSearchCall   = "web_search_call"
	interpreterCall = "code_interpreter_call"
	fileSearchCall  = "file_search_call"
	mcpCall         = "mcp_call"
	xSearchCall     = "x_search_call" // xAI's
	imageCall       = "image_generation_call"
	reference       = "item_reference"
	toolSearchCall  = "tool_search_call"
	toolSearchFound = "tool_search_output"
	moreTools       = "additional_tools"
)

// What a request names that is kept at OpenAI and stands for messages: a template,
// a conversation, a response. Each is a part of a system message, since a request
// without would be another.
const (
	keptPrompt       = "prompt"
	keptConversation = "conversation"
	keptResponse     = "previous_response_id"
)

// Marks in an Extra, which are no members of the wire: the item of a call that
// the provider ran, or that a message was read from an item that is none; what a
// message of an answer says besides its content, which each of its parts has;
// and that a message is the request's instructions.
const (
	mark             = "hly."
	rawItem          = mark + "item"
	itemHead         = mark + "head"
	instructionsMark = mark + "instructions"
	bareThoughts     = mark + "bare"
)

// item is an item of an input or an output: the members of all kinds that the
// neutral form has words for. Its values are parts of the text that it was read
// from.
type item struct {
	Type      string
	ID        string
	Role      string
	Content   jsontext.Value // a string or a list of parts
	CallID    string
	Name      jsontext.Value
	Arguments jsontext.Value // a string; some kinds have an object
	Input     jsontext.Value
	Output    jsontext.Value // a string or a list of parts
	Summary   jsontext.Value
	Encrypted string // encrypted_content
	Rest      translate.Extra
}

// readItem reads an item; at is its path. An error is a *translate.Malformed.
func readItem(at string, raw jsontext.Value) (it item, err error) {
	err = readObject(at, raw, func(name string, v jsontext.Value) (*string, *jsontext.Value) {
		switch name {
		case "type":
			return &it.Type, nil
		case "id":
			return &it.ID, nil
		case "role":
			return &it.Role, nil
		case "call_id":
			return &it.CallID, nil
		case "encrypted_content":
			return &it.Encrypted, nil
		case "content":
			return nil, &it.Content
		case "name":
			return nil, &it.Name
		case "arguments":
			return nil, &it.Arguments
		case "input":
			return nil, &it.Input
		case "output":
			return nil, &it.Output
		case "summary":
			return nil, &it.Summary
		}
		it.Rest = append(it.Rest, translate.Member{Name: name, Value: v})
		return nil, nil
	})
	return it, err
}

// part is a content part.
type part struct {
	Type        string
	Text        string
	Refusal     string
	ImageURL    jsontext.Value // a string; Chat's object is understood
	Detail      string
	FileID      string
	FileData    string
	FileURL     string
	Filename    string
	Annotations jsontext.Value
	Logprobs    jsontext.Value
	Rest        translate.Extra
}

// readPart reads a content part, as readItem reads an item.
func readPart(at string, raw jsontext.Value) (p part, err error) {
	err = readObject(at, raw, func(name string, v jsontext.Value) (*string, *jsontext.Value) {
		switch name {
		case "type":
			return &p.Type, nil
		case "text":
			return &p.Text, nil
		case "refusal":
			return &p.Refusal, nil
		case "detail":
			return &p.Detail, nil
		case "file_id":
			return &p.FileID, nil
		case "file_data":
			return &p.FileData, nil
		case "file_url":
			return &p.FileURL, nil
		case "filename":
			return &p.Filename, nil
		case "image_url":
			return nil, &p.ImageURL
		case "annotations":
			return nil, &p.Annotations
		case "logprobs":
			return nil, &p.Logprobs
		}
		p.Rest = append(p.Rest, translate.Member{Name: name, Value: v})
		return nil, nil
	})
	return p, err
}

// readObject gives each member of an object to where it belongs: a string, which
// may be null, or any value.
func readObject(at string, raw jsontext.Value, to func(name string, v jsontext.Value) (*string, *jsontext.Value)) error {
	members, ok := jsonx.Walk(raw)
	if !ok {
		return translate.Malform(at, "%s must be an object.", at)
	}
	for {
		nameAt, valueAt, more := members.Next()
		if !more {
			break
		}
		name, v := wire.Text(raw[nameAt.From:nameAt.To]), raw[valueAt.From:valueAt.To:valueAt.To]
		word, value := to(name, v)
		switch {
		case value != nil:
			*value = v
		case word == nil || v[0] == 'n':
		case v[0] != '"':
			return translate.Malform(at+"."+name, "%s.%s must be a string.", at, name)
		default:
			*word = text(v)
		}
	}
	if _, ok := members.Close(); !ok {
		return translate.Malform(at, "%s is not valid JSON.", at)
	}
	return nil
}

// annotation says where words come from.
type annotation struct {
	Type  string `json:"type"`
	Start int    `json:"start_index"`
	End   int    `json:"end_index"`
	URL   string `json:"url"`
	Title string `json:"title"`
}

// response is a whole answer, and what some events carry.
type response struct {
	ID                string           `json:"id"`
	CreatedAt         jsontext.Value   `json:"created_at"` // some servers write a fraction
	Model             string           `json:"model"`
	Status            string           `json:"status"`
	Output            []jsontext.Value `json:"output"`
	Usage             jsontext.Value   `json:"usage"`
	ServiceTier       string           `json:"service_tier"`
	Error             jsontext.Value   `json:"error"`
	IncompleteDetails jsontext.Value   `json:"incomplete_details"`
	Rest              jsontext.Value   `json:",embed"`
}

// stop is why the response has ended.
func (r *response) stop(calls bool) translate.Stop {
	switch r.Status {
	case "incomplete":
		if member(r.IncompleteDetails, "reason") == "content_filter" {
			return translate.Filtered
		}
		return translate.AtMaxOutput
	case "queued", "in_progress":
		return translate.NotStopped
	case "failed", "cancelled":
		return translate.Broken
	}
	if calls {
		return translate.ToCallTools
	}
	return translate.EndOfTurn
}

// extra is what of the response the neutral form has no place for.
func (r *response) extra() translate.Extra {
	e := translate.ExtraOf(r.Rest)
	for _, m := range []translate.Member{{Name: "error", Value: r.Error}, {Name: "incomplete_details", Value: r.IncompleteDetails}} {
		if translate.Given(m.Value) {
			e = append(e, m)
		}
	}
	return e
}

// statusOf is the dialect's status for a stop, and why it is incomplete.
func statusOf(s translate.Stop) (status, incomplete string) {
	switch s {
	case translate.AtMaxOutput, translate.AtContext:
		return "incomplete", "max_output_tokens"
	case translate.Filtered, translate.Refused: // the model's own refusal that is part of the answer is no stop
		return "incomplete", "content_filter"
	case translate.NotStopped, translate.EndOfTurn, translate.AtStopText, translate.ToCallTools, translate.Paused, translate.Broken:
	}
	return "completed", ""
}

// errBroken is output that its model spoiled: no response says so and is one.
var errBroken = errors.New("the model's output was not usable")

// DecodeFailure implements translate.Upstream: the shape is that of Chat.
func (Codec) DecodeFailure(status int, body []byte) translate.Failure {
	f := chat.Codec{}.DecodeFailure(status, body)
	f.Origin = translate.Responses
	return f
}

// EncodeFailure implements translate.Client.
func (Codec) EncodeFailure(f translate.Failure, requestID string) []byte {
	return chat.Codec{}.EncodeFailure(f, requestID)
}

// text is what a JSON string holds; "" for anything else.
func text(v jsontext.Value) string { return wire.Text(v) }

// find is a member's value; nil when there is none.
func find(object jsontext.Value, name string) jsontext.Value {
	at := wire.Find(object, name)
	if !at.Present() {
		return nil
	}
	return object[at.From:at.To]
}

// member is a member that is a string.
func member(object jsontext.Value, name string) string { return text(find(object, name)) }

// list is the elements of a JSON list, parts of the text; nil for anything else.
func list(v jsontext.Value) (elements []jsontext.Value) {
	w, ok := jsonx.WalkList(v)
	if !ok {
		return nil
	}
	for {
		_, at, more := w.Next()
		if !more {
			return elements
		}
		elements = append(elements, v[at.From:at.To:at.To])
	}
}

// with is e with one more member, when there is something to say.
func with(e translate.Extra, name string, v jsontext.Value) translate.Extra {
	if !translate.Given(v) {
		return e
	}
	return append(e, translate.Member{Name: name, Value: v})
}
