package store_test

import (
	"testing"

	"halley/internal/store/storetest"
)

func TestGroups(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, storetest.RunGroups)
}
