package account

import (
	"context"
	"errors"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/group"
	"halley/internal/money"
	"halley/internal/speech"
)

// NewUser is a user to be made.
type NewUser struct {
	Username    string
	Password    string
	DisplayName string
	Email       string
	Role        Role   // "" is RoleUser; nobody is made root
	Group       string // "" is the default group
	Quota       *int64 // units; nil is what new users get
	Unlimited   bool
	Limits      *LimitsPatch
	// MustChange has the user choose another password before anything else.
	MustChange bool
}

// Patch is a change of a user by an administrator; nil leaves a field.
type Patch struct {
	Status      *Status
	Role        *Role
	Group       *string
	DisplayName *string
	Email       *string
	Password    *string
	Unlimited   *bool
	Limits      *LimitsPatch
	// MustChange has the user choose another password before anything else; a
	// password that is set without it may stay.
	MustChange *bool
}

// SelfPatch is a change of a user by themselves; nil leaves a field.
type SelfPatch struct {
	DisplayName *string
	Email       *string
	Password    *string
	OldPassword *string // needed with Password
	TimeZone    *string
	Language    *string
}

// Get is one user with the live balance.
func (s *Service) Get(ctx context.Context, id int64) (*Account, error) {
	u, err := s.store.UserByID(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil, userNotFound(id)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	b, err := s.ledger.Balance(ctx, subject(id))
	if err != nil {
		return nil, unavailable(err)
	}
	a := &Account{User: u, Balance: b}
	return a, s.addBudgets(ctx, a)
}

// List is one page of users, newest first, and how many match.
func (s *Service) List(ctx context.Context, f Filter) ([]*Account, int64, error) {
	var total int64
	accounts, err := s.live(ctx, func() (users []*User, err error) {
		users, total, err = s.store.ListUsers(ctx, f)
		return users, err
	})
	if err != nil {
		return nil, 0, unavailable(err)
	}
	for _, a := range accounts {
		if err := s.addBudgets(ctx, a); err != nil {
			return nil, 0, err
		}
	}
	return accounts, total, nil
}

// Create makes a user. Administrators make users, root also administrators.
// The password is the maker's choice, so its owner is asked to change it.
func (s *Service) Create(ctx context.Context, by *Identity, n NewUser) (*Account, error) {
	u, err := s.draft(n)
	if err != nil {
		return nil, err
	}
	if u.Role != RoleUser && !by.Root() {
		return nil, fault.New(fault.Forbidden, "root_required", "Only root may make administrators.").Field("role")
	}
	if err := s.insert(ctx, u, n.Password, by.Cause().For(budget.Created, s.now())); err != nil {
		return nil, err
	}
	a := &Account{User: u, Balance: u.Balance()}
	return a, s.addBudgets(ctx, a)
}

// insert keeps a new user with the password's hash.
func (s *Service) insert(ctx context.Context, u *User, password string, why budget.Cause) error {
	var err error
	if u.PasswordHash, err = s.hasher.hash(ctx, password); err != nil {
		return unavailable(err)
	}
	err = s.store.InsertUser(ctx, u, why)
	if errors.Is(err, ErrNameTaken) {
		return fault.New(fault.Conflict, "username_taken", "The username %s is taken; a deleted user's name stays reserved, so that records of the past keep one meaning.", u.Username).Field("username")
	}
	return unavailable(err)
}

// draft is the user that n describes, without the password's hash.
func (s *Service) draft(n NewUser) (*User, error) {
	if err := checkUsername(n.Username); err != nil {
		return nil, err
	}
	if err := checkPassword(n.Password); err != nil {
		return nil, err
	}
	displayName, err := cleanDisplayName(n.DisplayName)
	if err != nil {
		return nil, err
	}
	email, err := cleanEmail(n.Email)
	if err != nil {
		return nil, err
	}
	if n.Role == "" {
		n.Role = RoleUser
	}
	if err := checkRole(n.Role, RoleUser, RoleAdmin); err != nil {
		return nil, err
	}
	if n.Group == "" {
		n.Group = group.Default
	}
	if err := s.checkGroup(n.Group); err != nil {
		return nil, err
	}
	quota := s.newUserQuota()
	if n.Quota != nil {
		quota = *n.Quota
	}
	if err := checkQuota(quota); err != nil {
		return nil, err
	}
	u := &User{
		Username: n.Username, DisplayName: displayName, Email: email, Role: n.Role, Status: Enabled, Group: n.Group,
		Granted: money.FromUnits(quota), Unlimited: n.Unlimited, MustChange: n.MustChange, Created: s.now(),
	}
	if n.Limits == nil {
		return u, nil
	}
	budgets, err := s.budgets(u, n.Limits)
	if err == nil {
		u.Limits, err = n.Limits.apply(u.Limits, budgets)
	}
	return u, err
}

// Update changes a user on an administrator's behalf.
func (s *Service) Update(ctx context.Context, by *Identity, id int64, p Patch) (*Account, error) {
	if err := s.checkPatch(&p); err != nil {
		return nil, err
	}
	// Nobody's password is hashed for a caller who may not set it.
	target, err := s.Owner(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := mayUpdate(by, target, p); err != nil {
		return nil, err
	}
	var hash string
	if p.Password != nil {
		if hash, err = s.hasher.hash(ctx, *p.Password); err != nil {
			return nil, unavailable(err)
		}
	}
	var limits func(Limits) (Limits, error)
	var allowances *[]budget.Allowance
	if p.Limits != nil {
		if limits, allowances, err = s.newLimits(ctx, id, p.Limits); err != nil {
			return nil, err
		}
	}
	change := func(e *Edit) error {
		// The user may have become somebody else's business meanwhile.
		if err := mayUpdate(by, &e.User, p); err != nil {
			return err
		}
		before := e.User
		e.Cause = by.Cause().For(budget.Edited, s.now())
		p.apply(&e.User, hash)
		if limits != nil {
			var err error
			if e.User.Limits, err = limits(before.Limits); err != nil {
				return err
			}
		}
		if lostRoot(&before, &e.User) && e.OtherRoots == 0 {
			return lastRoot()
		}
		e.EndSessions = hash != "" || e.User.Role != before.Role || e.User.Status == Disabled
		return nil
	}
	if p.Unlimited == nil && allowances == nil {
		return s.edit(ctx, id, change)
	}
	return s.editMoney(ctx, id, func(budget.Balance) (budget.Change, error) {
		return budget.Change{Unlimited: p.Unlimited, Allowances: allowances}, nil
	}, change)
}

// newLimits is what changes a user's limits as they are when they are written.
// The ledger must know the budgets before that; without them allowances is nil.
func (s *Service) newLimits(ctx context.Context, id int64, p *LimitsPatch) (change func(Limits) (Limits, error), allowances *[]budget.Allowance, err error) {
	if !p.Budgets.Set {
		return func(l Limits) (Limits, error) { return p.apply(l, l.Budgets) }, nil, nil
	}
	u, err := s.store.UserByID(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil, nil, userNotFound(id)
	}
	if err != nil {
		return nil, nil, unavailable(err)
	}
	budgets, err := s.budgets(u, p)
	if err != nil {
		return nil, nil, err
	}
	return func(l Limits) (Limits, error) { return p.apply(l, budgets) }, new(budget.Allowances(budgets)), nil
}

// UpdateSelf changes the caller's own record. A new password needs the old one,
// and the first one a session that was opened a moment ago. It ends every
// session; who had one gets another in its place, that is as old and as well
// proved, else the Login is nil. An access token may change the password only
// where a password alone signs in: it has shown no second factor.
func (s *Service) UpdateSelf(ctx context.Context, who *Identity, p SelfPatch, from Origin) (*Account, *Login, error) {
	if err := p.check(); err != nil {
		return nil, nil, err
	}
	first := p.Password != nil && who.User.PasswordHash == ""
	var hash string
	if p.Password != nil {
		if err := s.mayChoosePassword(ctx, who, &p, from); err != nil {
			return nil, nil, err
		}
		var err error
		if hash, err = s.hasher.hash(ctx, *p.Password); err != nil {
			return nil, nil, unavailable(err)
		}
	}
	account, err := s.edit(ctx, who.User.ID, func(e *Edit) error {
		if first && e.User.PasswordHash != "" {
			return fault.New(fault.Conflict, "password_set", "The account has got a password in the meantime; give it as old_password.").Field("old_password")
		}
		p.apply(&e.User, hash)
		e.EndSessions = hash != ""
		return nil
	})
	if err != nil || hash == "" || who.Session == nil {
		return account, nil, err
	}
	// Were it a new one, the old password would renew what only a sign-in with all
	// factors gives.
	login, err := s.openSession(ctx, account.User, who.Method, who.SignedIn, from)
	return account, login, err
}

// mayChoosePassword judges what the caller shows for another password: the old
// one. An account without one, made by an identity provider, has nothing to show
// but that it was signed in to just now.
func (s *Service) mayChoosePassword(ctx context.Context, who *Identity, p *SelfPatch, from Origin) error {
	if err := s.maySignInOtherwise(ctx, who); err != nil {
		return err
	}
	old := ""
	if p.OldPassword != nil {
		old = *p.OldPassword
	}
	switch {
	case old == "" && who.User.PasswordHash == "":
		return s.prove(ctx, who, Proof{}, from)
	case old == "":
		return fault.New(fault.Invalid, "old_password_required", "A new password needs old_password, too.").Field("old_password")
	}
	ok, err := s.guess(ctx, who.User.ID, old, from)
	if err != nil {
		return err
	}
	if !ok {
		return fault.New(fault.Invalid, "wrong_password", "old_password is not the password.").Field("old_password")
	}
	if *p.Password == old && who.User.MustChange {
		return fault.New(fault.Invalid, "password_unchanged", "Choose another password than the one you were given.").Field("password")
	}
	return nil
}

// maySignInOtherwise refuses tokens where a second factor guards the account.
func (s *Service) maySignInOtherwise(ctx context.Context, who *Identity) error {
	if who.TokenID == 0 {
		return nil
	}
	factors, err := s.store.SecondFactors(ctx, who.User.ID)
	if err != nil {
		return unavailable(err)
	}
	if !factors.required() {
		return nil
	}
	return needsSession(who)
}

// ChangeBalance moves what a user can spend; decide is budget.SetRemaining or
// budget.AddRemaining.
func (s *Service) ChangeBalance(ctx context.Context, by *Identity, id int64, decide func(budget.Balance) (budget.Change, error)) (*Account, error) {
	if _, err := s.Owner(ctx, id); err != nil {
		return nil, err
	}
	return s.editMoney(ctx, id, decide, func(e *Edit) error {
		e.Cause = by.Cause().For(budget.Quota, s.now())
		return mayManage(by, &e.User)
	})
}

// Delete removes a user for good. The row stays, so that records of the past
// name somebody and nobody else can take the name. The user is stopped first,
// then everything of theirs ends, then the user goes: when a step fails, the
// user is still there, disabled, and can be deleted again.
func (s *Service) Delete(ctx context.Context, by *Identity, id int64) error {
	_, err := s.edit(ctx, id, func(e *Edit) error {
		if err := mayManage(by, &e.User); err != nil {
			return err
		}
		if ownAccount(by, &e.User) {
			return errOwnAccount("delete")
		}
		before := e.User
		e.User.Status = Disabled
		if before.Role == RoleRoot && e.OtherRoots == 0 {
			return lastRoot()
		}
		e.EndSessions = true
		return nil
	})
	if err != nil {
		return err
	}
	if s.onDelete != nil {
		if err := s.onDelete(ctx, id); err != nil {
			return unavailable(err)
		}
	}
	defer s.Invalidate(id)
	if err := s.store.DeleteUser(ctx, id, s.now()); err != nil {
		if errors.Is(err, ErrNotFound) {
			return userNotFound(id)
		}
		return unavailable(err)
	}
	s.ledger.Forget(subject(id))
	return nil
}

// edit changes a record that is not about money.
func (s *Service) edit(ctx context.Context, id int64, change func(*Edit) error) (*Account, error) {
	u, err := s.write(ctx, id, change)
	if err != nil {
		return nil, err
	}
	a := &Account{User: u, Balance: u.Balance()}
	// It is done, whether or not the live figures can be had. Who edited money
	// knows better.
	if accounts, err := s.live(ctx, func() ([]*User, error) {
		u, err := s.store.UserByID(ctx, id)
		return []*User{u}, err
	}); err == nil {
		a = accounts[0]
	}
	_ = s.addBudgets(ctx, a) // see above
	return a, nil
}

func (s *Service) write(ctx context.Context, id int64, change func(*Edit) error) (*User, error) {
	// Also when it failed: a commit whose answer was lost may have happened.
	defer s.Invalidate(id)
	u, err := s.store.EditUser(ctx, id, change)
	if errors.Is(err, ErrNotFound) {
		return nil, userNotFound(id)
	}
	return u, unavailable(err)
}

// editMoney changes balance and record together.
func (s *Service) editMoney(ctx context.Context, id int64, decide func(budget.Balance) (budget.Change, error), change func(*Edit) error) (*Account, error) {
	var u *User
	balance, err := s.ledger.Edit(ctx, subject(id), decide, func(ctx context.Context, c budget.Change) error {
		var err error
		u, err = s.write(ctx, id, func(e *Edit) error {
			e.Change = c
			return change(e)
		})
		return err
	})
	if err != nil {
		return nil, unavailable(err)
	}
	a := &Account{User: u, Balance: balance}
	_ = s.addBudgets(ctx, a) // it is done all the same: an error would have it done again
	return a, nil
}

// live reads users together with their live balances.
func (s *Service) live(ctx context.Context, read func() ([]*User, error)) ([]*Account, error) {
	var users []*User
	balances, err := s.ledger.Live(ctx, budget.User, func() (stored []budget.Stored, err error) {
		if users, err = read(); err != nil {
			return nil, err
		}
		for _, u := range users {
			stored = append(stored, budget.Stored{ID: u.ID, Balance: u.Balance()})
		}
		return stored, nil
	})
	if err != nil {
		return nil, err
	}
	accounts := make([]*Account, len(users))
	for i, u := range users {
		accounts[i] = &Account{User: u, Balance: balances[i]}
	}
	return accounts, nil
}

func (s *Service) checkGroup(name string) error {
	if !s.groupExists(name) {
		return fault.New(fault.Invalid, "invalid_group", "There is no group %q.", name).Field("group")
	}
	return nil
}

// checkPatch checks the fields by themselves and tidies them.
func (s *Service) checkPatch(p *Patch) error {
	if p.Status != nil {
		if err := checkStatus(*p.Status); err != nil {
			return err
		}
	}
	if p.Role != nil {
		if err := checkRole(*p.Role, RoleUser, RoleAdmin, RoleRoot); err != nil {
			return err
		}
	}
	if p.Group != nil {
		if err := s.checkGroup(*p.Group); err != nil {
			return err
		}
	}
	if p.Password != nil {
		if err := checkPassword(*p.Password); err != nil {
			return err
		}
	}
	return cleanContact(&p.DisplayName, &p.Email)
}

func (p *SelfPatch) check() error {
	if p.Password != nil {
		if err := checkPassword(*p.Password); err != nil {
			return err
		}
	}
	if p.TimeZone != nil {
		if err := checkTimeZone(*p.TimeZone); err != nil {
			return err
		}
	}
	if p.Language != nil {
		if err := checkLanguage(*p.Language); err != nil {
			return err
		}
	}
	return cleanContact(&p.DisplayName, &p.Email)
}

// cleanContact replaces what is there by its tidy form.
func cleanContact(displayName, email **string) error {
	if *displayName != nil {
		clean, err := cleanDisplayName(**displayName)
		if err != nil {
			return err
		}
		*displayName = &clean
	}
	if *email != nil {
		clean, err := cleanEmail(**email)
		if err != nil {
			return err
		}
		*email = &clean
	}
	return nil
}

func (p *Patch) apply(u *User, hash string) {
	set(&u.Status, p.Status)
	set(&u.Role, p.Role)
	set(&u.Group, p.Group)
	set(&u.DisplayName, p.DisplayName)
	set(&u.Email, p.Email)
	if hash != "" {
		u.PasswordHash, u.MustChange = hash, false
	}
	set(&u.MustChange, p.MustChange)
}

func (p *SelfPatch) apply(u *User, hash string) {
	set(&u.DisplayName, p.DisplayName)
	set(&u.Email, p.Email)
	set(&u.TimeZone, p.TimeZone)
	set(&u.Language, p.Language)
	if hash != "" {
		u.PasswordHash, u.MustChange = hash, false
	}
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// mayManage: administrators manage users and themselves, root manages
// everybody.
func mayManage(by *Identity, target *User) error {
	switch {
	case by.Root(), by.Admin() && (target.Role == RoleUser || target.ID == by.User.ID):
		return nil
	case !by.Admin():
		return fault.New(fault.Forbidden, "admin_required", "Only an administrator may do this.")
	}
	return fault.New(fault.Forbidden, "root_required", "Only root may change an administrator's or root's account.")
}

// mayUpdate reports whether by may change the target in this way.
func mayUpdate(by *Identity, target *User, p Patch) error {
	if err := mayManage(by, target); err != nil {
		return err
	}
	roleChanges := p.Role != nil && *p.Role != target.Role
	if ownAccount(by, target) {
		switch {
		case roleChanges:
			return errOwnAccount("change the role of")
		case p.Status != nil && *p.Status != target.Status:
			return errOwnAccount("disable")
		case p.Password != nil:
			return fault.New(fault.Forbidden, "own_account", "Change your own password with old_password, through PATCH /api/user/self.").Field("password")
		}
	}
	if roleChanges && !by.Root() {
		return fault.New(fault.Forbidden, "root_required", "Only root may change roles.").Field("role")
	}
	return nil
}

// ownAccount reports whether by is the target in person. The machine's operator
// is not: resetting root's password from there is what a lock-out is mended
// with.
func ownAccount(by *Identity, target *User) bool { return target.ID == by.User.ID && !by.Local() }

func errOwnAccount(verb string) error {
	return fault.New(fault.Forbidden, "own_account", "You cannot %s your own account.", speech.Phrase(verb))
}

// lostRoot reports whether an enabled root is one no longer.
func lostRoot(before, after *User) bool {
	root := func(u *User) bool { return u.Role == RoleRoot && u.Status == Enabled }
	return root(before) && !root(after)
}

func lastRoot() error {
	return fault.New(fault.Conflict, "last_root", "This is the last root account; make another one first.")
}
