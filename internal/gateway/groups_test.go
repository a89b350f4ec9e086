package gateway_test

import (
	"net/http"
	"slices"
	"testing"

	"halley/internal/channel"
	"halley/internal/gateway"
	"halley/internal/group"
	"halley/internal/key"
)

func TestAutomaticRoutingTakesOnlyGroupsThatTheOwnerMayUse(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		everybody, own []string
		change         func(*house)
		want           []string
	}{
		"the order for everybody":             {[]string{"vip", group.Default}, nil, func(h *house) { h.owner.Group = "vips" }, []string{"vip", group.Default}},
		"the key's own order":                 {[]string{group.Default}, []string{"vip"}, func(h *house) { h.owner.Group = "vips" }, []string{"vip"}},
		"a user who is listed":                {[]string{"vip", group.Default}, nil, func(h *house) { h.owner.ID = 33 }, []string{"vip", group.Default}},
		"a group that is not for them":        {[]string{"vip", group.Default}, nil, func(*house) {}, []string{group.Default}},
		"nor in their key's own order":        {nil, []string{"vip", group.Default}, func(*house) {}, []string{group.Default}},
		"a group that is gone, and one twice": {[]string{"gone", group.Default, group.Default}, nil, func(*house) {}, []string{group.Default}},
		"none is left":                        {[]string{"vip", "gone"}, nil, func(*house) {}, nil},
		"there is no order":                   {nil, nil, func(*house) {}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, answers(200, "application/json", plainAnswer), func(h *house) {
				h.autoGroups, h.key.Group, h.key.Limits.AutoGroups, h.key.CrossGroupRetry = row.everybody, key.GroupAuto, row.own, true
				h.channel.Groups = []string{group.Default, "vip"}
			}, row.change)
			v, err := h.Verify(t.Context(), h.key, h.owner, gateway.Question{Model: "m"})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(v.Groups, row.want) || v.Allowed != (row.want != nil) {
				t.Errorf("the groups are %v, allowed %v: %v", v.Groups, v.Allowed, v.Refusal)
			}
			var c client
			h.do(t.Context(), `{"model":"m"}`, &c)
			if r := h.settled(); row.want == nil && (c.status != 403 || r.ErrorCode != "group_not_allowed") || row.want != nil && (c.status != 200 || r.Group != row.want[0]) {
				t.Errorf("client got %d, record %+v", c.status, r)
			}
		})
	}
}

func TestAPlanSaysWhichChannelsAreLeftOut(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		change func(*house)
		plan   []int64
		over   map[int64]string
	}{
		"disabled":                             {func(h *house) { h.more[0].Status = channel.Disabled }, []int64{5, 7}, map[int64]string{6: "disabled"}},
		"in a group that is not come to":       {func(h *house) { h.key.CrossGroupRetry = false }, []int64{5, 6}, map[int64]string{7: "another group serves, and cross_group_retry is off"}},
		"without a price":                      {func(h *house) { h.channel.Models, h.more[0].Models = []string{"m"}, []string{"unpriced"} }, []int64{5, 7}, nil},
		"in two groups, of which one is there": {func(h *house) { h.more[0].Groups = []string{group.Default, "vip"} }, []int64{5, 6, 7}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, func(http.ResponseWriter, *http.Request) { t.Error("a dry run asked the upstream") }, crossing,
				(&calls{}).channel(t, 6, resets, group.Default), (&calls{}).channel(t, 7, resets, "vip"), tracked(t), row.change)
			v, err := h.Verify(t.Context(), h.key, h.owner, gateway.Question{Model: "m"})
			if err != nil || !v.Allowed {
				t.Fatal(v, err)
			}
			var plan []int64
			for _, step := range v.Plan {
				plan = append(plan, step.Channel.ID)
			}
			if !slices.Equal(plan, row.plan) || len(v.PassedOver) != len(row.over) {
				t.Errorf("the plan is %v, left out are %+v", plan, v.PassedOver)
			}
			for _, p := range v.PassedOver {
				if row.over[p.Channel.ID] != p.Why.String() {
					t.Errorf("channel %d is left out because: %s", p.Channel.ID, p.Why)
				}
			}
		})
	}
}

func TestAModelWithoutAPriceIsExplained(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil, func(h *house) { h.transport = http.DefaultTransport })
	v, err := h.Verify(t.Context(), h.key, h.owner, gateway.Question{Model: "unpriced"})
	if err != nil || v.Allowed || v.Refusal.Code != "model_not_priced" || len(v.PassedOver) != 1 || v.PassedOver[0].Why.String() != "the model has no price here" {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestUpstreamsAreComparedByWhatTheyCallTheModel(t *testing.T) {
	t.Parallel()
	cost := gateway.UpstreamCost(testBook(t))
	for name, row := range map[string]struct {
		ch    *channel.Channel
		model string
		cost  int64
		known bool
	}{
		"its own name's price":      {renamed(t, "public", "m"), "public", 3000*1000 + 1000*2000, true}, // nano-USD
		"which may be nothing":      {renamed(t, "public", "free"), "public", 0, true},
		"neither has one":           {renamed(t, "public", "nobody-knows"), "public", 0, false},
		"before the public one's":   {renamed(t, "m", "free"), "m", 0, true},
		"else the public one's":     {renamed(t, "m", "nobody-knows"), "m", 5_000_000, true},
		"a name that is not mapped": {&channel.Channel{}, "m", 5_000_000, true},
	} {
		if got, known := cost(row.ch, row.model); got != row.cost || known != row.known {
			t.Errorf("%s: %d, %v", name, got, known)
		}
	}
}

// renamed is a channel whose upstream knows the model by another name.
func renamed(t *testing.T, public, upstream string) *channel.Channel {
	t.Helper()
	m, err := channel.NewMapping(map[string]string{public: upstream})
	if err != nil {
		t.Fatal(err)
	}
	return &channel.Channel{ModelMapping: m}
}
