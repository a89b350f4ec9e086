package account_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/money"
)

func TestWhoRegistersIsAnOrdinaryUserAndSignedIn(t *testing.T) {
	t.Parallel()
	h := setup(t)
	from := home
	from.RequestID = "call-1"
	a, login, err := h.Register(t.Context(), account.Registration{Username: "ada", Password: password, DisplayName: " Ada ", Email: "ada@example.com"}, from)
	if err != nil {
		t.Fatal(err)
	}
	want := &account.User{
		ID: a.ID, Username: "ada", DisplayName: "Ada", Email: "ada@example.com", PasswordHash: a.PasswordHash, Role: account.RoleUser, Status: account.Enabled,
		Group: "default", Granted: money.FromUnits(700), Created: h.clock.now(), Version: 1,
	}
	if diff := cmp.Diff(want, a.User); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if who, err := h.AuthenticateSession(t.Context(), login.Value); err != nil || who.User.ID != a.ID {
		t.Errorf("the session: %+v, %v", who, err)
	}
	h.signIn(t, "ada")
	rows, _, err := h.store.Grants(t.Context(), budget.Subject{Kind: budget.User, ID: a.ID}, 0, 10)
	if err != nil || len(rows) != 1 || rows[0].Delta != want.Granted || rows[0].Cause != (budget.Cause{RequestID: "call-1", Reason: budget.Registered, At: h.clock.now()}) {
		t.Errorf("granted as %+v, %v", rows, err)
	}
}

func TestRegistrationsThatAreRefusedMakeNobody(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for _, tc := range []struct {
		name string
		r    account.Registration
		kind fault.Kind
		code string
	}{
		{"no username", account.Registration{Password: password}, fault.Invalid, "invalid_username"},
		{"no password", account.Registration{Username: "ada"}, fault.Invalid, "invalid_password"},
		{"a short password", account.Registration{Username: "ada", Password: "1234567"}, fault.Invalid, "password_too_short"},
		{"a bad e-mail", account.Registration{Username: "ada", Password: password, Email: "x"}, fault.Invalid, "invalid_email"},
		{"a bad display name", account.Registration{Username: "ada", Password: password, DisplayName: "\x00"}, fault.Invalid, "invalid_display_name"},
		{"root's name", account.Registration{Username: "Root", Password: password}, fault.Conflict, "username_taken"},
	} {
		a, login, err := h.Register(t.Context(), tc.r, home)
		wantFault(t, tc.name, err, tc.kind, tc.code)
		if a != nil || login != nil {
			t.Errorf("%s: made %+v, %+v", tc.name, a, login)
		}
	}
	if _, total, err := h.List(t.Context(), account.Filter{Limit: 1}); err != nil || total != 2 {
		t.Errorf("there are %d users, %v", total, err)
	}
}

func TestAccountsMadeAndTakenNamesCountAgainstTheAddress(t *testing.T) {
	t.Parallel()
	h := setup(t)
	register := func(name, secret string, from account.Origin) error {
		_, _, err := h.Register(t.Context(), account.Registration{Username: name, Password: secret}, from)
		return err
	}
	for i := range 30 { // these count for nothing
		wantFault(t, "a short password", register(fmt.Sprint("user", i), "short", home), fault.Invalid, "password_too_short")
	}
	for i := range 10 {
		if err := register(fmt.Sprint("user", i), password, home); err != nil {
			t.Fatal(err)
		}
		wantFault(t, "a taken name", register("root", password, home), fault.Conflict, "username_taken")
	}
	wantFault(t, "one more", register("ada", password, home), fault.RateLimited, "too_many_attempts")
	if err := register("ada", password, account.Origin{IP: netip.MustParseAddr("198.51.100.1")}); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
	h.signIn(t, "ada") // from the address that may make no more
	h.clock.advance(15 * time.Minute)
	if err := register("grace", password, home); err != nil {
		t.Errorf("after 15 minutes: %v", err)
	}
}
