package limit

import (
	"fmt"
	"strconv"
	"time"

	"halley/internal/fault"
)

// Facts say how a key stands, for the x-ratelimit-… headers. Of several limits
// of a sort it is the one with the least left.
type Facts struct {
	Requests Stand
	Tokens   Stand
}

// Stand is one limit's.
type Stand struct {
	Set       bool // there is such a limit
	Limit     int64
	Remaining int64
	Reset     time.Duration // until all of it is there again
}

func facts(now time.Time, rules []rule) Facts {
	var f Facts
	for i := range rules {
		r := &rules[i]
		stand := Stand{Set: true, Limit: r.limit, Remaining: max(0, r.limit-r.window.within(now, r.span)), Reset: r.window.clear(now, r.span)}
		tightest := &f.Requests
		if r.isTokens {
			tightest = &f.Tokens
		}
		if !tightest.Set || stand.Remaining < tightest.Remaining || (stand.Remaining == tightest.Remaining && stand.Limit < tightest.Limit) {
			*tightest = stand
		}
	}
	return f
}

// Headers calls set with every header that the facts are good for.
func (f Facts) Headers(set func(name, value string)) {
	f.Requests.headers("requests", set)
	f.Tokens.headers("tokens", set)
}

func (s Stand) headers(of string, set func(name, value string)) {
	if !s.Set {
		return
	}
	set("x-ratelimit-limit-"+of, strconv.FormatInt(s.Limit, 10))
	set("x-ratelimit-remaining-"+of, strconv.FormatInt(s.Remaining, 10))
	// OpenAI writes durations as Go does: 20ms, 1s, 6m0s.
	set("x-ratelimit-reset-"+of, (s.Reset + time.Millisecond - 1).Truncate(time.Millisecond).String())
}

// Which names a limit, as the key's limits object does.
type Which string

// The limits.
const (
	RequestsPerMinute Which = "rpm"
	RequestsPerDay    Which = "rpd"
	TokensPerMinute   Which = "tpm"
	Concurrency       Which = "concurrency"
)

// Denied says which limit a request ran into.
type Denied struct {
	Which   Which
	Limit   int64
	Pattern string // of the limit's models, "" when it is for all
	// RetryAfter is when the request would fit if no other came. For a request
	// that never fits it is the limit's whole span.
	RetryAfter time.Duration
	Need       int64 // what the request would have taken of it
	Facts      Facts
}

// Fault is the refusal for the caller.
func (d *Denied) Fault() error {
	of := ""
	if d.Pattern != "" {
		of = fmt.Sprintf(" with %q", d.Pattern)
	}
	var message string
	switch d.Which {
	case RequestsPerMinute:
		message = fmt.Sprintf("This API key may make %d requests per minute%s.", d.Limit, of)
	case RequestsPerDay:
		message = fmt.Sprintf("This API key may make %d requests in 24 hours%s.", d.Limit, of)
	case TokensPerMinute:
		message = fmt.Sprintf("This API key may use %d tokens per minute%s; the request needs about %d.", d.Limit, of, d.Need)
	case Concurrency:
		message = fmt.Sprintf("This API key may have %d requests under way at the same time.", d.Limit)
	}
	return fault.New(fault.RateLimited, "rate_limit_exceeded", "%s", message).Retry(d.RetryAfter)
}
