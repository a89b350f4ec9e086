package price

import (
	"testing"

	"pgregory.net/rapid"

	"halley/internal/money"
	"halley/internal/usage"
)

func TestASearchHasAFeeOfItsOwn(t *testing.T) {
	t.Parallel()
	p := priceOf(t, `{"input":3,"output":15,"per_search":0.01}`)
	if got := p.Cost(usage.Tokens{Prompt: 1_000_000, Searches: 3}, "", money.One); got.USDString() != "3.03" {
		t.Errorf("it costs %s", got.USDString())
	}
	if got := priceOf(t, `{"input":3,"output":15}`).Cost(usage.Tokens{Searches: 3}, "", money.One); got != 0 {
		t.Errorf("without a price it costs %s", got.USDString())
	}
	held := p.ForSearches(5)
	if got := held.Bound(0, 0, "", money.One); got.USDString() != "0.05" {
		t.Errorf("five are bound at %s", got.USDString())
	}
	if got := p.Bound(0, 0, "", money.One); got != 0 {
		t.Errorf("none are bound at %s", got.USDString())
	}
	if got := held.AffordableOutput(money.Nano(49_999_999), 0, "", money.One); got != -1 {
		t.Errorf("%d tokens are affordable, of less than the searches cost", got)
	}
	if p.ForSearches(0) != p || (*Price)(nil).ForSearches(3) != nil {
		t.Error("a price without searches is another")
	}
	if v := p.View(); string(v.PerSearch) != "0.01" {
		t.Errorf("it is shown as %s", v.PerSearch)
	}
}

func TestNoNumberOfSearchesCostsMoreThanItsBound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := drawDefinition(t)
		d.PerSearch = new(money.Nano(rapid.Int64Range(0, int64(maxPerRequest)).Draw(t, "fee")))
		tokens := drawTokens(t)
		tokens.Searches = rapid.Int64Range(-1, 1<<50).Draw(t, "searches")
		covered := rapid.Int64Range(0, 1<<50).Draw(t, "covered")
		p := newPrice("m", d)
		bound := p.ForSearches(max(covered, tokens.Searches)).Bound(max(tokens.Prompt, 0), max(tokens.Completion, 0), "", money.One)
		if cost := p.Cost(tokens, "", money.One); cost > bound {
			t.Fatalf("%d is more than %d", cost, bound)
		}
	})
}
