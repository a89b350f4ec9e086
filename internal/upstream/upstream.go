// Package upstream is the wire to providers: it sends one request through a
// RoundTripper, bounds every phase of it in time, refuses addresses that the
// operator does not allow, and says in plain terms how a call failed. It must
// not know dialects, keys or money.
package upstream

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Timeouts bound the phases of a call.
type Timeouts struct {
	Connect   time.Duration // TCP and TLS
	FirstByte time.Duration // from sending until the answer's first body byte
	Idle      time.Duration // from asking for more of the body until it comes
	Total     time.Duration
}

// The ways a call fails, as causes of its context; errors.Is finds them in what
// Do and Body.Read return.
var (
	ErrFirstByte = errors.New("the upstream took too long to answer")
	ErrIdle      = errors.New("the upstream stopped sending")
	ErrTotal     = errors.New("the upstream took too long altogether")
	ErrConnect   = errors.New("the upstream cannot be reached")
	ErrAddress   = errors.New("the upstream's address is not allowed")
)

// IsTimeout reports whether err is one of the time limits.
func IsTimeout(err error) bool {
	return errors.Is(err, ErrFirstByte) || errors.Is(err, ErrIdle) || errors.Is(err, ErrTotal)
}

// pooledConn writes request bodies through buffers that are used again; the
// connection's own ReadFrom makes one of 32 KB for every body.
type pooledConn struct{ net.Conn }

//nolint:gochecknoglobals // a pool is the one kind of shared state that holds nothing
var copyBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// ReadFrom writes what r has to the connection.
func (c *pooledConn) ReadFrom(r io.Reader) (n int64, err error) {
	buf := copyBuffers.Get().(*[32 << 10]byte) //nolint:forcetypeassert // the pool holds nothing else
	defer copyBuffers.Put(buf)
	for {
		got, readErr := r.Read(buf[:])
		if got > 0 {
			put, err := c.Write(buf[:got])
			n += int64(put)
			if err != nil {
				return n, err
			}
		}
		if errors.Is(readErr, io.EOF) {
			return n, nil
		}
		if readErr != nil {
			return n, readErr
		}
	}
}

// Request is what to send. Once Do has failed or its Call is closed, nothing
// reads Body any more, so that its memory can be used again.
type Request struct {
	Method string
	URL    string
	Header http.Header
	Body   []byte
	Times  Timeouts
}

// Call is one upstream call under way. Close must be called; it may be called
// again.
type Call struct {
	Status int
	Header http.Header
	body   io.ReadCloser
	sent   *source
	cancel context.CancelCauseFunc
	ctx    context.Context
	phase  *time.Timer // runs while a byte is waited for, until it is due
	total  *time.Timer
	begun  atomic.Bool // the first byte is here
	idle   time.Duration
	after  func() // OnClose's
}

// Do sends the request and waits for the answer's headers. Cancelling ctx ends
// the call at any time. Errors wrap one of the package's, the context's cause,
// or what the network said.
func Do(ctx context.Context, rt http.RoundTripper, req Request) (*Call, error) {
	ctx, cancel := context.WithCancelCause(ConnectWithin(ctx, req.Times.Connect))
	c := &Call{cancel: cancel, ctx: ctx, idle: req.Times.Idle, sent: &source{data: req.Body}}
	hr, err := http.NewRequestWithContext(ctx, req.Method, req.URL, c.sent.reader())
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("build the upstream request: %w", err)
	}
	hr.Header = req.Header
	hr.ContentLength = int64(len(req.Body))
	if len(req.Body) > 0 {
		hr.GetBody = func() (io.ReadCloser, error) { return c.sent.reader(), nil }
	}
	c.phase = time.AfterFunc(req.Times.FirstByte, func() {
		if c.begun.Load() {
			cancel(ErrIdle)
			return
		}
		cancel(ErrFirstByte)
	})
	c.total = time.AfterFunc(req.Times.Total, func() { cancel(ErrTotal) })
	resp, err := rt.RoundTrip(hr) //nolint:bodyclose // the Call closes it
	if err != nil {
		err = c.explain(err)
		c.Close()
		return nil, err
	}
	c.Status, c.Header, c.body = resp.StatusCode, resp.Header, resp.Body
	c.unzip()
	return c, nil
}

// unzip has a compressed body read as what it is. We ask for none, which leaves a
// server free to send one, and some do to everybody.
func (c *Call) unzip() {
	switch strings.ToLower(c.Header.Get("Content-Encoding")) {
	case "gzip", "x-gzip":
		c.Reframe(c.Header.Get("Content-Type"), &unzipped{of: c.body})
		c.Header.Del("Content-Encoding")
	}
}

// unzipped reads what is compressed. It begins with its first Read, as what comes
// first may take time.
type unzipped struct {
	of io.Reader
	in *gzip.Reader
}

// Read decompresses.
func (u *unzipped) Read(p []byte) (n int, err error) {
	if u.in == nil {
		if u.in, err = gzip.NewReader(u.of); err != nil {
			return 0, err
		}
	}
	return u.in.Read(p)
}

// Read reads the body. The idle limit runs meanwhile and not between two reads,
// which may be as far apart as the reader likes.
func (c *Call) Read(p []byte) (int, error) {
	if c.begun.Load() {
		c.phase.Reset(c.idle)
	}
	n, err := c.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, c.explain(err)
	}
	c.begun.Store(true)
	c.phase.Stop()
	if err == nil && n > 0 && c.ctx.Err() != nil {
		return n, c.explain(c.ctx.Err())
	}
	return n, err
}

// Reframe has the body read through another reader, whose bytes are of the media
// type. It is for the time before the first Read.
func (c *Call) Reframe(media string, through io.Reader) {
	c.body = reframed{through, c.body}
	c.Header = c.Header.Clone()
	c.Header.Set("Content-Type", media)
	c.Header.Del("Content-Length")
}

// Raw is the body as it comes, for Reframe. Nothing but what it is given to reads
// it, within Read.
func (c *Call) Raw() io.Reader { return c.body }

// reframed is a body with a reader before it.
type reframed struct {
	io.Reader
	io.Closer
}

// Peek gives what comes first of the body, which Read gives again; nothing if
// the body cannot be read, which Read tells. It is for the time before the first
// Read.
func (c *Call) Peek() []byte {
	first := make([]byte, 512)
	n, err := c.Read(first)
	c.body = replayed{io.MultiReader(bytes.NewReader(first[:n]), &failed{c.body, err}), c.body}
	return first[:n]
}

// failed is a reader that may have failed already.
type failed struct {
	io.Reader
	err error
}

// Read gives the error, if there is one.
func (f *failed) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return f.Reader.Read(p)
}

// Linger bounds what is left of the call to d a read.
func (c *Call) Linger(d time.Duration) {
	c.idle = d
	if !c.begun.Load() {
		c.phase.Reset(d)
	}
}

// Close frees the connection: it goes back to the pool if the body was read to
// its end and is closed otherwise.
func (c *Call) Close() {
	if c.phase != nil {
		c.phase.Stop()
		c.total.Stop()
	}
	if c.body != nil {
		_ = c.body.Close()
	}
	c.cancel(context.Canceled)
	c.sent.end()
	if c.after != nil {
		c.after()
	}
}

// Replay has Read give the body once more. It was read to its end.
func (c *Call) Replay(body []byte) { c.body = replayed{bytes.NewReader(body), c.body} }

// replayed is a body that was read and is still to be closed.
type replayed struct {
	io.Reader
	io.Closer
}

// OnClose has f called whenever the call is closed.
func (c *Call) OnClose(f func()) { c.after = f }

// explain prefers the reason we ended the call for over the transport's words.
func (c *Call) explain(err error) error {
	if cause := context.Cause(c.ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w (%w)", cause, err)
	}
	return err
}

// source is a request's body. A transport may go on reading it after the answer
// has come, so the call's end takes it away.
type source struct {
	mu   sync.Mutex
	data []byte
}

func (s *source) reader() io.ReadCloser {
	if len(s.data) == 0 {
		return http.NoBody
	}
	return &sending{source: s}
}

func (s *source) end() {
	s.mu.Lock()
	s.data = nil
	s.mu.Unlock()
}

// sending reads a source from its start, for one attempt to send it.
type sending struct {
	source *source
	at     int
}

// Read copies under the source's lock; after the call's end it fails.
func (r *sending) Read(p []byte) (int, error) {
	r.source.mu.Lock()
	defer r.source.mu.Unlock()
	if r.source.data == nil {
		return 0, http.ErrBodyReadAfterClose
	}
	if r.at == len(r.source.data) {
		return 0, io.EOF
	}
	n := copy(p, r.source.data[r.at:])
	r.at += n
	return n, nil
}

// Close does nothing: the source belongs to the call.
func (r *sending) Close() error { return nil }
