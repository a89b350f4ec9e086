package price

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	"halley/internal/money"
	"halley/internal/usage"
)

// Rerated is what the requests for one model have cost and would have cost.
type Rerated struct {
	Model     string
	Requests  int64
	TokensIn  int64
	TokensOut int64
	Charged   money.Nano
	Absorbed  money.Nano // cost that a grant could not bear
	Rated     money.Nano // with the other prices
	Unpriced  int64      // requests that have no other price; they are not in Rated
}

// Rerate works recorded requests out again, each exactly and rounded by itself,
// as it would have been charged. Records do not have the service tier: the
// standard one is taken.
func Rerate(charges iter.Seq2[usage.Charge, error], priceOf func(*usage.Charge) (*Price, bool), ratioOf func(group string) money.Ratio) ([]Rerated, error) {
	models := map[string]*Rerated{}
	for c, err := range charges {
		if err != nil {
			return nil, err
		}
		r := models[c.Model]
		if r == nil {
			r = &Rerated{Model: c.Model}
			models[c.Model] = r
		}
		r.Requests++
		r.TokensIn += c.Tokens.Prompt
		r.TokensOut += c.Tokens.Completion
		r.Charged += c.Cost
		r.Absorbed += c.Absorbed
		if p, ok := priceOf(&c); ok {
			r.Rated += p.Cost(c.Tokens, "", ratioOf(c.Group))
		} else {
			r.Unpriced++
		}
	}
	return slices.SortedFunc(func(yield func(Rerated) bool) {
		for r := range maps.Values(models) {
			if !yield(*r) {
				return
			}
		}
	}, func(a, b Rerated) int {
		return cmp.Or(cmp.Compare(b.Charged, a.Charged), cmp.Compare(b.Rated, a.Rated), cmp.Compare(a.Model, b.Model))
	}), nil
}
