package script

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long anything may take before a script gives up on it.
const patience = 30 * time.Second

var ready = regexp.MustCompile(`ready at (http://\S+)`)

// server is a halley process in the background.
type server struct {
	cmd    *exec.Cmd
	stdout output
	stderr output
	done   chan struct{} // closed when it has ended
}

// cmdStart runs "halley ARGS…" in the background and waits until it says that
// it is ready; $BASE is its address then, and its output so far can be matched.
func (s *session) cmdStart(ts *testscript.TestScript, args []string) {
	if s.server != nil {
		ts.Fatalf("a server runs already")
	}
	srv := &server{done: make(chan struct{})}
	srv.stdout.changed = make(chan struct{}, 1)
	srv.cmd = exec.Command(os.Getenv("HALLEY_TEST_BINARY"), args...)
	srv.cmd.Dir = ts.MkAbs(".")
	srv.cmd.Stdout, srv.cmd.Stderr = &srv.stdout, &srv.stderr
	for _, name := range []string{
		"PATH", "HOME", "TMPDIR", "HALLEY_CONFIG", "HALLEY_LISTEN", "HALLEY_DATA_DIR", "HALLEY_DATABASE_URL", "HALLEY_ALLOW_PRIVATE_UPSTREAMS",
		"HALLEY_ROOT_PASSWORD", "HALLEY_MASTER_KEY", "HALLEY_PUBLIC_URL", "HALLEY_DRAIN_TIMEOUT", "HALLEY_TRUSTED_PROXIES", "HALLEY_KEYS_REVEAL", "HALLEY_LOG_LEVEL", "HALLEY_REDIS_URL",
	} {
		if value := ts.Getenv(name); value != "" {
			srv.cmd.Env = append(srv.cmd.Env, name+"="+value)
		}
	}
	ts.Check(srv.cmd.Start())
	go func() {
		_ = srv.cmd.Wait() // the process's state has it
		close(srv.done)
	}()
	s.server = srv
	deadline := time.After(patience)
	for {
		if found := ready.FindStringSubmatch(srv.stdout.String()); found != nil {
			ts.Setenv("BASE", found[1])
			s.show(ts)
			return
		}
		select {
		case <-srv.stdout.changed:
		case <-srv.done:
			ts.Fatalf("halley %v ended before it was ready:\n%s%s", args, &srv.stdout, &srv.stderr)
		case <-deadline:
			ts.Fatalf("halley %v was not ready within %v:\n%s%s", args, patience, &srv.stdout, &srv.stderr)
		}
	}
}

// cmdSignal sends the server a signal (TERM, INT, KILL) and does not wait.
func (s *session) cmdSignal(ts *testscript.TestScript, args []string) {
	signals := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL}
	if len(args) != 1 || signals[args[0]] == 0 || s.server == nil {
		ts.Fatalf("usage: signal TERM|INT|KILL, with a server running")
	}
	ts.Check(s.server.cmd.Process.Signal(signals[args[0]]))
}

// cmdExited waits until the server has ended, with the exit code (default 0).
// Its whole output can be matched then.
func (s *session) cmdExited(ts *testscript.TestScript, args []string) {
	want := 0
	if len(args) == 1 {
		var err error
		want, err = strconv.Atoi(args[0])
		ts.Check(err)
	}
	if s.server == nil {
		ts.Fatalf("no server runs")
	}
	select {
	case <-s.server.done:
	case <-time.After(patience):
		ts.Fatalf("the server has not ended within %v:\n%s", patience, &s.server.stderr)
	}
	s.show(ts)
	got := s.server.cmd.ProcessState.ExitCode()
	if got != want {
		ts.Fatalf("the server ended with %d, want %d:\n%s", got, want, &s.server.stderr)
	}
	ended := s.server
	s.server = nil
	ended.checkBooks(ts)
}

// checkBooks works every balance out again that the server has left, however it
// ended.
func (srv *server) checkBooks(ts *testscript.TestScript) {
	if srv.cmd.Args[1] != "serve" || ts.Getenv("HALLEY_DATABASE_URL") == "" {
		return // where its database is, the environment does not tell
	}
	doctor := exec.Command(srv.cmd.Path, "doctor", "--ledger")
	doctor.Dir, doctor.Env = srv.cmd.Dir, srv.cmd.Env
	if out, err := doctor.CombinedOutput(); err != nil {
		ts.Fatalf("the books are not right: %v\n%s", err, out)
	}
}

// cmdShutdown is signal TERM and exited 0.
func (s *session) cmdShutdown(ts *testscript.TestScript, _ []string) {
	s.cmdSignal(ts, []string{"TERM"})
	s.cmdExited(ts, nil)
}

// show makes the server's output the script's, to be matched.
func (s *session) show(ts *testscript.TestScript) {
	_, errOut := ts.Stdout().Write(s.server.stdout.bytes())
	_, errErr := ts.Stderr().Write(s.server.stderr.bytes())
	ts.Check(errors.Join(errOut, errErr))
}

func (srv *server) kill() {
	_ = srv.cmd.Process.Kill() // it may have ended
	<-srv.done
}

// output collects what a process writes.
type output struct {
	changed chan struct{} // has a value after a write
	mu      sync.Mutex
	b       bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.changed <- struct{}{}:
	default:
	}
	return o.b.Write(p)
}

func (o *output) bytes() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.b.Bytes())
}

func (o *output) String() string { return string(o.bytes()) }
