package gateway_test

import (
	"testing"

	"halley/internal/channel"
	"halley/internal/provider"
	"halley/internal/wire/openai"
)

// What a provider searches on the web is held for by its bound, and charged as it
// was counted.
func TestSearchesAreHeldForAndCharged(t *testing.T) {
	t.Parallel()
	const (
		answer = `{"object":"response","model":"searching","output":[{"type":"web_search_call","action":{"type":"search"}},{"type":"web_search_call","action":{"type":"search"}}],"usage":{"input_tokens":100,"output_tokens":50}}`
		search = 10_000_000 // nano-USD
	)
	ask := func(t *testing.T, body string, change func(*house)) (*house, *client) {
		t.Helper()
		h := newHouse(t, answers(200, "application/json", answer), func(h *house) {
			h.channel.API, h.channel.Models = channel.ChatAndResponses, []string{"searching"}
		}, change)
		in := h.inbound(provider.Responses, body, keyValue)
		in.Format = openai.Responses{}
		var c client
		c.header = map[string][]string{}
		h.Serve(t.Context(), in, &c)
		return h, &c
	}
	h, c := ask(t, `{"model":"searching","input":"When?","max_output_tokens":100,"max_tool_calls":3,"tools":[{"type":"web_search"}]}`, func(*house) {})
	if r := h.settled(); c.status != 200 || r.Cost != 2*search+(100*1+50*2)*1000 || r.Held < 3*search || r.Held > 4*search || r.Tokens.Searches != 2 {
		t.Errorf("%d %s, %+v", c.status, c.body.String(), r)
	}
	h, c = ask(t, `{"model":"searching","input":"When?","max_output_tokens":100,"max_tool_calls":3,"tools":[{"type":"web_search"}]}`, func(h *house) { h.key.Granted = 2 * search })
	if r := h.settled(); c.status == 200 || r.Cost != 0 {
		t.Errorf("with money for two of three: %d %s, %+v", c.status, c.body.String(), r)
	}
}
