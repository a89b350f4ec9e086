package account

import (
	"context"
	"time"

	"halley/internal/fault"
	"halley/internal/passkey"
)

// SecondFactors is what a user needs, or has, beside the password.
type SecondFactors struct {
	TOTP          *TOTP // nil without; it counts once confirmed
	Passkeys      []*Passkey
	RecoveryCodes int // how many are left
}

// codes reports whether one-time codes are asked for.
func (f *SecondFactors) codes() bool { return f.TOTP != nil && f.TOTP.Confirmed }

// required reports whether a password alone is not enough.
func (f *SecondFactors) required() bool { return f.codes() || len(f.Passkeys) > 0 }

// SecondFactorRequired says that the password was right and what else may be
// shown. It wraps the fault.
type SecondFactorRequired struct {
	Methods []string  // "totp", "passkey", "recovery_code"
	Passkey *Ceremony // with "passkey" only
	fault   *fault.Error
}

// Error is the fault's.
func (e *SecondFactorRequired) Error() string { return e.fault.Error() }

// Unwrap gives the fault.
func (e *SecondFactorRequired) Unwrap() error { return e.fault }

// SecondFactorStore keeps what is asked for beside the password.
type SecondFactorStore interface {
	// SecondFactors gives an empty one for who has none.
	SecondFactors(ctx context.Context, userID int64) (*SecondFactors, error)
	// PutPendingTOTP puts an unconfirmed secret in the place of an unconfirmed
	// one, or gives ErrThere when there is a confirmed one.
	PutPendingTOTP(ctx context.Context, userID int64, t *TOTP) error
	// TOTP gives ErrNotFound when there is none.
	TOTP(ctx context.Context, userID int64) (*TOTP, error)
	// ConfirmTOTP confirms the secret, unless it is another one now, and
	// replaces the recovery codes.
	ConfirmTOTP(ctx context.Context, userID int64, sealed []byte, step int64, recovery [][]byte) (bool, error)
	// UseTOTPStep uses up a step, and reports whether it was not already.
	UseTOTPStep(ctx context.Context, userID, step int64) (bool, error)
	// DeleteTOTP also deletes the recovery codes when nothing else needs them.
	DeleteTOTP(ctx context.Context, userID int64) error
	ReplaceRecoveryCodes(ctx context.Context, userID int64, hashes [][]byte) error
	// UseRecoveryCode deletes a code, and reports whether it was there.
	UseRecoveryCode(ctx context.Context, userID int64, hash []byte) (bool, error)
	// InsertPasskey sets p's ID and, for who has no recovery codes, keeps these,
	// which it reports. It gives ErrTooMany when the user has limit passkeys,
	// ErrThere when the credential is known, ErrNotFound when the user is not.
	InsertPasskey(ctx context.Context, p *Passkey, limit int, recovery [][]byte) (issued bool, err error)
	// PasskeyByCredential gives ErrNotFound when there is none.
	PasskeyByCredential(ctx context.Context, credential []byte) (*Passkey, error)
	// UsePasskey writes a passkey's record and last use. It reports false when
	// its count has gone as far already, or it is gone.
	UsePasskey(ctx context.Context, c passkey.Credential, at time.Time) (bool, error)
	// RenamePasskey and DeletePasskey give ErrNotFound unless the user has it.
	RenamePasskey(ctx context.Context, userID, id int64, name string) (*Passkey, error)
	// DeletePasskey also deletes the recovery codes when nothing else needs
	// them.
	DeletePasskey(ctx context.Context, userID, id int64) error
	// SpendState gives ErrThere when the state was spent before, and forgets
	// those that ended by now.
	SpendState(ctx context.Context, hash []byte, now, ends time.Time) error
	// DeleteSecondFactors deletes all of a user's.
	DeleteSecondFactors(ctx context.Context, userID int64) error
}

// SecondFactors are the caller's.
func (s *Service) SecondFactors(ctx context.Context, who *Identity) (*SecondFactors, error) {
	f, err := s.store.SecondFactors(ctx, who.User.ID)
	return f, unavailable(err)
}

// SecondFactorsOf are a user's, for an administrator.
func (s *Service) SecondFactorsOf(ctx context.Context, by *Identity, userID int64) (*SecondFactors, error) {
	if err := s.manages(ctx, by, userID); err != nil {
		return nil, err
	}
	f, err := s.store.SecondFactors(ctx, userID)
	return f, unavailable(err)
}

// ResetSecondFactors takes all second factors from a user who has lost them, and
// ends their sessions. Nobody resets their own: that is what recovery codes are
// for, or the machine's operator.
func (s *Service) ResetSecondFactors(ctx context.Context, by *Identity, userID int64) error {
	target, err := s.Owner(ctx, userID)
	if err != nil {
		return err
	}
	if err := mayManage(by, target); err != nil {
		return err
	}
	if ownAccount(by, target) {
		return errOwnAccount("reset the second factors of")
	}
	if err := s.store.DeleteSecondFactors(ctx, userID); err != nil {
		return unavailable(err)
	}
	_, err = s.endSessions(ctx, userID, nil)
	return err
}

// secondFactor judges what a sign-in shows beside the right password. What is
// wrong is Unauthenticated and counts as a wrong password does; nothing at all is
// a SecondFactorRequired, which does not.
func (s *Service) secondFactor(ctx context.Context, u *User, a Attempt) (Method, error) {
	factors, err := s.store.SecondFactors(ctx, u.ID)
	if err != nil {
		return "", unavailable(err)
	}
	switch {
	case !factors.required():
		return ByPassword, nil
	case a.Passkey != nil:
		return ByBoth, s.confirmPasskey(ctx, a.Site, u, factors.Passkeys, *a.Passkey)
	case a.Code != "":
		method, err := s.spendCode(ctx, u.ID, factors, a.Code)
		if err == nil && method == "" {
			err = wrongCode()
		}
		return method, err
	}
	return "", s.askForSecondFactor(u, factors, a.Site)
}

// askForSecondFactor says what the user may show.
func (s *Service) askForSecondFactor(u *User, factors *SecondFactors, site passkey.Site) error {
	e := &SecondFactorRequired{
		fault: fault.New(fault.Unauthenticated, "passkey_required", "Use your passkey, or enter a recovery code.").Field("passkey"),
	}
	if factors.codes() {
		e.Methods = append(e.Methods, "totp")
		e.fault = fault.New(fault.Unauthenticated, "totp_required", "Enter the code that your authenticator app shows, or a recovery code.").Field("totp")
	}
	if len(factors.Passkeys) > 0 && site != (passkey.Site{}) {
		ceremony, err := s.askForPasskey(site, u, factors.Passkeys)
		if err != nil {
			return err
		}
		e.Methods, e.Passkey = append(e.Methods, "passkey"), ceremony
	}
	if factors.RecoveryCodes > 0 {
		e.Methods = append(e.Methods, "recovery_code")
	}
	return e
}

// spendCode uses up a one-time or recovery code, and says which it was; "" when
// it is neither.
func (s *Service) spendCode(ctx context.Context, userID int64, factors *SecondFactors, code string) (Method, error) {
	if factors.codes() {
		step, ok, err := s.matchTOTP(userID, factors.TOTP, digits(code))
		if err != nil {
			return "", err
		}
		if ok {
			fresh, err := s.store.UseTOTPStep(ctx, userID, step)
			if err != nil || !fresh {
				return "", unavailable(err)
			}
			return ByTOTP, nil
		}
	}
	ok, err := s.spendRecoveryCode(ctx, userID, code)
	if err != nil || !ok {
		return "", err
	}
	return ByRecoveryCode, nil
}

// proofLasts is how long after signing in nobody is asked for the password again.
const proofLasts = 10 * time.Minute

// Proof is what somebody shows who changes how their account is signed in to: the
// password and a one-time or recovery code, "" for none.
type Proof struct{ Password, Code string }

// prove makes sure that it is the account's owner who changes how to sign in to
// it, and not who has found or stolen a session: by having signed in a moment ago,
// or by all that signing in takes. A password alone must not add what opens the
// account without it, nor take away what guards it.
func (s *Service) prove(ctx context.Context, who *Identity, shown Proof, from Origin) error {
	if err := needsSession(who); err != nil {
		return err
	}
	fresh := s.now().Sub(who.SignedIn) < proofLasts
	switch {
	case shown.Password == "" && fresh:
		return nil
	case shown.Password == "" && who.User.PasswordHash == "":
		return fault.New(fault.Forbidden, "confirmation_required", "Sign in again: this changes how your account is signed in to, and you have no password to confirm it with.")
	case shown.Password == "":
		return fault.New(fault.Forbidden, "confirmation_required", "Give your password again, or sign in again: this changes how your account is signed in to.").Field("password")
	}
	if err := s.provePassword(ctx, who, shown.Password, from); err != nil || fresh {
		return err
	}
	factors, err := s.store.SecondFactors(ctx, who.User.ID)
	if err != nil {
		return unavailable(err)
	}
	if !factors.required() {
		return nil
	}
	return s.proveCode(ctx, who, factors, shown.Code, from)
}

func (s *Service) provePassword(ctx context.Context, who *Identity, password string, from Origin) error {
	ok, err := s.guess(ctx, who.User.ID, password, from)
	if err != nil {
		return err
	}
	if !ok {
		return fault.New(fault.Invalid, "wrong_password", "That is not your password.").Field("password")
	}
	return nil
}

// proveTwice wants the password, from those who have one, and a code.
func (s *Service) proveTwice(ctx context.Context, who *Identity, password, code string, from Origin) error {
	if err := needsSession(who); err != nil {
		return err
	}
	var err error
	switch {
	case password != "":
		err = s.provePassword(ctx, who, password, from)
	case who.User.PasswordHash != "":
		err = fault.New(fault.Invalid, "password_required", "This takes your password, too.").Field("password")
	default:
		err = s.prove(ctx, who, Proof{}, from)
	}
	if err != nil {
		return err
	}
	factors, err := s.store.SecondFactors(ctx, who.User.ID)
	if err != nil {
		return unavailable(err)
	}
	if !factors.required() {
		return fault.New(fault.Conflict, "totp_disabled", "No second factor is set up.")
	}
	if code == "" && !factors.codes() && (who.Method == ByPasskey || who.Method == ByBoth) && s.now().Sub(who.SignedIn) < proofLasts {
		return nil // there is no code to show, and a passkey was a moment ago
	}
	return s.proveCode(ctx, who, factors, code, from)
}

// proveCode uses up a one-time or recovery code, under the throttle.
func (s *Service) proveCode(ctx context.Context, who *Identity, factors *SecondFactors, code string, from Origin) error {
	if code == "" {
		return fault.New(fault.Invalid, "totp_required", "This takes a code of your authenticator app, or a recovery code, too.").Field("totp")
	}
	end, err := s.throttle.begin(ctx, Fold(who.User.Username), from.IP)
	if err != nil {
		return unavailable(err)
	}
	failed := false
	defer func() { end(failed) }()
	method, err := s.spendCode(ctx, who.User.ID, factors, code)
	if err != nil {
		return err
	}
	if method == "" {
		failed = true
		return fault.New(fault.Invalid, "invalid_totp", "The code is wrong, or was used before.").Field("totp")
	}
	return nil
}

// needsSession refuses tokens: how an account is signed in to is its owner's to
// say, not a program's.
func needsSession(who *Identity) error {
	if who.Session == nil {
		return fault.New(fault.Forbidden, "session_required", "Sign in for this: a token may not change how an account is signed in to.")
	}
	return nil
}
