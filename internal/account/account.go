// Package account owns people: users with their role, status, group and
// balance, their passwords, sessions and personal access tokens. It must not
// know HTTP, SQL or API keys.
package account

import (
	"time"

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
	Created      time.Time
	Version      int64
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
	Hash      []byte
	Last4     string
	Created   time.Time
	Accessed  time.Time
	ExpiresAt int64 // Unix seconds, -1 never
}

// Identity is who is calling the management API, and with what powers.
type Identity struct {
	User    *User
	Scope   Scope
	TokenID int64 // 0 for sessions and the local socket
	Session []byte
}

// Admin reports whether the caller may administer.
func (id *Identity) Admin() bool { return id.User.Role == RoleAdmin || id.User.Role == RoleRoot }

// Root reports whether the caller is root.
func (id *Identity) Root() bool { return id.User.Role == RoleRoot }
