package price

import (
	"errors"
	"iter"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"halley/internal/money"
	"halley/internal/usage"
)

func charges(list []usage.Charge, err error) iter.Seq2[usage.Charge, error] {
	return func(yield func(usage.Charge, error) bool) {
		for _, c := range list {
			if !yield(c, nil) {
				return
			}
		}
		if err != nil {
			yield(usage.Charge{}, err)
		}
	}
}

func TestRequestsAreRatedAgainEachByItself(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other, err := b.service.Draft("gpt-4o", []byte(`{"input":0.0001,"output":0,"above_prompt_tokens":[{"over":100,"input":4}]}`))
	if err != nil {
		t.Fatal(err)
	}
	list := []usage.Charge{
		// 0.1 nano-USD are rounded up to one, for each request.
		{Model: "gpt-4o", Group: "default", Tokens: usage.Tokens{Prompt: 1, Completion: 5}, Cost: 100},
		{Model: "gpt-4o", Group: "default", Tokens: usage.Tokens{Prompt: 1}, Cost: 100, Absorbed: 7},
		{Model: "gpt-4o", Group: "twice", Tokens: usage.Tokens{Prompt: 101}, Cost: 100}, // the whole prompt at 4 USD
		{Model: "unknown", Tokens: usage.Tokens{Prompt: 9}, Cost: 3},
	}
	got, err := Rerate(charges(list, nil), func(c *usage.Charge) (*Price, bool) { return other, c.Model == "gpt-4o" }, func(group string) money.Ratio {
		if group == "twice" {
			return 2 * money.One
		}
		return money.One
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []Rerated{
		{Model: "gpt-4o", Requests: 3, TokensIn: 103, TokensOut: 5, Charged: 300, Absorbed: 7, Rated: 1 + 1 + 2*101*4000},
		{Model: "unknown", Requests: 1, TokensIn: 9, Charged: 3, Unpriced: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if book := b.service.Book(); book != b.service.Book() {
		t.Error("the book has changed")
	} else if p, _ := book.Lookup("gpt-4o"); p.Source != FromCatalog {
		t.Error("the draft is in force")
	}
	if _, err := Rerate(charges(list, errors.New("away")), func(*usage.Charge) (*Price, bool) { return nil, false }, nil); err == nil {
		t.Error("what could not be read is not told")
	}
}

// TestRatingWithTheSamePriceGivesTheSameCost holds for any usage: nothing is lost
// or added on the way.
func TestRatingWithTheSamePriceGivesTheSameCost(t *testing.T) {
	t.Parallel()
	p, _ := setup(t).service.Book().Lookup("gpt-4o")
	rapid.Check(t, func(t *rapid.T) {
		var list []usage.Charge
		var sum money.Nano
		for range rapid.IntRange(0, 20).Draw(t, "requests") {
			tokens := usage.Tokens{Prompt: rapid.Int64Range(0, 1e9).Draw(t, "prompt"), CachedRead: rapid.Int64Range(0, 1e9).Draw(t, "cached"), Completion: rapid.Int64Range(0, 1e9).Draw(t, "completion")}
			cost := p.Cost(tokens, "", money.One)
			sum += cost
			list = append(list, usage.Charge{Model: p.Model, Tokens: tokens, Cost: cost})
		}
		got, err := Rerate(charges(list, nil), func(*usage.Charge) (*Price, bool) { return p, true }, func(string) money.Ratio { return money.One })
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			if len(got) != 0 {
				t.Fatalf("nothing gave %+v", got)
			}
			return
		}
		if len(got) != 1 || got[0].Rated != sum || got[0].Charged != sum {
			t.Fatalf("%+v, want %d", got, sum)
		}
	})
}

func TestThePastOfAPriceIsShown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, body := range []string{`{"input":1,"output":2}`, `{"input":3,"output":4}`} {
		if _, err := b.service.Put(t.Context(), "gpt-4o", []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.service.Put(t.Context(), "other", []byte(`{"input":1,"output":1}`)); err != nil {
		t.Fatal(err)
	}
	if err := b.service.Delete(t.Context(), "gpt-4o"); err != nil {
		t.Fatal(err)
	}
	changes, total, err := b.service.History(t.Context(), "gpt-4o", 2, 0)
	if err != nil || total != 3 || len(changes) != 2 {
		t.Fatalf("%d of %d, %v", len(changes), total, err)
	}
	if end := changes[0]; end.Price != nil || end.Version != "custom-4" || end.Model != "gpt-4o" || !end.At.Equal(noon) {
		t.Errorf("the end is %+v", end)
	}
	if last := changes[1]; last.Version != "custom-2" || last.Price.View().Input != "3" || last.Price.View().Vendor != "openai" {
		t.Errorf("before it was %+v", last)
	}
	if all, total, err := b.service.History(t.Context(), "", 10, 1); err != nil || total != 4 || len(all) != 3 || all[0].Model != "other" {
		t.Errorf("of all models: %+v, %d, %v", all, total, err)
	}
	if none, total, err := b.service.History(t.Context(), "\x00", 10, 0); err != nil || total != 0 || len(none) != 0 {
		t.Errorf("of no model: %+v, %d, %v", none, total, err)
	}
}
