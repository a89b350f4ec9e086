//go:build !chaos

package app

import "time"

// clock is the clock that all parts are given. Builds for test/chaos have another
// one, which a test can move.
func clock() func() time.Time { return time.Now }
