package gateway_test

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"halley/internal/channel"
	"halley/internal/gateway"
	"halley/internal/group"
	"halley/internal/health"
	"halley/internal/money"
	"halley/internal/provider"
	"halley/internal/wire"
	"halley/internal/wire/anthropic"
	wireopenai "halley/internal/wire/openai"
)

// crowd is a house with ten equal channels, 10 to 19, in group default, each of
// which has two upstream keys; those in down fail.
type crowd struct {
	*house
	asked []string // channel and upstream key of each request
	down  map[string]bool
}

func newCrowd(t *testing.T, changes ...func(*house)) *crowd {
	t.Helper()
	c := &crowd{down: map[string]bool{}}
	up := &lone{does: func(_ int, r *http.Request) (*http.Response, error) {
		at := strings.TrimSuffix(r.Host, ".test")
		c.asked = append(c.asked, at+" "+strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		if c.down[at] {
			return reply(503, overloaded)
		}
		return reply(200, plainAnswer)
	}}
	c.house = newHouse(t, nil, append([]func(*house){tracked(t), func(h *house) {
		h.transport, h.affinity, h.key.Granted = up, true, 1000*money.USD
		h.channel.Status = channel.Disabled
		for id := int64(10); id < 20; id++ {
			text := strconv.FormatInt(id, 10)
			h.more = append(h.more, &channel.Channel{
				ID: id, Kind: channel.OpenAI, BaseURL: "http://" + text + ".test/v1", Models: []string{"m", "free"}, Groups: []string{group.Default}, Status: channel.Enabled, Weight: 1,
				Credentials: []channel.Credential{{ID: text + "a", Value: "a"}, {ID: text + "b", Value: "b"}},
			})
		}
	}}, changes...)...)
	return c
}

// ask sends a request n times and gives the places that were asked.
func (c *crowd) ask(t *testing.T, n int, body string, change ...func(*gateway.Inbound)) []string {
	t.Helper()
	c.asked = nil
	for range n {
		sink := client{header: http.Header{}}
		in := c.inbound(provider.Chat, body, keyValue)
		for _, f := range change {
			f(in)
		}
		c.Serve(t.Context(), in, &sink)
		if sink.status != 200 {
			t.Fatalf("client got %d %s", sink.status, sink.body.String())
		}
	}
	return slices.Clone(c.asked)
}

// spread is how many places were asked.
func spread(asked []string) int {
	places := map[string]bool{}
	for _, at := range asked {
		places[at] = true
	}
	return len(slices.Collect(maps.Keys(places)))
}

func named(format wire.Format, op provider.Operation) func(*gateway.Inbound) {
	return func(in *gateway.Inbound) { in.Format, in.Operation = format, op }
}

func session(id string) func(*gateway.Inbound) {
	return func(in *gateway.Inbound) { in.Header.Set("X-Session-Id", id) }
}

func TestAConversationStaysWhereItWasServed(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		body   string
		change []func(*gateway.Inbound)
		sticks bool
	}{
		"prompt_cache_key":                 {`{"model":"m","prompt_cache_key":"a"}`, nil, true},
		"metadata.user_id":                 {`{"model":"m","metadata":{"user_id":"a"}}`, nil, true},
		"user":                             {`{"model":"m","user":"a"}`, nil, true},
		"the header":                       {`{"model":"m"}`, []func(*gateway.Inbound){session("a")}, true},
		"metadata.user_id of Messages":     {`{"model":"m","max_tokens":9,"metadata":{"user_id":"a"}}`, []func(*gateway.Inbound){named(anthropic.Messages{}, provider.Chat)}, true},
		"prompt_cache_key of Responses":    {`{"model":"m","prompt_cache_key":"a"}`, []func(*gateway.Inbound){named(wireopenai.Responses{}, provider.Chat)}, true},
		"no name":                          {`{"model":"m"}`, nil, false},
		"names that are none":              {`{"model":"m","prompt_cache_key":null,"metadata":{"user_id":5},"user":""}`, nil, false},
		"a name in a place of another one": {`{"model":"m","metadata":{"session":"a"},"messages":[{"user":"a"}]}`, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCrowd(t)
			if n := spread(c.ask(t, 60, row.body, row.change...)); (n == 1) != row.sticks {
				t.Errorf("60 requests went to %d places", n)
			}
		})
	}
}

func TestWithoutAffinityAConversationGoesAnywhere(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, func(h *house) { h.affinity = false })
	if n := spread(c.ask(t, 60, `{"model":"m","prompt_cache_key":"a"}`, session("a"))); n < 10 {
		t.Errorf("60 requests went to %d places of 20", n)
	}
}

func TestConversationsDoNotShareAPlace(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	var all []string
	for i := range 60 {
		all = append(all, c.ask(t, 1, `{"model":"m","prompt_cache_key":"`+strconv.Itoa(i)+`"}`)...)
	}
	if n := spread(all); n < 10 {
		t.Errorf("60 conversations went to %d places of 20", n)
	}
	// The header counts before the body, and the cache's key before the user.
	for _, body := range []string{`{"model":"m","prompt_cache_key":"%"}`, `{"model":"m","prompt_cache_key":"%","user":"%"}`} {
		all = nil
		for i := range 30 {
			all = append(all, c.ask(t, 1, strings.ReplaceAll(body, "%", "z"+strconv.Itoa(i)), session("one"))...)
		}
		if n := spread(all); n != 1 {
			t.Errorf("a session went to %d places", n)
		}
	}
}

func TestAConversationMovesWhenItsPlaceFailsAndStaysThere(t *testing.T) {
	t.Parallel()
	const body = `{"model":"m","prompt_cache_key":"a"}`
	c := newCrowd(t)
	home := c.ask(t, 1, body)[0]
	was, _, _ := strings.Cut(home, " ")
	c.down[was] = true
	moved := c.ask(t, 1, body)
	if len(moved) != 2 || moved[0] != home {
		t.Fatalf("it was at %s and then asked %v", home, moved)
	}
	c.down[was] = false
	for _, at := range c.ask(t, 20, body) {
		if at != moved[1] {
			t.Errorf("it has moved to %s and then asks %s", moved[1], at)
		}
	}
}

func TestAConversationPassesByWhatIsKnownToBeBroken(t *testing.T) {
	t.Parallel()
	const body = `{"model":"m","prompt_cache_key":"a"}`
	c := newCrowd(t)
	home := c.ask(t, 1, body)[0]
	was, upstreamKey, _ := strings.Cut(home, " ")
	id, err := strconv.ParseInt(was, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	// Only its upstream key is refused: another key of the same channel is there.
	refuse := func(credential string) {
		a, _ := c.health.Begin(c.Now(), health.Target{Channel: id, Credential: credential, Model: "m"}, false)
		a.Done(c.Now(), health.Outcome{Class: health.Credential})
	}
	refuse(was + upstreamKey)
	other := c.ask(t, 3, body)
	if len(other) != 3 || spread(other) != 1 || other[0] == home || !strings.HasPrefix(other[0], was) {
		t.Errorf("it was at %s and then asked %v", home, other)
	}
	refuse(was + "a")
	refuse(was + "b")
	elsewhere := c.ask(t, 3, body)
	if len(elsewhere) != 3 || spread(elsewhere) != 1 || strings.HasPrefix(elsewhere[0], was) {
		t.Errorf("channel %s is out and it asked %v", was, elsewhere)
	}
}

func TestAConversationGoesToNoDearerGroup(t *testing.T) {
	t.Parallel()
	const body = `{"model":"m","prompt_cache_key":"a"}`
	c := newCrowd(t, crossing, func(h *house) {
		for _, ch := range h.more[:9] { // 19 is the cheaper group's only one
			ch.Groups = []string{"vip"}
		}
	})
	c.down["19"] = true
	if moved := c.ask(t, 1, body); len(moved) != 2 || !strings.HasPrefix(moved[0], "19 ") || strings.HasPrefix(moved[1], "19 ") {
		t.Fatalf("it asked %v", moved)
	}
	c.down["19"] = false
	if at := c.ask(t, 1, body); !strings.HasPrefix(at[0], "19 ") {
		t.Errorf("though the cheaper group serves, it asked %v", at)
	}
}

func TestEmbeddingsAreNoConversation(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	if n := spread(c.ask(t, 60, `{"model":"m","input":"x","user":"a"}`, func(in *gateway.Inbound) { in.Operation = provider.Embeddings })); n < 10 {
		t.Errorf("60 requests went to %d places of 20", n)
	}
}
