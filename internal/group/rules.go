package group

import (
	"strings"

	"halley/internal/fault"
	"halley/internal/money"
)

// Auto is the name that stands for automatic routing and so is never a group.
const Auto = "auto"

// The bounds of a group's fields.
const (
	MaxName = 64  // characters
	MaxDesc = 500 // characters
)

// NotFound is the fault of a group that does not exist.
func NotFound(name string) *fault.Error {
	return fault.New(fault.NotFound, "group_not_found", "There is no group %q.", name).Field("name")
}

// CheckName tells whether name may be a group's: 1 to 64 ASCII letters, digits,
// dots, underscores and hyphens, and not "auto". A name of dots alone could not
// stand in a URL path.
func CheckName(name string) error {
	switch {
	case name == "":
		return fault.New(fault.Invalid, "name_required", "name must not be empty.").Field("name")
	case !wellFormed(name):
		return fault.New(fault.Invalid, "invalid_name", "name must be 1 to %d letters, digits, dots, underscores or hyphens, and not dots alone.", MaxName).Field("name")
	case strings.EqualFold(name, Auto):
		return fault.New(fault.Invalid, "invalid_name", "name must not be %q: that stands for automatic routing.", name).Field("name")
	}
	return nil
}

func wellFormed(name string) bool {
	if len(name) == 0 || len(name) > MaxName || strings.Trim(name, ".") == "" {
		return false
	}
	for _, c := range []byte(name) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		digit := '0' <= c && c <= '9'
		if !letter && !digit && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

func checkDesc(desc string) error {
	if n := len([]rune(desc)); n > MaxDesc {
		return fault.New(fault.Invalid, "desc_too_long", "desc must be at most %d characters, it has %d.", MaxDesc, n).Field("desc")
	}
	for _, r := range desc {
		if (r < 0x20 && r != '\n' && r != '\t') || r == 0x7f || (0x80 <= r && r < 0xa0) {
			return fault.New(fault.Invalid, "invalid_desc", "desc must not contain control characters.").Field("desc")
		}
	}
	return nil
}

func parseRatio(text string) (money.Ratio, error) {
	if strings.TrimSpace(text) == "" {
		return 0, fault.New(fault.Invalid, "invalid_ratio", "ratio must not be empty.").Field("ratio")
	}
	ratio, err := money.ParseRatio(text)
	if err != nil {
		return 0, fault.New(fault.Invalid, "invalid_ratio", "ratio must be a decimal number from 0 to 1000000 with at most 6 places, as a string such as \"1.25\": %s.", err).Field("ratio")
	}
	return ratio, nil
}
