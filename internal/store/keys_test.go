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

// The rows of deleted keys stay, their values do not. The version tells other
// nodes.
func TestADeletedKeysValueIsWipedAndItsChildrens(t *testing.T) {
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
		child := &key.Key{UserID: owner.ID, Status: key.Enabled, Name: "c", ExpiresAt: key.Never, Hash: []byte("child"), Sealed: []byte("sealed"), Limits: key.Limits{ParentID: &id}}
		if _, err := db.InsertKey(t.Context(), child, 2, budget.Cause{}); err != nil {
			t.Fatal(err)
		}
		if _, err := db.DeleteKeys(t.Context(), owner.ID, []int64{id}, time.UnixMilli(5)); err != nil {
			t.Fatal(err)
		}
		for _, hash := range []string{"hash", "child"} {
			var sealed []byte
			var ends, deleted, version int64
			row := db.Reader().QueryRowContext(t.Context(), `SELECT v.sealed, v.ends_ms, k.deleted_ms, k.version FROM key_values v JOIN keys k ON k.id = v.key_id WHERE v.hash = $1`, []byte(hash))
			if err := row.Scan(&sealed, &ends, &deleted, &version); err != nil {
				t.Fatal(err)
			}
			if len(sealed) != 0 || ends != 5 || deleted != 5 || version != 2 {
				t.Errorf("%s: sealed %q, ended at %d, deleted at %d as version %d, want nothing, 5, 5 and 2", hash, sealed, ends, deleted, version)
			}
		}
	})
}
