package channel

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"halley/internal/fault"
)

func mappingOf(t *testing.T, entries map[string]string) *Mapping {
	t.Helper()
	m, err := NewMapping(entries)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAModelGetsTheNameOfTheMostSpecificEntry(t *testing.T) {
	t.Parallel()
	m := mappingOf(t, map[string]string{
		"gpt-4o": "mine", "*": "router/*", "gpt-*": "azure-*", "gpt-4*": "four", "*-mini": "small/*", "gpt-*-mini": "g/*/m",
		"a": "b", "b": "c", "c": "c", "claude-*": "*", "old-*": "old", "old": "new",
	})
	for public, want := range map[string]string{
		"gpt-4o":       "mine",        // written out
		"mine":         "router/mine", // what an entry gives is a name like any other when it is asked for
		"gpt-4":        "four",
		"gpt-4.1-mini": "four",       // more text before the * than gpt-*-mini
		"gpt-5-mini":   "g/5/m",      // as much, and more behind it
		"gpt--mini":    "g//m",       // the * may be nothing
		"gpt-mini":     "azure-mini", // before and behind must not overlap
		"x-mini":       "small/x",    // nothing before either *, and more behind this one
		"gpt-5":        "azure-5",
		"anything":     "router/anything",
		"a":            "c", // chains end where a name maps to itself
		"b":            "c",
		"c":            "c",
		"claude-a":     "c", // a pattern's name may begin a chain
		"claude-z":     "z",
		"claude-":      "claude-", // no model has no name
		"old-1":        "new",
	} {
		if got := m.Upstream(public); got != want {
			t.Errorf("%s is %s, want %s", public, got, want)
		}
	}
}

func TestACycleIsNamed(t *testing.T) {
	t.Parallel()
	for words, entries := range map[string]map[string]string{
		"a → b → a":     {"a": "b", "b": "a"},
		"b → c → d → b": {"a": "b", "b": "c", "c": "d", "d": "b", "e": "a"},
	} {
		_, err := NewMapping(entries)
		if fault.Code(err) != "invalid_model_mapping" || !strings.Contains(err.Error(), words) {
			t.Errorf("%v: %v, want %q", entries, err, words)
		}
	}
	if _, err := NewMapping(map[string]string{"a": "a", "*": "*", "b*": "c*", "c*": "b*"}); err != nil {
		t.Errorf("patterns begin chains and are in none: %v", err)
	}
	many := map[string]string{}
	for i := range MaxMappingPatterns + 1 {
		many[fmt.Sprintf("%d*", i)] = "x"
	}
	if _, err := NewMapping(many); fault.Code(err) != "invalid_model_mapping" {
		t.Errorf("%d patterns: %v", len(many), err)
	}
}

// TestMappingIsWhatItsDefinitionSays compares the compiled mapping with one that
// looks at all entries each time.
func TestMappingIsWhatItsDefinitionSays(t *testing.T) {
	t.Parallel()
	name := rapid.StringMatching(`[ab]{1,3}`)
	public := rapid.StringMatching(`[ab]{0,2}\*?[ab]{0,2}`).Filter(func(s string) bool { return s != "" })
	rapid.Check(t, func(t *rapid.T) {
		entries := map[string]string{}
		for from, to := range rapid.MapOfN(public, name, 0, 8).Draw(t, "entries") {
			if strings.Contains(from, "*") && rapid.Bool().Draw(t, "wild") {
				to = "x*" + to
			}
			entries[from] = to
		}
		m, err := NewMapping(entries)
		cyclic := false
		for from := range entries {
			_, ok := chained(entries, from)
			cyclic = cyclic || !ok
		}
		if (err != nil) != cyclic {
			t.Fatalf("%v: %v, cyclic %v", entries, err, cyclic)
		}
		if cyclic {
			return
		}
		for range 10 {
			model := name.Draw(t, "model")
			if got, want := m.Upstream(model), slowly(entries, model); got != want {
				t.Fatalf("%s by %v is %s, want %s", model, entries, got, want)
			}
		}
	})
}

// chained follows the names that are written out; false in a cycle.
func chained(entries map[string]string, name string) (string, bool) {
	for range len(entries) + 1 {
		next, ok := entries[name]
		if !ok || strings.Contains(name, "*") || next == name {
			return name, true
		}
		name = next
	}
	return "", false
}

func slowly(entries map[string]string, model string) string {
	if _, ok := entries[model]; ok {
		end, _ := chained(entries, model)
		return end
	}
	best, gives := "", model
	for from, to := range entries {
		before, behind, wild := strings.Cut(from, "*")
		if !wild || len(model) < len(before)+len(behind) || !strings.HasPrefix(model, before) || !strings.HasSuffix(model, behind) {
			continue
		}
		bestBefore, bestBehind, found := strings.Cut(best, "*")
		if found && (len(before) < len(bestBefore) || (len(before) == len(bestBefore) && len(behind) < len(bestBehind))) {
			continue
		}
		best = from
		gives, _ = chained(entries, strings.Replace(to, "*", model[len(before):len(model)-len(behind)], 1))
	}
	return gives
}

func TestNamesThatAreNotPutTogetherCostNothing(t *testing.T) {
	m := mappingOf(t, map[string]string{"a": "b", "b": "c", "x*": "y", "z*": "z*"})
	plain := &Channel{}
	mapped := &Channel{ModelMapping: m}
	if n := testing.AllocsPerRun(100, func() {
		for _, model := range [...]string{"a", "b", "other", "xyz"} {
			_ = plain.UpstreamModel(model)
			_ = mapped.UpstreamModel(model)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
