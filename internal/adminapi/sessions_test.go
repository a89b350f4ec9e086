package adminapi_test

import (
	"fmt"
	"testing"
)

type sessionJSON struct {
	ID      int64
	IP      string
	Method  string
	Current bool
}

func TestSessionsAreListedAndEndedByTheirOwner(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	p.user(t, "ada", "user")
	desk, phone := p.signIn(t, "ada", peoplePassword), p.signIn(t, "ada", peoplePassword)
	rootSession := p.signIn(t, "root", peoplePassword)

	// One more was signed in to for the token.
	listed := into[pageJSON[sessionJSON]](t, p.send(t, phone, "GET", "/api/user/session?page_size=2", nil))
	if listed.Total != 4 || len(listed.Items) != 2 || !listed.Items[0].Current || listed.Items[1].Current || listed.Items[0].IP != "192.0.2.1" || listed.Items[0].Method != "password" {
		t.Errorf("listed %+v", listed)
	}
	deskID := listed.Items[1].ID
	p.refused(t, rootSession, "DELETE", fmt.Sprint("/api/user/session/", deskID), nil, 404, "session_not_found")
	if got := p.send(t, phone, "DELETE", fmt.Sprint("/api/user/session/", deskID), nil); got.text != `{"success":true,"message":""}` {
		t.Errorf("ended: %s", got.text)
	}
	p.refused(t, desk, "GET", "/api/user/self", nil, 401, "session_expired")
	if entry := p.trailOf(t); entry.Action != "session.end" || entry.Target != fmt.Sprint("session ", deskID) {
		t.Errorf("the trail has %+v", entry)
	}
	if n := into[int64](t, p.send(t, phone, "DELETE", "/api/user/session/", nil)); n != 2 {
		t.Errorf("%d others were ended", n)
	}
	if got := into[pageJSON[sessionJSON]](t, p.send(t, phone, "GET", "/api/user/session", nil)); got.Total != 1 || !got.Items[0].Current {
		t.Errorf("afterwards there are %+v", got)
	}
	into[any](t, p.send(t, rootSession, "GET", "/api/user/self", nil))
}

func TestAdministratorsSeeAndEndTheSessionsOfWhomTheyManage(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	adaID, adaToken := p.user(t, "ada", "user")
	_, bossToken := p.user(t, "boss", "admin")
	ada, boss := p.signIn(t, "ada", peoplePassword), caller{token: bossToken}
	path := fmt.Sprint("/api/user/", adaID)
	listed := into[pageJSON[sessionJSON]](t, p.send(t, boss, "GET", path+"/session", nil))
	if listed.Total != 3 || listed.Items[0].Current {
		t.Errorf("listed %+v", listed)
	}
	into[any](t, dataless(p.send(t, boss, "DELETE", fmt.Sprint(path, "/session/", listed.Items[0].ID), nil)))
	p.refused(t, ada, "GET", "/api/user/self", nil, 401, "session_expired")
	ada = p.signIn(t, "ada", peoplePassword)
	if n := into[int64](t, p.send(t, boss, "POST", path+"/logout", nil)); n != 3 {
		t.Errorf("%d sessions were ended", n)
	}
	p.refused(t, ada, "GET", "/api/user/self", nil, 401, "session_expired")
	into[any](t, p.send(t, caller{token: adaToken}, "GET", "/api/user/self", nil)) // tokens are another matter

	for _, path := range []string{"/api/user/1/session", "/api/user/3/session"} {
		p.refused(t, caller{token: adaToken}, "GET", path, nil, 403, "admin_required")
	}
	p.refused(t, boss, "GET", "/api/user/1/session", nil, 403, "root_required")
	p.refused(t, boss, "DELETE", "/api/user/1/session/1", nil, 403, "root_required")
	p.refused(t, boss, "POST", "/api/user/1/logout", nil, 403, "root_required")
	p.refused(t, boss, "GET", "/api/user/99/session", nil, 404, "user_not_found")
}

// dataless makes an answer without data one that can be read.
func dataless(r reply) reply {
	r.Data = []byte("null")
	return r
}

func TestWhoWasGivenAPasswordChangesItBeforeAnythingElse(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	id, token := p.user(t, "ada", "admin")
	path := fmt.Sprint("/api/user/", id)
	into[any](t, p.asRoot(t, "PATCH", path, map[string]any{"password": "given by root", "must_change_password": true}))
	ada := p.signIn(t, "ada", "given by root")
	for _, call := range [][2]string{
		{"GET", "/api/user/"}, {"GET", "/api/user/session"}, {"POST", "/api/user/token"}, {"GET", "/api/option/"}, {"GET", "/api/audit/"},
	} {
		p.refused(t, ada, call[0], call[1], `{}`, 403, "password_change_required")
	}
	if self := into[map[string]any](t, p.send(t, ada, "GET", "/api/user/self", nil)); self["must_change_password"] != true {
		t.Errorf("their own record: %v", self)
	}
	// Tokens are for programs, which cannot choose passwords.
	into[any](t, p.send(t, caller{token: token}, "GET", "/api/user/", nil))
	p.refused(t, ada, "PATCH", "/api/user/self", `{"password":"given by root","old_password":"given by root"}`, 422, "password_unchanged")
	changed := p.send(t, ada, "PATCH", "/api/user/self", `{"password":"one of her own","old_password":"given by root"}`)
	if self := into[map[string]any](t, changed); self["must_change_password"] != false {
		t.Errorf("afterwards: %v", self)
	}
	into[any](t, p.send(t, p.signIn(t, "ada", "one of her own"), "GET", "/api/user/", nil))
	// A session may always end itself.
	into[any](t, p.asRoot(t, "PATCH", path, map[string]any{"password": "given once more"}))
	into[any](t, dataless(p.send(t, p.signIn(t, "ada", "given once more"), "POST", "/api/user/logout", nil)))
}
