package hardening_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"halley/test/fakeprovider"
	"halley/test/harness"
)

// A channel cannot be pointed at the machine that Halley runs on, at its
// network or at a cloud's metadata, however the address is written.
func TestChannelsAtPrivateAddressesAreRefused(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, o harness.Options) {
		o.Env = []string{"HALLEY_ALLOW_PRIVATE_UPSTREAMS=false"}
		s := harness.Start(t, o)
		channel := func(host string) harness.Fields {
			return harness.Fields{"name": "x", "kind": "openai", "base_url": "http://" + host + "/v1", "keys": []string{"upstream-key"}, "models": []string{"m"}, "groups": []string{"default"}}
		}
		public := s.Root.CreateChannel(t, channel("203.0.114.7"))
		for _, host := range []string{
			"127.0.0.1", "127.0.0.1:8080", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.0.0.1.", "0.0.0.0", "0", "127.255.255.254",
			"localhost", "LOCALHOST", "localhost.", "localhost:80", "a.localhost", "localhost.localdomain", "ip6-localhost",
			"[::1]", "[::1]:80", "[0:0:0:0:0:0:0:1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "[::1%25lo]", "[fe80::1]", "[fe80::1%25eth0]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]",
			"10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "0xc0a80001", "3232235521", "[::ffff:192.168.0.1]",
			"169.254.169.254", "0xa9fea9fe", "2852039166", "[::ffff:169.254.169.254]", "169.254.170.2", "100.100.100.200", "100.64.0.1", "168.63.129.16", "192.0.0.192", "224.0.0.1", "255.255.255.255", "240.0.0.1",
		} {
			got := s.Root.Try(t, "POST", "/api/channel/", channel(host))
			if got.Status != 422 || got.Code != "private_base_url" && got.Code != "invalid_base_url" {
				t.Errorf("%s: %d %s %s", host, got.Status, got.Code, got.Message)
			}
			if got := s.Root.Try(t, "PATCH", "/api/channel/1", channel(host)); got.Status != 422 {
				t.Errorf("changing to %s: %d %s", host, got.Status, got.Code)
			}
		}
		for _, address := range []string{"file:///etc/passwd", "gopher://127.0.0.1/", "unix:///var/run/docker.sock", "//127.0.0.1/v1", "http:127.0.0.1", "http://", "http:///v1", "http://203.0.114.7@127.0.0.1/v1", "http://203.0.114.7\\@127.0.0.1/v1", "http://203.0.114.7 127.0.0.1/", "http://203.0.114.7/v1\r\nHost: 127.0.0.1", "http://127.0.0.1#@203.0.114.7/", "http://１２７.0.0.1/v1"} {
			body := channel("")
			body["base_url"] = address
			if got := s.Root.Try(t, "POST", "/api/channel/", body); got.Status != 422 {
				t.Errorf("%q: %d %s %s", address, got.Status, got.Code, got.Message)
			}
		}
		if public.ID != 1 {
			t.Errorf("the channel at a public address has the id %d", public.ID)
		}
	})
}

// What a name means is judged when it is dialled: a channel that was made when
// private addresses were allowed, or whose name has come to mean this machine,
// is refused at the connection, and nothing is sent.
func TestNamesThatMeanThisMachineAreRefusedWhenDialled(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, o harness.Options) {
		provider := fakeprovider.New()
		var connections atomic.Int64
		listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			connections.Add(1)
			provider.ServeHTTP(w, r)
		}))
		defer listener.Close()
		provider.URL = strings.Replace(listener.URL, "127.0.0.1", "localhost", 1)
		endpoint := provider.Queue(fakeprovider.Script())

		o.Env = []string{"HALLEY_ALLOW_PRIVATE_UPSTREAMS=true"}
		s := harness.Start(t, o)
		// Full-width stops are stops to whoever looks the name up.
		names := []string{endpoint.BaseURL, strings.Replace(endpoint.BaseURL, "localhost", "127。0。0。1", 1)}
		// This machine's own name means a private address nearly everywhere.
		if host, err := os.Hostname(); err == nil {
			names = append(names, strings.Replace(endpoint.BaseURL, "localhost", host, 1))
		}
		for i, name := range names {
			s.Root.CreateChannel(t, harness.Fields{"name": "named", "base_url": name, "models": []string{[]string{"script-chat", "script-a", "script-b"}[i]}})
		}
		key := s.Root.CreateKey(t, harness.Fields{"name": "k", "unlimited_quota": true})
		ask := func(s *harness.Server, model string) answer {
			w := &world{server: s, http: http.DefaultClient}
			return w.ask(t, "POST", "/v1/chat/completions", bearer(key), `{"model":"`+model+`","messages":[]}`)
		}
		if got := ask(s, "script-chat"); got.status != http.StatusOK || connections.Load() != 1 {
			t.Fatalf("allowed: %d %s", got.status, got.body)
		}
		s.Stop(t)

		o.DataDir, o.DatabaseURL = s.DataDir, s.DatabaseURL
		for _, row := range []struct {
			allowed string
			want    int
		}{{"false", 502}, {"10.0.0.0/8,192.168.0.0/16", 502}, {"127.0.0.0/8,::1/128", 200}} {
			before := connections.Load()
			o.Env = []string{"HALLEY_ALLOW_PRIVATE_UPSTREAMS=" + row.allowed}
			s := harness.Start(t, o)
			got := ask(s, "script-chat")
			if got.status != row.want || (connections.Load() > before) != (row.want == 200) {
				t.Errorf("allowed %s: %d with %d connections: %s", row.allowed, got.status, connections.Load()-before, got.body)
			}
			if row.want == 200 {
				continue
			}
			if r := openAI.mustRefuse(t, "allowed "+row.allowed, got, 502); r.code != "upstream_error" || strings.Contains(string(got.body), "localhost") || strings.Contains(string(got.body), "127.0.0.1") {
				t.Errorf("allowed %s: the client is told %s", row.allowed, got.body)
			}
			if row := s.Root.UsageOf(t, got.header.Get("X-Request-Id")); row.Quota != "0" || row.Status != 502 {
				t.Errorf("record %+v", row)
			}
			test := harness.Into[struct {
				OK      bool
				Message string
			}](t, s.Root.Must(t, "POST", "/api/channel/1/test", harness.Fields{"model": "script-chat"}))
			if test.OK || !strings.Contains(test.Message, "not allowed") {
				t.Errorf("the channel's test: %+v", test)
			}
			for _, model := range []string{"script-a", "script-b"} {
				_ = ask(s, model) // what matters is that nobody is asked
			}
			if out := runHalley(t, harness.Options{DataDir: s.DataDir, DatabaseURL: s.DatabaseURL, Env: o.Env}, "doctor"); !strings.Contains(out, "not allowed") {
				t.Errorf("halley doctor does not tell why the channel cannot be reached: %s", out)
			}
			if n := connections.Load() - before; n > 0 {
				t.Errorf("allowed %s: %d connections were made", row.allowed, n)
			}
			s.Stop(t)
		}
	})
}

// A redirect could lead anywhere, with the credential. It is an upstream that
// does not work.
func TestRedirectsOfUpstreamsAreNotFollowed(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, o harness.Options) {
		var trapped atomic.Int64
		trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { trapped.Add(1) }))
		defer trap.Close()
		up := fakeprovider.Start(t)
		s := harness.Start(t, o)
		s.Root.Must(t, "PUT", "/api/option/max_attempts", harness.Fields{"value": 1}) // else an only channel is asked again
		key := s.Root.CreateKey(t, harness.Fields{"name": "k", "unlimited_quota": true})
		w := &world{server: s, http: http.DefaultClient}
		for _, status := range []int{301, 302, 303, 307, 308, 300, 304, 204, 201} {
			endpoint := up.Queue(func(w http.ResponseWriter, _ *http.Request, _ *fakeprovider.Received) {
				w.Header().Set("Location", trap.URL+"/v1/chat/completions")
				w.Header().Set("Refresh", "0; url="+trap.URL)
				w.WriteHeader(status)
			})
			id := s.Root.CreateChannel(t, harness.Fields{"name": "moved", "base_url": endpoint.BaseURL, "models": []string{"moved"}}).ID
			for _, stream := range []string{"false", "true"} {
				got := w.ask(t, "POST", "/v1/chat/completions", bearer(key), `{"model":"moved","messages":[],"stream":`+stream+`}`)
				openAI.mustRefuse(t, "a redirect", got, 502)
				if got.header.Get("Location") != "" || strings.Contains(string(got.text()), trap.URL) {
					t.Errorf("%d is passed on: %v %s", status, got.header, got.body)
				}
			}
			if test := harness.Into[struct{ OK bool }](t, s.Root.Must(t, "POST", "/api/channel/"+strconv.FormatInt(id, 10)+"/test", harness.Fields{"model": "moved"})); test.OK {
				t.Errorf("the test of a channel that answers %d is well", status)
			}
			s.Root.DeleteChannel(t, id)
			if n := len(endpoint.Received()); n != 3 {
				t.Errorf("%d: the upstream was asked %d times, want 3", status, n)
			}
		}
		runHalley(t, harness.Options{DataDir: s.DataDir, DatabaseURL: s.DatabaseURL, Env: []string{"HALLEY_ALLOW_PRIVATE_UPSTREAMS=true"}}, "doctor")
		if n := trapped.Load(); n > 0 {
			t.Errorf("%d requests followed a redirect", n)
		}
	})
}
