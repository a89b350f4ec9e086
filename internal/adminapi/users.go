package adminapi

import (
	"net/http"
	"strconv"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/jsonx"
)

// userView is a user as the contract shows one, followed by Halley's own
// three.
type userView struct {
	ID             int64  `json:"id"`
	Username       string `json:"username"`
	DisplayName    string `json:"display_name"`
	Email          string `json:"email"`
	Role           string `json:"role" enum:"user,admin,root"`
	Status         int    `json:"status" enum:"1,2" doc:"1 enabled, 2 disabled."`
	Group          string `json:"group"`
	Quota          int64  `json:"quota" doc:"The balance: what can be spent now."`
	UnlimitedQuota bool   `json:"unlimited_quota"`
	UsedQuota      int64  `json:"used_quota"`
	RequestCount   int64  `json:"request_count"`
	CreatedTime    int64  `json:"created_time"`

	TimeZone           string `json:"time_zone"`
	Language           string `json:"language"`
	MustChangePassword bool   `json:"must_change_password" doc:"The password has to be changed. Until it is, a session may do nothing else: 403 password_change_required."`

	Limits userLimitsRecord `json:"limits" doc:"They bind all of the user's keys together."`
}

// userLimitsRecord is the limits object; unset members are null.
type userLimitsRecord struct {
	ratesRecord
	Budgets *[]budgetRecord `json:"budgets"`
}

func (s *Server) viewUser(a *account.Account) userView {
	remaining, used, _ := a.Balance.Units()
	return userView{
		ID: a.ID, Username: a.Username, DisplayName: a.DisplayName, Email: a.Email, Role: string(a.Role), Status: int(a.Status), Group: a.Group,
		Quota: remaining, UnlimitedQuota: a.Balance.Unlimited, UsedQuota: used, RequestCount: a.RequestCount, CreatedTime: a.Created.Unix(),
		TimeZone: a.TimeZone, Language: a.Language, MustChangePassword: a.MustChange,
		Limits: userLimitsRecord{newRatesRecord(a.Limits.Limits), newBudgetRecords(a.Limits.Budgets, a.Budgets, s.Status.Now)},
	}
}

type newUserBody struct {
	Username       jsonx.Opt[string] `json:"username" required:"true"`
	Password       jsonx.Opt[string] `json:"password" required:"true"`
	DisplayName    jsonx.Opt[string] `json:"display_name"`
	Email          jsonx.Opt[string] `json:"email"`
	Role           jsonx.Opt[string] `json:"role" enum:"user,admin"`
	Group          jsonx.Opt[string] `json:"group"`
	Quota          jsonx.Opt[int64]  `json:"quota" doc:"The balance; without it the option new_user_quota."`
	UnlimitedQuota jsonx.Opt[bool]   `json:"unlimited_quota"`

	Limits     jsonx.Opt[account.LimitsPatch] `json:"limits" doc:"Merged member by member; null takes a member away."`
	MustChange jsonx.Opt[bool]                `json:"must_change_password" doc:"Whether the user has to choose another password at the next sign-in, before anything else."`
}

type userPatchBody struct {
	Status         jsonx.Opt[int64]  `json:"status" enum:"1,2" doc:"1 enabled, 2 disabled."`
	Role           jsonx.Opt[string] `json:"role" enum:"user,admin,root"`
	Group          jsonx.Opt[string] `json:"group"`
	DisplayName    jsonx.Opt[string] `json:"display_name"`
	Email          jsonx.Opt[string] `json:"email"`
	Password       jsonx.Opt[string] `json:"password"`
	UnlimitedQuota jsonx.Opt[bool]   `json:"unlimited_quota"`

	Limits     jsonx.Opt[account.LimitsPatch] `json:"limits" doc:"Merged member by member; null takes a member away."`
	MustChange jsonx.Opt[bool]                `json:"must_change_password" doc:"Whether the user has to choose another password at the next sign-in, before anything else."`
}

// userQuotaBody has one of the two.
type userQuotaBody struct {
	Add jsonx.Opt[int64] `json:"add" doc:"May be negative. Either add or set."`
	Set jsonx.Opt[int64] `json:"set" doc:"What can be spent from now on. Either add or set."`
}

func (s *Server) userRoutes() []route {
	return []route{
		{
			method: http.MethodPost, path: "/api/user/", access: adminOnly, handle: s.createUser, summary: "Make a user",
			in: typeOf[newUserBody](), out: typeOf[userView](),
		},
		{
			method: http.MethodGet, path: "/api/user/", access: adminOnly, handle: s.listUsers, summary: "Users, newest first",
			out: typeOf[pageOf[userView]](), query: []string{"keyword", "p", "page_size"},
		},
		{
			method: http.MethodGet, path: "/api/user/{id}", access: adminOnly, handle: s.getUser, summary: "One user",
			out: typeOf[userView](),
		},
		{
			method: http.MethodPatch, path: "/api/user/{id}", access: adminOnly, handle: s.patchUser, summary: "Change a user",
			in: typeOf[userPatchBody](), out: typeOf[userView](),
		},
		{
			method: http.MethodDelete, path: "/api/user/{id}", access: adminOnly, handle: s.deleteUser, summary: "Delete a user with their keys, tokens and sessions",
		},
		{
			method: http.MethodPost, path: "/api/user/{id}/quota", access: adminOnly, handle: s.changeUserQuota, summary: "Add to or set a user's balance",
			in: typeOf[userQuotaBody](), out: typeOf[userView](),
		},
	}
}

func (s *Server) createUser(c *call) (any, error) {
	body, err := decode[newUserBody](c)
	if err != nil {
		return nil, err
	}
	if err := firstError(
		notNull("username", body.Username), notNull("password", body.Password), notNull("display_name", body.DisplayName), notNull("email", body.Email),
		notNull("role", body.Role), notNull("group", body.Group), notNull("quota", body.Quota), notNull("unlimited_quota", body.UnlimitedQuota),
		notNull("limits", body.Limits), notNull("must_change_password", body.MustChange), notBlank("role", body.Role), notBlank("group", body.Group),
	); err != nil {
		return nil, err
	}
	a, err := s.Accounts.Create(c.ctx, c.who, account.NewUser{
		Username: body.Username.Value, Password: body.Password.Value, DisplayName: body.DisplayName.Value, Email: body.Email.Value,
		Role: account.Role(body.Role.Value), Group: body.Group.Value, Quota: body.Quota.Ptr(), Unlimited: body.UnlimitedQuota.Value, Limits: body.Limits.Ptr(), MustChange: body.MustChange.Value,
	})
	if err != nil {
		return nil, err
	}
	view := s.viewUser(a)
	s.trailChange(c, "user.create", userTarget(a.ID), detail(map[string]any{
		"username": view.Username, "role": view.Role, "group": view.Group, "quota": view.Quota, "unlimited_quota": view.UnlimitedQuota,
	}), nil, view)
	return view, nil
}

func (s *Server) listUsers(c *call) (any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	accounts, total, err := s.Accounts.List(c.ctx, account.Filter{Keyword: c.query.Get("keyword"), Offset: p.Offset(), Limit: p.Size})
	if err != nil {
		return nil, err
	}
	items := make([]userView, 0, len(accounts))
	for _, a := range accounts {
		items = append(items, s.viewUser(a))
	}
	return newPage(p, total, items), nil
}

func (s *Server) getUser(c *call) (any, error) {
	id, err := c.pathID("id")
	if err != nil {
		return nil, err
	}
	a, err := s.Accounts.Get(c.ctx, id)
	if err != nil {
		return nil, err
	}
	return s.viewUser(a), nil
}

// userInPath is the user that the path names.
func (s *Server) userInPath(c *call) (*account.User, error) {
	id, err := c.pathID("id")
	if err != nil {
		return nil, err
	}
	return s.Accounts.Owner(c.ctx, id)
}

func (s *Server) patchUser(c *call) (any, error) {
	id, err := c.pathID("id")
	if err != nil {
		return nil, err
	}
	body, err := decode[userPatchBody](c)
	if err != nil {
		return nil, err
	}
	if err := firstError(
		notNull("status", body.Status), notNull("role", body.Role), notNull("group", body.Group), notNull("display_name", body.DisplayName),
		notNull("email", body.Email), notNull("password", body.Password), notNull("unlimited_quota", body.UnlimitedQuota),
		notNull("limits", body.Limits), notNull("must_change_password", body.MustChange),
	); err != nil {
		return nil, err
	}
	patch := account.Patch{
		Group: body.Group.Ptr(), DisplayName: body.DisplayName.Ptr(), Email: body.Email.Ptr(),
		Password: body.Password.Ptr(), Unlimited: body.UnlimitedQuota.Ptr(), Limits: body.Limits.Ptr(), MustChange: body.MustChange.Ptr(),
	}
	if body.Status.Set {
		patch.Status = new(account.Status(body.Status.Value))
	}
	if body.Role.Set {
		patch.Role = new(account.Role(body.Role.Value))
	}
	before := s.userBefore(c, id)
	a, err := s.Accounts.Update(c.ctx, c.who, id, patch)
	if err != nil {
		return nil, err
	}
	view := s.viewUser(a)
	s.trailChange(c, "user.update", userTarget(id), detail(body.changes()), before, view)
	return view, nil
}

// changes are the members that were sent, for the audit trail. Of a password
// only the fact is told.
func (b userPatchBody) changes() map[string]any {
	changes := map[string]any{}
	note(changes, "status", b.Status)
	note(changes, "role", b.Role)
	note(changes, "group", b.Group)
	note(changes, "display_name", b.DisplayName)
	note(changes, "email", b.Email)
	note(changes, "unlimited_quota", b.UnlimitedQuota)
	note(changes, "must_change_password", b.MustChange)
	if b.Password.Set {
		changes["password"] = "changed"
	}
	if b.Limits.Set {
		changes["limits"] = "changed"
	}
	return changes
}

func (s *Server) deleteUser(c *call) (any, error) {
	id, err := c.pathID("id")
	if err != nil {
		return nil, err
	}
	before := s.userBefore(c, id)
	if err := s.Accounts.Delete(c.ctx, c.who, id); err != nil {
		return nil, err
	}
	s.trailChange(c, "user.delete", userTarget(id), "", before, nil)
	return noData{}, nil
}

func (s *Server) changeUserQuota(c *call) (any, error) {
	id, err := c.pathID("id")
	if err != nil {
		return nil, err
	}
	body, err := decode[userQuotaBody](c)
	if err != nil {
		return nil, err
	}
	if err := firstError(notNull("add", body.Add), notNull("set", body.Set)); err != nil {
		return nil, err
	}
	before := s.userBefore(c, id)
	var a *account.Account
	switch {
	case body.Add.Set == body.Set.Set:
		return nil, fault.New(fault.Invalid, "invalid_quota_change", "Give either add or set, in quota units.")
	case body.Add.Set:
		a, err = s.Accounts.ChangeBalance(c.ctx, c.who, id, budget.AddRemaining(body.Add.Value))
	default:
		a, err = s.Accounts.ChangeBalance(c.ctx, c.who, id, budget.SetRemaining(body.Set.Value))
	}
	if err != nil {
		return nil, err
	}
	view := s.viewUser(a)
	changes := map[string]any{"quota": view.Quota}
	note(changes, "add", body.Add)
	note(changes, "set", body.Set)
	s.trailChange(c, "user.quota", userTarget(id), detail(changes), before, view)
	return view, nil
}

// userBefore is a user as it is before a change, for the audit trail; nil when
// that cannot be told, which the change itself will find.
func (s *Server) userBefore(c *call, id int64) any {
	a, err := s.Accounts.Get(c.ctx, id)
	if err != nil {
		return nil
	}
	return s.viewUser(a)
}

func userTarget(id int64) string { return "user " + strconv.FormatInt(id, 10) }

// detail writes what is new in a record for the audit trail.
func detail(changes map[string]any) string {
	text, err := jsonx.Marshal(changes)
	if err != nil {
		return "" // values from a JSON body or of our own can be written
	}
	return string(text)
}

// note adds a member that was sent to an audit entry's changes.
func note[T any](changes map[string]any, name string, o jsonx.Opt[T]) {
	if o.Set {
		changes[name] = o.Value
	}
}

// notBlank refuses a member that is there but empty; one that is missing has a
// default.
func notBlank(name string, o jsonx.Opt[string]) error {
	if o.Set && o.Value == "" {
		return fault.New(fault.Invalid, "invalid_"+name, "%s must not be empty.", name).Field(name)
	}
	return nil
}
