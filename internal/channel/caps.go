package channel

import (
	"cmp"
	"time"

	"halley/internal/jsonx"
	"halley/internal/limit"
)

// The bounds of a channel's caps.
const (
	MaxCap      = 1_000_000_000_000
	MaxCapQueue = time.Minute
)

// DefaultCapQueue is how long a request waits at channels that do not say.
const DefaultCapQueue = 2 * time.Second

// Caps bound what a node sends to a channel; 0 is no bound.
type Caps struct {
	Concurrency int64         // requests at the same time
	RPM         int64         // requests in any 60 seconds
	TPM         int64         // tokens in any 60 seconds, input and output
	Queue       time.Duration // how long a request waits that can go nowhere else; 0 is the default
}

// Set reports whether anything is bounded.
func (c *Caps) Set() bool { return c.Concurrency|c.RPM|c.TPM != 0 }

// Limits are the caps as a limiter takes them.
func (c *Caps) Limits() *limit.Limits {
	l := &limit.Limits{}
	for _, bound := range []struct {
		of *int64
		to **int64
	}{{&c.Concurrency, &l.Concurrency}, {&c.RPM, &l.RPM}, {&c.TPM, &l.TPM}} {
		if *bound.of > 0 {
			*bound.to = bound.of
		}
	}
	return l
}

// Wait is how long a request waits that can go nowhere else.
func (c *Caps) Wait() time.Duration { return cmp.Or(c.Queue, DefaultCapQueue) }

// CapsPatch is caps as a caller sends them: what is left out stays, null is 0.
type CapsPatch struct {
	Concurrency jsonx.Opt[int64] `json:"concurrency" doc:"Requests at the same time; 0 is no bound."`
	RPM         jsonx.Opt[int64] `json:"rpm" doc:"Requests in any 60 seconds; 0 is no bound."`
	TPM         jsonx.Opt[int64] `json:"tpm" doc:"Tokens in any 60 seconds, input and output together; 0 is no bound."`
	QueueMS     jsonx.Opt[int64] `json:"queue_ms" doc:"How many milliseconds a request waits that can go nowhere else; 0 is the default, 2000."`
}

// apply gives the caps changed and checked.
func (p CapsPatch) apply(c Caps) (Caps, error) {
	queue := c.Queue.Milliseconds()
	for _, m := range []struct {
		name string
		from jsonx.Opt[int64]
		most int64
		to   *int64
	}{
		{"concurrency", p.Concurrency, MaxCap, &c.Concurrency}, {"rpm", p.RPM, MaxCap, &c.RPM}, {"tpm", p.TPM, MaxCap, &c.TPM},
		{"queue_ms", p.QueueMS, MaxCapQueue.Milliseconds(), &queue},
	} {
		if !m.from.Set {
			continue
		}
		if v := m.from.Value; v < 0 || v > m.most {
			return c, invalid("caps."+m.name, "invalid_caps", "caps.%s must be from 0 to %d.", m.name, m.most)
		}
		*m.to = m.from.Value // 0 when it is null
	}
	c.Queue = time.Duration(queue) * time.Millisecond
	return c, nil
}
