// Package replay_test sends the recorded traffic of every provider through the
// real binary: each request goes to Halley, the provider behind it answers with
// the recording, and what the client gets, what the upstream got and what was
// metered are held against the recording.
package replay_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"halley/test/fakeprovider"
	"halley/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// All openai.chat and openai.embeddings interactions, streamed and not, errors
// included, go through unchanged but for the named edits and are metered to
// exactly the usage that the recording reports.
func TestRecordedTrafficPassesUnchangedAndIsMeteredExactly(t *testing.T) {
	t.Parallel()
	lib := fakeprovider.Fixtures(t)
	recordings := lib.MustLoad(t, fakeprovider.OfAPI(fakeprovider.Chat, fakeprovider.Embeddings))
	s := start(t, recordings)

	// First everything is sent, then the usage records are read: by then they
	// have been written, however late.
	var all []*exchange
	for _, in := range recordings {
		for _, v := range variants(in) {
			all = append(all, &exchange{in: in, variant: v})
		}
	}
	work := make(chan *exchange)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for x := range work {
				s.run(x)
			}
		})
	}
	for _, x := range all {
		work <- x
	}
	close(work)
	workers.Wait()

	passed := tally{}
	for _, x := range all {
		problems := x.problems
		if len(problems) == 0 {
			problems = x.meteringProblems(s.halley.Root.Logs(t, "request_id="+x.requestID, 1))
		}
		passed.add(x, len(problems) == 0)
		for _, p := range problems {
			t.Errorf("%s, %s:\n%s", x.in.File, x.variant.name, p)
		}
	}
	t.Logf("recordings passed, of those there are:\n%s", passed)
}

// variant is one way of sending a recording.
type variant struct {
	name     string
	usage    wish // what the client says of usage in a stream
	chunking fakeprovider.Chunking
	mapped   bool // through the channel that maps model names
}

// wish is what the client does about stream_options.
type wish int

const (
	asRecorded wish = iota
	asks
	doesNot
)

// variants are the ways to send a recording: as it was; under a mapped model
// name; and streams with and without asking for usage, in every chunking.
func variants(in fakeprovider.Interaction) []variant {
	vs := []variant{
		{name: "as recorded", chunking: fakeprovider.ByEvent},
		{name: "model mapped", chunking: fakeprovider.ByEvent, mapped: true},
	}
	if !in.Stream {
		return vs
	}
	for _, c := range fakeprovider.Chunkings() {
		// Byte by byte a long recording is only slow, not more hostile.
		if c == fakeprovider.ByByte && len(in.Response.Body) > 16<<10 {
			continue
		}
		vs = append(vs,
			variant{name: "usage asked for, " + string(c), usage: asks, chunking: c},
			variant{name: "usage not asked for, " + string(c), usage: doesNot, chunking: c},
		)
	}
	return append(vs, variant{name: "model mapped, usage not asked for", usage: doesNot, chunking: fakeprovider.InsideRunes, mapped: true})
}

// exchange is one recording sent in one way, and what came of it.
type exchange struct {
	in        fakeprovider.Interaction
	variant   variant
	model     string // as the client named it
	asked     bool
	status    int
	requestID string
	problems  []string
}

// scene is a started server with two channels before one upstream: one passes
// model names on, one maps them. The upstream picks the recording by a header.
type scene struct {
	halley   *harness.Server
	upstream *fakeprovider.Server
	key      string
	client   *http.Client
}

// mappedPrefix makes a public name of an upstream's.
const mappedPrefix = "public/"

func start(t *testing.T, recordings []fakeprovider.Interaction) *scene {
	t.Helper()
	s := &scene{
		halley:   harness.Start(t, harness.Options{}),
		upstream: fakeprovider.Start(t),
		client:   &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 8}},
	}
	names := map[string]bool{}
	mapping := map[string]string{}
	for _, in := range recordings {
		model := modelOf(in)
		names[model] = true
		mapping[mappedPrefix+model] = model
	}
	root := s.halley.Root
	root.CreateChannel(t, harness.Fields{"name": "plain", "base_url": s.upstream.ByHeader(), "models": slices.Sorted(maps.Keys(names))})
	root.CreateChannel(t, harness.Fields{
		"name": "mapped", "base_url": s.upstream.ByHeader(),
		"models": slices.Sorted(maps.Keys(mapping)), "model_mapping": mapping,
	})
	s.key = root.CreateKey(t, harness.Fields{"name": "replay", "unlimited_quota": true}).Key
	return s
}

// run sends one exchange and holds the bytes on both sides against the
// recording.
func (s *scene) run(x *exchange) {
	complain := func(format string, args ...any) { x.problems = append(x.problems, fmt.Sprintf(format, args...)) }
	endpoint := s.upstream.Serve(x.in, fakeprovider.InChunks(x.variant.chunking))
	defer s.upstream.Forget(endpoint)

	body, err := x.request()
	if err != nil {
		complain("the recorded request: %v", err)
		return
	}
	path := "/v1/chat/completions"
	if x.in.API == fakeprovider.Embeddings {
		path = "/v1/embeddings"
	}
	req, err := http.NewRequest(http.MethodPost, s.halley.BaseURL+path, bytes.NewReader(body))
	if err != nil {
		complain("%v", err)
		return
	}
	for name, value := range x.in.Request.Headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set(fakeprovider.SelectHeader, endpoint.ID)
	resp, err := s.client.Do(req)
	if err != nil {
		complain("%v", err)
		return
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		complain("reading the answer: %v after %d bytes", err, len(answer))
		return
	}
	x.status = resp.StatusCode
	if ids := resp.Header.Values("X-Request-Id"); len(ids) != 1 || ids[0] == "" {
		complain("the answer has request ids %q, want one", ids)
		return
	}
	x.requestID = resp.Header.Get("X-Request-Id")

	received := endpoint.Received()
	if len(received) == 0 {
		complain("nothing arrived upstream; the client got %d %s", resp.StatusCode, clip(answer))
		return
	}
	for _, got := range received {
		x.checkUpstream(got, body, path, complain)
	}
	x.checkAnswer(resp, answer, complain)
}

// request is the body that the client sends.
func (x *exchange) request() ([]byte, error) {
	body := x.in.Request.Body
	if body == nil {
		body = minimal(x.in)
	}
	o, err := parseObject(body)
	if err != nil {
		return nil, err
	}
	x.model = modelOf(x.in)
	if x.variant.mapped {
		x.model = mappedPrefix + x.model
	}
	o = o.with("model", quoted(x.model))
	switch x.variant.usage {
	case asks:
		o = o.with("stream_options", json.RawMessage(`{"include_usage":true}`))
	case doesNot:
		o = o.with("stream_options", nil)
	}
	body = o.bytes()
	x.asked = asksForUsage(body)
	return body, nil
}

// checkUpstream holds a request that arrived at the provider against the
// client's.
func (x *exchange) checkUpstream(got *fakeprovider.Received, sent []byte, path string, complain func(string, ...any)) {
	upstreamModel := ""
	if x.variant.mapped {
		upstreamModel = modelOf(x.in)
	}
	if err := checkSent(sent, got.Body, upstreamModel, x.in.Stream); err != nil {
		complain("%v", err)
	}
	if "/v1"+got.Path != path || got.Method != http.MethodPost {
		complain("the upstream was asked %s %s", got.Method, got.Path)
	}
	if auth := got.Header.Get("Authorization"); auth != "Bearer upstream-key" {
		complain("the upstream's credential was %q", auth)
	}
	for name, want := range x.in.Request.Headers {
		// How the body is encoded and compressed is a matter of each connection.
		switch strings.ToLower(name) {
		case "content-type", "accept-encoding", "content-length", "host", "connection", "authorization", "user-agent":
			continue
		}
		if value := got.Header.Get(name); value != want {
			complain("header %s arrived as %q, want %q", name, value, want)
		}
	}
}

// checkAnswer holds the client's answer against the recording.
func (x *exchange) checkAnswer(resp *http.Response, answer []byte, complain func(string, ...any)) {
	recorded := x.in.Response
	if recorded.Status == 401 || recorded.Status == 402 {
		// The upstream refused Halley's credential or balance: the client
		// cannot mend that and must not take it for its own.
		var e struct {
			Error struct{ Message, Type, Code string }
		}
		if err := json.Unmarshal(answer, &e); err != nil || resp.StatusCode != http.StatusBadGateway || e.Error.Code != "upstream_error" ||
			!strings.Contains(e.Error.Message, "(request id: "+x.requestID+")") {
			complain("a refused credential came back as %d %s, want 502 upstream_error", resp.StatusCode, clip(answer))
		}
		return
	}
	if resp.StatusCode != recorded.Status {
		complain("status %d, want %d: %s", resp.StatusCode, recorded.Status, clip(answer))
		return
	}
	public := ""
	if x.variant.mapped {
		public = x.model
	}
	want := answerFor(recorded.Body, recorded.IsSSE(), x.asked, public)
	if !bytes.Equal(answer, want[0]) && !bytes.Equal(answer, want[1]) {
		complain("the answer is not the recording (-want +got) %s", difference(want[0], answer))
	}
	kind := "application/json"
	if recorded.IsSSE() {
		kind = "text/event-stream"
	}
	if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, kind) {
		complain("content type %q, want %s", got, kind)
	}
	for name, want := range recorded.Headers {
		name = http.CanonicalHeaderKey(name)
		if strings.HasPrefix(name, "Openai-") || name == "Retry-After" || name == "Content-Type" {
			if got := resp.Header.Get(name); got != want {
				complain("header %s = %q, want %q", name, got, want)
			}
		}
	}
}

// meteringProblems holds the request's usage records, of which there must be
// one, against what the recording reports.
func (x *exchange) meteringProblems(rows []harness.Usage) []string {
	if len(rows) != 1 {
		return []string{fmt.Sprintf("request %s has %d usage records, want 1", x.requestID, len(rows))}
	}
	row := rows[0]
	var problems []string
	complain := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if row.Model != x.model || row.Stream != x.in.Stream || row.Status != x.status {
		complain("recorded as model %q, stream %v, status %d, want %q, %v, %d", row.Model, row.Stream, row.Status, x.model, x.in.Stream, x.status)
	}
	want, reported := x.in.Usage()
	type counts struct{ Prompt, Cached, CacheWrite, Completion, Reasoning int64 }
	got := counts{row.PromptTokens, row.CachedTokens, row.CacheWriteTokens, row.CompletionTokens, row.ReasoningTokens}
	switch {
	case reported:
		if want := (counts{want.Prompt, want.CachedRead, want.CacheWrite5m + want.CacheWrite1h, want.Completion, want.Reasoning}); got != want || row.UsageSource != "provider" {
			complain("metered as %+v from %q, want %+v from \"provider\"", got, row.UsageSource, want)
		}
	case x.status >= 400:
		if got != (counts{}) || row.UsageSource != "none" {
			complain("an error metered as %+v from %q, want nothing", got, row.UsageSource)
		}
	default:
		// The provider reports nothing: what passed was counted.
		if row.UsageSource != "metered" || row.PromptTokens == 0 || row.CompletionTokens == 0 {
			complain("metered as %+v from %q, want counts from \"metered\"", got, row.UsageSource)
		}
	}
	return problems
}

// modelOf is the model that a recording's request names, or a stand-in where the
// request was not published.
func modelOf(in fakeprovider.Interaction) string {
	var r struct{ Model string }
	if json.Unmarshal(in.Request.Body, &r) == nil && r.Model != "" {
		return r.Model
	}
	return cmp.Or(in.Model, "unnamed-model")
}

// minimal is a request of the right shape for a response that was published
// without one.
func minimal(in fakeprovider.Interaction) []byte {
	o := object{{"model", quoted(modelOf(in))}}
	if in.API == fakeprovider.Embeddings {
		return o.with("input", quoted("a")).bytes()
	}
	o = o.with("messages", json.RawMessage(`[{"role":"user","content":"Say it again."}]`))
	if in.Stream {
		o = o.with("stream", json.RawMessage("true"))
	}
	return o.bytes()
}

// tally counts recordings by provider and kind; a recording has passed when all
// its variants have.
type tally map[string]map[string]bool

func (t tally) add(x *exchange, passed bool) {
	kind := strings.TrimPrefix(x.in.API, "openai.")
	switch {
	case x.in.Status >= 400:
		kind += ", errors"
	case x.in.Stream:
		kind += ", streamed"
	}
	if x.in.Authenticity != "recorded" {
		kind += " (handwritten)"
	}
	row := fmt.Sprintf("%-18s %s", x.in.Provider, kind)
	if t[row] == nil {
		t[row] = map[string]bool{}
	}
	before, seen := t[row][x.in.File]
	t[row][x.in.File] = passed && (before || !seen)
}

// String is the table.
func (t tally) String() string {
	var b strings.Builder
	sum, of := 0, 0
	for _, row := range slices.Sorted(maps.Keys(t)) {
		passed := 0
		for _, ok := range t[row] {
			if ok {
				passed++
			}
		}
		sum, of = sum+passed, of+len(t[row])
		fmt.Fprintf(&b, "%-50s %3d of %3d\n", row, passed, len(t[row]))
	}
	fmt.Fprintf(&b, "%-50s %3d of %3d\n", "all", sum, of)
	return b.String()
}
