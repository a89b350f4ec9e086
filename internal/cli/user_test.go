package cli_test

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"halley/internal/app"
	"halley/internal/cli"
	"halley/internal/config"
)

// desk is the command line on a database with a root account and no server.
type desk struct{ env map[string]string }

func newDesk(t *testing.T) *desk {
	t.Helper()
	dir := t.TempDir()
	d := &desk{env: map[string]string{
		"HALLEY_DATA_DIR": dir, "HALLEY_DATABASE_URL": "sqlite:" + filepath.Join(dir, "halley.db"), "HALLEY_ROOT_PASSWORD": "correct horse",
	}}
	cfg, err := config.Load("", d.lookup)
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Build(t.Context(), cfg, app.Options{Version: "test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Root(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) lookup(name string) (string, bool) {
	v, ok := d.env[name]
	return v, ok
}

// run runs a command and gives its exit code and both outputs together.
func (d *desk) run(t *testing.T, stdin string, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	code := cli.Main(t.Context(), cli.Process{Args: args, Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &out, LookupEnv: d.lookup, Version: "test"})
	return code, out.String()
}

func TestAccountsAreManagedFromTheCommandLine(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, step := range []struct {
		stdin string
		args  string
		want  string // a pattern of the whole output
	}{
		{"", "user create ada --quota=500", `Account 2 \(ada, user\) is in the group default with a balance of 500\.\nIts password, .*:\n\n    [a-z2-7]{26}\n\n`},
		{"hunter2-hunter2\nsecond line", "user create grace --role=admin --unlimited --password-stdin", `Account 3 \(grace, admin\) is in the group default with a balance of unlimited\.\n`},
		{"", "user quota ada --add=-200", `Account 2 \(ada\) now has a balance of 300\.\n`},
		{"", "user quota ADA --set=7", `Account 2 \(ada\) now has a balance of 7\.\n`},
		{"", "user disable 2", `Account 2 \(ada\) is disabled\.\n`},
		{"", "user list --keyword ad", `ID +USERNAME +ROLE +STATUS +GROUP +BALANCE +USED +REQUESTS\n2 +ada +user +disabled +default +7 +0 +0\n`},
		{"", "user enable ada", `Account 2 \(ada\) is enabled\.\n`},
		{"", "user password root", `Account 1 \(root\) has a new password; its sessions have ended\.\nIts password, .*:\n\n    [a-z2-7]{26}\n\n`},
		{"another password\n", "user password ada --password-stdin", `Account 2 \(ada\) has a new password; its sessions have ended\.\n`},
		{"", "user reset-factors root", `Account 1 \(root\) has no second factors any more; its sessions have ended\.\n`},
		{"", "user list", `ID .*\n3 .*\n2 .*\n1 +root +root +enabled +default +unlimited +0 +0\n`},
	} {
		code, out := d.run(t, step.stdin, strings.Fields(step.args)...)
		if code != 0 || !regexp.MustCompile(`^`+step.want+`$`).MatchString(out) {
			t.Errorf("halley %s: exit code %d\n%s", step.args, code, out)
		}
	}
}

func TestAccountCommandsThatAreRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, tc := range []struct {
		stdin, args string
		code        int
		want        string
	}{
		{"", "user create Root", 1, "taken"},
		{"", "user create ada --quota=-1", 1, "quota"},
		{"", "user create ada --group=gone", 1, "gone"},
		{"short", "user create ada --password-stdin", 1, "at least 8"},
		{"", "user create ada --password-stdin", 1, "no password"},
		{"", "user create ada --role=root", 2, "role"},
		{"", "user create", 2, "username"},
		{"", "user disable nobody", 1, `"nobody"`},
		{"", "user disable 999", 1, "999"},
		{"", "user disable root", 1, "last root"},
		{"", "user quota root", 2, "--add"},
		{"", "user quota root --add=1 --set=1", 2, "--add"},
		{"", "user list --server=http://127.0.0.1:1", 1, "--token"},
	} {
		code, out := d.run(t, tc.stdin, strings.Fields(tc.args)...)
		if code != tc.code || !strings.Contains(out, tc.want) {
			t.Errorf("halley %s: exit code %d, want %d with %q\n%s", tc.args, code, tc.code, tc.want, out)
		}
	}
	if _, out := d.run(t, "", "user", "list"); strings.Count(out, "\n") != 2 {
		t.Errorf("something was made:\n%s", out)
	}
}
