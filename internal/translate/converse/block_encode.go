package converse

import (
	"github.com/go-json-experiment/json/jsontext"

	"halley/internal/jsonx"
	"halley/internal/translate"
	"halley/internal/translate/messages"
)

// writeText writes a block of words. Own says that what its Extra has is of this
// dialect.
func writeText(w *jsonx.Writer, t *translate.Text, own bool) {
	w.Open('{')
	if own && len(t.Extra) > 0 {
		writeExtra(w, t.Extra)
	} else {
		w.Text("text", t.Text)
	}
	w.Close('}')
}

// writeThinking writes a block that can come back, whoever thought.
func writeThinking(w *jsonx.Writer, t *translate.Thinking) {
	w.Open('{')
	w.Name("reasoningContent")
	w.Open('{')
	if t.Origin == translate.Converse && t.Sealed != "" {
		w.Text("redactedContent", t.Sealed)
	} else {
		w.Name("reasoningText")
		w.Open('{')
		w.Text("text", t.Text)
		w.TextIf("signature", signature(t))
		w.Close('}')
	}
	w.Close('}')
	w.Close('}')
}

// signature is the proof of thoughts as clients of this dialect get it: Claude's
// own, or what Carry makes of another's.
func signature(t *translate.Thinking) string {
	if t.Origin == translate.Messages && t.Sealed == "" {
		return t.Signature
	}
	return t.Carry(translate.Converse)
}

// writeCall writes a call of a tool. Own says that its arguments are of this
// dialect, which allows any JSON, and its Extra, too.
func writeCall(w *jsonx.Writer, c *translate.ToolCall, own bool) {
	args := jsontext.Value(c.Args)
	if !own || len(args) == 0 {
		args = messages.Arguments(c)
	}
	w.Open('{')
	w.Name("toolUse")
	w.Open('{')
	w.Text("toolUseId", c.ID)
	w.Text("name", c.Name)
	w.Raw("input", args)
	if own {
		writeExtra(w, c.Extra)
	}
	w.Close('}')
	w.Close('}')
}
