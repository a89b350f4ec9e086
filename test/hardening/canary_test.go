package hardening_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"halley/test/fakeprovider"
	"halley/test/harness"
)

// Every secret appears in the answers that show it to whoever may see it, and
// nowhere else: not in the database, not in the log, the metrics, the audit
// trail, the usage records, what commands print or the error answers of others,
// however the secret got there and whatever went wrong on the way.
func TestPlantedSecretsAppearWhereTheyAreShownAndNowhereElse(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, o harness.Options) {
		format := "json"
		if o.DatabaseURL != "" {
			format = "text"
		}
		c := newCanary(t, o, format)
		c.signIn()
		c.makeUsers()
		c.makeChannels()
		c.makeKeys()
		c.showCredentialsEverywhere()
		c.refuseSecretsInBodies()
		c.askTheMirror()
		c.sweepEveryRoute()
		c.runCommands()
		c.lookAround()
		c.loseTheDatabase()
		c.die()
	})
}

// canary is a server with secrets in it.
type canary struct {
	t       *testing.T
	options harness.Options
	secrets *secrets
	server  *harness.Server
	http    *http.Client
	mirror  *fakeprovider.Endpoint
	closeUp func() // cuts the mirror's connections

	masterKey, metricsToken, rootPassword string

	root, alice  person
	rootKey      string // of an unlimited key of root's
	aliceKey     string
	aliceKeyID   int64
	aliceKeyName string // among the secrets
	channels     []int64
}

// person is somebody with credentials for the management API.
type person struct {
	id                    int64
	cookie, full, reading string
}

func newCanary(t *testing.T, o harness.Options, format string) *canary {
	c := &canary{t: t, secrets: newSecrets(), http: &http.Client{Timeout: patience}}
	raw := random(32)
	c.secrets.plant(t, "the master key's bytes", raw)
	c.masterKey = c.secrets.plant(t, "the master key", encode64(raw))
	c.metricsToken = c.secrets.plant(t, "the metrics token", "metrics"+random(24))
	c.rootPassword = c.secrets.plant(t, "root's password", "pw "+random(24))
	if o.DatabaseURL != "" {
		o.DatabaseURL = withPassword(t, o.DatabaseURL, c.secrets.plant(t, "the database's password", "db"+random(20)))
	}
	o.RootPassword = c.rootPassword
	o.Env = []string{
		"HALLEY_MASTER_KEY=" + c.masterKey, "HALLEY_METRICS_TOKEN=" + c.metricsToken,
		"HALLEY_LOG_LEVEL=debug", "HALLEY_LOG_FORMAT=" + format, "HALLEY_MAX_BODY_BYTES=1MiB",
	}
	provider := fakeprovider.New()
	listener := httptest.NewServer(provider)
	provider.URL = listener.URL
	c.closeUp = listener.CloseClientConnections
	t.Cleanup(func() { listener.CloseClientConnections(); listener.Close() })
	c.mirror = provider.Queue(mirror())

	c.options = o
	c.server = harness.Launch(t, o)
	c.options.DataDir, c.options.DatabaseURL = c.server.DataDir, c.server.DatabaseURL
	return c
}

// ask is a request and what its answer must show.
type ask struct {
	method, path string
	header       map[string]string
	body         string
	// shows are the secrets that the answer must hold. It may hold no other but
	// those of returns: what the request itself held may come back to its sender.
	shows, returns []string
}

// as adds a management credential.
func (a ask) as(credential string) ask {
	header := map[string]string{"Authorization": credential}
	for name, value := range a.header {
		header[name] = value
	}
	a.header = header
	return a
}

// do sends the request and searches the answer.
func (c *canary) do(a ask) answer {
	c.t.Helper()
	what := a.method + " " + a.path
	req, err := http.NewRequestWithContext(c.t.Context(), a.method, c.server.BaseURL+a.path, strings.NewReader(a.body))
	if err != nil {
		c.t.Fatalf("%s: %v", what, err)
	}
	for name, value := range a.header {
		req.Header.Set(name, value)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		c.t.Errorf("%s: %v", what, err)
		return answer{header: http.Header{}}
	}
	got, err := readAnswer(resp)
	if err != nil {
		got.body = append(got.body, []byte("…"+err.Error())...) // an answer may be cut, never silently
	}
	if got.header.Get("X-Request-Id") == "" {
		c.t.Errorf("%s: %d without X-Request-Id", what, got.status)
	}
	text := got.text()
	c.secrets.mustNotBeIn(c.t, fmt.Sprintf("the answer %d to %s", got.status, what), text, append(a.returns, a.shows...)...)
	for _, name := range a.shows {
		if !slices.ContainsFunc(c.secrets.in(text), func(f finding) bool { return f.name == name }) {
			c.t.Errorf("%s: the answer %d should show %s:\n%s", what, got.status, name, text)
		}
	}
	return got
}

// must is do with a management answer that is a success; its data goes into out.
func (c *canary) must(a ask, out any) answer {
	c.t.Helper()
	got := c.do(a)
	var body struct {
		Success bool
		Data    json.RawMessage
	}
	if err := json.Unmarshal(got.body, &body); err != nil || !body.Success {
		c.t.Fatalf("%s %s: %d %s", a.method, a.path, got.status, got.body)
	}
	if out != nil {
		if err := json.Unmarshal(body.Data, out); err != nil {
			c.t.Fatalf("%s %s: %v", a.method, a.path, err)
		}
	}
	return got
}

// login signs somebody in; the cookie is planted.
func (c *canary) login(user, password, name string) string {
	c.t.Helper()
	got := c.must(ask{method: "POST", path: "/api/user/login", body: object("username", user, "password", password)}, nil)
	for _, cookie := range (&http.Response{Header: got.header}).Cookies() {
		c.secrets.plant(c.t, name, cookie.Value)
		c.secrets.mustNotBeIn(c.t, "the body of the login's answer", got.body)
		return cookie.Name + "=" + cookie.Value
	}
	c.t.Fatalf("login of %s: no cookie in %v", user, got.header)
	return ""
}

// token makes a personal access token; its value is planted.
func (c *canary) token(cookie, scope, name string) string {
	c.t.Helper()
	var made struct{ Token string }
	c.must(ask{method: "POST", path: "/api/user/token", header: map[string]string{"Cookie": cookie}, body: object("name", name, "scope", scope, "expires_at", -1)}, &made)
	return c.secrets.plant(c.t, name, made.Token)
}

func (c *canary) person(user, password string) person {
	p := person{cookie: c.login(user, password, user+"'s session")}
	p.full, p.reading = c.token(p.cookie, "full", user+"'s token"), c.token(p.cookie, "read", user+"'s reading token")
	var self struct{ ID int64 }
	c.must(ask{method: "GET", path: "/api/user/self", header: map[string]string{"Cookie": p.cookie}}, &self)
	p.id = self.ID
	return p
}

func (c *canary) signIn() {
	c.root = c.person("root", c.rootPassword)
	for _, wrong := range []string{"wrong " + random(20), strings.Repeat("long ", 500) + random(20), "\x00" + random(20)} {
		c.secrets.plant(c.t, "a wrong password", wrong[max(0, len(wrong)-20):])
		c.do(ask{method: "POST", path: "/api/user/login", body: object("username", "root", "password", wrong)})
	}
	// People type their password into the field for the name.
	astray := c.secrets.plant(c.t, "a password as a name", random(24))
	c.do(ask{method: "POST", path: "/api/user/login", body: object("username", astray, "password", astray)})
}

func (c *canary) makeUsers() {
	first := c.secrets.plant(c.t, "alice's first password", "Pw1!"+random(20))
	c.must(ask{method: "POST", path: "/api/user/", body: object("username", "alice", "password", first, "quota", 50_000_000)}.as(c.root.full), nil)
	c.must(ask{method: "POST", path: "/api/user/", body: object("username", "bob", "password", c.secrets.plant(c.t, "bob's password", "Pw2!"+random(20)), "role", "admin")}.as(c.root.full), nil)
	refused := c.secrets.plant(c.t, "the password of a user who could not be made", "Pw3!"+random(20))
	for _, body := range []string{
		object("username", "alice", "password", refused), object("username", "no such\tname", "password", refused),
		object("username", "carol", "password", refused, "role", "emperor"), object("username", "carol", "password", refused, "group", "nowhere"),
	} {
		envelope.mustRefuse(c.t, "creating "+body, c.do(ask{method: "POST", path: "/api/user/", body: body}.as(c.root.full)))
	}
	cookie := c.login("alice", first, "alice's first session")
	second := c.secrets.plant(c.t, "alice's second password", "Pw4!"+random(20))
	wrong := c.secrets.plant(c.t, "a wrong old password", "Pw5!"+random(20))
	change := ask{method: "PATCH", path: "/api/user/self", header: map[string]string{"Cookie": cookie}}
	change.body = object("password", second, "old_password", wrong)
	envelope.mustRefuse(c.t, "a wrong old password", c.do(change))
	change.body = object("password", second, "old_password", first)
	got := c.must(change, nil)
	for _, renewed := range (&http.Response{Header: got.header}).Cookies() {
		c.secrets.plant(c.t, "alice's renewed session", renewed.Value)
	}
	third := c.secrets.plant(c.t, "alice's third password", "Pw6!"+random(20))
	c.alice = c.person("alice", second)
	c.must(ask{method: "PATCH", path: "/api/user/" + strconv.FormatInt(c.alice.id, 10), body: object("password", third)}.as(c.root.full), nil)
	fourth := c.secrets.plant(c.t, "alice's fourth password", "Pw8!"+random(20))
	again := ask{method: "PATCH", path: "/api/user/self", header: map[string]string{"Cookie": c.login("alice", third, "alice's session with a given password")}}
	again.body = object("password", fourth, "old_password", third)
	got = c.must(again, nil)
	for _, renewed := range (&http.Response{Header: got.header}).Cookies() {
		c.secrets.plant(c.t, "alice's session after the given password", renewed.Value)
	}
	c.alice = c.person("alice", fourth)
}

// makeChannels makes one channel per shape that upstream keys have: one that
// looks like a key, one that looks like nothing, and one of the characters that
// JSON, URLs and quotes escape.
func (c *canary) makeChannels() {
	for i, key := range []string{"sk-proj-" + random(30), random(38), `a"b\c/d+e=f&g%<h>'` + random(24)} {
		name := fmt.Sprintf("the upstream key of channel %d", i+1)
		old := c.secrets.plant(c.t, name+" at first", random(30))
		c.secrets.plant(c.t, name, key)
		var made struct{ ID int64 }
		c.must(ask{method: "POST", path: "/api/channel/", body: object(
			"name", name, "kind", "openai", "base_url", c.mirror.BaseURL, "keys", []string{old}, "groups", []string{"default"},
			"models", []string{fmt.Sprintf("u%d/*", i+1)},
			// What hangs at its own channel fails over to this one.
			"timeouts", map[string]int{"first_byte_ms": 5000, "idle_ms": 5000},
		)}.as(c.root.full), &made)
		c.must(ask{method: "PATCH", path: "/api/channel/" + strconv.FormatInt(made.ID, 10), body: object("keys", []string{key})}.as(c.root.full), nil)
		c.channels = append(c.channels, made.ID)
		// Those that keep a client waiting do so through channels of their own.
		for how, limit := range map[string]string{"silence": "first_byte_ms", "stream-stall": "idle_ms"} {
			c.must(ask{method: "POST", path: "/api/channel/", body: object(
				"name", name+" for "+how, "kind", "openai", "base_url", c.mirror.BaseURL, "keys", []string{key}, "groups", []string{"default"},
				"models", []string{fmt.Sprintf("u%d/%s", i+1, how)}, "priority", 1, "timeouts", map[string]int{limit: 500},
			)}.as(c.root.full), nil)
		}
	}
	refused := c.secrets.plant(c.t, "the key of a channel that could not be made", random(30))
	inURL := c.secrets.plant(c.t, "a key in a base URL", random(30))
	for _, body := range []string{
		object("name", "x", "kind", "openai", "base_url", "https://user:"+inURL+"@example.com/v1", "keys", []string{refused}, "models", []string{"m"}, "groups", []string{"default"}),
		object("name", "x", "kind", "openai", "base_url", "https://example.com/v1?key="+inURL, "keys", []string{refused}, "models", []string{"m"}, "groups", []string{"default"}),
		object("name", "x", "kind", "openai", "base_url", "https://user:"+inURL+"@%zz/v1", "keys", []string{refused}, "models", []string{"m"}, "groups", []string{"default"}),
		object("name", "x", "kind", "openai", "base_url", "https://example.com/v1", "keys", []string{refused + "\u00e9"}, "models", []string{"m"}, "groups", []string{"default"}),
		object("name", "x", "kind", "openai", "base_url", "https://example.com/v1", "keys", []string{refused + "\nX-Evil: 1"}, "models", []string{"m"}, "groups", []string{"default"}),
		object("name", "x", "kind", "openai", "base_url", "https://example.com/v1", "keys", []string{strings.Repeat(refused, 400)}, "models", []string{"m"}, "groups", []string{"default"}),
		object("name", "", "kind", "openai", "base_url", "https://example.com/v1", "keys", []string{refused}, "models", []string{"m"}, "groups", []string{"default"}),
		object("name", "x", "kind", refused, "keys", refused),
		object("name", "x", "kind", "openai", "keys", []any{refused, 5}),
		object("name", "x", "kind", "openai", "keys", map[string]string{"a": refused}),
	} {
		envelope.mustRefuse(c.t, "channel "+body, c.do(ask{method: "POST", path: "/api/channel/", body: body, returns: []string{"the key of a channel that could not be made"}}.as(c.root.full)))
	}
}

func (c *canary) makeKeys() {
	create := func(credential, name, query string, body string) (int64, string) {
		var made struct {
			ID  int64
			Key string
		}
		got := c.must(ask{method: "POST", path: "/api/token/" + query, body: body}.as(credential), &made)
		c.secrets.plant(c.t, name, made.Key)
		if found := c.secrets.in(got.text()); len(found) == 0 {
			c.t.Errorf("creating %s does not show it: %s", name, got.body)
		}
		return made.ID, made.Key
	}
	_, c.rootKey = create(c.root.full, "root's key", "", object("name", "root's", "unlimited_quota", true))
	c.aliceKeyID, c.aliceKey = create(c.alice.full, "alice's first key", "", object("name", "alice's", "remain_quota", 1_000_000))
	c.rotate(c.alice.full, "", "alice's key")
	forAlice := fmt.Sprintf("?user_id=%d", c.alice.id)
	c.rotate(c.root.full, forAlice, "alice's key as root rotated it")
	c.aliceKeyName = "alice's key as root rotated it"
	_, _ = create(c.root.full, "a key that root made for alice", forAlice, object("name", "from root", "remain_quota", 5))
	both := []string{c.aliceKeyName, "a key that root made for alice"}

	one, id := fmt.Sprintf("/api/token/%d", c.aliceKeyID), c.aliceKeyID
	for _, a := range []ask{
		{method: "GET", path: one}, {method: "PUT", path: "/api/token/", body: object("id", id, "name", "alice's own")},
		{method: "PUT", path: "/api/token/?status_only=true", body: object("id", id, "status", 1)},
		{method: "POST", path: one + "/quota", body: object("add", 5)}, {method: "GET", path: "/api/token/search?token=" + c.aliceKey},
		{method: "GET", path: "/api/token/search?keyword=own"},
	} {
		// Its owner may read it again, who may only read or is somebody else may not.
		a.shows = []string{c.aliceKeyName}
		c.must(a.as(c.alice.full), nil)
		a.shows = nil
		c.do(a.as(c.alice.reading))
		for _, other := range []string{c.root.full, c.root.reading} {
			b := a
			b.path += map[bool]string{true: "&", false: "?"}[strings.Contains(a.path, "?")] + forAlice[1:]
			c.do(b.as(other))
			c.do(a.as(other))
		}
	}
	c.must(ask{method: "GET", path: "/api/token/", shows: both}.as(c.alice.full), nil)
	c.must(ask{method: "GET", path: "/api/token/", shows: both, header: map[string]string{"Cookie": c.alice.cookie}}, nil)
	c.must(ask{method: "GET", path: "/api/token/"}.as(c.alice.reading), nil)
	c.must(ask{method: "GET", path: "/api/token/" + forAlice}.as(c.root.full), nil)
	c.must(ask{method: "GET", path: "/api/token/search?token=" + c.aliceKey + "&" + forAlice[1:]}.as(c.root.full), nil)
	c.must(ask{method: "POST", path: one + "/verify", body: object("model", "u1/fine")}.as(c.alice.full), nil)
}

// rotate gives alice's key a new value; the old one goes on working for a while.
func (c *canary) rotate(credential, query, name string) {
	var made struct{ Key string }
	c.must(ask{method: "POST", path: fmt.Sprintf("/api/token/%d/rotate%s", c.aliceKeyID, query), body: object("grace_seconds", 3600)}.as(credential), &made)
	if old := c.aliceKey; made.Key == old {
		c.t.Errorf("rotation has kept the value")
	}
	c.aliceKey = c.secrets.plant(c.t, name, made.Key)
}

// credential is a secret that is shown as if it were good for something.
type credential struct{ name, value string }

// credentials are the right ones and the wrong ones of every kind.
func (c *canary) credentials() []credential {
	changed := c.aliceKey[:20] + strings.Map(swapCase, c.aliceKey[20:])
	_, session, _ := strings.Cut(c.alice.cookie, "=")
	return []credential{
		{c.aliceKeyName, c.aliceKey}, {"alice's key without sk-", strings.TrimPrefix(c.aliceKey, "sk-")}, {"a key with a wrong checksum", changed},
		{"a key of another service", "sk-proj-" + random(40)}, {"a key of no known shape", random(40)}, {"a Google key", "AIza" + random(35)},
		{"alice's token", c.alice.full}, {"a token that is wrong", "hpat_" + random(46)}, {"alice's session", session},
	}
}

func swapCase(r rune) rune {
	if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
		return r ^ 0x20
	}
	return r
}

// showCredentialsEverywhere sends every credential in every place where one may
// stand, and where people put one by mistake.
func (c *canary) showCredentialsEverywhere() {
	doors := []ask{
		{method: "GET", path: "/v1/models"}, {method: "GET", path: "/v1/models/nothing"}, {method: "POST", path: "/v1/chat/completions", body: `{"model":"nothing"}`},
		{method: "POST", path: "/v1/embeddings", body: `{"model":`}, {method: "POST", path: "/v1beta/models/m:generateContent", body: `{}`}, {method: "GET", path: "/v1/nothing"},
		{method: "GET", path: "/api/usage/token"}, {method: "GET", path: "/user/quota"}, {method: "GET", path: "/user/quota?start_date=2026-01-01&end_date=2026-01-02"},
		{method: "GET", path: "/api/user/self"}, {method: "GET", path: "/api/nothing"}, {method: "GET", path: "/nothing"}, {method: "GET", path: "/metrics"}, {method: "GET", path: "/readyz"},
	}
	for _, secret := range c.credentials() {
		c.secrets.plant(c.t, secret.name, secret.value)
		// What a client sends in a path may come back to it.
		back := []string{secret.name, c.aliceKeyName, "alice's token", "alice's session"}
		for _, door := range doors {
			for _, header := range []map[string]string{
				{"Authorization": "Bearer " + secret.value}, {"Authorization": secret.value}, {"Authorization": "bearer  " + secret.value}, {"Authorization": "Token " + secret.value},
				{"Authorization": "Basic " + encode64("key:"+secret.value)}, {"X-Api-Key": secret.value}, {"X-Goog-Api-Key": secret.value}, {"Api-Key": secret.value},
				{"Sec-Websocket-Protocol": "realtime, openai-insecure-api-key." + secret.value}, {"Cookie": "halley_session=" + secret.value + "; __Host-halley=" + secret.value},
				{"Proxy-Authorization": "Bearer " + secret.value}, {"Referer": "https://halley.example/user/quota?key=" + secret.value},
			} {
				a := door
				a.header = header
				c.do(a)
			}
			a := door
			a.path += map[bool]string{true: "&", false: "?"}[strings.Contains(a.path, "?")] + "key=" + secret.value
			c.do(a)
		}
		if strings.HasPrefix(secret.value, "sk-") || strings.HasPrefix(secret.value, "hpat_") || strings.HasPrefix(secret.value, "AIza") {
			for _, path := range []string{"/v1/models/", "/v1/chat/", "/api/token/", "/api/user/token/", "/api/log/", "/user/quota/", "/"} {
				for _, method := range []string{"GET", "DELETE", "POST"} {
					c.do(ask{method: method, path: path + secret.value, returns: back}.as(c.alice.full))
				}
			}
			c.do(ask{method: "GET", path: "/api/status", header: map[string]string{"X-Request-Id": secret.value}})
		}
	}
	for _, path := range []string{fmt.Sprintf("/api/token/%d/values", c.aliceKeyID)} {
		c.do(ask{method: "GET", path: path}.as(c.alice.full))
	}
	ok := c.do(ask{method: "GET", path: "/user/quota?key=" + c.aliceKey})
	if ok.status != http.StatusOK {
		c.t.Errorf("/user/quota?key= with a good key: %d %s", ok.status, ok.body)
	}
}

// refuseSecretsInBodies sends secrets in bodies that cannot be read.
func (c *canary) refuseSecretsInBodies() {
	secret := c.secrets.plant(c.t, "a secret in a broken body", "Sb"+random(24))
	for _, route := range []ask{
		{method: "POST", path: "/api/user/login"}, {method: "POST", path: "/api/user/"}, {method: "PATCH", path: "/api/user/self"}, {method: "POST", path: "/api/channel/"},
		{method: "POST", path: "/api/token/"}, {method: "POST", path: "/v1/chat/completions"}, {method: "PUT", path: "/api/option/auto_groups"}, {method: "PUT", path: "/api/price/m"},
	} {
		for _, body := range []string{
			`{"password":"` + secret, `{"password":"` + secret + "\xff\"}", `{"password":["` + secret + `"]}`, `{"password":{"` + secret + `":1}}`, `{"password":"` + secret + `","password":"` + secret + `"}`,
			`"` + secret + `"`, secret, `["` + secret + `"]`, `{"keys":{"a":"` + secret + `"},"password":5,"value":["` + secret + `",{"a":"` + secret + `"}]}`, `{"model":["` + secret + `"],"password":null}`,
			`{"password":"` + strings.Repeat(secret, 60_000) + `"}`,
		} {
			a := route
			a.body, a.returns = body, []string{"a secret in a broken body"}
			if a.path == "/v1/chat/completions" {
				a = a.as("Bearer " + c.aliceKey)
			} else {
				a = a.as(c.root.full)
			}
			c.do(a)
		}
	}
}

// askTheMirror has every upstream credential repeated in every way, to clients
// and to the channel test.
func (c *canary) askTheMirror() {
	type trial struct {
		how, model string
		stream     bool
		want       int
	}
	var trials []trial
	for how, want := range mirrored {
		for i := range c.channels {
			model := fmt.Sprintf("u%d/%s", i+1, how)
			trials = append(trials, trial{how, model, false, want.plain}, trial{how, model, true, want.streamed})
		}
	}
	work := make(chan trial)
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() {
			for x := range work {
				body := object("model", x.model, "stream", x.stream, "messages", []any{})
				// Nothing that the client showed may reach the upstream.
				header := map[string]string{
					"Authorization": "Bearer " + c.rootKey, "X-Api-Key": c.aliceKey, "Api-Key": c.alice.full, "X-Goog-Api-Key": "AIza", "Cookie": c.alice.cookie,
					"Proxy-Authorization": "Bearer " + c.aliceKey, "Sec-Websocket-Protocol": "openai-insecure-api-key." + c.aliceKey, "Referer": "http://x/?key=" + c.aliceKey,
				}
				got := c.do(ask{method: "POST", path: "/v1/chat/completions?key=" + c.aliceKey, header: header, body: body})
				if got.status != x.want {
					c.t.Errorf("%s, stream %t: %d, want %d: %s", x.model, x.stream, got.status, x.want, got.body)
				}
				if got.status == http.StatusBadGateway || got.status == http.StatusGatewayTimeout {
					if x.how == "error-502" {
						continue // the upstream's own
					}
					if r := openAI.mustRefuse(c.t, x.model, got); r.code != "upstream_error" {
						c.t.Errorf("%s: code %q, want upstream_error", x.model, r.code)
					}
				}
			}
		})
	}
	for _, x := range trials {
		work <- x
	}
	close(work)
	workers.Wait()
	// An upstream that nobody finds says nothing; what is said about it is ours.
	for i, address := range []string{fakeprovider.RefusedURL(c.t), "http://no-such-host.invalid/v1"} {
		name := fmt.Sprintf("the upstream key of absent channel %d", i+1)
		key := c.secrets.plant(c.t, name, "absent"+random(30))
		var made struct{ ID int64 }
		c.must(ask{method: "POST", path: "/api/channel/", body: object("name", name, "kind", "openai", "base_url", address, "keys", []string{key}, "groups", []string{"default"}, "models", []string{name})}.as(c.root.full), &made)
		got := c.do(ask{method: "POST", path: "/v1/chat/completions", body: object("model", name)}.as("Bearer " + c.rootKey))
		openAI.mustRefuse(c.t, address, got, 502)
		c.must(ask{method: "POST", path: fmt.Sprintf("/api/channel/%d/test", made.ID), body: object("model", name)}.as(c.root.full), nil)
	}
	for i, id := range c.channels {
		for _, how := range []string{"late-400", "late-401", "html-500", "escaped-400", "garbage", "bad-status", "bad-header", "in-200", "late-200", "half", "redirect-307", "fine", "stream-words"} {
			for _, stream := range []bool{false, true} {
				c.must(ask{method: "POST", path: fmt.Sprintf("/api/channel/%d/test", id), body: object("model", fmt.Sprintf("u%d/%s", i+1, how), "stream", stream)}.as(c.root.full), nil)
			}
		}
		c.must(ask{method: "GET", path: fmt.Sprintf("/api/channel/%d", id)}.as(c.root.full), nil)
	}
	for _, got := range c.mirror.Received() {
		var head strings.Builder
		_ = got.Header.Write(&head) // a strings.Builder takes everything
		upstreamKeys := []string{"the upstream key of channel 1", "the upstream key of channel 2", "the upstream key of channel 3"}
		c.secrets.mustNotBeIn(c.t, "what the upstream got", []byte(head.String()+got.Path+got.Query+string(got.Body)), upstreamKeys...)
	}
}

// sweepEveryRoute calls what the management API says it has, with everybody's
// credentials.
func (c *canary) sweepEveryRoute() {
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(c.do(ask{method: "GET", path: "/api/openapi.json"}).body, &document); err != nil || len(document.Paths) < 20 {
		c.t.Fatalf("openapi.json: %v, %d paths", err, len(document.Paths))
	}
	ids := strings.NewReplacer("{id}", strconv.FormatInt(c.aliceKeyID, 10), "{name}", "nowhere", "{model}", "nothing")
	for path, methods := range document.Paths {
		for method := range methods {
			if strings.HasSuffix(path, "/login") || strings.HasSuffix(path, "/logout") || strings.HasSuffix(path, "/rotate") || method == "delete" {
				continue // they would end what other steps need
			}
			own := []string{c.aliceKeyName, "a key that root made for alice"}
			a := ask{method: strings.ToUpper(method), path: ids.Replace(path), body: `{"name":5}`}
			if method == "get" {
				a.body = ""
			}
			c.do(a)
			c.do(a.as("Bearer " + c.aliceKey))
			c.do(a.as(c.alice.reading))
			b := a
			b.returns = own
			c.do(b.as(c.alice.full))
			b.returns = []string{"root's key"}
			c.do(b.as(c.root.full))
		}
	}
}

// runCommands searches what commands print that read the same database.
func (c *canary) runCommands() {
	wrong := c.secrets.plant(c.t, "a token that a command was given", "hpat_"+random(46))
	for _, args := range [][]string{
		{"key", "list", "--server", c.server.BaseURL, "--token", c.alice.full}, {"user", "list", "--server", c.server.BaseURL, "--token", wrong}, {"key", "list", "--server", fakeprovider.RefusedURL(c.t), "--token", wrong},
		{"key", "list", "--server", "http://x:" + wrong + "@127.0.0.1:1", "--token", wrong}, {"key", "list", "--token"}, {"serve", "--master-key", wrong}, {"serve", "--database-url", "postgres://x:" + wrong + "@127.0.0.1:y/z"},
		{"doctor"}, {"channel", "list"}, {"user", "list"}, {"key", "list"}, {"key", "list", "--user", "alice"}, {"price", "list"},
		{"key", "show", strconv.FormatInt(c.aliceKeyID, 10)}, {"key", "inspect", c.aliceKey}, {"key", "inspect", c.alice.full}, {"key", "inspect", c.rootKey[:30]},
		{"channel", "test", strconv.FormatInt(c.channels[1], 10), "--model", "u2/late-400"}, {"serve", "--no-such-flag"}, {"serve", "--listen", "nowhere"},
	} {
		out := runHalley(c.t, c.options, args...)
		c.secrets.mustNotBeIn(c.t, "what halley "+strings.Join(args[:1], " ")+" prints", []byte(out))
	}
}

// lookAround reads everything that a running server shows and has written.
func (c *canary) lookAround() {
	c.closeUp()
	if got := c.do(ask{method: "GET", path: "/metrics", header: map[string]string{"Authorization": "Bearer " + c.metricsToken}}); got.status != http.StatusOK || !strings.Contains(string(got.body), "halley_requests_total") {
		c.t.Errorf("/metrics: %d", got.status)
	}
	for _, list := range []string{"/api/audit/", "/api/log/", "/api/user/", "/api/channel/", "/api/option/", "/api/price/", "/api/user/token"} {
		c.readAll(list)
	}
	for _, db := range []string{"while the server runs", "after it has ended"} {
		if strings.HasPrefix(db, "after") {
			c.server.Stop(c.t)
		}
		for place, data := range databaseContents(c.t, c.server.DatabaseURL) {
			c.secrets.mustNotBeIn(c.t, place+" "+db, data)
		}
		for place, data := range filesBelow(c.t, c.server.DataDir) {
			c.secrets.mustNotBeIn(c.t, place+" "+db, data)
		}
	}
	c.searchLog()

	// Under reveal: once the owner has seen it once, and it still works.
	o := c.options
	o.Env = append(slices.Clone(o.Env), "HALLEY_KEYS_REVEAL=once")
	c.server = harness.Launch(c.t, o)
	c.must(ask{method: "GET", path: fmt.Sprintf("/api/token/%d", c.aliceKeyID)}.as(c.alice.full), nil)
	c.must(ask{method: "GET", path: "/api/token/"}.as(c.alice.full), nil)
	c.must(ask{method: "GET", path: "/api/token/search?token=" + c.aliceKey}.as(c.alice.full), nil)
	if got := c.do(ask{method: "GET", path: "/v1/models"}.as("Bearer " + c.aliceKey)); got.status != http.StatusOK {
		c.t.Errorf("the key after a restart: %d %s", got.status, got.body)
	}
}

// readAll reads every page of a list of root's.
func (c *canary) readAll(path string) {
	for page := 1; ; page++ {
		var list struct {
			Total int
			Items []json.RawMessage
		}
		c.must(ask{method: "GET", path: fmt.Sprintf("%s?p=%d&page_size=100", path, page)}.as(c.root.full), &list)
		if len(list.Items) == 0 {
			if page == 1 {
				c.t.Errorf("%s is empty: nothing was searched", path)
			}
			return
		}
	}
}

func (c *canary) searchLog() {
	log := c.server.Log()
	c.secrets.mustNotBeIn(c.t, "the log", []byte(log))
	if n := strings.Count(log, "/api/user/self"); n < 10 {
		c.t.Errorf("the log tells of %d requests: nothing was searched", n)
	}
}

// loseTheDatabase makes requests fail on the server's own side.
func (c *canary) loseTheDatabase() {
	restore := breakDatabase(c.t, c.server.DatabaseURL)
	defer restore()
	secret := c.secrets.plant(c.t, "a password while the database is away", "Pw7!"+random(20))
	unknown := c.secrets.plant(c.t, "an unknown key while the database is away", "sk-"+random(40))
	for _, a := range []ask{
		ask{method: "POST", path: "/api/user/", body: object("username", "dora", "password", secret)}.as(c.root.full),
		{method: "GET", path: "/v1/models", header: map[string]string{"Authorization": "Bearer " + unknown}},
		{method: "GET", path: "/user/quota?key=" + unknown},
	} {
		got := c.do(a)
		if got.status == http.StatusOK {
			c.t.Errorf("%s %s: 200 without a database", a.method, a.path)
		}
	}
}

// die has the process print all it can print of itself.
func (c *canary) die() {
	if err := c.server.Signal(syscall.SIGQUIT); err != nil {
		c.t.Fatal(err)
	}
	<-c.server.Done()
	log := c.server.Log()
	if !strings.Contains(log, "SIGQUIT") || !strings.Contains(log, "goroutine ") {
		c.t.Errorf("the process has not shown its goroutines: %s", log)
	}
	c.secrets.mustNotBeIn(c.t, "the last words of the process", []byte(log))
}

// object is a JSON object of names and values.
func object(pairs ...any) string {
	members := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		members[pairs[i].(string)] = pairs[i+1]
	}
	text, err := json.Marshal(members)
	if err != nil {
		panic(err) // tests send what can be written
	}
	return string(text)
}

// The root password that is made up on first start is printed once, to standard
// output, and never again.
func TestTheMadeUpRootPasswordIsPrintedOnce(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, o harness.Options) {
		o.Env = []string{"HALLEY_ROOT_PASSWORD=", "HALLEY_LOG_LEVEL=debug"}
		s := harness.Launch(t, o)
		_, rest, found := strings.Cut(s.Log(), "password  ")
		password, _, _ := strings.Cut(rest, "\n")
		if !found || len(password) < window {
			t.Fatalf("no password in %q", s.Log())
		}
		secrets := newSecrets()
		secrets.plant(t, "root's password", password)
		harness.Login(t, s.BaseURL, "root", password)
		s.Stop(t)
		if n := strings.Count(s.Log(), password); n != 1 {
			t.Errorf("the password is printed %d times", n)
		}
		secrets.mustNotBeIn(t, "the rest of the output", []byte(strings.Replace(s.Log(), password, "", 1)))
		o.DataDir, o.DatabaseURL = s.DataDir, s.DatabaseURL
		again := harness.Launch(t, o)
		again.Stop(t)
		secrets.mustNotBeIn(t, "the output of the second start", []byte(again.Log()))
		for place, data := range databaseContents(t, s.DatabaseURL) {
			secrets.mustNotBeIn(t, place, data)
		}
		for place, data := range filesBelow(t, s.DataDir) {
			secrets.mustNotBeIn(t, place, data)
		}
	})
}
