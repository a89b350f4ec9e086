package account

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"halley/internal/fault"
	"halley/internal/passkey"
)

// Origin is where a request came from.
type Origin struct {
	IP        netip.Addr // invalid over the local socket
	UserAgent string
	RequestID string
}

// Login is a session that was just opened. Value is the cookie's and is given
// out here only.
type Login struct {
	User   *User
	Value  string
	Ends   time.Time
	Method Method
}

// liveSession is a session in memory.
type liveSession struct {
	session *Session
	seen    atomic.Int64 // Unix milliseconds
}

// idle reports whether nobody has used it for too long, as far as is known here.
func (l *liveSession) idle(now time.Time) bool {
	return now.Sub(time.UnixMilli(l.seen.Load())) >= sessionIdle
}

// Attempt is what somebody shows to sign in.
type Attempt struct {
	Username string
	Password string
	Code     string // a one-time or recovery code, "" for none
	// Site is where passkeys are asked for; the zero value asks for none.
	Site    passkey.Site
	Passkey *Assertion // nil for none
}

// Login opens a session. Wrong names and wrong passwords get the same answer in
// the same time; after too many of them, or of wrong codes, the answer is a 429
// for everybody, whatever the password. Who needs a second factor and shows none
// gets a SecondFactorRequired.
func (s *Service) Login(ctx context.Context, a Attempt, from Origin) (*Login, error) {
	username, password := a.Username, a.Password
	if strings.TrimSpace(username) == "" {
		return nil, fault.New(fault.Invalid, "invalid_username", "username must not be empty.").Field("username")
	}
	if password == "" {
		return nil, fault.New(fault.Invalid, "invalid_password", "password must not be empty.").Field("password")
	}
	end, err := s.throttle.begin(ctx, Fold(username), from.IP)
	if err != nil {
		return nil, unavailable(err)
	}
	failed := false
	defer func() { end(failed) }()

	u, err := s.store.UserByName(ctx, Fold(username))
	if errors.Is(err, ErrNotFound) {
		u, err = &User{}, nil // its empty hash is nobody's, and checked like any other
	}
	if err != nil {
		return nil, unavailable(err)
	}
	ok, stale, err := s.hasher.verify(ctx, u.PasswordHash, password)
	if err != nil {
		return nil, unavailable(err)
	}
	if !ok {
		failed = true
		return nil, wrongCredentials()
	}
	if u.Status != Enabled {
		return nil, accountDisabled()
	}
	method, err := s.secondFactor(ctx, u, a)
	if err != nil {
		_, asks := errors.AsType[*SecondFactorRequired](err)
		failed = !asks && fault.Is(err, fault.Unauthenticated)
		return nil, err
	}
	if stale {
		if u, err = s.rehash(ctx, u, password); err != nil {
			return nil, err
		}
	}
	return s.newSession(ctx, u, method, from)
}

// Logout ends the caller's session; callers without one have nothing to end.
func (s *Service) Logout(ctx context.Context, who *Identity) error {
	if who.Session == nil {
		return nil
	}
	defer s.sessions.drop([32]byte(who.Session))
	return unavailable(s.store.DeleteSession(ctx, who.Session))
}

// AuthenticateSession tells who a session cookie's value belongs to. Unknown,
// ended and idle sessions are a 401 session_expired, a disabled user's a 401
// account_disabled.
func (s *Service) AuthenticateSession(ctx context.Context, value string) (*Identity, error) {
	if raw, err := base64.RawURLEncoding.DecodeString(value); err != nil || len(raw) != sessionValueSize {
		return nil, sessionExpired()
	}
	hash := sha256.Sum256([]byte(value))
	now := s.now()
	live, err := s.liveSession(ctx, hash)
	if err == nil && live.idle(now) {
		s.sessions.drop(hash) // another server may have seen it since
		live, err = s.liveSession(ctx, hash)
	}
	if errors.Is(err, ErrNotFound) {
		return nil, sessionExpired()
	}
	if err != nil {
		return nil, unavailable(err)
	}
	if !now.Before(live.session.Ends) || live.idle(now) {
		s.sessions.drop(hash)
		return nil, sessionExpired()
	}
	u, err := s.signedIn(ctx, live.session.UserID)
	if fault.Is(err, fault.NotFound) {
		return nil, sessionExpired()
	}
	if err != nil {
		return nil, err
	}
	if !touch(&live.seen, now, func() (bool, error) { return s.store.TouchSession(ctx, hash[:], now) }) {
		s.sessions.drop(hash)
		return nil, sessionExpired()
	}
	return &Identity{User: u, Scope: ScopeFull, Session: hash[:], SignedIn: live.session.Created, Method: live.session.Method}, nil
}

// liveSession is the session with the hash, from memory once known.
func (s *Service) liveSession(ctx context.Context, hash [32]byte) (*liveSession, error) {
	return s.sessions.get(ctx, hash, func(ctx context.Context) (*liveSession, error) {
		session, err := s.store.SessionByHash(ctx, hash[:])
		if err != nil {
			return nil, err
		}
		live := &liveSession{session: session}
		live.seen.Store(session.Seen.UnixMilli())
		return live, nil
	})
}

// guess reports whether the password is the user's, under the same throttle as
// a login: a stolen session must not become a way to try passwords.
func (s *Service) guess(ctx context.Context, userID int64, password string, from Origin) (bool, error) {
	u, err := s.store.UserByID(ctx, userID)
	if errors.Is(err, ErrNotFound) {
		return false, userNotFound(userID)
	}
	if err != nil {
		return false, unavailable(err)
	}
	end, err := s.throttle.begin(ctx, Fold(u.Username), from.IP)
	if err != nil {
		return false, unavailable(err)
	}
	failed := false
	defer func() { end(failed) }()
	ok, _, err := s.hasher.verify(ctx, u.PasswordHash, password)
	failed = err == nil && !ok
	return ok, unavailable(err)
}

// rehash hashes the password that u was just found to have with today's
// parameters.
func (s *Service) rehash(ctx context.Context, u *User, password string) (*User, error) {
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return nil, unavailable(err)
	}
	replaced, err := s.store.ReplacePasswordHash(ctx, u.ID, u.PasswordHash, hash)
	if err != nil {
		return nil, unavailable(err)
	}
	if replaced {
		s.users.drop(u.ID)
		fresh := *u
		fresh.PasswordHash = hash
		return &fresh, nil
	}
	// Another login was first with the same, or the password was changed.
	fresh, err := s.store.UserByName(ctx, Fold(u.Username))
	if errors.Is(err, ErrNotFound) {
		return nil, wrongCredentials()
	}
	if err != nil {
		return nil, unavailable(err)
	}
	ok, _, err := s.hasher.verify(ctx, fresh.PasswordHash, password)
	if err == nil && !ok {
		err = wrongCredentials()
	}
	return fresh, unavailable(err)
}

// newSession opens a session for a user who was just found to be who they say.
func (s *Service) newSession(ctx context.Context, u *User, method Method, from Origin) (*Login, error) {
	return s.openSession(ctx, u, method, s.now(), from)
}

// openSession opens a session that counts as one of a sign-in at an earlier
// moment.
func (s *Service) openSession(ctx context.Context, u *User, method Method, signedIn time.Time, from Origin) (*Login, error) {
	value := base64.RawURLEncoding.EncodeToString(randomBytes(sessionValueSize))
	hash := sha256.Sum256([]byte(value))
	now := s.now()
	session := &Session{
		Hash: hash[:], UserID: u.ID, Created: signedIn, Seen: now, Ends: signedIn.Add(sessionLifetime),
		UserAgent: shorten(from.UserAgent, 200), Method: method,
	}
	if from.IP.IsValid() {
		session.IP = from.IP.String()
	}
	expired := SessionsExpired{At: now, IdleSince: now.Add(-sessionIdle)}
	err := s.store.InsertSession(ctx, session, u.PasswordHash, expired, sessionsPerUser)
	if errors.Is(err, ErrNotFound) {
		// Password changed, user disabled or deleted since it was checked.
		return nil, wrongCredentials()
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return &Login{User: u, Value: value, Ends: session.Ends, Method: method}, nil
}

// signedIn is a user who may act: an enabled one.
func (s *Service) signedIn(ctx context.Context, id int64) (*User, error) {
	u, err := s.Owner(ctx, id)
	if err != nil {
		return nil, err
	}
	if u.Status != Enabled {
		return nil, accountDisabled()
	}
	return u, nil
}

// touch writes a last use at most once a minute, and reports whether the
// credential is still there. A store that does not answer is no reason to send
// somebody away who is known here.
func touch(seen *atomic.Int64, now time.Time, write func() (bool, error)) bool {
	last := seen.Load()
	if now.UnixMilli()-last < touchEvery.Milliseconds() || !seen.CompareAndSwap(last, now.UnixMilli()) {
		return true
	}
	there, err := write()
	return there || err != nil
}

// shorten cuts text to at most n bytes of whole characters without control
// characters.
func shorten(text string, n int) string {
	text = strings.ToValidUTF8(text, "")
	if len(text) > n {
		for n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
		text = text[:n]
	}
	if !printable(text) {
		return ""
	}
	return text
}

func wrongCredentials() error {
	return fault.New(fault.Unauthenticated, "invalid_credentials", "The user name or the password is wrong.")
}

func sessionExpired() error {
	return fault.New(fault.Unauthenticated, "session_expired", "The session has ended; sign in again.")
}

func accountDisabled() error {
	return fault.New(fault.Unauthenticated, "account_disabled", "This account is disabled.")
}
