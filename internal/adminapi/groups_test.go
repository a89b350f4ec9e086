package adminapi_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/account"
	"halley/internal/budget"
)

// noGroupLimits is the limits object of a group without any.
const noGroupLimits = `{"rpm":null,"rpd":null,"tpm":null,"tpm_input":null,"tpm_output":null,"concurrency":null,"per_model":null}`

func TestAGroupIsMadeReadChangedAndDeleted(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	if got := d.must(t, "GET", "/api/group/", "").Data; string(got) != `{"page":1,"page_size":20,"total":1,"items":[{"name":"default","ratio":"1","desc":"","usable_by":"all","version":1,"limits":`+noGroupLimits+`}]}` {
		t.Errorf("a new server has %s", got)
	}
	for body, want := range map[string]string{
		`{"name":"vip","ratio":"1.250","desc":" fast ","usable_by":["gold","gold"]}`: `{"name":"vip","ratio":"1.25","desc":"fast","usable_by":["gold"],"version":1,"limits":` + noGroupLimits + `}`,
		`{"name":"free","ratio":"0","usable_by":"all"}`:                              `{"name":"free","ratio":"0","desc":"","usable_by":"all","version":1,"limits":` + noGroupLimits + `}`,
		`{"name":"own","usable_by":[]}`:                                              `{"name":"own","ratio":"1","desc":"","usable_by":[],"version":1,"limits":` + noGroupLimits + `}`,
	} {
		if got := d.must(t, "POST", "/api/group/", body); string(got.Data) != want || got.header.Get("ETag") != `"1"` {
			t.Errorf("%s became %s", body, got.Data)
		}
	}
	if got := d.must(t, "PATCH", "/api/group/vip", `{"name":"vip","ratio":"2"}`).Data; string(got) != `{"name":"vip","ratio":"2","desc":"fast","usable_by":["gold"],"version":2,"limits":`+noGroupLimits+`}` {
		t.Errorf("after the change: %s", got)
	}
	if got := d.must(t, "PATCH", "/api/group/vip", `{"usable_by":"all"}`).Data; string(got) != `{"name":"vip","ratio":"2","desc":"fast","usable_by":"all","version":3,"limits":`+noGroupLimits+`}` {
		t.Errorf("after opening: %s", got)
	}
	limited := `{"rpm":null,"rpd":5,"tpm":null,"tpm_input":0,"tpm_output":null,"concurrency":null,"per_model":null}`
	d.must(t, "PATCH", "/api/group/vip", `{"limits":{"rpm":60,"tpm_input":0}}`)
	if got := d.must(t, "PATCH", "/api/group/vip", `{"limits":{"rpm":null,"rpd":5}}`).Data; string(got) != `{"name":"vip","ratio":"2","desc":"fast","usable_by":"all","version":5,"limits":`+limited+`}` {
		t.Errorf("after limiting: %s", got)
	}
	if a := d.do(t, admin, "PATCH", "/api/group/vip", `{}`, `If-Match: "2"`); a.status != 412 {
		t.Error(a.raw)
	}
	if got := d.must(t, "GET", "/api/group/vip", ""); got.header.Get("ETag") != `"5"` {
		t.Error(got.raw)
	}
	if a := d.must(t, "DELETE", "/api/group/vip", ""); a.raw != `{"success":true,"message":""}` {
		t.Error(a.raw)
	}
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		if a := d.do(t, admin, method, "/api/group/vip", `{}`); a.status != 404 || a.Code != "group_not_found" {
			t.Errorf("%s after the deletion: %s", method, a.raw)
		}
	}
}

func TestBadGroupsAreRefusedByName(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	d.must(t, "POST", "/api/group/", `{"name":"vip"}`)
	for _, tc := range []struct {
		body   string
		status int
		code   string
		param  string
	}{
		{`{}`, 422, "name_required", "name"},
		{`{"name":""}`, 422, "name_required", "name"},
		{`{"name":null}`, 400, "invalid_type", "name"},
		{`{"name":1}`, 400, "invalid_type", "name"},
		{`{"name":"auto"}`, 422, "invalid_name", "name"},
		{`{"name":"a b"}`, 422, "invalid_name", "name"},
		{`{"name":"😀"}`, 422, "invalid_name", "name"},
		{`{"name":"vip"}`, 409, "group_exists", "name"},
		{`{"name":"default"}`, 409, "group_exists", "name"},
		{`{"name":"x","ratio":1.5}`, 400, "invalid_type", "ratio"},
		{`{"name":"x","ratio":"-1"}`, 422, "invalid_ratio", "ratio"},
		{`{"name":"x","ratio":"1,5"}`, 422, "invalid_ratio", "ratio"},
		{`{"name":"x","ratio":""}`, 422, "invalid_ratio", "ratio"},
		{`{"name":"x","ratio":null}`, 400, "invalid_type", "ratio"},
		{`{"name":"x","usable_by":"gold"}`, 422, "invalid_usable_by", "usable_by"},
		{`{"name":"x","usable_by":null}`, 400, "invalid_type", "usable_by"},
		{`{"name":"x","usable_by":5}`, 400, "invalid_type", "usable_by"},
		{`{"name":"x","usable_by":{"a":1}}`, 400, "invalid_type", "usable_by"},
		{`{"name":"x","usable_by":["a",5]}`, 400, "invalid_type", "usable_by"},
		{`{"name":"x","usable_by":["a b"]}`, 422, "invalid_usable_by", "usable_by"},
		{`{"name":"x","desc":5}`, 400, "invalid_type", "desc"},
		{`{"name":"x","limits":null}`, 400, "invalid_type", "limits"},
		{`{"name":"x","limits":5}`, 400, "invalid_type", "limits"},
		{`{"name":"x","limits":{"rpm":-1}}`, 422, "invalid_limits", "limits.rpm"},
		{`{"name":"x","limits":{"tpm":0.5}}`, 422, "invalid_limits", "limits.tpm"},
		{`{"name":"x","limits":{"per_model":{"a":{"tpm_output":-1}}}}`, 422, "invalid_limits", "limits.per_model.tpm_output"},
	} {
		if a := d.do(t, admin, "POST", "/api/group/", tc.body); a.status != tc.status || a.Code != tc.code || a.Param != tc.param {
			t.Errorf("%s: %d %s, want %d %s %s", tc.body, a.status, a.raw, tc.status, tc.code, tc.param)
		}
	}
	if a := d.do(t, admin, "PATCH", "/api/group/vip", `{"name":"other"}`); a.status != 422 || a.Code != "invalid_name" {
		t.Error(a.raw)
	}
}

func TestAGroupInUseStays(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	d.must(t, "POST", "/api/group/", `{"name":"vip"}`)
	d.must(t, "POST", "/api/channel/", `{"name":"c","kind":"demo","models":["*"],"groups":["vip"]}`)
	for i := range 2 {
		u := &account.User{Username: fmt.Sprint("u", i), Role: account.RoleUser, Status: account.Enabled, Group: "vip"}
		if err := d.db.InsertUser(t.Context(), u, budget.Cause{}); err != nil {
			t.Fatal(err)
		}
	}
	if a := d.do(t, admin, "DELETE", "/api/group/vip", ""); a.status != 409 || a.Code != "group_in_use" || a.Message != `The group "vip" is in use by 2 users and 1 channel.` {
		t.Error(a.raw)
	}
	if a := d.do(t, admin, "DELETE", "/api/group/default", ""); a.status != 409 || a.Code != "default_group" {
		t.Error(a.raw)
	}
}

func TestCallersSeeTheGroupsAndModelsTheyMayUse(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	d.must(t, "POST", "/api/group/", `{"name":"vip","ratio":"0.5","desc":"fast","usable_by":[]}`)
	for _, body := range []string{
		`{"name":"a","kind":"demo","models":["demo-echo","mapped","unpriced"],"model_mapping":{"mapped":"gpt-4o"}}`,
		`{"name":"b","kind":"demo","models":["demo-em*","unpriced"],"groups":["vip"]}`,
		`{"name":"c","kind":"demo","models":["off-model"],"status":2}`,
	} {
		d.must(t, "POST", "/api/channel/", body)
	}
	type groups = map[string]struct {
		Ratio string `json:"ratio"`
		Desc  string `json:"desc"`
	}
	for _, tc := range []struct {
		who    deskCaller
		groups groups
		models []string
	}{
		{user, groups{"default": {"1", ""}}, []string{"demo-echo", "mapped"}},
		{member, groups{"default": {"1", ""}, "vip": {"0.5", "fast"}}, []string{"demo-echo", "demo-embed", "demo-empty", "mapped"}},
		{admin, groups{"default": {"1", ""}}, []string{"demo-echo", "mapped", "unpriced"}},
	} {
		if diff := cmp.Diff(tc.groups, as[groups](t, d.do(t, tc.who, "GET", "/api/user/self/groups", ""))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.who, diff)
		}
		if diff := cmp.Diff(tc.models, as[[]string](t, d.do(t, tc.who, "GET", "/api/user/self/models", ""))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.who, diff)
		}
	}
}
