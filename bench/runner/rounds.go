package main

import (
	"context"
	"fmt"
	"time"

	"halley/bench/load"
)

// directName is what the upstream is called when it is asked without anything
// in between.
const directName = "direct"

// answerWithin bounds one request; no target that works comes near it.
const answerWithin = 30 * time.Second

// settleFor is how long a target may go on working for requests that are
// answered already (usage rows, logs) before its CPU time is read.
const settleFor = 300 * time.Millisecond

// contest is one workload under one load: what every target is put through.
type contest struct {
	workload load.Workload
	options  load.Options
}

// slice is what one target did in one round.
type slice struct {
	load load.Result
	cpu  time.Duration
}

// run lets the contestants take turns (A B C A B C), so that whatever else
// happens on the machine happens to all of them. It yields the slices by
// target, one per round.
func (c contest) run(ctx context.Context, rounds int, contestants []*process) (map[string][]slice, error) {
	slices := make(map[string][]slice, len(contestants))
	for range rounds {
		for _, p := range contestants {
			s, err := c.slice(ctx, p)
			if err != nil {
				return nil, err
			}
			slices[p.name] = append(slices[p.name], s)
		}
	}
	return slices, nil
}

// slice puts one target under load and reads what that cost it. At the low
// rate of an open loop the CPU time is too little to be read in ticks.
func (c contest) slice(ctx context.Context, p *process) (slice, error) {
	var before consumption
	var beforeErr error
	o := c.options
	o.Begin = func() { before, beforeErr = p.consumed() }
	result, err := load.Run(ctx, p.target, c.workload, o)
	if err != nil {
		return slice{}, err
	}
	if beforeErr != nil {
		return slice{}, beforeErr
	}
	if o.Rate > 0 {
		return slice{load: result}, nil
	}
	select {
	case <-time.After(settleFor):
	case <-ctx.Done():
		return slice{}, ctx.Err()
	}
	after, err := p.consumed()
	return slice{load: result, cpu: after.cpu - before.cpu}, err
}

// prove sends each workload once through p, so that a target that is not set
// up right ends the run before anything is measured.
func prove(ctx context.Context, p *process, workloads []load.Workload) error {
	for _, w := range workloads {
		result, err := load.Run(ctx, p.target, w, load.Options{
			Connections: 1, Requests: 1, Duration: answerWithin, Timeout: answerWithin,
		})
		if err != nil {
			return err
		}
		if result.Failed() > 0 {
			return fmt.Errorf("%s does not answer %s: %s; its last words:\n%s", p.name, w.Name, result.FirstError, p.lastWords())
		}
	}
	return nil
}
