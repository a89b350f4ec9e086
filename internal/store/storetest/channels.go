package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/channel"
	"halley/internal/fault"
	"halley/internal/jsonx"
	"halley/internal/store"
)

// RunChannels holds a store to channel.Store.
func RunChannels(t *testing.T, open func(t *testing.T) *store.DB) {
	for name, check := range map[string]func(*testing.T, *store.DB){
		"a channel is read back as it was added, without values": channelReadBack,
		"channels are told apart by id":                          channelIDs,
		"an update wants the version it saw":                     channelUpdate,
		"a deleted channel is gone and its id is not used again": channelDelete,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, open(t))
		})
	}
}

// fullChannel has a value in every field.
func fullChannel() *channel.Channel {
	return &channel.Channel{
		Name: "Main 😀", Kind: channel.OpenAI, BaseURL: "https://api.example.com/v1",
		Credentials: []channel.Credential{
			{ID: "one", Sealed: []byte{0, 1, 0xff}, Value: "sk-in-the-clear-1234", Last4: "1234"},
			{ID: "two", Sealed: []byte{2}, Value: "sk-in-the-clear-5678", Last4: "5678"},
		},
		Models: []string{"gpt-4o", "gpt-5*"}, ModelMapping: mapping(map[string]string{"gpt-4o": "azure-\"4o\"", "gpt-5*": "azure-5*"}), Groups: []string{"default", "vip"},
		Priority: -7, Weight: 3, Status: channel.Disabled, Tag: "eu",
		Timeouts:     channel.Timeouts{Connect: time.Second, FirstByte: 2 * time.Second, Idle: 3 * time.Second, Total: 24 * time.Hour, Drain: 4 * time.Second},
		OnDisconnect: channel.Drain, Created: noon,
		Overrides: overrides(channel.OverrideSpec{
			Headers: channel.HeaderOverrides{Set: map[string]string{"X-Title": "a \"b\""}, Default: map[string]string{"Openai-Beta": "x"}, Remove: []string{"X-Debug"}},
			Body: channel.BodyOverrides{
				Set: map[string]jsonx.Value{`metadata.team\.name`: jsonx.Value(`"é"`)}, Default: map[string]jsonx.Value{"temperature": jsonx.Value(`1.50`)}, Remove: []string{"messages[0].name"},
			},
		}),
		Caps:    channel.Caps{Concurrency: 1, RPM: 2, TPM: 3, Queue: 4 * time.Millisecond},
		Azure:   channel.AzureSettings{APIVersion: "2025-04-01-preview", Authority: "https://login.microsoftonline.us", Scope: "https://cognitiveservices.azure.us/.default"},
		Vertex:  channel.VertexSettings{Project: "p", Location: "eu"},
		Network: channel.Network{Proxy: channel.Proxy{Sealed: []byte{3, 0}, URL: "http://in:the-clear@proxy"}, CAPEM: "-----BEGIN…\n"},
	}
}

func mapping(entries map[string]string) *channel.Mapping {
	m, err := channel.NewMapping(entries)
	if err != nil {
		panic(err)
	}
	return m
}

func overrides(spec channel.OverrideSpec) *channel.Overrides {
	o, err := channel.NewOverrides(spec)
	if err != nil {
		panic(err)
	}
	return o
}

func channelReadBack(t *testing.T, db *store.DB) {
	for _, added := range []*channel.Channel{
		fullChannel(),
		{Name: "bare", Kind: channel.Demo, Models: []string{"*"}, Groups: []string{"default"}, Status: channel.Enabled, OnDisconnect: channel.Cancel, Created: noon},
	} {
		want := *added
		want.ID, want.Version = insertChannel(t, db, added), 1
		want.Network.Proxy.URL = ""
		want.Credentials = nil
		for _, c := range added.Credentials {
			c.Value = ""
			want.Credentials = append(want.Credentials, c)
		}
		got, err := db.Channel(t.Context(), want.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func channelIDs(t *testing.T, db *store.DB) {
	ctx := t.Context()
	first, second := insertChannel(t, db, fullChannel()), insertChannel(t, db, fullChannel())
	all, err := db.Channels(ctx)
	if err != nil || len(all) != 2 || all[0].ID != first || all[1].ID != second {
		t.Errorf("%v, %v; want %d and %d", all, err, first, second)
	}
	if _, err := db.Channel(ctx, second+1); fault.Code(err) != "channel_not_found" {
		t.Errorf("a missing channel: %v", err)
	}
}

func channelUpdate(t *testing.T, db *store.DB) {
	ctx := t.Context()
	want := fullChannel()
	want.Credentials = nil
	want.ID = insertChannel(t, db, want)
	other := insertChannel(t, db, fullChannel())
	want.Name, want.Status, want.Version = "Renamed", channel.Enabled, 2
	want.Timeouts = channel.Timeouts{}
	want.Models, want.ModelMapping = []string{"x"}, nil
	want.Overrides, want.Caps = nil, channel.Caps{}
	want.Azure, want.Network = channel.AzureSettings{}, channel.Network{CAPEM: "other"}
	changed := *want
	changed.Created = noon.Add(time.Hour) // must not count
	if updated, err := db.UpdateChannel(ctx, &changed, 1); err != nil || !updated {
		t.Fatal(updated, err)
	}
	if updated, err := db.UpdateChannel(ctx, fullChannel(), 1); err != nil || updated {
		t.Errorf("an old version was updated: %v, %v", updated, err)
	}
	got, err := db.Channel(ctx, want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, err = db.Channel(ctx, other); err != nil || got.Name != "Main 😀" || got.Version != 1 {
		t.Errorf("the other channel is now %+v, %v", got, err)
	}
}

func channelDelete(t *testing.T, db *store.DB) {
	ctx := t.Context()
	id := insertChannel(t, db, fullChannel())
	for _, want := range []bool{true, false} {
		if deleted, err := db.DeleteChannel(ctx, id); err != nil || deleted != want {
			t.Errorf("deleted %v, %v; want %v", deleted, err, want)
		}
	}
	if next := insertChannel(t, db, fullChannel()); next <= id {
		t.Errorf("after %d was deleted the next is %d", id, next)
	}
}

func insertChannel(t *testing.T, db *store.DB, c *channel.Channel) int64 {
	t.Helper()
	id, err := db.InsertChannel(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
