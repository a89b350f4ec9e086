package passkey_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"halley/internal/passkey"
	"halley/internal/passkey/passkeytest"
)

var site = passkey.Site{ID: "halley.example.com", Origin: "https://halley.example.com", Name: "Halley"}

func person() passkey.Person {
	return passkey.Person{Handle: bytes.Repeat([]byte{7}, 32), Name: "ada", DisplayName: "Ada"}
}

// register makes a passkey for the person.
func register(t *testing.T, a *passkeytest.Authenticator, who *passkey.Person) passkey.Credential {
	t.Helper()
	options, challenge, err := passkey.Register(site, *who)
	if err != nil {
		t.Fatal(err)
	}
	made, err := passkey.Registered(site, *who, challenge, a.Create(t, options))
	if err != nil {
		t.Fatal(err)
	}
	who.Credentials = append(who.Credentials, made)
	return made
}

func TestAPasskeyIsMadeAndShown(t *testing.T) {
	t.Parallel()
	a := &passkeytest.Authenticator{Origin: site.Origin, Verifies: true, Counts: true}
	ada := person()
	made := register(t, a, &ada)
	if options, _, err := passkey.Register(site, ada); err != nil || a.Create(t, options) != nil {
		t.Errorf("the same authenticator made another one: %v\n%s", err, options)
	}
	for name, who := range map[string]*passkey.Person{"hers": &ada, "anybody's": nil} {
		options, challenge, err := passkey.Ask(site, who)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := passkey.Read(a.Get(t, options))
		if err != nil {
			t.Fatal(err)
		}
		used, cloned, err := answer.Judge(site, ada, challenge)
		if err != nil || cloned || !bytes.Equal(used.ID, made.ID) || !bytes.Equal(answer.Credential(), made.ID) || used.SignCount <= made.SignCount {
			t.Errorf("%s: %+v, cloned %v, %v", name, used, cloned, err)
		}
		ada.Credentials[0] = used
	}
}

func TestAnswersThatAreNotRight(t *testing.T) {
	t.Parallel()
	ada, grace := person(), passkey.Person{Handle: bytes.Repeat([]byte{8}, 32), Name: "grace"}
	phone := &passkeytest.Authenticator{Origin: site.Origin, Verifies: true}
	register(t, phone, &ada)
	register(t, &passkeytest.Authenticator{Origin: site.Origin, Verifies: true}, &grace)
	other := passkey.Site{ID: "evil.example.com", Origin: "https://evil.example.com", Name: "Halley"}
	for name, tc := range map[string]struct {
		who    *passkey.Person // who is asked; nil for anybody
		change func(a *passkeytest.Authenticator, c *passkey.Challenge)
		site   passkey.Site
		judge  passkey.Person
		spoil  func(text string) string
	}{
		"another page":          {who: &ada, change: func(a *passkeytest.Authenticator, _ *passkey.Challenge) { a.Origin = other.Origin }},
		"another site":          {who: &ada, site: other},
		"another challenge":     {who: &ada, change: func(_ *passkeytest.Authenticator, c *passkey.Challenge) { c.Text = strings.Repeat("A", 43) }},
		"another person's":      {judge: grace},
		"nobody verified":       {change: func(a *passkeytest.Authenticator, _ *passkey.Challenge) { a.Verifies = false }},
		"a spoilt signature":    {who: &ada, spoil: func(s string) string { return strings.Replace(s, `"signature":"ME`, `"signature":"MF`, 1) }},
		"another user's handle": {spoil: func(s string) string { return strings.Replace(s, `"userHandle":"Bwc`, `"userHandle":"CAg`, 1) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := phone.Clone()
			options, challenge, err := passkey.Ask(site, tc.who)
			if err != nil {
				t.Fatal(err)
			}
			if tc.change != nil {
				tc.change(a, &challenge)
			}
			text := string(a.Get(t, options))
			if tc.spoil != nil {
				spoilt := tc.spoil(text)
				if spoilt == text {
					t.Fatalf("nothing was spoilt: %s", text)
				}
				text = spoilt
			}
			where, who := site, ada
			if tc.site != (passkey.Site{}) {
				where = tc.site
			}
			if tc.judge.Handle != nil {
				who = tc.judge
			}
			answer, err := passkey.Read([]byte(text))
			if err == nil {
				_, _, err = answer.Judge(where, who, challenge)
			}
			if !errors.Is(err, passkey.ErrRefused) {
				t.Errorf("it was not refused: %v", err)
			}
		})
	}
}

func TestACopyOfAnAuthenticatorIsNoticed(t *testing.T) {
	t.Parallel()
	ada := person()
	a := &passkeytest.Authenticator{Origin: site.Origin, Verifies: true, Counts: true}
	register(t, a, &ada)
	copied := a.Clone()
	judge := func(a *passkeytest.Authenticator) bool {
		options, challenge, err := passkey.Ask(site, &ada)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := passkey.Read(a.Get(t, options))
		if err != nil {
			t.Fatal(err)
		}
		used, cloned, err := answer.Judge(site, ada, challenge)
		if err != nil {
			t.Fatal(err)
		}
		if !cloned {
			ada.Credentials[0] = used
		}
		return cloned
	}
	for range 2 {
		if judge(a) {
			t.Error("the authenticator itself is taken for a copy")
		}
	}
	if !judge(copied) {
		t.Error("the copy was not noticed")
	}
}

// Whatever a browser sends, it is refused or read, never more.
func FuzzAnswers(f *testing.F) {
	ada := person()
	a := &passkeytest.Authenticator{Origin: site.Origin, Verifies: true}
	options, challenge, err := passkey.Register(site, ada)
	if err != nil {
		f.Fatal(err)
	}
	creation := a.Create(f, options)
	made, err := passkey.Registered(site, ada, challenge, creation)
	if err != nil {
		f.Fatal(err)
	}
	ada.Credentials = []passkey.Credential{made}
	asked, question, err := passkey.Ask(site, &ada)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(creation))
	f.Add([]byte(a.Get(f, asked)))
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","response":{}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if made, err := passkey.Registered(site, person(), challenge, text); err != nil && !errors.Is(err, passkey.ErrRefused) {
			t.Errorf("made %v: %v", made, err)
		}
		answer, err := passkey.Read(text)
		if err != nil {
			return
		}
		used, _, err := answer.Judge(site, ada, question)
		if err == nil && !json.Valid(used.Record) {
			t.Errorf("accepted with the record %q", used.Record)
		}
	})
}
