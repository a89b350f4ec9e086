// Package price owns what a model costs: the catalog that ships with Halley,
// the prices operators set over it, and the sums made with them: the cost of a
// usage, an upper bound of it, and how much output an amount still buys. Prices
// are whole pico-USD per token, amounts whole nano-USD; a sum is exact and
// rounds once, up. It must not know HTTP, SQL, keys or budgets.
//
// The catalog is catalog.json, this project's own file. The program in gen
// writes it from a list of price facts and from gen/more.json, which has the
// models that list lacks; to renew it, put the list's path in PRICE_FACTS,
// bring the dates below up to date and run go generate.
package price

import (
	"slices"

	"math"
	"time"

	"halley/internal/money"
	"halley/internal/usage"
)

//go:generate go run ./gen -facts $PRICE_FACTS -date 2026-07-24 -more gen/more.json -more-date 2026-11-23 -today 2026-11-23 -out catalog.json

// Source tells where a price comes from.
type Source string

// The sources.
const (
	FromCatalog Source = "catalog" // ships with Halley
	Custom      Source = "custom"  // set by an operator
)

// ModeEmbedding is the mode of models that have no output to pay for. The other
// modes, such as "chat", are names only.
const ModeEmbedding = "embedding"

// Unbounded is the answer of AffordableOutput when no smaller number of tokens
// is too many.
const Unbounded int64 = math.MaxInt32

// Price is what one model costs. A *Price handed out is shared and must not be
// changed.
type Price struct {
	Model           string
	Vendor          string // "openai", "anthropic", …; "custom" when nobody said
	Mode            string // "chat", "embedding", …
	Source          Source
	Version         string // "catalog-2026-07-24_2026-11-23" or "custom-7"; recorded with every charge
	MaxInputTokens  int64  // 0 when not known
	MaxOutputTokens int64  // 0 when not known
	Features        []string
	Created         time.Time // of the model, as far as it is known
	Updated         time.Time // of this version of the price

	definition Definition
	perRequest money.Nano
	perSearch  money.Nano
	searches   int64 // that bounds cover: see ForSearches
	standard   schedule
	tiers      []tier
}

// tier is a service tier that has prices of its own.
type tier struct {
	name     string
	schedule schedule
}

// schedule is a ladder of prices by prompt length. The first step counts from
// any length, each other one from a prompt longer than over.
type schedule []step

type step struct {
	over  int64
	rates table
	// dearestIn and dearestOut are the highest prices of any kind of token
	// on this step, on those before it, and on the same steps without a
	// service tier.
	dearestIn, dearestOut money.Pico
}

// at is the step of a prompt of n tokens.
func (s schedule) at(n int64) *step {
	i := len(s) - 1
	for i > 0 && n <= s[i].over {
		i--
	}
	return &s[i]
}

// schedule is the one of the service tier; any name without prices of its own
// ("", "auto", "default", …) is standard.
func (p *Price) schedule(tier string) schedule {
	for i := range p.tiers {
		if p.tiers[i].name == tier {
			return p.tiers[i].schedule
		}
	}
	return p.standard
}

// Cost is the price of a usage at a service tier, times ratio, rounded up to a
// nano-USD. When the whole prompt is longer than a long-prompt threshold, the
// prices beyond it apply to every token of the request. Parts that add up to
// more than their whole count only as far as the whole goes, cached tokens
// first: a part may overlap with another, such as cached audio.
func (p *Price) Cost(t usage.Tokens, tier string, ratio money.Ratio) money.Nano {
	r := &p.schedule(tier).at(t.Prompt).rates
	var sum money.Sum
	sum.AddNano(p.perRequest)

	rest := max(t.Prompt, 0)
	rest = take(&sum, rest, t.CachedRead, r[CacheRead])
	rest = take(&sum, rest, t.CacheWrite1h, r[CacheWrite1h])
	rest = take(&sum, rest, t.CacheWrite5m, r[CacheWrite5m])
	rest = take(&sum, rest, t.AudioIn, r[AudioInput])
	rest = take(&sum, rest, t.ImageIn, r[ImageInput])
	sum.Add(rest, r[Input])

	rest = max(t.Completion, 0)
	rest = take(&sum, rest, t.Reasoning, r[ReasoningOutput])
	rest = take(&sum, rest, t.AudioOut, r[AudioOutput])
	rest = take(&sum, rest, t.ImageOut, r[ImageOutput])
	sum.Add(rest, r[Output])
	sum.Add(scaled(t.Searches), money.Pico(p.perSearch))
	return sum.Nano(ratio)
}

// maxSearches is more than any answer takes, so that a count times its scale
// does not wrap around.
const maxSearches = 1 << 40

// scaled is a number of searches for money.Sum.Add, whose prices are in pico: a
// search has one in nano.
func scaled(searches int64) int64 { return 1000 * min(max(searches, 0), maxSearches) }

// ForSearches is the price with bounds that cover so many searches of the web
// besides the tokens. What a search costs is part of every price.
func (p *Price) ForSearches(n int64) *Price {
	if p == nil || n <= 0 || p.perSearch == 0 {
		return p
	}
	own := *p
	own.searches = n
	return &own
}

// take adds the part, as far as the whole reaches, and gives what is left of it.
func take(sum *money.Sum, whole, part int64, price money.Pico) int64 {
	part = min(max(part, 0), whole)
	sum.Add(part, price)
	return whole - part
}

// Bound is at least the Cost of every usage with at most that many prompt and
// output tokens, of whatever kind, and with the searches of ForSearches: the
// dearest price on each side, among all prompt lengths up to the given one.
//
// It covers the tier that was asked for and the standard one, which providers
// fall back to when a tier is not to be had. "auto" and "" count as standard:
// a provider serves them dearer only when its own project settings say so, and
// then asks for more than was held.
func (p *Price) Bound(promptTokens, outputTokens int64, tier string, ratio money.Ratio) money.Nano {
	s := p.schedule(tier).at(promptTokens)
	sum := p.prompt(s, promptTokens)
	sum.Add(outputTokens, s.dearestOut)
	return sum.Nano(ratio)
}

// AffordableOutput is the largest number of output tokens whose Bound fits
// into avail: -1 when not even the prompt does, Unbounded when so many do.
func (p *Price) AffordableOutput(avail money.Nano, promptTokens int64, tier string, ratio money.Ratio) int64 {
	s := p.schedule(tier).at(promptTokens)
	return min(p.prompt(s, promptTokens).Room(avail, ratio, s.dearestOut), Unbounded)
}

// prompt is the bound of everything but the output.
func (p *Price) prompt(s *step, tokens int64) money.Sum {
	var sum money.Sum
	sum.AddNano(p.perRequest)
	sum.Add(scaled(p.searches), money.Pico(p.perSearch))
	sum.Add(tokens, s.dearestIn)
	return sum
}

// compile works the definition's prices out into the tables that sums read.
func (p *Price) compile() {
	d := p.definition
	if d.PerRequest != nil {
		p.perRequest = *d.PerRequest
	}
	if d.PerSearch != nil {
		p.perSearch = *d.PerSearch
	}
	p.standard = schedule{{rates: d.Rates.resolve()}}
	longer := d.Rates
	for _, l := range d.LongPrompts {
		longer = longer.overlay(l.Rates)
		p.standard = append(p.standard, step{over: l.Over, rates: longer.resolve()})
	}
	p.standard.bound(nil)

	p.tiers = make([]tier, 0, len(d.ServiceTiers))
	for _, t := range d.ServiceTiers {
		rates := d.Rates.overlay(t.Rates).resolve()
		s := make(schedule, len(p.standard))
		for i := range p.standard {
			s[i] = step{over: p.standard[i].over, rates: rates}
			if i > 0 {
				s[i].rates = rates.dearer(p.standard[i].rates)
			}
		}
		s.bound(p.standard)
		p.tiers = append(p.tiers, tier{t.Name, s})
	}
}

// bound fills in the dearest prices; those of the other schedule count too.
func (s schedule) bound(other schedule) {
	for i := range s {
		s[i].dearestIn, s[i].dearestOut = s[i].rates.dearest()
		if i > 0 {
			s[i].raise(s[i-1])
		}
		if other != nil {
			s[i].raise(other[i])
		}
	}
}

func (s *step) raise(by step) {
	s.dearestIn = max(s.dearestIn, by.dearestIn)
	s.dearestOut = max(s.dearestOut, by.dearestOut)
}

// HiddenOutput reports whether the model may bill output that its stream does
// not show, as reasoning models do: their output cannot be metered as it passes.
func (p *Price) HiddenOutput() bool { return slices.Contains(p.Features, "reasoning") }
