package account_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"halley/internal/account"
	"halley/internal/fault"
)

// app is an authenticator app that has learnt a secret.
type app struct {
	secret string
	clock  *clock
}

// code is what the app shows, off by some time.
func (a app) code(t *testing.T, off time.Duration) string {
	t.Helper()
	code, err := totp.GenerateCodeCustom(a.secret, a.clock.now().Add(off), totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// enrol turns one-time codes on, and lets the step that this took pass.
func (h *house) enrol(t *testing.T, who *account.Identity) (app, []string) {
	t.Helper()
	e, err := h.BeginTOTP(t.Context(), who, account.Proof{}, home)
	if err != nil {
		t.Fatal(err)
	}
	a := app{e.Secret, h.clock}
	codes, err := h.ConfirmTOTP(t.Context(), who, a.code(t, 0), home)
	if err != nil {
		t.Fatal(err)
	}
	h.clock.advance(time.Minute)
	return a, codes
}

func (h *house) attempt(ctx context.Context, name, code string) (*account.Login, error) {
	return h.Login(ctx, account.Attempt{Username: name, Password: password, Code: code}, home)
}

func TestCodesAreAskedForOnceTheyAreConfirmed(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.create(t, account.NewUser{Username: "ada"})
	ada := h.signIn(t, "ada")

	e, err := h.BeginTOTP(t.Context(), ada, account.Proof{}, home)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(e.URL)
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Query().Get("secret") != e.Secret || u.Query().Get("issuer") != "Halley" || !strings.Contains(u.Path, "ada") {
		t.Errorf("the URL is %s, %v", e.URL, err)
	}
	h.login(t, "ada") // not confirmed: nothing is asked for

	_, err = h.ConfirmTOTP(t.Context(), ada, "000000", home)
	wantFault(t, "a wrong code", err, fault.Invalid, "invalid_totp")
	again, err := h.BeginTOTP(t.Context(), ada, account.Proof{}, home)
	if err != nil || again.Secret == e.Secret {
		t.Fatalf("beginning again: %v", err)
	}
	_, err = h.ConfirmTOTP(t.Context(), ada, app{e.Secret, h.clock}.code(t, 0), home)
	wantFault(t, "a code of the secret before", err, fault.Invalid, "invalid_totp")
	phone := app{again.Secret, h.clock}
	codes, err := h.ConfirmTOTP(t.Context(), ada, phone.code(t, 0), home)
	if err != nil || len(codes) != 10 {
		t.Fatalf("%d recovery codes, %v", len(codes), err)
	}
	_, err = h.ConfirmTOTP(t.Context(), ada, phone.code(t, 0), home)
	wantFault(t, "confirmed twice", err, fault.Conflict, "totp_not_begun")
	_, err = h.BeginTOTP(t.Context(), ada, account.Proof{}, home)
	wantFault(t, "begun although it is on", err, fault.Conflict, "totp_enabled")

	_, err = h.attempt(t.Context(), "ada", "")
	wantFault(t, "without a code", err, fault.Unauthenticated, "totp_required")
	if required, ok := err.(*account.SecondFactorRequired); !ok || fmt.Sprint(required.Methods) != "[totp recovery_code]" {
		t.Errorf("what may be shown: %#v", err)
	}
	_, err = h.Login(t.Context(), account.Attempt{Username: "ada", Password: "wrong", Code: phone.code(t, 0)}, home)
	wantFault(t, "a code with a wrong password", err, fault.Unauthenticated, "invalid_credentials")

	h.clock.advance(time.Minute)
	code := phone.code(t, 0)
	login, err := h.attempt(t.Context(), "ada", code[:3]+" "+code[3:])
	if err != nil || login.Method != account.ByTOTP {
		t.Errorf("with a code: %v, %v", login, err)
	}
}

func TestACodeIsAcceptedOnceAndInOrder(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.create(t, account.NewUser{Username: "ada"})
	phone, _ := h.enrol(t, h.signIn(t, "ada"))
	now, before, after := phone.code(t, 0), phone.code(t, -30*time.Second), phone.code(t, 30*time.Second)
	for _, tc := range []struct {
		what, code string
		ok         bool
	}{
		{"two steps late", phone.code(t, -time.Minute), false},
		{"two steps early", phone.code(t, time.Minute), false},
		{"the step before", before, true},
		{"the step before, again", before, false},
		{"the step after", after, true},
		{"this step, which was passed over", now, false},
		{"the step after, again", after, false},
	} {
		_, err := h.attempt(t.Context(), "ada", tc.code)
		if (err == nil) != tc.ok || (!tc.ok && fault.Code(err) != "invalid_totp") {
			t.Errorf("%s: %v", tc.what, err)
		}
	}
	// The code that confirmed is used up as well: nothing of its step is left.
	h.create(t, account.NewUser{Username: "grace"})
	grace := h.signIn(t, "grace")
	e, err := h.BeginTOTP(t.Context(), grace, account.Proof{}, home)
	if err != nil {
		t.Fatal(err)
	}
	code := app{e.Secret, h.clock}.code(t, 0)
	if _, err := h.ConfirmTOTP(t.Context(), grace, code, home); err != nil {
		t.Fatal(err)
	}
	_, err = h.attempt(t.Context(), "grace", code)
	wantFault(t, "the code that confirmed", err, fault.Unauthenticated, "invalid_totp")
}

func TestOneCodeOpensOneSessionHoweverManyTry(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.create(t, account.NewUser{Username: "ada"})
	phone, recovery := h.enrol(t, h.signIn(t, "ada"))
	for what, code := range map[string]string{"a code": phone.code(t, 0), "a recovery code": recovery[0]} {
		var opened atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, err := h.attempt(t.Context(), "ada", code); err == nil {
					opened.Add(1)
				}
			})
		}
		wg.Wait()
		if n := opened.Load(); n != 1 {
			t.Errorf("%s opened %d sessions", what, n)
		}
	}
}

func TestARecoveryCodeIsUsedUp(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.create(t, account.NewUser{Username: "ada"})
	h.create(t, account.NewUser{Username: "grace"})
	ada := h.signIn(t, "ada")
	_, codes := h.enrol(t, ada)
	_, others := h.enrol(t, h.signIn(t, "grace"))
	seen := map[string]bool{}
	for _, code := range codes {
		if len(code) != 11 || code[5] != '-' || seen[code] {
			t.Errorf("a recovery code reads %q", code)
		}
		seen[code] = true
	}
	_, err := h.attempt(t.Context(), "ada", others[0])
	wantFault(t, "somebody else's", err, fault.Unauthenticated, "invalid_totp")
	login, err := h.attempt(t.Context(), "ada", " "+strings.ToUpper(codes[3]))
	if err != nil || login.Method != account.ByRecoveryCode {
		t.Errorf("a recovery code: %v, %v", login, err)
	}
	_, err = h.attempt(t.Context(), "ada", codes[3])
	wantFault(t, "the same again", err, fault.Unauthenticated, "invalid_totp")
	factors, err := h.SecondFactors(t.Context(), ada)
	if err != nil || factors.RecoveryCodes != 9 {
		t.Errorf("%+v are left, %v", factors, err)
	}
}

func TestCodesAreGuessedNoFasterThanPasswords(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.create(t, account.NewUser{Username: "ada"})
	ada := h.signIn(t, "ada")
	phone, codes := h.enrol(t, ada)
	for i := range 10 {
		var err error
		if i%2 == 0 {
			_, err = h.attempt(t.Context(), "ada", "abcde-fghij")
			wantFault(t, "a wrong code", err, fault.Unauthenticated, "invalid_totp")
			continue
		}
		err = h.DisableTOTP(t.Context(), ada, password, "000000", home)
		wantFault(t, "a wrong code in a session", err, fault.Invalid, "invalid_totp")
	}
	_, err := h.attempt(t.Context(), "ada", phone.code(t, 0))
	wantFault(t, "the right code, too late", err, fault.RateLimited, "too_many_attempts")
	if got := fault.From(err).RetryAfter; got <= 0 {
		t.Errorf("Retry-After is %v", got)
	}
	_, err = h.RenewRecoveryCodes(t.Context(), ada, password, codes[0], home)
	wantFault(t, "in a session", err, fault.RateLimited, "too_many_attempts")
	h.clock.advance(15 * time.Minute)
	if _, err := h.attempt(t.Context(), "ada", phone.code(t, 0)); err != nil {
		t.Errorf("15 minutes later: %v", err)
	}
}

func TestTheCodeThatTurnsCodesOnIsNotGuessed(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.create(t, account.NewUser{Username: "ada"})
	ada := h.signIn(t, "ada")
	e, err := h.BeginTOTP(t.Context(), ada, account.Proof{}, home)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		_, err := h.ConfirmTOTP(t.Context(), ada, "000000", home)
		wantFault(t, "a guess", err, fault.Invalid, "invalid_totp")
	}
	phone := app{e.Secret, h.clock}
	_, err = h.ConfirmTOTP(t.Context(), ada, phone.code(t, 0), home)
	wantFault(t, "after ten guesses", err, fault.RateLimited, "too_many_attempts")
	h.clock.advance(time.Hour)
	_, err = h.ConfirmTOTP(t.Context(), ada, phone.code(t, 0), home)
	wantFault(t, "a secret of an hour ago", err, fault.Conflict, "totp_not_begun")
	if e, err = h.BeginTOTP(t.Context(), ada, account.Proof{Password: password}, home); err != nil {
		t.Fatal(err)
	}
	code := app{e.Secret, h.clock}.code(t, 0)
	if _, err := h.ConfirmTOTP(t.Context(), ada, code[:3]+" "+code[3:], home); err != nil {
		t.Errorf("as the app shows it, with a gap: %v", err)
	}
}

func TestHowAnAccountIsSignedInToChangesWithItsOwnerOnly(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.create(t, account.NewUser{Username: "ada"})
	ada := h.signIn(t, "ada")
	value, _ := h.token(t, ada)
	token, err := h.AuthenticateToken(t.Context(), value)
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.BeginTOTP(t.Context(), token, account.Proof{Password: password}, home)
	wantFault(t, "a token", err, fault.Forbidden, "session_required")
	_, err = h.ConfirmTOTP(t.Context(), token, "123456", home)
	wantFault(t, "a token that confirms", err, fault.Forbidden, "session_required")

	h.clock.advance(10 * time.Minute)
	_, err = h.BeginTOTP(t.Context(), ada, account.Proof{}, home)
	wantFault(t, "a session of ten minutes", err, fault.Forbidden, "confirmation_required")
	_, err = h.BeginTOTP(t.Context(), ada, account.Proof{Password: "wrong"}, home)
	wantFault(t, "a wrong password", err, fault.Invalid, "wrong_password")
	if _, err = h.BeginTOTP(t.Context(), ada, account.Proof{Password: password}, home); err != nil {
		t.Errorf("the password: %v", err)
	}

	ada = h.signIn(t, "ada")
	phone, recovery := h.enrol(t, ada)
	err = h.DisableTOTP(t.Context(), ada, "", phone.code(t, 0), home)
	wantFault(t, "turned off without the password", err, fault.Invalid, "password_required")
	err = h.DisableTOTP(t.Context(), ada, "wrong", phone.code(t, 0), home)
	wantFault(t, "turned off with a wrong password", err, fault.Invalid, "wrong_password")
	err = h.DisableTOTP(t.Context(), ada, password, "", home)
	wantFault(t, "turned off without a code", err, fault.Invalid, "totp_required")
	err = h.DisableTOTP(t.Context(), token, password, phone.code(t, 0), home)
	wantFault(t, "turned off by a token", err, fault.Forbidden, "session_required")
	renewed, err := h.RenewRecoveryCodes(t.Context(), ada, password, recovery[0], home)
	if err != nil || len(renewed) != 10 {
		t.Fatalf("%d new recovery codes, %v", len(renewed), err)
	}
	_, err = h.attempt(t.Context(), "ada", recovery[1])
	wantFault(t, "an old recovery code", err, fault.Unauthenticated, "invalid_totp")
	if err := h.DisableTOTP(t.Context(), ada, password, phone.code(t, 0), home); err != nil {
		t.Fatal(err)
	}
	h.login(t, "ada")
	if factors, err := h.SecondFactors(t.Context(), ada); err != nil || factors.TOTP != nil || factors.RecoveryCodes != 0 {
		t.Errorf("afterwards there is %+v, %v", factors, err)
	}
}

func TestAnAdministratorResetsLostFactors(t *testing.T) {
	t.Parallel()
	h := setup(t)
	id := h.create(t, account.NewUser{Username: "ada"}).ID
	ada := h.signIn(t, "ada")
	h.enrol(t, ada)
	h.enrol(t, h.admin)
	wantFault(t, "by a user", h.ResetSecondFactors(t.Context(), ada, id), fault.Forbidden, "admin_required")
	wantFault(t, "of root", h.ResetSecondFactors(t.Context(), h.admin, h.root.User.ID), fault.Forbidden, "root_required")
	wantFault(t, "of oneself", h.ResetSecondFactors(t.Context(), h.admin, h.admin.User.ID), fault.Forbidden, "own_account")
	if f, err := h.SecondFactorsOf(t.Context(), h.admin, id); err != nil || !f.TOTP.Confirmed {
		t.Errorf("an administrator sees %+v, %v", f, err)
	}
	if err := h.ResetSecondFactors(t.Context(), h.admin, id); err != nil {
		t.Fatal(err)
	}
	h.login(t, "ada")
	// The machine's operator may do what nobody may in person.
	h.enrol(t, h.root)
	operator, err := h.Operator(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.ResetSecondFactors(t.Context(), operator, h.root.User.ID); err != nil {
		t.Fatal(err)
	}
	h.login(t, "root")
}

func TestSecretsAreNotInTheDatabaseAsTheyAre(t *testing.T) {
	t.Parallel()
	h := setup(t)
	id := h.create(t, account.NewUser{Username: "ada"}).ID
	phone, codes := h.enrol(t, h.signIn(t, "ada"))
	stored, err := h.store.TOTP(t.Context(), id)
	if err != nil || strings.Contains(string(stored.Sealed), phone.secret) {
		t.Errorf("the secret is kept as %q, %v", stored.Sealed, err)
	}
	// A row that was moved to another user opens nothing.
	thief := h.create(t, account.NewUser{Username: "thief"}).ID
	if err := h.store.PutPendingTOTP(t.Context(), thief, &account.TOTP{Sealed: stored.Sealed, Created: h.clock.now()}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.ConfirmTOTP(t.Context(), h.signIn(t, "thief"), phone.code(t, 0), home); err == nil || fault.Code(err) != "" {
		t.Errorf("a secret that was moved: %v", err)
	}
	for _, code := range codes {
		if used, err := h.store.UseRecoveryCode(t.Context(), id, []byte(code)); used || err != nil {
			t.Errorf("a recovery code is kept as it is: %v", err)
		}
	}
}
