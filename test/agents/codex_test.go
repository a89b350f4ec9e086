package agents_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"halley/test/fakeprovider"
	"halley/test/harness"
)

// step is one call of a script, by the name of the tool in its namespace.
type step struct{ namespace, tool, arguments string }

const patch = "*** Begin Patch\n*** Add File: comet.txt\n+It returns in 2061.\n*** End Patch\n"

// codexScripts are what a model does with the tools that Codex has for it, which
// it knows by the beginning of its name: a search for tools that the client runs,
// one of the namespace that was found, and a patch in free text; and with the
// newest, a program in free text and a function, both in namespaces that stand in
// the input.
func codexScripts() map[string][]step {
	return map[string][]step{
		"gpt-5.5": {
			{"", "tool_search", `{"query": "close agent"}`},
			{"multi_agent_v1", "close_agent", `{"target": "nobody"}`},
			{"", "apply_patch", patch},
		},
		"gpt-6-sol": {
			{"functions", "exec", "const patch = " + quote(patch) + ";\ntext(await tools.apply_patch(patch));\n"},
			{"collaboration", "list_agents", `{}`},
		},
	}
}

func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // texts always marshal
	}
	return string(text)
}

// name is what the upstream knows the step's tool by.
func (s step) name(d fakeprovider.Dialect) string {
	switch {
	case s.namespace == "":
		return s.tool
	case d == fakeprovider.OpenAIResponses:
		return s.namespace + "/" + s.tool
	case s.namespace == "functions":
		return s.tool
	}
	return s.namespace + "__" + s.tool
}

// reply calls the tool, in the words of an upstream that knows functions only
// where it is not Codex's own dialect.
func (s step) reply(a fakeprovider.Asked, id string) fakeprovider.Reply {
	call := fakeprovider.ToolCall{ID: id, Name: s.name(a.Dialect), Arguments: s.arguments}
	if a.Dialect != fakeprovider.OpenAIResponses && !json.Valid([]byte(s.arguments)) {
		call.Arguments = `{"input": ` + quote(s.arguments) + `}`
	}
	r := fakeprovider.Reply{Calls: []fakeprovider.ToolCall{call}}
	if a.Dialect == fakeprovider.GoogleGenerate {
		r.Calls[0].ID, r.Signature = "", fakeprovider.ScriptSignature(a.Dialect)
	}
	return r
}

// codexModel is what an upstream's model is called, so that Codex takes it for
// one that it knows.
func codexModel(knows string, d fakeprovider.Dialect) string {
	return knows + "-at-" + strings.NewReplacer(".", "-", "/", "-").Replace(string(d))
}

func TestCodexUsesEveryKindOfItsToolsWithEveryUpstream(t *testing.T) {
	t.Parallel()
	harness.NPM(t, ".")
	codex := agents()[slices.IndexFunc(agents(), func(a agent) bool { return a.name == "codex" })]
	halley := harness.Start(t, harness.Options{})
	server := fakeprovider.Start(t)
	key := halley.Root.CreateKey(t, harness.Fields{"name": "codex", "remain_quota": 500_000_000}).Key
	upstreamModels := map[fakeprovider.Dialect]string{
		fakeprovider.OpenAIChat: "qwen3-coder", fakeprovider.OpenAIResponses: "gpt-5.5",
		fakeprovider.AnthropicMessages: "claude-sonnet-4-5", fakeprovider.GoogleGenerate: "gemini-3.1-pro-preview",
	}
	for _, u := range upstreams() {
		for knows, script := range codexScripts() {
			model := codexModel(knows, u.dialect)
			endpoint := server.Queue(fakeprovider.Speak(u.dialect, func(a fakeprovider.Asked) fakeprovider.Reply {
				n := len(a.Results)
				if n == len(script) {
					return fakeprovider.Reply{Text: done}
				}
				if _, offered := a.Tools[script[n].name(a.Dialect)]; !offered {
					return fakeprovider.Reply{Text: "There is no tool " + script[n].name(a.Dialect) + "."}
				}
				return script[n].reply(a, "call_"+string(rune('1'+n)))
			}))
			base := endpoint.BaseURL
			if u.dialect == fakeprovider.GoogleGenerate {
				base = strings.TrimSuffix(base, "/v1")
			}
			body := harness.Fields{
				"name": model, "base_url": base, "models": []string{model}, "keys": []string{"upstream-key-for-codex"},
				"model_mapping": map[string]string{model: upstreamModels[u.dialect]},
			}
			for k, v := range u.channel {
				body[k] = v
			}
			halley.Root.CreateChannel(t, body)
			halley.Root.PutPrice(t, model, harness.Fields{"input": 1, "output": 2, "max_output_tokens": 64000})
			t.Run(model, func(t *testing.T) {
				home, work := t.TempDir(), t.TempDir()
				p := place{halley.BaseURL, key, model}
				codex.prepare(t, home, p)
				out := codex.run(t, home, work, p)
				got, err := os.ReadFile(filepath.Join(work, "comet.txt"))
				if err != nil || string(got) != "It returns in 2061.\n" {
					t.Errorf("comet.txt is %q (%v)", got, err)
				}
				if !strings.Contains(out, done) {
					t.Errorf("the agent does not tell what the model said")
				}
				received := endpoint.Received()
				if len(received) != len(script)+1 {
					t.Errorf("%d requests, want %d", len(received), len(script)+1)
				} else if last := string(received[len(received)-1].Body); strings.Contains(last, "unsupported call") || strings.Contains(last, "unsupported custom") {
					t.Errorf("the agent does not know a tool that it was told to call")
				}
				if t.Failed() {
					t.Log(out)
					for _, r := range received {
						t.Logf("%s %s %.3000s", r.Method, r.Path, r.Body)
					}
				}
			})
		}
	}
}
