package exchange_test

import (
	"slices"
	"strings"
	"testing"

	"halley/internal/exchange"
	"halley/internal/fault"
	"halley/internal/translate"
	"halley/internal/translate/chat"
	"halley/internal/translate/converse"
	"halley/internal/translate/gemini"
	"halley/internal/translate/messages"
	"halley/internal/translate/responses"
	"halley/internal/wire"
)

func TestAWebSearchKeepsItsBoundsOrIsLeftOut(t *testing.T) {
	t.Parallel()
	const (
		claude = `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],"tools":[{"name":"f","input_schema":{"type":"object"}},{"type":"web_search_20260209","name":"web_search","max_uses":3,"user_location":{"type":"approximate","city":"Bern"}}]}`
		openai = `{"model":"m","input":"Hi","max_tool_calls":2,"tools":[{"type":"function","name":"f","parameters":{}},{"type":"web_search","search_context_size":"low","user_location":{"type":"approximate","city":"Bern"}}]}`
		fenced = `{"model":"m","input":"Hi","tools":[{"type":"function","name":"f","parameters":{}},{"type":"web_search","filters":{"allowed_domains":["a.org"]}}]}`
		alone  = `{"model":"m","input":"Hi","tools":[{"type":"web_search"}]}`
		forced = `{"model":"m","input":"Hi","tool_choice":{"type":"web_search"},"tools":[{"type":"function","name":"f","parameters":{}},{"type":"web_search"}]}`
	)
	for name, c := range map[string]struct {
		client   translate.Client
		ask      string
		upstream translate.Upstream
		model    string
		want     string // in the body; "" for none
		told     []string
		refused  string // the field
	}{
		"uses become calls":            {messages.Codec{}, claude, responses.Codec{}, "gpt-5.5", `{"type":"web_search","user_location":{"type":"approximate","city":"Bern"}}],"max_tool_calls":3`, nil, ""},
		"calls become uses":            {responses.Codec{}, openai, messages.Codec{}, "claude-sonnet-4-5", `{"type":"web_search_20250305","name":"web_search","max_uses":2,"user_location":{"type":"approximate","city":"Bern"}}`, []string{"tools.search_context_size"}, ""},
		"at a Chat model for it":       {responses.Codec{}, openai, chat.Codec{}, "gpt-5-search-api", `"web_search_options":{"search_context_size":"low","user_location":{"type":"approximate","approximate":{"city":"Bern"}}}`, []string{"max_tool_calls"}, ""},
		"at another Chat model":        {responses.Codec{}, openai, chat.Codec{}, "qwen3", "", []string{"tools.web_search"}, ""},
		"at Gemini 3":                  {responses.Codec{}, openai, gemini.Codec{}, "gemini-3.1-pro-preview", `{"googleSearch":{}}`, []string{"max_tool_calls", "tools.user_location", "tools.search_context_size"}, ""},
		"beside functions at Gemini 2": {responses.Codec{}, openai, gemini.Codec{}, "gemini-2.5-pro", "", []string{"tools.web_search"}, ""},
		"at Bedrock":                   {messages.Codec{}, claude, converse.Codec{}, "qwen.qwen3", "", []string{"tools.web_search"}, ""},
		"domains at Claude":            {responses.Codec{}, fenced, messages.Codec{}, "claude-sonnet-4-5", `"allowed_domains":["a.org"]`, nil, ""},
		"domains at Gemini":            {responses.Codec{}, fenced, gemini.Codec{}, "gemini-3.1-pro-preview", "", []string{"tools.web_search"}, ""},
		"all that there is":            {responses.Codec{}, alone, chat.Codec{}, "qwen3", "", nil, "tools"},
		"what must be called":          {responses.Codec{}, forced, chat.Codec{}, "qwen3", "", nil, "tools"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conversation, err := c.client.DecodeRequest([]byte(c.ask))
			if err != nil {
				t.Fatal(err)
			}
			x := &exchange.Across{Conversation: conversation, Client: c.client, Upstream: c.upstream, Model: "m"}
			body, told, err := x.Body(wire.Changes{Model: c.model}, 100)
			if c.refused != "" {
				if f := fault.From(err); err == nil || f.Param != c.refused || f.Kind.Status() != 400 {
					t.Errorf("%v", err)
				}
				return
			}
			slices.Sort(told)
			slices.Sort(c.told)
			if err != nil || !slices.Equal(told, c.told) {
				t.Errorf("%v, %v is told", err, told)
			}
			if sent := string(body); !strings.Contains(sent, c.want) || c.want == "" && (strings.Contains(sent, "earch") || !strings.Contains(sent, `"f"`)) {
				t.Errorf("%s", sent)
			}
		})
	}
}
