package responses

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
	"halley/internal/wire/openai"
)

// DecodeStream implements translate.Upstream.
func (Codec) DecodeStream() translate.StreamDecoder { return &decoder{} }

// decoder reads one stream. One item is open at a time: the API writes them one
// after the other. Events of another wait until it is done.
type decoder struct {
	begun, done, failed bool
	seen                bool // parts have come
	calls               bool // the client is to run something
	item                openItem
	waiting             [][]byte
}

// maxWaiting bounds the events that wait.
const maxWaiting = 10_000

// openItem is the item that is open, and what of it is.
type openItem struct {
	on     bool
	index  jsontext.Value // output_index, as written; nil with servers that leave it out
	kind   string
	head   jsontext.Value // with a message
	open   openPart
	said   []byte // what has come of the open part
	id     string // with thoughts, which begin with their first words
	spoke  bool   // parts of the message, or thoughts, have come
	cited  int    // annotations of the open part that have come
	probed bool   // log probabilities of the open part have come
}

type openPart uint8

const (
	nothing openPart = iota
	words
	refusal
	thoughts
	arguments
)

// event is an event, as its members are written.
type event struct {
	kind, delta, text, item, part, response, annotation, logprobs, index, error, whole jsontext.Value
}

// read takes the members that say something apart.
func (e *event) read(data []byte) bool {
	members, ok := jsonx.Walk(data)
	if !ok {
		return false
	}
	for {
		name, at, more := members.Next()
		if !more {
			_, ok := members.Close()
			return ok
		}
		v := jsontext.Value(data[at.From:at.To])
		switch string(data[name.From:name.To]) {
		case `"type"`:
			e.kind = v
		case `"delta"`:
			e.delta = v
		case `"text"`, `"refusal"`, `"arguments"`, `"input"`:
			e.text = v
		case `"item"`:
			e.item = v
		case `"part"`:
			e.part = v
		case `"response"`:
			e.response = v
		case `"annotation"`:
			e.annotation = v
		case `"logprobs"`:
			e.logprobs = v
		case `"output_index"`:
			e.index = v
		case `"error"`:
			e.error = v
		}
	}
}

// Decode implements translate.StreamDecoder. The events are told by their type,
// which stands in the data too.
func (d *decoder) Decode(_ string, data []byte, emit func(translate.Event)) error {
	data = bytes.TrimSpace(data)
	if len(data) == 0 || string(data) == "[DONE]" || d.done || d.failed { // some servers send Chat's end too
		return nil
	}
	var e event
	if !e.read(data) {
		return errors.New("read an event of a response: it is not JSON")
	}
	e.whole = data
	if d.item.on && e.index != nil && d.item.index != nil && !bytes.Equal(e.index, d.item.index) {
		if len(d.waiting) == maxWaiting {
			return errors.New("read an event of a response: too many are of an item that is not the open one")
		}
		d.waiting = append(d.waiting, bytes.Clone(data))
		return nil
	}
	kind, ok := strings.CutPrefix(text(e.kind), "response.")
	switch {
	case !ok && kind == "error", !ok && kind == "" && translate.Given(e.error):
		d.fail(failureOf(e.whole), emit)
		return nil
	case !ok:
		if kind == "keepalive" {
			emit(translate.Event{Kind: translate.Ping})
		}
		return nil
	}
	switch kind {
	case "created", "queued", "in_progress":
		return d.begin(e.response, emit)
	case "output_item.added":
		return d.added(&e, emit)
	case "output_item.done":
		if err := d.ended(&e, emit); err != nil {
			return err
		}
		return d.resume(emit)
	case "completed", "incomplete":
		return d.finish(e.response, emit)
	case "failed", "cancelled":
		d.fail(failureOf(e.response), emit)
		return nil
	}
	return d.inside(kind, &e, emit)
}

// inside takes an event of the open item.
func (d *decoder) inside(kind string, e *event, emit func(translate.Event)) error {
	switch kind {
	case "content_part.added", "reasoning_summary_part.added":
		return d.partAdded(e, emit)
	case "content_part.done":
		return d.partEnded(e, emit)
	case "output_text.delta":
		if err := d.words(words, e, e.delta, emit); err != nil {
			return err
		}
		d.logprobs(e.logprobs, emit)
	case "output_text.done":
		return d.remains(words, e, e.text, emit)
	case "output_text.annotation.added":
		if err := d.words(words, e, nil, emit); err != nil {
			return err
		}
		d.cite(e.annotation, emit)
	case "refusal.delta":
		return d.words(refusal, e, e.delta, emit)
	case "refusal.done":
		return d.remains(refusal, e, e.text, emit)
	case "reasoning_text.delta", "reasoning.delta":
		d.think(true, emit)
		return d.words(thoughts, e, e.delta, emit)
	case "reasoning_summary_text.delta", "reasoning_summary.delta":
		d.think(false, emit)
		return d.words(thoughts, e, e.delta, emit)
	case "function_call_arguments.delta", "custom_tool_call_input.delta":
		return d.words(arguments, e, e.delta, emit)
	case "function_call_arguments.done", "custom_tool_call_input.done":
		if d.item.open != arguments {
			return nil
		}
		return d.remains(arguments, e, e.text, emit)
	}
	return nil // of tools that the provider runs: their items say it all at their end
}

// begin tells of the response, once.
func (d *decoder) begin(v jsontext.Value, emit func(translate.Event)) error {
	if d.begun {
		return nil
	}
	var r response
	if err := jsonx.Unmarshal(v, &r); err != nil {
		return fmt.Errorf("read a response: %w", err)
	}
	d.start(&r, emit)
	return nil
}

func (d *decoder) start(r *response, emit func(translate.Event)) {
	if d.begun {
		return
	}
	d.begun = true
	emit(translate.Event{Kind: translate.Begin, ID: r.ID, Model: r.Model, Created: seconds(r.CreatedAt), From: translate.Responses, Extra: r.extra()})
}

// added opens an item.
func (d *decoder) added(e *event, emit func(translate.Event)) error {
	d.close(emit)
	raw := e.item.Clone()
	it, err := readItem("item", raw)
	if err != nil {
		return err
	}
	d.item = openItem{on: true, index: e.index.Clone(), kind: it.Type, said: d.item.said[:0]}
	switch it.Type {
	case messageItem:
		it.Rest = unfinished(it.Rest)
		d.item.head = it.head()
	case reasoningItem:
		d.item.id = it.ID
	case functionCall, customCall:
		d.item.open, d.calls = arguments, true
		it.Rest = unfinished(it.Rest)
		p, err := it.part("item", raw)
		if call, ok := p.(*translate.ToolCall); ok {
			call.Args = "" // which come with deltas, or at the end
		}
		emit(translate.Event{Kind: translate.PartBegin, Part: p})
		return err
	}
	return nil
}

// unfinished leaves out the status of an item that is added, which is not the
// one that it will have.
func unfinished(rest translate.Extra) translate.Extra {
	return slices.DeleteFunc(rest, func(m translate.Member) bool { return m.Name == "status" })
}

// partAdded opens a part of a message, or begins another part of a summary.
func (d *decoder) partAdded(e *event, emit func(translate.Event)) error {
	switch kind := member(e.part, "type"); {
	case d.item.kind == reasoningItem:
		d.think(kind == "reasoning_text", emit)
		if len(d.item.said) > 0 {
			d.item.said = d.item.said[:0]
			emit(translate.Event{Kind: translate.TextDelta, Text: thoughtBreak, Extra: translate.Extra{{Name: summaryBreak, Value: jsontext.Value("true")}}})
		}
		return d.words(thoughts, e, find(e.part, "text"), emit)
	case kind == "output_text":
		d.closePart(emit)
		return d.words(words, e, find(e.part, "text"), emit)
	case kind == "refusal":
		d.closePart(emit)
		return d.words(refusal, e, find(e.part, "refusal"), emit)
	}
	return nil
}

// summaryBreak marks the delta that stands between the parts of a summary.
const summaryBreak = mark + "break"

// words takes text of a part, which it opens where the server has not said so.
func (d *decoder) words(part openPart, e *event, said jsontext.Value, emit func(translate.Event)) error {
	if d.item.open != part {
		if part == thoughts || part == arguments || d.item.on && d.item.kind != messageItem {
			return errors.New("read an event of a response: its item was not added")
		}
		d.closePart(emit)
		if !d.item.on {
			d.item = openItem{on: true, index: e.index.Clone(), kind: messageItem, said: d.item.said[:0]}
		}
		d.item.open, d.item.spoke = part, true
		p := translate.Part(&translate.Text{})
		if part == refusal {
			p = &translate.Refusal{}
		}
		if d.item.head != nil {
			putHead(p, d.item.head)
		}
		emit(translate.Event{Kind: translate.PartBegin, Part: p})
	}
	d.seen = true
	if t := text(said); t != "" {
		d.item.said, d.item.spoke = append(d.item.said, t...), true
		emit(translate.Event{Kind: translate.TextDelta, Text: t})
	}
	return nil
}

// remains takes the whole text of the open part, of which the deltas may have
// brought less: with some servers nothing.
func (d *decoder) remains(part openPart, e *event, whole jsontext.Value, emit func(translate.Event)) error {
	var said []byte
	if d.item.open == part {
		said = d.item.said
	}
	all := text(whole)
	if len(all) <= len(said) || all[:len(said)] != string(said) {
		return nil
	}
	return d.words(part, e, wire.Quote(all[len(said):]), emit)
}

// think begins the thoughts of the open item; bare ones are no summary.
func (d *decoder) think(bare bool, emit func(translate.Event)) {
	if d.item.kind != reasoningItem || d.item.open == thoughts {
		return
	}
	d.item.open = thoughts
	t := &translate.Thinking{ID: d.item.id, Origin: translate.Responses}
	if bare {
		t.Extra = translate.Extra{{Name: bareThoughts, Value: jsontext.Value("true")}}
	}
	emit(translate.Event{Kind: translate.PartBegin, Part: t})
}

func (d *decoder) logprobs(v jsontext.Value, emit func(translate.Event)) {
	if len(v) > 2 && v[0] == '[' {
		d.item.probed = true
		emit(translate.Event{Kind: translate.LogprobsDelta, Raw: v.Clone()})
	}
}

func (d *decoder) cite(v jsontext.Value, emit func(translate.Event)) {
	d.item.cited++
	c := citation(v.Clone())
	emit(translate.Event{Kind: translate.CiteDelta, Citation: &c})
}

// partEnded closes a part of a message with what has not come of it before.
func (d *decoder) partEnded(e *event, emit func(translate.Event)) error {
	if d.item.kind == reasoningItem {
		return nil
	}
	if err := d.rest(e.part, e, emit); err != nil {
		return err
	}
	d.closePart(emit)
	return nil
}

// rest tells what a whole part of a message has and no delta brought.
func (d *decoder) rest(v jsontext.Value, e *event, emit func(translate.Event)) error {
	switch member(v, "type") {
	case "refusal":
		return d.remains(refusal, e, find(v, "refusal"), emit)
	case "output_text":
		if err := d.remains(words, e, find(v, "text"), emit); err != nil {
			return err
		}
		cited := list(find(v, "annotations"))
		for _, c := range cited[min(d.item.cited, len(cited)):] {
			d.cite(c, emit)
		}
		if !d.item.probed {
			d.logprobs(find(v, "logprobs"), emit)
		}
	}
	return nil
}

// closePart ends the open part.
func (d *decoder) closePart(emit func(translate.Event)) {
	if d.item.open != nothing {
		emit(translate.Event{Kind: translate.PartEnd})
	}
	d.item.open, d.item.said, d.item.cited, d.item.probed = nothing, d.item.said[:0], 0, false
}

// close ends the open item, of which no end has come.
func (d *decoder) close(emit func(translate.Event)) {
	d.closePart(emit)
	d.item = openItem{said: d.item.said[:0]}
}

// resume takes the events that have waited for the open item to be done.
func (d *decoder) resume(emit func(translate.Event)) error {
	waiting := d.waiting
	d.waiting = nil
	for _, data := range waiting {
		if err := d.Decode("", data, emit); err != nil {
			return err
		}
	}
	return nil
}

// ended closes an item with what has not come of it before.
func (d *decoder) ended(e *event, emit func(translate.Event)) error {
	raw := e.item.Clone()
	it, err := readItem("item", raw)
	if err != nil {
		return err
	}
	defer d.close(emit)
	if !d.item.on || d.item.kind != it.Type {
		d.close(emit)
		return d.whole(raw, emit)
	}
	switch it.Type {
	case messageItem:
		if !d.item.spoke {
			return d.whole(raw, emit)
		}
	case reasoningItem:
		d.seen = true
		t := it.thinking(nil)
		d.think(len(t.Summary) == 0 && t.Text != "", emit)
		if !d.item.spoke && t.Text != "" {
			emit(translate.Event{Kind: translate.TextDelta, Text: t.Text})
		}
		if t.Signature != "" {
			emit(translate.Event{Kind: translate.SignDelta, Text: t.Signature})
		}
	case functionCall, customCall:
		d.seen = true
		p, err := it.part("item", raw)
		if err != nil {
			return err
		}
		if call, ok := p.(*translate.ToolCall); ok {
			return d.remains(arguments, e, wire.Quote(call.Args), emit)
		}
	default:
		return d.whole(raw, emit)
	}
	return nil
}

// whole tells of an item that has come at once.
func (d *decoder) whole(raw jsontext.Value, emit func(translate.Event)) error {
	parts, err := outputParts("item", raw)
	if err != nil {
		return err
	}
	for _, p := range parts {
		d.seen = true
		d.calls = d.calls || clientRuns(p)
		emit(translate.Event{Kind: translate.Whole, Part: p})
		if t, ok := p.(*translate.Text); ok {
			d.logprobs(t.Extra.Get("logprobs"), emit)
		}
	}
	return nil
}

// finish tells how the response ended, and what it says where no events have.
func (d *decoder) finish(v jsontext.Value, emit func(translate.Event)) error {
	d.close(emit)
	for len(d.waiting) > 0 { // of items whose ends have not come
		if err := d.resume(emit); err != nil {
			return err
		}
		d.close(emit)
	}
	var r response
	if err := jsonx.Unmarshal(v, &r); err != nil {
		return fmt.Errorf("read a response: %w", err)
	}
	d.start(&r, emit)
	if !d.seen {
		for _, raw := range r.Output {
			if err := d.whole(raw, emit); err != nil {
				return err
			}
		}
	}
	emit(translate.Event{Kind: translate.Finish, Stop: r.stop(d.calls), StopWord: r.Status, Extra: r.extra(), From: translate.Responses})
	use := translate.Event{Kind: translate.Use, Tier: r.ServiceTier, From: translate.Responses}
	if u, ok := openai.ResponsesUsage(r.Usage); ok {
		u.Searches = r.searches()
		use.Usage, use.UsageRaw = &u, r.Usage
		emit(use)
	}
	d.done = true
	emit(translate.Event{Kind: translate.Done})
	return nil
}

func (d *decoder) fail(f translate.Failure, emit func(translate.Event)) {
	d.failed = true
	emit(translate.Event{Kind: translate.Fault, Failure: &f})
}

// failureOf is what an error event or a failed response says. The event has its
// members at the top, or below error as OpenAI writes it.
func failureOf(v jsontext.Value) translate.Failure {
	body := []byte(v)
	if inner := find(v, "error"); !translate.Given(inner) {
		var w jsonx.Writer
		w.Open('{')
		w.Raw("error", v)
		w.Close('}')
		body = w.Out
	}
	f := Codec{}.DecodeFailure(500, body)
	switch f.Code {
	case "rate_limit_exceeded", "429":
		f.Status = 429
	case "insufficient_quota":
		f.Status = 429
	case "context_length_exceeded", "invalid_prompt", "invalid_image", "content_policy_violation":
		f.Status = 400
	}
	f.Kind = translate.KindOf(f.Status)
	if f.Type == "error" || f.Type == "response" { // that of the event
		f.Type = ""
	}
	return f
}

// End implements translate.StreamDecoder.
func (d *decoder) End(func(translate.Event)) error {
	if d.done || d.failed {
		return nil
	}
	return errors.New("the stream ended without response.completed")
}
