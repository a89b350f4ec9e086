package channel

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"strings"
)

// MaxCAPEM bounds a channel's extra certificates, in bytes.
const MaxCAPEM = 256 << 10

// Network is how a channel's upstream is reached when not directly; the zero
// Network is directly. It is what all channels with the same share.
type Network struct {
	Proxy Proxy
	CAPEM string // certificates that are trusted besides the system's
}

// Direct reports whether nothing is special.
func (n *Network) Direct() bool { return n.Proxy.URL == "" && n.CAPEM == "" }

// Proxy is an http, https or socks5 proxy. Its URL may hold credentials.
type Proxy struct {
	Sealed []byte
	URL    string // opened; empty in what a Store gives
}

// proxyAAD binds a sealed proxy URL to being one.
const proxyAAD = "channel proxy"

// Shown is the URL with credentials masked; empty when there is no proxy.
func (p Proxy) Shown() string {
	u, err := url.Parse(p.URL)
	if err != nil {
		return "***"
	}
	if u.User == nil {
		return p.URL
	}
	return u.Scheme + "://***@" + u.Host
}

// String and GoString keep the credentials out of whatever prints a channel.
func (p Proxy) String() string { return "proxy " + p.Shown() }

// GoString is String.
func (p Proxy) GoString() string { return p.String() }

// secrets are the words of the URL that must not be shown.
func (p Proxy) secrets() []string {
	u, err := url.Parse(p.URL)
	if err != nil || u.User == nil {
		return nil
	}
	words := []string{u.User.String(), u.User.Username()}
	if password, ok := u.User.Password(); ok {
		words = append(words, password)
	}
	return words
}

func (p Proxy) open(sealer Sealer) (Proxy, error) {
	if len(p.Sealed) == 0 {
		return p, nil
	}
	plain, err := sealer.Open(p.Sealed, []byte(proxyAAD))
	if err != nil {
		return p, fmt.Errorf("open the proxy's URL (is this the master key it was sealed with?): %w", err)
	}
	p.URL = string(plain)
	return p, nil
}

// applyNetwork sets what a change says of proxy and certificates. A proxy that
// is sent as it is shown is kept.
func (s *Service) applyNetwork(c *Channel, change Change) error {
	if change.ProxyURL != nil {
		text := strings.TrimSpace(*change.ProxyURL)
		switch {
		case text == "":
			c.Network.Proxy = Proxy{}
		case text == c.Network.Proxy.URL || text == c.Network.Proxy.Shown():
		default:
			if err := checkProxy(text, s.deps.Addresses); err != nil {
				return err
			}
			c.Network.Proxy = Proxy{URL: text, Sealed: s.deps.Sealer.Seal([]byte(text), []byte(proxyAAD))}
		}
	}
	if change.CAPEM != nil {
		c.Network.CAPEM = strings.TrimSpace(*change.CAPEM)
		return checkCA(c.Network.CAPEM)
	}
	return nil
}

func checkProxy(text string, policy AddressPolicy) error {
	u, err := checkURL(urlField{name: "proxy_url", code: "invalid_proxy_url", private: "private_proxy_url", schemes: []string{"http", "https", "socks5"}, credentials: true}, text, policy)
	if err != nil {
		return err
	}
	if u.Path != "" && u.Path != "/" {
		return invalid("proxy_url", "invalid_proxy_url", "proxy_url must end after host and port.")
	}
	if u.User.Username() == "***" {
		return invalid("proxy_url", "invalid_proxy_url", "proxy_url is not the one that is there; give its user name and password in full.")
	}
	return nil
}

// checkCA reads every certificate, so that a bad one is told when it is saved.
func checkCA(text string) error {
	const field, code = "ca_pem", "invalid_ca_pem"
	if len(text) > MaxCAPEM {
		return invalid(field, code, "ca_pem must be at most %d bytes.", MaxCAPEM)
	}
	for n, rest := 1, []byte(text); len(strings.TrimSpace(string(rest))) > 0; n++ {
		block, after := pem.Decode(rest)
		switch {
		case block == nil:
			return invalid(field, code, "ca_pem must be certificates in PEM (-----BEGIN CERTIFICATE-----…); what follows entry %d is none.", n-1)
		case block.Type != "CERTIFICATE":
			return invalid(field, code, "ca_pem must hold nothing but certificates; entry %d is a %s.", n, clip(block.Type))
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return invalid(field, code, "ca_pem: entry %d is not a certificate that can be read.", n)
		}
		rest = after
	}
	return nil
}

// checkKeysStay refuses a change that would show upstream keys which are kept to
// somebody new: whoever may edit a channel may not read its keys, and must not
// learn them by pointing the channel at a server of their own. Keys that are
// given again are known to whoever gives them.
func checkKeysStay(old, c *Channel, keys *[]string) error {
	if len(old.Credentials) == 0 {
		return nil
	}
	where := exposedTo(old, c)
	if where == "" {
		return nil
	}
	if keys == nil {
		return invalid("keys", "keys_required", "keys must be given again, in full: %s would get to see the upstream keys that are kept.", where)
	}
	for i, value := range *keys {
		value = strings.TrimSpace(value)
		if find(old.Credentials, func(o Credential) bool { return o.Last4 == value && o.Value != value }) >= 0 {
			return invalid("keys", "keys_required", "keys: entry %d must be given in full, as %s would get to see the upstream key that is kept.", i+1, where)
		}
	}
	return nil
}

// exposedTo names who would see the channel's keys that did not before; empty
// when nobody would.
func exposedTo(old, c *Channel) string {
	switch {
	case origin(old.BaseURL) != origin(c.BaseURL) && c.BaseURL != "":
		return "the new base_url " + origin(c.BaseURL)
	case origin(old.authority()) != origin(c.authority()) && old.hasEntraKeys():
		return "the new azure.authority " + origin(c.authority())
	case c.Network.Proxy.URL == "":
		return ""
	case c.Network.Proxy.URL == old.Network.Proxy.URL && c.Network.CAPEM == old.Network.CAPEM:
		return ""
	case strings.HasPrefix(c.BaseURL, "http://"), strings.HasPrefix(c.authority(), "http://") && old.hasEntraKeys():
		return "the proxy " + c.Network.Proxy.Shown() + " (the upstream is not reached by https)"
	case c.Network.CAPEM != "": // it may pose as the upstream
		return "the proxy " + c.Network.Proxy.Shown() + " (it may have a certificate of ca_pem)"
	}
	return ""
}
