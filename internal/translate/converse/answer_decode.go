package converse

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/translate/messages"
	"halley/internal/wire"
)

// DecodeAnswer implements translate.Upstream. The dialect's answers have no id
// and do not name the model.
func (Codec) DecodeAnswer(body []byte) (*translate.Answer, error) {
	r := jsonx.Read(body)
	a := &translate.Answer{From: translate.Converse}
	c := translate.Candidate{}
	found := false
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("output"):
			for r.Object(); r.Next('}'); {
				if !r.Is("message") {
					r.Skip()
					continue
				}
				found = true
				readMessage(r, &c)
			}
		case r.Is("stopReason"):
			c.StopWord = r.String()
		case r.Is("usage"):
			a.UsageRaw = r.Raw()
		case r.Is("serviceTier"):
			tier := member(r)
			a.ServiceTier = tierOf(tier.Value)
			a.Extra = append(a.Extra, tier)
		default:
			a.Extra = append(a.Extra, member(r))
		}
	}
	if err := r.End(); err != nil {
		return nil, fmt.Errorf("decode answer: %w", err)
	}
	if !found {
		return nil, errors.New("decode answer: it has no message")
	}
	c.Stop = stopOf(c.StopWord)
	inFormat(&c)
	if u, ok := tokens(a.UsageRaw); ok {
		a.Usage = &u
	}
	a.Candidates = []translate.Candidate{c}
	return a, nil
}

func readMessage(r *jsonx.Reader, c *translate.Candidate) {
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("role"):
			r.Skip()
		case r.Is("content"):
			c.Parts = readBlocks(r)
		default:
			c.Extra = append(c.Extra, member(r))
		}
	}
}

// inFormat puts the input of a tool with a reserved name in place of what is
// around it: that is the answer which must follow a schema.
func inFormat(c *translate.Candidate) {
	answer, called := -1, false
	for i, p := range c.Parts {
		call, ok := p.(*translate.ToolCall)
		if !ok || call.Server != "" {
			continue
		}
		text, ok := messages.AnswerText(call.Name, []byte(call.Args))
		if !ok {
			called = true
			continue
		}
		c.Parts[i], answer = &translate.Text{Text: text}, i
	}
	if answer < 0 {
		return
	}
	kept := c.Parts[:0]
	for i, p := range c.Parts {
		if _, words := p.(*translate.Text); !words || i == answer {
			kept = append(kept, p)
		}
	}
	c.Parts = kept
	if !called && c.Stop == translate.ToCallTools {
		c.Stop, c.StopWord = translate.EndOfTurn, "end_turn"
	}
}

// tierOf leaves out the words that stand for no certain price.
func tierOf(tier jsontext.Value) string {
	word := textOf(tier, "type")
	if word == "default" || word == "reserved" {
		return ""
	}
	return word
}

// stops are the stop reasons of Amazon's reference; the first of a Stop is the
// one that is written for it.
//
// https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseOutput.html
var stops = [...]struct {
	word string
	stop translate.Stop
}{
	{"end_turn", translate.EndOfTurn},
	{"tool_use", translate.ToCallTools},
	{"max_tokens", translate.AtMaxOutput},
	{"stop_sequence", translate.AtStopText},
	{"content_filtered", translate.Filtered},
	{"guardrail_intervened", translate.Filtered},
	{"model_context_window_exceeded", translate.AtContext},
	{"malformed_tool_use", translate.Broken},
	{"malformed_model_output", translate.Broken},
	{"refusal", translate.Refused}, // Anthropic's word, which its newer models are said to end with here as well
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
func stopWord(stop translate.Stop, word string, same bool) string {
	if same && word != "" {
		return word
	}
	if stop == translate.Refused {
		return "content_filtered"
	}
	for _, s := range stops {
		if s.stop == stop {
			return s.word
		}
	}
	return "end_turn"
}

// tokens is a usage object in Halley's terms: inputTokens are without those that
// caches were read from and written to, as with Anthropic.
func tokens(raw jsontext.Value) (u translate.Usage, ok bool) {
	var input, output, read, write, write1h wire.Count
	for name, v := range wire.Members(raw) {
		ok = true
		switch string(name) {
		case `"inputTokens"`:
			input.Read(v)
		case `"outputTokens"`:
			output.Read(v)
		case `"cacheReadInputTokens"`:
			read.Read(v)
		case `"cacheWriteInputTokens"`:
			write.Read(v)
		case `"cacheDetails"`:
			for d := range wire.Elements(v) {
				if textOf(d, "ttl") == "1h" {
					var one wire.Count
					one.Read(wire.Get(d, "inputTokens"))
					write1h.Tokens += one.Tokens
				}
			}
		}
	}
	u.CachedRead = read.Tokens
	u.CacheWrite1h = min(write1h.Tokens, write.Tokens)
	u.CacheWrite5m = write.Tokens - u.CacheWrite1h
	u.Prompt = input.Tokens + read.Tokens + write.Tokens
	u.Completion = output.Tokens
	return u, ok
}
