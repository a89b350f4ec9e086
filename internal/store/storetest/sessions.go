package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/account"
	"halley/internal/store"
)

// RunSessions holds a store to account.SessionStore.
func RunSessions(t *testing.T, open func(t *testing.T) *store.DB) {
	t.Run("what is inserted is read back, touched and deleted", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		want := &account.Session{
			Hash: hash(1), UserID: insertUser(t, db, "ada"), Created: noon, Seen: noon, Ends: noon.Add(time.Hour), IP: "2001:db8::1", UserAgent: "Mozilla/5.0 😀",
			Method: account.ByPassword,
		}
		if err := db.InsertSession(t.Context(), want, "hash", account.SessionsExpired{}, 10); err != nil {
			t.Fatal(err)
		}
		want.Seen = noon.Add(time.Minute)
		if there, err := db.TouchSession(t.Context(), hash(1), want.Seen); !there || err != nil {
			t.Errorf("touch: %v, %v", there, err)
		}
		got, err := db.SessionByHash(t.Context(), hash(1))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("read back (-want +got):\n%s", diff)
		}
		if err := db.DeleteSession(t.Context(), hash(1)); err != nil {
			t.Fatal(err)
		}
		if _, err := db.SessionByHash(t.Context(), hash(1)); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("after the deletion: %v", err)
		}
		if there, err := db.TouchSession(t.Context(), hash(1), noon); there || err != nil {
			t.Errorf("touching it then: %v, %v", there, err)
		}
		if err := db.DeleteSession(t.Context(), hash(1)); err != nil {
			t.Errorf("deleting it again: %v", err)
		}
	})

	t.Run("a login does not overtake a change of its user", func(t *testing.T) {
		t.Parallel()
		for name, change := range map[string]func(*testing.T, *store.DB, int64){
			"password changed": func(t *testing.T, db *store.DB, id int64) {
				edit(t, db, id, func(e *account.Edit) { e.User.PasswordHash = "another" })
			},
			"disabled": func(t *testing.T, db *store.DB, id int64) {
				edit(t, db, id, func(e *account.Edit) { e.User.Status = account.Disabled })
			},
			"deleted": func(t *testing.T, db *store.DB, id int64) {
				if err := db.DeleteUser(t.Context(), id, noon); err != nil {
					t.Fatal(err)
				}
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				db := open(t)
				id := insertUser(t, db, "ada")
				change(t, db, id)
				s := &account.Session{Hash: hash(1), UserID: id, Created: noon, Seen: noon, Ends: noon.Add(time.Hour)}
				if err := db.InsertSession(t.Context(), s, "hash", account.SessionsExpired{}, 10); !errors.Is(err, account.ErrNotFound) {
					t.Errorf("the session was opened: %v", err)
				}
				if _, err := db.SessionByHash(t.Context(), hash(1)); !errors.Is(err, account.ErrNotFound) {
					t.Errorf("and is there: %v", err)
				}
			})
		}
	})

	t.Run("an edit ends the sessions of its user if it says so", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		id, other := insertUser(t, db, "ada"), insertUser(t, db, "grace")
		insertSession(t, db, id, 1)
		insertSession(t, db, id, 2)
		insertSession(t, db, other, 3)
		edit(t, db, id, func(e *account.Edit) { e.User.Group = "vip" })
		wantSessions(t, db, map[byte]bool{1: true, 2: true, 3: true})
		edit(t, db, id, func(e *account.Edit) { e.EndSessions = true })
		wantSessions(t, db, map[byte]bool{1: false, 2: false, 3: true})
	})

	t.Run("a new session drops the user's ended and oldest ones", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		id, other := insertUser(t, db, "ada"), insertUser(t, db, "grace")
		insert := func(user int64, n byte, created, seen, ends time.Duration) {
			t.Helper()
			s := &account.Session{Hash: hash(n), UserID: user, Created: noon.Add(created), Seen: noon.Add(seen), Ends: noon.Add(ends)}
			expired := account.SessionsExpired{At: noon, IdleSince: noon.Add(-time.Hour)}
			if err := db.InsertSession(t.Context(), s, "hash", expired, 3); err != nil {
				t.Fatal(err)
			}
		}
		insert(other, 9, -5*time.Hour, -5*time.Hour, -time.Minute)
		insert(id, 1, -5*time.Hour, -time.Minute, 0)
		insert(id, 2, -4*time.Hour, -time.Hour, time.Hour)
		insert(id, 3, -3*time.Hour, -time.Minute, time.Hour)
		wantSessions(t, db, map[byte]bool{1: false, 2: false, 3: true, 9: true})
		insert(id, 4, -2*time.Hour, -time.Minute, time.Hour)
		insert(id, 5, -time.Hour, -time.Minute, time.Hour)
		wantSessions(t, db, map[byte]bool{3: true, 4: true, 5: true})
		insert(id, 6, 0, 0, time.Hour)
		wantSessions(t, db, map[byte]bool{3: false, 4: true, 5: true, 6: true, 9: true})
	})

	t.Run("a user's live sessions are listed, the last used first", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		id, other := insertUser(t, db, "ada"), insertUser(t, db, "grace")
		insertSession(t, db, other, 9)
		for n, seen := range map[byte]time.Duration{1: -3 * time.Minute, 2: -time.Minute, 3: -2 * time.Minute, 4: -time.Hour} {
			s := &account.Session{Hash: hash(n), UserID: id, Created: noon.Add(-2 * time.Hour), Seen: noon.Add(seen), Ends: noon.Add(time.Duration(n) * time.Hour)}
			if err := db.InsertSession(t.Context(), s, "hash", account.SessionsExpired{}, 10); err != nil {
				t.Fatal(err)
			}
		}
		got, err := db.ListSessions(t.Context(), id, account.SessionsExpired{At: noon.Add(time.Hour), IdleSince: noon.Add(-time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		var hashes []string
		for _, s := range got {
			hashes = append(hashes, string(s.Hash))
		}
		// 1 has ended and 4 was idle too long.
		if diff := cmp.Diff([]string{string(hash(2)), string(hash(3))}, hashes); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})

	t.Run("sessions are ended one by one, and all but one", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		id, other := insertUser(t, db, "ada"), insertUser(t, db, "grace")
		for n := range byte(4) {
			insertSession(t, db, id, n+1)
		}
		insertSession(t, db, other, 9)
		first, err := db.SessionByHash(t.Context(), hash(1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.DeleteSessionOf(t.Context(), other, first.ID); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("somebody else's session: %v", err)
		}
		if gone, err := db.DeleteSessionOf(t.Context(), id, first.ID); err != nil || string(gone) != string(hash(1)) {
			t.Errorf("ended %x, %v", gone, err)
		}
		if _, err := db.DeleteSessionOf(t.Context(), id, first.ID); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("ended again: %v", err)
		}
		if n, err := db.DeleteOtherSessions(t.Context(), id, hash(3)); n != 2 || err != nil {
			t.Errorf("ended %d others, %v", n, err)
		}
		wantSessions(t, db, map[byte]bool{1: false, 2: false, 3: true, 4: false, 9: true})
		if n, err := db.DeleteOtherSessions(t.Context(), id, nil); n != 1 || err != nil {
			t.Errorf("ended %d in the end, %v", n, err)
		}
		wantSessions(t, db, map[byte]bool{3: false, 9: true})
	})
}

func insertSession(t *testing.T, db *store.DB, user int64, n byte) {
	t.Helper()
	s := &account.Session{Hash: hash(n), UserID: user, Created: noon, Seen: noon, Ends: noon.Add(time.Hour)}
	if err := db.InsertSession(t.Context(), s, "hash", account.SessionsExpired{}, 10); err != nil {
		t.Fatal(err)
	}
}

func edit(t *testing.T, db *store.DB, id int64, change func(*account.Edit)) {
	t.Helper()
	if _, err := db.EditUser(t.Context(), id, func(e *account.Edit) error { change(e); return nil }); err != nil {
		t.Fatal(err)
	}
}

func wantSessions(t *testing.T, db *store.DB, want map[byte]bool) {
	t.Helper()
	for n, there := range want {
		_, err := db.SessionByHash(t.Context(), hash(n))
		if err != nil && !errors.Is(err, account.ErrNotFound) {
			t.Fatal(err)
		}
		if (err == nil) != there {
			t.Errorf("session %d is there: %v, want %v", n, err == nil, there)
		}
	}
}
