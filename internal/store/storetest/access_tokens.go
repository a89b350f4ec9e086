package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/account"
	"halley/internal/store"
)

// RunAccessTokens holds a store to account.TokenStore.
func RunAccessTokens(t *testing.T, open func(t *testing.T) *store.DB) {
	t.Run("what is inserted is read back and touched", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		want := token(insertUser(t, db, "ada"), 1)
		want.ExpiresAt = 253402300799
		if err := db.InsertAccessToken(t.Context(), want, 10); err != nil {
			t.Fatal(err)
		}
		want.Accessed = noon.Add(time.Minute)
		if there, err := db.TouchAccessToken(t.Context(), want.ID, want.Accessed); !there || err != nil {
			t.Errorf("touch: %v, %v", there, err)
		}
		got, err := db.AccessTokenByHash(t.Context(), hash(1))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("read back (-want +got):\n%s", diff)
		}
	})

	t.Run("a user lists and deletes their own only", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		ada, grace := insertUser(t, db, "ada"), insertUser(t, db, "grace")
		var mine []*account.Token
		for n := range byte(3) {
			mine = append(mine, token(ada, n))
			if err := db.InsertAccessToken(t.Context(), mine[n], 10); err != nil {
				t.Fatal(err)
			}
		}
		theirs := token(grace, 9)
		if err := db.InsertAccessToken(t.Context(), theirs, 10); err != nil {
			t.Fatal(err)
		}
		got, total, err := db.ListAccessTokens(t.Context(), ada, 1, 5)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]*account.Token{mine[1], mine[0]}, got); diff != "" || total != 3 {
			t.Errorf("total %d (-want +got):\n%s", total, diff)
		}
		if err := db.DeleteAccessToken(t.Context(), ada, theirs.ID); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("deleting somebody else's: %v", err)
		}
		if err := db.DeleteAccessToken(t.Context(), ada, mine[1].ID); err != nil {
			t.Fatal(err)
		}
		if _, err := db.AccessTokenByHash(t.Context(), hash(1)); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("after the deletion: %v", err)
		}
		if there, err := db.TouchAccessToken(t.Context(), mine[1].ID, noon); there || err != nil {
			t.Errorf("touching it then: %v, %v", there, err)
		}
		if _, err := db.AccessTokenByHash(t.Context(), hash(9)); err != nil {
			t.Errorf("somebody else's: %v", err)
		}
	})

	t.Run("there are never more than the limit", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		id := insertUser(t, db, "ada")
		var refused atomic.Int64
		var wg sync.WaitGroup
		for n := range byte(8) {
			wg.Go(func() {
				err := db.InsertAccessToken(t.Context(), token(id, n), 5)
				if errors.Is(err, account.ErrTooMany) {
					refused.Add(1)
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		_, total, err := db.ListAccessTokens(t.Context(), id, 0, 1)
		if err != nil || total != 5 || refused.Load() != 3 {
			t.Errorf("%d tokens, %d refused, %v", total, refused.Load(), err)
		}
	})

	t.Run("nobody's token is not made", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		if err := db.InsertAccessToken(t.Context(), token(7, 1), 5); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	})
}

func token(user int64, n byte) *account.Token {
	return &account.Token{UserID: user, Name: "ci 😀", Scope: account.ScopeRead, Hash: hash(n), Last4: "wxyz", Created: noon, Accessed: noon, ExpiresAt: account.Never}
}
