package price

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"halley/internal/jsonx"
	"halley/internal/money"
	"halley/internal/usage"
)

func loadBook(t *testing.T) *Book {
	t.Helper()
	catalog, err := LoadCatalog()
	if err != nil {
		t.Fatal(err)
	}
	book, err := NewBook(catalog, nil)
	if err != nil {
		t.Fatal(err)
	}
	return book
}

func TestTheCatalogHasTheCurrentModels(t *testing.T) {
	t.Parallel()
	book := loadBook(t)
	for _, c := range []struct {
		model, vendor, mode string
		tokens              usage.Tokens
		tier, want          string
	}{
		{"gpt-4o", "openai", "chat", usage.Tokens{Prompt: 100_000, CachedRead: 50_000, Completion: 10_000}, "", "0.2875"},
		{"gpt-4o", "openai", "chat", usage.Tokens{Prompt: 100_000, CachedRead: 50_000, Completion: 10_000}, "priority", "0.48875"},
		{"gpt-5.4", "openai", "chat", usage.Tokens{Prompt: 272_001}, "", "1.360005"},
		{"gpt-5-nano", "openai", "chat", usage.Tokens{Prompt: 1_000_000}, "priority", "0.05"},
		{"gpt-4o-audio-preview", "openai", "chat", usage.Tokens{Prompt: 1000, AudioIn: 1000, Completion: 1000, AudioOut: 1000}, "", "0.12"},
		{"claude-sonnet-4-5", "anthropic", "chat", usage.Tokens{Prompt: 100_000, CacheWrite5m: 10_000, CacheWrite1h: 10_000}, "", "0.3375"},
		{"claude-sonnet-4-5", "anthropic", "chat", usage.Tokens{Prompt: 300_000, CacheWrite1h: 100_000, Completion: 1000}, "", "2.4225"},
		{"claude-3-haiku-20240307", "anthropic", "chat", usage.Tokens{Prompt: 100_000, CacheWrite1h: 100_000}, "", "0.05"},
		{"gemini-2.5-flash", "google", "chat", usage.Tokens{Prompt: 1_000_000, AudioIn: 500_000, Completion: 1000, Reasoning: 1000}, "", "0.6525"},
		{"gemini-embedding-001", "google", "embedding", usage.Tokens{Prompt: 1_000_000}, "", "0.15"},
		{"deepseek-v4-pro", "deepseek", "chat", usage.Tokens{Prompt: 1_000_000, CachedRead: 1_000_000}, "", "0.003625"},
		{"grok-4.5", "xai", "chat", usage.Tokens{Prompt: 1_000_000, Completion: 1_000_000}, "", "8"},
		{"mistral-large-latest", "mistral", "chat", usage.Tokens{Prompt: 1_000_000, CachedRead: 500_000, Completion: 1_000_000}, "", "1.775"},
		{"mistral-medium-3.5", "mistral", "chat", usage.Tokens{Prompt: 1_000_000, Completion: 1_000_000}, "", "9"},
		{"mistral-small-latest", "mistral", "chat", usage.Tokens{Prompt: 1_000_000, Completion: 1_000_000}, "", "0.75"},
		{"magistral-medium-latest", "mistral", "chat", usage.Tokens{Prompt: 1_000_000, Completion: 1_000_000, Reasoning: 900_000}, "", "7"},
		{"codestral-latest", "mistral", "chat", usage.Tokens{Prompt: 1_000_000, Completion: 1_000_000}, "", "1.2"},
		{"ministral-8b-latest", "mistral", "chat", usage.Tokens{Prompt: 1_000_000, Completion: 1_000_000}, "", "0.3"},
		{"mistral-embed", "mistral", "embedding", usage.Tokens{Prompt: 1_000_000}, "", "0.1"},
		{"text-embedding-3-small", "openai", "embedding", usage.Tokens{Prompt: 1_000_000}, "", "0.02"},
		{"text-embedding-3-large", "openai", "embedding", usage.Tokens{Prompt: 1_000_000}, "", "0.13"},
		{"text-embedding-ada-002", "openai", "embedding", usage.Tokens{Prompt: 1_000_000}, "", "0.1"},
		{"voyage-4-large", "voyage", "embedding", usage.Tokens{Prompt: 1_000_000}, "", "0.12"},
		{"embed-v4.0", "cohere", "embedding", usage.Tokens{Prompt: 1_000_000}, "", "0.12"},
		{"demo-echo", "demo", "chat", usage.Tokens{Prompt: 1_000_000, CachedRead: 500_000, Completion: 1_000_000}, "", "2.75"},
		{"demo-embed", "demo", "embedding", usage.Tokens{Prompt: 1_000_000}, "", "0.1"},
	} {
		p, ok := book.Lookup(c.model)
		if !ok {
			t.Errorf("%s is not there", c.model)
			continue
		}
		if p.Vendor != c.vendor || p.Mode != c.mode || p.Source != FromCatalog || p.Version != "catalog-2026-07-24_2026-11-23" {
			t.Errorf("%s: %+v", c.model, p.View())
		}
		if got := p.Cost(c.tokens, c.tier, money.One).USDString(); got != c.want {
			t.Errorf("%s, tier %q, %+v costs %s USD, want %s", c.model, c.tier, c.tokens, got, c.want)
		}
	}
	for _, model := range []string{"demo-echo", "demo-slow", "demo-500", "demo-429", "demo-401", "demo-cut", "demo-hang", "demo-empty", "demo-html"} {
		p, ok := book.Lookup(model)
		if !ok || p.MaxOutputTokens != 4096 || p.View().Input != "1" || p.View().Output != "2" {
			t.Errorf("%s: %+v", model, p)
		}
	}
	for _, retired := range []string{"claude-3-7-sonnet-20250219", "gemini-2.0-flash", "gpt-4-0314", "devstral-2512", "pixtral-large-latest"} {
		if _, ok := book.Lookup(retired); ok {
			t.Errorf("%s is retired but has a price", retired)
		}
	}
}

func TestNothingInTheCatalogIsFree(t *testing.T) {
	t.Parallel()
	for _, p := range loadBook(t).All() {
		if p.Cost(usage.Tokens{Prompt: 1000}, "", money.One) == 0 {
			t.Errorf("%s has free input", p.Model)
		}
		if p.Mode != ModeEmbedding && p.Cost(usage.Tokens{Completion: 1000}, "", money.One) == 0 {
			t.Errorf("%s has free output", p.Model)
		}
	}
}

func TestBrokenCatalogsAreRefused(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"not JSON":       `{`,
		"no date":        `{"models":[]}`,
		"bad date":       `{"date":"24.7.2026","models":[]}`,
		"bad own date":   `{"date":"2026-07-24","models":[{"model":"m","date":"today","vendor":"a","mode":"chat","input":1,"output":1}]}`,
		"no model name":  `{"date":"2026-07-24","models":[{"vendor":"a","mode":"chat","input":1,"output":1}]}`,
		"no output":      `{"date":"2026-07-24","models":[{"model":"m","vendor":"a","mode":"chat","input":1}]}`,
		"no vendor":      `{"date":"2026-07-24","models":[{"model":"m","mode":"chat","input":1,"output":1}]}`,
		"no mode":        `{"date":"2026-07-24","models":[{"model":"m","vendor":"a","input":1,"output":1}]}`,
		"negative price": `{"date":"2026-07-24","models":[{"model":"m","vendor":"a","mode":"chat","input":-1,"output":1}]}`,
		"a model twice": `{"date":"2026-07-24","models":[{"model":"m","vendor":"a","mode":"chat","input":1,"output":1},
			{"model":"m","vendor":"a","mode":"chat","input":1,"output":1}]}`,
	} {
		if _, err := ParseCatalog([]byte(file)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestACatalogIsNamedAfterTheDaysOfItsFacts(t *testing.T) {
	t.Parallel()
	model := func(name, date string) string {
		return `{"model":"` + name + `","vendor":"a","mode":"chat","input":1,"output":1` + date + `}`
	}
	for _, c := range []struct{ models, want string }{
		{"", "catalog-2026-07-24"},
		{model("m", ""), "catalog-2026-07-24"},
		{model("m", `,"date":"2026-07-24"`), "catalog-2026-07-24"},
		{model("m", "") + "," + model("n", `,"date":"2026-11-23"`) + "," + model("o", `,"date":"2026-11-23"`), "catalog-2026-07-24_2026-11-23"},
		{model("m", `,"date":"2027-01-01"`) + "," + model("n", `,"date":"2026-11-23"`), "catalog-2026-07-24_2026-11-23_2027-01-01"},
	} {
		catalog, err := ParseCatalog([]byte(`{"date":"2026-07-24","models":[` + c.models + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := catalog.Version(); got != c.want {
			t.Errorf("version %s, want %s", got, c.want)
		}
	}
}

func TestAPriceIsOfTheDayOfItsFacts(t *testing.T) {
	t.Parallel()
	book := loadBook(t)
	for model, want := range map[string]string{"gpt-4o": "2026-07-24", "mistral-large-latest": "2026-11-23"} {
		p, ok := book.Lookup(model)
		if !ok || p.Updated.Format(time.DateOnly) != want {
			t.Errorf("%s: %+v, want it of %s", model, p, want)
		}
	}
}

func TestEveryVendorHasANameAndItsModelsAPage(t *testing.T) {
	t.Parallel()
	for _, m := range loadBook(t).PublicModels() {
		if m.Provider == m.ProviderCode || m.APIDocURL == "" && m.ProviderCode != "demo" {
			t.Errorf("%s is of %q (%s), described at %q", m.Code, m.Provider, m.ProviderCode, m.APIDocURL)
		}
	}
}

func TestAllPricesComeByName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put(t, "a-model", `{"input":1,"output":1}`)
	b.put(t, "z-model", `{"input":1,"output":1}`)
	var names []string
	for _, p := range b.service.Book().All() {
		names = append(names, p.Model)
	}
	if diff := cmp.Diff([]string{"a-model", "gpt-4o", "vectors-1", "z-model"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestPublicModels(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put(t, "mine", `{"per_request":0.04}`)
	for _, marshal := range []func(any) ([]byte, error){jsonx.Marshal, json.Marshal} {
		text, err := marshal(b.service.Book().PublicModels())
		if err != nil {
			t.Fatal(err)
		}
		const want = `[` +
			`{"id":540874039115830,"code":"gpt-4o","provider":"OpenAI","provider_code":"openai","name":"gpt-4o","model_type":"chat","features":["vision"],` +
			`"pricing":{"currency":"USD / M Tokens","input":2.5,"output":10,"per_request":null,"per_second":null},` +
			`"api_doc_url":"https://platform.openai.com/docs/models","created":1715558400},` +
			`{"id":7680924969136603,"code":"mine","provider":"Custom","provider_code":"custom","name":"mine","model_type":"chat","features":[],` +
			`"pricing":{"currency":"USD / M Tokens","input":null,"output":null,"per_request":0.04,"per_second":null},` +
			`"api_doc_url":"","created":1795435200},` +
			`{"id":8439446273822217,"code":"vectors-1","provider":"OpenAI","provider_code":"openai","name":"vectors-1","model_type":"embedding","features":[],` +
			`"pricing":{"currency":"USD / M Tokens","input":0.02,"output":null,"per_request":null,"per_second":null},` +
			`"api_doc_url":"https://platform.openai.com/docs/models","created":0}]`
		if diff := cmp.Diff(strings.ReplaceAll(want, "},{", "},\n{"), strings.ReplaceAll(string(text), "},{", "},\n{")); diff != "" {
			t.Error(diff)
		}
	}
}

func TestPublicIDsTellModelsApartAndFitAnyReader(t *testing.T) {
	t.Parallel()
	var ids []int64
	for _, m := range loadBook(t).PublicModels() {
		if m.ID <= 0 || m.ID >= 1<<53 {
			t.Errorf("%s has the id %d", m.Code, m.ID)
		}
		ids = append(ids, m.ID)
	}
	slices.Sort(ids)
	if n := len(slices.Compact(slices.Clone(ids))); n != len(ids) {
		t.Errorf("%d models share ids", len(ids)-n)
	}
}
