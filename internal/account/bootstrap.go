package account

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/group"
)

// RootName is the username of the account that the first start makes.
const RootName = "root"

// EnsureRoot makes the root account on a database that has never had a user,
// with the password given or, without one, with a generated one that is
// returned and nowhere else to be read. created is false when there was nothing
// to do, and for all but one of several nodes that start together.
func (s *Service) EnsureRoot(ctx context.Context, password string) (generated string, created bool, err error) {
	has, err := s.store.HasUsers(ctx)
	if err != nil || has {
		return "", false, unavailable(err)
	}
	if password == "" {
		generated = strings.ToLower(rand.Text())
		password = generated
	}
	if err := checkPassword(password); err != nil {
		return "", false, err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return "", false, unavailable(err)
	}
	created, err = s.store.InsertFirstUser(ctx, &User{
		Username: RootName, PasswordHash: hash, Role: RoleRoot, Status: Enabled, Group: group.Default,
		Unlimited: true, MustChange: generated != "", Created: s.now(),
	}, budget.Cause{}.For(budget.FirstStart, s.now()))
	if err != nil || !created {
		return "", false, unavailable(err)
	}
	return generated, true, nil
}

// Operator is who acts over the local socket and in commands on the database
// itself: the first enabled root.
func (s *Service) Operator(ctx context.Context) (*Identity, error) {
	u, err := s.store.FirstRoot(ctx)
	if errors.Is(err, ErrNotFound) {
		return nil, fault.New(fault.NotFound, "user_not_found", "There is no enabled root account; the first start of halley serve makes one.")
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return &Identity{User: u, Scope: ScopeFull}, nil
}
