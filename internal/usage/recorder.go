package usage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"halley/internal/jsonx"
)

// ErrRejected marks an error of Store.ApplyUsage that waiting does not cure:
// the store is there and refuses what is in the batch.
var ErrRejected = errors.New("the store refuses the usage record")

// Store is where the Recorder writes.
type Store interface {
	// ApplyUsage writes the records and what they do to their keys, accounts and
	// rollups in one transaction. A record whose EventID is already there changes
	// nothing. An error that waiting does not cure wraps ErrRejected.
	ApplyUsage(ctx context.Context, batch []Record) error
}

// Journal keeps records safe until they are in the store.
type Journal interface {
	// Append writes a record down and returns its number when it is safe from
	// the end of this process. While the journal is Failing it returns at once,
	// and the record is in memory only.
	Append(r Record) uint64
	// Applied notes that the records of these numbers are in the store.
	Applied(numbers []uint64)
	// Failing reports that records are in memory only for now.
	Failing() bool
	// Full reports that no new charged request should begin.
	Full() bool
}

// RecorderOptions tune a Recorder; the zero value of each member means its
// default.
type RecorderOptions struct {
	// Journal keeps what waits; nil for none.
	Journal Journal
	// Limit is how many records may wait while the store is away before Full
	// says so: 200,000.
	Limit int
	// Delay is how long a record waits for company: 120 ms, which leaves 80 ms
	// of the promised 200 for the writing.
	Delay time.Duration
	// Batch is how many records are written at once, and how many waiting
	// records end the delay early: 1,000.
	Batch int
	// Timeout bounds one attempt to write: 30 s.
	Timeout time.Duration
	// Applied is told which records have just reached the store. The slice is
	// only valid during the call.
	Applied func([]Record)
	// SetAside is told of a record that the store refuses for good.
	SetAside func(Record, error)
}

const (
	firstBackoff = 50 * time.Millisecond
	lastBackoff  = 5 * time.Second
)

// Recorder takes records from requests, has its journal write them down, and
// brings them to the store in batches, off the requests' time. While the store is away the records queue in memory, in
// order, and are tried again until they are in. It never charges twice: a batch
// whose fate is unknown is sent again and the store knows it by its EventIDs.
type Recorder struct {
	store Store
	log   *slog.Logger
	opts  RecorderOptions

	mu       sync.Mutex
	queue    []*block // oldest first; the last one is being filled
	spare    []*block
	recorded uint64 // records ever taken
	settled  uint64 // of those, how many are in the store or set aside
	waiters  []waiter
	ended    bool // the writer has returned

	depth       atomic.Int64
	oldest      atomic.Int64 // Unix nanoseconds, 0 when nothing waits
	flushErrors atomic.Uint64
	setAside    atomic.Uint64
	dropped     atomic.Uint64

	some     chan struct{} // the queue was empty and is not any more
	hurry    chan struct{} // do not wait for the delay
	start    sync.Once
	stop     sync.Once
	stopping chan struct{}
	done     chan struct{}
	ctx      context.Context // ends the writer for good
	cancel   context.CancelFunc
}

// block is one batch in the making.
type block struct {
	records []Record
	numbers []uint64  // in the journal
	since   time.Time // when the first record came
}

type waiter struct {
	until uint64 // of Recorder.settled
	ready chan struct{}
}

// maxSpare blocks are kept for reuse, so that a steady load allocates nothing.
const maxSpare = 4

// NewRecorder makes a Recorder; Start sets it going.
func NewRecorder(store Store, log *slog.Logger, opts RecorderOptions) *Recorder {
	opts.Limit = orDefault(opts.Limit, 200_000)
	opts.Batch = orDefault(opts.Batch, 1000)
	opts.Delay = orDefault(opts.Delay, 120*time.Millisecond)
	opts.Timeout = orDefault(opts.Timeout, 30*time.Second)
	ctx, cancel := context.WithCancel(context.Background())
	r := &Recorder{
		store: store, log: log, opts: opts,
		some: make(chan struct{}, 1), hurry: make(chan struct{}, 1),
		stopping: make(chan struct{}), done: make(chan struct{}),
		ctx: ctx, cancel: cancel,
	}
	r.spare = []*block{r.newBlock(), r.newBlock()}
	r.queue = make([]*block, 0, 16)
	return r
}

// Start begins writing.
func (r *Recorder) Start() {
	r.start.Do(func() { go r.run() })
}

// Stop writes what is waiting and returns when it is in the store. When ctx
// ends first the rest stays in the journal for the next start. Without one, or
// when it fails, every record that is left is written to the log as JSON, so
// that it can still be entered, and the error says how many.
func (r *Recorder) Stop(ctx context.Context) error {
	r.Start()
	r.stop.Do(func() { close(r.stopping) })
	select {
	case <-r.done:
	case <-ctx.Done():
		r.cancel()
		<-r.done
	}
	r.cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.depth.Load(); n > 0 && r.opts.Journal != nil && !r.opts.Journal.Failing() {
		r.log.Warn("usage records are not in the store yet; they wait in the journal and the next start applies them", "records", n)
		r.queue = nil
		return nil
	}
	left := 0
	for _, b := range r.queue {
		for i := range b.records {
			left++
			r.log.Error("usage record not stored", "record", asJSON(&b.records[i]))
		}
	}
	r.queue = nil
	if left > 0 {
		return fmt.Errorf("%d usage records were not stored; the log has them", left)
	}
	return nil
}

// Record takes one request's record and returns when the journal has written
// it down. It never waits for the store, and never refuses a charge: who wants
// to refuse work asks Full before the work begins. Only while Full is true are
// records of requests that were refused left out, or a storm of them would fill
// what is full. After Stop nothing reaches the store any more.
func (r *Recorder) Record(rec Record) {
	if !rec.Settled && r.Full() {
		r.dropped.Add(1)
		return
	}
	var number uint64
	if r.opts.Journal != nil {
		number = r.opts.Journal.Append(rec)
	}
	r.mu.Lock()
	first := len(r.queue) == 0
	if first || len(r.queue[len(r.queue)-1].records) == r.opts.Batch {
		r.queue = append(r.queue, r.takeSpare())
	}
	last := r.queue[len(r.queue)-1]
	last.records = append(last.records, rec)
	last.numbers = append(last.numbers, number)
	r.recorded++
	full := len(last.records) == r.opts.Batch
	if first {
		r.oldest.CompareAndSwap(0, last.since.UnixNano())
	}
	r.mu.Unlock()
	r.depth.Add(1)
	if first {
		signal(r.some)
	}
	if full {
		signal(r.hurry)
	}
}

// Full reports whether no new charged request should begin: too many records
// wait for the store, or the journal has no room.
func (r *Recorder) Full() bool {
	return r.depth.Load() >= int64(r.opts.Limit) || (r.opts.Journal != nil && r.opts.Journal.Full())
}

// Restore writes records of an earlier run that the journal has kept, and
// returns when they are dealt with: applied, found to be there already, or set
// aside. It tries again while the store is away, until ctx ends. The ledger is
// not told, because it knows nothing of them yet.
func (r *Recorder) Restore(ctx context.Context, batch []Record) error {
	if n := r.write(ctx, batch, earlierRun); n < len(batch) {
		return fmt.Errorf("%d usage records could not be stored: %w", len(batch)-n, ctx.Err())
	}
	return nil
}

// Flushed writes without delay and returns when everything recorded before the
// call has been dealt with.
func (r *Recorder) Flushed(ctx context.Context) error {
	r.mu.Lock()
	if r.settled >= r.recorded {
		r.mu.Unlock()
		return nil
	}
	if r.ended {
		r.mu.Unlock()
		return errors.New("the usage recorder has stopped")
	}
	w := waiter{until: r.recorded, ready: make(chan struct{})}
	r.waiters = append(r.waiters, w)
	r.mu.Unlock()
	signal(r.hurry)
	select {
	case <-w.ready:
		return nil
	case <-r.done:
		select {
		case <-w.ready:
			return nil
		default:
			return errors.New("the usage recorder has stopped")
		}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// RecorderStats is how a Recorder is doing.
type RecorderStats struct {
	Depth       int64         // records that are not in the store yet
	Oldest      time.Duration // how long the first of them has waited
	FlushErrors uint64        // failed attempts to write, ever
	SetAside    uint64        // records that the store refused for good, ever
	Dropped     uint64        // records of refused requests left out while full, ever
}

// Stats gives the figures of this moment.
func (r *Recorder) Stats() RecorderStats {
	s := RecorderStats{Depth: r.depth.Load(), FlushErrors: r.flushErrors.Load(), SetAside: r.setAside.Load(), Dropped: r.dropped.Load()}
	if since := r.oldest.Load(); since != 0 && s.Depth > 0 {
		s.Oldest = max(0, time.Since(time.Unix(0, since)))
	}
	return s
}

func (r *Recorder) run() {
	defer close(r.done)
	defer func() {
		r.mu.Lock()
		r.ended = true
		r.mu.Unlock()
	}()
	timer := time.NewTimer(r.opts.Delay)
	defer timer.Stop()
	for {
		select {
		case <-r.some:
		case <-r.stopping:
			for r.drain() {
			}
			return
		}
		timer.Reset(r.untilDue())
		select {
		case <-timer.C:
		case <-r.hurry:
		case <-r.stopping:
		}
		r.drain()
	}
}

// untilDue is how much longer the oldest record may wait for company.
func (r *Recorder) untilDue() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 {
		return 0
	}
	return max(0, r.opts.Delay-time.Since(r.queue[0].since))
}

// drain writes what was waiting when it began, together with what has joined
// the last batch since. What came later waits for its own company; drain tells
// whether there is any.
func (r *Recorder) drain() (more bool) {
	r.mu.Lock()
	until := r.recorded
	r.mu.Unlock()
	for {
		b, more := r.next(until)
		if b == nil {
			return more
		}
		written := r.write(r.ctx, b.records, thisRun)
		if r.opts.Journal != nil {
			r.opts.Journal.Applied(b.numbers[:written])
		}
		if written < len(b.records) {
			// Out of time: what is left goes back to where it was, for Stop.
			r.mu.Lock()
			b.records, b.numbers = b.records[written:], b.numbers[written:]
			r.queue = append([]*block{b}, r.queue...)
			r.mu.Unlock()
			return false
		}
		r.recycle(b)
	}
}

// next takes the oldest block; there is none for the caller when all up to the
// given count is settled, though the queue may hold more.
func (r *Recorder) next(until uint64) (b *block, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 {
		r.oldest.Store(0)
		return nil, false
	}
	b = r.queue[0]
	r.oldest.Store(b.since.UnixNano())
	if r.settled >= until {
		// Whoever filled this block found the queue occupied and did not signal.
		signal(r.some)
		if len(b.records) == r.opts.Batch {
			signal(r.hurry)
		}
		return nil, true
	}
	copy(r.queue, r.queue[1:])
	r.queue[len(r.queue)-1] = nil
	r.queue = r.queue[:len(r.queue)-1]
	return b, true
}

// origin says whose records they are.
type origin bool

const (
	thisRun    origin = false // they are in the queue, and the ledger waits for them
	earlierRun origin = true
)

// write stores the records and tells how many, from the first on, have been
// dealt with: all, unless the writer has to end.
func (r *Recorder) write(ctx context.Context, batch []Record, from origin) int {
	wait, failing, stopping := firstBackoff, false, r.stopping
	for {
		err := r.attempt(ctx, batch)
		switch {
		case err == nil:
			if failing {
				r.log.Info("usage records reach the store again", "waiting", r.depth.Load())
			}
			if from == thisRun {
				if r.opts.Applied != nil {
					r.opts.Applied(batch)
				}
				r.settle(len(batch))
			}
			return len(batch)
		case errors.Is(err, ErrRejected):
			r.flushErrors.Add(1)
			if len(batch) == 1 {
				r.putAside(batch[0], err, from)
				return 1
			}
			// One of them is poison: the halves find out which.
			half := len(batch) / 2
			n := r.write(ctx, batch[:half], from)
			if n < half {
				return n
			}
			return half + r.write(ctx, batch[half:], from)
		}
		r.flushErrors.Add(1)
		if !failing {
			failing = true
			r.log.Error("usage records cannot be stored, trying again", "error", err, "waiting", r.depth.Load())
		}
		select {
		case <-time.After(wait/2 + rand.N(wait/2)):
			wait = min(2*wait, lastBackoff)
		case <-stopping: // now or never
			wait, stopping = firstBackoff, nil
		case <-ctx.Done():
			return 0
		}
	}
}

func (r *Recorder) attempt(ctx context.Context, batch []Record) error {
	ctx, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	return r.store.ApplyUsage(ctx, batch)
}

// putAside gives a record up, loudly: the log holds all of it.
func (r *Recorder) putAside(rec Record, err error, from origin) {
	r.setAside.Add(1)
	r.log.Error("usage record set aside, it must be entered by hand", "error", err, "record", asJSON(&rec))
	if from == earlierRun {
		return
	}
	if r.opts.SetAside != nil {
		r.opts.SetAside(rec, err)
	}
	r.settle(1)
}

func (r *Recorder) settle(n int) {
	r.depth.Add(-int64(n))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settled += uint64(n)
	rest := r.waiters[:0]
	for _, w := range r.waiters {
		if w.until <= r.settled {
			close(w.ready)
		} else {
			rest = append(rest, w)
		}
	}
	clear(r.waiters[len(rest):])
	r.waiters = rest
}

func (r *Recorder) newBlock() *block {
	return &block{records: make([]Record, 0, r.opts.Batch), numbers: make([]uint64, 0, r.opts.Batch)}
}

func (r *Recorder) takeSpare() *block {
	var b *block
	if n := len(r.spare); n > 0 {
		b, r.spare = r.spare[n-1], r.spare[:n-1]
	} else {
		b = r.newBlock()
	}
	b.since = time.Now()
	return b
}

func (r *Recorder) recycle(b *block) {
	clear(b.records) // let go of the strings
	b.records, b.numbers = b.records[:0], b.numbers[:0]
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.spare) < maxSpare {
		r.spare = append(r.spare, b)
	}
}

// asJSON is the record for the log; it holds no secret.
func asJSON(rec *Record) string {
	text, err := jsonx.Marshal(struct {
		*Record
		Latency, FirstByte int64 // nanoseconds
	}{rec, int64(rec.Latency), int64(rec.FirstByte)})
	if err != nil { // text that is not UTF-8
		return fmt.Sprintf("%+v", *rec)
	}
	return string(text)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func orDefault[T int | time.Duration](v, byDefault T) T {
	if v <= 0 {
		return byDefault
	}
	return v
}
