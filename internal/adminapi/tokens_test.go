package adminapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
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
	"halley/internal/channel"
	"halley/internal/clientip"
	"halley/internal/gateway"
	"halley/internal/group"
	"halley/internal/health"
	"halley/internal/key"
	"halley/internal/money"
	"halley/internal/option"
	"halley/internal/price"
	"halley/internal/reconcile"
	"halley/internal/route"
	"halley/internal/seal"
	"halley/internal/store"
	"halley/internal/usage"
)

// keyDesk is the management API over a real store, with accounts of every role.
type keyDesk struct {
	server  *adminapi.Server
	store   *store.DB
	ledger  *budget.Ledger
	keys    *key.Service
	rules   atomic.Pointer[key.Rules]
	ms      atomic.Int64 // the clock
	root    *holder
	admin   *holder
	ada     *holder // users
	bob     *holder
	adaRead string // ada's token with read scope
}

// holder is a user with a token of full scope.
type holder struct {
	id    int64
	token string
}

func (d *keyDesk) now() time.Time { return time.UnixMilli(d.ms.Load()).UTC() }

func newKeyDesk(t *testing.T) *keyDesk {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "halley.db"), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	master, _, err := seal.LoadMaster(filepath.Join(t.TempDir(), "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	d := &keyDesk{store: db}
	d.ms.Store(1_800_000_000_000)
	d.rules.Store(&key.Rules{MaxPerUser: 1000})
	d.ledger = budget.NewLedger(db, d.now)
	groups := group.NewService(db)
	exists := func(name string) bool { _, ok := groups.Current().Get(name); return ok }
	if err := groups.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, by := range map[string]*group.Audience{"vip": nil, "staff": {Groups: []string{"default"}}, "closed": {}} {
		if _, err := groups.Create(t.Context(), name, group.Change{UsableBy: &by}); err != nil {
			t.Fatal(err)
		}
	}
	accounts := account.NewService(account.Config{
		Store: db, Ledger: d.ledger, Master: master, GroupExists: exists, Now: d.now, NewUserQuota: func() int64 { return 1000 },
		Hash: account.HashParams{MemoryKiB: 64, Time: 1, Threads: 1},
	})
	d.keys = key.NewService(key.Deps{
		Store: db, Ledger: d.ledger, Master: master, Now: d.now,
		OwnerZone: func(context.Context, int64) (string, error) { return "", nil },
		OwnerGroup: func(ctx context.Context, id int64) (string, error) {
			owner, err := accounts.Owner(ctx, id)
			if err != nil {
				return "", err
			}
			return owner.Group, nil
		},
		GroupUsable: func(name string, id int64, own string) bool {
			return groups.Current().Usable(name, group.User{ID: id, Group: own})
		},
		Rules: func() key.Rules { return *d.rules.Load() },
	})
	catalog, err := price.LoadCatalog()
	if err != nil {
		t.Fatal(err)
	}
	prices, err := price.NewService(catalog, db, d.now, nil)
	if err != nil {
		t.Fatal(err)
	}
	channels := channel.NewService(channel.Deps{Store: db, Sealer: master.Box("channel credential"), GroupExists: exists, Now: d.now})
	d.server, err = adminapi.New(
		adminapi.Base{Log: log, Auth: accounts, LocalIdentity: accounts.Operator, ClientIP: clientip.New(nil)},
		adminapi.Services{
			Accounts: accounts, Audit: audit.NewService(db, master, d.now), Options: option.NewService(db, exists), Groups: groups, Channels: channels, Prices: prices,
			Snapshot: func() *gateway.Snapshot {
				return &gateway.Snapshot{Routes: route.New(route.Config{Channels: channels.All()}), Groups: groups.Current(), Prices: prices.Book()}
			},
			Keys: d.keys, Balances: d.ledger, Books: reconcile.NewService(db), DailyUsage: usage.NewQueries(db),
			KeyHolders: gateway.New(gateway.Config{Keys: d.keys, Owners: accounts, Observer: uncounted{}}),
		})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := accounts.EnsureRoot(t.Context(), "correct horse"); err != nil {
		t.Fatal(err)
	}
	operator, err := accounts.Operator(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	token := func(who *account.Identity, scope account.Scope) string {
		value, _, err := accounts.CreateToken(t.Context(), who, account.NewToken{Name: "test", Scope: scope, ExpiresAt: account.Never})
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	d.root = &holder{operator.User.ID, token(operator, account.ScopeFull)}
	make := func(name string, role account.Role) *holder {
		made, err := accounts.Create(t.Context(), operator, account.NewUser{Username: name, Password: "correct horse", Role: role})
		if err != nil {
			t.Fatal(err)
		}
		who := &account.Identity{User: made.User, Scope: account.ScopeFull, TokenID: 1, TokenEnds: account.Never}
		if name == "ada" {
			d.adaRead = token(who, account.ScopeRead)
		}
		return &holder{made.ID, token(who, account.ScopeFull)}
	}
	d.admin, d.ada, d.bob = make("admin", account.RoleAdmin), make("ada", account.RoleUser), make("bob", account.RoleUser)
	return d
}

// uncounted is for servers without metrics.
type uncounted struct{}

// Finished does nothing.
func (uncounted) Finished(*usage.Record) {}

// Attempted does nothing.
func (uncounted) Attempted(health.Class) {}

// UnknownKey does nothing.
func (uncounted) UnknownKey() {}

// keyReply is an answer with its envelope opened.
type keyReply struct {
	status  int
	header  http.Header
	text    string
	Success bool            `json:"success"`
	Message string          `json:"message"`
	Code    string          `json:"code"`
	Param   string          `json:"param"`
	Data    json.RawMessage `json:"data"`
}

// keyRow is a record as tests read it.
type keyRow struct {
	ID             int64           `json:"id"`
	UserID         int64           `json:"user_id"`
	Key            string          `json:"key"`
	Status         int             `json:"status"`
	Name           string          `json:"name"`
	ExpiredTime    int64           `json:"expired_time"`
	RemainQuota    int64           `json:"remain_quota"`
	UnlimitedQuota bool            `json:"unlimited_quota"`
	ModelLimits    string          `json:"model_limits"`
	AllowIPs       *string         `json:"allow_ips"`
	UsedQuota      int64           `json:"used_quota"`
	HeldQuota      int64           `json:"held_quota"`
	Limits         json.RawMessage `json:"limits"`
	Version        int64           `json:"version"`
}

// send makes a request; a body that is no string is written as JSON. Headers are
// given as name, value, name, value.
func (d *keyDesk) send(t *testing.T, token, method, path string, body any, headers ...string) keyReply {
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
	if token != "" {
		r.Header.Set("Authorization", token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	d.server.ServeHTTP(w, r)
	got := keyReply{status: w.Code, header: w.Header(), text: w.Body.String()}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%s %s answered no JSON: %d %s", method, path, w.Code, w.Body)
	}
	return got
}

// must is send where anything but success ends the test.
func (d *keyDesk) must(t *testing.T, token, method, path string, body any, headers ...string) keyReply {
	t.Helper()
	got := d.send(t, token, method, path, body, headers...)
	if got.status != http.StatusOK || !got.Success || got.Message != "" {
		t.Fatalf("%s %s: %d %s", method, path, got.status, got.text)
	}
	return got
}

func (r keyReply) row(t *testing.T) keyRow {
	t.Helper()
	var row keyRow
	if err := json.Unmarshal(r.Data, &row); err != nil {
		t.Fatalf("%v in %s", err, r.text)
	}
	return row
}

type keyPage struct {
	Page     int      `json:"page"`
	PageSize int      `json:"page_size"`
	Total    int      `json:"total"`
	Items    []keyRow `json:"items"`
}

func (r keyReply) page(t *testing.T) keyPage {
	t.Helper()
	var p keyPage
	if err := json.Unmarshal(r.Data, &p); err != nil {
		t.Fatalf("%v in %s", err, r.text)
	}
	return p
}

type fields = map[string]any

func (d *keyDesk) create(t *testing.T, by *holder, f fields) keyRow {
	t.Helper()
	body := fields{"name": "key"}
	for name, v := range f {
		body[name] = v
	}
	return d.must(t, by.token, "POST", "/api/token/", body).row(t)
}

func (d *keyDesk) get(t *testing.T, by *holder, id int64) keyRow {
	t.Helper()
	return d.must(t, by.token, "GET", fmt.Sprint("/api/token/", id), nil).row(t)
}

func (d *keyDesk) refused(t *testing.T, what string, got keyReply, status int, code string) {
	t.Helper()
	if got.status != status || got.Code != code || got.Success || got.Message == "" {
		t.Errorf("%s: %d %q %q, want %d %q", what, got.status, got.Code, got.Message, status, code)
	}
}

func TestAKeysRecordHasThePublishedFieldsInOrder(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	for _, path := range []string{"/api/token", "/api/token/"} {
		made := d.must(t, d.ada.token, "POST", path, fields{"name": " Prod 🔑 "})
		row := made.row(t)
		want := fmt.Sprintf(`{"id":%d,"user_id":%d,"key":%q,"status":4,"name":"Prod 🔑","created_time":1800000000,"accessed_time":1800000000,"expired_time":-1,`+
			`"remain_quota":0,"unlimited_quota":false,"model_limits_enabled":false,"model_limits":"","allow_ips":null,"used_quota":0,"group":"","cross_group_retry":false,"held_quota":0,`+
			`"limits":{"rpm":null,"rpd":null,"tpm":null,"tpm_input":null,"tpm_output":null,"concurrency":null,"per_model":null,"budgets":null,"endpoints":null,"auto_groups":null,"parent_id":null,"metadata":null},"version":1}`,
			row.ID, d.ada.id, row.Key)
		if string(made.Data) != want {
			t.Errorf("POST %s gives\n%s, want\n%s", path, made.Data, want)
		}
		if len(row.Key) != 51 || key.Check(row.Key) != key.Ours {
			t.Errorf("the value is %q", row.Key)
		}
		read := d.must(t, d.ada.token, "GET", fmt.Sprint("/api/token/", row.ID), nil)
		if diff := cmp.Diff(string(made.Data), string(read.Data)); diff != "" {
			t.Errorf("made and read differ: %s", diff)
		}
		if read.header.Get("ETag") != `"1"` || made.header.Get("ETag") != `"1"` {
			t.Errorf("ETag %q", read.header.Get("ETag"))
		}
		list := d.must(t, d.ada.token, "GET", path, nil).page(t)
		if list.Page != 1 || list.PageSize != 20 || list.Items[0].ID != row.ID {
			t.Errorf("GET %s: %+v", path, list)
		}
	}
}

func fullKey() fields {
	return fields{
		"name": "full", "expired_time": 1_900_000_000, "remain_quota": 500, "model_limits_enabled": true, "model_limits": " gpt-5*, o3,o3",
		"allow_ips": "10.1.2.3/8, ::ffff:192.0.2.1\n2001:DB8::/32", "group": "auto", "cross_group_retry": true,
		"limits": json.RawMessage(`{"rpm":60,"tpm":0,"tpm_output":7,"per_model":{"gpt-5*":{"rpm":10,"tpm_input":0}},"budgets":[{"amount":500,"period":"day"},{"amount":5,"period":"hours:5","time_zone":"Europe/Berlin"}],"endpoints":["chat"],"auto_groups":["vip","default"],"metadata":{"team":"search"}}`),
	}
}

func TestWhatIsReadCanBePutBackAndChangesNothing(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	for name, f := range map[string]fields{
		"plain": {}, "full": fullKey(), "unlimited": {"unlimited_quota": true, "remain_quota": 7}, "exhausted": {"remain_quota": 0},
	} {
		id := d.create(t, d.ada, f).ID
		path := fmt.Sprint("/api/token/", id)
		before := d.must(t, d.ada.token, "GET", path, nil)
		put := d.must(t, d.ada.token, "PUT", "/api/token/", string(before.Data), "If-Match", before.header.Get("ETag"))
		if diff := cmp.Diff(string(before.Data), string(put.Data)); diff != "" {
			t.Errorf("%s: PUT answers another record: %s", name, diff)
		}
		after := d.must(t, d.ada.token, "GET", path, nil)
		if diff := cmp.Diff(string(before.Data), string(after.Data)); diff != "" {
			t.Errorf("%s changed: %s", name, diff)
		}
	}
}

func TestLimitsAreShownWithWhatIsReadOnly(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	row := d.create(t, d.ada, fullKey())
	want := `{"rpm":60,"rpd":null,"tpm":0,"tpm_input":null,"tpm_output":7,"concurrency":null,"per_model":{"gpt-5*":{"rpm":10,"tpm":null,"tpm_input":0,"tpm_output":null}},` +
		`"budgets":[{"amount":500,"period":"day","time_zone":"UTC","used":0,"renews_at":1800057600},{"amount":5,"period":"hours:5","time_zone":"Europe/Berlin","used":0,"renews_at":1800000000}],` +
		`"endpoints":["chat"],"auto_groups":["vip","default"],"parent_id":null,"metadata":{"team":"search"}}`
	// 1,800,000,000 is a multiple of five hours, so a new period begins then.
	want = strings.Replace(want, `"renews_at":1800000000`, `"renews_at":1800018000`, 1)
	if string(row.Limits) != want {
		t.Errorf("limits\n%s, want\n%s", row.Limits, want)
	}
	var h budget.Hold
	if err := d.ledger.Hold(t.Context(), &h, budget.Payers{Key: row.ID, User: d.ada.id}, 3*money.Unit, nil); err != nil {
		t.Fatal(err)
	}
	h.Settle(2*money.Unit + 1)
	want = strings.ReplaceAll(want, `"used":0`, `"used":3`)
	if row = d.must(t, d.ada.token, "GET", fmt.Sprint("/api/token/", row.ID), nil).row(t); string(row.Limits) != want {
		t.Errorf("limits after a request\n%s, want\n%s", row.Limits, want)
	}
	row = d.must(t, d.ada.token, "PUT", "/api/token/", fields{"id": row.ID, "limits": json.RawMessage(`{"rpm":null,"tpm_output":null,"endpoints":[],"budgets":null,"per_model":null,"auto_groups":null,"metadata":null}`)}).row(t)
	want = `{"rpm":null,"rpd":null,"tpm":0,"tpm_input":null,"tpm_output":null,"concurrency":null,"per_model":null,"budgets":null,"endpoints":[],"auto_groups":null,"parent_id":null,"metadata":null}`
	if string(row.Limits) != want {
		t.Errorf("limits after a merge\n%s, want\n%s", row.Limits, want)
	}
}

func TestKeysThatNeedALookAreListed(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	row := d.create(t, d.ada, fields{"name": "daily", "unlimited_quota": true, "limits": json.RawMessage(`{"budgets":[{"amount":500,"period":"day"}]}`)})
	d.create(t, d.ada, fields{"name": "plain", "unlimited_quota": true})
	type watched struct {
		Expiring   []json.RawMessage `json:"expiring"`
		RunningOut []json.RawMessage `json:"running_out"`
		Budgets    []struct {
			ID int64 `json:"id"`
		} `json:"budgets"`
	}
	var got watched
	if err := json.Unmarshal(d.must(t, d.ada.token, "GET", "/api/token/watch", nil).Data, &got); err != nil {
		t.Fatal(err)
	}
	if got.Expiring == nil || got.RunningOut == nil || len(got.Budgets) != 1 || got.Budgets[0].ID != row.ID {
		t.Errorf("%+v", got)
	}
}

func TestAPutKeepsWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	before := d.create(t, d.ada, fullKey())
	after := d.must(t, d.ada.token, "PUT", "/api/token", fields{"id": before.ID, "name": "renamed", "unknown": fields{"x": 1}, "used_quota": 99, "created_time": "x"}).row(t)
	before.Name, before.Version = "renamed", 2
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	after = d.must(t, d.ada.token, "PUT", "/api/token/", fields{"id": before.ID, "allow_ips": nil}).row(t)
	if after.AllowIPs != nil || after.Version != 3 {
		t.Errorf("null leaves %v at version %d", after.AllowIPs, after.Version)
	}
}

func TestStatusOnlyChangesTheStatusOnly(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	k := d.create(t, d.ada, fields{"remain_quota": 5})
	const path = "/api/token/?status_only=true"
	for _, step := range []struct{ set, want int }{{2, 2}, {3, 3}, {4, 4}, {1, 1}} {
		got := d.must(t, d.ada.token, "PUT", path, fields{"id": k.ID, "status": step.set, "name": "other", "remain_quota": 0}).row(t)
		if got.Status != step.want || got.Name != k.Name || got.RemainQuota != 5 {
			t.Errorf("set to %d: %+v", step.set, got)
		}
	}
	for what, row := range map[string]struct {
		body   string
		path   string
		status int
		code   string
	}{
		"no status":     {fmt.Sprintf(`{"id":%d}`, k.ID), path, 422, "status_required"},
		"null":          {fmt.Sprintf(`{"id":%d,"status":null}`, k.ID), path, 400, "invalid_type"},
		"a string":      {fmt.Sprintf(`{"id":%d,"status":"2"}`, k.ID), path, 400, "invalid_type"},
		"0":             {fmt.Sprintf(`{"id":%d,"status":0}`, k.ID), path, 422, "invalid_status"},
		"5":             {fmt.Sprintf(`{"id":%d,"status":5}`, k.ID), path, 422, "invalid_status"},
		"no id":         {`{"status":2}`, path, 422, "id_required"},
		"another's id":  {`{"id":999,"status":2}`, path, 404, "key_not_found"},
		"neither":       {fmt.Sprintf(`{"id":%d,"status":2}`, k.ID), "/api/token/?status_only=perhaps", 422, "invalid_status_only"},
		"not an object": {`[]`, path, 400, "invalid_body"},
	} {
		d.refused(t, what, d.send(t, d.ada.token, "PUT", row.path, row.body), row.status, row.code)
	}
	if after := d.get(t, d.ada, k.ID); after.Status != 1 || after.Version != 5 {
		t.Errorf("a refused change changed: %+v", after)
	}
}

func TestAQueryThatCannotBeReadIsNotTakenForNone(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	made := d.create(t, d.ada, fields{"name": "kept"})
	const rename = "/api/token/?status_only=true;"
	got := d.send(t, d.ada.token, "PUT", rename, fields{"id": made.ID, "status": 2, "name": "other"})
	if got.status != 400 || got.Code != "invalid_query" {
		t.Errorf("PUT %s: %d %s", rename, got.status, got.text)
	}
	if name := d.get(t, d.ada, made.ID).Name; name != "kept" {
		t.Errorf("the key is called %q now", name)
	}
	for _, path := range []string{
		"/api/token/?keyword=100%", "/api/token/search?token=%zz", "/api/token/?user_id=1;p=2", "/api/user/?keyword=a;b", "/api/log/?key_id=1;",
		"/user/quota?key=" + made.Key + "%",
	} {
		got := d.send(t, d.root.token, "GET", path, nil)
		if got.status != 400 || !strings.Contains(got.text, `"code":"invalid_query"`) || strings.Contains(got.text, made.Key) {
			t.Errorf("GET %s: %d %s", path, got.status, got.text)
		}
	}
}

func TestAPutIsConditionalOnTheVersion(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	k := d.create(t, d.ada, nil)
	put := func(ifMatch string) keyReply {
		t.Helper()
		return d.send(t, d.ada.token, "PUT", "/api/token/", fields{"id": k.ID, "name": "by " + ifMatch}, "If-Match", ifMatch)
	}
	if got := put(`"1"`); got.status != 200 || got.header.Get("ETag") != `"2"` {
		t.Errorf("%d %s, ETag %q", got.status, got.text, got.header.Get("ETag"))
	}
	d.refused(t, "an old version", put(`"1"`), 412, "version_conflict")
	d.refused(t, "no version", put(`x`), 400, "invalid_if_match")
	if got := put(`*`); got.status != 200 {
		t.Errorf("any version: %d %s", got.status, got.text)
	}
	d.refused(t, "status_only, an old version",
		d.send(t, d.ada.token, "PUT", "/api/token/?status_only=true", fields{"id": k.ID, "status": 2}, "If-Match", `"1"`), 412, "version_conflict")
}

// TestBadInputIsRefusedByNameAndChangesNothing holds every field to what the
// contract says of it, on making and on changing a key.
func TestBadInputIsRefusedByNameAndChangesNothing(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	k := d.create(t, d.ada, fullKey())
	bobs := d.create(t, d.bob, nil)
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "10.0.%d.%d\\n", i>>8&255, i&255)
		}
		return b.String()
	}
	const huge, beyond = "9007199254740992", "9223372036854775808" // 2^53, 2^63
	type row struct {
		value string // JSON
		code  string
		kind  int // 0 is 422
	}
	wrong := func(values ...string) []row {
		var rows []row
		for _, v := range values {
			rows = append(rows, row{v, "invalid_type", 400})
		}
		return rows
	}
	for field, rows := range map[string][]row{
		"name": append(wrong("null", "5", "true", "{}", "[]"),
			row{`""`, "name_required", 0}, row{`"  "`, "name_required", 0}, row{`"` + strings.Repeat("🔑", 51) + `"`, "name_too_long", 0},
			row{`"a\u0000b"`, "name_invalid", 0}, row{`"a\nb"`, "name_invalid", 0}, row{`"a\u001b[31m"`, "name_invalid", 0}),
		"status": append(wrong("null", `"1"`, "1.5", beyond, "true", "[]"), row{"0", "invalid_status", 0}, row{"5", "invalid_status", 0}, row{"-1", "invalid_status", 0}, row{huge, "invalid_status", 0}),
		"expired_time": append(wrong("null", `"never"`, `"1900000000"`, "1.5", beyond, "1e400", "{}"),
			row{"0", "invalid_expired_time", 0}, row{"-2", "invalid_expired_time", 0}, row{huge, "invalid_expired_time", 0}, row{"1900000000000", "invalid_expired_time", 0}),
		"remain_quota": append(wrong("null", `"5"`, "1.5", beyond, "-9223372036854775809", "false"),
			row{"-1", "invalid_remain_quota", 0}, row{"4000000000000001", "invalid_remain_quota", 0}, row{huge, "invalid_remain_quota", 0}),
		"unlimited_quota":      wrong("null", "0", "1", `"true"`, "{}"),
		"model_limits_enabled": wrong("null", "0", "1", `"true"`, "[]"),
		"model_limits": append(wrong("null", "5", `["gpt-5"]`, "{}"),
			row{`""`, "invalid_model_limits", 0}, row{`" , "`, "invalid_model_limits", 0}, row{`"a\u0000"`, "invalid_model_limits", 0},
			row{`"` + strings.Repeat("m", 300) + `"`, "invalid_model_limits", 0}, row{`"` + strings.Repeat("gpt,", 17000) + `"`, "invalid_model_limits", 0}),
		"allow_ips": append(wrong("5", `["10.0.0.1"]`, "{}", "false"),
			row{`"nonsense"`, "invalid_ip", 0}, row{`"10.0.0.0/33"`, "invalid_ip", 0}, row{`"10.0.0.256"`, "invalid_ip", 0}, row{`"::1/129"`, "invalid_ip", 0},
			row{`"fe80::1%eth0"`, "invalid_ip", 0}, row{`"::ffff:10.0.0.0/90"`, "invalid_ip", 0}, row{`"1.2.3.4\u0000"`, "invalid_ip", 0}, row{`"` + many(10000) + `"`, "too_many_ips", 0}),
		"group":             append(wrong("null", "5", "[]"), row{`"nope"`, "invalid_group", 0}, row{`"closed"`, "invalid_group", 0}, row{`"a\u0000"`, "invalid_group", 0}, row{`"Auto"`, "invalid_group", 0}),
		"cross_group_retry": wrong("null", "1", `"yes"`),
		"limits": append(wrong("null", "5", `"x"`, "[]", `{"rpm":"x"}`, `{"per_model":[]}`, `{"per_model":{"a":null}}`, `{"budgets":{}}`, `{"endpoints":"chat"}`, `{"endpoints":[null]}`, `{"metadata":{"a":1}}`, `{"auto_groups":[5]}`),
			row{`{"rpm":1.5}`, "invalid_limits", 0}, row{`{"rpm":` + beyond + `}`, "invalid_limits", 0}, row{`{"per_model":{"a":{"tpm_input":0.5}}}`, "invalid_limits", 0},
			row{`{"budgets":[{"amount":1.5,"period":"day"}]}`, "invalid_limits", 0}, row{`{"budgets":[{"amount":1,"period":"day","anchor":1.5}]}`, "invalid_limits", 0},
			row{`{"rpm":-1}`, "invalid_limits", 0}, row{`{"rpm":` + huge + `}`, "invalid_limits", 0}, row{`{"endpoints":["telepathy"]}`, "invalid_limits", 0},
			row{`{"budgets":[{"amount":1,"period":"year"}]}`, "invalid_limits", 0}, row{`{"auto_groups":["nope"]}`, "invalid_group", 0}),
		"user_id": append(wrong("null", `"1"`, "1.5", beyond), row{fmt.Sprint(d.bob.id), "admin_required", 403}, row{"999", "admin_required", 403}, row{"-1", "admin_required", 403}),
	} {
		for _, bad := range rows {
			what := field + " " + bad.value[:min(len(bad.value), 60)]
			want := bad.kind
			if want == 0 {
				want = 422
			}
			body := fields{"name": "n", "model_limits_enabled": true, "model_limits": "m", field: json.RawMessage(bad.value)}
			posted := d.send(t, d.ada.token, "POST", "/api/token/", body)
			d.refused(t, "POST "+what, posted, want, bad.code)
			put := d.send(t, d.ada.token, "PUT", "/api/token/", fields{"id": k.ID, "remain_quota": 77, "cross_group_retry": false, field: json.RawMessage(bad.value)})
			d.refused(t, "PUT "+what, put, want, bad.code)
			for _, got := range []keyReply{posted, put} {
				if !strings.Contains(got.Message, field) || !strings.HasPrefix(got.Param, field) {
					t.Errorf("%s: message %q and param %q must name the field", what, got.Message, got.Param)
				}
			}
		}
	}
	for what, r := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"empty":          {"", 400, "invalid_body"},
		"truncated":      {`{"name":"a"`, 400, "invalid_body"},
		"not UTF-8":      {"{\"name\":\"\xff\"}", 400, "invalid_body"},
		"a list":         {`[]`, 400, "invalid_body"},
		"deep":           {`{"name":"a","x":` + strings.Repeat("[", 100000) + `}`, 400, "invalid_body"},
		"a member twice": {`{"name":"a","name":"b"}`, 400, "invalid_type"},
		"trailing":       {`{"name":"a"} {}`, 400, "invalid_body"},
		"too large":      {`{"name":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "request_too_large"},
		"the past":       {`{"name":"a","expired_time":1799999999}`, 422, "invalid_expired_time"},
		"no name":        {`{"remain_quota":5}`, 422, "name_required"},
	} {
		d.refused(t, "POST "+what, d.send(t, d.ada.token, "POST", "/api/token/", r.body), r.status, r.code)
	}
	for what, r := range map[string]struct {
		id     string
		status int
		code   string
	}{
		"bob's": {fmt.Sprint(bobs.ID), 404, "key_not_found"}, "nobody's": {"999", 404, "key_not_found"}, "0": {"0", 404, "key_not_found"}, "-1": {"-1", 404, "key_not_found"},
		"null": {"null", 400, "invalid_type"}, "a string": {`"1"`, 400, "invalid_type"}, "1.5": {"1.5", 400, "invalid_type"}, "2^63": {beyond, 400, "invalid_type"},
	} {
		d.refused(t, "PUT id "+what, d.send(t, d.ada.token, "PUT", "/api/token/", fmt.Sprintf(`{"id":%s,"name":"stolen"}`, r.id)), r.status, r.code)
	}
	d.refused(t, "PUT without id", d.send(t, d.ada.token, "PUT", "/api/token/", `{"name":"x"}`), 422, "id_required")
	if diff := cmp.Diff(k, d.get(t, d.ada, k.ID)); diff != "" {
		t.Errorf("what was refused changed the key:\n%s", diff)
	}
	if diff := cmp.Diff(bobs, d.get(t, d.bob, bobs.ID)); diff != "" {
		t.Errorf("what was refused changed bob's key:\n%s", diff)
	}
	if list := d.must(t, d.ada.token, "GET", "/api/token/", nil).page(t); list.Total != 1 {
		t.Errorf("%d keys, want the one", list.Total)
	}
}

func TestGoodEdgesAreTaken(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	for what, f := range map[string]fields{
		"50 emoji": {"name": strings.Repeat("🔑", 50)}, "the largest quota": {"remain_quota": money.MaxUnits}, "a second from now": {"expired_time": 1_800_000_001},
		"the year 9999": {"expired_time": 253402300799}, "an empty list": {"allow_ips": ""}, "a mapped network": {"allow_ips": "::ffff:10.0.0.0/104"},
		"a group for this owner": {"group": "staff"}, "a group for all": {"group": "vip"}, "own id": {"user_id": d.ada.id}, "no limits": {"limits": fields{}},
		"disabled from the start": {"status": 2}, "null addresses": {"allow_ips": nil},
	} {
		if got := d.send(t, d.ada.token, "POST", "/api/token/", func() fields {
			body := fields{"name": what}
			for k, v := range f {
				body[k] = v
			}
			return body
		}()); got.status != 200 {
			t.Errorf("%s: %d %s", what, got.status, got.text)
		}
	}
}

func TestOthersKeysAreNotThere(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	k := d.create(t, d.ada, fields{"remain_quota": 10})
	path := fmt.Sprint("/api/token/", k.ID)
	for what, by := range map[string]string{"another user": d.bob.token, "an administrator who names nobody": d.admin.token, "root, likewise": d.root.token} {
		for _, call := range [][2]string{{"GET", path}, {"DELETE", path}, {"POST", path + "/quota"}} {
			d.refused(t, what+" "+call[0], d.send(t, by, call[0], call[1], fields{"add": 1}), 404, "key_not_found")
		}
		got := d.must(t, by, "POST", "/api/token/batch", fields{"ids": []int64{k.ID}})
		if string(got.Data) != "0" {
			t.Errorf("%s deleted %s", what, got.Data)
		}
	}
	for _, id := range []string{"0", "-1", "abc", "1.5", "9223372036854775808", "%00"} {
		d.refused(t, "GET "+id, d.send(t, d.ada.token, "GET", "/api/token/"+id, nil), 404, "key_not_found")
	}
	for _, call := range [][2]string{{"GET", "/api/token/"}, {"GET", "/api/token/search"}, {"GET", path}, {"DELETE", path}, {"POST", "/api/token/"}, {"POST", path + "/quota"}} {
		d.refused(t, "another's user_id", d.send(t, d.bob.token, call[0], call[1]+fmt.Sprint("?user_id=", d.ada.id), fields{"name": "x", "add": 1}), 403, "admin_required")
		d.refused(t, "a nonsense user_id", d.send(t, d.root.token, call[0], call[1]+"?user_id=x", fields{"name": "x", "add": 1}), 422, "invalid_user_id")
		d.refused(t, "an unknown user_id", d.send(t, d.root.token, call[0], call[1]+"?user_id=999", fields{"name": "x", "add": 1}), 404, "user_not_found")
	}
	if after := d.get(t, d.ada, k.ID); after.Version != 1 {
		t.Errorf("the key changed: %+v", after)
	}
	if got := d.must(t, d.ada.token, "GET", fmt.Sprint(path, "?user_id=", d.ada.id), nil).row(t); got.ID != k.ID {
		t.Error("one's own user_id is not ignored")
	}
}

func TestAdministratorsManageUsersKeysMasked(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	of := fmt.Sprint("?user_id=", d.ada.id)
	for _, by := range []*holder{d.admin, d.root} {
		made := d.must(t, by.token, "POST", "/api/token/"+of, fields{"name": "made for ada", "remain_quota": 5}).row(t)
		if made.UserID != d.ada.id || key.Check(made.Key) != key.Ours {
			t.Errorf("%+v", made)
		}
		masked := "sk-hly…" + made.Key[len(made.Key)-4:]
		path := fmt.Sprint("/api/token/", made.ID)
		for what, got := range map[string]keyRow{
			"get":    d.must(t, by.token, "GET", path+of, nil).row(t),
			"list":   d.must(t, by.token, "GET", "/api/token/"+of, nil).page(t).Items[0],
			"search": d.must(t, by.token, "GET", "/api/token/search"+of+"&token="+made.Key, nil).page(t).Items[0],
			"put":    d.must(t, by.token, "PUT", "/api/token/"+of, fields{"id": made.ID, "name": "x"}).row(t),
			"body":   d.must(t, by.token, "PUT", "/api/token/", fields{"id": made.ID, "name": "y", "user_id": d.ada.id}).row(t),
			"quota":  d.must(t, by.token, "POST", path+"/quota"+of, fields{"add": 1}).row(t),
		} {
			if got.Key != masked || got.ID != made.ID {
				t.Errorf("%s shows %q of %d, want %q of %d", what, got.Key, got.ID, masked, made.ID)
			}
		}
		if own := d.get(t, d.ada, made.ID); own.Key != made.Key || own.RemainQuota != 6 || own.Name != "y" {
			t.Errorf("ada sees %+v", own)
		}
		if got := d.must(t, d.adaRead, "GET", path, nil).row(t); got.Key != masked {
			t.Errorf("a read token sees %q", got.Key)
		}
		d.must(t, by.token, "DELETE", path+of, nil)
		d.refused(t, "deleted", d.send(t, d.ada.token, "GET", path, nil), 404, "key_not_found")
	}
	d.refused(t, "an administrator for root", d.send(t, d.admin.token, "POST", fmt.Sprint("/api/token/?user_id=", d.root.id), fields{"name": "x"}), 403, "root_required")
	for _, call := range [][2]string{{"POST", "/api/token/"}, {"PUT", "/api/token/"}, {"DELETE", "/api/token/1"}, {"POST", "/api/token/batch"}, {"POST", "/api/token/1/quota"}} {
		d.refused(t, "a read token", d.send(t, d.adaRead, call[0], call[1], fields{"name": "x"}), 403, "read_only_token")
	}
}

func TestUnderRevealOnceOnlyTheMakingShowsTheValue(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	d.rules.Store(&key.Rules{MaxPerUser: 2, RevealOnce: true})
	made := d.create(t, d.ada, nil)
	if key.Check(made.Key) != key.Ours {
		t.Errorf("made: %q", made.Key)
	}
	if got := d.get(t, d.ada, made.ID); got.Key != "sk-hly…"+made.Key[47:] {
		t.Errorf("read: %q", got.Key)
	}
	d.create(t, d.ada, nil)
	d.refused(t, "a third", d.send(t, d.ada.token, "POST", "/api/token/", fields{"name": "x"}), 422, "too_many_keys")
}

func TestKeysAreListedInPagesAndByFilters(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	for i := range 25 {
		f := fields{"name": fmt.Sprint("key ", i), "remain_quota": 1}
		switch {
		case i < 5:
			f["remain_quota"] = 0
		case i < 8:
			f["group"], f["status"] = "vip", 2
		}
		d.create(t, d.ada, f)
	}
	d.create(t, d.bob, fields{"name": "key of bob"})
	for query, want := range map[string]struct{ page, size, total, items int }{
		"":                        {1, 20, 25, 20},
		"?p=0&page_size=0":        {1, 20, 25, 20},
		"?p=2":                    {2, 20, 25, 5},
		"?p=3":                    {3, 20, 25, 0},
		"?page_size=1000":         {1, 100, 25, 25},
		"?p=4611686018427387904":  {4611686018427387904, 20, 25, 0},
		"?page_size=3&p=9":        {9, 3, 25, 1},
		"?status=4":               {1, 20, 5, 5},
		"?status=2&group=vip":     {1, 20, 3, 3},
		"?status=1":               {1, 20, 17, 17},
		"?status=0":               {1, 20, 25, 20},
		"?keyword=KEY%202":        {1, 20, 6, 6},
		"?keyword=%25":            {1, 20, 0, 0},
		"?keyword=%FF":            {1, 20, 0, 0},
		"?keyword=a%00":           {1, 20, 0, 0},
		"?group=nope":             {1, 20, 0, 0},
		"?status=3&keyword=key 2": {1, 20, 0, 0},
	} {
		query = strings.ReplaceAll(query, " ", "%20")
		got := d.must(t, d.ada.token, "GET", "/api/token/"+query, nil).page(t)
		if got.Page != want.page || got.PageSize != want.size || got.Total != want.total || len(got.Items) != want.items || got.Items == nil {
			t.Errorf("%q: page %d of size %d, %d of %d; want %+v", query, got.Page, got.PageSize, len(got.Items), got.Total, want)
		}
		if !slices.IsSortedFunc(got.Items, func(a, b keyRow) int { return int(b.ID - a.ID) }) {
			t.Errorf("%q is not newest first", query)
		}
	}
	for query, code := range map[string]string{
		"?p=-1": "invalid_p", "?p=x": "invalid_p", "?page_size=-1": "invalid_page_size", "?page_size=1.5": "invalid_page_size", "?status=9": "invalid_status", "?status=-1": "invalid_status", "?status=x": "invalid_status",
	} {
		d.refused(t, query, d.send(t, d.ada.token, "GET", "/api/token/"+query, nil), 422, code)
	}
}

func TestSearchIsByNameOrValue(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	a, b := d.create(t, d.ada, fields{"name": "Alpha"}), d.create(t, d.ada, fields{"name": "Beta"})
	for query, want := range map[string][]int64{
		"":                                     {b.ID, a.ID},
		"?keyword=alp":                         {a.ID},
		"?token=" + b.Key:                      {b.ID},
		"?token=" + b.Key[3:]:                  {b.ID},
		"?token=" + a.Key[47:]:                 {a.ID},
		"?token=" + a.Key[40:]:                 {a.ID},
		"?token=" + a.Key + "&keyword=beta":    nil,
		"?token=%E2%80%A6" + a.Key[47:]:        {a.ID},
		"?token=zzzzzzzz":                      nil,
		"?keyword=%00&token=" + a.Key[47:]:     nil,
		"?token=" + strings.Repeat("x", 10000): nil,
	} {
		got := d.must(t, d.ada.token, "GET", "/api/token/search"+query, nil).page(t)
		var ids []int64
		for _, row := range got.Items {
			ids = append(ids, row.ID)
		}
		if diff := cmp.Diff(want, ids); diff != "" || got.Total != len(want) {
			t.Errorf("%.60q: total %d (-want +got):\n%s", query, got.Total, diff)
		}
	}
	d.refused(t, "three characters", d.send(t, d.ada.token, "GET", "/api/token/search?token=abc", nil), 422, "invalid_token")
	if got := d.must(t, d.bob.token, "GET", "/api/token/search?token="+a.Key, nil).page(t); got.Total != 0 {
		t.Error("bob finds ada's key by its value")
	}
}

func TestKeysAreDeletedForGood(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	a, b, c := d.create(t, d.ada, nil), d.create(t, d.ada, nil), d.create(t, d.bob, nil)
	gone := d.must(t, d.ada.token, "DELETE", fmt.Sprint("/api/token/", a.ID), nil)
	if gone.text != `{"success":true,"message":""}` {
		t.Errorf("DELETE answers %s", gone.text)
	}
	d.refused(t, "again", d.send(t, d.ada.token, "DELETE", fmt.Sprint("/api/token/", a.ID, "/"), nil), 404, "key_not_found")
	d.refused(t, "its value", d.send(t, "", "GET", "/api/usage/token", nil, "Authorization", "Bearer "+a.Key), 401, "invalid_api_key")
	for what, row := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"none":     {`{"ids":[]}`, 422, "invalid_ids"},
		"missing":  {`{}`, 422, "invalid_ids"},
		"null":     {`{"ids":null}`, 400, "invalid_type"},
		"a null":   {`{"ids":[1,null]}`, 400, "invalid_type"},
		"a string": {`{"ids":["1"]}`, 400, "invalid_type"},
		"one":      {`{"ids":1}`, 400, "invalid_type"},
		"a half":   {`{"ids":[1.5]}`, 400, "invalid_type"},
		"101":      {`{"ids":[` + strings.TrimSuffix(strings.Repeat("1,", 101), ",") + `]}`, 422, "invalid_ids"},
	} {
		d.refused(t, what, d.send(t, d.ada.token, "POST", "/api/token/batch", row.body), row.status, row.code)
	}
	got := d.must(t, d.ada.token, "POST", "/api/token/batch", fields{"ids": []int64{a.ID, b.ID, c.ID, b.ID, 999, -1}})
	if string(got.Data) != "1" {
		t.Errorf("%s deleted, want 1", got.Data)
	}
	if left := d.get(t, d.bob, c.ID); left.ID != c.ID {
		t.Error("bob's key is gone")
	}
}

func TestQuotaIsAddedAndSet(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	k := d.create(t, d.ada, fields{"remain_quota": 100})
	path := fmt.Sprint("/api/token/", k.ID, "/quota")
	var used, held budget.Hold
	for _, h := range []struct {
		hold   *budget.Hold
		amount money.Nano
	}{{&used, 10 * money.Unit}, {&held, 20 * money.Unit}} {
		if err := d.ledger.Hold(t.Context(), h.hold, budget.Payers{Key: k.ID, User: d.ada.id}, h.amount, nil); err != nil {
			t.Fatal(err)
		}
	}
	used.Settle(10 * money.Unit)
	for _, step := range []struct {
		body string
		want [3]int64
	}{
		{`{"add":30}`, [3]int64{100, 10, 20}}, {`{"add":-40}`, [3]int64{60, 10, 20}}, {`{"set":5}`, [3]int64{5, 10, 20}}, {`{"add":-5}`, [3]int64{0, 10, 20}}, {`{"set":0}`, [3]int64{0, 10, 20}},
	} {
		row := d.must(t, d.ada.token, "POST", path, step.body).row(t)
		if got := [3]int64{row.RemainQuota, row.UsedQuota, row.HeldQuota}; got != step.want {
			t.Errorf("%s: remaining, used, held %v, want %v", step.body, got, step.want)
		}
	}
	for body, want := range map[string]struct {
		status int
		code   string
	}{
		`{"add":-1}`: {422, "quota_too_low"}, `{"set":-1}`: {422, "quota_too_low"}, `{"set":4000000000000001}`: {422, "quota_too_high"}, `{"add":9007199254740992}`: {422, "quota_too_high"},
		`{"add":-9223372036854775808}`: {422, "quota_too_high"}, `{}`: {422, "invalid_quota_change"}, `{"add":1,"set":1}`: {422, "invalid_quota_change"},
		`{"add":null}`: {400, "invalid_type"}, `{"set":"5"}`: {400, "invalid_type"}, `{"add":0.5}`: {400, "invalid_type"}, `{"add":9223372036854775808}`: {400, "invalid_type"}, ``: {400, "invalid_body"},
	} {
		d.refused(t, body, d.send(t, d.ada.token, "POST", path, body), want.status, want.code)
	}
	if row := d.get(t, d.ada, k.ID); row.RemainQuota != 0 || row.Status != 1 {
		t.Errorf("something is held, so the key is not exhausted: %+v", row)
	}
}

func TestKeyChangesAreInTheTrailWithoutValues(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	k := d.create(t, d.ada, fields{"remain_quota": 1})
	d.must(t, d.ada.token, "PUT", "/api/token/", fields{"id": k.ID, "name": "n", "key": k.Key})
	d.must(t, d.ada.token, "POST", fmt.Sprint("/api/token/", k.ID, "/quota"), fields{"add": 1})
	d.must(t, d.ada.token, "POST", "/api/token/batch", fields{"ids": []int64{k.ID}})
	trail := d.must(t, d.root.token, "GET", fmt.Sprint("/api/audit/?target=key%20", k.ID), nil)
	var page struct {
		Items []struct {
			Actor  int64  `json:"actor"`
			Action string `json:"action"`
		} `json:"items"`
	}
	if err := json.Unmarshal(trail.Data, &page); err != nil {
		t.Fatal(err)
	}
	var actions []string
	for _, e := range page.Items {
		if e.Actor != d.ada.id {
			t.Errorf("%+v is not ada's", e)
		}
		actions = append(actions, e.Action)
	}
	if diff := cmp.Diff([]string{"key.delete", "key.quota", "key.update", "key.create"}, actions); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(trail.text, k.Key[6:]) {
		t.Error("the trail shows the value")
	}
}

// self sends a request with an API key and no other credential.
func (d *keyDesk) self(t *testing.T, path string, headers ...string) (int, http.Header, []byte) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
	r.RemoteAddr = "192.0.2.1:1234"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	d.server.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, w.Header(), bytes.TrimSpace(body)
}

func TestAKeyAsksWhatItHasLeft(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	limited := d.create(t, d.ada, fields{"name": "limited", "remain_quota": 100, "expired_time": 1_900_000_000, "model_limits_enabled": true, "model_limits": "gpt-5*,o3"})
	unlimited := d.create(t, d.ada, fields{"name": "unlimited", "unlimited_quota": true})
	var h budget.Hold
	if err := d.ledger.Hold(t.Context(), &h, budget.Payers{Key: limited.ID, User: d.ada.id}, 30*money.Unit+1, nil); err != nil {
		t.Fatal(err)
	}
	h.Settle(30*money.Unit + 1)
	for value, want := range map[string]string{
		limited.Key:       `{"code":true,"message":"ok","data":{"object":"token_usage","name":"limited","total_granted":100,"total_used":31,"total_available":69,"unlimited_quota":false,"model_limits":{"gpt-5*":true,"o3":true},"model_limits_enabled":true,"expires_at":1900000000}}`,
		unlimited.Key[3:]: `{"code":true,"message":"ok","data":{"object":"token_usage","name":"unlimited","total_granted":1000,"total_used":31,"total_available":969,"unlimited_quota":true,"model_limits":{},"model_limits_enabled":false,"expires_at":0}}`,
	} {
		status, _, body := d.self(t, "/api/usage/token", "Authorization", "Bearer "+value)
		if status != 200 || string(body) != want {
			t.Errorf("%d\n%s, want\n%s", status, body, want)
		}
	}
	set := func(id int64, f fields) {
		t.Helper()
		f["id"] = id
		d.must(t, d.ada.token, "PUT", "/api/token/", f)
	}
	expect := func(what string, status int, code string, headers ...string) {
		t.Helper()
		if s, c := askCode(t, d, headers...); s != status || c != code {
			t.Errorf("%s: %d %q, want %d %q", what, s, c, status, code)
		}
	}
	bearer := []string{"Authorization", "Bearer " + limited.Key}
	set(limited.ID, fields{"expired_time": 1})
	expect("expired", 200, "", bearer...)
	set(limited.ID, fields{"expired_time": -1, "remain_quota": 0})
	expect("exhausted", 200, "", bearer...)
	set(limited.ID, fields{"allow_ips": "10.0.0.0/8"})
	expect("from elsewhere", 403, "ip_not_allowed", bearer...)
	set(limited.ID, fields{"allow_ips": "192.0.2.0/24"})
	expect("from a listed address", 200, "", bearer...)
	expect("as an x-api-key", 200, "", "X-Api-Key", limited.Key)
	set(limited.ID, fields{"status": 2})
	expect("disabled", 401, "key_disabled", bearer...)
	expect("no credential", 401, "invalid_api_key")
	expect("a personal access token", 401, "invalid_api_key", "Authorization", d.ada.token)
	expect("an unknown key", 401, "invalid_api_key", "Authorization", "Bearer "+key.NewValue())
	expect("two of them", 400, "repeated_header", "Authorization", "Bearer x", "Authorization", "Bearer y")
	d.must(t, d.root.token, "PATCH", fmt.Sprint("/api/user/", d.ada.id), fields{"status": 2})
	expect("a disabled owner", 401, "account_disabled", "Authorization", "Bearer "+unlimited.Key)
}

func askCode(t *testing.T, d *keyDesk, headers ...string) (int, string) {
	t.Helper()
	status, _, body := d.self(t, "/api/usage/token", headers...)
	var got struct {
		Code any `json:"code"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	code, _ := got.Code.(string)
	return status, code
}

func TestAKeyAsksForItsAccountsQuota(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	query := d.create(t, d.ada, fields{"name": "query only"})
	worker := d.create(t, d.ada, fields{"name": "worker", "remain_quota": 250_000})
	d.create(t, d.ada, fields{"name": "free", "unlimited_quota": true})
	d.must(t, d.root.token, "POST", fmt.Sprint("/api/user/", d.ada.id, "/quota"), fields{"set": 1_000_000})
	err := d.store.ApplyUsage(t.Context(), []usage.Record{{
		EventID: "1", Time: d.now(), KeyID: worker.ID, KeyName: "worker", UserID: d.ada.id, Status: 200, Cost: money.USD / 10, Settled: true,
	}})
	if err != nil {
		t.Fatal(err)
	}
	d.ledger.Forget(budget.Subject{Kind: budget.User, ID: d.ada.id}) // read it anew, with the cost
	d.ledger.Forget(budget.Subject{Kind: budget.Key, ID: worker.ID})
	const plain = `{"username":"ada","total_quota":1.9,"total_used_quota":0.1,"request_count":1,"keys":[{"name":"free","remain_quota":-1,"used_quota":0},{"name":"worker","remain_quota":0.4,"used_quota":0.1},{"name":"query only","remain_quota":0,"used_quota":0}]`
	for path, want := range map[string]string{
		"/user/quota?key=" + query.Key:                                           plain + `}`,
		"/user/quota/?key=" + query.Key[3:]:                                      plain + `}`,
		"/user/quota?start_date=2027-01-15&key=" + query.Key:                     plain + `}`,
		"/user/quota?start_date=2027-01-15&end_date=2027-01-15&key=" + query.Key: plain + `,"daily_quota":{"2027-01-15":[{"token_name":"worker","quota_used":0.1,"request_count":1}]}}`,
		"/user/quota?start_date=2027-01-16&end_date=2027-01-17&key=" + query.Key: plain + `,"daily_quota":{}}`,
	} {
		if status, _, body := d.self(t, path); status != 200 || string(body) != want {
			t.Errorf("%d\n%s, want\n%s", status, body, want)
		}
	}
	if status, _, body := d.self(t, "/user/quota", "Authorization", "Bearer "+query.Key); status != 200 || string(body) != plain+`}` {
		t.Errorf("by header: %d %s", status, body)
	}
	// The day is that of the owner's time zone: half past eight in the morning
	// of the 15th in Berlin is the 14th in Honolulu.
	d.must(t, d.ada.token, "PATCH", "/api/user/self", fields{"time_zone": "Pacific/Honolulu"})
	if _, _, body := d.self(t, "/user/quota?start_date=2027-01-14&end_date=2027-01-14&key="+query.Key); !strings.Contains(string(body), `"2027-01-14":[`) {
		t.Errorf("in Honolulu: %s", body)
	}
	for path, want := range map[string]struct {
		status int
		code   string
	}{
		"/user/quota":                       {401, "invalid_api_key"},
		"/user/quota?key=sk-nobody":         {401, "invalid_api_key"},
		"/user/quota?key=" + d.ada.token:    {401, "invalid_api_key"},
		"/user/quota?key=" + key.NewValue(): {401, "invalid_api_key"},
		"/user/quota?start_date=2027-02-30&end_date=2027-03-01&key=" + query.Key: {422, "invalid_date"},
		"/user/quota?start_date=x&end_date=2027-03-01&key=" + query.Key:          {422, "invalid_date"},
		"/user/quota?start_date=2027-03-02&end_date=2027-03-01&key=" + query.Key: {422, "invalid_date"},
		"/user/quota?start_date=2020-01-01&end_date=2027-03-01&key=" + query.Key: {422, "invalid_date"},
	} {
		status, _, body := d.self(t, path)
		var got struct {
			Error struct {
				Message string `json:"message"`
				Type    string `json:"type"`
				Code    string `json:"code"`
			} `json:"error"`
		}
		if err := json.Unmarshal(body, &got); err != nil || status != want.status || got.Error.Code != want.code || got.Error.Type == "" || got.Error.Message == "" {
			t.Errorf("%s: %d %s, want %d %q", path, status, body, want.status, want.code)
		}
		if strings.Contains(string(body), query.Key[6:]) {
			t.Errorf("the answer repeats the key: %s", body)
		}
	}
	if _, _, body := d.self(t, "/user/quota?start_date=2027-03-02&end_date=2027-03-01&key="+query.Key); !strings.Contains(string(body), "end_date must not be before start_date.") {
		t.Errorf("days the wrong way round: %s", body)
	}
}

func TestAdministratorsSeeWhatAUserMayUse(t *testing.T) {
	t.Parallel()
	d := newKeyDesk(t)
	for _, body := range []fields{
		{"name": "all", "kind": "demo", "models": []string{"demo-echo"}},
		{"name": "nobody's", "kind": "demo", "models": []string{"demo-embed"}, "groups": []string{"closed"}},
	} {
		d.must(t, d.admin.token, "POST", "/api/channel/", body)
	}
	for _, what := range []string{"groups", "models"} {
		own := d.must(t, d.ada.token, "GET", "/api/user/self/"+what, nil)
		path := fmt.Sprintf("/api/user/%d/%s", d.ada.id, what)
		if seen := d.must(t, d.admin.token, "GET", path, nil); string(seen.Data) != string(own.Data) || len(own.Data) < len(`{"x":1}`) {
			t.Errorf("%s: the user sees %s, an administrator %s", what, own.Data, seen.Data)
		}
		if got := d.send(t, d.ada.token, "GET", path, nil); got.status != http.StatusForbidden {
			t.Errorf("%s for the user: %s", path, got.text)
		}
		if got := d.send(t, d.admin.token, "GET", "/api/user/4040/"+what, nil); got.status != http.StatusNotFound || got.Code != "user_not_found" {
			t.Errorf("%s of nobody: %s", what, got.text)
		}
	}
}
