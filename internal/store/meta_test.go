package store_test

import (
	"testing"

	"halley/internal/store/storetest"
)

func TestMeta(t *testing.T) {
	t.Parallel()
	storetest.Engines(t, storetest.RunMeta)
}
