package hardening_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver
	_ "modernc.org/sqlite"             // the "sqlite" driver

	"halley/test/harness"
)

// databaseContents is everything that a database holds, by table: each value of
// each row, as it is and, where it is binary, as its bytes.
func databaseContents(t testing.TB, databaseURL string) map[string][]byte {
	t.Helper()
	driver, tables, source := "pgx", `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'`, databaseURL
	if path, ok := strings.CutPrefix(databaseURL, "sqlite:"); ok {
		driver, tables, source = "sqlite", `SELECT name FROM sqlite_master WHERE type = 'table'`, path
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	contents := map[string][]byte{}
	for _, table := range column(t, db, tables) {
		contents["the table "+table] = tableContents(t, db, table)
	}
	if len(contents) < 10 || len(contents["the table audit_records"]) == 0 {
		t.Fatalf("the database has %d tables, %d bytes of audit records: nothing was searched", len(contents), len(contents["the table audit_records"]))
	}
	return contents
}

func column(t testing.TB, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var values []string
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			t.Fatal(err)
		}
		values = append(values, value)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return values
}

func tableContents(t testing.TB, db *sql.DB, table string) []byte {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT * FROM "`+table+`"`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for rows.Next() {
		values := make([]any, len(names))
		into := make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for _, value := range values {
			switch v := value.(type) {
			case []byte:
				_, _ = all.Write(v)
				_, _ = all.WriteString(" " + hex.EncodeToString(v))
			default:
				_, _ = fmt.Fprint(&all, v)
			}
			_ = all.WriteByte('\n')
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return []byte(all.String())
}

// filesBelow is every file in a server's folder, the database with its
// companions among them.
func filesBelow(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	contents := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		contents["the file "+entry.Name()] = data
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return contents
}

// withPassword adds a password, which the test's server does not ask for, to a
// postgres:// URL.
func withPassword(t testing.TB, databaseURL, password string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	u.User = url.UserPassword(query.Get("user"), password)
	query.Del("user")
	u.RawQuery = query.Encode()
	return u.String()
}

// breakDatabase makes what needs the database fail until restore is called: on
// SQLite writing, on PostgreSQL everything.
func breakDatabase(t testing.TB, databaseURL string) (restore func()) {
	t.Helper()
	if path, ok := strings.CutPrefix(databaseURL, "sqlite:"); ok {
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := db.Conn(t.Context())
		if err == nil {
			_, err = conn.ExecContext(t.Context(), "BEGIN IMMEDIATE")
		}
		if err != nil {
			t.Fatal(err)
		}
		return func() { _ = conn.Close(); _ = db.Close() }
	}
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	u.Path = "/postgres"
	conn, err := pgx.Connect(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
		t.Fatal(err)
	}
	return func() { _ = conn.Close(context.WithoutCancel(t.Context())) }
}

// runHalley runs a command on a server's configuration and gives all it prints,
// whether it succeeds or not.
func runHalley(t testing.TB, o harness.Options, args ...string) string {
	t.Helper()
	return runHalleyUntil(t, o, "", args...)
}

// runHalleyUntil is runHalley for a command that does not end by itself: it is
// stopped once it has said a word.
func runHalleyUntil(t testing.TB, o harness.Options, word string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Getenv("HALLEY_TEST_BINARY"), args...)
	cmd.Dir = o.DataDir
	cmd.Env = append(append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + o.DataDir}, o.Env...),
		"HALLEY_DATABASE_URL="+o.DatabaseURL, "HALLEY_DATA_DIR="+o.DataDir, "HALLEY_ROOT_PASSWORD="+o.RootPassword)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	cmd.Stdout, cmd.Stderr = writer, writer
	if err := errors.Join(cmd.Start(), writer.Close()); err != nil {
		t.Fatalf("halley %v: %v", args, err)
	}
	var out strings.Builder
	for lines := bufio.NewReader(reader); ; {
		line, err := lines.ReadString('\n')
		_, _ = out.WriteString(line)
		if err != nil {
			break
		}
		if word != "" && strings.Contains(line, word) {
			_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		}
	}
	_ = cmd.Wait() // commands that are refused fail
	if ctx.Err() != nil {
		t.Fatalf("halley %v has not ended: %s", args, &out)
	}
	return out.String()
}

func encode64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
