package wire_test

import (
	"testing"

	"halley/internal/usage"
	"halley/internal/wire"
	"halley/internal/wire/anthropic"
	"halley/internal/wire/gemini"
	"halley/internal/wire/openai"
)

func TestSearchesAreHeldForByTheirBounds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		format wire.Format
		body   string
		want   int64
	}{
		"none":                        {anthropic.Messages{}, `{"model":"m","tools":[{"name":"web","input_schema":{}}]}`, 0},
		"Anthropic's, bounded":        {anthropic.Messages{}, `{"model":"m","tools":[{"type":"web_search_20250305","name":"web_search","max_uses":3}]}`, 3},
		"Anthropic's, unbounded":      {anthropic.Messages{}, `{"model":"m","tools":[{"type":"web_search_20260209","name":"web_search"}]}`, wire.AssumedSearches},
		"a number that is absurd":     {anthropic.Messages{}, `{"model":"m","tools":[{"type":"web_search_20250305","max_uses":1000000000},{"type":"web_search_20250305","max_uses":1000000000}]}`, wire.MaxChoices},
		"OpenAI's, bounded":           {openai.Responses{}, `{"model":"m","max_tool_calls":4,"tools":[{"type":"web_search"}]}`, 4},
		"OpenAI's, unbounded":         {openai.Responses{}, `{"model":"m","tools":[{"type":"web_search_preview"}],"max_tool_calls":null}`, wire.AssumedSearches},
		"a bound of nothing":          {openai.Responses{}, `{"model":"m","max_tool_calls":4,"tools":[{"type":"function","name":"web_search"}]}`, 0},
		"Google's":                    {gemini.Generate{Model: "m"}, `{"contents":[],"tools":[{"google_search":{}}]}`, wire.AssumedSearches},
		"Google's among other things": {gemini.Generate{Model: "m"}, `{"contents":[],"tools":[{"functionDeclarations":[]},{"googleSearch":{}}]}`, wire.AssumedSearches},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := c.format.ScanRequest([]byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Facts().Searches; got != c.want {
				t.Errorf("%d searches are held for, want %d", got, c.want)
			}
		})
	}
	chat, err := openai.ScanRequest([]byte(`{"model":"m","messages":[],"web_search_options":{}}`))
	if err != nil || chat.Searches != wire.AssumedSearches {
		t.Errorf("%d, %v", chat.Searches, err)
	}
}

func TestSearchesAreCountedInAnswers(t *testing.T) {
	t.Parallel()
	const (
		messages  = `{"type":"message","model":"m","usage":{"input_tokens":5,"output_tokens":2,"server_tool_use":{"web_search_requests":2}}}`
		responses = `{"object":"response","model":"m","output":[{"type":"web_search_call","action":{"type":"search"}},{"type":"web_search_call","action":{"type":"open_page"}},{"type":"web_search_call"},{"type":"message"}],"usage":{"input_tokens":5,"output_tokens":2}}`
		three     = `{"candidates":[{"groundingMetadata":{"webSearchQueries":["a","b"]}}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2},"modelVersion":"gemini-3.1-pro"}`
		two       = `{"candidates":[{"groundingMetadata":{"webSearchQueries":["a","b"]}}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2},"modelVersion":"gemini-2.5-flash"}`
	)
	for name, c := range map[string]struct {
		format wire.Format
		body   string
		event  string
		want   int64
	}{
		"Anthropic":         {anthropic.Messages{}, messages, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"input_tokens\":5,\"output_tokens\":2,\"server_tool_use\":{\"web_search_requests\":2}}}\n\n", 2},
		"OpenAI":            {openai.Responses{}, responses, `data: {"type":"response.completed","response":` + responses + "}\n\n", 2},
		"Gemini 3 by query": {gemini.Generate{Model: "m"}, three, "data: " + three + "\n\n", 2},
		"Gemini 2 at once":  {gemini.Generate{Model: "m"}, two, "data: " + two + "\n\n", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := usage.Tokens{Prompt: 5, Completion: 2, Searches: c.want}
			if a, ok := c.format.ScanAnswer([]byte(c.body)); !ok || a.Usage != want {
				t.Errorf("%+v", a.Usage)
			}
			s := c.format.Stream(wire.StreamOptions{Choices: 1})
			s.Take(nil, []byte(c.event))
			if got := s.Progress().Usage; got != want {
				t.Errorf("streamed: %+v", got)
			}
		})
	}
}
