package adminapi

import (
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"halley/internal/account"
	"halley/internal/fault"
	"halley/internal/passkey"
)

// The cookie that ties a visit to an identity provider to the browser that makes
// it: the first when it is Secure.
const (
	secureVisitCookie = "__Host-halley-visit"
	plainVisitCookie  = "halley_visit"
)

// visitKept is how many seconds a browser keeps that cookie: longer than the visit
// counts, so that who took too long still goes on where they wanted to go.
const visitKept = 3600

// identityView is an account at an identity provider that signs in here.
type identityView struct {
	ID           int64  `json:"id"`
	Provider     string `json:"provider"`
	Issuer       string `json:"issuer"`
	Subject      string `json:"subject" doc:"Who it is there."`
	Shown        string `json:"shown" doc:"How its owner knows it."`
	CreatedTime  int64  `json:"created_time"`
	AccessedTime int64  `json:"accessed_time" doc:"The last sign-in with it; equals created_time at first."`
}

// linkView is where to send the browser.
type linkView struct {
	URL string `json:"url"`
}

func (s *Server) identityRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "/api/user/oidc/{name}/begin", access: public, handle: s.beginVisit, query: []string{"return_to"},
			summary: "Go and sign in at an identity provider: for browsers, answers with a redirect",
		},
		{
			method: http.MethodGet, path: "/api/user/oidc/{name}/callback", access: public, handle: s.finishVisit, query: []string{"state", "code", "error"},
			summary: "Come back from an identity provider: sets the session cookie and redirects into the console, to /sign-in?error=… when it did not work",
		},
		{
			method: http.MethodPost, path: "/api/user/oidc/{name}/link", access: anyUser, handle: s.beginLink, query: []string{"return_to"},
			summary: "Begin to link one's account at an identity provider", in: typeOf[proofBody](), bodyOptional: true, out: typeOf[linkView](),
		},
		{
			method: http.MethodGet, path: "/api/user/identity", access: anyUser, handle: s.listIdentities, summary: "One's accounts at identity providers",
			out: typeOf[pageOf[identityView]](), query: []string{"p", "page_size"},
		},
		{
			method: http.MethodDelete, path: "/api/user/identity/{id}", access: anyUser, handle: s.unlink, summary: "Have an account at an identity provider sign in no longer",
			in: typeOf[proofBody](), bodyOptional: true,
		},
	}
}

func callbackURL(site passkey.Site, name string) string {
	return site.Origin + "/api/user/oidc/" + url.PathEscape(name) + "/callback"
}

// returnTo is a page of the console's own; anything else is its first one.
func returnTo(c *call) string {
	to := c.query.Get("return_to")
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t") {
		return "/"
	}
	return to
}

func (s *Server) beginVisit(c *call) (any, error) {
	site, err := s.site(c)
	if err != nil {
		return nil, err
	}
	to := returnTo(c)
	visit, err := s.Accounts.BeginVisit(c.ctx, c.path("name"), callbackURL(site, c.path("name")), to)
	if err != nil {
		return s.notSignedIn(c, err, to), nil
	}
	c.setVisit(site, visit.State, visitKept)
	return redirect(visit.URL), nil
}

func (s *Server) beginLink(c *call) (any, error) {
	site, err := s.site(c)
	if err != nil {
		return nil, err
	}
	body, err := decodeProof(c)
	if err != nil {
		return nil, err
	}
	visit, err := s.Accounts.BeginLink(c.ctx, c.who, c.path("name"), callbackURL(site, c.path("name")), returnTo(c), body.proof(), c.origin())
	if err != nil {
		return nil, err
	}
	c.setVisit(site, visit.State, visitKept)
	return linkView{visit.URL}, nil
}

func (s *Server) finishVisit(c *call) (any, error) {
	site, err := s.site(c)
	if err != nil {
		return nil, err
	}
	sealed := ""
	if cookie := cookieOf(c.request, overTLS(site), secureVisitCookie, plainVisitCookie); cookie != nil {
		sealed = cookie.Value
	}
	c.setVisit(site, "", -1)
	if code := c.query.Get("error"); code != "" { // the provider's, such as access_denied
		err := fault.New(fault.Unauthenticated, "provider_refused", "The identity provider did not vouch for you; try again.")
		return s.notSignedIn(c, err, s.Accounts.VisitReturn(sealed)), nil
	}
	var session []byte
	if who, err := s.identify(c.request); err == nil {
		session = who.Session
	}
	name := c.path("name")
	back, err := s.Accounts.FinishVisit(c.ctx, name, callbackURL(site, name), sealed, c.query.Get("state"), c.query.Get("code"), session, c.origin())
	if err != nil {
		return s.notSignedIn(c, err, s.Accounts.VisitReturn(sealed)), nil
	}
	if back.Linked != nil {
		c.who = &account.Identity{User: &account.User{ID: back.Linked.UserID}}
		s.trail(c, "identity.link", userTarget(back.Linked.UserID), identityDetail(back.Linked))
		return redirect(back.ReturnTo), nil
	}
	u := back.Login.User
	c.who = &account.Identity{User: u, Scope: account.ScopeFull}
	if back.Created {
		s.trail(c, "user.register", userTarget(u.ID), detail(map[string]any{"username": u.Username, "provider": name}))
	}
	if was := back.Was; was != nil {
		place := func(u *account.User) any { return map[string]any{"role": u.Role, "group": u.Group} }
		s.trailChange(c, "user.update", userTarget(u.ID), detail(map[string]any{"provider": name}), place(was), place(u))
	}
	s.trail(c, "user.login", userTarget(u.ID), detail(map[string]any{"method": back.Login.Method, "role": u.Role, "group": u.Group}))
	c.setSession(back.Login, overTLS(site))
	return redirect(back.ReturnTo), nil
}

// notSignedIn sends a browser to the console's sign-in, which says why, and from
// there to where it wanted to go: whoever comes from another site has no use for
// JSON.
func (s *Server) notSignedIn(c *call, err error, from string) http.Handler {
	e := fault.From(err)
	s.base.Log.LogAttrs(c.ctx, slog.LevelWarn, "a sign-in at an identity provider did not work",
		slog.String("request_id", requestID(c.request)), slog.String("provider", c.path("name")), slog.String("error", err.Error()))
	query := url.Values{"error": {e.Code}, "request_id": {requestID(c.request)}}
	if from != "" && from != "/" {
		query.Set("from", from)
	}
	return redirect("/sign-in?" + query.Encode())
}

// redirect answers with another address, to be fetched with GET.
func redirect(to string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer") // the address has a code
		http.Redirect(w, r, to, http.StatusSeeOther)
	})
}

// overTLS reports whether browsers come back to the site over HTTPS, which a proxy
// need not say.
func overTLS(site passkey.Site) bool { return strings.HasPrefix(site.Origin, "https://") }

func (c *call) setVisit(site passkey.Site, value string, age int) {
	cookie := &http.Cookie{Name: plainVisitCookie, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: age}
	if overTLS(site) {
		cookie.Name, cookie.Secure = secureVisitCookie, true
	}
	c.set("Set-Cookie", cookie.String())
}

func (s *Server) listIdentities(c *call) (any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	all, err := s.Accounts.Identities(c.ctx, c.who)
	if err != nil {
		return nil, err
	}
	return pageOfSlice(p, all, func(e *account.ExternalIdentity) identityView {
		return identityView{
			ID: e.ID, Provider: e.Provider, Issuer: e.Issuer, Subject: e.Subject, Shown: e.Shown, CreatedTime: e.Created.Unix(), AccessedTime: e.Used.Unix(),
		}
	}), nil
}

func (s *Server) unlink(c *call) (any, error) {
	id, err := c.pathID("id")
	if err != nil {
		return nil, err
	}
	body, err := decodeProof(c)
	if err != nil {
		return nil, err
	}
	if err := s.Accounts.Unlink(c.ctx, c.who, id, body.proof(), c.origin()); err != nil {
		return nil, err
	}
	s.trail(c, "identity.unlink", "identity "+strconv.FormatInt(id, 10), "")
	return noData{}, nil
}

func identityDetail(e *account.ExternalIdentity) string {
	return detail(map[string]any{"provider": e.Provider, "issuer": e.Issuer, "subject": e.Subject})
}
