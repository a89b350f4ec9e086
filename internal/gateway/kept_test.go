package gateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"halley/internal/channel"
	"halley/internal/fault"
	"halley/internal/group"
	"halley/internal/jsonx"
	"halley/internal/kept"
	"halley/internal/money"
	"halley/internal/provider"
	"halley/internal/seal"
	"halley/internal/store/storetest"
	"halley/internal/usage"
	wireopenai "halley/internal/wire/openai"
)

// shelf keeps responses for houses in a real database.
func shelf(t *testing.T) *kept.Service {
	t.Helper()
	master, err := seal.ParseMaster(strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	db := storetest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "kept.db"))
	return kept.NewService(db, master.Box("kept response"), func() kept.Rules { return kept.Rules{For: time.Hour, PerKey: 1 << 20} }, time.Now)
}

// server is an upstream, what it was asked and what it says.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []string // method, path, body
	status int
	answer string
	stream bool
}

func newServer(t *testing.T, answer string) *server {
	t.Helper()
	s := &server{status: http.StatusOK, answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.asked = append(s.asked, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+string(body)))
		s.mu.Unlock()
		kind := "application/json"
		if s.stream {
			kind = "text/event-stream"
		}
		answers(s.status, kind, s.answer)(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// said is the last that the server was asked.
func (s *server) said(t *testing.T) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) == 0 {
		t.Fatal("the server was not asked")
	}
	return s.asked[len(s.asked)-1]
}

// reached makes a house of channels 5 and 9, in this order, to servers that speak
// Responses unless a change says otherwise.
func reached(t *testing.T, shelf *kept.Service, first, second *server, changes ...func(*house)) *house {
	t.Helper()
	setUp := func(h *house) {
		h.channel.BaseURL, h.channel.API, h.channel.Priority = first.URL+"/v1", channel.ResponsesOnly, 1000
		if second != nil {
			h.more = append(h.more, &channel.Channel{
				ID: 9, Kind: channel.OpenAI, BaseURL: second.URL + "/v1", API: channel.ResponsesOnly, Models: []string{"m"}, Groups: []string{group.Default},
				Status: channel.Enabled, Weight: 1, Credentials: []channel.Credential{{ID: "other", Value: "other-secret"}},
			})
		}
		for _, change := range changes {
			change(h)
		}
	}
	h := dialects(t, nil, nil, setUp)
	h.Kept = shelf
	h.Channel = func(id int64) *channel.Channel {
		for _, ch := range append(h.more, h.channel) {
			if ch.ID == id {
				return ch
			}
		}
		return nil
	}
	return h
}

// speaks has the first channel speak another dialect.
func speaks(api channel.API) func(*house) { return func(h *house) { h.channel.API = api } }

// numbered6 makes the first channel one that has served nothing yet.
func numbered6(h *house) { h.channel.ID = 6 }

const (
	reply1 = `{"id":"resp_1","object":"response","status":"completed","model":"m","store":true,"output":[{"type":"reasoning","id":"rs_1","summary":[]},{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"Hello Ada","annotations":[]}]}],"usage":{"input_tokens":3,"output_tokens":2}}`
	reply2 = `{"id":"resp_2","object":"response","status":"completed","model":"m","output":[],"usage":{"input_tokens":9,"output_tokens":2}}`
	chatOK = `{"id":"chatcmpl-1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Ada"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}`
	turn1  = `{"model":"m","input":"I am Ada"}`
	turn2  = `{"input":"Who am I?", "model":"m","previous_response_id":"resp_1","max_output_tokens":5}`
)

func (h *house) respond(t *testing.T, body string, c *client) usage.Record {
	t.Helper()
	return h.ask(t, provider.Responses, wireopenai.Responses{}, body, c)
}

// begun is a shelf with resp_1, which channel 5's server keeps as well.
func begun(t *testing.T) (*kept.Service, *server) {
	t.Helper()
	s, up := shelf(t), newServer(t, reply1)
	var c client
	if reached(t, s, up, nil).respond(t, turn1, &c); c.body.String() != reply1 {
		t.Fatalf("the client got %d %s", c.status, c.body.String())
	}
	return s, up
}

func TestAResponseIsGoneOnFromWhereItIsKeptByteForByte(t *testing.T) {
	t.Parallel()
	s, up := begun(t)
	up.answer = reply2
	other := newServer(t, reply2)
	h := reached(t, s, up, other, func(h *house) { h.more[0].Priority = 2000 }) // the other would come first
	var c client
	r := h.respond(t, turn2, &c)
	if r.ChannelID != 5 || up.said(t) != "POST /v1/responses "+turn2 || len(other.asked) != 0 {
		t.Errorf("channel %d was sent %s, the other %v", r.ChannelID, up.said(t), other.asked)
	}
	if body, err := s.Get(t.Context(), 7, "resp_2"); err != nil || body.Previous != "resp_1" || body.Root != "resp_1" {
		t.Errorf("it is kept as %+v, %v", body, err)
	}
}

func TestAnotherUpstreamIsToldTheWholeConversation(t *testing.T) {
	t.Parallel()
	s, up := begun(t)
	up.status, up.answer = 500, `{"error":{"message":"down"}}`
	other := newServer(t, reply2)
	var c client
	r := reached(t, s, up, other).respond(t, turn2, &c)
	const want = `POST /v1/responses {"input":[{"type":"message","role":"user","content":"I am Ada"},` +
		`{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hello Ada","annotations":[]}]},` +
		`{"type":"message","role":"user","content":"Who am I?"}], "model":"m","previous_response_id":null,"max_output_tokens":5}`
	if c.status != 200 || r.ChannelID != 9 || other.said(t) != want {
		t.Errorf("status %d, channel %d was sent\n%s\nwant\n%s", c.status, r.ChannelID, other.said(t), want)
	}
}

func TestAnUpstreamOfAnotherDialectIsToldTheWholeConversation(t *testing.T) {
	t.Parallel()
	s, _ := begun(t)
	chat := newServer(t, chatOK)
	h := reached(t, s, chat, nil, numbered6, speaks(channel.ChatOnly))
	var c client
	h.respond(t, turn2, &c)
	const want = `POST /v1/chat/completions {"model":"m","messages":[{"role":"user","content":"I am Ada"},{"role":"assistant","content":"Hello Ada"},{"role":"user","content":"Who am I?"}],"max_tokens":5}`
	if chat.said(t) != want {
		t.Errorf("it was sent\n%s\nwant\n%s", chat.said(t), want)
	}
	var said struct {
		ID       string `json:"id"`
		Previous string `json:"previous_response_id"`
		Store    bool   `json:"store"`
	}
	if err := jsonx.Unmarshal([]byte(c.body.String()), &said); err != nil || said.Previous != "resp_1" || !said.Store || said.ID == "resp_1" {
		t.Fatalf("the client got %s", c.body.String())
	}
	// And on from there, three turns deep.
	chat2 := newServer(t, chatOK)
	h = reached(t, s, chat2, nil, speaks(channel.ChatOnly))
	var next client
	h.respond(t, `{"model":"m","input":"Sure?","previous_response_id":"`+said.ID+`"}`, &next)
	if said := chat2.said(t); strings.Count(said, `"role"`) != 5 || !strings.Contains(said, `{"role":"assistant","content":"Ada"},{"role":"user","content":"Sure?"}`) {
		t.Errorf("it was sent %s", said)
	}
}

func TestNobodyGoesOnFromAnothersResponse(t *testing.T) {
	t.Parallel()
	s, up := begun(t)
	asked := len(up.asked)
	for name, body := range map[string]string{
		"response":  turn2,
		"item":      `{"model":"m","input":[{"type":"item_reference","id":"msg_1"}]}`,
		"imaginary": `{"model":"m","input":"x","previous_response_id":"resp_9"}`,
	} {
		h := reached(t, s, up, nil)
		if name != "imaginary" {
			h.key.ID = 8
		}
		var c client
		r := h.respond(t, body, &c)
		if c.status != 400 || r.Cost != 0 || len(up.asked) != asked || !strings.Contains(c.body.String(), "not found") {
			t.Errorf("%s: %d %s, the upstream was asked %v", name, c.status, c.body.String(), up.asked[asked:])
		}
	}
}

func TestTheHoldCoversTheConversationThatIsGoneOnFrom(t *testing.T) {
	t.Parallel()
	s, up := shelf(t), newServer(t, reply1)
	var c client
	long := strings.Repeat("never mind ", 1000)
	reached(t, s, up, nil).respond(t, `{"model":"m","input":"`+long+`"}`, &c)
	r := reached(t, s, up, nil).respond(t, turn2, &client{})
	if least := money.Nano(len(long)) * 1000; r.Held < least { // a byte is a token at the most, at 1,000 nano-USD
		t.Errorf("held %d for a prompt of up to %d tokens", r.Held, len(long))
	}
}

func TestItemsAreReferredTo(t *testing.T) {
	t.Parallel()
	const asking = `{"model":"m","input":[{"type":"item_reference","id":"msg_1"},{"type":"item_reference","id":"rs_1"},{"role":"user","content":"and?"}]}`
	s, up := begun(t)
	up.answer = reply2
	reached(t, s, up, nil).respond(t, asking, &client{})
	if up.said(t) != "POST /v1/responses "+asking { // which has them
		t.Errorf("it was sent %s", up.said(t))
	}
	other := newServer(t, reply2)
	h := reached(t, s, other, nil, numbered6)
	h.respond(t, asking, &client{})
	const want = `POST /v1/responses {"model":"m","input":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hello Ada","annotations":[]}]},{"role":"user","content":"and?"}]}`
	if other.said(t) != want {
		t.Errorf("another was sent\n%s\nwant\n%s", other.said(t), want)
	}
	// Nor does the next turn bring what only the first server can read.
	third := newServer(t, strings.Replace(reply2, "resp_2", "resp_3", 1))
	reached(t, s, third, nil, numbered6).respond(t, `{"model":"m","input":"So?","previous_response_id":"resp_2"}`, &client{})
	if said := third.said(t); strings.Contains(said, "rs_1") || strings.Contains(said, `"id"`) || strings.Count(said, `"role"`) != 3 {
		t.Errorf("the next turn is %s", said)
	}
}

func TestAStreamedResponseIsKeptBeforeItsClientKnows(t *testing.T) {
	t.Parallel()
	streams := map[channel.API]string{
		channel.ResponsesOnly: "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"status\":\"in_progress\"}}\n\n" +
			"event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":" + reply1 + "}\n\ndata: [DONE]\n\n",
		channel.ChatOnly: `data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"Hello Ada"}}]}` + "\n\n" +
			`data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n" +
			`data: {"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1}}` + "\n\ndata: [DONE]\n\n",
	}
	for api, text := range streams {
		t.Run(string(api), func(t *testing.T) {
			t.Parallel()
			s, up := shelf(t), newServer(t, text)
			up.stream = true
			h := reached(t, s, up, nil, speaks(api))
			id := "resp_1"
			if api == channel.ChatOnly {
				id = "resp_req-1"
			}
			early := false
			c := client{onWrite: func(body string) {
				if !strings.Contains(body, "response.completed") || early {
					return
				}
				early = true
				if r, err := s.Get(t.Context(), 7, id); err != nil || !strings.Contains(string(r.Body), "Hello Ada") {
					t.Errorf("when the client knows, there is %v, %v", r, err)
				}
			}}
			if h.respond(t, `{"model":"m","stream":true,"input":"I am Ada"}`, &c); !early {
				t.Errorf("the client got %d %s", c.status, c.body.String())
			}
		})
	}
}

func TestWhatIsNotToBeKeptIsNot(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ ask, answer string }{
		"the client does not want it": {`{"model":"m","store":false,"input":"x"}`, reply1},
		"it has failed":               {turn1, strings.Replace(reply1, "completed", "failed", 1)},
		"its id would be a path":      {turn1, strings.Replace(reply1, "resp_1", "../../v1/files", 1)},
	} {
		s, up := shelf(t), newServer(t, test.answer)
		var c client
		reached(t, s, up, nil).respond(t, test.ask, &c)
		if c.status != 200 {
			t.Errorf("%s: %d", name, c.status)
		}
		for _, id := range []string{"resp_1", "../../v1/files"} {
			if _, err := s.Get(t.Context(), 7, id); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestADeletionReachesTheUpstreamFirst(t *testing.T) {
	t.Parallel()
	s, up := begun(t)
	h := reached(t, s, up, nil)
	up.status, up.answer = 500, `{}`
	if err := h.DeleteResponse(t.Context(), h.key, h.owner, h.inbound("", "").IP, "resp_1"); !fault.Is(err, fault.BadGateway) {
		t.Errorf("while the upstream fails: %v", err)
	}
	if _, err := s.Get(t.Context(), 7, "resp_1"); err != nil {
		t.Errorf("then it is gone: %v", err)
	}
	up.status = 200
	if err := h.DeleteResponse(t.Context(), h.key, h.owner, h.inbound("", "").IP, "resp_1"); err != nil || up.said(t) != "DELETE /v1/responses/resp_1" {
		t.Errorf("%v, the upstream was asked %s", err, up.said(t))
	}
	if _, err := s.Get(t.Context(), 7, "resp_1"); !fault.Is(err, fault.NotFound) {
		t.Errorf("it is still there: %v", err)
	}
	h.key.ID = 8
	if err := h.DeleteResponse(t.Context(), h.key, h.owner, h.inbound("", "").IP, "resp_1"); !fault.Is(err, fault.NotFound) {
		t.Errorf("another key's: %v", err)
	}
}

// lost is a shelf that cannot be reached.
type lost struct{ *kept.Service }

func away() error {
	return fault.Wrap(errors.New("no route"), fault.Unavailable, "store_unavailable", "away")
}

func (lost) Keep(context.Context, *kept.Response) error { return away() }
func (lost) Thread(context.Context, int64, string) ([]*kept.Response, error) {
	return nil, away()
}

func TestADatabaseThatIsAwayCostsOnlyTheKeeping(t *testing.T) {
	t.Parallel()
	s, up := begun(t)
	h := reached(t, s, up, nil)
	h.Kept = lost{s}
	var c client
	if h.respond(t, turn1, &c); c.status != 200 || c.body.String() != reply1 {
		t.Errorf("the client got %d %s", c.status, c.body.String())
	}
	h = reached(t, s, up, nil)
	h.Kept = lost{s}
	if h.respond(t, turn2, &c); c.status != 503 {
		t.Errorf("who goes on gets %d %s", c.status, c.body.String())
	}
}
