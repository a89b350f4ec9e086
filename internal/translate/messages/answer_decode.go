package messages

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
	"halley/internal/wire/anthropic"
)

// answerBody is a message: the answer, or what a stream begins with.
type answerBody struct {
	Type         string           `json:"type"`
	ID           string           `json:"id"`
	Role         string           `json:"role"`
	Model        string           `json:"model"`
	Content      []jsontext.Value `json:"content"`
	StopReason   string           `json:"stop_reason"`
	StopSequence string           `json:"stop_sequence"`
	Usage        jsontext.Value   `json:"usage"`
	Extra        jsontext.Value   `json:",embed"`
}

// DecodeAnswer implements translate.Upstream.
func (Codec) DecodeAnswer(body []byte) (*translate.Answer, error) {
	var b answerBody
	if err := jsonx.Decode(body, &b); err != nil {
		return nil, fmt.Errorf("decode message: %w", err)
	}
	if b.Type != "message" {
		return nil, errors.New("decode message: it is of another type: " + strconv.Quote(b.Type))
	}
	a := &translate.Answer{From: translate.Messages, ID: b.ID, Model: b.Model, Extra: extra(b.Extra)}
	var u anthropic.Usage
	if u.Read(b.Usage) {
		a.Usage, a.UsageRaw, a.ServiceTier = new(u.Tokens()), b.Usage, u.Tier
	}
	candidate, err := decodeCandidate(&b)
	if err != nil {
		return nil, fmt.Errorf("decode message: %w", err)
	}
	a.Candidates = []translate.Candidate{candidate}
	return a, nil
}

func decodeCandidate(b *answerBody) (translate.Candidate, error) {
	c := translate.Candidate{StopWord: b.StopReason, Stop: stopOf(b.StopReason), StopText: b.StopSequence}
	called, answered := false, -1
	for i, raw := range b.Content {
		part, err := decodeBlock("content."+strconv.Itoa(i), raw)
		if err != nil {
			return c, err
		}
		if call, ok := part.(*translate.ToolCall); ok && call.Server == "" {
			if isAnswerTool(call.Name) {
				part = &translate.Text{Text: answerText(call.Name, []byte(call.Args))}
				answered = len(c.Parts)
			} else {
				called = true
			}
		}
		c.Parts = append(c.Parts, part)
	}
	if answered >= 0 {
		c.Parts = onlyAnswer(c.Parts, answered)
		if !called && c.Stop == translate.ToCallTools {
			c.Stop, c.StopWord = translate.EndOfTurn, "end_turn"
		}
	}
	return c, nil
}

// onlyAnswer leaves out the words around an answer that must follow a schema.
func onlyAnswer(parts []translate.Part, answer int) []translate.Part {
	kept := parts[:0]
	for i, p := range parts {
		if _, words := p.(*translate.Text); !words || i == answer {
			kept = append(kept, p)
		}
	}
	return kept
}

// stops are the stop reasons of Anthropic's reference.
var stops = [...]struct {
	word string
	stop translate.Stop
}{
	{"end_turn", translate.EndOfTurn},
	{"stop_sequence", translate.AtStopText},
	{"max_tokens", translate.AtMaxOutput},
	{"model_context_window_exceeded", translate.AtContext},
	{"tool_use", translate.ToCallTools},
	{"refusal", translate.Refused},
	{"pause_turn", translate.Paused},
	{"compaction", translate.Paused}, // pause_after_compaction
}

func stopOf(word string) translate.Stop {
	for _, s := range stops {
		if s.word == word {
			return s.stop
		}
	}
	if word == "" {
		return translate.NotStopped
	}
	return translate.EndOfTurn
}

// stopWord is the reason that a client of this dialect gets.
func stopWord(stop translate.Stop, word string, same, called bool) string {
	switch {
	case same && word != "":
		return word
	case stop == translate.Filtered:
		return "refusal"
	case called && (stop == translate.EndOfTurn || stop == translate.NotStopped):
		return "tool_use" // some upstreams call a turn ended that waits for tools
	}
	for _, s := range stops {
		if s.stop == stop {
			return s.word
		}
	}
	return "end_turn"
}

// errBroken is what a client gets of output that its model spoiled: the dialect
// has no stop reason for that, and any would make it look whole.
var errBroken = errors.New("the model's output was unusable")

// writeUsage writes a usage object in the dialect's terms: the upstream's own
// words, or the input without what caches were read from and written to.
func writeUsage(w *jsonx.Writer, u *translate.Usage, raw jsontext.Value) {
	w.Name("usage")
	switch {
	case raw != nil:
		w.Out = append(w.Out, raw...)
		return
	case u == nil:
		u = &translate.Usage{}
	}
	written := u.CacheWrite5m + u.CacheWrite1h
	w.Open('{')
	w.Int("input_tokens", max(0, u.Prompt-u.CachedRead-written))
	w.Int("cache_creation_input_tokens", written)
	w.Int("cache_read_input_tokens", u.CachedRead)
	if written > 0 {
		w.Name("cache_creation")
		w.Open('{')
		w.Int("ephemeral_5m_input_tokens", u.CacheWrite5m)
		w.Int("ephemeral_1h_input_tokens", u.CacheWrite1h)
		w.Close('}')
	}
	w.Int("output_tokens", u.Completion)
	if u.Reasoning > 0 {
		w.Name("output_tokens_details")
		w.Open('{')
		w.Int("thinking_tokens", u.Reasoning)
		w.Close('}')
	}
	w.Close('}')
}

// merged is an object with the members of a later one in place of its
// own, as clients of a stream read usage.
func merged(old, later jsontext.Value) jsontext.Value {
	if len(old) <= 2 {
		return later.Clone()
	}
	var w jsonx.Writer
	w.Open('{')
	for name, v := range wire.Members(old) {
		if !wire.Find(later, wire.Text(name)).Present() {
			w.Raw(wire.Text(name), v)
		}
	}
	for name, v := range wire.Members(later) {
		w.Raw(wire.Text(name), v)
	}
	w.Close('}')
	return w.Out
}
