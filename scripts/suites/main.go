// Command suites runs go test and keeps it honest: it prints a line per
// package, the whole output of what failed, and at the end every test that was
// left out with its reason, which plain go test hides. With CI=true a test that
// was left out is a failure. Its arguments are go test's.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	cmd := exec.Command("go", append([]string{"test", "-json"}, os.Args[1:]...)...)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "suites:", err)
		os.Exit(2)
	}
	r := newReport(os.Stdout)
	readErr := r.read(events)
	err = errors.Join(readErr, cmd.Wait())
	if !r.close(os.Getenv("CI") == "true") || err != nil {
		os.Exit(1)
	}
}

// event is one line of go test -json (go doc test2json).
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build output
	Test        string
	Output      string
	FailedBuild string
}

// report follows the tests and says what matters.
type report struct {
	out     io.Writer
	output  map[string]*strings.Builder // of what has not ended well yet, by package and test
	leftOut map[string][]string         // tests, "package test", by reason
	skipped int
	passed  int
	failed  int
}

func newReport(out io.Writer) *report {
	return &report{out: out, output: map[string]*strings.Builder{}, leftOut: map[string][]string{}}
}

// read follows the events to their end.
func (r *report) read(events io.Reader) error {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil {
				r.event(e)
			} else {
				r.print(string(line)) // not an event: go itself has something to say
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read go test's events: %w", err)
		}
	}
}

// close prints what was left out and the closing line, and reports whether all
// is well.
func (r *report) close(ci bool) bool {
	const most = 5
	if r.skipped > 0 {
		r.print("\nLeft out:\n")
	}
	for _, why := range slices.Sorted(maps.Keys(r.leftOut)) {
		tests := r.leftOut[why]
		slices.Sort(tests)
		r.print("  " + why + "\n")
		for _, test := range tests[:min(most, len(tests))] {
			r.print("    " + test + "\n")
		}
		if len(tests) > most {
			r.print(fmt.Sprintf("    and %d more\n", len(tests)-most))
		}
	}
	if ci && r.skipped > 0 {
		r.print("With CI=true nothing may be left out.\n")
		r.failed += r.skipped
		r.skipped = 0
	}
	r.print(fmt.Sprintf("\n%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped))
	return r.failed == 0
}

func (r *report) event(e event) {
	name := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		r.print(e.Output)
	case "output":
		if r.output[name] == nil {
			r.output[name] = new(strings.Builder)
		}
		r.output[name].WriteString(e.Output)
	case "pass":
		r.passed += count(e)
		if e.Test == "" {
			r.print(lastLine(r.output[name]))
		}
		delete(r.output, name)
	case "skip":
		if e.Test != "" {
			why := reason(r.output[name])
			r.leftOut[why] = append(r.leftOut[why], name)
			r.skipped++
		}
		delete(r.output, name)
	case "fail":
		r.failed += count(e)
		if e.Test == "" {
			r.failure(e)
			return
		}
		r.print(text(r.output[name]))
		delete(r.output, name)
	}
}

// failure prints what a failed package has said, with that of the tests that
// never came to an end: a panic or a time-out cuts them short.
func (r *report) failure(e event) {
	if e.FailedBuild != "" || r.failed == 0 {
		r.failed++ // no test of it could say so
	}
	var names []string
	for name := range r.output {
		if strings.HasPrefix(name, e.Package+" ") && name != e.Package+" " {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range append(names, e.Package+" ") {
		r.print(text(r.output[name]))
		delete(r.output, name)
	}
}

func (r *report) print(s string) {
	_, _ = io.WriteString(r.out, s) // to the terminal
}

// count is 1 for a test and 0 for its package.
func count(e event) int {
	if e.Test == "" {
		return 0
	}
	return 1
}

func text(b *strings.Builder) string {
	if b == nil {
		return ""
	}
	return b.String()
}

// lastLine is a package's "ok" line.
func lastLine(b *strings.Builder) string {
	lines := strings.SplitAfter(strings.TrimSuffix(text(b), "\n"), "\n")
	return strings.TrimSuffix(lines[len(lines)-1], "\n") + "\n"
}

// reason is what a skipped test said, without where it said it.
func reason(b *strings.Builder) string {
	for line := range strings.Lines(text(b)) {
		if _, said, ok := strings.Cut(line, ".go:"); ok {
			_, said, _ = strings.Cut(said, ": ")
			return strings.TrimSpace(said)
		}
	}
	return "no reason given"
}
