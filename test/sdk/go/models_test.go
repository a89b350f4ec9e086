package openaigo_test

import (
	"slices"
	"testing"

	"github.com/openai/openai-go/v3"
)

func TestModelsAreWhatTheKeyMayCall(t *testing.T) {
	t.Parallel()
	all := list(t, client(t, "HALLEY_API_KEY"))
	for _, model := range []string{chatModel, toolsModel, embedModel} {
		if !slices.Contains(all, model) {
			t.Errorf("%s is not listed in %q", model, all)
		}
	}
	if slices.Contains(all, offlineModel) {
		t.Error("a model without an enabled channel is listed")
	}
	if got := list(t, client(t, "HALLEY_KEY_MODEL_LIMITED")); !slices.Equal(got, []string{toolsModel}) {
		t.Errorf("a key limited to %s lists %q", toolsModel, got)
	}
}

func TestAModelCanBeRetrieved(t *testing.T) {
	t.Parallel()
	c := client(t, "HALLEY_API_KEY")
	got, err := c.Models.Get(t.Context(), chatModel)
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != chatModel || !got.JSON.Created.Valid() || !got.JSON.OwnedBy.Valid() || string(got.Object) != "model" {
		t.Errorf("model: %s", got.RawJSON())
	}
	_, err = c.Models.Get(t.Context(), "script-nowhere")
	wantError(t, err, 404, "model_not_found", "")
}

func list(t *testing.T, c openai.Client) []string {
	t.Helper()
	var ids []string
	pages := c.Models.ListAutoPaging(t.Context())
	for pages.Next() {
		ids = append(ids, pages.Current().ID)
	}
	if err := pages.Err(); err != nil {
		t.Fatal(err)
	}
	return ids
}
