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
		for _, p := range joined(c.Parts) {
			switch p := p.(type) {
			case *translate.Text:
				if p.Text != "" || len(p.Citations) > 0 {
					fmt.Fprintf(&b, "text %q %d %s\n", p.Text, len(p.Citations), p.Extra.Get("phase"))
				}
			case *translate.Thinking:
				fmt.Fprintf(&b, "thinking %s %q %s\n", p.ID, p.Text, p.Signature)
			case *translate.Refusal:
				fmt.Fprintf(&b, "refusal %q\n", p.Text)
			case *translate.ToolCall:
				fmt.Fprintf(&b, "call %s %s %s %q %v %s\n", p.ID, p.ItemID, p.Name, unwrapped(canonical(p.Args)), p.Custom, p.Server)
			case *translate.Other:
				fmt.Fprintf(&b, "other %s\n", p.Kind)
			default:
				fmt.Fprintf(&b, "%T\n", p)
			}
		}
	}
	return b.String()
}

// joined are parts with thoughts, and texts, that follow each other as one: whether
// a provider's pieces are one is not told. A signature that is a list is made of the
// same pieces.
func joined(parts []translate.Part) (out []translate.Part) {
	for _, p := range parts {
		if text, ok := p.(*translate.Text); ok && len(out) > 0 {
			if last, ok := out[len(out)-1].(*translate.Text); ok && len(last.Citations) == 0 && len(text.Citations) == 0 && len(last.Extra)+len(text.Extra) == 0 {
				out[len(out)-1] = &translate.Text{Text: last.Text + text.Text}
				continue
			}
		}
		thought, ok := p.(*translate.Thinking)
		if !ok {
			out = append(out, p)
			continue
		}
		one := *thought
		if strings.HasPrefix(one.Signature, "[") {
			one.Signature = ""
		}
		if len(out) > 0 {
			if last, ok := out[len(out)-1].(*translate.Thinking); ok && last.ID == one.ID && last.Signature == "" {
				one.Text = last.Text + one.Text
				out = out[:len(out)-1]
			}
		}
		out = append(out, &one)
	}
	return out
}
