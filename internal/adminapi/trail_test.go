package adminapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

type trailJSON struct {
	Action        string
	Before, After *map[string]any
	RequestID     string `json:"request_id"`
	Hash          string
}

// newest is the newest record of the trail of a target.
func newest(t *testing.T, r reply) trailJSON {
	t.Helper()
	return into[pageJSON[trailJSON]](t, r).Items[0]
}

func TestTheTrailHasWhatAChangeHasChanged(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	id, _ := p.user(t, "ada", "user")
	path, target := fmt.Sprint("/api/user/", id), fmt.Sprint("/api/audit/?target=user%20", id)
	root := caller{token: p.root, header: http.Header{"X-Request-Id": {"the-request"}}}
	into[any](t, p.send(t, root, "PATCH", path, `{"group":"vip","display_name":"","password":"canary-password","must_change_password":true}`))
	got := newest(t, p.asRoot(t, "GET", target, nil))
	if got.RequestID != "the-request" || len(got.Hash) != 64 {
		t.Errorf("the record is %+v", got)
	}
	want := `map[group:default must_change_password:false] map[group:vip must_change_password:true]`
	if text := fmt.Sprint(*got.Before, " ", *got.After); text != want {
		t.Errorf("it has\n%s, want\n%s", text, want)
	}
	into[any](t, p.send(t, root, "POST", path+"/quota", `{"set":500}`))
	got = newest(t, p.asRoot(t, "GET", target, nil))
	if text := fmt.Sprint(*got.Before, " ", *got.After); text != `map[quota:0] map[quota:500]` {
		t.Errorf("of the quota it has %s", text)
	}
	into[any](t, dataless(p.send(t, root, "DELETE", path, nil)))
	got = newest(t, p.asRoot(t, "GET", target, nil))
	if got.After != nil || (*got.Before)["username"] != "ada" {
		t.Errorf("of the deletion it has %+v", got)
	}
	into[any](t, p.send(t, root, "PUT", "/api/option/audit_days", `{"value":90}`))
	got = newest(t, p.asRoot(t, "GET", "/api/audit/?target=option%20audit_days", nil))
	if text := fmt.Sprint(*got.Before, " ", *got.After); text != `map[value:0] map[value:90]` {
		t.Errorf("of the option it has %s", text)
	}
	if report, err := p.audit.Verify(t.Context(), ""); err != nil || report.Broken != nil {
		t.Errorf("the chain: %v, %v", report.Broken, err)
	}
}

func TestNoValueOfAKeyIsInTheTrail(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	k := d.create(t, d.ada, nil)
	path := fmt.Sprint("/api/token/", k.ID)
	d.must(t, d.ada.token, "PUT", "/api/token/", fields{"id": k.ID, "name": "another", "remain_quota": 5})
	d.must(t, d.ada.token, "POST", path+"/quota", fields{"add": 7})
	d.must(t, d.ada.token, "DELETE", path, nil)
	trail := d.must(t, d.root.token, "GET", "/api/audit/?target="+strings.ReplaceAll(fmt.Sprint("key ", k.ID), " ", "%20"), nil)
	for _, want := range []string{`"before":{"name":"key","remain_quota":0`, `"after":{"name":"another","remain_quota":5`, `"before":{"remain_quota":5},"after":{"remain_quota":12}`} {
		if !strings.Contains(trail.text, want) {
			t.Errorf("the trail lacks %s:\n%s", want, trail.text)
		}
	}
	if strings.Contains(trail.text, k.Key) || strings.Contains(trail.text, "sk-") {
		t.Errorf("the trail has a value:\n%s", trail.text)
	}
}
