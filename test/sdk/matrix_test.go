package sdk_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"halley/test/fakeprovider"
	"halley/test/harness"
)

var update = flag.Bool("update", false, "write docs/sdks.md")

// translated are the dialects that Halley translates between. A client of one
// that is missing has only upstreams of its own dialect; the table shows the
// others as "not yet".
func translated() []fakeprovider.Dialect {
	return []fakeprovider.Dialect{fakeprovider.OpenAIChat, fakeprovider.OpenAIResponses, fakeprovider.AnthropicMessages, fakeprovider.GoogleGenerate}
}

// upstream is a kind of channel in the matrix. Its model has a name that SDKs
// take for one of the dialect's own: they ask for what they know it can do.
type upstream struct {
	dialect fakeprovider.Dialect
	title   string
	model   string
	channel harness.Fields // nil: there is no such channel yet
}

func upstreams() []upstream {
	return []upstream{
		{fakeprovider.OpenAIChat, "OpenAI Chat", "gpt-5.1", harness.Fields{"kind": "openai"}},
		{fakeprovider.OpenAIResponses, "OpenAI Responses", "gpt-5.1-codex", harness.Fields{"kind": "openai", "api": "responses"}},
		{fakeprovider.AnthropicMessages, "Anthropic Messages", "claude-sonnet-4-5", harness.Fields{"kind": "anthropic"}},
		{fakeprovider.GoogleGenerate, "Gemini", "gemini-3-pro-preview", harness.Fields{"kind": "gemini"}},
	}
}

// sdkClient is an SDK at one of its endpoints: a row of the matrix.
type sdkClient struct {
	name    string // as its suite calls it
	dialect fakeprovider.Dialect
}

func sdkClients() []sdkClient {
	return []sdkClient{
		{"openai, chat", fakeprovider.OpenAIChat},
		{"openai-go, chat", fakeprovider.OpenAIChat},
		{"ai with @ai-sdk/openai, chat", fakeprovider.OpenAIChat},
		{"openai, responses", fakeprovider.OpenAIResponses},
		{"openai-go, responses", fakeprovider.OpenAIResponses},
		{"ai with @ai-sdk/openai, responses", fakeprovider.OpenAIResponses},
		{"@anthropic-ai/sdk", fakeprovider.AnthropicMessages},
		{"anthropic-sdk-go", fakeprovider.AnthropicMessages},
		{"ai with @ai-sdk/anthropic", fakeprovider.AnthropicMessages},
		{"@google/genai", fakeprovider.GoogleGenerate},
		{"google.golang.org/genai", fakeprovider.GoogleGenerate},
		{"ai with @ai-sdk/google", fakeprovider.GoogleGenerate},
	}
}

// features are the columns, in the order in which the suites go through them.
func features() []string {
	return []string{"text", "stream", "tools", "image", "json", "thinking", "abort", "broken", "errors"}
}

// exceptions are what does not work, with the reason; the page tells them.
func exceptions() map[trial]string {
	return map[trial]string{
		{"ai with @ai-sdk/google", fakeprovider.GoogleGenerate, "broken"}: "Google writes an error in mid-stream outside of any event, and such bytes pass unchanged. " +
			"The AI SDK reads events alone and takes the stream for whole, here as at Google's own address.",
	}
}

// trial is one thing that was tried: a cell of the matrix.
type trial struct {
	Client   string
	Upstream fakeprovider.Dialect
	Feature  string
}

// TestEverySDKWithEveryUpstream holds what the suites tried against what must
// work, and docs/sdks.md against both.
func TestEverySDKWithEveryUpstream(t *testing.T) {
	t.Parallel()
	m := startMatrix(t)
	outcomes, versions := map[trial]string{}, map[string]string{}
	for _, suite := range []func(*testing.T, []string) string{nodeMatrix, goMatrix} {
		for line := range bytes.Lines([]byte(suite(t, m.environment()))) {
			var o struct {
				trial
				Version, Failed string
			}
			if err := json.Unmarshal(line, &o); err != nil {
				continue // what else the programs print
			}
			outcomes[o.trial], versions[o.Client] = o.Failed, o.Version
		}
	}
	for _, c := range sdkClients() {
		for _, u := range upstreams() {
			if !served(c, u) {
				continue
			}
			t.Run(c.name+" with "+u.title, func(t *testing.T) {
				for _, f := range features() {
					at := trial{c.name, u.dialect, f}
					failed, tried := outcomes[at]
					delete(outcomes, at)
					switch reason := exceptions()[at]; {
					case !tried:
						t.Errorf("%s: was not tried", f)
					case failed != "" && reason == "":
						t.Errorf("%s: %s", f, failed)
					case failed == "" && reason != "":
						t.Errorf("%s: works, although %s", f, reason)
					}
				}
			})
		}
	}
	for at := range outcomes {
		t.Errorf("%+v was tried and is not in the table", at)
	}
	t.Run("left streams free the upstream", func(t *testing.T) { m.checkLeft(t) })
	t.Run("docs/sdks.md says so", func(t *testing.T) { keepPage(t, versions) })
}

// served is whether the client can have the upstream.
func served(c sdkClient, u upstream) bool {
	if u.channel == nil {
		return false
	}
	return c.dialect == u.dialect || slices.Contains(translated(), c.dialect) && slices.Contains(translated(), u.dialect)
}

// matrix is a started server with an upstream of each dialect.
type matrix struct {
	scene
	endpoints []*fakeprovider.Endpoint
}

func startMatrix(t *testing.T) *matrix {
	t.Helper()
	m := &matrix{scene: scene{halley: harness.Start(t, harness.Options{})}}
	m.env = map[string]string{"HALLEY_ROOT_URL": m.halley.BaseURL}
	server, models := fakeprovider.Start(t), map[fakeprovider.Dialect]string{}
	root := m.halley.Root
	for _, u := range upstreams() {
		if u.channel == nil {
			continue
		}
		models[u.dialect] = u.model
		e := server.Queue(fakeprovider.Speak(u.dialect, fakeprovider.Questions))
		m.endpoints = append(m.endpoints, e)
		base := e.BaseURL
		if u.dialect == fakeprovider.GoogleGenerate { // whose base URL has no version
			base = strings.TrimSuffix(base, "/v1")
		}
		// A model that fails has a channel of its own, so that no other suffers.
		offered := []string{u.model}
		for _, status := range []int{400, 401, 429, 500, 503} {
			offered = append(offered, string(u.dialect)+"-error-"+strconv.Itoa(status))
		}
		for _, model := range offered {
			body := harness.Fields{"name": model, "base_url": base, "models": []string{model}, "keys": []string{upstreamKey}}
			maps.Copy(body, u.channel)
			root.CreateChannel(t, body)
			root.PutPrice(t, model, harness.Fields{"input": 1, "output": 2, "max_output_tokens": 32000})
		}
	}
	m.makeKeys(t)
	asJSON, err := json.Marshal(models)
	if err != nil {
		t.Fatal(err)
	}
	m.env["HALLEY_UPSTREAMS"] = string(asJSON)
	var names []string
	for _, d := range translated() {
		names = append(names, string(d))
	}
	m.env["HALLEY_TRANSLATED"] = strings.Join(names, ",")
	return m
}

// checkLeft sees to it that no upstream goes on for a client that has left.
func (m *matrix) checkLeft(t *testing.T) {
	for _, e := range m.endpoints {
		left := 0
		for _, got := range e.Received() {
			if !bytes.Contains(got.Body, []byte("[forever]")) {
				continue
			}
			left++
			if _, gone := got.Gone(); !gone {
				t.Error("the upstream streamed on although the client had left")
			}
		}
		if left == 0 {
			t.Error("no client left a stream")
		}
	}
}

func nodeMatrix(t *testing.T, env []string) string {
	harness.NPM(t, "node")
	out, err := command(t, "node", env, "node", "matrix/run.js")
	if err != nil {
		t.Fatalf("node matrix/run.js: %v\n%s", err, out)
	}
	return out
}

func goMatrix(t *testing.T, env []string) string {
	download(t)
	out, err := command(t, "go", env, "go", "run", "./matrix")
	if err != nil {
		t.Fatalf("go run ./matrix: %v\n%s", err, out)
	}
	return out
}

const page = "../../docs/sdks.md"

// keepPage holds the page against what was found, or writes it.
func keepPage(t *testing.T, versions map[string]string) {
	var b strings.Builder
	b.WriteString(pageHead)
	for _, u := range upstreams() {
		var why []string
		fmt.Fprintf(&b, "\n## %s upstream\n\n| client | %s |\n|%s\n", u.title, strings.Join(features(), " | "), strings.Repeat(" --- |", len(features())+1))
		for _, c := range sdkClients() {
			fmt.Fprintf(&b, "| %s %s |", c.name, versions[c.name])
			for _, f := range features() {
				mark := "✓"
				if !served(c, u) {
					mark = "not yet"
				} else if reason := exceptions()[trial{c.name, u.dialect, f}]; reason != "" {
					mark = "**no**"
					why = append(why, "\n**"+c.name+"**, "+f+": "+reason+"\n")
				}
				b.WriteString(" " + mark + " |")
			}
			b.WriteString("\n")
		}
		b.WriteString(strings.Join(why, ""))
	}
	t.Log("\n" + b.String())
	if *update {
		if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	kept, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(kept) != b.String() {
		t.Errorf("docs/sdks.md is not what was found: go test ./test/sdk -update")
	}
}

const pageHead = `# Official SDKs

Which official SDK does what with which upstream, through Halley: written by ` + "`go test ./test/sdk -update`" + ` and held against every run.
The upstreams are stand-ins (` + "`test/fakeprovider`" + `) that look at each request and answer only when it came over whole. Node's packages are the
last that run on Node 20.

| column | what the client does, plain and streamed |
| --- | --- |
| text | asks, and gets the text, the reason it ended and the usage in its own dialect's terms |
| stream | the same, through the SDK's own way to put a stream together |
| tools | two calls in one turn; both results go back, with ids and signatures that the upstream accepts |
| image | shows a PNG inline |
| json | structured output by a JSON schema |
| thinking | has the model think, sees the thoughts where the SDK shows them, and carries their proof back to who made it (Gemini's on plain text, which it does not ask for, stays behind in other dialects; the proofs of its calls are part of "tools") |
| abort | leaves a stream that has no end; the upstream is left, too |
| broken | the upstream's error in mid-stream becomes the SDK's, after the text that came before it |
| errors | upstream errors 400, 401 (ours, so 502), 429, 500, 503, and Halley's own 401, 402, 403 and 404 are the SDK's own classes with the words kept |
`
