// Command runner compares gateways. It starts every target of a table in front
// of the same upstream, puts them under the same loads in turns, reads their
// CPU time and memory from the operating system, and prints them in multiples
// of a floor. It owns processes, turns and figures. It must not know any
// target: what is special about one stands in the table, as data.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"halley/bench/load"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	cancel()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings are what the flags say.
type settings struct {
	table       string
	targets     []string
	workloads   []load.Workload
	connections []int
	rounds      int
	slice       time.Duration
	requests    int
	open        time.Duration
	rate        float64
	json        string
	keep        bool
	assert      bool
	bounds      bounds
}

// run is the whole program but for signals and the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	r, err := measure(ctx, s, stderr)
	if err != nil {
		return err
	}
	r.print(stdout)
	if s.json != "" {
		file, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(s.json, append(file, '\n'), 0o644); err != nil {
			return err
		}
	}
	if !s.assert {
		return nil
	}
	if broken := s.bounds.broken(r); len(broken) > 0 {
		return fmt.Errorf("%s breaks its bounds:\n  %s", s.bounds.subject, strings.Join(broken, "\n  "))
	}
	fmt.Fprintf(stdout, "\n%s keeps its bounds\n", s.bounds.subject)
	return nil
}

// parse reads the flags. -quick changes defaults only: what another flag says
// stays.
func parse(args []string, stderr io.Writer) (*settings, error) {
	s := new(settings)
	flags := flag.NewFlagSet("runner", flag.ContinueOnError)
	flags.SetOutput(stderr)
	quick := flags.Bool("quick", false, "about a minute in all: -rounds 3 -slice 800ms -open 500ms, unless they are given")
	flags.StringVar(&s.table, "table", "bench/targets.json", "the table of targets")
	targets := flags.String("targets", "", "names of the targets to measure, separated by commas; the floor always is (default all)")
	workloads := flags.String("workloads", "plain1k,stream100,prompt100k", "workloads, separated by commas")
	connections := flags.String("connections", "32,256", "numbers of connections of the closed loops, separated by commas")
	flags.IntVar(&s.rounds, "rounds", 5, "how often every target has its turn")
	flags.DurationVar(&s.slice, "slice", 3*time.Second, "how long a turn lasts at the most")
	flags.IntVar(&s.requests, "requests", 100_000, "how many requests a turn has at the most")
	flags.DurationVar(&s.open, "open", 3*time.Second, "how long a turn of an open loop lasts; 0 for no open loops")
	flags.Float64Var(&s.rate, "rate", 50, "requests per second of the open loops")
	flags.StringVar(&s.json, "json", "", "file to write the figures to")
	flags.BoolVar(&s.keep, "keep", false, "keep the targets' directories, with their logs")
	flags.BoolVar(&s.assert, "assert", false, "fail when the subject breaks a bound or any of its requests fails")
	flags.StringVar(&s.bounds.subject, "subject", "halley", "the target that -assert looks at")
	ratios := flags.String("max-ratio", "plain1k=1.5,stream100=1.5,prompt100k=1.5", "the subject's bounds: CPU per request in multiples of the floor")
	flags.Float64Var(&s.bounds.peakMB, "max-memory", 100, "the subject's bound: peak memory in MB")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("%q is not a flag", flags.Arg(0))
	}
	if *quick {
		given := map[string]bool{}
		flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
		for name, value := range map[string]string{"rounds": "3", "slice": "800ms", "open": "500ms"} {
			if !given[name] {
				_ = flags.Set(name, value)
			}
		}
	}
	if *targets != "" {
		s.targets = strings.Split(*targets, ",")
	}
	for name := range strings.SplitSeq(*workloads, ",") {
		w, err := load.Named(name)
		if err != nil {
			return nil, err
		}
		s.workloads = append(s.workloads, w)
	}
	for text := range strings.SplitSeq(*connections, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-connections: %q is not a number above 0", text)
		}
		s.connections = append(s.connections, n)
	}
	if s.rounds < 1 || s.slice <= 0 || s.requests < 1 || s.open < 0 || s.rate <= 0 {
		return nil, errors.New("-rounds, -slice, -requests and -rate must be above 0, -open not below")
	}
	var err error
	s.bounds.ratios, err = parseRatios(*ratios)
	return s, err
}

// measure starts everything, lets the targets take turns, and stops everything.
func measure(ctx context.Context, s *settings, progress io.Writer) (r *report, err error) {
	t, err := readTable(s.table, s.targets)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "halley-bench-")
	if err != nil {
		return nil, err
	}
	if s.keep {
		fmt.Fprintln(progress, "logs are kept in", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	fmt.Fprintln(progress, "building")
	bin, err := build(ctx, dir, t)
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(progress, "starting")
	vars := map[string]string{"bin": bin, "secret": rand.Text()}
	upstream, err := start(ctx, t.Upstream, dir, vars)
	if err != nil {
		return nil, err
	}
	defer upstream.stop()
	vars["upstream"] = upstream.url
	var contestants []*process
	for _, one := range t.Targets {
		p, err := start(ctx, one, dir, vars)
		if err != nil {
			return nil, err
		}
		defer p.stop()
		if err := prove(ctx, p, s.workloads); err != nil {
			return nil, err
		}
		contestants = append(contestants, p)
	}
	r = &report{
		Started: time.Now().UTC().Truncate(time.Second), Go: runtime.Version(), CPUs: runtime.NumCPU(),
		Floor: t.Floor, Rounds: s.rounds, Rate: s.rate, Peak: map[string]float64{},
	}
	if err := takeTurns(ctx, s, r, upstream, contestants, progress); err != nil {
		return nil, err
	}
	for _, p := range contestants {
		used, err := p.consumed()
		if err != nil {
			return nil, err
		}
		r.Peak[p.name] = float64(used.peak) / 1e6
	}
	return r, nil
}

// takeTurns runs the closed loops, then the open ones, into r.
func takeTurns(ctx context.Context, s *settings, r *report, upstream *process, contestants []*process, progress io.Writer) error {
	for _, w := range s.workloads {
		for _, n := range s.connections {
			fmt.Fprintf(progress, "%s, %d connections\n", w.Name, n)
			c := contest{w, load.Options{Connections: n, Requests: s.requests, Duration: s.slice, Timeout: answerWithin}}
			turns, err := c.run(ctx, s.rounds, contestants)
			if err != nil {
				return err
			}
			r.Closed = append(r.Closed, summarize(c, contestants, turns, r.Floor)...)
		}
	}
	if s.open == 0 {
		return nil
	}
	direct := *upstream
	direct.name = directName
	contestants = append([]*process{&direct}, contestants...)
	for _, w := range s.workloads {
		fmt.Fprintf(progress, "%s, %g requests per second\n", w.Name, s.rate)
		c := contest{w, load.Options{
			Connections: s.connections[0], Requests: s.requests, Duration: s.open, Timeout: answerWithin, Rate: s.rate,
		}}
		turns, err := c.run(ctx, s.rounds, contestants)
		if err != nil {
			return err
		}
		r.Open = append(r.Open, summarize(c, contestants, turns, r.Floor)...)
	}
	return nil
}

// build builds the table's Go programs into a directory below dir.
func build(ctx context.Context, dir string, t *table) (string, error) {
	bin := filepath.Join(dir, "bin")
	args := []string{"build", "-o", bin + string(filepath.Separator)}
	for _, one := range append([]target{t.Upstream}, t.Targets...) {
		if one.Build != "" && !slices.Contains(args, one.Build) {
			args = append(args, one.Build)
		}
	}
	if err := os.Mkdir(bin, 0o700); err != nil || len(args) == 3 {
		return bin, err
	}
	if output, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), cmp.Or(ctx.Err(), err), output)
	}
	return bin, nil
}
