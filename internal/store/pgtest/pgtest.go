// Package pgtest gives tests a real PostgreSQL: one server per test process, in
// a temporary directory, on a unix socket there and nowhere else, and a fresh
// database per test; or a server of a test's own, which can be stopped and
// started again. Servers end with the process that asked for them, however that
// ends. It knows nothing of Halley's schema.
package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// URL gives the postgres:// URL of an empty database that is the test's own and
// is dropped when the test ends, with whatever connections it still has.
//
// Where PostgreSQL's programs are not installed the test is skipped, or fails
// when CI=true.
func URL(t testing.TB) string {
	t.Helper()
	s, err := shared()
	demand(t, err)
	return s.database(t)
}

// Server is a PostgreSQL of a test's own, with one database in it. What it has
// committed is there again after Stop and Start, however it was stopped.
type Server struct {
	// URL is the database's, the same after each Start.
	URL string

	server *server
}

// Own starts a server that ends with the test. Where PostgreSQL's programs are
// not installed the test is skipped, or fails when CI=true.
func Own(t testing.TB) *Server {
	t.Helper()
	// A commit must outlive the server, but not the machine.
	s, err := start(append(settings(), "-c synchronous_commit=on", "-c autovacuum=on"))
	demand(t, err)
	t.Cleanup(func() {
		if err := s.end(); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return &Server{URL: s.url("postgres"), server: s}
}

// The ways to stop a server.
const (
	Fast      = "fast"      // rolls back what is under way and says good-bye
	Immediate = "immediate" // as a crash does
)

// Stop stops the server in one of the two ways and waits until it is gone.
func (s *Server) Stop(how string) error { return s.server.command(how) }

// Start starts a server that was stopped and waits until it takes connections.
func (s *Server) Start() error { return s.server.command("start") }

// demand skips or fails a test that cannot have its server.
func demand(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, errNotInstalled) && os.Getenv("CI") != "true" {
		t.Skip("pgtest: " + err.Error())
	}
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
}

// database makes a database that goes with the test.
func (s *server) database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	if err := s.exec("CREATE DATABASE " + name); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		if err := s.exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return s.url(name)
}

var errNotInstalled = errors.New("PostgreSQL is not installed here (on Debian: apt-get install postgresql-15)")

// shared starts the process's one server when it is first needed. Starting one
// per test would cost a second each.
var shared = sync.OnceValues(func() (*server, error) { return start(settings()) })

type server struct {
	dir       string // holds data/, the socket and the log
	cmd       *exec.Cmd
	databases atomic.Int64

	mu       sync.Mutex // one command at a time
	commands *os.File
	replies  *bufio.Reader
}

// supervise is run by sh as the server's owner. Its standard input is a pipe
// whose other end only the test process has: when that is gone, even by SIGKILL,
// read sees the end of it. Until then it is told what to do and answers each
// line with one. $1 is the programs' folder, $2 the temporary one.
const supervise = `
start() { "$1/pg_ctl" -D "$2/data" -l "$2/log" -s -w -o "$3" start </dev/null >>"$2/log" 2>&1; }
stop() { "$1/pg_ctl" -D "$2/data" -s -w -m "$3" stop </dev/null >>"$2/log" 2>&1; }
"$1/initdb" -D "$2/data" -U halley -A trust -E UTF8 --locale=C --no-sync >"$2/log" 2>&1 &&
start "$1" "$2" "$3" &&
echo done || echo failed
while read -r command; do
  case $command in
  start) start "$1" "$2" "$3" ;;
  *) stop "$1" "$2" "$command" ;;
  esac && echo done || echo failed
done
stop "$1" "$2" immediate
rm -rf "$2"
`

// settings are what a server is started with: speed before durability, and an
// odd time zone, which no answer may show.
func settings() []string {
	return []string{
		"-c listen_addresses=", "-c max_connections=400",
		"-c shared_buffers=64MB", "-c fsync=off", "-c synchronous_commit=off", "-c full_page_writes=off",
		"-c wal_level=minimal", "-c max_wal_senders=0", "-c autovacuum=off", "-c timezone=Asia/Kolkata",
	}
}

// start makes a cluster and waits until its server takes connections.
func start(settings []string) (*server, error) {
	programs, err := findPrograms()
	if err != nil {
		return nil, err
	}
	// Not os.TempDir: another user must get there, and a socket's path may
	// have 107 bytes.
	dir, err := os.MkdirTemp("/tmp", "halley-pg-")
	if err != nil {
		return nil, err
	}
	credential, err := unprivileged(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	cmd := exec.Command("/bin/sh", "-c", supervise, "pgtest", programs, dir, strings.Join(append(settings, "-c unix_socket_directories="+dir), " "))
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + programs + ":/usr/bin:/bin", "LC_ALL=C"}
	// A process group of its own, so that ^C reaches the tests only.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential, Setpgid: true}
	s := &server{dir: dir, cmd: cmd}
	if err := s.run(); err != nil {
		return nil, errors.Join(fmt.Errorf("start PostgreSQL: %w\n%s", err, s.log()), os.RemoveAll(dir))
	}
	return s, nil
}

// run starts the supervisor and waits for its word that the server is ready.
func (s *server) run() error {
	stdin, commands, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stdin.Close()
	replies, stdout, err := os.Pipe()
	if err != nil {
		return errors.Join(err, commands.Close())
	}
	s.cmd.Stdin, s.cmd.Stdout = stdin, stdout
	err = s.cmd.Start()
	if err := errors.Join(err, stdout.Close()); err != nil {
		return errors.Join(err, commands.Close(), replies.Close())
	}
	s.commands, s.replies = commands, bufio.NewReader(replies)
	if err := s.reply(); err != nil {
		return errors.Join(err, s.end(), replies.Close())
	}
	return nil
}

// reply waits for the supervisor's answer.
func (s *server) reply() error {
	if line, _ := s.replies.ReadString('\n'); line != "done\n" {
		return errors.New("it did not do so")
	}
	return nil
}

// command has the supervisor do something and waits until it is done.
func (s *server) command(what string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := fmt.Fprintln(s.commands, what)
	if err = errors.Join(err, s.reply()); err != nil {
		return fmt.Errorf("pgtest: %s PostgreSQL: %w\n%s", what, err, s.log())
	}
	return nil
}

// end stops the server for good and removes its data.
func (s *server) end() error { return errors.Join(s.commands.Close(), s.cmd.Wait()) }

// log is what the server and its programs have said.
func (s *server) log() []byte {
	log, _ := os.ReadFile(filepath.Join(s.dir, "log")) // may not be there yet
	return log
}

func (s *server) url(database string) string {
	query := url.Values{"host": {s.dir}, "user": {"halley"}, "sslmode": {"disable"}}
	return (&url.URL{Scheme: "postgres", Path: "/" + database, RawQuery: query.Encode()}).String()
}

// exec runs one statement on a connection of its own: a pool would leave
// goroutines behind that tests which look for leaks would find.
func (s *server) exec(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return fmt.Errorf("connect to the test server: %w", err)
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// findPrograms gives the folder of initdb and pg_ctl: Debian's for version 15,
// else its newest, else what is on the PATH.
func findPrograms() (string, error) {
	candidates, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is well-formed
	version := func(folder string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(folder))) // 0 for other names: last
		if n == 15 {
			return 1 << 30
		}
		return n
	}
	slices.SortFunc(candidates, func(a, b string) int { return version(b) - version(a) })
	if program, err := exec.LookPath("initdb"); err == nil {
		if program, err = filepath.EvalSymlinks(program); err == nil {
			candidates = append(candidates, filepath.Dir(program))
		}
	}
	for _, folder := range candidates {
		_, noInitdb := exec.LookPath(filepath.Join(folder, "initdb"))
		_, noPgctl := exec.LookPath(filepath.Join(folder, "pg_ctl"))
		if noInitdb == nil && noPgctl == nil {
			return folder, nil
		}
	}
	return "", errNotInstalled
}

// unprivileged gives dir to a user that PostgreSQL consents to run as, which
// root is not; nil stands for who we are.
func unprivileged(dir string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	owner, err := user.Lookup("nobody")
	if err != nil {
		return nil, fmt.Errorf("find a user to run PostgreSQL as: %w", err)
	}
	uid, errUID := strconv.ParseUint(owner.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(owner.Gid, 10, 32)
	if err := errors.Join(errUID, errGID, os.Chown(dir, int(uid), int(gid))); err != nil {
		return nil, fmt.Errorf("give %s to %s: %w", dir, owner.Username, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
