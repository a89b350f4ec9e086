package translatetest

import (
	"bytes"
	"fmt"
	"strings"

	"halley/internal/translate"
)

// Core is what of an answer a stream and a whole body have in common.
func Core(a *translate.Answer) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %d\n", a.ID, a.Model, a.Created)
	if a.Usage != nil {
		fmt.Fprintf(&b, "%+v\n", *a.Usage)
	}
	for _, c := range a.Candidates {
		fmt.Fprintf(&b, "%d: %d %s %d\n", c.Index, c.Stop, c.StopWord, bytes.Count(c.Logprobs, []byte(`"logprob"`)))
		for _, p := range c.Parts {
			switch p := p.(type) {
			case *translate.Text:
				fmt.Fprintf(&b, "text %q %d %s\n", p.Text, len(p.Citations), p.Extra.Get("phase"))
			case *translate.Thinking:
				fmt.Fprintf(&b, "thinking %s %q %s\n", p.ID, p.Text, p.Signature)
			case *translate.Refusal:
				fmt.Fprintf(&b, "refusal %q\n", p.Text)
			case *translate.ToolCall:
				fmt.Fprintf(&b, "call %s %s %s %q %v %s\n", p.ID, p.ItemID, p.Name, p.Args, p.Custom, p.Server)
			case *translate.Other:
				fmt.Fprintf(&b, "other %s\n", p.Kind)
			default:
				fmt.Fprintf(&b, "%T\n", p)
			}
		}
	}
	return b.String()
}
