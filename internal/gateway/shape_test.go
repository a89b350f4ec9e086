package gateway_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"halley/internal/account"
	"halley/internal/channel"
	"halley/internal/group"
	"halley/internal/health"
	"halley/internal/jsonx"
	"halley/internal/money"
)

func overrides(t *testing.T, spec channel.OverrideSpec) *channel.Overrides {
	t.Helper()
	o, err := channel.NewOverrides(spec)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// asked is what an upstream was sent.
type asked struct {
	mu     sync.Mutex
	header http.Header
	body   string
}

func (a *asked) then(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		a.header, a.body = r.Header, string(body)
		a.mu.Unlock()
		serve(w, r)
	}
}

func TestOverridesComeAfterRoutingsOwnEdits(t *testing.T) {
	t.Parallel()
	var got asked
	h := newHouse(t, got.then(answers(200, "application/json", plainAnswer)), func(h *house) {
		h.channel.ModelMapping = mapping(t, "m", "up")
		h.channel.Overrides = overrides(t, channel.OverrideSpec{
			Headers: channel.HeaderOverrides{
				Set: map[string]string{"X-Title": "ours"}, Default: map[string]string{"X-Custom": "default", "Openai-Beta": "default"}, Remove: []string{"Content-Type"},
			},
			Body: channel.BodyOverrides{
				Set:     map[string]jsonx.Value{"metadata.team": jsonx.Value(`"a"`)},
				Default: map[string]jsonx.Value{"temperature": jsonx.Value("0.50"), "top_p": jsonx.Value("1")},
				Remove:  []string{"user", "messages[0].name"},
			},
		})
	})
	var c client
	h.do(t.Context(), `{ "user":"u", "model" : "m","temperature": 1.0e0,"messages":[{"name":"n","role":"user"}],"unknown":[ 1 ] }`, &c)
	want := `{ "model" : "up","temperature": 1.0e0,"messages":[{"role":"user"}],"unknown":[ 1 ] ,"top_p":1,"metadata":{"team":"a"}}`
	if c.status != 200 || got.body != want {
		t.Errorf("client got %d, the upstream %s, want %s", c.status, got.body, want)
	}
	for name, want := range map[string]string{
		"X-Title": "ours", "X-Custom": "kept", "Openai-Beta": "default", "Content-Type": "", "Authorization": "Bearer upstream-secret", "User-Agent": "",
	} {
		if got := got.header.Get(name); got != want {
			t.Errorf("the upstream got %s %q, want %q", name, got, want)
		}
	}
	h.settled()
	got = asked{}
	if result, err := h.TestChannel(t.Context(), h.channel, "m", false); err != nil || !result.OK || !strings.Contains(got.body, `"top_p":1`) || got.header.Get("X-Title") != "ours" {
		t.Errorf("a test sends %s: %+v, %v", got.body, result, err)
	}
}

func TestWhatAChannelAddsToThePromptIsHeldFor(t *testing.T) {
	t.Parallel()
	text, _ := jsonx.Marshal(strings.Repeat("x", 5000))
	adds := overrides(t, channel.OverrideSpec{Body: channel.BodyOverrides{Set: map[string]jsonx.Value{"instructions": text}}})
	added, _ := adds.Added()
	held := func(changes ...func(*house)) money.Nano {
		h := newHouse(t, answers(503, "application/json", overloaded), append(changes, first)...)
		var c client
		h.do(t.Context(), `{"model":"m","max_tokens":20}`, &c)
		return h.settled().Held
	}
	var calls calls
	more := func(h *house) {
		calls.channel(t, 9, answers(200, "application/json", plainAnswer), group.Default)(h)
		h.more[0].Overrides = adds
	}
	plain := held()
	for name, got := range map[string]money.Nano{"at once": held(func(h *house) { h.channel.Overrides = adds }), "where it is tried again": held(more)} {
		if got != plain+money.Nano(added)*1000 { // a token is $1 / 1M
			t.Errorf("%s: %d are held, %d without, for %d more bytes", name, got, plain, added)
		}
	}
	h := newHouse(t, answers(200, "application/json", plainAnswer), func(h *house) {
		h.channel.Overrides = adds
		h.key.Granted = 5_000_000 - 1 // as much as the addition alone
	})
	var c client
	if h.do(t.Context(), `{"model":"m","max_tokens":20}`, &c); c.status != 402 {
		t.Errorf("a key that cannot pay for the addition got %d", c.status)
	}
}

// busy is an upstream that answers when it is let.
type busy struct {
	begun chan struct{} // one for each request
	done  chan struct{}
}

func newBusy(t *testing.T) *busy {
	t.Helper()
	b := &busy{begun: make(chan struct{}, 10), done: make(chan struct{})}
	t.Cleanup(b.finish)
	return b
}

func (b *busy) finish() {
	select {
	case <-b.done:
	default:
		close(b.done)
	}
}

func (b *busy) serve(w http.ResponseWriter, r *http.Request) {
	_, _ = io.ReadAll(r.Body)
	b.begun <- struct{}{}
	select {
	case <-b.done:
	case <-r.Context().Done():
	}
	answers(200, "application/json", plainAnswer)(w, r)
}

func caps(c channel.Caps) func(*house) { return func(h *house) { h.channel.Caps = c } }

// occupy has the house's channel serve a request, until the upstream is let.
func (h *house) occupy(t *testing.T, b *busy) (wait func()) {
	t.Helper()
	var over sync.WaitGroup
	over.Go(func() {
		var c client
		if h.do(context.WithoutCancel(t.Context()), plainAsk, &c); c.status != 200 {
			t.Errorf("the first got %d %s", c.status, c.body.String())
		}
	})
	<-b.begun
	return func() { b.finish(); over.Wait() }
}

func TestAChannelAtItsCapIsPassedOverAndNothingIsHeldAgainstIt(t *testing.T) {
	t.Parallel()
	b := newBusy(t)
	var asked calls
	h := newHouse(t, asked.by(5, b.serve), first, tracked(t), caps(channel.Caps{Concurrency: 1}), asked.channel(t, 9, answers(200, "application/json", plainAnswer), group.Default), func(h *house) {
		h.maxAttempts = 1
		h.owner.Role = account.RoleAdmin
	})
	wait := h.occupy(t, b)
	var c client
	if r := h.do(t.Context(), plainAsk, &c); c.status != 200 || r.Attempts != 1 || r.ChannelID != 9 || c.header.Get("X-Halley-Attempts") != "9=success" {
		t.Errorf("client got %d, record %+v", c.status, r)
	}
	wait()
	asked.want(t, 5, 9)
	for _, class := range h.outcomes {
		if class != health.Success {
			t.Errorf("an attempt ended with %s", class)
		}
	}
	h.do(t.Context(), plainAsk, &c)
	asked.want(t, 5, 9, 5)
}

func TestWithNowhereElseToGoARequestWaitsItsTurn(t *testing.T) {
	t.Parallel()
	b := newBusy(t)
	var asked calls
	h := newHouse(t, asked.by(5, b.serve), caps(channel.Caps{Concurrency: 1, Queue: time.Minute}))
	wait := h.occupy(t, b)
	var second sync.WaitGroup
	var c client
	second.Go(func() { h.do(t.Context(), plainAsk, &c) })
	asked.want(t, 5)
	wait()
	second.Wait()
	asked.want(t, 5, 5)
	if c.status != 200 || h.records[1].Attempts != 1 {
		t.Errorf("client got %d, record %+v", c.status, h.records[1])
	}
}

func TestWhoWaitsInVainIsToldWhenToComeAgain(t *testing.T) {
	t.Parallel()
	b := newBusy(t)
	h := newHouse(t, b.serve, tracked(t), caps(channel.Caps{Concurrency: 1, Queue: 20 * time.Millisecond}))
	wait := h.occupy(t, b)
	var c client
	r := h.do(t.Context(), plainAsk, &c)
	if c.status != 503 || r.ErrorCode != "no_channel_available" || r.Attempts != 0 || r.Cost != 0 || c.header.Get("Retry-After") != "1" || !strings.Contains(c.body.String(), "as much to do as it may") {
		t.Errorf("client got %d %v %s, record %+v", c.status, c.header, c.body.String(), r)
	}
	wait()
	if len(h.outcomes) != 1 {
		t.Errorf("attempts ended with %v", h.outcomes)
	}
}

func TestNobodyWaitsForAMinuteThatIsUsedUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t, answers(200, "application/json", plainAnswer), caps(channel.Caps{RPM: 1, Queue: 30 * time.Second}))
	var c client
	h.do(t.Context(), plainAsk, &c)
	start := time.Now()
	c = client{}
	h.do(t.Context(), plainAsk, &c)
	again, _ := strconv.Atoi(c.header.Get("Retry-After"))
	if took := time.Since(start); c.status != 503 || took > 10*time.Second || again < 50 || again > 60 {
		t.Errorf("client got %d after %s, to come again in %d s", c.status, took, again)
	}
}

func TestAClientThatLeavesTheLineIsServedNoMore(t *testing.T) {
	t.Parallel()
	b := newBusy(t)
	var asked calls
	h := newHouse(t, asked.by(5, b.serve), caps(channel.Caps{Concurrency: 1, Queue: time.Minute}))
	wait := h.occupy(t, b)
	ctx, leave := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer leave()
	var c client
	if r := h.do(ctx, plainAsk, &c); r.Status != 499 || r.Attempts != 0 {
		t.Errorf("record %+v", r)
	}
	wait()
	asked.want(t, 5)
}

func TestASeatIsFreeHoweverItsAttemptEnded(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		ask   string
		serve http.HandlerFunc
		ctx   func(context.Context) (context.Context, context.CancelFunc)
		write func(string)
	}{
		"served":               {ask: plainAsk, serve: answers(200, "application/json", plainAnswer)},
		"served as a stream":   {ask: streamAsk, serve: func(w http.ResponseWriter, _ *http.Request) { streams(w, chunk("a"), "data: [DONE]\n\n") }},
		"a stream that is cut": {ask: streamAsk, serve: func(w http.ResponseWriter, r *http.Request) { streams(w, chunk("a")); resets(w, r) }},
		"refused":              {ask: plainAsk, serve: answers(400, "application/json", overloaded)},
		"failed":               {ask: plainAsk, serve: answers(500, "application/json", overloaded)},
		"broken":               {ask: plainAsk, serve: resets},
		"our own panic":        {ask: streamAsk, serve: func(w http.ResponseWriter, _ *http.Request) { streams(w, chunk("a")) }, write: func(string) { panic("ours") }},
		"the client left":      {ask: plainAsk, serve: stalls, ctx: shortly},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var next atomic.Bool
			h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
				if next.Load() {
					answers(200, "application/json", plainAnswer)(w, r)
					return
				}
				row.serve(w, r)
			}, caps(channel.Caps{Concurrency: 1, Queue: time.Millisecond}))
			ctx := t.Context()
			if row.ctx != nil {
				var done context.CancelFunc
				ctx, done = row.ctx(ctx)
				defer done()
			}
			c := client{}
			if row.write != nil {
				c.onWrite = func(body string) {
					c.onWrite = nil
					row.write(body)
				}
			}
			h.do(ctx, row.ask, &c)
			next.Store(true)
			var again client
			if h.do(t.Context(), plainAsk, &again); again.status != 200 {
				t.Errorf("the next got %d %s", again.status, again.body.String())
			}
			var third client
			if h.do(t.Context(), plainAsk, &third); third.status != 200 {
				t.Errorf("the one after got %d %s", third.status, third.body.String())
			}
		})
	}
}

func shortly(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, 20*time.Millisecond)
}

func TestAFailureWaitsForAChannelAtItsCap(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		ask    string
		fails  http.HandlerFunc
		frees  bool
		status int
		body   string
	}{
		"served there":                   {plainAsk, answers(500, "application/json", overloaded), true, 200, "hi"},
		"in vain":                        {plainAsk, answers(500, "application/json", overloaded), false, 500, "theirs"},
		"an error as a stream's first":   {streamAsk, func(w http.ResponseWriter, _ *http.Request) { streams(w, "data: "+overloaded+"\n\n") }, true, 200, "hi"},
		"an error as its first, in vain": {streamAsk, func(w http.ResponseWriter, _ *http.Request) { streams(w, "data: "+overloaded+"\n\n") }, false, 200, "theirs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBusy(t)
			var asked calls
			queue := 20 * time.Millisecond
			if row.frees {
				queue = time.Minute
			}
			h := newHouse(t, asked.by(5, b.serve), first, caps(channel.Caps{Concurrency: 1, Queue: queue}), asked.channel(t, 9, func(w http.ResponseWriter, r *http.Request) {
				if row.frees {
					defer b.finish()
				}
				row.fails(w, r)
			}, group.Default))
			wait := h.occupy(t, b)
			var c client
			h.do(t.Context(), row.ask, &c)
			wait()
			if c.status != row.status || !strings.Contains(c.body.String(), row.body) {
				t.Errorf("client got %d %s", c.status, c.body.String())
			}
			if row.frees {
				asked.want(t, 5, 9, 5)
			} else {
				asked.want(t, 5, 9)
			}
		})
	}
}

func TestWhoLeavesWhileItWaitsAfterAFailureHasLeft(t *testing.T) {
	t.Parallel()
	b := newBusy(t)
	var asked calls
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	h := newHouse(t, asked.by(5, b.serve), first, caps(channel.Caps{Concurrency: 1, Queue: time.Minute}), asked.channel(t, 9, answers(500, "application/json", overloaded), group.Default), func(h *house) {
		h.attempted = func(class health.Class) {
			if class == health.Failed {
				time.AfterFunc(20*time.Millisecond, leave)
			}
		}
	})
	wait := h.occupy(t, b)
	var c client
	if r := h.do(ctx, plainAsk, &c); r.Status != 499 || r.Attempts != 1 || r.Cost != 0 {
		t.Errorf("client got %d, record %+v", c.status, r)
	}
	wait()
	asked.want(t, 5, 9)
}

func TestASeatThatIsNotGoneToIsFreeAgain(t *testing.T) {
	t.Parallel()
	var asked calls
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	h := newHouse(t, asked.by(5, func(w http.ResponseWriter, _ *http.Request) { streams(w, "data: "+overloaded+"\n\n") }), first,
		asked.channel(t, 9, answers(200, "application/json", plainAnswer), group.Default), func(h *house) {
			h.more[0].Caps = channel.Caps{Concurrency: 1, Queue: time.Millisecond}
			h.attempted = func(health.Class) { leave() } // it has its next seat by then
		})
	var c client
	h.do(ctx, streamAsk, &c)
	asked.want(t, 5)
	if h.do(t.Context(), streamAsk, &c); c.status != 200 || !strings.Contains(c.body.String(), "hi") {
		t.Errorf("the next got %d %s", c.status, c.body.String())
	}
}

// The channel that is waited for has a price and many tokens of output; the one
// that is tried meanwhile has neither.
func TestTheHoldCoversAChannelThatWasWaitedFor(t *testing.T) {
	t.Parallel()
	b := newBusy(t)
	var asked calls
	h := newHouse(t, asked.by(5, b.serve), first, caps(channel.Caps{Concurrency: 1, Queue: time.Minute}), asked.channel(t, 9, func(w http.ResponseWriter, r *http.Request) {
		defer b.finish()
		answers(503, "application/json", overloaded)(w, r)
	}, group.Default), func(h *house) {
		for ch, to := range map[*channel.Channel]string{h.channel: "m", h.more[0]: "free"} {
			ch.Models, ch.ModelMapping = []string{"alias", "m"}, mapping(t, "alias", to)
		}
	})
	wait := h.occupy(t, b)
	var c client
	r := *h.do(t.Context(), `{"model":"alias"}`, &c)
	wait()
	if c.status != 200 || r.ChannelID != 5 || r.PriceVersion != "custom-1" || r.Cost == 0 || r.Held < r.Cost || r.Absorbed != 0 {
		t.Errorf("client got %d, record %+v", c.status, r)
	}
	asked.want(t, 5, 9, 5)
}

func TestAnotherKeyOfAChannelAtItsCapIsNotAskedForever(t *testing.T) {
	t.Parallel()
	var asked calls
	h := newHouse(t, asked.by(5, answers(429, "application/json", overloaded)), caps(channel.Caps{RPM: 1}), tracked(t), func(h *house) {
		h.channel.Credentials = []channel.Credential{{ID: "a", Value: "one"}, {ID: "b", Value: "two"}}
	})
	var c client
	start := time.Now()
	h.do(t.Context(), plainAsk, &c)
	if took := time.Since(start); c.status != 429 || took > 20*time.Second {
		t.Errorf("client got %d %s after %s", c.status, c.body.String(), took)
	}
	asked.want(t, 5)
}
