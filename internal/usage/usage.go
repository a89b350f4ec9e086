// Package usage owns what a request consumed: the token counts, the record
// that every request of a known key leaves behind, how records reach the store
// in batches, and the questions asked of them. It must not know HTTP or SQL.
package usage

import (
	"time"

	"halley/internal/money"
)

// Tokens is one request's consumption in one set of terms, whatever the
// provider's own: Prompt is all input including cached, cache-write, audio and
// image tokens; Completion is all output including reasoning and audio. The
// others are parts of those two, but for Searches: how often the provider
// searched the web, which it charges for besides.
type Tokens struct {
	Prompt       int64
	CachedRead   int64
	CacheWrite5m int64
	CacheWrite1h int64
	AudioIn      int64
	ImageIn      int64
	Completion   int64
	Reasoning    int64
	AudioOut     int64
	ImageOut     int64
	Searches     int64
}

// Source tells how the token counts are known.
type Source string

// The sources.
const (
	FromProvider Source = "provider"  // reported by the upstream
	Metered      Source = "metered"   // counted from the bytes that passed
	Estimated    Source = "estimated" // worked out from sizes alone
	NoUsage      Source = "none"      // nothing was consumed
)

// Try is one attempt to have a request served.
type Try struct {
	ChannelID int64
	Outcome   string        // a health.Class by its name: success, failed, rate-limited…
	Detail    string        // what was seen, such as "status 503"; "" where the outcome says all
	Began     time.Duration // since the request came
	Took      time.Duration
}

// MaxTries bounds what is kept of a request's attempts: more than the option
// max_attempts allows.
const MaxTries = 24

// Record is the one narrow row of a request. Ledger fields (Charge,
// GrantDelta…) say how the request moved the key's and the account's money.
type Record struct {
	EventID      string // unique, made by the server: the idempotency key of settlement
	Time         time.Time
	RequestID    string
	KeyID        int64
	KeyName      string
	ParentID     int64 // the key that issued the key and is charged as well, 0 for none
	UserID       int64
	Model        string
	ServedModel  string
	ChannelID    int64
	Group        string
	Dialect      string
	Endpoint     string
	Stream       bool
	Status       int
	ErrorCode    string
	Tokens       Tokens
	Cost         money.Nano // charged
	Absorbed     money.Nano // cost that the grant could not bear
	PriceVersion string
	Held         money.Nano
	Latency      time.Duration
	FirstByte    time.Duration // 0 when nothing was sent
	Attempts     int
	Trail        []Try // what became of each attempt; nil where the only one served
	Source       Source
	EndUser      string
	IP           string
	// KeyGrantDelta, ParentGrantDelta and UserGrantDelta raise the grant of an
	// unlimited key, parent key or account by what it spent, so that
	// granted = remaining + used + held.
	KeyGrantDelta    money.Nano
	ParentGrantDelta money.Nano
	UserGrantDelta   money.Nano
	// Term is the node's in which the money was leased that this was charged to;
	// 0 where nobody shares the store. It is not stored.
	Term int64
	// Settled says that a hold was settled with this record, so that the ledger
	// must be told once it is in the store. It is not stored.
	Settled bool
}
