package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTheFloorComparedWithItself runs the whole program, with programs that it
// builds and starts, for a moment.
func TestTheFloorComparedWithItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	real, err := readTable("../targets.json", []string{"floor"})
	if err != nil {
		t.Fatal(err)
	}
	again := real.Targets[0]
	again.Name = "again"
	real.Targets = append(real.Targets, again)
	file, err := json.Marshal(real)
	if err != nil {
		t.Fatal(err)
	}
	table, figures := filepath.Join(dir, "targets.json"), filepath.Join(dir, "figures.json")
	if err := os.WriteFile(table, file, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, progress bytes.Buffer
	args := []string{"-table", table, "-json", figures, "-rounds", "2", "-slice", "100ms", "-open", "100ms", "-connections", "4",
		"-assert", "-subject", "nobody"}
	if err := run(t.Context(), args, &out, &progress); err == nil || !strings.Contains(err.Error(), "nobody was not measured") {
		t.Fatalf("-assert says %v\n%s\n%s", err, &progress, &out)
	}
	if file, err = os.ReadFile(figures); err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(file, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Closed) != 6 || len(r.Open) != 9 || r.Peak["floor"] < 1 || r.Peak["again"] < 1 {
		t.Errorf("%d and %d rows, peaks %v", len(r.Closed), len(r.Open), r.Peak)
	}
	for _, row := range r.Closed {
		if row.Failures != 0 || row.Requests == 0 || len(row.Ratios) != 2 || row.P50 <= 0 || row.P99 < row.P50 {
			t.Errorf("row %+v", row)
		}
		if !strings.Contains(out.String(), fmt.Sprintf("%.0f", row.PerSecond)) {
			t.Errorf("the table does not show %s, %s", row.Workload, row.Target)
		}
	}
	for _, row := range r.Open {
		if row.Failures != 0 || row.Requests != 10 {
			t.Errorf("open loop row %+v", row)
		}
	}
}

func TestATargetThatDoesNotStartEndsTheRunWithItsLastWords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broken := target{Name: "broken", Command: []string{"sh", "-c", "echo no config >&2; exit 3"}, Ready: "/"}
	_, err := start(t.Context(), broken, dir, map[string]string{})
	if err == nil || !strings.Contains(err.Error(), "ended before it was ready") || !strings.Contains(err.Error(), "no config") {
		t.Errorf("got %v", err)
	}
}

func TestATargetSeesNothingOfTheEnvironmentAround(t *testing.T) {
	t.Setenv("GOGC", "off")
	dir := t.TempDir()
	shows := target{Name: "shows", Command: []string{"sh", "-c", "env; exit 1"}, Env: map[string]string{"ADDRESS": "here:{{port}}"}, Ready: "/"}
	_, err := start(t.Context(), shows, dir, map[string]string{})
	if err == nil || !strings.Contains(err.Error(), "ADDRESS=here:") || strings.Contains(err.Error(), "GOGC") {
		t.Errorf("got %v", err)
	}
}

func TestQuickChangesOnlyWhatIsNotGiven(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		args   []string
		rounds int
		slice  time.Duration
	}{
		{"full", nil, 5, 3 * time.Second},
		{"quick", []string{"-quick"}, 3, 800 * time.Millisecond},
		{"quick but for one", []string{"-rounds", "9", "-quick"}, 9, 800 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, err := parse(tc.args, t.Output())
			if err != nil || s.rounds != tc.rounds || s.slice != tc.slice || len(s.workloads) != 3 || len(s.connections) != 2 {
				t.Errorf("got %+v, %v", s, err)
			}
		})
	}
}

func TestFlagsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-rounds", "0"}, {"-slice", "0s"}, {"-open", "-1s"}, {"-rate", "0"}, {"-connections", "32,x"},
		{"-workloads", "nothing"}, {"-max-ratio", "nothing"}, {"extra"}, {"-unknown"},
	} {
		if _, err := parse(args, t.Output()); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}
