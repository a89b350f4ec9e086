package account

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"halley/internal/fault"
	"halley/internal/oidc"
	"halley/internal/speech"
)

// LoginProvider is an identity provider that people may sign in at.
type LoginProvider struct {
	Name     string // in addresses: lower-case letters, digits and hyphens
	Label    string // on the button
	Issuer   string
	ClientID string
	Sealed   []byte // the client's secret; empty for a client without one
	ProviderSettings
	Version int64
}

// ProviderSettings are what most providers need little of.
type ProviderSettings struct {
	Enabled     bool     `json:"enabled"`
	Scopes      []string `json:"scopes"`
	CreateUsers bool     `json:"create_users"`
	// GroupClaim has the values that Groups tells groups of; "" leaves a user's
	// group alone.
	GroupClaim string         `json:"group_claim"`
	Groups     []ClaimMapping `json:"groups"`
	// RoleClaim has the values that make administrators; "" leaves a user's
	// role alone.
	RoleClaim   string   `json:"role_claim"`
	AdminValues []string `json:"admin_values"`
}

// ClaimMapping is the group of users whose claim has a value.
type ClaimMapping struct {
	Value string `json:"value"`
	Group string `json:"group"`
}

// ProviderPatch changes a LoginProvider; nil leaves a field.
type ProviderPatch struct {
	Label, Issuer, ClientID, ClientSecret *string
	Enabled, CreateUsers                  *bool
	Scopes                                *[]string
	GroupClaim, RoleClaim                 *string
	Groups                                *[]ClaimMapping
	AdminValues                           *[]string
}

// ProviderStore keeps login providers and who their users are here.
type ProviderStore interface {
	LoadLoginProviders(ctx context.Context) ([]*LoginProvider, error)
	// InsertLoginProvider gives ErrThere when the name is taken.
	InsertLoginProvider(ctx context.Context, p *LoginProvider) error
	// UpdateLoginProvider gives ErrNotFound when it is gone, or is no longer of
	// p's version; then it is of the next.
	UpdateLoginProvider(ctx context.Context, p *LoginProvider) error
	DeleteLoginProvider(ctx context.Context, name string) error
	IdentityStore
}

const maxProviders = 20

// ReloadProviders reads the login providers from the store.
func (s *Service) ReloadProviders(ctx context.Context) error {
	all, err := s.store.LoadLoginProviders(ctx)
	if err != nil {
		return unavailable(err)
	}
	s.providers.Store(&all)
	return nil
}

// LoginProviders are all of them, by name.
func (s *Service) LoginProviders() []*LoginProvider {
	if all := s.providers.Load(); all != nil {
		return *all
	}
	return nil
}

// LoginProvider is one of them.
func (s *Service) LoginProvider(name string) (*LoginProvider, error) {
	for _, p := range s.LoginProviders() {
		if p.Name == name {
			return p, nil
		}
	}
	return nil, fault.New(fault.NotFound, "provider_not_found", "There is no identity provider %q.", name)
}

// CreateLoginProvider adds one.
func (s *Service) CreateLoginProvider(ctx context.Context, name string, patch ProviderPatch) (*LoginProvider, error) {
	p := &LoginProvider{Name: name, ProviderSettings: ProviderSettings{Enabled: true, Scopes: []string{"openid", "profile", "email"}}, Version: 1}
	if len(s.LoginProviders()) >= maxProviders {
		return nil, fault.New(fault.Conflict, "too_many_providers", "There are %d identity providers, which is as many as there may be.", maxProviders)
	}
	if name == "" || len(name) > 40 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return nil, fault.New(fault.Invalid, "invalid_name", "name must have 1 to 40 lower-case letters, digits and hyphens.").Field("name")
	}
	if err := s.applyProvider(p, patch); err != nil {
		return nil, err
	}
	err := s.store.InsertLoginProvider(ctx, p)
	if errors.Is(err, ErrThere) {
		return nil, fault.New(fault.Conflict, "name_taken", "There is an identity provider %q already.", name).Field("name")
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return p, s.ReloadProviders(ctx)
}

// UpdateLoginProvider changes one. Where the issuer changes the secret must be
// given again: it was for another one's ears.
func (s *Service) UpdateLoginProvider(ctx context.Context, name string, patch ProviderPatch) (*LoginProvider, error) {
	if err := s.ReloadProviders(ctx); err != nil {
		return nil, err
	}
	old, err := s.LoginProvider(name)
	if err != nil {
		return nil, err
	}
	p := *old
	if err := s.applyProvider(&p, patch); err != nil {
		return nil, err
	}
	if p.Issuer != old.Issuer && len(old.Sealed) > 0 && patch.ClientSecret == nil {
		return nil, fault.New(fault.Invalid, "client_secret_required", "Another issuer needs client_secret again.").Field("client_secret")
	}
	err = s.store.UpdateLoginProvider(ctx, &p)
	if errors.Is(err, ErrNotFound) {
		return nil, fault.New(fault.Conflict, "provider_changed", "Somebody else has changed this identity provider meanwhile; look again.")
	}
	if err != nil {
		return nil, unavailable(err)
	}
	p.Version++
	return &p, s.ReloadProviders(ctx)
}

// DeleteLoginProvider removes one. Who its users are here stays known, for when
// it comes back.
func (s *Service) DeleteLoginProvider(ctx context.Context, name string) error {
	err := s.store.DeleteLoginProvider(ctx, name)
	if errors.Is(err, ErrNotFound) {
		return fault.New(fault.NotFound, "provider_not_found", "There is no identity provider %q.", name)
	}
	if err != nil {
		return unavailable(err)
	}
	return s.ReloadProviders(ctx)
}

// clientSecret opens a provider's secret.
func (s *Service) clientSecret(p *LoginProvider) (string, error) {
	if len(p.Sealed) == 0 {
		return "", nil
	}
	secret, err := s.secrets.Open(p.Sealed, []byte(p.Name))
	if err != nil {
		return "", fmt.Errorf("open the client secret of %s: %w", p.Name, err)
	}
	return string(secret), nil
}

func (s *Service) applyProvider(p *LoginProvider, patch ProviderPatch) error {
	set(&p.Label, patch.Label)
	set(&p.Issuer, patch.Issuer)
	set(&p.ClientID, patch.ClientID)
	set(&p.Enabled, patch.Enabled)
	set(&p.CreateUsers, patch.CreateUsers)
	set(&p.Scopes, patch.Scopes)
	set(&p.GroupClaim, patch.GroupClaim)
	set(&p.RoleClaim, patch.RoleClaim)
	set(&p.Groups, patch.Groups)
	set(&p.AdminValues, patch.AdminValues)
	if patch.ClientSecret != nil {
		p.Sealed = nil
		if *patch.ClientSecret != "" {
			p.Sealed = s.secrets.Seal([]byte(*patch.ClientSecret), []byte(p.Name))
		}
	}
	return s.checkProvider(p, patch.ClientSecret)
}

func (s *Service) checkProvider(p *LoginProvider, secret *string) error {
	invalid := func(field, rule string) error {
		return fault.New(fault.Invalid, "invalid_"+field, "%s %s", field, speech.Phrase(rule)).Field(field)
	}
	const longest = 500
	for field, text := range map[string]string{"label": p.Label, "client_id": p.ClientID, "group_claim": p.GroupClaim, "role_claim": p.RoleClaim} {
		if len(text) > longest || !printable(text) {
			return invalid(field, fmt.Sprintf("must have at most %d bytes and no control characters.", longest))
		}
	}
	u, err := url.Parse(p.Issuer)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || len(p.Issuer) > longest:
		return invalid("issuer", "must be a URL such as https://id.example.com, as the provider writes it.")
	case u.Scheme != "https" && (u.Scheme != "http" || !oidc.ThisMachine(u.Hostname())):
		return invalid("issuer", "must begin with https:// (http:// is for this machine).")
	case strings.TrimSpace(p.Label) == "":
		return invalid("label", "must not be empty: it is what the button says.")
	case p.ClientID == "":
		return invalid("client_id", "must not be empty.")
	case secret != nil && (len(*secret) > 4000 || !utf8.ValidString(*secret)):
		return invalid("client_secret", "must have at most 4000 bytes.")
	case len(p.Groups) > 100 || len(p.AdminValues) > 100 || len(p.Scopes) > 20:
		return fault.New(fault.Invalid, "too_many_values", "groups and admin_values may have 100 members, scopes 20.")
	}
	for _, scope := range p.Scopes {
		if scope == "" || len(scope) > 100 || strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return invalid("scopes", "must be words without blanks.")
		}
	}
	for _, m := range p.Groups {
		if err := s.checkGroup(m.Group); err != nil {
			return fault.From(err).Field("groups")
		}
	}
	return nil
}
