package adminapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"halley/internal/audit"
	"halley/internal/oidc/oidctest"
	"halley/internal/store/pgtest"
)

// addProvider has root add the provider as "corp".
func (p *people) addProvider(t *testing.T, idp *oidctest.Provider, more map[string]any) {
	t.Helper()
	body := map[string]any{"name": "corp", "label": "Corp", "issuer": idp.URL, "client_id": oidctest.ClientID, "client_secret": oidctest.ClientSecret}
	for k, v := range more {
		body[k] = v
	}
	into[map[string]any](t, p.asRoot(t, "POST", "/api/login_provider/", body))
}

// browser keeps cookies between requests.
type browser struct {
	p       *people
	cookies map[string]string
	addr    string
}

func (p *people) browser() *browser { return &browser{p: p, cookies: map[string]string{}} }

// open fetches an address and gives where it is redirected to.
func (b *browser) open(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), "GET", u.RequestURI(), nil)
	r.Header.Set("X-Forwarded-Proto", "https")
	r.Header.Set("Sec-Fetch-Site", "cross-site") // a redirect from elsewhere
	if b.addr != "" {
		r.RemoteAddr = b.addr + ":1"
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	b.p.server.ServeHTTP(w, r)
	b.keep(w.Result())
	to, err := w.Result().Location()
	if w.Code != http.StatusSeeOther || err != nil {
		t.Fatalf("%s: %d %s", address, w.Code, w.Body)
	}
	return to
}

func (b *browser) keep(resp *http.Response) {
	for _, c := range resp.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
			continue
		}
		b.cookies[c.Name] = c.Value
	}
}

func (b *browser) caller() caller {
	return caller{cookie: &http.Cookie{Name: "__Host-halley", Value: b.cookies["__Host-halley"]}}
}

// signIn goes to the provider and back, and gives where that ends.
func (b *browser) signIn(t *testing.T, idp *oidctest.Provider) string {
	t.Helper()
	return b.open(t, idp.Visit(t, b.open(t, "/api/user/oidc/corp/begin?return_to=/keys").String()).String()).String()
}

func TestSigningInAtAnIdentityProvider(t *testing.T) {
	t.Parallel()
	p, idp := newPeople(t), oidctest.New(t, "ES256")
	p.addProvider(t, idp, map[string]any{"create_users": true})
	idp.SignedIn(map[string]any{"sub": "1", "preferred_username": "ada", "name": "Ada", "email": "ada@example.com", "email_verified": true})
	b := p.browser()
	to := b.open(t, "/api/user/oidc/corp/begin?return_to=/keys%3Fpage=2")
	if q := to.Query(); q.Get("redirect_uri") != publicURL+"/api/user/oidc/corp/callback" || q.Get("scope") != "openid profile email" || q.Get("code_challenge_method") != "S256" {
		t.Errorf("sent to %s", to)
	}
	if end := b.open(t, idp.Visit(t, to.String()).String()).String(); end != "/keys?page=2" {
		t.Errorf("it ended at %s", end)
	}
	self := into[map[string]any](t, p.send(t, b.caller(), "GET", "/api/user/self", nil))
	if self["username"] != "ada" || self["display_name"] != "Ada" || self["email"] != "ada@example.com" || self["role"] != "user" || self["must_change_password"] != false {
		t.Errorf("the account is %v", self)
	}
	if entry := p.trailOf(t); entry.Action != "user.login" || !strings.Contains(entry.Detail, `"method":"oidc:corp"`) {
		t.Errorf("the trail has %+v", entry)
	}
	// The second time it is the same account, whatever they are called by then.
	idp.SignedIn(map[string]any{"sub": "1", "preferred_username": "countess"})
	again := p.browser()
	again.signIn(t, idp)
	if other := into[map[string]any](t, p.send(t, again.caller(), "GET", "/api/user/self", nil)); other["id"] != self["id"] {
		t.Errorf("the second time it is %v", other)
	}
	identities := into[pageJSON[struct{ Provider, Subject, Shown string }]](t, p.send(t, b.caller(), "GET", "/api/user/identity", nil))
	if identities.Total != 1 || identities.Items[0].Subject != "1" || identities.Items[0].Shown != "ada" {
		t.Errorf("identities %+v", identities)
	}
	// There is no password to sign in with.
	p.refused(t, caller{}, "POST", "/api/user/login", `{"username":"ada","password":"x"}`, 401, "invalid_credentials")
	status := into[map[string]any](t, p.send(t, caller{}, "GET", "/api/status", nil))
	if got := fmt.Sprint(status["login_methods"], status["login_providers"]); got != "[passkey oidc] [map[label:Corp name:corp url:/api/user/oidc/corp/begin]]" {
		t.Errorf("the status has %s", got)
	}
}

// Who is somebody at a provider is told by its subject, and by nothing else.
func TestNobodyIsTakenForAnotherByNameOrAddress(t *testing.T) {
	t.Parallel()
	p, idp := newPeople(t), oidctest.New(t, "RS256")
	id, _ := p.user(t, "ada", "admin")
	into[any](t, p.asRoot(t, "PATCH", fmt.Sprint("/api/user/", id), `{"email":"ada@example.com"}`))
	p.addProvider(t, idp, nil)
	for _, verified := range []any{true, false, "true", nil} {
		idp.SignedIn(map[string]any{"sub": "mallory", "preferred_username": "ada", "email": "ada@example.com", "email_verified": verified})
		if end := p.browser().signIn(t, idp); !strings.HasPrefix(end, "/sign-in?error=identity_unknown") {
			t.Errorf("verified %v: it ended at %s", verified, end)
		}
	}
	into[any](t, p.asRoot(t, "PATCH", "/api/login_provider/corp", `{"create_users":true}`))
	b := p.browser()
	idp.SignedIn(map[string]any{"sub": "mallory", "preferred_username": "ada", "email": "ada@example.com", "email_verified": false})
	b.signIn(t, idp)
	self := into[map[string]any](t, p.send(t, b.caller(), "GET", "/api/user/self", nil))
	if self["username"] != "ada-2" || self["email"] != "" || self["role"] != "user" {
		t.Errorf("with accounts made they are %v", self)
	}
}

func TestAnAccountIsLinkedByItsOwnerAndUnlinked(t *testing.T) {
	t.Parallel()
	p, idp := newPeople(t), oidctest.New(t, "ES256")
	p.user(t, "ada", "user")
	p.user(t, "grace", "user")
	p.addProvider(t, idp, nil)
	idp.SignedIn(map[string]any{"sub": "1", "email": "a@elsewhere.example"})
	link := func(name string, change func(*browser)) string {
		session := p.signIn(t, name, peoplePassword)
		b := p.browser()
		b.cookies["__Host-halley"] = session.cookie.Value // as at a proxy that took HTTPS
		asked := p.send(t, session, "POST", "/api/user/oidc/corp/link?return_to=/settings", nil)
		b.keep(&http.Response{Header: asked.header})
		to := into[struct{ URL string }](t, asked)
		if change != nil {
			change(b)
		}
		return b.open(t, idp.Visit(t, to.URL).String()).String()
	}
	if end := link("ada", func(b *browser) { delete(b.cookies, "__Host-halley") }); !strings.Contains(end, "error=session_required") {
		t.Errorf("without the session it ended at %s", end)
	}
	if end := link("ada", nil); end != "/settings" {
		t.Errorf("it ended at %s", end)
	}
	if entry := p.trailOf(t); entry.Action != "identity.link" || entry.Target != "user 2" || !strings.Contains(entry.Detail, `"subject":"1"`) {
		t.Errorf("the trail has %+v", entry)
	}
	if end := link("grace", nil); !strings.Contains(end, "error=identity_taken") {
		t.Errorf("linked to two: %s", end)
	}
	b := p.browser()
	if end := b.signIn(t, idp); end != "/keys" {
		t.Errorf("signing in with it ended at %s", end)
	}
	ada := p.signIn(t, "ada", peoplePassword)
	listed := into[pageJSON[struct{ ID int64 }]](t, p.send(t, ada, "GET", "/api/user/identity", nil))
	path := fmt.Sprint("/api/user/identity/", listed.Items[0].ID)
	p.refused(t, p.signIn(t, "grace", peoplePassword), "DELETE", path, nil, 404, "identity_not_found")
	into[any](t, dataless(p.send(t, ada, "DELETE", path, nil)))
	if end := p.browser().signIn(t, idp); !strings.Contains(end, "identity_unknown") {
		t.Errorf("afterwards it ended at %s", end)
	}
	p.ms.Add((10 * time.Minute).Milliseconds())
	p.refused(t, ada, "POST", "/api/user/oidc/corp/link", nil, 403, "confirmation_required")
}

func TestTheLastWayInStays(t *testing.T) {
	t.Parallel()
	p, idp := newPeople(t), oidctest.New(t, "ES256")
	p.addProvider(t, idp, map[string]any{"create_users": true})
	idp.SignedIn(map[string]any{"sub": "1"})
	b := p.browser()
	b.signIn(t, idp)
	listed := into[pageJSON[struct{ ID int64 }]](t, p.send(t, b.caller(), "GET", "/api/user/identity", nil))
	p.refused(t, b.caller(), "DELETE", fmt.Sprint("/api/user/identity/", listed.Items[0].ID), nil, 409, "last_identity")
}

// Who has no password cannot confirm with one: having signed in a moment ago
// stands for it.
func TestWhoHasNoPasswordSetsTheFirstOne(t *testing.T) {
	t.Parallel()
	for engine, database := range map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "halley.db") },
		"postgres": func(t *testing.T) string { return pgtest.URL(t) },
	} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			p, idp := newPeopleOn(t, database(t)), oidctest.New(t, "ES256")
			p.addProvider(t, idp, map[string]any{"create_users": true})
			idp.SignedIn(map[string]any{"sub": "1", "preferred_username": "ada"})
			old, b := p.browser(), p.browser()
			old.signIn(t, idp)
			p.ms.Add((10 * time.Minute).Milliseconds())
			// A session that lies about, or a token, is not enough.
			const first = `{"password":"ada's first one"}`
			p.refused(t, old.caller(), "PATCH", "/api/user/self", first, 403, "confirmation_required")
			p.refused(t, old.caller(), "PATCH", "/api/user/self", `{"password":"ada's first one","old_password":"a guess"}`, 422, "wrong_password")
			b.signIn(t, idp)
			token := into[struct{ Token string }](t, p.send(t, b.caller(), "POST", "/api/user/token", `{"name":"t","scope":"full","expires_at":-1}`)).Token
			p.refused(t, caller{token: token}, "PATCH", "/api/user/self", first, 403, "session_required")
			p.refused(t, b.caller(), "PATCH", "/api/user/self", `{"password":"short"}`, 422, "password_too_short")

			before := b.caller()
			set := p.send(t, before, "PATCH", "/api/user/self", first)
			into[any](t, set)
			b.keep(&http.Response{Header: set.header})
			now := caller{cookie: &http.Cookie{Name: "halley_session", Value: b.cookies["halley_session"]}}
			for name, ended := range map[string]caller{"that asked": before, "an older one": old.caller()} {
				if got := p.send(t, ended, "GET", "/api/user/self", nil); got.status != 401 || got.Code != "session_expired" {
					t.Errorf("the session %s: %s", name, got.text)
				}
			}
			if got := into[struct {
				HasPassword bool `json:"has_password"`
			}](t, p.send(t, now, "GET", "/api/user/second_factor", nil)); !got.HasPassword {
				t.Error("there is no password")
			}
			sessions := into[pageJSON[struct{ Method string }]](t, p.send(t, now, "GET", "/api/user/session", nil))
			if sessions.Total != 1 || sessions.Items[0].Method != "oidc:corp" {
				t.Errorf("sessions %+v", sessions)
			}
			if entry := p.trailOf(t); entry.Action != "user.update" || !strings.Contains(entry.Detail, `"password":"set for the first time"`) || strings.Contains(entry.Detail, "first one") {
				t.Errorf("the trail has %+v", entry)
			}
			p.signIn(t, "ada", "ada's first one")
			// From now on it is a password like any other.
			p.refused(t, now, "PATCH", "/api/user/self", `{"password":"another one"}`, 422, "old_password_required")
			into[any](t, p.send(t, now, "PATCH", "/api/user/self", `{"password":"another one","old_password":"ada's first one"}`))
		})
	}
}

func TestASecondTryGoesOnWhereOneWantedToGo(t *testing.T) {
	t.Parallel()
	p, idp := newPeople(t), oidctest.New(t, "ES256")
	p.addProvider(t, idp, nil)
	idp.SignedIn(map[string]any{"sub": "unknown here"})
	const wanted = "/keys?page=2&q=a"
	begin := "/api/user/oidc/corp/begin?return_to=" + url.QueryEscape(wanted)
	if end := p.browser().open(t, idp.Visit(t, p.browser().open(t, begin).String()).String()); end.Query().Has("from") {
		t.Errorf("in another browser: %s", end)
	}
	b := p.browser()
	if end := b.open(t, idp.Visit(t, b.open(t, begin).String()).String()); end.Query().Get("error") != "identity_unknown" || end.Query().Get("from") != wanted {
		t.Errorf("somebody unknown ended at %s", end)
	}
	back := idp.Visit(t, b.open(t, begin).String())
	into[any](t, p.asRoot(t, "PATCH", "/api/login_provider/corp", `{"enabled":false}`))
	if end := b.open(t, back.String()); end.Query().Get("error") != "provider_disabled" || end.Query().Get("from") != wanted {
		t.Errorf("at one that was switched off meanwhile it ended at %s", end)
	}
	if end := b.open(t, begin); end.Query().Get("from") != wanted {
		t.Errorf("one that could not begin ended at %s", end)
	}
	if end := b.open(t, "/api/user/oidc/corp/begin?return_to=//evil.example.com"); end.Query().Has("from") {
		t.Errorf("elsewhere: %s", end)
	}
}

func TestGroupAndRoleFollowTheClaims(t *testing.T) {
	t.Parallel()
	p, idp := newPeople(t), oidctest.New(t, "ES256")
	p.addProvider(t, idp, map[string]any{
		"create_users": true, "group_claim": "groups", "groups": []map[string]string{{"value": "paying", "group": "vip"}},
		"role_claim": "roles", "admin_values": []string{"ops"},
	})
	b := p.browser()
	for _, tc := range []struct {
		groups, roles any
		group, role   string
	}{
		{[]string{"staff", "paying"}, "ops", "vip", "admin"},
		{[]string{"staff"}, []string{"ops", "x"}, "default", "admin"},
		{"paying", []string{"root"}, "vip", "user"},
		{nil, nil, "default", "user"},
		{map[string]any{"paying": true}, 7, "default", "user"},
	} {
		idp.SignedIn(map[string]any{"sub": "1", "preferred_username": "ada", "groups": tc.groups, "roles": tc.roles})
		before := b.caller()
		b.signIn(t, idp)
		if entry := p.trailOf(t); !strings.Contains(entry.Detail, fmt.Sprintf(`"role":%q`, tc.role)) {
			t.Errorf("the trail has %+v", entry)
		}
		self := into[map[string]any](t, p.send(t, b.caller(), "GET", "/api/user/self", nil))
		if self["group"] != tc.group || self["role"] != tc.role {
			t.Errorf("%v and %v make %v", tc.groups, tc.roles, self)
		}
		if change := into[pageJSON[trailJSON]](t, p.asRoot(t, "GET", "/api/audit/?action=user.update", nil)).Items; tc.roles != nil && tc.group == "default" {
			if got := fmt.Sprint(*change[0].Before, *change[0].After); got != "map[group:vip] map[group:default]" {
				t.Errorf("of the change the trail has %s", got)
			}
		}
		if tc.groups == "paying" { // an administrator no more: nor in an older session
			p.refused(t, before, "GET", "/api/user/self", nil, 401, "session_expired")
		}
	}
	// Root stays root.
	session := p.signIn(t, "root", peoplePassword)
	linking := p.browser()
	linking.cookies["__Host-halley"] = session.cookie.Value
	asked := p.send(t, session, "POST", "/api/user/oidc/corp/link", nil)
	linking.keep(&http.Response{Header: asked.header})
	idp.SignedIn(map[string]any{"sub": "2", "groups": "paying"})
	linking.open(t, idp.Visit(t, into[struct{ URL string }](t, asked).URL).String())
	r := p.browser()
	r.signIn(t, idp)
	if self := into[map[string]any](t, p.send(t, r.caller(), "GET", "/api/user/self", nil)); self["role"] != "root" || self["group"] != "default" {
		t.Errorf("root has become %v", self)
	}
}

func TestVisitsThatDoNotCount(t *testing.T) {
	t.Parallel()
	p, idp := newPeople(t), oidctest.New(t, "ES256")
	p.addProvider(t, idp, map[string]any{"create_users": true})
	idp.SignedIn(map[string]any{"sub": "1", "preferred_username": "ada"})
	for name, tc := range map[string]struct {
		spoil      func(b *browser, back *url.URL)
		want, from string // from is where they wanted to go, as far as that is known
	}{
		"another browser's":  {func(b *browser, _ *url.URL) { clear(b.cookies) }, "invalid_state", ""},
		"another state":      {func(_ *browser, u *url.URL) { u.RawQuery = strings.Replace(u.RawQuery, "state=", "state=x", 1) }, "invalid_state", "/keys?page=2"},
		"another code":       {func(_ *browser, u *url.URL) { u.RawQuery = strings.Replace(u.RawQuery, "code=", "code=x", 1) }, "provider_refused", "/keys?page=2"},
		"too late":           {func(*browser, *url.URL) { p.ms.Add((10 * time.Minute).Milliseconds()) }, "invalid_state", "/keys?page=2"},
		"declined there":     {func(_ *browser, u *url.URL) { u.RawQuery = "error=access_denied" }, "provider_refused", "/keys?page=2"},
		"a forged token":     {func(*browser, *url.URL) { idp.Spoil(func(h, _ map[string]any) { h["alg"] = "none" }) }, "provider_refused", "/keys?page=2"},
		"somebody's own URL": {func(b *browser, _ *url.URL) { b.cookies["__Host-halley-visit"] = "x" }, "invalid_state", ""},
		// Whoever can set cookies from a name beside this one could sign a victim in as themselves.
		"a cookie of another host's": {func(b *browser, _ *url.URL) {
			b.cookies["halley_visit"] = b.cookies["__Host-halley-visit"]
			delete(b.cookies, "__Host-halley-visit")
		}, "invalid_state", ""},
	} {
		b := p.browser()
		back := idp.Visit(t, b.open(t, "/api/user/oidc/corp/begin?return_to=/keys%3Fpage=2").String())
		tc.spoil(b, back)
		end := b.open(t, back.String())
		idp.Spoil(nil)
		if end.Path != "/sign-in" || end.Query().Get("error") != tc.want || end.Query().Get("from") != tc.from || b.cookies["__Host-halley"] != "" {
			t.Errorf("%s: it ended at %s with %v", name, end, b.cookies)
		}
	}
	// The same again is none, though cookie and address are right.
	b := p.browser()
	back := idp.Visit(t, b.open(t, "/api/user/oidc/corp/begin").String())
	cookie := b.cookies["__Host-halley-visit"]
	if end := b.open(t, back.String()); end.Path != "/" {
		t.Errorf("it ended at %s", end)
	}
	b.cookies["__Host-halley-visit"] = cookie
	if end := b.open(t, back.String()); end.Query().Get("error") != "invalid_state" {
		t.Errorf("the same again ended at %s", end)
	}
	// Nobody is sent anywhere else afterwards.
	for _, to := range []string{"https://evil.example.com", "//evil.example.com", `/\evil.example.com`, "javascript:alert(1)", "evil", ""} {
		b := p.browser()
		back := idp.Visit(t, b.open(t, "/api/user/oidc/corp/begin?return_to="+url.QueryEscape(to)).String())
		if end := b.open(t, back.String()).String(); end != "/" {
			t.Errorf("return_to %q ended at %s", to, end)
		}
	}
	// Nor by one who guesses without end.
	guessing := p.browser()
	guessing.addr = "203.0.113.9"
	for range 100 {
		b := idp.Visit(t, guessing.open(t, "/api/user/oidc/corp/begin").String())
		b.RawQuery = "code=x&state=x"
		guessing.open(t, b.String())
	}
	last := idp.Visit(t, guessing.open(t, "/api/user/oidc/corp/begin").String())
	if end := guessing.open(t, last.String()); end.Query().Get("error") != "too_many_attempts" {
		t.Errorf("after 100 it ended at %s", end)
	}
	if end := p.browser().open(t, "/api/user/oidc/nowhere/begin"); end.Query().Get("error") != "provider_not_found" {
		t.Errorf("a provider that there is not: %s", end)
	}
	into[any](t, p.asRoot(t, "PATCH", "/api/login_provider/corp", `{"enabled":false}`))
	if end := p.browser().open(t, "/api/user/oidc/corp/begin"); end.Query().Get("error") != "provider_disabled" {
		t.Errorf("a disabled provider: %s", end)
	}
}

func TestIdentityProvidersAreRootsToSetUp(t *testing.T) {
	t.Parallel()
	p, idp := newPeople(t), oidctest.New(t, "ES256")
	_, boss := p.user(t, "boss", "admin")
	good := map[string]any{"name": "corp", "label": "Corp", "issuer": idp.URL, "client_id": "halley", "client_secret": oidctest.ClientSecret}
	p.refused(t, caller{token: boss}, "POST", "/api/login_provider/", good, 403, "root_required")
	p.refused(t, caller{token: boss}, "GET", "/api/login_provider/", nil, 403, "root_required")
	for _, tc := range []struct {
		member string
		value  any
		status int
		code   string
	}{
		{"name", "Corp", 422, "invalid_name"}, {"name", "", 422, "invalid_name"}, {"name", "a/b", 422, "invalid_name"},
		{"label", " ", 422, "invalid_label"}, {"client_id", "", 422, "invalid_client_id"}, {"issuer", "http://id.example.com", 422, "invalid_issuer"},
		{"issuer", "id.example.com", 422, "invalid_issuer"}, {"issuer", "https://u:p@id.example.com", 422, "invalid_issuer"},
		{"groups", []any{map[string]any{"value": "x", "group": "gone"}}, 422, "invalid_group"}, {"scopes", []string{"a b"}, 422, "invalid_scopes"},
		{"client_secret", nil, 400, "invalid_type"}, {"groups", "x", 400, "invalid_type"},
	} {
		body := map[string]any{}
		for k, v := range good {
			body[k] = v
		}
		body[tc.member] = tc.value
		p.refused(t, caller{token: p.root}, "POST", "/api/login_provider/", body, tc.status, tc.code)
	}
	made := p.asRoot(t, "POST", "/api/login_provider/", good)
	if v := into[map[string]any](t, made); v["callback_url"] != publicURL+"/api/user/oidc/corp/callback" || v["has_client_secret"] != true || v["enabled"] != true {
		t.Errorf("made %v", v)
	}
	p.refused(t, caller{token: p.root}, "POST", "/api/login_provider/", good, 409, "name_taken")
	p.refused(t, caller{token: p.root}, "PATCH", "/api/login_provider/gone", `{}`, 404, "provider_not_found")
	p.refused(t, caller{token: p.root}, "PATCH", "/api/login_provider/corp", `{"issuer":"https://other.example.com"}`, 422, "client_secret_required")
	changed := p.asRoot(t, "PATCH", "/api/login_provider/corp", map[string]any{"label": "Corporation", "client_secret": "canary-other-secret"})
	if v := into[map[string]any](t, changed); v["label"] != "Corporation" || v["version"] != 2.0 {
		t.Errorf("changed %v", v)
	}
	entry := p.trailOf(t)
	if entry.Before != `{"label":"Corp"}` || entry.After != `{"label":"Corporation"}` || entry.Detail != `{"client_secret":"changed"}` {
		t.Errorf("the trail has %+v", entry)
	}
	if all := into[pageJSON[map[string]any]](t, p.asRoot(t, "GET", "/api/login_provider/", nil)); all.Total != 1 {
		t.Errorf("listed %v", all)
	}
	into[any](t, dataless(p.asRoot(t, "DELETE", "/api/login_provider/corp", nil)))
	p.refused(t, caller{token: p.root}, "DELETE", "/api/login_provider/corp", nil, 404, "provider_not_found")

	// The secrets are nowhere.
	p.addProvider(t, idp, nil)
	idp.SignedIn(map[string]any{"sub": "1"})
	p.browser().signIn(t, idp)
	idp.Spoil(func(_, c map[string]any) { c["aud"] = "x" })
	p.browser().signIn(t, idp)
	records, _, err := p.audit.List(t.Context(), audit.Filter{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := p.store.LoadLoginProviders(t.Context())
	if err != nil || len(stored) != 1 {
		t.Fatalf("%v, %v", stored, err)
	}
	if p.logs.Len() == 0 {
		t.Error("nothing was logged: the test proves nothing")
	}
	for what, text := range map[string]string{"the log": p.logs.String(), "the trail": fmt.Sprintf("%+v", records), "an answer": made.text + changed.text, "the database": fmt.Sprintf("%+v %s", stored[0], stored[0].Sealed)} {
		for _, secret := range []string{oidctest.ClientSecret, "canary-other-secret"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s has %s", what, secret)
			}
		}
	}
}
