package cohere_test

import (
	"testing"

	"halley/internal/channel"
	"halley/internal/provider"
	"halley/internal/provider/cohere"
)

func TestRequestsGoToTheSecondVersion(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"https://api.cohere.com", "https://api.cohere.com/v1", "https://api.cohere.com/v2"} {
		for op, want := range map[provider.Operation]string{
			provider.Chat: "/v2/chat", provider.Messages: "/v2/chat", provider.Responses: "/v2/chat", provider.Generate: "/v2/chat",
			provider.Embeddings: "/v2/embed", provider.Rerank: "/v2/rerank", provider.Models: "/v1/models?page_size=1000",
		} {
			ch := &channel.Channel{Kind: channel.Cohere, BaseURL: base}
			there := cohere.Provider{}.Speaks(ch, "m", op)
			if got := (cohere.Provider{}).URL(ch, provider.Call{Operation: there, Model: "m"}); got != "https://api.cohere.com"+want {
				t.Errorf("%s %s: %s", base, op, got)
			}
		}
	}
	if op := (cohere.Provider{}).Speaks(nil, "m", provider.CountMessages); op != "" {
		t.Errorf("tokens are counted by %s", op)
	}
}

// The body of 404 was recorded.
func TestErrorsAreOurCredentialsTheChannelsOrTheRequests(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		status int
		body   string
		want   provider.Class
	}{
		"a wrong key":      {401, `{"id":"x","message":"invalid api token"}`, provider.OfCredential},
		"no money":         {402, `{"message":"Please add or update your payment method at https://dashboard.cohere.com/billing"}`, provider.OfBalance},
		"a model removed":  {404, `{"id":"x","message":"model 'command-r' was removed on September 15, 2025. See https://docs.cohere.com/docs/models#command for a list of models you can use instead."}`, provider.OfChannel},
		"a month used up":  {429, `{"message":"You are using a Trial key, which is limited to 1000 API calls / month. You can continue to use the Trial key for free or upgrade to a Production key"}`, provider.OfBalance},
		"too fast":         {429, `{"message":"You are using a Trial key, which is limited to 10 API calls / minute."}`, provider.OfRequest},
		"a bad request":    {400, `{"message":"invalid request: message must be at least 1 token long"}`, provider.OfRequest},
		"an invalid field": {422, `{"message":"unknown field"}`, provider.OfRequest},
	} {
		if got := (cohere.Provider{}).Classify(row.status, []byte(row.body)); got != row.want {
			t.Errorf("%s: class %d, want %d", name, got, row.want)
		}
	}
}
