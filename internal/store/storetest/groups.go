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
	if diff := cmp.Diff([]*group.Group{{Name: group.Default, Ratio: money.One, Version: 1}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func groupReadBack(t *testing.T, db *store.DB) {
	for _, want := range []*group.Group{
		{Name: "everybody", Ratio: 0, Version: 1},
		{Name: "members", Ratio: money.MaxRatio, Desc: "fast 😀 \"quoted\"\nsecond line", UsableBy: []string{}, Version: 1},
		{Name: "some", Ratio: 1_000_001, UsableBy: []string{"a", "b"}, Version: 1},
		{Name: "bound", Ratio: 1, Version: 1, Limits: limit.Limits{RPM: new(int64(0)), TPMInput: new(int64(5)), PerModel: map[string]limit.Rate{"a*": {RPM: new(int64(1))}}}},
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
	if err != nil || len(all) != 5 {
		t.Errorf("%d groups, %v; want the default and four", len(all), err)
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
	want := &group.Group{Name: "vip", Ratio: 2 * money.One, Desc: "d", UsableBy: []string{"gold"}, Version: 2, Limits: limit.Limits{RPD: new(int64(9))}}
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
	one := insertChannel(t, db, &channel.Channel{Groups: []string{"default", "vip"}})
	two := insertChannel(t, db, &channel.Channel{Groups: []string{"vip"}})
	insertChannel(t, db, &channel.Channel{Groups: []string{"default"}, Tag: "vip"})
	if diff := cmp.Diff(group.Uses{Keys: 4, Channels: 2}, uses()); diff != "" {
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
	if err := db.InsertUser(ctx, &account.User{Username: "bob", PasswordHash: "x", Role: account.RoleUser, Status: account.Disabled, Group: "vip", Created: noon}, budget.Cause{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(group.Uses{Users: 1}, uses()); diff != "" {
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
	for name, want := range map[string]group.Uses{"A_B": {}, "axb": {}, "a_b": {Keys: 1}} {
		uses, err := db.DeleteGroup(t.Context(), name)
		if err != nil || uses != want {
			t.Errorf("%s is used by %v, %v; want %v", name, uses, err, want)
		}
	}
}

func insertGroup(t *testing.T, db *store.DB, g *group.Group) {
	t.Helper()
	if added, err := db.InsertGroup(t.Context(), g); err != nil || !added {
		t.Fatal(added, err)
	}
}
