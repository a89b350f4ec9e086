package account

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/seal"
)

// What a store says when there is no such record, or one already.
var (
	ErrNotFound  = errors.New("no such record")
	ErrNameTaken = errors.New("the username is taken")
	ErrTooMany   = errors.New("there are as many as may be")
	ErrThere     = errors.New("there is one already")
)

// UserStore keeps users. A deleted user is not found by anything but its name,
// which stays taken.
type UserStore interface {
	// InsertUser sets u's ID and Version, or gives ErrNameTaken.
	InsertUser(ctx context.Context, u *User, why budget.Cause) error
	// InsertFirstUser is InsertUser if there has never been a user, else
	// false; of two nodes that try, one does it.
	InsertFirstUser(ctx context.Context, u *User, why budget.Cause) (bool, error)
	// HasUsers reports whether there has ever been a user.
	HasUsers(ctx context.Context) (bool, error)
	// UserByID gives ErrNotFound when there is none.
	UserByID(ctx context.Context, id int64) (*User, error)
	// UserByName takes a folded username.
	UserByName(ctx context.Context, fold string) (*User, error)
	// FirstRoot is the enabled root with the lowest id.
	FirstRoot(ctx context.Context) (*User, error)
	// ListUsers gives one page, newest first, and how many match.
	ListUsers(ctx context.Context, f Filter) ([]*User, int64, error)
	// EditUser changes one user in a transaction that no other edit runs
	// beside. What change returns as an error undoes everything.
	EditUser(ctx context.Context, id int64, change func(*Edit) error) (*User, error)
	// DeleteUser marks the user deleted, with everything that signs in.
	DeleteUser(ctx context.Context, id int64, at time.Time) error
	// ReplacePasswordHash reports whether the hash was still old and is now
	// new.
	ReplacePasswordHash(ctx context.Context, id int64, old, new string) (bool, error)
}

// SessionStore keeps sessions under the hash of their value.
type SessionStore interface {
	// InsertSession sets s's ID. It also drops the same user's sessions that have expired and
	// the oldest beyond keep. It gives ErrNotFound when the user is no longer
	// there, enabled and with that password: a change that ends all sessions
	// must not be overtaken by a login.
	InsertSession(ctx context.Context, s *Session, passwordHash string, expired SessionsExpired, keep int) error
	SessionByHash(ctx context.Context, hash []byte) (*Session, error)
	// TouchSession reports whether the session is still there.
	TouchSession(ctx context.Context, hash []byte, seen time.Time) (bool, error)
	DeleteSession(ctx context.Context, hash []byte) error
	// ListSessions gives a user's sessions that have not expired, the last
	// used first.
	ListSessions(ctx context.Context, userID int64, expired SessionsExpired) ([]*Session, error)
	// DeleteSessionOf gives the hash of the session, or ErrNotFound unless the
	// user has it.
	DeleteSessionOf(ctx context.Context, userID, id int64) (hash []byte, err error)
	// DeleteOtherSessions ends a user's sessions but the one with the hash, all
	// without one, and tells how many there were.
	DeleteOtherSessions(ctx context.Context, userID int64, keep []byte) (int64, error)
}

// SessionsExpired tells which sessions have ended: those that end by At or were
// last seen by IdleSince.
type SessionsExpired struct{ At, IdleSince time.Time }

// TokenStore keeps personal access tokens.
type TokenStore interface {
	// InsertAccessToken sets t's ID, or gives ErrTooMany when the user has
	// limit tokens and ErrNotFound when there is no such user.
	InsertAccessToken(ctx context.Context, t *Token, limit int) error
	AccessTokenByHash(ctx context.Context, hash []byte) (*Token, error)
	// ListAccessTokens gives one page of a user's tokens, newest first, and
	// how many there are.
	ListAccessTokens(ctx context.Context, userID, offset, limit int64) ([]*Token, int64, error)
	// TouchAccessToken reports whether the token is still there.
	TouchAccessToken(ctx context.Context, id int64, accessed time.Time) (bool, error)
	// DeleteAccessToken gives ErrNotFound unless the user has the token.
	DeleteAccessToken(ctx context.Context, userID, id int64) error
}

// Store is all that accounts need kept.
type Store interface {
	UserStore
	SessionStore
	TokenStore
	SecondFactorStore
	ProviderStore
}

// Filter is one page of users. Keyword is a part of the username, display name
// or e-mail address; "" is everybody.
type Filter struct {
	Keyword       string
	Offset, Limit int64
}

// Edit is a user being changed inside a transaction.
type Edit struct {
	// User may be changed but for ID, Username, money, RequestCount, Created
	// and Version.
	User User
	// Change is what happens to the money: the grant moves by Delta.
	Change budget.Change
	// Cause is why, when Change says anything.
	Cause budget.Cause
	// EndSessions ends all of the user's sessions.
	EndSessions bool
	// OtherRoots is how many enabled roots there are besides this user.
	OtherRoots int64
}

// Ledger is who knows how much an account has left.
type Ledger interface {
	Balance(ctx context.Context, s budget.Subject) (budget.Balance, error)
	Live(ctx context.Context, kind budget.Kind, read func() ([]budget.Stored, error)) ([]budget.Balance, error)
	Edit(ctx context.Context, s budget.Subject, decide func(budget.Balance) (budget.Change, error), commit func(context.Context, budget.Change) error) (budget.Balance, error)
	Forget(s budget.Subject)
	// Allowances are the renewing budgets as they are now.
	Allowances(ctx context.Context, s budget.Subject) ([]budget.AllowanceState, error)
}

// Config is what a Service is made of.
type Config struct {
	Store  Store
	Ledger Ledger
	// Master seals TOTP secrets and keys the hashes of recovery codes.
	Master *seal.Master
	// IdentityProviders speaks to those that people sign in at.
	IdentityProviders IdentityProviders
	// GroupExists reports whether users can be put into the group.
	GroupExists func(name string) bool
	// NewUserQuota is what a user gets when nobody says how much, in units.
	NewUserQuota func() int64
	// OnDelete ends what else belongs to a user that is being deleted: keys.
	// It may be called again for the same user when it or a later step failed.
	OnDelete func(ctx context.Context, userID int64) error
	Now      func() time.Time
	// Hash is the cost of password hashes; the zero value is DefaultHash.
	Hash HashParams
}

// The bounds of what is kept in memory and per user.
const (
	cachedUsers      = 200_000
	cachedSessions   = 50_000
	cachedTokens     = 50_000
	sessionsPerUser  = 50
	tokensPerUser    = 100
	touchEvery       = time.Minute
	sessionIdle      = 24 * time.Hour
	sessionLifetime  = 14 * 24 * time.Hour
	storeRetryAfter  = 2 * time.Second
	sessionValueSize = 32 // random bytes
)

// Service holds the rules about people and who is signed in.
type Service struct {
	store        Store
	ledger       Ledger
	groupExists  func(string) bool
	newUserQuota func() int64
	onDelete     func(context.Context, int64) error
	now          func() time.Time
	hasher       *hasher
	throttle     *throttle
	box          *seal.Box    // TOTP secrets
	recovery     *seal.Hasher // recovery codes
	handles      *seal.Hasher // what authenticators know users by
	begun        *seal.Box    // what takes two requests
	secrets      *seal.Box    // of clients of identity providers
	providers    atomic.Pointer[[]*LoginProvider]

	identityProviders IdentityProviders

	users    *cache[int64, *User]
	sessions *cache[[32]byte, *liveSession]
	tokens   *cache[[32]byte, *liveToken]
}

// NewService makes the service.
func NewService(c Config) *Service {
	return &Service{
		store: c.Store, ledger: c.Ledger, groupExists: c.GroupExists, newUserQuota: c.NewUserQuota, onDelete: c.OnDelete, now: c.Now,
		hasher:   newHasher(c.Hash),
		throttle: newThrottle(c.Now),
		box:      c.Master.Box("totp secret"),
		recovery: c.Master.Hasher("recovery code"),
		handles:  c.Master.Hasher("passkey user handle"),
		begun:    c.Master.Box("begun sign-in"),
		secrets:  c.Master.Box("client secret"),

		identityProviders: c.IdentityProviders,
		users:             newCache[int64, *User](cachedUsers),
		sessions:          newCache[[32]byte, *liveSession](cachedSessions),
		tokens:            newCache[[32]byte, *liveToken](cachedTokens),
	}
}

// Owner is the user as the gateway needs it: from memory once known, and never
// older than the last change. The record is shared; its money and counts are
// those of the moment it was loaded. A disabled user is given as such, a
// deleted one is a NotFound, and a store that does not answer is an Unavailable
// fault unless the user is known here.
func (s *Service) Owner(ctx context.Context, id int64) (*User, error) {
	u, err := s.users.get(ctx, id, func(ctx context.Context) (*User, error) { return s.store.UserByID(ctx, id) })
	if errors.Is(err, ErrNotFound) {
		return nil, userNotFound(id)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return u, nil
}

// Invalidate forgets what is in memory about a user, for when somebody else
// has changed the database.
func (s *Service) Invalidate(userID int64) {
	s.users.drop(userID)
	s.sessions.dropIf(func(l *liveSession) bool { return l.session.UserID == userID })
	s.tokens.dropIf(func(l *liveToken) bool { return l.token.UserID == userID })
}

// ForgetAll drops everything remembered, for when changes may have been missed.
func (s *Service) ForgetAll() {
	s.users.clear()
	s.sessions.clear()
	s.tokens.clear()
}

func subject(userID int64) budget.Subject { return budget.Subject{Kind: budget.User, ID: userID} }

func userNotFound(id int64) error {
	return fault.New(fault.NotFound, "user_not_found", "There is no user %d.", id)
}

// unavailable makes a store's failure one that the caller can act on; a fault
// stays as it is.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	return fault.Wrap(err, fault.Unavailable, "store_unavailable", "The database cannot be reached right now; try again shortly.").Retry(storeRetryAfter)
}
