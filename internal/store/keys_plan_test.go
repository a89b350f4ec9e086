package store_test

import (
	"path/filepath"
	"strings"
	"testing"

	"halley/internal/store"
	"halley/internal/store/storetest"
)

// An owner's page is read from an index in its order: the only rows that are
// sorted are those of the page.
func TestAPageOfKeysIsReadInTheOrderOfAnIndex(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "halley.db"))
	for _, c := range []struct{ name, text, index string }{
		{"newest first", store.KeyPageByCreatedDown, "keys_user (user_id=? AND deleted_ms=?)"},
		{"by name", store.KeyPageByName, "keys_name (user_id=? AND deleted_ms=?)"},
		{"by name, last first", store.KeyPageByNameDown, "keys_name (user_id=? AND deleted_ms=?)"},
	} {
		plan := plan(t, db, c.text)
		found, after, ok := strings.Cut(plan, c.index)
		if !ok {
			t.Errorf("%s does not use %s:\n%s", c.name, c.index, plan)
		}
		if strings.Contains(found, "TEMP B-TREE") || strings.Count(after, "TEMP B-TREE") > 1 {
			t.Errorf("%s sorts more than its page:\n%s", c.name, plan)
		}
	}
}
