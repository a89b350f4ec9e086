// Package redistest gives tests a real Valkey or Redis: a server of the test's
// own on a unix socket in a temporary directory, and nowhere else, that can be
// killed, started again and made to hang. It ends with the process that asked
// for it, however that ends. It knows nothing of what Halley keeps there.
package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Server is one server.
type Server struct {
	t       testing.TB
	program string
	dir     string
	cmd     *exec.Cmd // nil when it does not run
	alive   *os.File
	pid     int
}

// Start starts a server that is empty. Where neither program is installed the
// test is skipped, or fails when CI=true.
func Start(t testing.TB) *Server {
	t.Helper()
	program := find()
	if program == "" {
		const why = "redistest: neither Valkey nor Redis is installed here (on Debian: apt-get install redis-server)"
		if os.Getenv("CI") == "true" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	// Not t.TempDir: a socket's path may have 107 bytes.
	dir, err := os.MkdirTemp("/tmp", "halley-redis-")
	if err != nil {
		t.Fatalf("redistest: %v", err)
	}
	s := &Server{t: t, program: program, dir: dir}
	t.Cleanup(func() {
		s.Kill()
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("redistest: %v", err)
		}
	})
	s.Restart()
	return s
}

func find() string {
	for _, name := range []string{"valkey-server", "redis-server"} {
		if program, err := exec.LookPath(name); err == nil {
			return program
		}
	}
	return ""
}

// URL is the server's, the same after a Restart.
func (s *Server) URL() string { return "unix://" + s.socket() }

func (s *Server) socket() string { return filepath.Join(s.dir, "socket") }

// supervise is run by sh as the server's owner. Its standard input is a pipe
// whose other end only the test process has: when that is gone, even by
// SIGKILL, read sees the end of it.
const supervise = `
"$@" </dev/null &
echo $!
read -r _
kill -KILL $!
wait
`

// Restart starts a server that was killed, empty.
func (s *Server) Restart() {
	s.t.Helper()
	if err := s.start(); err != nil {
		s.t.Fatalf("redistest: start %s: %v", s.program, err)
	}
}

func (s *Server) start() error {
	stdin, alive, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stdin.Close()
	out, stdout, err := os.Pipe()
	if err != nil {
		return errors.Join(err, alive.Close())
	}
	cmd := exec.Command("/bin/sh", "-c", supervise, "redistest", s.program,
		"--port", "0", "--unixsocket", s.socket(), "--save", "", "--appendonly", "no", "--dir", s.dir, "--daemonize", "no")
	cmd.Stdin, cmd.Stdout = stdin, stdout
	// A process group of its own, so that ^C reaches the tests only.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Start()
	if err := errors.Join(err, stdout.Close()); err != nil {
		return errors.Join(err, alive.Close(), out.Close())
	}
	s.cmd, s.alive = cmd, alive
	lines := bufio.NewReader(out)
	if s.pid, err = ready(lines); err != nil {
		return err
	}
	go func() { // ends with the server
		_, _ = io.Copy(io.Discard, lines) // what it logs interests nobody
		_ = out.Close()                   // only read from
	}()
	return nil
}

// ready reads the server's log until it takes connections, and gives its id.
func ready(lines *bufio.Reader) (pid int, err error) {
	first, err := lines.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(first)); err != nil {
		return 0, err
	}
	log := ""
	for {
		line, err := lines.ReadString('\n')
		log += line
		switch {
		case err != nil:
			return pid, fmt.Errorf("it did not come up:\n%s", log)
		case strings.Contains(strings.ToLower(line), "ready to accept connections"):
			return pid, nil
		}
	}
}

// Do runs a command, words with blanks between them.
func (s *Server) Do(command string) {
	s.t.Helper()
	conn, err := net.Dial("unix", s.socket())
	if err != nil {
		s.t.Fatalf("redistest: %v", err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, command+"\r\n"); err != nil {
		s.t.Fatalf("redistest: %v", err)
	}
	if answer, err := bufio.NewReader(conn).ReadString('\n'); err != nil || strings.HasPrefix(answer, "-") {
		s.t.Fatalf("redistest: %s: %s, %v", command, answer, err)
	}
}

// Kill ends the server as SIGKILL does; everything in it is lost.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.alive.Close() // only kept open
	_ = s.cmd.Wait()    // killed
	s.cmd = nil
}

// Hang stops the server from answering until Resume.
func (s *Server) Hang() { s.signal(syscall.SIGSTOP) }

// Resume undoes Hang.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(what syscall.Signal) {
	s.t.Helper()
	if err := syscall.Kill(s.pid, what); err != nil {
		s.t.Fatalf("redistest: %v", err)
	}
}
