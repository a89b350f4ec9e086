package money

import (
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseDecimalReadsExactly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in     string
		places int
		want   int64
	}{
		{"0", 6, 0},
		{"-0", 6, 0},
		{"1", 6, 1_000_000},
		{"0.1", 6, 100_000},
		{"0.000001", 6, 1},
		{"-3.5", 6, -3_500_000},
		{"1.500000000000000000000000", 6, 1_500_000},
		{"000000000000000000000000000001", 0, 1},
		{"9223372036854775807", 0, math.MaxInt64},
		{"9223372036854.775807", 6, math.MaxInt64},
	} {
		t.Run(c.in, func(t *testing.T) {
			t.Parallel()
			got, err := ParseDecimal(c.in, c.places)
			if err != nil || got != c.want {
				t.Errorf("ParseDecimal(%q, %d) = %d, %v, want %d", c.in, c.places, got, err, c.want)
			}
		})
	}
}

func TestParseDecimalRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, because string }{
		{"", "is not a decimal number"},
		{"-", "is not a decimal number"},
		{".5", "is not a decimal number"},
		{"5.", "is not a decimal number"},
		{"+1", "is not a decimal number"},
		{"--1", "is not a decimal number"},
		{"1.-5", "is not a decimal number"},
		{"1.2.3", "is not a decimal number"},
		{" 1", "is not a decimal number"},
		{"1e3", "is not a decimal number"},
		{"1.abcdefgh", "is not a decimal number"},
		{"NaN", "is not a decimal number"},
		{"Inf", "is not a decimal number"},
		{"0x10", "is not a decimal number"},
		{"1_000", "is not a decimal number"},
		{"١", "is not a decimal number"},
		{"0.0000001", "has more than 6 decimal places"},
		{"9223372036854.775808", "is too large"},
		{"18446744073709551616", "is too large"},
		{strings.Repeat("9", 400), "is too large"},
	} {
		t.Run(c.in, func(t *testing.T) {
			t.Parallel()
			got, err := ParseDecimal(c.in, 6)
			if err == nil || got != 0 || !strings.HasSuffix(err.Error(), c.because) {
				t.Errorf("ParseDecimal(%q) = %d, %v, want an error saying it %s", c.in, got, err, c.because)
			}
		})
	}
}

func TestWhatIsPrintedReadsBackTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Int64Range(-math.MaxInt64, math.MaxInt64).Draw(t, "v")
		if got, err := ParseDecimal(Nano(v).USDString(), 9); err != nil || got != v {
			t.Fatalf("%s reads %d, %v", Nano(v).USDString(), got, err)
		}
		if got, err := ParseDecimal(Pico(v).String(), 6); err != nil || got != v {
			t.Fatalf("%s reads %d, %v", Pico(v), got, err)
		}
		r := Ratio(rapid.Int64Range(0, int64(MaxRatio)).Draw(t, "ratio"))
		if got, err := ParseRatio(r.String()); err != nil || got != r {
			t.Fatalf("%s reads %d, %v", r, got, err)
		}
		// A unit is 2,000 nano-USD, so units × 10^4 is nano × 5.
		n := Nano(rapid.Int64Range(-int64(Max), int64(Max)).Draw(t, "nano"))
		s := n.UnitsString()
		whole, frac, _ := strings.Cut(s, ".")
		if len(frac) > 4 || strings.HasSuffix(frac, "0") {
			t.Fatalf("%d nano reads %q units", n, s)
		}
		got, _ := new(big.Int).SetString(whole+frac+strings.Repeat("0", 4-len(frac)), 10)
		if want := new(big.Int).Mul(big.NewInt(int64(n)), big.NewInt(5)); got.Cmp(want) != 0 {
			t.Fatalf("%d nano reads %q units", n, s)
		}
	})
}

func TestAmountsRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ got, want string }{
		{Nano(1).UnitsString(), "0.0005"},
		{Nano(-1).UnitsString(), "-0.0005"},
		{Nano(2500).UnitsString(), "1.25"},
		{Nano(-2500).UnitsString(), "-1.25"},
		{USD.UnitsString(), "500000"},
		{USD.USDString(), "1"},
		{Nano(1).USDString(), "0.000000001"},
		{Nano(math.MinInt64).USDString(), "-9223372036.854775808"},
		{Max.UnitsString(), "4000000000000000"},
		{One.String(), "1"},
		{Pico(2_500_000).String(), "2.5"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

func TestRatiosHaveBounds(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"-1", "1000000.000001", "x", "", "0.0000001"} {
		if r, err := ParseRatio(s); err == nil {
			t.Errorf("ParseRatio(%q) = %v, want an error", s, r)
		}
	}
	if r, err := ParseRatio("1000000"); err != nil || r != MaxRatio {
		t.Errorf("ParseRatio(1000000) = %v, %v", r, err)
	}
}

func TestUnitsRoundToTheSideTheyName(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := Nano(rapid.Int64Range(-int64(Max), int64(Max)).Draw(t, "nano"))
		floor, ceil := n.FloorUnits(), n.CeilUnits()
		if f := FromUnits(floor); f > n || n-f >= Unit {
			t.Fatalf("floor of %d is %d", n, floor)
		}
		if c := FromUnits(ceil); c < n || c-n >= Unit {
			t.Fatalf("ceiling of %d is %d", n, ceil)
		}
	})
}

// part is one addition to a sum.
type part struct {
	tokens int64
	price  Pico
}

func drawParts(t *rapid.T) []part {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) part {
		return part{
			rapid.OneOf(rapid.Int64Range(-5, 1_000_000), rapid.Int64()).Draw(t, "tokens"),
			Pico(rapid.OneOf(rapid.Int64Range(-5, int64(MaxPico)), rapid.Int64()).Draw(t, "price")),
		}
	}), 0, 12).Draw(t, "parts")
}

func drawRatio(t *rapid.T) Ratio {
	return rapid.OneOf(
		rapid.SampledFrom([]Ratio{0, 1, One, One * 5 / 4, MaxRatio, -1}),
		rapid.Custom(func(t *rapid.T) Ratio { return Ratio(rapid.Int64Range(0, int64(MaxRatio)).Draw(t, "r")) }),
	).Draw(t, "ratio")
}

// exact is what Sum promises, in arbitrary precision.
func exact(parts []part, r Ratio) Nano {
	total := new(big.Int)
	for _, p := range parts {
		if p.tokens > 0 && p.price > 0 {
			total.Add(total, new(big.Int).Mul(big.NewInt(p.tokens), big.NewInt(int64(p.price))))
		}
	}
	if r <= 0 {
		return 0
	}
	total.Mul(total, big.NewInt(int64(r)))
	total.Add(total, big.NewInt(999_999_999)).Quo(total, big.NewInt(1_000_000_000))
	if total.Cmp(big.NewInt(int64(Max))) > 0 {
		return Max
	}
	return Nano(total.Int64())
}

func sum(parts []part) Sum {
	var s Sum
	for _, p := range parts {
		s.Add(p.tokens, p.price)
	}
	return s
}

func TestSumIsExactAndRoundsUpOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		parts, r := drawParts(t), drawRatio(t)
		if got, want := sum(parts).Nano(r), exact(parts, r); got != want {
			t.Fatalf("sum of %v × %v = %d, want %d", parts, r, got, want)
		}
	})
}

func TestSumStopsAtMaxInsteadOfWrapping(t *testing.T) {
	t.Parallel()
	const full = math.MaxUint64
	for _, c := range []struct {
		name string
		s    Sum
		r    Ratio
	}{
		{"all bits", Sum{full, full}, 1},
		{"all bits and the largest ratio", Sum{full, full}, MaxRatio},
		// The quotient is 2^64 - 1 with a remainder: rounding up must not reach 0.
		{"rounding up at the last bit", Sum{999_999_999, full}, 1},
		{"just over", Sum{0, uint64(Max)}, 1_000_000_001},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := c.s.Nano(c.r); got != Max {
				t.Errorf("got %d, want Max", got)
			}
		})
	}
	s := Sum{full, full}
	s.Add(1, 1)
	if s.Nano(One) != Max {
		t.Error("adding to a full sum wrapped around")
	}
}

func TestFixedAmountsAddWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := Nano(rapid.Int64Range(-10, int64(Max)).Draw(t, "nano"))
		var s Sum
		s.AddNano(n)
		if got := s.Nano(One); got != max(n, 0) {
			t.Fatalf("%d became %d", n, got)
		}
	})
}

func TestRoomIsTheLargestCountThatFits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		parts, r := drawParts(t), drawRatio(t)
		price := Pico(rapid.Int64Range(0, int64(MaxPico)).Draw(t, "price"))
		limit := Nano(rapid.OneOf(rapid.Int64Range(-1, 1_000_000), rapid.Int64Range(0, int64(Max))).Draw(t, "limit"))
		s := sum(parts)
		n := s.Room(limit, r, price)
		if n < 0 {
			if n != -1 || s.Nano(r) <= limit {
				t.Fatalf("room %d though %d of %d are taken", n, s.Nano(r), limit)
			}
			return
		}
		fits := s
		fits.Add(n, price)
		if fits.Nano(r) > limit {
			t.Fatalf("%d tokens cost %d, more than %d", n, fits.Nano(r), limit)
		}
		if n == math.MaxInt64 {
			return
		}
		over := s
		over.Add(n+1, price)
		if over.Nano(r) <= limit {
			t.Fatalf("%d tokens would fit too: %d of %d", n+1, over.Nano(r), limit)
		}
	})
}

func TestMoneyDoesNotAllocate(t *testing.T) {
	var out Nano
	var room int64
	if n := testing.AllocsPerRun(100, func() {
		var s Sum
		s.Add(1234, 2_500_000)
		s.AddNano(7)
		out += s.Nano(One)
		room += s.Room(USD, One, 10_000_000)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParseDecimal(f *testing.F) {
	for _, s := range []string{"0", "-1.5", "1e9", "0.0000001", "99999999999999999999", "1..2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := ParseDecimal(s, 6)
		if err != nil {
			return
		}
		// What is accepted is what arbitrary precision reads.
		want, ok := new(big.Rat).SetString(s)
		if !ok || want.Cmp(big.NewRat(v, 1_000_000)) != 0 {
			t.Errorf("ParseDecimal(%q) = %d", s, v)
		}
	})
}
