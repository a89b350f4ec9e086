package openaigo_test

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/genai"
)

// TestGooglesSDKEmbeds asks an upstream of OpenAI's form in Google's.
func TestGooglesSDKEmbeds(t *testing.T) {
	t.Parallel()
	c, err := genai.NewClient(t.Context(), &genai.ClientConfig{
		APIKey: env(t, "HALLEY_API_KEY"), Backend: genai.BackendGeminiAPI,
		HTTPOptions: genai.HTTPOptions{BaseURL: strings.TrimSuffix(env(t, "HALLEY_BASE_URL"), "/v1")},
	})
	if err != nil {
		t.Fatal(err)
	}
	contents := []*genai.Content{genai.NewContentFromText("a", genai.RoleUser), genai.NewContentFromText("b", genai.RoleUser)}
	got, err := c.Models.EmbedContent(t.Context(), embedModel, contents, &genai.EmbedContentConfig{TaskType: "RETRIEVAL_DOCUMENT"})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Embeddings) != 2 || len(got.Embeddings[0].Values) != 3 || got.Embeddings[0].Values[0] != 0.5 {
		t.Errorf("embeddings: %+v", got.Embeddings)
	}
	_, err = c.Models.EmbedContent(t.Context(), "script-nowhere", contents[:1], nil)
	if refused, ok := errors.AsType[genai.APIError](err); !ok || refused.Code != 404 {
		t.Errorf("a model that is not there: %v", err)
	}
}
