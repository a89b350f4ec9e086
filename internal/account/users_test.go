package account_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/money"
)

func TestANewUserHasWhatNobodySaid(t *testing.T) {
	t.Parallel()
	h := setup(t)
	got := h.create(t, account.NewUser{Username: "ada"})
	want := &account.User{
		ID: got.ID, Username: "ada", PasswordHash: got.PasswordHash, Role: account.RoleUser, Status: account.Enabled, Group: "default",
		Granted: money.FromUnits(700), Created: h.clock.now(), Version: 1,
	}
	if diff := cmp.Diff(want, got.User); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Balance != want.Balance() {
		t.Errorf("the balance is %+v", got.Balance)
	}
	full := h.create(t, account.NewUser{Username: "grace", DisplayName: " Grace ", Email: "g@example.com", Role: account.RoleAdmin, Group: "vip", Quota: new(int64(5)), Unlimited: true})
	if full.DisplayName != "Grace" || full.Email != "g@example.com" || full.Role != account.RoleAdmin || full.Group != "vip" || full.Balance.Granted != 5*money.Unit || !full.Unlimited {
		t.Errorf("what was said: %+v", full.User)
	}
	zero := h.create(t, account.NewUser{Username: "zero", Quota: new(int64(0))})
	if zero.Balance.Granted != 0 {
		t.Errorf("a quota of 0 became %d", zero.Balance.Granted)
	}
	if again, err := h.Get(t.Context(), full.ID); err != nil {
		t.Error(err)
	} else if diff := cmp.Diff(full, again); diff != "" {
		t.Errorf("read again (-made +read):\n%s", diff)
	}
}

func TestUsersThatCannotBeMade(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.create(t, account.NewUser{Username: "ada"})
	gone := h.create(t, account.NewUser{Username: "gone"})
	if err := h.Delete(t.Context(), h.root, gone.ID); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		change func(*account.NewUser)
		kind   fault.Kind
		code   string
		param  string
	}{
		{"no username", func(n *account.NewUser) { n.Username = "" }, fault.Invalid, "invalid_username", "username"},
		{"a space", func(n *account.NewUser) { n.Username = "a b" }, fault.Invalid, "invalid_username", "username"},
		{"a taken username", func(n *account.NewUser) { n.Username = "ADA" }, fault.Conflict, "username_taken", "username"},
		{"root's username", func(n *account.NewUser) { n.Username = "Root" }, fault.Conflict, "username_taken", "username"},
		{"a deleted user's username", func(n *account.NewUser) { n.Username = "gone" }, fault.Conflict, "username_taken", "username"},
		{"no password", func(n *account.NewUser) { n.Password = "" }, fault.Invalid, "invalid_password", "password"},
		{"a short password", func(n *account.NewUser) { n.Password = "1234567" }, fault.Invalid, "password_too_short", "password"},
		{"another role", func(n *account.NewUser) { n.Role = "king" }, fault.Invalid, "invalid_role", "role"},
		{"role root", func(n *account.NewUser) { n.Role = account.RoleRoot }, fault.Invalid, "invalid_role", "role"},
		{"an unknown group", func(n *account.NewUser) { n.Group = "gone" }, fault.Invalid, "invalid_group", "group"},
		{"a negative quota", func(n *account.NewUser) { n.Quota = new(int64(-1)) }, fault.Invalid, "quota_too_low", "quota"},
		{"a quota too high", func(n *account.NewUser) { n.Quota = new(money.MaxUnits + 1) }, fault.Invalid, "quota_too_high", "quota"},
		{"a bad e-mail", func(n *account.NewUser) { n.Email = "x" }, fault.Invalid, "invalid_email", "email"},
		{"a bad display name", func(n *account.NewUser) { n.DisplayName = "\x00" }, fault.Invalid, "invalid_display_name", "display_name"},
	} {
		n := account.NewUser{Username: "new", Password: password}
		tc.change(&n)
		_, err := h.Create(t.Context(), h.root, n)
		wantFault(t, tc.name, err, tc.kind, tc.code)
		if fault.From(err).Param != tc.param {
			t.Errorf("%s: names %q", tc.name, fault.From(err).Param)
		}
	}
	if _, total, err := h.List(t.Context(), account.Filter{Limit: 10}); err != nil || total != 3 {
		t.Errorf("%d users, %v: something was made", total, err)
	}
}

// The table is who may do what to whom. Columns are the codes of the answers to
// root, to an administrator, to a user, and to the machine's operator.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	const all = ""
	patch := func(p account.Patch) func(context.Context, *house, *account.Identity, int64) error {
		return func(ctx context.Context, h *house, by *account.Identity, id int64) error {
			_, err := h.Update(ctx, by, id, p)
			return err
		}
	}
	quota := func(ctx context.Context, h *house, by *account.Identity, id int64) error {
		_, err := h.ChangeBalance(ctx, by, id, budget.AddRemaining(1))
		return err
	}
	remove := func(ctx context.Context, h *house, by *account.Identity, id int64) error {
		return h.Delete(ctx, by, id)
	}
	disable, enable := patch(account.Patch{Status: new(account.Disabled)}), patch(account.Patch{Status: new(account.Enabled)})
	toUser, toAdmin, toRoot := patch(account.Patch{Role: new(account.RoleUser)}), patch(account.Patch{Role: new(account.RoleAdmin)}), patch(account.Patch{Role: new(account.RoleRoot)})
	rename, regroup, reset := patch(account.Patch{DisplayName: new("x")}), patch(account.Patch{Group: new("vip")}), patch(account.Patch{Password: new("another password")})
	lift := patch(account.Patch{Unlimited: new(true)})

	for _, tc := range []struct {
		name   string
		do     func(context.Context, *house, *account.Identity, int64) error
		target string // user, admin (another one), root2 (another one), self
		root   string
		admin  string
		user   string
		local  string
	}{
		{"rename a user", rename, "user", all, all, "admin_required", all},
		{"regroup a user", regroup, "user", all, all, "admin_required", all},
		{"disable a user", disable, "user", all, all, "admin_required", all},
		{"enable a user", enable, "user", all, all, "admin_required", all},
		{"reset a user's password", reset, "user", all, all, "admin_required", all},
		{"change a user's balance", quota, "user", all, all, "admin_required", all},
		{"lift a user's limit", lift, "user", all, all, "admin_required", all},
		{"make a user an administrator", toAdmin, "user", all, "root_required", "admin_required", all},
		{"make a user root", toRoot, "user", all, "root_required", "admin_required", all},
		{"leave a user a user", toUser, "user", all, all, "admin_required", all},
		{"delete a user", remove, "user", all, all, "admin_required", all},

		{"rename an administrator", rename, "admin", all, "root_required", "admin_required", all},
		{"disable an administrator", disable, "admin", all, "root_required", "admin_required", all},
		{"reset an administrator's password", reset, "admin", all, "root_required", "admin_required", all},
		{"change an administrator's balance", quota, "admin", all, "root_required", "admin_required", all},
		{"demote an administrator", toUser, "admin", all, "root_required", "admin_required", all},
		{"make an administrator root", toRoot, "admin", all, "root_required", "admin_required", all},
		{"delete an administrator", remove, "admin", all, "root_required", "admin_required", all},

		{"rename another root", rename, "root2", all, "root_required", "admin_required", all},
		{"disable another root", disable, "root2", all, "root_required", "admin_required", all},
		{"reset another root's password", reset, "root2", all, "root_required", "admin_required", all},
		{"change another root's balance", quota, "root2", all, "root_required", "admin_required", all},
		{"lift another root's limit", lift, "root2", all, "root_required", "admin_required", all},
		{"demote another root", toUser, "root2", all, "root_required", "admin_required", all},
		{"delete another root", remove, "root2", all, "root_required", "admin_required", all},

		{"rename oneself", rename, "self", all, all, "admin_required", all},
		{"change one's own balance", quota, "self", all, all, "admin_required", all},
		{"disable oneself", disable, "self", "own_account", "own_account", "admin_required", "last_root"},
		{"demote oneself", toUser, "self", "own_account", "own_account", "admin_required", "last_root"},
		{"delete oneself", remove, "self", "own_account", "own_account", "admin_required", "last_root"},
		{"reset one's own password without the old one", reset, "self", "own_account", "own_account", "admin_required", all},
		{"set one's own status to what it is", enable, "self", all, all, "admin_required", all},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := setup(t)
			h.create(t, account.NewUser{Username: "me"})
			user := h.signIn(t, "me")
			local, err := h.Operator(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for caller, who := range map[string]*account.Identity{tc.user + "|user": user, tc.admin + "|admin": h.admin, tc.root + "|root": h.root, tc.local + "|operator": local} {
				want, name, _ := strings.Cut(caller, "|")
				var id int64
				switch tc.target {
				case "self":
					id = who.User.ID
				case "user":
					id = h.create(t, account.NewUser{Username: "target." + name}).ID
				default:
					id = h.create(t, account.NewUser{Username: "target." + name, Role: account.RoleAdmin}).ID
				}
				if tc.target == "root2" {
					if _, err := h.Update(t.Context(), h.root, id, account.Patch{Role: new(account.RoleRoot)}); err != nil {
						t.Fatal(err)
					}
					// Only the target and the first root are left.
					defer func() { _, _ = h.Update(t.Context(), local, id, account.Patch{Role: new(account.RoleUser)}) }()
				}
				before, err := h.Get(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				err = tc.do(t.Context(), h, who, id)
				if got := fault.Code(err); got != want || (err != nil && got == "") {
					t.Errorf("%s: %v (%q), want %q", name, err, got, want)
				}
				if err == nil {
					continue
				}
				after, err := h.Get(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("%s was refused, but (-before +after):\n%s", name, diff)
				}
			}
		})
	}
}

func TestOnlyRootMakesAdministrators(t *testing.T) {
	t.Parallel()
	h := setup(t)
	n := account.NewUser{Username: "new", Password: password, Role: account.RoleAdmin}
	_, err := h.Create(t.Context(), h.admin, n)
	wantFault(t, "an administrator", err, fault.Forbidden, "root_required")
	n.Role = account.RoleUser
	if _, err := h.Create(t.Context(), h.admin, n); err != nil {
		t.Errorf("an administrator makes a user: %v", err)
	}
}

func TestAPatchIsAllOrNothing(t *testing.T) {
	t.Parallel()
	h := setup(t)
	id := h.create(t, account.NewUser{Username: "ada"}).ID
	before, err := h.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for code, p := range map[string]account.Patch{
		"invalid_status":       {Group: new("vip"), Status: new(account.Status(3))},
		"invalid_role":         {Group: new("vip"), Role: new(account.Role(""))},
		"invalid_group":        {DisplayName: new("x"), Group: new("gone")},
		"invalid_email":        {Group: new("vip"), Email: new("x")},
		"invalid_display_name": {Group: new("vip"), DisplayName: new("a\n.")},
		"password_too_short":   {Group: new("vip"), Password: new("x")},
	} {
		_, err := h.Update(t.Context(), h.root, id, p)
		wantFault(t, code, err, fault.Invalid, code)
	}
	after, err := h.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	_, err = h.Update(t.Context(), h.root, 999, account.Patch{})
	wantFault(t, "nobody", err, fault.NotFound, "user_not_found")
	_, err = h.ChangeBalance(t.Context(), h.root, 999, budget.AddRemaining(1))
	wantFault(t, "nobody's balance", err, fault.NotFound, "user_not_found")
	wantFault(t, "nobody's deletion", h.Delete(t.Context(), h.root, 999), fault.NotFound, "user_not_found")
}

func TestPeopleChangeTheirOwnRecord(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.create(t, account.NewUser{Username: "ada", MustChange: true})
	ada := h.signIn(t, "ada")
	got, login, err := h.UpdateSelf(t.Context(), ada, account.SelfPatch{DisplayName: new(" Ada "), Email: new("a@example.com"), TimeZone: new("Europe/London"), Language: new("en-GB")}, home)
	if err != nil || login != nil {
		t.Fatalf("%v, %v", login, err)
	}
	if got.DisplayName != "Ada" || got.Email != "a@example.com" || got.TimeZone != "Europe/London" || got.Language != "en-GB" || !got.MustChange {
		t.Errorf("now %+v", got.User)
	}
	for code, p := range map[string]account.SelfPatch{
		"invalid_time_zone":     {TimeZone: new("Mars")},
		"invalid_language":      {Language: new("!")},
		"invalid_email":         {Email: new("x")},
		"display_name_too_long": {DisplayName: new(strings.Repeat("x", 65))},
		"password_too_short":    {Password: new("x"), OldPassword: new(password)},
		"old_password_required": {Password: new("another password")},
		"wrong_password":        {Password: new("another password"), OldPassword: new("wrong")},
	} {
		_, _, err := h.UpdateSelf(t.Context(), ada, p, home)
		wantFault(t, code, err, fault.Invalid, code)
	}
	// With a token there is no session to replace.
	value, _ := h.token(t, ada)
	byToken, err := h.AuthenticateToken(t.Context(), value)
	if err != nil {
		t.Fatal(err)
	}
	got, login, err = h.UpdateSelf(t.Context(), byToken, account.SelfPatch{Password: new("another password"), OldPassword: new(password)}, home)
	if err != nil || login != nil || got.MustChange {
		t.Errorf("a new password by token: %+v, %v, %v", got, login, err)
	}
}

func TestBalances(t *testing.T) {
	t.Parallel()
	h := setup(t)
	id := h.create(t, account.NewUser{Username: "ada", Quota: new(int64(100))}).ID
	for _, step := range []struct {
		name   string
		decide func(budget.Balance) (budget.Change, error)
		code   string
		want   int64
	}{
		{"add", budget.AddRemaining(50), "", 150},
		{"take", budget.AddRemaining(-150), "", 0},
		{"take what is not there", budget.AddRemaining(-1), "quota_too_low", 0},
		{"set", budget.SetRemaining(70), "", 70},
		{"set below 0", budget.SetRemaining(-1), "quota_too_low", 70},
		{"set too high", budget.SetRemaining(money.MaxUnits + 1), "quota_too_high", 70},
		{"set to the most", budget.SetRemaining(money.MaxUnits), "", money.MaxUnits},
		{"add beyond it", budget.AddRemaining(1), "quota_too_high", money.MaxUnits},
	} {
		a, err := h.ChangeBalance(t.Context(), h.admin, id, step.decide)
		if fault.Code(err) != step.code {
			t.Errorf("%s: %v", step.name, err)
		}
		stored, err := h.store.UserByID(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if got := stored.Granted.FloorUnits(); got != step.want {
			t.Errorf("%s: the store has %d, want %d", step.name, got, step.want)
		}
		if a != nil && a.Balance.Remaining() != stored.Granted {
			t.Errorf("%s: answered %d, stored %d", step.name, a.Balance.Remaining(), stored.Granted)
		}
	}
}

func TestTopUpsAtTheSameMomentAllCount(t *testing.T) {
	t.Parallel()
	h := setup(t)
	id := h.create(t, account.NewUser{Username: "ada", Quota: new(int64(0))}).ID
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := h.ChangeBalance(t.Context(), h.root, id, budget.AddRemaining(3)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	a, err := h.Get(t.Context(), id)
	if err != nil || a.Balance.Granted != 60*money.Unit || a.Granted != 60*money.Unit {
		t.Errorf("live %d, stored %d, want 60 units (%v)", a.Balance.Granted, a.Granted, err)
	}
}

func TestUnlimitedIsTurnedOnAndOff(t *testing.T) {
	t.Parallel()
	h := setup(t)
	id := h.create(t, account.NewUser{Username: "ada"}).ID
	for _, on := range []bool{true, false} {
		a, err := h.Update(t.Context(), h.admin, id, account.Patch{Unlimited: &on, Group: new("vip")})
		if err != nil || a.Balance.Unlimited != on || a.Unlimited != on || a.Group != "vip" || a.Balance.Granted != 700*money.Unit {
			t.Errorf("%v: %+v, %+v, %v", on, a.User, a.Balance, err)
		}
	}
}

func TestDeletingAUserStopsThemFirst(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.create(t, account.NewUser{Username: "ada"})
	ada := h.signIn(t, "ada")
	value, _ := h.token(t, ada)
	id := ada.User.ID

	keysAway := func(ctx context.Context, got int64) error {
		if got != id {
			t.Errorf("asked to end what belongs to %d", got)
		}
		if u, err := h.Owner(ctx, id); err != nil || u.Status != account.Disabled {
			t.Errorf("while the keys end, their owner is %+v, %v", u, err)
		}
		return errors.New("the keys cannot be ended right now")
	}
	h.onDelete.Store(&keysAway)
	wantFault(t, "while keys cannot be ended", h.Delete(t.Context(), h.admin, id), fault.Unavailable, "store_unavailable")
	a, err := h.Get(t.Context(), id)
	if err != nil || a.Status != account.Disabled {
		t.Fatalf("the user is %+v, %v; want them there, disabled", a, err)
	}
	_, err = h.AuthenticateToken(t.Context(), value)
	wantFault(t, "their token", err, fault.Unauthenticated, "account_disabled")

	ended := 0
	keysEnd := func(context.Context, int64) error { ended++; return nil }
	h.onDelete.Store(&keysEnd)
	if err := h.Delete(t.Context(), h.admin, id); err != nil || ended != 1 {
		t.Fatalf("again: %v, keys ended %d times", err, ended)
	}
	_, err = h.Get(t.Context(), id)
	wantFault(t, "afterwards", err, fault.NotFound, "user_not_found")
	if b, err := h.ledger.Balance(t.Context(), budget.Subject{Kind: budget.User, ID: id}); !fault.Is(err, fault.NotFound) {
		t.Errorf("the ledger remembers the user: %+v, %v", b, err)
	}
	wantFault(t, "a second time", h.Delete(t.Context(), h.admin, id), fault.NotFound, "user_not_found")
}

func TestListsShowLiveBalances(t *testing.T) {
	t.Parallel()
	h := setup(t)
	id := h.create(t, account.NewUser{Username: "ada"}).ID
	if _, err := h.ledger.Balance(t.Context(), budget.Subject{Kind: budget.User, ID: id}); err != nil {
		t.Fatal(err)
	}
	// Another process grants more: this one's memory is what it holds against.
	if _, err := h.store.EditUser(t.Context(), id, func(e *account.Edit) error { e.Change.Delta = money.Unit; return nil }); err != nil {
		t.Fatal(err)
	}
	accounts, total, err := h.List(t.Context(), account.Filter{Keyword: "ad", Limit: 1})
	if err != nil || total != 2 || len(accounts) != 1 {
		t.Fatalf("%d of %d, %v", len(accounts), total, err)
	}
	if got := accounts[0]; got.Username != "ada" || got.Balance.Granted != 700*money.Unit || got.Granted != 701*money.Unit {
		t.Errorf("%s: live %d, stored %d", got.Username, got.Balance.Granted, got.Granted)
	}
}
