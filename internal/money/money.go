// Package money holds the units every amount in Halley is counted in. Inside,
// money is a whole number of nano-USD; prices are whole pico-USD per token; a
// quota unit of the management API is 2,000 nano-USD (500,000 units = 1 USD).
// It knows nothing of keys, prices or accounts.
package money

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Nano is an amount in 10^-9 USD.
type Nano int64

const (
	// Unit is one quota unit.
	Unit Nano = 2000
	// USD is one dollar.
	USD Nano = 1_000_000_000
	// MaxUnits is the largest quota that can be granted, in units.
	MaxUnits int64 = 4_000_000_000_000_000
	// Max is MaxUnits in nano-USD.
	Max Nano = Nano(MaxUnits) * Unit
)

// FromUnits converts quota units.
func FromUnits(units int64) Nano { return Nano(units) * Unit }

// FloorUnits is the whole units in n, rounded towards minus infinity.
func (n Nano) FloorUnits() int64 {
	q := int64(n / Unit)
	if n%Unit < 0 {
		q--
	}
	return q
}

// CeilUnits is the whole units that cover n.
func (n Nano) CeilUnits() int64 {
	q := int64(n / Unit)
	if n%Unit > 0 {
		q++
	}
	return q
}

// UnitsString writes n in quota units, a decimal with up to 4 places.
func (n Nano) UnitsString() string {
	whole, rest := int64(n/Unit), int64(n%Unit)
	if rest == 0 {
		return strconv.FormatInt(whole, 10)
	}
	sign := ""
	if n < 0 {
		sign, whole, rest = "-", -whole, -rest
	}
	// 1 nano-USD is 0.0005 units.
	return sign + strconv.FormatInt(whole, 10) + strings.TrimPrefix(decimal(rest*5, 4), "0")
}

// USDString writes n in dollars, a decimal with up to 9 places.
func (n Nano) USDString() string { return decimal(int64(n), 9) }

// Float is n in dollars, for figures that are shown and never added up.
func (n Nano) Float() float64 { return float64(n) / float64(USD) }

// decimal writes v × 10^-places without trailing zeros.
func decimal(v int64, places int) string {
	sign := ""
	u := uint64(v)
	if v < 0 {
		sign, u = "-", -u
	}
	s := strconv.FormatUint(u, 10)
	if len(s) <= places {
		s = strings.Repeat("0", places-len(s)+1) + s
	}
	whole, frac := s[:len(s)-places], strings.TrimRight(s[len(s)-places:], "0")
	if frac == "" {
		return sign + whole
	}
	return sign + whole + "." + frac
}

// Pico is a price in 10^-12 USD per token, which is 10^-6 USD per 1M tokens.
type Pico int64

// MaxPico bounds a price: 1,000,000 USD per 1M tokens.
const MaxPico Pico = 1_000_000_000_000

// Ratio is a price factor with 6 decimal places: 1_000_000 is 1.
type Ratio int64

// One is the neutral ratio.
const One Ratio = 1_000_000

// MaxRatio bounds a ratio.
const MaxRatio Ratio = 1_000_000 * One

// ParseDecimal reads a plain decimal ("1", "0.25", "-3.5") into an integer of
// 10^-places. It refuses exponents, signs other than a leading minus, blanks,
// and more places than fit.
func ParseDecimal(s string, places int) (int64, error) {
	body, neg := strings.CutPrefix(s, "-")
	whole, frac, dotted := strings.Cut(body, ".")
	if whole == "" || (dotted && frac == "") {
		return 0, fmt.Errorf("%q is not a decimal number", s)
	}
	if strings.Trim(whole+frac, "0123456789") != "" {
		return 0, fmt.Errorf("%q is not a decimal number", s)
	}
	frac = strings.TrimRight(frac, "0")
	if len(frac) > places {
		return 0, fmt.Errorf("%q has more than %d decimal places", s, places)
	}
	digits := whole + frac + strings.Repeat("0", places-len(frac))
	var v uint64
	for _, c := range []byte(digits) {
		hi, lo := bits.Mul64(v, 10)
		sum, carry := bits.Add64(lo, uint64(c-'0'), 0)
		if hi != 0 || carry != 0 || sum > math.MaxInt64 {
			return 0, fmt.Errorf("%q is too large", s)
		}
		v = sum
	}
	if neg {
		return -int64(v), nil
	}
	return int64(v), nil
}

// ParseRatio reads a ratio such as "1.25": 0 or more, at most 6 places.
func ParseRatio(s string) (Ratio, error) {
	v, err := ParseDecimal(s, 6)
	if err != nil {
		return 0, err
	}
	if v < 0 || Ratio(v) > MaxRatio {
		return 0, fmt.Errorf("%q is outside 0 to 1000000", s)
	}
	return Ratio(v), nil
}

// String writes the ratio as ParseRatio reads it.
func (r Ratio) String() string { return decimal(int64(r), 6) }

// String writes the price in USD per 1M tokens.
func (p Pico) String() string { return decimal(int64(p), 6) }

// Sum adds up token counts times prices exactly, in 128 bits.
type Sum struct{ hi, lo uint64 }

// Add adds tokens × price; negative counts and prices add nothing.
func (s *Sum) Add(tokens int64, price Pico) {
	if tokens <= 0 || price <= 0 {
		return
	}
	hi, lo := bits.Mul64(uint64(tokens), uint64(price))
	var c uint64
	s.lo, c = bits.Add64(s.lo, lo, 0)
	s.hi, c = bits.Add64(s.hi, hi, c)
	if c != 0 {
		s.hi, s.lo = math.MaxUint64, math.MaxUint64
	}
}

// AddNano adds a fixed amount; a negative one adds nothing.
func (s *Sum) AddNano(n Nano) {
	if n > 0 {
		s.Add(1000, Pico(n))
	}
}

// Nano multiplies the sum by the ratio and rounds up, once, to nano-USD. What
// does not fit is Max.
func (s Sum) Nano(r Ratio) Nano {
	if r <= 0 || (s.hi == 0 && s.lo == 0) {
		return 0
	}
	// (hi:lo × ratio) / 10^9 = pico × micro / (10^3 × 10^6), as 192 / 64 bits.
	h0, l0 := bits.Mul64(s.lo, uint64(r))
	h1, l1 := bits.Mul64(s.hi, uint64(r))
	mid, c := bits.Add64(h0, l1, 0)
	top := h1 + c
	const div = 1_000_000_000
	if top != 0 || mid >= div {
		return Max
	}
	q, rem := bits.Div64(mid, l0, div)
	if q >= uint64(Max) { // before rounding up, which could wrap around to 0
		return Max
	}
	if rem > 0 {
		q++
	}
	return Nano(q)
}

// Room is how many tokens at price can still be added to the sum before Nano(r)
// would exceed limit: -1 when the sum alone exceeds it, math.MaxInt64 when
// there is no end to it, because the tokens cost nothing or because limit is
// Max, where Nano stops.
func (s Sum) Room(limit Nano, r Ratio, price Pico) int64 {
	if s.Nano(r) > limit {
		return -1
	}
	if price <= 0 || r <= 0 || limit >= Max {
		return math.MaxInt64
	}
	// sum × ratio ≤ limit × 10^9, so what fits is ⌊limit × 10^9 / ratio⌋.
	hi, lo := bits.Mul64(uint64(limit), 1_000_000_000)
	hi, lo = div128(hi, lo, uint64(r))
	lo, borrow := bits.Sub64(lo, s.lo, 0)
	hi, _ = bits.Sub64(hi, s.hi, borrow)
	hi, lo = div128(hi, lo, uint64(price))
	if hi != 0 || lo > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(lo)
}

// div128 divides hi:lo by d, rounding down.
func div128(hi, lo, d uint64) (qhi, qlo uint64) {
	qlo, _ = bits.Div64(hi%d, lo, d)
	return hi / d, qlo
}
