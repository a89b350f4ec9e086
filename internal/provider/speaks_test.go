package provider_test

import (
	"testing"

	"halley/internal/channel"
	"halley/internal/provider"
	"halley/internal/provider/anthropic"
	"halley/internal/provider/gemini"
	"halley/internal/provider/openai"
)

func TestEveryKindIsAskedInADialectThatItHas(t *testing.T) {
	t.Parallel()
	chat, both, responses := &channel.Channel{}, &channel.Channel{API: channel.ChatAndResponses}, &channel.Channel{API: channel.ResponsesOnly}
	for _, row := range []struct {
		name string
		p    provider.Provider
		ch   *channel.Channel
		op   provider.Operation
		want provider.Operation
	}{
		{"chat as it is", openai.Provider{}, chat, provider.Chat, provider.Chat},
		{"responses by way of chat", openai.Provider{}, chat, provider.Responses, provider.Chat},
		{"messages by way of chat", openai.Provider{}, both, provider.Messages, provider.Chat},
		{"responses where there are such", openai.Provider{}, both, provider.Responses, provider.Responses},
		{"chat by way of responses", openai.Provider{}, responses, provider.Chat, provider.Responses},
		{"completions as they are", openai.Provider{}, chat, provider.Completions, provider.Completions},
		{"no counting at OpenAI's", openai.Provider{}, chat, provider.CountMessages, ""},
		{"messages as they are", anthropic.Provider{}, chat, provider.Messages, provider.Messages},
		{"chat by way of messages", anthropic.Provider{}, chat, provider.Chat, provider.Messages},
		{"counts at Anthropic's", anthropic.Provider{}, chat, provider.CountMessages, provider.CountMessages},
		{"no embeddings at Anthropic's", anthropic.Provider{}, chat, provider.Embeddings, ""},
		{"Gemini as it is", gemini.Provider{}, chat, provider.Generate, provider.Generate},
		{"messages by way of Gemini", gemini.Provider{}, chat, provider.Messages, provider.Generate},
		{"counts at Google's", gemini.Provider{}, chat, provider.CountGenerate, provider.CountGenerate},
	} {
		if got := provider.Speaks(row.p, row.ch, "m", row.op); got != row.want {
			t.Errorf("%s: %q is asked for %q, want %q", row.name, row.op, got, row.want)
		}
	}
}

func TestCallsGoWhereAnSDKWouldSendThem(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		p    provider.Provider
		base string
		call provider.Call
		want string
	}{
		{openai.Provider{}, "https://api.openai.com/v1", provider.Call{Operation: provider.Responses}, "https://api.openai.com/v1/responses"},
		{openai.Provider{}, "https://api.openai.com/v1", provider.Call{Operation: provider.Completions}, "https://api.openai.com/v1/completions"},
		{anthropic.Provider{}, "https://api.anthropic.com", provider.Call{Operation: provider.Messages}, "https://api.anthropic.com/v1/messages"},
		{anthropic.Provider{}, "https://api.anthropic.com/v1", provider.Call{Operation: provider.CountMessages}, "https://api.anthropic.com/v1/messages/count_tokens"},
		{gemini.Provider{}, "https://generativelanguage.googleapis.com", provider.Call{Operation: provider.Generate, Model: "gemini-2.5-pro"}, "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:generateContent"},
		{gemini.Provider{}, "https://generativelanguage.googleapis.com/v1beta", provider.Call{Operation: provider.Generate, Model: "models/x", Stream: true}, "https://generativelanguage.googleapis.com/v1beta/models/x:streamGenerateContent?alt=sse"},
		{gemini.Provider{}, "https://generativelanguage.googleapis.com", provider.Call{Operation: provider.CountGenerate, Model: "x"}, "https://generativelanguage.googleapis.com/v1beta/models/x:countTokens"},
	} {
		if got := row.p.URL(&channel.Channel{BaseURL: row.base}, row.call); got != row.want {
			t.Errorf("%+v goes to %s, want %s", row.call, got, row.want)
		}
	}
}
