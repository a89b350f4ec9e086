package group

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/limit"
	"halley/internal/money"
)

func TestNamesAreWhatURLsAndListsCanCarry(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, code string }{
		{"vip", ""}, {"VIP", ""}, {"a", ""}, {"team-1.eu_west", ""}, {"default", ""}, {"autobahn", ""},
		{strings.Repeat("x", 64), ""},
		{strings.Repeat("x", 65), "invalid_name"},
		{"", "name_required"},
		{" ", "invalid_name"}, {"a b", "invalid_name"}, {"a/b", "invalid_name"}, {"a,b", "invalid_name"},
		{".", "invalid_name"}, {"..", "invalid_name"}, {"…", "invalid_name"}, {"gruppe-ü", "invalid_name"},
		{"a\x00", "invalid_name"}, {"a\n", "invalid_name"}, {"👍", "invalid_name"},
		{"auto", "invalid_name"}, {"Auto", "invalid_name"},
	} {
		if got := fault.Code(CheckName(tc.name)); got != tc.code {
			t.Errorf("CheckName(%q): code %q, want %q", tc.name, got, tc.code)
		}
	}
}

func TestOwnersMayUseTheirOwnGroupAndThoseOpenToThem(t *testing.T) {
	t.Parallel()
	set := NewSet([]*Group{
		{Name: "vip", UsableBy: &Audience{Groups: []string{"gold", "silver"}, Users: []int64{9}}},
		{Name: "gold", UsableBy: &Audience{}},
		{Name: "default"},
	})
	for _, tc := range []struct {
		user User
		want []string
	}{
		{User{1, "default"}, []string{"default"}},
		{User{1, "gold"}, []string{"default", "gold", "vip"}},
		{User{1, "silver"}, []string{"default", "vip"}},
		{User{1, "vip"}, []string{"default", "vip"}},
		{User{9, "default"}, []string{"default", "vip"}},
		{User{9, "gold"}, []string{"default", "gold", "vip"}},
		{User{1, ""}, []string{"default"}},
	} {
		var got []string
		for _, g := range set.For(tc.user) {
			got = append(got, g.Name)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("For(%v) = %v, want %v", tc.user, got, tc.want)
		}
		for _, g := range set.All() {
			if usable := set.Usable(g.Name, tc.user); usable != slices.Contains(tc.want, g.Name) {
				t.Errorf("Usable(%q, %v) = %v", g.Name, tc.user, usable)
			}
		}
	}
	if set.Usable("nowhere", User{1, "nowhere"}) {
		t.Error("a group that does not exist is usable by its would-be members")
	}
}

func TestFieldsAreChecked(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change Change
		code   string
		want   *Group
	}{
		{"nothing given", Change{}, "", &Group{Name: "g", Strategy: Weighted, Ratio: money.One, Version: 1}},
		{"free", Change{Ratio: new("0")}, "", &Group{Name: "g", Strategy: Weighted, Version: 1}},
		{"exact to 6 places", Change{Ratio: new("1.000001")}, "", &Group{Name: "g", Strategy: Weighted, Ratio: 1_000_001, Version: 1}},
		{"7 places", Change{Ratio: new("1.0000001")}, "invalid_ratio", nil},
		{"negative", Change{Ratio: new("-1")}, "invalid_ratio", nil},
		{"exponent", Change{Ratio: new("1e3")}, "invalid_ratio", nil},
		{"blank", Change{Ratio: new(" ")}, "invalid_ratio", nil},
		{"not a number", Change{Ratio: new("NaN")}, "invalid_ratio", nil},
		{"huge", Change{Ratio: new("9223372036854775808")}, "invalid_ratio", nil},
		{"emoji", Change{Desc: new(" fast 🚀 ")}, "", &Group{Name: "g", Strategy: Weighted, Ratio: money.One, Desc: "fast 🚀", Version: 1}},
		{"long", Change{Desc: new(strings.Repeat("é", MaxDesc+1))}, "desc_too_long", nil},
		{"control", Change{Desc: new("a\x00b")}, "invalid_desc", nil},
		{"doubles", Change{UsableBy: new(&Audience{Groups: []string{"a", "b", "a"}})}, "", &Group{Name: "g", Strategy: Weighted, Ratio: money.One, UsableBy: &Audience{Groups: []string{"a", "b"}}, Version: 1}},
		{"members only", Change{UsableBy: new(&Audience{})}, "", &Group{Name: "g", Strategy: Weighted, Ratio: money.One, UsableBy: &Audience{}, Version: 1}},
		{"everybody", Change{UsableBy: new((*Audience)(nil))}, "", &Group{Name: "g", Strategy: Weighted, Ratio: money.One, Version: 1}},
		{"no name", Change{UsableBy: new(&Audience{Groups: []string{""}})}, "invalid_usable_by", nil},
		{"auto is nobody's", Change{UsableBy: new(&Audience{Groups: []string{"auto"}})}, "invalid_usable_by", nil},
		{"single users", Change{UsableBy: new(&Audience{Groups: []string{"a"}, Users: []int64{1, 2, 1}})}, "", &Group{Name: "g", Strategy: Weighted, Ratio: money.One, UsableBy: &Audience{Groups: []string{"a"}, Users: []int64{1, 2}}, Version: 1}},
		{"a user there is not", Change{UsableBy: new(&Audience{Users: []int64{1, nobody}})}, "invalid_usable_by", nil},
		{"too many users", Change{UsableBy: new(&Audience{Users: make([]int64, MaxUsableByUsers+1)})}, "invalid_usable_by", nil},
		{"a strategy", Change{Strategy: new(Cheapest)}, "", &Group{Name: "g", Strategy: Cheapest, Ratio: money.One, Version: 1}},
		{"a strategy there is not", Change{Strategy: new(Strategy("random"))}, "invalid_strategy", nil},
		{"no strategy", Change{Strategy: new(Strategy(""))}, "invalid_strategy", nil},
		{"limits", Change{Limits: &limit.Patch{RPM: jsonx.Some(int64(0))}}, "", &Group{Name: "g", Strategy: Weighted, Ratio: money.One, Version: 1, Limits: limit.Limits{RPM: new(int64(0))}}},
		{"a negative limit", Change{Limits: &limit.Patch{TPMOutput: jsonx.Some(int64(-1))}}, "invalid_limits", nil},
		{"too many", Change{UsableBy: new(&Audience{Groups: make([]string, MaxUsableBy+1)})}, "invalid_usable_by", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := NewService(&table{}).Create(t.Context(), "g", tc.change)
			if fault.Code(err) != tc.code {
				t.Fatalf("error %v, want code %q", err, tc.code)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAChangeIsSeenByTheNextRead(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := NewService(&table{groups: map[string]Group{Default: {Name: Default, Ratio: money.One, Version: 1}}})
	swaps := 0
	s.OnChange(func() { swaps++ })
	if err := s.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	before := s.Current()
	if _, err := s.Create(ctx, "vip", Change{Ratio: new("2")}); err != nil {
		t.Fatal(err)
	}
	if _, ok := before.Get("vip"); ok {
		t.Error("a set handed out earlier has changed")
	}
	if g, ok := s.Current().Get("vip"); !ok || g.Ratio != 2*money.One {
		t.Errorf("the new group is not in the set: %+v", g)
	}
	if _, err := s.Update(ctx, "vip", Change{Desc: new("fast")}, new(int64(1))); err != nil {
		t.Fatal(err)
	}
	if g, _ := s.Current().Get("vip"); g.Desc != "fast" || g.Ratio != 2*money.One || g.Version != 2 {
		t.Errorf("after the update the set has %+v", g)
	}
	if _, err := s.Update(ctx, "vip", Change{Limits: &limit.Patch{RPM: jsonx.Some(int64(5)), TPM: jsonx.Some(int64(0))}}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(ctx, "vip", Change{Limits: &limit.Patch{RPM: jsonx.Opt[int64]{Set: true, Null: true}}}, nil); err != nil {
		t.Fatal(err)
	}
	if g, _ := s.Current().Get("vip"); g.Limits.RPM != nil || g.Limits.TPM == nil || *g.Limits.TPM != 0 || g.Desc != "fast" {
		t.Errorf("after limits were set and one taken away the set has %+v", g)
	}
	if _, err := s.Update(ctx, "vip", Change{Desc: new("slow")}, new(int64(1))); !fault.Is(err, fault.PreconditionFailed) {
		t.Errorf("an update of an old version: %v, want 412", err)
	}
	if _, err := s.Delete(ctx, "vip", ""); err != nil {
		t.Fatal(err)
	}
	if s.Current().Usable("vip", User{1, "vip"}) {
		t.Error("a deleted group is still usable")
	}
	if swaps != 6 {
		t.Errorf("the hook ran %d times, want 6: reload, create, three updates, delete", swaps)
	}
}

func TestConflictsAreNamed(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := NewService(&table{
		groups: map[string]Group{Default: {Name: Default}, "used": {Name: "used"}},
		uses:   Uses{Keys: Use{N: 3}, Channels: Use{N: 1, Some: []Named{{7, "c"}}}},
	})
	for _, tc := range []struct {
		name string
		err  error
		code string
		says string
	}{
		{"a name twice", second(s.Create(ctx, "used", Change{})), "group_exists", `"used"`},
		{"the default", second(s.Delete(ctx, Default, "")), "default_group", `"default"`},
		{"one in use", second(s.Delete(ctx, "used", "")), "group_in_use", "3 keys and 1 channel (c 7)"},
		{"move to itself", second(s.Delete(ctx, "used", "used")), "invalid_group", "move_to"},
		{"move to what cannot be", second(s.Delete(ctx, "used", "auto")), "invalid_group", "move_to"},
		{"delete none", second(s.Delete(ctx, "none", "")), "group_not_found", `"none"`},
		{"update none", second(s.Update(ctx, "none", Change{}, nil)), "group_not_found", `"none"`},
	} {
		if fault.Code(tc.err) != tc.code || !strings.Contains(fault.From(tc.err).Message, tc.says) {
			t.Errorf("%s: %v, want %s saying %s", tc.name, tc.err, tc.code, tc.says)
		}
	}
}

func TestUpdateThatLosesARaceLooksAgain(t *testing.T) {
	t.Parallel()
	store := &table{groups: map[string]Group{"g": {Name: "g", Ratio: money.One, Version: 1}}}
	store.between = func() {
		store.groups["g"] = Group{Name: "g", Ratio: 5 * money.One, Version: 2}
		store.between = nil
	}
	g, err := NewService(store).Update(t.Context(), "g", Change{Desc: new("mine")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&Group{Name: "g", Ratio: 5 * money.One, Desc: "mine", Version: 3}, g); diff != "" {
		t.Errorf("the other change was lost: %s", diff)
	}
}

func TestUsesAreCountedInWords(t *testing.T) {
	t.Parallel()
	for want, uses := range map[string]Uses{
		"nothing":                       {},
		"1 user":                        {Users: Use{N: 1}},
		"2 keys, 1 user and 5 channels": {Keys: Use{N: 2}, Users: Use{N: 1}, Channels: Use{N: 5}},
		"2 users (ada 1, bob 2)":        {Users: Use{N: 2, Some: []Named{{1, "ada"}, {2, "bob"}}}},
		"9 keys (k 4, …)":               {Keys: Use{N: 9, Some: []Named{{4, "k"}}}},
	} {
		if got := uses.String(); got != want {
			t.Errorf("%+v reads %q, want %q", uses, got, want)
		}
	}
}

func TestWhatUsedAGroupFollowsItBeforeItIsGone(t *testing.T) {
	t.Parallel()
	store := &table{groups: map[string]Group{Default: {Name: Default}, "old": {Name: "old"}, "new": {Name: "new"}}, moved: Moved{Keys: []int64{3}, Users: []int64{4}}}
	s := NewService(store)
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	var heard []Moved
	s.OnMove(func(_ context.Context, m Moved) error {
		if _, there := s.Current().Get("old"); !there {
			t.Error("the old group was gone before what used it could follow")
		}
		heard = append(heard, m)
		return nil
	})
	moved, err := s.Delete(t.Context(), "old", "new")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Moved{store.moved, store.moved}, append(heard, moved)); diff != "" {
		t.Errorf("heard and told (-want +got):\n%s", diff)
	}
	if _, there := s.Current().Get("old"); there {
		t.Error("the group is still there")
	}
}

func TestAListedUserWhoIsGoneDoesNotStandInTheWay(t *testing.T) {
	t.Parallel()
	s := NewService(&table{groups: map[string]Group{"g": {Name: "g", UsableBy: &Audience{Users: []int64{nobody}}}}})
	if _, err := s.Update(t.Context(), "g", Change{UsableBy: new(&Audience{Users: []int64{nobody, 1}})}, nil); err != nil {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }

// nobody is the id of a user there is not.
const nobody = 404

// table is a store in memory whose groups all have the same uses.
type table struct {
	groups  map[string]Group
	uses    Uses
	moved   Moved
	between func() // runs once between a read and the write that follows
}

func (m *table) Groups(context.Context) ([]*Group, error) {
	var list []*Group
	for _, g := range m.groups {
		list = append(list, &g)
	}
	return list, nil
}

func (m *table) Group(_ context.Context, name string) (*Group, error) {
	g, ok := m.groups[name]
	if !ok {
		return nil, NotFound(name)
	}
	return &g, nil
}

func (m *table) InsertGroup(_ context.Context, g *Group) (bool, error) {
	if _, taken := m.groups[g.Name]; taken {
		return false, nil
	}
	if m.groups == nil {
		m.groups = map[string]Group{}
	}
	m.groups[g.Name] = *g
	return true, nil
}

func (m *table) UpdateGroup(_ context.Context, g *Group, version int64) (bool, error) {
	if m.between != nil {
		m.between()
	}
	if m.groups[g.Name].Version != version {
		return false, nil
	}
	m.groups[g.Name] = *g
	return true, nil
}

func (m *table) DeleteGroup(_ context.Context, name string) (Uses, error) {
	if _, ok := m.groups[name]; !ok {
		return Uses{}, NotFound(name)
	}
	if m.uses.None() {
		delete(m.groups, name)
	}
	return m.uses, nil
}

func (m *table) MoveGroup(_ context.Context, name, _ string) (Moved, Uses, error) {
	delete(m.groups, name)
	return m.moved, Uses{}, nil
}

func (m *table) MissingUsers(_ context.Context, ids []int64) ([]int64, error) {
	return slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return id != nobody }), nil
}
