package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"halley/internal/fault"
)

// What authenticator apps take without being told: RFC 6238 with SHA-1, six
// digits and steps of 30 seconds. A code of the step before or after is accepted,
// for clocks that differ.
const (
	totpIssuer      = "Halley"
	totpPeriod      = 30 // seconds
	totpSkew        = 1  // steps
	totpDigits      = otp.DigitsSix
	totpSecretBytes = 20
	// enrolmentLasts is how long a secret waits for its first code.
	enrolmentLasts = time.Hour
)

// TOTP is a user's secret for one-time codes.
type TOTP struct {
	Sealed    []byte
	Confirmed bool
	LastStep  int64 // codes of it and earlier ones are used up
	Created   time.Time
}

// Enrolment is a TOTP secret that an authenticator app is to learn. It is shown
// once.
type Enrolment struct {
	Secret string // base32
	URL    string // otpauth://totp/…, for a QR code
}

// BeginTOTP makes a secret for the caller, which counts once ConfirmTOTP has seen
// a code of it. An earlier one that was not confirmed is forgotten.
func (s *Service) BeginTOTP(ctx context.Context, who *Identity, shown Proof, from Origin) (*Enrolment, error) {
	if err := s.prove(ctx, who, shown, from); err != nil {
		return nil, err
	}
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer: totpIssuer, AccountName: who.User.Username, Period: totpPeriod, SecretSize: totpSecretBytes,
		Digits: totpDigits, Algorithm: otp.AlgorithmSHA1, Rand: rand.Reader,
	})
	if err != nil {
		return nil, fmt.Errorf("make a TOTP secret: %w", err)
	}
	sealed := s.box.Seal([]byte(key.Secret()), totpBinding(who.User.ID))
	err = s.store.PutPendingTOTP(ctx, who.User.ID, &TOTP{Sealed: sealed, Created: s.now()})
	if errors.Is(err, ErrThere) {
		return nil, fault.New(fault.Conflict, "totp_enabled", "One-time codes are set up already; turn them off first to use another app.")
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return &Enrolment{Secret: key.Secret(), URL: key.URL()}, nil
}

// ConfirmTOTP turns one-time codes on for the caller, whose app has shown code,
// and gives the recovery codes, which take the place of earlier ones and nobody
// can read again. Wrong codes count as at sign-in: who holds a session only must
// not find the right one out, and get recovery codes for it.
func (s *Service) ConfirmTOTP(ctx context.Context, who *Identity, code string, from Origin) (recovery []string, err error) {
	if err := needsSession(who); err != nil {
		return nil, err
	}
	end, err := s.throttle.begin(ctx, Fold(who.User.Username), from.IP)
	if err != nil {
		return nil, unavailable(err)
	}
	failed := false
	defer func() { end(failed) }()
	pending, err := s.store.TOTP(ctx, who.User.ID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, unavailable(err)
	}
	if err != nil || pending.Confirmed || s.now().Sub(pending.Created) >= enrolmentLasts {
		return nil, fault.New(fault.Conflict, "totp_not_begun", "There is no secret to confirm, or it is more than an hour old; begin with POST /api/user/totp.")
	}
	step, ok, err := s.matchTOTP(who.User.ID, pending, digits(code))
	if err != nil {
		return nil, err
	}
	if !ok {
		failed = true
		return nil, fault.New(fault.Invalid, "invalid_totp", "The code is not the one that the app should show now; compare the clocks.").Field("totp")
	}
	recovery, hashes := s.newRecoveryCodes()
	confirmed, err := s.store.ConfirmTOTP(ctx, who.User.ID, pending.Sealed, step, hashes)
	if err != nil {
		return nil, unavailable(err)
	}
	if !confirmed {
		return nil, fault.New(fault.Conflict, "totp_not_begun", "Meanwhile another secret was made; take that one, or begin again.")
	}
	return recovery, nil
}

// DisableTOTP turns one-time codes off. It takes the password, from those who
// have one, and a code or a recovery code.
func (s *Service) DisableTOTP(ctx context.Context, who *Identity, password, code string, from Origin) error {
	if err := s.proveTwice(ctx, who, password, code, from); err != nil {
		return err
	}
	err := s.store.DeleteTOTP(ctx, who.User.ID)
	if errors.Is(err, ErrNotFound) {
		return fault.New(fault.Conflict, "totp_disabled", "One-time codes are not set up.")
	}
	return unavailable(err)
}

// matchTOTP finds the step whose code this is, which must come after the last
// one that was used.
func (s *Service) matchTOTP(userID int64, t *TOTP, code string) (step int64, ok bool, err error) {
	secret, err := s.box.Open(t.Sealed, totpBinding(userID))
	if err != nil {
		return 0, false, fmt.Errorf("open the TOTP secret of user %d: %w", userID, err)
	}
	now := s.now().Unix() / totpPeriod
	for at := now - totpSkew; at <= now+totpSkew; at++ {
		want, err := hotp.GenerateCodeCustom(string(secret), uint64(at), hotp.ValidateOpts{Digits: totpDigits, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return 0, false, fmt.Errorf("make a code of user %d: %w", userID, err)
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && at > t.LastStep {
			step, ok = at, true
		}
	}
	return step, ok, nil
}

func totpBinding(userID int64) []byte { return []byte("user " + strconv.FormatInt(userID, 10)) }

// digits is a code as people type it, with or without a gap.
func digits(code string) string {
	return strings.NewReplacer(" ", "", "-", "", "\u00a0", "").Replace(code)
}
