package chaos_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

// workers is how many clients there are at a time.
const workers = 40

// load sends requests and fills purses until ctx ends, and returns when the last
// answer has.
func (w *world) load(ctx context.Context, r *rand.Rand) {
	var all sync.WaitGroup
	for i := range workers {
		r := rand.New(rand.NewPCG(r.Uint64(), uint64(i)))
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				// What was begun is followed to its end.
				s := w.client.send(context.WithoutCancel(ctx), w.draw(r, fmt.Sprintf("c%d-%d", i, n)))
				w.note(s)
				switch {
				case s.Status == 0 && !s.Left: // there is nobody
					rest(ctx, time.Duration(200+r.IntN(400))*time.Millisecond)
				case s.Status != 200:
					rest(ctx, time.Duration(50+r.IntN(150))*time.Millisecond)
				}
			}
		})
	}
	r = rand.New(rand.NewPCG(r.Uint64(), workers))
	all.Go(func() {
		for ctx.Err() == nil {
			rest(ctx, time.Duration(100+r.IntN(300))*time.Millisecond)
			p := w.purses[r.IntN(len(w.purses))]
			if !p.Unlimited {
				w.fill(context.WithoutCancel(ctx), r, p)
			}
		}
	})
	all.Wait()
}

// rest waits, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// draw makes up a request.
func (w *world) draw(r *rand.Rand, id string) order {
	o := order{
		script: script{ID: id, Manner: drawManner(r), Tokens: int64(5 + r.IntN(60)), Chunk: int64(1 + r.IntN(4)), Pace: time.Duration(1+r.IntN(15)) * time.Millisecond},
		Key:    w.keys[r.IntN(len(w.keys))], Node: r.IntN(len(w.nodes)), Model: models[r.IntN(len(models))].name,
		Stream: r.IntN(10) < 7, LeaveAfter: -1,
	}
	o.Cap = max(1, o.Tokens+int64(r.IntN(100))-10)
	if strings.HasPrefix(o.Key.Name, longWinded) && r.IntN(4) > 0 { // long enough to extend its hold, and to be cut
		o.Tokens, o.Chunk, o.Cap, o.Stream = 2500, 50, 4000, true
		o.Pace = time.Duration(10+r.IntN(20)) * time.Millisecond
	}
	if r.IntN(10) == 0 {
		o.LeaveAfter = r.Int64N(o.Tokens)
	}
	return o
}

func drawManner(r *rand.Rand) manner {
	rare := []manner{omits, omits, omits, overstates, understates, stalls, silent, resets, refuses}
	if n := r.IntN(8 * len(rare)); n < len(rare) {
		return rare[n]
	}
	return honest
}

// quiet waits until nothing is served, held or waiting any more.
func (w *world) quiet(t *testing.T) {
	t.Helper()
	for i, n := range w.nodes {
		await(t, patience, func() error {
			if err := n.AwaitReady(patience); err != nil {
				return err
			}
			for _, figure := range []string{"halley_holds_in_flight", "halley_usage_queue_records", "halley_journal_records", "halley_journal_full"} {
				if value, err := n.metric(figure); err != nil || value != 0 {
					return fmt.Errorf("node %d: %s is %v: %w", i, figure, value, err)
				}
			}
			return nil
		})
	}
	await(t, patience, func() error {
		if n := w.upstream.active.Load(); n != 0 {
			return fmt.Errorf("the upstream still serves %d requests", n)
		}
		return nil
	})
}
