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
	// patience is what first_byte_ms and idle_ms are where a time limit ends the
	// fault. It bounds the median of what is added, too.
	patience = 400 * time.Millisecond
	// trip is how many failures in a row open a breaker, pausing how long a channel
	// that is left alone is asked for nothing but a probe, at least.
	trip    = 5
	pausing = time.Second
	// healedWithin bounds how long after the end of a fault its only channel may
	// still fail: the client asks again every 50 ms.
	healedWithin = 10 * time.Second
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
	both, lone    string        // the models
	served, told  int           // of those that met both
	attempts      int           // of theirs that went to the bad channel
	alsoGood      int           // requests to the good channel alone meanwhile
	median, worst time.Duration // added
	alone         string
	aloneAsked    int
	recovered     time.Duration // -1: the fault does not end
}

// name is what the row is about.
func (r *row) name() string { return r.fault.name + map[bool]string{true: ", streamed"}[r.stream] }

// cut reports whether what was told cost something: it had begun.
func (r *row) cut() bool { return r.stream && r.fault.midStream }

// TestNobodyNoticesABadChannelBesideAGoodOne drives every fault through the real
// program.
func TestNobodyNoticesABadChannelBesideAGoodOne(t *testing.T) {
	h := &house{t: t, good: newUpstream(t), client: &http.Client{Timeout: 20 * time.Second}}
	h.server = harness.Start(t, harness.Options{Env: []string{"HALLEY_ALLOW_PRIVATE_UPSTREAMS=true"}})
	h.key = h.server.Root.CreateKey(t, harness.Fields{"name": "matrix", "remain_quota": 10_000_000})
	h.model("good")
	h.channel("good", h.good.url(), 0, nil)
	var rows []*row
	var running sync.WaitGroup
	busy := make(chan struct{}, 8)
	for i, f := range faults() {
		for _, stream := range []bool{false, true} {
			name := strconv.Itoa(i) + map[bool]string{true: "s", false: "p"}[stream]
			r := &row{fault: f, stream: stream, both: "both-" + name, lone: "alone-" + name}
			rows = append(rows, r)
			running.Go(func() {
				busy <- struct{}{}
				defer func() { <-busy }()
				h.scenario(r)
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

// channel adds a channel for the model, with the time limits for this fault, and
// gives its id; f is nil for one that is well.
func (h *house) channel(model, base string, priority int, f *fault) int64 {
	fields := harness.Fields{
		"name": model, "base_url": base, "keys": []string{"secret-of-" + model}, "models": []string{model}, "model_mapping": map[string]string{model: fakeprovider.ScriptChat},
		"priority": priority,
	}
	if f != nil && f.waits {
		limits := harness.Fields{"first_byte_ms": patience.Milliseconds(), "idle_ms": patience.Milliseconds()}
		if f.total > 0 {
			limits["total_ms"] = f.total.Milliseconds()
		}
		fields["timeouts"] = limits
	}
	return h.server.Root.CreateChannel(h.t, fields).ID
}

// model gives a model its price.
func (h *house) model(name string) {
	h.server.Root.Must(h.t, "PUT", "/api/price/"+name, harness.Fields{"input": 10, "output": 20})
}

// cost is what a whole answer costs, in units: 19 tokens in at $10 and 23 out at
// $20 a million.
const cost = (fakeprovider.ScriptPromptTokens*10 + fakeprovider.ScriptCompletionTokens*20) * 500_000 / 1_000_000

// reply is what a client got.
type reply struct {
	status int
	code   string // of an error
	body   string
	took   time.Duration
	trail  string // x-halley-attempts
	whole  bool   // a whole answer
	told   bool   // an honest error, before or in the answer
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
	r.status, r.body, r.took, r.trail = resp.StatusCode, string(all), time.Since(began), resp.Header.Get("X-Halley-Attempts")
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

func (h *house) scenario(r *row) {
	f := r.fault
	bad, lone := newUpstream(h.t), newUpstream(h.t)
	address := func(u *upstream) string {
		if f.base != nil {
			return f.base(u)
		}
		return u.url()
	}
	h.model(r.both)
	id := h.channel(r.both, address(bad), 10, f)
	h.channel(r.both, h.good.url(), 0, nil)
	h.model(r.lone)
	h.channel(r.lone, address(lone), 0, f)
	bad.breaks(f)
	lone.breaks(f)
	h.together(r, id)
	if asked := int(bad.asked.Load()); asked > r.attempts {
		h.t.Errorf("%s: the bad channel was asked %d times in %d attempts", r.name(), asked, r.attempts)
	}
	h.alone(r, lone)
}

// together sends requests that the bad channel is asked for first, each after
// one to the good channel alone, which shows what is added.
func (h *house) together(r *row, bad int64) {
	var mu sync.Mutex
	var took, usual []time.Duration
	var running sync.WaitGroup
	began, lanes := time.Now(), lanes
	if r.fault.huge {
		lanes = 1
	}
	for range lanes {
		running.Go(func() {
			for range together / lanes {
				good, err := h.ask(h.t.Context(), "good", r.stream)
				if err != nil || !good.whole {
					h.t.Errorf("the good channel alone: %+v, %v", good, err)
					return
				}
				got, err := h.ask(h.t.Context(), r.both, r.stream)
				mu.Lock()
				usual = append(usual, good.took)
				r.attempts += strings.Count(", "+got.trail, fmt.Sprintf(", %d=", bad))
				switch {
				case err != nil:
					h.t.Errorf("%s: %v", r.name(), err)
				case got.whole:
					r.served++
					took = append(took, got.took)
				case got.told && r.cut() && got.status == http.StatusOK, got.told && r.fault.total > 0 && got.status == r.fault.status:
					r.told++
				default:
					h.t.Errorf("%s, beside a good channel: %d %.300s", r.name(), got.status, got.body)
				}
				mu.Unlock()
			}
		})
	}
	running.Wait()
	r.alsoGood = len(usual)
	if len(took) == 0 {
		h.t.Errorf("%s: nothing was served by the good channel", r.name())
		return
	}
	slices.Sort(took)
	slices.Sort(usual)
	middle := usual[len(usual)/2]
	r.median, r.worst = took[len(took)/2]-middle, took[len(took)-1]-middle
	if r.median >= patience {
		h.t.Errorf("%s: half of the requests take %v longer", r.name(), r.median)
	}
	// All that are under way may fail before it is left alone, and then a probe at
	// a time.
	if most := trip + lanes + int(time.Since(began)/pausing); r.attempts < 1 || r.attempts > most || r.told > r.attempts {
		h.t.Errorf("%s: %d attempts at the bad channel, want 1 to %d; %d were told", r.name(), r.attempts, most, r.told)
	}
}

// alone asks a bad channel that is all there is, until it is healed and answers.
func (h *house) alone(r *row, lone *upstream) {
	f, what := r.fault, r.name()+", alone"
	ask := func() reply {
		got, err := h.ask(h.t.Context(), r.lone, r.stream)
		if err != nil {
			h.t.Errorf("%s: %v", what, err)
		}
		r.aloneAsked++
		return got
	}
	switch got := ask(); {
	case r.cut() && got.status == http.StatusOK:
		if !got.told {
			h.t.Errorf("%s: cut in silence: %s", what, got.body)
		}
		r.alone = "200, then an error event"
	case got.status != f.status || (f.code != "" && got.code != f.code) || !strings.Contains(got.body, f.body):
		h.t.Errorf("%s: %d %s, want %d %s with %q", what, got.status, got.body, f.status, f.code, f.body)
	default:
		r.alone = strconv.Itoa(got.status) + ", " + map[bool]string{true: "`upstream_error`", false: "the upstream's own body"}[f.code != ""]
	}
	if f.base != nil {
		r.recovered = -1
		return
	}
	more := 1 // of several attempts each, so that there is a breaker that is open
	if f.midStream {
		more = trip
	}
	for i := 0; i < more && !f.huge; i++ {
		ask()
	}
	if err := lone.heals(); err != nil {
		h.t.Errorf("%s: %v", what, err)
		return
	}
	for healed := time.Now(); ; {
		got := ask()
		if r.recovered = time.Since(healed); got.whole {
			return
		}
		if r.recovered > healedWithin {
			h.t.Errorf("%s: the fault's end is not noticed within %v: %d %.300s", what, healedWithin, got.status, got.body)
			return
		}
		time.Sleep(50 * time.Millisecond) // what the client of this measurement does
	}
}

// balanced checks that exactly what was served is paid for, model by model, and
// nothing is held.
func (h *house) balanced(rows []*row) {
	good := 0
	for _, r := range rows {
		good += r.alsoGood
		h.paid(r.both, r.served+r.told, r.served, r.cut())
		recovered := 0
		if r.recovered >= 0 {
			recovered = 1
		}
		h.paid(r.lone, r.aloneAsked, recovered, r.cut())
	}
	h.paid("good", good, good, false)
	if held := h.server.Root.GetKey(h.t, h.key.ID).HeldQuota; held != 0 {
		h.t.Errorf("%d units are held when all is over", held)
	}
	h.server.Root.CheckBooks(h.t)
}

// paid checks that each request of the model has one usage record, and that those
// that were served, and no other, cost what an answer costs. Where streams were
// cut, one costs no more than that.
func (h *house) paid(model string, requests, served int, cut bool) {
	entries := h.entries(model, requests)
	whole := 0
	for _, e := range entries {
		charge, err := strconv.ParseFloat(string(e.Quota), 64)
		switch {
		case e.Status == http.StatusOK && e.ErrorCode == "":
			whole++
			if e.Quota != harness.Decimal(strconv.Itoa(cost)) {
				h.t.Errorf("%s: an answer cost %s units, want %d", model, e.Quota, cost)
			}
		case cut && err == nil && charge >= 0 && charge <= cost:
		case e.Quota != "0":
			h.t.Errorf("%s: %s units for a request that was not served: %+v", model, e.Quota, e)
		}
	}
	if len(entries) != requests || whole != served {
		h.t.Errorf("%s: %d records and %d of them charged whole, want %d of %d", model, len(entries), whole, served, requests)
	}
}

// entries are the usage records of a model, once there are as many as there were
// requests; they are written a little late.
func (h *house) entries(model string, requests int) (all []harness.Usage) {
	query := "model=" + model
	for late := time.Now().Add(5 * time.Second); time.Now().Before(late); time.Sleep(25 * time.Millisecond) {
		stat := harness.Into[struct{ Requests int }](h.t, h.server.Root.Must(h.t, "GET", "/api/log/stat?"+query, nil))
		if stat.Requests >= requests {
			break
		}
	}
	for p := 1; ; p++ {
		page := harness.Into[harness.Page[harness.Usage]](h.t, h.server.Root.Must(h.t, "GET", fmt.Sprintf("/api/log/?%s&page_size=100&p=%d", query, p), nil))
		all = append(all, page.Items...)
		if len(page.Items) < 100 {
			return all
		}
	}
}

// table is what the scenarios came to.
func table(rows []*row) string {
	var b strings.Builder
	b.WriteString("| fault | asked for | served | added latency: median / worst | attempts at the bad channel | alone, the client is told | answers again after |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range rows {
		kind, served := "plain", fmt.Sprintf("%d of %d", r.served, together)
		if r.stream {
			kind = "stream"
		}
		switch {
		case r.told > 0 && r.cut():
			served += fmt.Sprintf(", %d told in mid-stream", r.told)
		case r.told > 0:
			served += fmt.Sprintf(", %d told: %d", r.told, r.fault.status)
		}
		again := "the fault does not end"
		if r.recovered >= 0 {
			again = fmt.Sprintf("%d ms", r.recovered.Milliseconds())
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %d / %d ms | %d | %s | %s |\n", r.fault.name, kind, served,
			max(0, r.median.Milliseconds()), max(0, r.worst.Milliseconds()), r.attempts, r.alone, again)
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
