package hardening_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"halley/internal/store/pgtest"
	"halley/test/harness"
)

// A configuration that is wrong is told in words that do not repeat a secret,
// wherever the secret stood and whichever command reads it.
func TestAWrongConfigurationIsToldWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	secret := "Cf" + random(24)
	for name, row := range map[string]struct{ env, file, masterKey string }{
		"a master key in words":              {env: "HALLEY_MASTER_KEY=" + secret + "!"},
		"a master key that is too short":     {env: "HALLEY_MASTER_KEY=" + secret},
		"a master key in the wrong option":   {env: "HALLEY_LISTEN=127.0.0.1:0 \n", file: "master_key:\n  - " + secret},
		"another database":                   {env: "HALLEY_DATABASE_URL=mysql://halley:" + secret + "@127.0.0.1/halley"},
		"a database port in letters":         {env: "HALLEY_DATABASE_URL=postgres://halley:" + secret + "@127.0.0.1:port/halley"},
		"a password with a slash":            {env: "HALLEY_DATABASE_URL=postgres://halley:" + secret + "/" + secret + "@127.0.0.1/halley"},
		"a password with a bad escape":       {env: "HALLEY_DATABASE_URL=postgres://halley:" + secret + "%zz@127.0.0.1/halley"},
		"a password with a question mark":    {env: "HALLEY_DATABASE_URL=postgres://halley:" + secret + "?" + secret + "@127.0.0.1:1/halley"},
		"a wrong sslmode":                    {env: "HALLEY_DATABASE_URL=postgres://halley:" + secret + "@127.0.0.1:1/halley?sslmode=nonsense"},
		"a wrong number in the query":        {env: "HALLEY_DATABASE_URL=postgres://halley:" + secret + "@127.0.0.1:1/halley?connect_timeout=soon&password=" + secret},
		"a database that does not exist":     {env: "HALLEY_DATABASE_URL=" + withPassword(t, strings.Replace(pgtest.URL(t), "/test", "/none", 1), secret)},
		"a database in the wrong place":      {file: "database: postgres://halley:" + secret + "@127.0.0.1/halley"},
		"a database URL as a list":           {file: "database:\n  url: [\"postgres://halley:" + secret + "@127.0.0.1/halley\"]"},
		"a root password as a group":         {file: "root_password: {" + secret + ": " + secret + "}"},
		"a root password as a list":          {file: "root_password: [" + secret + "]"},
		"a root password as a bool and more": {file: "root_password: true\nmetrics:\n  token: [" + secret + "]\n"},
		"a root password under a typo":       {file: "root_pasword: " + secret},
		"a token under a typo":               {file: "metrics:\n  tokn: " + secret + "\n  token:\n    - " + secret},
		"a tag that YAML does not know":      {file: "master_key: !!binary " + secret},
		"a file that is no YAML":             {file: "root_password: \"" + secret + "\nmaster_key: *" + secret},
		"an unknown alias":                   {file: "root_password: *" + secret},
		"only the password":                  {file: secret},
		"a root password that is too long":   {env: "HALLEY_ROOT_PASSWORD=" + strings.Repeat(secret, 10)},
		"a master key file in words":         {masterKey: secret + " is not base64"},
		"a master key file that is short":    {masterKey: encode64(secret)},
		"two wrong places":                   {env: "HALLEY_MASTER_KEY=" + secret, file: "listen: nowhere\nmaster_key: " + secret},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSecrets()
			s.plant(t, "the secret", secret)
			dir := t.TempDir()
			o := harness.Options{DataDir: dir, DatabaseURL: "sqlite:" + filepath.Join(dir, "halley.db"), Env: []string{"HALLEY_LISTEN=127.0.0.1:0"}}
			if row.file != "" {
				path := filepath.Join(dir, "halley.yaml")
				if err := os.WriteFile(path, []byte(row.file), 0o600); err != nil {
					t.Fatal(err)
				}
				o.Env = append(o.Env, "HALLEY_CONFIG="+path)
				if strings.Contains(row.file, "database") {
					o.DatabaseURL = "" // an empty variable counts as unset
				}
			}
			if url, ok := strings.CutPrefix(row.env, "HALLEY_DATABASE_URL="); ok {
				o.DatabaseURL = url
			} else if password, ok := strings.CutPrefix(row.env, "HALLEY_ROOT_PASSWORD="); ok {
				o.RootPassword = password
			} else if row.env != "" {
				o.Env = append(o.Env, row.env)
			}
			if row.masterKey != "" {
				if err := os.WriteFile(filepath.Join(dir, "master.key"), []byte(row.masterKey), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for _, command := range [][]string{{"serve"}, {"doctor"}, {"key", "list"}} {
				if out := runHalley(t, o, command...); len(out) < 20 {
					t.Errorf("halley %v says nothing: %q", command, out)
				} else {
					s.mustNotBeIn(t, "what halley "+command[0]+" prints", []byte(out))
				}
			}
		})
	}
}

// A server that waits for a database that nobody serves says so without the
// URL's password, and so do commands, which do not wait.
func TestAnAbsentDatabaseIsToldWithoutItsPassword(t *testing.T) {
	t.Parallel()
	secret := "Cf" + random(24)
	for name, url := range map[string]string{
		"in the URL":   "postgres://halley:" + secret + "@127.0.0.1:1/halley?connect_timeout=2",
		"in the query": "postgres://127.0.0.1:1/halley?user=halley&password=" + secret + "&connect_timeout=2",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSecrets()
			s.plant(t, "the secret", secret)
			for _, command := range [][]string{{"doctor"}, {"key", "list"}, {"serve"}} {
				o := harness.Options{DataDir: t.TempDir(), DatabaseURL: url, Env: []string{"HALLEY_LISTEN=127.0.0.1:0", "HALLEY_LOG_LEVEL=debug"}}
				out := runHalleyUntil(t, o, "waiting for the database", command...)
				if !strings.Contains(out, "PostgreSQL") {
					t.Errorf("halley %v: %q", command, out)
				}
				s.mustNotBeIn(t, "what halley "+command[0]+" prints", []byte(out))
			}
		})
	}
}

// A database that was sealed under one master key is not served under another,
// and neither key is told.
func TestAnotherMasterKeyIsRefusedInWords(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, o harness.Options) {
		secrets := newSecrets()
		first := secrets.plant(t, "the first master key", encode64(random(32)))
		second := secrets.plant(t, "the second master key", encode64(random(32)))
		o.Env = []string{"HALLEY_MASTER_KEY=" + first}
		s := harness.Launch(t, o)
		s.Stop(t)
		o.DataDir, o.DatabaseURL = s.DataDir, s.DatabaseURL
		o.Env = []string{"HALLEY_MASTER_KEY=" + second, "HALLEY_LISTEN=127.0.0.1:0"}
		for _, command := range []string{"serve", "doctor"} {
			out := runHalley(t, o, command)
			if !strings.Contains(out, "master key") {
				t.Errorf("halley %s: %q", command, out)
			}
			secrets.mustNotBeIn(t, "what halley "+command+" prints", []byte(out+s.Log()))
		}
	})
}
