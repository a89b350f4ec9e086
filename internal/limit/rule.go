package limit

import "time"

// counts says what a limit counts.
type counts uint8

const (
	allTokens counts = iota // the tokens come first: they number the token windows
	inputTokens
	outputTokens
	requests
	atOnce
)

func (c counts) tokens() bool { return c <= outputTokens }

// of are the tokens that count.
func (c counts) of(t Tokens) int64 {
	switch c {
	case inputTokens:
		return t.Input
	case outputTokens:
		return t.Output
	}
	return t.Input + t.Output
}

// rule is one limit that applies to a request.
type rule struct {
	scope   int    // its number
	pattern string // of models, "" for all
	counts  counts
	span    time.Duration // 0 for atOnce
	limit   int64
	share   int64   // of it, what this node may let in
	nodes   int     // among how many it is shared, 1 when it is not
	window  *window // nil for atOnce
	under   int64   // for atOnce: how many are under way
	amount  int64   // what the request takes
}

// rules are the limits that the request has to pass; the shards are locked.
func (l *Limiter) rules(rules []rule, now time.Time, scopes []Scope, r Request) []rule {
	for i := range scopes {
		s := &scopes[i]
		if s.Limits.none() {
			continue
		}
		st := l.state(now, s.subject())
		if s.Limits.Concurrency != nil {
			rules = append(rules, rule{scope: i, counts: atOnce, limit: *s.Limits.Concurrency, under: st.inFlight, amount: 1})
		}
		expected := Tokens{max(r.Input, 0), min(st.outputs, max(r.OutputCap, 0))}
		rules = st.whole.rules(rules, rule{scope: i}, s.Limits.RPD, Rate{s.Limits.RPM, s.Limits.TPM, s.Limits.TPMInput, s.Limits.TPMOutput}, expected)
		for pattern, rate := range s.Limits.PerModel {
			if rate != (Rate{}) && l.match(pattern, r.Model) {
				rules = st.pattern(now, pattern, s.Limits).rules(rules, rule{scope: i, pattern: pattern}, nil, rate, expected)
			}
		}
	}
	for i := range rules {
		rules[i].share, rules[i].nodes = rules[i].limit, 1
	}
	return rules
}

// pattern is the history of one of the subject's patterns. Patterns that it no
// longer has go when others come.
func (st *state) pattern(now time.Time, pattern string, limits *Limits) *windows {
	w := st.patterns[pattern]
	if w != nil {
		return w
	}
	if st.patterns == nil {
		st.patterns = map[string]*windows{}
	}
	for old, history := range st.patterns {
		if _, has := limits.PerModel[old]; !has && history.idle(now) {
			delete(st.patterns, old)
		}
	}
	w = &windows{}
	st.patterns[pattern] = w
	return w
}

// rules adds those that count in the windows to the list; like says whose they
// are.
func (w *windows) rules(rules []rule, like rule, rpd *int64, rate Rate, expected Tokens) []rule {
	like.counts, like.amount = requests, 1
	if rate.RPM != nil {
		like.window, like.span, like.limit = &w.minute, time.Minute, *rate.RPM
		rules = append(rules, like)
	}
	if rpd != nil {
		like.window, like.span, like.limit = &w.day, day, *rpd
		rules = append(rules, like)
	}
	like.span = time.Minute
	for c, limit := range [...]*int64{allTokens: rate.TPM, inputTokens: rate.TPMInput, outputTokens: rate.TPMOutput} {
		if limit != nil {
			like.counts, like.window, like.limit = counts(c), &w.tokens[c], *limit
			like.amount = reserve(like.counts, *limit, expected)
			rules = append(rules, like)
		}
	}
	return rules
}

// firstOutputs is how much output is expected of a subject that nothing is known
// of.
const firstOutputs = 256

// reserve is what a request takes of a limit of tokens until its real figures
// are known. Its input is an estimate that is rather too low. Its output is what
// the subject's requests have had lately, within the request's cap: neither the
// whole cap, which hardly any uses, nor nothing, which would let any number in
// at once. Expected output alone never keeps a request out of a window that is
// empty.
func reserve(c counts, limit int64, expected Tokens) int64 {
	switch c {
	case inputTokens:
		return expected.Input
	case outputTokens:
		return min(expected.Output, limit)
	}
	return expected.Input + min(expected.Output, max(limit-expected.Input, 0))
}

// learn makes a finished request's output part of what is expected of the next.
func (st *state) learn(output int64) {
	if output > 0 {
		st.outputs = (st.outputs*7 + output + 4) / 8
	}
}

// need is how much must be left: at the least one, so that a limit that is used
// up lets nothing in, whatever the estimate.
func (r *rule) need() int64 { return max(r.amount, 1) }

// concurrencyRetry is when to ask again whether another request has ended.
const concurrencyRetry = time.Second

// wait tells whether the rule lets the request in, and if not how long it takes
// until it does, should no other come.
func (r *rule) wait(now time.Time) (time.Duration, bool) {
	switch {
	case r.window == nil:
		return concurrencyRetry, r.under < r.share
	case r.share == 0 && r.limit > 0:
		// Another node has the whole limit, and may take the request at once.
		return concurrencyRetry, false
	}
	return r.window.wait(now, r.span, r.share, r.need())
}

// deny finds what speaks against the request, if anything does: of several
// limits the one that takes longest to pass.
func deny(now time.Time, scopes []Scope, rules []rule) *Denied {
	var worst *Denied
	for i := range rules {
		wait, ok := rules[i].wait(now)
		if !ok && (worst == nil || worst.RetryAfter < wait) {
			worst = rules[i].denied(scopes, wait)
		}
	}
	return worst
}

func (r *rule) denied(scopes []Scope, wait time.Duration) *Denied {
	scope := &scopes[r.scope]
	return &Denied{
		Which: r.which(), Limit: r.limit, Whose: scope.Whose, Group: scope.Name, Pattern: r.pattern, RetryAfter: wait, Need: r.need(),
		Share: r.share, Nodes: r.nodes,
	}
}

func (r *rule) which() Which {
	switch r.counts {
	case allTokens:
		return TokensPerMinute
	case inputTokens:
		return InputPerMinute
	case outputTokens:
		return OutputPerMinute
	case atOnce:
		return Concurrency
	case requests:
	}
	if r.span == day {
		return RequestsPerDay
	}
	return RequestsPerMinute
}
