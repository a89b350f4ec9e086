package adminapi_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"halley/internal/audit"
)

// code is what an authenticator app with the secret shows now.
func (p *people) code(t *testing.T, secret string) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, p.now())
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// enrol turns an authenticator app's codes on, and lets its step pass.
func (p *people) enrol(t *testing.T, by caller) (secret string, recovery []string) {
	t.Helper()
	e := into[struct{ Secret, URL string }](t, p.send(t, by, "POST", "/api/user/totp", nil))
	if !strings.HasPrefix(e.URL, "otpauth://totp/") {
		t.Errorf("the URL is %q", e.URL)
	}
	codes := into[struct {
		RecoveryCodes []string `json:"recovery_codes"`
	}](t, p.send(t, by, "POST", "/api/user/totp/confirm", map[string]any{"totp": p.code(t, e.Secret)}))
	p.ms.Add(time.Minute.Milliseconds())
	return e.Secret, codes.RecoveryCodes
}

func TestSigningInWithASecondFactor(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	id, token := p.user(t, "ada", "user")
	ada := p.signIn(t, "ada", peoplePassword)
	if got := p.send(t, ada, "GET", "/api/user/second_factor", nil); got.text != `{"success":true,"message":"","data":{"totp":false,"totp_created_time":0,"passkeys":0,"recovery_codes":0,"has_password":true}}` {
		t.Errorf("before: %s", got.text)
	}
	secret, recovery := p.enrol(t, ada)
	who := func(more string) string {
		return fmt.Sprintf(`{"username":"ada","password":%q%s}`, peoplePassword, more)
	}
	asked := p.refused(t, caller{}, "POST", "/api/user/login", who(``), 401, "totp_required")
	if !strings.HasSuffix(asked.text, `"param":"totp","data":{"methods":["totp","recovery_code"]}}`) || len(asked.header["Set-Cookie"]) > 0 {
		t.Errorf("asked with %s %v", asked.text, asked.header)
	}
	p.refused(t, caller{}, "POST", "/api/user/login", who(`,"totp":null`), 400, "invalid_type")
	p.refused(t, caller{}, "POST", "/api/user/login", who(`,"totp":"12345"`), 401, "invalid_totp")
	code := p.code(t, secret)
	into[any](t, p.send(t, caller{}, "POST", "/api/user/login", who(`,"totp":"`+code+`"`)))
	if entry := p.trailOf(t); entry.Action != "user.login" || entry.Detail != `{"method":"password+totp"}` {
		t.Errorf("the trail has %+v", entry)
	}
	p.refused(t, caller{}, "POST", "/api/user/login", who(`,"totp":"`+code+`"`), 401, "invalid_totp")
	into[any](t, p.send(t, caller{}, "POST", "/api/user/login", who(`,"totp":"`+recovery[0]+`"`)))
	p.refused(t, caller{}, "POST", "/api/user/login", who(`,"totp":"`+recovery[0]+`"`), 401, "invalid_totp")
	if got := into[map[string]any](t, p.asRoot(t, "GET", fmt.Sprintf("/api/user/%d/second_factor", id), nil)); got["totp"] != true || got["recovery_codes"] != 9.0 {
		t.Errorf("an administrator sees %v", got)
	}
	// Tokens go on working, but may not change this.
	into[any](t, p.send(t, caller{token: token}, "GET", "/api/user/second_factor", nil))
	p.refused(t, caller{token: token}, "POST", "/api/user/totp/disable", map[string]any{"password": peoplePassword, "totp": recovery[1]}, 403, "session_required")

	renewed := into[struct {
		RecoveryCodes []string `json:"recovery_codes"`
	}](t, p.send(t, ada, "POST", "/api/user/recovery_code", map[string]any{"password": peoplePassword, "totp": recovery[1]}))
	p.refused(t, ada, "POST", "/api/user/totp/disable", map[string]any{"password": peoplePassword, "totp": recovery[2]}, 422, "invalid_totp")
	into[any](t, dataless(p.send(t, ada, "POST", "/api/user/totp/disable", map[string]any{"password": peoplePassword, "totp": renewed.RecoveryCodes[0]})))
	ada = p.signIn(t, "ada", peoplePassword)

	p.enrol(t, ada)
	into[any](t, dataless(p.asRoot(t, "POST", fmt.Sprintf("/api/user/%d/reset_second_factors", id), nil)))
	p.refused(t, ada, "GET", "/api/user/self", nil, 401, "session_expired")
	p.signIn(t, "ada", peoplePassword)
}

// Secrets of second factors reach neither log nor trail.
func TestSecretsOfSecondFactorsLeaveNoTrace(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	root := p.signIn(t, "root", peoplePassword)
	secret, recovery := p.enrol(t, root)
	code := p.code(t, secret)
	login := func(code string) reply {
		return p.send(t, caller{}, "POST", "/api/user/login", map[string]any{"username": "root", "password": peoplePassword, "totp": code})
	}
	login(code)
	login(code)
	login(recovery[0])
	login("wrong-canary-code")
	p.send(t, root, "POST", "/api/user/totp/disable", map[string]any{"password": peoplePassword, "totp": recovery[1]})
	p.send(t, root, "POST", "/api/user/totp/confirm", map[string]any{"totp": []string{recovery[2]}})
	records, _, err := p.audit.List(t.Context(), audit.Filter{Limit: 100})
	if err != nil || len(records) == 0 {
		t.Fatal(err)
	}
	if err := p.store.Close(); err != nil { // from here on everything fails, and is logged
		t.Fatal(err)
	}
	login(recovery[3])
	p.send(t, root, "POST", "/api/user/recovery_code", map[string]any{"password": peoplePassword, "totp": recovery[3]})
	if p.logs.Len() == 0 {
		t.Error("nothing was logged: the test proves nothing")
	}
	for _, canary := range append(recovery, secret, code, "wrong-canary-code") {
		if strings.Contains(p.logs.String(), canary) {
			t.Errorf("the log has %q", canary)
		}
		for _, r := range records {
			if strings.Contains(fmt.Sprintf("%+v", r), canary) {
				t.Errorf("the trail has %q: %+v", canary, r)
			}
		}
	}
}
