package adminapi_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/audit"
)

func TestPeopleRegisterOnlyWhereTheOptionSaysSo(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	for _, body := range []string{`{"username":"ada","password":"correct horse"}`, `{}`, ``} {
		p.refused(t, caller{}, "POST", "/api/user/register", body, 403, "registration_disabled")
	}
	p.refused(t, caller{token: p.root}, "POST", "/api/user/register", `{"username":"ada","password":"correct horse"}`, 403, "registration_disabled")
	into[map[string]any](t, p.asRoot(t, "PUT", "/api/option/new_user_quota", `{"value":2500}`))
	into[map[string]any](t, p.asRoot(t, "PUT", "/api/option/register_enabled", `{"value":true}`))

	made := p.send(t, caller{addr: "198.51.100.7"}, "POST", "/api/user/register", `{"username":"ada","password":"correct horse","email":"a@example.com","display_name":"Ada","role":"admin","group":"vip","quota":9,"unlimited_quota":true}`)
	want := fmt.Sprintf(`{"success":true,"message":"","data":{"id":2,"username":"ada","display_name":"Ada","email":"a@example.com","role":"user","status":1,"group":"default","quota":2500,"unlimited_quota":false,"used_quota":0,"request_count":0,"created_time":%d,"time_zone":"","language":"","must_change_password":false,"limits":%s}}`, p.now().Unix(), noUserLimits)
	if made.text != want {
		t.Errorf("made\n%s, want\n%s", made.text, want)
	}
	if diff := cmp.Diff(audit.Entry{Actor: 2, Action: "user.register", Target: "user 2", Detail: `{"group":"default","quota":2500,"username":"ada"}`, IP: "198.51.100.7"}, p.trailOf(t)); diff != "" {
		t.Errorf("the trail (-want +got):\n%s", diff)
	}
	cookies := (&http.Response{Header: made.header}).Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies %v", cookies)
	}
	if self := into[map[string]any](t, p.send(t, caller{cookie: cookies[0]}, "GET", "/api/user/self", nil)); self["username"] != "ada" {
		t.Errorf("signed in as %v", self)
	}
	p.signIn(t, "ada", peoplePassword)

	into[map[string]any](t, p.asRoot(t, "PUT", "/api/option/register_enabled", `{"value":false}`))
	p.refused(t, caller{}, "POST", "/api/user/register", `{"username":"grace","password":"correct horse"}`, 403, "registration_disabled")
}

func TestBadRegistrations(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	into[map[string]any](t, p.asRoot(t, "PUT", "/api/option/register_enabled", `{"value":true}`))
	for _, tc := range []struct {
		body   string
		status int
		code   string
	}{
		{``, 400, "invalid_body"},
		{`{}`, 422, "invalid_username"},
		{`{"username":"ada"}`, 422, "invalid_password"},
		{`{"username":"a b","password":"correct horse"}`, 422, "invalid_username"},
		{`{"username":"ada","password":"short"}`, 422, "password_too_short"},
		{`{"username":"ada","password":null}`, 400, "invalid_type"},
		{`{"username":"ada","password":"correct horse","email":null}`, 400, "invalid_type"},
		{`{"username":"ada","password":"correct horse","display_name":1}`, 400, "invalid_type"},
		{`{"username":"ada","password":"correct horse","email":"x"}`, 422, "invalid_email"},
		{`{"username":"ROOT","password":"correct horse"}`, 409, "username_taken"},
	} {
		got := p.refused(t, caller{}, "POST", "/api/user/register", tc.body, tc.status, tc.code)
		if got.header.Get("Set-Cookie") != "" {
			t.Errorf("%s sets a cookie", tc.body)
		}
	}
	foreign := http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}}
	p.refused(t, caller{header: foreign}, "POST", "/api/user/register", `{"username":"ada","password":"correct horse"}`, 403, "cross_origin")
}

func TestTooManyAccountsFromAnAddressAreA429WithRetryAfter(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	into[map[string]any](t, p.asRoot(t, "PUT", "/api/option/register_enabled", `{"value":true}`))
	register := func(name string) string { return fmt.Sprintf(`{"username":%q,"password":"correct horse"}`, name) }
	for i := range 20 {
		into[map[string]any](t, p.send(t, caller{addr: "198.51.100.7"}, "POST", "/api/user/register", register(fmt.Sprint("user", i))))
	}
	got := p.refused(t, caller{addr: "198.51.100.7"}, "POST", "/api/user/register", register("ada"), 429, "too_many_attempts")
	if got.header.Get("Retry-After") != "900" {
		t.Errorf("Retry-After is %q", got.header.Get("Retry-After"))
	}
	into[map[string]any](t, p.send(t, caller{addr: "198.51.100.8"}, "POST", "/api/user/register", register("ada")))
	p.ms.Add((15 * time.Minute).Milliseconds())
	into[map[string]any](t, p.send(t, caller{addr: "198.51.100.7"}, "POST", "/api/user/register", register("grace")))
}
