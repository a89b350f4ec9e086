package storetest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/channel"
	"halley/internal/fault"
	"halley/internal/group"
	"halley/internal/key"
	"halley/internal/limit"
	"halley/internal/money"
	"halley/internal/store"
)

// RunGroups holds a store to group.Store.
func RunGroups(t *testing.T, open func(t *testing.T) *store.DB) {
	for name, check := range map[string]func(*testing.T, *store.DB){
		"a new database has the default group":              groupDefault,
		"a group is read back as it was added":              groupReadBack,
		"a name is taken once":                              groupNameOnce,
		"an update wants the version it saw":                groupUpdate,
		"a group that nothing uses is deleted":              groupDelete,
		"a group in use stays, and what uses it is counted": groupInUse,
		"names that look alike are told apart":              groupLookalikes,
		"all that uses a group can use another one":         groupMove,
		"what has no target is not moved":                   groupMoveNowhere,
		"users there are not are told":                      groupMissingUsers,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, open(t))
		})
	}
}

func groupDefault(t *testing.T, db *store.DB) {
	got, err := db.Groups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]*group.Group{{Name: group.Default, Ratio: money.One, Strategy: group.Weighted, Version: 1}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func groupReadBack(t *testing.T, db *store.DB) {
	for _, want := range []*group.Group{
		{Name: "everybody", Ratio: 0, Strategy: group.Weighted, Version: 1},
		{Name: "members", Ratio: money.MaxRatio, Desc: "fast 😀 \"quoted\"\nsecond line", UsableBy: &group.Audience{}, Strategy: group.LeastBusy, Version: 1},
		{Name: "some", Ratio: 1_000_001, UsableBy: &group.Audience{Groups: []string{"a", "b"}}, Strategy: group.Cheapest, Version: 1},
		{Name: "people", Ratio: 1, UsableBy: &group.Audience{Groups: []string{"a"}, Users: []int64{3, 1 << 40}}, Strategy: group.LeastLatency, Version: 1},
		{Name: "bound", Ratio: 1, Strategy: group.Weighted, Version: 1, Limits: limit.Limits{RPM: new(int64(0)), TPMInput: new(int64(5)), PerModel: map[string]limit.Rate{"a*": {RPM: new(int64(1))}}}},
	} {
		insertGroup(t, db, want)
		got, err := db.Group(t.Context(), want.Name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	all, err := db.Groups(t.Context())
	if err != nil || len(all) != 6 {
		t.Errorf("%d groups, %v; want the default and five", len(all), err)
	}
	if _, err := db.Group(t.Context(), "none"); fault.Code(err) != "group_not_found" {
		t.Errorf("a missing group: %v", err)
	}
}

func groupNameOnce(t *testing.T, db *store.DB) {
	insertGroup(t, db, &group.Group{Name: "vip", Ratio: money.One})
	insertGroup(t, db, &group.Group{Name: "VIP", Ratio: money.One})
	added, err := db.InsertGroup(t.Context(), &group.Group{Name: "vip", Ratio: 5})
	if err != nil || added {
		t.Errorf("added again: %v, %v", added, err)
	}
	if g, err := db.Group(t.Context(), "vip"); err != nil || g.Ratio != money.One {
		t.Errorf("the first is now %+v, %v", g, err)
	}
}

func groupUpdate(t *testing.T, db *store.DB) {
	insertGroup(t, db, &group.Group{Name: "vip", Ratio: money.One})
	want := &group.Group{Name: "vip", Ratio: 2 * money.One, Desc: "d", UsableBy: &group.Audience{Groups: []string{"gold"}}, Strategy: group.Cheapest, Version: 2, Limits: limit.Limits{RPD: new(int64(9))}}
	updated, err := db.UpdateGroup(t.Context(), want, 1)
	if err != nil || !updated {
		t.Fatal(updated, err)
	}
	if updated, err = db.UpdateGroup(t.Context(), &group.Group{Name: "vip"}, 1); err != nil || updated {
		t.Errorf("the old version was updated: %v, %v", updated, err)
	}
	if updated, err = db.UpdateGroup(t.Context(), &group.Group{Name: "none"}, 1); err != nil || updated {
		t.Errorf("a missing group was updated: %v, %v", updated, err)
	}
	got, err := db.Group(t.Context(), "vip")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func groupDelete(t *testing.T, db *store.DB) {
	insertGroup(t, db, &group.Group{Name: "vip", Ratio: money.One})
	if uses, err := db.DeleteGroup(t.Context(), "vip"); err != nil || !uses.None() {
		t.Fatal(uses, err)
	}
	if _, err := db.DeleteGroup(t.Context(), "vip"); fault.Code(err) != "group_not_found" {
		t.Errorf("delete again: %v", err)
	}
}

func groupInUse(t *testing.T, db *store.DB) {
	ctx := t.Context()
	insertGroup(t, db, &group.Group{Name: "vip", Ratio: money.One})
	owner := keyOwner(t, db, "ada")
	uses := func() group.Uses {
		t.Helper()
		uses, err := db.DeleteGroup(ctx, "vip")
		if err != nil {
			t.Fatal(err)
		}
		return uses
	}
	var keys []int64
	for i, k := range []*key.Key{
		{Group: "vip"}, {Group: "vip", Status: key.Disabled},
		{Group: key.GroupAuto, Limits: key.Limits{AutoGroups: []string{"default", "vip"}}},
		{Group: "vip", Limits: key.Limits{AutoGroups: []string{"vip"}}},
		{Group: "default", Limits: key.Limits{Metadata: map[string]string{"vip": "vip"}}},
	} {
		k.UserID, k.Name, k.ExpiresAt, k.Hash, k.Sealed = owner, "k", key.Never, []byte{byte(i)}, []byte("s")
		id, err := db.InsertKey(ctx, k, 100, budget.Cause{})
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, id)
	}
	one := insertChannel(t, db, &channel.Channel{Name: "one", Groups: []string{"default", "vip"}})
	two := insertChannel(t, db, &channel.Channel{Name: "two", Groups: []string{"vip"}})
	insertChannel(t, db, &channel.Channel{Groups: []string{"default"}, Tag: "vip"})
	if diff := cmp.Diff(group.Uses{
		Keys:     group.Use{N: 4, Some: []group.Named{{ID: keys[0], Name: "k"}, {ID: keys[1], Name: "k"}, {ID: keys[3], Name: "k"}, {ID: keys[2], Name: "k"}}},
		Channels: group.Use{N: 2, Some: []group.Named{{ID: one, Name: "one"}, {ID: two, Name: "two"}}},
	}, uses()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := db.DeleteKeys(ctx, owner, keys, noon); err != nil {
		t.Fatal(err)
	}
	for _, id := range []int64{one, two} {
		if _, err := db.DeleteChannel(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	bob := insertMember(t, db, "bob", "vip")
	if diff := cmp.Diff(group.Uses{Users: group.Use{N: 1, Some: []group.Named{{ID: bob, Name: "bob"}}}}, uses()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func groupLookalikes(t *testing.T, db *store.DB) {
	for _, name := range []string{"a_b", "A_B", "axb"} {
		insertGroup(t, db, &group.Group{Name: name, Ratio: money.One})
	}
	owner := keyOwner(t, db, "ada")
	k := &key.Key{UserID: owner, Name: "k", ExpiresAt: key.Never, Hash: []byte("h"), Sealed: []byte("s"), Limits: key.Limits{AutoGroups: []string{"a_b"}}}
	if _, err := db.InsertKey(t.Context(), k, 100, budget.Cause{}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{"A_B": 0, "axb": 0, "a_b": 1} {
		uses, err := db.DeleteGroup(t.Context(), name)
		if err != nil || uses.Keys.N != want || uses.Users.N+uses.Channels.N != 0 {
			t.Errorf("%s is used by %v, %v; want %d keys", name, uses, err, want)
		}
	}
}

func groupMove(t *testing.T, db *store.DB) {
	ctx := t.Context()
	for _, name := range []string{"old", "OLD", "new"} {
		insertGroup(t, db, &group.Group{Name: name, Ratio: money.One})
	}
	ada, bob := insertMember(t, db, "ada", "old"), insertMember(t, db, "bob", "OLD")
	type keyRow struct {
		Group string
		Auto  []string
	}
	var keys []int64
	before := []keyRow{{Group: "old"}, {"auto", []string{"default", "old"}}, {"old", []string{"new", "default", "old"}}, {"auto", []string{"old", "new"}}, {"OLD", []string{"OLD"}}, {Group: ""}}
	after := []keyRow{{Group: "new"}, {"auto", []string{"default", "new"}}, {"new", []string{"new", "default"}}, {"auto", []string{"new"}}, {"OLD", []string{"OLD"}}, {Group: ""}}
	for i, row := range before {
		k := &key.Key{UserID: ada, Name: "k", Group: row.Group, ExpiresAt: key.Never, Hash: []byte{byte(i)}, Sealed: []byte("s")}
		k.Limits = key.Limits{AutoGroups: row.Auto, Endpoints: []string{"chat"}, Metadata: map[string]string{"a": "old"}}
		id, err := db.InsertKey(ctx, k, 100, budget.Cause{})
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, id)
	}
	channels := map[int64][]string{
		insertChannel(t, db, &channel.Channel{Groups: []string{"default", "old"}}): {"default", "new"},
		insertChannel(t, db, &channel.Channel{Groups: []string{"old", "new"}}):     {"new"},
		insertChannel(t, db, &channel.Channel{Groups: []string{"OLD"}}):            {"OLD"},
	}
	if err := db.SaveOption(ctx, "auto_groups", `["old","default"]`); err != nil {
		t.Fatal(err)
	}
	moved, uses, err := db.MoveGroup(ctx, "old", "new")
	if err != nil || !uses.None() {
		t.Fatal(uses, err)
	}
	if diff := cmp.Diff([]int64{keys[0], keys[2], keys[1], keys[3]}, moved.Keys); diff != "" {
		t.Errorf("keys moved (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{ada}, moved.Users); diff != "" || len(moved.Channels) != 2 || !moved.AutoGroups {
		t.Errorf("%s moved %+v", diff, moved)
	}
	for i, id := range keys {
		k, err := db.KeyByID(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(after[i], keyRow{k.Group, k.Limits.AutoGroups}); diff != "" {
			t.Errorf("key %d (-want +got):\n%s", i, diff)
		}
		if i < 4 && (k.Version != 2 && k.Version != 3 || len(k.Limits.Endpoints) != 1 || k.Limits.Metadata["a"] != "old") {
			t.Errorf("key %d is now %+v", i, k)
		}
	}
	for id, want := range channels {
		c, err := db.Channel(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, c.Groups); diff != "" {
			t.Errorf("channel %d (-want +got):\n%s", id, diff)
		}
	}
	for id, want := range map[int64]string{ada: "new", bob: "OLD"} {
		if u, err := db.UserByID(ctx, id); err != nil || u.Group != want {
			t.Errorf("user %d is in %+v, %v; want %s", id, u, err, want)
		}
	}
	if options, err := db.LoadOptions(ctx); err != nil || options["auto_groups"] != `["new","default"]` {
		t.Errorf("the order of automatic routing is %s, %v", options["auto_groups"], err)
	}
	if _, err := db.Group(ctx, "old"); fault.Code(err) != "group_not_found" {
		t.Errorf("the group is still there: %v", err)
	}
}

func groupMoveNowhere(t *testing.T, db *store.DB) {
	insertGroup(t, db, &group.Group{Name: "old", Ratio: money.One})
	ada := insertMember(t, db, "ada", "old")
	if _, _, err := db.MoveGroup(t.Context(), "old", "none"); fault.Code(err) != "invalid_group" {
		t.Errorf("moved to a group there is not: %v", err)
	}
	if _, _, err := db.MoveGroup(t.Context(), "none", "old"); fault.Code(err) != "group_not_found" {
		t.Errorf("moved from a group there is not: %v", err)
	}
	if u, err := db.UserByID(t.Context(), ada); err != nil || u.Group != "old" {
		t.Errorf("the user is in %+v, %v", u, err)
	}
}

func groupMissingUsers(t *testing.T, db *store.DB) {
	ada, bob := insertMember(t, db, "ada", group.Default), insertMember(t, db, "bob", group.Default)
	if err := db.DeleteUser(t.Context(), bob, noon); err != nil {
		t.Fatal(err)
	}
	missing, err := db.MissingUsers(t.Context(), []int64{bob, ada, 404})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{bob, 404}, missing); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func insertMember(t *testing.T, db *store.DB, name, of string) int64 {
	t.Helper()
	u := &account.User{Username: name, PasswordHash: "x", Role: account.RoleUser, Status: account.Disabled, Group: of, Created: noon}
	if err := db.InsertUser(t.Context(), u, budget.Cause{}); err != nil {
		t.Fatal(err)
	}
	return u.ID
}

func insertGroup(t *testing.T, db *store.DB, g *group.Group) {
	t.Helper()
	if added, err := db.InsertGroup(t.Context(), g); err != nil || !added {
		t.Fatal(added, err)
	}
}
