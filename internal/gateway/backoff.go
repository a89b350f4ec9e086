package gateway

import (
	"context"
	"time"

	"halley/internal/health"
)

// Where one channel is all there is, a failure is followed by another attempt
// there, after a pause: twice as long each time.
const (
	firstPause = 250 * time.Millisecond
	// longestPause is also the longest that an upstream may ask for. Who is asked
	// to wait for longer hears it from us and decides.
	longestPause = 5 * time.Second
	// persistence bounds when the last attempt of this kind begins, counted from
	// the first attempt. A time-out that is longer has used it up: its client has
	// waited enough.
	persistence = 30 * time.Second
)

// onceMore gives the only channel there is once more, after a pause; nil when
// there are others, or when the attempts, the time or the client do not allow it.
// The hold stays as it is. A server that shuts down does not wait for a pause.
func (t *ticket) onceMore(ctx context.Context, a *ask, end *ending) *plan {
	if t.way.steps.Alone() { // there are no others to leave time for
		if own := t.began.Add(t.plan.channel.Timeouts.Or(t.gateway.Timeouts).Total); own.Before(t.ends) {
			t.ends = own
		}
	}
	if end.lasting || !t.mayPersist(end.outcome) {
		return nil
	}
	pause := time.NewTimer(t.pause(end.outcome))
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
		return nil
	case <-t.gateway.leaving:
		return nil
	}
	now := t.gateway.Now()
	step, ok := t.way.steps.Again(now)
	if !ok || !now.Before(t.ends) {
		return nil
	}
	t.pauses++
	p := t.way.priced(step)
	if p.again = true; !t.sit(a, p) {
		return t.await(ctx, a)
	}
	return p
}

// mayPersist reports whether to pause after an attempt that ended like this, and
// then to try the same channel once more.
func (t *ticket) mayPersist(o health.Outcome) bool {
	if o.Class != health.Failed && o.Class != health.RateLimited {
		return false
	}
	if !t.way.steps.Alone() || !t.mayTryAgain() || t.gateway.Draining() {
		return false
	}
	least := max(o.RetryAfter, t.backoff()/2)
	at := t.gateway.Now().Add(least)
	return o.RetryAfter <= longestPause && at.Before(t.ends) && at.Before(t.began.Add(persistence))
}

// pause is between half of the back-off and all of it, or as long as the upstream
// asks for and a little more.
func (t *ticket) pause(o health.Outcome) time.Duration {
	jitter := time.Duration(t.gateway.Roll() * float64(t.backoff()/2))
	return max(o.RetryAfter, t.backoff()/2) + jitter
}

func (t *ticket) backoff() time.Duration {
	first := t.gateway.Pause
	if first == 0 {
		first = firstPause
	}
	return min(first<<t.pauses, longestPause)
}
