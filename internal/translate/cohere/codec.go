// Package cohere is Cohere's chat dialect, POST /v2/chat, between its wire shapes
// and the neutral conversation: requests, answers, streams and errors, for clients
// and for upstreams. Facts are from Cohere's API reference, its own clients and
// recorded traffic. It does no I/O.
//
// Conventions of its own:
//
//   - What the model plans before it calls tools (tool_plan) is a Thinking whose
//     signature is the word tool_plan. Beside it stand the thoughts of reasoning
//     models. Both come back to Cohere, through clients of other dialects too.
//   - The documents of a request, and its options that nobody else has, are Extra.
//   - Cohere bills less than it counts: see wire/cohere.
package cohere

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
)

// Codec knows the dialect; it has no state.
type Codec struct{}

var _ translate.Codec = Codec{}

// planMark is the signature of a Thinking that is a tool_plan.
const planMark = "tool_plan"

// stops are the finish reasons of Cohere's reference that end an answer.
var stops = [...]struct {
	word string
	stop translate.Stop
}{
	{"COMPLETE", translate.EndOfTurn},
	{"STOP_SEQUENCE", translate.AtStopText},
	{"MAX_TOKENS", translate.AtMaxOutput},
	{"TOOL_CALL", translate.ToCallTools},
	{"ERROR_LIMIT", translate.AtContext},
	{"ERROR_TOXIC", translate.Filtered},
	{"ERROR", translate.Broken},
	{"TIMEOUT", translate.Broken},
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

func stopWord(from translate.Dialect, stop translate.Stop, own string) string {
	if from == translate.Cohere && own != "" {
		return own
	}
	for _, s := range stops {
		if s.stop == stop {
			return s.word
		}
	}
	if stop == translate.Refused {
		return "ERROR_TOXIC"
	}
	return "COMPLETE"
}

// failed reports whether a finish reason says that there is no answer.
func failed(word string) bool { return word == "ERROR" || word == "TIMEOUT" }

// member is the member that comes, for an Extra.
func member(r *jsonx.Reader) translate.Member {
	return translate.Member{Name: r.Name(), Value: r.Value()}
}

func writeExtra(w *jsonx.Writer, e translate.Extra) {
	for _, m := range e {
		w.Raw(m.Name, m.Value)
	}
}

// readStrings is a list of strings; null is none.
func readStrings(r *jsonx.Reader) (list []string) {
	if r.Null() {
		return nil
	}
	for r.Array(); r.Next(']'); {
		list = append(list, r.String())
	}
	return list
}

// object is JSON text that is an object; Cohere writes null for no arguments.
func object(args string) string {
	if text := strings.TrimSpace(args); text == "" || text == "null" {
		return "{}"
	}
	return args
}

// call is a tool call on the wire.
type call struct {
	id, name, args string
	extra          translate.Extra
}

// readCall reads a tool call, or a piece of one.
func readCall(r *jsonx.Reader) (c call) {
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("id"):
			c.id = r.String()
		case r.Is("type"):
			r.Skip() // there are only functions
		case r.Is("function"):
			for r.Object(); r.Next('}'); {
				switch {
				case r.Is("name"):
					c.name = r.String()
				case r.Is("arguments"):
					c.args = r.String()
				default:
					r.Skip()
				}
			}
		default:
			c.extra = append(c.extra, member(r))
		}
	}
	return c
}

func (c call) part() *translate.ToolCall {
	return &translate.ToolCall{ID: c.id, Name: c.name, Args: object(c.args), Extra: c.extra}
}

func writeCall(w *jsonx.Writer, p *translate.ToolCall, args string, same bool) {
	w.Open('{')
	w.Text("id", p.ID)
	w.Text("type", "function")
	w.Name("function")
	w.Open('{')
	w.Text("name", p.Name)
	w.Text("arguments", args)
	w.Close('}')
	if same {
		writeExtra(w, p.Extra)
	}
	w.Close('}')
}

// decodeCitation reads a citation of the answer's words. content says whether it
// is of its text, and not of its plan.
func decodeCitation(raw jsontext.Value) (c translate.Citation, index int64, content bool) {
	c.Raw, content = raw, true
	r := jsonx.Read(raw)
	for r.Object(); r.Next('}'); {
		switch {
		case r.Is("start"):
			c.Start = int(r.Int())
		case r.Is("end"):
			c.End = int(r.Int())
		case r.Is("content_index"):
			index = r.Int()
		case r.Is("type"):
			content = r.String() != "PLAN"
		case r.Is("sources") && r.Kind() == '[':
			for r.Array(); r.Next(']'); {
				readSource(r, &c)
			}
		default:
			r.Skip()
		}
	}
	return c, index, content
}

// readSource takes of a citation's first sources what other dialects say: where
// the words are from. The rest is in Raw.
func readSource(r *jsonx.Reader, c *translate.Citation) {
	set := func(to *string) {
		if r.Kind() != '"' {
			r.Skip()
			return
		}
		if text := r.String(); *to == "" {
			*to = text
		}
	}
	for r.Object(); r.Next('}'); {
		if !(r.Is("document") || r.Is("tool_output")) || r.Kind() != '{' {
			r.Skip()
			continue
		}
		for r.Object(); r.Next('}'); {
			switch {
			case r.Is("url"):
				set(&c.URL)
			case r.Is("title"):
				set(&c.Title)
			case r.Is("text"), r.Is("snippet"), r.Is("content"):
				set(&c.Quote)
			default:
				r.Skip()
			}
		}
	}
}

// writeCitation writes a citation of the answer's text in the dialect's words.
func writeCitation(w *jsonx.Writer, c *translate.Citation, from translate.Dialect, text string, index int) {
	if from == translate.Cohere && c.Raw != nil {
		w.Value(c.Raw)
		return
	}
	w.Open('{')
	w.Int("start", int64(c.Start))
	w.Int("end", int64(c.End))
	w.Text("text", between(text, c.Start, c.End))
	w.Name("sources")
	w.Open('[')
	w.Open('{')
	w.Text("type", "document")
	w.Name("document")
	w.Open('{')
	w.TextIf("url", c.URL)
	w.TextIf("title", c.Title)
	w.TextIf("text", c.Quote)
	w.Close('}')
	w.Close('}')
	w.Close(']')
	w.Text("type", "TEXT_CONTENT")
	if index > 0 {
		w.Int("content_index", int64(index))
	}
	w.Close('}')
}

// between is a range of a text, in runes.
func between(text string, from, to int) string {
	runes := []rune(text)
	from = max(0, min(from, len(runes)))
	return string(runes[from:max(from, min(to, len(runes)))])
}
