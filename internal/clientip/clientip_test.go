package clientip_test

import (
	"net/http"
	"net/netip"
	"testing"

	"halley/internal/clientip"
)

func TestForwardedForCountsOnlyFromTrustedProxies(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, row := range map[string]struct {
		trusted   []netip.Prefix
		peer      string
		forwarded []string
		want      string
	}{
		"nobody trusted":            {nil, "10.0.0.1:1", []string{"1.2.3.4"}, "10.0.0.1"},
		"untrusted peer":            {trusted, "8.8.8.8:1", []string{"1.2.3.4"}, "8.8.8.8"},
		"trusted peer":              {trusted, "10.0.0.1:1", []string{"1.2.3.4"}, "1.2.3.4"},
		"client forges the front":   {trusted, "10.0.0.1:1", []string{"127.0.0.1, 1.2.3.4"}, "1.2.3.4"},
		"chain of proxies":          {trusted, "10.0.0.1:1", []string{"1.2.3.4, 10.0.0.2"}, "1.2.3.4"},
		"headers repeated":          {trusted, "10.0.0.1:1", []string{"9.9.9.9", "1.2.3.4,10.1.1.1"}, "1.2.3.4"},
		"with ports":                {trusted, "10.0.0.1:1", []string{"[2001:db8::1]:443"}, "2001:db8::1"},
		"mapped peer":               {trusted, "[::ffff:10.0.0.1]:1", []string{"::ffff:1.2.3.4"}, "1.2.3.4"},
		"only proxies":              {trusted, "10.0.0.1:1", []string{"10.0.0.3"}, "10.0.0.3"},
		"rubbish is no address":     {trusted, "10.0.0.1:1", []string{"1.2.3.4, unknown"}, "invalid IP"},
		"no header":                 {trusted, "10.0.0.1:1", nil, "10.0.0.1"},
		"unix socket":               {trusted, "@", []string{"1.2.3.4"}, "invalid IP"},
		"zone is dropped from peer": {nil, "[fe80::1%eth0]:1", nil, "fe80::1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &http.Request{RemoteAddr: row.peer, Header: http.Header{"X-Forwarded-For": row.forwarded}}
			if got := clientip.New(row.trusted).Of(r).String(); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}
