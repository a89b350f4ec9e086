package failover_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"halley/test/fakeprovider"
	"halley/test/harness"
)

var update = flag.Bool("update", false, "write the table into docs/operations/failover.md")

const (
	// together is how many requests meet a bad channel and a good one.
	together = 24
	// lanes is how many of them are under way at once.
	lanes = 4
	// patience is what the channels' first_byte_ms, idle_ms and connect_ms are.
	patience = 400 * time.Millisecond
	// healedWithin bounds how long after the end of a fault its only channel may
	// still fail: the client asks again every 50 ms.
	healedWithin = 3 * time.Second
)

// house is the server, with what the scenarios share.
type house struct {
	t      *testing.T
	server *harness.Server
	good   *upstream
	key    harness.Key
	client *http.Client
}

// row is what a scenario came to.
type row struct {
	fault         *fault
	stream        bool
	served, told  int // of those that met both
	median, worst time.Duration
	asked         int64 // how many of them the bad channel saw
	alone         string
	recovered     time.Duration // -1: the fault does not end
	baseline      time.Duration
}

// TestNobodyNoticesABadChannelBesideAGoodOne drives every fault through the real
// program.
func TestNobodyNoticesABadChannelBesideAGoodOne(t *testing.T) {
	h := &house{t: t, good: newUpstream(t), client: &http.Client{Timeout: 20 * time.Second}}
	h.server = harness.Start(t, harness.Options{Env: []string{"HALLEY_ALLOW_PRIVATE_UPSTREAMS=true"}})
	h.key = h.server.Root.CreateKey(t, harness.Fields{"name": "matrix", "remain_quota": 10_000_000})
	h.model("good")
	h.channel("good", h.good.url(), 0)
	baseline := h.baseline()
	var rows []*row
	var running sync.WaitGroup
	busy := make(chan struct{}, 8)
	for i, f := range faults() {
		for _, stream := range []bool{false, true} {
			r := &row{fault: f, stream: stream, baseline: baseline[stream]}
			rows = append(rows, r)
			running.Go(func() {
				busy <- struct{}{}
				defer func() { <-busy }()
				h.scenario(r, strconv.Itoa(i)+map[bool]string{true: "s", false: "p"}[stream])
			})
		}
	}
	running.Wait()
	h.balanced(rows)
	text := table(rows)
	t.Log("\n" + text)
	if *update {
		document(t, text)
	}
}

// channel adds a channel for the model of that name.
func (h *house) channel(model, base string, priority int) { h.channelFor(model, model, base, priority) }

func (h *house) channelFor(model, name, base string, priority int) {
	h.server.Root.Must(h.t, "POST", "/api/channel/", harness.Fields{
		"name": name, "kind": "openai", "base_url": base, "keys": []string{"secret-of-" + name}, "models": []string{model}, "model_mapping": map[string]string{model: fakeprovider.ScriptChat},
		"priority": priority, "timeouts": harness.Fields{"connect_ms": patience.Milliseconds(), "first_byte_ms": patience.Milliseconds(), "idle_ms": patience.Milliseconds()},
	})
}

// model gives a model its price.
func (h *house) model(name string) {
	h.server.Root.Must(h.t, "PUT", "/api/price/"+name, harness.Fields{"input": 10, "output": 20})
}

// cost is what a whole answer costs, in units: 19 tokens in at $10 and 23 out at
// $20 a million.
const cost = (fakeprovider.ScriptPromptTokens*10 + fakeprovider.ScriptCompletionTokens*20) * 500_000 / 1_000_000.0

// reply is what a client got.
type reply struct {
	status int
	code   string // of an error
	body   string
	took   time.Duration
	whole  bool // a whole answer
	told   bool // an honest error, before or in the answer
}

// ask sends a request for the model and reads all that comes.
func (h *house) ask(ctx context.Context, model string, stream bool) (r reply, err error) {
	began := time.Now()
	body := fmt.Sprintf(`{"model":%q,"stream":%v,"messages":[{"role":"user","content":"Hello"}]}`, model, stream)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.server.BaseURL+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return r, err
	}
	req.Header.Set("Authorization", "Bearer "+h.key.Key)
	resp, err := h.client.Do(req)
	if err != nil {
		return r, err
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		return r, err
	}
	r.status, r.body, r.took = resp.StatusCode, string(all), time.Since(began)
	var answer struct {
		Choices []any
		Error   *struct {
			Message string
			Code    any
		}
	}
	switch {
	case r.status != http.StatusOK:
		// What an upstream said comes back as it was, be it JSON or not.
		r.told = true
		if json.Unmarshal(all, &answer) == nil && answer.Error != nil {
			r.code = fmt.Sprint(answer.Error.Code)
		}
	case stream:
		r.told = bytes.Contains(all, []byte(`data: {"error":`))
		r.whole = !r.told && bytes.HasSuffix(all, []byte("data: [DONE]\n\n"))
	default:
		r.whole = json.Unmarshal(all, &answer) == nil && len(answer.Choices) == 1 && answer.Error == nil
	}
	return r, nil
}

// baseline is the median time of the good channel alone.
func (h *house) baseline() map[bool]time.Duration {
	medians := map[bool]time.Duration{}
	for _, stream := range []bool{false, true} {
		var took []time.Duration
		for range together {
			r, err := h.ask(h.t.Context(), "good", stream)
			if err != nil || !r.whole {
				h.t.Fatalf("the good channel alone: %+v, %v", r, err)
			}
			took = append(took, r.took)
		}
		slices.Sort(took)
		medians[stream] = took[len(took)/2]
	}
	return medians
}

func (h *house) scenario(r *row, name string) {
	f, what := r.fault, r.fault.name
	if r.stream {
		what += ", streamed"
	}
	bad, lone := newUpstream(h.t), newUpstream(h.t)
	address := func(u *upstream) string {
		if f.base != nil {
			return f.base(u)
		}
		return u.url()
	}
	both, alone := "both-"+name, "alone-"+name
	h.model(both)
	h.channel(both, address(bad), 10)
	h.channel(both, h.good.url(), 0)
	h.model(alone)
	h.channel(alone, address(lone), 0)
	bad.breaks(f)
	lone.breaks(f)
	h.together(r, what, both)
	r.asked = bad.asked.Load()
	h.alone(r, what, alone, lone)
}

// together sends requests that a bad channel is asked for first.
func (h *house) together(r *row, what, model string) {
	var mu sync.Mutex
	var took []time.Duration
	var running sync.WaitGroup
	for range lanes {
		running.Go(func() {
			for range together / lanes {
				got, err := h.ask(h.t.Context(), model, r.stream)
				mu.Lock()
				switch {
				case err != nil:
					h.t.Errorf("%s: %v", what, err)
				case got.whole:
					r.served++
					took = append(took, got.took)
				case got.told && r.stream && r.fault.midStream && got.status == http.StatusOK:
					r.told++
				default:
					h.t.Errorf("%s, beside a good channel: %d %.300s", what, got.status, got.body)
				}
				mu.Unlock()
			}
		})
	}
	running.Wait()
	if len(took) == 0 {
		h.t.Errorf("%s: nothing was served by the good channel", what)
		return
	}
	slices.Sort(took)
	r.median, r.worst = took[len(took)/2], took[len(took)-1]
}

// alone asks a bad channel that is all there is, until it is healed and answers.
func (h *house) alone(r *row, what, model string, lone *upstream) {
	got, err := h.ask(h.t.Context(), model, r.stream)
	f := r.fault
	switch {
	case err != nil:
		h.t.Errorf("%s, alone: %v", what, err)
	case r.stream && f.midStream && got.status == http.StatusOK:
		if !got.told {
			h.t.Errorf("%s, alone: cut in silence: %s", what, got.body)
		}
		r.alone = "200, then an error event"
	case got.status != f.status || (f.code != "" && got.code != f.code) || !strings.Contains(got.body, f.body):
		h.t.Errorf("%s, alone: %d %s, want %d %s with %q", what, got.status, got.body, f.status, f.code, f.body)
	default:
		r.alone = strconv.Itoa(got.status) + ", " + map[bool]string{true: "`upstream_error`", false: "the upstream's own body"}[f.code != ""]
	}
	if f.base != nil {
		r.recovered = -1
		return
	}
	more := 1 // of several attempts each, so that the breaker has something to open for
	if f.midStream {
		more = 5
	}
	for range more {
		if _, err := h.ask(h.t.Context(), model, r.stream); err != nil {
			h.t.Errorf("%s, alone: %v", what, err)
		}
	}
	if err := lone.heals(); err != nil {
		h.t.Errorf("%s: %v", what, err)
		return
	}
	healed := time.Now()
	for {
		got, err := h.ask(h.t.Context(), model, r.stream)
		if err == nil && got.whole {
			r.recovered = time.Since(healed)
			break
		}
		if time.Since(healed) > healedWithin {
			h.t.Errorf("%s: its end is not noticed within %v: %d %.300s, %v", what, healedWithin, got.status, got.body, err)
			break
		}
		time.Sleep(50 * time.Millisecond) // what the client of this measurement does
	}
}

// balanced checks that exactly what was served is paid for, and nothing is held.
func (h *house) balanced(rows []*row) {
	entries := harness.Into[harness.Page[struct {
		Model  string
		Status int
		Quota  string
	}]](h.t, h.server.Root.Must(h.t, "GET", "/api/log/?page_size=1", nil))
	if entries.Total == 0 {
		h.t.Error("no usage was recorded")
	}
	whole := 2.0 * together // the baseline
	for _, r := range rows {
		whole += float64(r.served)
		if r.recovered > 0 {
			whole++
		}
	}
	key := h.server.Root.GetKey(h.t, h.key.ID)
	if key.HeldQuota != 0 {
		h.t.Errorf("%d units are held when all is over", key.HeldQuota)
	}
	// What was cut in mid-stream costs what had passed: a few tokens each.
	cut := 0.0
	for _, r := range rows {
		if r.fault.midStream && r.stream {
			cut += float64(r.told) + 6 + healedWithin.Seconds()*20
		}
	}
	if used := float64(key.UsedQuota); used < whole*cost-1 || used > (whole+cut)*cost+1 {
		h.t.Errorf("%.0f units are charged for %.0f answers of %v and at most %.0f cut ones", used, whole, cost, cut)
	}
	h.server.Root.CheckBooks(h.t)
}

// table is what the scenarios came to.
func table(rows []*row) string {
	var b strings.Builder
	b.WriteString("| fault | asked for | served | added latency: median / worst | the bad channel was asked | alone, the client is told | answers again after |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range rows {
		kind, served := "plain", fmt.Sprintf("%d of %d", r.served, together)
		if r.stream {
			kind = "stream"
		}
		if r.told > 0 {
			served += fmt.Sprintf(", %d told in mid-stream", r.told)
		}
		again := "the fault does not end"
		if r.recovered >= 0 {
			again = fmt.Sprintf("%d ms", r.recovered.Milliseconds())
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %d / %d ms | %d times | %s | %s |\n", r.fault.name, kind, served,
			max(0, (r.median-r.baseline).Milliseconds()), max(0, (r.worst-r.baseline).Milliseconds()), r.asked, r.alone, again)
	}
	return b.String()
}

// The table stands between these in the document.
const (
	tableBegins = "<!-- the table is written by go test ./test/failover -update -->\n"
	tableEnds   = "<!-- end of the table -->\n"
)

func documentPath(t *testing.T) string {
	t.Helper()
	root, err := harness.RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "docs", "operations", "failover.md")
}

func document(t *testing.T, table string) {
	t.Helper()
	text, err := os.ReadFile(documentPath(t))
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), tableBegins)
	_, after, ended := strings.Cut(rest, tableEnds)
	if !ok || !ended {
		t.Fatal("the document has no place for the table")
	}
	if err := os.WriteFile(documentPath(t), []byte(before+tableBegins+"\n"+table+"\n"+tableEnds+after), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestTheDocumentShowsEveryFault keeps the document's table and the faults the
// same.
func TestTheDocumentShowsEveryFault(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(documentPath(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults() {
		for _, kind := range []string{"plain", "stream"} {
			if !strings.Contains(string(text), "| "+f.name+" | "+kind+" | ") {
				t.Errorf("the document says nothing of %q, %s", f.name, kind)
			}
		}
	}
}
