package group

import (
	"slices"
	"strings"

	"halley/internal/fault"
)

// Strategy is how a group chooses among its channels of the same priority.
type Strategy string

// The strategies.
const (
	Weighted     Strategy = "weighted"      // by chance, in proportion to the weights
	LeastLatency Strategy = "least-latency" // of two by chance, the one that begins to answer sooner
	LeastBusy    Strategy = "least-busy"    // the one with the least under way for its weight
	Cheapest     Strategy = "cheapest"      // by cost, then by weight
)

// Strategies are all there are, the default first.
func Strategies() []string {
	return []string{string(Weighted), string(LeastLatency), string(LeastBusy), string(Cheapest)}
}

func checkStrategy(s Strategy) error {
	if slices.Contains(Strategies(), string(s)) {
		return nil
	}
	return fault.New(fault.Invalid, "invalid_strategy", "strategy must be one of %s.", strings.Join(Strategies(), ", ")).Field("strategy")
}
