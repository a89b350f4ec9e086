package gateway_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/channel"
	"halley/internal/fault"
	"halley/internal/gateway"
	"halley/internal/group"
	"halley/internal/health"
	"halley/internal/key"
	"halley/internal/limit"
	"halley/internal/money"
	"halley/internal/price"
	"halley/internal/provider"
	"halley/internal/provider/openai"
	"halley/internal/route"
	"halley/internal/upstream"
	"halley/internal/usage"
	wireopenai "halley/internal/wire/openai"
)

// house is a gateway with everything real but the store: keys, owners and
// records are in memory.
type house struct {
	*gateway.Gateway
	t           *testing.T
	key         *key.Key
	parent      *key.Key // that issued key, nil for none
	orphaned    error    // what asking for the parent gives
	owner       *account.User
	channel     *channel.Channel
	ledger      *budget.Ledger
	leases      budget.Leases // nil on a store of its own
	upstream    *httptest.Server
	limits      limit.Limits // of the default group
	vipLimits   limit.Limits
	more        []*channel.Channel // besides channel
	health      *health.Tracker    // nil takes all to be well
	roll        func() float64
	maxAttempts int
	affinity    bool // with the header X-Session-Id
	autoGroups  []string
	transport   http.RoundTripper // nil is the network
	pause       time.Duration     // before the only channel is tried once more

	mu        sync.Mutex
	records   []usage.Record
	hedges    bool          // slow embeddings
	recorded  chan struct{} // closed with the first
	unknown   int
	outcomes  []health.Class     // of attempts
	attempted func(health.Class) // called when an attempt has ended
	full      bool
	// authenticated is called once the key is known.
	authenticated func()
	away          bool // the store does not answer before the request gives up
}

const keyValue = "sk-test"

func (h *house) Authenticate(_ context.Context, value string) (*key.Key, error) {
	if value != keyValue {
		return nil, fault.New(fault.Unauthenticated, "invalid_api_key", "unknown")
	}
	if h.authenticated != nil {
		h.authenticated()
	}
	return h.key, nil
}
func (h *house) Parent(context.Context, *key.Key) (*key.Key, error) { return h.parent, h.orphaned }

// holder is whose balance a key's subject is.
func (h *house) holder(s budget.Subject) *key.Key {
	if h.parent != nil && s.ID == h.parent.ID {
		return h.parent
	}
	return h.key
}
func (h *house) Owner(context.Context, int64) (*account.User, error) { return h.owner, nil }
func (h *house) LoadBalance(ctx context.Context, s budget.Subject) (budget.Balance, error) {
	if h.away {
		<-ctx.Done()
		return budget.Balance{}, ctx.Err()
	}
	if s.Kind == budget.User {
		return budget.Balance{Granted: h.owner.Granted, Unlimited: h.owner.Unlimited}, nil
	}
	k := h.holder(s)
	return budget.Balance{Granted: k.Granted, Unlimited: k.Unlimited}, nil
}
func (h *house) LoadAllowances(_ context.Context, s budget.Subject) ([]budget.Allowance, error) {
	if s.Kind == budget.User {
		return budget.Allowances(h.owner.Limits.Budgets), nil
	}
	return budget.Allowances(h.holder(s).Limits.Budgets), nil
}
func (h *house) SpentSince(_ context.Context, _ budget.Subject, since []time.Time) ([]money.Nano, error) {
	return make([]money.Nano, len(since)), nil
}
func (h *house) LastSpending(context.Context, budget.Subject) (time.Time, error) {
	return time.Time{}, nil
}
func (h *house) Full() bool { return h.full }
func (h *house) Record(r usage.Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records = append(h.records, r)
	if len(h.records) == 1 {
		close(h.recorded)
	}
}
func (h *house) Finished(*usage.Record) {}
func (h *house) UnknownKey()            { h.unknown++ }
func (h *house) Attempted(c health.Class) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.outcomes = append(h.outcomes, c)
	if h.attempted != nil {
		h.attempted(c)
	}
}

// newHouse has a key worth $1 of an account worth $1,000, and one channel to an
// upstream that the handler serves, or the transport that a change sets, for the model m at $1 in, $2 out per 1M tokens.
func newHouse(t *testing.T, upstreamHandler http.HandlerFunc, changes ...func(*house)) *house {
	t.Helper()
	h := &house{
		t: t, roll: rand.Float64, pause: time.Microsecond, recorded: make(chan struct{}),
		key:   &key.Key{ID: 7, UserID: 3, Status: key.Enabled, ExpiresAt: key.Never, Granted: money.USD, Name: "k"},
		owner: &account.User{ID: 3, Status: account.Enabled, Group: group.Default, Granted: 1000 * money.USD},
		channel: &channel.Channel{ID: 5, Kind: channel.OpenAI, BaseURL: "http://upstream.test/v1", Models: []string{"m", "unpriced"}, Groups: []string{group.Default},
			Status: channel.Enabled, Weight: 1, Credentials: []channel.Credential{{ID: "a", Value: "upstream-secret"}}},
	}
	if upstreamHandler != nil {
		h.upstream = httptest.NewServer(upstreamHandler)
		t.Cleanup(h.upstream.Close)
		h.channel.BaseURL = h.upstream.URL + "/v1"
	}
	for _, change := range changes {
		change(h)
	}
	if h.transport == nil {
		h.transport = upstream.NewTransport(channel.AddressPolicy{AllowAll: true})
	}
	book := testBook(t)
	snapshot := &gateway.Snapshot{
		Routes: route.New(route.Config{Channels: append([]*channel.Channel{h.channel}, h.more...)}), Prices: book, MaxAttempts: h.maxAttempts, AutoGroups: h.autoGroups, HedgeEmbeddings: h.hedges, Affinity: h.affinity, AffinityHeader: "X-Session-Id",
		Groups: group.NewSet([]*group.Group{{Name: group.Default, Ratio: money.One, Limits: h.limits}, {Name: "vip", Ratio: 2 * money.One, UsableBy: &group.Audience{Groups: []string{"vips"}, Users: []int64{33}}, Limits: h.vipLimits}}),
	}
	h.ledger = budget.NewLedger(h, time.Now)
	if h.leases != nil {
		h.ledger = budget.NewSharedLedger(h, h.leases, time.Now)
		h.ledger.Lapsed(1)
		h.ledger.Renewed(time.Now().Add(time.Hour))
	}
	h.Gateway = gateway.New(gateway.Config{
		Keys: h, Owners: h, Ledger: h.ledger, Recorder: h, Observer: h,
		Snapshot:  func() *gateway.Snapshot { return snapshot },
		Upstreams: map[channel.Kind]gateway.Upstream{channel.OpenAI: {Provider: openai.Provider{}, Transport: h.transport}},
		Timeouts:  channel.Timeouts{Connect: 30 * time.Second, FirstByte: 30 * time.Second, Idle: 30 * time.Second, Total: time.Minute, Drain: 30 * time.Second},
		Log:       slog.New(slog.DiscardHandler), Now: time.Now, NewEventID: func() string { return "event" }, Limiter: limit.New(limit.Options{Match: key.MatchModel}), Roll: h.roll, Health: h.health, Pause: h.pause,
	})
	return h
}

func testBook(t *testing.T) *price.Book {
	t.Helper()
	catalog, err := price.LoadCatalog()
	if err != nil {
		t.Fatal(err)
	}
	book, err := price.NewBook(catalog, []price.Stored{
		{Version: 1, Model: "m", Definition: []byte(`{"input":1,"output":2,"max_output_tokens":1000}`)},
		{Version: 2, Model: "free", Definition: []byte(`{"input":0,"output":0}`)},
		{Version: 3, Model: "searching", Definition: []byte(`{"input":1,"output":2,"per_search":0.01,"max_output_tokens":1000}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return book
}

// client is the sink of a test: what the client gets, and when it leaves.
type client struct {
	header  http.Header
	status  int
	body    strings.Builder
	flushes int
	fail    error
	onWrite func(body string)
}

func (c *client) Header() http.Header { return c.header }
func (c *client) Start(status int)    { c.status = status }
func (c *client) Flush() error        { c.flushes++; return c.fail }
func (c *client) Write(p []byte) (int, error) {
	if c.fail != nil {
		return 0, c.fail
	}
	c.body.Write(p)
	if c.onWrite != nil {
		c.onWrite(c.body.String())
	}
	return len(p), nil
}

func (h *house) do(ctx context.Context, body string, c *client) *usage.Record {
	return h.call(ctx, provider.Chat, body, c, keyValue)
}

func (h *house) call(ctx context.Context, op provider.Operation, body string, c *client, credentials ...string) *usage.Record {
	c.header = http.Header{}
	return h.Serve(ctx, h.inbound(op, body, credentials...), c)
}

func (h *house) inbound(op provider.Operation, body string, credentials ...string) *gateway.Inbound {
	return &gateway.Inbound{
		RequestID: "req-1", Start: time.Now(), Credentials: credentials, IP: netip.MustParseAddr("192.0.2.1"), Format: wireopenai.Format{}, Operation: op,
		Header:   http.Header{"Authorization": {"Bearer " + keyValue}, "X-Custom": {"kept"}, "Cookie": {"dropped"}, "Content-Type": {"application/json"}},
		ReadBody: func() ([]byte, error) { return []byte(body), nil },
	}
}

// settled checks what must be true after every request, and gives its record.
func (h *house) settled() usage.Record {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.records) != 1 {
		h.t.Fatalf("%d records, want exactly one", len(h.records))
	}
	r := h.records[0]
	b, err := h.ledger.Balance(context.Background(), budget.Subject{Kind: budget.Key, ID: h.key.ID})
	if err != nil {
		h.t.Fatal(err)
	}
	if b.Held != 0 || b.Used != r.Cost || b.Remaining()+b.Used != b.Granted {
		h.t.Errorf("balance %+v after a charge of %d", b, r.Cost)
	}
	return r
}

func answers(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

const plainAnswer = `{"id":"c1","model":"m","choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150},"extra":{"kept":[1, 2]}}`

func TestAPlainAnswerGoesThroughUnchangedAndIsCharged(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var sent string
	h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, sent = r, string(b)
		w.Header().Set("X-Upstream", "kept")
		w.Header().Set("Set-Cookie", "dropped")
		answers(200, "application/json", plainAnswer)(w, r)
	})
	body := `{ "model" : "m","messages":[{"role":"user","content":"é"}],"unknown":{"a":null} }`
	var c client
	h.do(t.Context(), body, &c)
	if c.status != 200 || c.body.String() != plainAnswer || c.header.Get("X-Upstream") != "kept" || c.header.Get("Set-Cookie") != "" {
		t.Errorf("client got %d %s %v", c.status, c.body.String(), c.header)
	}
	if sent != body || got.URL.Path != "/v1/chat/completions" || got.Header.Get("Authorization") != "Bearer upstream-secret" || got.Header.Get("Cookie") != "" || got.Header.Get("X-Custom") != "kept" {
		t.Errorf("upstream got %s %v %s", got.URL, got.Header, sent)
	}
	r := h.settled()
	if r.Cost != (100*1+50*2)*1000 || r.Source != usage.FromProvider || r.Status != 200 || r.PriceVersion != "custom-1" || r.ChannelID != 5 || r.Group != "default" || r.FirstByte == 0 || r.Held < r.Cost {
		t.Errorf("record = %+v", r)
	}
}

func chunk(content string) string {
	return `data: {"model":"up","choices":[{"index":0,"delta":{"content":"` + content + `"},"finish_reason":null}],"usage":null}` + "\n\n"
}

const (
	lastChunk  = `data: {"model":"up","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}` + "\n\n"
	usageChunk = `data: {"model":"up","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13}}` + "\n\n"
	done       = "data: [DONE]\n\n"
)

func streams(w http.ResponseWriter, parts ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, part := range parts {
		_, _ = io.WriteString(w, part)
		w.(http.Flusher).Flush()
	}
}

func TestAStreamIsForwardedAndOurUsageChunkStripped(t *testing.T) {
	t.Parallel()
	whole := ": comment\n\n" + chunk("a") + chunk("b") + lastChunk + usageChunk + done
	for name, row := range map[string]struct{ body, asked, want string }{
		"client did not ask": {`{"model":"m","stream":true}`, `{"model":"m","stream":true,"stream_options":{"include_usage":true}}`, strings.Replace(whole, usageChunk, "", 1)},
		"client asked":       {`{"model":"m","stream":true,"stream_options":{"include_usage":true}}`, `{"model":"m","stream":true,"stream_options":{"include_usage":true}}`, whole},
		"client said no":     {`{"stream":true,"stream_options":{"include_usage":false},"model":"m"}`, `{"stream":true,"stream_options":{"include_usage":true},"model":"m"}`, strings.Replace(whole, usageChunk, "", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked string
			h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				asked = string(b)
				streams(w, ": comment\n\n", chunk("a"), chunk("b")+lastChunk, usageChunk+"da", "ta: [DONE]\n", "\n")
			})
			var c client
			h.do(t.Context(), row.body, &c)
			if c.body.String() != row.want || asked != row.asked {
				t.Errorf("client got %q\nupstream was asked %s", c.body.String(), asked)
			}
			if r := h.settled(); r.Cost != (10+3*2)*1000 || r.Source != usage.FromProvider || !r.Stream || r.Status != 200 || r.FirstByte == 0 {
				t.Errorf("record = %+v", r)
			}
		})
	}
}

func TestAMappedModelIsRenamedOnTheWayOutAndBack(t *testing.T) {
	t.Parallel()
	mapped := func(h *house) { h.channel.ModelMapping = mapping(t, "m", "up") }
	t.Run("plain", func(t *testing.T) {
		t.Parallel()
		var asked string
		h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			asked = string(b)
			answers(200, "application/json", `{"model":"up","choices":[{}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`)(w, r)
		}, mapped)
		var c client
		h.do(t.Context(), `{"model":"m"}`, &c)
		if asked != `{"model":"up"}` || !strings.HasPrefix(c.body.String(), `{"model":"m",`) {
			t.Errorf("asked %s, answered %s", asked, c.body.String())
		}
		if r := h.settled(); r.Model != "m" || r.ServedModel != "up" {
			t.Errorf("record = %+v", r)
		}
	})
	t.Run("stream", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, func(w http.ResponseWriter, _ *http.Request) { streams(w, chunk("a"), lastChunk, usageChunk, done) }, mapped)
		var c client
		h.do(t.Context(), `{"model":"m","stream":true}`, &c)
		if want := strings.ReplaceAll(chunk("a")+lastChunk+done, `"up"`, `"m"`); c.body.String() != want {
			t.Errorf("client got %q", c.body.String())
		}
	})
}

func TestUpstreamFailuresAreToldHonestlyAndCostNothing(t *testing.T) {
	t.Parallel()
	const own = `{"error":{"message":"theirs","code":"context_length_exceeded"}}`
	for name, row := range map[string]struct {
		handler http.HandlerFunc
		status  int
		code    string // of our own error; "" means the upstream's body as it is
	}{
		"their 400":            {answers(400, "application/json", own), 400, ""},
		"their 404":            {answers(404, "application/json", own), 404, ""},
		"their 429":            {answers(429, "application/json", own), 429, ""},
		"their 500, not JSON":  {answers(500, "text/html", own), 500, ""},
		"our key refused":      {answers(401, "application/json", `{"error":{"message":"Incorrect API key provided: upstream-secret"}}`), 502, "upstream_error"},
		"our balance is empty": {answers(402, "application/json", own), 502, "upstream_error"},
		"our quota is used up": {answers(429, "application/json", `{"error":{"code":"insufficient_quota"}}`), 502, "upstream_error"},
		"empty 200":            {answers(200, "application/json", ""), 502, "upstream_error"},
		"200 that is HTML":     {answers(200, "text/html", "<html>"), 502, "upstream_error"},
		"200 with an error":    {answers(200, "application/json", own), 502, "upstream_error"},
		"204":                  {answers(204, "", ""), 502, "upstream_error"},
		"redirect":             {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://192.0.2.1/", 302) }, 502, "upstream_error"},
		"connection reset":     {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 502, "upstream_error"},
		"cut in mid-body": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"id":`)
		}, 502, "upstream_error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, row.handler)
			var c client
			h.do(t.Context(), `{"model":"m"}`, &c)
			if c.status != row.status {
				t.Errorf("status %d, want %d: %s", c.status, row.status, c.body.String())
			}
			if row.code == "" && c.body.String() != own {
				t.Errorf("body %s, want theirs", c.body.String())
			}
			if row.code != "" && (!strings.Contains(c.body.String(), `"code":"`+row.code+`"`) || strings.Contains(c.body.String(), "upstream-secret")) {
				t.Errorf("body %s", c.body.String())
			}
			if r := h.settled(); r.Cost != 0 || r.Status != row.status || r.ErrorCode != "upstream_error" || r.Source != usage.NoUsage {
				t.Errorf("record = %+v", r)
			}
		})
	}
}

func TestAnUpstreamThatRepeatsOurCredentialDoesNotTellTheClient(t *testing.T) {
	t.Parallel()
	echo := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Echo", r.Header.Get("Authorization"))
			answers(status, "application/json", `{"choices":[{}],"x":"`+r.Header.Get("Authorization")+`","usage":{"prompt_tokens":1}}`)(w, r)
		}
	}
	for name, row := range map[string]struct {
		handler http.HandlerFunc
		ask     string
	}{
		"error":  {echo(400), `{"model":"m"}`},
		"answer": {echo(200), `{"model":"m"}`},
		"stream": {func(w http.ResponseWriter, r *http.Request) { streams(w, chunk(r.Header.Get("Authorization")), done) }, `{"model":"m","stream":true}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, row.handler)
			var c client
			h.do(t.Context(), row.ask, &c)
			if strings.Contains(c.body.String(), "upstream-secret") || !strings.Contains(c.body.String(), "[redacted]") || c.header.Get("X-Echo") != "" {
				t.Errorf("client got %s %v", c.body.String(), c.header)
			}
			h.settled()
		})
	}
}

func TestATruncatedStreamIsNeverASilentSuccess(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		handler http.HandlerFunc
		honest  bool // an error event must follow
	}{
		"ends without a finish": {func(w http.ResponseWriter, _ *http.Request) { streams(w, chunk("a")) }, true},
		"connection breaks":     {func(w http.ResponseWriter, _ *http.Request) { streams(w, chunk("a")); panic(http.ErrAbortHandler) }, true},
		"finished, but no DONE": {func(w http.ResponseWriter, _ *http.Request) { streams(w, chunk("a"), lastChunk) }, false},
		"their own error event": {func(w http.ResponseWriter, _ *http.Request) {
			streams(w, chunk("a"), `data: {"error":{"message":"x"}}`+"\n\n")
		}, false},
		"DONE without its empty line": {func(w http.ResponseWriter, _ *http.Request) { streams(w, chunk("a"), "data: [DONE]") }, false},
		"a chunk that is not JSON":    {func(w http.ResponseWriter, _ *http.Request) { streams(w, chunk("a"), "data: {oops\n\n", done) }, false},
		"half an event, then the end": {func(w http.ResponseWriter, _ *http.Request) { streams(w, chunk("a"), `data: {"cho`) }, true},
		"an event of several lines":   {func(w http.ResponseWriter, _ *http.Request) { streams(w, "data: {\ndata: }\n\n", done) }, false},
		"unknown event types, CR LF":  {func(w http.ResponseWriter, _ *http.Request) { streams(w, "event: x\r\ndata: {}\r\n\r\n", done) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, row.handler)
			var c client
			h.do(t.Context(), `{"model":"m","stream":true}`, &c)
			if got := strings.Contains(c.body.String(), `"code":"upstream_error"`); c.status != 200 || got != row.honest {
				t.Errorf("client got %d %q", c.status, c.body.String())
			}
			if strings.Contains(c.body.String(), `{"cho`+"data") || strings.HasSuffix(c.body.String(), `{"cho`) {
				t.Errorf("half an event reached the client: %q", c.body.String())
			}
			h.settled()
		})
	}
	t.Run("ends before its first event", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, func(w http.ResponseWriter, _ *http.Request) { streams(w, "") })
		var c client
		h.do(t.Context(), `{"model":"m","stream":true}`, &c)
		if r := h.settled(); c.status != 502 || r.Cost != 0 {
			t.Errorf("status %d, record %+v", c.status, r)
		}
	})
}

func TestRefusalsComeBeforeTheUpstreamAndLeaveARecord(t *testing.T) {
	t.Parallel()
	body := `{"model":"m"}`
	for name, row := range map[string]struct {
		change func(*house)
		body   string
		status int
		code   string
	}{
		"disabled key":              {func(h *house) { h.key.Status = key.Disabled }, body, 401, "key_disabled"},
		"expired key":               {func(h *house) { h.key.ExpiresAt = 1 }, body, 401, "key_expired"},
		"disabled and expired":      {func(h *house) { h.key.Status, h.key.ExpiresAt = key.Disabled, 1 }, body, 401, "key_disabled"},
		"exhausted key":             {func(h *house) { h.key.Granted = 0 }, body, 402, "key_quota_exhausted"},
		"key set to exhausted":      {func(h *house) { h.key.Status = key.Exhausted }, body, 402, "key_quota_exhausted"},
		"too little on the key":     {func(h *house) { h.key.Granted = 1000 }, body, 402, "key_quota_exhausted"},
		"too little on the account": {func(h *house) { h.owner.Granted = 1000 }, body, 402, "insufficient_balance"},
		"disabled owner":            {func(h *house) { h.owner.Status = account.Disabled }, body, 401, "account_disabled"},
		"address not listed":        {func(h *house) { h.key.AllowIPs = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }, body, 403, "ip_not_allowed"},
		"model not listed":          {func(h *house) { h.key.ModelLimitsEnabled, h.key.Models = true, []string{"other*"} }, body, 403, "model_not_allowed"},
		"endpoint not listed":       {func(h *house) { h.key.Limits.Endpoints = []string{"embeddings"} }, body, 403, "endpoint_not_allowed"},
		"group not open":            {func(h *house) { h.key.Group = "vip" }, body, 403, "group_not_allowed"},
		"no automatic group":        {func(h *house) { h.key.Group = key.GroupAuto }, body, 403, "group_not_allowed"},
		"unknown model":             {nil, `{"model":"nope"}`, 404, "model_not_found"},
		"model without a price":     {nil, `{"model":"unpriced"}`, 403, "model_not_priced"},
		"channel disabled":          {func(h *house) { h.channel.Status = channel.Disabled }, body, 503, "no_channel_available"},
		"body is not JSON":          {nil, `{"model":`, 400, "invalid_request"},
		"store is full":             {func(h *house) { h.full = true }, body, 503, "store_unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changes := []func(*house){}
			if row.change != nil {
				changes = append(changes, row.change)
			}
			h := newHouse(t, func(http.ResponseWriter, *http.Request) { t.Error("the upstream was called") }, changes...)
			var c client
			h.do(t.Context(), row.body, &c)
			if c.status != row.status || !strings.Contains(c.body.String(), `"code":"`+row.code+`"`) || !strings.Contains(c.body.String(), "(request id: req-1)") {
				t.Errorf("client got %d %s", c.status, c.body.String())
			}
			if r := h.settled(); r.Cost != 0 || r.Status != row.status || r.ErrorCode != row.code {
				t.Errorf("record = %+v", r)
			}
		})
	}
}

func TestRateLimitsAreHeldAndTold(t *testing.T) {
	t.Parallel()
	h := newHouse(t, answers(200, "application/json", plainAnswer), func(h *house) {
		h.key.Limits = key.Limits{Limits: limit.Limits{RPM: new(int64(2)), TPM: new(int64(1000))}}
	})
	for i, want := range []struct {
		status           int
		requests, tokens string
	}{{200, "1", "742"}, {200, "0", "618"}, {429, "0", ""}} {
		var c client
		h.do(t.Context(), `{"model":"m"}`, &c)
		if c.status != want.status || c.header.Get("X-Ratelimit-Remaining-Requests") != want.requests || c.header.Get("X-Ratelimit-Limit-Requests") != "2" {
			t.Errorf("request %d: %d %v", i, c.status, c.header)
		}
		if want.tokens != "" && c.header.Get("X-Ratelimit-Remaining-Tokens") != want.tokens {
			t.Errorf("request %d: %v", i, c.header)
		}
		if c.status == 429 && (c.header.Get("Retry-After") == "" || !strings.Contains(c.body.String(), "rate_limit_exceeded")) {
			t.Errorf("refusal: %v %s", c.header, c.body.String())
		}
	}
	var c client
	if h.do(t.Context(), `{"model":"nope"}`, &c); c.status != 404 || c.header.Get("X-Ratelimit-Limit-Tokens") != "1000" {
		t.Errorf("an early refusal: %d %v", c.status, c.header)
	}
}

func TestTheLimitsOfAccountAndGroupBindToo(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		change func(*house)
		says   string
		header string
	}{
		"the account's requests": {func(h *house) { h.owner.Limits.RPM = new(int64(1)) }, "This account may make 1 requests per minute", "X-Ratelimit-Remaining-Requests"},
		"the account's output":   {func(h *house) { h.owner.Limits.TPMOutput = new(int64(50)) }, "This account may use 50 output tokens per minute", "X-Ratelimit-Remaining-Tokens"},
		"the group's requests":   {func(h *house) { h.limits.RPD = new(int64(1)) }, `The group \"default\" may make 1 requests in 24 hours`, "X-Ratelimit-Remaining-Requests"},
		"the group's input":      {func(h *house) { h.limits.TPMInput = new(int64(100)) }, `The group \"default\" may use 100 input tokens per minute`, "X-Ratelimit-Remaining-Tokens"},
		"the key's own, tighter": {func(h *house) {
			h.limits.RPM, h.owner.Limits.RPM, h.key.Limits.RPM = new(int64(9)), new(int64(5)), new(int64(1))
		}, "This API key may make 1 requests per minute", "X-Ratelimit-Remaining-Requests"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, answers(200, "application/json", plainAnswer), row.change)
			var first, second client
			h.do(t.Context(), `{"model":"m"}`, &first)
			h.do(t.Context(), `{"model":"m"}`, &second)
			if first.status != 200 || first.header.Get(row.header) == "" {
				t.Errorf("the first got %d %v", first.status, first.header)
			}
			after, err := strconv.Atoi(second.header.Get("Retry-After"))
			if second.status != 429 || second.header.Get(row.header) != "0" || !strings.Contains(second.body.String(), row.says) || err != nil || after < 1 {
				t.Errorf("the second got %d %v %s", second.status, second.header, second.body.String())
			}
		})
	}
}

// What a picture weighs is not what it costs in tokens.
func TestAPictureIsNoMountainOfTokens(t *testing.T) {
	t.Parallel()
	h := newHouse(t, answers(200, "application/json", plainAnswer), func(h *house) { h.key.Limits.TPMInput = new(int64(200)) })
	var c client
	h.do(t.Context(), `{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,`+strings.Repeat("iVBORw0KGgo", 9000)+`"}}]}]}`, &c)
	if c.status != 200 {
		t.Errorf("client got %d %s", c.status, c.body.String())
	}
	h.do(t.Context(), `{"model":"m","messages":[{"role":"user","content":"`+strings.Repeat("word ", 900)+`"}]}`, &c)
	if c.status != 429 {
		t.Errorf("a long text: client got %d %s", c.status, c.body.String())
	}
}

func TestARequestThatMoneyRefusesCountsAgainstNoRate(t *testing.T) {
	t.Parallel()
	h := newHouse(t, answers(200, "application/json", plainAnswer), func(h *house) {
		h.key.Granted = 3 * money.USD / 1000 // enough for a short prompt only
		h.owner.Limits.RPM, h.limits.Concurrency = new(int64(1)), new(int64(1))
	})
	for range 3 {
		var c client
		if h.do(t.Context(), `{"model":"m","messages":[{"role":"user","content":"`+strings.Repeat("word ", 5000)+`"}]}`, &c); c.status != 402 {
			t.Fatalf("client got %d %s", c.status, c.body.String())
		}
	}
	var c client
	if h.do(t.Context(), `{"model":"m"}`, &c); c.status != 200 {
		t.Errorf("client got %d %s", c.status, c.body.String())
	}
}

func TestAnAccountsSpentBudgetRefusesEveryKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t, answers(200, "application/json", `{"choices":[{}],"usage":{"prompt_tokens":2000,"completion_tokens":500}}`), func(h *house) {
		h.key.Unlimited, h.owner.Unlimited = true, true
		h.owner.Limits.Budgets = []budget.Renewing{{Amount: 250, Period: "hours:1", TimeZone: "UTC"}} // $0.0005
	})
	var c client
	if h.do(t.Context(), `{"model":"m"}`, &c); c.status != 200 || h.records[0].Cost != 500_000 {
		t.Fatalf("client got %d, record %+v", c.status, h.records[0])
	}
	for _, body := range []string{`{"model":"m"}`, `{"model":"free"}`} {
		var again client
		h.do(t.Context(), body, &again)
		after, err := strconv.Atoi(again.header.Get("Retry-After"))
		if again.status != 402 || !strings.Contains(again.body.String(), "budget_exhausted") || err != nil || after < 1 || after > 3600 {
			t.Errorf("%s: client got %d, Retry-After %q: %s", body, again.status, again.header.Get("Retry-After"), again.body.String())
		}
	}
	v, err := h.Verify(t.Context(), h.key, h.owner, gateway.Question{Model: "m"})
	if err != nil || v.Allowed || v.Refusal.Code != "budget_exhausted" {
		t.Errorf("verify says %+v, %v", v, err)
	}
}

func TestZeroMeansNoneAllowed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, answers(200, "application/json", plainAnswer), func(h *house) { h.key.Limits = key.Limits{Limits: limit.Limits{Concurrency: new(int64(0))}} })
	var c client
	if h.do(t.Context(), `{"model":"m"}`, &c); c.status != 429 {
		t.Errorf("status %d", c.status)
	}
	if r := h.settled(); r.ErrorCode != "rate_limit_exceeded" {
		t.Errorf("record = %+v", r)
	}
}

func TestCredentialsAreTriedInOrderAndTokensPassedOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t, answers(200, "application/json", plainAnswer))
	var c client
	h.call(t.Context(), provider.Chat, `{"model":"m"}`, &c, "hpat_x", "sk-unknown", keyValue)
	if c.status != 200 {
		t.Errorf("client got %d %s", c.status, c.body.String())
	}
	for name, credentials := range map[string][]string{"none": nil, "a token": {"hpat_x"}, "unknown": {"sk-unknown"}} {
		var c client
		h.call(t.Context(), provider.Chat, `{"model":"m"}`, &c, credentials...)
		if c.status != 401 || !strings.Contains(c.body.String(), "invalid_api_key") {
			t.Errorf("%s: client got %d %s", name, c.status, c.body.String())
		}
	}
	if h.unknown != 3 || len(h.records) != 1 {
		t.Errorf("%d unknown keys counted, %d records", h.unknown, len(h.records))
	}
}

func TestCredentialsAreReadInTheContractsOrder(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		header []string // name, value, name, value
		query  string
		want   []string
	}{
		"none":                           {nil, "", nil},
		"all six":                        {[]string{"Sec-WebSocket-Protocol", "realtime, openai-insecure-api-key.f, openai-beta.realtime-v1", "Api-Key", "d", "X-Goog-Api-Key", "c", "X-Api-Key", "b", "Authorization", "Bearer a"}, "e", []string{"a", "b", "c", "d", "e", "f"}},
		"two subprotocols, on two lines": {[]string{"Sec-WebSocket-Protocol", "openai-insecure-api-key.a", "Sec-WebSocket-Protocol", "x,openai-insecure-api-key.b"}, "", []string{"a", "b"}},
		"subprotocols of another kind":   {[]string{"Sec-WebSocket-Protocol", "openai-insecure-api-key., openai-insecure-api-key, realtime"}, "", nil},
		"raw in Authorization":           {[]string{"Authorization", " a "}, "", []string{"a"}},
		"another scheme":                 {[]string{"Authorization", "Basic a"}, "", nil},
	} {
		h := http.Header{}
		for i := 0; i < len(row.header); i += 2 {
			h.Add(row.header[i], row.header[i+1])
		}
		if got, err := gateway.Credentials(h, row.query); err != nil || !slices.Equal(got, row.want) {
			t.Errorf("%s: %q, %v, want %q", name, got, err, row.want)
		}
	}
	if _, err := gateway.Credentials(http.Header{"Authorization": {"Bearer a", "Bearer a"}}, ""); !fault.Is(err, fault.Malformed) {
		t.Errorf("a repeated Authorization header: %v", err)
	}
}

func TestTheOutputCapIsLoweredToWhatIsAffordable(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		body string
		cap  bool
		ok   bool
	}{
		"asked for more than there is": {`{"model":"m","max_tokens":100000}`, true, true},
		"asked for nothing":            {`{"model":"m"}`, true, true},
		"newer member":                 {`{"model":"m","max_completion_tokens":100000}`, true, true},
		"little enough":                {`{"model":"m","max_tokens":20}`, false, true},
		"too little for several":       {`{"model":"m","max_tokens":100000,"n":50}`, false, false},
		"the prompt alone is too much": {`{"model":"m","max_tokens":1,"x":"` + strings.Repeat("y", 5000) + `"}`, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked string
			h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				asked = string(b)
				answers(200, "application/json", `{"choices":[{}],"usage":{"prompt_tokens":5,"completion_tokens":9}}`)(w, r)
			}, func(h *house) { h.key.Granted = 500 * 1000 }) // 500 micro-USD: some 230 output tokens
			var c client
			h.do(t.Context(), row.body, &c)
			lowered := c.header.Get("X-Halley-Output-Cap")
			if row.ok != (c.status == 200) || row.cap != (lowered != "") {
				t.Fatalf("client got %d, cap %q: %s", c.status, lowered, c.body.String())
			}
			if row.cap && !strings.Contains(asked, `tokens":`+lowered) {
				t.Errorf("the upstream was asked %s, the header says %s", asked, lowered)
			}
			if r := h.settled(); r.Held > 500*1000 {
				t.Errorf("record = %+v", r)
			}
		})
	}
}

func TestARenewingBudgetLowersTheCapAndThenRefuses(t *testing.T) {
	t.Parallel()
	for name, unlimited := range map[string]bool{"a limited key": false, "an unlimited key": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, answers(200, "application/json", `{"choices":[{}],"usage":{"prompt_tokens":2000,"completion_tokens":500}}`), func(h *house) {
				h.key.Unlimited, h.owner.Unlimited = unlimited, unlimited
				h.key.Limits.Budgets = []budget.Renewing{{Amount: 250, Period: "month", TimeZone: "UTC"}, {Amount: 1000, Period: "day", TimeZone: "UTC"}} // $0.0005
			})
			var c client
			h.do(t.Context(), `{"model":"m"}`, &c)
			if c.status != 200 || c.header.Get("X-Halley-Output-Cap") == "" {
				t.Fatalf("client got %d, cap %q: %s", c.status, c.header.Get("X-Halley-Output-Cap"), c.body.String())
			}
			r := h.records[0]
			if r.Cost != 500_000 || r.Absorbed != 2_500_000 || r.Held > 500_000 || r.Time.Nanosecond()%1_000_000 != 0 {
				t.Errorf("record = %+v, want the whole budget charged and the rest absorbed", r)
			}
			for _, body := range []string{`{"model":"m"}`, `{"model":"free"}`} {
				var again client
				h.do(t.Context(), body, &again)
				after, err := strconv.Atoi(again.header.Get("Retry-After"))
				now := time.Now().UTC()
				left := time.Until(time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC))
				if again.status != 402 || !strings.Contains(again.body.String(), "budget_exhausted") || err != nil || (time.Duration(after)*time.Second-left).Abs() > time.Minute {
					t.Errorf("%s: client got %d, Retry-After %q: %s", body, again.status, again.header.Get("Retry-After"), again.body.String())
				}
			}
			v, err := h.Verify(t.Context(), h.key, h.owner, gateway.Question{Model: "m"})
			if err != nil || v.Allowed || v.Refusal.Code != "budget_exhausted" {
				t.Errorf("verify says %+v, %v", v, err)
			}
		})
	}
}

// A stream holds its prompt and a slice of its output, and more as it runs.
// When there is no more it ends properly, the upstream is let go, and what was
// metered is charged.
func TestAStreamIsCutWhenTheMoneyEnds(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ ask, want string }{
		"usage not asked for": {`{"model":"m","stream":true,"max_tokens":300000}`, `"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}` + "\n\n" + done},
		"usage asked for":     {`{"model":"m","stream":true,"max_tokens":300000,"stream_options":{"include_usage":true}}`, `"total_tokens":`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			freed := make(chan struct{})
			h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.ReadAll(r.Body)
				defer close(freed)
				for r.Context().Err() == nil {
					streams(w, `data: {"id":"c1","model":"up","choices":[{"index":0,"delta":{"content":"`+strings.Repeat("word ", 50)+`"}}]}`+"\n\n")
				}
			}, func(h *house) { h.channel.ModelMapping = mapping(t, "m", "up") })
			subject := budget.Subject{Kind: budget.Key, ID: h.key.ID}
			var held money.Nano
			c := client{}
			c.onWrite = func(body string) {
				if len(body) < 30_000 { // some 12,000 tokens at the most: several slices
					return
				}
				c.onWrite = nil
				b, err := h.ledger.Edit(context.Background(), subject, budget.SetRemaining(0), func(context.Context, budget.Change) error { return nil })
				if err != nil {
					t.Error(err)
				}
				held = b.Held
			}
			h.do(t.Context(), row.ask, &c)
			<-freed
			body := c.body.String()
			if c.status != 200 || !strings.Contains(body, row.want) || !strings.HasSuffix(body, done) || !strings.Contains(body, `{"id":"c1","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"length"}]}`) {
				t.Errorf("client got %d …%s", c.status, body[max(0, len(body)-500):])
			}
			if strings.Contains(body, `"up"`) {
				t.Error("the upstream's model name reached the client")
			}
			b, err := h.ledger.Balance(t.Context(), subject)
			if err != nil {
				t.Fatal(err)
			}
			r := h.records[0]
			if len(h.records) != 1 || r.Source != usage.Metered || r.ErrorCode != "key_quota_exhausted" || r.Absorbed != 0 || r.Cost == 0 || r.Cost > held || b.Held != 0 || b.Used != r.Cost || b.Remaining() < 0 {
				t.Errorf("record %+v, held %d, balance %+v", r, held, b)
			}
			if held > money.USD/5 {
				t.Errorf("%s was held for a stream of some thousand tokens", held.USDString())
			}
		})
	}
}

func TestManyLongStreamsDoNotLockEachOtherOut(t *testing.T) {
	t.Parallel()
	var started sync.WaitGroup
	started.Add(10)
	all := make(chan struct{})
	h := newHouse(t, func(w http.ResponseWriter, _ *http.Request) {
		started.Done()
		<-all
		streams(w, chunk("a"), lastChunk, usageChunk, done)
	})
	go func() { started.Wait(); close(all) }()
	var clients sync.WaitGroup
	for range 10 { // each could cost 0.80 USD of the key's 1.00
		clients.Go(func() {
			var c client
			if h.do(t.Context(), `{"model":"m","stream":true,"max_tokens":400000}`, &c); c.status != 200 {
				t.Errorf("status %d: %s", c.status, c.body.String())
			}
		})
	}
	clients.Wait()
}

func TestTheGroupsRatioIsCharged(t *testing.T) {
	t.Parallel()
	h := newHouse(t, answers(200, "application/json", plainAnswer), func(h *house) {
		h.key.Group, h.owner.Group, h.channel.Groups = "vip", "vips", []string{"vip"}
	})
	var c client
	h.do(t.Context(), `{"model":"m"}`, &c)
	if r := h.settled(); r.Cost != 2*200_000 || r.Group != "vip" {
		t.Errorf("record = %+v", r)
	}
}

func TestAnUnlimitedKeyOfAnUnlimitedAccountMayUseWhatHasNoPrice(t *testing.T) {
	t.Parallel()
	h := newHouse(t, answers(200, "application/json", plainAnswer), func(h *house) { h.key.Unlimited, h.owner.Unlimited = true, true })
	var c client
	h.do(t.Context(), `{"model":"unpriced"}`, &c)
	if r := h.settled(); c.status != 200 || r.Cost != 0 || r.PriceVersion != "" || r.Tokens.Prompt != 100 {
		t.Errorf("status %d, record %+v", c.status, r)
	}
}

func TestDrainFinishesWhatIsUnderWayAndRefusesTheRest(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		answers(200, "application/json", plainAnswer)(w, r)
	})
	var under client
	var serving sync.WaitGroup
	serving.Go(func() { h.do(t.Context(), `{"model":"m"}`, &under) })
	<-arrived
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Drain(ctx); err == nil {
		t.Fatal("Drain did not wait")
	}
	var late client
	h.do(t.Context(), `{"model":"m"}`, &late)
	if late.status != 503 || !strings.Contains(late.body.String(), "shutting_down") || late.header.Get("Connection") != "close" || late.header.Get("Retry-After") == "" {
		t.Errorf("a late request got %d %s %v", late.status, late.body.String(), late.header)
	}
	close(release)
	serving.Wait()
	if err := h.Drain(t.Context()); err != nil || under.status != 200 {
		t.Errorf("err %v, the request under way got %d", err, under.status)
	}
}

// A thousand requests at once on a key worth about a hundred of them, with
// failures, clients that leave and prompts of many sizes: never more charged
// than granted, granted = remaining + used + held at every look, and nothing
// held at the end.
func TestAThousandRequestsNeverOverspend(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch n := rand.IntN(10); {
		case n == 0:
			answers(500, "application/json", `{"error":{}}`)(w, r)
		case n == 1:
			panic(http.ErrAbortHandler)
		case strings.Contains(string(body), `"stream":true`):
			streams(w, chunk("a"), chunk("b"), lastChunk, fmt.Sprintf(`data: {"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}`+"\n\n", rand.IntN(300), rand.IntN(300)), done)
		default:
			answers(200, "application/json", fmt.Sprintf(`{"choices":[{}],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}`, rand.IntN(300), rand.IntN(300)))(w, r)
		}
	}, func(h *house) { h.key.Granted = 100 * 300_000 })
	subject := budget.Subject{Kind: budget.Key, ID: h.key.ID}
	stop := make(chan struct{})
	var watcher, clients sync.WaitGroup
	watcher.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			b, err := h.ledger.Balance(context.Background(), subject)
			if err != nil || b.Remaining() < 0 || b.Granted != h.key.Granted || b.Held < 0 {
				t.Errorf("balance %+v, %v", b, err)
				return
			}
		}
	})
	slots := make(chan struct{}, 64)
	for i := range 1000 {
		clients.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ctx, leave := context.WithCancel(context.Background())
			defer leave()
			c := client{}
			if i%7 == 0 {
				c.onWrite = func(string) { leave() }
			}
			h.do(ctx, fmt.Sprintf(`{"model":"m","max_tokens":%d,"stream":%v,"x":"%s"}`, 1+rand.IntN(400), i%2 == 0, strings.Repeat("y", rand.IntN(300))), &c)
		})
	}
	clients.Wait()
	close(stop)
	watcher.Wait()
	b, err := h.ledger.Balance(context.Background(), subject)
	if err != nil {
		t.Fatal(err)
	}
	var charged money.Nano
	for _, r := range h.records {
		charged += r.Cost
	}
	if b.Held != 0 || b.Used != charged || charged > h.key.Granted || len(h.records) != 1000 {
		t.Errorf("balance %+v, charged %d, %d records", b, charged, len(h.records))
	}
	if holds, held := h.ledger.InFlight(); holds != 0 || held != 0 {
		t.Errorf("%d holds of %d are left", holds, held)
	}
	// What is left can be spent, down to less than the least request.
	for range 1000 {
		var c client
		if h.do(t.Context(), `{"model":"m","max_tokens":400}`, &c); c.status == http.StatusPaymentRequired {
			break
		}
	}
	if b, err = h.ledger.Balance(t.Context(), subject); err != nil || b.Remaining() > 100*1000 {
		t.Errorf("%s of %s could not be spent: %v", b.Remaining().USDString(), h.key.Granted.USDString(), err)
	}
}

// mapping maps one name to another.
func mapping(t *testing.T, public, upstream string) *channel.Mapping {
	t.Helper()
	m, err := channel.NewMapping(map[string]string{public: upstream})
	if err != nil {
		t.Fatal(err)
	}
	return m
}
