package modelapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"halley/internal/fault"
	"halley/internal/gateway"
	"halley/internal/provider"
	"halley/internal/translate"
	"halley/internal/usage"
	"halley/internal/wire"
)

// generate serves an endpoint that has a body and costs tokens.
func (s *Server) generate(op provider.Operation, format wire.Format) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, op, format) }
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, op provider.Operation, format wire.Format) {
	s.serveAs(w, r, op, format, nil)
}

// serveAs is serve for a client whose codec is not its operation's.
func (s *Server) serveAs(w http.ResponseWriter, r *http.Request, op provider.Operation, format wire.Format, client translate.Client) {
	credentials, err := credentialsOf(r)
	if err != nil {
		fail(w, r, err)
		return
	}
	control := http.NewResponseController(w)
	in := &gateway.Inbound{
		RequestID: requestID(r), Start: time.Now(), Credentials: credentials, IP: s.ClientIP.Of(r),
		Operation: op, Header: r.Header, Format: format, Client: client,
	}
	var body requestBody
	defer body.release()
	in.ReadBody = func() ([]byte, error) { return s.readBody(r, control, &body) }
	record := s.Gateway.Serve(r.Context(), in, &sink{w: w, control: control, timeout: s.WriteTimeout})
	s.logRequest(r, record)
}

// readBody reads the whole body before anything is sent on: a retry needs it,
// and a body that is handed to a transport while the client still writes it
// breaks streams. A server that ends its requests does not wait for it.
func (s *Server) readBody(r *http.Request, control *http.ResponseController, into *requestBody) ([]byte, error) {
	if r.ContentLength > s.MaxBody {
		return nil, tooLarge(s.MaxBody)
	}
	// A length is only a promise: large ones are not taken at their word.
	body := into.grab(int(min(max(r.ContentLength, 512), 1<<20)) + 1)
	defer func() { into.held = body }()
	unhook := func() bool { return true }
	defer func() { unhook() }()
	for reads := 0; ; reads++ {
		if reads == 1 { // most bodies come in one piece
			unhook = context.AfterFunc(r.Context(), func() {
				_ = control.SetReadDeadline(time.Unix(1, 0)) // not every writer has one
			})
		}
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if int64(len(body)) > s.MaxBody {
			return nil, tooLarge(s.MaxBody)
		}
		if errors.Is(err, io.EOF) {
			// The deadline was for the body. After any other end it stays, for
			// what net/http still reads of a body that is left.
			_ = control.SetReadDeadline(time.Time{}) // not every writer has one
			return body, nil
		}
		if hungUp(err) {
			err = fmt.Errorf("%w: %w", gateway.ErrClientGone, err)
		}
		if err != nil {
			return nil, fault.Wrap(err, fault.Malformed, "invalid_request", "The body could not be read to its end.")
		}
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
	}
}

// hungUp reports whether a body ends because its connection did.
func hungUp(err error) bool {
	_, network := errors.AsType[*net.OpError](err)
	return errors.Is(err, io.ErrUnexpectedEOF) || (network && !errors.Is(err, os.ErrDeadlineExceeded))
}

// requestBody is a body's memory, used again for the next request once the
// gateway is done with it.
type requestBody struct{ held []byte }

// bodies are the memory of bodies past, in two sizes, so that a small body does
// not occupy a large one's.
//
//nolint:gochecknoglobals // a pool is the one kind of shared state that holds nothing
var bodies [2]sync.Pool

const (
	smallBody = 16 << 10
	largeBody = 1 << 20
)

func (b *requestBody) grab(size int) []byte {
	pool, least := &bodies[0], smallBody
	if size > smallBody {
		pool, least = &bodies[1], size
	}
	if kept, ok := pool.Get().(*[]byte); ok && cap(*kept) >= size {
		return (*kept)[:0]
	}
	return make([]byte, 0, least)
}

func (b *requestBody) release() {
	switch c := cap(b.held); {
	case c == 0 || c > largeBody+1:
	case c > smallBody:
		bodies[1].Put(&b.held)
	default:
		bodies[0].Put(&b.held)
	}
}

func tooLarge(limit int64) error {
	return fault.New(fault.TooLarge, "request_too_large", "The body is larger than %d bytes.", limit)
}

// logRequest writes the one line of a request. It names the key by its id; the
// value appears nowhere.
func (s *Server) logRequest(r *http.Request, rec *usage.Record) {
	s.Log.LogAttrs(context.Background(), slog.LevelInfo, "request",
		slog.String("request_id", requestID(r)), slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.Int("status", rec.Status), slog.Int64("latency_ms", rec.Latency.Milliseconds()), slog.Int64("first_byte_ms", rec.FirstByte.Milliseconds()),
		slog.Int64("key_id", rec.KeyID), slog.Int64("user_id", rec.UserID), slog.String("model", rec.Model), slog.Int64("channel_id", rec.ChannelID),
		slog.Bool("stream", rec.Stream), slog.Int64("prompt_tokens", rec.Tokens.Prompt), slog.Int64("completion_tokens", rec.Tokens.Completion),
		slog.String("usd", rec.Cost.USDString()), slog.String("error_code", rec.ErrorCode))
}

// sink is the client's side of an answer.
type sink struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
}

var _ gateway.Sink = (*sink)(nil)

// Header is the answer's header.
func (s *sink) Header() http.Header { return s.w.Header() }

// Start sends the status.
func (s *sink) Start(status int) { s.w.WriteHeader(status) }

// Write sends bytes; a reader that takes none for the timeout counts as gone.
func (s *sink) Write(p []byte) (int, error) {
	if s.timeout > 0 {
		_ = s.control.SetWriteDeadline(time.Now().Add(s.timeout)) // not every writer has one
	}
	return s.w.Write(p)
}

// Flush pushes what was written to the client.
func (s *sink) Flush() error { return s.control.Flush() }
