// Package cohere is Cohere's v2 API on the wire: what its answers say about
// usage, its rerank endpoint, which other servers have copied, and the shape of
// errors. Facts are from Cohere's API reference and from recorded traffic. It
// does no I/O.
package cohere

import (
	"halley/internal/usage"
	"halley/internal/wire"
)

// Usage brings the usage of a chat answer, or the meta of another, into Halley's
// terms; ok is false when it says nothing. What counts is billed_units, which is
// what Cohere charges for: tokens also has Cohere's own text around the prompt,
// and cached_tokens is a part of that.
func Usage(value []byte) (t usage.Tokens, ok bool) {
	var billed, all tokens
	for name, v := range wire.Members(value) {
		switch string(name) {
		case `"billed_units"`:
			billed.read(v)
		case `"tokens"`:
			all.read(v)
		}
	}
	if !billed.input.Given && !billed.output.Given && !billed.image.Given {
		if billed.units.Given { // of searches, which have a price of their own
			return t, true
		}
		billed = all
	}
	t.Prompt = billed.input.Tokens + billed.image.Tokens
	t.ImageIn = billed.image.Tokens
	t.Completion = billed.output.Tokens
	return t, billed.input.Given || billed.output.Given || billed.image.Given
}

// tokens are counts of one kind.
type tokens struct{ input, output, image, units wire.Count }

func (t *tokens) read(value []byte) {
	for name, v := range wire.Members(value) {
		switch string(name) {
		case `"input_tokens"`:
			t.input.Read(v)
		case `"output_tokens"`:
			t.output.Read(v)
		case `"image_tokens"`:
			t.image.Read(v)
		case `"search_units"`:
			t.units.Read(v)
		}
	}
}
