package gateway_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/gateway"
	"halley/internal/key"
	"halley/internal/money"
)

// issued makes the house's key the child of one that is worth $1.
func issued(h *house) {
	h.parent = &key.Key{ID: 6, UserID: 3, Status: key.Enabled, ExpiresAt: key.Never, Granted: money.USD, Name: "parent"}
	h.key.Limits.ParentID = &h.parent.ID
}

func (h *house) balance(kind budget.Kind, id int64) budget.Balance {
	h.t.Helper()
	b, err := h.ledger.Balance(h.t.Context(), budget.Subject{Kind: kind, ID: id})
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

func TestAChildsRequestIsChargedToItsParentToo(t *testing.T) {
	t.Parallel()
	for name, unlimited := range map[string]bool{"a limited child": false, "an unlimited child": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, answers(200, "application/json", plainAnswer), issued, func(h *house) { h.key.Unlimited = unlimited })
			var c client
			h.do(t.Context(), `{"model":"m"}`, &c)
			r := h.records[0]
			if c.status != 200 || r.Cost != 200_000 || r.KeyID != 7 || r.ParentID != 6 {
				t.Fatalf("client got %d %s, record %+v", c.status, c.body.String(), r)
			}
			for who, b := range map[string]budget.Balance{"child": h.balance(budget.Key, 7), "parent": h.balance(budget.Key, 6), "account": h.balance(budget.User, 3)} {
				if b.Used != r.Cost || b.Held != 0 {
					t.Errorf("%s: %+v", who, b)
				}
			}
		})
	}
}

// Whatever its own record says, a child is admitted only where its parent is.
func TestAChildIsAdmittedOnlyWhereItsParentIs(t *testing.T) {
	t.Parallel()
	const body = `{"model":"m"}`
	for name, row := range map[string]struct {
		change  func(*house)
		body    string
		status  int
		code    string
		parents bool // the message says that it is the parent's
	}{
		"disabled":                 {func(h *house) { h.parent.Status = key.Disabled }, body, 401, "key_disabled", true},
		"expired":                  {func(h *house) { h.parent.ExpiresAt = 1 }, body, 401, "key_expired", true},
		"disabled before expired":  {func(h *house) { h.parent.Status, h.key.ExpiresAt = key.Disabled, 1 }, body, 401, "key_disabled", true},
		"both disabled":            {func(h *house) { h.parent.Status, h.key.Status = key.Disabled, key.Disabled }, body, 401, "key_disabled", false},
		"set to exhausted":         {func(h *house) { h.parent.Status = key.Exhausted }, body, 402, "key_quota_exhausted", true},
		"used up":                  {func(h *house) { h.parent.Granted = 0 }, body, 402, "key_quota_exhausted", true},
		"used up, child unlimited": {func(h *house) { h.parent.Granted, h.key.Unlimited = 0, true }, body, 402, "key_quota_exhausted", true},
		"too little":               {func(h *house) { h.parent.Granted = 2000 }, body, 402, "key_quota_exhausted", true},
		"too little on the child":  {func(h *house) { h.key.Granted = 2000 }, body, 402, "key_quota_exhausted", false},
		"its budget is spent":      {func(h *house) { h.parent.Limits.Budgets = []budget.Renewing{{Period: "day", TimeZone: "UTC"}} }, body, 402, "budget_exhausted", false},
		"address not listed":       {func(h *house) { h.parent.AllowIPs = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }, body, 403, "ip_not_allowed", false},
		"model not listed":         {func(h *house) { h.parent.ModelLimitsEnabled, h.parent.Models = true, []string{"other*"} }, body, 403, "model_not_allowed", false},
		"endpoint not listed":      {func(h *house) { h.parent.Limits.Endpoints = []string{"embeddings"} }, body, 403, "endpoint_not_allowed", false},
		"limited, model unpriced":  {func(h *house) { h.key.Unlimited, h.owner.Unlimited = true, true }, `{"model":"unpriced"}`, 403, "model_not_priced", false},
		"its automatic groups only": {func(h *house) {
			h.key.Group, h.parent.Group, h.parent.Limits.AutoGroups = key.GroupAuto, key.GroupAuto, []string{"vip"}
		}, body, 403, "group_not_allowed", false},
		"its groups and the child's": {func(h *house) {
			h.key.Group, h.parent.Group, h.key.Limits.AutoGroups, h.parent.Limits.AutoGroups = key.GroupAuto, key.GroupAuto, []string{"default"}, []string{"vip"}
		}, body, 403, "group_not_allowed", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, func(http.ResponseWriter, *http.Request) { t.Error("the upstream was called") }, issued, row.change)
			var c client
			h.do(t.Context(), row.body, &c)
			if c.status != row.status || !strings.Contains(c.body.String(), `"code":"`+row.code+`"`) || strings.Contains(c.body.String(), "parent") != row.parents {
				t.Errorf("client got %d %s", c.status, c.body.String())
			}
			if r := h.settled(); r.Cost != 0 || r.ErrorCode != row.code || r.ParentID != 6 {
				t.Errorf("record = %+v", r)
			}
			model, _, _ := strings.Cut(strings.TrimPrefix(row.body, `{"model":"`), `"`)
			v, err := h.Verify(t.Context(), h.key, h.owner, gateway.Question{Model: model, IP: netip.MustParseAddr("192.0.2.1"), Endpoint: "chat"})
			if err != nil || v.Allowed || v.Refusal.Code != row.code || strings.Contains(v.Refusal.Message, "parent") != row.parents {
				t.Errorf("verify says %+v, %v", v, err)
			}
		})
	}
}

func TestAutomaticRoutingOfAChildIsTheNearestOrder(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ own, parents []string }{
		"the parent's":           {nil, []string{"default", "vip"}},
		"its own":                {[]string{"default"}, nil},
		"what both of them have": {[]string{"vip", "default"}, []string{"default"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, answers(200, "application/json", plainAnswer), issued, func(h *house) {
				h.key.Group, h.parent.Group, h.key.Limits.AutoGroups, h.parent.Limits.AutoGroups = key.GroupAuto, key.GroupAuto, row.own, row.parents
			})
			var c client
			if h.do(t.Context(), `{"model":"m"}`, &c); c.status != 200 {
				t.Errorf("client got %d %s", c.status, c.body.String())
			}
		})
	}
}

func TestAChildsModelsAreThoseThatItsParentHasToo(t *testing.T) {
	t.Parallel()
	limited := func(h *house) {
		h.key.Unlimited, h.owner.Unlimited = true, true // the parent is limited: nothing without a price
		h.key.ModelLimitsEnabled, h.key.Models = true, []string{"m", "unpriced"}
	}
	h := newHouse(t, answers(200, "application/json", plainAnswer), issued, limited)
	ip := netip.MustParseAddr("192.0.2.1")
	models, err := h.Models(t.Context(), h.key, h.owner, ip)
	if err != nil || len(models) != 1 || models[0].ID != "m" {
		t.Errorf("%v, %v", models, err)
	}
	h.parent.ModelLimitsEnabled, h.parent.Models = true, []string{"unpriced"}
	if models, err := h.Models(t.Context(), h.key, h.owner, ip); err != nil || len(models) != 0 {
		t.Errorf("a parent without it: %v, %v", models, err)
	}
	h.parent.AllowIPs = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	if _, err := h.Models(t.Context(), h.key, h.owner, ip); fault.Code(err) != "ip_not_allowed" {
		t.Errorf("an address that the parent has not: %v", err)
	}
	h.parent.Status = key.Disabled
	if _, err := h.Models(t.Context(), h.key, h.owner, ip); fault.Code(err) != "key_disabled" {
		t.Errorf("a disabled parent: %v", err)
	}
}

// The parent's remainder lowers the cap of an unlimited child's request.
func TestAParentsRemainderLowersItsChildsCap(t *testing.T) {
	t.Parallel()
	h := newHouse(t, answers(200, "application/json", `{"choices":[{}],"usage":{"prompt_tokens":5,"completion_tokens":9}}`), issued, func(h *house) {
		h.key.Unlimited, h.parent.Granted = true, 500*1000
	})
	var c client
	h.do(t.Context(), `{"model":"m","max_tokens":100000}`, &c)
	if c.status != 200 || c.header.Get("X-Halley-Output-Cap") == "" {
		t.Errorf("client got %d, %v: %s", c.status, c.header, c.body.String())
	}
	if r := h.records[0]; r.Held > 500*1000 {
		t.Errorf("record = %+v", r)
	}
}

func TestAChildOfAKeyThatIsGoneIsUnknown(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(http.ResponseWriter, *http.Request) { t.Error("the upstream was called") }, issued)
	for code, err := range map[string]error{
		"invalid_api_key":   fault.New(fault.Unauthenticated, "invalid_api_key", "unknown"),
		"store_unavailable": fault.New(fault.Unavailable, "store_unavailable", "away"),
	} {
		h.orphaned = err
		var c client
		h.do(t.Context(), `{"model":"m"}`, &c)
		if c.status != fault.From(err).Kind.Status() || !strings.Contains(c.body.String(), code) {
			t.Errorf("client got %d %s, want %s", c.status, c.body.String(), code)
		}
	}
	if h.unknown != 1 || len(h.records) != 0 {
		t.Errorf("%d unknown keys counted, %d records", h.unknown, len(h.records))
	}
}

// Children of one parent share its rates; what a refusal says is the tightest.
func TestAParentsRatesCountForItsChildren(t *testing.T) {
	t.Parallel()
	h := newHouse(t, answers(200, "application/json", plainAnswer), issued, func(h *house) {
		h.key.Limits.RPM, h.parent.Limits.RPM = new(int64(10)), new(int64(2))
	})
	sibling := *h.key
	sibling.ID = 8
	for i, row := range []struct {
		key    *key.Key
		status int
		left   string
	}{{h.key, 200, "1"}, {&sibling, 200, "0"}, {h.key, 429, "0"}, {&sibling, 429, "0"}} {
		h.key = row.key
		var c client
		h.do(t.Context(), `{"model":"m"}`, &c)
		if c.status != row.status || c.header.Get("X-Ratelimit-Limit-Requests") != "2" || c.header.Get("X-Ratelimit-Remaining-Requests") != row.left {
			t.Errorf("request %d: %d %v", i, c.status, c.header)
		}
		if c.status == 429 && (c.header.Get("Retry-After") == "" || !strings.Contains(c.body.String(), "parent")) {
			t.Errorf("request %d is refused with %v %s", i, c.header, c.body.String())
		}
	}
}
