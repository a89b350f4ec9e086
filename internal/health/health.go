// Package health knows how the upstreams are doing: per channel, model and
// upstream key a breaker, cooldowns, the time to first byte and what is under
// way. It learns from the outcomes of attempts and answers what may be tried
// and with how much of its usual traffic. It only ever advises: whether a
// broken upstream is tried because nothing better is left is route's decision.
//
// It is pure: instants come in as arguments, chance and the listener through
// Config; it does no I/O and starts no goroutines. It must not know what a
// channel or a request looks like, only their names.
//
// There are two gates on an upstream's way. The key's gate shuts when the
// upstream refuses the key or its balance, for all of its models. The model's
// gate, one per key and model, shuts when too much fails or when the upstream
// asks for fewer requests. A gate that has shut lets single probes through
// after a cooldown which grows with each that fails; the first that is answered
// opens it for a share of the usual traffic, which then grows to all of it.
package health

import (
	"cmp"
	"fmt"
	"time"
)

// Target is what health is known of.
type Target struct {
	Channel    int64
	Credential string // the stable id of the upstream key, "" for a channel without
	Model      string // the upstream's name of it; "" is the upstream key as a whole
}

// State is how a target is doing.
type State uint8

// The states, best first.
const (
	Closed      State = iota // well: everything goes through
	SlowStart                // recovering: a growing share goes through
	Suspected                // another node says that it is broken: a share goes through until we know
	HalfOpen                 // the cooldown is over: one probe at a time goes through
	CoolingDown              // the upstream asked for fewer requests
	Open                     // too much failed
	Out                      // the upstream key or its balance was refused
)

var stateNames = [...]string{"closed", "slow-start", "suspected", "half-open", "cooling-down", "open", "out"}

// String is the state's name in logs, metrics and answers.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// MarshalText makes the name the state's form in JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// shut reports whether nothing but probes is let through.
func (s State) shut() bool { return s >= HalfOpen }

// Class is what an attempt's end says about the upstream.
type Class uint8

// The classes.
const (
	Success     Class = iota
	Failed            // 5xx, no connection, time-out, stall, an answer that is none
	RateLimited       // 429 for too many requests
	Credential        // the upstream key was refused
	Balance           // the upstream key's balance is used up
	ClientFault       // the request's own fault (400, 404, 413, 422): says nothing
	ClientGone        // nobody waited for the end: says nothing
	Overtaken         // another attempt of the request was faster: says nothing
)

var classNames = [...]string{"success", "failed", "rate-limited", "credential", "balance", "client-fault", "client-gone", "overtaken"}

// String is the class's name in metrics and headers.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return fmt.Sprintf("class %d", uint8(c))
}

// Classes are how many there are.
const Classes = len(classNames)

// silent reports whether it says nothing about the upstream.
func (c Class) silent() bool { return c == ClientFault || c == ClientGone || c == Overtaken }

// Cause is what brought a change of state about, in one word.
type Cause uint8

// The causes.
const (
	ByNothing    Cause = iota // there was no change yet
	ByFailures                // too much failed, or a probe did
	ByRateLimit               // the upstream asked for fewer requests
	ByCredential              // the upstream key was refused
	ByBalance                 // the upstream key's balance is used up
	ByProbe                   // a probe has begun
	ByAnswer                  // an attempt was answered
	ByTime                    // a slow start or a warning is over
	ByHint                    // another node said so
)

var causeNames = [...]string{"", "failures", "rate-limit", "credential", "balance", "probe", "answer", "time", "hint"}

// String is the cause's name in logs and metrics.
func (c Cause) String() string {
	if int(c) < len(causeNames) {
		return causeNames[c]
	}
	return fmt.Sprintf("cause %d", uint8(c))
}

// Outcome is how an attempt ended.
type Outcome struct {
	Class Class
	// FirstByte is how long the upstream took to begin its answer; 0 when it did
	// not, or when Attempt.FirstByte has told already.
	FirstByte time.Duration
	// RetryAfter is how long an upstream that failed or limits wants to be left
	// alone; 0 when it did not say.
	RetryAfter time.Duration
	// Detail says in a few words what happened ("status 503"), for reasons that
	// operators read. It must hold no secret.
	Detail string
}

// Transition is a change of a target's state.
type Transition struct {
	Target Target
	From   State
	To     State
	At     time.Time
	Until  time.Time // when the new state is over if nothing happens; zero for Closed
	Cause  Cause
	Reason string
}

// Verdict is the answer to what may be sent to a target.
type Verdict struct {
	State  State
	Share  float64   // the part of its usual traffic that it should get, 0 to 1
	Probe  bool      // half-open, and nobody probes: one attempt may
	Until  time.Time // when the state is over if nothing happens; zero for Closed
	Cause  Cause     // why it last shut
	Reason string
}

// Config is what a Tracker goes by. A field that is 0 takes its default.
type Config struct {
	// Window is how far back outcomes count. Default 30s.
	Window time.Duration
	// MinVolume is how many outcomes the window must hold before their ratio
	// counts, at least 2. Default 5.
	MinVolume int
	// FailureRatio is the part of the window's outcomes that must have failed to
	// open the breaker, above 0 and up to 1. Default 0.5.
	FailureRatio float64
	// Consecutive is how many failures in a row open the breaker however long ago
	// they were, at least 2: a channel with little traffic never fills the window.
	// Default 5.
	Consecutive int

	// Cooldown is how long an opened breaker keeps everything off; it doubles
	// with each probe that fails, up to MaxCooldown. Defaults 5s and 2m.
	Cooldown    time.Duration
	MaxCooldown time.Duration
	// RateLimitCooldown is the same for rate limits of which the upstream does
	// not say how long they last. Defaults 2s and 1m.
	RateLimitCooldown    time.Duration
	MaxRateLimitCooldown time.Duration
	// MaxRetryAfter caps how long an upstream may ask to be left alone. Default 10m.
	MaxRetryAfter time.Duration
	// KeyCooldown is the same for a refused upstream key or balance. Defaults 1m
	// and 1h.
	KeyCooldown    time.Duration
	MaxKeyCooldown time.Duration

	// ProbeTerm is how long a probe may run before another is let through.
	// Default 2m.
	ProbeTerm time.Duration
	// SlowStart is how long a recovered target takes to its full share, or the
	// length of its last cooldown if that is shorter. Default 30s.
	SlowStart time.Duration
	// FirstShare is the share it begins with, above 0 and up to 1. Default 0.1.
	FirstShare float64
	// SuspectShare is the share of a target that another node says is broken,
	// above 0 and up to 1. Default 0.25.
	SuspectShare float64
	// IdleAfter is how long a model's history is kept without traffic. Default 15m.
	IdleAfter time.Duration

	// Roll is a random number in [0, 1), for the jitter of cooldowns: recoveries
	// of many targets, or seen by many nodes, should not fall on one instant.
	// It must be safe for concurrent use. nil means no jitter.
	Roll func() float64
	// OnTransition hears of each change of state, after it happened and without a
	// lock held; of changes at the same time in any order. nil is nobody.
	OnTransition func(Transition)
}

func (c Config) withDefaults() Config {
	c.Window = cmp.Or(c.Window, 30*time.Second)
	c.MinVolume = cmp.Or(c.MinVolume, 5)
	c.FailureRatio = cmp.Or(c.FailureRatio, 0.5)
	c.Consecutive = cmp.Or(c.Consecutive, 5)
	c.Cooldown = cmp.Or(c.Cooldown, 5*time.Second)
	c.MaxCooldown = cmp.Or(c.MaxCooldown, max(2*time.Minute, c.Cooldown))
	c.RateLimitCooldown = cmp.Or(c.RateLimitCooldown, 2*time.Second)
	c.MaxRateLimitCooldown = cmp.Or(c.MaxRateLimitCooldown, max(time.Minute, c.RateLimitCooldown))
	c.MaxRetryAfter = cmp.Or(c.MaxRetryAfter, 10*time.Minute)
	c.KeyCooldown = cmp.Or(c.KeyCooldown, time.Minute)
	c.MaxKeyCooldown = cmp.Or(c.MaxKeyCooldown, max(time.Hour, c.KeyCooldown))
	c.ProbeTerm = cmp.Or(c.ProbeTerm, 2*time.Minute)
	c.SlowStart = cmp.Or(c.SlowStart, 30*time.Second)
	c.FirstShare = cmp.Or(c.FirstShare, 0.1)
	c.SuspectShare = cmp.Or(c.SuspectShare, 0.25)
	c.IdleAfter = cmp.Or(c.IdleAfter, 15*time.Minute)
	if c.Roll == nil {
		c.Roll = func() float64 { return 0 }
	}
	if c.OnTransition == nil {
		c.OnTransition = func(Transition) {}
	}
	return c
}

// check names the first field that breaks its rule.
func (c Config) check() error {
	for _, row := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{
		{"Window", c.Window, windowSlots * time.Millisecond},
		{"Cooldown", c.Cooldown, time.Millisecond}, {"MaxCooldown", c.MaxCooldown, c.Cooldown},
		{"RateLimitCooldown", c.RateLimitCooldown, time.Millisecond}, {"MaxRateLimitCooldown", c.MaxRateLimitCooldown, c.RateLimitCooldown},
		{"MaxRetryAfter", c.MaxRetryAfter, time.Millisecond},
		{"KeyCooldown", c.KeyCooldown, time.Millisecond}, {"MaxKeyCooldown", c.MaxKeyCooldown, c.KeyCooldown},
		{"ProbeTerm", c.ProbeTerm, time.Millisecond}, {"SlowStart", c.SlowStart, time.Millisecond}, {"IdleAfter", c.IdleAfter, c.Window},
	} {
		if row.value < row.least {
			return fmt.Errorf("health: %s must be at least %s, it is %s", row.name, row.least, row.value)
		}
	}
	for _, row := range []struct {
		name  string
		value int
	}{{"MinVolume", c.MinVolume}, {"Consecutive", c.Consecutive}} {
		if row.value < 2 {
			return fmt.Errorf("health: %s must be at least 2, so that one error opens no breaker, it is %d", row.name, row.value)
		}
	}
	for _, row := range []struct {
		name  string
		value float64
	}{{"FailureRatio", c.FailureRatio}, {"FirstShare", c.FirstShare}, {"SuspectShare", c.SuspectShare}} {
		if !(row.value > 0 && row.value <= 1) {
			return fmt.Errorf("health: %s must be above 0 and at most 1, it is %g", row.name, row.value)
		}
	}
	return nil
}
