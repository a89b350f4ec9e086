package adminapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/account"
	"halley/internal/adminapi"
	"halley/internal/audit"
	"halley/internal/budget"
	"halley/internal/clientip"
	"halley/internal/oidc"
	"halley/internal/option"
	"halley/internal/seal"
	"halley/internal/store"
	"halley/internal/store/storetest"
	"halley/internal/usage"
)

const (
	peoplePassword = "correct horse"
	publicURL      = "https://halley.example.com"
)

// people is the management API over a real store, with root signed in by token.
type people struct {
	usageBroken atomic.Bool // pages of usage after the first fail
	server      *adminapi.Server
	store       *store.DB
	audit       *audit.Service
	logs        *bytes.Buffer
	ms          atomic.Int64 // the clock
	root        string       // a personal access token with full scope
}

func (p *people) now() time.Time { return time.UnixMilli(p.ms.Load()) }

func newPeople(t *testing.T) *people {
	t.Helper()
	return newPeopleOn(t, "sqlite:"+filepath.Join(t.TempDir(), "halley.db"))
}

func newPeopleOn(t *testing.T, database string) *people {
	t.Helper()
	p := &people{store: storetest.Open(t, database), logs: &bytes.Buffer{}}
	p.ms.Store(time.Now().UnixMilli())
	groupExists := func(name string) bool { return name == "default" || name == "vip" }
	p.audit = audit.NewService(p.store, testMaster(t), p.now)
	options := option.NewService(p.store, groupExists)
	accounts := account.NewService(account.Config{
		Store: p.store, Master: testMaster(t), IdentityProviders: oidc.New(http.DefaultTransport, p.now), Ledger: budget.NewLedger(p.store, p.now), GroupExists: groupExists, Now: p.now,
		NewUserQuota: func() int64 { return options.Current().NewUserQuota },
		Hash:         account.HashParams{MemoryKiB: 64, Time: 1, Threads: 1},
	})
	var err error
	p.server, err = adminapi.New(adminapi.Base{
		Log: slog.New(slog.NewTextHandler(p.logs, nil)), Auth: accounts, LocalIdentity: accounts.Operator, ClientIP: clientip.New(nil), PublicURL: publicURL,
	}, adminapi.Services{Accounts: accounts, Audit: p.audit, Options: options, Usage: usage.NewQueries(brittleUsage{p.store, &p.usageBroken}), Status: adminapi.Status{Now: p.now}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := accounts.EnsureRoot(t.Context(), peoplePassword); err != nil {
		t.Fatal(err)
	}
	p.root = p.signedInToken(t, "root", "full")
	return p
}

func testMaster(t *testing.T) *seal.Master {
	t.Helper()
	m, err := seal.ParseMaster(strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// reply is an answer with its envelope opened.
type reply struct {
	status  int
	header  http.Header
	text    string
	Success bool            `json:"success"`
	Message *string         `json:"message"`
	Code    string          `json:"code"`
	Param   string          `json:"param"`
	Data    json.RawMessage `json:"data"`
}

// into reads the answer's data.
func into[T any](t *testing.T, r reply) T {
	t.Helper()
	var v T
	if r.status != http.StatusOK || !r.Success {
		t.Fatalf("answered %d %s", r.status, r.text)
	}
	if err := json.Unmarshal(r.Data, &v); err != nil {
		t.Fatalf("data is no %T: %v\n%s", v, err, r.text)
	}
	return v
}

// caller is a credential and where it comes from.
type caller struct {
	token  string
	cookie *http.Cookie
	header http.Header
	addr   string
}

// send makes a request; a body that is no string is written as JSON.
func (p *people) send(t *testing.T, by caller, method, path string, body any) reply {
	t.Helper()
	text, isText := body.(string)
	if !isText && body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(text))
	for name, values := range by.header {
		r.Header[name] = values
	}
	if by.token != "" {
		r.Header.Set("Authorization", by.token)
	}
	if by.cookie != nil {
		r.AddCookie(by.cookie)
	}
	if by.addr != "" {
		r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(by.addr), 1234).String()
	}
	w := httptest.NewRecorder()
	p.server.ServeHTTP(w, r)
	got := reply{status: w.Code, header: w.Header(), text: w.Body.String()}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Message == nil {
		t.Fatalf("%s %s answered no envelope: %d %s", method, path, w.Code, w.Body)
	}
	if got.Success != (got.status == http.StatusOK) || got.Success != (got.Code == "") || got.Success != (*got.Message == "") {
		t.Errorf("%s %s: the envelope contradicts itself: %d %s", method, path, w.Code, w.Body)
	}
	return got
}

func (p *people) asRoot(t *testing.T, method, path string, body any) reply {
	t.Helper()
	return p.send(t, caller{token: p.root}, method, path, body)
}

// refused checks that a request is refused in this way.
func (p *people) refused(t *testing.T, by caller, method, path string, body any, status int, code string) reply {
	t.Helper()
	got := p.send(t, by, method, path, body)
	if got.status != status || got.Code != code {
		t.Errorf("%s %s %v: %d %s, want %d %s", method, path, body, got.status, got.text, status, code)
	}
	return got
}

// signIn opens a session.
func (p *people) signIn(t *testing.T, username, password string) caller {
	t.Helper()
	got := p.send(t, caller{}, "POST", "/api/user/login", map[string]any{"username": username, "password": password})
	cookies := (&http.Response{Header: got.header}).Cookies()
	if got.status != http.StatusOK || len(cookies) != 1 {
		t.Fatalf("sign in as %s: %d %s, cookies %v", username, got.status, got.text, cookies)
	}
	return caller{cookie: cookies[0]}
}

// signedInToken makes a personal access token after signing in.
func (p *people) signedInToken(t *testing.T, username, scope string) string {
	t.Helper()
	by := p.signIn(t, username, peoplePassword)
	made := into[map[string]any](t, p.send(t, by, "POST", "/api/user/token", map[string]any{"name": "t", "scope": scope, "expires_at": -1}))
	return made["token"].(string)
}

// user makes a user and gives id and token.
func (p *people) user(t *testing.T, username, role string) (id int64, token string) {
	t.Helper()
	const given = "given to them"
	made := into[map[string]any](t, p.asRoot(t, "POST", "/api/user/", map[string]any{"username": username, "password": given, "role": role}))
	p.chooseOwn(t, username, given, peoplePassword)
	return int64(made["id"].(float64)), p.signedInToken(t, username, "full")
}

// chooseOwn has a user change the password that they were given.
func (p *people) chooseOwn(t *testing.T, username, given, own string) {
	t.Helper()
	into[map[string]any](t, p.send(t, p.signIn(t, username, given), "PATCH", "/api/user/self", map[string]any{"old_password": given, "password": own}))
}

// trailOf is the newest audit record, without what changes from run to run.
func (p *people) trailOf(t *testing.T) audit.Entry {
	t.Helper()
	records, _, err := p.audit.List(context.WithoutCancel(t.Context()), audit.Filter{Limit: 1})
	if err != nil || len(records) == 0 {
		t.Fatalf("the audit trail: %v, %v", records, err)
	}
	return records[0].Entry
}

// noUserLimits is the limits object of a user without any.
const noUserLimits = `{"rpm":null,"rpd":null,"tpm":null,"tpm_input":null,"tpm_output":null,"concurrency":null,"per_model":null,"budgets":null}`

func TestAUserIsMadeFoundChangedAndDeleted(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	made := p.asRoot(t, "POST", "/api/user/", `{"username":"ada","password":"correct horse","display_name":"Ada","email":"a@example.com","role":"user","group":"vip","quota":1000,"unknown":1}`)
	want := fmt.Sprintf(`{"success":true,"message":"","data":{"id":2,"username":"ada","display_name":"Ada","email":"a@example.com","role":"user","status":1,"group":"vip","quota":1000,"unlimited_quota":false,"used_quota":0,"request_count":0,"created_time":%d,"time_zone":"","language":"","must_change_password":false,"limits":%s}}`, p.now().Unix(), noUserLimits)
	if made.text != want {
		t.Errorf("made\n%s, want\n%s", made.text, want)
	}
	entry := p.trailOf(t)
	if entry.Before != "" || !strings.Contains(entry.After, `"username":"ada"`) || strings.Contains(entry.After, "correct horse") {
		t.Errorf("before %q, after %q", entry.Before, entry.After)
	}
	entry.After = ""
	if diff := cmp.Diff(audit.Entry{Actor: 1, Action: "user.create", Target: "user 2", Detail: `{"group":"vip","quota":1000,"role":"user","unlimited_quota":false,"username":"ada"}`, IP: "192.0.2.1"}, entry); diff != "" {
		t.Errorf("the trail (-want +got):\n%s", diff)
	}
	for _, path := range []string{"/api/user/2", "/api/user/2/"} {
		if got := p.asRoot(t, "GET", path, nil); got.text != want {
			t.Errorf("GET %s\n%s, want\n%s", path, got.text, want)
		}
	}
	type user struct {
		ID             int64  `json:"id"`
		Username       string `json:"username"`
		Role           string `json:"role"`
		Status         int    `json:"status"`
		Group          string `json:"group"`
		DisplayName    string `json:"display_name"`
		Quota          int64  `json:"quota"`
		UnlimitedQuota bool   `json:"unlimited_quota"`
	}
	for _, step := range []struct {
		method, path, body string
		want               user
	}{
		{"PATCH", "/api/user/2", `{"display_name":"Countess"}`, user{2, "ada", "user", 1, "vip", "Countess", 1000, false}},
		{"PATCH", "/api/user/2", `{"group":"default","role":"admin","unlimited_quota":true}`, user{2, "ada", "admin", 1, "default", "Countess", 1000, true}},
		{"PATCH", "/api/user/2", `{"status":2,"unlimited_quota":false}`, user{2, "ada", "admin", 2, "default", "Countess", 1000, false}},
		{"PATCH", "/api/user/2", `{}`, user{2, "ada", "admin", 2, "default", "Countess", 1000, false}},
		{"POST", "/api/user/2/quota", `{"add":-400}`, user{2, "ada", "admin", 2, "default", "Countess", 600, false}},
		{"POST", "/api/user/2/quota", `{"set":5}`, user{2, "ada", "admin", 2, "default", "Countess", 5, false}},
		{"GET", "/api/user/2", "", user{2, "ada", "admin", 2, "default", "Countess", 5, false}},
	} {
		got := into[user](t, p.asRoot(t, step.method, step.path, step.body))
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s %s %s (-want +got):\n%s", step.method, step.path, step.body, diff)
		}
	}
	if got := p.asRoot(t, "DELETE", "/api/user/2", nil); got.text != `{"success":true,"message":""}` {
		t.Errorf("deleted: %s", got.text)
	}
	p.refused(t, caller{token: p.root}, "GET", "/api/user/2", nil, 404, "user_not_found")
	p.refused(t, caller{token: p.root}, "POST", "/api/user/", `{"username":"ADA","password":"correct horse"}`, 409, "username_taken")
}

func TestUsersAreListedAndSearched(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	for _, name := range []string{"ada", "grace", "adam"} {
		p.asRoot(t, "POST", "/api/user/", map[string]any{"username": name, "password": peoplePassword})
	}
	type page struct {
		Page     int                         `json:"page"`
		PageSize int                         `json:"page_size"`
		Total    int                         `json:"total"`
		Items    []struct{ Username string } `json:"items"`
	}
	for _, tc := range []struct {
		query string
		page  int
		size  int
		total int
		names []string
	}{
		{"", 1, 20, 4, []string{"adam", "grace", "ada", "root"}},
		{"?keyword=AD", 1, 20, 2, []string{"adam", "ada"}},
		{"?p=2&page_size=3", 2, 3, 4, []string{"root"}},
		{"?p=9&page_size=1000", 9, 100, 4, nil},
		{"?p=9223372036854775807", 9223372036854775807, 20, 4, nil},
	} {
		got := into[page](t, p.asRoot(t, "GET", "/api/user/"+tc.query, nil))
		var names []string
		for _, u := range got.Items {
			names = append(names, u.Username)
		}
		if got.Page != tc.page || got.PageSize != tc.size || got.Total != tc.total || !slices.Equal(names, tc.names) || got.Items == nil {
			t.Errorf("%q: %+v", tc.query, got)
		}
	}
	p.refused(t, caller{token: p.root}, "GET", "/api/user/?p=-1", nil, 422, "invalid_p")
}

func TestBadUsersAreRefusedByName(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	id, _ := p.user(t, "ada", "user")
	path := fmt.Sprint("/api/user/", id)
	before := p.asRoot(t, "GET", path, nil).text
	for _, tc := range []struct {
		method, path, body string
		status             int
		code, param        string
	}{
		{"POST", "/api/user/", ``, 400, "invalid_body", ""},
		{"POST", "/api/user/", `{"username":"x"`, 400, "invalid_body", ""},
		{"POST", "/api/user/", `[]`, 400, "invalid_body", ""},
		{"POST", "/api/user/", `{"password":"correct horse"}`, 422, "invalid_username", "username"},
		{"POST", "/api/user/", `{"username":null,"password":"correct horse"}`, 400, "invalid_type", "username"},
		{"POST", "/api/user/", `{"username":7,"password":"correct horse"}`, 400, "invalid_type", "username"},
		{"POST", "/api/user/", `{"username":"x","password":true}`, 400, "invalid_type", "password"},
		{"POST", "/api/user/", `{"username":"x"}`, 422, "invalid_password", "password"},
		{"POST", "/api/user/", `{"username":"x","password":"short"}`, 422, "password_too_short", "password"},
		{"POST", "/api/user/", `{"username":"x","password":"correct horse","role":""}`, 422, "invalid_role", "role"},
		{"POST", "/api/user/", `{"username":"x","password":"correct horse","role":"root"}`, 422, "invalid_role", "role"},
		{"POST", "/api/user/", `{"username":"x","password":"correct horse","group":""}`, 422, "invalid_group", "group"},
		{"POST", "/api/user/", `{"username":"x","password":"correct horse","group":"gone"}`, 422, "invalid_group", "group"},
		{"POST", "/api/user/", `{"username":"x","password":"correct horse","quota":1.5}`, 400, "invalid_type", "quota"},
		{"POST", "/api/user/", `{"username":"x","password":"correct horse","quota":9223372036854775808}`, 400, "invalid_type", "quota"},
		{"POST", "/api/user/", `{"username":"x","password":"correct horse","quota":null}`, 400, "invalid_type", "quota"},
		{"POST", "/api/user/", `{"username":"x","password":"correct horse","quota":-1}`, 422, "quota_too_low", "quota"},
		{"POST", "/api/user/", `{"username":"x","password":"correct horse","quota":4000000000000001}`, 422, "quota_too_high", "quota"},
		{"POST", "/api/user/", `{"username":"x","password":"correct horse","must_change_password":null}`, 400, "invalid_type", "must_change_password"},
		{"PATCH", path, `{"must_change_password":null}`, 400, "invalid_type", "must_change_password"},
		{"POST", "/api/user/", `{"username":"x","password":"correct horse","limits":null}`, 400, "invalid_type", "limits"},
		{"POST", "/api/user/", `{"username":"x","password":"correct horse","limits":{"rpm":-1}}`, 422, "invalid_limits", "limits.rpm"},
		{"PATCH", path, `{"limits":[]}`, 400, "invalid_type", "limits"},
		{"PATCH", path, `{"limits":null}`, 400, "invalid_type", "limits"},
		{"PATCH", path, `{"limits":{"tpm_input":"5"}}`, 400, "invalid_type", "limits.tpm_input"},
		{"PATCH", path, `{"limits":{"tpm_output":1.5}}`, 422, "invalid_limits", "limits.tpm_output"},
		{"PATCH", path, `{"limits":{"rpd":-1}}`, 422, "invalid_limits", "limits.rpd"},
		{"PATCH", path, `{"limits":{"budgets":[{"amount":0.5,"period":"day"}]}}`, 422, "invalid_limits", "limits.budgets.0.amount"},
		{"PATCH", path, `{"limits":{"budgets":[{"amount":-5,"period":"day"}]}}`, 422, "invalid_limits", "limits.budgets.0.amount"},
		{"PATCH", path, `{"limits":{"budgets":[{"amount":5,"period":"hours:0"}]}}`, 422, "invalid_limits", "limits.budgets.0.period"},
		{"PATCH", path, `{"limits":{"budgets":[{"amount":5,"period":"day","time_zone":"Nowhere"}]}}`, 422, "invalid_limits", "limits.budgets.0.time_zone"},
		{"PATCH", path, `{"limits":{"budgets":[{"amount":5,"period":"day","anchor":5}]}}`, 422, "invalid_limits", "limits.budgets.0.anchor"},
		{"PATCH", path, `{"status":3}`, 422, "invalid_status", "status"},
		{"PATCH", path, `{"status":"1"}`, 400, "invalid_type", "status"},
		{"PATCH", path, `{"status":null}`, 400, "invalid_type", "status"},
		{"PATCH", path, `{"role":"king"}`, 422, "invalid_role", "role"},
		{"PATCH", path, `{"group":""}`, 422, "invalid_group", "group"},
		{"PATCH", path, `{"email":"nobody"}`, 422, "invalid_email", "email"},
		{"PATCH", path, `{"display_name":"a\u0000b"}`, 422, "invalid_display_name", "display_name"},
		{"PATCH", path, `{"unlimited_quota":1}`, 400, "invalid_type", "unlimited_quota"},
		{"PATCH", path, `{"group":"vip","group":"default"}`, 400, "invalid_type", "group"},
		{"PATCH", "/api/user/999", `{}`, 404, "user_not_found", ""},
		{"PATCH", "/api/user/0", `{}`, 404, "not_found", ""},
		{"PATCH", "/api/user/x", `{}`, 404, "not_found", ""},
		{"DELETE", "/api/user/999", ``, 404, "user_not_found", ""},
		{"POST", path + "/quota", `{}`, 422, "invalid_quota_change", ""},
		{"POST", path + "/quota", `{"add":1,"set":1}`, 422, "invalid_quota_change", ""},
		{"POST", path + "/quota", `{"add":null}`, 400, "invalid_type", "add"},
		{"POST", path + "/quota", `{"add":"1"}`, 400, "invalid_type", "add"},
		{"POST", path + "/quota", `{"add":-1}`, 422, "quota_too_low", ""},
		{"POST", path + "/quota", `{"set":-1}`, 422, "quota_too_low", ""},
		{"POST", path + "/quota", `{"set":9007199254740993}`, 422, "quota_too_high", ""},
		{"POST", "/api/user/999/quota", `{"add":1}`, 404, "user_not_found", ""},
	} {
		got := p.refused(t, caller{token: p.root}, tc.method, tc.path, tc.body, tc.status, tc.code)
		if tc.param != "" && (got.Param != tc.param || !strings.Contains(*got.Message, tc.param)) {
			t.Errorf("%s: names %q: %s", tc.body, got.Param, *got.Message)
		}
	}
	if after := p.asRoot(t, "GET", path, nil).text; after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
	if got := into[struct{ Total int }](t, p.asRoot(t, "GET", "/api/user/", nil)); got.Total != 2 {
		t.Errorf("%d users: something was made", got.Total)
	}
}

func TestWhoMayManageUsers(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	ada, adaToken := p.user(t, "ada", "user")
	_, adminToken := p.user(t, "boss", "admin")
	other, _ := p.user(t, "other", "admin")
	path, otherPath := fmt.Sprint("/api/user/", ada), fmt.Sprint("/api/user/", other)
	user, admin, root := caller{token: adaToken}, caller{token: adminToken}, caller{token: p.root}
	for _, tc := range []struct {
		by           caller
		method, path string
		body         string
		status       int
		code         string
	}{
		{user, "GET", "/api/user/", ``, 403, "admin_required"},
		{user, "GET", path, ``, 403, "admin_required"},
		{user, "PATCH", path, `{"role":"admin"}`, 403, "admin_required"},
		{user, "POST", path + "/quota", `{"add":1}`, 403, "admin_required"},
		{user, "POST", "/api/user/", `{"username":"x","password":"correct horse"}`, 403, "admin_required"},
		{user, "DELETE", path, ``, 403, "admin_required"},
		{admin, "PATCH", path, `{"role":"admin"}`, 403, "root_required"},
		{admin, "PATCH", otherPath, `{"status":2}`, 403, "root_required"},
		{admin, "PATCH", "/api/user/1", `{"password":"another password"}`, 403, "root_required"},
		{admin, "POST", "/api/user/1/quota", `{"set":0}`, 403, "root_required"},
		{admin, "DELETE", "/api/user/1", ``, 403, "root_required"},
		{admin, "POST", "/api/user/", `{"username":"x","password":"correct horse","role":"admin"}`, 403, "root_required"},
		{admin, "GET", "/api/user/1", ``, 200, ""},
		{admin, "PATCH", path, `{"group":"vip"}`, 200, ""},
		{root, "PATCH", "/api/user/1", `{"status":2}`, 403, "own_account"},
		{root, "DELETE", "/api/user/1", ``, 403, "own_account"},
		{root, "PATCH", otherPath, `{"role":"user"}`, 200, ""},
		{caller{}, "GET", "/api/user/", ``, 401, "missing_credential"},
	} {
		p.refused(t, tc.by, tc.method, tc.path, tc.body, tc.status, tc.code)
	}
}

func TestTheMachinesOperatorMendsALockOut(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	r := httptest.NewRequestWithContext(t.Context(), "PATCH", "/api/user/1", strings.NewReader(`{"password":"another password"}`))
	w := httptest.NewRecorder()
	p.server.Local().ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	p.signIn(t, "root", "another password")
	p.refused(t, caller{}, "POST", "/api/user/login", map[string]any{"username": "root", "password": peoplePassword}, 401, "invalid_credentials")
}

// Secrets that pass through these calls reach neither log nor trail.
func TestSecretsOfPeopleLeaveNoTrace(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	const first, second, third = "canary-first-password", "canary-second-password", "canary-third-password"
	made := into[map[string]any](t, p.asRoot(t, "POST", "/api/user/", map[string]any{"username": "ada", "password": first}))
	path := fmt.Sprint("/api/user/", made["id"])
	ada := p.signIn(t, "ada", first)
	p.send(t, ada, "PATCH", "/api/user/self", map[string]any{"password": second, "old_password": first})
	ada = p.signIn(t, "ada", second)
	token := into[map[string]any](t, p.send(t, ada, "POST", "/api/user/token", `{"name":"ci"}`))["token"].(string)
	p.asRoot(t, "PATCH", path, map[string]any{"password": third})
	p.send(t, caller{}, "POST", "/api/user/login", map[string]any{"username": third, "password": third})
	p.send(t, caller{token: token[:len(token)-1]}, "GET", "/api/user/self", nil)
	if err := p.store.Close(); err != nil { // from here on everything fails, and is logged
		t.Fatal(err)
	}
	for _, call := range []struct {
		by           caller
		method, path string
		body         any
	}{
		{caller{}, "POST", "/api/user/login", map[string]any{"username": "ada", "password": third}},
		{caller{token: p.root}, "PATCH", path, map[string]any{"password": first}},
		{caller{token: token}, "GET", "/api/user/self", nil},
		{caller{cookie: ada.cookie}, "GET", "/api/user/self", nil},
	} {
		if got := p.send(t, call.by, call.method, call.path, call.body); got.status == http.StatusOK {
			t.Errorf("%s %s worked on a closed database", call.method, call.path)
		}
	}
	if p.logs.Len() == 0 {
		t.Error("nothing was logged: the test proves nothing")
	}
	for _, secret := range []string{first, second, third, token[5:45], ada.cookie.Value} {
		if strings.Contains(p.logs.String(), secret) {
			t.Errorf("the log has the secret %q:\n%s", secret, p.logs)
		}
	}
}

func TestAUsersLimitsAreShownWithWhatIsReadOnly(t *testing.T) {
	t.Parallel()
	p := newPeople(t)
	type shown struct {
		ID     int64           `json:"id"`
		Limits json.RawMessage `json:"limits"`
	}
	made := into[shown](t, p.asRoot(t, "POST", "/api/user/", `{"username":"ada","password":"`+peoplePassword+`","limits":{"rpm":60}}`))
	path := fmt.Sprint("/api/user/", made.ID)
	got := into[shown](t, p.asRoot(t, "PATCH", path, `{"limits":{"rpm":null,"tpm_input":5000,"budgets":[{"amount":500,"period":"hours:5","used":9,"renews_at":1}]}}`))
	renews := p.now().Unix()/18000*18000 + 18000
	want := fmt.Sprintf(`{"rpm":null,"rpd":null,"tpm":null,"tpm_input":5000,"tpm_output":null,"concurrency":null,"per_model":null,"budgets":[{"amount":500,"period":"hours:5","time_zone":"UTC","used":0,"renews_at":%d}]}`, renews)
	if string(got.Limits) != want {
		t.Errorf("limits\n%s, want\n%s", got.Limits, want)
	}
	if entry := p.trailOf(t); entry.Action != "user.update" || entry.Detail != `{"limits":"changed"}` {
		t.Errorf("the trail has %+v", entry)
	}
	if read := into[shown](t, p.asRoot(t, "GET", path, nil)); string(read.Limits) != want {
		t.Errorf("read\n%s, want\n%s", read.Limits, want)
	}
	self := into[shown](t, p.send(t, p.signIn(t, "ada", peoplePassword), "GET", "/api/user/self", nil))
	if string(self.Limits) != want {
		t.Errorf("their own record\n%s, want\n%s", self.Limits, want)
	}
}
