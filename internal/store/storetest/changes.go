package storetest

import (
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/cluster"
	"halley/internal/group"
	"halley/internal/key"
	"halley/internal/money"
	"halley/internal/store"
)

// FeedWatcher looks at a PostgreSQL database's feed of changes again and again.
type FeedWatcher struct {
	DB     *store.DB
	Cursor string
}

// WatchFeed gives a watcher for what changes from now on.
func WatchFeed(t *testing.T, db *store.DB) *FeedWatcher {
	t.Helper()
	w := &FeedWatcher{DB: db}
	if got := w.Page(t); len(got.Changes) > 0 || got.More || got.Rewound {
		t.Fatalf("the first look is %+v, want nothing but a cursor", got)
	}
	return w
}

// Page is what can be seen since the last look.
func (w *FeedWatcher) Page(t *testing.T) cluster.Page {
	t.Helper()
	page, err := w.DB.Changes(t.Context(), w.Cursor)
	must(t, err)
	w.Cursor = page.Cursor
	return page
}

// Want compares what can be seen since the last look, "topic ref" each, sorted.
func (w *FeedWatcher) Want(t *testing.T, after string, want ...string) {
	t.Helper()
	var got []string
	for _, c := range w.Page(t).Changes {
		got = append(got, c.Topic+" "+c.Ref)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after %s (-want +got):\n%s", after, diff)
	}
}

// RunChanges checks that a PostgreSQL database announces every edit, and
// nothing else.
func RunChanges(t *testing.T, db *store.DB) {
	u := &account.User{Username: "ada", PasswordHash: "hash", Role: account.RoleUser, Status: account.Enabled, Group: "default", Created: noon}
	must(t, db.InsertUser(t.Context(), u, budget.Cause{}))
	w := WatchFeed(t, db)
	user, session, accessToken := "user "+itoa(u.ID), "session "+itoa(u.ID), "access_token "+itoa(u.ID)
	value := func(name string) string { return "key_value " + hex.EncodeToString(aKey(0, name).Hash) }

	k := insertKey(t, db, aKey(u.ID, "first"))
	aboutKey := "key " + itoa(k.ID)
	w.Want(t, "a new key", value("first"))
	k.Status = key.Disabled
	done(t)(db.UpdateKey(t.Context(), k, 0, budget.Cause{}))
	w.Want(t, "an edited key", aboutKey)
	done(t)(db.GrantKey(t.Context(), k.ID, 5, budget.Cause{}))
	w.Want(t, "a topped up key", aboutKey)
	must(t, db.RotateKey(t.Context(), u.ID, k.ID, aValue("second"), k.Created, k.Created.Add(time.Hour), 5))
	w.Want(t, "a rotated key", aboutKey, value("second"))
	done(t)(db.EndValue(t.Context(), u.ID, k.ID, 1, k.Created))
	w.Want(t, "a value that ends early", aboutKey)
	must(t, db.TouchValues(t.Context(), map[string]time.Time{string(aKey(0, "second").Hash): noon}))
	must(t, db.WipeValues(t.Context(), time.Time{}, noon.Add(100*365*24*time.Hour)))
	r := someRecord(1, u.ID, k.ID)
	r.KeyGrantDelta, r.UserGrantDelta = 7, 9
	apply(t, db, r)
	w.Want(t, "use")
	if _, err := db.DeleteKeys(t.Context(), u.ID, []int64{k.ID}, noon); err != nil {
		t.Fatal(err)
	}
	w.Want(t, "a deleted key", aboutKey)

	edit(t, db, u.ID, func(e *account.Edit) { e.User.DisplayName = "Ada" })
	w.Want(t, "an edited user", user)
	insertSession(t, db, u.ID, 1)
	must(t, db.InsertAccessToken(t.Context(), token(u.ID, 1), 5))
	w.Want(t, "signing in")
	done(t)(db.TouchSession(t.Context(), hash(1), noon))
	w.Want(t, "being signed in")
	must(t, db.DeleteSession(t.Context(), hash(1)))
	w.Want(t, "signing out", session)
	insertSession(t, db, u.ID, 2)
	insertSession(t, db, u.ID, 3)
	edit(t, db, u.ID, func(e *account.Edit) { e.EndSessions = true })
	w.Want(t, "the end of all sessions", session, user)
	tokens, _, err := db.ListAccessTokens(t.Context(), u.ID, 0, 10)
	must(t, err)
	must(t, db.DeleteAccessToken(t.Context(), u.ID, tokens[0].ID))
	w.Want(t, "a deleted token", accessToken)
	must(t, db.DeleteUser(t.Context(), u.ID, noon))
	w.Want(t, "a deleted user", user)

	c := fullChannel()
	c.ID = insertChannel(t, db, c)
	aboutChannel := "channel " + itoa(c.ID)
	w.Want(t, "a new channel", aboutChannel)
	done(t)(db.UpdateChannel(t.Context(), c, 1))
	w.Want(t, "an edited channel", aboutChannel)
	done(t)(db.DeleteChannel(t.Context(), c.ID))
	w.Want(t, "a deleted channel", aboutChannel)

	g := &group.Group{Name: "a|b", Ratio: money.One}
	insertGroup(t, db, g)
	w.Want(t, "a new group", "group a|b")
	done(t)(db.UpdateGroup(t.Context(), g, 1))
	w.Want(t, "an edited group", "group a|b")
	if _, err := db.DeleteGroup(t.Context(), g.Name); err != nil {
		t.Fatal(err)
	}
	w.Want(t, "a deleted group", "group a|b")
	must(t, db.SaveOption(t.Context(), "o", "1"))
	w.Want(t, "a new option", "option o")
	must(t, db.SaveOption(t.Context(), "o", "2"))
	w.Want(t, "a changed option", "option o")
	version, err := db.PutPrice(t.Context(), "m", []byte("{}"), noon)
	must(t, err)
	w.Want(t, "a new price", "price "+itoa(version))
	done(t)(db.DeletePrice(t.Context(), "m", noon))
	w.Want(t, "an ended price", "price "+itoa(version+1))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// done takes what a statement answers that says whether it found its row.
func done(t *testing.T) func(bool, error) {
	return func(found bool, err error) {
		t.Helper()
		if err == nil && !found {
			err = errors.New("there is no such row")
		}
		must(t, err)
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
