package account

import (
	"strings"
	"testing"

	"halley/internal/fault"
)

func TestUsernames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "ada", "Ada.Lovelace", "ada_l-1", "ada@example.com", "josé", "日本", strings.Repeat("é", 64)} {
		if err := checkUsername(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", " ", " ada", "ada ", "a b", "a/b", "a\x00b", "a\nb", "😀", "a%b", "a,b", "a:b", `a"b`, "e\u0301", "\u202eada", "\xff", strings.Repeat("a", 65)} {
		err := checkUsername(name)
		if !fault.Is(err, fault.Invalid) || fault.From(err).Param != "username" {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestFoldedUsernamesIgnoreCase(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{{"ada", "ADA"}, {"josé", "JOSÉ"}, {"kelvin", "\u212aelvin"}, {"sun", "\u017fun"}} {
		if Fold(pair[0]) != Fold(pair[1]) {
			t.Errorf("%q and %q are two names", pair[0], pair[1])
		}
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"12345678", "pässwörd", "correct horse battery staple", "😀😀😀😀😀😀😀😀", strings.Repeat("x", 128)} {
		if err := checkPassword(password); err != nil {
			t.Errorf("%q: %v", password, err)
		}
	}
	for password, code := range map[string]string{
		"": "invalid_password", "          ": "invalid_password", "1234567": "password_too_short", "😀😀😀": "password_too_short",
		strings.Repeat("x", 129): "password_too_long", strings.Repeat("😀", 33): "password_too_long",
	} {
		err := checkPassword(password)
		if fault.Code(err) != code || fault.From(err).Param != "password" {
			t.Errorf("%q: %v (%s), want %s", password, err, fault.Code(err), code)
		}
		if password != "" && strings.TrimSpace(password) != "" && strings.Contains(err.Error(), password) {
			t.Errorf("the error repeats the password")
		}
	}
}

func TestContactFields(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		clean func(string) (string, error)
		text  string
		want  string // "!" for refused
	}{
		{"no e-mail", cleanEmail, "", ""},
		{"an e-mail", cleanEmail, " ada@example.com ", "ada@example.com"},
		{"an e-mail with a name", cleanEmail, "Ada <ada@example.com>", "!"},
		{"two e-mails", cleanEmail, "ada@example.com, b@example.com", "!"},
		{"no at sign", cleanEmail, "ada", "!"},
		{"a line break", cleanEmail, "ada@example.com\nBcc: x@example.com", "!"},
		{"an e-mail too long", cleanEmail, strings.Repeat("a", 250) + "@example.com", "!"},
		{"a display name", cleanDisplayName, "  Ada 😀 Lovelace ", "Ada 😀 Lovelace"},
		{"a long display name", cleanDisplayName, strings.Repeat("é", 64), strings.Repeat("é", 64)},
		{"a display name too long", cleanDisplayName, strings.Repeat("é", 65), "!"},
		{"a control character", cleanDisplayName, "a\x07b", "!"},
		{"a name turned around", cleanDisplayName, "a\u202eb", "!"},
		{"a token's name", cleanTokenName, " ci ", "ci"},
		{"a long token's name", cleanTokenName, strings.Repeat("é", 50), strings.Repeat("é", 50)},
		{"a token's name too long", cleanTokenName, strings.Repeat("é", 51), "!"},
		{"a blank token's name", cleanTokenName, " \t ", "!"},
	} {
		got, err := tc.clean(tc.text)
		switch {
		case tc.want == "!" && !fault.Is(err, fault.Invalid):
			t.Errorf("%s: %q, %v, want it refused", tc.name, got, err)
		case tc.want != "!" && (err != nil || got != tc.want):
			t.Errorf("%s: %q, %v, want %q", tc.name, got, err, tc.want)
		}
	}
}

func TestTimeZonesAndLanguages(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"", "UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"} {
		if err := checkTimeZone(zone); err != nil {
			t.Errorf("%q: %v", zone, err)
		}
	}
	for _, zone := range []string{"Local", "Mars/Olympus", "../../etc/passwd", "+02:00", " "} {
		if err := checkTimeZone(zone); fault.Code(err) != "invalid_time_zone" {
			t.Errorf("%q: %v", zone, err)
		}
	}
	for _, tag := range []string{"", "en", "pt-BR", "zh-Hans-CN", "de-1996"} {
		if err := checkLanguage(tag); err != nil {
			t.Errorf("%q: %v", tag, err)
		}
	}
	for _, tag := range []string{"e", "en_US", "en-", "-en", "<script>", "12", "en-toolongpart", strings.Repeat("en-", 20) + "en"} {
		if err := checkLanguage(tag); fault.Code(err) != "invalid_language" {
			t.Errorf("%q: %v", tag, err)
		}
	}
}
