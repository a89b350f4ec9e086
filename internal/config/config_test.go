package config_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v3"

	"halley/internal/config"
	"halley/internal/jsonx"
)

func TestWithoutAnythingTheDefaultsHold(t *testing.T) {
	t.Parallel()
	got, err := config.Load("", none)
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Config{
		Listen: "127.0.0.1:8080", DataDir: "./data",
		Database: config.Database{URL: "sqlite:data/halley.db"},
		Keys:     config.Keys{Reveal: "always"},
		Log:      config.Log{Format: "json", Level: "info"},
		Server:   config.Server{HeaderTimeout: 10 * time.Second, ReadTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute},
		Upstream: config.Upstream{
			ConnectTimeout: 10 * time.Second, FirstByteTimeout: 2 * time.Minute,
			IdleTimeout: time.Minute, TotalTimeout: 15 * time.Minute, DrainTimeout: 30 * time.Second,
		},
		Usage:        config.Usage{FlushInterval: 100 * time.Millisecond, FsyncInterval: 50 * time.Millisecond},
		Cluster:      config.Cluster{LeaseTerm: 5 * time.Minute},
		MaxBodyBytes: 64 << 20, DrainTimeout: 30 * time.Second,
	}
	if diff := diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheFileSetsEveryKindOfOption(t *testing.T) {
	t.Parallel()
	path := file(t, `
# everything that has a type of its own
listen: 0.0.0.0:80
database: {url: "postgres://halley:pw@db/halley"}
data_dir: /var/lib/halley
trusted_proxies: [10.0.0.1/8, "::ffff:192.0.2.7", 2001:db8::1]
allow_private_upstreams:
  - 10.1.0.0/16
keys:
  reveal: once
log: {format: text, level: debug}
metrics:
  # everything here is commented out
cors:
  allowed_origins: [https://chat.example.com, "http://localhost:3000"]
max_body_bytes: 1048576
drain_timeout: 1m30s
`)
	got, err := config.Load(path, none)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		TrustedProxies:        prefixes("10.0.0.0/8", "192.0.2.7/32", "2001:db8::1/128"),
		AllowPrivateUpstreams: config.Upstreams{Nets: prefixes("10.1.0.0/16")},
		CORS:                  config.CORS{AllowedOrigins: config.Origins{"https://chat.example.com", "http://localhost:3000"}},
	}
	for name, ok := range map[string]bool{
		"listen":       got.Listen == "0.0.0.0:80",
		"database.url": got.Database.URL.Reveal() == "postgres://halley:pw@db/halley",
		"data_dir":     got.DataDir == "/var/lib/halley",
		"keys.reveal":  got.Keys.Reveal == "once",
		"log":          got.Log == config.Log{Format: "text", Level: "debug"},
		"proxies":      diff(want.TrustedProxies, got.TrustedProxies) == "",
		"upstreams":    diff(want.AllowPrivateUpstreams, got.AllowPrivateUpstreams) == "",
		"origins":      diff(want.CORS, got.CORS) == "",
		"body":         got.MaxBodyBytes == 1<<20,
		"drain":        got.DrainTimeout == 90*time.Second,
	} {
		if !ok {
			t.Errorf("%s was not taken over: %+v", name, got)
		}
	}
}

func TestFlagsWinOverEnvironmentOverFile(t *testing.T) {
	t.Parallel()
	path := file(t, "listen: 127.0.0.1:1\nlog: {level: error, format: text}\ndata_dir: /file\n")
	env := map[string]string{"HALLEY_LISTEN": "127.0.0.1:2", "HALLEY_LOG_LEVEL": "warn", "HALLEY_DATA_DIR": ""}
	got, err := config.Load(path, lookup(env), config.Override{Key: "listen", Value: "127.0.0.1:3"})
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]string{
		"flag":           {"127.0.0.1:3", got.Listen},
		"environment":    {"warn", got.Log.Level},
		"file":           {"text", got.Log.Format},
		"empty variable": {"/file", got.DataDir},
		"database of it": {"sqlite:/file/halley.db", got.Database.URL.Reveal()},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %q, want %q", name, pair[1], pair[0])
		}
	}
}

func TestTheEnvironmentSaysTheSameAsTheFile(t *testing.T) {
	t.Parallel()
	got, err := config.Load("", lookup(map[string]string{
		"HALLEY_TRUSTED_PROXIES":         "10.0.0.0/8, 192.0.2.1",
		"HALLEY_ALLOW_PRIVATE_UPSTREAMS": "true",
		"HALLEY_MAX_BODY_BYTES":          "2MiB",
		"HALLEY_CORS_ALLOWED_ORIGINS":    "*",
		"HALLEY_USAGE_FLUSH_INTERVAL":    "200ms",
		"HALLEY_USAGE_FSYNC_INTERVAL":    "0s",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		TrustedProxies: prefixes("10.0.0.0/8", "192.0.2.1/32"), AllowPrivateUpstreams: config.Upstreams{All: true},
		MaxBodyBytes: 2 << 20, CORS: config.CORS{AllowedOrigins: config.Origins{"*"}}, Usage: config.Usage{FlushInterval: 200 * time.Millisecond, FsyncInterval: 0}, Cluster: config.Cluster{LeaseTerm: 5 * time.Minute},
	}
	if diff := diff(want, *got, cmpopts.IgnoreFields(config.Config{}, "Listen", "Database", "DataDir", "Keys", "Log", "Server", "Upstream", "DrainTimeout")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEverythingWrongIsSaidAtOnceWithItsPlace(t *testing.T) {
	t.Parallel()
	path := file(t, `listen: 8080
databse: {url: sqlite:x}
database:
  url: mysql://root:hunter2@db/halley
  pool: 4
master_key: c2hvcnQ=
trusted_proxies: [10.0.0.0/8, 10.0.0.0/99]
keys: always
log:
  level: loud
  format: json
log: {}
drain_timeout: 30
max_body_bytes: 10TiB
metrics: {listen: nowhere}
cors: {allowed_origins: ["https://a.example/"]}
upstream: {connect_timeout: 0s}
`)
	_, err := config.Load(path, lookup(map[string]string{
		"HALLEY_USAGE_FLUSH_INTERVAL": "1s",
		"HALLEY_USAGE_FSYNC_INTERVAL": "1m",
		"HALLEY_REDIS_URL":            "http://user:canary@host",
		"HALLEY_SERVER_READ_TIMEOUT":  "soon",
	}), config.Override{Key: "data_dir", Value: " "}, config.Override{Key: "nope", Value: "1"})
	if err == nil {
		t.Fatal("it was accepted")
	}
	got := strings.ReplaceAll(err.Error(), path, "halley.yaml")
	want := strings.TrimSpace(`
halley.yaml:1: listen: must be a text, not a number (put it in quotes)
halley.yaml:2: databse: there is no such option; did you mean database?
halley.yaml:5: database.pool: there is no such option
halley.yaml:7: trusted_proxies: "10.0.0.0/99" is neither an IP address nor a network such as 10.0.0.0/8
halley.yaml:8: keys: must hold options, one per line, not a text
halley.yaml:12: log: was already given in line 9
halley.yaml:13: drain_timeout: must be a duration, not a number (write the unit, such as 30s)
halley.yaml:14: max_body_bytes: must be a number of bytes such as 67108864 or 64MiB
halley.yaml:16: cors.allowed_origins: "https://a.example/" is not an origin such as https://chat.example.com (lower case, no path, no slash at the end)
HALLEY_SERVER_READ_TIMEOUT: server.read_timeout: must be a duration such as 500ms, 30s or 5m
nope: there is no such option
halley.yaml:4: database.url: must be sqlite:PATH or postgres://user:password@host/database
--data-dir: data_dir: must name a folder
halley.yaml:6: master_key: the master key has 5 bytes, it must have 32; make one with: head -c 32 /dev/urandom | base64
halley.yaml:15: metrics.listen: must be HOST:PORT such as 127.0.0.1:8080, not "nowhere"
HALLEY_USAGE_FLUSH_INTERVAL: usage.flush_interval: must be above 0 and at most 200ms
HALLEY_USAGE_FSYNC_INTERVAL: usage.fsync_interval: must be from 0s to 10s
HALLEY_REDIS_URL: redis.url: must be redis://user:password@host:port/db, rediss://… for TLS, or unix:///path
halley.yaml:10: log.level: must be debug or info or warn or error, not "loud"
halley.yaml:17: upstream.connect_timeout: must be above 0s and at most 24h0m0s
`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, ok := errors.AsType[config.Problems](err); !ok {
		t.Errorf("the error is a %T, want Problems", err)
	}
}

func TestFilesThatAreNoConfiguration(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ text, want string }{
		"not YAML":       {"listen: [", "is not YAML"},
		"a list":         {"- listen", "must hold options, one per line, not a list"},
		"a text":         {"hello", "must hold options, one per line, not a text"},
		"two documents":  {"listen: :1\n---\nlisten: :2\n", "must hold one YAML document"},
		"empty value":    {"listen:\n", "listen: must be a text, not empty"},
		"nested value":   {"listen: {port: 1}\n", "listen: must be a text, not a group of options"},
		"unknown anchor": {"listen: *there\n", "is not YAML"},
		"merge key":      {"a: &a {level: warn}\nlog: {<<: *a}\n", "there is no such option"},
		"number in list": {"trusted_proxies: [1]\n", "trusted_proxies: must be a list of texts, but has a number in line 1"},
		"list for text":  {"listen: [a]\n", "listen: must be a text, not a list"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(file(t, row.text), none)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q in it", err, row.want)
			}
		})
	}
	if _, err := config.Load(filepath.Join(t.TempDir(), "gone.yaml"), none); err == nil || !strings.Contains(err.Error(), "gone.yaml: cannot be read: no such file") {
		t.Errorf("a missing file: got %v", err)
	}
	for name, text := range map[string]string{"empty": "", "comments": "# nothing\n", "alias": "listen: &l 127.0.0.1:1\nmetrics: {listen: 127.0.0.1:2}\nlog: {level: info}\n"} {
		if _, err := config.Load(file(t, text), none); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSecretsNeverShow prints a configuration in every way there is.
func TestSecretsNeverShow(t *testing.T) {
	t.Parallel()
	const canary = "canary-7f3a"
	c := config.Config{
		Database:     config.Database{URL: "postgres://halley:" + canary + "@db/halley?sslpassword=" + canary},
		MasterKey:    canary,
		RootPassword: canary,
		Metrics:      config.Metrics{Token: canary},
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("config", "all", c, "key", c.MasterKey, "url", c.Database.URL)
	asJSON, err := jsonx.Marshal(map[string]any{"key": c.MasterKey, "url": c.Database.URL, "list": []config.Secret{c.RootPassword}})
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	bad := c
	bad.Database.URL = "postgres://halley:" + canary + "@db:%zz/halley"
	for name, text := range map[string]string{
		"%v": fmt.Sprintf("%v", c), "%+v": fmt.Sprintf("%+v", &c), "%#v": fmt.Sprintf("%#v", c), "%s": c.MasterKey.String(),
		"slog": log.String(), "JSON": string(asJSON), "YAML": string(asYAML),
		"invalid": fmt.Sprint(bad.Validate(), bad.Database.URL),
	} {
		if strings.Contains(text, canary) {
			t.Errorf("%s shows a secret: %s", name, text)
		}
	}
	if got := c.Database.URL.String(); got != "postgres://halley:xxxxx@db/halley?sslpassword=xxxxx" {
		t.Errorf("the database URL shows as %s", got)
	}
}

func TestSizesAreWrittenAsTheyAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]config.Size{"65536": 64 << 10, "64KiB": 64 << 10, "1 GiB": 1 << 30, "5MB": 5e6, "2048B": 2048} {
		got, err := config.Load("", lookup(map[string]string{"HALLEY_MAX_BODY_BYTES": text}))
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got.MaxBodyBytes != want {
			t.Errorf("%s: got %d, want %d", text, got.MaxBodyBytes, want)
		}
	}
	for _, text := range []string{"-1", "1.5MiB", "9223372036854775807GiB", "MiB", "12 parsecs", "1B", "2GiB"} {
		if _, err := config.Load("", lookup(map[string]string{"HALLEY_MAX_BODY_BYTES": text})); err == nil {
			t.Errorf("%s was accepted", text)
		}
	}
	if got := fmt.Sprint(config.Size(64<<20), config.Size(1000), config.Size(0)); got != "64MiB 1000 0" {
		t.Errorf("sizes print as %s", got)
	}
}

func TestOptionsNameTheContractsVariables(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, o := range config.Options() {
		names[o.Env] = true
	}
	for _, name := range []string{
		"HALLEY_LISTEN", "HALLEY_DATABASE_URL", "HALLEY_DATA_DIR", "HALLEY_MASTER_KEY", "HALLEY_ROOT_PASSWORD",
		"HALLEY_TRUSTED_PROXIES", "HALLEY_ALLOW_PRIVATE_UPSTREAMS",
	} {
		if !names[name] {
			t.Errorf("%s is not an option", name)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{"listen: :1", "log: {level: warn}", "trusted_proxies: [::1, fe80::1%eth0]", "a: &a [*a]", "log: &l\n  x: *l\n", "max_body_bytes: 0x10", "allow_private_upstreams: 10.0.0.0/8"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "halley.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(path, none)
		if err != nil {
			return
		}
		if err := c.Validate(); err != nil {
			t.Errorf("what Load took, Validate refuses: %v", err)
		}
	})
}

func none(string) (string, bool) { return "", false }

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "halley.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func prefixes(texts ...string) config.Prefixes {
	var list config.Prefixes
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

func diff(want, got any, options ...cmp.Option) string {
	return cmp.Diff(want, got, append(options, cmpopts.EquateComparable(netip.Prefix{}), cmpopts.EquateEmpty())...)
}

func TestThePublicURLIsWhereBrowsersGivePasskeys(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"https://halley.example.com":      "",
		"https://halley.example.com:8443": "",
		"http://localhost:8080":           "",
		"http://halley.localhost":         "",
		"http://halley.example.com":       "must begin with https://",
		"https://192.0.2.1":               "not the address 192.0.2.1",
		"https://[::1]:8080":              "not the address ::1",
		"https://halley.example.com/":     "must be an origin",
		"https://Halley.example.com":      "must be an origin",
		"https://u:p@halley.example.com":  "must be an origin",
		"halley.example.com":              "must be an origin",
		"ftp://halley.example.com":        "must be an origin",
	} {
		_, err := config.Load("", lookup(map[string]string{"HALLEY_PUBLIC_URL": url}))
		if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}
