package upstream_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"halley/internal/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type policy bool

func (p policy) Allowed(netip.Addr) bool { return bool(p) }
func (p policy) AllowedHost(string) bool { return bool(p) }

func times(d time.Duration) upstream.Timeouts {
	return upstream.Timeouts{Connect: d, FirstByte: d, Idle: d, Total: 10 * d}
}

func send(t *testing.T, rt http.RoundTripper, url string, body []byte) (*upstream.Call, error) {
	t.Helper()
	return upstream.Do(t.Context(), rt, upstream.Request{Method: http.MethodPost, URL: url, Header: http.Header{"X-A": {"b"}}, Body: body, Times: times(time.Minute)})
}

func TestACallBringsTheWholeBodyThereAndBack(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Accept-Encoding") != "" || r.Header.Get("X-A") != "b" || r.ContentLength != int64(len(body)) {
			t.Errorf("header %v, length %d", r.Header, r.ContentLength)
		}
		_, _ = w.Write(body)
	}))
	defer server.Close()
	rt := upstream.NewTransport(policy(true))
	defer rt.CloseIdleConnections()
	for _, size := range []int{0, 1, 4095, 4097, 100_000, 3 << 20} {
		sent := strings.Repeat("x", size)
		call, err := send(t, rt, server.URL, []byte(sent))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(call)
		if err != nil || string(got) != sent || call.Status != http.StatusOK {
			t.Errorf("size %d: %d bytes came back, status %d, %v", size, len(got), call.Status, err)
		}
		call.Close()
		call.Close()
	}
}

func TestAnAddressThatIsNotAllowedIsNotDialled(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("called") }))
	defer server.Close()
	for _, url := range []string{server.URL, strings.Replace(server.URL, "127.0.0.1", "localhost", 1)} {
		_, err := send(t, upstream.NewTransport(policy(false)), url, nil)
		if !errors.Is(err, upstream.ErrAddress) || !errors.Is(err, upstream.ErrConnect) {
			t.Errorf("%s: err = %v", url, err)
		}
	}
}

func TestNothingReadsTheBodyOnceTheCallIsClosed(t *testing.T) {
	t.Parallel()
	taken := make(chan io.Reader, 1)
	rt := roundTrip(func(r *http.Request) (*http.Response, error) {
		taken <- r.Body
		return &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}}, nil
	})
	call, err := send(t, rt, "http://x", []byte("secret prompt"))
	if err != nil {
		t.Fatal(err)
	}
	call.Close()
	if n, err := (<-taken).Read(make([]byte, 10)); n != 0 || err == nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// slow answers after some time, then gives a byte every so often.
func slow(first, between time.Duration, bytes int) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		if err := rest(r.Context(), first); err != nil {
			return nil, err
		}
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: &dripping{r.Context(), between, bytes}}, nil
	}
}

type dripping struct {
	ctx     context.Context
	between time.Duration
	left    int
}

func (d *dripping) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	if err := rest(d.ctx, d.between); err != nil {
		return 0, err
	}
	d.left--
	p[0] = 'x'
	return 1, nil
}

func (d *dripping) Close() error { return nil }

func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func TestEachPhaseHasItsLimit(t *testing.T) {
	t.Parallel()
	limits := upstream.Timeouts{Connect: time.Second, FirstByte: 10 * time.Second, Idle: 5 * time.Second, Total: time.Minute}
	for name, row := range map[string]struct {
		rt    roundTrip
		want  error
		after time.Duration
	}{
		"in time":                   {slow(5*time.Second, 4*time.Second, 3), nil, 17 * time.Second},
		"headers too late":          {slow(11*time.Second, 0, 1), upstream.ErrFirstByte, 10 * time.Second},
		"headers, but no byte":      {slow(time.Second, time.Hour, 1), upstream.ErrFirstByte, 10 * time.Second},
		"silence between two bytes": {stopsAfter(4*time.Second, 2), upstream.ErrIdle, 13 * time.Second},
		"slow all the way":          {slow(time.Second, 4*time.Second, 100), upstream.ErrTotal, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				call, err := upstream.Do(t.Context(), row.rt, upstream.Request{Method: http.MethodGet, URL: "http://x", Times: limits})
				if err == nil {
					_, err = io.ReadAll(call)
					call.Close()
				}
				if took := time.Since(start); !errors.Is(err, row.want) || took != row.after {
					t.Errorf("after %v: %v, want %v after %v", took, err, row.want, row.after)
				}
				if row.want != nil && !upstream.IsTimeout(err) {
					t.Errorf("%v is not a time-out", err)
				}
			})
		})
	}
}

// stopsAfter gives some bytes and then nothing more.
func stopsAfter(between time.Duration, bytes int) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: &stopping{dripping{r.Context(), between, bytes}}}, nil
	}
}

type stopping struct{ dripping }

func (s *stopping) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, rest(s.ctx, time.Hour)
	}
	return s.dripping.Read(p)
}

func TestACallerWhoLeavesEndsTheCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, leave)
		start := time.Now()
		_, err := upstream.Do(ctx, slow(time.Hour, 0, 1), upstream.Request{Method: http.MethodGet, URL: "http://x", Times: times(time.Hour)})
		if !errors.Is(err, context.Canceled) || upstream.IsTimeout(err) || time.Since(start) != 3*time.Second {
			t.Errorf("err = %v after %v", err, time.Since(start))
		}
	})
}

// Whoever reads may be held up by a client that takes nothing, or by asking for
// more money. That is no silence of the upstream's.
func TestTheIdleLimitCountsOnlyWhileWeWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limits := upstream.Timeouts{Connect: time.Second, FirstByte: 5 * time.Second, Idle: 5 * time.Second, Total: time.Hour}
		call, err := upstream.Do(t.Context(), slow(0, 4*time.Second, 3), upstream.Request{Method: http.MethodGet, URL: "http://x", Times: limits})
		if err != nil {
			t.Fatal(err)
		}
		defer call.Close()
		for i := range 3 {
			if _, err := call.Read(make([]byte, 1)); err != nil {
				t.Fatalf("byte %d: %v", i, err)
			}
			if err := rest(t.Context(), time.Minute); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestLingerIsShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		call, err := upstream.Do(t.Context(), slow(0, time.Minute, 1), upstream.Request{Method: http.MethodGet, URL: "http://x", Times: times(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		defer call.Close()
		call.Linger(250 * time.Millisecond)
		start := time.Now()
		if _, err := call.Read(make([]byte, 1)); err == nil || time.Since(start) != 250*time.Millisecond {
			t.Errorf("err = %v after %v", err, time.Since(start))
		}
	})
}

func TestACompressedBodyIsReadAsWhatItIs(t *testing.T) {
	t.Parallel()
	const want = "data: one\n\ndata: two\n\n"
	more := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, want[:len(want)/2])
		_ = z.Flush()
		_ = http.NewResponseController(w).Flush()
		select {
		case <-more:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(z, want[len(want)/2:])
		_ = z.Close()
	}))
	defer server.Close()
	rt := upstream.NewTransport(policy(true))
	defer rt.CloseIdleConnections()
	call, err := send(t, rt, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer call.Close()
	first := make([]byte, len(want)/2)
	if _, err := io.ReadFull(call, first); err != nil || call.Header.Get("Content-Encoding") != "" {
		t.Fatalf("%q, %v, header %v", first, err, call.Header)
	}
	close(more) // what was there has come before the rest
	rest, err := io.ReadAll(call)
	if got := string(first) + string(rest); err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
}

func TestPeekingTakesNothingAway(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "2000")
		_, _ = io.WriteString(w, strings.Repeat("x", int(r.ContentLength)))
	}))
	defer server.Close()
	rt := upstream.NewTransport(policy(true))
	defer rt.CloseIdleConnections()
	for _, size := range []int{0, 10, 1999, 2000} {
		call, err := send(t, rt, server.URL, make([]byte, size))
		if err != nil {
			t.Fatal(err)
		}
		peeked := len(call.Peek())
		got, err := io.ReadAll(call)
		if len(got) != size || peeked > size || (err == nil) != (size == 2000) {
			t.Errorf("%d of %d bytes, %d peeked, %v", len(got), size, peeked, err)
		}
		call.Close()
	}
}

func TestHeadersThatNoClientTakesAreNoAnswer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Big", strings.Repeat("x", 200<<10))
	}))
	defer server.Close()
	rt := upstream.NewTransport(policy(true))
	defer rt.CloseIdleConnections()
	if _, err := send(t, rt, server.URL, nil); err == nil {
		t.Error("200 KB of headers are taken")
	}
}
