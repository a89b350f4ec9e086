package adminapi

import (
	"net/http"

	"halley/internal/account"
	"halley/internal/jsonx"
)

// loginProviderView is an identity provider as root sees it.
type loginProviderView struct {
	Name            string                 `json:"name"`
	Label           string                 `json:"label" doc:"What the button says."`
	Issuer          string                 `json:"issuer"`
	ClientID        string                 `json:"client_id"`
	HasClientSecret bool                   `json:"has_client_secret" doc:"The secret itself is never shown."`
	Enabled         bool                   `json:"enabled"`
	Scopes          []string               `json:"scopes"`
	CreateUsers     bool                   `json:"create_users" doc:"Whether who signs in for the first time gets an account."`
	GroupClaim      string                 `json:"group_claim" doc:"The claim that groups is about; empty leaves a user's group alone."`
	Groups          []account.ClaimMapping `json:"groups" doc:"The first whose value the claim has is the user's group; without one it is default."`
	RoleClaim       string                 `json:"role_claim" doc:"The claim that admin_values is about; empty leaves a user's role alone."`
	AdminValues     []string               `json:"admin_values" doc:"Who has one of these is an administrator, everybody else a user. Root is left alone."`
	CallbackURL     string                 `json:"callback_url" doc:"To be registered at the provider; empty where public_url is needed and not set."`
	Version         int64                  `json:"version"`
}

type loginProviderBody struct {
	Name         jsonx.Opt[string]                 `json:"name" doc:"Lower-case letters, digits and hyphens. It is part of callback_url and cannot be changed."`
	Label        jsonx.Opt[string]                 `json:"label"`
	Issuer       jsonx.Opt[string]                 `json:"issuer" doc:"As the provider writes it, such as https://id.example.com."`
	ClientID     jsonx.Opt[string]                 `json:"client_id"`
	ClientSecret jsonx.Opt[string]                 `json:"client_secret" doc:"Empty for a client without one. Needed again when the issuer changes."`
	Enabled      jsonx.Opt[bool]                   `json:"enabled"`
	Scopes       jsonx.Opt[[]string]               `json:"scopes" doc:"openid, profile and email when left out."`
	CreateUsers  jsonx.Opt[bool]                   `json:"create_users"`
	GroupClaim   jsonx.Opt[string]                 `json:"group_claim"`
	Groups       jsonx.Opt[[]account.ClaimMapping] `json:"groups"`
	RoleClaim    jsonx.Opt[string]                 `json:"role_claim"`
	AdminValues  jsonx.Opt[[]string]               `json:"admin_values"`
}

func (s *Server) loginProviderRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/api/login_provider/", access: rootOnly, handle: s.listLoginProviders, summary: "Identity providers that people may sign in at",
			out: typeOf[pageOf[loginProviderView]](), query: []string{"p", "page_size"},
		},
		{
			method: http.MethodPost, path: "/api/login_provider/", access: rootOnly, handle: s.createLoginProvider, summary: "Add an identity provider",
			in: typeOf[loginProviderBody](), needs: []string{"name", "label", "issuer", "client_id"}, out: typeOf[loginProviderView](),
		},
		{
			method: http.MethodPatch, path: "/api/login_provider/{name}", access: rootOnly, handle: s.updateLoginProvider, summary: "Change an identity provider",
			in: typeOf[loginProviderBody](), out: typeOf[loginProviderView](),
		},
		{
			method: http.MethodDelete, path: "/api/login_provider/{name}", access: rootOnly, handle: s.deleteLoginProvider, summary: "Remove an identity provider; who its users are here stays known",
		},
	}
}

func (s *Server) viewLoginProvider(c *call) func(*account.LoginProvider) loginProviderView {
	return func(p *account.LoginProvider) loginProviderView {
		v := loginProviderView{
			Name: p.Name, Label: p.Label, Issuer: p.Issuer, ClientID: p.ClientID, HasClientSecret: len(p.Sealed) > 0, Enabled: p.Enabled,
			Scopes: orEmpty(p.Scopes), CreateUsers: p.CreateUsers, GroupClaim: p.GroupClaim, Groups: orEmpty(p.Groups),
			RoleClaim: p.RoleClaim, AdminValues: orEmpty(p.AdminValues), Version: p.Version,
		}
		if site, err := s.site(c); err == nil {
			v.CallbackURL = callbackURL(site, p.Name)
		}
		return v
	}
}

// orEmpty is a list that is written as one.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (s *Server) listLoginProviders(c *call) (any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	return pageOfSlice(p, s.Accounts.LoginProviders(), s.viewLoginProvider(c)), nil
}

func (s *Server) createLoginProvider(c *call) (any, error) {
	body, patch, err := readLoginProvider(c)
	if err != nil {
		return nil, err
	}
	p, err := s.Accounts.CreateLoginProvider(c.ctx, body.Name.Value, patch)
	if err != nil {
		return nil, err
	}
	view := s.viewLoginProvider(c)(p)
	s.trailChange(c, "login_provider.create", loginProviderTarget(p.Name), "", nil, view)
	return view, nil
}

func (s *Server) updateLoginProvider(c *call) (any, error) {
	body, patch, err := readLoginProvider(c)
	if err != nil {
		return nil, err
	}
	name := c.path("name")
	var before any
	if old, err := s.Accounts.LoginProvider(name); err == nil {
		before = s.viewLoginProvider(c)(old)
	}
	p, err := s.Accounts.UpdateLoginProvider(c.ctx, name, patch)
	if err != nil {
		return nil, err
	}
	view := s.viewLoginProvider(c)(p)
	changes := map[string]any{}
	if body.ClientSecret.Set {
		changes["client_secret"] = "changed"
	}
	s.trailChange(c, "login_provider.update", loginProviderTarget(name), detail(changes), before, view)
	return view, nil
}

func readLoginProvider(c *call) (loginProviderBody, account.ProviderPatch, error) {
	body, err := decode[loginProviderBody](c)
	if err != nil {
		return body, account.ProviderPatch{}, err
	}
	if err := firstError(
		notNull("name", body.Name), notNull("label", body.Label), notNull("issuer", body.Issuer), notNull("client_id", body.ClientID), notNull("client_secret", body.ClientSecret),
		notNull("enabled", body.Enabled), notNull("scopes", body.Scopes), notNull("create_users", body.CreateUsers), notNull("group_claim", body.GroupClaim),
		notNull("groups", body.Groups), notNull("role_claim", body.RoleClaim), notNull("admin_values", body.AdminValues),
	); err != nil {
		return body, account.ProviderPatch{}, err
	}
	return body, account.ProviderPatch{
		Label: body.Label.Ptr(), Issuer: body.Issuer.Ptr(), ClientID: body.ClientID.Ptr(), ClientSecret: body.ClientSecret.Ptr(), Enabled: body.Enabled.Ptr(),
		CreateUsers: body.CreateUsers.Ptr(), Scopes: body.Scopes.Ptr(), GroupClaim: body.GroupClaim.Ptr(), RoleClaim: body.RoleClaim.Ptr(),
		Groups: body.Groups.Ptr(), AdminValues: body.AdminValues.Ptr(),
	}, nil
}

func (s *Server) deleteLoginProvider(c *call) (any, error) {
	name := c.path("name")
	var before any
	if old, err := s.Accounts.LoginProvider(name); err == nil {
		before = s.viewLoginProvider(c)(old)
	}
	if err := s.Accounts.DeleteLoginProvider(c.ctx, name); err != nil {
		return nil, err
	}
	s.trailChange(c, "login_provider.delete", loginProviderTarget(name), "", before, nil)
	return noData{}, nil
}

func loginProviderTarget(name string) string { return "login provider " + name }
