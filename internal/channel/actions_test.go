package channel

import (
	"slices"
	"strings"
	"testing"

	"halley/internal/fault"
)

func TestACopyHasEverythingAndServesNobodyYet(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	old := b.create(t, merged(valid(), Change{Name: new(strings.Repeat("n", MaxName)), Keys: new([]string{"sk-the-real-key-1234"}), Tag: new("eu"), ProxyURL: new("http://me:pw@proxy.example.com")}))
	c, err := b.Duplicate(t.Context(), old.ID)
	if err != nil {
		t.Fatal(err)
	}
	if c.ID == old.ID || c.Status != Disabled || c.Name != strings.Repeat("n", MaxName-5)+" copy" || c.Tag != "eu" || c.Version != 1 || c.Network.Proxy.URL != old.Network.Proxy.URL {
		t.Errorf("the copy is %+v", c)
	}
	if !slices.Equal(values(c), values(old)) || c.Credentials[0].ID == old.Credentials[0].ID {
		t.Errorf("its keys are %v of %v", c.Credentials, old.Credentials)
	}
	if err := b.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if read, _ := b.Get(c.ID); !slices.Equal(values(read), []string{"sk-the-real-key-1234"}) {
		t.Errorf("after a reload its keys are %v", read.Credentials)
	}
	if _, err := b.Duplicate(t.Context(), 99); fault.Code(err) != "channel_not_found" {
		t.Errorf("a copy of nothing: %v", err)
	}
}

func TestSeveralChannelsAreChangedAtOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := newBundle(t)
	for _, tag := range []string{"a", "b", "a", "a"} {
		b.create(t, merged(valid(), Change{Tag: &tag}))
	}
	swaps := 0
	b.OnChange(func() { swaps++ })
	states := func() (list []int64) { // enabled ids
		for _, c := range b.All() {
			if c.Status == Enabled {
				list = append(list, c.ID)
			}
		}
		return list
	}
	for _, step := range []struct {
		action  Bulk
		ids     []int64
		tag     string
		changed []int64
		enabled []int64
	}{
		{BulkDisable, []int64{3, 99, 1}, "", []int64{3, 1}, []int64{2, 4}},
		{BulkDisable, nil, "a", []int64{4}, []int64{2}},
		{BulkEnable, nil, "a", []int64{1, 3, 4}, []int64{1, 2, 3, 4}},
		{BulkEnable, []int64{1}, "", nil, []int64{1, 2, 3, 4}},
		{BulkDelete, nil, "nobody", nil, []int64{1, 2, 3, 4}},
		{BulkDelete, []int64{2, 2, 98}, "", []int64{2}, []int64{1, 3, 4}},
		{BulkDelete, nil, "a", []int64{1, 3, 4}, nil},
	} {
		before := swaps
		changed, err := b.Bulk(ctx, step.action, step.ids, step.tag)
		if err != nil || !slices.Equal(changed, step.changed) || !slices.Equal(states(), step.enabled) {
			t.Errorf("%s %v %q: %v, %v; enabled %v", step.action, step.ids, step.tag, changed, err, states())
		}
		if want := min(len(step.changed), 1); swaps-before != want {
			t.Errorf("%s %v: %d swaps, want %d", step.action, step.ids, swaps-before, want)
		}
	}
}

func TestABulkActionSaysWhichChannelsItMeans(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.create(t, valid())
	for name, call := range map[string]struct {
		action Bulk
		ids    []int64
		tag    string
		code   string
	}{
		"no action":       {"", []int64{1}, "", "invalid_action"},
		"unknown action":  {"reset", []int64{1}, "", "invalid_action"},
		"nothing":         {BulkDelete, nil, "", "invalid_ids"},
		"ids and tag":     {BulkDelete, []int64{1}, "a", "invalid_ids"},
		"too many of ids": {BulkDelete, make([]int64, MaxBulk+1), "", "invalid_ids"},
	} {
		if changed, err := b.Bulk(t.Context(), call.action, call.ids, call.tag); fault.Code(err) != call.code || changed != nil {
			t.Errorf("%s: %v, %v", name, changed, err)
		}
	}
	if len(b.All()) != 1 {
		t.Error("a refused action has changed something")
	}
}

func TestADraftIsCheckedAndNotKept(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	c, err := b.Draft(Change{Kind: new(OpenAI), BaseURL: new("https://api.example.com/v1"), Keys: new([]string{"sk-the-real-key-1234"})})
	if err != nil || c.ID != 0 || !slices.Equal(values(c), []string{"sk-the-real-key-1234"}) || len(b.All()) != 0 || len(b.store.rows) != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := b.Draft(Change{Kind: new(OpenAI), BaseURL: new("http://127.0.0.1/v1")}); fault.Code(err) != "private_base_url" {
		t.Errorf("a private address: %v", err)
	}
}

func TestEveryPresetMakesAChannel(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.deps.Addresses = AddressPolicy{AllowAll: true}
	last := ""
	for _, p := range Presets() {
		if p.ID <= last {
			t.Errorf("%s comes after %s", p.ID, last)
		}
		last = p.ID
		change := Change{Models: new([]string{"*"})}
		if err := change.Fill(p.ID); err != nil {
			t.Fatal(err)
		}
		if p.BaseURL == "" && p.Kind != Demo {
			if _, err := b.Draft(change); fault.Code(err) != "base_url_required" {
				t.Errorf("%s without a base URL: %v", p.ID, err)
			}
			change.BaseURL = &p.Example
		}
		c, err := b.Create(t.Context(), change)
		if err != nil || c.Name != p.Name || c.Kind != p.Kind || (p.BaseURL != "" && c.BaseURL != p.BaseURL) {
			t.Errorf("%s: %+v, %v", p.ID, c, err)
		}
	}
	change := Change{Name: new("mine"), BaseURL: new("https://proxy.example.com/v1")}
	if err := change.Fill("groq"); err != nil || *change.Name != "mine" || *change.BaseURL != "https://proxy.example.com/v1" || *change.Kind != OpenAI {
		t.Errorf("a preset fills only what is left out: %+v, %v", change, err)
	}
	demo := Change{}
	if err := demo.Fill("demo"); err != nil || !slices.Equal(*demo.Models, []string{"demo-echo", "demo-*"}) {
		t.Errorf("the demo preset: %+v, %v", demo, err)
	}
	if err := change.Fill("nobody"); fault.Code(err) != "invalid_preset" {
		t.Errorf("an unknown preset: %v", err)
	}
}
