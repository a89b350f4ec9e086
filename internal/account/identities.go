package account

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/group"
	"halley/internal/oidc"
)

// Identity providers' users are known by issuer and subject, which the provider
// vouches for and never gives to another. E-mail addresses name nobody here: many
// providers let people claim any.

// ExternalIdentity is who somebody is at an identity provider.
type ExternalIdentity struct {
	ID       int64
	UserID   int64
	Provider string
	Issuer   string
	Subject  string
	Shown    string // how its owner knows it: a name or an address
	Created  time.Time
	Used     time.Time
}

// IdentityStore keeps who identity providers' users are here.
type IdentityStore interface {
	// IdentityBySubject gives ErrNotFound when it is not known.
	IdentityBySubject(ctx context.Context, issuer, subject string) (*ExternalIdentity, error)
	IdentitiesOf(ctx context.Context, userID int64) ([]*ExternalIdentity, error)
	// InsertIdentity sets e's ID, or gives ErrThere when it is somebody's.
	InsertIdentity(ctx context.Context, e *ExternalIdentity) error
	// InsertUserWithIdentity makes both or neither: ErrNameTaken, ErrThere.
	InsertUserWithIdentity(ctx context.Context, u *User, why budget.Cause, e *ExternalIdentity) error
	UseIdentity(ctx context.Context, id int64, at time.Time) error
	// DeleteIdentity gives ErrNotFound unless the user has it.
	DeleteIdentity(ctx context.Context, userID, id int64) error
}

// IdentityProviders speaks to them.
type IdentityProviders interface {
	AuthURL(ctx context.Context, p oidc.Provider, state, nonce, verifier string) (string, error)
	Exchange(ctx context.Context, p oidc.Provider, code, nonce, verifier string) (*oidc.Claims, error)
}

// round is one visit to a provider.
type round struct {
	Provider string `json:"provider"`
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	ReturnTo string `json:"return_to"`
}

const toVisit = "visit to identity provider"

// Visit is where to send a browser, and what must come back with it.
type Visit struct {
	URL   string
	State string // sealed, for a cookie
}

// Returned is how a visit ended.
type Returned struct {
	Login    *Login // nil when an identity was linked
	Created  bool   // the account was made just now
	Linked   *ExternalIdentity
	Was      *User // before the provider's claims changed their group or role; nil when they did not
	ReturnTo string
}

// BeginVisit sends a browser to a provider to sign in.
func (s *Service) BeginVisit(ctx context.Context, name, callback, returnTo string) (*Visit, error) {
	return s.beginVisit(ctx, name, callback, begun[round]{Value: round{ReturnTo: returnTo}})
}

// BeginLink sends the caller's browser to a provider to say who they are there.
func (s *Service) BeginLink(ctx context.Context, who *Identity, name, callback, returnTo string, shown Proof, from Origin) (*Visit, error) {
	if err := s.prove(ctx, who, shown, from); err != nil {
		return nil, err
	}
	return s.beginVisit(ctx, name, callback, begun[round]{Value: round{ReturnTo: returnTo}, UserID: who.User.ID, Session: who.Session})
}

func (s *Service) beginVisit(ctx context.Context, name, callback string, b begun[round]) (*Visit, error) {
	p, config, err := s.providerConfig(name, callback)
	if err != nil {
		return nil, err
	}
	b.Value.Provider, b.Value.State, b.Value.Nonce, b.Value.Verifier = p.Name, rand.Text(), rand.Text(), rand.Text()+rand.Text()
	to, err := s.identityProviders.AuthURL(ctx, config, b.Value.State, b.Value.Nonce, b.Value.Verifier)
	if err != nil {
		return nil, visitFailed(err)
	}
	sealed, err := begin(s, toVisit, b)
	return &Visit{URL: to, State: sealed}, err
}

func (s *Service) providerConfig(name, callback string) (*LoginProvider, oidc.Provider, error) {
	p, err := s.LoginProvider(name)
	if err != nil {
		return nil, oidc.Provider{}, err
	}
	if !p.Enabled {
		return nil, oidc.Provider{}, fault.New(fault.Forbidden, "provider_disabled", "Nobody signs in with %s at present.", p.Label)
	}
	secret, err := s.clientSecret(p)
	return p, oidc.Provider{Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: secret, Scopes: p.Scopes, Callback: callback}, err
}

// VisitReturn is where a browser wanted to go when it was sent to a provider, by
// its cookie, also when the visit is over or took too long; "" when it cannot be
// told.
func (s *Service) VisitReturn(sealed string) string {
	b, err := unseal[round](s, toVisit, sealed)
	if err != nil {
		return ""
	}
	return b.Value.ReturnTo
}

// FinishVisit judges what a browser came back with from a provider: state and
// code from the address, sealed from its cookie, and who is signed in there.
// session is the hash of the session that it has, nil for none.
func (s *Service) FinishVisit(ctx context.Context, name, callback, sealed, state, code string, session []byte, from Origin) (*Returned, error) {
	end, err := s.throttle.beginNameless(ctx, from.IP)
	if err != nil {
		return nil, unavailable(err)
	}
	failed := false
	defer func() { end(failed) }()
	b, err := resume[round](s, toVisit, sealed)
	if err != nil {
		return nil, err
	}
	if b.Value.Provider != name || subtle.ConstantTimeCompare([]byte(b.Value.State), []byte(state)) != 1 {
		failed = true
		return nil, begunIsOver()
	}
	if b.UserID != 0 && !bytes.Equal(b.Session, session) {
		return nil, fault.New(fault.Forbidden, "session_required", "The session that began this has ended; sign in and begin again.")
	}
	if err := s.finish(ctx, sealed); err != nil {
		return nil, err
	}
	p, config, err := s.providerConfig(name, callback)
	if err != nil {
		return nil, err
	}
	claims, err := s.identityProviders.Exchange(ctx, config, code, b.Value.Nonce, b.Value.Verifier)
	if err != nil {
		failed = errors.Is(err, oidc.ErrRefused)
		return nil, visitFailed(err)
	}
	result := &Returned{ReturnTo: b.Value.ReturnTo}
	if b.UserID != 0 {
		result.Linked, err = s.link(ctx, p, b.UserID, claims)
		return result, err
	}
	var u *User
	if u, result.Created, err = s.whoIs(ctx, p, claims, from); err != nil {
		return nil, err
	}
	if u.Status != Enabled {
		return nil, accountDisabled()
	}
	was := u
	if u, err = s.follow(ctx, p, u, claims); err != nil {
		return nil, err
	}
	if u.Group != was.Group || u.Role != was.Role {
		result.Was = was
	}
	result.Login, err = s.newSession(ctx, u, Method("oidc:"+p.Name), from)
	return result, err
}

func (s *Service) newIdentity(p *LoginProvider, userID int64, c *oidc.Claims) *ExternalIdentity {
	shown := c.Username
	for _, other := range []string{c.Email, c.Name, c.Subject} {
		if shown == "" {
			shown = other
		}
	}
	return &ExternalIdentity{UserID: userID, Provider: p.Name, Issuer: c.Issuer, Subject: c.Subject, Shown: shorten(shown, 200), Created: s.now(), Used: s.now()}
}

func (s *Service) link(ctx context.Context, p *LoginProvider, userID int64, c *oidc.Claims) (*ExternalIdentity, error) {
	e := s.newIdentity(p, userID, c)
	err := s.store.InsertIdentity(ctx, e)
	if errors.Is(err, ErrThere) {
		return nil, fault.New(fault.Conflict, "identity_taken", "This account at %s signs in to an account here already.", p.Label)
	}
	return e, unavailable(err)
}

// whoIs finds the user whose identity it is, or makes one where that is allowed.
func (s *Service) whoIs(ctx context.Context, p *LoginProvider, c *oidc.Claims, from Origin) (u *User, created bool, err error) {
	known, err := s.store.IdentityBySubject(ctx, c.Issuer, c.Subject)
	if err == nil {
		if u, err = s.store.UserByID(ctx, known.UserID); err == nil {
			return u, false, unavailable(s.store.UseIdentity(ctx, known.ID, s.now()))
		}
	}
	switch {
	case !errors.Is(err, ErrNotFound):
		return nil, false, unavailable(err)
	case !p.CreateUsers:
		return nil, false, fault.New(fault.Forbidden, "identity_unknown", "Nobody here has this account at %s. Sign in another way and link it in the settings, or ask an administrator.", p.Label)
	}
	end, err := s.throttle.beginAccount(ctx, from.IP)
	if err != nil {
		return nil, false, unavailable(err)
	}
	made := false
	defer func() { end(made) }()
	for n := range 20 {
		u, err = s.newcomer(c, n)
		if err != nil {
			return nil, false, err
		}
		err = s.store.InsertUserWithIdentity(ctx, u, budget.Cause{RequestID: from.RequestID}.For(budget.Registered, s.now()), s.newIdentity(p, 0, c))
		if errors.Is(err, ErrNameTaken) {
			continue
		}
		if errors.Is(err, ErrThere) { // another browser of theirs was first
			return nil, false, fault.New(fault.Conflict, "identity_taken", "This account was signed in to elsewhere at the same moment; try again.")
		}
		made = err == nil
		return u, made, unavailable(err)
	}
	return nil, false, fault.New(fault.Conflict, "username_taken", "No username is free that is like yours; ask an administrator for an account.")
}

// newcomer is the account of somebody who has none, without a password. n tells
// how many names were taken.
func (s *Service) newcomer(c *oidc.Claims, n int) (*User, error) {
	local, _, _ := strings.Cut(c.Email, "@")
	name := ""
	for _, from := range []string{c.Username, local, c.Name} {
		if name = usernameOf(from); name != "" {
			break
		}
	}
	if name == "" {
		name = "user"
	}
	if n > 0 {
		name = fmt.Sprint(name, "-", n+1)
	}
	email := ""
	if clean, err := cleanEmail(c.Email); err == nil && c.EmailVerified {
		email = clean
	}
	display, err := cleanDisplayName(c.Name)
	if err != nil {
		display = ""
	}
	u, err := s.draft(NewUser{Username: name, Password: rand.Text(), DisplayName: display, Email: email})
	if err != nil {
		return nil, err
	}
	u.MustChange = false // there is no password to change
	return u, nil
}

// usernameOf is a text with what usernames may have.
func usernameOf(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), strings.ContainsRune("._-@", r):
			return r
		case unicode.IsSpace(r):
			return '.'
		}
		return -1
	}, strings.ToValidUTF8(text, ""))
	if r := []rune(text); len(r) > maxUsername-4 {
		text = string(r[:maxUsername-4])
	}
	return text
}

// follow puts a user into the group and role that the provider's claims say,
// where it says any. Root's account is nobody else's to change.
func (s *Service) follow(ctx context.Context, p *LoginProvider, u *User, c *oidc.Claims) (*User, error) {
	if u.Role == RoleRoot {
		return u, nil
	}
	fresh := *u
	s.place(&fresh, p, c)
	if fresh.Group == u.Group && fresh.Role == u.Role {
		return u, nil
	}
	return s.write(ctx, u.ID, func(e *Edit) error {
		if e.User.Role == RoleRoot { // since it was read
			return nil
		}
		// What the provider does not tell is as it is now, not as it was read.
		before := e.User.Role
		s.place(&e.User, p, c)
		e.EndSessions = e.User.Role != before
		return nil
	})
}

// place changes the group and the role of a user where the provider tells them.
func (s *Service) place(u *User, p *LoginProvider, c *oidc.Claims) {
	if p.GroupClaim != "" {
		values := c.Values(p.GroupClaim)
		u.Group = group.Default
		for _, m := range p.Groups {
			if slices.Contains(values, m.Value) && s.groupExists(m.Group) {
				u.Group = m.Group
				break
			}
		}
	}
	if p.RoleClaim != "" {
		u.Role = RoleUser
		if slices.ContainsFunc(c.Values(p.RoleClaim), func(v string) bool { return slices.Contains(p.AdminValues, v) }) {
			u.Role = RoleAdmin
		}
	}
}

// Identities are the caller's.
func (s *Service) Identities(ctx context.Context, who *Identity) ([]*ExternalIdentity, error) {
	all, err := s.store.IdentitiesOf(ctx, who.User.ID)
	return all, unavailable(err)
}

// Unlink takes one of the caller's identities away. The last one of somebody who
// can sign in by nothing else stays.
func (s *Service) Unlink(ctx context.Context, who *Identity, id int64, shown Proof, from Origin) error {
	if err := s.prove(ctx, who, shown, from); err != nil {
		return err
	}
	if who.User.PasswordHash == "" {
		all, err := s.store.IdentitiesOf(ctx, who.User.ID)
		if err != nil {
			return unavailable(err)
		}
		if len(all) == 1 && all[0].ID == id {
			return fault.New(fault.Conflict, "last_identity", "You have no password: without this you could not sign in any more.")
		}
	}
	err := s.store.DeleteIdentity(ctx, who.User.ID, id)
	if errors.Is(err, ErrNotFound) {
		return fault.New(fault.NotFound, "identity_not_found", "You have no linked account %d.", id)
	}
	return unavailable(err)
}

func visitFailed(cause error) error {
	if errors.Is(cause, oidc.ErrRefused) {
		return fault.Wrap(cause, fault.Unauthenticated, "provider_refused", "The identity provider did not vouch for you; try again.")
	}
	return fault.Wrap(cause, fault.BadGateway, "provider_unreachable", "The identity provider does not answer as it should; try again, or sign in another way.")
}
