package account

import (
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"halley/internal/budget"
	"halley/internal/fault"
)

const (
	maxUsername    = 64  // characters
	maxDisplayName = 64  // characters
	maxEmail       = 254 // bytes, what SMTP can carry
	minPassword    = 8   // characters
	maxPassword    = 128 // bytes
	maxTokenName   = 50  // characters
	maxLanguage    = 35  // bytes, the longest that RFC 5646 asks software to take
)

// Fold is the form of a username under which it is unique: case does not count.
func Fold(username string) string { return strings.ToLower(strings.ToUpper(username)) }

// checkUsername wants 1 to 64 letters, digits, dots, underscores, hyphens and
// at signs, so that a name fits in URLs, logs and command lines as it is.
func checkUsername(name string) error {
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-@", r) {
			return fault.New(fault.Invalid, "invalid_username", "username may have letters, digits and . _ - @ only.").Field("username")
		}
	}
	switch {
	case name == "":
		return fault.New(fault.Invalid, "invalid_username", "username must not be empty.").Field("username")
	case utf8.RuneCountInString(name) > maxUsername:
		return fault.New(fault.Invalid, "username_too_long", "username must have at most %d characters.", maxUsername).Field("username")
	case !utf8.ValidString(name):
		return fault.New(fault.Invalid, "invalid_username", "username must be UTF-8 text.").Field("username")
	}
	return nil
}

// checkPassword wants 8 characters to 128 bytes that are not all blank. It
// asks for no mix of characters: length is what helps.
func checkPassword(password string) error {
	switch {
	case strings.TrimSpace(password) == "":
		return fault.New(fault.Invalid, "invalid_password", "password must not be empty or blank.").Field("password")
	case utf8.RuneCountInString(password) < minPassword:
		return fault.New(fault.Invalid, "password_too_short", "password must have at least %d characters.", minPassword).Field("password")
	case len(password) > maxPassword:
		return fault.New(fault.Invalid, "password_too_long", "password must have at most %d bytes.", maxPassword).Field("password")
	}
	return nil
}

// cleanDisplayName trims; empty means there is none.
func cleanDisplayName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if utf8.RuneCountInString(name) > maxDisplayName {
		return "", fault.New(fault.Invalid, "display_name_too_long", "display_name must have at most %d characters.", maxDisplayName).Field("display_name")
	}
	if !printable(name) {
		return "", fault.New(fault.Invalid, "invalid_display_name", "display_name must not have control characters.").Field("display_name")
	}
	return name, nil
}

// cleanEmail trims; empty means there is none. What is checked is the form, not
// that mail arrives.
func cleanEmail(email string) (string, error) {
	email = strings.TrimSpace(email)
	if email == "" {
		return "", nil
	}
	parsed, err := mail.ParseAddress(email)
	if err != nil || parsed.Address != email || len(email) > maxEmail || !printable(email) {
		return "", fault.New(fault.Invalid, "invalid_email", "email must be one address, such as ada@example.com.").Field("email")
	}
	return email, nil
}

// checkTimeZone wants an IANA name; empty is UTC. "Local" is the machine's, not
// the user's.
func checkTimeZone(name string) error {
	if name == "" {
		return nil
	}
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		return fault.New(fault.Invalid, "invalid_time_zone", "time_zone must be an IANA name, such as Europe/Berlin.").Field("time_zone")
	}
	return nil
}

// checkLanguage wants the form of a language tag such as "en" or "pt-BR"; empty
// leaves the choice to the browser.
func checkLanguage(tag string) error {
	if tag == "" {
		return nil
	}
	bad := fault.New(fault.Invalid, "invalid_language", "language must be a language tag, such as en or pt-BR.").Field("language")
	if len(tag) > maxLanguage {
		return bad
	}
	for i, part := range strings.Split(tag, "-") {
		if part == "" || len(part) > 8 || (i == 0 && len(part) < 2) {
			return bad
		}
		for _, c := range []byte(part) {
			letter := c|0x20 >= 'a' && c|0x20 <= 'z'
			digit := c >= '0' && c <= '9'
			if !letter && (i == 0 || !digit) {
				return bad
			}
		}
	}
	return nil
}

func checkStatus(s Status) error {
	if s != Enabled && s != Disabled {
		return fault.New(fault.Invalid, "invalid_status", "status must be 1 (enabled) or 2 (disabled).").Field("status")
	}
	return nil
}

// checkRole wants one of the allowed roles.
func checkRole(r Role, allowed ...Role) error {
	words := make([]string, 0, len(allowed))
	for _, ok := range allowed {
		if r == ok {
			return nil
		}
		words = append(words, string(ok))
	}
	return fault.New(fault.Invalid, "invalid_role", "role must be %s.", strings.Join(words, " or ")).Field("role")
}

// checkQuota wants units that a new account can be granted.
func checkQuota(units int64) error {
	if _, err := budget.SetRemaining(units)(budget.Balance{}); err != nil {
		return fault.From(err).Field("quota")
	}
	return nil
}

// cleanTokenName trims a personal access token's name.
func cleanTokenName(name string) (string, error) {
	name = strings.TrimSpace(name)
	switch {
	case name == "":
		return "", fault.New(fault.Invalid, "invalid_name", "name must not be empty.").Field("name")
	case utf8.RuneCountInString(name) > maxTokenName:
		return "", fault.New(fault.Invalid, "name_too_long", "name must have at most %d characters.", maxTokenName).Field("name")
	case !printable(name):
		return "", fault.New(fault.Invalid, "invalid_name", "name must not have control characters.").Field("name")
	}
	return name, nil
}

// printable refuses control characters and those that turn text around, with
// which one name can be shown as another.
func printable(s string) bool {
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return false
		}
	}
	return utf8.ValidString(s)
}
