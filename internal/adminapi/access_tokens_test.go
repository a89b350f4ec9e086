package adminapi_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestATokenIsMadeUsedListedAndEnded(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	_, adaToken := p.user(t, "ada", "user")
	ada := caller{token: adaToken}
	made := p.send(t, ada, "POST", "/api/user/token", fmt.Sprintf(`{"name":" ci ","scope":"read","expires_at":%d}`, p.now().Unix()+60))
	token := into[struct {
		ID    int64
		Token string
	}](t, made)
	if !regexp.MustCompile(`^hpat_[0-9A-Za-z]{46}$`).MatchString(token.Token) {
		t.Fatalf("the token is %q", token.Token)
	}
	last4 := token.Token[len(token.Token)-4:]
	now := p.now().Unix()
	want := fmt.Sprintf(`{"success":true,"message":"","data":{"id":%d,"name":"ci","scope":"read","token":%q,"last4":%q,"created_time":%d,"accessed_time":%d,"expires_at":%d}}`, token.ID, token.Token, last4, now, now, now+60)
	if made.text != want {
		t.Errorf("made\n%s, want\n%s", made.text, want)
	}
	listed := p.send(t, ada, "GET", "/api/user/token?page_size=1", nil)
	want = fmt.Sprintf(`{"success":true,"message":"","data":{"page":1,"page_size":1,"total":2,"items":[{"id":%d,"name":"ci","scope":"read","last4":%q,"created_time":%d,"accessed_time":%d,"expires_at":%d}]}}`, token.ID, last4, now, now, now+60)
	if listed.text != want {
		t.Errorf("listed\n%s, want\n%s", listed.text, want)
	}
	for _, value := range []string{token.Token, "Bearer " + token.Token, "bearer " + token.Token} {
		if self := into[map[string]any](t, p.send(t, caller{token: value}, "GET", "/api/user/self", nil)); self["username"] != "ada" {
			t.Errorf("%.10s…: it is %v's", value, self["username"])
		}
	}
	path := fmt.Sprint("/api/user/token/", token.ID)
	p.refused(t, caller{token: p.root}, "DELETE", path, nil, 404, "token_not_found")
	if got := p.send(t, ada, "DELETE", path, nil); got.text != `{"success":true,"message":""}` {
		t.Errorf("ended: %s", got.text)
	}
	p.refused(t, caller{token: token.Token}, "GET", "/api/user/self", nil, 401, "invalid_access_token")
	p.refused(t, ada, "DELETE", path, nil, 404, "token_not_found")
}

func TestAReadTokenOnlyReads(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	read := caller{token: p.signedInToken(t, "root", "read")}
	for _, path := range []string{"/api/user/self", "/api/user/", "/api/user/1", "/api/user/token", "/api/option/", "/api/audit/"} {
		if got := p.send(t, read, "GET", path, nil); got.status != 200 {
			t.Errorf("GET %s: %s", path, got.text)
		}
	}
	for _, call := range [][2]string{
		{"PATCH", "/api/user/self"}, {"POST", "/api/user/token"}, {"DELETE", "/api/user/token/1"}, {"POST", "/api/user/"}, {"PATCH", "/api/user/1"},
		{"DELETE", "/api/user/1"}, {"POST", "/api/user/1/quota"}, {"PUT", "/api/option/new_user_quota"},
	} {
		p.refused(t, read, call[0], call[1], `{}`, 403, "read_only_token")
	}
}

func TestWhatATokenNeedsAndNeedNotSay(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	made := into[map[string]any](t, p.asRoot(t, "POST", "/api/user/token", `{"name":"ci"}`))
	if made["scope"] != "full" || made["expires_at"] != -1.0 {
		t.Errorf("without more than a name: %v", made)
	}
	for _, tc := range []struct {
		body   string
		status int
		code   string
	}{
		{``, 400, "invalid_body"},
		{`{}`, 422, "invalid_name"},
		{`{"name":" "}`, 422, "invalid_name"},
		{`{"name":null}`, 400, "invalid_type"},
		{`{"name":"ci","scope":""}`, 422, "invalid_scope"},
		{`{"name":"ci","scope":"write"}`, 422, "invalid_scope"},
		{`{"name":"ci","expires_at":0}`, 422, "invalid_expires_at"},
		{`{"name":"ci","expires_at":1}`, 422, "invalid_expires_at"},
		{`{"name":"ci","expires_at":"tomorrow"}`, 400, "invalid_type"},
		{`{"name":"ci","expires_at":9223372036854775807}`, 422, "invalid_expires_at"},
	} {
		p.refused(t, caller{token: p.root}, "POST", "/api/user/token", tc.body, tc.status, tc.code)
	}
}

// A token that a thief has made outlives a new password and the end of sessions:
// who helps the account's owner must find it.
func TestAdministratorsSeeAndEndTheTokensOfWhomTheyManage(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	ada, adas := p.user(t, "ada", "user")
	grace, graces := p.user(t, "grace", "admin")
	admin, user := caller{token: graces}, caller{token: adas}
	list := fmt.Sprint("/api/user/", ada, "/token")
	type item struct {
		ID          int64
		Name, Last4 string
	}
	got := p.send(t, admin, "GET", list, nil)
	page := into[pageJSON[item]](t, got)
	if page.Total != 1 || page.Items[0].Name != "t" || page.Items[0].Last4 != adas[len(adas)-4:] || strings.Contains(got.text, adas) {
		t.Errorf("listed %s", got.text)
	}
	one := fmt.Sprint(list, "/", page.Items[0].ID)
	p.refused(t, user, "GET", fmt.Sprint("/api/user/", grace, "/token"), nil, 403, "admin_required")
	p.refused(t, user, "DELETE", one, nil, 403, "admin_required")
	p.refused(t, admin, "GET", "/api/user/1/token", nil, 403, "root_required")
	p.refused(t, admin, "DELETE", "/api/user/1/token/1", nil, 403, "root_required")
	p.refused(t, admin, "DELETE", fmt.Sprint("/api/user/", grace, "/token/", page.Items[0].ID), nil, 404, "token_not_found")
	p.refused(t, admin, "GET", "/api/user/99/token", nil, 404, "user_not_found")
	into[any](t, dataless(p.send(t, admin, "DELETE", one, nil)))
	if entry := p.trailOf(t); entry.Actor != grace || entry.Action != "access_token.delete" || entry.Detail != fmt.Sprintf(`{"user_id":%d}`, ada) {
		t.Errorf("the trail has %+v", entry)
	}
	p.refused(t, user, "GET", "/api/user/self", nil, 401, "invalid_access_token")
	p.refused(t, admin, "DELETE", one, nil, 404, "token_not_found")
}

func TestATokenMakesNoneThatOutlivesIt(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	p.user(t, "ada", "user")
	ends := p.now().Add(time.Hour).Unix()
	type made struct {
		Token     string
		ExpiresAt int64 `json:"expires_at"`
	}
	short := caller{token: into[made](t, p.send(t, p.signIn(t, "ada", peoplePassword), "POST", "/api/user/token", map[string]any{"name": "short", "expires_at": ends})).Token}
	for _, later := range []int64{-1, ends + 1} {
		p.refused(t, short, "POST", "/api/user/token", map[string]any{"name": "long", "expires_at": later}, 422, "wider_than_token")
	}
	for _, body := range []map[string]any{{"name": "same"}, {"name": "same", "expires_at": ends}} {
		if got := into[made](t, p.send(t, short, "POST", "/api/user/token", body)); got.ExpiresAt != ends {
			t.Errorf("%v makes %+v", body, got)
		}
	}
}

func TestCredentialsOfTheWrongKind(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	for _, tc := range []struct {
		by     caller
		status int
		code   string
	}{
		{caller{}, 401, "missing_credential"},
		{caller{token: "hpat_x"}, 401, "invalid_access_token"},
		{caller{token: "something"}, 401, "invalid_access_token"},
		{caller{token: "sk-hlyx"}, 401, "wrong_credential"},
		{caller{cookie: &http.Cookie{Name: "halley_session", Value: "x"}}, 401, "session_expired"},
		{caller{header: http.Header{"Authorization": {p.root, p.root}}}, 400, "repeated_header"},
	} {
		p.refused(t, tc.by, "GET", "/api/user/self", nil, tc.status, tc.code)
	}
}
