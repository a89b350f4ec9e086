package account_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/account"
	"halley/internal/fault"
	"halley/internal/tokenfmt"
)

func TestATokenIsItsOwnersAndShownOnce(t *testing.T) {
	t.Parallel()
	h := setup(t)
	h.create(t, account.NewUser{Username: "ada"})
	ada := h.signIn(t, "ada")
	value, token, err := h.CreateToken(t.Context(), ada, account.NewToken{Name: " ci ", Scope: account.ScopeRead, ExpiresAt: account.Never})
	if err != nil {
		t.Fatal(err)
	}
	if len(value) != len("hpat_")+40+6 || !strings.HasPrefix(value, "hpat_") || !tokenfmt.ChecksumOK(value) {
		t.Errorf("the value is %q", value)
	}
	sum := sha256.Sum256([]byte(value))
	if !bytes.Equal(token.Hash, sum[:]) || token.Last4 != value[len(value)-4:] || token.Name != "ci" {
		t.Errorf("the record is %+v", token)
	}
	who, err := h.AuthenticateToken(t.Context(), value)
	if err != nil {
		t.Fatal(err)
	}
	if who.User.ID != ada.User.ID || who.Scope != account.ScopeRead || who.TokenID != token.ID || who.Session != nil || who.Local() {
		t.Errorf("it signs in as %+v", who)
	}
	listed, total, err := h.Tokens(t.Context(), ada, 0, 10)
	if err != nil || total != 1 {
		t.Fatalf("%d tokens, %v", total, err)
	}
	if diff := cmp.Diff(token, listed[0]); diff != "" {
		t.Errorf("listed (-made +listed):\n%s", diff)
	}
}

func TestTokensThatAreNoneAreToldOffline(t *testing.T) {
	t.Parallel()
	h := setup(t)
	value, _ := h.token(t, h.root)
	h.store.away.Store(true)
	last := "0"
	if value[len(value)-1] == '0' {
		last = "1"
	}
	for _, bad := range []string{
		"", "hpat_", "sk-hly" + value[5:], value[:len(value)-1] + last, strings.ToLower(value[:20]) + "Zz" + value[22:], value + "0", value[:len(value)-1], " " + value,
		"hpat_" + strings.Repeat("é", 23), "hpat_" + strings.Repeat("x", 1<<20), "hpat_\x00" + value[6:],
	} {
		_, err := h.AuthenticateToken(t.Context(), bad)
		wantFault(t, fmt.Sprintf("%.60q", bad), err, fault.Unauthenticated, "invalid_access_token")
		if len(bad) > 20 && strings.Contains(err.Error(), bad[10:20]) {
			t.Errorf("the error repeats the value: %v", err)
		}
	}
	wellFormed := tokenfmt.New("hpat_", 40)
	_, err := h.AuthenticateToken(t.Context(), wellFormed)
	wantFault(t, "a well-formed one while the store is away", err, fault.Unavailable, "store_unavailable")
	h.store.away.Store(false)
	_, err = h.AuthenticateToken(t.Context(), wellFormed)
	wantFault(t, "a well-formed one that nobody has", err, fault.Unauthenticated, "invalid_access_token")
}

func TestTokensEnd(t *testing.T) {
	t.Parallel()
	h := setup(t)
	id := h.create(t, account.NewUser{Username: "ada"}).ID
	ada := h.signIn(t, "ada")

	short, _, err := h.CreateToken(t.Context(), ada, account.NewToken{Name: "short", Scope: account.ScopeFull, ExpiresAt: h.clock.now().Unix() + 60})
	if err != nil {
		t.Fatal(err)
	}
	h.clock.advance(59 * time.Second)
	if _, err := h.AuthenticateToken(t.Context(), short); err != nil {
		t.Errorf("a second before it expires: %v", err)
	}
	h.clock.advance(time.Second)
	_, err = h.AuthenticateToken(t.Context(), short)
	wantFault(t, "expired", err, fault.Unauthenticated, "token_expired")

	deleted, token := h.token(t, ada)
	if _, err := h.AuthenticateToken(t.Context(), deleted); err != nil {
		t.Fatal(err)
	}
	wantFault(t, "deleting somebody else's", h.DeleteToken(t.Context(), h.root, token.ID), fault.NotFound, "token_not_found")
	if _, err := h.AuthenticateToken(t.Context(), deleted); err != nil {
		t.Errorf("somebody else deleted it: %v", err)
	}
	if err := h.DeleteToken(t.Context(), ada, token.ID); err != nil {
		t.Fatal(err)
	}
	_, err = h.AuthenticateToken(t.Context(), deleted)
	wantFault(t, "deleted", err, fault.Unauthenticated, "invalid_access_token")
	wantFault(t, "deleting it again", h.DeleteToken(t.Context(), ada, token.ID), fault.NotFound, "token_not_found")

	value, _ := h.token(t, ada)
	for _, step := range []struct {
		status account.Status
		code   string
	}{{account.Disabled, "account_disabled"}, {account.Enabled, ""}} {
		if _, err := h.Update(t.Context(), h.root, id, account.Patch{Status: &step.status}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.AuthenticateToken(t.Context(), value); fault.Code(err) != step.code {
			t.Errorf("status %d: %v", step.status, err)
		}
	}
	if _, err := h.Update(t.Context(), h.root, id, account.Patch{Password: new("another password")}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.AuthenticateToken(t.Context(), value); err != nil {
		t.Errorf("a new password ended the token: %v", err)
	}
	if err := h.Delete(t.Context(), h.root, id); err != nil {
		t.Fatal(err)
	}
	_, err = h.AuthenticateToken(t.Context(), value)
	wantFault(t, "its owner deleted", err, fault.Unauthenticated, "invalid_access_token")
}

func TestATokenFollowsItsOwnersRole(t *testing.T) {
	t.Parallel()
	h := setup(t)
	value, _ := h.token(t, h.admin)
	for role, admin := range map[account.Role]bool{account.RoleUser: false, account.RoleAdmin: true} {
		if _, err := h.Update(t.Context(), h.root, h.admin.User.ID, account.Patch{Role: &role}); err != nil {
			t.Fatal(err)
		}
		who, err := h.AuthenticateToken(t.Context(), value)
		if err != nil || who.Admin() != admin {
			t.Errorf("as %s: %+v, %v", role, who, err)
		}
	}
}

func TestATokenDeletedOnAnotherNodeEndsHereWithinAMinute(t *testing.T) {
	t.Parallel()
	h := setup(t)
	value, token := h.token(t, h.root)
	if _, err := h.AuthenticateToken(t.Context(), value); err != nil {
		t.Fatal(err)
	}
	if err := account.NewService(h.config()).DeleteToken(t.Context(), h.root, token.ID); err != nil {
		t.Fatal(err)
	}
	h.clock.advance(time.Minute)
	_, err := h.AuthenticateToken(t.Context(), value)
	wantFault(t, "a minute later", err, fault.Unauthenticated, "invalid_access_token")
}

func TestKnownTokensWorkOnWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	h := setup(t)
	value, _ := h.token(t, h.root)
	if _, err := h.AuthenticateToken(t.Context(), value); err != nil {
		t.Fatal(err)
	}
	h.store.away.Store(true)
	h.clock.advance(2 * time.Minute)
	if _, err := h.AuthenticateToken(t.Context(), value); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestTokensThatCannotBeMade(t *testing.T) {
	t.Parallel()
	h := setup(t)
	now := h.clock.now().Unix()
	for _, tc := range []struct {
		name  string
		token account.NewToken
		code  string
	}{
		{"no name", account.NewToken{Scope: account.ScopeFull, ExpiresAt: -1}, "invalid_name"},
		{"a long name", account.NewToken{Name: strings.Repeat("x", 51), Scope: account.ScopeFull, ExpiresAt: -1}, "name_too_long"},
		{"a control character", account.NewToken{Name: "a\nb", Scope: account.ScopeFull, ExpiresAt: -1}, "invalid_name"},
		{"no scope", account.NewToken{Name: "ci", ExpiresAt: -1}, "invalid_scope"},
		{"another scope", account.NewToken{Name: "ci", Scope: "admin", ExpiresAt: -1}, "invalid_scope"},
		{"expiry 0", account.NewToken{Name: "ci", Scope: account.ScopeFull}, "invalid_expires_at"},
		{"expiry -2", account.NewToken{Name: "ci", Scope: account.ScopeFull, ExpiresAt: -2}, "invalid_expires_at"},
		{"expiry now", account.NewToken{Name: "ci", Scope: account.ScopeFull, ExpiresAt: now}, "invalid_expires_at"},
		{"expiry beyond all calendars", account.NewToken{Name: "ci", Scope: account.ScopeFull, ExpiresAt: 1 << 62}, "invalid_expires_at"},
	} {
		_, _, err := h.CreateToken(t.Context(), h.root, tc.token)
		wantFault(t, tc.name, err, fault.Invalid, tc.code)
	}
	for range 100 {
		h.token(t, h.root)
	}
	_, _, err := h.CreateToken(t.Context(), h.root, account.NewToken{Name: "one more", Scope: account.ScopeFull, ExpiresAt: -1})
	wantFault(t, "the 101st", err, fault.Conflict, "too_many_tokens")
}
