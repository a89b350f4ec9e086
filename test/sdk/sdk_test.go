// Package sdk_test drives the official SDKs against the real binary: npm
// packages in node/ and Go modules in go/. It starts the server, puts scripted
// upstreams behind it, makes a key in every state, and runs the suites with that
// in their environment. What the suites check is in their own folders; what only
// the upstream and the operator can see is checked here. OpenAI's SDKs are looked
// at in depth (sdk_test.go); every SDK meets every upstream in matrix_test.go.
package sdk_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"halley/test/fakeprovider"
	"halley/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

func TestOfficialSDKs(t *testing.T) {
	t.Parallel()
	s := start(t)
	suites := []struct {
		name string
		run  func(*testing.T, []string)
	}{
		{"openai for Node", runNode},
		{"openai-go", runGo},
	}
	for _, suite := range suites {
		t.Run(suite.name, func(t *testing.T) { suite.run(t, s.environment()) })
	}

	t.Run("left streams free the upstream and are charged as left", func(t *testing.T) {
		left := s.forever.Received()
		for _, got := range left {
			if _, gone := got.Gone(); !gone {
				t.Error("the upstream streamed on although the client had left")
			}
		}
		if len(left) == 0 {
			return // no suite was run
		}
		rows := s.halley.Root.Logs(t, "model="+fakeprovider.ScriptForever, len(left))
		if len(rows) != len(left) {
			t.Errorf("%d usage records of %d left streams", len(rows), len(left))
		}
		for _, row := range rows {
			if row.Status != 499 || !row.Stream || row.UsageSource != "metered" || row.CompletionTokens == 0 {
				t.Errorf("usage record of a left stream: %+v", row)
			}
		}
	})
	t.Run("the upstream never sees a key of ours and is always asked for usage", func(t *testing.T) {
		for _, got := range slices.Concat(s.script.Received(), s.forever.Received()) {
			if auth := got.Header.Get("Authorization"); auth != "Bearer "+upstreamKey {
				t.Errorf("upstream credential %q", auth)
			}
			for name, value := range s.env {
				if strings.HasPrefix(value, "sk-") && strings.Contains(strings.Join(slices.Concat(slices.Collect(maps.Values(got.Header))...), "\n"), value) {
					t.Errorf("%s was sent upstream", name)
				}
			}
			var body struct {
				Stream        bool
				StreamOptions struct {
					IncludeUsage bool `json:"include_usage"`
				} `json:"stream_options"`
			}
			if err := json.Unmarshal(got.Body, &body); err != nil || body.Stream != body.StreamOptions.IncludeUsage {
				t.Errorf("upstream request %s (%v)", got.Body, err)
			}
		}
	})
}

const upstreamKey = "upstream-key-for-sdk-suites"

// scene is a started server with a scripted upstream and keys in every state.
type scene struct {
	halley  *harness.Server
	script  *fakeprovider.Endpoint
	forever *fakeprovider.Endpoint
	env     map[string]string
}

func start(t *testing.T) *scene {
	t.Helper()
	upstream := fakeprovider.Start(t)
	s := &scene{
		halley:  harness.Start(t, harness.Options{}),
		script:  upstream.Queue(fakeprovider.Script()),
		forever: upstream.Queue(fakeprovider.Script()),
	}
	s.env = map[string]string{"HALLEY_BASE_URL": s.halley.BaseURL + "/v1"}
	s.makeChannels(t)
	s.makeKeys(t)
	return s
}

// makeChannels offers the script's models. Models that fail have a channel
// each, so that no other suffers for them.
func (s *scene) makeChannels(t *testing.T) {
	root := s.halley.Root
	channel := func(name, baseURL string, f harness.Fields, models ...string) {
		body := harness.Fields{"name": name, "base_url": baseURL, "models": models, "keys": []string{upstreamKey}}
		maps.Copy(body, f)
		root.CreateChannel(t, body)
	}
	good := []string{fakeprovider.ScriptChat, fakeprovider.ScriptTools, fakeprovider.ScriptEmbed}
	channel("script", s.script.BaseURL, nil, append(good, "script-unpriced")...)
	channel("forever", s.forever.BaseURL, nil, fakeprovider.ScriptForever)
	channel("offline", s.script.BaseURL, harness.Fields{"status": 2}, "script-offline")
	priced := append(good, fakeprovider.ScriptForever, "script-offline")
	for _, status := range []int{400, 401, 402, 404, 409, 422, 429, 500, 503} {
		model := fakeprovider.ScriptError + strconv.Itoa(status)
		channel("error "+strconv.Itoa(status), s.script.BaseURL, nil, model)
		priced = append(priced, model)
	}
	for _, model := range priced {
		root.PutPrice(t, model, harness.Fields{"input": 1, "output": 2, "max_output_tokens": 4096})
	}
}

// makeKeys makes one good key and one for every reason to be refused.
func (s *scene) makeKeys(t *testing.T) {
	root := s.halley.Root
	key := func(variable string, c *harness.Client, f harness.Fields) harness.Key {
		body := harness.Fields{"name": strings.ToLower(variable), "remain_quota": 50_000_000}
		maps.Copy(body, f)
		k := c.CreateKey(t, body)
		s.env[variable] = k.Key
		return k
	}
	key("HALLEY_API_KEY", root, nil)
	root.UpdateKey(t, key("HALLEY_KEY_DISABLED", root, nil).ID, harness.Fields{"status": 2})
	root.UpdateKey(t, key("HALLEY_KEY_EXPIRED", root, nil).ID, harness.Fields{"expired_time": time.Now().Add(-time.Hour).Unix()})
	key("HALLEY_KEY_EXHAUSTED", root, harness.Fields{"remain_quota": 0})
	key("HALLEY_KEY_MODEL_LIMITED", root, harness.Fields{"model_limits_enabled": true, "model_limits": fakeprovider.ScriptTools})
	key("HALLEY_KEY_IP_LIMITED", root, harness.Fields{"allow_ips": "203.0.113.7"})

	_, poor := s.halley.NewUser(t, harness.Fields{"username": "poor", "quota": 0})
	key("HALLEY_KEY_OWNER_POOR", poor, harness.Fields{"unlimited_quota": true})
	fired, client := s.halley.NewUser(t, harness.Fields{"username": "fired", "quota": 1000})
	key("HALLEY_KEY_OWNER_DISABLED", client, nil)
	root.PatchUser(t, fired.ID, harness.Fields{"status": 2})
}

// environment is the suites' environment.
func (s *scene) environment() []string {
	env := os.Environ()
	for name, value := range s.env {
		env = append(env, name+"="+value)
	}
	return env
}

func runNode(t *testing.T, env []string) {
	harness.NPM(t, "node")
	out, err := command(t, "node", env, "node", "--test")
	if err != nil {
		t.Fatalf("node --test: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}

func download(t *testing.T) {
	t.Helper()
	if out, err := command(t, "go", nil, "go", "mod", "download"); err != nil {
		harness.LeaveOut(t, "go mod download: %v\n%s", err, out)
	}
}

func runGo(t *testing.T, env []string) {
	download(t)
	// -count=1: the answers come from a server that the test cache cannot see.
	out, err := command(t, "go", env, "go", "test", "-count=1", "./...")
	if err != nil {
		t.Fatalf("go test: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// command runs a program in a folder until it ends or the test does.
func command(t *testing.T, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	return string(out), err
}
