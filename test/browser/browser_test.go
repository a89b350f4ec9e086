// Package browser_test opens the console in Chromium, as the real binary serves
// it. The stories are in JavaScript beside this file; here the server is started
// and filled. With HALLEY_SCREENSHOTS every screen is kept there as a picture.
package browser_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"halley/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

func TestStories(t *testing.T) {
	t.Parallel()
	tell(t, "keys.test.mjs")
}

func TestAccount(t *testing.T) {
	t.Parallel()
	tell(t, "account.test.mjs")
}

func TestOperators(t *testing.T) {
	t.Parallel()
	tellIn(t, operators, "operators.test.mjs")
}

func TestAdministration(t *testing.T) {
	t.Parallel()
	tellIn(t, operators, "administration.test.mjs")
}

func TestAccess(t *testing.T) {
	t.Parallel()
	tellIn(t, access, "access.test.mjs")
}

func TestSpending(t *testing.T) {
	t.Parallel()
	tellIn(t, spending, "spending.test.mjs")
}

func TestIdentityProviders(t *testing.T) {
	t.Parallel()
	tellIn(t, identities, "oidc.test.mjs")
}

func TestFamily(t *testing.T) {
	t.Parallel()
	tell(t, "family.test.mjs")
}

func TestEveryScreen(t *testing.T) {
	t.Parallel()
	tellIn(t, used, "screens.test.mjs")
}

func TestStates(t *testing.T) {
	t.Parallel()
	tellIn(t, used, "states.test.mjs")
}

func TestEmptyScreens(t *testing.T) {
	t.Parallel()
	chromium := needs(t)
	s := harness.Launch(t, harness.Options{})
	if !built(t, s.BaseURL) {
		harness.LeaveOut(t, "the binary is without the console: make web")
	}
	run(t, "empty.test.mjs", s, chromium)
}

// tell runs a file of stories against a server of its own.
func tell(t *testing.T, file string) {
	t.Helper()
	chromium := needs(t)
	s := harness.Start(t, harness.Options{})
	if !built(t, s.BaseURL) {
		harness.LeaveOut(t, "the binary is without the console: make web")
	}
	fill(t, s)
	run(t, file, s, chromium)
}

// needs gets what a story is told with, or leaves the test out; it gives the
// path of Chromium.
func needs(t *testing.T) string {
	t.Helper()
	harness.NPM(t, ".")
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		harness.LeaveOut(t, "no Chromium: %v", err)
	}
	return chromium
}

// run runs a file of stories against a server. Extra is added to its environment.
func run(t *testing.T, file string, s *harness.Server, chromium string, extra ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", "--test", "--test-timeout=600000", file)
	cmd.Env = append(os.Environ(), "HALLEY_BASE_URL="+named(s), "HALLEY_PASSWORD="+harness.Password, "HALLEY_CHROMIUM="+chromium)
	cmd.Env = append(cmd.Env, extra...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("node --test %s: %v\n%s", file, err, out)
	}
	t.Logf("%s", out)
}

// named is the server's address with a name: browsers keep passkeys for names, not
// for addresses.
func named(s *harness.Server) string {
	return strings.Replace(s.BaseURL, "127.0.0.1", "localhost", 1)
}

// built reports whether the server has the console.
func built(t *testing.T, base string) bool {
	t.Helper()
	resp, err := http.Get(base)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(page), `<script type="module"`)
}

// fill makes what the screens show: a channel, keys in many states, and some
// requests.
func fill(t *testing.T, s *harness.Server) {
	t.Helper()
	s.Root.CreateChannel(t, harness.Fields{"name": "demo", "kind": "demo", "models": []string{"demo-echo", "demo-500", "demo-embed"}})
	first := s.Root.CreateKey(t, harness.Fields{
		"name": "Search backend", "remain_quota": 2_500_000, "model_limits_enabled": true, "model_limits": "demo-*", "allow_ips": "127.0.0.0/8\n::1",
		"limits": harness.Fields{
			"rpm": 600, "tpm": 2_000_000, "endpoints": []string{"chat", "messages"},
			"budgets": []harness.Fields{{"amount": 50_000, "period": "day"}, {"amount": 1_000_000, "period": "month"}},
		},
	})
	for i := range 30 {
		key := harness.Fields{"name": fmt.Sprintf("Seeded %d", i), "remain_quota": 250_000 * (i + 1), "unlimited_quota": i%7 == 3}
		switch i {
		case 2:
			key["remain_quota"] = 0
		case 4:
			key["model_limits_enabled"], key["model_limits"] = true, "demo-echo,gpt-5*,claude-opus-*"
		}
		made := s.Root.CreateKey(t, key)
		if i == 3 || i == 9 {
			s.Root.UpdateKey(t, made.ID, harness.Fields{"status": 2})
		}
	}
	s.Root.Must(t, http.MethodPost, fmt.Sprintf("/api/token/%d/children", first.ID), harness.Fields{"name": "Tenant 4711", "remain_quota": 200_000})
	noor := s.Root.CreateUser(t, harness.Fields{"username": "noor", "password": harness.Password, "quota": 1_000_000})
	s.Root.CreateKey(t, harness.Fields{"name": "Notebook", "user_id": noor.ID, "remain_quota": 250_000})
	for i := range 24 {
		model := "demo-echo"
		if i%8 == 7 {
			model = "demo-nothing"
		}
		ask(t, s, first.Key, model)
	}
}

// ask makes a model request, whatever comes of it.
func ask(t *testing.T, s *harness.Server, key, model string) {
	t.Helper()
	send(t, s, key, fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"Tell me about comets."}]}`, model))
}

// send makes a chat request with a body.
func send(t *testing.T, s *harness.Server, key, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.BaseURL+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}
