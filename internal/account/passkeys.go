package account

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"time"

	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/passkey"
)

// Passkey is a key on somebody's device that they sign in with.
type Passkey struct {
	ID      int64
	UserID  int64
	Name    string
	Created time.Time
	Used    time.Time // Created at first
	passkey.Credential
}

const passkeysPerUser = 25

// The purposes of what is begun.
const (
	toRegister = "register passkey"
	toConfirm  = "passkey beside password"
	toSignIn   = "passkey alone"
)

// Ceremony is what a browser is to be asked for, and what must come back with its
// answer.
type Ceremony struct {
	State   string
	Options jsonx.Value
}

// Assertion is a browser's answer to a Ceremony.
type Assertion struct {
	State      string
	Credential []byte // JSON
}

// Passkeys are the caller's, in the order in which they were made.
func (s *Service) Passkeys(ctx context.Context, who *Identity) ([]*Passkey, error) {
	f, err := s.store.SecondFactors(ctx, who.User.ID)
	if err != nil {
		return nil, unavailable(err)
	}
	return f.Passkeys, nil
}

// BeginPasskey begins to make a passkey for the caller.
func (s *Service) BeginPasskey(ctx context.Context, who *Identity, site passkey.Site, shown Proof, from Origin) (*Ceremony, error) {
	if err := s.prove(ctx, who, shown, from); err != nil {
		return nil, err
	}
	f, err := s.store.SecondFactors(ctx, who.User.ID)
	if err != nil {
		return nil, unavailable(err)
	}
	if len(f.Passkeys) >= passkeysPerUser {
		return nil, tooManyPasskeys()
	}
	options, challenge, err := passkey.Register(site, s.person(who.User, f.Passkeys))
	if err != nil {
		return nil, err
	}
	state, err := begin(s, toRegister, begun[passkey.Challenge]{Value: challenge, UserID: who.User.ID, Session: who.Session})
	return &Ceremony{State: state, Options: options}, err
}

// AddPasskey keeps the passkey that the caller's browser has made. From now on a
// password alone is not enough, so whoever has no recovery codes gets some.
func (s *Service) AddPasskey(ctx context.Context, who *Identity, site passkey.Site, name string, a Assertion) (p *Passkey, recovery []string, err error) {
	if err := needsSession(who); err != nil {
		return nil, nil, err
	}
	if name, err = cleanTokenName(name); err != nil {
		return nil, nil, err
	}
	b, err := resume[passkey.Challenge](s, toRegister, a.State)
	if err != nil {
		return nil, nil, err
	}
	if b.UserID != who.User.ID || !bytes.Equal(b.Session, who.Session) {
		return nil, nil, begunIsOver()
	}
	made, err := passkey.Registered(site, s.person(who.User, nil), b.Value, a.Credential)
	if errors.Is(err, passkey.ErrRefused) {
		return nil, nil, fault.Wrap(err, fault.Invalid, "invalid_passkey", "The browser's answer is not a passkey for this site; begin again.").Field("credential")
	}
	if err != nil {
		return nil, nil, err
	}
	if err := s.finish(ctx, a.State); err != nil {
		return nil, nil, err
	}
	p = &Passkey{UserID: who.User.ID, Name: name, Created: s.now(), Used: s.now(), Credential: made}
	codes, hashes := s.newRecoveryCodes()
	issued, err := s.store.InsertPasskey(ctx, p, passkeysPerUser, hashes)
	switch {
	case errors.Is(err, ErrTooMany):
		return nil, nil, tooManyPasskeys()
	case errors.Is(err, ErrThere):
		return nil, nil, fault.New(fault.Conflict, "passkey_known", "This passkey is known already.")
	case errors.Is(err, ErrNotFound):
		return nil, nil, userNotFound(who.User.ID)
	case err != nil:
		return nil, nil, unavailable(err)
	}
	if !issued {
		codes = nil
	}
	return p, codes, nil
}

// RenamePasskey gives one of the caller's passkeys another name.
func (s *Service) RenamePasskey(ctx context.Context, who *Identity, id int64, name string) (*Passkey, error) {
	if err := needsSession(who); err != nil {
		return nil, err
	}
	name, err := cleanTokenName(name)
	if err != nil {
		return nil, err
	}
	p, err := s.store.RenamePasskey(ctx, who.User.ID, id, name)
	if errors.Is(err, ErrNotFound) {
		return nil, passkeyNotFound(id)
	}
	return p, unavailable(err)
}

// DeletePasskey ends one of the caller's passkeys. With the last second factor
// the recovery codes go, too.
func (s *Service) DeletePasskey(ctx context.Context, who *Identity, id int64, shown Proof, from Origin) error {
	if err := s.prove(ctx, who, shown, from); err != nil {
		return err
	}
	err := s.store.DeletePasskey(ctx, who.User.ID, id)
	if errors.Is(err, ErrNotFound) {
		return passkeyNotFound(id)
	}
	return unavailable(err)
}

// BeginPasskeyLogin begins to sign somebody in by a passkey alone.
func (s *Service) BeginPasskeyLogin(site passkey.Site) (*Ceremony, error) {
	options, challenge, err := passkey.Ask(site, nil)
	if err != nil {
		return nil, err
	}
	state, err := begin(s, toSignIn, begun[passkey.Challenge]{Value: challenge})
	return &Ceremony{State: state, Options: options}, err
}

// LoginWithPasskey opens a session for whoever has shown a passkey whose device
// has verified them. Failures count by address.
func (s *Service) LoginWithPasskey(ctx context.Context, site passkey.Site, a Assertion, from Origin) (*Login, error) {
	end, err := s.throttle.beginNameless(ctx, from.IP)
	if err != nil {
		return nil, unavailable(err)
	}
	failed := false
	defer func() { end(failed) }()
	b, err := resume[passkey.Challenge](s, toSignIn, a.State)
	if err != nil {
		return nil, err
	}
	answer, err := passkey.Read(a.Credential)
	if err != nil {
		failed = true
		return nil, wrongPasskey(err)
	}
	known, err := s.store.PasskeyByCredential(ctx, answer.Credential())
	if errors.Is(err, ErrNotFound) {
		failed = true
		return nil, wrongPasskey(err)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	u, err := s.store.UserByID(ctx, known.UserID)
	if errors.Is(err, ErrNotFound) {
		failed = true
		return nil, wrongPasskey(err)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	if err := s.accept(ctx, site, u, []*Passkey{known}, answer, b.Value, a.State); err != nil {
		failed = fault.Is(err, fault.Unauthenticated)
		return nil, err
	}
	if u.Status != Enabled {
		return nil, accountDisabled()
	}
	return s.newSession(ctx, u, ByPasskey, from)
}

// askForPasskey begins to ask for one of the user's passkeys beside the password.
func (s *Service) askForPasskey(site passkey.Site, u *User, known []*Passkey) (*Ceremony, error) {
	who := s.person(u, known)
	options, challenge, err := passkey.Ask(site, &who)
	if err != nil {
		return nil, err
	}
	state, err := begin(s, toConfirm, begun[passkey.Challenge]{Value: challenge, UserID: u.ID})
	return &Ceremony{State: state, Options: options}, err
}

// confirmPasskey judges the answer to askForPasskey.
func (s *Service) confirmPasskey(ctx context.Context, site passkey.Site, u *User, known []*Passkey, a Assertion) error {
	b, err := resume[passkey.Challenge](s, toConfirm, a.State)
	if err != nil {
		return err
	}
	if b.UserID != u.ID {
		return begunIsOver()
	}
	answer, err := passkey.Read(a.Credential)
	if err != nil {
		return wrongPasskey(err)
	}
	return s.accept(ctx, site, u, known, answer, b.Value, a.State)
}

// accept judges an answer, and uses its challenge and the passkey's count up.
func (s *Service) accept(ctx context.Context, site passkey.Site, u *User, known []*Passkey, answer *passkey.Answer, c passkey.Challenge, state string) error {
	used, cloned, err := answer.Judge(site, s.person(u, known), c)
	if errors.Is(err, passkey.ErrRefused) {
		return wrongPasskey(err)
	}
	if err != nil {
		return err
	}
	if err := s.finish(ctx, state); err != nil {
		return err
	}
	if !cloned {
		// Another sign-in may have moved the count on meanwhile.
		moved, err := s.store.UsePasskey(ctx, used, s.now())
		if err != nil {
			return unavailable(err)
		}
		cloned = !moved
	}
	if cloned {
		return &PasskeyCloned{UserID: u.ID, fault: fault.New(fault.Unauthenticated, "passkey_cloned", "This passkey's count does not go on from its last use, as if there were a copy of it. Sign in another way, and delete it.")}
	}
	return nil
}

// PasskeyCloned says that a passkey was refused because there seems to be a copy
// of it. It wraps the fault.
type PasskeyCloned struct {
	UserID int64
	fault  *fault.Error
}

// Error is the fault's.
func (e *PasskeyCloned) Error() string { return e.fault.Error() }

// Unwrap gives the fault.
func (e *PasskeyCloned) Unwrap() error { return e.fault }

// person is the user as authenticators know them: by a handle that tells nobody
// who it is.
func (s *Service) person(u *User, known []*Passkey) passkey.Person {
	handle := s.handles.Sum(strconv.FormatInt(u.ID, 10))
	p := passkey.Person{Handle: handle[:], Name: u.Username, DisplayName: u.DisplayName}
	for _, k := range known {
		p.Credentials = append(p.Credentials, k.Credential)
	}
	return p
}

func wrongPasskey(cause error) error {
	return fault.Wrap(cause, fault.Unauthenticated, "invalid_passkey", "This passkey is not known here, or its answer is wrong.").Field("passkey")
}

func passkeyNotFound(id int64) error {
	return fault.New(fault.NotFound, "passkey_not_found", "You have no passkey %d.", id)
}

func tooManyPasskeys() error {
	return fault.New(fault.Conflict, "too_many_passkeys", "You have %d passkeys, which is as many as one may have; delete one first.", passkeysPerUser)
}
