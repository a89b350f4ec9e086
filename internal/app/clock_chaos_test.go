//go:build chaos

package app

import (
	"testing"
	"time"
)

func TestAMovedClockShowsAnotherTimeOfDayAndMeasuresAsBefore(t *testing.T) {
	t.Parallel()
	before := time.Now()
	for _, seconds := range []int64{600, -600, 0} {
		after := move(time.Now(), seconds)
		if got, want := after.Unix()-before.Unix(), seconds; got < want || got > want+60 {
			t.Errorf("moved by %d s, the time of day went on by %d s", want, got)
		}
		if passed := after.Sub(before); passed < 0 || passed > time.Minute {
			t.Errorf("moved by %d s, %v have passed", seconds, passed)
		}
	}
}
