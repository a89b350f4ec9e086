// Package agents_test lets the published command-line agents do a task through
// the real binary: each is told to write a file, calls a tool for it as the
// scripted upstream says, and tells what it did. They get a home of their own
// and no way off the machine: what they try to reach elsewhere meets a proxy
// that refuses and remembers.
package agents_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"halley/test/fakeprovider"
	"halley/test/harness"
)

// upstream is a channel and the one model behind it.
type upstream struct {
	dialect fakeprovider.Dialect
	model   string
	channel harness.Fields
}

func upstreams() []upstream {
	return []upstream{
		{fakeprovider.OpenAIChat, "gpt-5.1", harness.Fields{"kind": "openai"}},
		{fakeprovider.OpenAIResponses, "gpt-5.1-codex", harness.Fields{"kind": "openai", "api": "responses"}},
		{fakeprovider.AnthropicMessages, "claude-sonnet-4-5", harness.Fields{"kind": "anthropic"}},
		{fakeprovider.GoogleGenerate, "gemini-3.1-pro-preview", harness.Fields{"kind": "gemini"}},
	}
}

// agent is a command-line client.
type agent struct {
	name string
	// prepare writes its settings into its home.
	prepare func(t *testing.T, home string, p place)
	command func(p place) []string
	env     func(home string, p place) []string
}

// place is where an agent finds its model.
type place struct {
	url, key, model string
}

const task = "Write the file comet.txt with the one line: It returns in 2061."

func agents() []agent {
	return []agent{
		{
			name:    "claude",
			prepare: func(*testing.T, string, place) {},
			command: func(p place) []string {
				return []string{"-p", task, "--model", p.model, "--allowedTools", "Write", "--permission-mode", "acceptEdits"}
			},
			env: func(home string, p place) []string {
				return []string{
					"ANTHROPIC_BASE_URL=" + p.url, "ANTHROPIC_API_KEY=" + p.key, "ANTHROPIC_SMALL_FAST_MODEL=" + p.model,
					"CLAUDE_CONFIG_DIR=" + filepath.Join(home, ".claude"), "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
				}
			},
		},
		{
			name: "codex",
			prepare: func(t *testing.T, home string, p place) {
				write(t, filepath.Join(home, ".codex", "config.toml"), `
model = "`+p.model+`"
model_provider = "halley"
check_for_update_on_startup = false
[analytics]
enabled = false
[model_providers.halley]
name = "Halley"
base_url = "`+p.url+`/v1"
env_key = "HALLEY_API_KEY"
wire_api = "responses"
`)
			},
			command: func(place) []string {
				return []string{"exec", "--skip-git-repo-check", "--sandbox", "danger-full-access", task}
			},
			env: func(home string, p place) []string {
				return []string{"CODEX_HOME=" + filepath.Join(home, ".codex"), "HALLEY_API_KEY=" + p.key}
			},
		},
		{
			name: "gemini",
			prepare: func(t *testing.T, home string, _ place) {
				write(t, filepath.Join(home, ".gemini", "settings.json"), `{
					"security": {"auth": {"selectedType": "gemini-api-key"}},
					"privacy": {"usageStatisticsEnabled": false},
					"general": {"enableAutoUpdate": false, "disableAutoUpdate": true}
				}`)
			},
			command: func(p place) []string { return []string{"-p", task, "-m", p.model, "--yolo", "--skip-trust"} },
			env: func(_ string, p place) []string {
				return []string{"GOOGLE_GEMINI_BASE_URL=" + p.url, "GEMINI_API_KEY=" + p.key}
			},
		},
	}
}

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// Claude Code asks so whether there is anybody, before it asks anything else.
func TestTheProbeOfClaudeCodeIsAnswered(t *testing.T) {
	t.Parallel()
	halley := harness.Start(t, harness.Options{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, halley.BaseURL+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("HEAD / is %s", resp.Status)
	}
}

func TestAgentsDoATaskWithEveryUpstream(t *testing.T) {
	t.Parallel()
	harness.NPM(t, ".")
	halley := harness.Start(t, harness.Options{})
	server := fakeprovider.Start(t)
	endpoints := map[fakeprovider.Dialect]*fakeprovider.Endpoint{}
	for _, u := range upstreams() {
		e := server.Queue(fakeprovider.Speak(u.dialect, writeTheFile))
		endpoints[u.dialect] = e
		base := e.BaseURL
		if u.dialect == fakeprovider.GoogleGenerate { // whose base URL has no version
			base = strings.TrimSuffix(base, "/v1")
		}
		body := harness.Fields{"name": u.model, "base_url": base, "models": []string{u.model}, "keys": []string{"upstream-key-for-agents"}}
		for k, v := range u.channel {
			body[k] = v
		}
		halley.Root.CreateChannel(t, body)
		halley.Root.PutPrice(t, u.model, harness.Fields{"input": 1, "output": 2, "max_output_tokens": 64000})
	}
	key := halley.Root.CreateKey(t, harness.Fields{"name": "agents", "remain_quota": 500_000_000}).Key

	for _, a := range agents() {
		t.Run(a.name, func(t *testing.T) {
			for _, u := range upstreams() {
				t.Run(string(u.dialect), func(t *testing.T) {
					home, work := t.TempDir(), t.TempDir()
					p := place{halley.BaseURL, key, u.model}
					a.prepare(t, home, p)
					before := len(endpoints[u.dialect].Received())
					out := a.run(t, home, work, p)
					got, err := os.ReadFile(filepath.Join(work, "comet.txt"))
					if err != nil || strings.TrimSpace(string(got)) != "It returns in 2061." {
						t.Errorf("comet.txt is %q (%v)", got, err)
					}
					if !strings.Contains(out, done) {
						t.Errorf("the agent does not tell what the model said")
					}
					if t.Failed() {
						t.Log(out)
						for _, r := range endpoints[u.dialect].Received()[before:] {
							t.Logf("%s %s %.3000s", r.Method, r.Path, r.Body)
						}
					}
				})
			}
		})
	}
}

// done is what the model says in the end.
const done = "The file is written, and the comet comes back."

// writeTheFile is the script: the model calls whatever tool the agent has for
// writing a file, once, and is done when it has the result.
func writeTheFile(a fakeprovider.Asked) fakeprovider.Reply {
	if len(a.Results) > 0 {
		return fakeprovider.Reply{Text: done}
	}
	arguments := func(v map[string]any) string {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err) // texts always marshal
		}
		return string(text)
	}
	const line, shell = "It returns in 2061.\n", "echo 'It returns in 2061.' > comet.txt"
	for name, v := range map[string]map[string]any{
		"Write":         {"file_path": "comet.txt", "content": line},
		"write_file":    {"file_path": "comet.txt", "content": line},
		"exec_command":  {"cmd": shell},
		"shell_command": {"command": shell},
		"shell":         {"command": []string{"sh", "-c", shell}},
	} {
		if _, offered := a.Tools[name]; offered {
			call := fakeprovider.ToolCall{ID: "call_1", Name: name, Arguments: arguments(v)}
			r := fakeprovider.Reply{Calls: []fakeprovider.ToolCall{call}}
			if a.Dialect == fakeprovider.GoogleGenerate {
				r.Calls[0].ID, r.Signature = "", fakeprovider.ScriptSignature(a.Dialect)
			}
			return r
		}
	}
	return fakeprovider.Reply{Text: "A comet."} // a title, or whatever else an agent asks on the side
}

// run runs the agent and gives what it prints.
func (a agent) run(t *testing.T, home, work string, p place) string {
	t.Helper()
	beyond := refuse(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	program, err := filepath.Abs(filepath.Join("node_modules", ".bin", a.name))
	// Claude Code's own file is put in its place by a script of its package; those are not run.
	native, _ := filepath.Glob(filepath.Join("node_modules", "@anthropic-ai", "claude-code-linux-*", a.name))
	if err == nil && len(native) > 0 {
		program, err = filepath.Abs(native[0])
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, program, a.command(p)...)
	cmd.Dir = work
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LANG=C.UTF-8", "TERM=dumb",
		"HTTP_PROXY=" + beyond.url, "HTTPS_PROXY=" + beyond.url, "http_proxy=" + beyond.url, "https_proxy=" + beyond.url,
		"NO_PROXY=127.0.0.1,localhost", "no_proxy=127.0.0.1,localhost",
	}, a.env(home, p)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v", a.name, err)
	}
	if hosts := beyond.asked(); len(hosts) > 0 {
		t.Logf("%s tried to reach %s", a.name, strings.Join(hosts, ", "))
	}
	return string(out)
}

// beyond is a proxy that lets nothing through.
type beyond struct {
	url   string
	mu    sync.Mutex
	hosts []string
}

func refuse(t *testing.T) *beyond {
	t.Helper()
	b := &beyond{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.hosts = append(b.hosts, r.Host)
		b.mu.Unlock()
		http.Error(w, "There is no way off this machine.", http.StatusForbidden)
	}))
	t.Cleanup(s.Close)
	b.url = s.URL
	return b
}

func (b *beyond) asked() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	slices.Sort(b.hosts)
	return slices.Compact(b.hosts)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
