package group

import (
	"slices"
	"strings"

	"halley/internal/fault"
)

// Audience is who may use a group besides those whose own group it is.
type Audience struct {
	Groups []string // user groups, each once
	Users  []int64  // single users, each once
}

// User is what groups know of a user.
type User struct {
	ID    int64
	Group string // their own
}

func (a *Audience) includes(u User) bool {
	return slices.Contains(a.Groups, u.Group) || slices.Contains(a.Users, u.ID)
}

// The bounds of an audience.
const (
	MaxUsableBy      = 1000 // user groups
	MaxUsableByUsers = 1000
)

// tidy gives the audience without doubles, in its order; nil stays nil and an
// empty one stays one.
func (a *Audience) tidy() (*Audience, error) {
	if a == nil {
		return nil, nil //nolint:nilnil // nil is everybody
	}
	if len(a.Groups) > MaxUsableBy {
		return nil, fault.New(fault.Invalid, "invalid_usable_by", "usable_by must name at most %d groups, it has %d.", MaxUsableBy, len(a.Groups)).Field("usable_by")
	}
	if len(a.Users) > MaxUsableByUsers {
		return nil, fault.New(fault.Invalid, "invalid_usable_by", "usable_by must name at most %d users, it has %d.", MaxUsableByUsers, len(a.Users)).Field("usable_by")
	}
	for _, name := range a.Groups {
		if !wellFormed(name) || strings.EqualFold(name, Auto) {
			return nil, fault.New(fault.Invalid, "invalid_usable_by", "usable_by: %q cannot be the name of a group.", name).Field("usable_by")
		}
	}
	return &Audience{Groups: once(a.Groups), Users: once(a.Users)}, nil
}

// once gives each entry once, in order.
func once[T comparable](list []T) []T {
	var kept []T
	for _, entry := range list {
		if !slices.Contains(kept, entry) {
			kept = append(kept, entry)
		}
	}
	return kept
}

// added are the users of a that are not in before.
func (a *Audience) added(before *Audience) []int64 {
	if a == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(a.Users), func(id int64) bool { return before != nil && slices.Contains(before.Users, id) })
}

func unknownUser(id int64) error {
	return fault.New(fault.Invalid, "invalid_usable_by", "usable_by: there is no user %d.", id).Field("usable_by")
}
