package store_test

import (
	"testing"

	"halley/internal/store/storetest"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, storetest.RunOptions)
}
