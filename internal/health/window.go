package health

import (
	"math"
	"time"
)

const windowSlots = 10

// window counts outcomes of the recent past, in slots that go one by one.
type window struct {
	start time.Time // of the newest slot
	at    int       // the newest slot
	good  [windowSlots]uint32
	bad   [windowSlots]uint32
}

func (w *window) add(now time.Time, span time.Duration, failed bool) {
	w.advance(now, span)
	if failed {
		w.bad[w.at]++
	} else {
		w.good[w.at]++
	}
}

func (w *window) counts(now time.Time, span time.Duration) (good, bad int) {
	w.advance(now, span)
	for i := range windowSlots {
		good += int(w.good[i])
		bad += int(w.bad[i])
	}
	return good, bad
}

// advance drops the slots that have become too old.
func (w *window) advance(now time.Time, span time.Duration) {
	slot := span / windowSlots
	passed := now.Sub(w.start)
	switch {
	case passed < slot:
		return
	case passed >= span || w.start.IsZero():
		*w = window{start: now}
		return
	}
	for range passed / slot {
		w.at = (w.at + 1) % windowSlots
		w.good[w.at], w.bad[w.at] = 0, 0
		w.start = w.start.Add(slot)
	}
}

// average is an exponentially weighted moving average of durations.
type average struct {
	value time.Duration
	at    time.Time // of the last sample; zero when there is none
}

const (
	// averageOver is how far back samples count: one that old has 1/e of its weight.
	averageOver = 10 * time.Second
	// A sample weighs at most and at least this: with little traffic the last
	// answer is not all there is, and with much the average still moves.
	mostWeight  = 0.5
	leastWeight = 0.02
	// averageFades is the time without a sample in which the average halves.
	averageFades = time.Minute
)

func (a *average) add(now time.Time, sample time.Duration) {
	if a.at.IsZero() {
		a.value, a.at = sample, now
		return
	}
	weight := 1 - math.Exp(-float64(now.Sub(a.at))/float64(averageOver))
	weight = min(max(weight, leastWeight), mostWeight)
	a.value += time.Duration(weight * float64(sample-a.value))
	a.at = now
}

func (a *average) read(now time.Time) (time.Duration, bool) {
	if a.at.IsZero() {
		return 0, false
	}
	idle := now.Sub(a.at)
	if idle <= averageFades {
		return a.value, true
	}
	return time.Duration(float64(a.value) * math.Exp2(-float64(idle-averageFades)/float64(averageFades))), true
}
