package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// stat is process 4242 of group 77: 150 + 25 ticks of its own, 5 + 1 of
// children that have ended.
const stat = "4242 (a (wild) name) S 1 77 77 0 -1 4194560 1000 0 3 0 150 25 5 1 20 0 9 0 133961 3133440 356 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n"

func TestParseStatAddsUpWhateverTheNameIs(t *testing.T) {
	t.Parallel()
	group, cpu, err := parseStat([]byte(stat))
	if err != nil || group != 77 || cpu != 1810*time.Millisecond {
		t.Errorf("group %d, %v, %v", group, cpu, err)
	}
}

func TestParseStatRefusesWhatIsNoStat(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty":       "",
		"cut":         "4242 (name) S 1 77 77",
		"not numbers": "4242 (name) S 1 77 77 0 -1 0 0 0 0 0 x 0 0 0 0",
	} {
		if _, _, err := parseStat([]byte(text)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestParsePeakIsInBytes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, status string
		want         int64
	}{
		{"running", "Name:\tx\nVmPeak:\t  9999 kB\nVmHWM:\t  2152 kB\nVmRSS:\t  2000 kB\n", 2152 << 10},
		{"ended, not waited for", "Name:\tx\nState:\tZ (zombie)\n", 0},
	} {
		if got := parsePeak([]byte(tc.status)); got != tc.want {
			t.Errorf("%s: %d", tc.name, got)
		}
	}
}

func TestReadGroupSumsItsProcessesOnly(t *testing.T) {
	t.Parallel()
	proc := t.TempDir()
	plant := func(pid, stat string) {
		t.Helper()
		dir := filepath.Join(proc, pid)
		for name, text := range map[string]string{"stat": stat, "status": "VmHWM:\t1000 kB\n"} {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	plant("4242", stat)
	plant("4243", "4243 (worker) S 4242 77 77 0 -1 0 0 0 0 0 10 10 0 0 20 0\n")
	plant("4244", "4244 (stranger) S 1 78 78 0 -1 0 0 0 0 0 999 999 0 0 20 0\n")
	got, err := readGroup(proc, 77)
	if want := (consumption{cpu: 2010 * time.Millisecond, peak: 2000 << 10}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := readGroup(proc, 79); err == nil {
		t.Error("a group without processes has consumed something")
	}
}

func TestReadGroupFindsThisVeryProcess(t *testing.T) {
	t.Parallel()
	if got, err := readGroup("/proc", syscall.Getpgrp()); err != nil || got.peak < 1<<20 {
		t.Errorf("got %+v, %v", got, err)
	}
}
