package account_test

import (
	"context"
	"testing"

	"halley/internal/account"
	"halley/internal/oidc"
)

// corp is an identity provider that vouches for one user.
type corp struct{ claims oidc.Claims }

func (corp) AuthURL(_ context.Context, _ oidc.Provider, state, _, _ string) (string, error) {
	return state, nil
}

func (c corp) Exchange(context.Context, oidc.Provider, string, string, string) (*oidc.Claims, error) {
	return &c.claims, nil
}

// What a provider does not tell is an administrator's to change, at the very
// moment of a sign-in, too.
func TestASignInGivesNoRoleBackThatTheProviderDoesNotTell(t *testing.T) {
	t.Parallel()
	h := setup(t)
	config := h.config()
	config.IdentityProviders = corp{oidc.Claims{Issuer: "https://id.example.com", Subject: "1", Username: "ada", All: map[string]any{"groups": "paying"}}}
	s := account.NewService(config)
	if _, err := s.CreateLoginProvider(t.Context(), "corp", account.ProviderPatch{
		Label: new("Corp"), Issuer: new("https://id.example.com"), ClientID: new("halley"), CreateUsers: new(true),
		GroupClaim: new("groups"), Groups: new([]account.ClaimMapping{{Value: "paying", Group: "vip"}}),
	}); err != nil {
		t.Fatal(err)
	}
	visit := func() *account.User {
		t.Helper()
		v, err := s.BeginVisit(t.Context(), "corp", "https://halley.example.com/callback", "/")
		if err != nil {
			t.Fatal(err)
		}
		back, err := s.FinishVisit(t.Context(), "corp", "https://halley.example.com/callback", v.State, v.URL, "code", nil, home)
		if err != nil {
			t.Fatal(err)
		}
		return back.Login.User
	}
	ada := visit()
	if ada.Group != "vip" || ada.Role != account.RoleUser {
		t.Fatalf("at first they are %+v", ada)
	}
	change := func(ctx context.Context, p account.Patch) {
		if _, err := h.Update(ctx, h.root, ada.ID, p); err != nil {
			t.Error(err)
		}
	}
	change(t.Context(), account.Patch{Role: new(account.RoleAdmin), Group: new("default")})
	h.store.usingIdentity = func(ctx context.Context) { change(ctx, account.Patch{Role: new(account.RoleUser)}) }
	if u := visit(); u.Group != "vip" || u.Role != account.RoleUser {
		t.Errorf("demoted while signing in they are %s in %s", u.Role, u.Group)
	}
}
