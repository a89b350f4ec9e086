package adminapi_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/audit"
)

func TestOptionsAreListedAndChangedByRoot(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	type record struct {
		Name, Type, Help string
		Value, Default   any
	}
	listed := into[struct {
		Total int
		Items []record
	}](t, p.asRoot(t, "GET", "/api/option/", nil))
	if listed.Total != len(listed.Items) || listed.Total < 4 || listed.Items[0].Name != "auto_groups" || listed.Items[0].Type != "list" || listed.Items[0].Help == "" {
		t.Errorf("listed %+v", listed)
	}
	set := into[record](t, p.asRoot(t, "PUT", "/api/option/new_user_quota", `{"value":2500}`))
	set.Help = ""
	if diff := cmp.Diff(record{Name: "new_user_quota", Type: "integer", Value: 2500.0, Default: 0.0}, set); diff != "" {
		t.Errorf("set (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(audit.Entry{Actor: 1, Action: "option.update", Target: "option new_user_quota", Detail: `{"value":2500}`, Before: `{"value":0}`, After: `{"value":2500}`, IP: "192.0.2.1"}, p.trailOf(t)); diff != "" {
		t.Errorf("the trail (-want +got):\n%s", diff)
	}
	made := into[map[string]any](t, p.asRoot(t, "POST", "/api/user/", map[string]any{"username": "ada", "password": peoplePassword}))
	if made["quota"] != 2500.0 {
		t.Errorf("the next user has %v", made["quota"])
	}
	_, admin := p.user(t, "boss", "admin")
	p.refused(t, caller{token: admin}, "GET", "/api/option/", nil, 403, "root_required")
	p.refused(t, caller{token: admin}, "PUT", "/api/option/new_user_quota", `{"value":1}`, 403, "root_required")
}

func TestBadOptionsAreRefusedByName(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	for _, tc := range []struct {
		name, body string
		status     int
		code       string
	}{
		{"gone", `{"value":1}`, 404, "option_not_found"},
		{"new_user_quota", ``, 400, "invalid_body"},
		{"new_user_quota", `{}`, 422, "value_required"},
		{"new_user_quota", `{"value":null}`, 400, "invalid_type"},
		{"new_user_quota", `{"value":"1"}`, 400, "invalid_type"},
		{"new_user_quota", `{"value":-1}`, 422, "invalid_value"},
		{"auto_groups", `{"value":[null]}`, 400, "invalid_type"},
		{"auto_groups", `{"value":["gone"]}`, 422, "invalid_group"},
		{"keys_reveal", `{"value":"once"}`, 404, "option_not_found"},
	} {
		p.refused(t, caller{token: p.root}, "PUT", "/api/option/"+tc.name, tc.body, tc.status, tc.code)
	}
}
