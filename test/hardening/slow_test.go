package hardening_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/test/fakeprovider"
	"halley/test/harness"
)

// sendingTime is how long clients may take in this test: long enough for those
// that are slow because the machine is busy.
const sendingTime = 2 * time.Second

// A client that sends slowly, or not at all, is let go of when its time is up,
// wherever it came in and whether or not anybody wanted what it was sending.
func TestSlowClientsAreLetGo(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, o harness.Options) {
		o.Env = []string{"HALLEY_SERVER_READ_TIMEOUT=" + sendingTime.String(), "HALLEY_SERVER_HEADER_TIMEOUT=" + sendingTime.String(), "HALLEY_SERVER_IDLE_TIMEOUT=" + sendingTime.String()}
		w := startWorld(t, o)
		before := w.state(t)
		known, token := "Authorization: Bearer "+w.key.Key+"\n", "Authorization: "+w.server.RootPAT+"\n"
		part := "Content-Type: application/json\nContent-Length: 100\n\n{\"model\":"
		waiting := map[string]*line{} // all at once, so that their times run together
		for name, text := range map[string]string{
			"nothing at all":                              "",
			"half a line":                                 "GET /v1/mod",
			"half of the headers":                         "GET /v1/models HTTP/1.1\nHost: halley\n" + known,
			"nothing after a request":                     "GET /v1/models HTTP/1.1\nHost: halley\n" + known + "\n",
			"half of a model request":                     "POST /v1/chat/completions HTTP/1.1\nHost: halley\n" + known + part,
			"half of a chunk":                             "POST /v1/chat/completions HTTP/1.1\nHost: halley\n" + known + "Transfer-Encoding: chunked\n\n64\n{",
			"half of a model request with an unknown key": "POST /v1/chat/completions HTTP/1.1\nHost: halley\nAuthorization: Bearer sk-unknown\n" + part,
			"half of a model request without a key":       "POST /v1/embeddings HTTP/1.1\nHost: halley\n" + part,
			"half of a request to nowhere":                "POST /v1/nothing HTTP/1.1\nHost: halley\n" + part,
			"half of a request with a wrong method":       "PUT /v1/chat/completions HTTP/1.1\nHost: halley\n" + part,
			"a list with half a body":                     "GET /v1/models HTTP/1.1\nHost: halley\n" + known + part,
			"an OPTIONS with half a body":                 "OPTIONS /v1/models HTTP/1.1\nHost: halley\n" + part,
			"half of a login":                             "POST /api/user/login HTTP/1.1\nHost: halley\n" + part,
			"half of a management request":                "POST /api/token/ HTTP/1.1\nHost: halley\n" + token + part,
			"half of one with an unknown token":           "POST /api/token/ HTTP/1.1\nHost: halley\nAuthorization: hpat_nobody\n" + part,
			"half of one without a token":                 "PUT /api/token/ HTTP/1.1\nHost: halley\n" + part,
			"half of one to nowhere":                      "POST /api/nothing HTTP/1.1\nHost: halley\n" + part,
			"a management list with half a body":          "GET /api/status HTTP/1.1\nHost: halley\n" + part,
			"a quota with half a body":                    "GET /user/quota?key=" + w.key.Key + " HTTP/1.1\nHost: halley\n" + part,
			"a page with half a body":                     "GET / HTTP/1.1\nHost: halley\n" + part,
			"a post to a page with half a body":           "POST / HTTP/1.1\nHost: halley\n" + part,
			"a probe with half a body":                    "GET /healthz HTTP/1.1\nHost: halley\n" + part,
			"metrics with half a body":                    "GET /metrics HTTP/1.1\nHost: halley\n" + part,
		} {
			waiting[name] = w.dial(t)
			waiting[name].send(t, text)
		}
		w.trickle(t)
		for name, l := range waiting {
			if rest, err := io.ReadAll(l.r); isTimeout(err) {
				t.Errorf("%s: the server still waits after %v; it said %q", name, patience, rest)
			}
		}
		if diff := cmp.Diff(before, w.state(t)); diff != "" {
			t.Errorf("slow clients have changed records (-before +after):\n%s", diff)
		}
		w.streamOutlives(t, 2*sendingTime)
		w.testOutlives(t)
	})
}

// trickle sends a byte now and then.
func (w *world) trickle(t *testing.T) {
	t.Helper()
	l := w.dial(t)
	l.send(t, "POST /api/user/login HTTP/1.1\nHost: halley\nContent-Type: application/json\nContent-Length: 100000\n\n")
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, l.r)
		ended <- err
	}()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case err := <-ended:
			if isTimeout(err) {
				t.Errorf("a byte now and then: the server still waits after %v", patience)
			}
			return
		case <-again.C:
			_, _ = l.conn.Write([]byte(" ")) // fails once the server has had enough
		}
	}
}

// testOutlives makes a management call that takes longer.
func (w *world) testOutlives(t *testing.T) {
	t.Helper()
	provider := fakeprovider.Start(t)
	script := fakeprovider.Script()
	slow := provider.Queue(func(w http.ResponseWriter, r *http.Request, got *fakeprovider.Received) {
		thinking := time.NewTimer(sendingTime * 3 / 2)
		defer thinking.Stop()
		select {
		case <-thinking.C:
			script(w, r, got)
		case <-r.Context().Done():
		}
	})
	id := w.server.Root.CreateChannel(t, harness.Fields{"name": "slow", "base_url": slow.BaseURL, "models": []string{"slow"}}).ID
	got := w.server.Root.Must(t, "POST", fmt.Sprintf("/api/channel/%d/test", id), harness.Fields{"model": "slow"})
	if test := harness.Into[struct{ OK bool }](t, got); !test.OK {
		t.Errorf("the test of a slow channel: %s", got.Data)
	}
	w.server.Root.DeleteChannel(t, id)
}

// streamOutlives reads a stream for longer than a client may take to send.
func (w *world) streamOutlives(t *testing.T, limit time.Duration) {
	t.Helper()
	body := `{"model":"` + fakeprovider.ScriptForever + `","stream":true,"messages":[]}`
	resp, err := w.http.Do(mustRequest(t, "POST", w.server.BaseURL+"/v1/chat/completions", bearer(w.rootKey), strings.NewReader(body), int64(len(body))))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d", resp.StatusCode)
	}
	start, buffer := time.Now(), make([]byte, 4096)
	for time.Since(start) < limit {
		if _, err := resp.Body.Read(buffer); err != nil {
			t.Fatalf("after %v: %v", time.Since(start), err)
		}
	}
}
