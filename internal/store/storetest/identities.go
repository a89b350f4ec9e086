package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/store"
)

// RunIdentities holds a store to account.ProviderStore.
func RunIdentities(t *testing.T, open func(t *testing.T) *store.DB) {
	t.Run("providers are inserted, changed by version and deleted", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		load := func() []*account.LoginProvider {
			t.Helper()
			all, err := db.LoadLoginProviders(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		p := &account.LoginProvider{
			Name: "corp", Label: "Corp 😀", Issuer: "https://id.example.com", ClientID: "halley", Sealed: []byte{1, 0, 2}, Version: 1,
			ProviderSettings: account.ProviderSettings{
				Enabled: true, Scopes: []string{"openid"}, GroupClaim: "groups", Groups: []account.ClaimMapping{{Value: "a", Group: "vip"}}, AdminValues: []string{"ops"},
			},
		}
		if err := db.InsertLoginProvider(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if err := db.InsertLoginProvider(t.Context(), p); !errors.Is(err, account.ErrThere) {
			t.Errorf("inserted again: %v", err)
		}
		if diff := cmp.Diff([]*account.LoginProvider{p}, load()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		p.Label, p.Sealed, p.Enabled = "Other", nil, false
		if err := db.UpdateLoginProvider(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if err := db.UpdateLoginProvider(t.Context(), p); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("changed on an old version: %v", err)
		}
		if got := load()[0]; got.Version != 2 || got.Label != "Other" || len(got.Sealed) != 0 || got.Enabled {
			t.Errorf("changed to %+v", got)
		}
		if err := db.DeleteLoginProvider(t.Context(), "corp"); err != nil {
			t.Fatal(err)
		}
		if err := db.DeleteLoginProvider(t.Context(), "corp"); !errors.Is(err, account.ErrNotFound) || len(load()) != 0 {
			t.Errorf("deleted again: %v", err)
		}
	})

	t.Run("an identity is one user's", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		ada, grace := insertUser(t, db, "ada"), insertUser(t, db, "grace")
		e := &account.ExternalIdentity{UserID: ada, Provider: "corp", Issuer: "https://id.example.com", Subject: "1", Shown: "ada 😀", Created: noon, Used: noon}
		if err := db.InsertIdentity(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		again := *e
		again.UserID = grace
		if err := db.InsertIdentity(t.Context(), &again); !errors.Is(err, account.ErrThere) {
			t.Errorf("somebody else's: %v", err)
		}
		if err := db.UseIdentity(t.Context(), e.ID, noon.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		e.Used = noon.Add(time.Hour)
		got, err := db.IdentityBySubject(t.Context(), e.Issuer, "1")
		if diff := cmp.Diff(e, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		for _, other := range [][2]string{{e.Issuer, "2"}, {"https://other.example.com", "1"}, {e.Issuer, "1\x00"}} {
			if got, err := db.IdentityBySubject(t.Context(), other[0], other[1]); !errors.Is(err, account.ErrNotFound) {
				t.Errorf("%q: %+v, %v", other, got, err)
			}
		}
		if err := db.DeleteIdentity(t.Context(), grace, e.ID); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("deleted by another: %v", err)
		}
		if all, err := db.IdentitiesOf(t.Context(), ada); err != nil || len(all) != 1 {
			t.Errorf("%v, %v", all, err)
		}
		if err := db.DeleteUser(t.Context(), ada, noon); err != nil {
			t.Fatal(err)
		}
		if _, err := db.IdentityBySubject(t.Context(), e.Issuer, "1"); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("after its user was deleted: %v", err)
		}
	})

	t.Run("a user is made with an identity, or neither is", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		insert := func(name, subject string) error {
			u := &account.User{Username: name, Role: account.RoleUser, Status: account.Enabled, Group: "default", Created: noon}
			e := &account.ExternalIdentity{Provider: "corp", Issuer: "https://id.example.com", Subject: subject, Created: noon, Used: noon}
			return db.InsertUserWithIdentity(t.Context(), u, budget.Cause{At: noon}, e)
		}
		if err := insert("ada", "1"); err != nil {
			t.Fatal(err)
		}
		if err := insert("ada", "2"); !errors.Is(err, account.ErrNameTaken) {
			t.Errorf("a name that is taken: %v", err)
		}
		if err := insert("grace", "1"); !errors.Is(err, account.ErrThere) {
			t.Errorf("an identity that is taken: %v", err)
		}
		if u, err := db.UserByName(t.Context(), "grace"); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("the user was made all the same: %+v, %v", u, err)
		}
	})
}
