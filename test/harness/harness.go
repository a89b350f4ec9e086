// Package harness starts the real halley binary for tests that look at it from
// outside: on SQLite in a temporary directory or on a given database, on a free
// loopback port, with its log captured, and with a client for the management
// API. It owns the process it started and nothing else; it knows Halley by its
// published contract only and imports none of its packages, so that a test
// built on it cannot agree with a mistake in them.
package harness

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Options is how a server is started. The zero value is a server on SQLite in a
// temporary directory.
type Options struct {
	// DatabaseURL is HALLEY_DATABASE_URL; "" is a SQLite file in DataDir.
	DatabaseURL string
	// DataDir holds journal, master key and the SQLite file; "" is a
	// temporary directory. Give one server's DataDir and DatabaseURL to the
	// next to start it again on the same data.
	DataDir string
	// Listen is where to listen, HOST:PORT; "" is a free port on loopback.
	Listen string
	// RootPassword is what root gets on an empty database; "" is Password.
	RootPassword string
	// Env is added to the server's environment, "NAME=value" each; later
	// entries win. The test's own environment is passed on without its
	// HALLEY_ variables.
	Env []string
	// Args come after "serve".
	Args []string
	// Binary is the program to run; "" is HALLEY_TEST_BINARY or, without it,
	// one that is built for this test.
	Binary string
	// ReadyWithin is how long /readyz may take; 0 is 30 s.
	ReadyWithin time.Duration
}

// binaryVariable names a program to test instead of building one.
const binaryVariable = "HALLEY_TEST_BINARY"

// Password is root's password when Options names none.
const Password = "correct-horse-battery-staple-9"

// Server is one running halley process. Stop, or the end of the test, ends it.
type Server struct {
	// BaseURL is where it listens, "http://127.0.0.1:PORT" without a slash.
	BaseURL string
	// RootPAT is a personal access token of root with full scope.
	RootPAT string
	// Root is a client for the management API with RootPAT.
	Root *Client

	DataDir     string
	DatabaseURL string

	options Options
	log     *logBuffer
	process atomic.Pointer[process]
}

// process is one run of the program.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read after done
}

// Start runs `halley serve`, waits until /readyz answers 200, logs in as root
// and makes a personal access token. It ends the test when any of it fails,
// with the server's log. The server is stopped when the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := Launch(t, o)
	password := o.RootPassword
	if password == "" {
		password = Password
	}
	session := Login(t, s.BaseURL, "root", password)
	s.RootPAT = session.CreatePAT(t, "harness", "full")
	s.Root = NewClient(s.BaseURL, s.RootPAT)
	return s
}

// Launch is Start without the login: RootPAT and Root stay empty.
func Launch(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Binary == "" {
		o.Binary = os.Getenv(binaryVariable)
	}
	if o.Binary == "" {
		o.Binary = Build(t)
	}
	if o.DataDir == "" {
		o.DataDir = t.TempDir()
	}
	if o.DatabaseURL == "" {
		o.DatabaseURL = "sqlite:" + filepath.Join(o.DataDir, "halley.db")
	}
	if o.RootPassword == "" {
		o.RootPassword = Password
	}
	if o.ReadyWithin == 0 {
		o.ReadyWithin = 30 * time.Second
	}
	// Between finding a free port and listening on it somebody else may take
	// it, so that one cause of failure is tried again.
	for attempt := 1; ; attempt++ {
		s, err := launch(o)
		if err == nil {
			t.Cleanup(func() { s.Stop(t) })
			return s
		}
		if attempt == 3 || !strings.Contains(err.Error(), "address already in use") {
			t.Fatalf("halley serve: %v", err)
		}
	}
}

// Log is everything that the process has written to stdout and stderr.
func (s *Server) Log() string { return s.log.String() }

// PID is the process's id.
func (s *Server) PID() int { return s.process.Load().cmd.Process.Pid }

// Done is closed when the process has ended, whoever ended it.
func (s *Server) Done() <-chan struct{} { return s.process.Load().done }

// Stop asks the process to end (SIGTERM) and waits. It is a failure of the test
// when that takes over 30 s or the process did not end well. Stopping twice, or
// after Kill, does nothing.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	p := s.process.Load()
	select {
	case <-p.done:
		return
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("halley serve: SIGTERM: %v", err)
	}
	select {
	case <-p.done:
		if p.err != nil {
			t.Errorf("halley serve ended badly after SIGTERM: %v\n%s", p.err, s.log)
		}
	case <-time.After(30 * time.Second):
		s.Kill()
		t.Errorf("halley serve did not end within 30 s of SIGTERM\n%s", s.log)
	}
}

// Signal sends the process a signal and does not wait.
func (s *Server) Signal(sig os.Signal) error { return s.process.Load().cmd.Process.Signal(sig) }

// Kill ends the process at once (SIGKILL) and waits until it is gone.
func (s *Server) Kill() {
	p := s.process.Load()
	_ = p.cmd.Process.Kill() // fails only when it has ended, which is what is wanted
	<-p.done
}

// Restart starts the program again when it has ended, with the same settings, on
// the same data and at the same address. It does not wait until the server is
// ready; AwaitReady does.
func (s *Server) Restart() error {
	<-s.Done()
	return s.run()
}

// Build compiles cmd/halley for this test and gives the program's path. Extra
// arguments are go build flags, such as "-race".
func Build(t testing.TB, flags ...string) string {
	t.Helper()
	path, err := BuildTo(t.TempDir(), flags...)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Main builds cmd/halley once for all tests of a package that start it, runs
// them, and gives the exit code: TestMain is os.Exit(harness.Main(m)). A
// HALLEY_TEST_BINARY that is set is used instead. Extra arguments are go build
// flags.
func Main(m *testing.M, flags ...string) int {
	if os.Getenv(binaryVariable) == "" {
		dir, err := os.MkdirTemp("", "halley-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		path, err := BuildTo(dir, flags...)
		if err == nil {
			err = os.Setenv(binaryVariable, path)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// BuildTo compiles cmd/halley into dir.
func BuildTo(dir string, flags ...string) (string, error) {
	root, err := RepoRoot()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "halley")
	args := append([]string{"build", "-o", path}, flags...)
	cmd := exec.Command("go", append(args, "./cmd/halley")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/halley: %w\n%s", err, out)
	}
	return path, nil
}

// RepoRoot is the directory of Halley's go.mod, found upwards from the working
// directory (a test's is its package).
func RepoRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(mod, []byte("module halley\n")) {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("harness: not inside the halley repository")
		}
		dir = up
	}
}

// launch starts a server and waits until it is ready or has failed.
func launch(o Options) (*Server, error) {
	if o.Listen == "" {
		var err error
		if o.Listen, err = freeAddress(); err != nil {
			return nil, err
		}
	}
	s := &Server{
		BaseURL: "http://" + o.Listen, DataDir: o.DataDir, DatabaseURL: o.DatabaseURL,
		options: o, log: &logBuffer{},
	}
	if err := s.run(); err != nil {
		return nil, err
	}
	if err := s.AwaitReady(o.ReadyWithin); err != nil {
		s.Kill()
		return nil, fmt.Errorf("%w\n%s", err, s.log)
	}
	return s, nil
}

// run starts the program.
func (s *Server) run() error {
	o := s.options
	p := &process{cmd: exec.Command(o.Binary, append([]string{"serve"}, o.Args...)...), done: make(chan struct{})}
	p.cmd.Dir = o.DataDir
	p.cmd.Env = append(inherited(),
		"HALLEY_LISTEN="+o.Listen,
		"HALLEY_DATABASE_URL="+o.DatabaseURL,
		"HALLEY_DATA_DIR="+o.DataDir,
		"HALLEY_ROOT_PASSWORD="+o.RootPassword,
		"HALLEY_ALLOW_PRIVATE_UPSTREAMS=true",
	)
	p.cmd.Env = append(p.cmd.Env, o.Env...)
	p.cmd.Stdout, p.cmd.Stderr = s.log, s.log
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	s.process.Store(p)
	return nil
}

// AwaitReady asks /readyz until it answers 200.
func (s *Server) AwaitReady(within time.Duration) error {
	p := s.process.Load()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	client := &http.Client{Timeout: within}
	last := "no answer yet"
	for {
		resp, err := client.Get(s.BaseURL + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			last = resp.Status
		}
		select {
		case <-again.C:
		case <-p.done:
			return fmt.Errorf("ended before it was ready: %w", cmp.Or(p.err, errors.New("exit status 0")))
		case <-deadline.C:
			return fmt.Errorf("not ready within %v: %s", within, last)
		}
	}
}

// inherited is the test's environment without Halley's own variables, which
// would change what is tested.
func inherited() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "HALLEY_") {
			env = append(env, kv)
		}
	}
	return env
}

// freeAddress is a loopback address that nobody listens on just now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// logBuffer collects a process's output while tests read it.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
