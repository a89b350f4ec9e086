package openai

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"halley/internal/wire"
)

// WantsCompletionTokens reports whether the model refuses max_tokens and takes
// max_completion_tokens: OpenAI's o series and GPT-5 and later.
func WantsCompletionTokens(model string) bool {
	if _, name, ok := strings.Cut(model, "/"); ok {
		model = name
	}
	for _, prefix := range [...]string{"o1", "o3", "o4", "gpt-5", "gpt-6"} {
		if strings.HasPrefix(model, prefix) {
			return true
		}
	}
	return false
}

// Edits are the changes as edits of the body that h was scanned from.
func (h *Head) Edits(c wire.Changes) []wire.Edit {
	var edits []wire.Edit
	if c.Model != "" && c.Model != h.Model {
		edits = append(edits, wire.Edit{At: h.ModelAt, With: wire.Quote(c.Model)})
	}
	var added []byte // members put before the closing brace; there is always one before them: model
	if c.IncludeUsage && !h.IncludeUsage {
		switch {
		case h.IncludeUsageAt.Present():
			edits = append(edits, wire.Edit{At: h.IncludeUsageAt, With: []byte("true")})
		case h.StreamOptions == objectEmpty, h.StreamOptions == objectFilled:
			at := h.StreamOptionsAt.From + 1
			with := `"include_usage":true`
			if h.StreamOptions == objectFilled {
				with += ","
			}
			edits = append(edits, wire.Edit{At: wire.Span{From: at, To: at}, With: []byte(with)})
		case h.StreamOptionsAt.Present():
			edits = append(edits, wire.Edit{At: h.StreamOptionsAt, With: []byte(`{"include_usage":true}`)})
		default:
			added = append(added, `,"stream_options":{"include_usage":true}`...)
		}
	}
	if c.OutputCap > 0 {
		value := strconv.AppendInt(nil, c.OutputCap, 10)
		switch {
		case h.MaxTokensAt.Present() || h.MaxCompletionAt.Present():
			for _, at := range []wire.Span{h.MaxTokensAt, h.MaxCompletionAt} {
				if at.Present() {
					edits = append(edits, wire.Edit{At: at, With: value})
				}
			}
		case WantsCompletionTokens(cmp.Or(c.Model, h.Model)):
			added = append(append(added, `,"max_completion_tokens":`...), value...)
		default:
			added = append(append(added, `,"max_tokens":`...), value...)
		}
	}
	if added != nil {
		edits = append(edits, wire.Edit{At: wire.Span{From: h.Close, To: h.Close}, With: added})
	}
	slices.SortFunc(edits, func(a, b wire.Edit) int { return cmp.Compare(a.At.From, b.At.From) })
	return edits
}
