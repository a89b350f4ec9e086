package hardening_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"halley/test/fakeprovider"
	"halley/test/harness"
)

// world is a server with two users, a channel and something of everything, for
// requests that must not change any of it.
type world struct {
	server   *harness.Server
	upstream *fakeprovider.Endpoint
	http     *http.Client
	routes   []route

	alice, bob       *harness.Client
	aliceID, bobID   int64
	key              harness.Key // alice's, with a limit
	bobKey           harness.Key
	rootKey          harness.Key
	spender          *harness.Client // somebody whose records may change
	fairKey          harness.Key     // the spender's
	aliceToken       int64           // id of a personal access token
	channel          int64
	quiet            int // goroutines of the server when nothing is going on
	closeConnections func()
}

// route is one that the OpenAPI document lists.
type route struct {
	method, path string // with its {id} filled in
	template     string
	body         bool // takes one
}

// public reports whether the route takes no credential.
func (r route) public() bool {
	return strings.Contains(r.path, "/user/login") || strings.HasSuffix(r.path, "/register") || strings.Contains(r.path, "/user/oidc/") && r.method == "GET"
}

// shape is that of the route's errors: one published call has another API's.
func (r route) shape() shape {
	if r.path == "/user/quota" {
		return openAI
	}
	return envelope
}

// startWorld builds a world and sees to it that the server has let go of
// everything when the test ends.
func startWorld(t *testing.T, o harness.Options) *world {
	t.Helper()
	provider := fakeprovider.New()
	listener := httptest.NewServer(provider)
	provider.URL = listener.URL
	t.Cleanup(func() { listener.CloseClientConnections(); listener.Close() })
	transport := http.DefaultTransport.(*http.Transport).Clone()
	w := &world{upstream: provider.Queue(fakeprovider.Script()), http: &http.Client{
		Timeout: patience, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	o.Env = append(o.Env, "HALLEY_PUBLIC_URL=http://localhost") // or what passkeys and identity providers are asked is not read
	w.server = harness.Start(t, o)
	root := w.server.Root
	w.closeConnections = func() {
		listener.CloseClientConnections()
		w.http.CloseIdleConnections()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections() // the harness's
	}
	t.Cleanup(func() { root.CheckBooks(t) })
	w.quiet = w.goroutines(t)
	t.Cleanup(func() { w.mustBeQuiet(t) })

	root.PutPrice(t, "hostile-model", harness.Fields{"input": 1, "output": 2, "max_output_tokens": 1000})
	w.channel = root.CreateChannel(t, harness.Fields{"name": "script", "base_url": w.upstream.BaseURL, "models": []string{"script-*", "hostile-model"}}).ID
	for _, model := range []string{fakeprovider.ScriptChat, fakeprovider.ScriptForever, fakeprovider.ScriptEmbed} {
		root.PutPrice(t, model, harness.Fields{"input": 1, "output": 2, "max_output_tokens": 1000})
	}
	root.PutOption(t, "register_enabled", true)
	root.CreateGroup(t, harness.Fields{"name": "others", "ratio": "2"})
	alice, asAlice := w.server.NewUser(t, harness.Fields{"username": "alice", "quota": 5_000_000})
	bob, asBob := w.server.NewUser(t, harness.Fields{"username": "bob", "quota": 5_000_000})
	w.alice, w.aliceID, w.bob, w.bobID = asAlice, alice.ID, asBob, bob.ID
	w.key = w.alice.CreateKey(t, harness.Fields{"name": "alice's", "remain_quota": 1_000_000, "allow_ips": "127.0.0.1\n::1"})
	w.bobKey = w.bob.CreateKey(t, harness.Fields{"name": "bob's", "remain_quota": 1_000_000})
	_, w.spender = w.server.NewUser(t, harness.Fields{"username": spender, "quota": 50_000_000})
	w.fairKey = w.spender.CreateKey(t, harness.Fields{"name": "fair", "unlimited_quota": true})
	w.rootKey = root.CreateKey(t, harness.Fields{"name": "root's", "unlimited_quota": true})
	tokens := harness.Into[harness.Page[struct{ ID int64 }]](t, w.alice.Must(t, "GET", "/api/user/token", nil))
	w.aliceToken = tokens.Items[0].ID
	w.readRoutes(t)
	return w
}

// readRoutes takes the management API at its word about what it serves.
func (w *world) readRoutes(t *testing.T) {
	t.Helper()
	got := w.get(t, "/api/openapi.json", nil)
	var document struct {
		Paths map[string]map[string]struct{ RequestBody *json.RawMessage }
	}
	if err := json.Unmarshal(got.body, &document); err != nil {
		t.Fatal(err)
	}
	for template, methods := range document.Paths {
		path := strings.NewReplacer("{name}", "max_keys_per_user", "{model}", "hostile-model").Replace(template)
		id := w.rootKey.ID
		switch {
		case strings.HasPrefix(path, "/api/group/"):
			path = strings.Replace(template, "{name}", "others", 1)
		case strings.HasPrefix(path, "/api/user/token/"):
			id = 1 // root's own, made by the harness
		case strings.HasPrefix(path, "/api/user/"):
			id = w.aliceID
		case strings.HasPrefix(path, "/api/channel/"):
			id = w.channel
		}
		path = strings.Replace(path, "{id}", strconv.FormatInt(id, 10), 1)
		for method, operation := range methods {
			w.routes = append(w.routes, route{method: strings.ToUpper(method), path: path, template: template, body: operation.RequestBody != nil})
		}
	}
	slices.SortFunc(w.routes, func(a, b route) int { return strings.Compare(a.template+a.method, b.template+b.method) })
	if len(w.routes) < 40 {
		t.Fatalf("the OpenAPI document lists %d routes", len(w.routes))
	}
}

// state is all that requests could have changed, as text: every record that
// root can list, live balances included, but for when something was last used
// and how often it was asked for.
func (w *world) state(t testing.TB) string {
	t.Helper()
	var all strings.Builder
	for _, list := range []string{
		"/api/token/?user_id=" + strconv.FormatInt(w.aliceID, 10), "/api/token/?user_id=" + strconv.FormatInt(w.bobID, 10), "/api/token/", "/api/user/", "/api/user/token",
		"/api/channel/", "/api/group/", "/api/option/", "/api/price/?source=custom",
	} {
		var page struct{ Items []map[string]any }
		if err := json.Unmarshal(w.server.Root.Must(t, "GET", list, nil).Data, &page); err != nil || len(page.Items) == 0 {
			t.Fatalf("%s: %v, %d records", list, err, len(page.Items))
		}
		for _, item := range page.Items {
			if item["username"] == spender {
				continue
			}
			delete(item, "accessed_time")
			delete(item, "request_count")
			delete(item, "health") // which honest requests change, too
			text, err := json.Marshal(item)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = fmt.Fprintf(&all, "%s %s\n", list, text)
		}
	}
	return all.String()
}

// goroutines asks the server how many it has.
func (w *world) goroutines(t testing.TB) int {
	t.Helper()
	for line := range strings.Lines(string(w.get(t, "/metrics", nil).body)) {
		if text, ok := strings.CutPrefix(line, "go_goroutines "); ok {
			n, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("/metrics does not tell go_goroutines")
	return 0
}

// spender is the one user whose records may change.
const spender = "carol"

// slack is how many goroutines more than at the start are no leak: database
// connections that stay open.
const slack = 10

// mustBeQuiet waits until the server has ended what requests had begun.
func (w *world) mustBeQuiet(t testing.TB) {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		w.closeConnections()
		n := w.goroutines(t)
		if n <= w.quiet+slack {
			return
		}
		select {
		case <-again.C:
		case <-deadline.C:
			t.Errorf("the server has %d goroutines and had %d at the start", n, w.quiet)
			return
		}
	}
}

// get asks for a page; only a broken connection ends the test.
func (w *world) get(t testing.TB, path string, header http.Header) answer {
	t.Helper()
	return w.ask(t, "GET", path, header, "")
}

// ask sends a request that is well-formed as HTTP.
func (w *world) ask(t testing.TB, method, path string, header http.Header, body string) answer {
	t.Helper()
	// t's context has ended when its cleanup runs.
	req, err := http.NewRequest(method, w.server.BaseURL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := w.http.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	got, err := readAnswer(resp)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return got
}

// bearer is a header with an API key.
func bearer(key harness.Key) http.Header {
	return http.Header{"Authorization": {"Bearer " + key.Key}, "Content-Type": {"application/json"}}
}

// asRoot is a header with root's token.
func (w *world) asRoot() http.Header {
	return http.Header{"Authorization": {w.server.RootPAT}, "Content-Type": {"application/json"}}
}
