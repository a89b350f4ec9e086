package app_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"halley/internal/app"
	"halley/internal/config"
	"halley/internal/store/pgtest"
)

// A server whose database is away is up, says what it waits for, refuses with
// 503 and never 401, and serves as soon as the database answers.
func TestAServerWaitsForItsDatabase(t *testing.T) {
	t.Parallel()
	far := newFar(t, pgtest.URL(t))
	cfg := testConfig(t, far.url)
	log := slog.New(slog.DiscardHandler)
	door, err := app.OpenDoor(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/healthz":       {200, "ok"},
		"/readyz":        {503, "waiting for the database"},
		"/v1/models":     {503, `"code":"store_unavailable"`},
		"/v1beta/models": {503, `"status":"UNAVAILABLE"`},
		"/api/user/self": {503, `"success":false`},
		"/":              {503, "waiting"},
	} {
		resp, body := get(t, door.URL()+path)
		if resp.StatusCode != want.status || !strings.Contains(body, want.text) || resp.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
	built := make(chan *app.App, 1)
	go func() {
		a, _, err := app.BuildWaiting(t.Context(), cfg, app.Options{Log: log}, door)
		if err != nil {
			t.Error(err)
		}
		built <- a
	}()
	far.open()
	a := <-built
	if a == nil {
		t.FailNow()
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/readyz": 200, "/v1/models": 401, "/api/user/self": 401} {
		if resp, body := get(t, door.URL()+path); resp.StatusCode != want {
			t.Errorf("%s once the database is there: %d %s", path, resp.StatusCode, body)
		}
	}
	a.Drain(t.Context())
	if err := a.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// The database may go away at any moment of the start. The server waits then, too,
// and begins anew.
func TestAServerWaitsForADatabaseThatGoesAwayWhileItStarts(t *testing.T) {
	t.Parallel()
	database := pgtest.URL(t)
	// From the first message to the whole of a start, the first of which makes the
	// tables.
	after, times := int64(math.MaxInt64), 0
	for waits := true; waits; after += 200 {
		far := newFar(t, database)
		far.resets = times%2 == 0
		cfg := testConfig(t, far.url)
		cfg.MasterKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
		waits = false
		log := slog.New(slog.NewTextHandler(writer(func(line string) {
			if strings.Contains(line, "waiting for the database") && !waits {
				waits = true
				far.open()
			}
		}), nil))
		door, err := app.OpenDoor(t.Context(), cfg, log)
		if err != nil {
			t.Fatal(err)
		}
		far.openFor(after)
		a, _, err := app.BuildWaiting(t.Context(), cfg, app.Options{Log: log}, door)
		if err != nil {
			t.Fatalf("the connection was cut after %d bytes: %v", after, err)
		}
		far.left.Store(math.MaxInt64)
		if err := errors.Join(a.Start(t.Context()), a.Close(t.Context())); err != nil {
			t.Error(err)
		}
		if after == math.MaxInt64 {
			after, waits = 0, true
			continue
		}
		times++
	}
	if times < 10 {
		t.Errorf("the database went away %d times", times)
	}
}

// writer is told each line that is written.
type writer func(string)

func (w writer) Write(p []byte) (int, error) {
	w(string(p))
	return len(p), nil
}

func TestWhatWaitingDoesNotCureIsToldAtOnce(t *testing.T) {
	t.Parallel()
	far := newFar(t, pgtest.URL(t))
	far.open()
	cfg := testConfig(t, strings.Replace(far.url, far.database, "no_such_database", 1))
	log := slog.New(slog.DiscardHandler)
	door, err := app.OpenDoor(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := app.BuildWaiting(t.Context(), cfg, app.Options{Log: log}, door); err == nil {
		t.Error("built on a database that does not exist")
	}
	if err := door.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWaitingEndsWithTheProcess(t *testing.T) {
	t.Parallel()
	far := newFar(t, pgtest.URL(t))
	cfg := testConfig(t, far.url)
	ctx, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	log := slog.New(slog.DiscardHandler)
	door, err := app.OpenDoor(ctx, cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := app.BuildWaiting(ctx, cfg, app.Options{Log: log}, door); err == nil {
		t.Error("built without a database")
	}
	if err := door.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func testConfig(t *testing.T, database string) *config.Config {
	t.Helper()
	cfg, err := config.Load("", func(string) (string, bool) { return "", false },
		config.Override{Key: "listen", Value: "127.0.0.1:0"}, config.Override{Key: "data_dir", Value: t.TempDir()}, config.Override{Key: "database.url", Value: database})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func get(t *testing.T, target string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// far is a TCP address that leads to a PostgreSQL server once it is open.
type far struct {
	t        *testing.T
	url      string
	database string
	address  string
	socket   string
	listen   sync.Once
	left     atomic.Int64 // bytes that the server may say
	resets   bool         // how connections end then
}

func newFar(t *testing.T, real string) *far {
	t.Helper()
	u, err := url.Parse(real)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &far{t: t, address: listener.Addr().String(), database: strings.TrimPrefix(u.Path, "/")}
	if err := listener.Close(); err != nil { // from here on refused
		t.Fatal(err)
	}
	query := u.Query()
	f.socket = filepath.Join(query.Get("host"), ".s.PGSQL."+orElse(query.Get("port"), "5432"))
	query.Del("host")
	query.Del("port")
	query.Set("sslmode", "disable")
	u.Host, u.RawQuery = f.address, query.Encode()
	f.url = u.String()
	return f
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// open leads to the server from now on.
func (f *far) open() { f.openFor(math.MaxInt64) }

// openFor leads to the server until it has said so many bytes. Connections then
// end, and new ones do at once, until it is opened again.
func (f *far) openFor(bytes int64) {
	f.left.Store(bytes)
	f.listen.Do(func() {
		listener, err := (&net.ListenConfig{}).Listen(f.t.Context(), "tcp", f.address)
		if err != nil {
			f.t.Error(err)
			return
		}
		f.t.Cleanup(func() { _ = listener.Close() })
		go func() {
			for {
				near, err := listener.Accept()
				if err != nil {
					return
				}
				go f.join(near)
			}
		}()
	})
}

// join connects near to the server for as long as that may say something.
func (f *far) join(near net.Conn) {
	defer func() { _ = near.Close() }()
	if f.left.Load() < 0 {
		return
	}
	away, err := (&net.Dialer{}).DialContext(context.Background(), "unix", f.socket)
	if err != nil {
		return
	}
	defer func() { _ = away.Close() }()
	go func() { _, _ = io.Copy(away, near); _ = away.Close() }()
	_, err = io.Copy(near, io.TeeReader(away, f))
	if tcp, ok := near.(*net.TCPConn); ok && err != nil && f.resets {
		_ = tcp.SetLinger(0) // the other side is not told that it ends
	}
}

// Write counts what the server says, and fails when that is too much.
func (f *far) Write(p []byte) (int, error) {
	if f.left.Add(-int64(len(p))) < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}
