// Package key owns API keys: their record and its rules, the value's format,
// sealing and look-up, the limits a key carries, and what status it truly has.
// It must not know HTTP, dialects, SQL or prices.
package key

import (
	"net/netip"
	"time"

	"halley/internal/budget"
	"halley/internal/limit"
	"halley/internal/money"
)

// Status is a key's state as the management API counts it.
type Status int

// The statuses. Expired and Exhausted are normally derived, but an
// administrator may also set them.
const (
	Enabled   Status = 1
	Disabled  Status = 2
	Expired   Status = 3
	Exhausted Status = 4
)

// GroupAuto is the group name that asks for automatic routing.
const GroupAuto = "auto"

// Never is the ExpiresAt of a key that does not expire.
const Never int64 = -1

// Key is one API key as stored. A *Key handed out by the Service is shared and
// must not be changed. Money is the ledger's business: the record has what was
// granted and used when it was read, and live figures come from budget.
type Key struct {
	ID      int64
	UserID  int64
	Status  Status // as stored; see Effective
	Name    string
	Created time.Time
	// Accessed is the last use, Created at first.
	Accessed time.Time
	// ExpiresAt is Unix seconds, Never for none.
	ExpiresAt int64
	Granted   money.Nano
	Used      money.Nano
	// Unlimited lifts the key's own quota, never the account's balance.
	Unlimited          bool
	ModelLimitsEnabled bool
	Models             []string // patterns, trimmed and without doubles
	AllowIPs           []netip.Prefix
	Group              string // "" the owner's, GroupAuto, or a name
	CrossGroupRetry    bool
	Limits             Limits
	Version            int64
	Last4              string // last four characters of the current value
	Sealed             []byte // the current value, sealed
	Hash               []byte // look-up hash of the current value

	// Older are the earlier values that were still in grace when the record was
	// read. Only KeyByHash fills it.
	Older []OldValue

	// Parent is how the key that issued this one stood when the record was read;
	// nil for a key that none issued. See Service.Parent for what is true now.
	Parent *Parent

	rules *rules // compiled from the fields above; see AllowsModel
	seen  *seen  // when the current value was last shown
}

// OldValue is a value that a rotation has replaced.
type OldValue struct {
	Hash []byte
	Ends time.Time // the first instant at which it is not accepted any more

	seen *seen
}

// Limits is the optional object behind the 16 published fields. A nil pointer
// or slice means unset; 0 means none allowed.
//
// The JSON is how the store keeps it: unset members are left out, and ParentID
// has a column of its own.
type Limits struct {
	limit.Limits
	Budgets    []budget.Renewing `json:"budgets,omitzero"`
	Endpoints  []string          `json:"endpoints,omitzero"` // see Endpoints
	AutoGroups []string          `json:"auto_groups,omitzero"`
	Metadata   map[string]string `json:"metadata,omitzero"`
	ParentID   *int64            `json:"-"`
}
