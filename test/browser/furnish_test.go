package browser_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"halley/test/harness"
)

// Names as long as they may be: Chinese, and a word that nowhere breaks.
const (
	longChinese = "面向华东与华南地区电商客服智能体的生产环境密钥请勿在测试环境中使用否则将计入正式账单"
	longWord    = "checkout-recommendations-production-eu-central-1-blue"
)

// used is a furnished server.
func used(t *testing.T, s *harness.Server) []string {
	t.Helper()
	furnish(t, s)
	return nil
}

// furnish fills a server as one that has been in use: what fill makes, and
// channels of several kinds, one of them broken, groups, people, price versions,
// keys in every state, children, budgets, and requests over several models with
// the errors that happen. The pictures of the screens show it.
func furnish(t *testing.T, s *harness.Server) {
	t.Helper()
	fill(t, s)
	root := s.Root
	root.CreateGroup(t, harness.Fields{"name": "vip", "desc": "Customers with a contract", "ratio": "0.8", "usable_by": []string{"vip"}, "strategy": "least-latency"})
	root.CreateGroup(t, harness.Fields{"name": "batch", "desc": "Work that may wait until the night", "ratio": "0.5", "strategy": "cheapest", "limits": harness.Fields{"rpm": 120, "tpm": 400_000, "concurrency": 8}})
	root.CreateGroup(t, harness.Fields{"name": longWord, "desc": longChinese, "ratio": "1.25"})
	root.PutPrice(t, "gpt-4o", harness.Fields{"input": 3, "output": 12, "cache_read": 1.5, "vendor": "openai"})
	root.PutPrice(t, "gpt-4o", harness.Fields{
		"input": 2.5, "output": 10, "cache_read": 1.25, "vendor": "openai", "max_input_tokens": 128_000, "max_output_tokens": 16_384,
		"above_prompt_tokens": []harness.Fields{{"over": 64_000, "input": 5, "output": 15}},
	})
	root.PutPrice(t, "house-model-"+longWord, harness.Fields{"input": 0.2, "output": 0.6, "vendor": "in-house"})

	serving := root.CreateChannel(t, harness.Fields{
		"name": "OpenAI, Frankfurt", "kind": "demo", "tag": "eu", "priority": 20, "groups": []string{"default", "vip", "batch"},
		"models": []string{"gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "text-embedding-3-small"},
		"keys":   []string{"upstream-1", "upstream-2", "upstream-3"}, "caps": harness.Fields{"rpm": 5000, "concurrency": 200},
	})
	// Nobody has these addresses, and nothing asks for what is disabled.
	root.CreateChannel(t, harness.Fields{"name": "Anthropic", "kind": "anthropic", "base_url": "https://anthropic.example", "status": 2, "tag": "us", "priority": 10, "models": []string{"claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"}})
	root.CreateChannel(t, harness.Fields{"name": "Old OpenAI account", "kind": "openai", "base_url": "https://openai.example/v1", "status": 2, "models": []string{"gpt-4o", "gpt-4o-mini"}})
	root.CreateChannel(t, harness.Fields{"name": "OpenAI, Dublin", "kind": "demo", "tag": "eu", "priority": 10, "models": []string{"gpt-4o", "gpt-4o-mini", "demo-echo"}})
	root.CreateChannel(t, harness.Fields{"name": "Mirror in Virginia", "kind": "demo", "tag": "us", "priority": 15, "models": []string{"gpt-4.1", "gpt-4o"}, "model_mapping": harness.Fields{"gpt-4.1": "demo-500", "gpt-4o": "demo-500"}})
	root.CreateChannel(t, harness.Fields{"name": longChinese, "kind": "demo", "models": []string{"house-model-" + longWord}, "tag": longWord[:30]})

	root.CreateUser(t, harness.Fields{"username": "mei", "password": harness.Password, "display_name": "林美", "email": "mei@example.com", "role": "admin", "unlimited_quota": true})
	ada := root.CreateUser(t, harness.Fields{
		"username": "ada", "password": harness.Password, "display_name": "Ada Okafor", "email": "ada@example.com", "quota": 5_000_000, "group": "vip",
		"limits": harness.Fields{"rpm": 300, "budgets": []harness.Fields{{"amount": 2_000_000, "period": "month"}}},
	})
	gone := root.CreateUser(t, harness.Fields{"username": "bruno", "password": harness.Password, "display_name": "Bruno", "quota": 120_000})
	root.PatchUser(t, gone.ID, harness.Fields{"status": 2})
	root.CreateUser(t, harness.Fields{
		"username": longWord[:32], "password": harness.Password, "display_name": longChinese[:60], "quota": 0,
		"email": longWord + "@" + longWord + ".example.com",
	})

	now := time.Now()
	root.UpdateKey(t, 1, harness.Fields{"limits": harness.Fields{"per_model": harness.Fields{
		"demo-echo": harness.Fields{"rpm": 120, "tpm": 300_000}, "demo-embed": harness.Fields{"rpm": 30, "tpm_input": 100_000},
	}}})
	expiring := root.CreateKey(t, harness.Fields{"name": "Demo for the fair", "remain_quota": 500_000, "expired_time": now.Add(40 * time.Hour).Unix()})
	root.CreateKey(t, harness.Fields{"name": longChinese, "remain_quota": 900_000_000, "group": "batch"})
	root.CreateKey(t, harness.Fields{"name": longWord[:50], "unlimited_quota": true, "limits": harness.Fields{"budgets": []harness.Fields{{"amount": 40_000, "period": "day"}}}})
	assistant := root.CreateKey(t, harness.Fields{"name": "Support assistant", "remain_quota": 4_000_000, "limits": harness.Fields{"budgets": []harness.Fields{{"amount": 50_000, "period": "day"}, {"amount": 500_000, "period": "week"}}}})
	batch := root.CreateKey(t, harness.Fields{"name": "Nightly summaries", "remain_quota": 700, "group": "batch"})
	for _, name := range []string{"Tenant 4711", "Tenant 4712", longChinese[:90]} {
		root.Must(t, http.MethodPost, fmt.Sprintf("/api/token/%d/children", assistant.ID), harness.Fields{"name": name, "remain_quota": 100_000})
	}
	root.CreateKey(t, harness.Fields{"name": "Ada's notebook", "user_id": ada.ID, "remain_quota": 250_000})

	models := []string{"gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "demo-echo", "house-model-" + longWord}
	for i := range 30 {
		key := []harness.Key{assistant, expiring}[i%2]
		converse(t, s, key.Key, models[i%len(models)], fmt.Sprintf("Count to %d", 5*(i+1)), i%3 == 0)
	}
	for range 3 {
		converse(t, s, batch.Key, "gpt-4o-mini", "Summarize the day.", false)
	}
	for range 12 { // until the breaker of the only channel for it opens
		converse(t, s, assistant.Key, "gpt-4.1", "Hello", false)
	}
	converse(t, s, assistant.Key, "demo-500", "Hello", false)
	converse(t, s, assistant.Key, "no-such-model", "Hello", false)
	root.PatchChannel(t, serving.ID, harness.Fields{"weight": 3}) // for the audit log: a change of one field
	root.PutOption(t, "audit_days", 400)
}

// converse is a request of a program; whether it succeeds is not asked.
func converse(t *testing.T, s *harness.Server, key, model, question string, stream bool) {
	t.Helper()
	send(t, s, key, fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[{"role":"user","content":%q}]}`, model, stream, question))
}
