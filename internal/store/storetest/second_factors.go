package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/account"
	"halley/internal/passkey"
	"halley/internal/store"
)

// RunSecondFactors holds a store to account.SecondFactorStore.
func RunSecondFactors(t *testing.T, open func(t *testing.T) *store.DB) {
	t.Run("a secret is put, replaced until it is confirmed, and deleted", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		id := insertUser(t, db, "ada")
		put := func(sealed string) error {
			return db.PutPendingTOTP(t.Context(), id, &account.TOTP{Sealed: []byte(sealed), Created: noon})
		}
		if _, err := db.TOTP(t.Context(), id); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("before: %v", err)
		}
		if err := errors.Join(put("one"), put("two")); err != nil {
			t.Fatal(err)
		}
		if ok, err := db.UseTOTPStep(t.Context(), id, 5); ok || err != nil {
			t.Errorf("a step of an unconfirmed one: %v, %v", ok, err)
		}
		if ok, err := db.ConfirmTOTP(t.Context(), id, []byte("one"), 7, [][]byte{hash(1)}); ok || err != nil {
			t.Errorf("confirmed the wrong one: %v, %v", ok, err)
		}
		if ok, err := db.ConfirmTOTP(t.Context(), id, []byte("two"), 7, [][]byte{hash(1), hash(2)}); !ok || err != nil {
			t.Fatalf("confirm: %v, %v", ok, err)
		}
		if ok, err := db.ConfirmTOTP(t.Context(), id, []byte("two"), 7, nil); ok || err != nil {
			t.Errorf("confirmed again: %v, %v", ok, err)
		}
		if err := put("three"); !errors.Is(err, account.ErrThere) {
			t.Errorf("put over a confirmed one: %v", err)
		}
		got, err := db.SecondFactors(t.Context(), id)
		want := &account.SecondFactors{TOTP: &account.TOTP{Sealed: []byte("two"), Confirmed: true, LastStep: 7, Created: noon}, RecoveryCodes: 2}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if err := db.DeleteTOTP(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if err := db.DeleteTOTP(t.Context(), id); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("deleted again: %v", err)
		}
		if got, err := db.SecondFactors(t.Context(), id); err != nil || got.TOTP != nil || got.RecoveryCodes != 0 {
			t.Errorf("afterwards: %+v, %v", got, err)
		}
	})

	t.Run("steps only rise, and are used once", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		id := insertUser(t, db, "ada")
		confirmTOTP(t, db, id)
		for _, tc := range []struct {
			step int64
			ok   bool
		}{{7, false}, {8, true}, {8, false}, {6, false}, {10, true}, {9, false}} {
			if ok, err := db.UseTOTPStep(t.Context(), id, tc.step); ok != tc.ok || err != nil {
				t.Errorf("step %d: %v, %v", tc.step, ok, err)
			}
		}
	})

	t.Run("recovery codes are their user's, replaced together and used once", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		id, other := insertUser(t, db, "ada"), insertUser(t, db, "grace")
		for _, user := range []int64{id, other} {
			if err := db.ReplaceRecoveryCodes(t.Context(), user, [][]byte{hash(1), hash(2)}); err != nil {
				t.Fatal(err)
			}
		}
		use := func(user int64, n byte, want bool) {
			t.Helper()
			if used, err := db.UseRecoveryCode(t.Context(), user, hash(n)); used != want || err != nil {
				t.Errorf("code %d of user %d: %v, %v", n, user, used, err)
			}
		}
		use(id, 1, true)
		use(id, 1, false)
		use(other, 1, true)
		if err := db.ReplaceRecoveryCodes(t.Context(), id, [][]byte{hash(3)}); err != nil {
			t.Fatal(err)
		}
		use(id, 2, false)
		use(id, 3, true)
		use(other, 2, true)
	})

	t.Run("passkeys are inserted, found, used, renamed and deleted", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		id, other := insertUser(t, db, "ada"), insertUser(t, db, "grace")
		first := insertPasskey(t, db, id, 1, true)
		second := insertPasskey(t, db, id, 2, false)
		insertPasskey(t, db, other, 3, true)
		clash := &account.Passkey{UserID: other, Name: "x", Credential: passkey.Credential{ID: hash(1), Record: []byte("{}")}}
		if _, err := db.InsertPasskey(t.Context(), clash, 10, nil); !errors.Is(err, account.ErrThere) {
			t.Errorf("a credential that is known: %v", err)
		}
		clash.Credential.ID = hash(9)
		if _, err := db.InsertPasskey(t.Context(), clash, 1, nil); !errors.Is(err, account.ErrTooMany) {
			t.Errorf("one too many: %v", err)
		}
		clash.UserID = 99
		if _, err := db.InsertPasskey(t.Context(), clash, 1, nil); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("nobody's: %v", err)
		}
		got, err := db.SecondFactors(t.Context(), id)
		if diff := cmp.Diff(&account.SecondFactors{Passkeys: []*account.Passkey{first, second}, RecoveryCodes: 1}, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		for _, tc := range []struct {
			count uint32
			ok    bool
		}{{0, true}, {0, true}, {4, true}, {4, false}, {3, false}, {0, false}, {5, true}} {
			moved, err := db.UsePasskey(t.Context(), passkey.Credential{ID: hash(1), Record: []byte(`{"now":1}`), SignCount: tc.count}, noon.Add(time.Hour))
			if moved != tc.ok || err != nil {
				t.Errorf("count %d: %v, %v", tc.count, moved, err)
			}
		}
		first.Record, first.SignCount, first.Used = []byte(`{"now":1}`), 5, noon.Add(time.Hour)
		found, err := db.PasskeyByCredential(t.Context(), hash(1))
		if diff := cmp.Diff(first, found); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if _, err := db.RenamePasskey(t.Context(), other, first.ID, "mine"); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("renamed by another: %v", err)
		}
		if p, err := db.RenamePasskey(t.Context(), id, first.ID, "phone"); err != nil || p.Name != "phone" || p.SignCount != 5 {
			t.Errorf("renamed: %+v, %v", p, err)
		}
		if err := db.DeletePasskey(t.Context(), other, first.ID); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("deleted by another: %v", err)
		}
		if err := db.DeletePasskey(t.Context(), id, first.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := db.PasskeyByCredential(t.Context(), hash(1)); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("after the deletion: %v", err)
		}
		if got, err := db.SecondFactors(t.Context(), id); err != nil || got.RecoveryCodes != 1 {
			t.Errorf("with one passkey left: %+v, %v", got, err)
		}
	})

	t.Run("recovery codes stay as long as a factor does", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		id := insertUser(t, db, "ada")
		confirmTOTP(t, db, id)
		p := insertPasskey(t, db, id, 1, false)
		left := func(want int) {
			t.Helper()
			if f, err := db.SecondFactors(t.Context(), id); err != nil || f.RecoveryCodes != want {
				t.Errorf("%+v, %v; want %d codes", f, err, want)
			}
		}
		if err := db.DeleteTOTP(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		left(1)
		if err := db.DeletePasskey(t.Context(), id, p.ID); err != nil {
			t.Fatal(err)
		}
		left(0)
	})

	t.Run("a state is spent once, and forgotten when it has ended", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		spend := func(now time.Duration) error {
			return db.SpendState(t.Context(), hash(1), noon.Add(now), noon.Add(now+time.Minute))
		}
		if err := spend(0); err != nil {
			t.Fatal(err)
		}
		if err := spend(59 * time.Second); !errors.Is(err, account.ErrThere) {
			t.Errorf("spent again: %v", err)
		}
		if err := spend(time.Minute); err != nil {
			t.Errorf("after it was forgotten: %v", err)
		}
	})

	t.Run("all factors of a user go together, and with the user", func(t *testing.T) {
		t.Parallel()
		for name, end := range map[string]func(*store.DB, int64) error{
			"reset":   func(db *store.DB, id int64) error { return db.DeleteSecondFactors(t.Context(), id) },
			"deleted": func(db *store.DB, id int64) error { return db.DeleteUser(t.Context(), id, noon.Add(time.Hour)) },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				db := open(t)
				id, other := insertUser(t, db, "ada"), insertUser(t, db, "grace")
				confirmTOTP(t, db, id)
				confirmTOTP(t, db, other)
				insertPasskey(t, db, id, 1, false)
				insertPasskey(t, db, other, 2, false)
				if err := end(db, id); err != nil {
					t.Fatal(err)
				}
				if got, err := db.SecondFactors(t.Context(), id); err != nil || got.TOTP != nil || got.Passkeys != nil || got.RecoveryCodes != 0 {
					t.Errorf("they are there: %+v, %v", got, err)
				}
				if got, err := db.SecondFactors(t.Context(), other); err != nil || got.TOTP == nil || len(got.Passkeys) != 1 || got.RecoveryCodes != 1 {
					t.Errorf("somebody else's: %+v, %v", got, err)
				}
			})
		}
	})
}

// insertPasskey gives a user a passkey, and a recovery code if there is none.
func insertPasskey(t *testing.T, db *store.DB, user int64, n byte, issues bool) *account.Passkey {
	t.Helper()
	p := &account.Passkey{
		UserID: user, Name: "stick 🔑", Created: noon, Used: noon, Credential: passkey.Credential{ID: hash(n), Record: []byte(`{"n":1}`)},
	}
	issued, err := db.InsertPasskey(t.Context(), p, 10, [][]byte{hash(n)})
	if err != nil || issued != issues {
		t.Fatalf("insert a passkey: %v, %v", issued, err)
	}
	return p
}

// confirmTOTP gives a user a secret whose step 7 was used, and a recovery code.
func confirmTOTP(t *testing.T, db *store.DB, id int64) {
	t.Helper()
	if err := db.PutPendingTOTP(t.Context(), id, &account.TOTP{Sealed: []byte("secret"), Created: noon}); err != nil {
		t.Fatal(err)
	}
	if ok, err := db.ConfirmTOTP(t.Context(), id, []byte("secret"), 7, [][]byte{hash(1)}); !ok || err != nil {
		t.Fatalf("confirm: %v, %v", ok, err)
	}
}
