// Package openaigo_test runs the official openai-go SDK against a started
// Halley. It is a module of its own so that provider SDKs never enter Halley's.
// The driver, test/sdk/sdk_test.go, starts the server and sets the environment.
package openaigo_test

import (
	"os"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// The script behind the server: test/fakeprovider/script.go.
const (
	chatModel     = "script-chat"
	toolsModel    = "script-tools"
	embedModel    = "script-embed"
	foreverModel  = "script-forever"
	unpricedModel = "script-unpriced" // a channel lists it, no price
	offlineModel  = "script-offline"  // only a disabled channel lists it
	errorModel    = "script-error-"   // and a status

	text             = "Halley’s comet returns in 2061 – voilà ☄️ 🇩🇪."
	promptTokens     = 19
	cachedTokens     = 4
	completionTokens = 23
	reasoningTokens  = 5
)

type call struct{ ID, Name, Arguments string }

func calls() []call {
	return []call{
		{"call_A1b2-C3_d4.e5", "get_weather", `{"city": "Zürich",  "unit":"\u00b0C", "n": 12345678901234567890}`},
		{"call_f6", "get_time", `{"zone":"Europe/Zurich","exact":1.10}`},
	}
}

// env is a variable that the driver sets; HALLEY_BASE_URL ends in /v1.
func env(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: run this suite through go test ./test/sdk", name)
	}
	return value
}

// client is a client without retries, so that an error case is one request.
func client(t *testing.T, keyVariable string) openai.Client {
	t.Helper()
	return clientWith(t, env(t, keyVariable))
}

func clientWith(t *testing.T, key string) openai.Client {
	t.Helper()
	return openai.NewClient(option.WithBaseURL(env(t, "HALLEY_BASE_URL")), option.WithAPIKey(key), option.WithMaxRetries(0))
}

// question is a chat request for a model.
func question(model string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model:    model,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("When does it come back?")},
	}
}

// withTools offers the tools that the script calls.
func withTools(p openai.ChatCompletionNewParams) openai.ChatCompletionNewParams {
	for _, c := range calls() {
		p.Tools = append(p.Tools, openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{
			Name:       c.Name,
			Parameters: openai.FunctionParameters{"type": "object", "properties": map[string]any{}},
		}))
	}
	return p
}
