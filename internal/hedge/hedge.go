// Package hedge knows when a request has waited so long that a second upstream
// should be asked as well, and how often that may be done. It is pure: it reads
// no clock, does no I/O and starts no goroutines.
package hedge

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Target is what answers take their usual time for.
type Target struct {
	Channel int64
	Model   string // the upstream's name of it
}

const (
	// samples is how many answers of a target are remembered, and enough how many
	// there must be to say what is usual.
	samples = 100
	enough  = 20
	// every is after how many answers the percentile is worked out again.
	every = 5
	// shortest is the least time after which a second upstream is asked.
	shortest = 20 * time.Millisecond
	// fraction is the part of a target's requests that may be sent elsewhere as
	// well, so that upstreams which all become slow have a tenth more to do and not
	// twice as much; burst is how many of these may be saved up.
	fraction = 0.1
	burst    = 5.0
	// most bounds the targets: where a channel takes any model, clients decide how
	// many there are.
	most = 4096
)

// Pacer keeps the times of answers and the shares that are left. It is safe for
// concurrent use. Its zero value is not usable; use New.
type Pacer struct {
	mu      sync.Mutex
	targets map[Target]*pace
}

// pace is what is known of one target.
type pace struct {
	took [samples]time.Duration
	n    int // answers so far
	p95  time.Duration
	left float64 // how many may be sent elsewhere
}

// New makes a Pacer that knows nothing.
func New() *Pacer { return &Pacer{targets: map[Target]*pace{}} }

// Patience is how long to wait for the target's answer until another upstream is
// asked as well: as long as 95 of 100 answers take. False when too little is
// known. It counts the request as one of the target's.
func (p *Pacer) Patience(t Target) (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.targets[t]
	if s == nil {
		return 0, false
	}
	s.left = min(s.left+fraction, burst)
	return max(s.p95, shortest), s.n >= enough
}

// Allow takes one of the requests that may be sent elsewhere as well, if there
// is one left.
func (p *Pacer) Allow(t Target) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.targets[t]
	if s == nil || s.left < 1 {
		return false
	}
	s.left--
	return true
}

// Took tells how long an answer took, or how long one was waited for that did
// not come.
func (p *Pacer) Took(t Target, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.targets[t]
	if s == nil {
		for other := range p.targets { // any one makes room
			if len(p.targets) < most {
				break
			}
			delete(p.targets, other)
		}
		s = &pace{}
		t.Model = strings.Clone(t.Model) // it may be part of a large request
		p.targets[t] = s
	}
	s.took[s.n%samples] = d
	if s.n++; s.n >= enough && s.n%every == 0 {
		known := slices.Clone(s.took[:min(s.n, samples)])
		slices.Sort(known)
		s.p95 = known[(len(known)*95-1)/100]
	}
}
