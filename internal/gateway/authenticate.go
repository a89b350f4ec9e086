package gateway

import (
	"context"
	"net/http"
	"strings"

	"halley/internal/account"
	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/key"
)

// caller is who makes the request: the key and its owner.
type caller struct {
	key   *key.Key
	owner *account.User
}

// payers are whom the request is charged to.
func (c caller) payers() budget.Payers {
	p := budget.Payers{Key: c.key.ID, User: c.owner.ID}
	if c.key.Limits.ParentID != nil {
		p.Parent = *c.key.Limits.ParentID
	}
	return p
}

// Credentials are the values a model request shows, in the contract's order.
// Personal access tokens are passed over. A repeated Authorization header is a
// fault.
func Credentials(h http.Header) ([]string, error) {
	if len(h["Authorization"]) > 1 {
		return nil, fault.New(fault.Malformed, "invalid_request", "The Authorization header is given more than once.").Field("Authorization")
	}
	var values []string
	if text := strings.TrimSpace(h.Get("Authorization")); text != "" {
		scheme, value, found := strings.Cut(text, " ")
		switch {
		case found && strings.EqualFold(scheme, "Bearer"):
			values = append(values, strings.TrimSpace(value))
		case !found:
			values = append(values, text)
		}
	}
	for _, name := range [...]string{"X-Api-Key", "X-Goog-Api-Key", "Api-Key"} {
		for _, value := range h[name] {
			if value = strings.TrimSpace(value); value != "" {
				values = append(values, value)
			}
		}
	}
	return values, nil
}

// Authenticate finds the first credential that names a known key, with its
// owner. It does not judge the key's state.
func (g *Gateway) Authenticate(ctx context.Context, credentials []string) (*key.Key, *account.User, error) {
	who, err := g.authenticate(ctx, &Inbound{Credentials: credentials})
	if err != nil {
		return nil, nil, err
	}
	return who.key, who.owner, nil
}

func (g *Gateway) authenticate(ctx context.Context, in *Inbound) (caller, error) {
	failure := fault.New(fault.Unauthenticated, "invalid_api_key", "No API key was given. Send it as Authorization: Bearer sk-…")
	for _, value := range in.Credentials {
		if strings.HasPrefix(value, "hpat_") {
			failure = fault.New(fault.Unauthenticated, "invalid_api_key", "This is a personal access token, for the management API; model requests want an API key (sk-…).")
			continue
		}
		k, err := g.Keys.Authenticate(ctx, value)
		if err == nil {
			owner, err := g.Owners.Owner(ctx, k.UserID)
			if err != nil {
				return caller{}, err
			}
			return caller{key: k, owner: owner}, nil
		}
		f := fault.From(err)
		if f.Kind != fault.Unauthenticated {
			return caller{}, err
		}
		failure = f
	}
	g.Observer.UnknownKey()
	return caller{}, failure
}
