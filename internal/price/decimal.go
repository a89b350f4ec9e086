package price

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
)

// Decimal is a decimal number as it is written, so that no reader or writer
// passes it through a binary fraction. "" is none.
type Decimal string

// MarshalJSON writes a JSON number; none is null.
func (d Decimal) MarshalJSON() ([]byte, error) {
	if d == "" {
		return []byte("null"), nil
	}
	return []byte(d), nil
}

// Inner is the type a schema shows.
func (Decimal) Inner() reflect.Type { return reflect.TypeFor[float64]() }

var (
	errNoNumber   = errors.New("is not a decimal number")
	errTooPrecise = errors.New("has too many decimal places")
	errTooLarge   = errors.New("is too large")
)

// exactly reads a number as JSON writes it, exponent included, into a whole
// number of 10^-places. 10^18 of those and more are too large.
func exactly(literal string, places int) (int64, error) {
	body, negative := strings.CutPrefix(literal, "-")
	mantissa, exponent := body, 0
	if i := strings.IndexAny(body, "eE"); i >= 0 {
		var ok bool
		if exponent, ok = parseExponent(body[i+1:]); !ok {
			return 0, errNoNumber
		}
		mantissa = body[:i]
	}
	whole, fraction, dotted := strings.Cut(mantissa, ".")
	if !isDigits(whole) || dotted && !isDigits(fraction) {
		return 0, errNoNumber
	}
	// The number is digits × 10^shift, in units of 10^-places.
	digits := strings.TrimLeft(whole+fraction, "0")
	shift := exponent + places - len(fraction)
	significant := strings.TrimRight(digits, "0")
	shift += len(digits) - len(significant)
	switch {
	case significant == "":
		return 0, nil
	case shift < 0:
		return 0, errTooPrecise
	case len(significant)+shift > 18:
		return 0, errTooLarge
	}
	v, err := strconv.ParseInt(significant+strings.Repeat("0", shift), 10, 64)
	if negative {
		v = -v
	}
	return v, err
}

// parseExponent reads what follows the e; beyond ±10^9 it stops counting.
func parseExponent(s string) (int, bool) {
	digits, negative := strings.CutPrefix(s, "-")
	if !negative {
		digits = strings.TrimPrefix(digits, "+")
	}
	if !isDigits(digits) {
		return 0, false
	}
	v := 0
	for _, c := range []byte(digits) {
		v = min(v*10+int(c-'0'), 1_000_000_000)
	}
	if negative {
		v = -v
	}
	return v, true
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
