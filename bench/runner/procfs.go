package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU time in /proc/<pid>/stat: USER_HZ is 100 on every
// architecture that Go knows.
const tick = 10 * time.Millisecond

// consumption is what the operating system says that a target has used.
type consumption struct {
	cpu  time.Duration // user and system, since the start
	peak int64         // bytes of resident memory; the sum of the peaks when there are several processes
}

// readGroup adds up the processes of a group, so that a target may have
// workers; proc is where the process file system is mounted.
func readGroup(proc string, group int) (consumption, error) {
	files, err := filepath.Glob(filepath.Join(proc, "[0-9]*", "stat"))
	if err != nil {
		return consumption{}, err
	}
	total, found := consumption{}, false
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended since the directory was listed
		}
		id, cpu, err := parseStat(stat)
		if err != nil {
			return consumption{}, fmt.Errorf("%s: %w", file, err)
		}
		if id != group {
			continue
		}
		status, err := os.ReadFile(filepath.Join(filepath.Dir(file), "status"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return consumption{}, err
		}
		found = true
		total.cpu += cpu
		total.peak += parsePeak(status)
	}
	if !found {
		return consumption{}, fmt.Errorf("no process of the group %d is left in %s", group, proc)
	}
	return total, nil
}

// parseStat reads the process group and the CPU time, that of children which
// have ended included, out of /proc/<pid>/stat (see proc(5)). The second field
// is the program's name in parentheses and may hold anything.
func parseStat(stat []byte) (group int, cpu time.Duration, err error) {
	const pgrp, utime, cstime = 5 - 3, 14 - 3, 17 - 3 // counted from the third field
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= cstime {
		return 0, 0, fmt.Errorf("not a process's stat: %q", stat)
	}
	if group, err = strconv.Atoi(string(fields[pgrp])); err != nil {
		return 0, 0, err
	}
	for _, field := range fields[utime : cstime+1] {
		ticks, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, 0, err
		}
		cpu += time.Duration(ticks) * tick
	}
	return group, cpu, nil
}

// parsePeak reads the peak of resident memory, in bytes, out of
// /proc/<pid>/status; 0 for a process that has ended but is still listed.
func parsePeak(status []byte) int64 {
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}
