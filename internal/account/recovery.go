package account

import (
	"context"
	"crypto/rand"
	"strings"

	"halley/internal/fault"
)

// Recovery codes have 50 random bits each, too many to guess under the throttle;
// only their HMAC is kept.
const (
	recoveryCodes = 10
	recoveryHalf  = 5 // characters before and after the hyphen
)

// newRecoveryCodes makes a set of codes and what is kept of them.
func (s *Service) newRecoveryCodes() (codes []string, hashes [][]byte) {
	for range recoveryCodes {
		text := strings.ToLower(rand.Text()[:2*recoveryHalf])
		hash := s.recovery.Sum(text)
		codes, hashes = append(codes, text[:recoveryHalf]+"-"+text[recoveryHalf:]), append(hashes, hash[:])
	}
	return codes, hashes
}

// RenewRecoveryCodes gives the caller new recovery codes, which take the place of
// earlier ones. It takes the password, from those who have one, and a code.
func (s *Service) RenewRecoveryCodes(ctx context.Context, who *Identity, password, code string, from Origin) ([]string, error) {
	if err := s.proveTwice(ctx, who, password, code, from); err != nil {
		return nil, err
	}
	codes, hashes := s.newRecoveryCodes()
	if err := s.store.ReplaceRecoveryCodes(ctx, who.User.ID, hashes); err != nil {
		return nil, unavailable(err)
	}
	return codes, nil
}

// spendRecoveryCode reports whether it was one of the user's, which it is no
// longer.
func (s *Service) spendRecoveryCode(ctx context.Context, userID int64, code string) (bool, error) {
	code = strings.ToLower(digits(code))
	if len(code) != 2*recoveryHalf {
		return false, nil
	}
	hash := s.recovery.Sum(code)
	used, err := s.store.UseRecoveryCode(ctx, userID, hash[:])
	return used, unavailable(err)
}

func wrongCode() error {
	return fault.New(fault.Unauthenticated, "invalid_totp", "The code is wrong, or was used before.").Field("totp")
}
