// Package pgtest gives tests a real PostgreSQL: one server per test process, in
// a temporary directory, on a unix socket there and nowhere else, and a fresh
// database per test. The server ends with the process that asked for it,
// however that ends. It knows nothing of Halley's schema.
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
	if errors.Is(err, errNotInstalled) && os.Getenv("CI") != "true" {
		t.Skip("pgtest: " + err.Error())
	}
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
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
var shared = sync.OnceValues(start)

type server struct {
	dir       string // holds data/, the socket and the log
	alive     *os.File
	databases atomic.Int64
}

// supervise is run by sh as the server's owner. Its standard input is a pipe
// whose other end only the test process has: when that is gone, even by SIGKILL,
// read sees the end of it. $1 is the programs' folder, $2 the temporary one.
const supervise = `
"$1/initdb" -D "$2/data" -U halley -A trust -E UTF8 --locale=C --no-sync >"$2/log" 2>&1 &&
"$1/pg_ctl" -D "$2/data" -l "$2/log" -s -w -o "$3" start >>"$2/log" 2>&1 &&
echo ready
exec >&-
read -r _
"$1/pg_ctl" -D "$2/data" -s -m immediate stop >/dev/null 2>&1
rm -rf "$2"
`

// start makes a cluster and waits until its server takes connections.
func start() (*server, error) {
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
	// Speed before durability; and an odd time zone, which no answer may show.
	settings := strings.Join([]string{
		"-c listen_addresses=", "-c unix_socket_directories=" + dir, "-c max_connections=400",
		"-c shared_buffers=64MB", "-c fsync=off", "-c synchronous_commit=off", "-c full_page_writes=off",
		"-c wal_level=minimal", "-c max_wal_senders=0", "-c autovacuum=off", "-c timezone=Asia/Kolkata",
	}, " ")
	cmd := exec.Command("/bin/sh", "-c", supervise, "pgtest", programs, dir, settings)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + programs + ":/usr/bin:/bin", "LC_ALL=C"}
	// A process group of its own, so that ^C reaches the tests only.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential, Setpgid: true}
	s := &server{dir: dir}
	if err := s.run(cmd); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "log")) // may not be there yet
		return nil, errors.Join(fmt.Errorf("start PostgreSQL: %w\n%s", err, log), os.RemoveAll(dir))
	}
	return s, nil
}

// run starts the supervisor and waits for its word that the server is ready.
func (s *server) run(cmd *exec.Cmd) error {
	stdin, alive, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stdin.Close()
	ready, stdout, err := os.Pipe()
	if err != nil {
		return errors.Join(err, alive.Close())
	}
	defer ready.Close()
	cmd.Stdin, cmd.Stdout = stdin, stdout
	err = cmd.Start()
	if err := errors.Join(err, stdout.Close()); err != nil {
		return errors.Join(err, alive.Close())
	}
	if line, _ := bufio.NewReader(ready).ReadString('\n'); line != "ready\n" {
		return errors.Join(errors.New("it did not come up"), alive.Close(), cmd.Wait())
	}
	s.alive = alive
	return nil
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
