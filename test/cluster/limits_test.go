package cluster_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"halley/internal/limit/redistest"
	"halley/test/harness"
)

// What three servers let in of a limit together is the limit, of whichever
// sort, however the requests fall on them.
func TestServersShareALimit(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.shows(t, `halley_limits_backend{state="shares"} 1`)
	k := c.root.CreateKey(t, harness.Fields{"name": "k", "unlimited_quota": true, "limits": harness.Fields{"rpm": 10}})
	if got := c.burst(t, 20, k.Key); got != 10 {
		t.Errorf("a key may make 10 requests per minute, and made %d", got)
	}
	_, client := c.a.NewUser(t, harness.Fields{"username": "ada", "unlimited_quota": true, "limits": harness.Fields{"rpd": 7}})
	one, two := client.CreateKey(t, harness.Fields{"name": "one", "unlimited_quota": true}), client.CreateKey(t, harness.Fields{"name": "two", "unlimited_quota": true})
	if got := c.burst(t, 10, one.Key, two.Key); got != 7 {
		t.Errorf("an account may make 7 requests in 24 hours, and its keys made %d", got)
	}
	// A limit that is smaller than the number of servers is one server's.
	tiny := c.root.CreateKey(t, harness.Fields{"name": "tiny", "unlimited_quota": true, "limits": harness.Fields{"rpm": 1}})
	if got := c.burst(t, 5, tiny.Key); got != 1 {
		t.Errorf("a key may make 1 request per minute, and made %d", got)
	}
}

// With a Redis one server may let in the whole of a limit.
func TestServersCountTogetherAtARedis(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	redis.Do("SET halley:{limits}:since 1") // as if it had counted for long
	c := start(t, "HALLEY_REDIS_URL="+redis.URL())
	c.shows(t, `halley_limits_backend{state="redis"} 1`)
	for name, servers := range map[string][]*harness.Server{"on one server": {c.a}, "on all": append(c.others, c.a)} {
		k := c.root.CreateKey(t, harness.Fields{"name": "k", "unlimited_quota": true, "limits": harness.Fields{"rpm": 10, "concurrency": 50}})
		if got := c.burstOn(t, servers, 20, k.Key); got != 10 {
			t.Errorf("%s: 10 requests per minute are allowed, %d were let in", name, got)
		}
		if got := c.burst(t, 5, k.Key); got != 0 {
			t.Errorf("%s: %d more were let in", name, got)
		}
	}
	// Without it they go on, by shares: none lets in what it has let in before.
	redis.Kill()
	k := c.root.CreateKey(t, harness.Fields{"name": "k", "unlimited_quota": true, "limits": harness.Fields{"rpm": 10}})
	if got := c.burst(t, 20, k.Key); got != 10 {
		t.Errorf("by shares %d were let in, want 10", got)
	}
	c.shows(t, `halley_limits_backend{state="shares"} 1`)
}

// shows waits until every server knows of all three and its metrics have the
// line.
func (c *cluster) shows(t *testing.T, line string) {
	t.Helper()
	for _, s := range append(c.others, c.a) {
		for began := time.Now(); ; {
			page := c.page(t, s, "/metrics")
			if strings.Contains(page, "halley_lease_servers 3\n") && strings.Contains(page, line+"\n") {
				break
			}
			if time.Since(began) > patience {
				t.Fatalf("the metrics lack %s or the other servers:\n%s", line, page)
			}
		}
	}
}

// burst sends each server so many requests with each key, all at once, and gives
// how many were served. The others must be refused by a rate limit.
func (c *cluster) burst(t *testing.T, each int, keys ...string) int64 {
	t.Helper()
	return c.burstOn(t, append(c.others, c.a), each, keys...)
}

func (c *cluster) burstOn(t *testing.T, servers []*harness.Server, each int, keys ...string) int64 {
	t.Helper()
	var let atomic.Int64
	var all sync.WaitGroup
	for _, s := range servers {
		for _, key := range keys {
			for range each {
				all.Go(func() {
					switch got, err := c.ask(t.Context(), s, key); {
					case err != nil:
						t.Error(err)
					case got == served:
						let.Add(1)
					case got != answer{http.StatusTooManyRequests, "rate_limit_exceeded"}:
						t.Errorf("the answer is %+v", got)
					}
				})
			}
		}
	}
	all.Wait()
	return let.Load()
}
