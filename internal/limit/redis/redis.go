// Package redis counts requests and tokens of several nodes together, in Redis
// or Valkey: every decision is one script and one round trip, by the server's
// clock. It implements limit.Shared. When the server fails or is slow it says
// so at once and looks for it in the background. It must not know whose limits
// they are, and keeps no secret there.
package redis

import (
	"context"
	_ "embed" // the script
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"halley/internal/limit"
)

var _ limit.Shared = (*Backend)(nil)

const (
	// probePatience is how long the search for a server waits for an answer.
	probePatience = time.Second
	// atATime is how many requests one renewal names.
	atATime = 500
	// prefix begins every key. What is in braces puts them on one node of a
	// cluster, as a script needs it.
	prefix = "halley:{limits}:"
	marker = prefix + "since"
)

// times are how long things take.
type times struct {
	patience time.Duration // that a request has with the server
	reach    time.Duration // back in time that counts must have to be judged by
	lease    time.Duration // a request counts as under way after its node was last heard of
	renew    time.Duration // between two signs of life
	probe    time.Duration // between two looks for a server that failed
}

func usualTimes() times {
	return times{patience: 100 * time.Millisecond, reach: time.Minute, lease: time.Minute, renew: 20 * time.Second, probe: time.Second}
}

//go:embed limits.lua
var source string

// Options are what a Backend is made of.
type Options struct {
	// URL is redis://, rediss:// or unix://, as CheckURL takes it.
	URL string
	Log *slog.Logger
}

// Backend keeps counts at one server or cluster. Use New.
type Backend struct {
	log     *slog.Logger
	times   times
	options rueidis.ClientOption
	script  *rueidis.Lua
	client  atomic.Pointer[connection] // nil until it was reached once

	// away says that the server is not to be asked.
	away atomic.Bool
	// exactFrom is when the counts reach back far enough, in nanoseconds since
	// began.
	exactFrom atomic.Int64
	began     time.Time

	mu      sync.Mutex
	tracked map[string][]string // by lease: the sets it is in

	wake  chan struct{} // has a value when the server has failed
	base  context.Context
	close context.CancelFunc
	done  sync.WaitGroup
}

type connection struct{ rueidis.Client }

// CheckURL tells what is wrong with a URL, without showing it.
func CheckURL(url string) error {
	_, err := options(url)
	return err
}

func options(url string) (rueidis.ClientOption, error) {
	o, err := rueidis.ParseURL(url)
	if err != nil {
		// The library's words may repeat the password.
		return o, errors.New("must be redis://user:password@host:port/db, rediss://… for TLS, or unix:///path")
	}
	o.DisableCache, o.DisableRetry = true, true
	o.Dialer.Timeout, o.ConnWriteTimeout = time.Second, time.Second
	// A connection that is read from all the time knows when the server has gone,
	// not only when a request wants it.
	o.AlwaysPipelining = true
	// The defaults are for much larger values.
	o.ReadBufferEachConn, o.WriteBufferEachConn, o.PipelineMultiplex = 64<<10, 64<<10, 1
	return o, nil
}

// New makes a Backend that is away until Start has found the server.
func New(o Options) (*Backend, error) {
	parsed, err := options(o.URL)
	if err != nil {
		return nil, err
	}
	b := &Backend{log: o.Log, times: usualTimes(), options: parsed, script: rueidis.NewLuaScript(source), began: time.Now(), tracked: map[string][]string{}, wake: make(chan struct{}, 1)}
	b.away.Store(true)
	b.base, b.close = context.WithCancel(context.Background())
	return b, nil
}

// Start looks for the server and keeps in touch with it. It waits for a first
// answer, but not for long.
func (b *Backend) Start() {
	found := b.find(true)
	b.done.Go(func() {
		for wait := b.pause(found); ; {
			select {
			case <-b.base.Done():
				return
			case <-b.wake:
				wait = b.times.probe
				continue
			case <-time.After(wait):
			}
			if b.away.Load() {
				b.find(false)
			} else if err := b.renew(); err != nil {
				b.failed(err)
			}
			wait = b.pause(!b.away.Load())
		}
	})
}

// Close ends it; from then on the server is away.
func (b *Backend) Close() {
	b.away.Store(true)
	b.close()
	b.done.Wait()
	if c := b.client.Load(); c != nil {
		c.Close()
	}
}

func (b *Backend) pause(there bool) time.Duration {
	if there {
		return b.times.renew
	}
	return b.times.probe
}

// find asks whether the server is there. One that comes back may not have what
// was let in meanwhile, so its counts are none to judge by for a while.
func (b *Backend) find(first bool) bool {
	err := b.connect()
	if err == nil {
		err = b.renew()
	}
	if err != nil {
		if first {
			b.log.Warn("Redis is not there: each node takes its share of the limits until it is", "error", err)
		}
		return false
	}
	if !first {
		b.exactFrom.Store(int64(time.Since(b.began) + b.times.reach))
	}
	b.away.Store(false)
	b.log.Info("Redis is there: limits are counted for all nodes together")
	return true
}

func (b *Backend) connect() error {
	if b.client.Load() != nil {
		return nil
	}
	client, err := rueidis.NewClient(b.options)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	b.client.Store(&connection{client})
	return nil
}

// failed notes that the server did not answer as it should.
func (b *Backend) failed(err error) {
	if b.base.Err() != nil || b.away.Swap(true) {
		return
	}
	b.log.Warn("Redis does not answer: each node takes its share of the limits until it does", "error", err)
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// State implements limit.Shared.
func (b *Backend) State() limit.State {
	switch {
	case b.away.Load():
		return limit.Away
	case int64(time.Since(b.began)) < b.exactFrom.Load():
		return limit.Warming
	}
	return limit.Exact
}

var (
	errAway  = errors.New("the server is away")
	errYoung = errors.New("the counts do not reach back far enough")
)

// Take implements limit.Shared.
func (b *Backend) Take(lease string, rules []limit.SharedRule, force bool) ([]limit.Count, error) {
	if force {
		counts, _, err := b.ask("force", lease, rules)
		return counts, err
	}
	return b.judged("take", lease, rules)
}

// Peek implements limit.Shared.
func (b *Backend) Peek(rules []limit.SharedRule) ([]limit.Count, error) {
	return b.judged("peek", "", rules)
}

// judged asks, and takes no answer from counts that are too young.
func (b *Backend) judged(op, lease string, rules []limit.SharedRule) ([]limit.Count, error) {
	counts, age, err := b.ask(op, lease, rules)
	if err == nil && age < b.times.reach {
		b.exactFrom.Store(int64(time.Since(b.began) + b.times.reach - age))
		err = errYoung
	}
	return counts, err
}

func (b *Backend) ask(op, lease string, rules []limit.SharedRule) ([]limit.Count, time.Duration, error) {
	keys, args := b.begin(op, lease, len(rules))
	for _, r := range rules {
		keys = append(keys, prefix+r.Name)
		args = append(args, micros(r.Span), number(r.Limit), number(r.Amount))
	}
	numbers, err := b.call(keys, args)
	if err == nil && len(numbers) != 1+4*len(rules) {
		err = fmt.Errorf("the script gave %d numbers for %d rules", len(numbers), len(rules))
		b.failed(err)
	}
	if err != nil {
		return nil, 0, err
	}
	counts := make([]limit.Count, len(rules))
	for i := range counts {
		n := numbers[1+4*i:]
		counts[i] = limit.Count{Wait: fromMicros(n[0]), Used: n[1], Clear: fromMicros(n[2]), Entry: n[3]}
	}
	return counts, fromMicros(numbers[0]), nil
}

// begin makes the first keys and arguments of a call.
func (b *Backend) begin(op, lease string, rules int) (keys, args []string) {
	keys, args = make([]string, 0, 1+rules), make([]string, 0, 4+3*rules)
	return append(keys, marker), append(args, op, lease, micros(b.times.lease), micros(b.times.reach))
}

// Track implements limit.Shared.
func (b *Backend) Track(lease string, sets []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tracked[lease] = sets
}

// Done implements limit.Shared. It waits for the server, so that the client's
// next request finds what this one gives back.
func (b *Backend) Done(lease string, changes []limit.SharedChange) {
	b.mu.Lock()
	sets := b.tracked[lease]
	delete(b.tracked, lease)
	b.mu.Unlock()
	if len(changes)+len(sets) > 0 {
		_ = b.correct(lease, sets, changes) // failed has it
	}
}

func (b *Backend) correct(lease string, sets []string, changes []limit.SharedChange) error {
	keys, args := b.begin("done", lease, len(sets)+len(changes))
	for _, set := range sets {
		keys, args = append(keys, prefix+set), append(args, "0", "0", "0")
	}
	for _, c := range changes {
		keys, args = append(keys, prefix+c.Name), append(args, micros(c.Span), number(c.Entry), number(c.By))
	}
	_, err := b.call(keys, args)
	return err
}

// renew says which requests of this node are under way, also those that the
// server never heard of.
func (b *Backend) renew() error {
	b.mu.Lock()
	tracked := maps.Clone(b.tracked)
	b.mu.Unlock()
	leases := slices.Collect(maps.Keys(tracked))
	for from := 0; from == 0 || from < len(leases); from += atATime {
		keys, args := b.begin("renew", "", atATime)
		for _, lease := range leases[from:min(from+atATime, len(leases))] {
			for _, set := range tracked[lease] {
				keys, args = append(keys, prefix+set), append(args, lease)
			}
		}
		if _, err := b.run(probePatience, keys, args); err != nil {
			return err
		}
	}
	return b.leave(tracked)
}

// leave takes out again what has ended while it was renewed.
func (b *Backend) leave(renewed map[string][]string) error {
	b.mu.Lock()
	for lease := range b.tracked {
		delete(renewed, lease)
	}
	b.mu.Unlock()
	for lease, sets := range renewed {
		if err := b.correct(lease, sets, nil); err != nil {
			return err
		}
	}
	return nil
}

// call runs the script for a request, which waits for it. Any failure makes the
// server one that is away.
func (b *Backend) call(keys, args []string) ([]int64, error) {
	if b.away.Load() {
		return nil, errAway
	}
	numbers, err := b.run(b.times.patience, keys, args)
	if err != nil {
		b.failed(err)
	}
	return numbers, err
}

func (b *Backend) run(patience time.Duration, keys, args []string) ([]int64, error) {
	ctx, cancel := context.WithTimeout(b.base, patience)
	defer cancel()
	return b.script.Exec(ctx, b.client.Load().Client, keys, args).AsIntSlice()
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

func micros(d time.Duration) string { return number(d.Microseconds()) }

func fromMicros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
