package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// redacted stands for a secret wherever one would be printed.
const redacted = "[redacted]"

// Secret is a text that never shows itself: printed, logged or marshaled it is
// "[redacted]", or "" when it is empty. Reveal gives the text.
type Secret string

// Reveal gives the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret from fmt.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML hides the secret from YAML.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

func (s *Secret) parse(text string) error {
	*s = Secret(text)
	return nil
}

// DatabaseURL is where the database is. It shows itself without its password.
type DatabaseURL string

// Reveal gives the URL with its password.
func (u DatabaseURL) Reveal() string { return string(u) }

// String gives the URL without what may be a password.
func (u DatabaseURL) String() string {
	if strings.HasPrefix(string(u), "sqlite:") || u == "" {
		return string(u)
	}
	parsed, err := url.Parse(string(u))
	if err != nil {
		return redacted
	}
	query := parsed.Query()
	for name := range query {
		if strings.Contains(strings.ToLower(name), "password") {
			query.Set(name, "xxxxx")
		}
	}
	parsed.RawQuery = query.Encode()
	return parsed.Redacted()
}

// GoString keeps the password from %#v.
func (u DatabaseURL) GoString() string { return strconv.Quote(u.String()) }

// LogValue keeps the password from slog.
func (u DatabaseURL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText keeps the password from JSON.
func (u DatabaseURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// MarshalYAML keeps the password from YAML.
func (u DatabaseURL) MarshalYAML() (any, error) { return u.String(), nil }

func (u *DatabaseURL) parse(text string) error {
	*u = DatabaseURL(text)
	return nil
}

// Size is a number of bytes.
type Size int64

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}}

// String is the size in the largest unit that gives a whole number.
func (s Size) String() string {
	for _, unit := range []string{"GiB", "MiB", "KiB"} {
		for _, u := range sizeUnits {
			if u.suffix == unit && s != 0 && int64(s)%u.bytes == 0 {
				return strconv.FormatInt(int64(s)/u.bytes, 10) + unit
			}
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

func (s *Size) parse(text string) error {
	bytes := int64(1)
	for _, u := range sizeUnits {
		if number, ok := strings.CutSuffix(text, u.suffix); ok {
			text, bytes = strings.TrimSpace(number), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/bytes {
		return errors.New("must be a number of bytes such as 67108864 or 64MiB")
	}
	*s = Size(n * bytes)
	return nil
}

// Prefixes is a list of networks, host bits masked. A single address is a
// network of one.
type Prefixes []netip.Prefix

func (p *Prefixes) parse(text string) error { return p.parseList(split(text)) }

func (p *Prefixes) parseList(items []string) error {
	list := make(Prefixes, 0, len(items))
	for _, item := range items {
		prefix, err := parsePrefix(item)
		if err != nil {
			return err
		}
		list = append(list, prefix)
	}
	*p = list
	return nil
}

// String lists the networks separated by commas.
func (p Prefixes) String() string {
	texts := make([]string, len(p))
	for i, prefix := range p {
		texts[i] = prefix.String()
	}
	return strings.Join(texts, ",")
}

func parsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither an IP address nor a network such as 10.0.0.0/8", text)
	}
	if addr := prefix.Addr(); addr.Is4In6() {
		if prefix.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("%q reaches beyond the IPv4-mapped addresses", text)
		}
		prefix = netip.PrefixFrom(addr.Unmap(), prefix.Bits()-96)
	}
	return prefix.Masked(), nil
}

// Upstreams says which private addresses may be called.
type Upstreams struct {
	All  bool     // every one
	Nets Prefixes // these, when not All
}

func (u *Upstreams) parse(text string) error {
	if all, err := parseBool(text); err == nil {
		*u = Upstreams{All: all}
		return nil
	}
	return u.parseList(split(text))
}

func (u *Upstreams) parseList(items []string) error {
	var nets Prefixes
	if err := nets.parseList(items); err != nil {
		return fmt.Errorf("must be true, false or networks: %w", err)
	}
	*u = Upstreams{Nets: nets}
	return nil
}

// String is "true", "false" or the networks.
func (u Upstreams) String() string {
	if len(u.Nets) > 0 {
		return u.Nets.String()
	}
	return strconv.FormatBool(u.All)
}

// Origins is a list of web origins as browsers write them
// ("https://chat.example.com"), or "*" alone.
type Origins []string

func (o *Origins) parse(text string) error { return o.parseList(split(text)) }

func (o *Origins) parseList(items []string) error {
	if slices.Contains(items, "*") && len(items) > 1 {
		return errors.New(`"*" stands alone`)
	}
	for _, item := range items {
		if item == "*" {
			continue
		}
		u, err := url.Parse(item)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || item != u.Scheme+"://"+strings.ToLower(u.Host) {
			return fmt.Errorf("%q is not an origin such as https://chat.example.com (lower case, no path, no slash at the end)", item)
		}
	}
	*o = items
	return nil
}

// split reads a list from one text: commas and white space separate.
func split(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' })
}

func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "1", "yes", "on":
		return true, nil
	case "false", "0", "no", "off":
		return false, nil
	}
	return false, errors.New("must be true or false")
}
