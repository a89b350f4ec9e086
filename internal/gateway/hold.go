package gateway

import (
	"context"
	"strconv"

	"halley/internal/money"
	"halley/internal/price"
	"halley/internal/wire"
)

const (
	// defaultOutputCap is the cap of a model whose maximum is not known, when
	// the request sets none.
	defaultOutputCap = 32_768
	// leastOutput is the fewest output tokens a request goes through with when
	// its cap has to be lowered.
	leastOutput = 16
	// mediaTokens bounds what one picture, sound or file adds to a prompt.
	mediaTokens = 4_000
)

// hold reserves the worst case: every byte of the body a prompt token and the
// whole output cap. Where that is not affordable, it holds the calibrated
// estimate of the prompt and as much output as fits, and lowers the cap.
func (g *Gateway) hold(ctx context.Context, t *ticket, who caller, a *ask, p *plan) error {
	if p.price == nil {
		if err := g.Ledger.Hold(ctx, &t.hold, who.payers(), 0, nil); err != nil {
			return err
		}
		t.record.Time = t.hold.At()
		return nil
	}
	tier := a.head.ServiceTier
	perChoice := outputCap(a, p)
	t.output = worstCase(a, p)
	bound, first, output := t.output.prompt, t.output.held, t.output.most
	var lowered int64
	added := p.addedTokens()
	fit := func(spendable money.Nano) (money.Nano, bool) {
		prompt := min(bound, promptUpper(a)+added)
		affordable := p.price.AffordableOutput(spendable, prompt, tier, p.ratio)
		if affordable >= output {
			t.output = outputHold{prompt: prompt, held: output, most: output, tier: tier, price: p.price, ratio: p.ratio, added: added}
			return p.price.Bound(prompt, output, tier, p.ratio), true
		}
		each := affordable / a.head.Choices
		if affordable < 0 || each < min(leastOutput, perChoice) {
			return 0, false
		}
		lowered = each
		least := each * a.head.Choices
		t.output = outputHold{prompt: prompt, held: least, most: least, tier: tier, price: p.price, ratio: p.ratio, added: added}
		return p.price.Bound(prompt, least, tier, p.ratio), true
	}
	full, slice := p.price.Bound(bound, output, tier, p.ratio), p.price.Bound(bound, first, tier, p.ratio)
	if err := g.Ledger.HoldSlice(ctx, &t.hold, who.payers(), full, slice, fit); err != nil {
		return err
	}
	t.record.Held, t.record.Time = t.hold.Amount(), t.hold.At()
	if lowered > 0 {
		t.cap = lowered
		t.sink.Header().Set("X-Halley-Output-Cap", strconv.FormatInt(lowered, 10))
	}
	return nil
}

// worstCase is every byte of the body, and of what the channel adds to it, a prompt token and the whole output cap,
// of which a stream begins with a slice.
func worstCase(a *ask, p *plan) outputHold {
	output := outputCap(a, p) * a.head.Choices
	first := output
	if a.head.Stream && !p.price.HiddenOutput() {
		first = min(output, streamSlice)
	}
	added := p.addedTokens()
	return outputHold{
		prompt: int64(len(a.whole())) + int64(a.head.Media)*mediaTokens + added, held: first, most: output, next: first - streamSlice/2,
		tier: a.head.ServiceTier, price: p.price, ratio: p.ratio, added: added,
	}
}

// raise makes the hold cover what the request may cost where p goes, and reports
// whether it does. It never takes back from the hold, and what was promised of
// the output stands.
func (t *ticket) raise(a *ask, p *plan) bool {
	if a.operation.Counts() {
		return true
	}
	before, added := t.output, p.addedTokens()
	if p.price == nil || (p.price == before.price && p.ratio <= before.ratio && added <= before.added) {
		return true
	}
	o := before
	if p.price != before.price && t.cap == 0 {
		if o = worstCase(a, p); before.price != nil {
			o.prompt, o.added = before.prompt, before.added
		}
	}
	o.price, o.ratio = p.price, p.ratio
	if added > o.added {
		o.prompt += added - o.added
		o.added = added
	}
	if !t.reaches(&o) {
		// As at the beginning, near the limit the calibrated estimate does.
		if o.prompt = min(o.prompt, promptUpper(a)+o.added); !t.reaches(&o) {
			return false
		}
	}
	t.output, t.record.Held = o, t.hold.Amount()
	return true
}

// reaches reports whether the hold covers o, once it is raised.
func (t *ticket) reaches(o *outputHold) bool {
	more := o.price.Bound(o.prompt, o.held, o.tier, o.ratio) - t.hold.Amount()
	return more <= 0 || t.hold.Extend(more)
}

// outputHold is how much output a request's hold covers, in tokens.
type outputHold struct {
	prompt     int64
	held, most int64
	next       int64 // above so much output, more is asked for
	tier       string
	// What it was worked out for.
	price *price.Price
	ratio money.Ratio
	added int64 // of the prompt, what a channel adds
}

// streamSlice is how many output tokens a stream's hold covers at first, and
// grows by while it runs, so that a long answer does not lock money that it may
// never use.
const streamSlice = 2048

// covers extends the hold as the output grows, half a slice ahead; false when
// the output has reached what is held and there is no more.
func (t *ticket) covers(output int64) bool {
	o := &t.output
	if t.plan.price == nil || output <= o.next || o.held == o.most {
		return true
	}
	more := min(o.most, max(o.held, output)+streamSlice)
	bound := func(tokens int64) money.Nano { return t.plan.price.Bound(o.prompt, tokens, o.tier, t.plan.ratio) }
	if t.hold.Extend(bound(more) - bound(o.held)) {
		o.held, o.next = more, more-streamSlice/2
		t.record.Held = t.hold.Amount()
		return true
	}
	// Asking may take seconds, so it is not done for every chunk that is left.
	o.next = output + max((o.held-output)/2, leastOutput)
	return output < o.held
}

// outputCap is the most output tokens one choice may have.
func outputCap(a *ask, p *plan) int64 {
	switch {
	case !a.operation.Writes():
		return 0
	case a.head.Cap > 0:
		return a.head.Cap
	case p.price != nil && p.price.MaxOutputTokens > 0:
		return p.price.MaxOutputTokens
	}
	return defaultOutputCap
}

// promptUpper is a calibrated upper estimate of the prompt's tokens: text of
// the densest usual kinds (digits, code, base64-like identifiers) has about two
// and a half bytes a token, other scripts about one and a half.
//
// Embeddings may also be asked for as lists of token ids, of which the shortest
// take two bytes.
func promptUpper(a *ask) int64 {
	ascii, other := wire.TextSize(a.whole())
	if a.operation.Embeds() {
		return int64(ascii+1)/2 + int64(other)
	}
	return int64(ascii*4+other*7)/10 + 8 + int64(a.head.Media)*mediaTokens
}

// promptEstimate is the likely number of prompt tokens: about four bytes of
// English or JSON a token, two and a half of other scripts.
func promptEstimate(a *ask) int64 {
	ascii, other := wire.TextSize(a.whole())
	return max(1, textTokens(ascii, other)) + int64(a.head.Media)*mediaTokens/4
}

// textTokens estimates the tokens of text by its bytes.
func textTokens(ascii, other int) int64 { return int64(ascii*10+other*16+39) / 40 }
