// Package cluster_test runs three real servers on one PostgreSQL and holds them
// to what one of them does counting on all: changes_test.go tries every kind of
// edit, lag_test.go measures how long revocations take, limits_test.go counts
// what rate limits let in, hints_test.go lets an upstream fail one of them. It knows Halley by its
// published contract only.
package cluster_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"halley/internal/store/pgtest"
	"halley/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// patience is how long what must happen may take on a busy machine.
const patience = 20 * time.Second

// model is one that the demo channel serves.
const model = "demo-echo"

// cluster is three servers on one database. Everything is changed on a and
// looked for on the others.
type cluster struct {
	a      *harness.Server
	others []*harness.Server
	root   *harness.Client // on a
	url    string          // the database's
	demo   harness.Channel
	http   *http.Client
}

// start starts them, each with more in its environment.
func start(t *testing.T, env ...string) *cluster {
	t.Helper()
	master := make([]byte, 32)
	_, _ = rand.Read(master) // never fails
	c := &cluster{url: pgtest.URL(t), http: &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 8}}}
	t.Cleanup(c.http.CloseIdleConnections)
	o := harness.Options{DatabaseURL: c.url, Env: append(env, "HALLEY_MASTER_KEY="+base64.StdEncoding.EncodeToString(master))}
	c.a = harness.Start(t, o)
	c.root = c.a.Root
	c.demo = c.root.CreateChannel(t, harness.Fields{"name": "demo", "kind": "demo", "keys": []string{}, "models": []string{"demo-*"}})
	for range 2 {
		c.others = append(c.others, harness.Launch(t, o))
	}
	return c
}

// key makes an unlimited key of root's on a, and shows it to the others.
func (c *cluster) key(t *testing.T) harness.Key {
	t.Helper()
	k := c.root.CreateKey(t, harness.Fields{"name": "k", "unlimited_quota": true})
	c.everywhere(t, k.Key, served)
	return k
}

// answer is what a model request came to: a status and an error's code.
type answer struct {
	status int
	code   string
}

var served = answer{status: http.StatusOK}

// ask sends a model request.
func (c *cluster) ask(ctx context.Context, s *harness.Server, key string) (answer, error) {
	return c.send(ctx, s, key, `{"model":"`+model+`","messages":[{"role":"user","content":"Hi"}]}`)
}

// send sends a request with that body.
func (c *cluster) send(ctx context.Context, s *harness.Server, key, body string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, "POST", s.BaseURL+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	var refused struct{ Error struct{ Code string } }
	err = json.Unmarshal(text, &refused)
	return answer{resp.StatusCode, refused.Error.Code}, err
}

// everywhere waits until the other servers answer like that, and gives the
// longest time that one took.
func (c *cluster) everywhere(t *testing.T, key string, want answer) time.Duration {
	t.Helper()
	type result struct {
		took time.Duration
		last answer
		err  error
	}
	began := time.Now()
	results := make(chan result, len(c.others))
	for _, s := range c.others {
		go func() {
			for {
				last, err := c.ask(t.Context(), s, key)
				took := time.Since(began)
				if err != nil || last == want || took > patience {
					results <- result{took, last, err}
					return
				}
			}
		}()
	}
	var longest time.Duration
	for range c.others {
		r := <-results
		if r.err != nil || r.last != want {
			t.Fatalf("after %v the answer is %+v, %v, want %+v", r.took, r.last, r.err, want)
		}
		longest = max(longest, r.took)
	}
	return longest
}

// elsewhere waits until a management call, as root or with another token, says
// on the other servers what it should.
func (c *cluster) elsewhere(t *testing.T, token, path string, want func(harness.Answer) bool) time.Duration {
	t.Helper()
	began := time.Now()
	for _, s := range c.others {
		for client := harness.NewClient(s.BaseURL, token); ; {
			got := client.Try(t, "GET", path, nil)
			if want(got) {
				break
			}
			if time.Since(began) > patience {
				t.Fatalf("GET %s still says: %d %s", path, got.Status, got.Body)
			}
		}
	}
	return time.Since(began)
}

// sql is a connection to the servers' database.
func (c *cluster) sql(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// page is a server's page that is not the API's.
func (c *cluster) page(t *testing.T, s *harness.Server, path string) string {
	t.Helper()
	resp, err := c.http.Get(s.BaseURL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d, %v", path, resp.StatusCode, err)
	}
	return text.String()
}
