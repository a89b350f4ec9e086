package openai

import (
	"strconv"

	"halley/internal/usage"
	"halley/internal/wire"
)

// appendLengthEnd appends the events that end a chat stream at its length: a
// chunk with finish_reason "length" for every choice, a usage chunk when tokens
// are given, and [DONE]. head is how the stream's chunks begin, up to their
// choices; without one a beginning of our own stands in. The model is the public
// name.
func appendLengthEnd(dst, head []byte, model string, choices int, tokens *usage.Tokens) []byte {
	if len(head) == 0 {
		head = append(append([]byte(`{"object":"chat.completion.chunk","model":`), wire.Quote(model)...), ',')
	}
	dst = appendChunk(dst, head, model, func(dst []byte) []byte {
		dst = append(dst, `"choices":[`...)
		for i := range choices {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, `{"index":`...)
			dst = strconv.AppendInt(dst, int64(i), 10)
			dst = append(dst, `,"delta":{},"finish_reason":"length"}`...)
		}
		return append(dst, ']')
	})
	if tokens != nil {
		dst = appendChunk(dst, head, model, func(dst []byte) []byte {
			dst = append(dst, `"choices":[],"usage":{"prompt_tokens":`...)
			dst = strconv.AppendInt(dst, tokens.Prompt, 10)
			dst = append(dst, `,"completion_tokens":`...)
			dst = strconv.AppendInt(dst, tokens.Completion, 10)
			dst = append(dst, `,"total_tokens":`...)
			dst = strconv.AppendInt(dst, tokens.Prompt+tokens.Completion, 10)
			return append(dst, '}')
		})
	}
	return append(dst, "data: [DONE]\n\n"...)
}

// appendChunk appends an event with the head, the rest and the public model.
func appendChunk(dst, head []byte, model string, rest func([]byte) []byte) []byte {
	chunk := append(rest(append([]byte(nil), head...)), '}')
	dst = append(dst, "data: "...)
	if a, ok := ScanAnswer(chunk); ok && a.ModelAt.Present() {
		dst = wire.Apply(dst, chunk, []wire.Edit{{At: a.ModelAt, With: wire.Quote(model)}})
	} else {
		dst = append(dst, chunk...)
	}
	return append(dst, "\n\n"...)
}
