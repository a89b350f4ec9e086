package channel

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// MaxMappingPatterns is how many of a mapping's entries may have a *: they are
// looked at one by one.
const MaxMappingPatterns = 200

// Mapping gives the names that an upstream knows models by. It is compiled once,
// by NewMapping, and does not change; nil maps nothing.
//
// An entry with a * in its public name is for all names that fit, the * being
// any run of characters, none included; a * in its upstream name stands for that
// run. A name written out comes before patterns; of patterns the one with the
// longest text before its *, then the one with the longest behind it. What is
// found is looked up again among the names that are written out, so a→b and b→c
// give c for a, until a name is none of them or maps to itself. Patterns are
// asked only about the name that the client used: * → openrouter/* beside
// gpt-4o → mine is not to make openrouter/mine of gpt-4o.
type Mapping struct {
	entries  map[string]string // as they were given
	exact    map[string]string // the ends of their chains
	patterns []pattern         // the most specific first
}

// pattern is an entry with a *.
type pattern struct {
	before, behind string // of the public name's *
	to             string // the upstream's name, without its * cut at it
	rest           string
	wild           bool // the upstream's name has a *
}

// NewMapping compiles a mapping. More than one * in a name, a * only in the
// upstream's, and a chain that comes back to where it was are faults of the
// field model_mapping.
func NewMapping(entries map[string]string) (*Mapping, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	m := &Mapping{entries: maps.Clone(entries), exact: map[string]string{}}
	written := map[string]string{}
	for public, upstream := range entries {
		if err := checkStars(public, upstream); err != nil {
			return nil, err
		}
		before, behind, wild := strings.Cut(public, "*")
		if !wild {
			written[public] = upstream
			continue
		}
		p := pattern{before: before, behind: behind}
		p.to, p.rest, p.wild = strings.Cut(upstream, "*")
		m.patterns = append(m.patterns, p)
	}
	if len(m.patterns) > MaxMappingPatterns {
		return nil, badMapping("model_mapping must have at most %d entries with a *, it has %d.", MaxMappingPatterns, len(m.patterns))
	}
	slices.SortFunc(m.patterns, func(a, b pattern) int {
		return cmp.Or(cmp.Compare(len(b.before), len(a.before)), cmp.Compare(len(b.behind), len(a.behind)), strings.Compare(a.before+"*"+a.behind, b.before+"*"+b.behind))
	})
	return m, m.follow(written)
}

func checkStars(public, upstream string) error {
	switch {
	case strings.Count(public, "*") > 1:
		return badMapping("model_mapping: %q must have at most one *.", clip(public))
	case strings.Count(upstream, "*") > 1:
		return badMapping("model_mapping: %q, for %q, must have at most one *.", clip(upstream), clip(public))
	case strings.Contains(upstream, "*") && !strings.Contains(public, "*"):
		return badMapping("model_mapping: %q must not have a *, because %q has none that it could stand for.", clip(upstream), clip(public))
	}
	return nil
}

// follow finds the ends of the chains. It begins in order, so that of two faults
// it is always the same that is told.
func (m *Mapping) follow(written map[string]string) error {
	for _, first := range slices.Sorted(maps.Keys(written)) {
		chain := []string{first}
		passed := map[string]bool{first: true}
		name := first
		for {
			next, ok := written[name]
			if !ok || next == name {
				break
			}
			chain = append(chain, next)
			if passed[next] {
				cycle := chain[slices.Index(chain, next):]
				for i := range cycle {
					cycle[i] = clip(cycle[i])
				}
				return badMapping("model_mapping goes round in a cycle: %s.", strings.Join(cycle, " → "))
			}
			if end, known := m.exact[next]; known {
				name = end
				break
			}
			passed[next] = true
			name = next
		}
		m.exact[first] = name
	}
	return nil
}

// Upstream is the name the upstream knows the public model by: itself when
// nothing maps it. It allocates only to put a name together.
func (m *Mapping) Upstream(public string) string {
	if m == nil {
		return public
	}
	if name, ok := m.exact[public]; ok {
		return name
	}
	for i := range m.patterns {
		p := &m.patterns[i]
		if len(public) < len(p.before)+len(p.behind) || !strings.HasPrefix(public, p.before) || !strings.HasSuffix(public, p.behind) {
			continue
		}
		name := p.to
		if p.wild {
			name = p.to + public[len(p.before):len(public)-len(p.behind)] + p.rest
		}
		if end, ok := m.exact[name]; ok {
			return end
		}
		return cmp.Or(name, public) // no upstream has a model without a name
	}
	return public
}

// Entries are the mapping as it was given, by public name; never nil. They must
// not be changed.
func (m *Mapping) Entries() map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m.entries
}

// Equal reports whether the two map by the same entries.
func (m *Mapping) Equal(o *Mapping) bool { return maps.Equal(m.Entries(), o.Entries()) }

// checkMapping compiles a mapping as an operator writes it: names are trimmed.
func checkMapping(mapping map[string]string) (*Mapping, error) {
	const field, code = "model_mapping", "invalid_model_mapping"
	if len(mapping) > MaxModels {
		return nil, badMapping("model_mapping must have at most %d entries, it has %d.", MaxModels, len(mapping))
	}
	kept := make(map[string]string, len(mapping))
	for _, public := range slices.Sorted(maps.Keys(mapping)) {
		upstream := strings.TrimSpace(mapping[public])
		public = strings.TrimSpace(public)
		if err := checkModel(field, code, public); err != nil {
			return nil, err
		}
		if err := checkModel(field, code, upstream); err != nil {
			return nil, err
		}
		if _, twice := kept[public]; twice {
			return nil, badMapping("model_mapping has %q twice.", clip(public))
		}
		kept[public] = upstream
	}
	return NewMapping(kept)
}

func badMapping(format string, args ...any) error {
	return invalid("model_mapping", "invalid_model_mapping", format, args...)
}
