package store_test

import (
	"testing"

	"halley/internal/store/storetest"
)

func TestBalances(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, storetest.RunBalances)
}
