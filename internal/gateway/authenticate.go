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

// caller is who makes the request: the key, the key that issued it (nil for
// none), and their owner.
type caller struct {
	key    *key.Key
	parent *key.Key
	owner  *account.User
}

// keys are those whose rules the request has to keep: a parent may have become
// stricter than its children since they were made.
func (c caller) keys(yield func(*key.Key) bool) {
	if yield(c.key) && c.parent != nil {
		yield(c.parent)
	}
}

// unlimited reports whether no quota bounds the caller, so that even what has no
// price may be used.
func (c caller) unlimited() bool {
	return c.key.Unlimited && (c.parent == nil || c.parent.Unlimited) && c.owner.Unlimited
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
// query is its ?key=, "" on routes that take none. A repeated Authorization
// header is a fault.
func Credentials(h http.Header, query string) ([]string, error) {
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
	if query != "" {
		values = append(values, query)
	}
	return appendSubprotocols(values, h), nil
}

// appendSubprotocols adds the keys among the WebSocket subprotocols that are
// offered: browsers can set no other header of such a request.
func appendSubprotocols(values []string, h http.Header) []string {
	for _, line := range h["Sec-Websocket-Protocol"] {
		for offered := range strings.SplitSeq(line, ",") {
			if value, ok := strings.CutPrefix(strings.TrimSpace(offered), "openai-insecure-api-key."); ok && value != "" {
				values = append(values, value)
			}
		}
	}
	return values
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
		var who caller
		if err == nil {
			who, err = g.callerOf(ctx, k, nil)
		}
		if err == nil {
			who.owner, err = g.Owners.Owner(ctx, k.UserID)
			return who, err
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

// callerOf is the caller that a key and its owner are: it adds the parent.
func (g *Gateway) callerOf(ctx context.Context, k *key.Key, owner *account.User) (caller, error) {
	parent, err := g.Keys.Parent(ctx, k)
	return caller{key: k, parent: parent, owner: owner}, err
}
