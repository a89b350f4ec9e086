package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/key"
	"halley/internal/limit"
	"halley/internal/money"
	"halley/internal/store"
	"halley/internal/usage"
)

// RunKeys checks that a database keeps keys as key.Store promises.
func RunKeys(t *testing.T, open func(t *testing.T) *store.DB) {
	for name, check := range map[string]func(*testing.T, *store.DB){
		"a key is read back as it was added":            keyReadBack,
		"a missing key is not found":                    keyMissing,
		"a missing owner is not found":                  keyWithoutOwner,
		"an owner has at most so many keys":             keyMost,
		"a value belongs to one key for ever":           keyValueOnce,
		"an update replaces the record if it is ours":   keyUpdate,
		"a grant moves by differences":                  keyGrant,
		"a deletion is for good and for its owner only": keyDelete,
		"a list is newest first, in pages":              keyPages,
		"keys that need a look are found":               keyWatched,
		"a list is sorted as asked":                     keySorted,
		"a list is narrowed by name":                    keyKeyword,
		"a list is narrowed by the status in effect":    keyEffective,
		"a list is narrowed by group and last four":     keyGroupAndLast4,
		"a list is narrowed by parent":                  keyByParent,
		"a child is issued by a key of its owner's":     keyIssued,
		"a deletion ends the children as well":          keyDeleteChildren,
		"no child outlives its parent":                  keyOrphans,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, open(t))
		})
	}
}

var ignoreRules = cmp.Options{cmpopts.IgnoreUnexported(key.Key{}), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}

func keyOwner(t *testing.T, db *store.DB, name string) int64 {
	t.Helper()
	u := &account.User{Username: name, PasswordHash: "x", Role: account.RoleUser, Status: account.Enabled, Group: "default", Created: time.UnixMilli(1)}
	if err := db.InsertUser(t.Context(), u, budget.Cause{}); err != nil {
		t.Fatal(err)
	}
	return u.ID
}

// aKey is a plain key whose value's hash is made of its name.
func aKey(owner int64, name string) *key.Key {
	hash := bytes.Repeat([]byte{0}, 32)
	copy(hash, name)
	now := time.UnixMilli(1_700_000_000_123).UTC()
	return &key.Key{
		UserID: owner, Status: key.Enabled, Name: name, Created: now, Accessed: now, ExpiresAt: key.Never, Version: 1,
		Granted: money.FromUnits(100), Last4: "abcd", Sealed: []byte{1, 2, 3}, Hash: hash,
	}
}

func insertKey(t *testing.T, db *store.DB, k *key.Key) *key.Key {
	t.Helper()
	id, err := db.InsertKey(t.Context(), k, 1000, budget.Cause{})
	if err != nil {
		t.Fatal(err)
	}
	k.ID = id
	return k
}

func keyReadBack(t *testing.T, db *store.DB) {
	owner := keyOwner(t, db, "ada")
	plain := insertKey(t, db, aKey(owner, "plain"))
	full := aKey(owner, "Füll 🔑 %_\\")
	full.Status, full.ExpiresAt, full.Unlimited, full.ModelLimitsEnabled, full.Group, full.CrossGroupRetry = key.Disabled, key.MaxExpiresAt, true, true, "auto", true
	full.Granted = money.Max
	full.Models = []string{"gpt-5*", "o3"}
	full.AllowIPs = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("::1/128")}
	full.Limits = key.Limits{
		Limits: limit.Limits{
			RPM: new(int64(0)), RPD: new(int64(5)), TPM: new(int64(6)), TPMInput: new(int64(8)), TPMOutput: new(int64(0)), Concurrency: new(int64(7)),
			PerModel: map[string]limit.Rate{"a*": {RPM: new(int64(1)), TPMOutput: new(int64(2))}, "b": {}},
		},
		Budgets:   []budget.Renewing{{Amount: 5, Period: "hours:5", TimeZone: "Europe/Berlin"}},
		Endpoints: []string{}, AutoGroups: []string{"vip"}, ParentID: &plain.ID, Metadata: map[string]string{"team": "söarch\n"},
	}
	insertKey(t, db, full)
	full.Parent = &key.Parent{Status: plain.Status, ExpiresAt: plain.ExpiresAt, Granted: plain.Granted}
	for _, want := range []*key.Key{plain, full} {
		byID, err := db.KeyByID(t.Context(), want.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, byID, ignoreRules); diff != "" {
			t.Errorf("by id (-added +read):\n%s", diff)
		}
		byHash, err := db.KeyByHash(t.Context(), want.Hash, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(byID, byHash, ignoreRules); diff != "" {
			t.Errorf("by id and by hash differ:\n%s", diff)
		}
	}
}

func keyMissing(t *testing.T, db *store.DB) {
	if _, err := db.KeyByID(t.Context(), 99); !fault.Is(err, fault.NotFound) {
		t.Errorf("by id: %v", err)
	}
	if _, err := db.KeyByHash(t.Context(), bytes.Repeat([]byte{9}, 32), time.Now()); !fault.Is(err, fault.NotFound) {
		t.Errorf("by hash: %v", err)
	}
	if done, err := db.UpdateKey(t.Context(), &key.Key{ID: 99, Version: 1}, 0, budget.Cause{}); done || err != nil {
		t.Errorf("update: %v, %v", done, err)
	}
	if done, err := db.GrantKey(t.Context(), 99, 1, budget.Cause{}); done || err != nil {
		t.Errorf("grant: %v, %v", done, err)
	}
	if gone, err := db.DeleteKeys(t.Context(), 1, []int64{99}, time.Now()); len(gone.All()) != 0 || err != nil {
		t.Errorf("delete: %v, %v", gone, err)
	}
}

func keyWithoutOwner(t *testing.T, db *store.DB) {
	if _, err := db.InsertKey(t.Context(), aKey(99, "orphan"), 10, budget.Cause{}); fault.Code(err) != "user_not_found" {
		t.Errorf("err = %v", err)
	}
}

func keyMost(t *testing.T, db *store.DB) {
	const most = 5
	owner := keyOwner(t, db, "ada")
	other := keyOwner(t, db, "bob")
	var added atomic.Int64
	var wg sync.WaitGroup
	for i := range 3 * most {
		wg.Go(func() {
			_, err := db.InsertKey(t.Context(), aKey(owner, fmt.Sprint("key ", i)), most, budget.Cause{})
			switch {
			case err == nil:
				added.Add(1)
			case !errors.Is(err, key.ErrTooMany):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if added.Load() != most {
		t.Errorf("%d keys were added, want %d", added.Load(), most)
	}
	if _, err := db.InsertKey(t.Context(), aKey(other, "bob's"), most, budget.Cause{}); err != nil {
		t.Errorf("another owner: %v", err)
	}
	keys, _, err := db.Keys(t.Context(), key.Query{UserID: owner, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.DeleteKeys(t.Context(), owner, []int64{keys[0].ID}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := db.InsertKey(t.Context(), aKey(owner, "after a deletion"), most, budget.Cause{}); err != nil {
		t.Errorf("deleted keys count: %v", err)
	}
}

func keyValueOnce(t *testing.T, db *store.DB) {
	owner := keyOwner(t, db, "ada")
	k := insertKey(t, db, aKey(owner, "first"))
	twin := aKey(owner, "second")
	twin.Hash = k.Hash
	if _, err := db.InsertKey(t.Context(), twin, 10, budget.Cause{}); !errors.Is(err, key.ErrValueTaken) {
		t.Errorf("a value in use: %v", err)
	}
	if _, err := db.DeleteKeys(t.Context(), owner, []int64{k.ID}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := db.InsertKey(t.Context(), twin, 10, budget.Cause{}); !errors.Is(err, key.ErrValueTaken) {
		t.Errorf("a deleted key's value: %v", err)
	}
	if _, total, err := db.Keys(t.Context(), key.Query{UserID: owner, Limit: 10}); total != 0 || err != nil {
		t.Errorf("%d keys are left of refused inserts, %v", total, err)
	}
}

func keyUpdate(t *testing.T, db *store.DB) {
	k := insertKey(t, db, aKey(keyOwner(t, db, "ada"), "before"))
	next := *k
	next.Name, next.Status, next.ExpiresAt, next.Unlimited, next.ModelLimitsEnabled = "After", key.Expired, 1_800_000_000, true, true
	next.Models, next.AllowIPs, next.Group, next.CrossGroupRetry = []string{"m"}, []netip.Prefix{netip.MustParsePrefix("::/0")}, "vip", true
	next.Limits = key.Limits{Limits: limit.Limits{RPM: new(int64(1))}}
	if done, err := db.UpdateKey(t.Context(), &next, -money.Unit, budget.Cause{}); !done || err != nil {
		t.Fatalf("update: %v, %v", done, err)
	}
	want := next
	want.Version, want.Granted = 2, k.Granted-money.Unit
	got, err := db.KeyByID(t.Context(), k.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, got, ignoreRules); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if done, err := db.UpdateKey(t.Context(), &next, money.Unit, budget.Cause{}); done || err != nil {
		t.Errorf("an update from an old version: %v, %v", done, err)
	}
	if again, _ := db.KeyByID(t.Context(), k.ID); again.Granted != want.Granted || again.Version != 2 {
		t.Errorf("a refused update changed the record: %+v", again)
	}
}

func keyGrant(t *testing.T, db *store.DB) {
	k := insertKey(t, db, aKey(keyOwner(t, db, "ada"), "k"))
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if done, err := db.GrantKey(t.Context(), k.ID, 7, budget.Cause{}); !done || err != nil {
				t.Errorf("grant: %v, %v", done, err)
			}
		})
	}
	wg.Wait()
	got, err := db.KeyByID(t.Context(), k.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Granted != k.Granted+70 || got.Version != 11 {
		t.Errorf("granted %d at version %d, want %d at 11", got.Granted, got.Version, k.Granted+70)
	}
}

func keyDelete(t *testing.T, db *store.DB) {
	ada, bob := keyOwner(t, db, "ada"), keyOwner(t, db, "bob")
	a, b, mine := insertKey(t, db, aKey(ada, "a")), insertKey(t, db, aKey(ada, "b")), insertKey(t, db, aKey(bob, "c"))
	deleted, err := db.DeleteKeys(t.Context(), ada, []int64{b.ID, a.ID, mine.ID, a.ID, 99}, time.Now())
	if err != nil || !slices.Equal(deleted.Asked, []int64{a.ID, b.ID}) || len(deleted.Children) != 0 {
		t.Fatalf("deleted %v, %v, want %v", deleted, err, []int64{a.ID, b.ID})
	}
	if _, err := db.KeyByHash(t.Context(), a.Hash, time.Now()); !fault.Is(err, fault.NotFound) {
		t.Errorf("a deleted value: %v", err)
	}
	if done, err := db.GrantKey(t.Context(), a.ID, 1, budget.Cause{}); done || err != nil {
		t.Errorf("grant on a deleted key: %v, %v", done, err)
	}
	if done, err := db.UpdateKey(t.Context(), a, 1, budget.Cause{}); done || err != nil {
		t.Errorf("update of a deleted key: %v, %v", done, err)
	}
	if _, err := db.KeyByID(t.Context(), mine.ID); err != nil {
		t.Errorf("another owner's key: %v", err)
	}
	if again, err := db.DeleteKeys(t.Context(), ada, []int64{a.ID}, time.Now()); len(again.All()) != 0 || err != nil {
		t.Errorf("deleted twice: %v, %v", again, err)
	}
}

// names lists what a query finds.
func names(t *testing.T, db *store.DB, q key.Query) ([]string, int64) {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	keys, total, err := db.Keys(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	found := []string{}
	for _, k := range keys {
		found = append(found, k.Name)
	}
	return found, total
}

func keyPages(t *testing.T, db *store.DB) {
	ada, bob := keyOwner(t, db, "ada"), keyOwner(t, db, "bob")
	for i := range 5 {
		insertKey(t, db, aKey(ada, fmt.Sprint("k", i)))
		insertKey(t, db, aKey(bob, fmt.Sprint("b", i)))
	}
	for _, row := range []struct {
		limit, offset int64
		want          []string
	}{
		{2, 0, []string{"k4", "k3"}}, {2, 2, []string{"k2", "k1"}}, {2, 4, []string{"k0"}}, {2, 6, []string{}}, {100, 0, []string{"k4", "k3", "k2", "k1", "k0"}}, {2, 1 << 62, []string{}},
	} {
		got, total := names(t, db, key.Query{UserID: ada, Limit: row.limit, Offset: row.offset})
		if diff := cmp.Diff(row.want, got); diff != "" || total != 5 {
			t.Errorf("limit %d offset %d: total %d (-want +got):\n%s", row.limit, row.offset, total, diff)
		}
	}
}

func keyWatched(t *testing.T, db *store.DB) {
	ada, bob := keyOwner(t, db, "ada"), keyOwner(t, db, "bob")
	now := time.UnixMilli(1_700_000_000_000)
	for name, change := range map[string]func(*key.Key){
		"plain":            func(*key.Key) {},
		"expires in a day": func(k *key.Key) { k.ExpiresAt = now.Unix() + 86_400 },
		"expires in two":   func(k *key.Key) { k.ExpiresAt = now.Unix() + 2*86_400 },
		"expires in years": func(k *key.Key) { k.ExpiresAt = now.Unix() + 999*86_400 },
		"has expired":      func(k *key.Key) { k.ExpiresAt = now.Unix() - 1; k.Used = k.Granted * 99 / 100 },
		"disabled": func(k *key.Key) {
			k.Status, k.ExpiresAt = key.Disabled, now.Unix()+60
			k.Limits.Budgets = []budget.Renewing{{Amount: 1, Period: "day"}}
		},
		"a little left":      func(k *key.Key) { k.Used = k.Granted * 95 / 100 },
		"less left":          func(k *key.Key) { k.Used = k.Granted * 98 / 100 },
		"enough left":        func(k *key.Key) { k.Used = k.Granted * 89 / 100 },
		"unlimited":          func(k *key.Key) { k.Used, k.Unlimited = k.Granted, true },
		"exhausted just now": func(k *key.Key) { k.Used = k.Granted },
		"exhausted long ago": func(k *key.Key) { k.Used, k.Accessed = k.Granted, now.AddDate(-1, 0, 0) },
		"only asks":          func(k *key.Key) { k.Granted = 0 },
		"budgets": func(k *key.Key) {
			k.Limits.Budgets, k.Accessed = []budget.Renewing{{Amount: 1, Period: "day"}}, now.Add(-time.Hour)
		},
		"budgets, used later": func(k *key.Key) { k.Limits.Budgets = []budget.Renewing{{Amount: 1, Period: "day"}} },
		"looks like budgets":  func(k *key.Key) { k.Limits.Metadata = map[string]string{"budgets": `[{`, "more": `"budgets":[{`} },
	} {
		for _, owner := range []int64{ada, bob} {
			k := aKey(owner, name)
			k.Hash = append(k.Hash[:31:31], byte(owner))
			k.Accessed = now
			change(k)
			used := k.Used
			id := insertKey(t, db, k).ID
			apply(t, db, usage.Record{EventID: fmt.Sprint("e", id), RequestID: "r", Time: k.Accessed, KeyID: id, UserID: owner, Cost: used, Attempts: 1})
		}
	}
	for kind, want := range map[key.WatchKind][]string{
		key.WatchExpiring:   {"expires in a day", "expires in two"},
		key.WatchRunningOut: {"exhausted just now", "less left", "a little left"},
		key.WatchBudgets:    {"budgets, used later", "budgets"},
	} {
		for limit := range int64(4) {
			found, err := db.KeysToWatch(t.Context(), key.WatchQuery{Kind: kind, UserID: ada, Now: now, Until: now.AddDate(0, 0, 14), UsedSince: now.AddDate(0, 0, -7), Limit: limit + 1})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, k := range found {
				names = append(names, k.Name)
			}
			if wanted := want[:min(len(want), int(limit)+1)]; !slices.Equal(names, wanted) {
				t.Errorf("kind %d, at most %d: %q, want %q", kind, limit+1, names, wanted)
			}
		}
	}
}

func keySorted(t *testing.T, db *store.DB) {
	ada, bob := keyOwner(t, db, "ada"), keyOwner(t, db, "bob")
	for i, name := range []string{"b first", "A second", "c third", "a second too"} {
		k := aKey(ada, name)
		k.Granted, k.ExpiresAt = money.FromUnits([]int64{30, 10, 0, 20}[i]), []int64{key.Never, 900, 800, 900}[i]
		k.Unlimited = name == "c third"
		k.Accessed = k.Accessed.Add(time.Duration([]int{2, 1, 4, 3}[i]) * time.Minute)
		insertKey(t, db, k)
		insertKey(t, db, aKey(bob, "not "+name))
	}
	b, a2, c, a4 := "b first", "A second", "c third", "a second too"
	for by, want := range map[key.Sort][]string{
		"": {a4, c, a2, b}, "created": {b, a2, c, a4}, "-created": {a4, c, a2, b},
		"name": {a2, a4, b, c}, "-name": {c, b, a4, a2},
		"remaining": {a2, a4, b, c}, "-remaining": {c, b, a4, a2},
		"last_used": {a2, b, a4, c}, "-last_used": {c, a4, b, a2},
		"expires": {c, a4, a2, b}, "-expires": {b, a4, a2, c}, // alike: the newer first
		"used": {a4, c, a2, b}, "-used": {a4, c, a2, b},
	} {
		if got, _ := names(t, db, key.Query{UserID: ada, Sort: by}); !slices.Equal(got, want) {
			t.Errorf("by %q: %q, want %q", by, got, want)
		}
		var paged []string
		for offset := range int64(4) {
			one, total := names(t, db, key.Query{UserID: ada, Sort: by, Limit: 1, Offset: offset})
			if paged = append(paged, one...); total != 4 {
				t.Errorf("by %q: total %d", by, total)
			}
		}
		if !slices.Equal(paged, want) {
			t.Errorf("by %q, one a page: %q, want %q", by, paged, want)
		}
	}
	if len(key.Sorts()) != 12 {
		t.Errorf("%d orders, and 12 are tested here", len(key.Sorts()))
	}
}

func keyKeyword(t *testing.T, db *store.DB) {
	ada := keyOwner(t, db, "ada")
	for _, name := range []string{"Production", "100% sure", "snake_case", `back\slash`, "ÄÖÜ groß", "plain", "emoji 🔑"} {
		insertKey(t, db, aKey(ada, name))
	}
	for keyword, want := range map[string][]string{
		"pro": {"Production"}, "%": {"100% sure"}, "_": {"snake_case"}, `\`: {`back\slash`}, "äö": {"ÄÖÜ groß"}, "🔑": {"emoji 🔑"}, "zzz": {}, "100%_": {},
	} {
		got, total := names(t, db, key.Query{UserID: ada, Keyword: keyword})
		if diff := cmp.Diff(want, got); diff != "" || total != int64(len(want)) {
			t.Errorf("%q: total %d (-want +got):\n%s", keyword, total, diff)
		}
	}
}

func keyEffective(t *testing.T, db *store.DB) {
	ada, bob := keyOwner(t, db, "ada"), keyOwner(t, db, "bob")
	now := time.Unix(1_800_000_000, 0)
	for name, change := range map[string]func(*key.Key){
		"1 plain":               func(*key.Key) {},
		"1 unlimited and empty": func(k *key.Key) { k.Unlimited, k.Granted = true, 0 },
		"1 expires later":       func(k *key.Key) { k.ExpiresAt = now.Unix() + 1 },
		"1 one unit left":       func(k *key.Key) { k.Granted = money.Unit },
		"2 disabled, expired":   func(k *key.Key) { k.Status, k.ExpiresAt = key.Disabled, 1 },
		"3 expired just now":    func(k *key.Key) { k.ExpiresAt = now.Unix() },
		"3 expired and empty":   func(k *key.Key) { k.ExpiresAt, k.Granted = 1, 0 },
		"3 set":                 func(k *key.Key) { k.Status = key.Expired },
		"4 empty":               func(k *key.Key) { k.Granted = 0 },
		"4 a fraction left":     func(k *key.Key) { k.Granted = money.Unit - 1 },
		"4 set, unlimited":      func(k *key.Key) { k.Status, k.Unlimited = key.Exhausted, true },
	} {
		k := aKey(ada, name)
		change(k)
		insertKey(t, db, k)
	}
	for name, change := range map[string]func(parent, k *key.Key){
		"1 child of a plain one":               func(*key.Key, *key.Key) {},
		"1 child of an empty unlimited one":    func(p, _ *key.Key) { p.Unlimited, p.Granted = true, 0 },
		"2 child of a disabled one, expired":   func(p, k *key.Key) { p.Status, k.ExpiresAt = key.Disabled, 1 },
		"3 child of an expired one, exhausted": func(p, k *key.Key) { p.ExpiresAt, k.Granted = now.Unix(), 0 },
		"3 child of one set to expired":        func(p, _ *key.Key) { p.Status = key.Expired },
		"4 child of one set to exhausted":      func(p, _ *key.Key) { p.Status = key.Exhausted },
		"4 unlimited child of an empty one":    func(p, k *key.Key) { p.Granted, k.Unlimited = 0, true },
	} {
		parent, k := aKey(bob, "of "+name), aKey(bob, name)
		change(parent, k)
		k.Limits.ParentID = &insertKey(t, db, parent).ID
		insertKey(t, db, k)
	}
	for status, count := range map[key.Status]int64{key.Enabled: 2, key.Disabled: 1, key.Expired: 2, key.Exhausted: 2} {
		got, total := names(t, db, key.Query{UserID: bob, Keyword: "child", Status: status, Now: now})
		got = slices.DeleteFunc(got, func(name string) bool { return strings.HasPrefix(name, "of ") })
		if int64(len(got)) != count || total < count || slices.ContainsFunc(got, func(name string) bool { return name[:1] != fmt.Sprint(status) }) {
			t.Errorf("status %d: %q of children", status, got)
		}
	}
	for status, count := range map[key.Status]int64{key.Enabled: 4, key.Disabled: 1, key.Expired: 3, key.Exhausted: 3, 0: 11} {
		got, total := names(t, db, key.Query{UserID: ada, Status: status, Now: now})
		if total != count || int64(len(got)) != count {
			t.Errorf("status %d: %d of %d, want %d: %q", status, len(got), total, count, got)
		}
		for _, name := range got {
			if status != 0 && name[:1] != fmt.Sprint(status) {
				t.Errorf("status %d finds %q", status, name)
			}
		}
	}
}

func keyGroupAndLast4(t *testing.T, db *store.DB) {
	ada := keyOwner(t, db, "ada")
	vip, tail := aKey(ada, "vip"), aKey(ada, "tail")
	vip.Group, tail.Last4 = "vip", "WXyz"
	insertKey(t, db, vip)
	insertKey(t, db, tail)
	if got, total := names(t, db, key.Query{UserID: ada, Group: "vip"}); total != 1 || got[0] != "vip" {
		t.Errorf("group: %q of %d", got, total)
	}
	if got, total := names(t, db, key.Query{UserID: ada, Last4: "WXyz"}); total != 1 || got[0] != "tail" {
		t.Errorf("last four: %q of %d", got, total)
	}
	if got, total := names(t, db, key.Query{UserID: ada, Last4: "wxyz"}); total != 0 {
		t.Errorf("last four in another case: %q of %d", got, total)
	}
}

// aChild is a key that parent issued.
func aChild(parent *key.Key, name string) *key.Key {
	k := aKey(parent.UserID, name)
	k.Limits.ParentID = &parent.ID
	return k
}

func keyByParent(t *testing.T, db *store.DB) {
	ada, bob := keyOwner(t, db, "ada"), keyOwner(t, db, "bob")
	first, second := insertKey(t, db, aKey(ada, "first")), insertKey(t, db, aKey(ada, "second"))
	insertKey(t, db, aChild(first, "a"))
	insertKey(t, db, aChild(second, "b"))
	c := insertKey(t, db, aChild(first, "c"))
	for what, row := range map[string]struct {
		query key.Query
		want  []string
	}{
		"of the first":    {key.Query{UserID: ada, ParentID: first.ID}, []string{"c", "a"}},
		"of the second":   {key.Query{UserID: ada, ParentID: second.ID}, []string{"b"}},
		"of a child":      {key.Query{UserID: ada, ParentID: c.ID}, []string{}},
		"somebody else's": {key.Query{UserID: bob, ParentID: first.ID}, []string{}},
		"one by name":     {key.Query{UserID: ada, ParentID: first.ID, Keyword: "a"}, []string{"a"}},
		"all":             {key.Query{UserID: ada}, []string{"c", "b", "a", "second", "first"}},
	} {
		if got, total := names(t, db, row.query); !slices.Equal(got, row.want) || int(total) != len(row.want) {
			t.Errorf("%s: %q of %d, want %q", what, got, total, row.want)
		}
	}
}

func keyIssued(t *testing.T, db *store.DB) {
	ada, bob := keyOwner(t, db, "ada"), keyOwner(t, db, "bob")
	parent, gone := insertKey(t, db, aKey(ada, "parent")), insertKey(t, db, aKey(ada, "gone"))
	child := insertKey(t, db, aChild(parent, "child"))
	if _, err := db.DeleteKeys(t.Context(), ada, []int64{gone.ID}, time.Now()); err != nil {
		t.Fatal(err)
	}
	foreign := aChild(parent, "foreign")
	foreign.UserID = bob
	for what, k := range map[string]*key.Key{
		"a missing one": aChild(&key.Key{ID: 99, UserID: ada}, "of none"), "a deleted one": aChild(gone, "of gone"), "a child": aChild(child, "grandchild"), "somebody else's": foreign,
	} {
		if _, err := db.InsertKey(t.Context(), k, 10, budget.Cause{}); fault.Code(err) != "key_not_found" {
			t.Errorf("issued by %s: %v", what, err)
		}
	}
	if _, total, err := db.Keys(t.Context(), key.Query{UserID: ada, Limit: 10}); total != 2 || err != nil {
		t.Errorf("%d keys, want the two that are left; %v", total, err)
	}
	if k, err := db.KeyByID(t.Context(), parent.ID); err != nil || k.Version != 1 {
		t.Errorf("issuing changed the parent: %+v, %v", k, err)
	}
}

func keyDeleteChildren(t *testing.T, db *store.DB) {
	ada, bob := keyOwner(t, db, "ada"), keyOwner(t, db, "bob")
	parent, other, foreign := insertKey(t, db, aKey(ada, "parent")), insertKey(t, db, aKey(ada, "other")), insertKey(t, db, aKey(bob, "foreign"))
	a, b := insertKey(t, db, aChild(parent, "a")), insertKey(t, db, aChild(parent, "b"))
	kept, theirs := insertKey(t, db, aChild(other, "kept")), insertKey(t, db, aChild(foreign, "theirs"))
	// 0 is no key, and above all not the parent of those that none issued.
	deleted, err := db.DeleteKeys(t.Context(), ada, []int64{0, b.ID, foreign.ID, parent.ID}, time.Now())
	if diff := cmp.Diff(key.Deleted{Asked: []int64{parent.ID, b.ID}, Children: []int64{a.ID}}, deleted); err != nil || diff != "" {
		t.Fatalf("%v (-want +got):\n%s", err, diff)
	}
	for _, k := range []*key.Key{parent, a, b} {
		if _, err := db.KeyByHash(t.Context(), k.Hash, time.Now()); !fault.Is(err, fault.NotFound) {
			t.Errorf("the value of %q: %v", k.Name, err)
		}
		if values, err := db.ValuesInForce(t.Context(), k.ID, time.Now()); len(values) != 0 || err != nil {
			t.Errorf("%q has %d values in force, %v", k.Name, len(values), err)
		}
	}
	for _, k := range []*key.Key{other, kept, foreign, theirs} {
		if got, err := db.KeyByID(t.Context(), k.ID); err != nil || got.Version != 1 {
			t.Errorf("%q: %+v, %v", k.Name, got, err)
		}
	}
	if deleted, err := db.DeleteKeys(t.Context(), ada, []int64{kept.ID}, time.Now()); err != nil || len(deleted.Asked) != 1 || len(deleted.Children) != 0 {
		t.Errorf("a child alone: %+v, %v", deleted, err)
	}
}

// Children are issued while their parent is being deleted.
func keyOrphans(t *testing.T, db *store.DB) {
	ada := keyOwner(t, db, "ada")
	for round := range 10 {
		parent := insertKey(t, db, aKey(ada, fmt.Sprint("parent ", round)))
		first := insertKey(t, db, aChild(parent, fmt.Sprint("first ", round)))
		var wg sync.WaitGroup
		var issued atomic.Int64
		for i := range 4 {
			wg.Go(func() {
				_, err := db.InsertKey(t.Context(), aChild(parent, fmt.Sprint(round, " child ", i)), 1000, budget.Cause{})
				switch {
				case err == nil:
					issued.Add(1)
				case fault.Code(err) != "key_not_found":
					t.Error(err)
				}
			})
		}
		var deleted key.Deleted
		wg.Go(func() {
			var err error
			if deleted, err = db.DeleteKeys(t.Context(), ada, []int64{parent.ID}, time.Now()); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if int64(len(deleted.Children)) != issued.Load()+1 || !slices.Contains(deleted.Children, first.ID) {
			t.Errorf("%d of %d children ended", len(deleted.Children), issued.Load()+1)
		}
		if left, total := names(t, db, key.Query{UserID: ada}); total != 0 {
			t.Errorf("left: %q", left)
		}
	}
}
