package store_test

import (
	"testing"

	"halley/internal/store/storetest"
)

func TestNodes(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, storetest.RunNodes)
}
