package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Target is where the requests go.
type Target struct {
	URL    string            // base path included: http://127.0.0.1:8080/v1
	Header map[string]string // credentials and the like
}

// Options bound a run; all of them are needed but Rate and Begin.
type Options struct {
	Connections int
	Requests    int           // stop after so many
	Duration    time.Duration // and no later than this
	Timeout     time.Duration // for one request
	Rate        float64       // requests per second of an open loop; 0 is a closed loop
	Begin       func()        // called once, when every connection has been used and before the first request counts
}

// Result holds the figures of one run. Latencies are of good answers only.
type Result struct {
	Requests   int            // sent, good and bad
	Errors     map[string]int // bad answers by reason, the priming ones included
	FirstError string         // one of them in full
	Elapsed    time.Duration
	Latencies  []time.Duration // request sent (open loop: due) to last byte
	FirstBytes []time.Duration // the same start to the first byte of the body
}

// Failed counts the bad answers.
func (r *Result) Failed() int {
	n := 0
	for _, count := range r.Errors {
		n += count
	}
	return n
}

// Add takes another run's figures in.
func (r *Result) Add(other Result) {
	r.Requests += other.Requests
	r.Elapsed += other.Elapsed
	r.Latencies = append(r.Latencies, other.Latencies...)
	r.FirstBytes = append(r.FirstBytes, other.FirstBytes...)
	for reason, n := range other.Errors {
		r.count(reason, n)
	}
	if r.FirstError == "" {
		r.FirstError = other.FirstError
	}
}

func (r *Result) count(reason string, n int) {
	if r.Errors == nil {
		r.Errors = map[string]int{}
	}
	r.Errors[reason] += n
}

func (r *Result) fail(err error) {
	reason := "other"
	if f, ok := errors.AsType[*flaw](err); ok {
		reason = f.reason
	}
	r.count(reason, 1)
	if r.FirstError == "" {
		r.FirstError = err.Error()
	}
}

// Run sends w to target within the bounds of o. Every connection first carries
// one request that is checked but not counted, so that neither dialling nor a
// cold upstream pool is measured. Bad answers are counted in the result; the
// error is for options that make no sense and for a ctx that ended.
func Run(ctx context.Context, target Target, w Workload, o Options) (Result, error) {
	if o.Connections < 1 || o.Requests < 1 || o.Duration <= 0 || o.Timeout <= 0 || o.Rate < 0 {
		return Result{}, fmt.Errorf("load: connections, requests, duration and time-out must be positive: %+v", o)
	}
	address, request, err := render(target, &w)
	if err != nil {
		return Result{}, err
	}
	workers := make([]*worker, o.Connections)
	for i := range workers {
		workers[i] = &worker{ctx: ctx, workload: &w, address: address, request: request, timeout: o.Timeout}
		defer workers[i].hangUp()
	}
	each(workers, (*worker).prime)
	if o.Begin != nil {
		o.Begin()
	}
	start := time.Now()
	next := closedLoop(ctx, start, o)
	if o.Rate > 0 {
		next = openLoop(ctx, start, o)
	}
	each(workers, func(w *worker) { w.work(next) })
	total := Result{}
	for _, w := range workers {
		total.Add(w.result)
	}
	total.Elapsed = time.Since(start)
	return total, ctx.Err()
}

func each(workers []*worker, do func(*worker)) {
	var wg sync.WaitGroup
	for _, w := range workers {
		wg.Go(func() { do(w) })
	}
	wg.Wait()
}

// render makes the bytes of the request, which are the same every time.
func render(target Target, w *Workload) (address string, request []byte, err error) {
	u, err := url.Parse(target.URL)
	if err != nil || u.Scheme != "http" || u.Host == "" {
		return "", nil, fmt.Errorf("load: %q is not a plain http URL", target.URL)
	}
	address = u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), "80")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "POST %s%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n",
		strings.TrimSuffix(u.EscapedPath(), "/"), w.Path, u.Host, len(w.Body))
	for name, value := range target.Header {
		fmt.Fprintf(&b, "%s: %s\r\n", name, value)
	}
	b.WriteString("\r\n")
	b.WriteString(w.Body)
	return address, []byte(b.String()), nil
}

// schedule yields when the next request is due, once its turn has come; false
// ends the run.
type schedule func() (due time.Time, ok bool)

// closedLoop makes a request due as soon as a worker is free.
func closedLoop(ctx context.Context, start time.Time, o Options) schedule {
	var taken atomic.Int64
	return func() (time.Time, bool) {
		now := time.Now()
		ok := now.Sub(start) < o.Duration && taken.Add(1) <= int64(o.Requests) && ctx.Err() == nil
		return now, ok
	}
}

// openLoop makes requests due at a fixed rate, whether a worker is free or
// not: waiting for one counts as latency. How late the machine's own timer
// fires does not.
func openLoop(ctx context.Context, start time.Time, o Options) schedule {
	interval := time.Duration(float64(time.Second) / o.Rate)
	n := min(o.Requests, int(o.Duration/interval))
	due := make(chan time.Time, n) // room for all: the clock never waits for a worker
	go func() {
		defer close(due)
		timer := time.NewTimer(0)
		defer timer.Stop()
		for i := range n {
			timer.Reset(time.Until(start.Add(time.Duration(i) * interval)))
			select {
			case <-timer.C:
				due <- time.Now()
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() (time.Time, bool) {
		t, ok := <-due
		return t, ok
	}
}

// worker sends requests one after the other over one connection.
type worker struct {
	ctx      context.Context
	workload *Workload
	address  string
	request  []byte
	timeout  time.Duration

	conn    net.Conn
	reader  *bufio.Reader
	release func() bool // undoes the hold that ctx has on conn
	body    []byte
	result  Result
}

// prime uses the connection once.
func (w *worker) prime() {
	if _, err := w.roundTrip(); err != nil && w.ctx.Err() == nil {
		w.result.fail(err)
	}
}

func (w *worker) work(next schedule) {
	for {
		due, ok := next()
		if !ok {
			return
		}
		a, err := w.roundTrip()
		if w.ctx.Err() != nil {
			return
		}
		w.result.Requests++
		if err != nil {
			w.result.fail(err)
			continue
		}
		w.result.Latencies = append(w.result.Latencies, a.lastByte.Sub(due))
		w.result.FirstBytes = append(w.result.FirstBytes, a.firstByte.Sub(due))
	}
}

// roundTrip sends the request and checks the answer. After a bad one the
// connection is not used again.
func (w *worker) roundTrip() (answer, error) {
	if w.conn == nil {
		if err := w.dial(); err != nil {
			return answer{}, err
		}
	}
	_ = w.conn.SetDeadline(time.Now().Add(w.timeout)) // a connection that is closed says so when it is used
	if _, err := w.conn.Write(w.request); err != nil {
		w.hangUp()
		return answer{}, &flaw{"request not sent", err.Error()}
	}
	a, err := readAnswer(w.reader, w.body)
	w.body = a.body
	if err == nil {
		err = a.check(w.workload)
	}
	if err == nil && w.reader.Buffered() > 0 {
		err = &flaw{"malformed answer", "bytes after the answer's end"}
	}
	if err != nil || a.closes {
		w.hangUp()
	}
	return a, err
}

func (w *worker) dial() error {
	dialer := net.Dialer{Timeout: w.timeout}
	conn, err := dialer.DialContext(w.ctx, "tcp", w.address)
	if err != nil {
		return &flaw{"no connection", err.Error()}
	}
	w.conn = conn
	w.reader = bufio.NewReaderSize(conn, 64<<10)
	w.release = context.AfterFunc(w.ctx, func() { _ = conn.Close() })
	return nil
}

func (w *worker) hangUp() {
	if w.conn != nil {
		w.release()
		_ = w.conn.Close()
		w.conn = nil
	}
}
