package adminapi

import (
	"net/http"
	"strings"

	"halley/internal/account"
	"halley/internal/fault"
)

// The session cookie's name: the first when it is Secure, the second on plain
// HTTP, where browsers refuse the __Host- prefix.
const (
	SecureCookie = "__Host-halley"
	PlainCookie  = "halley_session"
)

// access is who may call a route.
type access uint8

const (
	public        access = iota // anybody
	ownCredential               // the handler checks an API key itself
	anyUser
	adminOnly
	rootOnly
)

// identify reads the credential: the raw token in Authorization (a Bearer
// prefix is tolerated), else the session cookie, which must come from the same
// origin when it changes something.
func (s *Server) identify(r *http.Request) (*account.Identity, error) {
	if local, _ := r.Context().Value(localKey{}).(bool); local {
		return s.base.LocalIdentity(r.Context())
	}
	if header := strings.TrimSpace(r.Header.Get("Authorization")); header != "" {
		value := header
		if scheme, rest, ok := strings.Cut(header, " "); ok && strings.EqualFold(scheme, "Bearer") {
			value = strings.TrimSpace(rest)
		}
		if strings.HasPrefix(value, "sk-") {
			return nil, fault.New(fault.Unauthenticated, "wrong_credential", "This is an API key; the management API wants a personal access token (hpat_…) as the Authorization header's value.")
		}
		return s.base.Auth.AuthenticateToken(r.Context(), value)
	}
	if cookieOf(r, false, SecureCookie, PlainCookie) != nil {
		if err := s.origin.Check(r); err != nil {
			return nil, fault.Wrap(err, fault.Forbidden, "cross_origin", "A request with a session must come from the console's own origin.")
		}
	}
	if cookie := cookieOf(r, s.secure(r), SecureCookie, PlainCookie); cookie != nil {
		return s.base.Auth.AuthenticateSession(r.Context(), cookie.Value)
	}
	if r.Header.Get("X-Api-Key") != "" || r.Header.Get("X-Goog-Api-Key") != "" || r.Header.Get("Api-Key") != "" {
		return nil, fault.New(fault.Unauthenticated, "wrong_credential", "The management API takes no API key; send a personal access token (hpat_…) as the Authorization header's value.")
	}
	return nil, fault.New(fault.Unauthenticated, "missing_credential", "Send a personal access token (hpat_…) as the Authorization header's value, or sign in.")
}

// cookieOf is the cookie with the first name or, only where the browser has not
// come over HTTPS, with the second; nil without. The prefix __Host- is what keeps
// others from setting a cookie here: servers at names beside or below this one, and
// whoever sits on a line without TLS. A browser that came over HTTPS was given
// none without it.
func cookieOf(r *http.Request, https bool, secure, plain string) *http.Cookie {
	names := []string{secure}
	if !https {
		names = append(names, plain)
	}
	for _, name := range names {
		if cookie, err := r.Cookie(name); err == nil && cookie.Value != "" {
			return cookie
		}
	}
	return nil
}

// permit judges whether somebody may call a route. A session whose password
// somebody else has set may do no more than change it.
func permit(rt route, method string, who *account.Identity) error {
	switch {
	case who.Session != nil && who.User.MustChange && !rt.passwordDue:
		return fault.New(fault.Forbidden, "password_change_required", "Your password was set by somebody else; choose one of your own first, with PATCH /api/user/self.")
	case rt.access == adminOnly && !who.Admin():
		return fault.New(fault.Forbidden, "admin_required", "Only an administrator may do this.")
	case rt.access == rootOnly && !who.Root():
		return fault.New(fault.Forbidden, "root_required", "Only root may do this.")
	case who.Scope == account.ScopeRead && method != http.MethodGet && method != http.MethodHead && !rt.readScope:
		return fault.New(fault.Forbidden, "read_only_token", "This personal access token may only read.")
	}
	return nil
}
