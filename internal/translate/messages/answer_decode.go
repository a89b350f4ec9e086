package messages

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/wire"
	"halley/internal/wire/anthropic"
)

// message is the answer, or what a stream begins with.
type message struct {
	kind      string
	id, model string
	parts     []translate.Part
	stop      string
	stopText  string
	usage     jsontext.Value
	extra     translate.Extra
}

func readAnswer(r *jsonx.Reader) (m message) {
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("type"):
			m.kind = r.String()
		case r.Is("id"):
			m.id = r.String()
		case r.Is("role"):
			r.Skip()
		case r.Is("model"):
			m.model = r.String()
		case r.Is("content"):
			if r.Null() {
				continue
			}
			for r.Array(); r.Next(']'); {
				m.parts = append(m.parts, readBlock(r))
			}
		case r.Is("stop_reason"):
			m.stop = r.String()
		case r.Is("stop_sequence"):
			m.stopText = r.String()
		case r.Is("usage"):
			m.usage = r.Raw()
		default:
			m.extra = append(m.extra, member(r))
		}
	}
	return m
}

// DecodeAnswer implements translate.Upstream.
func (Codec) DecodeAnswer(body []byte) (*translate.Answer, error) {
	r := jsonx.Read(body)
	m := readAnswer(r)
	if err := r.End(); err != nil {
		return nil, fmt.Errorf("decode message: %w", err)
	}
	if m.kind != "message" {
		return nil, errors.New("decode message: it is of another type: " + strconv.Quote(m.kind))
	}
	a := &translate.Answer{From: translate.Messages, ID: m.id, Model: m.model, Extra: m.extra}
	var u anthropic.Usage
	if u.Read(m.usage) {
		a.Usage, a.UsageRaw, a.ServiceTier = new(u.Tokens()), m.usage, u.Tier
	}
	a.Candidates = []translate.Candidate{candidate(&m)}
	return a, nil
}

func candidate(m *message) translate.Candidate {
	c := translate.Candidate{StopWord: m.stop, Stop: stopOf(m.stop), StopText: m.stopText, Parts: m.parts}
	called, answer := false, -1
	for i, part := range c.Parts {
		call, ok := part.(*translate.ToolCall)
		switch {
		case !ok || call.Server != "":
		case isAnswerTool(call.Name):
			c.Parts[i] = &translate.Text{Text: answerText(call.Name, []byte(call.Args))}
			answer = i
		default:
			called = true
		}
	}
	if answer >= 0 {
		c.Parts = onlyAnswer(c.Parts, answer)
		if !called && c.Stop == translate.ToCallTools {
			c.Stop, c.StopWord = translate.EndOfTurn, "end_turn"
		}
	}
	return c
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
	// Some upstreams count what they wrote to a cache as read from it, too; the
	// parts must not add up to more than the prompt.
	read := min(u.CachedRead, u.Prompt)
	write1h := min(u.CacheWrite1h, u.Prompt-read)
	write5m := min(u.CacheWrite5m, u.Prompt-read-write1h)
	w.Open('{')
	w.Int("input_tokens", u.Prompt-read-write1h-write5m)
	w.Int("cache_creation_input_tokens", write5m+write1h)
	w.Int("cache_read_input_tokens", read)
	if write5m+write1h > 0 {
		w.Name("cache_creation")
		w.Open('{')
		w.Int("ephemeral_5m_input_tokens", write5m)
		w.Int("ephemeral_1h_input_tokens", write1h)
		w.Close('}')
	}
	w.Int("output_tokens", u.Completion)
	if u.Reasoning > 0 {
		w.Name("output_tokens_details")
		w.Open('{')
		w.Int("thinking_tokens", u.Reasoning)
		w.Close('}')
	}
	if u.Searches > 0 {
		w.Name("server_tool_use")
		w.Open('{')
		w.Int("web_search_requests", u.Searches)
		w.Close('}')
	}
	w.Close('}')
}

// merged is an object with the members of a later one in place of its
// own, as clients of a stream read usage.
func merged(old, later jsontext.Value) jsontext.Value {
	if len(old) <= 2 {
		return bytes.Clone(later)
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
