package demo

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"

	"halley/internal/jsonx"
)

// reply is what the demo says, before any cap: text, or calls of tools.
type reply struct {
	text  string
	calls []call
}

type call struct {
	name      string
	arguments string // JSON
}

func (q *chatRequest) reply() reply {
	if called := q.calledTools(); len(called) > 0 {
		var r reply
		for _, f := range called {
			r.calls = append(r.calls, call{name: f.Name, arguments: instance(f.Parameters, q.lastOf("user"))})
		}
		return r
	}
	text := say(q.lastOf("user"))
	if last := q.Messages[len(q.Messages)-1]; last.Role == "tool" {
		result, _ := contentOf(last.Content)
		text = "The tool answered: " + excerpt(result)
	}
	if f := q.ResponseFormat; f != nil {
		switch {
		case f.Type == "json_schema" && f.JSONSchema != nil:
			text = instance(f.JSONSchema.Schema, q.lastOf("user"))
		case f.Type == "json_object":
			text = object("answer", text)
		}
	}
	for _, stop := range q.stops() {
		if stop != "" {
			text, _, _ = strings.Cut(text, stop)
		}
	}
	return reply{text: text}
}

func object(name, text string) string {
	b, err := jsonx.Marshal(map[string]string{name: text})
	if err != nil {
		return "{}" // text that is no JSON string cannot come out of JSON
	}
	return string(b)
}

var (
	countTo  = regexp.MustCompile(`(?i)\bcount\b(?:[^0-9]*\b1\b)?[^0-9]*?\bto\s+([0-9]{1,4})\b`)
	sayAfter = regexp.MustCompile(`(?is)^\s*(?:please\s+)?(?:say|repeat|echo)(?:\s+after\s+me|\s+exactly|\s+this)*\s*(?::\s*(.+?)|["“](.+?)["”][.!]?)\s*$`)
	greeting = regexp.MustCompile(`(?i)^\s*(?:(?:please\s+)?say\s+)?(hi|hello|hey|good (?:morning|afternoon|evening)|greetings)\b`)
	comets   = regexp.MustCompile(`(?i)\bcomets?\b|\bhalley\b`)
	thanks   = regexp.MustCompile(`(?i)\bthank(s| you)\b`)
)

// say answers what somebody said.
func say(said string) string {
	quoted := "“" + excerpt(said) + "”"
	switch {
	case strings.TrimSpace(said) == "":
		return "You have not said anything yet. Whatever you write next, I will answer it."
	case countTo.MatchString(said):
		return numbersTo(countTo.FindStringSubmatch(said)[1])
	case sayAfter.MatchString(said):
		found := sayAfter.FindStringSubmatch(said)
		return cmp.Or(found[1], found[2])
	case comets.MatchString(said):
		return "You said: " + quoted + " My favourite subject! Halley's comet, after which I am named, comes by about every 76 years: it was here in 1986 and returns in 2061. " +
			"A comet is a lump of ice and dust; near the sun the ice turns to gas and drags the dust along, and that is the tail. " +
			"That is all a demo model knows, but every token of it was counted."
	case thanks.MatchString(said):
		return "You are welcome! You said " + quoted + ", and I was glad to read it."
	case greeting.MatchString(said):
		return "Hello! You said " + quoted + ". I am Halley's built-in demo model: no network, no provider account, " +
			"and yet every word of this answer went through authentication, limits, metering and billing like the real thing. How can I help?"
	case strings.HasSuffix(strings.TrimSpace(said), "?"):
		return "Good question. You asked: " + quoted + " I am only a demo model, so take this with a smile: the answer is most likely closer than you think. " +
			"What I know for certain is how many tokens it took to ask."
	}
	return "You said: " + quoted + " Thank you for trying Halley. I am its built-in demo model; I answer the same words to the same message every time, " +
		"and I count every token honestly."
}

// excerpt is the beginning of a long text, the whole of a short one.
func excerpt(text string) string {
	text = strings.TrimSpace(text)
	if pieces := tokens(text); len(pieces) > 200 {
		return strings.Join(pieces[:200], "") + "…"
	}
	return text
}

// numbersTo counts from one, as far as an answer reaches.
func numbersTo(last string) string {
	n, err := strconv.Atoi(last)
	if err != nil || n < 1 {
		return "There is nothing to count."
	}
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.Itoa(i + 1))
	}
	return b.String()
}
