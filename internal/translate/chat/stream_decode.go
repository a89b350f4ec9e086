package chat

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

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
	args    []byte         // of the open call
	free    bool           // the open call takes free text
	waiting []waiting
	audio   *heard
}

// waiting is what has come in the middle of a call's arguments: of another call,
// or words. It is told behind the call.
type waiting struct {
	call int // the index of the call that it is of; -1 for anything else
	tell func() error
}

// maxWaiting bounds what waits.
const maxWaiting = 10_000

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
		if d.done || d.failed {
			return nil
		}
		for _, at := range slices.Sorted(maps.Keys(d.choices)) { // what no finish_reason has ended
			if err := d.choices[at].settle(at, emit); err != nil {
				return err
			}
		}
		d.done = true
		emit(translate.Event{Kind: translate.Done})
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
	if err := o.settle(c.Index, emit); err != nil {
		return err
	}
	o.stopped = true
	d.finished++
	emit(translate.Event{Kind: translate.Finish, Candidate: c.Index, Stop: stopOf(*c.FinishReason, o.called), StopWord: *c.FinishReason, Extra: translate.ExtraOf(c.Rest), From: translate.Chat})
	return nil
}

func (d *decoder) delta(at int, o *opened, m *message, emit func(translate.Event)) error {
	if thought := thoughtIn(m); thought != "" {
		if err := o.tell(func() error { return o.think(at, thought, emit) }); err != nil {
			return err
		}
	}
	if translate.Given(m.ReasoningDetails) && len(m.ReasoningDetails) > 2 {
		details := m.ReasoningDetails.Clone()
		if err := o.tell(func() error { return o.detail(at, details, emit) }); err != nil {
			return err
		}
	}
	if translate.Given(m.Content) && len(m.Content) > 2 {
		content := m.Content.Clone()
		if err := o.tell(func() error { return o.content(at, content, emit) }); err != nil {
			return err
		}
	}
	if m.Refusal != "" {
		o.open(at, refusalKind, &translate.Refusal{}, emit)
		emit(translate.Event{Kind: translate.TextDelta, Candidate: at, Text: m.Refusal})
	}
	if translate.Given(m.Audio) {
		if err := o.hear(m.Audio); err != nil {
			return err
		}
	}
	for _, image := range made(m.Images) {
		o.close(at, emit)
		emit(translate.Event{Kind: translate.Whole, Candidate: at, Part: image})
	}
	if list := citations(m.Annotations.Clone()); len(list) > 0 {
		if err := o.tell(func() error { return o.cite(at, list, emit) }); err != nil {
			return err
		}
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

// tell tells what is no call: now, or behind the call whose arguments are not
// whole yet. Some servers write an empty line or a proof of thoughts between
// them.
func (o *opened) tell(now func() error) error {
	if o.kind != callKind || o.whole() {
		return now()
	}
	return o.wait(-1, func() error { return o.tell(now) })
}

func (o *opened) wait(call int, tell func() error) error {
	if len(o.waiting) == maxWaiting {
		return errors.New("read a chat chunk: too much has come in the middle of a tool call")
	}
	o.waiting = append(o.waiting, waiting{call, tell})
	return nil
}

// whole says whether the open call may be at its end. All of its arguments are
// read only when they end as a JSON value does: this is asked for each piece.
func (o *opened) whole() bool {
	if o.free {
		return true
	}
	args := bytes.TrimRight(o.args, " \t\r\n")
	return len(args) > 0 && bytes.IndexByte([]byte(`}]"el0123456789`), args[len(args)-1]) >= 0 && jsontext.Value(args).IsValid()
}

// resume tells what has waited for the open call, which it ends.
func (o *opened) resume(at int, emit func(translate.Event)) error {
	list := o.waiting
	o.waiting = nil
	o.close(at, emit)
	for _, w := range list {
		if err := w.tell(); err != nil {
			return err
		}
	}
	return nil
}

// settle ends what is open of a choice.
func (o *opened) settle(at int, emit func(translate.Event)) error {
	for len(o.waiting) > 0 {
		if err := o.resume(at, emit); err != nil {
			return err
		}
	}
	o.close(at, emit)
	if o.audio != nil {
		emit(translate.Event{Kind: translate.Whole, Candidate: at, Part: &translate.Other{Kind: audioPart, Raw: o.audio.whole()}})
		o.audio = nil
	}
	return nil
}

// speech is what the model has said aloud, which comes in pieces.
type speech struct {
	ID         string         `json:"id,omitzero"`
	Data       string         `json:"data,omitzero"` // base64 of whole bytes
	Transcript string         `json:"transcript,omitzero"`
	ExpiresAt  jsontext.Value `json:"expires_at,omitzero"`
}

// heard are its pieces so far.
type heard struct {
	last             speech
	data, transcript []byte
}

// maxHeard bounds the pieces, in bytes: some twenty minutes of sound.
const maxHeard = 64 << 20

func (h *heard) whole() jsontext.Value {
	return marshal(&speech{ID: h.last.ID, Data: string(h.data), Transcript: string(h.transcript), ExpiresAt: h.last.ExpiresAt})
}

func (o *opened) hear(v jsontext.Value) error {
	var piece speech
	if jsonx.Unmarshal(v, &piece) != nil || piece.ID+piece.Data+piece.Transcript == "" && piece.ExpiresAt == nil {
		return nil // some servers have an empty one in every chunk
	}
	if o.audio == nil {
		o.audio = &heard{}
	}
	h := o.audio
	if len(h.data)+len(h.transcript)+len(piece.Data)+len(piece.Transcript) > maxHeard {
		return errors.New("read a chat chunk: too much was said aloud")
	}
	h.data, h.transcript = append(h.data, piece.Data...), append(h.transcript, piece.Transcript...)
	h.last.ID = cmp.Or(piece.ID, h.last.ID)
	if translate.Given(piece.ExpiresAt) {
		h.last.ExpiresAt = piece.ExpiresAt.Clone()
	}
	return nil
}

func (o *opened) cite(at int, list []translate.Citation, emit func(translate.Event)) error {
	o.open(at, textKind, &translate.Text{}, emit)
	for i := range list {
		emit(translate.Event{Kind: translate.CiteDelta, Candidate: at, Citation: &list[i]})
	}
	return nil
}

func (o *opened) think(at int, thought string, emit func(translate.Event)) error {
	o.thought = true
	o.open(at, thinkingKind, &translate.Thinking{Origin: translate.Chat}, emit)
	emit(translate.Event{Kind: translate.TextDelta, Candidate: at, Text: thought})
	return nil
}

func (o *opened) detail(at int, list jsontext.Value, emit func(translate.Event)) error {
	o.open(at, thinkingKind, &translate.Thinking{Origin: translate.Chat}, emit)
	o.details = joinLists(o.details, list)
	if o.thought { // they repeat it
		return nil
	}
	if thought := joined(list); thought != "" {
		emit(translate.Event{Kind: translate.TextDelta, Candidate: at, Text: thought})
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
// new id begins a new call. Some write the arguments of several calls in turn:
// one call is told after the other.
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
	open := o.kind == callKind
	waits := slices.ContainsFunc(o.waiting, func(w waiting) bool { return w.call == index })
	switch {
	case open && o.call == index && !fresh && !waits:
	case open && (waits || !o.whole()):
		later := *t
		return o.wait(index, func() error { return d.call(at, o, &later, place, emit) })
	case o.calls[index] && !fresh && args == "":
		return nil // nothing more of a call that is whole
	case o.calls[index] && !fresh:
		return errors.New("read a chat chunk: the arguments of two tool calls are mixed up")
	default:
		o.close(at, emit)
		o.kind, o.call, o.called = callKind, index, true
		o.calls[index], o.ids[t.ID] = true, true
		o.args, o.free = o.args[:0], own
		part := &translate.ToolCall{ID: t.ID, Name: name, Custom: own}
		if part.ID == "" {
			part.ID = madeID(d.id, index)
		}
		if t.Extra != nil {
			part.Signature = t.Extra.Google.ThoughtSignature
		}
		emit(translate.Event{Kind: translate.PartBegin, Candidate: at, Part: part})
	}
	if args == "" {
		return nil
	}
	o.args = append(o.args, args...)
	emit(translate.Event{Kind: translate.TextDelta, Candidate: at, Text: args})
	if len(o.waiting) > 0 && o.whole() {
		return o.resume(at, emit)
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
