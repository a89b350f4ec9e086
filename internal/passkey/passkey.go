// Package passkey runs the ceremonies of WebAuthn, in which a browser makes a
// passkey or proves to have one: what a browser is asked for, and whether its
// answer is right. It keeps nothing: challenges and credentials come in and go
// out. It must not know HTTP, SQL or what an account is.
package passkey

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"halley/internal/jsonx"
)

// Site is whose passkeys these are: the relying party of the specification.
type Site struct {
	ID     string // a host name, "halley.example.com"
	Origin string // "https://halley.example.com"
	Name   string // what browsers show
}

// Credential is a passkey as it is kept: the public key and what is known of the
// authenticator, as JSON of the library's.
type Credential struct {
	ID        []byte
	Record    []byte
	SignCount uint32 // 0 from authenticators that do not count
}

// Person is who has passkeys.
type Person struct {
	Handle      []byte // opaque, the same for ever
	Name        string
	DisplayName string
	Credentials []Credential
}

// Challenge is what an answer must be to. It is a secret of nobody, but must come
// back as it was, once, and soon.
type Challenge struct {
	Text     string   `json:"text"`
	Handle   []byte   `json:"handle,omitempty"`  // whose answer is wanted; nil for anybody's
	Allowed  [][]byte `json:"allowed,omitempty"` // credentials that may answer; nil for any
	Verified bool     `json:"verified"`          // the authenticator must have verified its user
}

// Timeout is how long a browser is told to wait for its user.
const Timeout = 5 * time.Minute

// ErrRefused is what every answer gives that is not right. What it wraps is for
// the log.
var ErrRefused = errors.New("the passkey's answer is not right")

// Register is what a browser is asked for to make a passkey for the person, who
// must not have one on that authenticator yet, as JSON for
// PublicKeyCredential.parseCreationOptionsFromJSON.
func Register(site Site, who Person) (options jsonx.Value, c Challenge, err error) {
	w, err := site.library()
	if err != nil {
		return nil, Challenge{}, err
	}
	user, err := newUser(who)
	if err != nil {
		return nil, Challenge{}, err
	}
	creation, session, err := w.BeginRegistration(user, webauthn.WithExclusions(webauthn.Credentials(user.credentials).CredentialDescriptors()),
		webauthn.WithAuthenticatorSelection(protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementPreferred, UserVerification: protocol.VerificationPreferred,
		}),
	)
	if err != nil {
		return nil, Challenge{}, fmt.Errorf("begin to make a passkey: %w", err)
	}
	options, err = jsonx.Marshal(creation.Response)
	return options, Challenge{Text: session.Challenge, Handle: who.Handle}, err
}

// Registered judges the browser's answer to Register.
func Registered(site Site, who Person, c Challenge, answer []byte) (Credential, error) {
	w, err := site.library()
	if err != nil {
		return Credential{}, err
	}
	user, err := newUser(who)
	if err != nil {
		return Credential{}, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return Credential{}, refused(err)
	}
	session := c.session(site)
	session.CredParams = webauthn.CredentialParametersDefault()
	made, err := w.CreateCredential(user, session, parsed)
	if err != nil {
		return Credential{}, refused(err)
	}
	return newCredential(made)
}

// Ask is what a browser is asked for to prove that the person has one of their
// passkeys, or, without a person, that whoever is there has any. In that case the
// authenticator must also verify its user, as nothing else does.
func Ask(site Site, who *Person) (options jsonx.Value, c Challenge, err error) {
	w, err := site.library()
	if err != nil {
		return nil, Challenge{}, err
	}
	var assertion *protocol.CredentialAssertion
	var session *webauthn.SessionData
	if who == nil {
		assertion, session, err = w.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	} else {
		var user *user
		if user, err = newUser(*who); err == nil {
			assertion, session, err = w.BeginLogin(user, webauthn.WithUserVerification(protocol.VerificationPreferred))
		}
	}
	if err != nil {
		return nil, Challenge{}, fmt.Errorf("begin to ask for a passkey: %w", err)
	}
	c = Challenge{Text: session.Challenge, Verified: who == nil}
	if who != nil {
		c.Handle, c.Allowed = who.Handle, session.AllowedCredentialIDs
	}
	options, err = jsonx.Marshal(assertion.Response)
	return options, c, err
}

// Answer is a browser's answer to Ask, read but not judged.
type Answer struct {
	parsed *protocol.ParsedCredentialAssertionData
}

// Read reads a browser's answer to Ask.
func Read(answer []byte) (*Answer, error) {
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return nil, refused(err)
	}
	return &Answer{parsed}, nil
}

// Credential is the id of the passkey that answered, as it says.
func (a *Answer) Credential() []byte { return a.parsed.RawID }

// Judge judges the answer by the person's credentials and gives the one that was
// used as it is now. cloned reports a count that does not go on from the last
// one: another authenticator may have the same key.
func (a *Answer) Judge(site Site, who Person, c Challenge) (used Credential, cloned bool, err error) {
	w, err := site.library()
	if err != nil {
		return Credential{}, false, err
	}
	user, err := newUser(who)
	if err != nil {
		return Credential{}, false, err
	}
	session := c.session(site)
	var credential *webauthn.Credential
	if len(c.Handle) > 0 {
		credential, err = w.ValidateLogin(user, session, a.parsed)
	} else {
		_, credential, err = w.ValidatePasskeyLogin(func(_, _ []byte) (webauthn.User, error) { return user, nil }, session, a.parsed)
	}
	if err != nil {
		return Credential{}, false, refused(err)
	}
	used, err = newCredential(credential)
	return used, credential.Authenticator.CloneWarning, err
}

func (s Site) library() (*webauthn.WebAuthn, error) {
	wait := webauthn.TimeoutConfig{Timeout: Timeout, TimeoutUVD: Timeout}
	w, err := webauthn.New(&webauthn.Config{
		RPID: s.ID, RPDisplayName: s.Name, RPOrigins: []string{s.Origin},
		AttestationPreference: protocol.PreferNoAttestation,
		Timeouts:              webauthn.TimeoutsConfig{Login: wait, Registration: wait},
		// Password managers answer more than they were asked; none of it counts.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil, fmt.Errorf("passkeys at %s: %w", s.Origin, err)
	}
	return w, nil
}

func (c Challenge) session(site Site) webauthn.SessionData {
	s := webauthn.SessionData{
		Challenge: c.Text, RelyingPartyID: site.ID, UserID: c.Handle, AllowedCredentialIDs: c.Allowed, UserVerification: protocol.VerificationPreferred,
	}
	if c.Verified {
		s.UserVerification = protocol.VerificationRequired
	}
	return s
}

// newCredential leaves the attestation out: nobody is asked for one.
func newCredential(from *webauthn.Credential) (Credential, error) {
	kept := *from
	kept.Attestation = webauthn.CredentialAttestation{}
	kept.Authenticator.CloneWarning = false
	record, err := jsonx.Marshal(&kept)
	if err != nil {
		return Credential{}, fmt.Errorf("write a passkey: %w", err)
	}
	return Credential{ID: kept.ID, Record: record, SignCount: kept.Authenticator.SignCount}, nil
}

// user is a Person as the library wants one.
type user struct {
	Person
	credentials []webauthn.Credential
}

var _ webauthn.User = (*user)(nil)

func newUser(who Person) (*user, error) {
	u := &user{Person: who, credentials: make([]webauthn.Credential, len(who.Credentials))}
	for i, c := range who.Credentials {
		if err := jsonx.Unmarshal(c.Record, &u.credentials[i]); err != nil {
			return nil, fmt.Errorf("read a passkey: %w", err)
		}
	}
	return u, nil
}

// WebAuthnID implements webauthn.User.
func (u *user) WebAuthnID() []byte { return u.Handle }

// WebAuthnName implements webauthn.User.
func (u *user) WebAuthnName() string { return u.Name }

// WebAuthnDisplayName implements webauthn.User.
func (u *user) WebAuthnDisplayName() string {
	if u.DisplayName == "" {
		return u.Name
	}
	return u.DisplayName
}

// WebAuthnCredentials implements webauthn.User.
func (u *user) WebAuthnCredentials() []webauthn.Credential { return u.credentials }

// refused keeps the library's reasons, which it hides from Error, for the log.
func refused(err error) error {
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		return fmt.Errorf("%w: %s %s %s", ErrRefused, e.Type, e.Details, e.DevInfo)
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}
