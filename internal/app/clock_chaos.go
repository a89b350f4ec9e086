//go:build chaos

package app

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// clock is a clock that a test can move while the server runs: by as many
// seconds as stand, as a 64-bit integer of this machine, in the file that
// CHAOS_CLOCK names. Only builds for test/chaos have it.
//
// As when somebody sets a machine's clock, only the time of day moves: what is
// measured from one reading to another goes on as if nothing had happened.
func clock() func() time.Time {
	path := os.Getenv("CHAOS_CLOCK")
	if path == "" {
		return time.Now
	}
	moved, err := watch(path)
	if err != nil {
		panic(err)
	}
	return func() time.Time { return move(time.Now(), moved.Load()) }
}

// watch maps the file, which stays mapped for as long as the process lives.
func watch(path string) (*atomic.Int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the chaos clock: %w", err)
	}
	defer file.Close()
	memory, err := syscall.Mmap(int(file.Fd()), 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the chaos clock: %w", err)
	}
	return (*atomic.Int64)(unsafe.Pointer(&memory[0])), nil
}

// move changes the time of day of a reading that time.Now made and leaves its
// monotonic part alone, which Time.Add would move as well. Such a reading keeps
// its seconds since 1885 in the bits from 30 on of its first word.
func move(t time.Time, seconds int64) time.Time {
	*(*uint64)(unsafe.Pointer(&t)) += uint64(seconds) << 30
	return t
}
