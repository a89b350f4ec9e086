package account

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"sync/atomic"

	"halley/internal/fault"
	"halley/internal/tokenfmt"
)

// The shape of a personal access token's value: the prefix, random characters
// and their checksum.
const (
	TokenPrefix = "hpat_"
	tokenRandom = 40
)

// NewToken is a personal access token to be made.
type NewToken struct {
	Name      string
	Scope     Scope
	ExpiresAt int64 // Unix seconds, Never for none
}

// liveToken is a personal access token in memory.
type liveToken struct {
	token    *Token
	accessed atomic.Int64 // Unix milliseconds
}

// AuthenticateToken tells who a personal access token belongs to. A value that
// is none, or none any more, is a 401 invalid_access_token, an expired one a
// 401 token_expired, a disabled user's a 401 account_disabled. A store that
// does not answer is an Unavailable fault unless the token is known here.
func (s *Service) AuthenticateToken(ctx context.Context, value string) (*Identity, error) {
	switch {
	case !strings.HasPrefix(value, TokenPrefix):
		return nil, invalidToken("The management API wants a personal access token (%s…).", TokenPrefix)
	case !tokenfmt.Shaped(value, TokenPrefix, tokenRandom) || !tokenfmt.ChecksumOK(value):
		return nil, invalidToken("This personal access token is not complete: its checksum is wrong.")
	}
	hash := sha256.Sum256([]byte(value))
	live, err := s.tokens.get(ctx, hash, func(ctx context.Context) (*liveToken, error) {
		token, err := s.store.AccessTokenByHash(ctx, hash[:])
		if err != nil {
			return nil, err
		}
		live := &liveToken{token: token}
		live.accessed.Store(token.Accessed.UnixMilli())
		return live, nil
	})
	if errors.Is(err, ErrNotFound) {
		return nil, unknownToken()
	}
	if err != nil {
		return nil, unavailable(err)
	}
	now := s.now()
	if live.token.ExpiresAt != Never && now.Unix() >= live.token.ExpiresAt {
		return nil, fault.New(fault.Unauthenticated, "token_expired", "This personal access token has expired.")
	}
	u, err := s.signedIn(ctx, live.token.UserID)
	if fault.Is(err, fault.NotFound) {
		return nil, unknownToken()
	}
	if err != nil {
		return nil, err
	}
	if !touch(&live.accessed, now, func() (bool, error) { return s.store.TouchAccessToken(ctx, live.token.ID, now) }) {
		s.tokens.drop(hash)
		return nil, unknownToken()
	}
	return &Identity{User: u, Scope: live.token.Scope, TokenID: live.token.ID, TokenEnds: live.token.ExpiresAt}, nil
}

// CreateToken makes a personal access token for the caller and gives its value,
// which nobody can read again.
func (s *Service) CreateToken(ctx context.Context, who *Identity, n NewToken) (value string, t *Token, err error) {
	name, err := cleanTokenName(n.Name)
	if err != nil {
		return "", nil, err
	}
	if n.Scope != ScopeFull && n.Scope != ScopeRead {
		return "", nil, fault.New(fault.Invalid, "invalid_scope", "scope must be full or read.").Field("scope")
	}
	now := s.now()
	if n.ExpiresAt != Never && n.ExpiresAt <= now.Unix() {
		return "", nil, fault.New(fault.Invalid, "invalid_expires_at", "expires_at must be a Unix time in seconds that is yet to come, or -1 for never.").Field("expires_at")
	}
	if n.ExpiresAt > maxInstant {
		return "", nil, fault.New(fault.Invalid, "invalid_expires_at", "expires_at must be a Unix time in seconds before the year 10000.").Field("expires_at")
	}
	if longest := who.LongestToken(); longest != Never && (n.ExpiresAt == Never || n.ExpiresAt > longest) {
		return "", nil, fault.New(fault.Invalid, "wider_than_token", "expires_at must not be later than that of the token that asks, %d.", longest).Field("expires_at")
	}
	value = tokenfmt.New(TokenPrefix, tokenRandom)
	hash := sha256.Sum256([]byte(value))
	t = &Token{
		UserID: who.User.ID, Name: name, Scope: n.Scope, Hash: hash[:], Last4: value[len(value)-4:],
		Created: now, Accessed: now, ExpiresAt: n.ExpiresAt,
	}
	err = s.store.InsertAccessToken(ctx, t, tokensPerUser)
	if errors.Is(err, ErrTooMany) {
		return "", nil, fault.New(fault.Conflict, "too_many_tokens", "You have %d personal access tokens, which is as many as one may have; delete one first.", tokensPerUser)
	}
	if errors.Is(err, ErrNotFound) {
		return "", nil, userNotFound(who.User.ID)
	}
	if err != nil {
		return "", nil, unavailable(err)
	}
	return value, t, nil
}

// maxInstant is the last second of the year 9999.
const maxInstant = 253402300799

// Tokens is one page of the caller's personal access tokens, newest first, and
// how many there are.
func (s *Service) Tokens(ctx context.Context, who *Identity, offset, limit int64) ([]*Token, int64, error) {
	tokens, total, err := s.store.ListAccessTokens(ctx, who.User.ID, offset, limit)
	return tokens, total, unavailable(err)
}

// TokensOf is Tokens for an administrator who looks at a user's.
func (s *Service) TokensOf(ctx context.Context, by *Identity, userID, offset, limit int64) ([]*Token, int64, error) {
	if err := s.manages(ctx, by, userID); err != nil {
		return nil, 0, err
	}
	tokens, total, err := s.store.ListAccessTokens(ctx, userID, offset, limit)
	return tokens, total, unavailable(err)
}

// DeleteToken ends one of the caller's personal access tokens, at once.
func (s *Service) DeleteToken(ctx context.Context, who *Identity, id int64) error {
	return s.deleteToken(ctx, who.User.ID, id)
}

// DeleteTokenOf is DeleteToken for an administrator.
func (s *Service) DeleteTokenOf(ctx context.Context, by *Identity, userID, id int64) error {
	if err := s.manages(ctx, by, userID); err != nil {
		return err
	}
	return s.deleteToken(ctx, userID, id)
}

func (s *Service) deleteToken(ctx context.Context, userID, id int64) error {
	defer s.tokens.dropIf(func(l *liveToken) bool { return l.token.ID == id })
	err := s.store.DeleteAccessToken(ctx, userID, id)
	if errors.Is(err, ErrNotFound) {
		return fault.New(fault.NotFound, "token_not_found", "There is no personal access token %d; it may have been deleted.", id)
	}
	return unavailable(err)
}

func invalidToken(format string, args ...any) error {
	return fault.New(fault.Unauthenticated, "invalid_access_token", format, args...)
}

func unknownToken() error {
	return invalidToken("There is no such personal access token; it may have been deleted.")
}
