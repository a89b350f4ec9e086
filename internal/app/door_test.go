package app_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
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
		a, err := app.BuildWaiting(t.Context(), cfg, app.Options{Log: log}, door)
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
	if _, _, err := a.Root(t.Context()); err != nil {
		t.Fatal(err)
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
	if _, err := app.BuildWaiting(t.Context(), cfg, app.Options{Log: log}, door); err == nil {
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
	if _, err := app.BuildWaiting(ctx, cfg, app.Options{Log: log}, door); err == nil {
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

func (f *far) open() {
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
			go join(near, f.socket)
		}
	}()
}

func join(near net.Conn, socket string) {
	defer func() { _ = near.Close() }()
	away, err := (&net.Dialer{}).DialContext(context.Background(), "unix", socket)
	if err != nil {
		return
	}
	defer func() { _ = away.Close() }()
	go func() { _, _ = io.Copy(away, near); _ = away.Close() }()
	_, _ = io.Copy(near, away)
}
