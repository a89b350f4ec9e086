package adminapi_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
		"target_kind=user&actor=3":             4, // signed in twice, their own password, ada
		"target_kind=user&target=user%202":     5,
		"target_kind=use":                      0,
		"target_kind=access%20token":           3,
		"request_id=nothing":                   0,
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

func TestTheTrailIsExported(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	_, adaToken := p.user(t, "ada", "user")
	for i := range 520 { // more than one portion
		into[any](t, p.asRoot(t, "PATCH", "/api/user/2", fmt.Sprintf(`{"display_name":"Ada %d"}`, i)))
	}
	into[any](t, p.asRoot(t, "PATCH", "/api/user/2", `{"display_name":"=1+1"}`))
	type record struct {
		ID, Time, Actor              int64
		Action, Target, Detail, Hash string
		RequestID                    string `json:"request_id"`
		After                        *map[string]any
	}
	listed := into[pageJSON[record]](t, p.asRoot(t, "GET", "/api/audit/?action=user.update&page_size=100", nil))
	answer, text, err := p.export(t, p.root, "/api/audit/export?action=user.update")
	if err != nil {
		t.Fatal(err)
	}
	var records []record
	if err := json.Unmarshal([]byte(text), &records); err != nil {
		t.Fatal(err)
	}
	if len(records) != listed.Total || len(records) < 521 || answer.Header.Get("X-Total-Count") != fmt.Sprint(len(records)) {
		t.Errorf("%d records, listed %d, %v", len(records), listed.Total, answer.Header)
	}
	if diff := cmp.Diff(listed.Items, records[:len(listed.Items)]); diff != "" {
		t.Errorf("(-listed +exported):\n%s", diff)
	}
	for i := 1; i < len(records); i++ {
		if records[i].ID >= records[i-1].ID {
			t.Fatalf("record %d after %d", records[i].ID, records[i-1].ID)
		}
	}
	answer, text, err = p.export(t, p.root, "/api/audit/export?format=csv&action=user.update")
	if err != nil {
		t.Fatal(err)
	}
	table, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(table) != len(records)+1 || !strings.HasPrefix(answer.Header.Get("Content-Disposition"), `attachment; filename="halley-audit-`) {
		t.Fatalf("%d lines, %v, %v", len(table), err, answer.Header)
	}
	first := records[0]
	want := []string{fmt.Sprint(first.ID), time.Unix(first.Time, 0).UTC().Format(time.RFC3339), "1", "user.update", "user 2", `{"display_name":"=1+1"}`, `{"display_name":"Ada 519"}`, `{"display_name":"=1+1"}`, first.RequestID, "192.0.2.1", first.Hash}
	want[9] = table[1][9] // the connection's own
	if diff := cmp.Diff(want, table[1]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	p.refused(t, caller{token: adaToken}, "GET", "/api/audit/export", nil, 403, "admin_required")
	for query, code := range map[string]string{"format=xlsx": "invalid_format", "actor=x": "invalid_actor", "from=-1": "invalid_from"} {
		p.refused(t, caller{token: p.root}, "GET", "/api/audit/export?"+query, nil, 422, code)
	}
}
