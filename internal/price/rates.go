package price

import "halley/internal/money"

// Kind is a kind of token that can have a price of its own.
type Kind uint8

// The kinds. A kind without a price costs as Input on the prompt's side and as
// Output on the other.
const (
	Input Kind = iota
	CacheRead
	CacheWrite5m
	CacheWrite1h
	AudioInput
	ImageInput
	Output
	ReasoningOutput
	AudioOutput
	ImageOutput
	kinds
)

// kindNames are the members of a definition, in the order of the kinds.
var kindNames = [kinds]string{
	"input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_input", "image_input",
	"output", "reasoning_output", "audio_output", "image_output",
}

// String is the member's name in a definition.
func (k Kind) String() string { return kindNames[k] }

// Rates are prices by kind; a kind may have none, which is not the same as a
// price of 0. The zero value has no price at all.
type Rates struct {
	set   [kinds]bool
	price table
}

// Get is the price of the kind and whether there is one.
func (r Rates) Get(k Kind) (money.Pico, bool) { return r.price[k], r.set[k] }

// With is r with the price of one kind set.
func (r Rates) With(k Kind, p money.Pico) Rates {
	r.set[k], r.price[k] = true, p
	return r
}

// Without is r without a price of the kind.
func (r Rates) Without(k Kind) Rates {
	r.set[k], r.price[k] = false, 0
	return r
}

// Empty reports whether no kind has a price.
func (r Rates) Empty() bool { return r.set == [kinds]bool{} }

// overlay is r with every price that over has instead of r's own.
func (r Rates) overlay(over Rates) Rates {
	for k := range kinds {
		if p, ok := over.Get(k); ok {
			r = r.With(k, p)
		}
	}
	return r
}

// table has a price for every kind.
type table [kinds]money.Pico

// resolve fills in the kinds that have no price of their own.
func (r Rates) resolve() table {
	for k := range kinds {
		if r.set[k] {
			continue
		}
		if k < Output {
			r.price[k] = r.price[Input]
		} else {
			r.price[k] = r.price[Output]
		}
	}
	return r.price
}

// dearest is the highest price on the prompt's side and on the other.
func (t table) dearest() (in, out money.Pico) {
	for k := range kinds {
		if k < Output {
			in = max(in, t[k])
		} else {
			out = max(out, t[k])
		}
	}
	return in, out
}

// dearer is the higher price of each kind.
func (t table) dearer(than table) table {
	for k := range kinds {
		t[k] = max(t[k], than[k])
	}
	return t
}
