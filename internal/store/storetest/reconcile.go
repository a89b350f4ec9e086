package storetest

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/key"
	"halley/internal/money"
	"halley/internal/reconcile"
	"halley/internal/store"
	"halley/internal/usage"
)

// RunReconcile checks that a database keeps its books as reconcile.Store
// promises: that they are right whatever happens, and that what is not is found.
func RunReconcile(t *testing.T, url func(t *testing.T) string) {
	for name, check := range map[string]func(*testing.T, string){
		"any history leaves no difference":                     booksHistory,
		"what was doctored is found and named":                 booksDoctored,
		"records may be dropped by those who say so":           booksPruned,
		"a report counts all and has the first in full":        booksMany,
		"a check sees one moment, whatever is being written":   booksMoment,
		"every grant has a row with who and why":               booksRows,
		"what does not change anything leaves no row":          booksNothing,
		"the rows of a subject come in pages, newest first":    booksPages,
		"an account that goes is still accounted for":          booksGone,
		"a node's leases are compared with what is left of it": booksLeases,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, url(t))
		})
	}
}

// balanced checks that the books have no difference.
func balanced(t *testing.T, db *store.DB) reconcile.Report {
	t.Helper()
	report, err := db.Reconcile(context.WithoutCancel(t.Context()), reconcile.Most)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range report.Differences {
		t.Error(d)
	}
	if report.Total != int64(len(report.Differences)) && report.Total <= reconcile.Most {
		t.Errorf("%d differences, %d of them told", report.Total, len(report.Differences))
	}
	return report
}

func ofKey(id int64) budget.Subject  { return budget.Subject{Kind: budget.Key, ID: id} }
func ofUser(id int64) budget.Subject { return budget.Subject{Kind: budget.User, ID: id} }

// teller is somebody at work on the books, with everything that changes them.
type teller struct {
	*testing.T
	db     *store.DB
	ledger *budget.Ledger
	random *rand.Rand
	now    time.Time
	users  []int64
	keys   []*key.Key // deleted ones are nil
	sent   []usage.Record
	// What has happened: requests that were paid for or refused, and edits.
	paid, refused, edits int
}

func newTeller(t *testing.T, url string, seed uint64) *teller {
	t.Helper()
	c := &teller{T: t, db: Open(t, url), random: rand.New(rand.NewPCG(seed, 0)), now: usageStart}
	c.ledger = budget.NewLedger(c.db, func() time.Time { return c.now })
	return c
}

func (c *teller) chance(n int) bool { return c.random.IntN(n) == 0 }

func (c *teller) cause(r budget.Reason) budget.Cause {
	return budget.Cause{Actor: c.random.Int64N(5), RequestID: "req"}.For(r, c.now)
}

func (c *teller) addUser(granted money.Nano, unlimited bool) int64 {
	c.Helper()
	u := &account.User{Username: fmt.Sprint("user", len(c.users)), Role: account.RoleUser, Status: account.Enabled, Group: "default", Granted: granted, Unlimited: unlimited}
	if err := c.db.InsertUser(c.Context(), u, c.cause(budget.Created)); err != nil {
		c.Fatal(err)
	}
	c.users = append(c.users, u.ID)
	return u.ID
}

func (c *teller) addKey(owner int64, granted money.Nano, unlimited bool, parent int64) *key.Key {
	c.Helper()
	k := aKey(owner, fmt.Sprint("key", len(c.keys)))
	k.Granted, k.Unlimited = granted, unlimited
	if parent != 0 {
		k.Limits.ParentID = &parent
	}
	id, err := c.db.InsertKey(c.Context(), k, 1000, c.cause(budget.Created))
	if err != nil {
		c.Fatal(err)
	}
	k.ID = id
	c.keys = append(c.keys, k)
	return k
}

func payersOf(k *key.Key) budget.Payers {
	who := budget.Payers{Key: k.ID, User: k.UserID}
	if k.Limits.ParentID != nil {
		who.Parent = *k.Limits.ParentID
	}
	return who
}

// spend is requests that run at the same time and land together, some of them
// for the second time.
func (c *teller) spend(keys ...*key.Key) {
	c.Helper()
	var batch []usage.Record
	for _, k := range keys {
		var h budget.Hold
		who := payersOf(k)
		bound := money.Nano(1 + c.random.Int64N(20_000))
		r := someRecord(0, who.User, who.Key)
		r.EventID, r.Time, r.ParentID, r.Settled = fmt.Sprint("e", len(c.sent)+len(batch)), c.now, who.Parent, true
		r.Model, r.ChannelID = fmt.Sprint("m", c.random.IntN(3)), c.random.Int64N(2)
		err := c.ledger.Hold(c.Context(), &h, who, bound, nil)
		switch {
		case fault.Is(err, fault.PaymentRequired) || fault.Is(err, fault.NotFound):
			c.refused++
			r.Cost, r.Absorbed, r.Status, r.Attempts, r.Settled = 0, 0, 402, 0, false
		case err != nil:
			c.Fatal(err)
		default:
			c.paid++
			charge := h.Settle(money.Nano(c.random.Int64N(1 + int64(bound)*11/10))) // at times more than was held
			r.Cost, r.Absorbed, r.KeyGrantDelta, r.ParentGrantDelta, r.UserGrantDelta = charge.Charged, charge.Absorbed, charge.KeyGrant, charge.ParentGrant, charge.UserGrant
			r.Time = h.At()
		}
		batch = append(batch, r)
	}
	again := batch
	if len(c.sent) > 0 && c.chance(3) {
		again = append(slices.Clone(batch), c.sent[c.random.IntN(len(c.sent))])
	}
	c.sent = append(c.sent, batch...)
	err := c.ledger.Land(c.Context(), func() error {
		if err := c.db.ApplyUsage(c.Context(), again); err != nil {
			return err
		}
		for _, r := range batch {
			if r.Settled {
				c.ledger.Landed(budget.Landing{Payers: budget.Payers{Key: r.KeyID, Parent: r.ParentID, User: r.UserID}, At: r.Time, Charge: budget.Charge{Charged: r.Cost}})
			}
		}
		return nil
	})
	if err != nil {
		c.Fatal(err)
	}
}

// decide is some change of a balance.
func (c *teller) decide(b budget.Balance) (budget.Change, error) {
	delta := money.Nano(c.random.Int64N(100_000) - 40_000)
	change := budget.Change{Delta: max(delta, -b.Remaining())}
	if c.chance(3) {
		change.Delta = 0
	}
	if c.chance(3) {
		change.Unlimited = new(c.chance(2))
	}
	return change, nil
}

func (c *teller) edited(s budget.Subject, commit func(context.Context, budget.Change) error) {
	c.Helper()
	if _, err := c.ledger.Edit(c.Context(), s, c.decide, commit); err != nil {
		c.Fatal(err)
	}
	c.edits++
}

func (c *teller) editKey(k *key.Key) {
	c.Helper()
	c.edited(ofKey(k.ID), func(ctx context.Context, change budget.Change) error {
		if change.Unlimited == nil && c.chance(2) {
			_, err := c.db.GrantKey(ctx, k.ID, change.Delta, c.cause(budget.Quota))
			return err
		}
		stored, err := c.db.KeyByID(ctx, k.ID)
		if err != nil {
			return err
		}
		if change.Unlimited != nil {
			stored.Unlimited = *change.Unlimited
		}
		if done, err := c.db.UpdateKey(ctx, stored, change.Delta, c.cause(budget.Edited)); !done || err != nil {
			return fmt.Errorf("update: %v, %w", done, err)
		}
		return nil
	})
}

func (c *teller) editUser(id int64) {
	c.Helper()
	c.edited(ofUser(id), func(ctx context.Context, change budget.Change) error {
		_, err := c.db.EditUser(ctx, id, func(e *account.Edit) error {
			e.Change, e.Cause = change, c.cause(budget.Edited)
			return nil
		})
		return err
	})
}

func (c *teller) deleteKey(i int) {
	c.Helper()
	k := c.keys[i]
	gone, err := c.db.DeleteKeys(c.Context(), k.UserID, []int64{k.ID}, c.now)
	if !slices.Equal(gone.Asked, []int64{k.ID}) || err != nil {
		c.Fatal(gone, err)
	}
	for i, other := range c.keys {
		if other != nil && slices.Contains(gone.All(), other.ID) { // it, and its children
			c.keys[i] = nil
			c.ledger.Forget(ofKey(other.ID))
		}
	}
}

func booksHistory(t *testing.T, url string) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	c := newTeller(t, url, seed)
	first := &account.User{Username: "root", Role: account.RoleRoot, Status: account.Enabled, Group: "default", Unlimited: true}
	if _, err := c.db.InsertFirstUser(t.Context(), first, c.cause(budget.FirstStart)); err != nil {
		t.Fatal(err)
	}
	c.users = append(c.users, first.ID)
	for range 2 {
		c.addUser(money.Nano(c.random.Int64N(400_000)), c.chance(4))
	}
	for step := range 250 {
		c.now = c.now.Add(time.Duration(c.random.Int64N(int64(time.Hour)))) // some ten days
		alive := slices.DeleteFunc(slices.Clone(c.keys), func(k *key.Key) bool { return k == nil })
		switch n := c.random.IntN(20); {
		case n < 3 || len(alive) == 0:
			parent := int64(0)
			owner := c.users[c.random.IntN(len(c.users))]
			if len(alive) > 0 && c.chance(2) {
				if p := alive[c.random.IntN(len(alive))]; p.Limits.ParentID == nil {
					parent, owner = p.ID, p.UserID
				}
			}
			c.addKey(owner, money.Nano(c.random.Int64N(100_000)), c.chance(4), parent)
		case n < 6:
			c.editKey(alive[c.random.IntN(len(alive))])
		case n < 8:
			c.editUser(c.users[c.random.IntN(len(c.users))])
		case n == 8 && len(alive) > 3:
			c.deleteKey(slices.Index(c.keys, alive[c.random.IntN(len(alive))]))
		default:
			var some []*key.Key
			for range 1 + c.random.IntN(8) {
				some = append(some, alive[c.random.IntN(len(alive))])
			}
			c.spend(some...)
		}
		if step%50 == 0 {
			balanced(t, c.db)
		}
	}
	report := balanced(t, c.db)
	if report.Keys != int64(len(c.keys)) || report.Users != int64(len(c.users)) || report.Hours < 50 {
		t.Errorf("checked %+v; there are %d keys, %d users", report, len(c.keys), len(c.users))
	}
	if c.paid < 50 || c.refused == 0 || c.edits < 10 {
		t.Errorf("a poor history: %d requests paid for, %d refused, %d edits", c.paid, c.refused, c.edits)
	}
}

// ledgerStory is a small set of books with something of everything, in fixed
// amounts.
type ledgerStory struct {
	db                  *store.DB
	raw                 *sql.DB
	ada                 int64
	parent, child, free *key.Key
	hour                int64 // Unix seconds; everything is spent in this one
}

func newLedgerStory(t *testing.T, url string) ledgerStory {
	t.Helper()
	c := newTeller(t, url, 1)
	s := ledgerStory{db: c.db, raw: Raw(t, url), hour: usageStart.Truncate(time.Hour).Unix()}
	s.ada = c.addUser(100_000, false)
	s.parent = c.addKey(s.ada, 50_000, false, 0)
	s.child = c.addKey(s.ada, 20_000, false, s.parent.ID)
	s.free = c.addKey(s.ada, 0, true, 0)
	for i, row := range []struct {
		key        *key.Key
		cost, rise money.Nano
	}{{s.parent, 1000, 0}, {s.child, 300, 0}, {s.child, 400, 0}, {s.free, 50, 50}} {
		r := someRecord(i, s.ada, row.key.ID)
		r.Cost, r.KeyGrantDelta, r.ParentID = row.cost, row.rise, payersOf(row.key).Parent
		apply(t, s.db, r)
	}
	balanced(t, s.db)
	return s
}

func (s *ledgerStory) exec(t *testing.T, format string, args ...any) {
	t.Helper()
	if _, err := s.raw.ExecContext(t.Context(), fmt.Sprintf(format, args...)); err != nil {
		t.Fatal(err)
	}
}

func booksDoctored(t *testing.T, url string) {
	s := newLedgerStory(t, url)
	ada, parent, child, free := s.ada, s.parent.ID, s.child.ID, s.free.ID
	type list = []reconcile.Difference
	key := func(id int64, what string, expected, stored int64) reconcile.Difference {
		return reconcile.Difference{Kind: reconcile.Key, ID: id, What: what, Expected: expected, Stored: stored}
	}
	user := func(what string, expected, stored int64) reconcile.Difference {
		return reconcile.Difference{Kind: reconcile.User, ID: ada, What: what, Expected: expected, Stored: stored}
	}
	hour := func(what string, key, expected, stored int64) reconcile.Difference {
		return reconcile.Difference{Kind: reconcile.Hour, ID: s.hour, What: fmt.Sprintf("%s of user %d, key %d, model gpt-4o, channel 3", what, ada, key), Expected: expected, Stored: stored}
	}
	for _, row := range []struct {
		name, do, undo string
		want           list
	}{
		{
			"a key's grant", fmt.Sprintf(`UPDATE keys SET granted_nano = granted_nano + 1 WHERE id = %d`, parent), fmt.Sprintf(`UPDATE keys SET granted_nano = granted_nano - 1 WHERE id = %d`, parent),
			list{key(parent, "granted_nano", 50_000, 50_001)},
		},
		{
			"an unlimited key's grant", fmt.Sprintf(`UPDATE keys SET granted_nano = 51 WHERE id = %d`, free), fmt.Sprintf(`UPDATE keys SET granted_nano = 50 WHERE id = %d`, free),
			list{key(free, "granted_nano", 50, 51)},
		},
		{
			"what a parent has used", fmt.Sprintf(`UPDATE keys SET used_nano = used_nano - 700 WHERE id = %d`, parent), fmt.Sprintf(`UPDATE keys SET used_nano = used_nano + 700 WHERE id = %d`, parent),
			list{key(parent, "used_nano", 1700, 1000)},
		},
		{
			"whether a key is unlimited", fmt.Sprintf(`UPDATE keys SET unlimited = 1 - unlimited WHERE id <> %d`, parent), fmt.Sprintf(`UPDATE keys SET unlimited = 1 - unlimited WHERE id <> %d`, parent),
			list{key(child, "unlimited", 0, 1), key(free, "unlimited", 1, 0)},
		},
		{
			"an account's grant", `UPDATE users SET granted_nano = granted_nano * 2`, `UPDATE users SET granted_nano = granted_nano / 2`,
			list{user("granted_nano", 100_000, 200_000)},
		},
		{
			"what an account has used", `UPDATE users SET used_nano = used_nano + 7`, `UPDATE users SET used_nano = used_nano - 7`,
			list{user("used_nano", 1750, 1757)},
		},
		{
			"an account's requests", `UPDATE users SET request_count = request_count - 1`, `UPDATE users SET request_count = request_count + 1`,
			list{user("request_count", 4, 3)},
		},
		{
			"whether an account is unlimited", `UPDATE users SET unlimited = 1`, `UPDATE users SET unlimited = 0`,
			list{user("unlimited", 0, 1)},
		},
		{
			"the amount of a grant", fmt.Sprintf(`UPDATE grants SET delta_nano = delta_nano + 5 WHERE kind = 1 AND subject_id = %d`, child), fmt.Sprintf(`UPDATE grants SET delta_nano = delta_nano - 5 WHERE kind = 1 AND subject_id = %d`, child),
			list{key(child, "granted_nano", 20_005, 20_000)},
		},
		{
			"whose a grant is", fmt.Sprintf(`UPDATE grants SET subject_id = 99 WHERE kind = 1 AND subject_id = %d`, child), `UPDATE grants SET subject_id = ` + fmt.Sprint(child) + ` WHERE subject_id = 99`,
			list{key(child, "granted_nano", 0, 20_000), key(99, "record", 1, 0)},
		},
		{
			"that a key became unlimited", `UPDATE grants SET reason = 'edited' WHERE reason = 'unlimited'`, `UPDATE grants SET reason = 'unlimited' WHERE reason = 'edited'`,
			list{key(free, "unlimited", 0, 1)},
		},
		{
			"a grant that was moved from a key to its account", fmt.Sprintf(`UPDATE grants SET kind = 2, subject_id = %d WHERE kind = 1 AND subject_id = %d AND delta_nano = 50000`, ada, parent), fmt.Sprintf(`UPDATE grants SET kind = 1, subject_id = %d WHERE delta_nano = 50000`, parent),
			list{key(parent, "granted_nano", 0, 50_000), user("granted_nano", 150_000, 100_000)},
		},
		{
			"more used than granted", fmt.Sprintf(`UPDATE grants SET delta_nano = 699 WHERE kind = 1 AND subject_id = %[1]d; UPDATE keys SET granted_nano = 699 WHERE id = %[1]d`, child), fmt.Sprintf(`UPDATE grants SET delta_nano = 20000 WHERE kind = 1 AND subject_id = %[1]d; UPDATE keys SET granted_nano = 20000 WHERE id = %[1]d`, child),
			list{key(child, "overdrawn", 699, 700)},
		},
		{
			"a rollup's charge", fmt.Sprintf(`UPDATE usage_hours SET cost_nano = cost_nano + 3 WHERE key_id = %d`, child), fmt.Sprintf(`UPDATE usage_hours SET cost_nano = cost_nano - 3 WHERE key_id = %d`, child),
			list{key(parent, "used_nano", 1703, 1700), key(child, "used_nano", 703, 700), user("used_nano", 1753, 1750), hour("cost_nano", child, 700, 703)},
		},
		{
			"a rollup's grant", fmt.Sprintf(`UPDATE usage_hours SET key_grant_nano = 49, user_grant_nano = 1 WHERE key_id = %d`, free), fmt.Sprintf(`UPDATE usage_hours SET key_grant_nano = 50, user_grant_nano = 0 WHERE key_id = %d`, free),
			list{key(free, "granted_nano", 49, 50), user("granted_nano", 100_001, 100_000), hour("key_grant_nano", free, 50, 49), hour("user_grant_nano", free, 0, 1)},
		},
		{
			"a rollup's tokens and errors", fmt.Sprintf(`UPDATE usage_hours SET tokens_in = 0, tokens_out = 1, errors = 2 WHERE key_id = %d`, free), fmt.Sprintf(`UPDATE usage_hours SET tokens_in = 10, tokens_out = 20, errors = 0 WHERE key_id = %d`, free),
			list{hour("errors", free, 0, 2), hour("tokens_in", free, 10, 0), hour("tokens_out", free, 20, 1)},
		},
		{
			"charges that changed their key", fmt.Sprintf(`UPDATE usage_records SET key_id = %d WHERE cost_nano = 300`, parent), fmt.Sprintf(`UPDATE usage_records SET key_id = %d WHERE cost_nano = 300`, child),
			list{
				hour("requests", parent, 2, 1), hour("tokens_in", parent, 20, 10), hour("tokens_out", parent, 40, 20), hour("cost_nano", parent, 1300, 1000),
				hour("requests", child, 1, 2), hour("tokens_in", child, 10, 20), hour("tokens_out", child, 20, 40), hour("cost_nano", child, 400, 700),
			},
		},
		{
			"a record's charge", `UPDATE usage_records SET cost_nano = 301 WHERE cost_nano = 300`, `UPDATE usage_records SET cost_nano = 300 WHERE cost_nano = 301`,
			list{hour("cost_nano", child, 701, 700)},
		},
		{
			"usage of nobody", fmt.Sprintf(`UPDATE usage_hours SET key_id = 77 WHERE key_id = %d; UPDATE usage_records SET key_id = 77 WHERE key_id = %[1]d`, free), fmt.Sprintf(`UPDATE usage_hours SET key_id = %d WHERE key_id = 77; UPDATE usage_records SET key_id = %[1]d WHERE key_id = 77`, free),
			list{key(free, "granted_nano", 0, 50), key(free, "used_nano", 0, 50), key(77, "record", 1, 0)},
		},
	} {
		for _, text := range strings.Split(row.do, "; ") {
			s.exec(t, "%s", text)
		}
		report, err := s.db.Reconcile(t.Context(), reconcile.Most)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(row.want, report.Differences); diff != "" || report.Total != int64(len(row.want)) {
			t.Errorf("%s: %d differences (-want +got):\n%s", row.name, report.Total, diff)
		}
		for _, text := range strings.Split(row.undo, "; ") {
			s.exec(t, "%s", text)
		}
		balanced(t, s.db) // so that the next row stands alone
	}
}

func booksPruned(t *testing.T, url string) {
	c := newTeller(t, url, 2)
	k := c.addKey(c.addUser(money.USD, false), money.USD, false, 0)
	for range 60 {
		c.spend(k)
		c.now = c.now.Add(time.Hour)
	}
	raw := ledgerStory{raw: Raw(t, url)}
	balanced(t, c.db)
	// A day is dropped as one that will drop days has to.
	from := usageStart.Truncate(time.Hour).Add(24 * time.Hour).UnixMilli()
	raw.exec(t, `DELETE FROM usage_records WHERE time_ms < %d`, from)
	if report, err := c.db.Reconcile(t.Context(), 1000); err != nil || report.Total < 24 {
		t.Errorf("records that are just gone: %d differences, %v", report.Total, err)
	}
	raw.exec(t, `INSERT INTO meta (name, value) VALUES ('usage_records_from', '%d')`, from)
	if report := balanced(t, c.db); report.Hours != 36 {
		t.Errorf("%d hours were compared, want those from the second day on", report.Hours)
	}
	// What comes late, from the journal of a node that was away, has no
	// companions any more.
	late := someRecord(9999, k.UserID, k.ID)
	late.EventID = "late"
	apply(t, c.db, late)
	balanced(t, c.db)
	raw.exec(t, `DELETE FROM usage_records WHERE time_ms >= %d AND time_ms < %d`, from, from+3_600_000)
	if report, err := c.db.Reconcile(t.Context(), 1000); err != nil || report.Total == 0 {
		t.Errorf("a record that is missing since then: %+v, %v", report, err)
	}
}

func booksMany(t *testing.T, url string) {
	c := newTeller(t, url, 3)
	owner := c.addUser(money.USD, false)
	for range 20 {
		c.addKey(owner, 1000, false, 0)
	}
	raw := ledgerStory{raw: Raw(t, url)}
	raw.exec(t, `UPDATE keys SET granted_nano = 999`)
	for _, most := range []int{0, 3, 20, 100} {
		report, err := c.db.Reconcile(t.Context(), most)
		if err != nil {
			t.Fatal(err)
		}
		if report.Total != 20 || len(report.Differences) != min(most, 20) {
			t.Errorf("asked for %d: %d differences, %d in full", most, report.Total, len(report.Differences))
		}
		for i, d := range report.Differences {
			if d.ID != c.keys[i].ID {
				t.Errorf("not in their order: %v", report.Differences)
				break
			}
		}
	}
}

func booksMoment(t *testing.T, url string) {
	c := newTeller(t, url, 4)
	owner := c.addUser(money.Max, true)
	k := c.addKey(owner, 1000, true, 0)
	done := make(chan struct{})
	var writers sync.WaitGroup
	writers.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			r := someRecord(i, owner, k.ID)
			r.KeyGrantDelta, r.UserGrantDelta, r.Time = r.Cost, r.Cost, usageStart.Add(time.Duration(i)*time.Minute)
			if err := c.db.ApplyUsage(t.Context(), []usage.Record{r}); err != nil {
				t.Error(err)
				return
			}
			if _, err := c.db.GrantKey(t.Context(), k.ID, 7, budget.Cause{}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	var last int64
	for seen := 0; seen < 20 && !t.Failed(); {
		report := balanced(t, c.db)
		if report.Hours != last || seen == 0 { // something was written meanwhile
			seen++
			last = report.Hours
		}
	}
	close(done)
	writers.Wait()
}

// rowsOf are a subject's rows, oldest first, without their ids.
func rowsOf(t *testing.T, db *store.DB, s budget.Subject) []reconcile.Grant {
	t.Helper()
	rows, total, err := db.Grants(t.Context(), s, 0, 1000)
	if err != nil || total != int64(len(rows)) {
		t.Fatalf("%d rows of %d, %v", len(rows), total, err)
	}
	slices.Reverse(rows)
	for i := range rows {
		rows[i].ID = 0
	}
	return rows
}

func booksRows(t *testing.T, url string) {
	db := Open(t, url)
	at := func(minute int, actor int64, r budget.Reason) budget.Cause {
		return budget.Cause{Actor: actor, RequestID: fmt.Sprint("req-", minute)}.For(r, usageStart.Add(time.Duration(minute)*time.Minute))
	}
	ada := &account.User{Username: "ada", Role: account.RoleUser, Status: account.Enabled, Group: "default", Granted: 500}
	if err := db.InsertUser(t.Context(), ada, at(0, 0, budget.Registered)); err != nil {
		t.Fatal(err)
	}
	edit := func(change budget.Change, why budget.Cause) {
		t.Helper()
		if _, err := db.EditUser(t.Context(), ada.ID, func(e *account.Edit) error { e.Change, e.Cause = change, why; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	edit(budget.Change{Delta: -100}, at(1, 7, budget.Quota))
	edit(budget.Change{Unlimited: new(true)}, at(2, 7, budget.Edited))
	edit(budget.Change{Unlimited: new(true)}, at(3, 7, budget.Edited))
	edit(budget.Change{Unlimited: new(false)}, at(4, 8, budget.Edited))
	row := func(s budget.Subject, delta money.Nano, why budget.Cause) reconcile.Grant {
		return reconcile.Grant{Subject: s, Delta: delta, Cause: why}
	}
	user := ofUser(ada.ID)
	if diff := gocmp.Diff([]reconcile.Grant{
		row(user, 500, at(0, 0, budget.Registered)), row(user, -100, at(1, 7, budget.Quota)), row(user, 0, at(2, 7, budget.Lifted)), row(user, 0, at(4, 8, budget.Bound)),
	}, rowsOf(t, db, user)); diff != "" {
		t.Errorf("of the account (-want +got):\n%s", diff)
	}

	k := aKey(ada.ID, "k")
	k.Granted, k.Unlimited = 0, true
	id, err := db.InsertKey(t.Context(), k, 10, at(5, ada.ID, budget.Imported))
	if err != nil {
		t.Fatal(err)
	}
	k.ID = id
	if done, err := db.GrantKey(t.Context(), id, 40, at(6, 7, budget.Quota)); !done || err != nil {
		t.Fatal(done, err)
	}
	next, err := db.KeyByID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	next.Unlimited = false
	if done, err := db.UpdateKey(t.Context(), next, -15, at(7, ada.ID, budget.Edited)); !done || err != nil {
		t.Fatal(done, err)
	}
	if diff := gocmp.Diff([]reconcile.Grant{
		row(ofKey(id), 0, at(5, ada.ID, budget.Imported)), row(ofKey(id), 0, at(5, ada.ID, budget.Lifted)),
		row(ofKey(id), 40, at(6, 7, budget.Quota)), row(ofKey(id), -15, at(7, ada.ID, budget.Edited)), row(ofKey(id), 0, at(7, ada.ID, budget.Bound)),
	}, rowsOf(t, db, ofKey(id))); diff != "" {
		t.Errorf("of the key (-want +got):\n%s", diff)
	}
	balanced(t, db)
}

func booksNothing(t *testing.T, url string) {
	c := newTeller(t, url, 5)
	owner := c.addUser(1000, false)
	k := c.addKey(owner, 1000, false, 0)
	stale := *k
	stale.Version, stale.Unlimited = 17, true
	if done, err := c.db.UpdateKey(t.Context(), &stale, 5, budget.Cause{}); done || err != nil {
		t.Errorf("from another version: %v, %v", done, err)
	}
	renamed := *k
	renamed.Name = "renamed"
	if done, err := c.db.UpdateKey(t.Context(), &renamed, 0, budget.Cause{}); !done || err != nil {
		t.Errorf("renaming: %v, %v", done, err)
	}
	if done, err := c.db.GrantKey(t.Context(), 99, 5, budget.Cause{}); done || err != nil {
		t.Errorf("of a key that is not there: %v, %v", done, err)
	}
	twin := *k
	if _, err := c.db.InsertKey(t.Context(), &twin, 1000, budget.Cause{}); err == nil {
		t.Error("a value was taken twice")
	}
	refusal := fault.New(fault.Forbidden, "no", "No.")
	if _, err := c.db.EditUser(t.Context(), owner, func(e *account.Edit) error { e.Change.Delta = 5; return refusal }); err == nil {
		t.Error("a refused edit was made")
	}
	if _, err := c.db.EditUser(t.Context(), owner, func(e *account.Edit) error { e.User.DisplayName = "Ada"; return nil }); err != nil {
		t.Error(err)
	}
	if err := c.db.InsertUser(t.Context(), &account.User{Username: "user0", Granted: 5}, budget.Cause{}); err == nil {
		t.Error("a name was taken twice")
	}
	if made, err := c.db.InsertFirstUser(t.Context(), &account.User{Username: "late", Granted: 5}, budget.Cause{}); made || err != nil {
		t.Errorf("a first user after others: %v, %v", made, err)
	}
	if keys, users := rowsOf(t, c.db, ofKey(k.ID)), rowsOf(t, c.db, ofUser(owner)); len(keys) != 1 || len(users) != 1 {
		t.Errorf("rows: %+v, %+v", keys, users)
	}
	balanced(t, c.db)
}

func booksPages(t *testing.T, url string) {
	c := newTeller(t, url, 6)
	k := c.addKey(c.addUser(1000, false), 1000, false, 0)
	for i := range 6 {
		if _, err := c.db.GrantKey(t.Context(), k.ID, money.Nano(i+1), budget.Cause{}); err != nil {
			t.Fatal(err)
		}
	}
	var deltas []money.Nano
	for offset := int64(0); offset < 9; offset += 3 {
		rows, total, err := c.db.Grants(t.Context(), ofKey(k.ID), offset, 3)
		if err != nil || total != 7 {
			t.Fatalf("%d in all, %v", total, err)
		}
		for _, r := range rows {
			deltas = append(deltas, r.Delta)
		}
	}
	if want := []money.Nano{6, 5, 4, 3, 2, 1, 1000}; !slices.Equal(deltas, want) {
		t.Errorf("%v, want %v", deltas, want)
	}
	if rows, total, err := c.db.Grants(t.Context(), ofUser(99), 0, 10); len(rows) != 0 || total != 0 || err != nil {
		t.Errorf("of nobody: %v, %d, %v", rows, total, err)
	}
}

func booksGone(t *testing.T, url string) {
	c := newTeller(t, url, 7)
	owner := c.addUser(money.USD, false)
	k := c.addKey(owner, money.USD, false, 0)
	child := c.addKey(owner, money.USD, true, k.ID)
	c.spend(k, child)
	c.deleteKey(1)
	c.deleteKey(0)
	if err := c.db.DeleteUser(t.Context(), owner, c.now); err != nil {
		t.Fatal(err)
	}
	// A request that was under way ends now.
	late := someRecord(9999, owner, child.ID)
	late.ParentID, late.KeyGrantDelta = k.ID, late.Cost
	apply(t, c.db, late)
	if report := balanced(t, c.db); report.Keys != 2 || report.Users != 1 || report.Hours == 0 {
		t.Errorf("checked %+v", report)
	}
}

func booksLeases(t *testing.T, url string) {
	s := newLedgerStory(t, url)
	lease := func(kind budget.Kind, id int64, purse string, node, taken, landed int64) {
		s.exec(t, `INSERT INTO leases (kind, subject_id, purse, start_ms, node_id, end_ms, taken_nano, landed_nano, held_nano) VALUES (%d, %d, '%s', 0, %d, 1, %d, %d, 0)`, kind, id, purse, node, taken, landed)
	}
	s.exec(t, `INSERT INTO lease_nodes (id, term, beats, seen_ms) VALUES (1, 1, 1, 1), (2, 1, 1, 1)`)
	// The parent has 48,300 left, the account 98,250; a renewing budget is
	// another purse.
	lease(budget.Key, s.parent.ID, "", 1, 9000, 1000)
	lease(budget.Key, s.parent.ID, "", 2, 40_300, 0)
	lease(budget.Key, s.parent.ID, "day", 2, 90_000, 0)
	lease(budget.Key, s.child.ID, "", 1, 300, 700)
	lease(budget.User, s.ada, "", 1, 98_250, 0)
	balanced(t, s.db)
	s.exec(t, `UPDATE leases SET taken_nano = taken_nano + 1 WHERE node_id = 1`)
	lease(budget.User, 4711, "", 2, 5, 0)
	lease(budget.Key, s.free.ID, "", 3, 5, 5)
	lease(budget.Key, s.free.ID, "day", 3, 5, 5)
	report, err := s.db.Reconcile(t.Context(), reconcile.Most)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]reconcile.Difference{
		{Kind: reconcile.Key, ID: s.parent.ID, What: "leased", Expected: 48_300, Stored: 48_301},
		{Kind: reconcile.User, ID: s.ada, What: "leased", Expected: 98_250, Stored: 98_251},
		{Kind: reconcile.User, ID: 4711, What: "record", Expected: 1, Stored: 0},
		{Kind: reconcile.Node, ID: 3, What: "leases", Expected: 0, Stored: 2},
	}, report.Differences); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// What is leased of a key that was deleted is nobody's any more.
	s.exec(t, `UPDATE keys SET deleted_ms = 1 WHERE id = %d`, s.parent.ID)
	report, err = s.db.Reconcile(t.Context(), reconcile.Most)
	if err != nil || report.Total != 3 {
		t.Errorf("after the deletion: %+v, %v", report.Differences, err)
	}
}
