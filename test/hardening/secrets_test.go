package hardening_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// window is how many characters in a row count as a leak: a secret that was cut
// short or wrapped is still found, its last four characters are not.
const window = 12

// secrets are the values that must not turn up. It is safe for concurrent use.
type secrets struct {
	mu      sync.RWMutex
	windows map[[window]byte]planted
}

// planted is the secret, and the form of it, that a window is of.
type planted struct{ name, form string }

// finding is a secret with what stands around it.
type finding struct {
	planted
	around []byte
}

func newSecrets() *secrets { return &secrets{windows: map[[window]byte]planted{}} }

// plant makes value known under a name and gives it back. Planting it again
// under another name changes nothing.
func (s *secrets) plant(t testing.TB, name, value string) string {
	t.Helper()
	if len(value) < window {
		t.Fatalf("%s: %q is too short to be looked for", name, value)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for form, text := range forms(value) {
		for at := range len(text) - window + 1 {
			w := [window]byte([]byte(text[at : at+window]))
			if _, known := s.windows[w]; !known {
				s.windows[w] = planted{name, form}
			}
		}
	}
	return value
}

// forms are the ways in which a value may be written down.
func forms(value string) map[string]string {
	all := map[string]string{
		"plain": value,
		"hex":   hex.EncodeToString([]byte(value)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(value))),
		"in a query": url.QueryEscape(value), "in a path": url.PathEscape(value),
		"quoted": strings.Trim(strconv.Quote(value), `"`),
	}
	if quoted, err := json.Marshal(value); err == nil {
		all["in JSON"] = strings.Trim(string(quoted), `"`)
		all["in JSON, slashes too"] = strings.ReplaceAll(all["in JSON"], "/", `\/`)
	}
	// Inside of a longer text, base64 depends on where the value begins; what
	// its neighbours have a part in is left out.
	for offset := range 3 {
		padded := strings.Repeat("\x00", offset) + value
		for name, encoding := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			text := encoding.EncodeToString([]byte(padded))
			from, to := (offset*8+5)/6, len(padded)*8/6
			all[name+" at "+strconv.Itoa(offset)] = text[from:to]
		}
	}
	return all
}

// in lists the secrets that data holds, but for the named ones, each where it
// is found first.
func (s *secrets) in(data []byte, but ...string) []finding {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []finding
	for at := range len(data) - window + 1 {
		p, ok := s.windows[[window]byte(data[at:at+window])]
		if !ok || slices.Contains(but, p.name) || slices.ContainsFunc(found, func(f finding) bool { return f.name == p.name }) {
			continue
		}
		found = append(found, finding{p, data[max(0, at-100):min(len(data), at+100)]})
	}
	return found
}

// mustNotBeIn is a failure of the test for each secret in data.
func (s *secrets) mustNotBeIn(t testing.TB, place string, data []byte, but ...string) {
	t.Helper()
	for _, f := range s.in(data, but...) {
		t.Errorf("%s holds %s (%s):\n%q", place, f.name, f.form, f.around)
	}
}

// random is a text that nobody else writes: letters and digits, no word and no
// mark of a credential in it.
func random(n int) string {
	const letters = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
	text := make([]byte, n)
	for i := range text {
		text[i] = letters[rand.IntN(len(letters))]
	}
	return string(text)
}

// The finder must find, or everything that rests on it proves nothing.
func TestPlantedSecretsAreFoundInEveryForm(t *testing.T) {
	t.Parallel()
	s := newSecrets()
	value := s.plant(t, "the secret", `pass/word"with\odd+chars&`+random(20))
	other := s.plant(t, "another", random(30))
	for form, text := range forms(value) {
		got := s.in([]byte("before " + text + " after"))
		if len(got) == 0 || slices.ContainsFunc(got, func(f finding) bool { return f.name != "the secret" }) {
			t.Errorf("%s: found %v", form, got)
		}
	}
	for at := range 3 {
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", at) + "Bearer " + value + "\n"))
		if got := s.in([]byte(encoded)); len(got) == 0 {
			t.Errorf("base64 behind %d other bytes is not found", at)
		}
	}
	if got := s.in([]byte("cut short: " + value[:window+2])); len(got) == 0 {
		t.Error("a part of it is not found")
	}
	if got := s.in([]byte(other), "another"); got != nil {
		t.Errorf("what is allowed is found: %v", got)
	}
	if got := s.in([]byte("sk-hly…" + value[len(value)-4:])); got != nil {
		t.Errorf("the last four characters are taken for a leak: %v", got)
	}
}
