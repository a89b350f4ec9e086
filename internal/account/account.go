// Package account owns people: users with their role, status, group and
// balance, their passwords, sessions and personal access tokens. It must not
// know HTTP, SQL or API keys.
package account

import (
	"time"

	"halley/internal/budget"
	"halley/internal/money"
)

// Role is what a user may do.
type Role string

// The roles, each including what the one before may do.
const (
	RoleUser  Role = "user"
	RoleAdmin Role = "admin"
	RoleRoot  Role = "root"
)

// Status is whether a user may sign in and spend.
type Status int

// The statuses.
const (
	Enabled  Status = 1
	Disabled Status = 2
)

// User is one account. A *User handed out is shared and must not be changed.
type User struct {
	ID           int64
	Username     string
	DisplayName  string
	Email        string
	PasswordHash string // argon2id, PHC string format
	Role         Role
	Status       Status
	Group        string
	Granted      money.Nano
	Used         money.Nano
	Unlimited    bool
	RequestCount int64
	TimeZone     string // IANA name, "" for UTC
	Language     string
	MustChange   bool // the password was set by somebody else
	Limits       Limits
	Created      time.Time
	Version      int64
}

// Balance is the money as it stood when the record was read. What is live comes
// from the ledger.
func (u *User) Balance() budget.Balance {
	return budget.Balance{Granted: u.Granted, Used: u.Used, Unlimited: u.Unlimited}
}

// Account is a user together with the live balance.
type Account struct {
	*User
	Balance budget.Balance
	// Budgets are the live states of User.Limits.Budgets, in their order; nil
	// when they could not be told.
	Budgets []budget.AllowanceState
}

// Scope is what a personal access token may do.
type Scope string

// The scopes.
const (
	ScopeFull Scope = "full"
	ScopeRead Scope = "read"
)

// Token is a personal access token; its value is shown once and only a hash is
// kept.
type Token struct {
	ID        int64
	UserID    int64
	Name      string
	Scope     Scope
	Hash      []byte // SHA-256 of the value
	Last4     string
	Created   time.Time
	Accessed  time.Time // last use, to the minute; Created at first
	ExpiresAt int64     // Unix seconds, Never for none
}

// Never is the ExpiresAt of a token that does not expire.
const Never int64 = -1

// Session is one signed-in browser. The cookie holds a random value of which
// only the hash is kept.
type Session struct {
	ID        int64
	Hash      []byte // SHA-256 of the value
	UserID    int64
	Created   time.Time
	Seen      time.Time // last use, to the minute
	Ends      time.Time // whatever its use
	IP        string
	UserAgent string
	Method    Method
}

// Method is how somebody signed in.
type Method string

// The methods.
const (
	ByPassword     Method = "password"
	ByTOTP         Method = "password+totp"
	ByRecoveryCode Method = "password+recovery_code"
	ByBoth         Method = "password+passkey"
	ByPasskey      Method = "passkey"
)

// Administers reports whether the user's role lets them administer.
func (u *User) Administers() bool { return u.Role == RoleAdmin || u.Role == RoleRoot }

// Identity is who is calling the management API, and with what powers.
type Identity struct {
	User    *User
	Scope   Scope
	TokenID int64 // 0 for sessions and the local socket
	// TokenEnds is when the token expires, in Unix seconds, Never for one that
	// does not; 0 without a token.
	TokenEnds int64
	Session   []byte // the session's hash; nil for tokens and the local socket
	// SignedIn is when the session was opened, and Method how.
	SignedIn time.Time
	Method   Method
	// RequestID is that of the call.
	RequestID string
}

// Admin reports whether the caller may administer.
func (id *Identity) Admin() bool { return id.User.Administers() }

// Root reports whether the caller is root.
func (id *Identity) Root() bool { return id.User.Role == RoleRoot }

// LongestToken is the latest that a token made by the caller may expire, in Unix
// seconds or Never: a token must not make itself a longer life.
func (id *Identity) LongestToken() int64 {
	if id.TokenID == 0 {
		return Never
	}
	return id.TokenEnds
}

// Cause is the caller as a change of a balance names them.
func (id *Identity) Cause() budget.Cause {
	return budget.Cause{Actor: id.User.ID, RequestID: id.RequestID}
}

// Local reports whether the caller came over the local socket (or is a command
// at work on the database itself) and so stands for the machine's operator, not
// for the root account it is shown as.
func (id *Identity) Local() bool { return id.TokenID == 0 && id.Session == nil }
