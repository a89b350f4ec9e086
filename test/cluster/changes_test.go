package cluster_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"

	"halley/test/harness"
)

// Whatever is changed on one server counts on the others, though they know the
// key, the account or the channel as it was.
func TestWhatChangesOnOneServerCountsOnAll(t *testing.T) {
	t.Parallel()
	c := start(t)
	told := func(t *testing.T, took time.Duration) { t.Helper(); t.Logf("%d ms", took.Milliseconds()) }
	token := func(id int64) string { return "/api/token/" + strconv.FormatInt(id, 10) }

	t.Run("a new key works", func(t *testing.T) {
		k := c.root.CreateKey(t, harness.Fields{"name": "k", "unlimited_quota": true})
		told(t, c.everywhere(t, k.Key, served))
	})
	t.Run("a key whose value was unknown works", func(t *testing.T) {
		told(t, c.unknownThenMade(t))
	})
	for name, edit := range map[string]struct {
		fields harness.Fields
		want   answer
	}{
		"a disabled key is refused":  {harness.Fields{"status": 2}, answer{401, "key_disabled"}},
		"an expired key is refused":  {harness.Fields{"expired_time": 1_700_000_000, "status": 3}, answer{401, "key_expired"}},
		"a list of addresses counts": {harness.Fields{"allow_ips": "192.0.2.1"}, answer{403, "ip_not_allowed"}},
		"a list of models counts":    {harness.Fields{"model_limits_enabled": true, "model_limits": "gpt-*"}, answer{403, "model_not_allowed"}},
		"a list of endpoints counts": {harness.Fields{"limits": harness.Fields{"endpoints": []string{"embeddings"}}}, answer{403, "endpoint_not_allowed"}},
	} {
		t.Run(name, func(t *testing.T) {
			k := c.key(t)
			c.root.UpdateKey(t, k.ID, edit.fields)
			told(t, c.everywhere(t, k.Key, edit.want))
		})
	}
	t.Run("a deleted key is refused", func(t *testing.T) {
		k := c.key(t)
		c.root.DeleteKey(t, k.ID)
		told(t, c.everywhere(t, k.Key, answer{401, "invalid_api_key"}))
	})
	t.Run("a batch of deleted keys is refused", func(t *testing.T) {
		k, l := c.key(t), c.key(t)
		c.root.Must(t, "POST", "/api/token/batch", harness.Fields{"ids": []int64{k.ID, l.ID}})
		told(t, c.everywhere(t, k.Key, answer{401, "invalid_api_key"}))
		told(t, c.everywhere(t, l.Key, answer{401, "invalid_api_key"}))
	})
	for name, row := range map[string]struct {
		change func(t *testing.T, id int64)
		want   answer
	}{
		"a child of a deleted key is refused":  {func(t *testing.T, id int64) { t.Helper(); c.root.DeleteKey(t, id) }, answer{401, "invalid_api_key"}},
		"a child of a disabled key is refused": {func(t *testing.T, id int64) { t.Helper(); c.root.UpdateKey(t, id, harness.Fields{"status": 2}) }, answer{401, "key_disabled"}},
		"a parent's list of addresses counts": {func(t *testing.T, id int64) {
			t.Helper()
			c.root.UpdateKey(t, id, harness.Fields{"allow_ips": "192.0.2.1"})
		}, answer{403, "ip_not_allowed"}},
		"a parent's quota that is taken away": {func(t *testing.T, id int64) {
			t.Helper()
			c.root.UpdateKey(t, id, harness.Fields{"unlimited_quota": false})
		}, answer{402, "key_quota_exhausted"}},
	} {
		t.Run(name, func(t *testing.T) {
			parent := c.key(t)
			child := harness.Into[harness.Key](t, c.root.Must(t, "POST", token(parent.ID)+"/children", harness.Fields{"name": "child", "unlimited_quota": true}))
			c.everywhere(t, child.Key, served)
			row.change(t, parent.ID)
			told(t, c.everywhere(t, child.Key, row.want))
		})
	}
	t.Run("a rotated key has its new value and not the old one", func(t *testing.T) {
		k := c.key(t)
		rotated := harness.Into[harness.Key](t, c.root.Must(t, "POST", token(k.ID)+"/rotate", harness.Fields{"grace_seconds": 0}))
		told(t, c.everywhere(t, k.Key, answer{401, "invalid_api_key"}))
		told(t, c.everywhere(t, rotated.Key, served))
	})
	t.Run("a value that ends early is refused", func(t *testing.T) {
		k := c.key(t)
		c.root.Must(t, "POST", token(k.ID)+"/rotate", harness.Fields{"grace_seconds": 3600})
		c.everywhere(t, k.Key, served)
		c.root.Must(t, "DELETE", token(k.ID)+"/values/1", nil)
		told(t, c.everywhere(t, k.Key, answer{401, "invalid_api_key"}))
	})
	t.Run("a quota that is taken away is refused, and one that is topped up works", func(t *testing.T) {
		k := c.root.CreateKey(t, harness.Fields{"name": "k", "remain_quota": 1_000_000})
		c.everywhere(t, k.Key, served)
		c.root.Must(t, "POST", token(k.ID)+"/quota", harness.Fields{"set": 0})
		told(t, c.everywhere(t, k.Key, answer{402, "key_quota_exhausted"}))
		c.root.Must(t, "POST", token(k.ID)+"/quota", harness.Fields{"add": 1_000_000})
		told(t, c.everywhere(t, k.Key, served))
	})
	t.Run("a disabled account is refused", func(t *testing.T) {
		u, client := c.a.NewUser(t, harness.Fields{"username": "ada", "unlimited_quota": true})
		k := client.CreateKey(t, harness.Fields{"name": "k", "unlimited_quota": true})
		c.everywhere(t, k.Key, served)
		c.root.PatchUser(t, u.ID, harness.Fields{"status": 2})
		told(t, c.everywhere(t, k.Key, answer{401, "account_disabled"}))
	})
	t.Run("a deleted access token is refused", func(t *testing.T) {
		_, client := c.a.NewUser(t, harness.Fields{"username": "bob"})
		is := func(status int) func(harness.Answer) bool {
			return func(a harness.Answer) bool { return a.Status == status }
		}
		c.elsewhere(t, client.Authorization, "/api/user/self", is(200))
		tokens := harness.Into[harness.Page[struct{ ID int64 }]](t, client.Must(t, "GET", "/api/user/token", nil))
		client.Must(t, "DELETE", "/api/user/token/"+strconv.FormatInt(tokens.Items[0].ID, 10), nil)
		told(t, c.elsewhere(t, client.Authorization, "/api/user/self", is(401)))
	})
	says := func(text string) func(harness.Answer) bool {
		return func(a harness.Answer) bool { return bytes.Contains(a.Body, []byte(text)) }
	}
	t.Run("an option counts", func(t *testing.T) {
		c.root.PutOption(t, "max_keys_per_user", 987)
		told(t, c.elsewhere(t, c.a.RootPAT, "/api/option/", says(`"value":987`)))
	})
	t.Run("a price counts", func(t *testing.T) {
		c.root.PutPrice(t, "dear-model", harness.Fields{"input": 1, "output": 2, "max_output_tokens": 1000})
		told(t, c.elsewhere(t, c.a.RootPAT, "/api/price/?source=custom", says(`"dear-model"`)))
	})
	t.Run("a group counts", func(t *testing.T) {
		c.root.CreateGroup(t, harness.Fields{"name": "others", "ratio": "2"})
		told(t, c.elsewhere(t, c.a.RootPAT, "/api/group/", says(`"others"`)))
	})
	t.Run("what used a group that is gone uses another one", func(t *testing.T) {
		c.root.CreateGroup(t, harness.Fields{"name": "old"})
		c.root.CreateGroup(t, harness.Fields{"name": "new"})
		c.root.PatchChannel(t, c.demo.ID, harness.Fields{"groups": []string{"default", "old"}})
		k := c.root.CreateKey(t, harness.Fields{"name": "k", "unlimited_quota": true, "group": "old"})
		c.everywhere(t, k.Key, served)
		c.root.Must(t, "DELETE", "/api/group/old?move_to=new", nil)
		told(t, c.elsewhere(t, c.a.RootPAT, "/api/group/", func(a harness.Answer) bool { return !bytes.Contains(a.Body, []byte(`"old"`)) }))
		told(t, c.elsewhere(t, c.a.RootPAT, "/api/channel/", says(`"groups":["default","new"]`)))
		c.everywhere(t, k.Key, served)
	})
	t.Run("a disabled channel serves nobody, and an enabled one does", func(t *testing.T) {
		k := c.key(t)
		c.root.PatchChannel(t, c.demo.ID, harness.Fields{"status": 2})
		told(t, c.everywhere(t, k.Key, answer{503, "no_channel_available"}))
		c.root.PatchChannel(t, c.demo.ID, harness.Fields{"status": 1})
		told(t, c.everywhere(t, k.Key, served))
	})
	t.Run("a change is found though its notice is not heard", func(t *testing.T) {
		k := c.key(t)
		c.deafen(t)
		c.root.DeleteKey(t, k.ID)
		told(t, c.everywhere(t, k.Key, answer{401, "invalid_api_key"}))
	})
	t.Run("readiness says when notices do not arrive", func(t *testing.T) {
		for _, s := range c.others {
			c.readiness(t, s, func() { c.deafen(t) }, "ok, but notices from other servers do not arrive")
			c.readiness(t, s, func() {}, "ok\n")
		}
	})
	for _, s := range c.others {
		metrics := c.page(t, s, "/metrics")
		for _, want := range []string{`halley_changes_applied_total{topic="key",via="notice"}`, `halley_changes_applied_total{topic="channel",via="notice"}`, "halley_change_lag_seconds_count", "halley_change_listener_connected 1"} {
			if !strings.Contains(metrics, want) {
				t.Errorf("the metrics lack %s", want)
			}
		}
	}
}

// unknownThenMade has every server remember a value as unknown, and then makes
// it a key's. The value's row is taken away and put back, as nobody can know a
// value before it is made.
func (c *cluster) unknownThenMade(t *testing.T) time.Duration {
	t.Helper()
	k := c.root.CreateKey(t, harness.Fields{"name": "k", "unlimited_quota": true})
	conn := c.sql(t)
	var hash, sealed []byte
	var last4 string
	var created int64
	err := conn.QueryRow(t.Context(), `DELETE FROM key_values WHERE key_id = $1 RETURNING hash, sealed, last4, created_ms`, k.ID).Scan(&hash, &sealed, &last4, &created)
	if err != nil {
		t.Fatal(err)
	}
	c.everywhere(t, k.Key, answer{401, "invalid_api_key"})
	_, err = conn.Exec(t.Context(), `INSERT INTO key_values (hash, key_id, sealed, last4, created_ms) VALUES ($1, $2, $3, $4, $5)`, hash, k.ID, sealed, last4, created)
	if err != nil {
		t.Fatal(err)
	}
	took := c.everywhere(t, k.Key, served)
	if took > 5*time.Second {
		t.Errorf("%v: it was forgotten by and by, not because it was made", took)
	}
	return took
}

// deafen ends the connections on which servers hear notices.
func (c *cluster) deafen(t *testing.T) {
	t.Helper()
	_, err := c.sql(t).Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'NOTIFY "halley_echo%'`)
	if err != nil {
		t.Fatal(err)
	}
}

// readiness does something again and again until /readyz says so.
func (c *cluster) readiness(t *testing.T, s *harness.Server, do func(), want string) {
	t.Helper()
	for began := time.Now(); ; {
		do()
		got := c.page(t, s, "/readyz")
		if strings.HasPrefix(got, want) {
			return
		}
		if time.Since(began) > patience {
			t.Fatalf("/readyz says %q, never %q", got, want)
		}
	}
}
