package adminapi

import (
	"net/http"
	"strings"
	"time"

	"halley/internal/account"
	"halley/internal/fault"
	"halley/internal/jsonx"
)

type loginBody struct {
	Username jsonx.Opt[string]        `json:"username" required:"true"`
	Password jsonx.Opt[string]        `json:"password" required:"true"`
	TOTP     jsonx.Opt[string]        `json:"totp" doc:"A code of the authenticator app or a recovery code, for who has set up a second factor: without one the answer is 401 totp_required, whose data says what may be shown."`
	Passkey  jsonx.Opt[assertionBody] `json:"passkey" doc:"The browser's answer to the passkey member of that data, instead of totp. Who has passkeys only gets 401 passkey_required; a recovery code goes into totp."`
}

type registerBody struct {
	Username    jsonx.Opt[string] `json:"username" required:"true"`
	Password    jsonx.Opt[string] `json:"password" required:"true"`
	Email       jsonx.Opt[string] `json:"email"`
	DisplayName jsonx.Opt[string] `json:"display_name"`
}

type selfPatchBody struct {
	DisplayName jsonx.Opt[string] `json:"display_name"`
	Email       jsonx.Opt[string] `json:"email"`
	Password    jsonx.Opt[string] `json:"password" doc:"A new one needs old_password and ends every session. Who has none yet, as accounts made by an identity provider, sets the first one within 10 minutes of signing in, without old_password."`
	OldPassword jsonx.Opt[string] `json:"old_password"`
	TimeZone    jsonx.Opt[string] `json:"time_zone" doc:"An IANA name, such as Europe/Berlin."`
	Language    jsonx.Opt[string] `json:"language" doc:"A language tag, such as en or pt-BR."`
}

func (s *Server) selfRoutes() []route {
	return []route{
		{
			method: http.MethodPost, path: "/api/user/login", access: public, handle: s.login, summary: "Sign in: sets the session cookie",
			in: typeOf[loginBody](), out: typeOf[userView](),
		},
		{
			method: http.MethodPost, path: "/api/user/register", access: public, handle: s.register, summary: "Make an account for oneself, where register_enabled allows it, and sign in",
			in: typeOf[registerBody](), out: typeOf[userView](),
		},
		{
			method: http.MethodPost, path: "/api/user/logout", access: anyUser, handle: s.logout, summary: "End the session", readScope: true, passwordDue: true,
		},
		{
			method: http.MethodGet, path: "/api/user/self", access: anyUser, handle: s.getSelf, summary: "Who is signed in",
			out: typeOf[userView](), passwordDue: true,
		},
		{
			method: http.MethodPatch, path: "/api/user/self", access: anyUser, handle: s.patchSelf, summary: "Change one's own record",
			in: typeOf[selfPatchBody](), out: typeOf[userView](), passwordDue: true,
		},
	}
}

func (s *Server) login(c *call) (any, error) {
	// Signing somebody in from a foreign page is an attack of its own.
	if err := s.ownOrigin(c); err != nil {
		return nil, err
	}
	body, err := decode[loginBody](c)
	if err != nil {
		return nil, err
	}
	if err := firstError(notNull("username", body.Username), notNull("password", body.Password), notNull("totp", body.TOTP), notNull("passkey", body.Passkey)); err != nil {
		return nil, err
	}
	attempt := account.Attempt{Username: body.Username.Value, Password: body.Password.Value, Code: body.TOTP.Value}
	if site, err := s.site(c); err == nil { // where there are no passkeys, none is asked for
		attempt.Site = site
	}
	if body.Passkey.Set {
		answer, err := body.Passkey.Value.assertion()
		if err != nil {
			return nil, err
		}
		attempt.Passkey = &answer
	}
	opened, err := s.Accounts.Login(c.ctx, attempt, c.origin())
	return s.welcome(c, opened, err)
}

func (s *Server) register(c *call) (any, error) {
	if err := s.origin.Check(c.request); err != nil {
		return nil, fault.Wrap(err, fault.Forbidden, "cross_origin", "Register from the console's own origin.")
	}
	if !s.Options.Current().RegisterEnabled {
		return nil, fault.New(fault.Forbidden, "registration_disabled", "Here people cannot make their own accounts; ask an administrator for one.")
	}
	body, err := decode[registerBody](c)
	if err != nil {
		return nil, err
	}
	if err := firstError(
		notNull("username", body.Username), notNull("password", body.Password), notNull("email", body.Email), notNull("display_name", body.DisplayName),
	); err != nil {
		return nil, err
	}
	a, opened, err := s.Accounts.Register(c.ctx, account.Registration{
		Username: body.Username.Value, Password: body.Password.Value, Email: body.Email.Value, DisplayName: body.DisplayName.Value,
	}, c.origin())
	if a != nil {
		c.who = &account.Identity{User: a.User, Scope: account.ScopeFull}
		s.trail(c, "user.register", userTarget(a.ID), detail(map[string]any{"username": a.Username, "group": a.Group, "quota": s.viewUser(a).Quota}))
	}
	if err != nil {
		return nil, err
	}
	c.setSession(opened, s.secure(c.request))
	return s.viewUser(a), nil
}

func (s *Server) logout(c *call) (any, error) {
	if err := s.Accounts.Logout(c.ctx, c.who); err != nil {
		return nil, err
	}
	if c.who.Session != nil {
		s.trail(c, "user.logout", userTarget(c.who.User.ID), "")
	}
	for _, secure := range []bool{true, false} {
		cookie := sessionCookie("", secure)
		cookie.MaxAge = -1
		c.set("Set-Cookie", cookie.String())
	}
	return noData{}, nil
}

func (s *Server) getSelf(c *call) (any, error) {
	a, err := s.Accounts.Get(c.ctx, c.who.User.ID)
	if err != nil {
		return nil, err
	}
	return s.viewUser(a), nil
}

func (s *Server) patchSelf(c *call) (any, error) {
	body, err := decode[selfPatchBody](c)
	if err != nil {
		return nil, err
	}
	if err := firstError(
		notNull("display_name", body.DisplayName), notNull("email", body.Email), notNull("password", body.Password),
		notNull("old_password", body.OldPassword), notNull("time_zone", body.TimeZone), notNull("language", body.Language),
	); err != nil {
		return nil, err
	}
	before := s.userBefore(c, c.who.User.ID)
	changes := body.changes()
	if body.Password.Set && c.who.User.PasswordHash == "" {
		changes["password"] = "set for the first time"
	}
	a, opened, err := s.Accounts.UpdateSelf(c.ctx, c.who, account.SelfPatch{
		DisplayName: body.DisplayName.Ptr(), Email: body.Email.Ptr(), Password: body.Password.Ptr(), OldPassword: body.OldPassword.Ptr(),
		TimeZone: body.TimeZone.Ptr(), Language: body.Language.Ptr(),
	}, c.origin())
	if a != nil {
		s.trailChange(c, "user.update", userTarget(a.ID), detail(changes), before, s.viewUser(a))
	}
	if err != nil {
		return nil, err
	}
	if opened != nil {
		c.setSession(opened, s.secure(c.request))
	}
	return s.viewUser(a), nil
}

// changes are the members that were sent, for the audit trail. Of a password
// only the fact is told.
func (b selfPatchBody) changes() map[string]any {
	changes := map[string]any{}
	note(changes, "display_name", b.DisplayName)
	note(changes, "email", b.Email)
	note(changes, "time_zone", b.TimeZone)
	note(changes, "language", b.Language)
	if b.Password.Set {
		changes["password"] = "changed"
	}
	return changes
}

// origin is where the call came from.
func (c *call) origin() account.Origin {
	return account.Origin{IP: c.ip, UserAgent: c.request.UserAgent(), RequestID: requestID(c.request)}
}

// setSession puts the session cookie on the answer.
func (c *call) setSession(opened *account.Login, secure bool) {
	cookie := sessionCookie(opened.Value, secure)
	cookie.MaxAge = max(1, int(time.Until(opened.Ends).Seconds()))
	c.set("Set-Cookie", cookie.String())
}

// secure reports whether the caller came over HTTPS, as far as that can be
// told: here, at a proxy that says so, by the page's own origin, or by the name
// that is only reached that way. Who lies about it only changes their own cookie.
func (s *Server) secure(r *http.Request) bool {
	if r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") || strings.HasPrefix(r.Header.Get("Origin"), "https://") {
		return true
	}
	host, https := strings.CutPrefix(s.base.PublicURL, "https://")
	return https && strings.EqualFold(r.Host, host)
}

// sessionCookie is the cookie as browsers take it: on plain HTTP they refuse
// Secure ones, and with them the __Host- prefix.
func sessionCookie(value string, secure bool) *http.Cookie {
	cookie := &http.Cookie{Name: PlainCookie, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if secure {
		cookie.Name, cookie.Secure = SecureCookie, true
	}
	return cookie
}
