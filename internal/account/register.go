package account

import (
	"context"

	"halley/internal/budget"
	"halley/internal/fault"
)

// Registration is a user who makes their own account.
type Registration struct {
	Username    string
	Password    string
	DisplayName string
	Email       string
}

// Register makes an ordinary user in the default group, with what new users
// get, and signs them in. Whether people may register at all is the caller's
// question. From one address 20 accounts can be made, or taken names tried, in
// 15 minutes; then the answer is a 429 too_many_attempts. With an error there is
// an Account when it was made but no session could be opened.
func (s *Service) Register(ctx context.Context, r Registration, from Origin) (*Account, *Login, error) {
	u, err := s.draft(NewUser{Username: r.Username, Password: r.Password, DisplayName: r.DisplayName, Email: r.Email})
	if err != nil {
		return nil, nil, err
	}
	u.MustChange = false // the password is its owner's own choice
	if err := s.makeOwn(ctx, u, r.Password, from); err != nil {
		return nil, nil, err
	}
	login, err := s.newSession(ctx, u, ByPassword, from)
	return &Account{User: u, Balance: u.Balance()}, login, err
}

// makeOwn inserts under the throttle for accounts that people make themselves.
func (s *Service) makeOwn(ctx context.Context, u *User, password string, from Origin) error {
	end, err := s.throttle.beginAccount(ctx, from.IP)
	if err != nil {
		return unavailable(err)
	}
	counts := false
	defer func() { end(counts) }()
	err = s.insert(ctx, u, password, budget.Cause{RequestID: from.RequestID}.For(budget.Registered, s.now()))
	counts = err == nil || fault.Is(err, fault.Conflict)
	return err
}
