package store_test

import (
	"testing"

	"halley/internal/store/storetest"
)

func TestKept(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, storetest.RunKept)
}
