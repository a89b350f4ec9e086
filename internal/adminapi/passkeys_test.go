package adminapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"halley/internal/passkey/passkeytest"
)

type ceremonyJSON struct {
	State   string
	Options json.RawMessage
}

// addPasskey makes a passkey, and gives its id and any recovery codes.
func (p *people) addPasskey(t *testing.T, by caller, a *passkeytest.Authenticator, name string) (int64, []string) {
	t.Helper()
	begun := into[ceremonyJSON](t, p.send(t, by, "POST", "/api/user/passkey/begin", nil))
	made := into[struct {
		Passkey struct {
			ID   int64
			Name string
		}
		RecoveryCodes []string `json:"recovery_codes"`
	}](t, p.send(t, by, "POST", "/api/user/passkey", map[string]any{"state": begun.State, "name": name, "credential": a.Create(t, begun.Options)}))
	if made.Passkey.Name != name {
		t.Errorf("it is called %q", made.Passkey.Name)
	}
	return made.Passkey.ID, made.RecoveryCodes
}

// passkeyLogin begins to sign in with a passkey alone and gives the whole answer.
func (p *people) passkeyLogin(t *testing.T, a *passkeytest.Authenticator) map[string]any {
	t.Helper()
	begun := into[ceremonyJSON](t, p.send(t, caller{}, "POST", "/api/user/login/passkey/begin", nil))
	return map[string]any{"state": begun.State, "credential": a.Get(t, begun.Options)}
}

func TestPasskeysAreMadeListedRenamedAndDeleted(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	_, token := p.user(t, "ada", "user")
	p.user(t, "grace", "user")
	ada, grace := p.signIn(t, "ada", peoplePassword), p.signIn(t, "grace", peoplePassword)
	phone, stick := &passkeytest.Authenticator{Origin: publicURL, Verifies: true}, &passkeytest.Authenticator{Origin: publicURL, Counts: true}
	first, recovery := p.addPasskey(t, ada, phone, "phone")
	if len(recovery) != 10 {
		t.Errorf("with the first came %d recovery codes", len(recovery))
	}
	second, more := p.addPasskey(t, ada, stick, "stick 🔑")
	if len(more) != 0 {
		t.Errorf("with the second came %d recovery codes", len(more))
	}
	type key struct {
		ID   int64
		Name string
	}
	listed := into[pageJSON[key]](t, p.send(t, ada, "GET", "/api/user/passkey", nil))
	if listed.Total != 2 || listed.Items[0] != (key{first, "phone"}) || listed.Items[1] != (key{second, "stick 🔑"}) {
		t.Errorf("listed %+v", listed)
	}
	path := fmt.Sprint("/api/user/passkey/", second)
	if got := into[key](t, p.send(t, ada, "PATCH", path, `{"name":" key ring "}`)); got.Name != "key ring" {
		t.Errorf("renamed: %+v", got)
	}
	p.refused(t, ada, "PATCH", path, `{"name":""}`, 422, "invalid_name")
	p.refused(t, grace, "PATCH", path, `{"name":"mine"}`, 404, "passkey_not_found")
	p.refused(t, grace, "DELETE", path, nil, 404, "passkey_not_found")
	for _, call := range [][2]string{{"POST", "/api/user/passkey/begin"}, {"PATCH", path}, {"DELETE", path}} {
		p.refused(t, caller{token: token}, call[0], call[1], `{"name":"x"}`, 403, "session_required")
	}
	p.ms.Add((10 * time.Minute).Milliseconds())
	p.refused(t, ada, "POST", "/api/user/passkey/begin", nil, 403, "confirmation_required")
	p.refused(t, ada, "DELETE", path, nil, 403, "confirmation_required")
	p.refused(t, ada, "DELETE", path, `{"password":"wrong"}`, 422, "wrong_password")
	// The password alone must not get rid of what guards it.
	p.refused(t, ada, "DELETE", path, map[string]any{"password": peoplePassword}, 422, "totp_required")
	p.refused(t, ada, "DELETE", path, map[string]any{"password": peoplePassword, "totp": "aaaaa-aaaaa"}, 422, "invalid_totp")
	p.refused(t, ada, "DELETE", path, map[string]any{"totp": recovery[0]}, 403, "confirmation_required")
	into[any](t, dataless(p.send(t, ada, "DELETE", path, map[string]any{"password": peoplePassword, "totp": recovery[0]})))
	// Nor does a new password make a session one of a moment ago.
	changed := p.send(t, ada, "PATCH", "/api/user/self", map[string]any{"password": peoplePassword + "!", "old_password": peoplePassword})
	ada = caller{cookie: (&http.Response{Header: changed.header}).Cookies()[0]}
	path = fmt.Sprint("/api/user/passkey/", first)
	// With one of their own a thief would be in for good, and get rid of the owner's.
	for _, way := range []string{"/api/user/passkey/begin", "/api/user/totp"} {
		p.refused(t, ada, "POST", way, map[string]any{"password": peoplePassword + "!"}, 422, "totp_required")
		p.refused(t, ada, "POST", way, map[string]any{"password": peoplePassword + "!", "totp": recovery[0]}, 422, "invalid_totp") // used above
	}
	into[ceremonyJSON](t, p.send(t, ada, "POST", "/api/user/passkey/begin", map[string]any{"password": peoplePassword + "!", "totp": recovery[1]}))
	p.refused(t, ada, "DELETE", path, nil, 403, "confirmation_required")
	into[any](t, p.send(t, ada, "PATCH", "/api/user/self", map[string]any{"password": peoplePassword, "old_password": peoplePassword + "!"}))
	// A sign-in of a moment ago has shown it.
	ada = p.signInWith(t, "ada", phone)
	into[any](t, dataless(p.send(t, ada, "DELETE", path, nil)))
	if got := into[map[string]any](t, p.send(t, ada, "GET", "/api/user/second_factor", nil)); got["passkeys"] != 0.0 || got["recovery_codes"] != 0.0 {
		t.Errorf("afterwards: %v", got)
	}
	p.signIn(t, "ada", peoplePassword)
}

func TestSigningInWithAPasskeyAlone(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	adaID, _ := p.user(t, "ada", "user")
	ada := p.signIn(t, "ada", peoplePassword)
	phone := &passkeytest.Authenticator{Origin: publicURL, Verifies: true}
	p.addPasskey(t, ada, phone, "phone")

	body := p.passkeyLogin(t, phone)
	got := p.send(t, caller{}, "POST", "/api/user/login/passkey", body)
	if self := into[map[string]any](t, got); self["username"] != "ada" || len(got.header["Set-Cookie"]) != 1 {
		t.Errorf("signed in: %s %v", got.text, got.header)
	}
	if entry := p.trailOf(t); entry.Actor != adaID || entry.Action != "user.login" || entry.Detail != `{"method":"passkey"}` {
		t.Errorf("the trail has %+v", entry)
	}
	p.refused(t, caller{}, "POST", "/api/user/login/passkey", body, 422, "invalid_state") // the same again

	late := p.passkeyLogin(t, phone)
	p.ms.Add((10 * time.Minute).Milliseconds())
	p.refused(t, caller{}, "POST", "/api/user/login/passkey", late, 422, "invalid_state")
	p.refused(t, caller{}, "POST", "/api/user/login/passkey", `{"state":"x","credential":{}}`, 422, "invalid_state")
	p.refused(t, caller{}, "POST", "/api/user/login/passkey", `{"state":"x"}`, 422, "credential_required")
	p.refused(t, caller{}, "POST", "/api/user/login/passkey", `{"state":"x","credential":null}`, 400, "invalid_type")
	cross := caller{header: map[string][]string{"Sec-Fetch-Site": {"cross-site"}}}
	p.refused(t, cross, "POST", "/api/user/login/passkey", p.passkeyLogin(t, phone), 403, "cross_origin")

	// Nobody in front of it is known to be its owner.
	lying := phone.Clone()
	lying.Verifies = false
	p.refused(t, caller{}, "POST", "/api/user/login/passkey", p.passkeyLogin(t, lying), 401, "invalid_passkey")
	phished := phone.Clone()
	phished.Origin = "https://halley.example.com.evil.com"
	p.refused(t, caller{}, "POST", "/api/user/login/passkey", p.passkeyLogin(t, phished), 401, "invalid_passkey")
	// What was begun for one thing does not finish another.
	begun := into[ceremonyJSON](t, p.send(t, p.signInWith(t, "ada", phone), "POST", "/api/user/passkey/begin", nil))
	mixed := p.passkeyLogin(t, phone)
	mixed["state"] = begun.State
	p.refused(t, caller{}, "POST", "/api/user/login/passkey", mixed, 422, "invalid_state")

	into[any](t, p.asRoot(t, "PATCH", fmt.Sprint("/api/user/", adaID), `{"status":2}`))
	p.refused(t, caller{}, "POST", "/api/user/login/passkey", p.passkeyLogin(t, phone), 401, "account_disabled")
}

// signInWith opens a session with name, password and passkey.
func (p *people) signInWith(t *testing.T, username string, a *passkeytest.Authenticator) caller {
	t.Helper()
	who := map[string]any{"username": username, "password": peoplePassword}
	asked := p.send(t, caller{}, "POST", "/api/user/login", who)
	var choice struct{ Passkey ceremonyJSON }
	if err := json.Unmarshal(asked.Data, &choice); err != nil || asked.status != 401 {
		t.Fatalf("%d %s", asked.status, asked.text)
	}
	who["passkey"] = map[string]any{"state": choice.Passkey.State, "credential": a.Get(t, choice.Passkey.Options)}
	got := p.send(t, caller{}, "POST", "/api/user/login", who)
	into[any](t, got)
	cookie, _, _ := strings.Cut(got.header.Get("Set-Cookie"), ";")
	return caller{header: map[string][]string{"Cookie": {cookie}}}
}

func TestAPasskeyBesideThePassword(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	p.user(t, "ada", "user")
	p.user(t, "grace", "user")
	ada := p.signIn(t, "ada", peoplePassword)
	// It need not verify its user: the password did.
	stick := &passkeytest.Authenticator{Origin: publicURL, Counts: true}
	_, recovery := p.addPasskey(t, ada, stick, "stick")
	copied := stick.Clone()
	login := func(more map[string]any) map[string]any {
		who := map[string]any{"username": "ada", "password": peoplePassword}
		for k, v := range more {
			who[k] = v
		}
		return who
	}
	asked := p.refused(t, caller{}, "POST", "/api/user/login", login(nil), 401, "passkey_required")
	if !strings.Contains(asked.text, `"methods":["passkey","recovery_code"]`) {
		t.Errorf("asked with %s", asked.text)
	}
	session := p.signInWith(t, "ada", stick)
	if entry := p.trailOf(t); entry.Detail != `{"method":"password+passkey"}` {
		t.Errorf("the trail has %+v", entry)
	}
	into[any](t, p.send(t, session, "GET", "/api/user/self", nil))
	into[any](t, p.send(t, caller{}, "POST", "/api/user/login", login(map[string]any{"totp": recovery[0]})))

	// The answer to what somebody else was asked is none.
	graceStick := &passkeytest.Authenticator{Origin: publicURL, Counts: true}
	p.addPasskey(t, p.signIn(t, "grace", peoplePassword), graceStick, "stick")
	choice := into[struct{ Passkey ceremonyJSON }](t, reply{status: 200, Success: true, Data: p.send(t, caller{}, "POST", "/api/user/login", map[string]any{"username": "grace", "password": peoplePassword}).Data})
	theirs := map[string]any{"state": choice.Passkey.State, "credential": graceStick.Get(t, choice.Passkey.Options)}
	p.refused(t, caller{}, "POST", "/api/user/login", login(map[string]any{"passkey": theirs}), 422, "invalid_state")
	p.refused(t, caller{}, "POST", "/api/user/login", login(map[string]any{"passkey": map[string]any{"state": choice.Passkey.State}}), 422, "credential_required")

	// A copy whose count has stayed behind.
	choice = into[struct{ Passkey ceremonyJSON }](t, reply{status: 200, Success: true, Data: p.send(t, caller{}, "POST", "/api/user/login", login(nil)).Data})
	p.refused(t, caller{}, "POST", "/api/user/login", login(map[string]any{"passkey": map[string]any{"state": choice.Passkey.State, "credential": copied.Get(t, choice.Passkey.Options)}}), 401, "passkey_cloned")
	if entry := p.trailOf(t); entry.Action != "passkey.refuse" || entry.Target != "user 2" {
		t.Errorf("the trail has %+v", entry)
	}

	// With both, the app's code is asked for by name.
	secret, _ := p.enrol(t, p.signInWith(t, "ada", stick))
	asked = p.refused(t, caller{}, "POST", "/api/user/login", login(nil), 401, "totp_required")
	if !strings.Contains(asked.text, `"methods":["totp","passkey","recovery_code"]`) {
		t.Errorf("asked with %s", asked.text)
	}
	into[any](t, p.send(t, caller{}, "POST", "/api/user/login", login(map[string]any{"totp": p.code(t, secret)})))
}

func TestPasskeysAreTriedNoFasterThanPasswords(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	p.user(t, "ada", "user")
	stick := &passkeytest.Authenticator{Origin: publicURL, Verifies: true}
	p.addPasskey(t, p.signIn(t, "ada", peoplePassword), stick, "stick")
	stick.Origin = "https://evil.example.com"
	from := caller{addr: "203.0.113.5"}
	for range 100 {
		p.refused(t, from, "POST", "/api/user/login/passkey", p.passkeyLogin(t, stick), 401, "invalid_passkey")
	}
	got := p.refused(t, from, "POST", "/api/user/login/passkey", p.passkeyLogin(t, stick), 429, "too_many_attempts")
	if got.header.Get("Retry-After") == "" {
		t.Error("there is no Retry-After")
	}
	stick.Origin = publicURL
	into[any](t, p.send(t, caller{addr: "203.0.113.6"}, "POST", "/api/user/login/passkey", p.passkeyLogin(t, stick)))
}

func TestPasskeysNeedAnAddressThatIsCertain(t *testing.T) {
	t.Parallel()
	d := newOperatorDesk(t) // without a public URL
	for host, want := range map[string]string{
		"localhost:8080": `"passkey"`, "LOCALHOST": `"passkey"`, "a.localhost:1": `"passkey"`,
		"halley.example.com": "", "127.0.0.1:8080": "", "localhost.example.com": "", "evil-localhost": "",
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/api/status", nil)
		r.Host = host
		w := httptest.NewRecorder()
		d.server.ServeHTTP(w, r)
		if has := strings.Contains(w.Body.String(), `"passkey"`); w.Code != 200 || has != (want != "") {
			t.Errorf("at %s: %d %s", host, w.Code, w.Body)
		}
	}
	if got := d.do(t, nobody, "POST", "/api/user/login/passkey/begin", ""); got.status != 409 || got.Code != "public_url_required" {
		t.Errorf("begun at example.com: %d %s", got.status, got.raw)
	}
	if got := d.do(t, nobody, "GET", "/api/user/oidc/work/begin", ""); got.status != 409 || got.Code != "public_url_required" || !strings.Contains(got.raw, "identity providers") {
		t.Errorf("begun at an identity provider: %d %s", got.status, got.raw)
	}
}
