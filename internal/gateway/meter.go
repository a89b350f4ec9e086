package gateway

import (
	"halley/internal/usage"
	"halley/internal/wire"
)

// total is what the stream used, given whether it is whole and what its prompt
// is estimated at. The provider's last word counts; output that passed after it
// comes on top, and all output where a stream that broke off was said to have
// none so far. ok is false when it broke off before any output.
func total(p *wire.Progress, whole bool, prompt func() int64) (t usage.Tokens, source usage.Source, ok bool) {
	t, source = p.Usage, usage.FromProvider
	since := textTokens(p.Text.ASCII-p.Told.ASCII, p.Text.Other-p.Told.Other)
	if p.HasUsage && since == 0 && (whole || t.Completion > 0) {
		return t, source, true
	}
	if t.Completion == 0 {
		since = textTokens(p.Text.ASCII, p.Text.Other)
	}
	t.Completion += since
	switch {
	case since > 0:
		source = usage.Metered
	case p.Finished > 0: // an answer without a word in it
		source = usage.Estimated
	default:
		return usage.Tokens{}, usage.NoUsage, false
	}
	if t.Prompt == 0 {
		t.Prompt = prompt()
	}
	return t, source, true
}

// most is an upper estimate of the output's tokens so far.
func most(p *wire.Progress) int64 {
	return max(p.Chunks, int64(p.Text.ASCII*4+p.Text.Other*7)/10)
}
