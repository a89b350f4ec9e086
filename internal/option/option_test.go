package option_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/fault"
	"halley/internal/option"
)

// table is a store in memory.
type table struct {
	mu   sync.Mutex
	rows map[string]string
	err  error
}

func (m *table) LoadOptions(context.Context) (map[string]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.rows), m.err
}

func (m *table) SaveOption(_ context.Context, name, text string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.rows[name] = text
	}
	return m.err
}

func setup() (*option.Service, *table) {
	store := &table{rows: map[string]string{}}
	groups := map[string]bool{"default": true, "vip": true}
	return option.NewService(store, func(name string) bool { return groups[name] }), store
}

// The console explains the options in the viewer's language, from catalogs whose
// English is what the server says: whoever changes that is led to the translations.
func TestTheConsoleExplainsEveryOptionAsTheServerDoes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../web/src/messages/en/options.json")
	if err != nil {
		t.Fatal(err)
	}
	var catalog struct {
		Explained map[string]string `json:"explained"`
	}
	if err := json.Unmarshal(text, &catalog); err != nil {
		t.Fatal(err)
	}
	s, _ := setup()
	want := map[string]string{}
	for _, o := range s.List() {
		want[o.Name] = o.Help
	}
	if diff := cmp.Diff(want, catalog.Explained); diff != "" {
		t.Errorf("web/src/messages/en/options.json, explained (-server +console); the other languages follow it:\n%s", diff)
	}
}

func TestEveryOptionExplainsItself(t *testing.T) {
	t.Parallel()
	s, _ := setup()
	seen := map[string]string{}
	for _, o := range s.List() {
		if o.Name == "" || o.Help == "" {
			t.Errorf("option %+v lacks its name or its help", o)
		}
		if diff := cmp.Diff(o.Default, o.Value); diff != "" {
			t.Errorf("%s is not at its default (-default +value):\n%s", o.Name, diff)
		}
		seen[o.Name] = o.Type
	}
	want := map[string]string{"auto_groups": "list", "new_user_quota": "integer", "register_enabled": "boolean", "max_keys_per_user": "integer", "max_attempts": "integer", "affinity": "string", "affinity_header": "string", "hedge_embeddings": "boolean", "exact_token_counts": "boolean", "response_bytes_per_key": "integer", "response_retention_days": "integer", "audit_days": "integer"}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("options and types (-want +got):\n%s", diff)
	}
}

func TestASetOptionIsInForceAtOnceAndAfterARestart(t *testing.T) {
	t.Parallel()
	s, store := setup()
	var heard []int64
	s.OnChange(func(v *option.Values) { heard = append(heard, v.NewUserQuota) })
	before := s.Current()

	got, err := s.Set(t.Context(), "new_user_quota", []byte(`2500`))
	if err != nil {
		t.Fatal(err)
	}
	if got.Value != int64(2500) || got.Default != int64(0) || got.Name != "new_user_quota" {
		t.Errorf("Set answered %+v", got)
	}
	if s.Current().NewUserQuota != 2500 || before.NewUserQuota != 0 {
		t.Errorf("in force: %d, handed out before: %d; want 2500 and 0", s.Current().NewUserQuota, before.NewUserQuota)
	}
	if diff := cmp.Diff([]int64{2500}, heard); diff != "" {
		t.Errorf("OnChange heard (-want +got):\n%s", diff)
	}

	again := option.NewService(store, func(string) bool { return false })
	if err := again.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.Current(), again.Current()); diff != "" {
		t.Errorf("after a restart (-before +after):\n%s", diff)
	}
}

func TestValuesAreTidied(t *testing.T) {
	t.Parallel()
	s, _ := setup()
	if _, err := s.Set(t.Context(), "auto_groups", []byte(`[" vip", "default", "vip"]`)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"vip", "default"}, s.Current().AutoGroups); diff != "" {
		t.Errorf("auto_groups (-want +got):\n%s", diff)
	}
}

func TestBadValuesAreNamedAndChangeNothing(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		what, name, value string
		kind              fault.Kind
		code              string
	}{
		{"an unknown option", "no_such", `1`, fault.NotFound, "option_not_found"},
		{"what the bootstrap configuration says", "keys_reveal", `"once"`, fault.NotFound, "option_not_found"},
		{"a string for an integer", "new_user_quota", `"1"`, fault.Malformed, "invalid_type"},
		{"a fraction for an integer", "new_user_quota", `1.5`, fault.Malformed, "invalid_type"},
		{"an integer beyond 64 bits", "new_user_quota", `9223372036854775808`, fault.Malformed, "invalid_type"},
		{"a number for a boolean", "register_enabled", `1`, fault.Malformed, "invalid_type"},
		{"a string for a list", "auto_groups", `"vip"`, fault.Malformed, "invalid_type"},
		{"a number in the list", "auto_groups", `["vip", 1]`, fault.Malformed, "invalid_type"},
		{"no JSON", "register_enabled", `yes`, fault.Malformed, "invalid_type"},
		{"a negative quota", "new_user_quota", `-1`, fault.Invalid, "invalid_value"},
		{"a quota too large", "new_user_quota", `4000000000000001`, fault.Invalid, "invalid_value"},
		{"a negative number of keys", "max_keys_per_user", `-1`, fault.Invalid, "invalid_value"},
		{"no attempt at all", "max_attempts", `0`, fault.Invalid, "invalid_value"},
		{"too many attempts", "max_attempts", `21`, fault.Invalid, "invalid_value"},
		{"fewer than no days", "audit_days", `-1`, fault.Invalid, "invalid_value"},
		{"too many days", "audit_days", `36501`, fault.Invalid, "invalid_value"},
		{"neither on nor off", "affinity", `"yes"`, fault.Invalid, "invalid_value"},
		{"a boolean for a word", "affinity", `true`, fault.Malformed, "invalid_type"},
		{"what no header is called", "affinity_header", `"X Session"`, fault.Invalid, "invalid_value"},
		{"an empty list", "auto_groups", `[]`, fault.Invalid, "invalid_value"},
		{"an unknown group", "auto_groups", `["default", "gone"]`, fault.Invalid, "invalid_group"},
	} {
		t.Run(tc.what, func(t *testing.T) {
			t.Parallel()
			s, store := setup()
			before := *s.Current()
			_, err := s.Set(t.Context(), tc.name, []byte(tc.value))
			if !fault.Is(err, tc.kind) || fault.Code(err) != tc.code {
				t.Errorf("got %v (%s), want kind %d, code %s", err, fault.Code(err), tc.kind, tc.code)
			}
			if diff := cmp.Diff(&before, s.Current()); diff != "" || len(store.rows) != 0 {
				t.Errorf("something changed: %v\n%s", store.rows, diff)
			}
		})
	}
}

func TestAStoreThatIsAwayLeavesTheValuesInForce(t *testing.T) {
	t.Parallel()
	s, store := setup()
	if _, err := s.Set(t.Context(), "new_user_quota", []byte(`7`)); err != nil {
		t.Fatal(err)
	}
	store.err = errors.New("connection refused")
	if _, err := s.Set(t.Context(), "new_user_quota", []byte(`8`)); fault.Code(err) != "store_unavailable" {
		t.Errorf("Set: %v", err)
	}
	if err := s.Reload(t.Context()); fault.Code(err) != "store_unavailable" {
		t.Errorf("Reload: %v", err)
	}
	if got := s.Current().NewUserQuota; got != 7 {
		t.Errorf("new_user_quota is %d, want 7", got)
	}
}

func TestReloadRefusesWhatItCannotAcceptAndIgnoresWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	s, store := setup()
	store.rows["of_a_later_release"] = `{"x":1}`
	if err := s.Reload(t.Context()); err != nil {
		t.Fatalf("an unknown option: %v", err)
	}
	store.rows["max_keys_per_user"] = `"many"`
	if err := s.Reload(t.Context()); err == nil {
		t.Error("a stored value of the wrong type was accepted")
	}
	if got := s.Current().MaxKeysPerUser; got != 1000 {
		t.Errorf("max_keys_per_user is %d, want the default", got)
	}
}
