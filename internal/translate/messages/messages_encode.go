package messages

import (
	"encoding/base64"
	"strings"

	"halley/internal/translate"
)

func encodeURL(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// turn is a message as it will be written: in this dialect what a tool said and
// what the user says are one message, as are an assistant's thoughts, words and
// calls.
type turn struct {
	role  translate.Role
	parts []translate.Part
	extra translate.Extra
}

// writeMessages writes system and messages.
func (e *encoder) writeMessages() error {
	system, rest := e.split()
	if err := e.writeSystem(system); err != nil {
		return err
	}
	turns := e.turns(rest)
	e.w.Name("messages")
	e.w.Open('[')
	for i := range turns {
		if err := e.writeTurn(&turns[i], i == len(turns)-1); err != nil {
			return err
		}
	}
	e.w.Close(']')
	return nil
}

// split takes the system's words out of the conversation. Those that stand in
// the middle stay where the model hears them there, behind a user and before an
// assistant or the end; else they join the others at the front, as Anthropic's
// own layer for OpenAI clients has it. A conversation of nothing but system text
// becomes the user's: the dialect demands a message.
func (e *encoder) split() (system []translate.Part, rest []translate.Message) {
	all := e.c.Messages
	if e.same {
		if len(all) > 0 && all[0].Role == translate.System {
			return all[0].Parts, all[1:]
		}
		return nil, all
	}
	rest = make([]translate.Message, 0, len(all))
	for i, m := range all {
		switch {
		case m.Role == translate.User || m.Role == translate.Assistant:
			rest = append(rest, m)
		case e.model.hearsSystem() && len(rest) > 0 && rest[len(rest)-1].Role == translate.User &&
			(i == len(all)-1 || all[i+1].Role == translate.Assistant):
			rest = append(rest, m)
		default:
			system = append(system, m.Parts...)
		}
	}
	if len(rest) == 0 {
		return nil, []translate.Message{{Role: translate.User, Parts: system}}
	}
	return system, rest
}

func (e *encoder) writeSystem(parts []translate.Part) error {
	parts = e.sayable(parts, false)
	if e.format.words != "" {
		parts = append(parts, &translate.Text{Text: e.format.words})
	}
	if len(parts) == 0 {
		return nil
	}
	e.w.Name("system")
	e.w.Open('[')
	for _, p := range parts {
		if err := e.writePart(p); err != nil {
			return err
		}
	}
	e.w.Close(']')
	return nil
}

// turns joins messages of the same role and leaves out what is empty.
func (e *encoder) turns(messages []translate.Message) []turn {
	turns := make([]turn, 0, len(messages))
	for i := range messages {
		m := &messages[i]
		role := m.Role
		if role == translate.Developer {
			role = translate.System
		}
		if e.same {
			turns = append(turns, turn{role, m.Parts, m.Extra})
			continue
		}
		if m.Name != "" {
			e.c.DropField("messages.name")
		}
		parts := e.sayable(m.Parts, role == translate.Assistant && i == len(messages)-1)
		if len(parts) == 0 {
			continue
		}
		if last := len(turns) - 1; last >= 0 && turns[last].role == role {
			turns[last].parts = append(turns[last].parts, parts...)
			continue
		}
		turns = append(turns, turn{role: role, parts: parts})
	}
	if !e.same {
		for i := range turns {
			turns[i].parts = ResultsFirst(turns[i].parts)
		}
	}
	return turns
}

// sayable is Sayable for this request. Where the upstream is to go on with the
// parts they may not think without thinking being on.
func (e *encoder) sayable(parts []translate.Part, last bool) []translate.Part {
	if e.same {
		return parts
	}
	return Sayable(e.c, parts, last, func(t *translate.Thinking) bool {
		return signed(t) && (!last || e.thinking.on()) && e.model.thinks()
	})
}

// Sayable is what can be said of the parts to Claude, and to what is asked like
// it: without empty texts, which the API refuses, without tools that a provider
// ran, and without thoughts that the model does not know. Last says that the
// upstream is to go on with them: then they must not end in white space.
func Sayable(c *translate.Conversation, parts []translate.Part, last bool, knows func(*translate.Thinking) bool) []translate.Part {
	kept := make([]translate.Part, 0, len(parts))
	for i, p := range parts {
		switch p := p.(type) {
		case *translate.Text:
			if strings.TrimSpace(p.Text) == "" {
				continue
			}
			if last && i == len(parts)-1 {
				trimmed := *p
				trimmed.Text = strings.TrimRight(p.Text, " \t\r\n")
				kept = append(kept, &trimmed)
				continue
			}
		case *translate.Refusal:
			if strings.TrimSpace(p.Text) == "" {
				continue
			}
		case *translate.Thinking:
			if !knows(p) {
				if p.Text != "" || p.Signature != "" || p.Sealed != "" {
					c.Drop(translate.FeatureThinking)
				}
				continue
			}
		case *translate.ToolCall:
			if p.Server != "" {
				c.Drop(translate.FeatureServerTool)
				continue
			}
		case *translate.ToolResult:
			if p.Server != "" {
				c.Drop(translate.FeatureServerTool)
				continue
			}
		}
		kept = append(kept, p)
	}
	return kept
}

// ResultsFirst puts what tools said before the rest, where the API demands it.
func ResultsFirst(parts []translate.Part) []translate.Part {
	var results, rest []translate.Part
	for _, p := range parts {
		if _, ok := p.(*translate.ToolResult); ok {
			results = append(results, p)
		} else {
			rest = append(rest, p)
		}
	}
	if len(results) == 0 {
		return parts
	}
	return append(results, rest...)
}

func (e *encoder) writeTurn(t *turn, last bool) error {
	e.w.Open('{')
	switch t.role {
	case translate.User:
		e.w.Text("role", "user")
	case translate.Assistant:
		e.w.Text("role", "assistant")
	case translate.System, translate.Developer:
		e.w.Text("role", "system")
	}
	e.w.Name("content")
	e.w.Open('[')
	for _, p := range t.parts {
		if err := e.writePart(p); err != nil {
			return err
		}
	}
	e.w.Close(']')
	if e.same {
		writeExtra(&e.w, t.extra, "")
	}
	e.w.Close('}')
	return nil
}

func (e *encoder) writePart(p translate.Part) error {
	w := &e.w
	switch p := p.(type) {
	case *translate.Text:
		if !e.same && len(p.Extra)+len(p.Citations) > 0 {
			bare := *p
			bare.Extra, bare.Citations = nil, nil
			p = &bare
		}
		writeText(w, p, true)
	case *translate.Refusal:
		writeText(w, &translate.Text{Text: p.Text}, false)
	case *translate.Thinking:
		if p.Origin != translate.Messages { // of a client of this dialect that talked to another upstream
			e.c.Drop(translate.FeatureThinking)
			return nil
		}
		if !e.same {
			bare := *p
			bare.Extra = nil
			p = &bare
		}
		writeThinking(w, p)
	case *translate.Media:
		return e.writeMedia(p)
	case *translate.ToolCall:
		call := *p
		if !e.same {
			call.ID, call.Extra = CallID(p.ID), nil
		}
		writeCall(w, &call)
	case *translate.ToolResult:
		return e.writeResult(p)
	case *translate.Other:
		if !e.same {
			return translate.Unsupport(p.Kind, "Claude has no counterpart of a part of the type %q.", p.Kind)
		}
		w.Value(p.Raw)
	}
	return nil
}

func (e *encoder) writeResult(r *translate.ToolResult) error {
	w := &e.w
	if r.Server != "" {
		w.Value(r.Raw)
		return nil
	}
	w.Open('{')
	w.Text("type", "tool_result")
	id := r.CallID
	if !e.same {
		id = CallID(id)
	}
	w.Text("tool_use_id", id)
	if parts := e.sayable(r.Parts, false); len(parts) > 0 {
		w.Name("content")
		w.Open('[')
		for _, p := range parts {
			if err := e.writePart(p); err != nil {
				return err
			}
		}
		w.Close(']')
	}
	if r.Failed {
		w.Flag("is_error", true)
	}
	writeCacheMark(w, r.Cache)
	if e.same {
		writeExtra(w, r.Extra, "")
	}
	w.Close('}')
	return nil
}
