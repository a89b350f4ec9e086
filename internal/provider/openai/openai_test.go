package openai_test

import (
	"testing"

	"halley/internal/provider"
	"halley/internal/provider/openai"
)

// TestARefusalOfOursIsToldFromTheRequestsOwn goes by what servers answer; the
// 403s with a balance are as their users report them.
func TestARefusalOfOursIsToldFromTheRequestsOwn(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		status int
		body   string
		want   provider.Class
	}{
		"a 402 of any kind":               {402, ``, provider.OfBalance},
		"a quota in a 400":                {400, `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}`, provider.OfBalance},
		"One API's quota in a 403":        {403, `{"error":{"message":"user quota is not enough","type":"one_api_error","param":"","code":"insufficient_user_quota"}}`, provider.OfBalance},
		"xAI's credits in a 403":          {403, `{"code":"permission-denied","error":"Your team has either used all available credits or reached its monthly spending limit."}`, provider.OfBalance},
		"OpenRouter's key limit in a 403": {403, `{"error":{"message":"Key limit exceeded (total limit). Manage it using https://openrouter.ai/settings/keys","code":403}}`, provider.OfBalance},
		"a 401 of any kind":               {401, ``, provider.OfCredential},
		"a wrong key in a 400":            {400, `{"error":{"code":"invalid_api_key"}}`, provider.OfCredential},
		"a 403 of the request":            {403, `{"error":{"message":"Your input was flagged by moderation","code":403}}`, provider.OfRequest},
		"a rate limit":                    {429, `{"error":{"message":"Rate limit exceeded","code":429}}`, provider.OfRequest},
		"words of a balance in a 404":     {404, `{"error":{"message":"insufficient_quota"}}`, provider.OfRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := (openai.Provider{}).Classify(row.status, []byte(row.body)); got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}
