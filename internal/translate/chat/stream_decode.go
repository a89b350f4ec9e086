package chat

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
	"halley/internal/wire/openai"
)

// DecodeStream implements translate.Upstream.
func (Codec) DecodeStream() translate.StreamDecoder { return &decoder{} }

// decoder reads one stream.
type decoder struct {
	id       string
	begun    bool
	done     bool
	failed   bool
	finished int
	choices  map[int]*opened
}

// opened is what is open of a choice.
type opened struct {
	kind    partKind
	call    int // the index of the open tool call
	calls   map[int]bool
	ids     map[string]bool // of calls
	called  bool
	stopped bool
	thought bool           // thoughts have come as text
	details jsontext.Value // reasoning_details so far
}

type partKind uint8

const (
	noPart partKind = iota
	textKind
	thinkingKind
	refusalKind
	callKind
)

// Decode implements translate.StreamDecoder.
func (d *decoder) Decode(_ string, data []byte, emit func(translate.Event)) error {
	data = bytes.TrimSpace(data)
	if string(data) == "[DONE]" {
		if !d.done && !d.failed {
			d.done = true
			emit(translate.Event{Kind: translate.Done})
		}
		return nil
	}
	if len(data) == 0 {
		return nil
	}
	if d.quick(data, emit) {
		return nil
	}
	var chunk answer
	if err := jsonx.Unmarshal(data, &chunk); err != nil {
		return fmt.Errorf("read a chat chunk: %w", err)
	}
	if translate.Given(chunk.Error) {
		f := Codec{}.DecodeFailure(500, data)
		if f.Status = 500; f.Code == "429" {
			f.Status, f.Kind = 429, translate.RateLimited
		}
		d.failed = true
		emit(translate.Event{Kind: translate.Fault, Failure: &f})
		return nil
	}
	if !d.begun && (len(chunk.Choices) > 0 || chunk.ID != "") {
		d.begun, d.id = true, chunk.ID
		emit(translate.Event{Kind: translate.Begin, ID: chunk.ID, Model: chunk.Model, Created: int64(chunk.Created), From: translate.Chat, Extra: translate.ExtraOf(chunk.Rest)})
	}
	for i := range chunk.Choices {
		if err := d.choice(&chunk.Choices[i], emit); err != nil {
			return err
		}
	}
	use := chunk.Usage
	if !translate.Given(use) { // Groq
		use = jsontext.Value(wire.Find(chunk.Rest, "x_groq").Of(chunk.Rest))
		use = jsontext.Value(wire.Get(use, "usage"))
	}
	if !translate.Given(use) && len(chunk.Choices) > 0 { // Moonshot
		use = jsontext.Value(wire.Get(chunk.Choices[len(chunk.Choices)-1].Rest, "usage"))
	}
	if u, ok := openai.ParseUsage(use); ok {
		u.Searches = openai.SearchesOf(chunk.Model)
		emit(translate.Event{Kind: translate.Use, Usage: &u, UsageRaw: use.Clone(), Tier: chunk.ServiceTier, From: translate.Chat})
	}
	return nil
}

// quick reads a chunk that brings nothing but more words or thoughts of one
// choice, which most do, without decoding it. What is anything else it leaves.
func (d *decoder) quick(data []byte, emit func(translate.Event)) bool {
	if !d.begun {
		return false
	}
	var choices []byte
	for name, v := range wire.Members(data) {
		switch string(name) {
		case `"choices"`:
			choices = v
		case `"usage"`, `"x_groq"`, `"error"`:
			if v[0] != 'n' {
				return false
			}
		}
	}
	if len(choices) < 2 || choices[0] != '[' {
		return false
	}
	one := bytes.TrimSpace(choices[1 : len(choices)-1])
	members, ok := jsonx.Walk(one)
	if !ok {
		return false
	}
	index, delta := 0, []byte(nil)
	for {
		name, at, more := members.Next()
		if !more {
			break
		}
		v := one[at.From:at.To]
		switch string(one[name.From:name.To]) {
		case `"index"`:
			if len(v) != 1 {
				return false
			}
			index = int(v[0] - '0')
		case `"delta"`:
			delta = v
		case `"finish_reason"`, `"logprobs"`:
			if v[0] != 'n' {
				return false
			}
		}
	}
	if end, whole := members.Close(); !whole || end != len(one)-1 { // there are others
		return false
	}
	return d.quickDelta(index, delta, emit)
}

// quickDelta is quick for the delta of a choice that has begun.
func (d *decoder) quickDelta(index int, delta []byte, emit func(translate.Event)) bool {
	var words, thoughts []byte
	for name, v := range wire.Members(delta) {
		switch string(name) {
		case `"content"`:
			words = v
		case `"reasoning_content"`:
			thoughts = v
		case `"role"`:
		default:
			if v[0] != 'n' {
				return false
			}
		}
	}
	o := d.choices[index]
	said := func(v []byte) bool { return len(v) > 2 && v[0] == '"' }
	switch {
	case o == nil || o.stopped:
		return false
	case said(words) && !said(thoughts) && o.kind == textKind:
		emit(translate.Event{Kind: translate.TextDelta, Candidate: index, Text: wire.Text(words)})
	case said(thoughts) && !said(words) && o.kind == thinkingKind && len(o.details) == 0:
		emit(translate.Event{Kind: translate.TextDelta, Candidate: index, Text: wire.Text(thoughts)})
	default:
		return false
	}
	return true
}

func (d *decoder) choice(c *choice, emit func(translate.Event)) error {
	if d.choices == nil {
		d.choices = map[int]*opened{}
	}
	o := d.choices[c.Index]
	if o == nil {
		o = &opened{calls: map[int]bool{}, ids: map[string]bool{}}
		d.choices[c.Index] = o
	}
	if m := c.Delta; m != nil {
		if err := d.delta(c.Index, o, m, emit); err != nil {
			return err
		}
	}
	if translate.Given(c.Logprobs) {
		if tokens := wire.Find(c.Logprobs, "content").Of(c.Logprobs); len(tokens) > 2 && tokens[0] == '[' {
			emit(translate.Event{Kind: translate.LogprobsDelta, Candidate: c.Index, Raw: jsontext.Value(tokens).Clone()})
		}
	}
	if c.FinishReason == nil || *c.FinishReason == "" || *c.FinishReason == "null" || o.stopped {
		return nil
	}
	o.close(c.Index, emit)
	o.stopped = true
	d.finished++
	emit(translate.Event{Kind: translate.Finish, Candidate: c.Index, Stop: stopOf(*c.FinishReason, o.called), StopWord: *c.FinishReason, Extra: translate.ExtraOf(c.Rest), From: translate.Chat})
	return nil
}

func (d *decoder) delta(at int, o *opened, m *message, emit func(translate.Event)) error {
	if thought := thoughtIn(m); thought != "" {
		o.thought = true
		o.open(at, thinkingKind, &translate.Thinking{Origin: translate.Chat}, emit)
		emit(translate.Event{Kind: translate.TextDelta, Candidate: at, Text: thought})
	}
	if translate.Given(m.ReasoningDetails) && len(m.ReasoningDetails) > 2 {
		o.open(at, thinkingKind, &translate.Thinking{Origin: translate.Chat}, emit)
		o.details = joinLists(o.details, m.ReasoningDetails)
		if !o.thought { // else they repeat it
			if thought := joined(m.ReasoningDetails); thought != "" {
				emit(translate.Event{Kind: translate.TextDelta, Candidate: at, Text: thought})
			}
		}
	}
	if translate.Given(m.Content) && len(m.Content) > 2 {
		if err := o.content(at, m.Content, emit); err != nil {
			return err
		}
	}
	if m.Refusal != "" {
		o.open(at, refusalKind, &translate.Refusal{}, emit)
		emit(translate.Event{Kind: translate.TextDelta, Candidate: at, Text: m.Refusal})
	}
	for _, image := range made(m.Images) {
		o.close(at, emit)
		emit(translate.Event{Kind: translate.Whole, Candidate: at, Part: image})
	}
	for _, c := range citations(m.Annotations) {
		o.open(at, textKind, &translate.Text{}, emit)
		emit(translate.Event{Kind: translate.CiteDelta, Candidate: at, Citation: &c})
	}
	if m.FunctionCall.called() {
		if err := d.call(at, o, &toolCall{Function: m.FunctionCall, Index: new(0)}, 0, emit); err != nil {
			return err
		}
	}
	for i := range m.ToolCalls {
		if err := d.call(at, o, &m.ToolCalls[i], i, emit); err != nil {
			return err
		}
	}
	return nil
}

func thoughtIn(m *message) string {
	if t := text(m.ReasoningContent); t != "" {
		return t
	}
	return text(m.Reasoning)
}

// content takes words, or Mistral's list of parts.
func (o *opened) content(at int, v jsontext.Value, emit func(translate.Event)) error {
	if v[0] == '"' {
		o.open(at, textKind, &translate.Text{}, emit)
		emit(translate.Event{Kind: translate.TextDelta, Candidate: at, Text: text(v)})
		return nil
	}
	parts, err := contents(place{"delta", -1}, v)
	if err != nil {
		return err
	}
	for _, p := range parts {
		switch p := p.(type) {
		case *translate.Text:
			o.open(at, textKind, &translate.Text{}, emit)
			emit(translate.Event{Kind: translate.TextDelta, Candidate: at, Text: p.Text})
		case *translate.Thinking:
			o.open(at, thinkingKind, &translate.Thinking{Origin: translate.Chat}, emit)
			emit(translate.Event{Kind: translate.TextDelta, Candidate: at, Text: p.Text})
		default:
			o.close(at, emit)
			emit(translate.Event{Kind: translate.Whole, Candidate: at, Part: p})
		}
	}
	return nil
}

// call takes a fragment of a tool call. Some servers leave out the index; then a
// new id begins a new call.
func (d *decoder) call(at int, o *opened, t *toolCall, place int, emit func(translate.Event)) error {
	index := place
	switch {
	case t.Index != nil:
		index = *t.Index
	case t.ID != "":
		index = len(o.calls)
	case o.kind == callKind:
		index = o.call
	}
	name, args, own := "", "", false
	if t.Function != nil {
		name, args = t.Function.Name, string(t.Function.Arguments)
	}
	if t.Custom != nil && (t.Custom.Name != "" || t.Custom.Input != "") {
		name, args, own = t.Custom.Name, t.Custom.Input, true
	}
	// Some servers give all calls the same index.
	fresh := o.calls[index] && t.ID != "" && !o.ids[t.ID] && name != ""
	switch {
	case o.kind == callKind && o.call == index && !fresh:
	case o.calls[index] && !fresh:
		return errors.New("read a chat chunk: the arguments of two tool calls are mixed up")
	default:
		o.close(at, emit)
		o.kind, o.call, o.called = callKind, index, true
		o.calls[index], o.ids[t.ID] = true, true
		part := &translate.ToolCall{ID: t.ID, Name: name, Custom: own}
		if part.ID == "" {
			part.ID = madeID(d.id, index)
		}
		if t.Extra != nil {
			part.Signature = t.Extra.Google.ThoughtSignature
		}
		emit(translate.Event{Kind: translate.PartBegin, Candidate: at, Part: part})
	}
	if args != "" {
		emit(translate.Event{Kind: translate.TextDelta, Candidate: at, Text: args})
	}
	return nil
}

// open makes the open part one of the kind.
func (o *opened) open(at int, kind partKind, part translate.Part, emit func(translate.Event)) {
	if o.kind == kind {
		return
	}
	o.close(at, emit)
	o.kind = kind
	emit(translate.Event{Kind: translate.PartBegin, Candidate: at, Part: part})
}

func (o *opened) close(at int, emit func(translate.Event)) {
	if o.kind == noPart {
		return
	}
	if o.kind == thinkingKind && len(o.details) > 2 {
		emit(translate.Event{Kind: translate.SignDelta, Candidate: at, Text: string(o.details)})
		o.details = nil
	}
	o.kind = noPart
	emit(translate.Event{Kind: translate.PartEnd, Candidate: at})
}

// End implements translate.StreamDecoder. Servers that leave out [DONE] are
// taken at their finish_reasons.
func (d *decoder) End(emit func(translate.Event)) error {
	if d.done || d.failed {
		return nil
	}
	if d.finished == 0 || d.finished < len(d.choices) {
		return errors.New("the stream ended without a finish_reason")
	}
	d.done = true
	emit(translate.Event{Kind: translate.Done})
	return nil
}
