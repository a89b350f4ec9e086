package adminapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// notObjects are bodies that are JSON, or nearly, but no object.
func notObjects() []string {
	return []string{`null`, " null\n", `[]`, `[{}]`, `"{}"`, `7`, `true`, ` `, ``}
}

func TestABodyThatIsNoObjectIsRefusedEverywhere(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	d.must(t, d.root.token, "PUT", "/api/option/register_enabled", `{"value":true}`)
	made := d.create(t, d.ada, fields{"name": "kept"})
	before := d.must(t, d.ada.token, "GET", fmt.Sprint("/api/token/", made.ID), nil).text
	for _, call := range []struct{ token, method, path string }{
		{"", "POST", "/api/user/login"},
		{"", "POST", "/api/user/register"},
		{d.ada.token, "PATCH", "/api/user/self"},
		{d.ada.token, "POST", "/api/user/token"},
		{d.root.token, "POST", "/api/user/"},
		{d.root.token, "PATCH", fmt.Sprint("/api/user/", d.ada.id)},
		{d.root.token, "POST", fmt.Sprint("/api/user/", d.ada.id, "/quota")},
		{d.root.token, "PUT", "/api/option/new_user_quota"},
		{d.ada.token, "POST", "/api/token/"},
		{d.ada.token, "PUT", "/api/token/"},
		{d.ada.token, "PUT", "/api/token/?status_only=true"},
		{d.ada.token, "POST", "/api/token/batch"},
		{d.ada.token, "POST", fmt.Sprint("/api/token/", made.ID, "/quota")},
		{d.ada.token, "POST", fmt.Sprint("/api/token/", made.ID, "/verify")},
		{d.root.token, "POST", "/api/group/"},
		{d.root.token, "PATCH", "/api/group/vip"},
	} {
		for _, body := range notObjects() {
			if got := d.send(t, call.token, call.method, call.path, body); got.status != 400 || got.Code != "invalid_body" {
				t.Errorf("%s %s %q: %d %s", call.method, call.path, body, got.status, got.text)
			}
		}
	}
	if after := d.must(t, d.ada.token, "GET", fmt.Sprint("/api/token/", made.ID), nil).text; after != before {
		t.Errorf("the key has changed:\n%s\n%s", before, after)
	}

	desk := newOperatorDesk(t)
	for _, call := range []struct{ method, path string }{{"POST", "/api/channel/"}, {"PATCH", "/api/channel/1"}, {"PUT", "/api/price/some-model"}} {
		for _, body := range notObjects() {
			if got := desk.do(t, admin, call.method, call.path, body); got.status != 400 || got.Code != "invalid_body" {
				t.Errorf("%s %s %q: %d %s", call.method, call.path, body, got.status, got.raw)
			}
		}
	}
}

func TestTheQuotaCallRefusesInOpenAIsShapeWhateverIsWrong(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	for _, tc := range []struct {
		name, method, path string
		headers            []string
		status             int
		code               string
	}{
		{"two credentials in one header's name", "GET", "/user/quota", []string{"Authorization", "Bearer x", "Authorization", "Bearer y"}, 400, "repeated_header"},
		{"the same, with a closing slash", "GET", "/user/quota/", []string{"Authorization", "Bearer x", "Authorization", "Bearer y"}, 400, "repeated_header"},
		{"another method", "POST", "/user/quota", nil, 404, "not_found"},
		{"no credential", "GET", "/user/quota", nil, 401, "invalid_api_key"},
	} {
		got := d.send(t, "", tc.method, tc.path, nil, tc.headers...)
		var body struct {
			Success *bool
			Error   struct{ Message, Type, Code string }
		}
		if err := json.Unmarshal([]byte(got.text), &body); err != nil {
			t.Fatal(err)
		}
		if got.status != tc.status || body.Success != nil || body.Error.Code != tc.code || body.Error.Type == "" || !strings.Contains(body.Error.Message, "(request id: ") {
			t.Errorf("%s: %d %s, want %d %s", tc.name, got.status, got.text, tc.status, tc.code)
		}
	}
}
