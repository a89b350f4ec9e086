package store_test

import (
	"testing"
	"time"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/key"
	"halley/internal/store"
	"halley/internal/store/storetest"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, storetest.RunKeys)
}

func TestKeyValues(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, storetest.RunKeyValues)
}

func TestADeletedKeysValueIsWiped(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, func(t *testing.T, open func(t *testing.T) *store.DB) {
		db := open(t)
		owner := &account.User{Username: "ada", Role: account.RoleUser, Status: account.Enabled, Group: "default"}
		if err := db.InsertUser(t.Context(), owner, budget.Cause{}); err != nil {
			t.Fatal(err)
		}
		id, err := db.InsertKey(t.Context(), &key.Key{UserID: owner.ID, Status: key.Enabled, Name: "k", ExpiresAt: key.Never, Hash: []byte("hash"), Sealed: []byte("sealed")}, 1, budget.Cause{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.DeleteKeys(t.Context(), owner.ID, []int64{id}, time.UnixMilli(5)); err != nil {
			t.Fatal(err)
		}
		var sealed []byte
		var ends int64
		if err := db.Reader().QueryRowContext(t.Context(), `SELECT sealed, ends_ms FROM key_values WHERE hash = $1`, []byte("hash")).Scan(&sealed, &ends); err != nil {
			t.Fatal(err)
		}
		if len(sealed) != 0 || ends != 5 {
			t.Errorf("sealed %q, ended at %d, want nothing and 5", sealed, ends)
		}
	})
}
