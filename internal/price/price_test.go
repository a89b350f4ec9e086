package price

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"halley/internal/money"
	"halley/internal/usage"
)

// priceOf makes the price that a definition in JSON gives.
func priceOf(t testing.TB, definition string) *Price {
	t.Helper()
	d, err := ParseDefinition([]byte(definition))
	if err != nil {
		t.Fatalf("%s: %v", definition, err)
	}
	return newPrice("m", d)
}

func TestEveryKindOfTokenCostsItsOwnPrice(t *testing.T) {
	t.Parallel()
	const all = `{"input":10,"cache_read":1,"cache_write_5m":12.5,"cache_write_1h":20,"audio_input":40,"image_input":15,
		"output":50,"reasoning_output":60,"audio_output":80,"image_output":120,"per_request":0.01}`
	const M = 1_000_000
	for _, c := range []struct {
		name       string
		definition string
		tokens     usage.Tokens
		want       string // USD
	}{
		{"nothing but the fee", all, usage.Tokens{}, "0.01"},
		{"plain", all, usage.Tokens{Prompt: M, Completion: M}, "60.01"},
		{"cached", all, usage.Tokens{Prompt: M, CachedRead: M}, "1.01"},
		{"a part cached", all, usage.Tokens{Prompt: M, CachedRead: M / 2}, "5.51"},
		{"5-minute write", all, usage.Tokens{Prompt: M, CacheWrite5m: M}, "12.51"},
		{"1-hour write", all, usage.Tokens{Prompt: M, CacheWrite1h: M}, "20.01"},
		{"audio in", all, usage.Tokens{Prompt: M, AudioIn: M}, "40.01"},
		{"image in", all, usage.Tokens{Prompt: M, ImageIn: M}, "15.01"},
		{"reasoning", all, usage.Tokens{Completion: M, Reasoning: M}, "60.01"},
		{"audio out", all, usage.Tokens{Completion: M, AudioOut: M}, "80.01"},
		{"image out", all, usage.Tokens{Completion: M, ImageOut: M}, "120.01"},
		{
			"everything at once", all,
			usage.Tokens{
				Prompt: 6 * M, CachedRead: M, CacheWrite5m: M, CacheWrite1h: M, AudioIn: M, ImageIn: M,
				Completion: 4 * M, Reasoning: M, AudioOut: M, ImageOut: M,
			},
			"408.51", // 10+1+12.5+20+40+15 + 50+60+80+120 + 0.01
		},
		{
			"what has no price of its own costs as input or output", `{"input":10,"output":50}`,
			usage.Tokens{
				Prompt: 6 * M, CachedRead: M, CacheWrite5m: M, CacheWrite1h: M, AudioIn: M, ImageIn: M,
				Completion: 4 * M, Reasoning: M, AudioOut: M, ImageOut: M,
			},
			"260",
		},
		{"an explicit price of 0 is free", `{"input":10,"output":50,"cache_read":0}`, usage.Tokens{Prompt: M, CachedRead: M}, "0"},
		{"parts beyond the whole", all, usage.Tokens{Prompt: M, CachedRead: 5 * M, AudioIn: M}, "1.01"},
		{"cached audio counts as cached", all, usage.Tokens{Prompt: M, CachedRead: M / 2, AudioIn: M}, "20.51"},
		{"reasoning beyond the completion", all, usage.Tokens{Completion: M, Reasoning: 3 * M}, "60.01"},
		{"parts without a whole", all, usage.Tokens{CachedRead: M, Reasoning: M}, "0.01"},
		{"negative counts", all, usage.Tokens{Prompt: -M, CachedRead: -M, Completion: -M}, "0.01"},
		{"a negative part", all, usage.Tokens{Prompt: M, CachedRead: -M}, "10.01"},
		{"a fee alone", `{"per_request":0.02}`, usage.Tokens{Prompt: M, Completion: M}, "0.02"},
		{"an embedding", `{"input":0.1}`, usage.Tokens{Prompt: M}, "0.1"},
		{"one token at the finest price rounds up", `{"input":0.000001,"output":0}`, usage.Tokens{Prompt: 1}, "0.000000001"},
		{"rounding is once, not per kind", `{"input":0.0005,"output":0.0005}`, usage.Tokens{Prompt: 1, Completion: 1}, "0.000000001"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := priceOf(t, c.definition).Cost(c.tokens, "", money.One).USDString(); got != c.want {
				t.Errorf("costs %s USD, want %s", got, c.want)
			}
		})
	}
}

func TestTiersReplacePrices(t *testing.T) {
	t.Parallel()
	const tiered = `{"input":2,"output":10,"cache_read":0.2,"audio_input":8,
		"above_prompt_tokens":[{"over":500000,"output":30},{"over":200000,"input":4,"output":15}],
		"service_tiers":{"flex":{"input":1,"output":5},"priority":{"input":3.5,"output":20,"cache_read":0.4}}}`
	for _, c := range []struct {
		name, tier string
		tokens     usage.Tokens
		want       string
	}{
		{"at the threshold the short price counts", "", usage.Tokens{Prompt: 200_000}, "0.4"},
		{"one more and all tokens cost the long price", "", usage.Tokens{Prompt: 200_001}, "0.800004"},
		{"output too", "", usage.Tokens{Prompt: 200_001, Completion: 1_000_000}, "15.800004"},
		{"cached tokens count towards the length", "", usage.Tokens{Prompt: 300_000, CachedRead: 300_000}, "0.06"},
		{"a longer tier builds on the one before", "", usage.Tokens{Prompt: 1_000_000, Completion: 1_000_000}, "34"},
		{"flex", "flex", usage.Tokens{Prompt: 100_000, Completion: 100_000}, "0.6"},
		{"flex keeps what it does not price", "flex", usage.Tokens{Prompt: 100_000, CachedRead: 50_000, AudioIn: 50_000}, "0.41"},
		{"priority", "priority", usage.Tokens{Prompt: 100_000, CachedRead: 50_000, Completion: 100_000}, "2.195"},
		{"a long prompt on flex costs the long price", "flex", usage.Tokens{Prompt: 400_000, Completion: 100_000}, "3.1"},
		{"a long prompt on priority costs the dearer of each", "priority", usage.Tokens{Prompt: 400_000, Completion: 100_000}, "3.6"},
		{"auto is standard", "auto", usage.Tokens{Prompt: 100_000}, "0.2"},
		{"default is standard", "default", usage.Tokens{Prompt: 100_000}, "0.2"},
		{"an unknown tier is standard", "scale", usage.Tokens{Prompt: 100_000}, "0.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := priceOf(t, tiered).Cost(c.tokens, c.tier, money.One).USDString(); got != c.want {
				t.Errorf("costs %s USD, want %s", got, c.want)
			}
		})
	}
}

func TestRatioMultipliesBeforeRounding(t *testing.T) {
	t.Parallel()
	p := priceOf(t, `{"input":0.0001,"output":1}`)
	for _, c := range []struct {
		ratio string
		want  money.Nano
	}{{"0", 0}, {"1", 1}, {"10", 1}, {"10.01", 2}, {"0.000001", 1}} {
		ratio, err := money.ParseRatio(c.ratio)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Cost(usage.Tokens{Prompt: 1}, "", ratio); got != c.want {
			t.Errorf("0.1 nano-USD × %s = %d, want %d", c.ratio, got, c.want)
		}
	}
}

// drawRates draws a few prices, of any size and often equal.
func drawRates(t *rapid.T, least int) Rates {
	var r Rates
	pico := rapid.OneOf(
		rapid.SampledFrom([]int64{0, 1, 999, 1_000_000, 2_500_000, int64(money.MaxPico)}),
		rapid.Int64Range(0, 200_000_000),
	)
	for _, k := range rapid.SliceOfN(rapid.Uint8Range(0, uint8(kinds)-1), least, int(kinds)).Draw(t, "kinds") {
		r = r.With(Kind(k), money.Pico(pico.Draw(t, "pico")))
	}
	return r
}

func drawDefinition(t *rapid.T) Definition {
	d := Definition{Rates: drawRates(t, 0)}
	if rapid.Bool().Draw(t, "fee") {
		d.PerRequest = new(money.Nano(rapid.Int64Range(0, int64(maxPerRequest)).Draw(t, "per request")))
	}
	over := int64(0)
	for range rapid.IntRange(0, 3).Draw(t, "long prompts") {
		over += rapid.Int64Range(1, 1000).Draw(t, "over")
		d.LongPrompts = append(d.LongPrompts, LongPrompt{over, drawRates(t, 1)})
	}
	for _, name := range []string{"batch", "flex", "priority"}[:rapid.IntRange(0, 3).Draw(t, "tiers")] {
		d.ServiceTiers = append(d.ServiceTiers, ServiceTier{name, drawRates(t, 1)})
	}
	return d
}

// drawCount draws token counts around the long-prompt thresholds, and wild ones.
var drawCount = rapid.OneOf(rapid.Int64Range(-2, 4000), rapid.Int64Range(0, 10_000_000), rapid.Int64())

func drawTokens(t *rapid.T) usage.Tokens {
	return usage.Tokens{
		Prompt: drawCount.Draw(t, "prompt"), CachedRead: drawCount.Draw(t, "cached"),
		CacheWrite5m: drawCount.Draw(t, "5m"), CacheWrite1h: drawCount.Draw(t, "1h"),
		AudioIn: drawCount.Draw(t, "audio in"), ImageIn: drawCount.Draw(t, "image in"),
		Completion: drawCount.Draw(t, "completion"), Reasoning: drawCount.Draw(t, "reasoning"),
		AudioOut: drawCount.Draw(t, "audio out"), ImageOut: drawCount.Draw(t, "image out"),
	}
}

var (
	drawTier  = rapid.SampledFrom([]string{"", "auto", "default", "batch", "flex", "priority"})
	drawRatio = rapid.Custom(func(t *rapid.T) money.Ratio {
		return money.Ratio(rapid.OneOf(
			rapid.SampledFrom([]int64{0, 1, int64(money.One), 1_250_000}),
			rapid.Int64Range(0, int64(money.MaxRatio)),
		).Draw(t, "ratio"))
	})
)

func TestNoUsageCostsMoreThanItsBound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := newPrice("m", drawDefinition(t))
		tokens, asked, ratio := drawTokens(t), drawTier.Draw(t, "asked"), drawRatio.Draw(t, "ratio")
		served := rapid.SampledFrom([]string{asked, "default", ""}).Draw(t, "served")
		bound := p.Bound(
			max(tokens.Prompt, rapid.Int64().Draw(t, "prompt bound")),
			max(tokens.Completion, rapid.Int64().Draw(t, "output bound")), asked, ratio)
		if cost := p.Cost(tokens, served, ratio); cost > bound || cost < 0 {
			t.Fatalf("costs %d, bound %d", cost, bound)
		}
	})
}

func TestBoundGrowsWithItsCounts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := newPrice("m", drawDefinition(t))
		tier, ratio := drawTier.Draw(t, "tier"), drawRatio.Draw(t, "ratio")
		prompt, output := drawCount.Draw(t, "prompt"), drawCount.Draw(t, "output")
		more := max(prompt, drawCount.Draw(t, "more prompt"))
		longer := max(output, drawCount.Draw(t, "more output"))
		dearer := max(ratio, drawRatio.Draw(t, "higher ratio"))
		if a, b := p.Bound(prompt, output, tier, ratio), p.Bound(more, longer, tier, dearer); a > b {
			t.Fatalf("bound of (%d, %d) is %d, of (%d, %d) %d", prompt, output, a, more, longer, b)
		}
	})
}

func TestCostIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := newPrice("m", drawDefinition(t))
		tokens, tier, ratio := drawTokens(t), drawTier.Draw(t, "tier"), drawRatio.Draw(t, "ratio")
		if got, want := p.Cost(tokens, tier, ratio), slowCost(p, tokens, tier, ratio); got != want {
			t.Fatalf("costs %d, want %d", got, want)
		}
	})
}

// slowCost works from the definition in arbitrary precision.
func slowCost(p *Price, t usage.Tokens, tier string, ratio money.Ratio) money.Nano {
	d := p.definition
	long := d.Rates
	isLong := false
	for _, l := range d.LongPrompts {
		if t.Prompt > l.Over {
			long, isLong = long.overlay(l.Rates), true
		}
	}
	prices := long.resolve()
	for _, s := range d.ServiceTiers {
		if s.Name != tier {
			continue
		}
		served := d.Rates.overlay(s.Rates).resolve()
		if isLong {
			served = served.dearer(prices)
		}
		prices = served
	}
	total := new(big.Int)
	side := func(whole int64, plain Kind, parts map[Kind]int64, order ...Kind) {
		whole = max(whole, 0)
		for _, k := range order {
			n := min(max(parts[k], 0), whole)
			whole -= n
			total.Add(total, new(big.Int).Mul(big.NewInt(n), big.NewInt(int64(prices[k]))))
		}
		total.Add(total, new(big.Int).Mul(big.NewInt(whole), big.NewInt(int64(prices[plain]))))
	}
	side(t.Prompt, Input, map[Kind]int64{
		CacheRead: t.CachedRead, CacheWrite1h: t.CacheWrite1h, CacheWrite5m: t.CacheWrite5m, AudioInput: t.AudioIn, ImageInput: t.ImageIn,
	}, CacheRead, CacheWrite1h, CacheWrite5m, AudioInput, ImageInput)
	side(t.Completion, Output, map[Kind]int64{
		ReasoningOutput: t.Reasoning, AudioOutput: t.AudioOut, ImageOutput: t.ImageOut,
	}, ReasoningOutput, AudioOutput, ImageOutput)
	if d.PerRequest != nil {
		total.Add(total, new(big.Int).Mul(big.NewInt(int64(*d.PerRequest)), big.NewInt(1000)))
	}
	total.Mul(total, big.NewInt(int64(ratio)))
	total.Add(total, big.NewInt(999_999_999)).Quo(total, big.NewInt(1_000_000_000))
	if total.Cmp(big.NewInt(int64(money.Max))) > 0 {
		return money.Max
	}
	return money.Nano(total.Int64())
}

func TestAffordableOutputIsTheLargestThatFits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := newPrice("m", drawDefinition(t))
		tier, ratio := drawTier.Draw(t, "tier"), drawRatio.Draw(t, "ratio")
		prompt := rapid.Int64Range(-1, 5000).Draw(t, "prompt")
		avail := money.Nano(rapid.OneOf(rapid.Int64Range(-1, 10_000_000), rapid.Int64Range(0, int64(money.Max))).Draw(t, "avail"))
		n := p.AffordableOutput(avail, prompt, tier, ratio)
		switch {
		case n == -1:
			if least := p.Bound(prompt, 0, tier, ratio); least <= avail {
				t.Fatalf("the prompt's bound %d fits %d", least, avail)
			}
		case n < -1 || n > Unbounded:
			t.Fatalf("%d is no count", n)
		default:
			if bound := p.Bound(prompt, n, tier, ratio); bound > avail {
				t.Fatalf("%d tokens: bound %d exceeds %d", n, bound, avail)
			}
			if over := p.Bound(prompt, n+1, tier, ratio); n < Unbounded && over <= avail {
				t.Fatalf("%d tokens would fit too: bound %d of %d", n+1, over, avail)
			}
		}
	})
}

func TestAffordableOutput(t *testing.T) {
	t.Parallel()
	p := priceOf(t, `{"input":1,"output":2}`) // 1,000 and 2,000 nano-USD per token
	free := priceOf(t, `{"input":0,"output":0}`)
	for _, c := range []struct {
		name   string
		p      *Price
		avail  money.Nano
		prompt int64
		want   int64
	}{
		{"the prompt takes all", p, 10_000, 10, 0},
		{"the prompt is too dear by a hair", p, 9_999, 10, -1},
		{"one token", p, 12_000, 10, 1},
		{"almost two tokens", p, 13_999, 10, 1},
		{"plenty", p, money.Max, 10, Unbounded},
		{"free", free, 0, 1_000_000, Unbounded},
		{"free, but in debt", free, -1, 0, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := c.p.AffordableOutput(c.avail, c.prompt, "", money.One); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestHugeCountsStopAtMax(t *testing.T) {
	t.Parallel()
	p := priceOf(t, `{"input":1000000,"output":1000000,"per_request":1000000}`)
	tokens := usage.Tokens{Prompt: math.MaxInt64, Completion: math.MaxInt64}
	if got := p.Cost(tokens, "", money.MaxRatio); got != money.Max {
		t.Errorf("costs %d, want Max", got)
	}
	if got := p.Bound(math.MaxInt64, math.MaxInt64, "", money.MaxRatio); got != money.Max {
		t.Errorf("bound %d, want Max", got)
	}
}

const benchDefinition = `{"input":2,"output":10,"cache_read":0.2,"cache_write_5m":2.5,"cache_write_1h":4,
	"above_prompt_tokens":[{"over":200000,"input":4,"output":15}],
	"service_tiers":{"flex":{"input":1,"output":5},"priority":{"input":3.5,"output":20}}}`

var benchTokens = usage.Tokens{Prompt: 12_345, CachedRead: 8_000, CacheWrite5m: 200, Completion: 678, Reasoning: 400}

func TestSumsDoNotAllocate(t *testing.T) {
	p := priceOf(t, benchDefinition)
	catalog, err := LoadCatalog()
	if err != nil {
		t.Fatal(err)
	}
	book, err := NewBook(catalog, nil)
	if err != nil {
		t.Fatal(err)
	}
	var sink int64
	if n := testing.AllocsPerRun(100, func() {
		q, ok := book.Lookup("gpt-4o")
		if !ok {
			q = p
		}
		sink += int64(q.Cost(benchTokens, "priority", money.One))
		sink += int64(p.Bound(12_345, 4096, "flex", money.One))
		sink += p.AffordableOutput(money.USD, 12_345, "auto", money.One)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCost(b *testing.B) {
	p := priceOf(b, benchDefinition)
	b.ReportAllocs()
	for b.Loop() {
		p.Cost(benchTokens, "priority", money.One)
	}
}

func BenchmarkBound(b *testing.B) {
	p := priceOf(b, benchDefinition)
	b.ReportAllocs()
	for b.Loop() {
		p.Bound(12_345, 4096, "priority", money.One)
	}
}

func BenchmarkAffordableOutput(b *testing.B) {
	p := priceOf(b, benchDefinition)
	b.ReportAllocs()
	for b.Loop() {
		p.AffordableOutput(money.USD, 12_345, "priority", money.One)
	}
}
