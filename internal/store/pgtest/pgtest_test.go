package pgtest_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"halley/internal/store/pgtest"
)

func TestEveryTestHasADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	first, second := connect(t, pgtest.URL(t)), connect(t, pgtest.URL(t))
	if _, err := first.Exec(t.Context(), "CREATE TABLE mine (n INTEGER)"); err != nil {
		t.Fatal(err)
	}
	var there bool
	if err := second.QueryRow(t.Context(), "SELECT to_regclass('mine') IS NOT NULL").Scan(&there); err != nil {
		t.Fatal(err)
	}
	if there {
		t.Error("a table made in one test's database is in another's")
	}
}

func TestADatabaseIsDroppedWithItsTest(t *testing.T) {
	t.Parallel()
	var gone string
	t.Run("user", func(t *testing.T) {
		gone = pgtest.URL(t)
		connect(t, gone) // left open on purpose until after the drop
	})
	if conn, err := pgx.Connect(t.Context(), gone); err == nil {
		_ = conn.Close(t.Context())
		t.Error("the database is still there after its test")
	}
}

func TestAServerOfOnesOwnKeepsWhatItCommittedHoweverItIsStopped(t *testing.T) {
	t.Parallel()
	s := pgtest.Own(t)
	if _, err := connect(t, s.URL).Exec(t.Context(), "CREATE TABLE kept (n INTEGER)"); err != nil {
		t.Fatal(err)
	}
	for n, how := range []string{pgtest.Fast, pgtest.Immediate} {
		conn := connect(t, s.URL)
		if _, err := conn.Exec(t.Context(), "INSERT INTO kept VALUES ($1)", n); err != nil {
			t.Fatal(err)
		}
		if err := s.Stop(how); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "SELECT 1"); err == nil {
			t.Errorf("%s: the server still answers", how)
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		var rows int
		if err := connect(t, s.URL).QueryRow(t.Context(), "SELECT COUNT(*) FROM kept").Scan(&rows); err != nil || rows != n+1 {
			t.Errorf("%s: %d rows, %v, want %d", how, rows, err, n+1)
		}
	}
	if err := s.Start(); err == nil {
		t.Error("a server that runs was started again")
	}
}

// TestServerEndsWithItsProcess kills a test process the hard way and looks for
// what it may leave behind.
func TestServerEndsWithItsProcess(t *testing.T) {
	if os.Getenv("PGTEST_VICTIM") != "" {
		victim(t)
		return
	}
	t.Parallel()
	pgtest.URL(t) // skips where PostgreSQL is missing
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerEndsWithItsProcess$")
	cmd.Env = append(os.Environ(), "PGTEST_VICTIM="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	socket := await(t, func() string {
		text, _ := os.ReadFile(filepath.Join(dir, "socket"))
		return string(text)
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "signal: killed", as it should
	await(t, func() string {
		if _, err := os.Stat(socket); os.IsNotExist(err) {
			return "gone"
		}
		return ""
	})
}

// victim starts a server, tells where it is and waits for the end.
func victim(t *testing.T) {
	config, err := pgx.ParseConfig(pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := os.Getenv("PGTEST_VICTIM")
	if err := os.WriteFile(filepath.Join(dir, "half"), []byte(config.Host), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "half"), filepath.Join(dir, "socket")); err != nil {
		t.Fatal(err)
	}
	_, _ = os.Stdin.Read(make([]byte, 1)) // ends only when this process is killed
}

// await asks every 20 ms until it is told something, for at most 30 s.
func await(t *testing.T, ask func() string) string {
	t.Helper()
	tick, deadline := time.NewTicker(20*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for {
		if answer := strings.TrimSpace(ask()); answer != "" {
			return answer
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("waited 30 s in vain")
		}
	}
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // may have been cut by the drop
	return conn
}
