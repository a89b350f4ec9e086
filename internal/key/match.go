package key

import (
	"net/netip"
	"slices"
	"strings"
)

// rules are a record's lists in the form that every request asks. They are made
// once per record and never change.
type rules struct {
	models    modelSet
	addresses addressSet
}

// compiled gives k with its rules, for sharing.
func (k *Key) compiled() *Key {
	k.rules, k.seen = k.compile(), &seen{}
	for i := range k.Older {
		k.Older[i].seen = &seen{}
	}
	return k
}

func (k *Key) compile() *rules {
	return &rules{models: newModelSet(k.Models), addresses: newAddressSet(k.AllowIPs)}
}

// compiledRules also serves records that were not made by the Service.
func (k *Key) compiledRules() *rules {
	if k.rules != nil {
		return k.rules
	}
	return k.compile()
}

// AllowsModel reports whether the key's own list admits the model.
func (k *Key) AllowsModel(model string) bool {
	return !k.ModelLimitsEnabled || k.compiledRules().models.has(model)
}

// AllowsIP reports whether the key may be used from the address. A caller
// without a known address may use only keys without a list.
func (k *Key) AllowsIP(a netip.Addr) bool {
	return len(k.AllowIPs) == 0 || k.compiledRules().addresses.has(a)
}

// AllowsEndpoint reports whether the key may call the endpoint, one of
// Endpoints.
func (k *Key) AllowsEndpoint(endpoint string) bool {
	return k.Limits.Endpoints == nil || slices.Contains(k.Limits.Endpoints, endpoint)
}

// modelSet is a list of model patterns: names in a set, patterns one by one.
type modelSet struct {
	names    map[string]struct{}
	patterns []string
}

func newModelSet(list []string) modelSet {
	s := modelSet{names: make(map[string]struct{}, len(list))}
	for _, m := range list {
		if strings.Contains(m, "*") {
			s.patterns = append(s.patterns, m)
		} else {
			s.names[m] = struct{}{}
		}
	}
	return s
}

func (s modelSet) has(model string) bool {
	if _, ok := s.names[model]; ok {
		return true
	}
	for _, p := range s.patterns {
		if MatchModel(p, model) {
			return true
		}
	}
	return false
}

// MatchModel reports whether the model's name fits the pattern, in which each *
// stands for any number of characters. It allocates nothing.
func MatchModel(pattern, model string) bool {
	p, m := 0, 0
	star, resume := -1, 0 // the last * and where its text ends so far
	for m < len(model) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, m
			p++
		case p < len(pattern) && pattern[p] == model[m]:
			p++
			m++
		case star >= 0:
			// Let the last * take one more character and try again. Earlier
			// ones need not be tried: taking less never helps them.
			resume++
			p, m = star+1, resume
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// addressSet is a list of networks, sorted by address and without any that lies
// inside another, so that one search finds the only one that can match.
type addressSet []netip.Prefix

func newAddressSet(list []netip.Prefix) addressSet {
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits() // the wider first
	})
	var s addressSet
	for _, p := range sorted {
		if len(s) == 0 || !s[len(s)-1].Contains(p.Addr()) {
			s = append(s, p)
		}
	}
	return s
}

func (s addressSet) has(a netip.Addr) bool {
	if !a.IsValid() {
		return false
	}
	a = a.Unmap().WithZone("")
	i, found := slices.BinarySearchFunc(s, a, func(p netip.Prefix, a netip.Addr) int { return p.Addr().Compare(a) })
	if found {
		return true
	}
	return i > 0 && s[i-1].Contains(a)
}
