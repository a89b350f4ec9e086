package cluster_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"halley/test/harness"
)

// picky is an upstream that fails the callers which say that they are a, until it
// is cured.
type picky struct {
	cured atomic.Bool
	base  string
}

// newPicky makes one, for servers that do not ask their only channel again.
func newPicky(t *testing.T, c *cluster) *picky {
	t.Helper()
	c.root.PutOption(t, "max_attempts", 1)
	p := &picky{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		if strings.Contains(string(body), `"user":"a"`) && !p.cured.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"error":{"message":"overloaded","code":"theirs"}}`)
			return
		}
		_, _ = io.WriteString(w, `{"object":"chat.completion","choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`)
	}))
	t.Cleanup(server.Close)
	p.base = server.URL
	return p
}

// as asks a server for a model in somebody's name.
func (c *cluster) as(t *testing.T, s *harness.Server, key, user, model string, want int) {
	t.Helper()
	got, err := c.send(t.Context(), s, key, `{"model":"`+model+`","user":"`+user+`","messages":[{"role":"user","content":"Hi"}]}`)
	if err != nil || got.status != want {
		t.Fatalf("%s is answered %+v, %v, want %d", user, got, err, want)
	}
}

// What fails one server is doubted by the others, which try it none the less
// where it is all there is, and is trusted again when it has answered there.
func TestWhatFailsOneServerIsDoubtedByTheOthers(t *testing.T) {
	t.Parallel()
	c := start(t, "HALLEY_ALLOW_PRIVATE_UPSTREAMS=true")
	up := newPicky(t, c)
	ch := c.root.CreateChannel(t, harness.Fields{"name": "picky", "kind": "openai", "base_url": up.base, "keys": []string{"sk-up"}, "models": []string{"picky"}})
	k := c.key(t)
	path := "/api/channel/" + strconv.FormatInt(ch.ID, 10)
	c.elsewhere(t, c.a.RootPAT, path, func(a harness.Answer) bool { return a.Status == http.StatusOK })
	for range 5 {
		c.as(t, c.a, k.Key, "a", "picky", http.StatusServiceUnavailable)
	}
	doubted := func(a harness.Answer) bool {
		return strings.Contains(string(a.Body), `"state":"suspected"`) && strings.Contains(string(a.Body), "another node says")
	}
	t.Logf("doubted on both others after %d ms", c.elsewhere(t, c.a.RootPAT, path, doubted).Milliseconds())

	b := c.others[0]
	c.as(t, b, k.Key, "b", "picky", http.StatusOK)
	if got := harness.NewClient(b.BaseURL, c.a.RootPAT).Must(t, "GET", path, nil); doubted(got) {
		t.Errorf("it has answered here: %s", got.Body)
	}
	if got := harness.NewClient(c.others[1].BaseURL, c.a.RootPAT).Must(t, "GET", path, nil); !doubted(got) {
		t.Errorf("that another one's was answered proves nothing to a server that was warned: %s", got.Body)
	}
	up.cured.Store(true)
	c.as(t, c.a, k.Key, "a", "picky", http.StatusOK)
	c.elsewhere(t, c.a.RootPAT, path, func(a harness.Answer) bool { return !doubted(a) })
}

// However many upstreams break and recover on a server, it sends few notices.
func TestFlappingUpstreamsMakeNoStormOfNotices(t *testing.T) {
	t.Parallel()
	c := start(t, "HALLEY_ALLOW_PRIVATE_UPSTREAMS=true")
	up := newPicky(t, c)
	c.root.CreateChannel(t, harness.Fields{"name": "picky", "kind": "openai", "base_url": up.base, "keys": []string{"sk-up"}, "models": []string{"m-*"}})
	k := c.key(t)
	notices := make(chan int)
	listening, stop := context.WithCancel(t.Context())
	conn := c.sql(t)
	if _, err := conn.Exec(t.Context(), "LISTEN halley_health"); err != nil {
		t.Fatal(err)
	}
	go func() {
		n := 0
		for {
			if _, err := conn.WaitForNotification(listening); err != nil {
				notices <- n
				return
			}
			n++
		}
	}()
	began := time.Now()
	changes := 0
	for round := range 3 {
		for model := range 40 {
			name := fmt.Sprintf("m-%d-%d", round, model)
			up.cured.Store(false)
			for range 5 {
				c.as(t, c.a, k.Key, "a", name, http.StatusServiceUnavailable)
			}
			up.cured.Store(true)
			c.as(t, c.a, k.Key, "a", name, http.StatusOK)
			changes += 2
		}
	}
	took := time.Since(began)
	stop()
	n := <-notices
	t.Logf("%d changes of health in %d ms: %d notices", changes, took.Milliseconds(), n)
	if most := int(took/(250*time.Millisecond)) + 2; n == 0 || n > most {
		t.Errorf("%d notices in %s, want some and at most %d", n, took, most)
	}
}
