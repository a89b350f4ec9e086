package chaos_test

import (
	"fmt"
	"strings"
)

// table is the verdict for people: faults by outcomes.
func (v *verdict) table() string {
	var b strings.Builder
	b.WriteString("| fault | times | requests | answered | refused | cut | failed | client left | broken off | served, USD | charged, USD | charged for parts, USD | absorbed, USD | lost | doubled |\n")
	b.WriteString("| --- |" + strings.Repeat(" ---: |", 14) + "\n")
	for _, name := range v.lines() {
		v.byFault[name].line(&b, name)
	}
	v.total.line(&b, "all requests, with or without")
	fmt.Fprintf(&b, "\n%d keys and accounts and %d windows of renewing budgets: %s USD overspent.\n", v.purses, v.windows, usd(v.overspent))
	return b.String()
}

func (t *tally) line(b *strings.Builder, name string) {
	times := "" // of what each request brings with it
	if t.faults > 0 {
		times = fmt.Sprint(t.faults)
	}
	fmt.Fprintf(b, "| %s | %s | %d | %d | %d | %d | %d | %d | %d | %s | %s | %s | %s | %d | %d |\n", name, times, t.requests,
		t.outcomes[answered], t.outcomes[refused], t.outcomes[ranOut], t.outcomes[failed], t.outcomes[left], t.outcomes[broken],
		usd(t.served), usd(t.charged), usd(t.partial), usd(t.absorbed), t.lost, t.doubled)
}

// usd is an amount of nano-USD to the last digit.
func usd(nano int64) string { return fmt.Sprintf("%d.%09d", nano/1e9, nano%1e9) }
