package gateway_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"halley/internal/account"
	"halley/internal/channel"
	"halley/internal/gateway"
	"halley/internal/group"
	"halley/internal/health"
	"halley/internal/key"
	"halley/internal/money"
	"halley/internal/usage"
)

// calls notes which channels were asked, in order.
type calls struct {
	mu  sync.Mutex
	ids []int64
}

func (c *calls) by(id int64, serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.ids = append(c.ids, id)
		c.mu.Unlock()
		serve(w, r)
	}
}

func (c *calls) want(t *testing.T, ids ...int64) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.ids, ids) {
		t.Errorf("the channels %v were asked, want %v", c.ids, ids)
	}
}

// channel adds a channel with an upstream of its own. Those that are added first
// come first.
func (c *calls) channel(t *testing.T, id int64, serve http.HandlerFunc, groups ...string) func(*house) {
	t.Helper()
	server := httptest.NewServer(c.by(id, serve))
	t.Cleanup(server.Close)
	return func(h *house) {
		h.more = append(h.more, &channel.Channel{
			ID: id, Kind: channel.OpenAI, BaseURL: server.URL, Models: []string{"m"}, Groups: groups, Status: channel.Enabled, Weight: 1, Priority: 100 - id,
			Credentials: []channel.Credential{{ID: "k" + strconv.FormatInt(id, 10), Value: "secret-of-" + strconv.FormatInt(id, 10)}},
		})
	}
}

// first makes the house's own channel the first.
func first(h *house) { h.channel.Priority = 1000 }

func tracked(t *testing.T) func(*house) {
	t.Helper()
	tracker, err := health.New(health.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return func(h *house) { h.health = tracker }
}

// refuses makes the house's own channel one at which nobody listens.
func refuses(t *testing.T) func(*house) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	return func(h *house) { h.channel.BaseURL = "http://" + listener.Addr().String() }
}

// zipped answers compressed, which nobody has asked for.
func zipped(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var to bytes.Buffer
		z := gzip.NewWriter(&to)
		_, _ = io.WriteString(z, body)
		_ = z.Close()
		w.Header().Set("Content-Encoding", "gzip")
		answers(status, "application/json", to.String())(w, r)
	}
}

func resets(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

func stalls(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.ReadAll(r.Body)
	<-r.Context().Done()
}

const (
	overloaded  = `{"error":{"message":"theirs","type":"overloaded"}}`
	streamedAsk = `{"model":"m","stream":true}`
)

func after(seconds, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", seconds)
		answers(429, "application/json", body)(w, r)
	}
}

// One channel is bad in every way there is; the other serves. Alone, the bad one
// leaves its own honest error.
func TestWhatFailsBeforeTheFirstByteIsServedElsewhere(t *testing.T) {
	t.Parallel()
	soon := func(h *house) { h.channel.Timeouts.FirstByte = 50 * time.Millisecond }
	for name, row := range map[string]struct {
		bad     http.HandlerFunc
		change  func(*house)
		outcome health.Class
		status  int    // alone
		body    string // alone; "" is our own upstream_error
		stream  bool   // only as a stream
		plain   bool   // only as a plain answer
	}{
		"refused":                   {change: refuses(t), outcome: health.Failed, status: 502},
		"reset":                     {bad: resets, outcome: health.Failed, status: 502},
		"black hole":                {bad: stalls, change: soon, outcome: health.Failed, status: 504},
		"408":                       {bad: answers(408, "application/json", overloaded), outcome: health.Failed, status: 408, body: overloaded},
		"429":                       {bad: answers(429, "application/json", overloaded), outcome: health.RateLimited, status: 429, body: overloaded},
		"429 with Retry-After":      {bad: after("7", overloaded), outcome: health.RateLimited, status: 429, body: overloaded},
		"429 that is our quota":     {bad: answers(429, "application/json", `{"error":{"code":"insufficient_quota"}}`), outcome: health.Balance, status: 502},
		"500":                       {bad: answers(500, "text/html", "<html>"), outcome: health.Failed, status: 500, body: "<html>"},
		"503":                       {bad: answers(503, "application/json", overloaded), outcome: health.Failed, status: 503, body: overloaded},
		"529":                       {bad: answers(529, "application/json", overloaded), outcome: health.Failed, status: 529, body: overloaded},
		"401":                       {bad: answers(401, "application/json", overloaded), outcome: health.Credential, status: 502},
		"402":                       {bad: answers(402, "application/json", overloaded), outcome: health.Balance, status: 502},
		"402 in a 403":              {bad: answers(403, "application/json", `{"error":{"message":"Insufficient Balance"}}`), outcome: health.Balance, status: 502},
		"404 of a wrong address":    {bad: answers(404, "text/html", "<html>"), outcome: health.Failed, status: 404, body: "<html>"},
		"204":                       {bad: answers(204, "", ""), outcome: health.Failed, status: 502},
		"200 with an error":         {bad: answers(200, "application/json", overloaded), outcome: health.Failed, status: 502},
		"200 empty":                 {bad: answers(200, "application/json", ""), outcome: health.Failed, status: 502},
		"200 that is HTML":          {bad: answers(200, "text/html", "<html>"), outcome: health.Failed, status: 502},
		"a stream without an event": {bad: func(w http.ResponseWriter, _ *http.Request) { streams(w, "") }, outcome: health.Failed, status: 502, stream: true},
		"a stream that breaks before its first event": {bad: func(w http.ResponseWriter, r *http.Request) { streams(w, "data: {"); panic(http.ErrAbortHandler) }, outcome: health.Failed, status: 502, stream: true},
		"a stall before the first token":              {bad: func(w http.ResponseWriter, r *http.Request) { streams(w, ""); stalls(w, r) }, change: soon, outcome: health.Failed, status: 504, stream: true},
		"an error as the first event":                 {bad: func(w http.ResponseWriter, _ *http.Request) { streams(w, theirError, done) }, outcome: health.Failed, status: 200, body: theirError + done, stream: true},
		"our quota as the first event": {bad: func(w http.ResponseWriter, _ *http.Request) {
			streams(w, `data: {"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}`+"\n\n", done)
		}, outcome: health.Balance, status: 502, stream: true},
		"our key as the first event": {bad: func(w http.ResponseWriter, _ *http.Request) {
			streams(w, `data: {"error":{"message":"Incorrect API key provided: sk-1","code":"invalid_api_key"}}`+"\n\n")
		}, outcome: health.Credential, status: 502, stream: true},
		"200 with nothing of an answer":      {bad: answers(200, "application/json", `{"code":500,"msg":"internal","data":null}`), outcome: health.Failed, status: 502},
		"200 with our quota":                 {bad: answers(200, "application/json", `{"error":{"code":"insufficient_quota"}}`), outcome: health.Balance, status: 502},
		"a stream of nothing but its end":    {bad: func(w http.ResponseWriter, _ *http.Request) { streams(w, done) }, outcome: health.Failed, status: 502, stream: true},
		"a stream of what cannot be read":    {bad: func(w http.ResponseWriter, _ *http.Request) { streams(w, "data: upstream connect error\n\n", done) }, outcome: health.Failed, status: 502, stream: true},
		"a stream of what is only half JSON": {bad: func(w http.ResponseWriter, _ *http.Request) { streams(w, "data: {\"choices\":[{\n\n") }, outcome: health.Failed, status: 502, stream: true},
		"a coding that we do not know": {bad: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			answers(400, "application/json", "\x0b\x02\x80")(w, r)
		}, outcome: health.Failed, status: 502},
		"our quota, compressed": {bad: zipped(429, `{"error":{"code":"insufficient_quota"}}`), outcome: health.Balance, status: 502},
		"500, compressed":       {bad: zipped(500, overloaded), outcome: health.Failed, status: 500, body: overloaded},
		"cut in mid-body": {bad: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"id":`)
		}, outcome: health.Failed, status: 502, plain: true},
	} {
		change := func(h *house) {
			first(h)
			if row.change != nil {
				row.change(h)
			}
		}
		if row.bad == nil {
			row.bad = func(http.ResponseWriter, *http.Request) { t.Error("nobody listens here") }
		}
		for _, stream := range []bool{false, true} {
			if row.stream && !stream || row.plain && stream {
				continue
			}
			ask, good, cost := `{"model":"m"}`, answers(200, "application/json", plainAnswer), money.Nano(200_000)
			want := plainAnswer
			if stream {
				ask, cost = streamedAsk, 16_000
				good = func(w http.ResponseWriter, _ *http.Request) { streams(w, chunk("a"), lastChunk, usageChunk, done) }
				want = chunk("a") + lastChunk + done
			}
			t.Run(name+", streamed "+strconv.FormatBool(stream), func(t *testing.T) {
				t.Parallel()
				var asked calls
				h := newHouse(t, row.bad, change, asked.channel(t, 9, good, group.Default), tracked(t))
				var c client
				h.do(t.Context(), ask, &c)
				if c.status != 200 || c.body.String() != want {
					t.Errorf("client got %d %s", c.status, c.body.String())
				}
				r := h.settled()
				if r.Attempts != 2 || r.ChannelID != 9 || r.Status != 200 || r.ErrorCode != "" || r.Cost != cost || r.Source != usage.FromProvider {
					t.Errorf("record = %+v", r)
				}
				asked.want(t, 9)
				if want := []health.Class{row.outcome, health.Success}; !slices.Equal(h.outcomes, want) {
					t.Errorf("outcomes %v, want %v", h.outcomes, want)
				}
				if c.header.Get("X-Halley-Attempts") != "" {
					t.Error("a user's key was told who was tried")
				}
			})
			t.Run(name+" alone, streamed "+strconv.FormatBool(stream), func(t *testing.T) {
				t.Parallel()
				h := newHouse(t, row.bad, change, tracked(t))
				var c client
				h.do(t.Context(), ask, &c)
				body := c.body.String()
				if c.status != row.status || (row.body != "" && body != row.body) || (row.body == "" && !strings.Contains(body, `"code":"upstream_error"`)) {
					t.Errorf("client got %d %s", c.status, body)
				}
				attempts := 1
				if (row.outcome == health.Failed || row.outcome == health.RateLimited) && c.header.Get("Retry-After") == "" {
					attempts = 4 // there is nothing else
				}
				if r := h.settled(); r.Attempts != attempts || r.Status != row.status || r.Cost != 0 || r.ErrorCode != "upstream_error" || r.ChannelID != 5 {
					t.Errorf("record = %+v", r)
				}
			})
		}
	}
}

func TestWhatIsTheRequestsOwnFaultIsNotTriedElsewhere(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 403, 404, 409, 413, 422} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			var asked calls
			h := newHouse(t, answers(status, "application/json", overloaded), first, asked.channel(t, 9, answers(200, "application/json", plainAnswer), group.Default), tracked(t))
			var c client
			h.do(t.Context(), `{"model":"m"}`, &c)
			if r := h.settled(); c.status != status || c.body.String() != overloaded || r.Attempts != 1 || r.ChannelID != 5 {
				t.Errorf("client got %d %s, record %+v", c.status, c.body.String(), r)
			}
			asked.want(t)
		})
	}
}

func TestAfterTheFirstByteNothingIsTriedAgain(t *testing.T) {
	t.Parallel()
	var asked calls
	h := newHouse(t, func(w http.ResponseWriter, _ *http.Request) { streams(w, chunk("a")); panic(http.ErrAbortHandler) }, first,
		asked.channel(t, 9, answers(200, "application/json", plainAnswer), group.Default), tracked(t))
	var c client
	h.do(t.Context(), streamedAsk, &c)
	if !strings.HasPrefix(c.body.String(), chunk("a")) || !strings.Contains(c.body.String(), `"code":"upstream_error"`) {
		t.Errorf("client got %s", c.body.String())
	}
	if r := h.settled(); r.Attempts != 1 || r.ChannelID != 5 || r.Cost == 0 {
		t.Errorf("record = %+v", r)
	}
	asked.want(t)
}

func TestAClientThatLeavesIsServedNowhereElse(t *testing.T) {
	t.Parallel()
	for _, disconnect := range []channel.OnDisconnect{channel.Cancel, channel.Drain} {
		t.Run(string(disconnect), func(t *testing.T) {
			t.Parallel()
			e := ending{ask: plainAsk, upstream: all(clientLeaves, untilGone, gives(503, overloaded))}
			var asked calls
			e.change = func(h *house) {
				first(h)
				h.channel.OnDisconnect = disconnect
				asked.channel(t, 9, answers(200, "application/json", plainAnswer), group.Default)(h)
			}
			e.status, e.code = 499, "client_closed_request"
			e.play(t)
			asked.want(t)
		})
	}
}

func TestWhenAllFailTheClientGetsTheLastRealAnswer(t *testing.T) {
	t.Parallel()
	says := func(status int, word string) http.HandlerFunc {
		return answers(status, "application/json", `{"error":"`+word+`"}`)
	}
	for name, row := range map[string]struct {
		a, b, c http.HandlerFunc
		status  int
		body    string
		channel int64
	}{
		"the last":                        {says(500, "a"), says(503, "b"), says(429, "c"), 429, `{"error":"c"}`, 7},
		"not that of our key":             {says(500, "a"), says(503, "b"), says(401, "c"), 503, `{"error":"b"}`, 6},
		"not that there was none":         {says(529, "a"), resets, resets, 529, `{"error":"a"}`, 5},
		"ours, where nobody said a thing": {says(401, "a"), says(402, "b"), resets, 502, "upstream_error", 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked calls
			h := newHouse(t, row.a, first, asked.channel(t, 6, row.b, group.Default), asked.channel(t, 7, row.c, group.Default), tracked(t))
			var c client
			h.do(t.Context(), `{"model":"m"}`, &c)
			if c.status != row.status || !strings.Contains(c.body.String(), row.body) {
				t.Errorf("client got %d %s", c.status, c.body.String())
			}
			if r := h.settled(); r.Attempts != 3 || r.Status != row.status || r.Cost != 0 || r.ChannelID != row.channel {
				t.Errorf("record = %+v", r)
			}
			asked.want(t, 6, 7)
		})
	}
}

func TestTheAttemptsOfARequestAreBounded(t *testing.T) {
	t.Parallel()
	for most, want := range map[int][]int64{0: {11, 12, 13}, 1: nil, 3: {11, 12}} {
		t.Run(strconv.Itoa(most), func(t *testing.T) {
			t.Parallel()
			var asked calls
			changes := []func(*house){first, tracked(t), func(h *house) { h.maxAttempts = most }}
			for id := int64(11); id <= 20; id++ {
				changes = append(changes, asked.channel(t, id, answers(500, "application/json", overloaded), group.Default))
			}
			h := newHouse(t, answers(500, "application/json", overloaded), changes...)
			var c client
			h.do(t.Context(), `{"model":"m"}`, &c)
			if r := h.settled(); c.status != 500 || r.Attempts != len(want)+1 {
				t.Errorf("client got %d, record %+v", c.status, r)
			}
			asked.want(t, want...)
		})
	}
}

func TestTheTimeOfARequestBoundsAllItsAttempts(t *testing.T) {
	t.Parallel()
	var asked calls
	h := newHouse(t, stalls, first, asked.channel(t, 9, answers(200, "application/json", plainAnswer), group.Default), tracked(t))
	h.Gateway.Timeouts.Total = 100 * time.Millisecond
	var c client
	h.do(t.Context(), `{"model":"m"}`, &c)
	if r := h.settled(); c.status != 504 || r.Attempts != 1 || r.Status != 504 {
		t.Errorf("client got %d, record %+v", c.status, r)
	}
	asked.want(t)
}

func TestAChannelWithLittleTimeLeavesTheRestToOthers(t *testing.T) {
	t.Parallel()
	var asked calls
	h := newHouse(t, stalls, first, func(h *house) { h.channel.Timeouts.Total = 100 * time.Millisecond },
		asked.channel(t, 9, answers(200, "application/json", plainAnswer), group.Default), tracked(t))
	var c client
	h.do(t.Context(), `{"model":"m"}`, &c)
	if r := h.settled(); c.status != 200 || r.Attempts != 2 {
		t.Errorf("client got %d, record %+v", c.status, r)
	}
	asked.want(t, 9)
}

// OpenRouter and others send comments while they look for somebody to serve.
func TestCommentsAreNoBeginningOfAnAnswer(t *testing.T) {
	t.Parallel()
	var asked calls
	waits := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 3 {
			_, _ = w.Write([]byte(": PROCESSING\n\n"))
			_ = http.NewResponseController(w).Flush()
		}
	}
	h := newHouse(t, waits, first, asked.channel(t, 9, answers(200, "text/event-stream", "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"), group.Default), tracked(t))
	var c client
	h.do(t.Context(), streamedAsk, &c)
	if r := h.settled(); c.status != 200 || r.Attempts != 2 || strings.Contains(c.body.String(), "PROCESSING") {
		t.Errorf("client got %d %s, record %+v", c.status, c.body.String(), r)
	}
	asked.want(t, 9)
}

// Group "default" has the channels 5 and 6, "vip" at twice the price 7.
func crossing(h *house) {
	first(h)
	h.key.Group, h.key.Limits.AutoGroups, h.owner.Group = key.GroupAuto, []string{group.Default, "vip"}, "vips"
	h.key.CrossGroupRetry = true
}

func TestCrossGroupRetryGoesThroughTheGroupsInOrder(t *testing.T) {
	t.Parallel()
	bad := answers(503, "application/json", overloaded)
	for name, row := range map[string]struct {
		cross  bool
		last   http.HandlerFunc // of the dearer group
		change func(*house)
		asked  []int64
		status int
		cost   money.Nano
		group  string
	}{
		"flag on, all fail":          {true, bad, nil, []int64{5, 6, 7}, 503, 0, "vip"},
		"flag off":                   {false, bad, nil, []int64{5, 6}, 503, 0, group.Default},
		"flag on, the dearer serves": {true, answers(200, "application/json", plainAnswer), nil, []int64{5, 6, 7}, 200, 400_000, "vip"},
		"the money does not do for the dearer": {true, answers(200, "application/json", plainAnswer), func(h *house) { h.key.Granted = 2_100_000 }, // the bound is some 2,000,000
			[]int64{5, 6}, 503, 0, group.Default},
		"the dearer is at its limit": {true, answers(200, "application/json", plainAnswer), func(h *house) { h.vipLimits.RPM = new(int64(0)) },
			[]int64{5, 6}, 503, 0, group.Default},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked calls
			h := newHouse(t, asked.by(5, bad), crossing, asked.channel(t, 6, bad, group.Default), asked.channel(t, 7, row.last, "vip"), tracked(t), func(h *house) {
				h.key.CrossGroupRetry = row.cross
				if row.change != nil {
					row.change(h)
				}
			})
			var c client
			h.do(t.Context(), `{"model":"m"}`, &c)
			r := h.settled()
			if c.status != row.status || r.Cost != row.cost || r.Group != row.group || r.Attempts != len(row.asked) || r.Absorbed != 0 {
				t.Errorf("client got %d %s, record %+v", c.status, c.body.String(), r)
			}
			if row.status == 200 && r.Held < 2*2_000_000 {
				t.Errorf("%d was held for a request of the dearer group", r.Held)
			}
			asked.want(t, row.asked...)
		})
	}
}

// A long prompt's bytes are a bound that its tokens stay far below.
func TestNearTheLimitADearerGroupIsHeldForByTheEstimate(t *testing.T) {
	t.Parallel()
	var asked calls
	body := `{"model":"m","user":"` + strings.Repeat("words ", 1000) + `"}`
	h := newHouse(t, asked.by(5, answers(503, "application/json", overloaded)), crossing, asked.channel(t, 7, answers(200, "application/json", plainAnswer), "vip"), tracked(t),
		func(h *house) { h.key.Granted = 12_000_000 }) // some 8,000,000 by the bytes, twice that in the dearer group
	var c client
	h.do(t.Context(), body, &c)
	if r := h.settled(); c.status != 200 || r.Group != "vip" || r.Cost != 400_000 || r.Held > 12_000_000 || r.Absorbed != 0 {
		t.Errorf("client got %d %s, record %+v", c.status, c.body.String(), r)
	}
	asked.want(t, 5, 7)
}

func TestALoweredCapHoldsForLaterAttempts(t *testing.T) {
	t.Parallel()
	var asked calls
	var second string
	h := newHouse(t, answers(503, "application/json", overloaded), first, func(h *house) { h.key.Granted = 500 * 1000 },
		asked.channel(t, 9, func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			second = string(b)
			answers(200, "application/json", `{"choices":[{}],"usage":{"prompt_tokens":5,"completion_tokens":9}}`)(w, r)
		}, group.Default), tracked(t))
	var c client
	h.do(t.Context(), `{"model":"m","max_tokens":100000}`, &c)
	lowered := c.header.Get("X-Halley-Output-Cap")
	if c.status != 200 || lowered == "" || second != `{"model":"m","max_tokens":`+lowered+`}` {
		t.Errorf("client got %d, cap %q; the second upstream was asked %s", c.status, lowered, second)
	}
	h.settled()
}

func TestARefusedUpstreamKeyIsReplacedByAnotherOfItsChannel(t *testing.T) {
	t.Parallel()
	var asked calls
	h := newHouse(t, asked.by(5, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer good" {
			answers(401, "application/json", overloaded)(w, r)
			return
		}
		answers(200, "application/json", plainAnswer)(w, r)
	}), func(h *house) {
		h.channel.Credentials = []channel.Credential{{ID: "a", Value: "bad"}, {ID: "b", Value: "good"}}
		h.roll = func() float64 { return 0 } // the bad one first
	}, tracked(t))
	var c client
	h.do(t.Context(), `{"model":"m"}`, &c)
	if r := h.settled(); c.status != 200 || r.Attempts != 2 {
		t.Errorf("client got %d, record %+v", c.status, r)
	}
	h.do(t.Context(), `{"model":"m"}`, &c)
	asked.want(t, 5, 5, 5) // the refused one is not asked again
}

func TestABreakerKeepsRequestsAwayFromWhatIsBroken(t *testing.T) {
	t.Parallel()
	var asked calls
	h := newHouse(t, asked.by(5, answers(503, "application/json", overloaded)), first, asked.channel(t, 9, answers(200, "application/json", plainAnswer), group.Default), tracked(t))
	for range 20 {
		var c client
		if h.do(t.Context(), `{"model":"m"}`, &c); c.status != 200 {
			t.Errorf("client got %d", c.status)
		}
	}
	if n := len(asked.ids); n != 25 {
		t.Errorf("20 requests took %d attempts, want 5 that failed and 20 that served", n)
	}
	v, err := h.Verify(t.Context(), h.key, h.owner, gateway.Question{Model: "m"})
	if err != nil || len(v.Plan) != 2 || v.Plan[0].Channel.ID != 9 || v.Plan[1].Channel.ID != 5 || !strings.Contains(v.Plan[1].Why.String(), "5 attempts failed") && !strings.Contains(v.Plan[1].Why.String(), "status 503") {
		t.Errorf("verify says %+v, %v", v, err)
	}
}

func TestAdministratorsSeeWhoWasTried(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		last http.HandlerFunc
		want string
	}{
		"served":     {answers(200, "application/json", plainAnswer), "5=rate-limited, 9=success"},
		"all failed": {answers(500, "application/json", overloaded), "5=rate-limited, 9=failed"},
		"our own":    {answers(401, "application/json", overloaded), "5=rate-limited, 9=credential"},
		"refused":    {answers(400, "application/json", overloaded), "5=rate-limited, 9=client-fault"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked calls
			h := newHouse(t, after("1", overloaded), first, asked.channel(t, 9, row.last, group.Default), func(h *house) { h.owner.Role = account.RoleAdmin })
			var c client
			h.do(t.Context(), `{"model":"m"}`, &c)
			if got := c.header.Get("X-Halley-Attempts"); got != row.want {
				t.Errorf("X-Halley-Attempts is %q, want %q", got, row.want)
			}
		})
	}
}

// The first channel maps the model to what is free, the second to what is not.
func TestTheHoldCoversTheChannelThatServes(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		granted money.Nano
		status  int
		cost    money.Nano
		version string
	}{
		"there is money": {money.USD, 200, 200_000, "custom-1"},
		"there is none":  {1_000_000, 503, 0, "custom-2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked calls
			maps := func(ch *channel.Channel, to string) {
				ch.Models, ch.ModelMapping = []string{"alias"}, mapping(t, "alias", to)
			}
			h := newHouse(t, asked.by(5, answers(503, "application/json", overloaded)), first, asked.channel(t, 9, answers(200, "application/json", plainAnswer), group.Default), tracked(t), func(h *house) {
				h.key.Granted = row.granted
				maps(h.channel, "free")
				maps(h.more[0], "m")
			})
			var c client
			h.do(t.Context(), `{"model":"alias"}`, &c)
			if r := h.settled(); c.status != row.status || r.Cost != row.cost || r.PriceVersion != row.version || r.Absorbed != 0 || r.Held < r.Cost {
				t.Errorf("client got %d %s, record %+v", c.status, c.body.String(), r)
			}
		})
	}
}

func TestARateLimitedChannelIsLeftAloneForAsLongAsItAsks(t *testing.T) {
	t.Parallel()
	date := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	for text, least := range map[string]time.Duration{"7": 6 * time.Second, "": time.Second, "soon": time.Second, date: 9 * time.Minute} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			var asked calls
			h := newHouse(t, asked.by(5, after(text, overloaded)), first, asked.channel(t, 9, answers(200, "application/json", plainAnswer), group.Default), tracked(t))
			for range 3 {
				var c client
				if h.do(t.Context(), `{"model":"m"}`, &c); c.status != 200 {
					t.Errorf("client got %d", c.status)
				}
			}
			asked.want(t, 5, 9, 9, 9)
			v := h.health.Look(time.Now(), health.Target{Channel: 5, Credential: "a", Model: "m"})
			if v.State != health.CoolingDown || time.Until(v.Until) < least {
				t.Errorf("the channel is %s for %s", v.State, time.Until(v.Until))
			}
		})
	}
}
