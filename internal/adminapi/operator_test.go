package adminapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"halley/internal/account"
	"halley/internal/adminapi"
	"halley/internal/audit"
	"halley/internal/channel"
	"halley/internal/clientip"
	"halley/internal/fault"
	"halley/internal/gateway"
	"halley/internal/group"
	"halley/internal/health"
	"halley/internal/option"
	"halley/internal/price"
	"halley/internal/route"
	"halley/internal/seal"
	"halley/internal/store"
	"halley/internal/usage"
)

// operatorDesk is the management API over what operators configure, on SQLite.
type operatorDesk struct {
	server  *adminapi.Server
	db      *store.DB
	audit   *audit.Service
	tester  *tester
	health  *health.Tracker
	machine *machine
	clock   time.Time
}

// deskCaller names who calls: the credential is the name.
type deskCaller string

const (
	admin  deskCaller = "admin"
	reader deskCaller = "reader" // an administrator's token with read scope
	user   deskCaller = "user"   // in the group "default"
	member deskCaller = "member" // in the group "vip"
	nobody deskCaller = ""
)

// AuthenticateToken takes a caller's name for a token.
func (d *operatorDesk) AuthenticateToken(_ context.Context, value string) (*account.Identity, error) {
	id := &account.Identity{Scope: account.ScopeFull, User: &account.User{ID: 7, Username: value, Role: account.RoleAdmin, Group: "default"}}
	switch deskCaller(value) {
	case admin:
		id.User.Unlimited = true
	case reader:
		id.Scope = account.ScopeRead
	case user:
		id.User.Role = account.RoleUser
	case member:
		id.User.Role, id.User.Group = account.RoleUser, "vip"
	default:
		return nil, fault.New(fault.Unauthenticated, "invalid_credential", "Who are you?")
	}
	return id, nil
}

// AuthenticateSession knows no session.
func (d *operatorDesk) AuthenticateSession(context.Context, string) (*account.Identity, error) {
	return nil, errors.New("no sessions here")
}

// tester stands in for the gateway, which has tests of its own.
type tester struct {
	asked  string
	stream bool
	result gateway.ChannelTest
	models []string
	err    error
}

// UpstreamModels notes whose were asked for.
func (f *tester) UpstreamModels(_ context.Context, ch *channel.Channel) ([]string, error) {
	f.asked = fmt.Sprintf("%d %s %s", ch.ID, ch.BaseURL, ch.Credentials[0].Value)
	return f.models, f.err
}

// TestChannel notes what was asked for.
func (f *tester) TestChannel(_ context.Context, ch *channel.Channel, model string, stream bool) (gateway.ChannelTest, error) {
	f.asked, f.stream = fmt.Sprintf("%d %s", ch.ID, model), stream
	return f.result, f.err
}

func newOperatorDesk(t *testing.T) *operatorDesk {
	t.Helper()
	ctx := t.Context()
	log := slog.New(slog.DiscardHandler)
	db, err := store.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "halley.db"), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	master, _, err := seal.LoadMaster(filepath.Join(t.TempDir(), "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := price.LoadCatalog()
	if err != nil {
		t.Fatal(err)
	}
	d := &operatorDesk{db: db, tester: &tester{}, machine: &machine{}, clock: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)}
	now := func() time.Time { return d.clock }
	groups := group.NewService(db)
	exists := func(name string) bool { _, ok := groups.Current().Get(name); return ok }
	channels := channel.NewService(channel.Deps{Store: db, Sealer: master.Box("channel credential"), GroupExists: exists, Now: now})
	prices, err := price.NewService(catalog, db, now, nil)
	if err != nil {
		t.Fatal(err)
	}
	d.audit = audit.NewService(db, master, now)
	if d.health, err = health.New(health.Config{}); err != nil {
		t.Fatal(err)
	}
	for _, reload := range []func(context.Context) error{groups.Reload, channels.Reload, prices.Reload} {
		if err := reload(ctx); err != nil {
			t.Fatal(err)
		}
	}
	d.server, err = adminapi.New(
		adminapi.Base{Log: log, Auth: d, ClientIP: clientip.New(nil), Version: "1.2.3"},
		adminapi.Services{
			Audit: d.audit, Channels: channels, ChannelTester: d.tester, ChannelHealth: d.health, ChannelChecks: noChecks{}, UpstreamModels: d.tester, Usage: usage.NewQueries(db), Groups: groups, Options: option.NewService(db, exists), Prices: prices,
			Snapshot: func() *gateway.Snapshot {
				return &gateway.Snapshot{Routes: route.New(route.Config{Channels: channels.All()}), Groups: groups.Current(), Prices: prices.Book()}
			},
			System: d.machine,
			Status: adminapi.Status{Started: d.clock.Add(-90 * time.Second), Now: now, Features: []string{"chat"}, LoginMethods: []string{"password"}},
		})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// deskReply is an answer with its envelope opened.
type deskReply struct {
	status  int
	header  http.Header
	raw     string
	Success bool            `json:"success"`
	Message string          `json:"message"`
	Code    string          `json:"code"`
	Param   string          `json:"param"`
	Data    json.RawMessage `json:"data"`
}

func (d *operatorDesk) do(t *testing.T, who deskCaller, method, path, body string, headers ...string) deskReply {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if who != nobody {
		r.Header.Set("Authorization", string(who))
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	d.server.ServeHTTP(w, r)
	text, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	a := deskReply{status: w.Code, header: w.Result().Header, raw: string(text)}
	if err := json.Unmarshal(text, &a); err != nil {
		t.Fatalf("%s %s: %d is no envelope: %v\n%s", method, path, w.Code, err, text)
	}
	if a.Success != (a.status == http.StatusOK) || (a.Success && a.Message != "") || (!a.Success && (a.Message == "" || a.Code == "")) {
		t.Errorf("%s %s: the envelope does not fit the status: %d %s", method, path, a.status, text)
	}
	return a
}

// must is do by the administrator, which has to succeed.
func (d *operatorDesk) must(t *testing.T, method, path, body string) deskReply {
	t.Helper()
	a := d.do(t, admin, method, path, body)
	if a.status != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, path, a.status, a.raw)
	}
	return a
}

// as reads the data.
func as[T any](t *testing.T, a deskReply) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(a.Data, &v); err != nil {
		t.Fatalf("data is not %T: %v\n%s", v, err, a.Data)
	}
	return v
}

type pageJSON[T any] struct {
	Page     int `json:"page"`
	PageSize int `json:"page_size"`
	Total    int `json:"total"`
	Items    []T `json:"items"`
}

// trail is the audit trail, oldest first, one line an entry.
func (d *operatorDesk) trail(t *testing.T) []string {
	t.Helper()
	records, _, err := d.audit.List(t.Context(), audit.Filter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	lines := make([]string, len(records))
	for i, r := range records {
		lines[len(records)-1-i] = fmt.Sprintf("%d %s %s %s", r.Actor, r.Action, r.Target, r.Detail)
	}
	return lines
}

// noChecks has looked after nothing.
type noChecks struct{}

func (noChecks) Last(int64) (gateway.CheckResult, bool) { return gateway.CheckResult{}, false }
