package adminapi_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestTheTrailIsFilteredForAdministrators(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	_, adaToken := p.user(t, "ada", "user")
	_, bossToken := p.user(t, "boss", "admin")
	p.ms.Add(time.Hour.Milliseconds())
	later := p.now().Unix()
	earlier := fmt.Sprint("&to=", later)
	p.send(t, caller{token: bossToken}, "PATCH", "/api/user/2", `{"group":"vip"}`)

	type page struct {
		Total int
		Items []struct {
			ID, Time, Actor            int64
			Action, Target, Detail, IP string
		}
	}
	got := into[page](t, p.send(t, caller{token: bossToken}, "GET", "/api/audit/?page_size=1", nil))
	if got.Total < 5 || len(got.Items) != 1 {
		t.Fatalf("the trail is %+v", got)
	}
	if r := got.Items[0]; r.Time != later || r.Actor != 3 || r.Action != "user.update" || r.Target != "user 2" || r.Detail != `{"group":"vip"}` || r.IP != "192.0.2.1" {
		t.Errorf("the newest is %+v", r)
	}
	for query, want := range map[string]int{
		"actor=3&action=user.update":           2, // their own password, and ada
		"actor=3&action=user.update" + earlier: 1,
		"actor=1&action=user.update":           0,
		"action=user.create":                   2,
		"target=user%202":                      5, // made, signed in twice, their own password, changed
		fmt.Sprint("from=", later):             1,
		"action=user&target=user%202":          5,
		"action=nothing":                       0,
	} {
		if got := into[page](t, p.asRoot(t, "GET", "/api/audit/?"+query, nil)); got.Total != want {
			t.Errorf("%s: %d, want %d: %+v", query, got.Total, want, got.Items)
		}
	}
	chain := into[struct {
		Records, Anchor int64
		Head            string
		Broken          *struct{ Why string }
	}](t, p.asRoot(t, "GET", "/api/audit/chain", nil))
	if chain.Records != int64(got.Total) || chain.Anchor != 0 || !strings.HasPrefix(chain.Head, fmt.Sprint(got.Total, ":")) || chain.Broken != nil {
		t.Errorf("the chain is %+v", chain)
	}
	if again := p.asRoot(t, "GET", "/api/audit/chain?noted="+chain.Head, nil); !strings.Contains(again.text, `"broken":null`) {
		t.Errorf("with its own head noted: %s", again.text)
	}
	if lost := p.asRoot(t, "GET", "/api/audit/chain?noted=1:00", nil); !strings.Contains(lost.text, `"broken":{"id":`) {
		t.Errorf("with another head noted: %s", lost.text)
	}
	p.refused(t, caller{token: adaToken}, "GET", "/api/audit/chain", nil, 403, "admin_required")
	for _, query := range []string{"actor=x", "from=-1", "to=1.5", "from=9223372036854775807"} {
		if got := p.asRoot(t, "GET", "/api/audit/?"+query, nil); got.status != 422 {
			t.Errorf("%s: %d %s", query, got.status, got.text)
		}
	}
	p.refused(t, caller{token: adaToken}, "GET", "/api/audit/", nil, 403, "admin_required")
}
