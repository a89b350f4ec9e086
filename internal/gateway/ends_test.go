package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"halley/internal/budget"
	"halley/internal/channel"
	"halley/internal/fault"
	"halley/internal/gateway"
	"halley/internal/money"
	"halley/internal/provider"
	"halley/internal/usage"
	wireopenai "halley/internal/wire/openai"
)

// scene is one request on its way to its end, as its upstream and its client
// see it.
type scene struct {
	*house
	client client
	ctx    context.Context
	end    context.CancelCauseFunc
	stuck  chan struct{} // closed when the client takes no more
}

// leave is the client hanging up.
func (s *scene) leave() { s.end(nil) }

// shutDown is the server ending what is left after its drain time.
func (s *scene) shutDown() { s.end(gateway.ErrShutdown); s.End() }

// ending is one way for a request to end.
type ending struct {
	ask      string             // the body; default plainAsk
	op       provider.Operation // default chat
	change   func(*house)
	before   func(*scene)                                           // before the request
	body     func(*scene) ([]byte, error)                           // reads the body instead
	upstream func(s *scene, w http.ResponseWriter, r *http.Request) // nil: must not be called

	status int // of the record
	code   string
	source usage.Source
	tokens usage.Tokens // of the record; what they cost must be charged
	client int          // the status that the client got, 0 for none
	sees   []string     // parts of the body, in order
	lacks  string       // no part of it
}

const (
	plainAsk  = `{"model":"m","messages":[{"role":"user","content":"hi"}]}`
	streamAsk = `{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`
	words     = "four score and seven years ago our fathe" // 40 bytes: ten tokens
)

// reported is what plainAnswer says was used.
var reported = usage.Tokens{Prompt: 100, Completion: 50}

// counted is what is charged for the words so many times, as an answer to ask.
func counted(ask string, times int64) usage.Tokens {
	return usage.Tokens{Prompt: (int64(len(ask))*10 + 39) / 40, Completion: 10 * times}
}

func drains(limit time.Duration) func(*house) {
	return func(h *house) {
		h.channel.OnDisconnect, h.channel.Timeouts.Drain = channel.Drain, limit
	}
}

// startsSoon and goesOn are channels that lose patience with an upstream that does
// not.
func startsSoon(h *house) { h.channel.Timeouts.FirstByte = 50 * time.Millisecond }

func goesOn(h *house) { h.channel.Timeouts.Idle = 300 * time.Millisecond }

// endsSoon is one that gives the whole answer little time.
func endsSoon(h *house) { h.channel.Timeouts.Total = 500 * time.Millisecond }

// hangs waits until the gateway lets the upstream go.
func hangs(_ *scene, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// says streams the parts.
func says(parts ...string) func(*scene, http.ResponseWriter, *http.Request) {
	return func(_ *scene, w http.ResponseWriter, _ *http.Request) { streams(w, parts...) }
}

func gives(status int, body string) func(*scene, http.ResponseWriter, *http.Request) {
	return func(_ *scene, w http.ResponseWriter, r *http.Request) {
		answers(status, "application/json", body)(w, r)
	}
}

// all does one thing after the other.
func all(steps ...func(*scene, http.ResponseWriter, *http.Request)) func(*scene, http.ResponseWriter, *http.Request) {
	return func(s *scene, w http.ResponseWriter, r *http.Request) {
		for _, step := range steps {
			step(s, w, r)
		}
	}
}

func clientLeaves(s *scene, _ http.ResponseWriter, _ *http.Request) { s.leave() }

func serverStops(s *scene, _ http.ResponseWriter, _ *http.Request) { s.shutDown() }

func breaks(*scene, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// onFirstWrite does something when the first bytes reach the client.
func onFirstWrite(do func(*scene)) func(*scene) {
	return func(s *scene) {
		s.client.onWrite = func(string) {
			s.client.onWrite = nil
			do(s)
		}
	}
}

// doesNotRead is a client that stays but takes nothing beyond the first bytes.
func doesNotRead(s *scene) {
	onFirstWrite(func(s *scene) {
		s.client.fail = errLeft
		close(s.stuck)
	})(s)
}

// untilStuck lets the upstream go on when a write to the client has failed.
func untilStuck(s *scene, _ http.ResponseWriter, _ *http.Request) { <-s.stuck }

// untilGone lets the upstream go on when the client has left.
func untilGone(s *scene, _ http.ResponseWriter, _ *http.Request) { <-s.ctx.Done() }

func usageOf(prompt, completion int) string {
	return fmt.Sprintf(`data: {"model":"m","choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}`+"\n\n", prompt, completion)
}

// with is a chunk that has both: words and what was used so far.
func with(prompt, completion int) string {
	return fmt.Sprintf(`data: {"model":"m","choices":[{"index":0,"delta":{"content":"%s"}}],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}`+"\n\n", words, prompt, completion)
}

const (
	theirError = `data: {"error":{"message":"theirs","code":"overloaded"}}` + "\n\n"
	ourError   = `data: {"error":{`
)

// Whatever ends a request: one record that says how, the tokens that are known
// and how they are known, charged at their price, and nothing held.
func TestEveryEndLeavesOneRecordAndNothingHeld(t *testing.T) {
	t.Parallel()
	rows := map[string]ending{
		// Plain requests.
		"plain: success":                  {upstream: gives(200, plainAnswer), status: 200, source: usage.FromProvider, tokens: reported, client: 200, sees: []string{plainAnswer}},
		"plain: success without usage":    {upstream: gives(200, `{"choices":[{"message":{"content":"`+words+`"}}]}`), status: 200, source: usage.Estimated, tokens: counted(plainAsk, 1), client: 200},
		"plain: several choices":          {upstream: gives(200, `{"choices":[{"message":{"content":"`+words+`"}},{"message":{"content":"`+words+`"}}]}`), status: 200, source: usage.Estimated, tokens: counted(plainAsk, 2), client: 200},
		"plain: the client's write fails": {upstream: gives(200, plainAnswer), before: func(s *scene) { s.client.fail = errLeft }, status: 200, source: usage.FromProvider, tokens: reported, client: 200},
		"plain: upstream's error":         {upstream: gives(500, `{"error":{}}`), status: 500, code: "upstream_error", client: 500},
		"plain: connection breaks":        {upstream: breaks, status: 502, code: "upstream_error", client: 502},
		"plain: cut in mid-body": {upstream: func(_ *scene, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"id":`)
		}, status: 502, code: "upstream_error", client: 502},
		"plain: no first byte":                          {change: startsSoon, upstream: hangs, status: 504, code: "upstream_error", client: 504},
		"plain: stalls in mid-body":                     {change: goesOn, upstream: all(says(`{"id":`), hangs), status: 504, code: "upstream_error", client: 504},
		"plain: too long altogether":                    {change: endsSoon, upstream: drips(`{"id":"`), status: 504, code: "upstream_error", client: 504, sees: []string{"too long"}},
		"plain: answered by a stream":                   {upstream: says(chunk(words), lastChunk, usageChunk, done), status: 502, code: "upstream_error", client: 502},
		"plain: client leaves, cancel":                  {upstream: all(clientLeaves, hangs), status: 499, code: "client_closed_request"},
		"plain: client leaves, drain":                   {change: drains(time.Hour), upstream: all(clientLeaves, untilGone, gives(200, plainAnswer)), status: 499, code: "client_closed_request", source: usage.FromProvider, tokens: reported},
		"plain: client leaves, drain, no usage":         {change: drains(time.Hour), upstream: all(clientLeaves, untilGone, gives(200, `{"choices":[{"message":{"content":"`+words+`"}}]}`)), status: 499, code: "client_closed_request", source: usage.Estimated, tokens: counted(plainAsk, 1)},
		"plain: client leaves, drain, the limit passes": {change: drains(40 * time.Millisecond), upstream: all(clientLeaves, hangs), status: 499, code: "client_closed_request"},
		"plain: client leaves, drain, upstream's error": {change: drains(time.Hour), upstream: all(clientLeaves, untilGone, gives(500, `{"error":{}}`)), status: 499, code: "client_closed_request"},
		"plain: client leaves, drain, not JSON":         {change: drains(time.Hour), upstream: all(clientLeaves, untilGone, gives(200, `<html>`)), status: 499, code: "client_closed_request"},
		"plain: client leaves, drain, time-out":         {change: func(h *house) { drains(time.Hour)(h); h.channel.Timeouts.FirstByte = 50 * time.Millisecond }, upstream: all(clientLeaves, hangs), status: 499, code: "client_closed_request"},
		"plain: client leaves before anything is sent":  {body: func(s *scene) ([]byte, error) { s.leave(); return []byte(plainAsk), nil }, change: drains(time.Hour), status: 499, code: "client_closed_request"},
		"plain: client leaves in its body": {body: func(*scene) ([]byte, error) {
			return nil, fault.Wrap(gateway.ErrClientGone, fault.Malformed, "invalid_request", "No body.")
		}, status: 499, code: "client_closed_request", client: 400, sees: []string{"invalid_request"}},
		"plain: client leaves while the balance is read": {change: func(h *house) { h.away = true }, before: (*scene).leave, status: 499, code: "client_closed_request"},
		"plain: shutdown":                     {upstream: all(serverStops, hangs), status: 503, code: "shutting_down", client: 503, sees: []string{"shutting_down"}},
		"plain: shutdown, drain":              {change: drains(time.Hour), upstream: all(serverStops, hangs), status: 503, code: "shutting_down", client: 503, sees: []string{"shutting_down"}},
		"plain: shutdown while it is drained": {change: drains(time.Hour), upstream: all(clientLeaves, untilGone, serverStops, hangs), status: 499, code: "client_closed_request"},
		"plain: shutdown in the body":         {body: func(s *scene) ([]byte, error) { s.shutDown(); return nil, errors.New("deadline") }, status: 503, code: "shutting_down", client: 503, sees: []string{"shutting_down"}},
		"plain: panic in the body":            {body: func(*scene) ([]byte, error) { panic("boom") }, status: 500, code: "internal_error", client: 500, sees: []string{"internal_error"}},
		"plain: panic before the upstream":    {change: func(h *house) { h.channel.Kind = "panics" }, status: 500, code: "internal_error", client: 500, sees: []string{"internal_error"}},
		"plain: panic after the answer":       {upstream: gives(200, plainAnswer), before: onFirstWrite(func(*scene) { panic("boom") }), status: 200, source: usage.FromProvider, tokens: reported, client: 200},
		"plain: a kind that nobody speaks":    {change: func(h *house) { h.channel.Kind = "unheard-of" }, status: 503, code: "no_channel_available", client: 503},
		"embeddings: success":                 {op: provider.Embeddings, ask: `{"model":"m","input":"hi"}`, upstream: gives(200, `{"data":[],"usage":{"prompt_tokens":5,"total_tokens":5}}`), status: 200, source: usage.FromProvider, tokens: usage.Tokens{Prompt: 5}, client: 200},
		"embeddings: no usage":                {op: provider.Embeddings, ask: `{"model":"m","input":"hi"}`, upstream: gives(200, `{"data":[]}`), status: 200, source: usage.Estimated, tokens: counted(`{"model":"m","input":"hi"}`, 0), client: 200},
		"embeddings: client leaves, cancel":   {op: provider.Embeddings, ask: `{"model":"m","input":"hi"}`, upstream: all(clientLeaves, hangs), status: 499, code: "client_closed_request"},

		// Streams.
		"stream: success":                                       {upstream: says(chunk(words), lastChunk, usageChunk, done), status: 200, source: usage.FromProvider, tokens: usage.Tokens{Prompt: 10, Completion: 3}, client: 200, sees: []string{done}},
		"stream: success without usage":                         {upstream: says(chunk(words), lastChunk, done), status: 200, source: usage.Metered, tokens: counted(streamAsk, 1), client: 200, sees: []string{done}},
		"stream: success without DONE":                          {upstream: says(chunk(words), lastChunk), status: 200, source: usage.Metered, tokens: counted(streamAsk, 1), client: 200, lacks: ourError},
		"stream: an empty answer without usage":                 {upstream: says(lastChunk, done), status: 200, source: usage.Estimated, tokens: counted(streamAsk, 0), client: 200, sees: []string{done}},
		"stream: reasoning alone":                               {upstream: says(strings.ReplaceAll(chunk(words), `"content"`, `"reasoning_content"`), lastChunk, done), status: 200, source: usage.Metered, tokens: counted(streamAsk, 1), client: 200},
		"stream: several choices":                               {upstream: says(chunk(words), strings.Replace(chunk(words), `"index":0`, `"index":1`, 1), lastChunk, done), status: 200, source: usage.Metered, tokens: counted(streamAsk, 2), client: 200},
		"stream: answered in one piece":                         {upstream: gives(200, plainAnswer), status: 200, source: usage.FromProvider, tokens: reported, client: 200, sees: []string{plainAnswer}},
		"stream: upstream's error status":                       {upstream: gives(429, `{"error":{}}`), status: 429, code: "upstream_error", client: 429},
		"stream: connection breaks before":                      {upstream: breaks, status: 502, code: "upstream_error", client: 502},
		"stream: connection breaks in the middle":               {upstream: all(says(chunk(words)), breaks), status: 502, code: "upstream_error", source: usage.Metered, tokens: counted(streamAsk, 1), client: 200, sees: []string{words, ourError}, lacks: done},
		"stream: ends without a finish":                         {upstream: says(chunk(words)), status: 502, code: "upstream_error", source: usage.Metered, tokens: counted(streamAsk, 1), client: 200, sees: []string{words, ourError}, lacks: done},
		"stream: their error in the middle":                     {upstream: says(chunk(words), theirError), status: 200, code: "upstream_error", source: usage.Metered, tokens: counted(streamAsk, 1), client: 200, sees: []string{words, theirError}, lacks: "request id"},
		"stream: their error, then DONE":                        {upstream: says(chunk(words), theirError, done), status: 200, code: "upstream_error", source: usage.Metered, tokens: counted(streamAsk, 1), client: 200, sees: []string{words, theirError, done}, lacks: "request id"},
		"stream: their error first":                             {upstream: says(theirError), status: 200, code: "upstream_error", client: 200, sees: []string{theirError}, lacks: "request id"},
		"stream: stalls before its first event":                 {change: startsSoon, upstream: all(says(""), hangs), status: 504, code: "upstream_error", client: 504},
		"stream: stalls in the middle":                          {change: goesOn, upstream: all(says(chunk(words)), hangs), status: 504, code: "upstream_error", source: usage.Metered, tokens: counted(streamAsk, 1), client: 200, sees: []string{words, ourError}, lacks: done},
		"stream: too long altogether":                           {change: endsSoon, upstream: all(says(chunk(words)), drips(": keep-alive\n\n")), status: 504, code: "upstream_error", source: usage.Metered, tokens: counted(streamAsk, 1), client: 200, sees: []string{words, "too long"}, lacks: done},
		"stream: usage comes early, then a stall":               {change: goesOn, upstream: all(says(usageOf(100, 0)), hangs), status: 504, code: "upstream_error", client: 504},
		"stream: usage comes early, words, a stall":             {change: goesOn, upstream: all(says(usageOf(100, 0), chunk(words)), hangs), status: 504, code: "upstream_error", source: usage.Metered, tokens: usage.Tokens{Prompt: 100, Completion: 10}, client: 200, sees: []string{words, ourError}},
		"stream: usage so far, words, the client leaves":        {upstream: all(says(with(100, 9), chunk(words)), hangs), before: leavesAfter(2), status: 499, code: "client_closed_request", source: usage.Metered, tokens: usage.Tokens{Prompt: 100, Completion: 19}, client: 200},
		"stream: usage so far, the client leaves":               {upstream: all(says(with(100, 9)), hangs), before: leavesAfter(1), status: 499, code: "client_closed_request", source: usage.FromProvider, tokens: usage.Tokens{Prompt: 100, Completion: 9}, client: 200},
		"stream: usage of zeros, the client leaves":             {upstream: all(says(with(0, 0)), hangs), before: leavesAfter(1), status: 499, code: "client_closed_request", source: usage.Metered, tokens: counted(streamAsk, 1), client: 200},
		"stream: usage only before the words":                   {upstream: says(usageOf(100, 0), chunk(words), lastChunk, done), status: 200, source: usage.Metered, tokens: usage.Tokens{Prompt: 100, Completion: 10}, client: 200},
		"stream: the client leaves after the usage":             {upstream: all(says(chunk(words), lastChunk), untilGone, says(usageChunk), hangs), change: drains(time.Second), before: leavesAfter(1), status: 499, code: "client_closed_request", source: usage.FromProvider, tokens: usage.Tokens{Prompt: 10, Completion: 3}, client: 200},
		"stream: client leaves before the first event":          {upstream: all(clientLeaves, hangs), status: 499, code: "client_closed_request"},
		"stream: client leaves, cancel":                         {upstream: all(says(chunk(words)), hangs), before: leavesAfter(1), status: 499, code: "client_closed_request", source: usage.Metered, tokens: counted(streamAsk, 1), client: 200},
		"stream: client leaves, drain":                          {change: drains(time.Hour), upstream: all(says(chunk(words)), untilGone, says(chunk(words), lastChunk, usageChunk, done)), before: leavesAfter(1), status: 499, code: "client_closed_request", source: usage.FromProvider, tokens: usage.Tokens{Prompt: 10, Completion: 3}, client: 200},
		"stream: client leaves, drain, no usage":                {change: drains(time.Hour), upstream: all(says(chunk(words)), untilGone, says(chunk(words), lastChunk, done)), before: leavesAfter(1), status: 499, code: "client_closed_request", source: usage.Metered, tokens: counted(streamAsk, 2), client: 200},
		"stream: client leaves, drain, the limit passes":        {change: drains(250 * time.Millisecond), upstream: all(says(chunk(words)), hangs), before: leavesAfter(1), status: 499, code: "client_closed_request", source: usage.Metered, tokens: counted(streamAsk, 1), client: 200},
		"stream: client leaves, drain, it breaks":               {change: drains(time.Hour), upstream: all(says(chunk(words)), untilGone, says(chunk(words)), breaks), before: leavesAfter(1), status: 499, code: "client_closed_request", source: usage.Metered, tokens: counted(streamAsk, 2), client: 200},
		"stream: client leaves, drain, their error":             {change: drains(time.Hour), upstream: all(says(chunk(words)), untilGone, says(theirError)), before: leavesAfter(1), status: 499, code: "client_closed_request", source: usage.Metered, tokens: counted(streamAsk, 1), client: 200},
		"stream: client does not read, cancel":                  {upstream: all(says(chunk(words)), hangs), before: doesNotRead, status: 499, code: "client_closed_request", source: usage.Metered, tokens: counted(streamAsk, 1), client: 200},
		"stream: client does not read, drain":                   {change: drains(time.Hour), upstream: all(says(chunk(words)), untilStuck, says(lastChunk, usageChunk, done)), before: doesNotRead, status: 499, code: "client_closed_request", source: usage.FromProvider, tokens: usage.Tokens{Prompt: 10, Completion: 3}, client: 200},
		"stream: client does not read, drain, the limit passes": {change: drains(250 * time.Millisecond), upstream: all(says(chunk(words)), hangs), before: doesNotRead, status: 499, code: "client_closed_request", source: usage.Metered, tokens: counted(streamAsk, 1), client: 200},
		"stream: shutdown":                                      {upstream: all(says(chunk(words)), hangs), before: onFirstWrite((*scene).shutDown), status: 503, code: "shutting_down", source: usage.Metered, tokens: counted(streamAsk, 1), client: 200, sees: []string{words, "shutting_down"}, lacks: done},
		"stream: shutdown, drain":                               {change: drains(time.Hour), upstream: all(says(chunk(words)), hangs), before: onFirstWrite((*scene).shutDown), status: 503, code: "shutting_down", source: usage.Metered, tokens: counted(streamAsk, 1), client: 200, sees: []string{words, "shutting_down"}, lacks: done},
		"stream: shutdown before the first event":               {upstream: all(serverStops, hangs), status: 503, code: "shutting_down", client: 503, sees: []string{"shutting_down"}},
		"stream: shutdown while it is drained":                  {change: drains(time.Hour), upstream: all(says(chunk(words)), untilGone, serverStops, hangs), before: leavesAfter(1), status: 499, code: "client_closed_request", source: usage.Metered, tokens: counted(streamAsk, 1), client: 200, lacks: "shutting_down"},
		"stream: panic before the first event":                  {change: func(h *house) { h.channel.Kind = "panics" }, status: 500, code: "internal_error", client: 500, sees: []string{"internal_error"}},
		"stream: panic in the middle":                           {upstream: all(says(chunk(words)), hangs), before: onFirstWrite(func(*scene) { panic("boom") }), status: 500, code: "internal_error", source: usage.Metered, tokens: counted(streamAsk, 1), client: 200, sees: []string{words, "internal_error"}, lacks: done},
		"stream: panic at the end":                              {upstream: says(chunk(words) + lastChunk + usageChunk + done), before: onFirstWrite(func(*scene) { panic("boom") }), status: 200, source: usage.FromProvider, tokens: usage.Tokens{Prompt: 10, Completion: 3}, client: 200},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row.ask = orElse(row.ask, map[bool]string{true: streamAsk, false: plainAsk}[strings.HasPrefix(name, "stream")])
			row.play(t)
		})
	}
}

// leavesAfter is a client that hangs up when it has got so many chunks of words.
func leavesAfter(chunks int) func(*scene) {
	return func(s *scene) {
		s.client.onWrite = func(body string) {
			if strings.Count(body, words) >= chunks {
				s.leave()
			}
		}
	}
}

var errLeft = errors.New("the client left")

// drips sends the part again and again, faster than any idle limit.
func drips(part string) func(*scene, http.ResponseWriter, *http.Request) {
	return func(_ *scene, w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for r.Context().Err() == nil {
			streams(w, part)
			<-tick.C
		}
	}
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// panics is an upstream kind with a mistake in it.
type panics struct{ provider.Provider }

func (panics) URL(*channel.Channel, provider.Call) string { panic("boom") }

func (e *ending) play(t *testing.T) {
	s := &scene{stuck: make(chan struct{})}
	changes := []func(*house){}
	if e.change != nil {
		changes = append(changes, e.change)
	}
	s.house = newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		if e.upstream == nil {
			t.Error("the upstream was called")
			return
		}
		e.upstream(s, w, r)
	}, changes...)
	s.Upstreams["panics"] = gateway.Upstream{Provider: panics{}}
	s.ctx, s.end = context.WithCancelCause(t.Context())
	defer s.end(nil)
	if e.before != nil {
		e.before(s)
	}
	s.client.header = http.Header{}
	in := &gateway.Inbound{
		RequestID: "req-1", Start: time.Now(), Credentials: []string{keyValue}, IP: netip.MustParseAddr("192.0.2.1"), Format: wireopenai.Format{}, Operation: provider.Chat,
		ReadBody: func() ([]byte, error) { return []byte(e.ask), nil },
	}
	if e.op != "" {
		in.Operation = e.op
	}
	if e.body != nil {
		in.ReadBody = func() ([]byte, error) { return e.body(s) }
	}
	start := time.Now()
	told := s.Serve(s.ctx, in, &s.client)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	s.away = false
	r := s.settled()
	e.checkRecord(t, s, r)
	if told == nil {
		t.Error("the log is told nothing")
	} else if told.Status != r.Status || told.ErrorCode != r.ErrorCode || told.Cost != r.Cost {
		t.Errorf("the log is told %d %s %d, the record says %d %s %d", told.Status, told.ErrorCode, told.Cost, r.Status, r.ErrorCode, r.Cost)
	}
	e.checkClient(t, &s.client)
}

func (e *ending) checkRecord(t *testing.T, s *scene, r usage.Record) {
	t.Helper()
	source := usage.Source(orElse(string(e.source), string(usage.NoUsage)))
	if r.Status != e.status || r.ErrorCode != e.code || r.Source != source || r.Tokens != e.tokens {
		t.Errorf("record: status %d %q, %+v by %s; want %d %q, %+v by %s", r.Status, r.ErrorCode, r.Tokens, r.Source, e.status, e.code, e.tokens, source)
	}
	if want := money.Nano(e.tokens.Prompt*1000 + e.tokens.Completion*2000); r.Cost != want || r.Absorbed != 0 {
		t.Errorf("charged %d and %d absorbed, want %d", r.Cost, r.Absorbed, want)
	}
	if holds, held := s.ledger.InFlight(); holds != 0 || held != 0 {
		t.Errorf("%d holds of %d are left", holds, held)
	}
	if owner, err := s.ledger.Balance(t.Context(), budget.Subject{Kind: budget.User, ID: s.owner.ID}); err != nil || owner.Used != r.Cost || owner.Held != 0 {
		t.Errorf("the account's balance is %+v, %v", owner, err)
	}
	if e.source != "" && !r.Settled {
		t.Error("the ledger will not be told that this charge is in the store")
	}
}

func (e *ending) checkClient(t *testing.T, c *client) {
	t.Helper()
	body := c.body.String()
	status := e.client
	if status == 0 && e.status == 499 {
		status = 499 // for one that only stopped sending
	}
	if c.status != status || (e.lacks != "" && strings.Contains(body, e.lacks)) {
		t.Errorf("the client got %d %q, want %d without %q", c.status, body, e.client, e.lacks)
	}
	rest := body
	for _, part := range e.sees {
		_, after, found := strings.Cut(rest, part)
		if !found {
			t.Errorf("the client got %q, want %q in it", body, part)
		}
		rest = after
	}
}

// slowStore takes records once it is back.
type slowStore struct {
	back    chan struct{}
	applied map[string]usage.Record
}

func (s *slowStore) ApplyUsage(ctx context.Context, batch []usage.Record) error {
	select {
	case <-s.back:
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, r := range batch {
		s.applied[r.RequestID] = r
	}
	return nil
}

// While so many records wait that no request is taken on any more, those under
// way still leave theirs.
func TestWhatIsUnderWayIsRecordedWhenNothingMoreIsTaken(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), "stream") {
			streams(w, chunk(words))
			<-r.Context().Done()
			return
		}
		answers(200, "application/json", plainAnswer)(w, r)
	})
	store := &slowStore{back: make(chan struct{}), applied: map[string]usage.Record{}}
	recorder := usage.NewRecorder(store, h.Log, usage.RecorderOptions{Limit: 2})
	recorder.Start()
	h.Recorder = recorder
	ask := func(ctx context.Context, id, body string, c *client) {
		c.header = http.Header{}
		h.Serve(ctx, &gateway.Inbound{RequestID: id, Start: time.Now(), Credentials: []string{keyValue}, Format: wireopenai.Format{}, Operation: provider.Chat,
			ReadBody: func() ([]byte, error) { return []byte(body), nil }}, c)
	}
	ctx, leave := context.WithCancel(t.Context())
	var stream, late client
	stream.onWrite = func(string) {
		stream.onWrite = nil
		for _, id := range []string{"first", "second"} {
			var c client
			if ask(t.Context(), id, plainAsk, &c); c.status != 200 {
				t.Errorf("%s: status %d", id, c.status)
			}
		}
		if ask(t.Context(), "late", plainAsk, &late); late.status != 503 || !strings.Contains(late.body.String(), "store_unavailable") {
			t.Errorf("a late request got %d %s", late.status, late.body.String())
		}
		leave()
	}
	ask(ctx, "stream", streamAsk, &stream)
	close(store.back)
	if err := recorder.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := store.applied["stream"]; len(store.applied) != 3 || r.Status != 499 || r.Source != usage.Metered || r.Cost == 0 {
		t.Errorf("%d records; of the stream %+v", len(store.applied), r)
	}
}
