// Package script drives the real binary from outside, one script per story a
// user could tell, on SQLite and on PostgreSQL. A script is a terminal session
// (testdata/**/*.txtar); this package adds the commands that a terminal has not:
// servers in the background, HTTP requests, JSON, an upstream that waits for a
// word. It knows Halley by its published contract only.
package script

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"halley/internal/limit/redistest"
	"halley/internal/store/pgtest"
	"halley/test/harness"
)

func TestMain(m *testing.M) {
	os.Exit(withBinary(m))
}

// withBinary builds the program once for all scripts.
func withBinary(m *testing.M) int {
	if os.Getenv("HALLEY_TEST_BINARY") == "" {
		dir, err := os.MkdirTemp("", "halley-script-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		path, err := harness.BuildTo(dir)
		if err != nil {
			panic(err)
		}
		if err := os.Setenv("HALLEY_TEST_BINARY", path); err != nil {
			panic(err)
		}
	}
	return m.Run()
}

func TestStories(t *testing.T) {
	t.Parallel()
	for engine, url := range map[string]func(testing.TB, *testscript.Env) string{
		"sqlite": func(_ testing.TB, e *testscript.Env) string {
			return "sqlite:" + filepath.Join(e.WorkDir, "data", "halley.db")
		},
		"postgres": func(t testing.TB, _ *testscript.Env) string { return pgtest.URL(t) },
	} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			run(t, "testdata/stories", url)
		})
	}
}

// TestOnce runs what does not depend on the engine.
func TestOnce(t *testing.T) {
	t.Parallel()
	run(t, "testdata/once", func(testing.TB, *testscript.Env) string { return "" })
}

func run(t *testing.T, dir string, url func(testing.TB, *testscript.Env) string) {
	t.Helper()
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(e *testscript.Env) error {
			s := newSession(e)
			e.Values[sessionKey{}] = s
			e.Defer(s.end)
			e.Setenv("PATH", filepath.Dir(os.Getenv("HALLEY_TEST_BINARY"))+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("HALLEY_LISTEN", "127.0.0.1:0")
			e.Setenv("HALLEY_DATA_DIR", filepath.Join(e.WorkDir, "data"))
			e.Setenv("HALLEY_DATABASE_URL", url(e.T().(testing.TB), e))
			e.Setenv("HALLEY_ALLOW_PRIVATE_UPSTREAMS", "true")
			return nil
		},
		Cmds:                commands(),
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
	})
}

// commands are what scripts have beyond testscript's own, which win: one that
// were called stop would end the script there, as a success.
func commands() map[string]func(*testscript.TestScript, bool, []string) {
	on := func(f func(*session, *testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
		return func(ts *testscript.TestScript, neg bool, args []string) {
			if neg {
				ts.Fatalf("this command cannot be negated")
			}
			f(ts.Value(sessionKey{}).(*session), ts, args)
		}
	}
	return map[string]func(*testscript.TestScript, bool, []string){
		"start":    on((*session).cmdStart),
		"signal":   on((*session).cmdSignal),
		"exited":   on((*session).cmdExited),
		"shutdown": on((*session).cmdShutdown),
		"http":     on((*session).cmdHTTP),
		"login":    on((*session).cmdLogin),
		"totp":     on((*session).cmdTOTP),
		"json":     on((*session).cmdJSON),
		"jsonget":  on((*session).cmdJSONGet),
		"await":    on((*session).cmdAwait),
		"begin":    on((*session).cmdBegin),
		"finish":   on((*session).cmdFinish),
		"abandon":  on((*session).cmdAbandon),
		"upstream": on((*session).cmdUpstream),
		"release":  on((*session).cmdRelease),
		"extract":  on((*session).cmdExtract),
		"redis":    on((*session).cmdRedis),
	}
}

// cmdRedis starts a Redis that the server is to use from its next start on, or
// kills it.
func (s *session) cmdRedis(ts *testscript.TestScript, args []string) {
	switch {
	case len(args) == 1 && args[0] == "start" && s.redis == nil:
		s.redis = redistest.Start(s.env.T().(testing.TB))
		ts.Setenv("HALLEY_REDIS_URL", s.redis.URL())
	case len(args) == 1 && args[0] == "kill" && s.redis != nil:
		s.redis.Kill()
	default:
		ts.Fatalf("usage: redis start, once, and then redis kill")
	}
}

type sessionKey struct{}

// session is what one script has going on.
type session struct {
	env     *testscript.Env
	server  *server
	redis   *redistest.Server
	cookie  string
	last    *answer
	pending map[string]*pending
	gate    chan struct{} // closed by release
}

func newSession(e *testscript.Env) *session {
	return &session{env: e, pending: map[string]*pending{}, gate: make(chan struct{})}
}

// end leaves nothing behind, however the script ended.
func (s *session) end() {
	for _, p := range s.pending {
		p.cancel()
		<-p.done
	}
	if s.server != nil {
		s.server.kill()
	}
}
