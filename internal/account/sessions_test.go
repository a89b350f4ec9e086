package account_test

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"halley/internal/account"
	"halley/internal/fault"
)

func TestWrongNamesAndPasswordsAreAnsweredAlike(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.create(t, account.NewUser{Username: "Ada"})
	gone := h.create(t, account.NewUser{Username: "gone"})
	if err := h.Delete(t.Context(), h.root, gone.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Login(t.Context(), account.Attempt{Username: "aDA", Password: password}, home); err != nil {
		t.Errorf("the name in another case: %v", err)
	}
	var messages []string
	for _, tc := range [][2]string{{"ada", "wrong"}, {"ada", password + " "}, {"nobody", password}, {"gone", password}, {"\xff", password}, {strings.Repeat("x", 1<<20), strings.Repeat("y", 1<<20)}} {
		_, err := h.Login(t.Context(), account.Attempt{Username: tc[0], Password: tc[1]}, home)
		wantFault(t, fmt.Sprintf("%.10q %.10q", tc[0], tc[1]), err, fault.Unauthenticated, "invalid_credentials")
		messages = append(messages, fault.From(err).Message)
	}
	for _, m := range messages {
		if m != messages[0] {
			t.Errorf("the answers differ: %q and %q", messages[0], m)
		}
	}
	for _, tc := range [][2]string{{"", password}, {"  ", password}, {"ada", ""}} {
		if _, err := h.Login(t.Context(), account.Attempt{Username: tc[0], Password: tc[1]}, home); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q %q: %v", tc[0], tc[1], err)
		}
	}
}

func TestADisabledUserHearsSoOnlyWithTheRightPassword(t *testing.T) {
	t.Parallel()
	h := setup(t)
	id := h.create(t, account.NewUser{Username: "ada"}).ID
	if _, err := h.Update(t.Context(), h.root, id, account.Patch{Status: new(account.Disabled)}); err != nil {
		t.Fatal(err)
	}
	_, err := h.Login(t.Context(), account.Attempt{Username: "ada", Password: password}, home)
	wantFault(t, "right password", err, fault.Unauthenticated, "account_disabled")
	_, err = h.Login(t.Context(), account.Attempt{Username: "ada", Password: "wrong"}, home)
	wantFault(t, "wrong password", err, fault.Unauthenticated, "invalid_credentials")
}

func TestTooManyFailuresStopLoginsForAWhile(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.create(t, account.NewUser{Username: "ada"})
	for range 30 { // successes do not count
		h.login(t, "ada")
	}
	for i := range 10 {
		_, err := h.Login(t.Context(), account.Attempt{Username: "ada", Password: "wrong"}, home)
		wantFault(t, fmt.Sprint("failure ", i+1), err, fault.Unauthenticated, "invalid_credentials")
	}
	elsewhere := account.Origin{IP: netip.MustParseAddr("198.51.100.1")}
	for _, name := range []string{"ada", "ADA"} {
		_, err := h.Login(t.Context(), account.Attempt{Username: name, Password: password}, elsewhere)
		wantFault(t, "the right password as "+name, err, fault.RateLimited, "too_many_attempts")
		if got := fault.From(err).RetryAfter; got != 15*time.Minute {
			t.Errorf("Retry-After is %v", got)
		}
	}
	if _, err := h.Login(t.Context(), account.Attempt{Username: "admin", Password: password}, home); err != nil {
		t.Errorf("another user: %v", err)
	}
	h.clock.advance(15 * time.Minute)
	if _, err := h.Login(t.Context(), account.Attempt{Username: "ada", Password: password}, home); err != nil {
		t.Errorf("15 minutes later: %v", err)
	}
}

func TestOldPasswordIsGuessedNoFasterThanALogin(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.create(t, account.NewUser{Username: "ada"})
	ada := h.signIn(t, "ada")
	patch := account.SelfPatch{Password: new("another password"), OldPassword: new("wrong")}
	for range 10 {
		_, _, err := h.UpdateSelf(t.Context(), ada, patch, home)
		wantFault(t, "a wrong old_password", err, fault.Invalid, "wrong_password")
	}
	patch.OldPassword = new(password)
	_, _, err := h.UpdateSelf(t.Context(), ada, patch, home)
	wantFault(t, "the right one, too late", err, fault.RateLimited, "too_many_attempts")
}

func TestSessionsEndIdleAndInTheEnd(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.create(t, account.NewUser{Username: "ada"})

	idle := h.login(t, "ada")
	h.clock.advance(24*time.Hour - time.Second)
	if _, err := h.AuthenticateSession(t.Context(), idle.Value); err != nil {
		t.Errorf("just before it is idle too long: %v", err)
	}
	h.clock.advance(24 * time.Hour)
	_, err := h.AuthenticateSession(t.Context(), idle.Value)
	wantFault(t, "idle for a day", err, fault.Unauthenticated, "session_expired")

	busy := h.login(t, "ada")
	for h.clock.now().Add(12 * time.Hour).Before(busy.Ends) {
		h.clock.advance(12 * time.Hour)
		if _, err := h.AuthenticateSession(t.Context(), busy.Value); err != nil {
			t.Fatalf("in use: %v", err)
		}
	}
	h.clock.advance(12 * time.Hour)
	_, err = h.AuthenticateSession(t.Context(), busy.Value)
	wantFault(t, "in use until it ends", err, fault.Unauthenticated, "session_expired")
}

func TestIdlenessSurvivesARestart(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.create(t, account.NewUser{Username: "ada"})
	login := h.login(t, "ada")
	h.clock.advance(20 * time.Hour)
	if _, err := h.AuthenticateSession(t.Context(), login.Value); err != nil {
		t.Fatal(err)
	}
	h.clock.advance(20 * time.Hour)
	if _, err := account.NewService(h.config()).AuthenticateSession(t.Context(), login.Value); err != nil {
		t.Errorf("used 20 hours ago, in another process: %v", err)
	}
}

// Who was busy at one server is not idle at another that has not seen them.
func TestASessionThatIsUsedAtAnotherServerIsNotIdleHere(t *testing.T) {
	t.Parallel()
	h := setup(t)
	value := h.login(t, "root").Value
	elsewhere := account.NewService(h.config())
	for name, server := range map[string]*account.Service{"here": h.Service, "elsewhere": elsewhere} {
		if _, err := server.AuthenticateSession(t.Context(), value); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for range 3 {
		h.clock.advance(20 * time.Hour)
		if _, err := elsewhere.AuthenticateSession(t.Context(), value); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.AuthenticateSession(t.Context(), value); err != nil {
		t.Errorf("here it was last seen 60 hours ago, elsewhere just now: %v", err)
	}
	h.clock.advance(24 * time.Hour)
	for name, server := range map[string]*account.Service{"here": h.Service, "elsewhere": elsewhere} {
		_, err := server.AuthenticateSession(t.Context(), value)
		wantFault(t, "idle "+name, err, fault.Unauthenticated, "session_expired")
	}
}

func TestLastUseIsWrittenOnceAMinute(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.create(t, account.NewUser{Username: "ada"})
	login := h.login(t, "ada")
	ada, err := h.AuthenticateSession(t.Context(), login.Value)
	if err != nil {
		t.Fatal(err)
	}
	value, _ := h.token(t, ada)
	if _, err := h.AuthenticateToken(t.Context(), value); err != nil {
		t.Fatal(err)
	}
	reads, writes := h.store.reads.Load(), h.store.seen.Load()
	for range 3 {
		for range 60 {
			h.clock.advance(time.Second)
			if _, err := h.AuthenticateSession(t.Context(), login.Value); err != nil {
				t.Fatal(err)
			}
			if _, err := h.AuthenticateToken(t.Context(), value); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := h.store.seen.Load() - writes; got != 6 {
		t.Errorf("%d writes in three minutes for a session and a token, want 6", got)
	}
	if got := h.store.reads.Load() - reads; got != 0 {
		t.Errorf("%d reads", got)
	}
	tokens, _, err := h.Tokens(t.Context(), ada, 0, 10)
	if err != nil || len(tokens) != 1 || !tokens[0].Accessed.Equal(h.clock.now()) {
		t.Errorf("the token's last use is %+v, %v", tokens, err)
	}
}

func TestWhatEndsSessions(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		do   func(t *testing.T, h *house, ada *account.Identity) error
		code string // of the next use; "" when the session lives on
	}{
		{"logging out", func(t *testing.T, h *house, ada *account.Identity) error { return h.Logout(t.Context(), ada) }, "session_expired"},
		{"a password set by an administrator", func(t *testing.T, h *house, ada *account.Identity) error {
			_, err := h.Update(t.Context(), h.admin, ada.User.ID, account.Patch{Password: new("another password")})
			return err
		}, "session_expired"},
		{"changing one's own password", func(t *testing.T, h *house, ada *account.Identity) error {
			_, login, err := h.UpdateSelf(t.Context(), ada, account.SelfPatch{Password: new("another password"), OldPassword: new(password)}, home)
			if err != nil {
				return err
			}
			if _, err := h.AuthenticateSession(t.Context(), login.Value); err != nil {
				t.Errorf("the session that comes instead: %v", err)
			}
			_, err = h.Login(t.Context(), account.Attempt{Username: "ada", Password: password}, home)
			wantFault(t, "the old password", err, fault.Unauthenticated, "invalid_credentials")
			_, err = h.Login(t.Context(), account.Attempt{Username: "ada", Password: "another password"}, home)
			return err
		}, "session_expired"},
		{"being disabled", func(t *testing.T, h *house, ada *account.Identity) error {
			_, err := h.Update(t.Context(), h.admin, ada.User.ID, account.Patch{Status: new(account.Disabled)})
			return err
		}, "session_expired"},
		{"being disabled and enabled", func(t *testing.T, h *house, ada *account.Identity) error {
			for _, status := range []account.Status{account.Disabled, account.Enabled} {
				if _, err := h.Update(t.Context(), h.admin, ada.User.ID, account.Patch{Status: &status}); err != nil {
					return err
				}
			}
			return nil
		}, "session_expired"},
		{"a change of role", func(t *testing.T, h *house, ada *account.Identity) error {
			_, err := h.Update(t.Context(), h.root, ada.User.ID, account.Patch{Role: new(account.RoleAdmin)})
			return err
		}, "session_expired"},
		{"being deleted", func(t *testing.T, h *house, ada *account.Identity) error {
			return h.Delete(t.Context(), h.admin, ada.User.ID)
		}, "session_expired"},
		{"a change of group, name and quota", func(t *testing.T, h *house, ada *account.Identity) error {
			_, err := h.Update(t.Context(), h.admin, ada.User.ID, account.Patch{Group: new("vip"), DisplayName: new("A"), Unlimited: new(true), Status: new(account.Enabled), Role: new(account.RoleUser)})
			return err
		}, ""},
		{"somebody else logging out", func(t *testing.T, h *house, ada *account.Identity) error { return h.Logout(t.Context(), h.admin) }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := setup(t)
			h.create(t, account.NewUser{Username: "ada"})
			login := h.login(t, "ada")
			ada, err := h.AuthenticateSession(t.Context(), login.Value)
			if err != nil {
				t.Fatal(err)
			}
			if err := tc.do(t, h, ada); err != nil {
				t.Fatal(err)
			}
			who, err := h.AuthenticateSession(t.Context(), login.Value)
			if tc.code == "" {
				if err != nil || who.User.ID != ada.User.ID {
					t.Errorf("it ended the session: %v", err)
				}
				return
			}
			wantFault(t, "the session", err, fault.Unauthenticated, tc.code)
			if _, err := h.AuthenticateSession(t.Context(), h.login(t, "root").Value); err != nil {
				t.Errorf("root's session: %v", err)
			}
		})
	}
}

func TestASessionEndedOnAnotherNodeEndsHereWithinAMinute(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.create(t, account.NewUser{Username: "ada"})
	login := h.login(t, "ada")
	ada, err := h.AuthenticateSession(t.Context(), login.Value)
	if err != nil {
		t.Fatal(err)
	}
	if err := account.NewService(h.config()).Logout(t.Context(), ada); err != nil {
		t.Fatal(err)
	}
	h.clock.advance(time.Minute)
	_, err = h.AuthenticateSession(t.Context(), login.Value)
	wantFault(t, "a minute later", err, fault.Unauthenticated, "session_expired")
}

func TestCookiesThatAreNone(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.store.away.Store(true)
	for _, value := range []string{"", "x", strings.Repeat("A", 42), strings.Repeat("A", 44), strings.Repeat("!", 43), strings.Repeat("A", 1<<20)} {
		_, err := h.AuthenticateSession(t.Context(), value)
		wantFault(t, fmt.Sprintf("%.10q", value), err, fault.Unauthenticated, "session_expired")
	}
	_, err := h.AuthenticateSession(t.Context(), strings.Repeat("A", 43))
	wantFault(t, "a well-formed one while the store is away", err, fault.Unavailable, "store_unavailable")
	h.store.away.Store(false)
	_, err = h.AuthenticateSession(t.Context(), strings.Repeat("A", 43))
	wantFault(t, "a well-formed one that nobody has", err, fault.Unauthenticated, "session_expired")
}

func TestSessionsWorkOnWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	h := setup(t)
	login := h.login(t, "root")
	if _, err := h.AuthenticateSession(t.Context(), login.Value); err != nil {
		t.Fatal(err)
	}
	h.store.away.Store(true)
	h.clock.advance(2 * time.Minute)
	if _, err := h.AuthenticateSession(t.Context(), login.Value); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestPasswordsAreHashedAnewWhenParametersChange(t *testing.T) {
	t.Parallel()
	h := setup(t)
	id := h.create(t, account.NewUser{Username: "ada"}).ID
	config := h.config()
	config.Hash.MemoryKiB *= 2
	s := account.NewService(config)
	var wg sync.WaitGroup
	for range 8 { // all of them find the old hash
		wg.Go(func() {
			if _, err := s.Login(t.Context(), account.Attempt{Username: "ada", Password: password}, home); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	u, err := h.store.UserByID(t.Context(), id)
	if err != nil || !strings.HasPrefix(u.PasswordHash, "$argon2id$v=19$m=128,t=1,p=1$") {
		t.Errorf("the hash is now %v, %v", u, err)
	}
	if _, err := s.Login(t.Context(), account.Attempt{Username: "ada", Password: password}, home); err != nil {
		t.Error(err)
	}
}
