package adminapi

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"halley/internal/account"
	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/passkey"
)

// passkeyView is a passkey as its owner sees it.
type passkeyView struct {
	ID           int64  `json:"id"`
	Name         string `json:"name"`
	CreatedTime  int64  `json:"created_time"`
	AccessedTime int64  `json:"accessed_time" doc:"The last sign-in with it; equals created_time at first."`
}

// passkeyMadeView is the answer to a new one.
type passkeyMadeView struct {
	Passkey       passkeyView `json:"passkey"`
	RecoveryCodes []string    `json:"recovery_codes" doc:"For who had none: each signs in once beside the password when the passkey is lost. Shown only here."`
}

// ceremonyView is what a browser is asked for.
type ceremonyView struct {
	State   string         `json:"state" doc:"To be sent back with the browser's answer, within ten minutes."`
	Options map[string]any `json:"options" doc:"For PublicKeyCredential.parseCreationOptionsFromJSON or parseRequestOptionsFromJSON."`
}

// assertionBody is what a browser answered.
type assertionBody struct {
	State      jsonx.Opt[string]      `json:"state" required:"true"`
	Credential jsonx.Opt[jsonx.Value] `json:"credential" required:"true" doc:"What PublicKeyCredential.toJSON gave."`
}

type newPasskeyBody struct {
	assertionBody
	Name jsonx.Opt[string] `json:"name" required:"true" doc:"1 to 50 characters."`
}

type passkeyNameBody struct {
	Name jsonx.Opt[string] `json:"name" required:"true" doc:"1 to 50 characters."`
}

func (s *Server) passkeyRoutes() []route {
	return []route{
		{
			method: http.MethodPost, path: "/api/user/login/passkey/begin", access: public, handle: s.beginPasskeyLogin, summary: "Begin to sign in with a passkey alone",
			out: typeOf[ceremonyView](),
		},
		{
			method: http.MethodPost, path: "/api/user/login/passkey", access: public, handle: s.loginWithPasskey, summary: "Sign in with a passkey alone: sets the session cookie",
			in: typeOf[assertionBody](), out: typeOf[userView](),
		},
		{
			method: http.MethodPost, path: "/api/user/passkey/begin", access: anyUser, handle: s.beginPasskey, summary: "Begin to make a passkey",
			in: typeOf[proofBody](), bodyOptional: true, out: typeOf[ceremonyView](),
		},
		{
			method: http.MethodPost, path: "/api/user/passkey", access: anyUser, handle: s.addPasskey, summary: "Keep the passkey that the browser has made",
			in: typeOf[newPasskeyBody](), out: typeOf[passkeyMadeView](),
		},
		{
			method: http.MethodGet, path: "/api/user/passkey", access: anyUser, handle: s.listPasskeys, summary: "One's own passkeys",
			out: typeOf[pageOf[passkeyView]](), query: []string{"p", "page_size"},
		},
		{
			method: http.MethodPatch, path: "/api/user/passkey/{id}", access: anyUser, handle: s.renamePasskey, summary: "Rename a passkey",
			in: typeOf[passkeyNameBody](), out: typeOf[passkeyView](),
		},
		{
			method: http.MethodDelete, path: "/api/user/passkey/{id}", access: anyUser, handle: s.deletePasskey, summary: "Delete a passkey",
			in: typeOf[proofBody](), bodyOptional: true,
		},
	}
}

// site is where passkeys of this call belong, and where identity providers send
// back to. Without a public URL that is
// certain only where the browser is on the server's own machine: elsewhere the
// Host header is the caller's word.
func (s *Server) site(c *call) (passkey.Site, error) {
	if s.base.PublicURL != "" {
		u, err := url.Parse(s.base.PublicURL)
		if err != nil {
			return passkey.Site{}, err
		}
		return passkey.Site{ID: u.Hostname(), Origin: u.Scheme + "://" + u.Host, Name: siteName}, nil
	}
	host := c.request.Host
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if name = strings.ToLower(name); name != "localhost" && !strings.HasSuffix(name, ".localhost") {
		return passkey.Site{}, fault.New(fault.Conflict, "public_url_required", "Passkeys and identity providers need the option public_url (HALLEY_PUBLIC_URL), the address at which browsers see this server; without it they work at http://localhost only.")
	}
	scheme := "http"
	if s.secure(c.request) {
		scheme = "https"
	}
	return passkey.Site{ID: name, Origin: scheme + "://" + strings.ToLower(host), Name: siteName}, nil
}

const siteName = "Halley"

// ownOrigin refuses what another page has a browser do.
func (s *Server) ownOrigin(c *call) error {
	if err := s.origin.Check(c.request); err != nil {
		return fault.Wrap(err, fault.Forbidden, "cross_origin", "Sign in from the console's own origin.")
	}
	return nil
}

func (s *Server) beginPasskeyLogin(c *call) (any, error) {
	if err := s.ownOrigin(c); err != nil {
		return nil, err
	}
	site, err := s.site(c)
	if err != nil {
		return nil, err
	}
	ceremony, err := s.Accounts.BeginPasskeyLogin(site)
	if err != nil {
		return nil, err
	}
	return viewCeremony(ceremony)
}

func (s *Server) loginWithPasskey(c *call) (any, error) {
	if err := s.ownOrigin(c); err != nil {
		return nil, err
	}
	site, err := s.site(c)
	if err != nil {
		return nil, err
	}
	body, err := decode[assertionBody](c)
	if err != nil {
		return nil, err
	}
	answer, err := body.assertion()
	if err != nil {
		return nil, err
	}
	opened, err := s.Accounts.LoginWithPasskey(c.ctx, site, answer, c.origin())
	return s.welcome(c, opened, err)
}

// welcome answers a sign-in.
func (s *Server) welcome(c *call, opened *account.Login, err error) (any, error) {
	if copied, ok := errors.AsType[*account.PasskeyCloned](err); ok {
		s.trail(c, "passkey.refuse", userTarget(copied.UserID), detail(map[string]any{"why": "its count does not go on"}))
	}
	if err != nil {
		return nil, err
	}
	a, err := s.Accounts.Get(c.ctx, opened.User.ID)
	if err != nil {
		return nil, err
	}
	c.setSession(opened, s.secure(c.request))
	c.who = &account.Identity{User: opened.User, Scope: account.ScopeFull}
	s.trail(c, "user.login", userTarget(a.ID), detail(map[string]any{"method": opened.Method}))
	return s.viewUser(a), nil
}

func (b assertionBody) assertion() (account.Assertion, error) {
	if err := firstError(notNull("state", b.State), notNull("credential", b.Credential)); err != nil {
		return account.Assertion{}, err
	}
	if b.State.Value == "" || len(b.Credential.Value) == 0 {
		return account.Assertion{}, fault.New(fault.Invalid, "credential_required", "state and credential must be given.").Field("credential")
	}
	return account.Assertion{State: b.State.Value, Credential: b.Credential.Value}, nil
}

func (s *Server) beginPasskey(c *call) (any, error) {
	site, err := s.site(c)
	if err != nil {
		return nil, err
	}
	body, err := decodeProof(c)
	if err != nil {
		return nil, err
	}
	ceremony, err := s.Accounts.BeginPasskey(c.ctx, c.who, site, body.proof(), c.origin())
	if err != nil {
		return nil, err
	}
	return viewCeremony(ceremony)
}

func viewCeremony(from *account.Ceremony) (*ceremonyView, error) {
	view := &ceremonyView{State: from.State}
	return view, jsonx.Unmarshal(from.Options, &view.Options)
}

func (s *Server) addPasskey(c *call) (any, error) {
	site, err := s.site(c)
	if err != nil {
		return nil, err
	}
	body, err := decode[newPasskeyBody](c)
	if err != nil {
		return nil, err
	}
	answer, err := body.assertion()
	if err != nil {
		return nil, err
	}
	if err := notNull("name", body.Name); err != nil {
		return nil, err
	}
	p, recovery, err := s.Accounts.AddPasskey(c.ctx, c.who, site, body.Name.Value, answer)
	if err != nil {
		return nil, err
	}
	s.trail(c, "passkey.create", passkeyTarget(p.ID), detail(map[string]any{"name": p.Name}))
	if recovery == nil {
		recovery = []string{}
	}
	return passkeyMadeView{Passkey: viewPasskey(p), RecoveryCodes: recovery}, nil
}

func (s *Server) listPasskeys(c *call) (any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	all, err := s.Accounts.Passkeys(c.ctx, c.who)
	if err != nil {
		return nil, err
	}
	return pageOfSlice(p, all, viewPasskey), nil
}

func viewPasskey(p *account.Passkey) passkeyView {
	return passkeyView{ID: p.ID, Name: p.Name, CreatedTime: p.Created.Unix(), AccessedTime: p.Used.Unix()}
}

func (s *Server) renamePasskey(c *call) (any, error) {
	id, err := c.pathID("id")
	if err != nil {
		return nil, err
	}
	body, err := decode[passkeyNameBody](c)
	if err != nil {
		return nil, err
	}
	if err := notNull("name", body.Name); err != nil {
		return nil, err
	}
	p, err := s.Accounts.RenamePasskey(c.ctx, c.who, id, body.Name.Value)
	if err != nil {
		return nil, err
	}
	s.trail(c, "passkey.update", passkeyTarget(id), detail(map[string]any{"name": p.Name}))
	return viewPasskey(p), nil
}

func (s *Server) deletePasskey(c *call) (any, error) {
	id, err := c.pathID("id")
	if err != nil {
		return nil, err
	}
	body, err := decodeProof(c)
	if err != nil {
		return nil, err
	}
	if err := s.Accounts.DeletePasskey(c.ctx, c.who, id, body.proof(), c.origin()); err != nil {
		return nil, err
	}
	s.trail(c, "passkey.delete", passkeyTarget(id), "")
	return noData{}, nil
}

func passkeyTarget(id int64) string { return "passkey " + strconv.FormatInt(id, 10) }
