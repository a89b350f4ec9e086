package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/limit"
	"halley/internal/money"
	"halley/internal/store"
)

// noon is an instant that survives being kept in milliseconds.
var noon = time.Date(2026, 3, 14, 12, 0, 0, 123e6, time.UTC)

// RunUsers holds a store to account.UserStore.
func RunUsers(t *testing.T, open func(t *testing.T) *store.DB) {
	t.Run("what is inserted is read back", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		want := &account.User{
			Username: "Ada", DisplayName: "Ada 😀 \"Lovelace\"", Email: "ada@example.com", PasswordHash: "$argon2id$x", Role: account.RoleAdmin,
			Status: account.Enabled, Group: "vip", Granted: money.Max, Unlimited: true, TimeZone: "Europe/London", Language: "en", MustChange: true, Created: noon,
			Limits: account.Limits{
				Limits:  limit.Limits{RPM: new(int64(0)), TPMOutput: new(int64(5)), PerModel: map[string]limit.Rate{"gpt*": {TPMInput: new(int64(1))}}},
				Budgets: []budget.Renewing{{Amount: 5, Period: "hours:5", TimeZone: "Europe/Berlin", Anchor: 1_800_000_000}},
			},
		}
		if err := db.InsertUser(t.Context(), want, budget.Cause{}); err != nil {
			t.Fatal(err)
		}
		if want.ID <= 0 || want.Version != 1 {
			t.Errorf("inserted as id %d, version %d", want.ID, want.Version)
		}
		byID, err := db.UserByID(t.Context(), want.ID)
		if err != nil {
			t.Fatal(err)
		}
		byName, err := db.UserByName(t.Context(), "ada")
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range []*account.User{byID, byName} {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("read back (-want +got):\n%s", diff)
			}
		}
	})

	t.Run("nobody is not found", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		_, byID := db.UserByID(t.Context(), 7)
		_, byName := db.UserByName(t.Context(), "a\x00da")
		_, root := db.FirstRoot(t.Context())
		_, edit := db.EditUser(t.Context(), 7, func(*account.Edit) error { t.Error("asked for a change of nobody"); return nil })
		for what, err := range map[string]error{"by id": byID, "by name": byName, "root": root, "edit": edit, "delete": db.DeleteUser(t.Context(), 7, noon)} {
			if !errors.Is(err, account.ErrNotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})

	t.Run("a name is taken whatever its case, also by a deleted user", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		id := insertUser(t, db, "José")
		if err := db.InsertUser(t.Context(), draft("JOSÉ"), budget.Cause{}); !errors.Is(err, account.ErrNameTaken) {
			t.Errorf("another case: %v", err)
		}
		if err := db.DeleteUser(t.Context(), id, noon); err != nil {
			t.Fatal(err)
		}
		if err := db.InsertUser(t.Context(), draft("josé"), budget.Cause{}); !errors.Is(err, account.ErrNameTaken) {
			t.Errorf("after the deletion: %v", err)
		}
	})

	t.Run("of many first users one is made", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		if has, err := db.HasUsers(t.Context()); has || err != nil {
			t.Errorf("an empty database has users: %v, %v", has, err)
		}
		var made atomic.Int64
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				created, err := db.InsertFirstUser(t.Context(), draft(fmt.Sprint("root", i)), budget.Cause{})
				if err != nil {
					t.Error(err)
				}
				if created {
					made.Add(1)
				}
			})
		}
		wg.Wait()
		if made.Load() != 1 {
			t.Errorf("%d first users", made.Load())
		}
		if has, err := db.HasUsers(t.Context()); !has || err != nil {
			t.Errorf("afterwards there are users: %v, %v", has, err)
		}
	})

	t.Run("a deleted first user is a user there has been", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		if err := db.DeleteUser(t.Context(), insertUser(t, db, "root"), noon); err != nil {
			t.Fatal(err)
		}
		if created, err := db.InsertFirstUser(t.Context(), draft("other"), budget.Cause{}); created || err != nil {
			t.Errorf("another first user: %v, %v", created, err)
		}
	})

	t.Run("an edit writes what may change and nothing else", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		id := insertUser(t, db, "ada")
		before, err := db.UserByID(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		got, err := db.EditUser(t.Context(), id, func(e *account.Edit) error {
			u := &e.User
			u.DisplayName, u.Email, u.PasswordHash, u.Role, u.Status, u.Group = "A", "a@example.com", "new", account.RoleRoot, account.Disabled, "vip"
			u.TimeZone, u.Language, u.MustChange = "UTC", "de", true
			u.Limits.RPD, u.Limits.Budgets = new(int64(7)), []budget.Renewing{}
			u.Granted, u.Used, u.Unlimited, u.RequestCount = 1, 1, false, 1 // the ledger's and the usage batch's
			e.Change = budget.Change{Delta: -3 * money.Unit, Unlimited: new(true)}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		want := *before
		want.DisplayName, want.Email, want.PasswordHash, want.Role, want.Status, want.Group = "A", "a@example.com", "new", account.RoleRoot, account.Disabled, "vip"
		want.TimeZone, want.Language, want.MustChange = "UTC", "de", true
		want.Limits.RPD, want.Limits.Budgets = new(int64(7)), []budget.Renewing{}
		want.Granted, want.Unlimited, want.Version = before.Granted-3*money.Unit, true, before.Version+1
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("the edit's answer (-want +got):\n%s", diff)
		}
		read, err := db.UserByID(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, read); diff != "" {
			t.Errorf("read back (-want +got):\n%s", diff)
		}
	})

	t.Run("a refused edit changes nothing", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		id := insertUser(t, db, "ada")
		before, err := db.UserByID(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		refusal := errors.New("no")
		_, err = db.EditUser(t.Context(), id, func(e *account.Edit) error {
			e.User.Group, e.Change.Delta, e.EndSessions = "vip", 1, true
			return refusal
		})
		if !errors.Is(err, refusal) {
			t.Errorf("got %v", err)
		}
		after, err := db.UserByID(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
	})

	t.Run("edits of one user follow one another", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		id := insertUser(t, db, "ada")
		before, err := db.UserByID(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := db.EditUser(t.Context(), id, func(e *account.Edit) error {
					e.User.DisplayName += "x" // read, then written
					e.Change.Delta = money.Unit
					return nil
				}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		after, err := db.UserByID(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if len(after.DisplayName) != 20 || after.Granted != before.Granted+20*money.Unit || after.Version != before.Version+20 {
			t.Errorf("20 edits left %q, %d more, version %d", after.DisplayName, after.Granted-before.Granted, after.Version)
		}
	})

	t.Run("roots that demote each other at once see each other", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		var ids []int64
		for i := range 6 {
			u := draft(fmt.Sprint("root", i))
			u.Role = account.RoleRoot
			if err := db.InsertUser(t.Context(), u, budget.Cause{}); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, u.ID)
		}
		last := errors.New("the last root")
		var refused atomic.Int64
		var wg sync.WaitGroup
		for _, id := range ids {
			wg.Go(func() {
				_, err := db.EditUser(t.Context(), id, func(e *account.Edit) error {
					if e.OtherRoots == 0 {
						return last
					}
					e.User.Role = account.RoleUser
					return nil
				})
				if errors.Is(err, last) {
					refused.Add(1)
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		root, err := db.FirstRoot(t.Context())
		if err != nil || refused.Load() != 1 {
			t.Fatalf("%d of 6 were refused, and the root left is %v, %v", refused.Load(), root, err)
		}
	})

	t.Run("disabled and deleted roots do not count", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		disabled, deleted := draft("disabled"), draft("deleted")
		disabled.Role, disabled.Status, deleted.Role = account.RoleRoot, account.Disabled, account.RoleRoot
		for _, u := range []*account.User{disabled, deleted} {
			if err := db.InsertUser(t.Context(), u, budget.Cause{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.DeleteUser(t.Context(), deleted.ID, noon); err != nil {
			t.Fatal(err)
		}
		id := insertUser(t, db, "ada")
		if _, err := db.EditUser(t.Context(), id, func(e *account.Edit) error {
			if e.OtherRoots != 0 {
				t.Errorf("%d other roots", e.OtherRoots)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := db.FirstRoot(t.Context()); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("a first root: %v", err)
		}
	})

	t.Run("lists are searched and paged, newest first", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		for _, u := range []struct{ name, display, email string }{
			{"ada", "Countess", "lovelace@example.com"},
			{"Grace", "Amazing Grace", ""},
			{"under_score", "Ünder", ""},
			{"underXscore", "100%", ""},
			{"gone", "gone", ""},
		} {
			d := draft(u.name)
			d.DisplayName, d.Email = u.display, u.email
			if err := db.InsertUser(t.Context(), d, budget.Cause{}); err != nil {
				t.Fatal(err)
			}
			if u.name == "gone" {
				if err := db.DeleteUser(t.Context(), d.ID, noon); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, tc := range []struct {
			filter account.Filter
			want   []string
			total  int64
		}{
			{account.Filter{Limit: 10}, []string{"underXscore", "under_score", "Grace", "ada"}, 4},
			{account.Filter{Limit: 2, Offset: 1}, []string{"under_score", "Grace"}, 4},
			{account.Filter{Limit: 2, Offset: 4}, nil, 4},
			{account.Filter{Limit: 2, Offset: 1 << 62}, nil, 4},
			{account.Filter{Keyword: "GRACE", Limit: 10}, []string{"Grace"}, 1},
			{account.Filter{Keyword: "countess", Limit: 10}, []string{"ada"}, 1},
			{account.Filter{Keyword: "ünd", Limit: 10}, []string{"under_score"}, 1},
			{account.Filter{Keyword: "ÜND", Limit: 10}, []string{"under_score"}, 1},
			{account.Filter{Keyword: "LOVELACE@", Limit: 10}, []string{"ada"}, 1},
			{account.Filter{Keyword: "r_s", Limit: 10}, []string{"under_score"}, 1},
			{account.Filter{Keyword: "%", Limit: 10}, []string{"underXscore"}, 1},
			{account.Filter{Keyword: `\`, Limit: 10}, nil, 0},
			{account.Filter{Keyword: "adacountess", Limit: 10}, nil, 0},
			{account.Filter{Keyword: "a\x00da", Limit: 10}, nil, 0},
			{account.Filter{Keyword: "\xff", Limit: 10}, nil, 0},
			{account.Filter{Keyword: strings.Repeat("grace", 2000), Limit: 10}, nil, 0},
			{account.Filter{Keyword: "gone", Limit: 10}, nil, 0},
		} {
			users, total, err := db.ListUsers(t.Context(), tc.filter)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, u := range users {
				got = append(got, u.Username)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || total != tc.total {
				t.Errorf("%+v: total %d, want %d (-want +got):\n%s", tc.filter, total, tc.total, diff)
			}
		}
	})

	t.Run("a search finds what an edit wrote, and not what it replaced", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		id := insertUser(t, db, "ada")
		for _, name := range []string{"Ängström", "Ørsted"} {
			if _, err := db.EditUser(t.Context(), id, func(e *account.Edit) error {
				e.User.DisplayName, e.User.Email = name, name+"@example.com"
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		for keyword, want := range map[string]int64{"ørsted": 1, "ØRSTED@": 1, "ängström": 0, "ADA": 1} {
			if _, total, err := db.ListUsers(t.Context(), account.Filter{Keyword: keyword, Limit: 10}); err != nil || total != want {
				t.Errorf("%q finds %d, %v, want %d", keyword, total, err, want)
			}
		}
	})

	t.Run("a deleted user is gone, with everything that signs in", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		id, other := insertUser(t, db, "ada"), insertUser(t, db, "grace")
		for i, user := range []int64{id, other} {
			insertSession(t, db, user, byte(i))
			if err := db.InsertAccessToken(t.Context(), token(user, byte(i)), 10); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.DeleteUser(t.Context(), id, noon); err != nil {
			t.Fatal(err)
		}
		_, byID := db.UserByID(t.Context(), id)
		_, byName := db.UserByName(t.Context(), "ada")
		_, session := db.SessionByHash(t.Context(), hash(0))
		_, accessToken := db.AccessTokenByHash(t.Context(), hash(0))
		for what, err := range map[string]error{"by id": byID, "by name": byName, "session": session, "token": accessToken, "again": db.DeleteUser(t.Context(), id, noon)} {
			if !errors.Is(err, account.ErrNotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := db.SessionByHash(t.Context(), hash(1)); err != nil {
			t.Errorf("another user's session: %v", err)
		}
		if _, err := db.AccessTokenByHash(t.Context(), hash(1)); err != nil {
			t.Errorf("another user's token: %v", err)
		}
	})

	t.Run("a password hash is replaced only while it is the old one", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		id := insertUser(t, db, "ada")
		for _, step := range []struct {
			old, new string
			want     bool
		}{{"hash", "second", true}, {"hash", "third", false}, {"second", "fourth", true}} {
			if replaced, err := db.ReplacePasswordHash(t.Context(), id, step.old, step.new); err != nil || replaced != step.want {
				t.Errorf("%s to %s: %v, %v", step.old, step.new, replaced, err)
			}
		}
		if u, err := db.UserByID(t.Context(), id); err != nil || u.PasswordHash != "fourth" {
			t.Errorf("the hash is %v, %v", u, err)
		}
	})
}

// draft is a user to be inserted; their password hash is "hash".
func draft(name string) *account.User {
	return &account.User{Username: name, PasswordHash: "hash", Role: account.RoleUser, Status: account.Enabled, Group: "default", Granted: money.FromUnits(100), Created: noon}
}

func insertUser(t *testing.T, db *store.DB, name string) int64 {
	t.Helper()
	u := draft(name)
	if err := db.InsertUser(t.Context(), u, budget.Cause{}); err != nil {
		t.Fatal(err)
	}
	return u.ID
}

// hash is a made-up SHA-256.
func hash(n byte) []byte {
	h := make([]byte, 32)
	h[0] = n
	return h
}
