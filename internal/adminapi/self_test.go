package adminapi_test

import (
	"net/http"
	"testing"
	"time"

	"halley/internal/audit"

	"github.com/google/go-cmp/cmp"
)

func TestSigningInAndOut(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	p.user(t, "ada", "user")
	got := p.send(t, caller{addr: "198.51.100.7"}, "POST", "/api/user/login", `{"username":"Ada","password":"correct horse","totp":""}`)
	if user := into[map[string]any](t, got); user["username"] != "ada" || user["role"] != "user" {
		t.Errorf("signed in as %v", user)
	}
	if diff := cmp.Diff(audit.Entry{Actor: 2, Action: "user.login", Target: "user 2", Detail: `{"method":"password"}`, IP: "198.51.100.7"}, p.trailOf(t)); diff != "" {
		t.Errorf("the trail (-want +got):\n%s", diff)
	}
	ada := p.signIn(t, "ada", peoplePassword)
	if self := into[map[string]any](t, p.send(t, ada, "GET", "/api/user/self", nil)); self["username"] != "ada" {
		t.Errorf("self is %v", self)
	}
	out := p.send(t, ada, "POST", "/api/user/logout", nil)
	if out.text != `{"success":true,"message":""}` {
		t.Errorf("signed out: %s", out.text)
	}
	for _, cookie := range (&http.Response{Header: out.header}).Cookies() {
		if cookie.MaxAge >= 0 || cookie.Value != "" || cookie.Path != "/" {
			t.Errorf("the cookie stays: %v", cookie)
		}
	}
	p.refused(t, ada, "GET", "/api/user/self", nil, 401, "session_expired")
	p.refused(t, ada, "POST", "/api/user/logout", nil, 401, "session_expired")
}

func TestTheSessionCookieIsAsSafeAsTheConnection(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	for _, tc := range []struct {
		name   string
		header http.Header
		cookie string
	}{
		{"plain HTTP", nil, "halley_session"},
		{"a proxy that took HTTPS", http.Header{"X-Forwarded-Proto": {"https"}}, "__Host-halley"},
		{"a proxy that took HTTP", http.Header{"X-Forwarded-Proto": {"http"}}, "halley_session"},
		{"a page that came by HTTPS", http.Header{"Origin": {"https://example.com"}}, "__Host-halley"},
	} {
		got := p.send(t, caller{header: tc.header}, "POST", "/api/user/login", map[string]any{"username": "root", "password": peoplePassword})
		cookies := (&http.Response{Header: got.header}).Cookies()
		if got.status != 200 || len(cookies) != 1 {
			t.Fatalf("%s: %d %s, %v", tc.name, got.status, got.text, cookies)
		}
		c := cookies[0]
		secure := tc.cookie == "__Host-halley"
		if c.Name != tc.cookie || c.Secure != secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge < 3600 {
			t.Errorf("%s: %v", tc.name, c)
		}
		if self := p.send(t, caller{cookie: c}, "GET", "/api/user/self", nil); self.status != 200 {
			t.Errorf("%s: the session does not work: %s", tc.name, self.text)
		}
		// Whoever can set cookies from a name beside this one has no __Host- one.
		https := caller{cookie: c, header: http.Header{"X-Forwarded-Proto": {"https"}}}
		if self := p.send(t, https, "GET", "/api/user/self", nil); (self.status == 200) != secure {
			t.Errorf("%s: over HTTPS the cookie counts: %d", tc.name, self.status)
		}
	}
}

// A second factor is not got around by a token and a password.
func TestATokenChangesAPasswordOnlyWhereThatIsAllThereIs(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	_, token := p.user(t, "ada", "user")
	ada := caller{token: token}
	into[any](t, p.send(t, ada, "PATCH", "/api/user/self", map[string]any{"password": "another password", "old_password": peoplePassword}))
	secret, _ := p.enrol(t, p.signIn(t, "ada", "another password"))
	p.refused(t, ada, "PATCH", "/api/user/self", map[string]any{"password": peoplePassword, "old_password": "another password"}, 403, "session_required")
	into[any](t, p.send(t, ada, "PATCH", "/api/user/self", `{"display_name":"Ada"}`))
	got := p.send(t, caller{}, "POST", "/api/user/login", map[string]any{"username": "ada", "password": "another password", "totp": p.code(t, secret)})
	into[any](t, got)
	session := caller{cookie: (&http.Response{Header: got.header}).Cookies()[0]}
	p.ms.Add((5 * time.Minute).Milliseconds())
	changed := p.send(t, session, "PATCH", "/api/user/self", map[string]any{"password": peoplePassword, "old_password": "another password"})
	session.cookie = (&http.Response{Header: changed.header}).Cookies()[0]
	type view struct {
		CreatedTime int64 `json:"created_time"`
		Method      string
	}
	listed := into[pageJSON[view]](t, p.send(t, session, "GET", "/api/user/session", nil))
	if at := p.now().Add(-5 * time.Minute).Unix(); len(listed.Items) != 1 || listed.Items[0] != (view{at, "password+totp"}) {
		t.Errorf("the session in the old one's place is %+v, want one of %d", listed.Items, at)
	}
}

func TestForeignPagesCannotUseOrMakeASession(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	foreign := http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}}
	p.refused(t, caller{header: foreign}, "POST", "/api/user/login", map[string]any{"username": "root", "password": peoplePassword}, 403, "cross_origin")
	root := p.signIn(t, "root", peoplePassword)
	root.header = foreign
	p.refused(t, root, "PATCH", "/api/user/self", `{"display_name":"x"}`, 403, "cross_origin")
}

func TestBadLogins(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	for _, tc := range []struct {
		body   string
		status int
		code   string
	}{
		{``, 400, "invalid_body"},
		{`{}`, 422, "invalid_username"},
		{`{"username":"root"}`, 422, "invalid_password"},
		{`{"username":" ","password":"x"}`, 422, "invalid_username"},
		{`{"username":"root","password":""}`, 422, "invalid_password"},
		{`{"username":"root","password":null}`, 400, "invalid_type"},
		{`{"username":1,"password":"x"}`, 400, "invalid_type"},
		{`{"username":"root","password":"x"}`, 401, "invalid_credentials"},
		{`{"username":"nobody","password":"x"}`, 401, "invalid_credentials"},
	} {
		got := p.refused(t, caller{}, "POST", "/api/user/login", tc.body, tc.status, tc.code)
		if got.header.Get("Set-Cookie") != "" {
			t.Errorf("%s sets a cookie", tc.body)
		}
	}
}

func TestTooManyFailuresAreA429WithRetryAfter(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	for range 10 {
		p.refused(t, caller{}, "POST", "/api/user/login", `{"username":"root","password":"wrong"}`, 401, "invalid_credentials")
	}
	got := p.refused(t, caller{addr: "198.51.100.9"}, "POST", "/api/user/login", map[string]any{"username": "root", "password": peoplePassword}, 429, "too_many_attempts")
	if got.header.Get("Retry-After") != "900" {
		t.Errorf("Retry-After is %q", got.header.Get("Retry-After"))
	}
	if self := p.asRoot(t, "GET", "/api/user/self", nil); self.status != 200 {
		t.Errorf("a token is refused as well: %s", self.text)
	}
	p.ms.Add((15 * time.Minute).Milliseconds())
	p.signIn(t, "root", peoplePassword)
}

func TestOnesOwnRecord(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	p.user(t, "ada", "user")
	ada, elsewhere := p.signIn(t, "ada", peoplePassword), p.signIn(t, "ada", peoplePassword)
	got := into[map[string]any](t, p.send(t, ada, "PATCH", "/api/user/self", `{"display_name":"Ada","email":"a@example.com","time_zone":"Europe/London","language":"en","role":"root","status":2,"quota":9}`))
	for name, want := range map[string]any{"display_name": "Ada", "email": "a@example.com", "time_zone": "Europe/London", "language": "en", "role": "user", "status": 1.0, "quota": 0.0} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	for _, tc := range []struct {
		body   string
		status int
		code   string
	}{
		{`{"display_name":null}`, 400, "invalid_type"},
		{`{"language":1}`, 400, "invalid_type"},
		{`{"time_zone":"Mars/Olympus"}`, 422, "invalid_time_zone"},
		{`{"email":"x"}`, 422, "invalid_email"},
		{`{"password":"another password"}`, 422, "old_password_required"},
		{`{"password":"another password","old_password":"wrong"}`, 422, "wrong_password"},
		{`{"password":"short","old_password":"correct horse"}`, 422, "password_too_short"},
	} {
		p.refused(t, ada, "PATCH", "/api/user/self", tc.body, tc.status, tc.code)
	}
	changed := p.send(t, ada, "PATCH", "/api/user/self", `{"password":"another password","old_password":"correct horse"}`)
	cookies := (&http.Response{Header: changed.header}).Cookies()
	if changed.status != 200 || len(cookies) != 1 {
		t.Fatalf("a new password: %d %s, %v", changed.status, changed.text, cookies)
	}
	p.refused(t, ada, "GET", "/api/user/self", nil, 401, "session_expired")
	p.refused(t, elsewhere, "GET", "/api/user/self", nil, 401, "session_expired")
	if self := p.send(t, caller{cookie: cookies[0]}, "GET", "/api/user/self", nil); self.status != 200 {
		t.Errorf("the new session: %s", self.text)
	}
	if got := p.trailOf(t); got.Action != "user.update" || got.Detail != `{"password":"changed"}` {
		t.Errorf("the trail has %+v", got)
	}
}
