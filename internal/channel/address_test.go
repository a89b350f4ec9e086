package channel

import (
	"net/netip"
	"testing"
)

func TestPrivateAddressesAreRefusedInEveryForm(t *testing.T) {
	t.Parallel()
	refused := []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.0.9",
		"168.63.129.16", "169.254.169.254", "169.254.0.1", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.168.1.1",
		"224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1",
		"::", "::1", "::127.0.0.1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fc00::1", "fdff::1", "fec0::1", "ff02::1",
		"::ffff:127.0.0.1", "::ffff:10.1.2.3", "::ffff:169.254.169.254", "::ffff:127.0.0.1%lo",
		"::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:c0a8:101::1",
	}
	for _, text := range refused {
		if (AddressPolicy{}).Allowed(netip.MustParseAddr(text)) {
			t.Errorf("%s is allowed", text)
		}
		if !(AddressPolicy{AllowAll: true}).Allowed(netip.MustParseAddr(text)) {
			t.Errorf("%s is refused although all are allowed", text)
		}
	}
	for _, text := range []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "128.0.0.1", "168.63.129.17",
		"169.253.255.255", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "223.255.255.255",
		"2606:4700::1111", "2001:4860:4860::8888", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1",
	} {
		if !(AddressPolicy{}).Allowed(netip.MustParseAddr(text)) {
			t.Errorf("%s is refused", text)
		}
	}
	if (AddressPolicy{AllowAll: true}).Allowed(netip.Addr{}) {
		t.Error("no address at all is allowed")
	}
}

func TestListedNetworksAreAllowedAndNoOthers(t *testing.T) {
	t.Parallel()
	policy := AddressPolicy{Allow: []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.168.7.9/32"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("::ffff:172.16.0.0/108"),
	}}
	for text, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "64:ff9b::10.1.2.3": true, "192.168.7.9": true, "fd12::1": true, "172.17.0.1": true, "8.8.8.8": true,
		"127.0.0.1": false, "192.168.7.10": false, "fe80::1": false, "::1": false, "64:ff9b::127.0.0.1": false, "172.32.0.1": true,
	} {
		if got := policy.Allowed(netip.MustParseAddr(text)); got != want {
			t.Errorf("Allowed(%s) = %v, want %v", text, got, want)
		}
	}
}

func FuzzLiteralAddr(f *testing.F) {
	for _, seed := range []string{"127.1", "0x7f000001", "2130706433", "017700000001", "1.2.3.4.", "api.openai.com", "::1", "0x", "1.2.3.4.5", "example.1e3"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		addr, literal, err := literalAddr(host)
		if literal != addr.IsValid() || (literal && err != nil) {
			t.Errorf("%q: %v %v %v", host, addr, literal, err)
		}
	})
}
