package key

import (
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"halley/internal/budget"
	"halley/internal/fault"
	"halley/internal/limit"
	"halley/internal/money"
)

// The bounds of a record's fields.
const (
	MaxName        = 50       // characters
	MaxModelLimits = 64 << 10 // bytes, all together
	MaxAllowIPs    = 1000
	// MaxExpiresAt is the last second of the year 9999.
	MaxExpiresAt int64 = 253402300799
)

// Patch is what a create or an update sets; nil members are left as they are
// (on create: at their defaults).
type Patch struct {
	Name               *string
	Status             *Status
	ExpiresAt          *int64 // Unix seconds or Never
	RemainQuota        *int64 // quota units
	Unlimited          *bool
	ModelLimitsEnabled *bool
	ModelLimits        *string // comma-separated
	AllowIPs           *string // separated by line breaks, commas or blanks
	Group              *string
	CrossGroupRetry    *bool
	Limits             *LimitsPatch

	// Cause is who asks for it, for the rows of what it grants.
	Cause budget.Cause
}

// judge is what the rules need to know beside the fields.
type judge struct {
	now      time.Time
	creating bool
	zone     string                  // of the owner
	usable   func(group string) bool // may the owner use it?
	parent   *Key                    // nil for a key that none issued
}

// apply gives k changed and checked. Of the quota it checks only the bounds;
// moving it is the ledger's business. What a patch leaves as it was is not
// judged again: a group that the owner has lost since must not make every
// update fail.
func (p Patch) apply(k Key, j judge) (Key, error) {
	before := k
	var err error
	keep := func(e error) {
		if err == nil {
			err = e
		}
	}
	if p.Name != nil || j.creating {
		name, e := checkName(deref(p.Name))
		k.Name = name
		keep(e)
	}
	if p.Status != nil {
		k.Status = *p.Status
		keep(checkStatus(k.Status))
	}
	if p.ExpiresAt != nil && (j.creating || *p.ExpiresAt != k.ExpiresAt) {
		k.ExpiresAt = *p.ExpiresAt
		keep(checkExpiry(k.ExpiresAt, j))
	}
	if p.RemainQuota != nil {
		keep(checkQuota(*p.RemainQuota))
	}
	if p.Unlimited != nil {
		k.Unlimited = *p.Unlimited
	}
	if p.ModelLimits != nil {
		models, e := parseModels(*p.ModelLimits)
		k.Models = models
		keep(e)
	}
	if p.ModelLimitsEnabled != nil {
		k.ModelLimitsEnabled = *p.ModelLimitsEnabled
	}
	if k.ModelLimitsEnabled && len(k.Models) == 0 {
		keep(fault.New(fault.Invalid, "invalid_model_limits", "model_limits must name at least one model when model_limits_enabled is true.").Field("model_limits"))
	}
	if p.AllowIPs != nil {
		addresses, e := parseAddresses(*p.AllowIPs)
		k.AllowIPs = addresses
		keep(e)
	}
	if p.Group != nil {
		k.Group = *p.Group
	}
	if j.creating || k.Group != before.Group {
		keep(checkGroup("group", k.Group, true, j))
	}
	if p.CrossGroupRetry != nil {
		k.CrossGroupRetry = *p.CrossGroupRetry
	}
	if p.Limits != nil {
		limits, e := p.Limits.apply(k.Limits, j)
		k.Limits = limits
		keep(e)
	}
	if j.parent != nil {
		keep(checkNarrows(&before, &k, j.parent))
	}
	k.rules = nil
	return k, err
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func invalid(field, code, format string, args ...any) error {
	return fault.New(fault.Invalid, code, format, args...).Field(field)
}

func checkName(name string) (string, error) {
	name = strings.TrimSpace(name)
	switch n := utf8.RuneCountInString(name); {
	case name == "":
		return "", invalid("name", "name_required", "name must not be empty.")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, fault.Unprintable):
		return "", invalid("name", "name_invalid", "name must not contain control characters.")
	case n > MaxName:
		return "", invalid("name", "name_too_long", "name must have at most %d characters, it has %d.", MaxName, n)
	}
	return name, nil
}

// Fold is a name as searches compare it.
func Fold(name string) string { return strings.ToLower(name) }

func checkStatus(s Status) error {
	if s < Enabled || s > Exhausted {
		return invalid("status", "invalid_status", "status must be 1 (enabled), 2 (disabled), 3 (expired) or 4 (exhausted).")
	}
	return nil
}

func checkExpiry(at int64, j judge) error {
	const field, code = "expired_time", "invalid_expired_time"
	switch {
	case at == Never:
		return nil
	case at <= 0:
		return invalid(field, code, "expired_time must be a time in Unix seconds, or -1 for a key that never expires.")
	case at > MaxExpiresAt:
		return invalid(field, code, "expired_time must be at most %d (the end of the year 9999; it counts seconds, not milliseconds), or -1 for a key that never expires.", MaxExpiresAt)
	case j.creating && at <= j.now.Unix():
		return invalid(field, code, "expired_time must not be in the past; use -1 for a key that never expires.")
	}
	return nil
}

func checkQuota(units int64) error {
	if units < 0 || units > money.MaxUnits {
		return invalid("remain_quota", "invalid_remain_quota", "remain_quota must be from 0 to %d quota units.", money.MaxUnits)
	}
	return nil
}

// parseModels reads a comma-separated list: trimmed, without doubles, in order.
func parseModels(text string) ([]string, error) {
	const field, code = "model_limits", "invalid_model_limits"
	if len(text) > MaxModelLimits {
		return nil, invalid(field, code, "model_limits must be at most %d bytes, it is %d.", MaxModelLimits, len(text))
	}
	var models []string
	seen := map[string]bool{}
	for m := range strings.SplitSeq(text, ",") {
		m = strings.TrimSpace(m)
		if m == "" || seen[m] {
			continue
		}
		if why := limit.PatternFault(m); why != "" {
			return nil, invalid(field, code, "model_limits: %s %s.", fault.Quote(m), why)
		}
		seen[m] = true
		models = append(models, m)
	}
	return models, nil
}

// parseAddresses reads addresses and networks separated by line breaks, commas
// or blanks: canonical, without doubles, in order.
func parseAddresses(text string) ([]netip.Prefix, error) {
	const field = "allow_ips"
	var list []netip.Prefix
	seen := map[netip.Prefix]bool{}
	for entry := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		p, why := parseAddress(entry)
		if why != "" {
			return nil, invalid(field, "invalid_ip", "allow_ips: %s %s.", fault.Quote(entry), why)
		}
		if seen[p] {
			continue
		}
		if len(list) == MaxAllowIPs {
			return nil, invalid(field, "too_many_ips", "allow_ips must have at most %d entries.", MaxAllowIPs)
		}
		seen[p] = true
		list = append(list, p)
	}
	return list, nil
}

// parseAddress reads one address or network: host bits masked, IPv4-mapped IPv6
// as IPv4. The second result says what is wrong with it, "" when nothing.
func parseAddress(entry string) (netip.Prefix, string) {
	const neither = "is neither an IP address nor a network such as 10.0.0.0/8"
	if strings.Contains(entry, "%") {
		return netip.Prefix{}, "has a zone, which means nothing here"
	}
	if !strings.Contains(entry, "/") {
		a, err := netip.ParseAddr(entry)
		if err != nil {
			return netip.Prefix{}, neither
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), ""
	}
	p, err := netip.ParsePrefix(entry)
	if err != nil {
		return netip.Prefix{}, neither
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, "covers more than the IPv4 addresses it is written with"
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), ""
}

// FormatAddresses writes a list as allow_ips shows it: one entry per line,
// single addresses without a length.
func FormatAddresses(list []netip.Prefix) string {
	var b strings.Builder
	for i, p := range list {
		if i > 0 {
			b.WriteByte('\n')
		}
		if p.IsSingleIP() {
			b.WriteString(p.Addr().String())
		} else {
			b.WriteString(p.String())
		}
	}
	return b.String()
}

// checkGroup refuses a group that the owner may not use. own allows the owner's
// own ("") and automatic routing.
func checkGroup(field, name string, own bool, j judge) error {
	if own && (name == "" || name == GroupAuto) {
		return nil
	}
	if !j.usable(name) {
		return invalid(field, "invalid_group", "%s: there is no group %s that the owner of this key may use.", field, fault.Quote(name))
	}
	return nil
}

// same reports whether an update from a to b has nothing to write, money aside.
func same(a, b *Key) bool {
	return a.Name == b.Name && a.Status == b.Status && a.ExpiresAt == b.ExpiresAt && a.Unlimited == b.Unlimited &&
		a.ModelLimitsEnabled == b.ModelLimitsEnabled && slices.Equal(a.Models, b.Models) && slices.Equal(a.AllowIPs, b.AllowIPs) &&
		a.Group == b.Group && a.CrossGroupRetry == b.CrossGroupRetry && sameLimits(a.Limits, b.Limits)
}
