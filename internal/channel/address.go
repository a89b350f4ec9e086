package channel

import (
	"fmt"
	"net/netip"
	"strings"
)

// AddressPolicy decides which addresses an upstream may have. The zero policy
// refuses everything that is not a public unicast address, so that a channel
// cannot be pointed at the machine itself, its network or a cloud's metadata
// service. The dialer asks it about every address it is about to connect to;
// judging names beforehand would only invite DNS tricks.
type AddressPolicy struct {
	AllowAll bool
	Allow    []netip.Prefix // private networks that are allowed
}

// Allowed reports whether a channel may be at the address.
func (p AddressPolicy) Allowed(addr netip.Addr) bool {
	if !addr.IsValid() {
		return false
	}
	if p.AllowAll {
		return true
	}
	// Prefixes contain no address with a zone.
	addr = addr.Unmap().WithZone("")
	target, embedded := embeddedIPv4(addr)
	if !embedded {
		target = addr
	}
	for _, prefix := range p.Allow {
		if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
		if prefix.Contains(addr) || prefix.Contains(target) {
			return true
		}
	}
	return public(addr) && public(target)
}

// public reports whether packets to the address leave for the internet.
func public(addr netip.Addr) bool {
	for _, prefix := range privatePrefixes {
		if prefix.Contains(addr) {
			return false
		}
	}
	return true
}

// privatePrefixes are the ranges that stay near (RFC 6890 and its successors)
// and addresses where clouds serve metadata outside of those. Never written to.
var privatePrefixes = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),        // this network, unspecified
	netip.MustParsePrefix("10.0.0.0/8"),       // private
	netip.MustParsePrefix("100.64.0.0/10"),    // carrier NAT; Alibaba's metadata
	netip.MustParsePrefix("127.0.0.0/8"),      // loopback
	netip.MustParsePrefix("168.63.129.16/32"), // Azure's host agent
	netip.MustParsePrefix("169.254.0.0/16"),   // link-local; metadata of most clouds
	netip.MustParsePrefix("172.16.0.0/12"),    // private
	netip.MustParsePrefix("192.0.0.0/24"),     // protocol assignments; Oracle's metadata
	netip.MustParsePrefix("192.168.0.0/16"),   // private
	netip.MustParsePrefix("224.0.0.0/4"),      // multicast
	netip.MustParsePrefix("240.0.0.0/4"),      // reserved, broadcast
	netip.MustParsePrefix("::/127"),           // unspecified, loopback
	netip.MustParsePrefix("64:ff9b:1::/48"),   // NAT64 of local use
	netip.MustParsePrefix("fc00::/7"),         // unique local; metadata of AWS
	netip.MustParsePrefix("fe80::/10"),        // link-local
	netip.MustParsePrefix("fec0::/10"),        // site-local
	netip.MustParsePrefix("ff00::/8"),         // multicast
}

// embeddedIPv4 is the IPv4 address that a translator or tunnel would take out of
// an IPv6 one: NAT64 (64:ff9b::/96), IPv4-compatible (::/96), IPv4-translated
// (::ffff:0:0:0/96) and 6to4 (2002::/16).
func embeddedIPv4(addr netip.Addr) (netip.Addr, bool) {
	if !addr.Is6() {
		return netip.Addr{}, false
	}
	b := addr.As16()
	last := netip.AddrFrom4([4]byte(b[12:16]))
	switch {
	case [12]byte(b[:12]) == [12]byte{0x00, 0x64, 0xff, 0x9b}:
		return last, true
	case [12]byte(b[:12]) == [12]byte{}, [12]byte(b[:12]) == [12]byte{8: 0xff, 9: 0xff}:
		return last, true
	case b[0] == 0x20 && b[1] == 0x02:
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}

// literalAddr is the address that a URL's host is written as; false for names.
// Besides the usual forms it knows the old ones of IPv4 that resolvers still
// take: fewer parts, octal and hexadecimal ("127.1", "0x7f000001"). A host that
// looks like one of those but is none is an error.
func literalAddr(host string) (addr netip.Addr, literal bool, err error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr, true, nil
	}
	host = strings.TrimSuffix(host, ".")
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr, true, nil
	}
	parts := strings.Split(host, ".")
	if !looksNumeric(parts[len(parts)-1]) {
		return netip.Addr{}, false, nil
	}
	addr, ok := oldIPv4(parts)
	if !ok {
		return netip.Addr{}, false, fmt.Errorf("%q is neither a host name nor an address", host)
	}
	return addr, true, nil
}

func looksNumeric(part string) bool {
	if len(part) > 1 && (strings.HasPrefix(part, "0x") || strings.HasPrefix(part, "0X")) {
		part = part[2:]
		return strings.Trim(part, "0123456789abcdefABCDEF") == ""
	}
	return part != "" && strings.Trim(part, "0123456789") == ""
}

// oldIPv4 reads an IPv4 address of one to four parts as inet_aton does: the last
// part fills the bytes that are left.
func oldIPv4(parts []string) (netip.Addr, bool) {
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var value uint64
	for i, part := range parts {
		n, ok := oldNumber(part)
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (5 - len(parts))
		}
		if !ok || n >= 1<<bits {
			return netip.Addr{}, false
		}
		value = value<<bits | n
	}
	return netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}), true
}

// oldNumber reads decimal, octal (leading 0) and hexadecimal (leading 0x).
func oldNumber(part string) (uint64, bool) {
	base := uint64(10)
	switch {
	case len(part) > 1 && (strings.HasPrefix(part, "0x") || strings.HasPrefix(part, "0X")):
		base, part = 16, part[2:]
	case len(part) > 1 && part[0] == '0':
		base, part = 8, part[1:]
	case part == "":
		return 0, false
	}
	var n uint64
	for _, c := range []byte(strings.ToLower(part)) {
		digit := uint64(strings.IndexByte("0123456789abcdef", c))
		if digit >= base || n > 1<<32 {
			return 0, false
		}
		n = n*base + digit
	}
	return n, true
}

// localName reports whether a host name means this machine by convention.
func localName(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	switch host {
	case "localhost", "localhost.localdomain", "localhost6", "localhost6.localdomain6", "ip6-localhost", "ip6-loopback":
		return true
	}
	return strings.HasSuffix(host, ".localhost")
}

// AllowedHost reports whether a channel may be at a host as it is written: an
// address in any of its spellings, or a name. Of names only those are refused
// that mean this machine; what others resolve to is for Allowed to judge.
func (p AddressPolicy) AllowedHost(host string) bool {
	addr, literal, err := literalAddr(host)
	switch {
	case err != nil:
		return false
	case literal:
		return p.Allowed(addr)
	case localName(host):
		return p.allowsLocalhost()
	}
	return host != ""
}

// allowsLocalhost reports whether this machine may be an upstream.
func (p AddressPolicy) allowsLocalhost() bool {
	return p.Allowed(netip.AddrFrom4([4]byte{127, 0, 0, 1})) || p.Allowed(netip.IPv6Loopback())
}
