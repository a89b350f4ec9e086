package adminapi_test

import (
	"fmt"
	"strings"
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
	if got := d.must(t, "GET", "/api/group/", "").Data; string(got) != `{"page":1,"page_size":20,"total":1,"items":[{"name":"default","ratio":"1","desc":"","usable_by":"all","strategy":"weighted","version":1,"limits":`+noGroupLimits+`}]}` {
		t.Errorf("a new server has %s", got)
	}
	for body, want := range map[string]string{
		`{"name":"vip","ratio":"1.250","desc":" fast ","usable_by":["gold","gold"]}`: `{"name":"vip","ratio":"1.25","desc":"fast","usable_by":["gold"],"strategy":"weighted","version":1,"limits":` + noGroupLimits + `}`,
		`{"name":"free","ratio":"0","usable_by":"all"}`:                              `{"name":"free","ratio":"0","desc":"","usable_by":"all","strategy":"weighted","version":1,"limits":` + noGroupLimits + `}`,
		`{"name":"own","usable_by":[]}`:                                              `{"name":"own","ratio":"1","desc":"","usable_by":[],"strategy":"weighted","version":1,"limits":` + noGroupLimits + `}`,
	} {
		if got := d.must(t, "POST", "/api/group/", body); string(got.Data) != want || got.header.Get("ETag") != `"1"` {
			t.Errorf("%s became %s", body, got.Data)
		}
	}
	if got := d.must(t, "PATCH", "/api/group/vip", `{"name":"vip","ratio":"2"}`).Data; string(got) != `{"name":"vip","ratio":"2","desc":"fast","usable_by":["gold"],"strategy":"weighted","version":2,"limits":`+noGroupLimits+`}` {
		t.Errorf("after the change: %s", got)
	}
	if got := d.must(t, "PATCH", "/api/group/vip", `{"usable_by":"all"}`).Data; string(got) != `{"name":"vip","ratio":"2","desc":"fast","usable_by":"all","strategy":"weighted","version":3,"limits":`+noGroupLimits+`}` {
		t.Errorf("after opening: %s", got)
	}
	limited := `{"rpm":null,"rpd":5,"tpm":null,"tpm_input":0,"tpm_output":null,"concurrency":null,"per_model":null}`
	d.must(t, "PATCH", "/api/group/vip", `{"limits":{"rpm":60,"tpm_input":0}}`)
	if got := d.must(t, "PATCH", "/api/group/vip", `{"limits":{"rpm":null,"rpd":5}}`).Data; string(got) != `{"name":"vip","ratio":"2","desc":"fast","usable_by":"all","strategy":"weighted","version":5,"limits":`+limited+`}` {
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
		{`{"name":"x","usable_by":["a",null]}`, 400, "invalid_type", "usable_by"},
		{`{"name":"x","usable_by":{"users":[null]}}`, 400, "invalid_type", "usable_by"},
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
	if a := d.do(t, admin, "DELETE", "/api/group/vip", ""); a.status != 409 || a.Code != "group_in_use" || a.Message != `The group "vip" is in use by 2 users (u0 1, u1 2) and 1 channel (c 1).` {
		t.Error(a.raw)
	}
	for query, want := range map[string]string{"?move_to=": "invalid_group", "?move_to=vip": "invalid_group", "?move_to=none": "invalid_group", "?move_to=auto": "invalid_group"} {
		if a := d.do(t, admin, "DELETE", "/api/group/vip"+query, ""); a.status != 422 || a.Code != want || a.Param != "move_to" {
			t.Errorf("%s: %s", query, a.raw)
		}
	}
	if a := d.do(t, admin, "DELETE", "/api/group/default", ""); a.status != 409 || a.Code != "default_group" {
		t.Error(a.raw)
	}
}

func TestWhatUsesAGroupCanBeMovedToAnotherOne(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	d.must(t, "POST", "/api/group/", `{"name":"old"}`)
	d.must(t, "POST", "/api/group/", `{"name":"new"}`)
	d.must(t, "POST", "/api/channel/", `{"name":"c","kind":"demo","models":["*"],"groups":["old","default"]}`)
	u := &account.User{Username: "u", Role: account.RoleUser, Status: account.Enabled, Group: "old"}
	if err := d.db.InsertUser(t.Context(), u, budget.Cause{}); err != nil {
		t.Fatal(err)
	}
	d.must(t, "DELETE", "/api/group/old?move_to=new", "")
	if a := d.do(t, admin, "GET", "/api/group/old", ""); a.status != 404 {
		t.Error(a.raw)
	}
	if moved, err := d.db.UserByID(t.Context(), u.ID); err != nil || moved.Group != "new" {
		t.Errorf("the user is now %+v, %v", moved, err)
	}
	if c, err := d.db.Channel(t.Context(), 1); err != nil || len(c.Groups) != 2 || c.Groups[0] != "new" {
		t.Errorf("the channel is now %+v, %v", c, err)
	}
	if trail := d.must(t, "GET", "/api/audit/?action=group.delete", "").raw; !strings.Contains(trail, `\"move_to\":\"new\"`) || !strings.Contains(trail, `\"users\":1`) {
		t.Errorf("the trail says %s", trail)
	}
}

func TestGroupsAreOpenToUserGroupsAndUsers(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	ada := &account.User{Username: "ada", Role: account.RoleUser, Status: account.Enabled, Group: "default"}
	if err := d.db.InsertUser(t.Context(), ada, budget.Cause{}); err != nil {
		t.Fatal(err)
	}
	d.must(t, "POST", "/api/group/", `{"name":"vip"}`)
	for _, row := range []struct{ sent, read string }{
		{`"all"`, `"all"`},
		{`["gold"]`, `["gold"]`},
		{`{"groups":["gold"]}`, `["gold"]`},
		{`{"groups":["gold","gold"],"users":[1,1]}`, `{"groups":["gold"],"users":[1]}`},
		{`{"users":[1]}`, `{"groups":[],"users":[1]}`},
		{`{"users":[]}`, `[]`},
	} {
		d.must(t, "PATCH", "/api/group/vip", `{"usable_by":`+row.sent+`}`)
		if got := d.must(t, "GET", "/api/group/vip", "").raw; !strings.Contains(got, `"usable_by":`+row.read+`,`) {
			t.Errorf("%s is read back as %s", row.sent, got)
		}
	}
	for _, row := range []struct {
		sent   string
		status int
		code   string
	}{
		{`{"users":[404]}`, 422, "invalid_usable_by"}, {`{"users":[-1]}`, 422, "invalid_usable_by"}, {`{"groups":["a b"],"users":[1]}`, 422, "invalid_usable_by"},
		{`{"users":["1"]}`, 400, "invalid_type"}, {`{"users":null}`, 400, "invalid_type"}, {`{"user":[1]}`, 400, "invalid_type"}, {`{}`, 400, "invalid_type"},
	} {
		if a := d.do(t, admin, "PATCH", "/api/group/vip", `{"usable_by":`+row.sent+`}`); a.status != row.status || a.Code != row.code || a.Param != "usable_by" {
			t.Errorf("%s: %d %s", row.sent, a.status, a.raw)
		}
	}
}

func TestAGroupHasAStrategy(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t)
	d.must(t, "POST", "/api/group/", `{"name":"vip","strategy":"least-busy"}`)
	d.must(t, "PATCH", "/api/group/vip", `{"desc":"kept"}`)
	if got := d.must(t, "GET", "/api/group/vip", "").raw; !strings.Contains(got, `"strategy":"least-busy"`) {
		t.Error(got)
	}
	for sent, code := range map[string]string{`"fastest"`: "invalid_strategy", `""`: "invalid_strategy", `null`: "invalid_type", `5`: "invalid_type"} {
		if a := d.do(t, admin, "PATCH", "/api/group/vip", `{"strategy":`+sent+`}`); a.Code != code || a.Param != "strategy" {
			t.Errorf("%s: %d %s", sent, a.status, a.raw)
		}
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
	type offer struct {
		Groups []string
		Price  *struct{ Model string }
	}
	offers := map[string]offer{
		"demo-echo": {[]string{"default"}, &struct{ Model string }{"demo-echo"}}, "mapped": {[]string{"default"}, &struct{ Model string }{"gpt-4o"}}, "unpriced": {Groups: []string{"default"}},
		"demo-embed": {[]string{"vip"}, &struct{ Model string }{"demo-embed"}}, "demo-empty": {[]string{"vip"}, &struct{ Model string }{"demo-empty"}},
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
		want := map[string]offer{}
		for _, model := range tc.models {
			want[model] = offers[model]
		}
		got := map[string]offer{}
		for _, o := range as[[]struct {
			Model string
			offer
		}](t, d.do(t, tc.who, "GET", "/api/user/self/catalog", "")) {
			got[o.Model] = o.offer
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(offer{})); diff != "" {
			t.Errorf("what is offered to %s (-want +got):\n%s", tc.who, diff)
		}
	}
}
