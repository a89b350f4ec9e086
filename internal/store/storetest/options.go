package storetest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"halley/internal/store"
)

// RunOptions holds a store to option.Store.
func RunOptions(t *testing.T, open func(t *testing.T) *store.DB) {
	t.Run("the last value saved is the one that is read", func(t *testing.T) {
		t.Parallel()
		db := open(t)
		for _, step := range [][2]string{{"a", `1`}, {"b", `["x", "😀"]`}, {"a", `2`}} {
			if err := db.SaveOption(t.Context(), step[0], step[1]); err != nil {
				t.Fatal(err)
			}
		}
		got, err := db.LoadOptions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]string{"a": `2`, "b": `["x", "😀"]`}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})

	t.Run("a new database has none", func(t *testing.T) {
		t.Parallel()
		got, err := open(t).LoadOptions(t.Context())
		if err != nil || len(got) != 0 {
			t.Errorf("got %v, %v", got, err)
		}
	})
}
