package key

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPatternsMatchModels(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		pattern, model string
		want           bool
	}{
		{"gpt-4o", "gpt-4o", true}, {"gpt-4o", "gpt-4o-mini", false}, {"gpt-4o", "GPT-4o", false}, {"gpt-4o", "", false},
		{"gpt-5*", "gpt-5", true}, {"gpt-5*", "gpt-5-mini", true}, {"gpt-5*", "gpt-4", false}, {"gpt-5*", "xgpt-5", false},
		{"*", "anything", true}, {"*", "", true}, {"**", "", true}, {"*-mini", "gpt-5-mini", true}, {"*-mini", "gpt-5-mini-x", false},
		{"a*b*c", "abc", true}, {"a*b*c", "aXbXbXc", true}, {"a*b*c", "acb", false}, {"*ab", "aab", true}, {"*aab", "aaab", true},
		{"gemini/*:free", "gemini/2.5:free", true}, {"?", "x", false}, {"[a]", "a", false}, {"*ü*", "grün", true},
	} {
		if got := MatchModel(row.pattern, row.model); got != row.want {
			t.Errorf("MatchModel(%q, %q) = %v", row.pattern, row.model, got)
		}
		k := (&Key{ModelLimitsEnabled: true, Models: []string{"other", row.pattern}})
		if k.AllowsModel(row.model) != row.want || k.compiled().AllowsModel(row.model) != row.want {
			t.Errorf("a key with %q and %q", row.pattern, row.model)
		}
	}
	if !(&Key{Models: []string{"a"}}).AllowsModel("b") {
		t.Error("a list that is not enabled limits")
	}
}

func TestMatchModelIsWhatARegexpSays(t *testing.T) {
	t.Parallel()
	letters := rapid.StringOfN(rapid.SampledFrom([]rune("ab*")), 0, 8, -1)
	rapid.Check(t, func(t *rapid.T) {
		pattern, model := letters.Draw(t, "pattern"), strings.ReplaceAll(letters.Draw(t, "model"), "*", "c")
		re := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$")
		if got := MatchModel(pattern, model); got != re.MatchString(model) {
			t.Fatalf("MatchModel(%q, %q) = %v", pattern, model, got)
		}
	})
}

func TestAPatternCoversWhatItMatchesInWhole(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		wide, narrow string
		want         bool
	}{
		{"gpt-5*", "gpt-5*", true}, {"gpt-5*", "gpt-5", true}, {"gpt-5*", "gpt-5-mini*", true}, {"gpt-5*", "gpt-5*-mini", true}, {"gpt-5*", "gpt-*", false},
		{"gpt-5", "gpt-5*", false}, {"gpt-5*", "*", false}, {"*", "*", true}, {"*", "o3", true}, {"**", "*", true}, {"*", "**", true},
		{"a*c", "abc", true}, {"a*c", "a*b*c", true}, {"a*b*c", "a*c", false}, {"a*b", "a*b*", false}, {"*-mini", "gpt*-mini", true}, {"*-mini", "gpt-mini*", false},
	} {
		if got := coversModels(row.wide, row.narrow); got != row.want {
			t.Errorf("%q covers %q: %v", row.wide, row.narrow, got)
		}
	}
}

// What a covered pattern matches is matched by the list that covers it; and
// where none does, there is a name that shows it.
func TestCoverageIsInclusion(t *testing.T) {
	t.Parallel()
	patterns := rapid.StringOfN(rapid.SampledFrom([]rune("ab*")), 0, 6, -1)
	stand := rapid.StringOfN(rapid.SampledFrom([]rune("abz")), 0, 4, -1)
	rapid.Check(t, func(t *rapid.T) {
		wide, narrow := rapid.SliceOfN(patterns, 1, 4).Draw(t, "wide"), patterns.Draw(t, "narrow")
		list := newModelSet(wide)
		if !anyCoversModels(wide, narrow) {
			if witness := strings.ReplaceAll(narrow, "*", "z"); list.has(witness) {
				t.Fatalf("%q does not cover %q, but matches %q", wide, narrow, witness)
			}
			return
		}
		name := narrow
		for strings.Contains(name, "*") {
			name = strings.Replace(name, "*", stand.Draw(t, "stand"), 1)
		}
		if !list.has(name) {
			t.Fatalf("%q covers %q, but does not match %q", wide, narrow, name)
		}
	})
}

func TestAddressesAreMatchedInAnyNotation(t *testing.T) {
	t.Parallel()
	list, err := parseAddresses("10.0.0.0/8\n10.1.0.0/16, 192.0.2.7 2001:db8::/32 ::ffff:198.51.100.0/120 255.255.255.255")
	if err != nil {
		t.Fatal(err)
	}
	k := (&Key{AllowIPs: list}).compiled()
	for text, want := range map[string]bool{
		"10.0.0.1": true, "10.1.2.3": true, "10.255.255.255": true, "11.0.0.0": false, "9.255.255.255": false,
		"192.0.2.7": true, "192.0.2.6": false, "192.0.2.8": false, "198.51.100.200": true, "198.51.101.0": false,
		"::ffff:10.2.3.4": true, "::ffff:11.2.3.4": false, "2001:db8::1": true, "2001:db8:ffff::": true, "2001:db9::": false,
		"2001:db8::1%eth0": true, "::1": false, "0.0.0.0": false, "255.255.255.255": true,
	} {
		if got := k.AllowsIP(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if k.AllowsIP(netip.Addr{}) {
		t.Error("no address is let in")
	}
	if !(&Key{}).AllowsIP(netip.Addr{}) {
		t.Error("a key without a list keeps out")
	}
	if everybody := (&Key{AllowIPs: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}); everybody.AllowsIP(netip.MustParseAddr("::1")) || !everybody.AllowsIP(netip.MustParseAddr("8.8.8.8")) {
		t.Error("0.0.0.0/0 is every IPv4 address and no other")
	}
}

func TestTheAddressSetFindsWhatALookThroughFinds(t *testing.T) {
	t.Parallel()
	addr := rapid.Custom(func(t *rapid.T) netip.Addr {
		// Few bits vary, so that networks meet, nest and touch.
		b := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 127, 128, 255}), 4, 4).Draw(t, "bytes")
		return netip.AddrFrom4([4]byte(b))
	})
	prefix := rapid.Custom(func(t *rapid.T) netip.Prefix {
		return netip.PrefixFrom(addr.Draw(t, "addr"), rapid.IntRange(0, 32).Draw(t, "bits")).Masked()
	})
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(prefix, 0, 12).Draw(t, "list")
		set := newAddressSet(list)
		for range 10 {
			a, want := addr.Draw(t, "a"), false
			for _, p := range list {
				want = want || p.Contains(a)
			}
			if set.has(a) != want {
				t.Fatalf("%v in %v: %v", a, list, !want)
			}
		}
	})
}

func TestEndpointsNarrowOnlyWhenSet(t *testing.T) {
	t.Parallel()
	if !(&Key{}).AllowsEndpoint("chat") {
		t.Error("unset keeps out")
	}
	if (&Key{Limits: Limits{Endpoints: []string{}}}).AllowsEndpoint("chat") {
		t.Error("an empty list lets in")
	}
	if k := (&Key{Limits: Limits{Endpoints: []string{"chat"}}}); !k.AllowsEndpoint("chat") || k.AllowsEndpoint("images") {
		t.Error("a list does not narrow")
	}
}
