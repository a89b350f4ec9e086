package channel

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"halley/internal/fault"
)

func TestANewChannelHasTheDefaultsOfTheContract(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	got := b.create(t, Change{
		Name: new(" Main "), Kind: new(OpenAI), BaseURL: new("https://api.example.com/v1/"),
		Models: new([]string{"gpt-4o", " gpt-5* ", "gpt-4o"}),
	})
	want := &Channel{
		ID: 1, Name: "Main", Kind: OpenAI, BaseURL: "https://api.example.com/v1",
		Models: []string{"gpt-4o", "gpt-5*"}, Groups: []string{"default"},
		Weight: 1, Status: Enabled, OnDisconnect: Cancel, Created: b.at, Version: 1,
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEveryFieldIsCheckedOnCreateAndOnUpdate(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 300)
	for _, tc := range []struct {
		name   string
		change Change
		code   string
		param  string
	}{
		{"blank name", Change{Name: new(" \t")}, "name_required", "name"},
		{"long name", Change{Name: &long}, "name_too_long", "name"},
		{"control in name", Change{Name: new("a\x07b")}, "invalid_name", "name"},
		{"emoji name", Change{Name: new("🚀")}, "", ""},
		{"empty kind", Change{Kind: new(Kind(""))}, "kind_required", "kind"},
		{"unknown kind", Change{Kind: new(Kind("telnet"))}, "invalid_kind", "kind"},
		{"no models", Change{Models: new([]string{})}, "models_required", "models"},
		{"an empty model", Change{Models: new([]string{"a", " "})}, "invalid_models", "models"},
		{"a list in a model", Change{Models: new([]string{"a,b"})}, "invalid_models", "models"},
		{"a long model", Change{Models: &[]string{long}}, "invalid_models", "models"},
		{"too many models", Change{Models: new(numbered(MaxModels + 1))}, "invalid_models", "models"},
		{"mapping to nothing", Change{ModelMapping: &map[string]string{"a": ""}}, "invalid_model_mapping", "model_mapping"},
		{"mapping from nothing", Change{ModelMapping: &map[string]string{" ": "a"}}, "invalid_model_mapping", "model_mapping"},
		{"mapping of a pattern", Change{ModelMapping: &map[string]string{"a*": "b", "c*d": "x*y"}}, "", ""},
		{"mapping of a pattern with two *", Change{ModelMapping: &map[string]string{"a**": "b"}}, "invalid_model_mapping", "model_mapping"},
		{"mapping to a pattern with two *", Change{ModelMapping: &map[string]string{"a*": "b**"}}, "invalid_model_mapping", "model_mapping"},
		{"mapping of a name to a pattern", Change{ModelMapping: &map[string]string{"a": "b*"}}, "invalid_model_mapping", "model_mapping"},
		{"mapping of a name twice", Change{ModelMapping: &map[string]string{"a": "b", " a": "c"}}, "invalid_model_mapping", "model_mapping"},
		{"mapping in a cycle", Change{ModelMapping: &map[string]string{"a": "b", "b": "c", "c": "a"}}, "invalid_model_mapping", "model_mapping"},
		{"no group", Change{Groups: new([]string{})}, "groups_required", "groups"},
		{"unknown group", Change{Groups: new([]string{"default", "nowhere"})}, "invalid_group", "groups"},
		{"auto is no group", Change{Groups: new([]string{"auto"})}, "invalid_group", "groups"},
		{"priority below", Change{Priority: new(int64(-MaxPriority - 1))}, "invalid_priority", "priority"},
		{"negative priority", Change{Priority: new(int64(-5))}, "", ""},
		{"negative weight", Change{Weight: new(int64(-1))}, "invalid_weight", "weight"},
		{"no weight", Change{Weight: new(int64(0))}, "", ""},
		{"huge weight", Change{Weight: new(int64(1 << 53))}, "invalid_weight", "weight"},
		{"status 0", Change{Status: new(Status(0))}, "invalid_status", "status"},
		{"status 3", Change{Status: new(Status(3))}, "invalid_status", "status"},
		{"long tag", Change{Tag: &long}, "tag_too_long", "tag"},
		{"control in tag", Change{Tag: new("a\nb")}, "invalid_tag", "tag"},
		{"negative timeout", Change{IdleMS: new(int64(-1))}, "invalid_timeouts", "timeouts.idle_ms"},
		{"negative drain", Change{DrainMS: new(int64(-1))}, "invalid_timeouts", "timeouts.drain_ms"},
		{"timeout beyond a day", Change{TotalMS: new(MaxTimeout.Milliseconds() + 1)}, "invalid_timeouts", "timeouts.total_ms"},
		{"other on_disconnect", Change{OnDisconnect: new(OnDisconnect("hang"))}, "invalid_on_disconnect", "on_disconnect"},
		{"empty key", Change{Keys: new([]string{"sk-1234567890", ""})}, "invalid_keys", "keys"},
		{"key with a line end", Change{Keys: new([]string{"sk-123\n456"})}, "invalid_keys", "keys"},
		{"key that is no ASCII", Change{Keys: new([]string{"sk-ключ"})}, "invalid_keys", "keys"},
		{"long key", Change{Keys: new([]string{strings.Repeat("k", MaxCredential+1)})}, "invalid_keys", "keys"},
		{"old API version", Change{AzureAPIVersion: new("2024-06-01")}, "invalid_azure", "azure.api_version"},
		{"first preview with usage", Change{AzureAPIVersion: new("2024-09-01-preview")}, "", ""},
		{"no API version", Change{AzureAPIVersion: new("v1")}, "invalid_azure", "azure.api_version"},
		{"half a date", Change{AzureAPIVersion: new("2025-1-01")}, "invalid_azure", "azure.api_version"},
		{"API version to opt in", Change{AzureAPIVersion: new("preview")}, "", ""},
		{"scope of two", Change{AzureScope: new("a b")}, "invalid_azure", "azure.scope"},
		{"authority without a scheme", Change{AzureAuthority: new("login.microsoftonline.us")}, "invalid_azure", "azure.authority"},
		{"private authority", Change{AzureAuthority: new("http://10.0.0.1")}, "private_authority", "azure.authority"},
		{"sovereign authority", Change{AzureAuthority: new("https://login.microsoftonline.us/")}, "", ""},
		{"proxy of another kind", Change{ProxyURL: new("ftp://proxy.example.com")}, "invalid_proxy_url", "proxy_url"},
		{"proxy with a path", Change{ProxyURL: new("http://proxy.example.com/x")}, "invalid_proxy_url", "proxy_url"},
		{"masked proxy of another channel", Change{ProxyURL: new("http://***@proxy.example.com")}, "invalid_proxy_url", "proxy_url"},
		{"private proxy", Change{ProxyURL: new("socks5://localhost:1080")}, "private_proxy_url", "proxy_url"},
		{"proxy with a password", Change{ProxyURL: new("socks5://me:secret@proxy.example.com:1080")}, "", ""},
		{"no certificate", Change{CAPEM: new("hello")}, "invalid_ca_pem", "ca_pem"},
		{"a broken certificate", Change{CAPEM: new("-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n")}, "invalid_ca_pem", "ca_pem"},
		{"a private key", Change{CAPEM: new("-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n")}, "invalid_ca_pem", "ca_pem"},
		{"half an application", Change{Kind: new(Azure), Keys: new([]string{"entra:tenant:client"})}, "invalid_keys", "keys"},
		{"an application", Change{Kind: new(Azure), Keys: new([]string{"entra:tenant:client:a:b"})}, "", ""},
		{"too many keys", Change{Keys: new(numbered(MaxCredentials + 1))}, "invalid_keys", "keys"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			before := b.create(t, valid())
			_, created := b.Create(t.Context(), merged(valid(), tc.change))
			_, updated := b.Update(t.Context(), before.ID, tc.change, nil)
			for verb, err := range map[string]error{"create": created, "update": updated} {
				if fault.Code(err) != tc.code || (err != nil && fault.From(err).Param != tc.param) {
					t.Errorf("%s: %v, want code %q for %q", verb, err, tc.code, tc.param)
				}
			}
			if tc.code == "" {
				return
			}
			if after, _ := b.Get(before.ID); len(b.All()) != 1 || after != before || b.store.rows[before.ID].Version != 1 {
				t.Error("a refused change has changed something")
			}
		})
	}
}

func TestWhatANewChannelNeedsIsAskedFor(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for code, drop := range map[string]func(*Change){
		"name_required":     func(c *Change) { c.Name = nil },
		"kind_required":     func(c *Change) { c.Kind = nil },
		"base_url_required": func(c *Change) { c.BaseURL = nil },
		"models_required":   func(c *Change) { c.Models = nil },
	} {
		change := valid()
		drop(&change)
		if _, err := b.Create(t.Context(), change); fault.Code(err) != code {
			t.Errorf("without it: %v, want %s", err, code)
		}
	}
	if _, err := b.Create(t.Context(), Change{Name: new("d"), Kind: new(Demo), Models: new([]string{"demo-*"})}); err != nil {
		t.Errorf("the demo provider needs no base URL: %v", err)
	}
}

func TestBaseURLsAreAbsoluteAndPublic(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ in, want, code string }{
		{"https://api.openai.com/v1", "https://api.openai.com/v1", ""},
		{"https://api.openai.com/v1///", "https://api.openai.com/v1", ""},
		{"http://api.example.com:8443", "http://api.example.com:8443", ""},
		{"https://api.example.com/", "https://api.example.com", ""},
		{"https://8.8.8.8/v1", "https://8.8.8.8/v1", ""},
		{"https://[2606:4700::1111]/v1", "https://[2606:4700::1111]/v1", ""},
		{"https://10.example.com/v1", "https://10.example.com/v1", ""},
		{"api.openai.com/v1", "", "invalid_base_url"},
		{"//api.openai.com/v1", "", "invalid_base_url"},
		{"ftp://api.openai.com", "", "invalid_base_url"},
		{"https:api.openai.com", "", "invalid_base_url"},
		{"https:///v1", "", "invalid_base_url"},
		{"https://:443/v1", "", "invalid_base_url"},
		{"https://api.openai.com:0/v1", "", "invalid_base_url"},
		{"https://api.openai.com:65536/v1", "", "invalid_base_url"},
		{"https://api.openai.com:/v1", "", "invalid_base_url"},
		{"https://user:secret@api.openai.com/v1", "", "invalid_base_url"},
		{"https://user@api.openai.com/v1", "", "invalid_base_url"},
		{"https://api.openai.com/v1?api-version=1", "", "invalid_base_url"},
		{"https://api.openai.com/v1?", "", "invalid_base_url"},
		{"https://api.openai.com/v1#top", "", "invalid_base_url"},
		{"https://api.openai.com/v1#", "", "invalid_base_url"},
		{"https://api.openai.com/ v1", "", "invalid_base_url"},
		{`https:\\api.openai.com`, "", "invalid_base_url"},
		{"https://api.openai.com/\x00", "", "invalid_base_url"},
		{"https://1.2.3.4.5/v1", "", "invalid_base_url"},
		{"https://256.1.1.1/v1", "", "invalid_base_url"},
		{"https://" + strings.Repeat("a", MaxBaseURL), "", "invalid_base_url"},
		{"http://localhost:11434/v1", "", "private_base_url"},
		{"http://LOCALHOST./v1", "", "private_base_url"},
		{"http://ollama.localhost/v1", "", "private_base_url"},
		{"http://127.0.0.1/v1", "", "private_base_url"},
		{"http://127.1/v1", "", "private_base_url"},
		{"http://2130706433/v1", "", "private_base_url"},
		{"http://0x7f.0.0.1/v1", "", "private_base_url"},
		{"http://017700000001/v1", "", "private_base_url"},
		{"http://10.1.2.3./v1", "", "private_base_url"},
		{"http://[::1]:8080", "", "private_base_url"},
		{"http://[::ffff:10.0.0.1]", "", "private_base_url"},
		{"http://[fe80::1%25eth0]/v1", "", "private_base_url"},
		{"http://169.254.169.254/latest/meta-data", "", "private_base_url"},
	} {
		got, err := checkBaseURL(OpenAI, tc.in, AddressPolicy{})
		if got != tc.want || fault.Code(err) != tc.code {
			t.Errorf("%q: %q, %v; want %q, code %q", tc.in, got, err, tc.want, tc.code)
		}
		if tc.code == "private_base_url" {
			if _, err := checkBaseURL(OpenAI, tc.in, AddressPolicy{AllowAll: true}); err != nil {
				t.Errorf("%q with all allowed: %v", tc.in, err)
			}
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error repeats a password: %v", tc.in, err)
		}
	}
}

func TestAnAddressThatIsNoLongerAllowedDoesNotStopOtherEdits(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.deps.Addresses = AddressPolicy{AllowAll: true}
	c := b.create(t, merged(valid(), Change{BaseURL: new("http://127.0.0.1:9/v1")}))
	b.deps.Addresses = AddressPolicy{}
	if _, err := b.Update(t.Context(), c.ID, Change{Status: new(Disabled)}, nil); err != nil {
		t.Error(err)
	}
	if _, err := b.Update(t.Context(), c.ID, Change{BaseURL: new("http://127.0.0.1:9/v1")}, nil); fault.Code(err) != "private_base_url" {
		t.Errorf("setting it again: %v", err)
	}
}

func TestUpstreamKeysAreSealedAndKeepTheirIdentity(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := newBundle(t)
	c := b.create(t, merged(valid(), Change{Keys: new([]string{"sk-first-aaaa", "sk-second-bbbb", "sk-first-aaaa"})}))
	if got := lasts(c); !slices.Equal(got, []string{"aaaa", "bbbb"}) {
		t.Fatalf("the pool reads %v", got)
	}
	if stored := fmt.Sprintf("%+v", b.store.rows[c.ID]); strings.Contains(stored, "sk-first") || b.store.rows[c.ID].Credentials[0].Value != "" {
		t.Errorf("the store holds a value in the clear: %s", stored)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, *c); strings.Contains(text, "sk-first") || strings.Contains(text, "sk-second") {
			t.Errorf("printing a channel with %s shows a key: %s", format, text)
		}
	}
	first, second := c.Credentials[0], c.Credentials[1]

	// Equal values keep their credential, in the new order.
	c, err := b.Update(ctx, c.ID, Change{Keys: new([]string{"sk-third-cccc", "sk-second-bbbb"})}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Credentials[1].ID != second.ID || !bytes.Equal(c.Credentials[1].Sealed, second.Sealed) || c.Credentials[0].ID == first.ID {
		t.Errorf("ids after the replacement: %v", c.Credentials)
	}
	// What was read can be sent back.
	c, err = b.Update(ctx, c.ID, Change{Keys: new(append(lasts(c), "sk-fourth-dddd"))}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := values(c); !slices.Equal(got, []string{"sk-third-cccc", "sk-second-bbbb", "sk-fourth-dddd"}) {
		t.Errorf("after sending back what was read: %v", got)
	}
	// A change without keys leaves them alone.
	if c, err = b.Update(ctx, c.ID, Change{Weight: new(int64(2))}, nil); err != nil || len(c.Credentials) != 3 {
		t.Errorf("after another change: %v %v", c, err)
	}
	// And all of it comes back from the store.
	again := NewService(b.deps)
	if err := again.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	reloaded, _ := again.Get(c.ID)
	if diff := gocmp.Diff(c, reloaded); diff != "" {
		t.Error(diff)
	}
	if c, err = b.Update(ctx, c.ID, Change{Keys: new([]string{})}, nil); err != nil || len(c.Credentials) != 0 {
		t.Errorf("after emptying the pool: %v %v", c, err)
	}
}

func TestShortKeysShowLessThanHalf(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{"k": "", "k1": "1", "abcd": "cd", "abcdefgh": "efgh", "sk-1234567890": "7890"} {
		if got := last4(value); got != want {
			t.Errorf("last4(%q) = %q, want %q", value, got, want)
		}
	}
}

func TestAKeyThatCannotBeOpenedIsSaidAndCanBeMended(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := newBundle(t)
	c := b.create(t, merged(valid(), Change{Keys: new([]string{"sk-first-aaaa"})}))
	b.store.rows[c.ID].Credentials[0].ID = "moved"
	if err := b.Reload(ctx); err == nil || !strings.Contains(err.Error(), "aaaa") || !strings.Contains(err.Error(), "master key") {
		t.Errorf("reload: %v", err)
	}
	if kept, ok := b.Get(c.ID); !ok || kept.Credentials[0].Value != "sk-first-aaaa" {
		t.Error("a failed reload has changed the snapshot")
	}
	if _, err := b.Update(ctx, c.ID, Change{Tag: new("x")}, nil); err == nil {
		t.Error("an update that would keep a broken key is accepted")
	}
	if _, err := b.Update(ctx, c.ID, Change{Keys: new([]string{"sk-second-bbbb"})}, nil); err != nil {
		t.Error(err)
	}
	if err := b.Reload(ctx); err != nil {
		t.Error(err)
	}
}

func TestAChangeCountsForTheNextRead(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := newBundle(t)
	swaps := 0
	b.OnChange(func() { swaps++ })
	c := b.create(t, valid())
	before := b.All()
	if _, err := b.Update(ctx, c.ID, Change{Status: new(Disabled)}, new(int64(1))); err != nil {
		t.Fatal(err)
	}
	if before[0].Status != Enabled {
		t.Error("a list handed out earlier has changed")
	}
	if now, _ := b.Get(c.ID); now.Status != Disabled || now.Version != 2 || b.All()[0] != now {
		t.Errorf("after the update: %+v", now)
	}
	if _, err := b.Update(ctx, c.ID, Change{Status: new(Enabled)}, new(int64(1))); !fault.Is(err, fault.PreconditionFailed) {
		t.Errorf("an update of an old version: %v", err)
	}
	if err := b.Delete(ctx, c.ID); err != nil {
		t.Fatal(err)
	}
	if _, ok := b.Get(c.ID); ok || len(b.All()) != 0 {
		t.Error("a deleted channel is still there")
	}
	if swaps != 3 {
		t.Errorf("the hook ran %d times, want 3", swaps)
	}
	if err := b.Delete(ctx, c.ID); fault.Code(err) != "channel_not_found" {
		t.Errorf("delete again: %v", err)
	}
	if _, err := b.Update(ctx, c.ID, Change{}, nil); fault.Code(err) != "channel_not_found" {
		t.Errorf("update after delete: %v", err)
	}
}

func TestChannelsAreListedById(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for range 12 {
		b.create(t, valid())
	}
	if err := b.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(b.All(), func(a, c *Channel) int { return int(a.ID - c.ID) }) || len(b.All()) != 12 {
		t.Errorf("not by id: %v", b.All())
	}
}

// bundle is a service with its parts in reach.
type bundle struct {
	*Service
	store *table
	at    time.Time
}

func newBundle(*testing.T) *bundle {
	b := &bundle{store: &table{rows: map[int64]*Channel{}}, at: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)}
	b.Service = NewService(Deps{
		Store: b.store, Sealer: mirror{},
		GroupExists: func(name string) bool { return name == "default" || name == "vip" },
		Now:         func() time.Time { return b.at },
	})
	return b
}

func (b *bundle) create(t *testing.T, change Change) *Channel {
	t.Helper()
	c, err := b.Create(t.Context(), change)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func valid() Change {
	return Change{Name: new("main"), Kind: new(OpenAI), BaseURL: new("https://api.example.com/v1"), Models: new([]string{"gpt-*"})}
}

// merged is change with what a channel must have taken from base.
func merged(base, change Change) Change {
	change.Name = cmp.Or(change.Name, base.Name)
	change.Kind = cmp.Or(change.Kind, base.Kind)
	change.BaseURL = cmp.Or(change.BaseURL, base.BaseURL)
	change.Models = cmp.Or(change.Models, base.Models)
	return change
}

func numbered(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("entry-%d", i)
	}
	return list
}

func lasts(c *Channel) []string {
	var list []string
	for _, cred := range c.Credentials {
		list = append(list, cred.Last4)
	}
	return list
}

func values(c *Channel) []string {
	var list []string
	for _, cred := range c.Credentials {
		list = append(list, cred.Value)
	}
	return list
}

// mirror is a sealer for tests: the text backwards behind its place.
type mirror struct{}

func (mirror) Seal(plain, aad []byte) []byte {
	back := slices.Clone(plain)
	slices.Reverse(back)
	return append(append(slices.Clone(aad), 0), back...)
}

func (mirror) Open(sealed, aad []byte) ([]byte, error) {
	back, ok := bytes.CutPrefix(sealed, append(slices.Clone(aad), 0))
	if !ok {
		return nil, errors.New("sealed for another place")
	}
	back = slices.Clone(back)
	slices.Reverse(back)
	return back, nil
}

// table is a store in memory; as a database does, it keeps no value.
type table struct {
	rows map[int64]*Channel
	last int64
}

func (m *table) Channels(context.Context) ([]*Channel, error) {
	var list []*Channel
	for _, c := range slices.Collect(maps.Values(m.rows)) {
		list = append(list, new(*c))
	}
	return list, nil
}

func (m *table) Channel(_ context.Context, id int64) (*Channel, error) {
	c, ok := m.rows[id]
	if !ok {
		return nil, NotFound(id)
	}
	return new(*c), nil
}

func (m *table) InsertChannel(_ context.Context, c *Channel) (int64, error) {
	m.last++
	m.keep(m.last, c)
	return m.last, nil
}

func (m *table) UpdateChannel(_ context.Context, c *Channel, version int64) (bool, error) {
	if m.rows[c.ID] == nil || m.rows[c.ID].Version != version {
		return false, nil
	}
	m.keep(c.ID, c)
	return true, nil
}

func (m *table) DeleteChannel(_ context.Context, id int64) (bool, error) {
	_, ok := m.rows[id]
	delete(m.rows, id)
	return ok, nil
}

func (m *table) keep(id int64, c *Channel) {
	row := *c
	row.ID = id
	row.Credentials = slices.Clone(c.Credentials)
	for i := range row.Credentials {
		row.Credentials[i].Value = ""
	}
	row.Network.Proxy.URL = ""
	m.rows[id] = &row
}
