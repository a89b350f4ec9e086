// Package clientip finds the address a request really came from. A forwarding
// header counts only when the peer is a trusted proxy; then the last address
// that is not itself a trusted proxy is the client's.
package clientip

import (
	"net/http"
	"net/netip"
	"strings"
)

// Resolver knows the trusted proxies. The zero value trusts nobody.
type Resolver struct{ trusted []netip.Prefix }

// New makes a resolver that trusts the given networks.
func New(trusted []netip.Prefix) *Resolver { return &Resolver{trusted: trusted} }

// Of is the client's address: IPv4-mapped IPv6 as IPv4, without a zone. The
// result is invalid when the peer has no IP address, as on a Unix socket, or
// when a trusted proxy passed on something that is not an address.
func (v *Resolver) Of(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := plain(peer.Addr())
	if len(v.trusted) == 0 || !v.isTrusted(addr) {
		return addr
	}
	// The headers of one name are one list; the nearest proxy wrote the end.
	hops := r.Header["X-Forwarded-For"]
	for i := len(hops) - 1; i >= 0; i-- {
		rest := hops[i]
		for rest != "" {
			var hop string
			if cut := strings.LastIndexByte(rest, ','); cut >= 0 {
				rest, hop = rest[:cut], rest[cut+1:]
			} else {
				rest, hop = "", rest
			}
			hop = strings.TrimSpace(hop)
			if hop == "" {
				continue
			}
			next, ok := parseHop(hop)
			if !ok {
				return netip.Addr{}
			}
			addr = next
			if !v.isTrusted(addr) {
				return addr
			}
		}
	}
	return addr
}

func (v *Resolver) isTrusted(a netip.Addr) bool {
	for _, p := range v.trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// parseHop reads "1.2.3.4", "1.2.3.4:567", "::1" and "[::1]:567".
func parseHop(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return plain(a), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return plain(ap.Addr()), true
	}
	return netip.Addr{}, false
}

func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
