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
		if r := &rules[i]; r.window != nil {
			f.add(r, r.share-r.window.within(now, r.span), r.window.clear(now, r.span))
		}
	}
	return f
}

// add takes in how a rule stands, if it is tighter than what is there.
func (f *Facts) add(r *rule, remaining int64, reset time.Duration) {
	if r.counts == atOnce {
		return // there is no header for it
	}
	stand := Stand{Set: true, Limit: r.limit, Remaining: max(0, remaining), Reset: reset}
	tightest := &f.Requests
	if r.counts.tokens() {
		tightest = &f.Tokens
	}
	if !tightest.Set || stand.Remaining < tightest.Remaining || (stand.Remaining == tightest.Remaining && stand.Limit < tightest.Limit) {
		*tightest = stand
	}
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

// Which names a limit, as the limits object does.
type Which string

// The limits.
const (
	RequestsPerMinute Which = "rpm"
	RequestsPerDay    Which = "rpd"
	TokensPerMinute   Which = "tpm"
	InputPerMinute    Which = "tpm_input"
	OutputPerMinute   Which = "tpm_output"
	Concurrency       Which = "concurrency"
)

// Denied says which limit a request ran into.
type Denied struct {
	Which   Which
	Limit   int64
	Whose   Whose
	Group   string // whose it is, when it is a group's
	Pattern string // of the limit's models, "" when it is for all
	// RetryAfter is when the request would fit if no other came. For a request
	// that never fits it is the limit's whole span.
	RetryAfter time.Duration
	Need       int64 // what the request would have taken of it
	// Share is what one node may let in of the limit, where Nodes share it.
	Share int64
	Nodes int
	Facts Facts
}

// Fault is the refusal for the caller.
func (d *Denied) Fault() error {
	of := ""
	if d.Pattern != "" {
		of = fmt.Sprintf(" with %q", d.Pattern)
	}
	if d.Nodes > 1 {
		of += fmt.Sprintf(" (%d at this one of %d servers)", d.Share, d.Nodes)
	}
	var may string
	switch d.Which {
	case RequestsPerMinute:
		may = fmt.Sprintf("make %d requests per minute%s", d.Limit, of)
	case RequestsPerDay:
		may = fmt.Sprintf("make %d requests in 24 hours%s", d.Limit, of)
	case TokensPerMinute:
		may = fmt.Sprintf("use %d tokens per minute%s; the request needs about %d", d.Limit, of, d.Need)
	case InputPerMinute:
		may = fmt.Sprintf("use %d input tokens per minute%s; the request needs about %d", d.Limit, of, d.Need)
	case OutputPerMinute:
		may = fmt.Sprintf("use %d output tokens per minute%s; the request is expected to need %d", d.Limit, of, d.Need)
	case Concurrency:
		may = fmt.Sprintf("have %d requests under way at the same time%s", d.Limit, of)
	}
	return fault.New(fault.RateLimited, "rate_limit_exceeded", "%s may %s.", d.whose(), may).Retry(d.RetryAfter)
}

func (d *Denied) whose() string {
	switch d.Whose {
	case ParentKey:
		return "The parent key"
	case Account:
		return "This account"
	case Group:
		return fmt.Sprintf("The group %q", d.Group)
	case ThisKey:
	}
	return "This API key"
}
