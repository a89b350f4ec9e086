package adminapi_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"halley/internal/budget"
	"halley/internal/money"
)

func (d *keyDesk) child(t *testing.T, by *holder, parent int64, f fields) keyRow {
	t.Helper()
	body := fields{"name": "child"}
	for name, v := range f {
		body[name] = v
	}
	return d.must(t, by.token, "POST", childrenOf(parent), body).row(t)
}

func childrenOf(id int64) string { return fmt.Sprint("/api/token/", id, "/children") }

// parent is the parent_id that a record shows, 0 for null.
func (r keyRow) parent(t *testing.T) int64 {
	t.Helper()
	var limits struct {
		ParentID *int64 `json:"parent_id"`
	}
	if err := json.Unmarshal(r.Limits, &limits); err != nil {
		t.Fatal(err)
	}
	if limits.ParentID == nil {
		return 0
	}
	return *limits.ParentID
}

func TestAKeyIssuesChildren(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	parent := d.create(t, d.ada, fields{"remain_quota": 100, "expired_time": 1_900_000_000, "group": "vip"})
	for _, path := range []string{childrenOf(parent.ID), childrenOf(parent.ID) + "/"} {
		made := d.must(t, d.ada.token, "POST", path, fields{"name": "agent", "remain_quota": 30, "limits": fields{"parent_id": 99, "rpm": 5}})
		row := made.row(t)
		if row.parent(t) != parent.ID || row.ExpiredTime != 1_900_000_000 || row.RemainQuota != 30 || len(row.Key) != 51 || row.Status != 1 || made.header.Get("ETag") != `"1"` {
			t.Errorf("%s gives %s, %v", path, made.text, made.header)
		}
		if read := d.must(t, d.ada.token, "GET", fmt.Sprint("/api/token/", row.ID), nil); string(read.Data) != string(made.Data) {
			t.Errorf("made %s, read %s", made.Data, read.Data)
		}
	}
	if left := d.get(t, d.ada, parent.ID); left.RemainQuota != 100 || left.Version != 1 {
		t.Errorf("issuing took from the parent: %+v", left)
	}
	if made := d.create(t, d.ada, fields{"limits": fields{"parent_id": parent.ID}}); made.parent(t) != 0 {
		t.Error("a plain key got a parent")
	}
	only := d.child(t, d.ada, parent.ID, nil)
	got := d.must(t, d.ada.token, "PUT", "/api/token/", fields{"id": only.ID, "limits": fields{"parent_id": nil, "tpm": 7}}).row(t)
	if got.parent(t) != parent.ID {
		t.Errorf("parent_id was written: %s", got.Limits)
	}
	if page := d.must(t, d.ada.token, "GET", fmt.Sprint("/api/token/?page_size=2&parent_id=", parent.ID), nil).page(t); page.Total != 3 || len(page.Items) != 2 || page.Items[0].ID != only.ID || page.Items[0].parent(t) != parent.ID {
		t.Errorf("children: %+v", page)
	}
	if page := d.must(t, d.ada.token, "GET", "/api/token/", nil).page(t); page.Total != 5 {
		t.Errorf("all keys: %+v", page)
	}
	if page := d.must(t, d.ada.token, "GET", fmt.Sprint("/api/token/search?keyword=agent&parent_id=", parent.ID), nil).page(t); page.Total != 2 {
		t.Errorf("found: %+v", page)
	}
	// Whether somebody else's key exists does not show.
	for _, id := range []int64{parent.ID, 4711} {
		if page := d.must(t, d.bob.token, "GET", fmt.Sprint("/api/token/?parent_id=", id), nil).page(t); page.Total != 0 || len(page.Items) != 0 {
			t.Errorf("bob sees %+v", page)
		}
		d.refused(t, "issued by bob", d.send(t, d.bob.token, "POST", childrenOf(id), fields{"name": "n"}), 404, "key_not_found")
	}
	for _, text := range []string{"x", "-1", "1.5"} {
		d.refused(t, "parent_id="+text, d.send(t, d.ada.token, "GET", "/api/token/?parent_id="+text, nil), 422, "invalid_parent_id")
	}
	admins := d.must(t, d.admin.token, "POST", childrenOf(parent.ID), fields{"name": "for ada", "user_id": d.ada.id}).row(t)
	if admins.UserID != d.ada.id || admins.parent(t) != parent.ID {
		t.Errorf("by an administrator: %+v", admins)
	}
}

func TestBadChildrenAreRefused(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	parent := d.create(t, d.ada, fields{"remain_quota": 100, "expired_time": 1_900_000_000, "allow_ips": "10.0.0.0/8", "model_limits_enabled": true, "model_limits": "gpt-5*",
		"limits": fields{"rpm": 10, "endpoints": []string{"chat"}}})
	child := d.child(t, d.ada, parent.ID, nil)
	disabled := d.create(t, d.ada, fields{"status": 2})
	type row struct {
		parent int64
		body   any
		status int
		code   string
		param  string
	}
	rows := map[string]row{
		"no name":         {parent.ID, fields{}, 422, "name_required", "name"},
		"not JSON":        {parent.ID, "{", 400, "invalid_body", ""},
		"a wrong type":    {parent.ID, fields{"name": "n", "remain_quota": "5"}, 400, "invalid_type", "remain_quota"},
		"null":            {parent.ID, fields{"name": "n", "expired_time": nil}, 400, "invalid_type", "expired_time"},
		"a bad group":     {parent.ID, fields{"name": "n", "group": "closed"}, 422, "invalid_group", "group"},
		"of a child":      {child.ID, fields{"name": "n"}, 422, "parent_is_child", "id"},
		"of one disabled": {disabled.ID, fields{"name": "n"}, 422, "parent_disabled", "id"},
		"of none":         {99, fields{"name": "n"}, 404, "key_not_found", "id"},
	}
	wide := map[string]any{
		"remain_quota": 101, "expired_time": -1, "allow_ips": "0.0.0.0/0", "model_limits": "gpt-*", "limits.rpm": fields{"rpm": 11}, "limits.endpoints": fields{"endpoints": []string{"images"}},
	}
	for field, value := range wide {
		member, _, _ := strings.Cut(field, ".")
		rows["wider: "+field] = row{parent.ID, fields{"name": "n", "model_limits_enabled": field == "model_limits", member: value}, 422, "wider_than_parent", field}
	}
	for name, row := range rows {
		got := d.send(t, d.ada.token, "POST", childrenOf(row.parent), row.body)
		d.refused(t, name, got, row.status, row.code)
		if row.param != "" && (got.Param != row.param || (row.code == "wider_than_parent" && !strings.Contains(got.Message, row.param))) {
			t.Errorf("%s: names %q in %q, want %q", name, got.Param, got.Message, row.param)
		}
		if row.code != "wider_than_parent" {
			continue
		}
		change := row.body.(fields)
		change["id"] = child.ID
		d.refused(t, name+", of one that is there", d.send(t, d.ada.token, "PUT", "/api/token/", change), 422, "wider_than_parent")
	}
	d.refused(t, "a path that is no id", d.send(t, d.ada.token, "POST", "/api/token/x/children", fields{"name": "n"}), 404, "key_not_found")
	d.refused(t, "more quota", d.send(t, d.ada.token, "POST", fmt.Sprint("/api/token/", child.ID, "/quota"), fields{"set": 101}), 422, "wider_than_parent")
	d.refused(t, "by a token that only reads", d.send(t, d.adaRead, "POST", childrenOf(parent.ID), fields{"name": "n"}), 403, "read_only_token")
	if page := d.must(t, d.ada.token, "GET", fmt.Sprint("/api/token/?parent_id=", parent.ID), nil).page(t); page.Total != 1 || page.Items[0].Version != 1 {
		t.Errorf("something was made or changed after all: %+v", page)
	}
}

func TestDeletingAParentEndsItsChildrenAndSaysSo(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	parent, other := d.create(t, d.ada, nil), d.create(t, d.ada, nil)
	a, b, c := d.child(t, d.ada, parent.ID, nil), d.child(t, d.ada, parent.ID, nil), d.child(t, d.ada, other.ID, nil)
	// Only what was asked for counts.
	if got := d.must(t, d.ada.token, "POST", "/api/token/batch", fields{"ids": []int64{parent.ID, b.ID, 4711}}); string(got.Data) != "2" {
		t.Errorf("%s deleted, want 2", got.Data)
	}
	d.must(t, d.ada.token, "DELETE", fmt.Sprint("/api/token/", other.ID), nil)
	for _, k := range []keyRow{parent, other, a, b, c} {
		d.refused(t, "reading it", d.send(t, d.ada.token, "GET", fmt.Sprint("/api/token/", k.ID), nil), 404, "key_not_found")
		if status, code := askCode(t, d, "Authorization", "Bearer "+k.Key); status != 401 || code != "invalid_api_key" {
			t.Errorf("its value: %d %s", status, code)
		}
		trail := d.must(t, d.root.token, "GET", fmt.Sprint("/api/audit/?action=key.delete&target=key%20", k.ID), nil)
		if strings.Count(trail.text, `"key.delete"`) != 1 || strings.Contains(trail.text, `"with\":\"parent`) != slices.Contains([]int64{a.ID, c.ID}, k.ID) {
			t.Errorf("the trail of %d: %s", k.ID, trail.text)
		}
	}
}

func TestAChildAsksWhatItHasLeft(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	parent := d.create(t, d.ada, fields{"name": "parent", "remain_quota": 100, "model_limits_enabled": true, "model_limits": "gpt-5*,o3"})
	limited := d.child(t, d.ada, parent.ID, fields{"name": "limited", "remain_quota": 80, "model_limits_enabled": true, "model_limits": "gpt-5*"})
	open := d.child(t, d.ada, parent.ID, fields{"name": "open", "unlimited_quota": true})
	free := d.create(t, d.ada, fields{"name": "free", "unlimited_quota": true})
	freeChild := d.child(t, d.ada, free.ID, fields{"name": "free child", "unlimited_quota": true})
	var h budget.Hold
	if err := d.ledger.Hold(t.Context(), &h, budget.Payers{Key: limited.ID, Parent: parent.ID, User: d.ada.id}, 10*money.Unit, nil); err != nil {
		t.Fatal(err)
	}
	h.Settle(10 * money.Unit)
	ask := func(what, value, want string) {
		t.Helper()
		status, _, body := d.self(t, "/api/usage/token", "Authorization", "Bearer "+value)
		if want = `{"code":true,"message":"ok","data":{"object":"token_usage",` + want + `}}`; status != 200 || string(body) != want {
			t.Errorf("%s: %d\n%s, want\n%s", what, status, body, want)
		}
	}
	ask("within its parent", limited.Key, `"name":"limited","total_granted":80,"total_used":10,"total_available":70,"unlimited_quota":false,"model_limits":{"gpt-5*":true},"model_limits_enabled":true,"expires_at":0`)
	ask("an unlimited child", open.Key, `"name":"open","total_granted":100,"total_used":10,"total_available":90,"unlimited_quota":false,"model_limits":{"gpt-5*":true,"o3":true},"model_limits_enabled":true,"expires_at":0`)
	ask("under an unlimited parent", freeChild.Key, `"name":"free child","total_granted":1000,"total_used":10,"total_available":990,"unlimited_quota":true,"model_limits":{},"model_limits_enabled":false,"expires_at":0`)

	d.must(t, d.ada.token, "PUT", "/api/token/", fields{"id": parent.ID, "remain_quota": 5, "expired_time": 1_900_000_000, "model_limits": "gpt-5-mini"})
	ask("above its parent", limited.Key, `"name":"limited","total_granted":80,"total_used":10,"total_available":5,"unlimited_quota":false,"model_limits":{"gpt-5-mini":true},"model_limits_enabled":true,"expires_at":1900000000`)
	status, _, body := d.self(t, "/user/quota?key="+limited.Key)
	if want := `"keys":[{"name":"free child","remain_quota":-1,"used_quota":0},{"name":"free","remain_quota":-1,"used_quota":0},{"name":"open","remain_quota":0.00001,"used_quota":0},{"name":"limited","remain_quota":0.00001,"used_quota":0.00002},{"name":"parent","remain_quota":0.00001,"used_quota":0.00002}]`; status != 200 || !strings.Contains(string(body), want) {
		t.Errorf("%d %s, want %s", status, body, want)
	}
	expect := func(what string, change fields, status int, code string) {
		t.Helper()
		change["id"] = parent.ID
		d.must(t, d.ada.token, "PUT", "/api/token/", change)
		if s, c := askCode(t, d, "Authorization", "Bearer "+limited.Key); s != status || c != code {
			t.Errorf("%s: %d %q, want %d %q", what, s, c, status, code)
		}
	}
	expect("an exhausted parent", fields{"remain_quota": 0}, 200, "")
	if got := d.get(t, d.ada, limited.ID); got.Status != 4 || got.RemainQuota != 70 {
		t.Errorf("the child reads %+v, want exhausted with its own remainder", got)
	}
	expect("a parent for other addresses", fields{"allow_ips": "10.0.0.0/8"}, 403, "ip_not_allowed")
	expect("a disabled parent", fields{"allow_ips": nil, "status": 2}, 401, "key_disabled")
}
