package store_test

import (
	"testing"

	"halley/internal/store/storetest"
)

func TestIdentities(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, storetest.RunIdentities)
}
